"""Views of the kind that confused requests, threads or clients once."""

import hashlib
import multiprocessing
import os
import signal
import threading
import time
from urllib.parse import parse_qs

from probe import Gate, reply

# poll and ppoll, by their numbers on x86-64 and arm64.
POLLS = {"7", "271", "73"}

# What threads of the application got that outlived their request's view.
heard = []


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("waited in vain")
        time.sleep(0.002)


def polls(tid):
    """Whether a thread of this process waits for a descriptor."""
    with open("/proc/self/task/%d/syscall" % tid) as f:
        return f.read().split()[0] in POLLS


def start_waiting(f):
    """Starts a thread and returns when it waits for the client."""
    thread = threading.Thread(target=f, daemon=True)
    thread.start()
    until(lambda: polls(thread.native_id))


def echo(environ, start_response, query):
    content = environ["wsgi.input"].read()
    value = {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "query": environ["QUERY_STRING"],
        "fields": {k: v for k, v in environ.items() if k.startswith("HTTP_")},
        "length": len(content),
        "sha1": hashlib.sha1(content).hexdigest(),
    }
    return reply(start_response, value)


def reader(environ, start_response, query):
    """Returns while another thread reads the content."""
    stream = environ["wsgi.input"]

    def read():
        try:
            while True:
                data = stream.read1(65536)
                heard.append(data.decode("latin-1"))
                if not data:
                    break
        except BaseException as e:
            heard.append(type(e).__name__)

    start_waiting(read)
    return reply(start_response, os.getpid())


def writer(environ, start_response, query):
    """Returns while another thread writes the response."""
    write = start_response("200 OK", [("Content-Type", "text/plain")])

    def send():
        try:
            write(b"SECRET--" * (4 << 20))
            heard.append("sent")
        except BaseException as e:
            heard.append(type(e).__name__)

    start_waiting(send)
    return []


def tell(environ, start_response, query):
    return reply(start_response, {"pid": os.getpid(), "heard": heard})


def upload(environ, start_response, query):
    """Starts the gate once it waits for content that has not come."""
    gate, tid = Gate(query["gate"][0]), threading.get_native_id()

    def watch():
        until(lambda: polls(tid))
        gate.start()

    threading.Thread(target=watch, daemon=True).start()
    try:
        n = len(environ["wsgi.input"].read())
    except OSError:
        if "caught" not in query:
            raise
        n = -1
    return reply(start_response, n)


def reenter(environ, start_response, query):
    """A header whose making calls start_response again, with more headers."""

    def item():
        yield "X-Second"
        start_response("200 OK", [("X-Inner-%d" % i, "B" * 1000) for i in range(300)])
        yield "v"

    headers = [("X-First-%d" % i, "value%d" % i) for i in range(30)]
    headers += [item()]
    headers += [("X-Last-%d" % i, "last%d" % i) for i in range(30)]
    start_response("200 OK", headers, (ValueError, ValueError("x"), None))
    return [b"x"]


def say_and_sleep(pipe):
    pipe.send(True)
    time.sleep(60)


def terminate(environ, start_response, query):
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(False)
    child = context.Process(target=say_and_sleep, args=(theirs,))
    child.start()
    ours.recv()
    child.terminate()
    child.join(20)
    code = child.exitcode
    child.kill()
    child.join()
    return reply(start_response, code)


def signal_child(environ, start_response, query):
    """Answers with the signal that ended a forked child."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(theirs, b"x")
        time.sleep(60)
        os._exit(0)
    os.read(ours, 1)
    os.close(ours)
    os.close(theirs)
    os.kill(pid, int(query["signal"][0]))
    ended = []

    def wait():
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            ended.append(status)
        return found

    try:
        until(wait)
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        ended.append(os.waitpid(pid, 0)[1])
    return reply(start_response, os.WTERMSIG(ended[0]))


def hold(environ, start_response, query):
    """Leaves a child behind that lives as long as the test wants."""
    gate = Gate(query["gate"][0])
    if os.fork() == 0:
        gate.start()
        deadline = time.monotonic() + 60
        while not os.path.exists(gate.path) and time.monotonic() < deadline:
            time.sleep(0.01)
        os._exit(0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter([b"held"])


def doze(environ, start_response, query):
    """One long call, without a single wake-up of its own."""
    Gate(query["gate"][0]).start()
    time.sleep(float(query["t"][0]))
    return reply(start_response, os.getpid())


def atoms(environ, start_response, query):
    for i in range(40):
        environ["regress.%d" % i] = "v%d" % i
    return reply(start_response, True)


def empty(environ, start_response, query):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return []


def factory(*args):
    return application


def on_signal(number, frame):
    with open(os.environ["REGRESS_REPORT"], "a") as f:
        f.write("%d\n" % number)


if os.environ.get("REGRESS_REPORT"):
    signal.signal(signal.SIGUSR2, on_signal)

VIEWS = {
    f.__name__: f
    for f in (reader, writer, tell, upload, reenter, terminate, signal_child, hold, doze, atoms, empty)
}


def application(environ, start_response):
    view = VIEWS.get(environ["PATH_INFO"].strip("/"), echo)
    return view(environ, start_response, parse_qs(environ["QUERY_STRING"]))
