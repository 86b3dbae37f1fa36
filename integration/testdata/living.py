"""What an application does beside answering: a thread in the background, exit
handlers, signal handlers. It reports into the file LIVING_LOG names."""

import atexit
import json
import os
import signal
import threading
import time


def report(line):
    with open(os.environ["LIVING_LOG"], "a") as f:
        f.write(line + "\n")


ticks = 0
signals = []


def tick():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.005)


def on_signal(number, frame):
    signals.append(number)


threading.Thread(target=tick, daemon=True, name="ticker").start()
atexit.register(report, "atexit")
if os.environ.get("LIVING_SIGNALS"):
    signal.signal(signal.SIGUSR2, on_signal)
    signal.signal(signal.SIGALRM, on_signal)


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/alarm":
        # The handler runs while the view sleeps, as in any Python program.
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        deadline = time.monotonic() + 20
        while not signals and time.monotonic() < deadline:
            time.sleep(0.01)
    if path == "/busy":
        # Holds the GIL as Python code does, giving it up only when asked to.
        before, deadline = ticks, time.monotonic() + 20
        while ticks < before + 5 and time.monotonic() < deadline:
            sum(range(1000))
    value = {"pid": os.getpid(), "ticks": ticks, "signals": signals}
    body = json.dumps(value).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
