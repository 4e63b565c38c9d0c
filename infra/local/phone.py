"""A phone that speaks the batch dialect: the reference client, for the demo and the tests.

What `Phone` does is what the mobile guide asks of an app: keep rows and unsent edits, send them all,
apply the answer in this order (accepted, rejected, rows, deletions, cursor). It shares no code with
the server.
"""

from __future__ import annotations

import http.client
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]

#: Tables that phones of DermaDetect write; the others are the server's.
OWN_TABLES = ("patients", "cases")
Send = Callable[[Json, "Phone"], Json]


def wall_ms() -> int:
    """This machine's clock, Unix ms."""
    return time.time_ns() // 1_000_000


class ServerRefused(Exception):
    """The server answered with an error: its status, stable code and `Retry-After` in seconds."""

    def __init__(self, status: int, error: Json, retry_after_s: float | None) -> None:
        super().__init__(f"{status} {error.get('code')}: {error.get('message')}")
        self.status, self.code = status, str(error.get("code"))
        self.retry_after_s = retry_after_s


def over_http(url: str, token: str, *, timeout_seconds: float = 60.0) -> Send:
    """A way to send to a server at `url`. Raises `ServerRefused` for an error, `OSError` for no answer."""
    parts = urlsplit(url)

    def send(body: Json, phone: Phone) -> Json:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if phone.clock is not None:
            headers["X-Client-Time"] = str(phone.clock() / 1000)
        connection = http.client.HTTPConnection(
            parts.hostname or "127.0.0.1", parts.port, timeout=timeout_seconds
        )
        try:
            connection.request("POST", "/api/sync", json.dumps(body).encode(), headers)
            response = connection.getresponse()
            value: Json = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            after = response.headers.get("Retry-After")
            raise ServerRefused(
                response.status, value.get("error", {}), float(after) if after else None
            )
        return value

    return send


class Phone:
    """A phone with the batch dialect: rows, edits not sent yet, a cursor, a clock.

    `clock` gives what the phone believes is the time in ms; None sends no `X-Client-Time`. It writes
    `own_tables`.
    """

    def __init__(
        self,
        send: Send,
        user: str,
        device: str,
        *,
        clock: Callable[[], int] | None = None,
        limit: int | None = None,
        own_tables: Sequence[str] = OWN_TABLES,
    ) -> None:
        self.send, self.user, self.device, self.clock, self.limit = send, user, device, clock, limit
        self.own_tables = own_tables
        self.cursor: float = 0
        self.rows: dict[tuple[str, str], Json] = {}
        self.dirty: dict[tuple[str, str], Json] = {}
        self.refused: dict[tuple[str, str], Json] = {}  #: edits that the server does not take
        self.met: set[tuple[str, str]] = set()  #: received or accepted in the present sync
        self.photos: list[Json] = []  #: announced with every sync until their tickets are here
        self.tickets: dict[str, Json] = {}  #: by the photo's key
        self.inbox: list[Json] = []  #: rejected records and conflicts, for the user to look at

    def now(self) -> float:
        """Unix seconds by this phone's clock."""
        return (self.clock() if self.clock else wall_ms()) / 1000

    def save(self, table: str, record_id: str, at: float | None = None, **fields: Any) -> None:
        """Create or edit a record offline. Full rows travel, and what was changed in them is named."""
        self.write(table, record_id, fields, at)

    def write(
        self, table: str, record_id: str, fields: Mapping[str, Any], at: float | None = None
    ) -> None:
        """As `save`, for columns of any name: `at` is when it was changed, Unix seconds."""
        key = (table, record_id)
        before, waiting = self.rows.get(key, {}), self.dirty.get(key)
        new = not before if waiting is None else waiting["sync_status"] == "new"
        when = self.now() if at is None else at
        row = {**before, **fields, "id": record_id, "last_modified_at": when}
        self.rows[key] = row
        self.dirty[key] = {**row, "sync_status": "new" if new else "dirty"}
        if not new:
            self.dirty[key]["changed"] = sorted({*(waiting or {}).get("changed", ()), *fields})

    def delete(self, table: str, record_id: str, at: float | None = None) -> None:
        """Delete a record offline."""
        key = (table, record_id)
        self.rows.pop(key, None)
        when = self.now() if at is None else at
        self.dirty[key] = {"id": record_id, "sync_status": "deleted", "last_modified_at": when}

    def request(self) -> Json:
        """The body of the next sync: everything not sent yet."""
        changes: dict[str, list[Json]] = {}
        for (table, _), record in self.dirty.items():
            changes.setdefault(table, []).append(record)
        body: Json = {
            "last_sync_timestamp": self.cursor,
            "changes": changes,
            "device_id": self.device,
        }
        if self.photos:
            body["files"] = self.photos
        if self.limit:
            body["limit"] = self.limit
        return body

    def sync(self) -> Json:
        """Push and pull, page after page; returns the first page's answer."""
        began_at = self.cursor
        self.met = set()
        first = answer = self.send(self.request(), self)
        self.apply(answer)
        while answer["has_more"]:
            page = {"page": answer["next_page"], "device_id": self.device}
            if self.limit:
                page["limit"] = self.limit
            answer = self.send(page, self)
            self.apply(answer)
        if began_at == 0:  # it lists no deletions, and an earlier one may have broken off
            for key in self.rows.keys() - self.met - self.dirty.keys():
                del self.rows[key]
        return first

    def apply(self, answer: Json) -> None:
        """Take over an answer: what was accepted is clean, what the server holds is held here too."""
        for table, ids in answer["accepted"].items():
            for record_id in ids:
                self.dirty.pop((table, record_id), None)
                self.met.add((table, record_id))
        self.inbox += answer["rejected"] + answer["conflicts"]
        for ticket in answer.get("files", ()):
            self.tickets[ticket["key"]] = ticket
            self.photos = [each for each in self.photos if each["key"] != ticket["key"]]
        for item in answer["rejected"]:
            # What was refused stays here for its author to mend, but is not sent unchanged for ever.
            key = (item["table"], item["id"])
            if key in self.dirty:
                self.refused[key] = self.dirty.pop(key)
        if answer.get("resync") == "upload_first":
            self._offer_again()
        for table, rows in answer["server_updates"].items():
            for row in rows:
                key = (table, row["id"])
                self.met.add(key)
                # After a restore an older row must not replace what is about to be sent.
                mine = self.dirty.get(key) if "resync" in answer else None
                # Of what this phone just sent only the news comes back: they are laid over it. Without
                # a time of its own such a row is as new as what was sent.
                theirs = row.get("last_modified_at", math.inf)
                if mine is None or mine.get("last_modified_at", 0) <= theirs:
                    self.rows[key] = {**self.rows.get(key, {}), **row}
        for table, ids in answer["deleted"].items():
            for record_id in ids:
                self.rows.pop((table, record_id), None)
        self.cursor = answer["new_sync_timestamp"]

    def _offer_again(self) -> None:
        """The server lost history: what it may no longer know is sent with the next sync."""
        for key, row in self.rows.items():
            if key[0] in self.own_tables and key not in self.dirty:
                self.dirty[key] = {**row, "sync_status": "new"}

    def row(self, table: str, record_id: str) -> Json | None:
        """A record as this phone holds it."""
        return self.rows.get((table, record_id))
