"""What a result must say of where and with what it was made."""

from __future__ import annotations

import os
import platform
import subprocess

from . import GOWSGI, ROOT, setup


LOAD = "load average at start"


def _first_line(*command):
    try:
        r = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return "?"
    lines = (r.stdout + r.stderr).strip().splitlines()
    return lines[0] if lines else "?"


def _cpu_model():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "?"


def describe():
    """{fact: value} of the machine and of every version in the run."""
    commit = _first_line("git", "describe", "--always", "--abbrev=12", "--dirty")
    facts = {
        "CPU": f"{_cpu_model()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 20} MiB",
        "kernel": platform.release(),
        LOAD: " ".join(f"{x:.2f}" for x in os.getloadavg()),
        "gowsgi": _first_line(str(GOWSGI), "--version") + ", commit " + commit,
        "go": _first_line("go", "version"),
        "python": _first_line(str(setup.VENV / "bin" / "python"), "--version"),
        "wrk": _first_line("wrk", "--version").split(" Copyright")[0],
    }
    facts.update(setup.versions([
        line.split("==")[0] for line in setup.REQUIREMENTS.read_text().splitlines()
        if "==" in line
    ]))
    return facts
