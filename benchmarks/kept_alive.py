"""The other way of measuring peers: each on one connection that stays open, each driven at its best.

    ours            the batch dialect: push and pull are one request, `POST /api/sync`, on SQLite
    PouchDB Server  in memory, as a replication: `_revs_diff`, then `_bulk_docs` of what is missing;
                    `_changes` with `include_docs`, and beside it `_changes` and `_bulk_get`
    SQLAlchemy      on SQLite under Flask, one statement for all rows (`peer_flask.py`, `/bulk`)

Cases are long forms (`corpus.forms`). First 10,000 are loaded, by 500; everything after works on top of
them. A peer's time is the time of its requests, from the first byte sent to the last received; what its
client does between them is not counted. Beside it stands what the server's processors spent, which says
more where the machine has other work. Bytes are those of the connection, heads included. The last turn of
each case speaks gzip both ways, with whom that can: it gives bytes only. PouchDB and SQLAlchemy only store,
where ours also checks, logs, gives a receipt, and answers what changed elsewhere.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import socket
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Protocol, TypeVar

import orjson

from benchmarks import corpus, ours, peers
from benchmarks.emulator import Absent
from benchmarks.measure import Report, main
from benchmarks.processes import READABLE, run_ms
from benchmarks.push import ratio, timed

HELD, QUICK_HELD = 10_000, 1_000
T = TypeVar("T")

#: Records of one request while everything is loaded, and of the largest push.
PART = 500
#: Records of a push, and how often it is done.
PUSHES, QUICK_PUSHES = {1: 12, 20: 8, 100: 8, PART: 6}, {1: 3, 100: 2, PART: 2}
REPETITIONS, QUICK_REPETITIONS = 6, 2
#: Of everything at once, which takes seconds.
_LONG_REPETITIONS = 4

OURS, POUCHDB, SQLALCHEMY = "ours", "PouchDB Server, memory", "SQLAlchemy in bulk, SQLite"
BULK_GET = "PouchDB Server, by _bulk_get"

_TEAM = "team"
_PATIENCE_SECONDS = 300


class Cost(NamedTuple):
    """What requests took: ms, ms to the first byte of the first answer, bytes of the connection, and ms of
    the server's processors (0 where nobody can tell).
    """

    ms: float
    first_byte_ms: float
    sent: int
    received: int
    processor_ms: float


class Line:
    """One HTTP connection to a subject, kept open; counts time and bytes until `spent`."""

    def __init__(
        self,
        port: int,
        headers: Mapping[str, str],
        processes: Callable[[], list[int]],
        *,
        wake: str,
        inflates: bool = True,
    ) -> None:
        self._processes, self._pids, self._ran_ms = processes, list[int](), 0.0
        self._wake = wake  #: a path that answers 200 to anybody, quickly
        self._link = _Counted("127.0.0.1", port, timeout=_PATIENCE_SECONDS)
        self._headers = {"Content-Type": "application/json", **headers}
        self.inflates = inflates  #: whether the subject speaks gzip
        self.gzip = False
        self._ms = 0.0
        self._first_ms: float | None = None

    def ask(
        self, method: str, path: str, body: Any = None, *, expect: Sequence[int] = (200, 201)
    ) -> Any:
        """The JSON value of an answer. Raises `RuntimeError` on another status."""
        headers = dict(self._headers)
        data = body if isinstance(body, bytes | None) else orjson.dumps(body)
        headers["Accept-Encoding"] = "gzip" if self.gzip else "identity"
        if self.gzip and self.inflates and data is not None:
            data = gzip.compress(data)
            headers["Content-Encoding"] = "gzip"
        began = time.perf_counter()
        self._link.request(method, path, data, headers)
        answer = self._link.getresponse()
        said = answer.read(1)
        first_ms = (time.perf_counter() - began) * 1000
        said += answer.read()
        self._ms += (time.perf_counter() - began) * 1000
        if self._first_ms is None:
            self._first_ms = first_ms
        if answer.status not in expect:
            raise RuntimeError(f"{method} {path} answered {answer.status}: {said[:300]!r}")
        if answer.headers.get("Content-Encoding") == "gzip":
            said = gzip.decompress(said)
        return orjson.loads(said)

    def ready(self) -> None:
        """See that the connection is open: Node closes one that was idle for five seconds."""
        link, self._pids = self._link, self._processes() if READABLE else []
        for _ in range(2):
            try:
                link.request("GET", self._wake)
                link.getresponse().read()
                return
            except (OSError, http.client.HTTPException):
                link.close()

    def spent(self) -> Cost:
        """What was asked since the last call."""
        link, before_ms = self._link, self._ran_ms
        self._ran_ms = run_ms(self._pids)
        ran_ms = self._ran_ms - before_ms
        cost = Cost(self._ms, self._first_ms or 0.0, link.sent, link.received, ran_ms)
        self._ms, self._first_ms = 0.0, None
        link.sent = link.received = 0
        return cost


class _Counted(http.client.HTTPConnection):
    """Counts the bytes that pass."""

    sent = received = 0

    def connect(self) -> None:
        super().connect()
        self.sock = _Socket(self.sock, self)

    def send(self, data: Any) -> None:
        self.sent += len(data)
        super().send(data)


class _Socket:
    """A socket whose readers count for a connection."""

    def __init__(self, real: socket.socket, count: _Counted) -> None:
        self._real, self._count = real, count

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._real, mode, self._count), 262_144)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Reader(socket.SocketIO):
    def __init__(self, real: socket.socket, mode: Any, count: _Counted) -> None:
        super().__init__(real, "r" if mode == "rb" else mode)
        self._count = count
        real._io_refs += 1  # type: ignore[attr-defined]  # as socket.makefile does

    def readinto(self, buffer: Any) -> int | None:
        size = super().readinto(buffer)
        self._count.received += size or 0
        return size


# --- who is measured


class Subject(Protocol):
    """A phone of one back end. Each method asks what it must, and returns how many records came."""

    line: Line

    def push(self, rows: Sequence[corpus.Row], *, edited: bool = False) -> None:
        """Store rows that are new, or edits of what the phone has stored before."""
        ...

    def again(self, rows: Sequence[corpus.Row]) -> None:
        """Offer what is stored exactly so, from a later state than when it was pushed."""
        ...

    def mark(self) -> Any:
        """The phone's cursor."""
        ...

    def pull(self, since: Any) -> int:
        """Take what changed since a cursor; None: everything."""
        ...


class _Ours:
    def __init__(self, line: Line) -> None:
        self.line = line
        self._cursor_ms = 0
        self.pull(None)

    def patients(self, rows: Sequence[corpus.Row]) -> None:
        for some in corpus.parts(rows, 400):
            self._sync(corpus.batch([], some, cursor_ms=self._cursor_ms, device="amina-phone"))

    def push(self, rows: Sequence[corpus.Row], *, edited: bool = False) -> None:
        state = "dirty" if edited else "new"
        cursor_ms = self._cursor_ms
        body = corpus.batch(rows, state=state, cursor_ms=cursor_ms, device="amina-phone")
        said = self._sync(body)
        if len(said["accepted"]["cases"]) != len(rows) or said["rejected"] or said["has_more"]:
            raise RuntimeError(f"not all of {len(rows)} were taken: {said['rejected'][:3]}")

    def again(self, rows: Sequence[corpus.Row]) -> None:
        self.push(rows)

    def mark(self) -> int:
        return self._cursor_ms

    def pull(self, since: Any) -> int:
        found = 0
        body = corpus.batch([], cursor_ms=since or 0, device="amina-phone")
        while True:
            said = self._sync(body)
            found += len(said["server_updates"]["cases"])
            if not said["has_more"]:
                return found
            body = orjson.dumps({"page": said["next_page"], "device_id": "amina-phone"})

    def _sync(self, body: bytes) -> Any:
        said = self.line.ask("POST", "/api/sync", body)
        self._cursor_ms = round(said["new_sync_timestamp"] * 1000)
        return said


class _PouchDb:
    """A replication without its checkpoints. The client names the revisions, as PouchDB's does."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._revisions: dict[str, list[str]] = {}
        line.ask("PUT", "/cases")
        self.by_bulk_get = False

    def push(self, rows: Sequence[corpus.Row], *, edited: bool = False) -> None:
        documents = []
        for row in rows:
            plain = corpus.plain(row)
            name = hashlib.md5(orjson.dumps(plain), usedforsecurity=False).hexdigest()
            ids = [name, *self._revisions.get(row["id"], ())]
            self._revisions[row["id"]] = ids
            revision = {"start": len(ids), "ids": ids}
            rev = f"{len(ids)}-{name}"
            documents.append({**plain, "_id": row["id"], "_rev": rev, "_revisions": revision})
        missing = self._missing(rows)
        if len(missing) != len(rows):
            raise RuntimeError(f"PouchDB has {len(rows) - len(missing)} of what is new")
        refused = self.line.ask(
            "POST", "/cases/_bulk_docs", {"docs": documents, "new_edits": False}
        )
        if refused:
            raise RuntimeError(f"PouchDB refused records: {refused[:3]}")

    def again(self, rows: Sequence[corpus.Row]) -> None:
        if self._missing(rows):
            raise RuntimeError("PouchDB does not know what it stored")

    def _missing(self, rows: Sequence[corpus.Row]) -> Mapping[str, Any]:
        known = ((row["id"], self._revisions[row["id"]]) for row in rows)
        asked = {name: [f"{len(ids)}-{ids[0]}"] for name, ids in known}
        missing: Mapping[str, Any] = self.line.ask("POST", "/cases/_revs_diff", asked)
        return missing

    def mark(self) -> Any:
        return self.line.ask("GET", "/cases")["update_seq"]

    def pull(self, since: Any) -> int:
        path = f"/cases/_changes?since={since or 0}"
        if not self.by_bulk_get:
            return len(self.line.ask("GET", f"{path}&include_docs=true")["results"])
        found = self.line.ask("GET", path)["results"]
        wanted = [{"id": each["id"], "rev": each["changes"][0]["rev"]} for each in found]
        said = self.line.ask("POST", "/cases/_bulk_get", {"docs": wanted})
        return sum("ok" in each["docs"][0] for each in said["results"])


class _SqlAlchemy:
    def __init__(self, line: Line) -> None:
        self.line = line

    def push(self, rows: Sequence[corpus.Row], *, edited: bool = False) -> None:
        self.line.ask("POST", "/bulk", {"cases": [corpus.plain(row) for row in rows]})

    def again(self, rows: Sequence[corpus.Row]) -> None:
        self.push(rows)

    def mark(self) -> int:
        time.sleep(0.002)  # its cursor is a clock: what follows shall be later
        return time.time_ns() // 1_000_000 - 1

    def pull(self, since: Any) -> int:
        return len(self.line.ask("GET", f"/bulk?since={since or 0}")["cases"])


@contextmanager
def _ours(cases: int) -> Iterator[Subject]:
    with ours.serve("sqlite") as served:
        port = int(served.stack.url.rpartition(":")[2].rstrip("/"))
        who = served.grant("amina", _TEAM)
        subject = _Ours(Line(port, who, served.processes, wake="/health"))
        subject.patients(corpus.patients("p", cases))
        yield subject


@contextmanager
def _pouchdb(_cases: int) -> Iterator[Subject]:
    with peers.pouchdb_server() as started:
        yield _PouchDb(Line(started.port, {}, started.processes, wake="/"))


@contextmanager
def _sqlalchemy(_cases: int) -> Iterator[Subject]:
    with peers.flask_server() as started:
        asleep = "/bulk?since=9999999999999"
        line = Line(started.port, {}, started.processes, wake=asleep, inflates=False)
        yield _SqlAlchemy(line)


SUBJECTS = {OURS: _ours, POUCHDB: _pouchdb, SQLALCHEMY: _sqlalchemy}


# --- the run


class _Disk:
    """What our pushes cannot do without: two commits of bare SQLite, of the rows and of one entry."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("CREATE TABLE documents (id TEXT PRIMARY KEY, data TEXT NOT NULL)")

    def commit(self, rows: Sequence[corpus.Row]) -> None:
        pairs = [(row["id"], orjson.dumps(row).decode()) for row in rows]
        for some in (pairs, [("entry", pairs[0][1])]):
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?)", some)
            self._db.execute("COMMIT")


@dataclass
class _Found:
    """Everything measured: by case and subject; `disk` in ms, by case."""

    times: dict[tuple[str, str], list[Cost]]
    packed: dict[tuple[str, str], Cost]
    disk: dict[str, list[float]]

    def turns(
        self,
        case: str,
        subjects: Mapping[str, Subject],
        times: int,
        act: Callable[[int, Subject], None],
        *,
        packed: bool = True,
        beside: Callable[[int], None] | None = None,
    ) -> None:
        """Let every subject do turn 0, then turn 1 …; the last in gzip, for its bytes.

        `beside` is timed in each turn, too.
        """
        for turn in range(times + packed):
            if beside is not None and turn < times:
                self.disk.setdefault(case, []).append(timed(lambda turn=turn: beside(turn)))  # type: ignore[misc]
            for who, subject in subjects.items():
                if turn == times and not subject.line.inflates:
                    continue
                subject.line.ready()
                subject.line.spent()
                subject.line.gzip = turn == times
                act(turn, subject)
                cost = subject.line.spent()
                subject.line.gzip = False
                if turn < times:
                    self.times.setdefault((case, who), []).append(cost)
                else:
                    self.packed[case, who] = cost


def present(
    report: Report,
    stack: ExitStack,
    serves: Mapping[str, Callable[[], AbstractContextManager[T]]],
    quick: bool,
) -> dict[str, T]:
    """Everybody who can be started, until `stack` ends; the report names the others."""
    found: dict[str, T] = {}
    for who, serve in serves.items():
        needs = {POUCHDB: "pouchdb", SQLALCHEMY: "flask"}.get(who)
        if needs and quick and not peers.there(needs):
            report.absent.append(f"{who}: the full run installs it")
            continue
        try:
            found[who] = stack.enter_context(serve())
        except Absent as absent:
            report.absent.append(f"{who}: {absent}")
    return found


def run(quick: bool) -> Report:
    """Everybody who is there; a quick run installs nobody."""
    report = Report("kept_alive")
    found = _Found({}, {}, {})
    held = QUICK_HELD if quick else HELD
    pushes = QUICK_PUSHES if quick else PUSHES
    # Every turn of a push has cases of its own.
    numbers = count()
    firsts = {n: [next(numbers) for _ in range(times + 1)] for n, times in pushes.items()}
    total = held + PART * next(numbers)
    with ExitStack() as stack:
        serves = {who: partial(serve, total) for who, serve in SUBJECTS.items()}
        subjects = present(report, stack, serves, quick)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-disk-"))
        _measure(found, subjects, _Disk(Path(folder) / "disk.db"), held, pushes, firsts, quick)
    _rows(report, found)
    _judge(report, found, held)
    return report


def _measure(
    found: _Found,
    subjects: Mapping[str, Subject],
    disk: _Disk,
    held: int,
    pushes: Mapping[int, int],
    firsts: Mapping[int, Sequence[int]],
    quick: bool,
) -> None:
    repetitions = QUICK_REPETITIONS if quick else REPETITIONS

    def load(turn: int, subject: Subject) -> None:
        subject.push(corpus.forms("p", PART, first=turn * PART))

    loading = f"load {held:,}, each {PART}"
    found.turns(
        loading,
        subjects,
        held // PART,
        load,
        packed=False,
        beside=lambda turn: disk.commit(corpus.forms("p", PART, first=turn * PART)),
    )

    def pull(since: Mapping[Subject, Any], least: int) -> Callable[[int, Subject], None]:
        def act(_turn: int, subject: Subject) -> None:
            came = subject.pull(since.get(subject))
            if came < least:
                raise RuntimeError(f"{came} of {least} records came")

        return act

    both = {**subjects}
    if POUCHDB in subjects:
        other: Any = _PouchDb.__new__(_PouchDb)
        other.__dict__.update(subjects[POUCHDB].__dict__)
        other.by_bulk_get = True
        both[BULK_GET] = other
    long = QUICK_REPETITIONS if quick else _LONG_REPETITIONS
    found.turns(f"first sync of {held:,}", both, long, pull({}, held))
    now = {subject: subject.mark() for subject in both.values()}
    found.turns("nothing new", subjects, 2 * repetitions, pull(now, 0))
    edited = corpus.forms("p", PART, edit=1)
    for subject in subjects.values():
        subject.push(edited, edited=True)
    found.turns(f"pull {PART} of {held:,}", both, repetitions, pull(now, PART))

    for n, times in pushes.items():

        def rows(turn: int, n: int = n, edit: int = 0) -> list[corpus.Row]:
            return corpus.forms("p", n, first=held + PART * firsts[n][turn], edit=edit)

        found.turns(
            f"push {n} new",
            subjects,
            times,
            lambda turn, subject, of=rows: subject.push(of(turn)),
            beside=lambda turn, of=rows: disk.commit(of(turn)),
        )
        if n == PART:
            found.turns(
                f"push {n} edited",
                subjects,
                times,
                lambda turn, subject, of=rows: subject.push(of(turn, edit=1), edited=True),
            )
            found.turns(
                f"push {n} unchanged, later cursor",
                subjects,
                times,
                lambda turn, subject, of=rows: subject.again(of(turn, edit=1)),
            )


def _rows(report: Report, found: _Found) -> None:
    for (case, who), costs in found.times.items():
        report.row(case, who, "ms", [each.ms for each in costs])
        if case.startswith("first sync"):
            report.row(f"{case}: first byte", who, "ms", [each.first_byte_ms for each in costs])
        if costs[0].processor_ms:
            report.row(f"{case}: processor", who, "ms", [each.processor_ms for each in costs])
    for (case, who), costs in found.times.items():
        for way in ("sent", "received"):
            report.row(f"{case}: {way}", who, "kB", [getattr(costs[-1], way) / 1000])
            packed = found.packed.get((case, who))
            if packed is not None:
                report.row(f"{case}: {way}, gzip", who, "kB", [getattr(packed, way) / 1000])


#: At most so many times as long as PouchDB Server.
_GOALS = {
    "push 1 new": 1.0,
    "push 100 new": 1.0,
    f"push {PART} new": 1.0,
    f"push {PART} unchanged, later cursor": 2.0,
    "nothing new": 1.0,
}


def _judge(report: Report, found: _Found, held: int) -> None:
    goals = {**_GOALS, f"load {held:,}, each {PART}": 1.0}
    for case, most in goals.items():
        mine, theirs = found.times.get((case, OURS)), found.times.get((case, POUCHDB))
        if mine and theirs:
            times = ratio([each.ms for each in mine], [each.ms for each in theirs])
            text = f"{case}: at most {most:.1f} × PouchDB Server in memory"
            report.goal(text, f"{times:.2f} ×", times <= most, _why(found, case, mine, theirs))
    day, idle = found.packed.get(("push 20 new", OURS)), found.packed.get(("nothing new", OURS))
    if day is not None and idle is not None:
        text = "A day's sync of 20 cases: at most 4 kB each way in gzip, heads included"
        said = f"{day.sent:,} B sent, {day.received:,} B received, one round trip"
        why = (
            f"Of what is sent {idle.sent:,} B are the head, with its token, and an empty body; notes of "
            "words at random compress worse than sentences."
        )
        report.goal(text, said, max(day.sent, day.received) <= 4000, why)


def _why(found: _Found, case: str, mine: Sequence[Cost], theirs: Sequence[Cost]) -> str:
    ours_ms, its_ms = (median(each.processor_ms for each in who) for who in (mine, theirs))
    ran = f"On the processor ours takes {ours_ms:.1f} ms, PouchDB {its_ms:.1f}."
    if case in found.disk:
        disk_ms = median(found.disk[case])
        return (
            f"{ran} Two commits of bare SQLite with these rows, each on disk, take {disk_ms:.1f} ms; "
            "PouchDB's never leave its memory."
        )
    if "unchanged" not in case:
        return ran
    sent, least = mine[-1].sent / 1000, theirs[-1].sent / 1000
    return (
        f"{ran} PouchDB's phone asks by revisions, {least:,.0f} kB; ours sends its rows, {sent:,.0f} kB, "
        "which are read and compared column by column."
    )


main(__name__, run)
