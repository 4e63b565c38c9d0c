"""What a sync costs in Firestore: documents read and written, calls and bytes, counted on the wire.

Between our function and the emulator stands a proxy that speaks gRPC and reads what passes. Firestore
bills a read for each document that is asked for by name (also a missing one), one for each that a query
brings and one for a query that brings none; a write for each write of a commit, also one that only
verifies. What belongs to the emulator alone (`shared/adapters/firestore.py`: the turnstile) is left out.

The floor is arithmetic: the least that a protocol with these promises can do. To pull, one read
of the caller's memberships, and for each table (and the ids that left the team) a read a row, at
least one. To push, a read and a write a record, a read a parent; a red case is three writes: itself, its
job, its row of the queue. A request that does both also reads what it has just stored. Parents'
verification, receipt, ledger and audit are ours on top.

Documents that a query brings although they are not newer than the cursor (the overlap) are counted apart:
they depend on how busy the team was in the last five minutes, not on the sync.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from google.cloud.firestore_v1.types import firestore as rpc

from benchmarks import corpus, emulator, ours
from benchmarks.floor import TABLES
from benchmarks.measure import Report, main
from shared.adapters.firestore import TURNSTILE
from shared.sync.push import ONE_COMMIT_ENTRIES
from tests.reliability.grpc_proxy import GrpcProxy

#: US dollars: docs/capacity.md names the sources, and that other regions cost up to twice as much.
READ, WRITE, DELETE = 0.03 / 100_000, 0.09 / 100_000, 0.01 / 100_000
#: Cloud Run: a request, and 0.3 s of 1 vCPU and 1 GiB.
REQUEST = 0.40 / 1_000_000 + 0.3 * (0.000024 + 0.0000025)

SIZES, QUICK_SIZES = (1, 20, 500), (1, 20)
TEAM = "team"

_Commit: Any = type(rpc.CommitRequest.pb(rpc.CommitRequest()))
_BatchGet: Any = type(rpc.BatchGetDocumentsRequest.pb(rpc.BatchGetDocumentsRequest()))
_Found: Any = type(rpc.RunQueryResponse.pb(rpc.RunQueryResponse()))


@dataclass
class Bill:
    """What passed between our function and Firestore."""

    reads: int = 0
    writes: int = 0
    deletes: int = 0
    calls: int = 0
    sent: int = 0  #: bytes to Firestore
    received: int = 0
    overlap: int = 0  #: reads of documents that are not newer than the cursor
    methods: dict[str, int] = field(default_factory=dict)

    def said(self) -> str:
        """The calls in words."""
        return ", ".join(f"{count} {method}" for method, count in sorted(self.methods.items()))

    @property
    def dollars(self) -> float:
        """What a thousand of these cost in Firestore."""
        return 1000 * (self.reads * READ + self.writes * WRITE + self.deletes * DELETE)


class Meter(GrpcProxy):
    """A proxy that counts. `cursor_ms` is the cursor that the phone sends."""

    def __init__(self, upstream: str) -> None:
        self.cursor_ms = 0
        self._bill = Bill()
        self._turn = threading.Lock()
        super().__init__(upstream)

    def taken(self) -> Bill:
        """What was counted since the last time."""
        with self._turn:
            bill, self._bill = self._bill, Bill()
        return bill

    def unary(self, path: str, request: bytes, context: Any) -> bytes:
        answer = super().unary(path, request, context)
        commit = _Commit.FromString(request) if path.endswith("/Commit") else None
        own = [] if commit is None else [each for each in commit.writes if not _emulated(each)]
        if commit is not None and not own:
            return answer  # the turnstile alone
        turnstile = (
            0 if commit is None else sum(w.ByteSize() for w in commit.writes if _emulated(w))
        )
        with self._turn:
            self._call(path, len(request) - turnstile, len(answer))
            for each in own:
                deletes = each.WhichOneof("operation") == "delete"
                self._bill.deletes += deletes
                self._bill.writes += not deletes
        return answer

    def stream(self, path: str, request: bytes, context: Any) -> Iterator[bytes]:
        asked = set()
        if path.endswith("/BatchGetDocuments"):
            asked = set(_BatchGet.FromString(request).documents)
        brought = again = size = 0
        try:
            for answer in super().stream(path, request, context):
                document = None if asked else _Found.FromString(answer).document
                old = False
                if document is not None and document.name:
                    old = document.update_time.ToMicroseconds() <= self.cursor_ms * 1000
                    again += old
                    brought += not old
                size += 0 if old else len(answer)
                yield answer
        finally:  # also when our function has had enough
            with self._turn:
                self._call(path, len(request), size)
                self._bill.overlap += again
                self._bill.reads += len(asked) if asked else max(brought, 0 if again else 1)

    def _call(self, path: str, sent: int, received: int) -> None:
        method = path.rpartition("/")[2]
        self._bill.calls += 1
        self._bill.methods[method] = self._bill.methods.get(method, 0) + 1
        self._bill.sent += sent
        self._bill.received += received


def _emulated(write: Any) -> bool:
    name = f"/documents/{TURNSTILE.collection}/{TURNSTILE.id}"
    return bool(write.delete.endswith(name))


def run(quick: bool) -> Report:
    """Every situation, once: counts do not vary."""
    report = Report("operations")
    sizes = QUICK_SIZES if quick else SIZES
    try:
        with emulator.firestore() as address:
            os.environ["FIRESTORE_EMULATOR_HOST"] = address
            with closing(Meter(address)) as meter, ours.serve("firestore", meter.address) as served:
                _measure(report, meter, served, sizes)
    except emulator.Absent as absent:
        report.absent.append(str(absent))
    return report


def _measure(report: Report, meter: Meter, served: ours.Ours, sizes: tuple[int, ...]) -> None:
    who, other = served.grant("amina", TEAM), served.grant("bahati", TEAM)
    bills: dict[str, Bill] = {}

    def count(name: str, cursor_ms: int, least: tuple[int, int], act: Callable[[], object]) -> None:
        time.sleep(0.01)  # the millisecond of the last commit passes: its records would come twice
        meter.cursor_ms = cursor_ms
        meter.taken()
        act()
        bills[name] = meter.taken()
        _rows(report, name, bills[name], least)

    idle_pull = 1 + len(TABLES)
    every = max(sizes)
    served.push(who, corpus.watermelon([], corpus.patients("a", every)), served.cursor_ms(who))
    for phone in (who, other):  # the ledger learns of both phones
        served.sync(phone, _batch(served.cursor_ms(phone)))
    cursor_ms = served.cursor_ms(who)
    count(
        "batch, nothing new", cursor_ms, (idle_pull, 0), lambda: served.sync(who, _batch(cursor_ms))
    )
    count(
        "WatermelonDB pull, nothing new", cursor_ms, (idle_pull, 0),
        lambda: served.pull(who, cursor_ms),
    )  # fmt: skip
    for n in sizes:
        _writing(served, who, other, n, count)
    changes = served.pull(who, 0).json()["changes"]
    listed = [len(table["created"]) for table in changes.values()]
    count(
        f"WatermelonDB first sync, {sum(listed)} rows",
        0,
        (1 + sum(max(rows, 1) for rows in listed), 0),
        lambda: served.pull(who, 0),
    )
    _judge(report, bills, sizes)


def _writing(
    served: ours.Ours,
    who: Mapping[str, str],
    other: Mapping[str, str],
    n: int,
    count: Callable[..., None],
) -> None:
    parents = -(-n // corpus.CASES_A_PATIENT)
    idle_pull = 1 + len(TABLES)

    # WatermelonDB: push alone
    rows = corpus.cases("a", n)
    for row in rows:
        row["id"] = f"w{n}-{row['id']}"
    cursor_ms = served.cursor_ms(who)
    body = corpus.watermelon(rows)
    count(
        f"WatermelonDB push, {n} new", cursor_ms, (1 + n + parents, n),
        lambda: served.push(who, body, cursor_ms),
    )  # fmt: skip
    count(
        f"WatermelonDB push, {n} again, same request", cursor_ms, (1 + n, 0),
        lambda: served.push(who, body, cursor_ms),
    )  # fmt: skip
    later_ms = served.cursor_ms(who)
    count(
        f"WatermelonDB push, {n} unchanged, other request", later_ms, (1 + n, 0),
        lambda: served.push(who, body, later_ms),
    )  # fmt: skip
    # the risk stays: lowering it costs a write more, of what stood there before
    edited = [{**row, "last_modified_at": row["last_modified_at"] + 1}
              | {"triage_data": new["triage_data"]}
              for row, new in zip(rows, corpus.cases("a", n, edit=1), strict=True)]  # fmt: skip
    body_edited = corpus.watermelon(edited, kind="updated")
    count(
        f"WatermelonDB push, {n} edited", later_ms, (1 + n + parents, n),
        lambda: served.push(who, body_edited, later_ms),
    )  # fmt: skip

    # the other phone receives them
    count(
        f"WatermelonDB pull, {n} rows", later_ms, (idle_pull - 1 + n, 0),
        lambda: served.pull(other, later_ms),
    )  # fmt: skip

    # batch: push and pull in one request
    for colour, writes in (("green", 1), ("red", 3)):
        sent = [
            {**row, "id": f"{colour}{n}-{row['id']}", "risk_level": colour}
            for row in corpus.cases("a", n)
        ]
        after_ms = served.cursor_ms(who)
        body_batch = _batch(after_ms, sent)
        # What the push has stored is newer than the cursor: the queries bring it. For a red case that
        # is the case and its row of the queue.
        extra = (n - 1) * (1 if colour == "green" else 2)
        count(
            f"batch, {n} new {colour}", after_ms,
            (idle_pull + n + parents + extra, writes * n),
            lambda body=body_batch: served.sync(who, body),
        )  # fmt: skip


def _batch(cursor_ms: int, rows: list[corpus.Row] | None = None) -> bytes:
    return corpus.batch(rows or [], cursor_ms=cursor_ms, device="amina-phone")


def _rows(report: Report, name: str, bill: Bill, least: tuple[int, int]) -> None:
    minimum = Bill(reads=least[0], writes=least[1])
    report.row(f"{name}: reads", "ours", "reads", [bill.reads])
    report.row(f"{name}: reads", "floor", "reads", [minimum.reads])
    if bill.overlap:
        report.row(f"{name}: reads of the overlap, apart", "ours", "reads", [bill.overlap])
    report.row(f"{name}: writes", "ours", "writes", [bill.writes + bill.deletes])
    report.row(f"{name}: writes", "floor", "writes", [minimum.writes])
    report.row(f"{name}: calls", "ours", "calls", [bill.calls], bill.said())
    report.row(f"{name}: bytes to and from Firestore", "ours", "bytes", [bill.sent + bill.received])
    cloud_run = f"and {1000 * REQUEST:.4f} of Cloud Run"
    report.row(f"{name}: Firestore for 1,000 syncs", "ours", "USD", [bill.dollars], cloud_run)
    report.row(f"{name}: Firestore for 1,000 syncs", "floor", "USD", [minimum.dollars])


def _judge(report: Report, bills: Mapping[str, Bill], sizes: tuple[int, ...]) -> None:
    for name in ("batch, nothing new", "WatermelonDB pull, nothing new"):
        bill = bills[name]
        report.goal(
            f"{name}: one read of documents and one query a table, nothing written",
            f"{bill.said()}, {bill.writes} writes",
            bill.methods == {"BatchGetDocuments": 1, "RunQuery": len(TABLES)}
            and not bill.writes + bill.deletes,
        )
    few, many = sizes[-2:]
    parents = (-(-many // corpus.CASES_A_PATIENT)) - (-(-few // corpus.CASES_A_PATIENT))
    for kind in ("new", "edited"):
        bill, small = (bills[f"WatermelonDB push, {n} {kind}"] for n in (many, few))
        more = many - few
        # A parent is read once and verified once. Each further commit of a big push takes three
        # writes more: the membership's verification, the verdicts so far, the audit; and one read.
        commits = bill.methods["Commit"] - small.methods["Commit"]
        # A big push asks for its receipt first, which reads it once more.
        reads = bill.reads - small.reads - parents - commits - (few <= ONE_COMMIT_ENTRIES < many)
        writes = bill.writes - small.writes - parents - 3 * commits
        report.goal(
            f"WatermelonDB push, {kind}: each further record is one read and one write, beside parents",
            f"{reads / more:.2f} reads, {writes / more:.2f} writes",
            reads <= more and writes <= more,
        )


main(__name__, run)
