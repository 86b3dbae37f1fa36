"""What the hooks of a configuration file see: server, worker, request and response, with
the attributes that such files use (gunicorn: Server Hooks). It comes behind hooks.py and
cfg.py, in the same module.
"""

# What of gunicorn's arbiter only the master can do.
_MASTERS = frozenset(
    "spawn_worker spawn_workers manage_workers murder_workers reap_workers run start setup"
    " init_signals maybe_promote_master".split()
)


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
        self.sockets = server.LISTENERS
        self.reloader = None
        self.wsgi = None

    def __str__(self):
        return "<Worker %s>" % self.pid

    def notify(self):
        self.tmp.notify()


class _PidFile:
    """server.pidfile. The master writes and removes the file."""

    def __init__(self, fname, pid):
        self.fname = fname
        self.pid = pid


class Listener:
    """One of server.LISTENERS and worker.sockets. In a worker it is the socket; the
    spawner knows only its address."""

    def __init__(self, told, fd, server):
        self.unix = told["network"] == "unix"
        self.cfg_addr = told["addr"] if self.unix else _address(told["addr"])
        self._fd = fd
        self._server = server
        self._sock = None

    def __str__(self):
        if self.unix:
            return "unix:%s" % self.cfg_addr
        host, port = self.cfg_addr
        return "http://%s:%d" % ("[%s]" % host if ":" in host else host, port)

    def getsockname(self):
        return self.cfg_addr

    @property
    def sock(self):
        import socket

        if os.getpid() == self._server.spawner:
            raise RuntimeError("LISTENERS: the sockets are the master's and the workers', not this process's")
        if self._sock is None:
            self._sock = socket.socket(fileno=os.dup(self._fd))
        return self._sock

    def fileno(self):
        return self.sock.fileno()

    def close(self):
        raise RuntimeError("LISTENERS: the server closes its sockets itself")

    def __getattr__(self, name):
        return getattr(self.sock, name)


class Server:
    """What hooks take for gunicorn's arbiter. pid is the master's, which is asked by
    signals to do what it is to do."""

    def __init__(self, cfg, log, pid):
        self.cfg = cfg
        self.log = log
        self.pid = pid
        self.spawner = os.getpid()
        self.app = Application(cfg)
        self.master_name = "Master"
        self.master_pid = 0
        self.reexec_pid = 0
        self.proc_name = cfg.proc_name
        self.timeout = cfg.timeout
        self.worker_age = 0
        self.worker_class = cfg.worker_class
        self.systemd = False
        self.pidfile = _PidFile(cfg.pidfile, pid) if cfg.pidfile else None
        self.START_CTX = {0: sys.executable, "args": [sys.executable] + sys.argv, "cwd": os.getcwd()}
        self.WORKERS = {}
        self.LISTENERS = []
        self._num_workers = cfg.workers
        self._own = frozenset(self.__dict__)

    @property
    def address(self):
        return self.cfg.address

    @property
    def num_workers(self):
        return self._num_workers

    @num_workers.setter
    def num_workers(self, count):
        import signal

        more = count - self._num_workers
        for _ in range(abs(more)):
            os.kill(self.pid, signal.SIGTTIN if more > 0 else signal.SIGTTOU)
        self._num_workers = count

    def listening(self, listeners, first):
        """Is told what the master listens at; first is the descriptor in workers."""
        self.LISTENERS[:] = [Listener(told, first + i, self) for i, told in enumerate(listeners)]

    def reload(self):
        self._ask("SIGHUP")

    def reexec(self):
        self._ask("SIGUSR2")

    def stop(self, graceful=True):
        self._ask("SIGTERM" if graceful else "SIGQUIT")

    def halt(self, reason=None, exit_status=0):
        if exit_status != 0:
            raise RuntimeError("server.halt: the exit status of gowsgi is its own, not %r" % exit_status)
        if reason is not None:
            self.log.info("Reason: %s", reason)
        self.stop()

    def _ask(self, name):
        import signal

        os.kill(self.pid, getattr(signal, name))

    def wakeup(self):
        """The master needs no waking."""

    def kill_worker(self, pid, sig):
        os.kill(pid, sig)

    def kill_workers(self, sig):
        for pid in list(self.WORKERS):
            self.kill_worker(pid, sig)

    def __getattr__(self, name):
        if name in _MASTERS:
            raise AttributeError("server.%s: gowsgi's master does that by itself" % name)
        raise AttributeError("server has no attribute %r" % name)

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

    cfg = None  # of the process
    fragment = ""
    trailers = ()
    must_close = False
    req_number = 1

    def __init__(self, environ):
        self._environ = environ
        self.method = environ["REQUEST_METHOD"]
        self.uri = environ["RAW_URI"]
        self.query = environ["QUERY_STRING"]
        self.scheme = environ["wsgi.url_scheme"]
        self.trailers = []

    def __getattr__(self, name):
        if name in ("limit_request_line", "limit_request_fields", "limit_request_field_size"):
            return getattr(self.cfg, name)
        raise AttributeError("request has no attribute %r" % name)

    def force_close(self):
        raise RuntimeError("req.force_close: the application's Connection header cannot be set here")

    def should_close(self):
        for name, value in self.headers:
            if name == "CONNECTION":
                value = value.lower().strip(" \t")
                if value in ("close", "keep-alive"):
                    return value == "close"
        return (self.version or (1, 0)) <= (1, 0)

    @property
    def proxy_protocol_info(self):
        environ = self._environ
        if "PROXY_PROTOCOL" not in environ:
            return None
        port = environ.get("PROXY_PORT")
        return {
            "proxy_protocol": environ["PROXY_PROTOCOL"],
            "client_addr": environ["REMOTE_ADDR"],
            "client_port": self.remote_addr[1],
            "proxy_addr": environ.get("PROXY_ADDR"),
            "proxy_port": int(port) if port else None,
        }

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
        self.cfg = request.cfg
        self.must_close = False
        self.upgrade = any(name.lower() == "upgrade" for name, _ in self.headers)

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

    version = "gowsgi"

    @property
    def chunked(self):
        """Whether it had to be: a response of one part known at once has a length."""
        bodiless = self.status_code in (204, 304) or self.req.method == "HEAD"
        return self.response_length is None and not bodiless and (self.req.version or (1, 0)) > (1, 0)

    def should_close(self):
        return self.must_close or self.req.should_close()

    def close(self):
        """It is closed already, if it has to be."""
