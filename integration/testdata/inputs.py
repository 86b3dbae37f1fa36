"""Reads wsgi.input in the way the path names, and reports what it got."""

import hashlib
import json

CHUNK = 1000


def parts(stream, how):
    if how == "read":
        return [stream.read()]
    if how == "read(-1)":
        return [stream.read(-1)]
    if how == "read(None)":
        return [stream.read(None)]
    if how == "read(n)":
        return list(iter(lambda: stream.read(CHUNK), b""))
    if how == "read(big)":
        return list(iter(lambda: stream.read(1 << 24), b""))
    if how == "read(0)":
        return [stream.read(0), stream.read()]
    if how == "readline":
        return list(iter(stream.readline, b""))
    if how == "readline(n)":
        return list(iter(lambda: stream.readline(7), b""))
    if how == "readline(-1)":
        return list(iter(lambda: stream.readline(-1), b""))
    if how == "readlines":
        return stream.readlines()
    if how == "readlines(n)":
        return list(iter_readlines(stream))
    if how == "iter":
        return list(stream)
    if how == "next":
        return [next(stream)] + [stream.read()]
    if how == "mixed":
        return [stream.readline(), stream.read(3), stream.readline(2), stream.read()]
    if how == "nothing":
        return []
    raise ValueError(how)


def iter_readlines(stream):
    while True:
        lines = stream.readlines(CHUNK)
        if not lines:
            return
        yield from lines


def caught(environ, start_response):
    """Answers 200 with what reading raised."""
    try:
        environ["wsgi.input"].read()
        body = b"nothing was raised"
    except OSError as e:
        body = ("%s: %s" % (type(e).__name__, e)).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def count(environ, start_response):
    """Reads the content piece by piece and keeps none of it."""
    size = 0
    while True:
        data = environ["wsgi.input"].read(65536)
        if not data:
            break
        size += len(data)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % size]


def application(environ, start_response):
    if environ["PATH_INFO"] == "/count":
        return count(environ, start_response)
    how = environ["QUERY_STRING"]
    if how == "caught":
        return caught(environ, start_response)
    got = parts(environ["wsgi.input"], how)
    data = b"".join(got)
    after = b"" if how == "nothing" else environ["wsgi.input"].read()
    value = {
        "types": sorted({type(part).__name__ for part in got}),
        "count": len(got),
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "first": [part[:20].decode("latin-1") for part in got[:4]],
        "after": after.decode("latin-1"),
        "content_length": environ.get("CONTENT_LENGTH"),
        "transfer_encoding": environ.get("HTTP_TRANSFER_ENCODING"),
        "terminated": environ.get("wsgi.input_terminated"),
    }
    body = json.dumps(value).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
