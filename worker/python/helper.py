"""The part of gowsgi that is simpler in Python than through the C API.

It is compiled into the server and runs as the module _gowsgi of every worker,
where the bridge has put read_body and run_thread before. What few workers need
is imported by the functions that need it: a module is memory, in every worker.
"""

import importlib
import importlib.machinery
import io
import os
import sys


class FileWrapper:
    """wsgi.file_wrapper (PEP 3333, Optional Platform-Specific File Handling)."""

    def __init__(self, filelike, blksize=8192):
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self):
        return self

    def __next__(self):
        data = self.filelike.read(self.blksize)
        if data:
            return data
        raise StopIteration


def whole_file(wrapper):
    """Returns descriptor, offset and size of what is left of the file in a
    FileWrapper, or None where only reading it gives what the application means."""
    filelike = wrapper.filelike
    kind = type(filelike)
    if kind.__name__ == "_TemporaryFileWrapper" and kind.__module__ == "tempfile":
        filelike = filelike.file
    # Whatever the object is: to read from it has to be to read from a file. One
    # that decompresses has a fileno(), too.
    read = getattr(filelike, "read", None)
    file = getattr(read, "__self__", None)
    try:
        raw = file if type(file) is io.FileIO else file.raw if type(file) in _BUFFERED else None
        if type(raw) is not io.FileIO or file.read != read or not raw.readable():
            return None
        if type(file) is io.BufferedRandom:
            file.flush()
        status = os.fstat(raw.fileno())
        size = status.st_size - file.tell()
    except (OSError, ValueError):  # closed, detached, not seekable
        return None
    # A file of /proc is empty until it is read.
    regular = status.st_mode & 0o170000 == 0o100000
    return (raw.fileno(), file.tell(), size) if regular and size > 0 else None


_BUFFERED = (io.BufferedReader, io.BufferedRandom)


class _BodyReader(io.RawIOBase):
    """The content of a request that is read while the application runs."""

    def __init__(self, call):
        self._call = call

    def readable(self):
        return True

    def readinto(self, buffer):
        data = read_body(self._call, len(buffer))  # noqa: F821 (from the bridge)
        buffer[: len(data)] = data
        return len(data)


def body_stream(call):
    return io.BufferedReader(_BodyReader(call), 65536)


def error_stream(fd):
    """wsgi.errors: text straight into the error log, a line at a time."""
    raw = io.FileIO(fd, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )


class ClientSocket:
    """gunicorn.socket: the connection of a request, or, for all requests but those
    that offer an upgrade, of the one the calling thread runs.

    It makes a socket when it is used. Looking at the connection leaves it to the
    server; anything else takes it over, for a websocket library, say.
    """

    _looks = frozenset(
        ("family", "type", "proto", "fileno", "getpeername", "getsockname", "getsockopt")
    )

    def __init__(self, call=None):
        self._call = call
        self._taken = None

    def __getattr__(self, name):
        if self._taken is not None:
            return getattr(self._taken, name)
        if name == "fileno":
            fd = client_fd(self._call, 0)  # noqa: F821 (from the bridge)
            return lambda: fd
        import socket

        take = name not in self._looks
        sock = socket.socket(fileno=client_fd(self._call, 2 if take else 1))  # noqa: F821
        if take:
            sock.settimeout(None)  # the server's is non-blocking, and so is every copy
            if self._call is not None:
                self._taken = sock
        if name == "dup":
            return lambda: sock
        return getattr(sock, name)


client_socket = ClientSocket()


STACKS = 63  # ipc.StacksSignal

# Where lines for the error log go, (level, message, traceback), and the least
# severe level that is wanted. The spawner has another emit until it is a worker.
emit = log  # noqa: F821 (from the bridge)
loglevel = "info"

_LEVELS = ((50, "critical"), (40, "error"), (30, "warning"), (20, "info"), (0, "debug"))


def level_name(number):
    return next((name for least, name in _LEVELS if number >= least), "debug")


def _make_loggers(logging):
    """Makes the loggers gunicorn.error and gunicorn.access as gunicorn has them:
    applications log to them, and take their handlers for their own."""

    class ServerLog(logging.Handler):
        """Writes to the server's error log."""

        def emit(self, record):
            try:
                if self.formatter is not None:
                    text, traceback = self.format(record), ""
                else:
                    text, traceback = record.getMessage(), ""
                    if record.exc_info and record.exc_info[1] is not None:
                        traceback = format_exception(record.exc_info[1])
                emit(level_name(record.levelno), text, traceback)
            except Exception:
                self.handleError(record)

    error = logging.getLogger("gunicorn.error")
    error.setLevel(loglevel.upper())
    error.propagate = False
    error.addHandler(ServerLog())
    access = logging.getLogger("gunicorn.access")
    access.setLevel(logging.INFO)
    access.propagate = False


class _LoggingFinder:
    """Has _make_loggers run when the application imports logging, and not before:
    it takes memory in every worker."""

    def find_spec(self, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _LoggingLoader(spec.loader)
        return spec


class _LoggingLoader:
    def __init__(self, loader):
        self._loader = loader

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _make_loggers(module)


def set_loglevel(name):
    """Says what level is wanted, before the application is loaded."""
    global loglevel
    loglevel = name or "info"
    if "logging" in sys.modules:
        _make_loggers(sys.modules["logging"])
    else:
        sys.meta_path.insert(0, _LoggingFinder())


def _check_access_logger():
    """Warns of handlers and filters that wait for lines the server writes itself."""
    logging = sys.modules.get("logging")
    if logging is None or "_gowsgi_logs" in sys.modules:
        return
    log = logging.getLogger("gunicorn.access")
    if log.handlers or log.filters:
        emit(
            "warning",
            "The handlers and filters of the logger gunicorn.access are not used:"
            " the server writes the access log itself;"
            " see logconfig, logger_class and access_log_exclude",
            "",
        )


class AppError(Exception):
    """The module is there, but it holds no application (exit code 4)."""


def _import(module):
    try:
        return importlib.import_module(module)
    except ImportError:
        if module.endswith(".py") and os.path.exists(module):
            raise ImportError(
                "Failed to find application, did you mean '%s:application'?"
                % module.rpartition(".")[0]
            ) from None
        raise


def _literals(call, text):
    import ast

    try:
        args = [ast.literal_eval(a) for a in call.args]
        kwargs = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
    except (ValueError, TypeError, MemoryError, RecursionError):
        kwargs = {None: None}
    if None in kwargs:  # a value that is no literal, or **mapping
        raise AppError("Failed to parse arguments as literal values: %r" % text)
    return args, kwargs


def _parse_call(text):
    import ast

    try:
        call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        call = None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise AppError("Failed to parse %r as an attribute name or function call." % text)
    return call.func.id, call


def _is_coroutine(f):
    f = getattr(f, "__func__", f)
    code = getattr(f, "__code__", None)
    return code is not None and bool(code.co_flags & 0x80)  # inspect.CO_COROUTINE


def load(module, attr):
    """Imports MODULE and returns what ATTR, a name or a call of one, stands for."""
    mod = _import(module)
    name, call = (attr, None) if attr.isidentifier() else _parse_call(attr)
    try:
        app = getattr(mod, name)
    except AttributeError:
        raise AppError("Failed to find attribute %r in %r." % (name, module)) from None
    if call is not None:
        app = _make(app, *_literals(call, attr))
    if app is None:
        raise AppError("Failed to find application object: %r" % attr)
    if not callable(app):
        raise AppError("Application object must be callable.")
    if _is_coroutine(app) or _is_coroutine(getattr(app, "__call__", None)):
        raise AppError(
            "%r in %r is an ASGI application; gowsgi serves WSGI applications." % (name, module)
        )
    _check_access_logger()
    return app


def _make(factory, args, kwargs):
    try:
        return factory(*args, **kwargs)
    except TypeError as e:
        # Raised by the call itself and not in the factory: its arguments are wrong.
        if e.__traceback__.tb_next is None:
            import traceback

            text = "".join(traceback.format_exception_only(TypeError, e)).strip()
            raise AppError(text) from None
        raise


def describe(exception):
    """Returns an exception's exit code (4: no application, 3: anything else), one
    line, and the traceback."""
    import traceback

    line = "".join(traceback.format_exception_only(type(exception), exception)).strip()
    if isinstance(exception, AppError):
        return 4, str(exception), ""
    return 3, line.splitlines()[-1] if line else "", format_exception(exception)


def format_exception(exception):
    import traceback

    tb = exception.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
        tb = tb.tb_next  # the server's own frames are of no use to anybody
    return "".join(traceback.format_exception(type(exception), exception, tb))


def reraise(exc_info):
    """Raises what start_response got as exc_info, the response having begun."""
    try:
        kind, value, tb = exc_info
    except (TypeError, ValueError):
        raise TypeError("exc_info must be a tuple of three") from None
    if not isinstance(value, BaseException):
        if not isinstance(kind, type) or not issubclass(kind, BaseException):
            raise TypeError("exc_info holds no exception")
        value = kind() if value is None else kind(value)
    try:
        value = value.with_traceback(tb)
    except TypeError:
        pass  # not a traceback: the exception is worth more
    raise value


def enable_faulthandler(fd):
    import faulthandler

    global fault_fd, dump_traceback
    fault_fd, dump_traceback = fd, faulthandler.dump_traceback
    # The spawner's first: what is enabled twice is not installed again.
    faulthandler.disable()
    faulthandler.unregister(STACKS)
    faulthandler.enable(file=fd, all_threads=True)
    faulthandler.register(STACKS, file=fd, all_threads=True)


def write_stacks(fd):
    dump_traceback(file=fd, all_threads=True)  # noqa: F821 (enable_faulthandler)


class RequestTimeout(BaseException):
    """Raised in a thread whose request takes longer than timeout."""


# Signals whose handlers gunicorn's workers set themselves, also when the
# application was preloaded (gunicorn: Worker.init_signals).
_SERVER_SIGNALS = frozenset(
    ("SIGABRT", "SIGHUP", "SIGQUIT", "SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCHLD")
)


def restore_signals():
    """Sets the handlers again that the application set in the spawner: Go has
    replaced them when it started."""
    import _signal

    server = {getattr(_signal, name) for name in _SERVER_SIGNALS}
    for number in range(1, _signal.NSIG):
        try:
            handler = _signal.getsignal(number)
        except ValueError:
            continue  # one that the C library keeps for itself
        if callable(handler) and number not in server:
            _signal.signal(number, handler)


def set_wakeup_fd(fd):
    import _signal  # what signal wraps, without the modules signal needs

    _signal.set_wakeup_fd(fd, warn_on_full_buffer=False)


def parallel():
    """Says whether threads run Python code at the same time."""
    return not getattr(sys, "_is_gil_enabled", lambda: True)()


def report_modules(fd):
    """Writes the files of all modules to fd, a line each, and goes on to do so
    with those that are imported later (gunicorn: reload)."""
    import sys
    import threading
    import time

    def run():
        seen = set()
        while True:
            lines = b""
            for module in list(sys.modules.values()):
                # Not getattr: a lazy module would be imported by it.
                path = getattr(module, "__dict__", {}).get("__file__")
                if not isinstance(path, str) or path in seen:
                    continue
                seen.add(path)
                if path.endswith((".pyc", ".pyo")):
                    path = path[:-1]
                path = os.path.abspath(path)
                if "\n" not in path:
                    lines += os.fsencode(path) + b"\n"
            while lines:
                lines = lines[os.write(fd, lines) :]
            time.sleep(1)

    threading.Thread(target=run, name="gowsgi-reload", daemon=True).start()


def start_threads(count):
    """Starts the application threads: ordinary ones, so that everything that
    looks at threading finds what it expects."""
    import threading

    for i in range(count):
        threading.Thread(
            target=run_thread, args=(i,), name="gowsgi-%d" % i  # noqa: F821
        ).start()
