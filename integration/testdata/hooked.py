import os
import time


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/raises":
        raise RuntimeError("in the application")
    if path == "/sleep":
        open(os.environ["HOOKED_LOG"] + ".asleep", "w").close()
        time.sleep(600)
    if path == "/held":
        sum(range(10**12))  # in C, with the GIL, looking at no signal
    body = "%d %s" % (os.getpid(), os.environ["HOOKED_NUMBER"])
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Raw", os.environ["HOOKED_RAW"])])
    return [body.encode()]
