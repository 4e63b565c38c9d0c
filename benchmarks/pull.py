"""How long a pull takes, when its first byte comes, and what memory the server needs for it.

Nothing new; 500 changed among many; a first sync of 10,000 and of 100,000 records, as JSON and gzip. On
SQLite with 100,000 records in one team. On the emulator, whose queries look at every document of a
collection whatever they ask, with as many as it can list in reasonable time, and beside the bare
client's query streams of the same documents: the client asks what the pull must ask, all tables side by
side, and turns every document into a dict.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks import corpus, emulator, ours
from benchmarks.floor import Floor, fields
from benchmarks.measure import Report, main
from benchmarks.push import ratio, timed
from shared.adapters.sqlite import SqliteStore

FIRST, QUICK_FIRST = (10_000, 100_000), (1_000, 5_000)
ON_EMULATOR, QUICK_ON_EMULATOR = 10_000, 1_000
CHANGED = 500
REPETITIONS, QUICK_REPETITIONS = 5, 2
#: Of first syncs, which take seconds each.
_LONG_REPETITIONS = 3
TEAM = "team"
#: What a bigger file may take: SQLite's page caches (4 MiB a connection) fill. An answer that was put
#: together in memory would take 100 MB.
_CACHES_MB = 32


def run(quick: bool) -> Report:
    """Both stores; without the emulator SQLite alone."""
    report = Report("pull")
    repetitions = QUICK_REPETITIONS if quick else REPETITIONS
    _on_sqlite(report, QUICK_FIRST if quick else FIRST, repetitions)
    try:
        _on_firestore(report, QUICK_ON_EMULATOR if quick else ON_EMULATOR, repetitions)
    except emulator.Absent as absent:
        report.absent.append(str(absent))
    return report


# --- SQLite


def _on_sqlite(report: Report, sizes: Sequence[int], repetitions: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        data = Path(folder)
        with closing(SqliteStore(data / "records.db")) as store:
            for size in sizes:
                ours.fill(store, f"team-{size}", f"s{size}", size)
        with ours.serve("sqlite", data=data) as served:
            peaks = {size: _first_sync(report, served, size, _LONG_REPETITIONS) for size in sizes}
            largest = max(sizes)
            who = served.grant("amina", f"team-{largest}")
            _later_syncs(report, served, who, largest, repetitions)
    small, large = (peaks[size] for size in sizes)
    report.goal(
        f"First syncs of {sizes[1]:,} need at most {_CACHES_MB} MB more than those of {sizes[0]:,}",
        f"{large - small:+.0f} MB: {small:.0f} MB, then {large:.0f} MB",
        large - small <= _CACHES_MB,
    )
    if 10_000 in sizes:
        case = "SQLite: first sync of 10,000, JSON"
        medians = {(row.case, row.who): row.median for row in report.rows}
        total, first = medians[case, "ours"], medians[f"{case}, first byte", "ours"]
        report.goal("SQLite: 10,000 records in at most 0.4 s", f"{total:.0f} ms", total <= 400)
        report.goal("SQLite: first byte of it in at most 50 ms", f"{first:.0f} ms", first <= 50)


def _first_sync(report: Report, served: ours.Ours, size: int, repetitions: int) -> float:
    """Rows of a first sync; the most memory that a serving process has held until then, MB."""
    who = served.grant(f"phone-{size}", f"team-{size}")
    for gzip in (False, True):
        served.pull(who, 0, gzip=gzip, keep=False)
    took: dict[str, list[float]] = {}
    size_mb: dict[str, float] = {}
    for _ in range(repetitions):
        for form, gzip in (("JSON", False), ("gzip", True)):
            answer = served.pull(who, 0, gzip=gzip, keep=False)
            case = f"SQLite: first sync of {size:,}, {form}"
            size_mb[case] = int(answer.headers["x-received"]) / 1e6
            took.setdefault(case, []).append(answer.total_ms)
            took.setdefault(f"{case}, first byte", []).append(answer.first_byte_ms)
    for case, values in took.items():
        note = f"{size_mb[case]:.1f} MB" if case in size_mb else ""
        report.row(case, "ours", "ms", values, note)
    peak = ours.peak_mb(served.processes())
    report.row(f"SQLite: peak of a serving process, first syncs of {size:,}", "ours", "MB", [peak])
    return peak


def _later_syncs(
    report: Report, served: ours.Ours, who: Mapping[str, str], held: int, repetitions: int
) -> None:
    cursor_ms = served.cursor_ms(who)
    idle: list[float] = []
    idle_batch: list[float] = []
    body = corpus.batch([], cursor_ms=cursor_ms, device="amina-phone")
    for at in range(repetitions + 2):
        alone = served.pull(who, cursor_ms)
        both = served.sync(who, body)
        if at >= 2:
            idle.append(alone.total_ms)
            idle_batch.append(both.total_ms)
    report.row(f"SQLite: nothing new among {held:,}, WatermelonDB", "ours", "ms", idle)
    report.row(f"SQLite: nothing new among {held:,}, batch", "ours", "ms", idle_batch)
    changed: list[float] = []
    first_byte: list[float] = []
    writer = served.grant("bahati", f"team-{held}")
    for edit in range(1, repetitions + 2):
        cursor_ms = served.cursor_ms(who)
        rows = corpus.cases(f"s{held}", CHANGED, first=100, edit=edit)
        served.push(writer, corpus.watermelon(rows, kind="updated"), served.cursor_ms(writer))
        answer = served.pull(who, cursor_ms)
        if len(answer.json()["changes"]["cases"]["updated"]) != CHANGED:
            raise RuntimeError("the pull should bring what was changed")
        if edit > 1:
            changed.append(answer.total_ms)
            first_byte.append(answer.first_byte_ms)
    case = f"SQLite: {CHANGED} changed among {held:,}"
    report.row(case, "ours", "ms", changed)
    report.row(f"{case}, first byte", "ours", "ms", first_byte)


# --- Firestore


def _on_firestore(report: Report, held: int, repetitions: int) -> None:
    with emulator.firestore() as address, ours.serve("firestore", address) as served:
        bare = Floor(emulator.bare_client(), TEAM)
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        _fill_bare(bare, held, long_ago)
        who = served.grant("amina", TEAM)
        cursor_ms = served.cursor_ms(who)

        def measure(case: str, after_ms: int, expect: int, times: int = repetitions) -> None:
            took: dict[str, list[float]] = {"ours": [], "floor": []}
            first: list[float] = []
            first_floor: list[float] = []
            for at in range(times + 2):
                answer = served.pull(who, after_ms, keep=False)
                stream = _FirstOf(bare, after_ms)
                floor_ms = timed(stream)
                if stream.count != expect:
                    raise RuntimeError(f"{case}: the floor read {stream.count} documents")
                if at >= 2:
                    took["ours"].append(answer.total_ms)
                    took["floor"].append(floor_ms)
                    first.append(answer.first_byte_ms)
                    first_floor.append(stream.first_ms)
            for name, values in took.items():
                report.row(f"Firestore: {case}", name, "ms", values)
            if expect:
                report.row(f"Firestore: {case}, first byte", "ours", "ms", first)
                report.row(f"Firestore: {case}, first byte", "floor", "ms", first_floor)
                found = ratio(took["ours"], took["floor"])
                report.goal(
                    f"Firestore, {case}: at most 1.2 × the bare query streams",
                    f"{found:.2f} ×",
                    found <= 1.2,
                )

        measure(f"first sync of {held:,}", 0, held, _LONG_REPETITIONS)
        measure(f"nothing new among {held:,}", cursor_ms, 0)
        # of 500 that changed within the overlap, both read as many
        _fill_bare(bare, CHANGED, None)
        measure(f"{CHANGED} changed among {held:,}", cursor_ms, CHANGED)


class _FirstOf:
    """The floor's pull, with when its first document came and how many came."""

    def __init__(self, bare: Floor, cursor_ms: int) -> None:
        self._bare, self._cursor_ms = bare, cursor_ms
        self.first_ms, self.count = 0.0, 0
        self._lock = threading.Lock()

    def __call__(self) -> None:
        began = time.perf_counter()

        def met() -> None:
            with self._lock:
                self.count += 1
                if self.count == 1:
                    self.first_ms = (time.perf_counter() - began) * 1000

        self._bare.pull(self._cursor_ms, met)


def _fill_bare(bare: Floor, count: int, stamp: datetime | None) -> None:
    """Store cases with the bare client; `stamp` says when, as if they had been stored long ago."""
    for first in range(0, count, 500):
        rows = corpus.cases("a", min(500, count - first), first=first)
        bare.write([_stamped(row, stamp) for row in rows])


def _stamped(row: corpus.Row, stamp: datetime | None) -> tuple[str, dict[str, object]]:
    content = fields(row, TEAM)
    if stamp is not None:
        content["updated_at"] = stamp
    return row["id"], content


main(__name__, run)
