# Each worker has a small number that no other worker has, for the length of its life;
# at a reload the old ones and the new ones have the same.
import os

workers = 3
max_requests = 5


def on_starting(server):
    server._ids_to_reuse = set()


def nworkers_changed(server, new_value, old_value):
    server._worker_count = new_value


def on_reload(server):
    server._ids_to_reuse = set(range(1, server.cfg.workers + 1))


def _next_id(server):
    if server._ids_to_reuse:
        return server._ids_to_reuse.pop()
    taken = {w._worker_id for w in tuple(server.WORKERS.values()) if w.alive}
    free = set(range(1, server._worker_count + 1)) - taken
    return free.pop()


def pre_fork(server, worker):
    worker._worker_id = _next_id(server)


def post_fork(server, worker):
    os.environ["APP_WORKER_ID"] = str(worker._worker_id)
