"""Brings the bench to where it can run: venv, wrk, gowsgi, the served file."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from . import BENCH, BUILT, GOWSGI, ROOT, VENV, WORK, servers
from .measure import stderr as say

REQUIREMENTS = BENCH / "requirements.txt"
PACKAGES = {"wrk": "wrk", "libev": "libev-dev"}


class SetupError(Exception):
    """The bench cannot run here; the message says what to do."""


def system(install):
    """Looks for wrk, and for libev's headers, which bjoern is built with.

    With install it asks apt-get for what is missing; else wrk's absence is a
    SetupError and libev's leaves bjoern out.
    """
    missing = [] if shutil.which("wrk") else [PACKAGES["wrk"]]
    if not _has_libev() and not _has("bjoern"):
        missing.append(PACKAGES["libev"])
    if missing and install:
        subprocess.run(["apt-get", "install", "-y", *missing], check=True)
    elif PACKAGES["wrk"] in missing:
        raise SetupError("wrk is not there: apt-get install wrk, or bench/run --install")


def _has_libev():
    return any(Path(d, "ev.h").exists()
               for d in ("/usr/include", "/usr/include/libev", "/usr/local/include"))


def _has(distribution):
    return bool(versions((distribution,)))


def venv(python):
    """Makes the venv with the pinned peers, unless the same was made before."""
    stamp = VENV / ".installed"
    want = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text().startswith(want + " ok"):
        return
    say("installing the peers in bench/.venv")
    if not (VENV / "bin" / "python").exists():
        subprocess.run([python, "-m", "venv", str(VENV)], check=True)
    failed = _install()
    # A peer that cannot be built is tried again next time.
    stamp.write_text(f"{want} {'ok' if not failed else 'without ' + ' '.join(failed)}\n")


def _install():
    """Installs each requirement on its own, so that one that does not build
    costs only itself, and returns the names of those that failed."""
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    lines = [line for line in REQUIREMENTS.read_text().splitlines()
             if line and not line.startswith("#")]
    if subprocess.run([*pip, "-r", str(REQUIREMENTS)], stderr=subprocess.DEVNULL).returncode == 0:
        return []
    failed = []
    for line in lines:
        if subprocess.run([*pip, line], capture_output=True).returncode != 0:
            failed.append(line)
            hint = ("; it needs libev's headers: apt-get install libev-dev, or bench/run --install"
                    if line.startswith("bjoern") else "")
            say(f"cannot install {line}: the run goes on without it{hint}")
    return failed


def versions(distributions):
    """{name: version} of what the venv has of distributions."""
    code = ("import sys, importlib.metadata as m\n"
            "for d in sys.argv[1:]:\n"
            "  try: print(d, m.version(d))\n"
            "  except m.PackageNotFoundError: pass\n")
    try:
        out = subprocess.run([str(VENV / "bin" / "python"), "-c", code, *distributions],
                             capture_output=True, text=True, timeout=30).stdout
    except OSError:
        return {}
    return dict(line.split() for line in out.splitlines())


def gowsgi(build):
    """Copies bin/gowsgi to where the run takes it from, after building it if
    build is set. A failure is said, and the run has no gowsgi."""
    GOWSGI.unlink(missing_ok=True)
    try:
        if build:
            subprocess.run(["go", "build", "-o", str(BUILT), "./cmd/gowsgi"], cwd=ROOT, check=True)
        shutil.copy2(BUILT, GOWSGI)
    except (OSError, subprocess.CalledProcessError) as e:
        say(f"no gowsgi in this run: {e}")


def has_floor():
    """Tells whether the gowsgi binary offers its loop without Python."""
    try:
        r = subprocess.run([str(GOWSGI), "--help"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return servers.FLOOR in r.stdout + r.stderr


def installed(chosen):
    """Those of the servers that can be started here."""
    there = versions({s.distribution for s in chosen if s.distribution})
    out = []
    for s in chosen:
        if s.name == "floor" and not has_floor():
            continue
        if s.distribution and s.distribution not in there:
            say(f"{s.name} is not installed: left out")
            continue
        out.append(s)
    return out


def files():
    """Makes the directory of logs and the file the servers serve."""
    WORK.mkdir(exist_ok=True)
    data = WORK / "file.bin"
    if not data.exists():
        data.write_bytes(b"0123456789abcdef" * (1024 * 1024 // 16))


def default_python():
    return os.environ.get("PYTHON") or sys.executable
