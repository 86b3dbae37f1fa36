"""Shows that workers share nothing: each counts its own requests.

    gowsgi -w 4 isolation_app
    seq 40 | xargs -P 8 -I{} curl -s localhost:8000 | sort
"""

import itertools
import json
import os
import time

_numbers = itertools.count(1)


def application(environ, start_response):
    # One worker would do for requests that take no time; now several are needed.
    time.sleep(0.01)
    body = json.dumps({"pid": os.getpid(), "count": next(_numbers)}).encode() + b"\n"
    start_response(
        "200 OK",
        [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
    )
    return [body]
