"""Answers that say to which request they belong, in every part of them."""
import hashlib
import os
import time
from urllib.parse import parse_qs


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    token = query["token"][0]
    size = int(query.get("size", ["0"])[0])
    time.sleep(float(query.get("sleep", ["0"])[0]))
    sent = hashlib.sha256(environ["wsgi.input"].read()).hexdigest()
    line = ("%s %s %d\n" % (token, sent, os.getpid())).encode()
    headers = [("X-Token", token)]
    if "stream" not in query:
        body = line * max(1, size // len(line))
        start_response("200 OK", headers + [("Content-Length", str(len(body)))])
        return [body]
    start_response("200 OK", headers)
    return (line for _ in range(max(1, size // len(line))))
