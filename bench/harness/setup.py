"""Brings the bench to where it can run: venv, wrk, gowsgi, the served file."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from . import BENCH, BUILT, FLOOR, GOWSGI, ROOT, VENV, WORK
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
        r = subprocess.run([*pip, line], capture_output=True, text=True)
        if r.returncode != 0:
            failed.append(line)
            say(f"cannot install {line}: the run goes on without it. {_why(line, r.stderr)}")
    return failed


def _why(requirement, output):
    """What is known to be missing for a package that is built here, or the last
    that pip said."""
    if not shutil.which(os.environ.get("CC", "cc")):
        return "It needs a C compiler: apt-get install gcc"
    include = subprocess.run([str(VENV / "bin" / "python"), "-c",
                              "import sysconfig; print(sysconfig.get_path('include'))"],
                             capture_output=True, text=True).stdout.strip()
    if not Path(include, "Python.h").exists():
        return f"It needs Python's headers ({include}/Python.h): apt-get install python3-dev"
    if requirement.startswith("bjoern") and not _has_libev():
        return "It needs libev's headers: apt-get install libev-dev, or bench/run --install"
    return output.strip().splitlines()[-1] if output.strip() else ""


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


def gowsgi(build, floor):
    """Copies bin/gowsgi to where the run takes it from, after building it if
    build is set; with floor it also builds the loop with a constant answer. A
    failure is said, and the run goes on without."""
    for binary in (GOWSGI, FLOOR):
        binary.unlink(missing_ok=True)
    try:
        if build:
            _go_build(BUILT)
        shutil.copy2(BUILT, GOWSGI)
        if floor:
            _go_build(FLOOR, "-tags", "floor")
    except (OSError, subprocess.CalledProcessError) as e:
        say(f"building gowsgi: {e}")


def _go_build(to, *flags):
    subprocess.run(["go", "build", *flags, "-o", str(to), "./cmd/gowsgi"], cwd=ROOT, check=True)


def installed(chosen):
    """Those of the servers that can be started here."""
    there = versions({s.distribution for s in chosen if s.distribution})
    own = {"gowsgi": GOWSGI, "baseline": GOWSGI, "floor": FLOOR}
    out = []
    for s in chosen:
        if not (s.distribution in there if s.distribution else own[s.name].exists()):
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


def prepare(install, python, build, peers):
    """All of it, for these servers. SetupError, or what a command of it raises."""
    system(install)
    venv(python)
    files()
    gowsgi(build, any(p.name == "floor" for p in peers))


def default_python():
    return os.environ.get("PYTHON") or sys.executable
