"""What gowsgi is to reach, as figures of one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

MIB = 1 << 20


@dataclass(frozen=True)
class Goal:
    scenario: str
    text: str
    # {server: Cell without a fault} -> (what was measured, whether that will do),
    # or None if the run does not say.
    judge: Callable


def _ratio(server, least):
    """gowsgi's rate is at least so many times that of server."""
    def judge(cells):
        cell = cells.get(server)
        if not cell or not cell.ratio:
            return None
        r = cell.ratio
        return f"{r.median:.2f} ({r.min:.2f}-{r.max:.2f})", r.median >= least
    return judge


def _best(least):
    """The same for every peer: what counts is the one that comes nearest."""
    def judge(cells):
        peers = [c for c in cells.values() if c.ratio and not c.reference]
        if not peers:
            return None
        near = min(peers, key=lambda c: c.ratio.median)
        shown, good = _ratio(near.server, least)(cells)
        return f"{shown} {near.server}", good
    return judge


def _figure(name, unit, scale=1.0, least=None, most=None):
    """The median of a figure of gowsgi's rounds is in bounds."""
    def judge(cells):
        if "gowsgi" not in cells:
            return None
        value = cells["gowsgi"].spread(name).median / scale
        good = (least is None or value >= least) and (most is None or value <= most)
        return f"{value:.2f} {unit}", good
    return judge


def _least_cpu(cells):
    """No peer needs less CPU per request."""
    used = {c.server: c.spread("cpu_us").median for c in cells.values() if not c.reference}
    if "gowsgi" not in used or len(used) < 2:
        return None
    ours = used.pop("gowsgi")
    best = min(used, key=used.get)
    return f"{ours:.1f} us; {best} {used[best]:.1f} us", ours <= used[best]


def _idle_bytes(cells):
    if "gowsgi" not in cells:
        return None
    each = cells["gowsgi"].idle_bytes / 1024
    return f"{each:.2f} KiB", each <= 8


GOALS = [
    Goal("hello-c32", "1.0 x bjoern", _ratio("bjoern", 1.0)),
    Goal("hello-c32", "1.3 x granian", _ratio("granian", 1.3)),
    Goal("hello-c32", "18 x gunicorn sync", _ratio("gunicorn-sync", 18)),
    Goal("hello-c32", "0.85 x the loop without Python", _ratio("floor", 0.85)),
    Goal("hello-c32", "a worker at most 16 MiB RSS", _figure("rss", "MiB", MIB, most=16)),
    Goal("flask-c32", "1.0 x bjoern", _ratio("bjoern", 1.0)),
    Goal("flask-c32", "1.0 x granian", _ratio("granian", 1.0)),
    Goal("flask-c32", "4 x gunicorn sync", _ratio("gunicorn-sync", 4)),
    Goal("flask-c32", "the least CPU per request", _least_cpu),
    Goal("newconn", "3 x gunicorn sync", _ratio("gunicorn-sync", 3)),
    Goal("newconn", "1.0 x bjoern", _ratio("bjoern", 1.0)),
    Goal("newconn", "1.0 x granian", _ratio("granian", 1.0)),
    Goal("mixed", "p99 of the fast at most 1 ms", _figure("p99", "ms", most=1)),
    Goal("mixed", "3 x granian", _ratio("granian", 3)),
    Goal("mixed", "the slow not slowed: 95% of 30/s",
         _figure("slow_rate", "/s", least=0.95 * 30)),
    Goal("up1m", "1.0 x the best peer", _best(1.0)),
    Goal("down1m", "1.0 x the best peer", _best(1.0)),
    Goal("file", "1.0 x the best peer", _best(1.0)),
    Goal("threads", "0.8 x 1 thread", _ratio("baseline", 0.8)),
    Goal("sleep", "95% of 400/s", _figure("rate", "/s", least=0.95 * 400)),
    Goal("accesslog", "0.9 x without", _ratio("baseline", 0.9)),
    Goal("idle", "at most 8 KiB per idle connection", _idle_bytes),
    Goal("idle", "0.9 x without", _ratio("baseline", 0.9)),
]


def judged(run_cells):
    """[(goal, what was measured, whether that will do)] of {scenario: [Cell]},
    as far as the run says."""
    out = []
    for goal in GOALS:
        cells = {c.server: c for c in run_cells.get(goal.scenario, ()) if not c.fault and c.rounds}
        verdict = goal.judge(cells)
        if verdict:
            out.append((goal, *verdict))
    return out
