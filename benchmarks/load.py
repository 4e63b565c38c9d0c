"""Load: fifty phones at once against the deployed server settings; what gives way first.

    python -m benchmarks.load --quick
    python -m benchmarks.load --minutes 30      # does memory grow?

Phones sync without a pause (`load_client.py`, a process of its own): idle, small and large syncs, mixed.
On SQLite the server is the `local` profile as a clinic runs it; on Firestore it is one instance of
`sync` as deployed, 16 threads, on the emulator. Before, each kind runs alone on one connection: its service
time, from which `scale.py` predicts this very load.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from benchmarks import processes, profile, stacks
from benchmarks.load_client import KINDS, SETTLED
from benchmarks.measure import Report, main
from infra.local import emulators
from infra.local.stack import Stack
from tests.e2e.conftest import Deployment

CONNECTIONS = 50

#: Share of each kind of sync.
MIX = {"idle": 0.60, "small": 0.35, "large": 0.05}

#: Teams have five phones; none syncs more often than every few seconds at the speed reached.
TEAM = 5

SQLITE, FIRESTORE = "SQLite", "Firestore emulator"

#: How often memory is looked at, seconds; how long each profile is taken.
_LOOK_SECONDS, _SAMPLE_SECONDS = 2.0, 8

#: Functions and packages listed of a profile.
_LISTED = 6

#: Most that memory may grow in the second half of the run, share of what it was.
MOST_GROWTH = 0.05

_SEED = 7

#: How long a phone's token holds, seconds: no phone of the load logs in again.
_TOKEN_SECONDS = 86_400


class Server(NamedTuple):
    """A running back end and the process ids that the load falls upon."""

    profile: str
    url: str
    pids: list[int]  #: of the server under test
    emulator: list[int]
    join: Callable[[str, str], str]  #: puts a new user into a team; gives what her phone shows
    dialect: str = "ours"  #: of its phones: see `load_client.PHONES`

    def phones(self, count: int) -> list[tuple[str, str]]:
        """New users with their tokens (a peer's: their team), in teams."""
        stem = uuid.uuid4().hex[:6]
        users = [(f"{stem}-{number}", f"{stem}-team-{number // TEAM}") for number in range(count)]
        return [(user, self.join(user, team)) for user, team in users]


class Found(NamedTuple):
    """What one load gave."""

    seconds: float
    took_ms: dict[str, list[float]]
    errors: dict[str, int]
    http_requests: int
    cpu: float  #: processor seconds of the server
    emulator_cpu: float
    memory: list[tuple[float, float]]  #: (seconds since the start, MB)

    @property
    def syncs(self) -> int:
        return sum(map(len, self.took_ms.values()))


@contextmanager
def server(profile_: str) -> Iterator[Server]:
    """A back end of that profile. Needs the emulators' addresses for Firestore."""
    # a head of the trail that is just being kept may still be written into the folder
    temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with ExitStack() as stack, temporary as folder:
        environ = {"GOOGLE_CLOUD_PROJECT": f"load-{uuid.uuid4().hex[:8]}", "MODEL": "scripted"}
        if profile_ == SQLITE:
            made = Stack(profile="local", data=Path(folder) / "data", environ=environ)
        else:
            rows = stacks.table(Path(folder), "sync", "analyse", "dead_letters", "sweeper")
            data = Path(folder) / "data"
            made = Stack(profile="emulator", data=data, environ=environ, table=rows)
        stack.enter_context(made)
        place = Deployment(made)
        stack.callback(place.store.close)
        url = made.url if profile_ == SQLITE else made.address("sync")
        children = processes.descendants(os.getpid())
        pids = processes.named(children, "--port", str(urlsplit(url).port))
        emulator = []
        if profile_ == FIRESTORE:
            port = os.environ[stacks.FIRESTORE].rpartition(":")[2]
            emulator = processes.named(children, f"--port={port}")

        def join(user: str, team: str) -> str:
            place.join(user, team)
            return place.token(user, seconds=_TOKEN_SECONDS)

        yield Server(profile_, url, pids, emulator, join)


def press(
    to: Server,
    *,
    phones: int,
    seconds: float,
    connections: int = CONNECTIONS,
    mix: Mapping[str, float] = MIX,
    requests: int | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Found:
    """Let phones sync; `meanwhile` runs in a thread while they do.

    Memory and processor time are counted from the moment at which every phone has synced once.
    """
    address = urlsplit(to.url)
    plan = {
        "host": address.hostname,
        "port": address.port,
        "dialect": to.dialect,
        "phones": to.phones(phones),
        "connections": connections,
        "seconds": seconds,
        "seed": _SEED,
        "mix": dict(mix),
        "requests": requests,
    }
    client = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load_client"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    memory: list[tuple[float, float]] = []
    ended = threading.Event()
    began = time.monotonic()

    def watch() -> None:
        while not ended.is_set():
            memory.append((time.monotonic() - began, processes.pss_mb(to.pids)))
            ended.wait(_LOOK_SECONDS)

    assert client.stdin is not None
    assert client.stdout is not None
    threads = [threading.Thread(target=each, daemon=True) for each in (watch, meanwhile)]
    try:
        with client.stdin as plan_file:
            plan_file.write(json.dumps(plan))
        settled = client.stdout.readline().strip() == SETTLED
        before = _cpu(to)
        for thread in threads:
            thread.start()
        said = client.stdout.read()
        if client.wait() or not settled:
            raise RuntimeError(f"the client ended with code {client.returncode}")
        own, emulator = (now - then for now, then in zip(_cpu(to), before, strict=True))
    finally:
        ended.set()
        if client.poll() is None:
            client.kill()
            client.wait()
        client.stdout.close()
    for thread in threads:
        thread.join()
    value: dict[str, Any] = json.loads(said)
    return Found(**value, cpu=own, emulator_cpu=emulator, memory=memory)


def _cpu(to: Server) -> tuple[float, float]:
    return processes.cpu_seconds(to.pids), processes.cpu_seconds(to.emulator)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def run(quick: bool) -> Report:
    """Both profiles: service times alone, the load, the bottleneck."""
    report = Report("load")
    if not processes.READABLE:
        report.absent.append("everything: memory and processor time are read from Linux's /proc")
        return report
    with ExitStack() as stack:
        wanted = [SQLITE, FIRESTORE]
        try:
            stack.enter_context(stacks.emulated())
        except emulators.EmulatorMissing as error:
            report.absent.append(f"{FIRESTORE}: {error}")
            wanted.remove(FIRESTORE)
        for each in wanted:
            with server(each) as to:
                _alone(report, to, 5 if quick else 40)
                _crowd(report, to, quick)
                if each == SQLITE or not quick:
                    _bottleneck(report, to, quick)
    return report


def _alone(report: Report, to: Server, times: int) -> None:
    """Service time of each kind, and of the mix: one connection, nothing else."""
    plans = [(f"{kind} sync", {kind: 1.0}, times) for kind in MIX]
    # in a mix idle syncs bring what the others of the team pushed
    plans.append(("mixed syncs", MIX, 4 * times))
    for what, mix, requests in plans:
        found = press(to, phones=TEAM, seconds=600, connections=1, mix=mix, requests=requests)
        case = f"{to.profile}: {what} alone"
        took = [each for values in found.took_ms.values() for each in values]
        report.row(case, "ours", "ms", took)
        report.row(f"{case}, processor", "ours", "ms", [found.cpu / requests * 1000])
        if to.emulator:
            share = found.emulator_cpu / requests * 1000
            report.row(f"{case}, processor of the emulator", "ours", "ms", [share])


def _crowd(report: Report, to: Server, quick: bool) -> None:
    seconds = 5 if quick else 120
    found = press(to, phones=60 if quick else 500, seconds=seconds)
    tell(report, f"{to.profile}, {CONNECTIONS} at once", found)
    failed = sum(found.errors.values())
    report.goal(f"{to.profile}: no sync fails", f"{failed} of {found.syncs + failed}", failed == 0)


def tell(report: Report, case: str, found: Found) -> None:
    """Rows of a load."""
    report.row(f"{case}: throughput", "ours", "syncs/s", [found.syncs / found.seconds])
    new = sum(KINDS[kind] * len(took) for kind, took in found.took_ms.items())
    report.row(f"{case}: new records", "ours", "records/s", [new / found.seconds])
    for kind, took in found.took_ms.items():
        for share in (0.5, 0.95, 0.99):
            if took:
                name = f"{case}: {kind} sync, p{share * 100:.0f}"
                report.row(name, "ours", "ms", [percentile(took, share)])
    note = json.dumps(found.errors)
    report.row(f"{case}: errors", "ours", "syncs", [sum(found.errors.values())], note)
    report.row(f"{case}: processor of the server", "ours", "cores", [found.cpu / found.seconds])
    if found.emulator_cpu:
        cores = found.emulator_cpu / found.seconds
        report.row(f"{case}: processor of the emulator", "ours", "cores", [cores])
    first, last = found.memory[0][1], found.memory[-1][1]
    report.row(f"{case}: memory of the server before", "ours", "MB", [first])
    report.row(f"{case}: memory of the server after", "ours", "MB", [last])


def _bottleneck(report: Report, to: Server, quick: bool) -> None:
    """Sample the busiest process of the server under the same load."""
    seconds = 2 if quick else _SAMPLE_SECONDS
    try:
        profile.installed()
    except profile.Absent as error:
        report.absent.append(f"{to.profile}: the bottleneck. {error}")
        return
    seen: list[profile.Profile] = []
    why: list[str] = []
    counts = {pid: processes.cpu_seconds([pid]) for pid in to.pids}

    def look() -> None:
        time.sleep(2)  # to see who is busy
        busiest = max(to.pids, key=lambda pid: processes.cpu_seconds([pid]) - counts[pid])
        try:
            seen.append(profile.sample(busiest, seconds))
        except profile.Absent as error:
            why.append(str(error))

    press(to, phones=50, seconds=2 + 2 * seconds + 4, meanwhile=look)
    if not seen:
        report.absent.append(f"{to.profile}: the bottleneck. {why[0]}")
        return
    case = f"{to.profile}, {CONNECTIONS} at once, busiest process"
    report.row(f"{case}: time with the interpreter's lock held", "ours", "%", [seen[0].gil * 100])
    shares = (
        ("a request's time in", seen[0].waits),
        ("time with the lock in", seen[0].works),
        ("time with the lock, code of", seen[0].packages),
    )
    for what, found in shares:
        for name, share in list(found.items())[:_LISTED]:
            report.row(f"{case}: {what} {name}", "ours", "%", [share * 100])


def soak(minutes: float) -> Report:
    """The same load for long, on both profiles: memory at its quarters, and whether it grows."""
    report = Report("load_soak")
    with ExitStack() as stack:
        stack.enter_context(stacks.emulated())
        for each in (SQLITE, FIRESTORE):
            with server(each) as to:
                found = press(to, phones=500, seconds=minutes * 60)
            case = f"{each}, {minutes:g} minutes"
            tell(report, case, found)
            failed = sum(found.errors.values())
            report.goal(
                f"{case}: no sync fails", f"{failed} of {found.syncs + failed}", failed == 0
            )
            quarters = quarterly(found.memory)
            for number, value in enumerate(quarters, 1):
                report.row(f"{case}: memory, quarter {number}", "ours", "MB", [value])
            growth = quarters[3] / quarters[1] - 1
            report.goal(
                f"{case}: memory of the last quarter ≤ {MOST_GROWTH:.0%} over the second's",
                f"{growth:+.1%}",
                growth <= MOST_GROWTH,
            )
    return report


def quarterly(memory: Sequence[tuple[float, float]]) -> list[float]:
    """The median of each quarter of the time. Raises `ValueError` for a run that is too short."""
    if len(memory) < 8:
        raise ValueError("too few looks at memory: let it run longer")
    end = memory[-1][0]
    parts: list[list[float]] = [[], [], [], []]
    for at, value in memory:
        parts[min(3, int(at / end * 4))].append(value)
    return [statistics.median(part) for part in parts]


def _command() -> None:
    """`--minutes N` is a long run; everything else is as for every benchmark."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--minutes", type=float)
    chosen, rest = parser.parse_known_args()
    if chosen.minutes is None or rest:
        main(__name__, run)
        return
    report = soak(chosen.minutes)
    print(report.table())
    report.save(quick=False)


if __name__ == "__main__":
    _command()
