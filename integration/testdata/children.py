"""Starts other processes, in all the ways applications do."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from urllib.parse import parse_qs


def square(n):
    return n * n


def fork(q):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, b"%d" % os.getpid())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as f:
        said = int(f.read())
    _, status = os.waitpid(pid, 0)
    return said == pid and status == 0


def fork_exit(q):
    """The child ends like a Python program: atexit, threads, finalization."""
    pid = os.fork()
    if pid == 0:
        sys.exit(7)
    _, status = os.waitpid(pid, 0)
    return os.WEXITSTATUS(status)


def fork_raise(q):
    pid = os.fork()
    if pid == 0:
        raise RuntimeError("in the child")
    _, status = os.waitpid(pid, 0)
    return os.WIFEXITED(status)


def fork_term(q):
    """Children that are told to end as soon as they exist do so."""
    ended = 0
    for _ in range(int(q.get("n", ["100"])[0])):
        pid = os.fork()
        if pid == 0:
            time.sleep(20)
            os._exit(1)
        os.kill(pid, signal.SIGTERM)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            return "a child went on"
        ended += os.WTERMSIG(status) == signal.SIGTERM
    return ended


def run(q):
    return subprocess.run([sys.executable, "-c", "print(6 * 7)"], stdout=subprocess.PIPE, timeout=20).stdout.decode().strip()


def shell(q):
    return os.popen("echo from a shell").read().strip()


def descriptors(q):
    """What a program started with every descriptor kept would inherit."""
    code = "import os; print(sorted(fd for fd in map(int, os.listdir('/proc/self/fd')) if os.path.exists('/proc/self/fd/%d' % fd)))"
    out = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, close_fds=False, timeout=20).stdout
    return json.loads(out)


def background(q):
    """Leaves a program behind that keeps everything it inherited."""
    return subprocess.Popen(["sleep", "300"], close_fds=False).pid


def background_fork(q):
    pid = os.fork()
    if pid == 0:
        os.execvp("sleep", ["sleep", "300"])
    return pid


def process(q, method):
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        return pool.map(square, [1, 2, 3])


def multi_fork(q):
    return process(q, "fork")


def multi_spawn(q):
    return process(q, "spawn")


def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    value = globals()[name](parse_qs(environ["QUERY_STRING"]))
    body = json.dumps(value).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
