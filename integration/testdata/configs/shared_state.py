# Shared memory made before the fork: a counter of all workers, and one of them that
# does the background work.
import ctypes
import multiprocessing
import threading

workers = 3
requests = multiprocessing.Value(ctypes.c_long, 0)
scheduler = multiprocessing.Lock()


def post_worker_init(worker):
    if scheduler.acquire(block=False):
        threading.Thread(target=threading.Event().wait, name="scheduler", daemon=True).start()
        worker.log.info("scheduler started by %s", worker.pid)


def post_request(worker, req, environ, resp):
    with requests.get_lock():
        requests.value += 1


def on_exit(server):
    server.log.info("%d requests in all", requests.value)
