"""Settings from the environment, all logs as JSON, health checks left out."""

import json
import logging
import multiprocessing
import os

from gunicorn import glogging

workers = int(os.getenv("WEB_CONCURRENCY", multiprocessing.cpu_count() * 2 + 1))
worker_class = "gthread"
threads = int(os.environ.get("APP_THREADS", "2"))
worker_tmp_dir = "/dev/shm"
timeout = 120
keepalive = 5
loglevel = os.getenv("LOG_LEVEL", "info")
accesslog = "-"
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
statsd_host = "127.0.0.1:9"
dogstatsd_tags = "env:prod,service:web"
preload_app = True
ready = os.environ["READY_FILE"]


class JSONFormatter(logging.Formatter):
    def format(self, record):
        return json.dumps({"level": record.levelname, "logger": record.name, "pid": record.process, "text": record.getMessage()})


class Logger(glogging.Logger):
    def access(self, resp, req, environ, request_time):
        if req.path != "/healthz":
            super().access(resp, req, environ, request_time)


logger_class = Logger
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JSONFormatter}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["console"], "propagate": False},
        "gunicorn.access": {"level": "INFO", "handlers": ["console"], "propagate": False},
    },
}


def when_ready(server):
    open(ready, "w").close()
    server.log.info("Server is ready. Spawning %s workers", server.num_workers)


def post_fork(server, worker):
    server.log.info("Worker spawned (pid: %s)", worker.pid)


def on_exit(server):
    os.remove(ready)
    server.log.info("Cleaned up")
