"""An application that answers with what the path asks for."""

import json
import os
import threading
import time

connection = {"opened by": os.getpid()}


def facts(environ):
    return {
        "pid": os.getpid(),
        "env": {k: v for k, v in os.environ.items() if k.startswith("APP_")},
        "wrapped": environ.get("newrelic.wrapped"),
        "threads": sorted(t.name for t in threading.enumerate()),
        "connection": connection,
        "multithread": environ["wsgi.multithread"],
    }


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/grow":
        application.ballast = b"x" * (64 << 20)
    if path == "/stuck":
        time.sleep(600)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(facts(environ)).encode()]
