"""Many phones at once, in a process of their own: `python -m benchmarks.load_client`, a plan on stdin.

Each connection takes the phone that has waited longest, lets it sync, and takes the next: no pause, so
the load is as much as the server takes. Phones keep their cursors. Plain asyncio and HTTP/1.1: a client
that took more of the processor than the server would measure itself.

The plan is JSON: host, port, dialect (a key of `PHONES`), phones [[user, key]], connections, seconds, seed,
mix {kind: share}, and `requests`, the most syncs (null: until the time is over). Prints `settled` when it
begins to measure, and at the end JSON: milliseconds by kind, errors, HTTP requests.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

#: New cases that a sync of each kind brings.
KINDS = {"idle": 0, "small": 3, "large": 100}

#: Printed on a line of its own once every phone has synced and the measured time begins.
SETTLED = "settled"

_TRIAGE = {"site": "forearm", "duration_days": 5, "itching": True, "note": "dry, scaly patch " * 8}


class Broken(Exception):
    """The connection ended before an answer."""


class Refused(Exception):
    """An answer that is no success; the message is what is counted."""


class Line(Protocol):
    """Where a phone asks."""

    async def ask(self, method: str, path: str, body: bytes | None = None, token: str = "") -> Any:
        """The JSON value of an answer. Raises `Refused`, `Broken`, `OSError`."""
        ...


class Syncs(Protocol):
    """A phone of some back end."""

    async def sync(self, line: Line, new: int) -> None:
        """Send so many new cases, take what changed since the last time. Raises as `Line.ask`."""
        ...


@dataclass
class Phone:
    """A phone of the batch dialect, as little as a load needs: its cursor, a counter for ids."""

    user: str
    token: str
    cursor: float = 0
    stored: int = 0

    def body(self, new: int) -> bytes:
        """The next sync, with so many new green cases."""
        at = time.time()
        changes: dict[str, list[dict[str, Any]]] = {}
        if not self.stored:
            about = {"name": "Asha N.", "age": 34, "sex": "female"}
            patient = {"id": f"{self.user}-p", "demographics": about}
            changes["patients"] = [{**patient, "sync_status": "new", "last_modified_at": at}]
        if new:
            rows = _cases(self.user, self.stored, new)
            changes["cases"] = [
                {**row, "sync_status": "new", "last_modified_at": at} for row in rows
            ]
        self.stored += max(new, 1)
        asked = {"last_sync_timestamp": self.cursor, "device_id": f"{self.user}-phone"}
        return orjson.dumps({**asked, "changes": changes})

    async def sync(self, line: Line, new: int) -> None:
        """One request, and one for each further page."""
        body = self.body(new)
        while True:
            value = await line.ask("POST", "/api/sync", body, self.token)
            if value.get("rejected"):
                raise Refused("records rejected")
            if not value["has_more"]:
                break
            body = orjson.dumps({"page": value["next_page"], "device_id": f"{self.user}-phone"})
        self.cursor = value["new_sync_timestamp"]


@dataclass
class PouchPhone:
    """A phone of PouchDB Server, as a replication without its checkpoints; its team has a database."""

    user: str
    database: str
    since: Any = 0
    stored: int = 0

    async def sync(self, line: Line, new: int) -> None:
        """`_revs_diff` and `_bulk_docs` where there is news, then `_changes` with its documents."""
        documents = {}
        for row in _cases(self.user, self.stored, new):
            document = {**row, "last_modified_at": time.time_ns() // 1_000_000}
            name = hashlib.md5(orjson.dumps(document), usedforsecurity=False).hexdigest()
            revision = {"start": 1, "ids": [name]}
            known = {"_id": document.pop("id"), "_rev": f"1-{name}", "_revisions": revision}
            documents[known["_id"]] = {**document, **known}
        self.stored += new
        if documents:
            asked = {name: [each["_rev"]] for name, each in documents.items()}
            missing = await line.ask("POST", f"/{self.database}/_revs_diff", orjson.dumps(asked))
            body = {"docs": [documents[name] for name in missing], "new_edits": False}
            if await line.ask("POST", f"/{self.database}/_bulk_docs", orjson.dumps(body)):
                raise Refused("records rejected")
        path = f"/{self.database}/_changes?since={self.since}&include_docs=true"
        self.since = (await line.ask("GET", path))["last_seq"]


@dataclass
class FlaskPhone:
    """A phone of `peer_flask.py`: its cursor is the server's clock."""

    user: str
    team: str
    since: int = 0
    stored: int = 0

    async def sync(self, line: Line, new: int) -> None:
        """A push where there is news, then a pull."""
        now_ms = time.time_ns() // 1_000_000
        rows = [
            {**row, "team": self.team, "image_keys": [], "last_modified_at": now_ms}
            for row in _cases(self.user, self.stored, new)
        ]
        self.stored += new
        if rows:
            await line.ask("POST", "/bulk", orjson.dumps({"cases": rows}))
        said = await line.ask("GET", f"/bulk?since={self.since}&team={self.team}")
        self.since = said["timestamp"]


#: Phones by the plan's `dialect`; made of a user and a key: a token, or the name of a team.
PHONES: Mapping[str, Callable[[str, str], Syncs]] = {
    "ours": Phone,
    "pouchdb": PouchPhone,
    "flask": FlaskPhone,
}


def _cases(user: str, first: int, count: int) -> list[dict[str, Any]]:
    """New green cases, without what the dialects write differently."""
    return [
        {
            "id": f"{user}-{number}",
            "patient_id": f"{user}-p",
            "risk_level": "green",
            "triage_data": _TRIAGE,
        }
        for number in range(first, first + count)
    ]


class Connection:
    """One HTTP/1.1 connection, opened again when the server has closed it."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.answered = 0

    async def ask(self, method: str, path: str, body: bytes | None = None, token: str = "") -> Any:
        """As `Line` says. A kept connection that has ended is opened anew."""
        for fresh in (False, True):
            kept = self._writer is not None and not fresh
            if not kept:
                await self._open()
            try:
                status, value = await self._exchange(method, path, body, token)
            except (Broken, OSError):
                self.close()
                if not kept:
                    raise
            else:
                self.answered += 1
                if status not in (200, 201):
                    raise Refused(f"{status} {_code(value)}")
                return value
        raise AssertionError("unreachable")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(
            self._host, self._port, limit=2**26
        )

    async def _exchange(
        self, method: str, path: str, body: bytes | None, token: str
    ) -> tuple[int, Any]:
        assert self._reader is not None
        assert self._writer is not None
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n"
        if token:
            head += f"Authorization: Bearer {token}\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(head.encode() + b"\r\n" + (body or b""))
        try:
            lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:] if line)
            }
            if headers.get("transfer-encoding", "").lower() == "chunked":
                data = await self._chunks(self._reader)
            else:
                data = await self._reader.readexactly(int(headers["content-length"]))
        except asyncio.IncompleteReadError as error:
            raise Broken from error
        if headers.get("connection", "").lower() == "close":
            self.close()
        status = int(lines[0].split()[1])
        try:
            return status, orjson.loads(data)
        except orjson.JSONDecodeError:  # a page that says what broke
            if status < 400:
                raise
            return status, None

    @staticmethod
    async def _chunks(reader: asyncio.StreamReader) -> bytes:
        """A body in pieces (RFC 9112, section 7.1), without trailers."""
        pieces = []
        while size := int(await reader.readuntil(b"\r\n"), 16):
            pieces.append((await reader.readexactly(size + 2))[:-2])
        await reader.readexactly(2)
        return b"".join(pieces)


def _code(value: Any) -> str:
    """What a refusal calls itself: ours in an object, PouchDB's in a word."""
    error = value.get("error") if isinstance(value, dict) else None
    return str(error.get("code") if isinstance(error, dict) else error)


@dataclass
class Run:
    """Connections at work on one plan."""

    plan: dict[str, Any]
    took_ms: dict[str, list[float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    left: float = 0

    async def all(self) -> dict[str, Any]:
        """First every phone syncs once, unmeasured; then the measured time."""
        plan = self.plan
        make = PHONES[plan["dialect"]]
        phones = deque(make(user, key) for user, key in plan["phones"])
        waiting = deque(phones)
        await asyncio.gather(*(self._settle(waiting) for _ in range(plan["connections"])))
        print(SETTLED, flush=True)
        self.errors.clear()
        self.took_ms = {kind: [] for kind in plan["mix"]}
        self.left = plan["requests"] or float("inf")
        began = time.perf_counter()
        end = began + plan["seconds"]
        numbers = range(plan["connections"])
        answered = await asyncio.gather(*(self._sync(phones, end, number) for number in numbers))
        return {
            "seconds": time.perf_counter() - began,
            "took_ms": self.took_ms,
            "errors": dict(self.errors),
            "http_requests": sum(answered),
        }

    async def _settle(self, waiting: deque[Syncs]) -> None:
        connection = Connection(self.plan["host"], self.plan["port"])
        while waiting:
            await self._one(connection, waiting.popleft(), "idle")
        connection.close()

    async def _sync(self, phones: deque[Syncs], end: float, number: int) -> int:
        """Syncs until the end; how many requests were answered."""
        dice = random.Random(f"{self.plan['seed']}-{number}")
        kinds, shares = list(self.plan["mix"]), list(self.plan["mix"].values())
        connection = Connection(self.plan["host"], self.plan["port"])
        while time.perf_counter() < end and self.left > 0:
            self.left -= 1
            phone = phones.popleft()
            await self._one(connection, phone, dice.choices(kinds, shares)[0])
            phones.append(phone)
        connection.close()
        return connection.answered

    async def _one(self, connection: Connection, phone: Syncs, kind: str) -> None:
        """One sync, all of its requests."""
        began = time.perf_counter()
        try:
            await phone.sync(connection, KINDS[kind])
        except Refused as error:
            self.errors[str(error)] += 1
        except (Broken, OSError) as error:
            connection.close()
            self.errors[type(error).__name__] += 1
        else:
            self.took_ms.setdefault(kind, []).append((time.perf_counter() - began) * 1000)


if __name__ == "__main__":
    asked = orjson.loads(sys.stdin.buffer.read())
    sys.stdout.buffer.write(orjson.dumps(asyncio.run(Run(asked).all())) + b"\n")
