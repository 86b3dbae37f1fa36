"""Leaves an orphan behind at each request, which ends by itself, and not well."""

import os


def application(environ, start_response):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        if os.fork() == 0:
            os.read(read, 1)  # until the view goes on: then the parent is gone
            os._exit(3)
        os._exit(0)
    os.close(read)
    os.waitpid(child, 0)
    os.close(write)  # the orphan's read ends
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
