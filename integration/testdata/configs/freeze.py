# Fewer pages written to: the collector leaves alone what was loaded before the fork.
import gc
import os

preload_app = True
workers = int(os.environ.get("WEB_CONCURRENCY", 2))
worker_tmp_dir = "/dev/shm"


def when_ready(server):
    gc.collect()
    gc.freeze()
    server.log.info("frozen: %d objects", gc.get_freeze_count())


def pre_fork(server, worker):
    gc.disable()


def post_fork(server, worker):
    gc.enable()
    gc.set_threshold(50000, 20, 20)
    worker.log.info("frozen in the worker: %s", gc.get_freeze_count() > 1000)
