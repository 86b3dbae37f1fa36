"""The command line of bench/run and bench/quick."""

from __future__ import annotations

import argparse
import datetime
import os
import shlex
import signal
import sys

from . import RESULTS, machine, measure, report, scenarios, servers, setup


def _parser(quick):
    p = argparse.ArgumentParser(
        prog="bench/quick" if quick else "bench/run",
        description="Measures gowsgi and its peers side by side; see bench/README.md.")
    p.add_argument("--scenario", "-s", action="append", default=[], metavar="NAME",
                   help="only this one, or those that begin so (may be repeated)")
    p.add_argument("--server", "-p", action="append", default=[], metavar="NAME",
                   help="only this one (may be repeated)")
    p.add_argument("--rounds", "-r", type=int, default=3 if quick else 5, help="%(default)s")
    p.add_argument("--seconds", "-d", type=int, default=2, help="of each timed run: %(default)s")
    p.add_argument("--quiet", type=int, default=0 if quick else 30, metavar="SECONDS",
                   help="wait so long, at most, before each round until other processes "
                        "use less than a twentieth of the machine: %(default)s")
    p.add_argument("--name", "-n", default="" if quick else "all",
                   help="of the result, results/<date>-NAME; "
                        + ("without it none is written" if quick else "%(default)s"))
    p.add_argument("--force", action="store_true", help="overwrite a result of that name")
    p.add_argument("--resume", action="store_true",
                   help="go on with the newest result of that name: scenarios and rounds it "
                        "has are not done again")
    p.add_argument("--list", action="store_true", help="name scenarios and servers, and end")
    p.add_argument("--install", action="store_true",
                   help="let apt-get install wrk and libev-dev where they are missing")
    p.add_argument("--python", default=setup.default_python(), metavar="PATH",
                   help="makes the venv: %(default)s")
    p.add_argument("--no-build", action="store_true",
                   help="take bin/gowsgi as it is (the floor is built from the tree)")
    return p


def main(quick=False):
    """Runs the command line; returns the exit status: 0, 1 if something cannot
    be measured here, 2 for a wrong argument."""
    parser = _parser(quick)
    args = parser.parse_args()
    try:
        chosen = scenarios.select(args.scenario or (scenarios.QUICK if quick else ()))
        peers = servers.select(args.server or (servers.QUICK if quick else ()))
    except ValueError as e:
        parser.error(str(e))
    if args.rounds < 1 or args.seconds < 1:
        parser.error("--rounds and --seconds begin at 1")
    if args.list:
        for s in chosen:
            print(f"{s.name:<12}{s.title}")
        print("servers:", *(p.name for p in peers))
        return 0
    try:
        path, earlier = _result(args)
        setup.prepare(args.install, args.python, not args.no_build, peers)
        run = {"command": _command(), "machine": machine.describe(), "rounds": args.rounds,
               "seconds": args.seconds, "cells": {}}
        if earlier:
            run = _continued(earlier, run)
    except (Refused, setup.SetupError, setup.subprocess.CalledProcessError, OSError) as e:
        print(e, file=sys.stderr)
        return 1
    _run(args, chosen, setup.installed(peers), path, run)
    return 0


class Refused(Exception):
    """The run would spoil a result."""


def _result(args):
    """The path of the result, None for none, and the run to go on with, or None."""
    if not args.name:
        return None, None
    path = RESULTS / f"{datetime.date.today()}-{args.name}"
    if args.resume:
        found = sorted(RESULTS.glob(f"????-??-??-{args.name}.json"))
        if not found:
            raise Refused(f"there is no result {args.name!r} to go on with")
        path = found[-1].with_suffix("")
        return path, report.read(path)
    if report.exists(path) and not args.force:
        raise Refused(f"{path}.* is there; --force overwrites it, --resume goes on with it, "
                      "--name takes another")
    return path, None


def _continued(earlier, now):
    """The earlier run, with what is asked for now. Refused if it was made with
    something else: its rounds and the new ones would not be comparable."""
    for fact, value in now["machine"].items():
        if fact != machine.LOAD and earlier["machine"].get(fact) != value:
            raise Refused(f"the result was made with {fact} {earlier['machine'].get(fact)}, "
                          f"this is {value}")
    if earlier["seconds"] != now["seconds"]:
        raise Refused(f"the result's rounds took {earlier['seconds']} s")
    command = earlier["command"]
    if now["command"] not in command.split("; "):
        command += "; " + now["command"]
    return dict(earlier, command=command, rounds=max(earlier["rounds"], now["rounds"]))


def _command():
    return " ".join(["bench/" + os.path.basename(sys.argv[0]), *map(shlex.quote, sys.argv[1:])])


def _run(args, chosen, peers, path, run):
    # So that the servers, each in a session of its own, end with this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    plan = measure.Plan(args.rounds, args.seconds, args.quiet)
    measure.stderr(f"about {measure.minutes(chosen, peers, plan):.0f} minutes")
    try:
        for s in chosen:
            measure.stderr(f"{s.name}: {s.title}")

            def save(cells, name=s.name):
                run["cells"][name] = cells
                if path:
                    report.write(path, run)

            save(measure.scenario(s, peers, plan, measure.stderr,
                                  run["cells"].get(s.name, ()), save))
    except KeyboardInterrupt:
        measure.stderr("interrupted; --resume goes on with the next round")
    print(report.summary(run))
    if path:
        print(f"{path}.md")
