"""What /proc says of a server's process tree and of the machine."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    pid: int
    state: str
    parent: int
    session: int
    started: int  # ticks after boot; with pid it names a process for good
    # Seconds of user and system time, with those of children it has waited for.
    cpu: float


def parse_stat(text):
    """A Process from /proc/<pid>/stat. The name may hold spaces and brackets."""
    pid = int(text[: text.index(" ")])
    fields = text[text.rindex(")") + 2:].split()
    return Process(
        pid=pid,
        state=fields[0],
        parent=int(fields[1]),
        session=int(fields[3]),
        started=int(fields[19]),
        cpu=sum(map(int, fields[11:15])) / TICK,
    )


def parse_memory(text, name):
    """Bytes of the field name ("Pss", "Rss") in smaps_rollup; 0 if it is not there."""
    for line in text.splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return 0


def processes():
    """All processes there are."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as f:
                found.append(parse_stat(f.read()))
        except OSError:
            continue  # it ended meanwhile
    return found


def tree(root, among):
    """root's descendants and what else runs in the session it leads.

    The session finds orphans: processes whose parent has ended belong to init.
    """
    inside = {root}
    while True:
        more = {p.pid for p in among if p.parent in inside or p.session == root} - inside
        if not more:
            return [p for p in among if p.pid in inside and p.state != "Z"]
        inside |= more


def tree_cpu(root):
    """CPU seconds of the whole tree so far, ended and reaped children included."""
    return sum(p.cpu for p in tree(root, processes()))


def tree_memory(root):
    """(PSS of the tree, RSS of its largest process) in bytes. In the
    proportional set size pages that processes share count once."""
    pss = rss = 0
    for p in tree(root, processes()):
        try:
            with open(f"/proc/{p.pid}/smaps_rollup") as f:
                text = f.read()
        except OSError:
            continue
        pss += parse_memory(text, "Pss")
        rss = max(rss, parse_memory(text, "Rss"))
    return pss, rss


def machine_busy():
    """CPU seconds all processes of the machine have used since boot."""
    with open("/proc/stat") as f:
        user, nice, system, _idle, _iowait, irq, softirq, _steal = map(
            int, f.readline().split()[1:9]
        )
    return (user + nice + system + irq + softirq) / TICK


def wait_quiet(seconds, share):
    """Waits, seconds at most, until less than share of the machine was used for
    one second. Nothing of the bench may run meanwhile but idle servers."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        busy, clock = machine_busy(), time.monotonic()
        time.sleep(1)
        used = (machine_busy() - busy) / (time.monotonic() - clock)
        if used < share * os.cpu_count():
            return
