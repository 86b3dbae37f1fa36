# Settings from the environment, with a guess for what is not there.
import json
import multiprocessing
import os

workers_per_core = float(os.getenv("WORKERS_PER_CORE", "1"))
cores = multiprocessing.cpu_count()
default_web_concurrency = workers_per_core * cores
web_concurrency_str = os.getenv("APP_CONCURRENCY", None)
if web_concurrency_str:
    web_concurrency = int(web_concurrency_str)
    assert web_concurrency > 0
else:
    web_concurrency = max(int(default_web_concurrency), 2)
host = os.getenv("HOST", "127.0.0.1")
port = os.getenv("APP_PORT", "0")
use_loglevel = os.getenv("LOG_LEVEL", "info")

# Gunicorn config variables
loglevel = use_loglevel
workers = web_concurrency
bind = os.getenv("BIND", None) or f"{host}:{port}"
errorlog = os.getenv("ERROR_LOG", "-") or None
worker_tmp_dir = "/dev/shm"
accesslog = os.getenv("ACCESS_LOG", "-") or None
graceful_timeout = int(os.getenv("GRACEFUL_TIMEOUT", "120"))
timeout = int(os.getenv("TIMEOUT", "120"))
keepalive = int(os.getenv("KEEP_ALIVE", "5"))
max_requests = 1000 * (multiprocessing.cpu_count() * 2 + 1)
max_requests_jitter = 50
certfile = None
keyfile = None
raw_env = ["APP_STARTED_BY=the file"]

# For debugging and testing
log_data = {"loglevel": loglevel, "workers": workers, "bind": bind, "host": host, "port": port}
print(json.dumps(log_data))
