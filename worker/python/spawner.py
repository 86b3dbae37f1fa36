"""The spawner's side in Python: takes orders from the master, forks workers.

It runs as the module _gowsgi_spawner, before there is any Go in the process; the
functions of spawn.c have been put into it before. Each order is one message of a
SOCK_SEQPACKET socket, a JSON object; see ipc.Order and ipc.Report.
"""

import _socket
import errno
import json
import os
import sys

import _gowsgi

# As large as a message can be: the kernel bounds it by net.core.wmem_max.
_MAX_MESSAGE = 1 << 18
_MAX_FDS = 64

_control = None
# In a worker, the hooks of the configuration file, and what logs through Python;
# None without.
hooks = logs = None
# Lines logged in a worker before there is a log.
_early = []


def _report(kind, **fields):
    """Tells the master something. One that is gone is noticed by serve."""
    fields["kind"] = kind
    try:
        _control.send(json.dumps(fields).encode())
    except OSError as e:
        if e.errno == errno.EMSGSIZE:
            error = "the report on %r is too large" % fields.get("order")
            _report("failed", order=fields.get("order"), code=3, error=error)


def _report_exception(exception, **fields):
    code, line, traceback = _gowsgi.describe(exception)
    # The end of a traceback says more than its beginning.
    _report("failed", code=code, error=line[-1000:], traceback=traceback[-50000:], **fields)


def _log(level, message, traceback):
    """Writes a line to the error log, from wherever that is done."""
    if _control is not None:
        _report("log", level=level, message=message[:20000], traceback=traceback[-50000:])
    else:
        _early.append((level, message, traceback))


def _worker_log():
    """Sends what is logged in a worker to Go, which runs now."""
    global _log
    _log = _gowsgi.log
    while _early:
        _log(*_early.pop(0))


def _emit(level, message, traceback):
    _log(level, message, traceback)


def _receive_descriptors():
    """Takes the message with descriptors that follows an order to fork."""
    _, ancillary, _, _ = _control.recvmsg(
        1, _socket.CMSG_SPACE(4 * _MAX_FDS), _socket.MSG_CMSG_CLOEXEC
    )
    fds = []
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            for i in range(0, len(data) - 3, 4):
                fds.append(int.from_bytes(data[i : i + 4], sys.byteorder))
    return tuple(fds)


def _threads():
    """Returns the names of the threads that workers will not have."""
    threading = sys.modules.get("threading")
    if threading is None:
        return []
    main = threading.main_thread()
    return [t.name for t in threading.enumerate() if t is not main]


def _assume(uid, gid, groups):
    """Gives the master's rights up for good, so that nothing of the application
    ever runs with them."""
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _module(name, source):
    """Makes a module of a part of the server."""
    module = type(sys)(name)
    module.__file__ = _gowsgi.__file__
    sys.modules[name] = module
    exec(compile(source, _gowsgi.__file__, "exec"), vars(module))
    return module


class _StandIn:
    """Finds what logger classes and configuration files import of gunicorn, where
    it is not installed."""

    def __init__(self, logs):
        self.logs = logs

    def find_spec(self, name, path=None, target=None):
        from importlib.machinery import ModuleSpec

        if name in ("gunicorn", "gunicorn.glogging"):
            return ModuleSpec(name, self, is_package=name == "gunicorn")
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        if module.__name__ == "gunicorn":
            module.SERVER = "gowsgi"
            module.SERVER_SOFTWARE = os.environ.get("SERVER_SOFTWARE", module.SERVER)
            return
        logs = self.logs()
        for name in ("Logger", "SafeAtoms", "CONFIG_DEFAULTS"):
            setattr(module, name, getattr(logs, name))


def _prepare(order):
    """Makes the process what a worker is before it loads the application."""
    sys.argv = order["argv"]
    _gowsgi.set_loglevel(order.get("loglevel", "info"))
    os.chdir(order["chdir"])
    start = order.get("start_dir", order["chdir"])
    for directory in [start, order["chdir"]] + order.get("pythonpath", []):
        if directory not in sys.path:
            sys.path.insert(0, directory)
    for entry in order.get("env", []):
        name, _, value = entry.partition("=")
        os.environ[name] = value
    catch_signals()  # noqa: F821 (from spawn.c)


def _share():
    """Keeps the collector from writing to what workers share, and workers from
    allocating there. Objects made by now are not looked at any more."""
    import gc

    gc.collect()
    gc.freeze()
    pymalloc = not os.environ.get("PYTHONMALLOC") and "t" not in sys.abiflags
    fill_holes(pymalloc)  # noqa: F821


def _read(order):
    """Executes the configuration file and returns its names (gunicorn:
    Application.get_config_from_filename)."""
    sys.argv = order["argv"]
    # As the shell names it, by its links, and not as os.getcwd() does.
    directory = order.get("start_dir") or os.getcwd()
    if directory not in sys.path:
        sys.path.insert(0, directory)
    import importlib
    import importlib.machinery
    import importlib.util

    if order.get("module"):
        return vars(importlib.import_module(order["module"]))
    name = "__config__"
    loader = importlib.machinery.SourceFileLoader(name, order["path"])
    if order["path"].endswith(".pyc"):
        loader = importlib.machinery.SourcelessFileLoader(name, order["path"])
    spec = importlib.util.spec_from_file_location(name, order["path"], loader=loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return vars(module)


def _describe(value, arity):
    """Returns config.Object: what is to be known of a value that is no data."""
    kind, text = "instance", repr(value)[:200]
    if isinstance(value, type):
        kind, text = "class", value.__module__ + "." + value.__qualname__
    elif isinstance(value, type(sys)):
        kind, text = "module", value.__name__
    elif callable(value):
        kind, text = "function", getattr(value, "__qualname__", text)
    return {"kind": kind, "repr": text, "arity": arity(value) if kind == "function" else -1}


def _plain(value):
    """Reports whether JSON carries the value."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return not isinstance(value, dict) or all(isinstance(k, str) for k in value)


class _Spawner:
    """What the orders are, by name. A method returns true in a worker."""

    def __init__(self, master, hooks_source, logs_source):
        self.master = master
        self.hooks_source = hooks_source
        self.logs_source = logs_source
        self.names = {}  # of the configuration file
        self.shared = False
        self.worker_title = b""
        self.functions = None  # the hooks, None without a configuration file
        self.hooks = None
        self.logs = None
        # Asked last, and not for the application.
        self.stand_in = _StandIn(self._logs_module)
        sys.meta_path.append(self.stand_in)

    def _logs_module(self):
        for name, source in (
            ("_gowsgi_hooks", self.hooks_source),
            ("_gowsgi_logs", self.logs_source),
        ):
            if name not in sys.modules:
                _module(name, source)
        return sys.modules["_gowsgi_logs"]

    def read(self, order):
        module = _module("_gowsgi_hooks", self.hooks_source)
        try:
            self.names = names = dict(_read(order))
            self.functions = {}
            for name in module.NAMES:
                if isinstance(names.get(name), str):
                    names[name] = module.resolve(names[name])
                if callable(names.get(name)):
                    self.functions[name] = names[name]
        except BaseException as e:
            _report_exception(e, order="read")
            return
        values, objects = {}, {}
        for name, value in names.items():
            if name.startswith("__"):
                continue
            if _plain(value):
                values[name] = value
            else:
                objects[name] = _describe(value, module.arity)
        file = {"file": order["file"], "values": values, "objects": objects}
        _report("done", order="read", file=file)

    def capture(self, order):
        """Makes standard output and error a file; workers inherit them."""
        _flush()
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_CLOEXEC
            fd = os.open(order["path"], flags, 0o644)
        except OSError as e:
            _log("error", "Cannot capture output in %s: %s" % (order["path"], e.strerror), "")
            return
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        os.close(fd)

    def prepare(self, order):
        set_title(order["title"].encode("utf-8", "surrogateescape"))  # noqa: F821
        self.worker_title = order["worker_title"].encode("utf-8", "surrogateescape")
        try:
            _prepare(order)
            if order.get("logging"):
                self.logs = self._logs_module().Logs(order["settings"], self.names, self.master)
            sys.meta_path.remove(self.stand_in)
        except BaseException as e:
            _report_exception(e, order="prepare")
            return
        _report("done", order="prepare")

    def load(self, order):
        try:
            if order.get("identity"):
                _assume(**order["identity"])
            if order.get("preload"):
                _gowsgi.set_application(_gowsgi.load(order["module"], order["attr"]))
            if self.functions is not None:
                self._make_hooks(order)
        except BaseException as e:
            _report_exception(e, order="load")
            return
        _report("done", order="load", threads=_threads())

    def log(self, order):
        """Logs a line of the master's."""
        try:
            self.logs.line(order.get("level", ""), order.get("message", "").encode())
        finally:
            _report("logged")

    def _make_hooks(self, order):
        import _gowsgi_hooks

        self.hooks = _gowsgi_hooks.Hooks(self.functions, order["settings"], self.master, _emit)
        server = self.hooks.server
        if self.logs is not None:
            self.hooks.log = server.log = self.logs.logger
        server.restore(order.get("state", {}))
        if order.get("preload"):
            server.app.callable = _gowsgi.application()

    def hook(self, order):
        """Runs a hook of the server."""
        name, args = order["hook"], order.get("args", [])
        try:
            if self.hooks is None:
                pass
            elif name == "nworkers_changed":
                self.hooks.workers_changed(*args)
            elif name == "child_exit":
                self.hooks.exited(*args)
            else:
                self.hooks.call(name, self.hooks.server)
        except BaseException as e:
            _report_exception(e, order="hook", hook=name)
            return
        _report("done", order="hook", hook=name)

    def listening(self, order):
        """Tells the hooks at what the master listens."""
        if self.hooks is not None:
            self.hooks.server.listening(order["listeners"], order["first"])

    def state(self, order):
        """Tells what hooks have stored on the server object."""
        state = self.hooks.server.state() if self.hooks is not None else {}
        _report("done", order="state", state=state)

    def fork(self, order):
        worker = None
        try:
            if self.hooks is not None:
                worker = self.hooks.new_worker(order["age"], order.get("leaving", ()))
                self.hooks.call("pre_fork", self.hooks.server, worker)
        except BaseException as e:
            for fd in _receive_descriptors():
                os.close(fd)
            _report_exception(e, order="fork", hook="pre_fork")
            return False
        if not self.shared:
            self.shared = True
            _share()
        _flush()
        try:
            pid = fork_worker(_receive_descriptors())  # noqa: F821
        except Exception as e:
            _report_exception(e, order="fork")
            return False
        if pid:
            if worker is not None:
                self.hooks.forked(worker, pid)
            return False
        set_title(self.worker_title)  # noqa: F821
        if worker is not None:
            self.hooks.become(worker)
        return True


def _flush():
    """Leaves nothing in buffers that each worker would write again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # replaced, or closed


def worker_hook(name):
    """Runs a hook in a worker; Go asks for it."""
    if _log is not _gowsgi.log:
        _worker_log()
    if hooks is not None:
        hooks.run(name)
    if logs is not None and name == "post_worker_init":
        logs.watch(*(hooks.around() if hooks is not None else (None, None)))


def serve(control, master, hooks_source, logs_source):
    """Obeys until the master is gone. It also returns in each worker."""
    global _control, hooks, logs
    _control = _socket.socket(fileno=control)
    _gowsgi.emit = _emit
    spawner = _Spawner(master, hooks_source, logs_source)
    while True:
        try:
            message = _control.recv(_MAX_MESSAGE)
        except ConnectionResetError:
            message = b""  # the master died, with a report unread
        if not message:
            return
        order = json.loads(message)
        if getattr(spawner, order["order"])(order):
            _control.detach()  # closed already
            _control = None
            hooks, logs = spawner.hooks, spawner.logs
            return
