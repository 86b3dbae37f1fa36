"""What the hooks of a configuration file see: server, worker, cfg, log, request and
response, with the attributes that such files use (gunicorn: Server Hooks).

It runs as the module _gowsgi_hooks where a configuration file was read: in the
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


class Setting:
    """cfg.settings["workers"]."""

    def __init__(self, name, value):
        self.name = name
        self.value = value

    def get(self):
        return self.value

    def set(self, value):
        self.value = value


# Settings of gunicorn that gowsgi does not have, as they are if nobody sets them.
_ABSENT = {
    "certfile": None,
    "control_socket": None,
    "daemon": False,
    "keyfile": None,
    "logger_class": None,
    "paste": None,
    "reload": False,
    "spew": False,
    "statsd_host": None,
    "tmp_upload_dir": None,
    "worker_connections": 1000,
    "worker_tmp_dir": None,
}


class Config:
    """server.cfg and worker.cfg (gunicorn: config.Config): the settings in force,
    whatever they come from."""

    is_ssl = False

    def __init__(self, values, hooks):
        self.settings = {}
        for source in (_ABSENT, values, hooks):
            for name, value in source.items():
                self.settings[name] = Setting(name, value)

    def __getattr__(self, name):
        try:
            return self.__dict__["settings"][name].value
        except KeyError:
            raise AttributeError("No configuration setting for: %s" % name) from None

    def set(self, name, value):
        self.settings[name].set(value)

    @property
    def worker_class_str(self):
        return self.worker_class

    @property
    def address(self):
        return [_address(text) for text in self.bind]

    @property
    def env(self):
        return dict(entry.partition("=")[::2] for entry in self.raw_env)


def _address(text):
    if text.startswith("unix:"):
        path = text[len("unix:") :]
        return path[2:] if path.startswith("//") else path
    if text.startswith("fd://"):
        return int(text[len("fd://") :])
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = text, "8000"
    return (host.strip("[]") or "0.0.0.0", int(port))


class Application:
    """worker.app: the application as the server loads it."""

    def __init__(self, cfg):
        self.cfg = cfg
        self.app_uri = cfg.wsgi_app
        self.callable = None

    def wsgi(self):
        if self.callable is None:
            self.callable = self.load()
        return self.callable

    def load(self):
        module, _, attr = self.app_uri.partition(":")
        return _gowsgi.load(module, attr or "application")


class _Heartbeat:
    """worker.tmp: gowsgi has no such file."""

    def last_update(self):
        import time

        return time.monotonic()

    def notify(self):
        pass


class Worker:
    """What hooks know of a worker, in the spawner and in the worker itself."""

    def __init__(self, age, pid, server):
        self.age = age
        self.pid = pid
        self.ppid = server.pid
        self.cfg = server.cfg
        self.log = server.log
        self.app = server.app
        self.timeout = (self.cfg.timeout or 0) / 2.0
        self.max_requests = self.cfg.max_requests or sys.maxsize
        self.tmp = _Heartbeat()
        self.alive = True
        self.booted = False
        self.aborted = False
        self.nr = 0
        self.sockets = []
        self.reloader = None
        self.wsgi = None

    def __str__(self):
        return "<Worker %s>" % self.pid

    def notify(self):
        self.tmp.notify()


class Server:
    """What hooks take for gunicorn's arbiter. pid is the master's."""

    def __init__(self, cfg, log, pid):
        self.cfg = cfg
        self.log = log
        self.pid = pid
        self.app = Application(cfg)
        self.master_name = "Master"
        self.master_pid = 0
        self.reexec_pid = 0
        self.proc_name = cfg.proc_name
        self.timeout = cfg.timeout
        self.num_workers = cfg.workers
        self.worker_age = 0
        self.WORKERS = {}
        self._own = frozenset(self.__dict__)

    @property
    def address(self):
        return self.cfg.address

    def kill_worker(self, pid, sig):
        os.kill(pid, sig)

    def state(self):
        """Returns what hooks have stored on the object, as far as it can be pickled:
        at a reload gunicorn's is still the same object."""
        import pickle

        kept = {}
        for name, value in self.__dict__.items():
            if name == "_own" or name in self._own:
                continue
            try:
                kept[name] = pickle.dumps(value).hex()
            except Exception:  # whatever __reduce__ raises
                continue
        return kept

    def restore(self, state):
        import pickle

        for name, value in state.items():
            try:
                setattr(self, name, pickle.loads(bytes.fromhex(value)))
            except Exception:
                continue


# Of the statuses the server gives by itself.
_PHRASES = {
    400: "Bad Request",
    403: "Forbidden",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    499: "Client Closed Request",  # nginx' invention
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}


def status_line(code, status):
    """Returns the status the client got: that of start_response, or another one, which
    the server has put in its place; None if it got none."""
    if not code or (status and status.split(None, 1)[0] == str(code)):
        return status if code else None
    return "%d %s" % (code, _PHRASES.get(code, "Error"))


class Request:
    """What pre_request and post_request see of a request, made of its environ."""

    def __init__(self, environ):
        self._environ = environ
        self.method = environ["REQUEST_METHOD"]
        self.uri = environ["RAW_URI"]
        self.query = environ["QUERY_STRING"]
        self.fragment = ""
        self.scheme = environ["wsgi.url_scheme"]
        self.trailers = []

    @property
    def path(self):
        path = self.uri.partition("?")[0]
        scheme, mark, rest = path.partition("://")
        if mark and "/" not in scheme:
            path = "/" + rest.partition("/")[2]
        return path

    @property
    def version(self):
        major, _, minor = self._environ["SERVER_PROTOCOL"].rpartition("/")[2].partition(".")
        return (int(major), int(minor or 0)) if major.isdigit() else None

    @property
    def headers(self):
        found = []
        for name, value in self._environ.items():
            if name.startswith("HTTP_"):
                found.append((name[5:].replace("_", "-"), value))
            elif name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                found.append((name.replace("_", "-"), value))
        return found

    @property
    def body(self):
        return self._environ["wsgi.input"]

    @property
    def remote_addr(self):
        return (self._environ["REMOTE_ADDR"], int(self._environ.get("REMOTE_PORT") or 0))

    peer_addr = remote_addr


class Response:
    """What post_request sees of a response. status is None if there was none: the
    application took the connection over."""

    def __init__(self, request, status, headers, sent):
        self.req = request
        self.status = status
        self.headers = headers or []
        self.headers_sent = True
        self.sent = sent

    @property
    def status_code(self):
        word = self.status.split(None, 1)[0] if self.status else ""
        return int(word) if word.isdigit() else None

    @property
    def response_length(self):
        for name, value in self.headers:
            if name.lower() == "content-length":
                return int(value)
        return None


class Hooks:
    """The hooks of one configuration file and what they are called with."""

    def __init__(self, functions, values, pid, emit):
        self.functions = functions
        cfg = Config(values, functions)
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

    def new_worker(self, age, replaces):
        """Makes what pre_fork gets. The worker that is to be replaced is still
        there, but it counts as gone: what it has, an id for one, is free."""
        old = self.server.WORKERS.get(replaces)
        if old is not None:
            old.alive = False
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
        self.server.num_workers = new
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
