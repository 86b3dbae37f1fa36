"""What a request costs beside CPython: samples of the processor, by library."""

from __future__ import annotations

import argparse
import collections
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

from . import WORK, measure, procfs, scenarios, servers, setup, wrk

FREQUENCY = 5000  # samples per second of processor time

# "address symbol (object)", as perf script -F ip,sym,dso prints it.
LINE = re.compile(r"^\s*[0-9a-f]+ .*\(([^()]+)\)\s*$")


def count(text):
    """{object: samples} of perf script's output."""
    found = collections.Counter()
    for line in text.splitlines():
        m = LINE.match(line)
        if m:
            name = m.group(1).rsplit("/", 1)[-1]
            found[re.sub(r"\.(cpython-.*|so\b.*)$", "", name)] += 1
    return found


def cpython(samples):
    """How many of the samples are in CPython itself."""
    return sum(n for name, n in samples.items() if re.match(r"(lib)?python\d", name))


def shares(samples):
    """{object: its samples over CPython's}, "all" among them; ValueError if
    CPython has none."""
    within = cpython(samples)
    if not within:
        raise ValueError("no sample is in CPython")
    return {"all": sum(samples.values()) / within,
            **{name: n / within for name, n in samples.items()}}


def _record(running, seconds):
    """Has the server work, and returns its samples."""
    pids = ",".join(str(p.pid) for p in procfs.tree(running.pid, procfs.processes()))
    data = WORK / "share.data"
    perf = subprocess.Popen(
        ["perf", "record", "-q", "-F", str(FREQUENCY), "-e", "cpu-clock", "-o", str(data), "-p", pids],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.3)
        result = measure.run(running, 0, seconds)
        if result.fault:
            raise wrk.WrkError(result.fault)
    finally:
        perf.send_signal(signal.SIGINT)
        perf.wait(30)
    script = subprocess.run(["perf", "script", "-i", str(data), "-F", "ip,sym,dso"],
                            capture_output=True, text=True, timeout=60)
    return count(script.stdout)


def _measure(scenario, peers, args):
    """{server: [shares of a round]}"""
    rounds = collections.defaultdict(list)
    for _ in range(args.instances):
        running = {}
        try:
            for p in peers:
                running[p.name] = servers.Running(p, scenario)
                running[p.name].wait_ready()
            for _ in range(args.rounds):
                for name, r in running.items():
                    rounds[name].append(shares(_record(r, args.seconds)))
        finally:
            for r in running.values():
                r.stop()
    return rounds


def _table(rounds):
    """Lines of text: the medians, and the range of the whole."""
    for name, found in rounds.items():
        whole = sorted(r["all"] for r in found)
        parts = {o for r in found for o in r} - {"all"}
        middle = {o: statistics.median(r.get(o, 0.0) for r in found) for o in parts}
        told = sorted((o for o in parts if middle[o] >= 0.001), key=middle.get, reverse=True)
        yield (f"{name:<10}{statistics.median(whole):.3f} ({whole[0]:.3f}-{whole[-1]:.3f})  "
               + "  ".join(f"{o.strip('[]')} {middle[o]:.3f}" for o in told))


def main():
    p = argparse.ArgumentParser(
        prog="bench/share", description="Samples where the processor time of a request goes, and "
        "prints it over that of CPython, which is the same work under every server: so the mood of "
        "the machine matters little. The servers run the same libpython; see bench/README.md.")
    p.add_argument("--scenario", "-s", default="flask-c32", metavar="NAME", help="%(default)s")
    p.add_argument("--server", "-p", action="append", default=[], metavar="NAME",
                   help="instead of gowsgi and bjoern (may be repeated)")
    p.add_argument("--instances", "-i", type=int, default=4, help="starts of each server: %(default)s")
    p.add_argument("--rounds", "-r", type=int, default=2, help="with each start: %(default)s")
    p.add_argument("--seconds", "-d", type=int, default=2, help="of a round: %(default)s")
    p.add_argument("--no-build", action="store_true", help="take bin/gowsgi as it is")
    args = p.parse_args()
    try:
        scenario = scenarios.select([args.scenario])[0]
        chosen = servers.select(args.server or ["gowsgi", "bjoern"])
    except ValueError as e:
        p.error(str(e))
    if not shutil.which("perf"):
        print("perf is not there: apt-get install linux-perf", file=sys.stderr)
        return 1
    try:
        setup.prepare(False, setup.default_python(), not args.no_build, chosen)
        for line in _table(_measure(scenario, setup.installed(chosen), args)):
            print(line)
    except (setup.SetupError, setup.subprocess.CalledProcessError, servers.ServerError,
            wrk.WrkError, ValueError, OSError) as e:
        print(e, file=sys.stderr)
        return 1
    return 0
