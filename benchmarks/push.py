"""How long a push takes: our HTTP function beside the bare client, and on SQLite beside bare SQLite.

Records are cases of about 1 kB: new, the same request again, the same records in another request,
edited, and edited where every second one loses. On the emulator the bare client does the same
guarded work (`floor.py`) on an emulator that is emptied before each repetition; ours, in both
dialects, and the floor take turns. The WatermelonDB dialect pushes alone; the batch dialect pulls in the
same request, and is compared with a floor that asks the pull's queries too.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import orjson

from benchmarks import corpus, emulator, ours
from benchmarks.floor import Floor, fields
from benchmarks.measure import Report, main
from shared.access.membership import Caller
from shared.adapters.sqlite import SqliteStore
from shared.products.dermadetect.tables import CATALOG
from shared.records.store import RecordStore, Snapshot, Write
from shared.sync.push import Pusher

#: Records of a push; 500 is what the goals speak of.
SIZES, QUICK_SIZES = (1, 10, 100, 500, 2000), (1, 500)
REPETITIONS, QUICK_REPETITIONS = 5, 2
#: Of pushes larger than that, which take seconds each.
_LONG_REPETITIONS = 3
#: Of one record, which takes milliseconds that vary.
_SHORT_REPETITIONS = 20
#: Rounds before the first that counts: the emulator's Java needs some to get fast.
WARM_UP, QUICK_WARM_UP = 5, 1
GOAL_SIZE = 500
#: The engine's time, rules, rights, trail and receipt included, by that of the rows alone.
MOST_TIMES = 2.5

TEAM = "team"
Steps = Iterator[tuple[str, float]]


def run(quick: bool) -> Report:
    """Both stores; without the emulator SQLite alone."""
    report = Report("push")
    try:
        _on_firestore(report, quick)
    except emulator.Absent as absent:
        report.absent.append(str(absent))
    _engine(report, quick)
    _over_http(report, quick)
    return report


def timed(action: Callable[[], object]) -> float:
    """How long it takes, ms."""
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000


# --- Firestore


def _on_firestore(report: Report, quick: bool) -> None:
    found: dict[tuple[str, str], list[float]] = {}
    sizes = QUICK_SIZES if quick else SIZES
    with emulator.firestore() as address, ours.serve("firestore", address) as served:
        bare = Floor(emulator.bare_client(), TEAM)
        turns: tuple[tuple[str, Callable[[int], Steps]], ...] = (
            ("ours", lambda n: _push_alone(served, n)),
            ("floor", lambda n: _floor_alone(bare, n)),
            ("ours", lambda n: _push_and_pull(served, n)),
            ("floor", lambda n: _floor_and_pull(bare, n)),
        )
        rounds = [GOAL_SIZE] * (QUICK_WARM_UP if quick else WARM_UP)
        measured = [n for n in sizes for _ in range(_times(n, quick))]
        for at, n in enumerate(rounds + measured):
            for who, steps in turns:
                emulator.clear(address)
                for step, taken_ms in steps(n):
                    if at >= len(rounds):
                        found.setdefault((f"{step}, {n}", who), []).append(taken_ms)
    for case in dict.fromkeys(case for case, _ in found):
        for who in ("ours", "floor"):
            report.row(f"Firestore: {case}", who, "ms", found[case, who])
    _judge(report)


def _times(n: int, quick: bool) -> int:
    if quick:
        return QUICK_REPETITIONS
    if n == 1:
        return _SHORT_REPETITIONS
    return REPETITIONS if n <= GOAL_SIZE else _LONG_REPETITIONS


def _push_alone(served: ours.Ours, n: int) -> Steps:
    who, cursor_ms = _ready(served, n)
    body = corpus.watermelon(corpus.cases("a", n))
    yield "push new", served.push(who, body, cursor_ms).total_ms
    yield "push again, same request", served.push(who, body, cursor_ms).total_ms
    later_ms = served.cursor_ms(who)
    yield "push unchanged, other request", served.push(who, body, later_ms).total_ms
    body = corpus.watermelon(corpus.cases("a", n, edit=1), kind="updated")
    yield "push edited", served.push(who, body, later_ms).total_ms


def _floor_alone(bare: Floor, n: int) -> Steps:
    body = corpus.watermelon(corpus.cases("a", n))
    yield "push new", timed(lambda: bare.push(body))
    yield "push again, same request", timed(lambda: bare.unchanged(body))
    yield "push unchanged, other request", timed(lambda: bare.unchanged(body))
    edited = corpus.watermelon(corpus.cases("a", n, edit=1), kind="updated")
    yield "push edited", timed(lambda: bare.push(edited))


def _push_and_pull(served: ours.Ours, n: int) -> Steps:
    who, cursor_ms = _ready(served, n)
    for step, state, rows in _batches(n):
        body = corpus.batch(rows, state=state, cursor_ms=cursor_ms, device="amina-phone")
        answer = served.sync(who, body)
        cursor_ms = _taken(answer, n)
        yield step, answer.total_ms


def _floor_and_pull(bare: Floor, n: int) -> Steps:
    cursor_ms = time.time_ns() // 1_000_000
    for step, _, rows in _batches(n):
        body = corpus.watermelon(rows)
        push = bare.half if "half" in step else bare.push

        def both(push: Callable[[bytes], None] = push, body: bytes = body) -> None:
            push(body)
            bare.pull(cursor_ms)

        yield step, timed(both)


def _batches(n: int) -> Iterator[tuple[str, str, list[corpus.Row]]]:
    """The requests of the batch dialect, one after the other."""
    yield "push and pull, new", "new", corpus.cases("a", n)
    yield "push and pull, edited", "dirty", corpus.cases("a", n, edit=1)
    if n > 1:
        edits = zip(corpus.cases("a", n, edit=2), corpus.cases("a", n, edit=-1), strict=True)
        mixed = [pair[at % 2] for at, pair in enumerate(edits)]
        yield "push and pull, half conflicting", "dirty", mixed


def _ready(served: ours.Ours, n: int) -> tuple[Mapping[str, str], int]:
    """A health worker with the patients in place, and her cursor."""
    who = served.grant("amina", TEAM)
    served.push(who, corpus.watermelon([], corpus.patients("a", n)), served.cursor_ms(who))
    return who, served.cursor_ms(who)


def _taken(answer: ours.Answer, n: int) -> int:
    """The new cursor of a batch answer; raises if a record was not taken."""
    said = answer.json()
    if len(said["accepted"].get("cases", ())) != n or said["rejected"]:
        raise RuntimeError(f"not all of {n} were taken: {said['rejected'][:3]}")
    cursor: float = said["new_sync_timestamp"]
    return round(cursor * 1000)


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the ratios of values that were measured in turn: noise that lasts cancels out."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def _judge(report: Report) -> None:
    values = {(row.case, row.who): row.values for row in report.rows}

    def goal(text: str, case: str, base: tuple[str, str], most: float, why: str = "") -> None:
        found = ratio(values[f"Firestore: {case}", "ours"], values[base])
        report.goal(text, f"{found:.2f} ×", found <= most, why)

    for step, text in (
        ("push new", "Push of 500 new"),
        ("push edited", "Push of 500 edited"),
        ("push and pull, new", "Push and pull in one request, 500 new"),
        ("push and pull, edited", "Push and pull in one request, 500 edited"),
        ("push and pull, half conflicting", "Push and pull in one request, half of 500 losing"),
    ):
        case = f"{step}, {GOAL_SIZE}"
        base = (f"Firestore: {case}", "floor")
        goal(f"{text}: at most 1.3 × the bare client", case, base, 1.3)
    calls = "HTTP, and one call more: the turnstile, which the emulator alone needs."
    for step, text in (("push new", "Push of 1"), ("push and pull, new", "Push and pull of 1 new")):
        base = (f"Firestore: {step}, 1", "floor")
        goal(f"{text}: at most 1.5 × the bare client", f"{step}, 1", base, 1.5, calls)
    first = (f"Firestore: push new, {GOAL_SIZE}", "ours")
    for step in ("push again, same request", "push unchanged, other request"):
        case = f"{step}, {GOAL_SIZE}"
        bare = ratio(values[f"Firestore: {case}", "floor"], values[first])
        why = f"The bare client, which only reads the bookkeeping, takes {bare:.2f} × as long."
        goal(f"500, {step}: at most 0.5 × the first push", case, first, 0.5, why)


# --- SQLite

#: Where the time of a push goes.
_PARTS = ("store's commit", "store's reads", "rules, hashes, decisions")


def _engine(report: Report, quick: bool) -> None:
    """The write path without HTTP, on a file; beside it the same rows by bare SQLite."""
    values: dict[str, list[float]] = {"ours": [], "ours, with reading the body": [], "floor": []}
    spent: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        store = SqliteStore(Path(folder) / "records.db")
        ours.fill(store, TEAM, "a", 0)
        parts = _Parts(store)
        pusher = Pusher(cast(RecordStore, parts), CATALOG)
        caller = Caller("a-seeder", "chw", "a-phone")
        with closing(store), closing(_bare_sqlite(Path(folder) / "bare.db")) as bare:
            rounds = 3 + REPETITIONS * (1 if quick else 3)
            total = GOAL_SIZE * 3 * rounds
            for rows in corpus.parts(corpus.patients("a", total), 480):
                pusher.push(caller, ours.parsed(corpus.watermelon((), rows)), _now_ms())
            first = 0
            for at in range(rounds):
                for who in values:
                    body = corpus.watermelon(corpus.cases("a", GOAL_SIZE, first=first))
                    first += GOAL_SIZE
                    if who == "floor":
                        taken_ms = timed(lambda body=body: _bare_push(bare, body))  # type: ignore[misc]
                    elif who == "ours":
                        push = ours.parsed(body)
                        parts.clear()
                        taken_ms = timed(lambda push=push: pusher.push(caller, push, _now_ms()))  # type: ignore[misc]
                    else:
                        taken_ms = timed(
                            lambda body=body: pusher.push(caller, ours.parsed(body), _now_ms())  # type: ignore[misc]
                        )
                    if at >= 3:
                        values[who].append(GOAL_SIZE / taken_ms * 1000)
                        if who == "ours":
                            rest_ms = taken_ms - parts.commit_ms - parts.read_ms
                            took = (parts.commit_ms, parts.read_ms, rest_ms)
                            for part, part_ms in zip(_PARTS, took, strict=True):
                                spent.setdefault(part, []).append(part_ms)
    for who, found in values.items():
        report.row("SQLite: engine, push of 500 new", who, "records/s", found)
    for part, found in spent.items():
        report.row(f"SQLite: engine, push of 500 new, time in {part}", "ours", "ms", found)
    taken = ", ".join(f"{part} {statistics.median(found):.0f}" for part, found in spent.items())
    bare_ms = GOAL_SIZE / statistics.median(values["floor"]) * 1000
    why = f"Of 500 records' time, ms: {taken}; bare SQLite takes {bare_ms:.0f}, JSON included."
    times = ratio(values["floor"], values["ours"])
    text = f"The engine on SQLite: at most {MOST_TIMES} × bare SQLite's time"
    report.goal(text, f"{times:.1f} ×", times <= MOST_TIMES, why)


class _Parts:
    """The store with a clock: what of a push is spent in it."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self.clear()

    def clear(self) -> None:
        self.commit_ms = self.read_ms = 0.0

    def read(self, *args: Any) -> Snapshot:
        began = time.perf_counter()
        try:
            return self._store.read(*args)
        finally:
            self.read_ms += (time.perf_counter() - began) * 1000

    def commit(self, writes: Sequence[Write]) -> int:
        began = time.perf_counter()
        try:
            return self._store.commit(writes)
        finally:
            self.commit_ms += (time.perf_counter() - began) * 1000

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _bare_sqlite(path: Path) -> sqlite3.Connection:
    """A table like ours, as safe as ours: write-ahead log, every commit on disk."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(
        "CREATE TABLE documents (collection TEXT NOT NULL, id TEXT NOT NULL, scope TEXT,"
        " version INTEGER NOT NULL, data TEXT NOT NULL, PRIMARY KEY (collection, id))"
    )
    db.execute("CREATE INDEX changes ON documents (collection, scope, version, id)")
    return db


def _bare_push(db: sqlite3.Connection, body: bytes) -> None:
    """Look at the versions, then write all in one commit under the lock."""
    rows = orjson.loads(body)["cases"]["created"]
    wanted = orjson.dumps([row["id"] for row in rows]).decode()
    find = (
        "SELECT documents.id, version FROM json_each(?) AS wanted CROSS JOIN documents"
        " WHERE collection = 'cases' AND documents.id = wanted.value"
    )
    before = db.execute(find, (wanted,)).fetchall()
    stored = [{**fields(row, TEAM), "updated_at": None} for row in rows]
    db.execute("BEGIN IMMEDIATE")
    if db.execute(find, (wanted,)).fetchall() != before:
        raise RuntimeError("somebody else writes into the floor's file")
    version = time.time_ns() // 1000
    db.executemany(
        "INSERT OR REPLACE INTO documents VALUES ('cases', ?, ?, ?, ?)",
        [
            (row["id"], TEAM, version, orjson.dumps(each).decode())
            for row, each in zip(rows, stored, strict=True)
        ],
    )
    db.execute("COMMIT")


def _over_http(report: Report, quick: bool) -> None:
    sizes = QUICK_SIZES if quick else SIZES
    with ours.serve("sqlite") as served:
        who = served.grant("amina", TEAM)
        plan = [(GOAL_SIZE, False)] * 6 + [
            (n, True) for n in sizes for _ in range(_times(n, quick))
        ]
        total = 2 * sum(n for n, _ in plan)
        for rows in corpus.parts(corpus.patients("a", total), 400):
            served.push(who, corpus.watermelon([], rows), served.cursor_ms(who))
        found: dict[str, list[float]] = {}
        first = 0
        for n, counts in plan:
            steps = [*_http_push(served, who, n, first), *_http_sync(served, who, n, first + n)]
            first += 2 * n
            for step, taken_ms in steps:
                if counts:
                    found.setdefault(f"SQLite over HTTP: {step}, {n}", []).append(
                        n / taken_ms * 1000
                    )
    for case, values in found.items():
        report.row(case, "ours", "records/s", values)
    for step in ("push new", "push and pull, new"):
        case = f"SQLite over HTTP: {step}, {GOAL_SIZE}"
        _rate_goal(report, case, f"SQLite over HTTP, {step}, {GOAL_SIZE}", 8_000)


def _http_push(served: ours.Ours, who: Mapping[str, str], n: int, first: int) -> Steps:
    cursor_ms = served.cursor_ms(who)
    body = corpus.watermelon(corpus.cases("a", n, first=first))
    yield "push new", served.push(who, body, cursor_ms).total_ms
    yield "push again, same request", served.push(who, body, cursor_ms).total_ms
    later_ms = served.cursor_ms(who)
    yield "push unchanged, other request", served.push(who, body, later_ms).total_ms
    body = corpus.watermelon(corpus.cases("a", n, first=first, edit=1), kind="updated")
    yield "push edited", served.push(who, body, later_ms).total_ms


def _http_sync(served: ours.Ours, who: Mapping[str, str], n: int, first: int) -> Steps:
    cursor_ms = served.cursor_ms(who)
    rows = corpus.cases("a", n, first=first)
    body = corpus.batch(rows, cursor_ms=cursor_ms, device="amina-phone")
    answer = served.sync(who, body)
    _taken(answer, n)
    yield "push and pull, new", answer.total_ms


def _rate_goal(report: Report, case: str, text: str, least: int) -> None:
    [row] = [row for row in report.rows if row.case == case and row.who == "ours"]
    found, held = f"{row.median:,.0f}", row.median >= least
    report.goal(f"{text}: at least {least:,} records/s", found, held)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


main(__name__, run)
