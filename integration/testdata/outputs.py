"""Answers in all the ways PEP 3333 allows, and in some it does not. Each call of
close() is written to the file CLOSED_LOG names."""

import io
import os
import sys
import time
from urllib.parse import parse_qs

from probe import Gate

TEXT = [("Content-Type", "text/plain")]
HERE = os.path.dirname(os.path.abspath(__file__))


def note(line):
    with open(os.environ["CLOSED_LOG"], "a") as f:
        f.write(line + "\n")


class Closing:
    """An iterable that records its close()."""

    def __init__(self, name, chunks):
        self.name = name
        self.chunks = iter(chunks)

    def __iter__(self):
        return self

    def __next__(self):
        chunk = next(self.chunks)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def close(self):
        note(self.name)


def one(environ, sr, q):
    sr("200 OK", TEXT)
    return [b"one"]


def several(environ, sr, q):
    sr("200 OK", TEXT)
    return [b"a", b"", b"bc", b"def"]


def tuple_(environ, sr, q):
    sr("200 OK", TEXT + [("Content-Length", "4")])
    return (b"ab", b"cd")


def empty(environ, sr, q):
    sr("200 OK", TEXT)
    return []


def empty_chunks(environ, sr, q):
    sr("200 OK", TEXT)
    return [b"", b""]


def generator(environ, sr, q):
    # start_response is called when the first chunk is asked for, not before.
    sr("200 OK", TEXT)
    yield b"one,"
    yield b"two,"
    yield b"three"


def stream(environ, sr, q):
    """Makes each chunk only when the test has seen the one before."""
    sr("200 OK", TEXT)
    base = q["gate"][0]
    for n in range(3):
        yield b"chunk %d;" % n
        gate = Gate("%s.%d" % (base, n))
        gate.start()
        gate.wait()


def ahead(environ, sr, q):
    """Makes a large chunk, and the next only when the test has seen all of it."""
    size = int(q["size"][0])
    sr("200 OK", TEXT + [("Content-Length", str(size + 4))])
    yield b"x" * size
    gate = Gate(q["gate"][0])
    gate.start()
    gate.wait()
    yield b"rest"


def write(environ, sr, q):
    w = sr("200 OK", TEXT)
    w(b"written,")
    w(b"again,")
    return [b"returned"]


def write_nothing(environ, sr, q):
    """The first write() sends the head, also if it has nothing else to send."""
    w = sr("200 OK", TEXT)
    w(b"")
    gate = Gate(q["gate"][0])
    gate.start()
    gate.wait()
    return [b"returned"]


def write_only(environ, sr, q):
    sr("200 OK", TEXT + [("Content-Length", "7")])(b"written")
    return []


def exc_info_before(environ, sr, q):
    sr("200 OK", TEXT + [("X-First", "1")])
    try:
        raise ValueError("before the headers")
    except ValueError:
        sr("503 Sorry", [("Content-Type", "text/plain"), ("X-Second", "2")], sys.exc_info())
    return [b"sorry"]


def exc_info_after(environ, sr, q):
    sr("200 OK", TEXT)
    yield b"the first part;"
    try:
        raise ValueError("after the headers")
    except ValueError:
        sr("500 Oops", TEXT, sys.exc_info())
    yield b"never sent"


def twice(environ, sr, q):
    sr("200 OK", TEXT)
    sr("201 Created", TEXT)
    return [b"x"]


def no_start(environ, sr, q):
    return [b"no start_response"]


def none(environ, sr, q):
    sr("200 OK", TEXT)
    return None


def text(environ, sr, q):
    sr("200 OK", TEXT)
    return ["text, not bytes"]


def bad_status(environ, sr, q):
    sr(q["status"][0], TEXT)
    return [b"x"]


def bad_header(environ, sr, q):
    sr("200 OK", TEXT + [(q["name"][0], q["value"][0])])
    return [b"x"]


def bad_types(environ, sr, q):
    sr("200 OK", [("X-Number", 1)])
    return [b"x"]


def status(environ, sr, q):
    sr(q["status"][0], TEXT)
    return [b"a body"]


def short(environ, sr, q):
    sr("200 OK", TEXT + [("Content-Length", "10")])
    return [b"short"]


def long(environ, sr, q):
    sr("200 OK", TEXT + [("Content-Length", "4")])
    return [b"longer", b"than said"]


def length(environ, sr, q):
    sr("200 OK", TEXT + [("Content-Length", "5")])
    return [b"12345"]


def parts(environ, sr, q):
    """As many bytes as it says, in parts."""
    sr("200 OK", TEXT + [("Content-Length", "6")])
    yield b"abc"
    yield b"def"
    yield b""


def parts_close_raises(environ, sr, q):
    return CloseRaises(parts(environ, sr, q))


def chunked_close_raises(environ, sr, q):
    sr("200 OK", TEXT)
    return CloseRaises([b"abc", b"def"])


def whole_then_raises(environ, sr, q):
    yield from parts(environ, sr, q)
    raise ValueError("behind the content")


def big(environ, sr, q):
    size = int(q["size"][0])
    sr("200 OK", TEXT + ([("Content-Length", str(size))] if "cl" in q else []))
    return [b"x" * size]


def many(environ, sr, q):
    """A lot of chunks, made as they are sent."""
    sr("200 OK", TEXT)
    block = bytes(range(256)) * 64
    for _ in range(int(q["n"][0])):
        yield block


def headers(environ, sr, q):
    sr(
        "200 OK",
        TEXT
        + [
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("X-Latin", "caf\xe9"),
            ("Server", "mine"),
            ("X-Empty", ""),
        ],
    )
    return [b"x"]


def hop(environ, sr, q):
    """Headers that are not the application's, as event streams set them."""
    sr(
        "200 OK",
        TEXT + [("Connection", "keep-alive"), ("transfer-encoding", "chunked"), ("X-Own", "1")],
    )
    return [b"data: 1\n\n", b"data: 2\n\n"]


def gated(environ, sr, q):
    """Answers when the test says so."""
    gate = Gate(q["gate"][0])
    gate.start()
    gate.wait()
    size = q["size"][0]
    sr("200 OK", TEXT + [("Content-Length", size)])
    return [b"x" * int(size)]


def last_words(environ, sr, q):
    """Fails behind a long part, which is all that a Content-Length announced if cl."""
    part = b"x" * int(q["size"][0]) + b"last words"
    sr("200 OK", TEXT + ([("Content-Length", str(len(part)))] if "cl" in q else []))
    yield part
    raise RuntimeError("behind the last part")


def many_hints(environ, sr, q):
    """More early hints than a socket takes, and only then a look at the content."""
    for n in range(int(q["n"][0])):
        environ["wsgi.early_hints"]([("Link", "</%d>" % n), ("X-Long", "x" * 8000)])
    Gate(q["gate"][0]).start()
    data = environ["wsgi.input"].read()
    sr("200 OK", TEXT)
    return [data]


def hints(environ, sr, q):
    early = environ["wsgi.early_hints"]
    early([("Link", "</a>"), ("Connection", "close"), ("Content-Length", "5")])
    early([("Link", "</b>")])
    w = sr("200 OK", TEXT)
    w(b"hint")
    early([("Link", "</late>")])
    return [b"ed"]


def upgrade(environ, sr, q):
    sr(q["status"][0], [("Connection", "Upgrade"), ("Upgrade", "echo")])
    return []


def closing(environ, sr, q):
    sr("200 OK", TEXT)
    return Closing(q["name"][0], [b"a", b"b"])


def closing_error(environ, sr, q):
    sr("200 OK", TEXT)
    return Closing(q["name"][0], [RuntimeError("at the first chunk")])


def closing_late_error(environ, sr, q):
    sr("200 OK", TEXT)
    return Closing(q["name"][0], [b"the first part;", RuntimeError("at the second chunk")])


def closing_no_start(environ, sr, q):
    return Closing(q["name"][0], [b"a"])


def closing_endless(environ, sr, q):
    """Ends only because the client goes away."""
    sr("200 OK", TEXT + ([("Content-Length", "70000")] if q["name"] == ["length"] else []))

    def chunks():
        Gate(q["gate"][0]).start()
        while True:
            yield b"x" * 65536
            time.sleep(0.001)

    return Closing(q["name"][0], chunks())


def disconnected(environ, sr, q):
    """Ends when the client has gone, and notes what it was told before and after."""
    ask = environ["gowsgi.client_disconnected"]
    before = ask()
    Gate(q["gate"][0]).start()
    deadline = time.monotonic() + 60
    while not ask() and time.monotonic() < deadline:
        time.sleep(0.001)
    note("%s-%s" % (before, ask()))
    sr("200 OK", TEXT)
    return [b"to nobody"]


class CloseRaises:
    def __init__(self, iterable):
        self.iterable = iterable

    def __iter__(self):
        return iter(self.iterable)

    def close(self):
        raise RuntimeError("raised by close()")


def close_raises(environ, sr, q):
    sr("200 OK", TEXT + [("Content-Length", "4")])
    return CloseRaises([b"fine"])


class ClosingFile:
    def __init__(self, name, file):
        self.name = name
        self.read = file.read
        self.file = file
        if not isinstance(file, io.BytesIO):
            self.fileno = file.fileno

    def close(self):
        self.file.close()
        note(self.name)


def file(environ, sr, q):
    """wsgi.file_wrapper around a file: path, offset, and cl, or length, for a
    Content-Length."""
    f = open(q["path"][0], "rb")
    offset = int(q.get("offset", ["0"])[0])
    f.seek(offset)
    size = os.path.getsize(q["path"][0]) - offset
    if "length" in q:
        q["cl"], size = True, int(q["length"][0])
    sr("200 OK", TEXT + ([("Content-Length", str(size))] if "cl" in q else []))
    return environ["wsgi.file_wrapper"](ClosingFile(q["name"][0], f), 4096)


def file_plain(environ, sr, q):
    sr("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](open(q["path"][0], "rb"))


def file_memory(environ, sr, q):
    sr("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](ClosingFile(q["name"][0], io.BytesIO(b"m" * 100000)), 1000)


def file_iterated(environ, sr, q):
    """Middleware may iterate the wrapper itself."""
    sr("200 OK", TEXT)
    wrapper = environ["wsgi.file_wrapper"](io.BytesIO(b"abcdefgh"), 3)
    return [b"|".join(wrapper)]


def unread(environ, sr, q):
    """Leaves the request body where it is."""
    sr("200 OK", TEXT)
    return [b"not read"]


def unread_parts(environ, sr, q):
    """Has begun its answer before the server can know that the rest is left."""
    environ["wsgi.input"].read(10)
    sr("200 OK", TEXT)
    yield b"not "
    yield b"read"


def read(environ, sr, q):
    data = environ["wsgi.input"].read()
    sr("200 OK", TEXT)
    return [data]


ROUTES = {name.rstrip("_"): value for name, value in list(globals().items()) if callable(value) and name[:1].islower()}


def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    return ROUTES[name](environ, start_response, parse_qs(environ["QUERY_STRING"], keep_blank_values=True))
