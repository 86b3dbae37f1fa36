"""Says what of the process an application can see that comes from how Python was
started: at import, and in a call."""

import gc
import json
import locale
import os
import signal
import sys
import threading


# What differs because the tests say so.
OURS = ("GOWSGI_PYTHON_MODE", "GOWSGITEST_MARK")


def look():
    import __main__

    streams = (sys.stdin, sys.stdout, sys.stderr)
    with open("/proc/self/status") as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f)
    return {
        "main": {k: repr(v) for k, v in vars(__main__).items()},
        "argv": sys.argv,
        "orig_argv": getattr(sys, "orig_argv", None),
        "path": sys.path,
        "flags": str(sys.flags),
        "options": [sys.warnoptions, sys._xoptions],
        "prefix": [sys.executable, sys.prefix, sys.base_prefix],
        "streams": [
            [s.name, s.encoding, s.errors, s.line_buffering, getattr(s, "write_through", None)]
            for s in streams
        ],
        "environ": {k: v for k, v in os.environ.items() if k not in OURS},
        "locale": [
            locale.setlocale(locale.LC_ALL, None),
            locale.getpreferredencoding(),
            sys.getfilesystemencoding(),
            sys.getfilesystemencodeerrors(),
        ],
        "threads": [t.name for t in threading.enumerate()],
        # CPython 3.13 has linecache read the code of -c, and a spawner watches the
        # master by select, where that is not done in C.
        "modules": sorted(set(sys.modules) - {"linecache", "select"}),
        "gc": [gc.isenabled(), gc.get_threshold(), sys.getrecursionlimit()],
        "mask": [int(s) for s in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
        "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "name": status["Name"],
        "blocked": status["SigBlk"],
    }


imported = look()


def application(environ, start_response):
    body = json.dumps({"import": imported, "call": look()}).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
