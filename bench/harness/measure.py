"""Measures: servers of one scenario run side by side and are timed in turn."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

from . import procfs, wrk
from .servers import Running, ServerError
from .stats import Spread, paired_ratio, rotated

# The slow requests of a scenario are on their way this long before and after
# the timed ones: three times their own length.
LEAD = 0.3

# A round is noisy when other processes used more than this share of the machine.
NOISY = 0.05

# How the fault of a server begins that was not to take part.
LEFT_OUT = "left out: "


@dataclass
class Round:
    """One timed run of wrk against one server."""

    round: int
    rate: float
    p50: float
    p90: float
    p99: float
    cpu_us: float  # CPU microseconds of the server's process tree per request
    pss: int  # bytes, at the end of the run
    rss: int  # bytes, of the largest process
    client: float  # share of its CPU that wrk used, 0 to 1
    foreign: float  # CPU share of the machine that neither wrk nor the server used
    requests: int
    fault: str = ""
    slow_rate: float = 0.0


@dataclass
class Cell:
    """A server in a scenario. Its figures count when fault is empty."""

    server: str
    note: str = ""
    fault: str = ""
    reference: bool = False  # no peer: Server.reference
    command: list = field(default_factory=list)
    kept_alive: bool = False
    rounds: list = field(default_factory=list)
    ratio: Spread = None  # of gowsgi to this server
    idle_bytes: float = 0.0  # of memory per idle connection

    def spread(self, name):
        return Spread.of(getattr(r, name) for r in self.rounds)

    def rates(self):
        return {r.round: r.rate for r in self.rounds}


@dataclass(frozen=True)
class Plan:
    """How often and how long each server is timed."""

    rounds: int
    seconds: int
    quiet: int  # seconds to wait, at most, for a quiet machine before a round


def scenario(s, servers, plan, say, earlier=(), save=lambda cells: None):
    """The Cells of scenario s, in the order of servers.

    All servers are started afresh, checked and warmed up before the first
    round, and wait, idle, while another one is timed. A server that fails once
    is out of the scenario. earlier has Cells of a run that is gone on with:
    the rounds they have are not done again, and others take no part. save is
    given the cells so far after each round.
    """
    cells = {c.server: c for c in earlier}
    first = whole_rounds(cells.values())
    with ExitStack() as stack:
        running = []
        for server in servers if first < plan.rounds else ():
            why = server.skips(s)
            if earlier and server.name not in cells or why and server.reference:
                continue
            cell = cells.setdefault(server.name, Cell(server.name, server.remark(s),
                                                      LEFT_OUT + why if why else "",
                                                      server.reference))
            r = None if cell.fault else _started(stack, server, s, cell, say)
            if r:
                running.append(r)
        for n in range(first, plan.rounds):
            procfs.wait_quiet(plan.quiet, NOISY)
            for r in rotated(running, n):
                cell = cells[r.server.name]
                if not cell.fault:
                    _timed(r, n, plan.seconds, cell, say)
                    if cell.fault:
                        r.stop()  # it must not disturb the others
            _compare(cells)
            save(list(cells.values()))
        for r in running:
            closed = r.release()
            if closed:
                cells[r.server.name].fault = f"closed {closed} of the idle connections"
    _compare(cells)
    return list(cells.values())


def minutes(scenarios, servers, plan):
    """How long a run takes, by and large."""
    cells = sum(not server.skips(s) for s in scenarios for server in servers)
    start, between, quiet = 3, 0.3, 1.0  # seconds, as seen
    rounds = plan.rounds * (cells * (plan.seconds + between) + quiet * len(scenarios))
    return (cells * start + rounds) / 60


def whole_rounds(cells):
    """How many rounds all of the cells have that count; what is beyond is
    forgotten, for a round is comparable as a whole only."""
    counting = [c for c in cells if not c.fault]
    n = min((len(c.rounds) for c in counting), default=0)
    for c in counting:
        del c.rounds[n:]
    return n


def _compare(cells):
    """Sets the ratios to gowsgi."""
    ours = cells.get("gowsgi")
    for cell in cells.values():
        good = ours and not ours.fault and not cell.fault
        cell.ratio = paired_ratio(ours.rates(), cell.rates()) if good else None


def _started(stack, server, s, cell, say):
    """Starts server, which stack ends, and notes it in its cell. None if it does
    not get as far as the first round."""
    r = None
    try:
        r = stack.enter_context(Running(server, s))
        cell.command = r.command
        r.wait_ready()
        cell.kept_alive = r.kept_alive
        run(r, 0, 1)  # warm-up
        if r.scenario.idle:
            cell.idle_bytes = r.hold()
        return r
    except (ServerError, wrk.WrkError, OSError) as e:
        cell.fault = str(e)
        say(f"  {server.name}: {e}")
    if r:
        r.stop()
    return None


def _timed(r, n, seconds, cell, say):
    """Adds round n of server r to its cell."""
    try:
        result = run(r, n, seconds)
    except (ServerError, wrk.WrkError) as e:
        cell.fault = str(e)
        say(f"  round {n + 1} {r.server.name}: {e}")
        return
    cell.rounds.append(result)
    cell.fault = result.fault
    say(f"  round {n + 1} {r.server.name:<17}{result.rate:>10.0f}/s  p99 {result.p99:.2f} ms"
        f"  {result.cpu_us:.1f} us  {result.fault}")


def run(r, n, seconds):
    """One run of wrk against r."""
    s = r.scenario
    if r.process.poll() is not None:
        raise ServerError(f"exited {r.process.returncode}: {r.log_end()}")
    slow = slow_result = None
    if s.slow:
        slow = wrk.start(wrk.command(r.url + "slow", s.slow, seconds + 1))
        time.sleep(LEAD)
    try:
        cpu, busy, clock = procfs.tree_cpu(r.pid), procfs.machine_busy(), time.monotonic()
        client = wrk.start(
            wrk.command(r.url, s.connections, seconds, s.method, s.body, s.headers))
        fast = wrk.finish(client, seconds)
        busy, clock = procfs.machine_busy() - busy, time.monotonic() - clock
        cpu = procfs.tree_cpu(r.pid) - cpu
    finally:
        if slow:
            slow_result = wrk.finish(slow, seconds + 1)
    faults = [fast.fault, slow_result.fault if slow else ""]
    if not fast.fault and fast.bytes < fast.requests * len(s.answer):
        faults.append(f"{fast.bytes} bytes are too few for {fast.requests} answers")
    pss, rss = procfs.tree_memory(r.pid)
    return Round(
        round=n,
        rate=fast.rate,
        p50=fast.p50,
        p90=fast.p90,
        p99=fast.p99,
        cpu_us=cpu * 1e6 / fast.requests if fast.requests else 0.0,
        pss=pss,
        rss=rss,
        client=fast.cpu / clock,
        foreign=max(0.0, (busy - cpu - fast.cpu) / (clock * os.cpu_count())),
        requests=fast.requests,
        fault="; ".join(f for f in faults if f),
        slow_rate=slow_result.rate if slow else 0.0,
    )


def stderr(line):
    """Tells the user how far the run is."""
    print(line, file=sys.stderr, flush=True)
