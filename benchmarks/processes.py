"""What running processes use, read from Linux's /proc: memory and processor time.

PSS (proportional set size) counts a page that n processes share as 1/n of a page in each, so a sum
over a server's processes is what the server takes.
"""

from __future__ import annotations

import os
from pathlib import Path

#: False elsewhere than on Linux: then nothing here can be measured.
READABLE = Path("/proc/self/smaps_rollup").exists()

_TICKS = os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """`pid` and all processes below it."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            stat = _text(entry / "stat")
            if stat:
                below.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(
                    int(entry.name)
                )
    found, waiting = [], [pid]
    while waiting:
        here = waiting.pop()
        found.append(here)
        waiting += below.get(here, [])
    return found


def named(pids: list[int], *words: str) -> list[int]:
    """Those of `pids` whose command line has all of the words."""
    found = []
    for pid in pids:
        command = _text(Path(f"/proc/{pid}/cmdline")).split("\0")
        if all(word in command for word in words):
            found.append(pid)
    return found


def pss_mb(pids: list[int]) -> float:
    """Memory of processes together, MB (10^6 bytes)."""
    kilobytes = 0
    for pid in pids:
        for line in _text(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
            if line.startswith("Pss:"):
                kilobytes += int(line.split()[1])
    return kilobytes * 1024 / 1e6


def cpu_seconds(pids: list[int]) -> float:
    """Processor time of processes so far, their own and the kernel's for them."""
    ticks = 0
    for pid in pids:
        stat = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        if stat:
            ticks += int(stat[11]) + int(stat[12])
    return ticks / _TICKS


def run_ms(pids: list[int]) -> float:
    """As `cpu_seconds`, in ms and finer: what their threads that still run have spent on a processor.

    See `/proc/PID/schedstat` in the kernel's Documentation/scheduler/sched-stats.rst.
    """
    spent = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*"):
            spent += int((_text(task / "schedstat") or "0").split()[0])
    return spent / 1e6


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has just ended
        return ""
