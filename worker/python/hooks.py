"""The hooks of a configuration file, and the log they see; cfg.py and objects.py have the
rest.

All run as the module _gowsgi_hooks where a configuration file was read: in the
spawner, which stands for gunicorn's arbiter, and in the workers it forks.
"""

import os
import sys

import _gowsgi

NAMES = (
    "on_starting",
    "on_reload",
    "when_ready",
    "pre_fork",
    "post_fork",
    "post_worker_init",
    "worker_int",
    "worker_abort",
    "pre_exec",
    "pre_request",
    "post_request",
    "child_exit",
    "worker_exit",
    "nworkers_changed",
    "on_exit",
)

_LEVELS = {"critical": 50, "error": 40, "warning": 30, "info": 20, "debug": 10}


def resolve(path):
    """Imports what "module.name" stands for: a hook, or a logger class."""
    import importlib

    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def arity(function):
    """Returns how many parameters are given by position, -1 if that is not known
    (gunicorn: util.get_arity)."""
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return -1
    return sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)


def _text(message, args):
    message = str(message)
    if not args:
        return message
    # logging's own rule: one dictionary is for %(name)s.
    if len(args) == 1 and args[0] and isinstance(args[0], dict):
        args = args[0]
    try:
        return message % args
    except (TypeError, ValueError, KeyError):
        return "%s %r" % (message, args)


def _traceback(exc_info):
    if not exc_info:
        return ""
    import traceback

    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    elif not isinstance(exc_info, tuple):
        exc_info = sys.exc_info()
    return "".join(traceback.format_exception(*exc_info))


class Log:
    """server.log and worker.log (gunicorn: glogging.Logger): lines of the error
    log."""

    def __init__(self, cfg, emit):
        self.cfg = cfg
        self.loglevel = _LEVELS.get(cfg.loglevel, 20)
        self._emit = emit

    def log(self, level, message, *args, **kwargs):
        if isinstance(level, str):
            level = _LEVELS.get(level.lower(), 20)
        if level < self.loglevel:
            return
        self._emit(_gowsgi.level_name(level), _text(message, args), _traceback(kwargs.get("exc_info")))

    def critical(self, message, *args, **kwargs):
        self.log(50, message, *args, **kwargs)

    def error(self, message, *args, **kwargs):
        self.log(40, message, *args, **kwargs)

    def warning(self, message, *args, **kwargs):
        self.log(30, message, *args, **kwargs)

    warn = warning

    def info(self, message, *args, **kwargs):
        self.log(20, message, *args, **kwargs)

    def debug(self, message, *args, **kwargs):
        self.log(10, message, *args, **kwargs)

    def exception(self, message, *args, **kwargs):
        kwargs.setdefault("exc_info", True)
        self.log(40, message, *args, **kwargs)

    @property
    def error_log(self):
        import logging

        return logging.getLogger("gunicorn.error")

    @property
    def access_log(self):
        import logging

        return logging.getLogger("gunicorn.access")

    def reopen_files(self):
        """The server reopens its logs itself."""

    def close_on_exec(self):
        """They are, from the start."""


class Hooks:
    """The hooks of one configuration file and what they are called with."""

    def __init__(self, functions, values, pid, emit):
        self.functions = functions
        cfg = Request.cfg = Config(values, functions)
        self.log = Log(cfg, emit)
        self.server = Server(cfg, self.log, pid)
        self.worker = None  # in a worker: itself

    def __contains__(self, name):
        return name in self.functions

    def call(self, name, *args):
        function = self.functions.get(name)
        if function is not None:
            function(*args)

    # In the spawner.

    def new_worker(self, age, leaving):
        """Makes what pre_fork gets. Workers that leave, or are to be replaced, are
        still there, but they count as gone: what they have, an id for one, is free."""
        for pid in leaving:
            if pid in self.server.WORKERS:
                self.server.WORKERS[pid].alive = False
        self.server.worker_age = age
        return Worker(age, "[booting]", self.server)

    def forked(self, worker, pid):
        worker.pid = pid
        self.server.WORKERS[pid] = worker

    def exited(self, pid, age):
        worker = self.server.WORKERS.pop(pid, None) or Worker(age, pid, self.server)
        worker.alive = False
        self.call("child_exit", self.server, worker)

    def workers_changed(self, new, old):
        self.server._num_workers = new
        self.call("nworkers_changed", self.server, new, old)

    # In a worker.

    def become(self, worker):
        worker.pid = os.getpid()
        self.worker = worker

    def run(self, name):
        """Runs the hook of that name in the worker."""
        getattr(self, "_" + name)()

    def _post_fork(self):
        self.call("post_fork", self.server, self.worker)
        self._catch()
        app = self.worker.app.callable
        if app is not None:
            self._serve(app)

    def _post_worker_init(self):
        worker = self.worker
        worker.wsgi = worker.app.callable = app = _gowsgi.application()
        worker.booted = True
        self.call("post_worker_init", worker)
        if worker.wsgi is not app:
            self._serve(worker.wsgi)
        _gowsgi.set_request_hooks(*self.around())

    def around(self):
        """Returns what is called before and after each request, or None."""
        before = self._before if "pre_request" in self or "post_request" in self else None
        return before, self._after if "post_request" in self else None

    def _worker_exit(self):
        try:
            self.call("worker_exit", self.server, self.worker)
        except Exception:
            self.log.warning("Exception during worker exit", exc_info=True)

    def _serve(self, app):
        _gowsgi.set_application(app)

    def _before(self, environ):
        self.worker.nr += 1
        request = Request(environ)
        self.call("pre_request", self.worker, request)
        return request

    def _after(self, request, environ, status, headers, code, sent, outcome):
        function = self.functions["post_request"]
        if request is None:  # pre_request has raised
            request = Request(environ)
        response = Response(request, status_line(code, status), headers, sent)
        args = (self.worker, request, environ, response)
        try:
            count = arity(function)
            function(*args[: count if count in (2, 3, 4) else 4])
        except Exception:
            self.log.exception("Exception in post_request hook")

    def _catch(self):
        """Has the hooks for signals run where gunicorn runs them: on the main
        thread, between two bytecodes of whatever it is doing."""
        import signal

        if "worker_int" in self:
            signal.signal(signal.SIGINT, self._on_int)
            signal.signal(signal.SIGQUIT, self._on_int)
        if "worker_abort" in self:
            _gowsgi.catch_abort(lambda: signal.signal(signal.SIGABRT, self._on_abort))

    def _signalled(self, name):
        self.worker.alive = False
        try:
            self.call(name, self.worker)
        except Exception:
            self.log.exception("Exception in %s hook", name)

    def _on_int(self, number, frame):
        self._signalled("worker_int")
        _gowsgi.signalled(number)

    def _on_abort(self, number, frame):
        import faulthandler
        import signal

        signal.signal(signal.SIGABRT, signal.SIG_DFL)  # see fault.c
        self.worker.aborted = True
        try:
            self._signalled("worker_abort")
        finally:
            faulthandler.dump_traceback(file=_gowsgi.fault_fd, all_threads=True)
            os.abort()
