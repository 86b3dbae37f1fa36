"""Every hook writes what it sees to $HOOKED_LOG, one JSON object a line."""

import json
import multiprocessing
import os
import threading

bind = []  # replaced by the command line
workers = 2
wsgi_app = "hooked:application"
proc_name = "hooked"
raw_env = ["HOOKED_RAW=from the file"]

calls = multiprocessing.Value("i", 0)
lock = threading.Lock()


def note(hook, **seen):
    with calls.get_lock():
        calls.value += 1
    seen.update(hook=hook, pid=os.getpid(), thread=threading.current_thread() is threading.main_thread())
    with open(os.environ["HOOKED_LOG"], "a") as log:
        log.write(json.dumps(seen) + "\n")


def on_starting(server):
    server.begun = ["list"]
    server.unpicklable = lock
    note("on_starting", server=server.pid, workers=server.cfg.workers, threads=server.cfg.settings["threads"].value)
    server.log.info("starting with %d workers", server.num_workers)


def when_ready(server):
    note("when_ready", address=str(server.address), begun=getattr(server, "begun", None))


def on_reload(server):
    note("on_reload", begun=server.begun, lost=not hasattr(server, "unpicklable"))


def nworkers_changed(server, new_value, old_value):
    note("nworkers_changed", new=new_value, old=old_value)


def pre_fork(server, worker):
    worker.number = worker.age
    note("pre_fork", age=worker.age, worker=str(worker.pid), raw=os.environ.get("HOOKED_RAW"))


def post_fork(server, worker):
    os.environ["HOOKED_NUMBER"] = str(worker.number)
    note("post_fork", age=worker.age, number=worker.number, worker=worker.pid, server=server.pid, ppid=worker.ppid)
    worker.log.warning("forked %s", worker)


def post_worker_init(worker):
    application = worker.wsgi
    worker.started = True

    def wrapped(environ, start_response):
        environ["hooked.wrapped"] = "yes"
        return application(environ, start_response)

    worker.wsgi = wrapped
    note("post_worker_init", age=worker.age, app=worker.app.callable is application, uri=worker.app.app_uri)


def worker_int(worker):
    note("worker_int", age=worker.age)


def worker_abort(worker):
    note("worker_abort", age=worker.age)


def pre_exec(server):
    note("pre_exec", server=server.pid)


def pre_request(worker, req):
    if req.path == "/refused":
        raise ValueError("refused by the hook")
    note("pre_request", method=req.method, path=req.path, uri=req.uri, query=req.query, version=req.version,
         test=[v for k, v in req.headers if k == "X-TEST"])


def post_request(worker, req, environ, resp):
    if req.path == "/late":
        raise KeyError("after the response")
    note("post_request", uri=req.uri, status=resp.status, code=resp.status_code, sent=resp.sent,
         headers=resp.headers, wrapped=environ.get("hooked.wrapped"), nr=worker.nr)


def child_exit(server, worker):
    note("child_exit", worker=worker.pid, number=worker.number, left=len(server.WORKERS))


def worker_exit(server, worker):
    note("worker_exit", age=worker.age, started=worker.started)


def on_exit(server):
    note("on_exit", calls=calls.value)
    server.log.error("leaving")
