"""Where a running Python process spends its time: py-spy, which samples it from outside.

py-spy is installed in an environment of its own (`benchmarks/requirements.txt`). It needs the right to
look into another process: root, or `kernel.yama.ptrace_scope` 0.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.infra import deployed

_REQUIREMENTS = Path(__file__).with_name("requirements.txt")

#: Samples a second.
_RATE = 100

_FRAME = re.compile(r"(.+) \((.+?)(?::\d+)?\)$")


class Absent(Exception):
    """The process cannot be sampled; the message says why."""


class Profile(NamedTuple):
    """Shares from 0 to 1; functions like "shared/sync/push.py Pusher.push", packages like "grpc"."""

    gil: float  #: of the whole time, how much some thread held the interpreter's lock
    waits: dict[str, float]  #: of requests' time, by our innermost function: also where they wait
    works: dict[str, float]  #: of the time with the lock, by our innermost function
    packages: dict[str, float]  #: of the time with the lock, by the package whose code ran


def installed() -> Path:
    """py-spy. Raises `Absent`."""
    try:
        return deployed.python_with(_REQUIREMENTS, "benchmarks").with_name("py-spy")
    except deployed.NotInstalled as error:
        raise Absent(f"py-spy is not installed: {error}") from None


def sample(pid: int, seconds: int) -> Profile:
    """Sample a process twice for `seconds`: every thread, then who holds the lock. Raises `Absent`."""
    everyone, holding = _record(pid, seconds, "--idle"), _record(pid, seconds, "--gil")
    waits: Counter[str] = Counter()
    works: Counter[str] = Counter()
    packages: Counter[str] = Counter()
    for stack, count in everyone:
        if own := _innermost(stack):  # a thread without a frame of ours has no request
            waits[own] += count
    for stack, count in holding:
        works[_innermost(stack) or "none of ours"] += count
        packages[_package(stack[-1])] += count
    gil = sum(works.values()) / (seconds * _RATE)
    return Profile(gil, _shares(waits), _shares(works), _shares(packages))


def _shares(counts: Counter[str]) -> dict[str, float]:
    total = sum(counts.values()) or 1
    return {name: count / total for name, count in counts.most_common()}


def _innermost(stack: list[str]) -> str:
    return next((name for name in map(_own, reversed(stack)) if name), "")


def _record(pid: int, seconds: int, *options: str) -> list[tuple[list[str], int]]:
    tool = installed()
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        command = [str(tool), "record", "-p", str(pid), "-d", str(seconds), "-r", str(_RATE)]
        done = subprocess.run(
            [*command, "-f", "raw", "-o", file.name, *options],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Absent(f"py-spy cannot look into the server: {done.stderr.strip()[-300:]}")
        found = []
        for line in Path(file.name).read_text("utf-8").splitlines():
            stack, _, count = line.rpartition(" ")
            found.append((stack.split(";"), int(count)))
        return found


def _own(frame: str) -> str:
    """Our file and function, from `push (shared/sync/push.py:31)`; empty for others'."""
    match = _FRAME.match(frame)
    part = match and re.search(r"(?:^|/)((?:shared|functions)/[\w/]+\.py)$", match[2])
    if not match or not part or "site-packages" in match[2]:
        return ""
    return f"{part[1]} {match[1]}"


def _package(frame: str) -> str:
    """`gunicorn`, `google/api_core`, `shared/sync/push.py`, or `Python` for its own library."""
    if own := _own(frame):
        return own.split()[0]
    match = _FRAME.match(frame)
    parts = (match[2] if match else "").rpartition("site-packages/")[2].split("/")
    # py-spy shortens installed paths to what is imported: `grpc/_channel.py`, `threading.py`
    if not parts[0] or parts[0].removesuffix(".py") in sys.stdlib_module_names:
        return "Python"
    return "/".join(parts[:2]) if parts[0] == "google" else parts[0].removesuffix(".py")
