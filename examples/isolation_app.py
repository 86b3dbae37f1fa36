"""Shows that workers share nothing: each counts its own requests.

    gowsgi -w 4 isolation_app
    for i in $(seq 20); do curl -s localhost:8000; done | sort
"""

import itertools
import json
import os

_numbers = itertools.count(1)


def application(environ, start_response):
    body = json.dumps({"pid": os.getpid(), "count": next(_numbers)}).encode() + b"\n"
    start_response(
        "200 OK",
        [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
    )
    return [body]
