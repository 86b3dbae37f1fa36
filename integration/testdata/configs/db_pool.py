# A connection that was opened while the application was imported is not shared.
import os
import sys

bind = os.environ.get("APP_BIND", "127.0.0.1:0")
preload_app = True
workers = 2
loglevel = "info"
keepalive = 5
graceful_timeout = 10


def pre_fork(server, worker):
    connection = sys.modules["app"].connection
    if connection.pop("opened by", None):
        server.log.info("connection of the master closed")


def post_fork(server, worker):
    import app

    app.connection["opened by"] = worker.pid
    worker.log.info("Worker spawned (pid: %s)", worker.pid)
