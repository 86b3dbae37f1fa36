"""The benchmark harness: see ../README.md. Python standard library only."""

from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
VENV = BENCH / ".venv"
WORK = BENCH / ".work"  # logs and the served file of the last run
RESULTS = BENCH / "results"
APPS = BENCH / "apps"
BUILT = ROOT / "bin" / "gowsgi"
# A copy of what was built: a build in the middle of a run changes nothing.
GOWSGI = WORK / "gowsgi"
# The same with the build tag floor: the loop with a constant answer.
FLOOR = WORK / "gowsgi-floor"
