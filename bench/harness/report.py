"""Writes a run as Markdown, JSON and SVG."""

from __future__ import annotations

import json
from pathlib import Path
from dataclasses import asdict

from . import goals, plot, scenarios
from .measure import LEFT_OUT, NOISY, Cell, Round
from .stats import Spread

# A cell says so when wrk used more of its CPU than this: then wrk, and not the
# server, may be what limits it.
CLIENT_BOUND = 0.95

HEAD = ("| server | req/s median | min | max | gowsgi / it | p50 ms | p90 ms | p99 ms "
        "| CPU us/req | PSS MiB | RSS MiB | keep-alive | remarks |\n"
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|---|\n")


def exists(path):
    """Tells whether a result of this name is there; path has no suffix."""
    return any(_file(path, kind).exists() for kind in ("md", "json", "svg"))


def _file(path, kind):
    """path.kind; with_suffix would take "v1.2" for a name with a suffix."""
    return path.with_name(f"{path.name}.{kind}")


def write(path, run):
    """Writes path.md, path.json and path.svg. run is {"command", "machine",
    "rounds", "seconds", "cells": {scenario name: [Cell]}}."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = dict(run, cells={name: [asdict(c) for c in cells]
                            for name, cells in run["cells"].items()})
    _file(path, "json").write_text(_portable(json.dumps(data, indent=1) + "\n"))
    _file(path, "svg").write_text(plot.svg(_panels(run)))
    _file(path, "md").write_text(_portable(markdown(path.name, run)))


def read(path):
    """The run in path.json, as write takes it."""
    run = json.loads(_file(path, "json").read_text())
    run["cells"] = {name: [_read_cell(c) for c in cells] for name, cells in run["cells"].items()}
    return run


def _read_cell(d):
    ratio = Spread(**d["ratio"]) if d["ratio"] else None
    return Cell(**dict(d, rounds=[Round(**r) for r in d["rounds"]], ratio=ratio))


def _portable(text):
    """Takes the checkout's own place on this machine out of command lines."""
    return text.replace(str(Path(__file__).resolve().parents[2]) + "/", "")


def _titles():
    return {s.name: s for s in scenarios.SCENARIOS}


def _panels(run):
    """The panels of plot.svg."""
    titles = _titles()
    return [(f"{name}: {titles[name].title}",
             [(c.server, c.spread("rate") if not c.fault else None, c.reference) for c in cells
              if not c.fault.startswith(LEFT_OUT)])
            for name, cells in run["cells"].items()]


def markdown(name, run):
    """The whole report."""
    out = [f"# {name}\n"]
    out.append("".join(f"- {fact}: {value}\n" for fact, value in run["machine"].items()))
    out.append(f"Command: `{run['command']}`; {run['rounds']} rounds of {run['seconds']} s each, "
               "interleaved over the servers. How to read this: [README](../README.md).\n")
    out.append(f"![requests per second]({name}.svg)\n")
    out.append(_goals(run))
    titles = _titles()
    for scenario, cells in run["cells"].items():
        out.append(f"## {scenario}: {titles[scenario].title}\n")
        out.append(HEAD + "".join(_row(c) for c in cells))
    out.append("## Commands\n")
    out.append("As run in the first scenario each server took part in; ports are the kernel's.\n")
    out.append("```\n" + "".join(_commands(run)) + "```\n")
    out.append("## Raw requests/s by round\n")
    out.append("```\n" + "".join(_raw(run)) + "```\n")
    return "\n".join(out)


def _goals(run):
    rows = [f"| {g.scenario} | {g.text} | {_cell(seen)} | {'yes' if good else '**no**'} |\n"
            for g, seen, good in goals.judged(run["cells"])]
    if not rows:
        return ""
    return ("## Goals\n\n| scenario | gowsgi is to reach | measured | reached |\n|---|---|---|---|\n"
            + "".join(rows))


def _row(c):
    if c.fault:
        rate = c.spread("rate")
        seen = f" ({rate.median:.0f} req/s do not count)" if rate else ""
        return f"| {c.server} | - | | | | | | | | | | | {_cell(_fault(c))}{seen} |\n"
    rate, ratio = c.spread("rate"), ""
    if c.ratio and c.server != "gowsgi":
        ratio = f"{c.ratio.median:.2f} ({c.ratio.min:.2f}-{c.ratio.max:.2f})"
    figures = [f"{rate.median:.0f}", f"{rate.min:.0f}", f"{rate.max:.0f}", ratio]
    figures += [f"{c.spread(name).median:.2f}" for name in ("p50", "p90", "p99")]
    figures.append(f"{c.spread('cpu_us').median:.1f}")
    figures += [f"{c.spread(name).median / 2**20:.1f}" for name in ("pss", "rss")]
    figures.append("yes" if c.kept_alive else "no")
    return f"| {c.server} | " + " | ".join(figures) + f" | {_cell(_remarks(c))} |\n"


def _fault(c):
    return c.fault if c.fault.startswith(LEFT_OUT) else "invalid: " + c.fault


def _cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def _remarks(c):
    remarks = [c.note] if c.note else []
    slow = c.spread("slow_rate")
    if slow.max > 0:
        remarks.append(f"slow ones {slow.median:.1f}/s")
    if c.idle_bytes:
        remarks.append(f"{c.idle_bytes / 1024:.2f} KiB per idle connection")
    if c.spread("client").median > CLIENT_BOUND:
        remarks.append("wrk at its limit")
    foreign = c.spread("foreign").max
    if foreign > NOISY:
        remarks.append(f"up to {foreign:.0%} of the machine used by others")
    return "; ".join(remarks)


def _commands(run):
    seen = {}
    for cells in run["cells"].values():
        for c in cells:
            if c.command and c.server not in seen:
                seen[c.server] = " ".join(c.command)
    return [f"{server}: {command}\n" for server, command in seen.items()]


def _raw(run):
    for scenario, cells in run["cells"].items():
        for c in cells:
            if c.rounds:
                rates = " ".join(f"{r.round + 1}:{r.rate:.0f}" for r in c.rounds)
                yield f"{scenario} {c.server} {rates}\n"


def summary(run):
    """The medians as plain text, for the terminal."""
    out = []
    for scenario, cells in run["cells"].items():
        out.append(scenario)
        for c in cells:
            if c.fault:
                out.append(f"  {c.server:<17}{_fault(c)}")
                continue
            ratio = f"{c.ratio.median:6.2f}x" if c.ratio and c.server != "gowsgi" else " " * 7
            rate, cpu = c.spread("rate").median, c.spread("cpu_us").median
            p50, p99 = c.spread("p50").median, c.spread("p99").median
            out.append(f"  {c.server:<17}{rate:>9.0f}/s {ratio}  p50 {p50:7.2f}  p99 {p99:7.2f} ms"
                       f"  {cpu:7.1f} us  {c.spread('pss').median / 2**20:6.1f} MiB  {_remarks(c)}")
    for g, seen, good in goals.judged(run["cells"]):
        out.append(f"{'reached' if good else 'MISSED ':<8} {g.scenario:<10} {g.text}: {seen}")
    return "\n".join(out)
