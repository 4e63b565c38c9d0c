"""A cold start: how long until a function answers, what it then takes, what it loaded and for whom.

    python -m benchmarks.cold_start --quick

Every process is new: the archive that is deployed, a Python with its lock alone, the environment that
Terraform sets, the command that Google's buildpack runs. A function that DermaDetect does not have is
started as its own product deploys it. The floor is the smallest
function there is: functions-framework and the Firestore client, nothing of ours. Ours and the floor
run in turn. A container's own start, which the platform does before, is not in the numbers.
"""

from __future__ import annotations

import http.client
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks import processes
from benchmarks.imports import MADE, environment, package_of
from benchmarks.measure import Report, main
from infra.ci import lock
from infra.local.processes import free_port
from tests.infra import deployed

#: The floor's whole source.
_BARE = """
import functions_framework
from google.cloud import firestore

@functions_framework.http
def bare(request):
    return "ok"
"""
#: What makes the floor's client usable, as `MADE` does for ours.
_BARE_MADE = "from google.cloud import firestore; firestore.Client(project='clinic')._firestore_api"

#: Prints seconds and resident MB after running the code in `{}`.
_TIMED = """
import time
began = time.perf_counter()
import functions_framework
import main
{}
took = time.perf_counter() - began
kb = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))
print(took, kb * 1024 / 1e6)
"""

#: Longest wait for a first answer, seconds.
_PATIENCE_SECONDS = 60.0

#: The goals of sync: import against the floor's, and resident memory, MB.
MOST_TIMES, MOST_MB = 1.25, 100.0

#: The goals of a start: sync's first answer against the floor's, and each server's memory, MB.
MOST_STARTS, MOST_SERVER_MB = 1.15, 90.0

#: Packages listed of what sync loads.
_LISTED = 10

_LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| ( *)(\S+)$")


class Place(NamedTuple):
    """Where a process runs: its Python, its folder, its environment."""

    python: Path
    folder: Path
    environ: Mapping[str, str]

    def run(self, code: str, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """A new process that runs `code`."""
        return subprocess.run(
            [self.python, *options, "-c", code],
            cwd=self.folder,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            check=True,
        )

    def timed(self, then: str = "", **environ: str) -> tuple[float, float]:
        """Milliseconds and resident MB of importing the framework and main, and doing `then`."""
        seconds, megabytes = self.run(_TIMED.format(then), **environ).stdout.split()
        return float(seconds) * 1000, float(megabytes)

    def first_answer(self, name: str) -> tuple[float, float]:
        """Milliseconds from the command to the first answer, and the server's PSS then, MB."""
        port = free_port()
        began = time.perf_counter()
        child = subprocess.Popen(
            [self.python, "-m", "functions_framework", "--target", name],
            cwd=self.folder,
            env={**self.environ, "PORT": str(port)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not _answers(port):
                if child.poll() is not None or time.perf_counter() - began > _PATIENCE_SECONDS:
                    raise RuntimeError(f"{name} does not start")
                time.sleep(0.005)
            took = (time.perf_counter() - began) * 1000
            return took, processes.pss_mb(processes.descendants(child.pid))
        finally:
            child.terminate()
            child.wait(30)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/no-such-path")
        return connection.getresponse().status > 0
    except OSError:
        return False
    finally:
        connection.close()


def product_of(name: str) -> str:
    """Whose deployment a function is started in: DermaDetect's, if it has it."""
    own = deployed.FUNCTIONS[name].products
    return own[0] if own and lock.DEFAULT not in own else lock.DEFAULT


def run(quick: bool) -> Report:
    """Every function's start against the bare one."""
    report = Report("cold_start")
    if not processes.READABLE:
        report.absent.append("everything: memory is read from Linux's /proc")
        return report
    names = ("sync", "analyse") if quick else tuple(deployed.FUNCTIONS)
    try:
        pythons = {each: deployed.clean_python(each) for each in sorted({*map(product_of, names)})}
    except deployed.NotInstalled as error:
        report.absent.append(f"everything: {error}")
        return report
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare"
        bare.mkdir()
        (bare / "main.py").write_text(_BARE)
        workspaces = {}
        for product in pythons:
            (Path(folder) / product).mkdir()
            workspaces[product] = deployed.unpack(Path(folder) / product, product)
        places = {}
        for name in names:
            own = product_of(name)
            environ = {**environment(name), "PRODUCT": own}
            places[name] = Place(pythons[own], workspaces[own], environ)
        floor_environ = {
            "PATH": os.defpath,
            "THREADS": "16",
            "FIRESTORE_EMULATOR_HOST": "127.0.0.1:9",
        }
        floor = Place(pythons[lock.DEFAULT], bare, floor_environ)
        _imports(report, places["sync"], floor, 2 if quick else 11, Path(folder) / "empty")
        _starts(report, places, floor, 1 if quick else 5)
        _loaded(report, places["sync"])
    return report


def _imports(report: Report, sync: Place, floor: Place, times: int, empty: Path) -> None:
    cases = (
        ("import sync", "", ""),
        ("import sync and make what its first request uses", MADE, _BARE_MADE),
    )
    found = {}
    for case, ours, theirs in cases:
        sync.timed(ours)  # leaves bytecode for both
        floor.timed(theirs)
        pairs = [(sync.timed(ours), floor.timed(theirs)) for _ in range(times)]
        for at, unit in enumerate(("ms", "MB")):
            name = f"{case}, {'time' if unit == 'ms' else 'memory'}"
            report.row(name, "floor", unit, [pair[1][at] for pair in pairs])
            found[case, unit] = (
                report.row(name, "ours", unit, [pair[0][at] for pair in pairs]).median
                / report.rows[-2].median,
                report.rows[-1].median,
            )
    case = cases[1][0]
    # no file of a prefix that is empty can be used, and none is written
    fresh = {"PYTHONPYCACHEPREFIX": str(empty), "PYTHONDONTWRITEBYTECODE": "1"}
    pairs = [
        (sync.timed(MADE, **fresh), floor.timed(_BARE_MADE, **fresh)) for _ in range(1 + times // 3)
    ]
    name = f"{case}, time without bytecode"
    report.row(name, "floor", "ms", [pair[1][0] for pair in pairs])
    report.row(name, "ours", "ms", [pair[0][0] for pair in pairs])
    times_floor, megabytes = found[case, "ms"][0], found[case, "MB"][1]
    report.goal(
        f"import of sync and making what its first request uses ≤ {MOST_TIMES} × the floor's",
        f"{times_floor:.2f} × (at start alone {found[cases[0][0], 'ms'][0]:.2f} ×)",
        times_floor <= MOST_TIMES,
        "Beyond the floor's framework and client: our modules, and cryptography for tokens; see the rows.",
    )
    report.goal(
        f"sync's process then ≤ {MOST_MB:.0f} MB resident",
        f"{megabytes:.0f} MB (floor {megabytes / found[case, 'MB'][0]:.0f} MB)",
        megabytes <= MOST_MB,
    )


def _starts(report: Report, places: Mapping[str, Place], floor: Place, times: int) -> None:
    answered: dict[str, list[tuple[float, float]]] = {name: [] for name in ("bare", *places)}
    for _ in range(times):
        for name in answered:
            answered[name].append(places.get(name, floor).first_answer(name))
    for at, unit, what in ((0, "ms", "from the command to the first answer"), (1, "MB", "memory")):
        for name, place in places.items():
            case = f"{name}: {what}"
            if unit == "MB":
                case = f"{name}: server's memory after it (PSS)"
            report.row(case, "floor", unit, [each[at] for each in answered["bare"]])
            note = f"THREADS={place.environ['THREADS']}"
            report.row(case, "ours", unit, [each[at] for each in answered[name]], note)

    def medians(at: int) -> dict[str, float]:
        return {name: statistics.median(each[at] for each in answered[name]) for name in answered}

    starts, memory = medians(0), medians(1)
    slowest = max(places, key=starts.__getitem__)
    found = {name: starts[name] / starts["bare"] for name in ("sync", slowest)}
    report.goal(
        f"first answer of sync ≤ {MOST_STARTS} × the floor's",
        f"{found['sync']:.2f} × (of {slowest}, the slowest, {found[slowest]:.2f} ×)",
        found["sync"] <= MOST_STARTS,
    )
    heaviest = max(places, key=memory.__getitem__)
    report.goal(
        f"the server of each function then ≤ {MOST_SERVER_MB:.0f} MB",
        f"{heaviest} {memory[heaviest]:.0f} MB, sync {memory['sync']:.0f}, the floor {memory['bare']:.0f}",
        memory[heaviest] <= MOST_SERVER_MB,
    )


def _loaded(report: Report, sync: Place) -> None:
    """The packages that cost most of the time, and the first module that asked for each."""
    said = sync.run(f"import functions_framework, main; {MADE}", "-X", "importtime").stderr
    own: Counter[str] = Counter()
    for package, (microseconds, _) in (found := costs(said)).items():
        own[package] = microseconds
    for package, microseconds in own.most_common(_LISTED):
        report.row(
            f"sync loads {package}, first for {found[package][1]}",
            "ours",
            "ms",
            [microseconds / 1000],
            "one run with -X importtime, which slows it",
        )


def costs(said: str) -> dict[str, tuple[int, str]]:
    """Package → own microseconds, and the module that asked for it first; from `-X importtime`.

    The interpreter names a module after those that it imports, two columns further out.
    """
    own: Counter[str] = Counter()
    asker: dict[str, str] = {}
    waiting: dict[int, list[str]] = {}  # modules by depth, until their importer is named
    for line in said.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        microseconds, indent, module = int(match[1]), len(match[2]) // 2, match[3]
        package = package_of(module)
        own[package] += microseconds
        for child in waiting.pop(indent + 1, ()):
            if package_of(child) != package:
                asker.setdefault(package_of(child), module)
        waiting.setdefault(indent, []).append(module)
    return {package: (own[package], asker.get(package, "the start")) for package in own}


main(__name__, run)
