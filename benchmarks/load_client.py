"""Many phones at once, in a process of their own: `python -m benchmarks.load_client`, a plan on stdin.

Each connection takes the phone that has waited longest, lets it sync, and takes the next: no pause, so
the load is as much as the server takes. Phones keep their cursors. Plain asyncio and HTTP/1.1: a client
that took more of the processor than the server would measure itself.

The plan is JSON: host, port, phones [[user, token]], connections, seconds, seed, mix {kind: share},
and `requests`, the most syncs (null: until the time is over). Prints `settled` when it
begins to measure, and at the end JSON: milliseconds by kind, errors.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

import orjson

#: New cases that a sync of each kind brings.
KINDS = {"idle": 0, "small": 3, "large": 100}

#: Printed on a line of its own once every phone has synced and the measured time begins.
SETTLED = "settled"

_TRIAGE = {"site": "forearm", "duration_days": 5, "itching": True, "note": "dry, scaly patch " * 8}


class Broken(Exception):
    """The connection ended before an answer."""


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
            changes["cases"] = [
                {
                    "id": f"{self.user}-{self.stored + number}",
                    "patient_id": f"{self.user}-p",
                    "sync_status": "new",
                    "last_modified_at": at,
                    "risk_level": "green",
                    "triage_data": _TRIAGE,
                }
                for number in range(new)
            ]
        self.stored += max(new, 1)
        asked = {"last_sync_timestamp": self.cursor, "device_id": f"{self.user}-phone"}
        return orjson.dumps({**asked, "changes": changes})


class Connection:
    """One HTTP/1.1 connection, opened again when the server has closed it."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, token: str, body: bytes) -> tuple[int, Any]:
        """Status and value of `POST /api/sync`. A kept connection that has ended is opened anew."""
        for fresh in (False, True):
            kept = self._writer is not None and not fresh
            if not kept:
                await self._open()
            try:
                return await self._exchange(token, body)
            except (Broken, OSError):
                self.close()
                if not kept:
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(
            self._host, self._port, limit=2**26
        )

    async def _exchange(self, token: str, body: bytes) -> tuple[int, Any]:
        assert self._reader is not None
        assert self._writer is not None
        head = (
            f"POST /api/sync HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        try:
            lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:] if line)
            }
            data = await self._reader.readexactly(int(headers["content-length"]))
        except asyncio.IncompleteReadError as error:
            raise Broken from error
        if headers.get("connection", "").lower() == "close":
            self.close()
        return int(lines[0].split()[1]), orjson.loads(data)


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
        phones = deque(Phone(user, token) for user, token in plan["phones"])
        waiting = deque(phones)
        await asyncio.gather(*(self._settle(waiting) for _ in range(plan["connections"])))
        print(SETTLED, flush=True)
        self.errors.clear()
        self.took_ms = {kind: [] for kind in plan["mix"]}
        self.left = plan["requests"] or float("inf")
        began = time.perf_counter()
        end = began + plan["seconds"]
        numbers = range(plan["connections"])
        await asyncio.gather(*(self._sync(phones, end, number) for number in numbers))
        seconds = time.perf_counter() - began
        return {"seconds": seconds, "took_ms": self.took_ms, "errors": dict(self.errors)}

    async def _settle(self, waiting: deque[Phone]) -> None:
        connection = Connection(self.plan["host"], self.plan["port"])
        while waiting:
            await self._one(connection, waiting.popleft(), "idle")
        connection.close()

    async def _sync(self, phones: deque[Phone], end: float, number: int) -> None:
        dice = random.Random(f"{self.plan['seed']}-{number}")
        kinds, shares = list(self.plan["mix"]), list(self.plan["mix"].values())
        connection = Connection(self.plan["host"], self.plan["port"])
        while time.perf_counter() < end and self.left > 0:
            self.left -= 1
            phone = phones.popleft()
            await self._one(connection, phone, dice.choices(kinds, shares)[0])
            phones.append(phone)
        connection.close()

    async def _one(self, connection: Connection, phone: Phone, kind: str) -> None:
        """One sync, its further pages included."""
        body: bytes = phone.body(KINDS[kind])
        began = time.perf_counter()
        while True:
            try:
                status, value = await connection.post(phone.token, body)
            except (Broken, OSError) as error:
                connection.close()
                self.errors[type(error).__name__] += 1
                return
            if status != 200:
                self.errors[f"{status} {value.get('error', {}).get('code')}"] += 1
                return
            if value.get("rejected"):
                self.errors["records rejected"] += 1
            if not value["has_more"]:
                break
            body = orjson.dumps({"page": value["next_page"], "device_id": f"{phone.user}-phone"})
        phone.cursor = value["new_sync_timestamp"]
        self.took_ms.setdefault(kind, []).append((time.perf_counter() - began) * 1000)


if __name__ == "__main__":
    asked = orjson.loads(sys.stdin.buffer.read())
    sys.stdout.buffer.write(orjson.dumps(asyncio.run(Run(asked).all())) + b"\n")
