"""Exercises everything a request can touch, and counts what is alive."""

import gc
import json
import os
import sys

WATCHED = {
    "None": None,
    "True": True,
    "empty bytes": b"",
    "empty str": "",
    "empty tuple": (),
    "str": str,
    "dict": dict,
    "list": list,
    "bytes": bytes,
    "GET": sys.intern("GET"),
    "wsgi.input": sys.intern("wsgi.input"),
    "PATH_INFO": sys.intern("PATH_INFO"),
    "REQUEST_METHOD": sys.intern("REQUEST_METHOD"),
    "SERVER_PROTOCOL": sys.intern("SERVER_PROTOCOL"),
    "HTTP_HOST": sys.intern("HTTP_HOST"),
    "HTTP/1.1": sys.intern("HTTP/1.1"),
}


class Closing:
    def __init__(self, chunks):
        self.chunks = chunks

    def __iter__(self):
        return iter(self.chunks)

    def close(self):
        pass


def stats(environ, start_response):
    for _ in range(3):
        gc.collect()
    value = {
        "pid": os.getpid(),
        "objects": len(gc.get_objects()),
        "blocks": sys.getallocatedblocks(),
        "refcounts": {name: sys.getrefcount(value) for name, value in WATCHED.items()},
        "start_response": sys.getrefcount(start_response),
        "application": sys.getrefcount(application),
    }
    if hasattr(sys, "gettotalrefcount"):
        value["total"] = sys.gettotalrefcount()
    body = json.dumps(value).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/stats":
        return stats(environ, start_response)
    if path == "/post":
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body]
    if path == "/lines":
        stream = environ["wsgi.input"]
        lines = [stream.readline()] + list(stream)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return lines
    if path == "/write":
        start_response("200 OK", [("Content-Type", "text/plain")])(b"written,")
        return Closing([b"a", b"b"])
    if path == "/exc_info":
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            raise ValueError("x")
        except ValueError:
            start_response("503 Sorry", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"sorry"]
    if path == "/generator":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (b"%d," % n for n in range(3))
    if path == "/bad":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return ["not bytes"]
    if path == "/raise":
        raise RuntimeError("x")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
