"""The servers: the command line of each, and its life as a process."""

from __future__ import annotations

import http.client
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import Callable

from . import APPS, BENCH, FLOOR, GOWSGI, VENV, WORK, procfs

HOST = "127.0.0.1"
READY = 30.0  # seconds a server has to answer, and then to become quiet
STOP = 8.0  # seconds a server has to end after SIGTERM
HOLD = 120.0  # seconds the idle connections may take to be there

# Idle connections must outlive a scenario: the servers' keep-alive, in seconds.
KEEP = 3600


class ServerError(Exception):
    """The server did not start, or answered wrong."""


@dataclass(frozen=True)
class Server:
    name: str
    # (scenario, port) -> arguments
    command: Callable
    # The features of scenarios (Scenario.needs) it does not have.
    lacks: frozenset = frozenset()
    # Why it is not comparable in a scenario, or "".
    note: str = ""
    distribution: str = ""  # its name in the venv
    # No peer, but something of our own that gowsgi is held against.
    reference: bool = False

    def skips(self, scenario):
        """Why the server takes no part in scenario, or an empty string."""
        lacking = scenario.needs & self.lacks
        if self.name == "baseline":
            return "" if scenario.baseline else "is for scenarios that measure a cost"
        if lacking:
            return "has no " + " and no ".join(sorted(lacking))
        if self.name == "uwsgi" and scenario.name == "stream":
            return "ends the content by closing, which wrk counts as an error"
        if self.name == "floor" and scenario.app != "plain:hello":
            return "has no application"
        return ""

    def remark(self, scenario):
        """What the table says of the server in scenario."""
        return scenario.baseline if self.name == "baseline" else self.note

    def runs(self, scenario):
        """The scenario as the server runs it."""
        return scenario.plain if self.name == "baseline" else scenario


def _tool(name):
    return str(VENV / "bin" / name)


def _access_log(server):
    """The file of a server's access log, which is new for each start."""
    return str(WORK / f"access-{server}.log")


def _gowsgi(s, port, binary=GOWSGI):
    args = [str(binary), "--python", _tool("python"), "-b", f"{HOST}:{port}",
            "-w", str(s.workers), "--threads", str(s.threads)]
    if s.access_log:
        args += ["--access-logfile", _access_log("gowsgi")]
    if s.idle:
        args += ["--keep-alive", str(KEEP)]
    return args + [s.app]


def _gunicorn(kind):
    def command(s, port):
        args = [_tool("gunicorn"), "-k", kind, "-b", f"{HOST}:{port}",
                "-w", str(s.workers), "--threads", str(s.threads)]
        if s.access_log:
            args += ["--access-logfile", _access_log("gunicorn-" + kind)]
        if s.idle:
            args += ["--keep-alive", str(KEEP), "--worker-connections", str(2 * s.idle)]
        return args + [s.app]
    return command


def _granian(s, port):
    args = [_tool("granian"), "--interface", "wsgi", "--http", "1", "--no-ws",
            "--host", HOST, "--port", str(port), "--workers", str(s.workers),
            "--blocking-threads", str(s.threads), "--log-level", "warning"]
    if s.access_log:
        args += ["--access-log"]  # to standard output, which is a file
    if s.idle:
        # It waits for a free place when it has that many connections, and lets
        # idle ones go after that many milliseconds, which are the most it takes.
        args += ["--backpressure", str(2 * s.idle), "--http1-header-read-timeout", "60000"]
    return args + [s.app]


def _uwsgi(s, port):
    # Its HTTP socket does no keep-alive. The variant that does (http11-socket)
    # gives a connection a worker for life: one worker, one client.
    return [_tool("uwsgi"), "--master", "--need-app", "--die-on-term",
            *(["--logto", _access_log("uwsgi")] if s.access_log else ["--disable-logging"]),
            "--enable-threads", "--single-interpreter", "--listen", "1024",
            # It closes without saying so; then clients send into the void.
            "--add-header", "Connection: close",
            "--http-socket", f"{HOST}:{port}", "--processes", str(s.workers),
            "--threads", str(s.threads), "--module", s.app]


def _launch(name):
    def command(s, port):
        return [_tool("python"), str(BENCH / "launch.py"), name, HOST, str(port),
                str(s.workers), str(s.threads), s.app]
    return command


def _lacks(*features):
    return frozenset(features)


SERVERS = [
    Server("gowsgi", _gowsgi),
    Server("baseline", _gowsgi, reference=True),
    Server("floor", lambda s, port: _gowsgi(s, port, FLOOR), _lacks(
        "threads", "access log", "idle connections"), "constant answer, no Python",
        reference=True),
    Server("bjoern", _launch("bjoern"), _lacks("threads", "access log"), distribution="bjoern"),
    Server("granian", _granian, distribution="granian"),
    Server("fastwsgi", _launch("fastwsgi"), _lacks("threads", "access log"),
           distribution="fastwsgi"),
    Server("uwsgi", _uwsgi, _lacks("idle connections"), "no keep-alive", distribution="uWSGI"),
    Server("gunicorn-sync", _gunicorn("sync"), _lacks("threads", "idle connections"),
           "no keep-alive", distribution="gunicorn"),
    Server("gunicorn-gthread", _gunicorn("gthread"), distribution="gunicorn"),
    Server("waitress", _launch("waitress"), _lacks("access log", "idle connections"),
           "one process, threads for workers", distribution="waitress"),
]

QUICK = ("gowsgi", "bjoern", "granian", "gunicorn-sync")


def select(names):
    """The servers of these names; all without names. ValueError for a wrong one."""
    known = {s.name for s in SERVERS}
    for name in names:
        if name not in known:
            raise ValueError(f"no server {name!r}; there are " + " ".join(s.name for s in SERVERS))
    return [s for s in SERVERS if not names or s.name in names]


def _free_port():
    with socket.socket() as s:
        s.bind((HOST, 0))
        return s.getsockname()[1]


def _raise_file_limit():
    """Lets the process have as many descriptors as it may."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Running:
    """A started server. Use as a context manager: it ends with its children."""

    def __init__(self, server, scenario):
        self.server, self.scenario = server, server.runs(scenario)
        self.port = _free_port()
        self.url = f"http://{HOST}:{self.port}/"
        self.command = server.command(self.scenario, self.port)
        self.log = WORK / f"{scenario.name}-{server.name}.log"
        self.access_log = WORK / f"access-{server.name}.log"
        self.access_log.unlink(missing_ok=True)
        self.kept_alive = None
        self.holder = None
        self.stopped = False
        env = dict(os.environ, PYTHONPATH=str(APPS), BENCH_FILE=str(WORK / "file.bin"),
                   VIRTUAL_ENV=str(VENV), PYTHONDONTWRITEBYTECODE="1")
        for name in ("GUNICORN_CMD_ARGS", "GOWSGI_CMD_ARGS", "WEB_CONCURRENCY"):
            env.pop(name, None)
        with open(self.log, "wb") as log:
            # A session of its own: it is what ends every process of the server.
            self.process = subprocess.Popen(
                self.command, cwd=APPS, env=env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, preexec_fn=_raise_file_limit)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self.process.pid

    def log_end(self):
        """The last lines of the server's log."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:])

    def wait_ready(self):
        """Blocks until the server answers right and its processes are at rest.

        The first answer says that one worker is up; that nothing of the tree
        uses CPU any more says that all are. ServerError after READY seconds.
        """
        deadline = time.monotonic() + READY
        while not self._listens():
            if self.process.poll() is not None:
                raise ServerError(f"exited {self.process.returncode}: {self.log_end()}")
            if time.monotonic() > deadline:
                raise ServerError(f"does not listen after {READY:g} s: {self.log_end()}")
            time.sleep(0.02)
        self.check()
        last, quiet = procfs.tree_cpu(self.pid), 0
        while quiet < 3 and time.monotonic() < deadline:
            time.sleep(0.1)
            now = procfs.tree_cpu(self.pid)
            quiet = quiet + 1 if now - last < 0.02 else 0
            last = now

    def _listens(self):
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def check(self):
        """Asks twice, on one connection if it is kept, and compares the answers.

        ServerError says what is wrong with them.
        """
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            for _ in range(2):
                self._ask(connection)
        except (OSError, http.client.HTTPException) as e:
            raise ServerError(f"{type(e).__name__}: {e}; {self.log_end()}") from e
        finally:
            connection.close()

    def _ask(self, connection):
        """One request; http.client connects anew where the last answer said so."""
        s = self.scenario
        connection.request(s.method, "/", b"x" * s.body or None, dict(s.headers))
        answer = connection.getresponse()
        content = answer.read()
        self.kept_alive = not answer.will_close
        if answer.status != 200:
            raise ServerError(f"answered {answer.status}: {self.log_end()}")
        if len(content) != len(s.answer):
            raise ServerError(f"answered {len(content)} bytes, not {len(s.answer)}")
        if content != s.answer:
            raise ServerError(f"answered {content[:40]!r}")

    def hold(self):
        """Opens the scenario's idle connections; returns how many bytes of
        memory (PSS of the server) each has cost. ServerError if the server does
        not take them all."""
        before, _ = procfs.tree_memory(self.pid)
        n = self.scenario.idle
        self.holder = subprocess.Popen(
            [sys.executable, str(BENCH / "hold.py"), HOST, str(self.port), str(n)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=_raise_file_limit)
        timer = threading.Timer(HOLD, self.holder.kill)
        timer.start()
        said = self.holder.stdout.readline()
        timer.cancel()
        if said != "held\n":
            raise ServerError("idle connections: " + (said.strip() or f"not there after {HOLD} s"))
        after, _ = procfs.tree_memory(self.pid)
        return (after - before) / n

    def release(self):
        """Lets the idle connections go; returns how many the server had closed."""
        if not self.holder:
            return 0
        holder, self.holder = self.holder, None
        try:
            closed, _ = holder.communicate(timeout=HOLD)
        except subprocess.TimeoutExpired:
            holder.kill()
            closed, _ = holder.communicate()
        return int(closed) if closed.strip().isdigit() else self.scenario.idle

    def stop(self):
        """Ends the server: SIGTERM to it, and after STOP seconds SIGKILL to what
        is left of it. A second call does nothing."""
        if self.stopped:
            return
        self.stopped = True
        self.release()
        ours = set()
        if self.process.poll() is None:
            # Named now: once it has been waited for, its pid may be another's.
            ours = {(p.pid, p.started) for p in procfs.tree(self.pid, procfs.processes())}
            self.process.terminate()
            try:
                self.process.wait(STOP)
            except subprocess.TimeoutExpired:
                pass
        for p in procfs.processes():
            if (p.pid, p.started) not in ours and p.session != self.pid:
                continue
            try:
                os.kill(p.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(STOP)
        self.access_log.unlink(missing_ok=True)
