"""Our back end under measurement: its HTTP functions as they are started when deployed.

    with serve("sqlite") as ours:          # the local profile: all functions
    with serve("firestore", address):      # functions-framework with `sync`, as on Cloud Run

`Ours.store` is the same store from inside, for seeding and for measuring the engine without HTTP.
"""

from __future__ import annotations

import http.client
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import yaml

from benchmarks import corpus
from benchmarks.emulator import PROJECT
from infra.local.stack import Stack
from infra.local.table import TABLE
from shared.access import membership
from shared.access.membership import Caller
from shared.accounts import tokens
from shared.accounts.tokens import TokenPolicy
from shared.adapters.file_keys import FileKeys
from shared.adapters.sqlite import SqliteStore
from shared.products.dermadetect.tables import CATALOG
from shared.records.store import RecordStore
from shared.sync.dialects import watermelon
from shared.sync.push import Pusher

#: Longest wait for an answer, seconds.
_PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Answer:
    """An answer over HTTP, taken off the wire but not opened."""

    status: int
    body: bytes
    first_byte_ms: float
    total_ms: float
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body."""
        return orjson.loads(self.body)


def request(
    method: str,
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    expect: Sequence[int] = (200,),
    keep: bool = True,
) -> Answer:
    """One request on a connection of its own, timed from its opening. Raises on another status.

    `first_byte_ms` is when the first piece of the body was here. Without `keep` the body is thrown
    away as it comes, as a phone does that parses it in pieces.
    """
    address = urlsplit(url)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=_PATIENCE_SECONDS
    )
    path = address.path + (f"?{address.query}" if address.query else "")
    began = time.perf_counter()
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        first = answer.read1(65_536)
        first_byte_ms = (time.perf_counter() - began) * 1000
        pieces, size = [first], len(first)
        while piece := answer.read1(262_144):
            size += len(piece)
            if keep:
                pieces.append(piece)
        total_ms = (time.perf_counter() - began) * 1000
        said = {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()
    if answer.status not in expect:
        raise RuntimeError(f"{method} {path} answered {answer.status}: {pieces[0][:300]!r}")
    said["x-received"] = str(size)
    return Answer(answer.status, b"".join(pieces), first_byte_ms, total_ms, said)


class Ours:
    """A running back end: requests of phones, and its store."""

    def __init__(self, stack: Stack, url: str, store: RecordStore) -> None:
        self.stack, self.store = stack, store
        self._url = url.rstrip("/")
        self._keys = FileKeys(stack.data / "keys")
        self._policy = TokenPolicy("dermadetect", "dermadetect-api", user_claim="chw_id")

    def grant(self, user: str, team: str) -> dict[str, str]:
        """Make a health worker of a team; headers for her requests."""
        membership.grant(self.store, user, team, "chw", time.time_ns() // 1_000_000)
        token = tokens.issue(
            self._keys.current(),
            self._policy,
            user_id=user,
            role="chw",
            device=f"{user}-phone",
            now_s=time.time(),
            seconds=12 * 3600,
        )
        return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def push(self, who: Mapping[str, str], body: bytes, cursor_ms: int) -> Answer:
        """A push of the WatermelonDB dialect: nothing is pulled."""
        url = f"{self._url}/api/v1/sync?last_pulled_at={cursor_ms}"
        return request("POST", url, body, who)

    def pull(
        self, who: Mapping[str, str], cursor_ms: int, *, gzip: bool = False, keep: bool = True
    ) -> Answer:
        """A pull of the WatermelonDB dialect: streamed."""
        url = f"{self._url}/api/v1/sync?last_pulled_at={cursor_ms or 'null'}"
        headers = {**who, "Accept-Encoding": "gzip" if gzip else "identity"}
        return request("GET", url, None, headers, keep=keep)

    def sync(self, who: Mapping[str, str], body: bytes) -> Answer:
        """One request of the batch dialect: push, then pull."""
        return request("POST", f"{self._url}/api/sync", body, who)

    def cursor_ms(self, who: Mapping[str, str]) -> int:
        """A cursor of now, as a phone has it that has just pulled everything."""
        return int(self.pull(who, _now_ms() - 60_000).json()["timestamp"])

    def fill(self, team: str, prefix: str, cases: int) -> None:
        """Store patients and cases of a team by the engine itself."""
        fill(self.store, team, prefix, cases)

    def processes(self) -> list[int]:
        """The ids of all processes that serve."""
        return _below([child._guard.pid for child in self.stack.children()])


def fill(store: RecordStore, team: str, prefix: str, cases: int) -> None:
    """Store patients and cases of a team through the write path, 480 at a time."""
    user = f"{prefix}-seeder"
    membership.grant(store, user, team, "chw", _now_ms())
    pusher, caller = Pusher(store, CATALOG), Caller(user, "chw", f"{user}-phone")
    for rows in corpus.parts(corpus.patients(prefix, cases), 480):
        pusher.push(caller, parsed(corpus.watermelon((), rows)), _now_ms())
    for first in range(0, cases, 440):
        rows = corpus.cases(prefix, min(440, cases - first), first=first)
        pusher.push(caller, parsed(corpus.watermelon(rows)), _now_ms())


def parsed(body: bytes, cursor_ms: int | None = None, fingerprint: str = "") -> Any:
    """A body of the WatermelonDB dialect as the engine takes it."""
    now_ms = _now_ms()
    return watermelon.parse_push(
        orjson.loads(body),
        CATALOG,
        cursor_ms=now_ms if cursor_ms is None else cursor_ms,
        fingerprint=fingerprint or os.urandom(8).hex(),
        client_time_ms=None,
        now_ms=now_ms,
    )


@contextmanager
def serve(store: str, emulator: str = "", *, data: Path | None = None) -> Iterator[Ours]:
    """Start our back end on SQLite, or on the Firestore emulator at `emulator`.

    `data` is a folder that may hold a database already.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = data or Path(folder) / "data"
        home.mkdir(exist_ok=True)
        if store == "sqlite":
            with (
                Stack(profile="local", data=home) as stack,
                _closing(SqliteStore(home / "records.db")) as inside,
            ):
                yield Ours(stack, stack.url, inside)
            return
        from shared.adapters.firestore import FirestoreStore

        table = Path(folder) / "functions.yaml"
        rows = yaml.safe_load(TABLE.read_text("utf-8"))
        table.write_text(yaml.safe_dump({"sync": rows["sync"]}))
        environ = {
            "JOB_QUEUE": "sqlite",
            "MODEL": "scripted",
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "FIRESTORE_EMULATOR_HOST": emulator,
        }
        with Stack(profile="emulator", data=home, environ=environ, table=table) as stack:
            os.environ.setdefault("FIRESTORE_EMULATOR_HOST", emulator)
            with _closing(FirestoreStore(PROJECT)) as inside:
                yield Ours(stack, stack.address("sync"), inside)


@contextmanager
def _closing(store: Any) -> Iterator[Any]:
    try:
        yield store
    finally:
        store.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


# --- memory of processes (Linux)


def _below(pids: Sequence[int]) -> list[int]:
    """These processes and all their children."""
    found: list[int] = []
    left = list(pids)
    while left:
        pid = left.pop()
        found.append(pid)
        with suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                left += map(int, (task / "children").read_text().split())
    return found


def peak_mb(pids: Sequence[int]) -> float:
    """The most memory that any of these processes ever held, MB."""
    peaks = [0]
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peaks.append(int(line.split()[1]))
    return max(peaks) / 1024
