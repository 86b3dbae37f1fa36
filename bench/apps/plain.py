"""The applications of the scenarios that need no framework.

Each is one callable, so that no server is charged for routing in Python. Each
sets Content-Length where it knows it, as frameworks do; stream does not.
"""

import os
import time

HELLO = b"Hello, World!"
KIB10 = b"0123456789abcdef" * (10 * 1024 // 16)
MIB1 = b"0123456789abcdef" * (1024 * 1024 // 16)
STREAM_CHUNKS, STREAM_CHUNK = 16, b"0123456789abcdef" * (4096 // 16)


def _headers(length):
    return [("Content-Type", "text/plain"), ("Content-Length", str(length))]


def hello(environ, start_response):
    start_response("200 OK", _headers(len(HELLO)))
    return [HELLO]


def down10k(environ, start_response):
    start_response("200 OK", _headers(len(KIB10)))
    return [KIB10]


def down1m(environ, start_response):
    start_response("200 OK", _headers(len(MIB1)))
    return [MIB1]


def upload(environ, start_response):
    """Reads the whole content and answers with its length."""
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    answer = b"%d" % len(body)
    start_response("200 OK", _headers(len(answer)))
    return [answer]


def stream(environ, start_response):
    """A generator without Content-Length: 16 chunks of 4 KiB."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(STREAM_CHUNKS):
        yield STREAM_CHUNK


def file(environ, start_response):
    """A 1 MiB file through wsgi.file_wrapper, read in Python where there is none."""
    f = open(os.environ["BENCH_FILE"], "rb")
    start_response("200 OK", _headers(os.fstat(f.fileno()).st_size))
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper:
        return wrapper(f, 65536)
    return _chunks(f)


def _chunks(f):
    with f:
        yield from iter(lambda: f.read(65536), b"")


def sleep10(environ, start_response):
    """Waits 10 ms with the GIL released, as for a database."""
    time.sleep(0.010)
    return hello(environ, start_response)


def mixed(environ, start_response):
    """Answers at once, and /slow after 100 ms."""
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.100)
    return hello(environ, start_response)
