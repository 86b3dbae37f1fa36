"""An application that tells what it was when it was imported, and what it is."""

import atexit
import json
import os
import signal
import sys
import threading
import time

imported = {
    "pid": os.getpid(),
    "ppid": os.getppid(),
    "argv": list(sys.argv),
    "software": os.environ.get("SERVER_SOFTWARE"),
    "raw": os.environ.get("PRELOADED_RAW"),
    "uid": os.getuid(),
    "cwd": os.getcwd(),
}
events = []
os.register_at_fork(
    before=lambda: events.append("before"),
    after_in_parent=lambda: events.append("parent"),
    after_in_child=lambda: events.append("child"),
)
signals = []
signal.signal(signal.SIGALRM, lambda number, frame: signals.append(number))

# Descriptors from before the fork stay what they were.
pipe = os.pipe()
os.write(pipe[1], b"written before the fork")
os.environ["SCRIPT_NAME"] = "/mounted"
os.environ["TZ"] = "Asia/Kathmandu"  # +0545
stop = threading.Event()
if os.environ.get("PRELOADED_THREAD"):
    threading.Thread(target=stop.wait, name="ticker", daemon=True).start()
atexit.register(lambda: print("exit handlers of", os.getpid(), flush=True))


def state(environ):
    thread = threading.current_thread()
    signal.raise_signal(signal.SIGALRM)
    return {
        "imported": imported,
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "uid": os.getuid(),
        "events": events,
        "signals": signals,
        "main": thread is threading.main_thread(),
        "threads": sorted(t.name for t in threading.enumerate()),
        "pipe": os.fstat(pipe[0]).st_ino == os.fstat(pipe[1]).st_ino,
        "script": environ["SCRIPT_NAME"],
        "path": environ["PATH_INFO"],
        "marks": [k for k in os.environ if k.startswith("GOWSGI_") and k != "GOWSGI_PYTHON_MODE"],
        "preexec": os.popen("trap; sleep 0 & wait; echo fine").read().strip(),
    }


def application(environ, start_response):
    if environ["PATH_INFO"] == "/segv":
        import ctypes

        ctypes.string_at(0)
    if environ["PATH_INFO"] == "/spin":
        time.sleep(600)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(state(environ)).encode()]
