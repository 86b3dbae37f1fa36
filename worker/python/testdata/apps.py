"""Applications the tests load. One process loads many of them in turn."""

import atexit
import gc
import json
import sys
import textwrap

atexit.register(lambda: sys.stderr.write("atexit handlers ran\n"))

ok = ("200 OK", [("Content-Type", "text/plain")])


def function(environ, start_response):
    start_response(*ok)
    return [b"function"]


class Class:
    """An application whose instances are the iterables (PEP 3333, The Application Side)."""

    def __init__(self, environ, start_response):
        start_response(*ok)

    def __iter__(self):
        yield b"class"


class Instance:
    def __call__(self, environ, start_response):
        start_response(*ok)
        return [b"instance"]

    def method(self, environ, start_response):
        start_response(*ok)
        return [b"method"]


instance = Instance()
method = instance.method
nothing = None
number = 5


async def asgi(scope, receive, send):
    pass


class AsgiInstance:
    async def __call__(self, scope, receive, send):
        pass


asgi_instance = AsgiInstance()


def factory(name="none", *args, **kwargs):
    def app(environ, start_response):
        start_response(*ok)
        return [json.dumps([name, args, sorted(kwargs.items())]).encode()]

    return app


def needs(name):
    return function


def makes_nothing():
    return None


def raises():
    raise KeyError("in the factory")


def raises_type_error():
    return len(5)


def environ(environ, start_response):
    """Answers with the environ: [type, value] for each key."""
    shown = {}
    for k, v in environ.items():
        shown[k] = [type(v).__name__, v if isinstance(v, (str, bool, tuple, float)) else ""]
    start_response(*ok)
    return [json.dumps(shown).encode()]


functions = {}
kept = {}
closed = []


class Iterator:
    """Yields the parts; counts its close calls; raises where told."""

    def __init__(self, parts, error=None, close_error=None):
        self.parts = iter(parts)
        self.error = error
        self.close_error = close_error

    def __iter__(self):
        return self

    def __next__(self):
        for part in self.parts:
            return part
        if self.error:
            raise self.error
        raise StopIteration

    def close(self):
        closed.append(1)
        if self.close_error:
            raise self.close_error


def script(environ, start_response):
    """Runs the function body that SCRIPT_NAME holds."""
    source = environ["SCRIPT_NAME"]
    app = functions.get(source)
    if app is None:
        space = dict(globals())
        exec("def app(environ, start_response):\n" + textwrap.indent(source, "    "), space)
        app = functions[source] = space["app"]
    return app(environ, start_response)


def measure(environ, start_response):
    """Answers with what may not grow from request to request."""
    gc.collect()
    gc.collect()  # without a GIL some objects wait for the thread that owns them
    objects = {
        "None": None,
        "the type of start_response": type(start_response),
        "start_response": start_response,
        "environ": environ,
        "wsgi.errors": environ["wsgi.errors"],
        "wsgi.input": environ["wsgi.input"],
        "its type": type(environ["wsgi.input"]),
        "FileWrapper": environ["wsgi.file_wrapper"],
        "early_hints": environ["wsgi.early_hints"],
        "early_hints' module": sys.modules["_gowsgi"],
        "application": script,
    }
    for k in list(environ):
        objects["key " + k] = k
    counts = {k: sys.getrefcount(v) for k, v in objects.items()}
    for e in AssertionError, TypeError, ValueError, RuntimeError, ConnectionResetError:
        counts[e.__name__] = sys.getrefcount(e)
    counts["allocated blocks"] = sys.getallocatedblocks()
    counts["objects"] = len(gc.get_objects())
    start_response(*ok)
    return [json.dumps(counts).encode()]
