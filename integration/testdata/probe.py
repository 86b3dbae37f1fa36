"""One application for most tests: the path says what to do."""

import ctypes
import json
import os
import random
import signal
import sys
import threading
import time
from urllib.parse import parse_qs


class Gate:
    """A request that tells the test it has started, and goes on when told to:
    the test waits for NAME.started and makes NAME."""

    def __init__(self, path):
        self.path = path

    def start(self):
        with open(self.path + ".started", "a") as f:
            f.write("%d\n" % os.getpid())

    def wait(self):
        while not os.path.exists(self.path):
            time.sleep(0.002)


def reply(start_response, value, status="200 OK"):
    body = json.dumps(value).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def pid(environ, start_response, query):
    return reply(start_response, os.getpid())


def wait(environ, start_response, query):
    gate = Gate(query["gate"][0])
    gate.start()
    gate.wait()
    return reply(start_response, os.getpid())


def sleep(environ, start_response, query):
    time.sleep(float(query["t"][0]))
    return reply(start_response, os.getpid())


def deep(n):
    """Frames of all kinds that come and go, called from Python and from C."""
    if n == 0:
        return [x * x for x in range(50)]
    return deep(n - 1) if n % 2 else max(map(deep, (n - 1, n - 1)))


def churn(environ, start_response, query):
    for _ in range(int(query["n"][0])):
        for _ in (deep(i % 7) for i in range(10)):
            pass
        deep(random.randint(1, 10))
    return reply(start_response, os.getpid())


def spin(environ, start_response, query):
    try:
        while True:
            pass
    except BaseException as e:
        if query.get("say"):
            print("probe: interrupted by", type(e).__name__, file=sys.stderr, flush=True)
        raise


def hold(environ, start_response, query):
    """Sleeps in C code without giving the GIL away, also behind a signal."""
    left = int(query["t"][0])
    while left:
        left = ctypes.PyDLL(None).sleep(left)
    return reply(start_response, {"slept": True})


def trickle(environ, start_response, query):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"the first part;"
    time.sleep(float(query["t"][0]))
    yield b"the rest"


def environ_(environ, start_response, query):
    seen = {}
    for key, value in environ.items():
        seen[key] = [type(value).__name__, value if isinstance(value, (str, bool, int, tuple)) else repr(value)]
    seen["type(environ)"] = [type(environ).__name__, type(environ) is dict]
    return reply(start_response, seen)


def crash(environ, start_response, query):
    how = query["how"][0]
    if how == "segfault":
        ctypes.string_at(0)
    elif how == "abort":
        os.abort()
    elif how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(int(how))


def raises(environ, start_response, query):
    name = query["name"][0]
    if query.get("late"):
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"the first part;")
    if name == "sys.exit":
        sys.exit(int(query.get("code", ["0"])[0]))
    kind = {
        "SystemExit": SystemExit,
        "KeyboardInterrupt": KeyboardInterrupt,
        "MemoryError": MemoryError,
        "GeneratorExit": GeneratorExit,
        "StopIteration": StopIteration,
        "RuntimeError": RuntimeError,
        "RecursionError": None,
        "UnicodeError": UnicodeEncodeError,
    }[name]
    if kind is None:
        return raises(environ, start_response, query)
    if kind is UnicodeEncodeError:
        "\ud800".encode("utf-8")
    raise kind("raised by the view")


def late(environ, start_response, query):
    start_response("200 OK", [("Content-Type", "text/plain")])

    def generate():
        yield b"the first part;"
        raise RuntimeError("raised by the iterable")

    return generate()


def main(environ, start_response, query):
    module = sys.modules["__main__"]
    return reply(
        start_response,
        {
            "argv": sys.argv,
            "main": [getattr(module, "__name__", None), repr(getattr(module, "__file__", None))],
            "path": sys.path,
            "cwd": os.getcwd(),
            "executable": sys.executable,
            "prefix": sys.prefix,
            "base_prefix": sys.base_prefix,
            "version": list(sys.version_info[:3]),
            "flags": {name: getattr(sys.flags, name) for name in ("optimize", "dont_write_bytecode", "utf8_mode", "no_site")},
            "thread": threading.current_thread().name,
            "is_main": threading.current_thread() is threading.main_thread(),
            "env": dict(os.environ),
        },
    )


def write_errors(environ, start_response, query):
    errors = environ["wsgi.errors"]
    errors.write("one line by write\n")
    errors.writelines(["two lines ", "by writelines\n", "and another\n"])
    errors.write("n\u00e4chste \u2603\n")
    print("and by print", file=errors)
    errors.flush()
    return reply(start_response, True)


def output(environ, start_response, query):
    print("printed to stdout", flush=True)
    print("printed to stderr", file=sys.stderr, flush=True)
    return reply(start_response, True)


ROUTES = {
    "/pid": pid,
    "/wait": wait,
    "/sleep": sleep,
    "/spin": spin,
    "/hold": hold,
    "/trickle": trickle,
    "/environ": environ_,
    "/crash": crash,
    "/raise": raises,
    "/late": late,
    "/main": main,
    "/errors": write_errors,
    "/output": output,
}


def application(environ, start_response):
    # SCRIPT_NAME is a prefix of what was asked for, so the first word decides.
    name = "/" + environ["PATH_INFO"].lstrip("/").split("/")[0]
    return ROUTES.get(name, environ_)(environ, start_response, parse_qs(environ["QUERY_STRING"]))
