"""Runs wrk and reads what it says."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass

from . import BENCH

ERRORS = ("connect", "read", "write", "status", "timeout")

# wrk waits this long for an answer before it counts a timeout, in seconds. Slow
# is not wrong: a server that queues 256 connections on one thread must get to
# show its latency.
TIMEOUT = 10


class WrkError(Exception):
    """wrk did not run to its end."""


@dataclass(frozen=True)
class Result:
    """One run of wrk. Times are in seconds, latencies in milliseconds."""

    requests: int
    duration: float
    bytes: int
    p50: float
    p90: float
    p99: float
    max: float
    errors: dict  # kind -> count, without the zeros
    cpu: float = 0.0  # CPU time of wrk itself

    @property
    def rate(self):
        """Requests per second."""
        return self.requests / self.duration if self.duration else 0.0

    @property
    def fault(self):
        """Why the figures do not count, or an empty string."""
        if self.errors:
            return ", ".join(f"{n} {kind} errors" for kind, n in self.errors.items())
        return "" if self.requests else "no request completed"


def parse(text, cpu=0.0):
    """The Result in wrk's output; WrkError if there is none."""
    for line in text.splitlines():
        if line.startswith("BENCH "):
            break
    else:
        raise WrkError("wrk printed no figures: " + text.strip()[-300:])
    try:
        d = json.loads(line[len("BENCH "):])
        return Result(
            requests=d["requests"],
            duration=d["duration_us"] / 1e6,
            bytes=d["bytes"],
            p50=d["p50_us"] / 1e3,
            p90=d["p90_us"] / 1e3,
            p99=d["p99_us"] / 1e3,
            max=d["max_us"] / 1e3,
            errors={kind: d[kind] for kind in ERRORS if d[kind]},
            cpu=cpu,
        )
    except (ValueError, KeyError) as e:
        raise WrkError(f"wrk's figures are not readable: {line!r}") from e


def command(url, connections, seconds, method="GET", body=0, headers=()):
    """wrk's command line. One thread: the other cores belong to the server."""
    args = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={TIMEOUT}s"]
    args += ["-s", str(BENCH / "report.lua"), url, "--", method, str(body)]
    return args + [f"{name}={value}" for name, value in headers]


def client_cpu():
    """The CPU wrk is pinned to: the last one of those we may use."""
    return max(os.sched_getaffinity(0))


def start(args):
    """Starts wrk, pinned."""
    cpu = client_cpu()
    return subprocess.Popen(
        args,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
    )


def finish(process, seconds):
    """Waits for wrk and reads it; WrkError when it takes 30 s longer than asked."""
    before = os.times()
    try:
        out, _ = process.communicate(timeout=seconds + 30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise WrkError("wrk did not end") from None
    after = os.times()
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    return parse(out, used)
