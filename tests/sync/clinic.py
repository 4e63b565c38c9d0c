"""A clinic for tests: a store, the engine on it, and phones that speak the batch dialect.

The phones are the reference client of the local stack; they share no code with the server.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from infra.local.phone import Json, Phone, wall_ms
from shared.access import membership
from shared.access.membership import Caller
from shared.jobs import job as jobs
from shared.records.collection import Catalog
from shared.records.store import Document, Key, Query, RecordStore
from shared.sync.dialects import batch
from shared.sync.exchange import Outcome
from shared.sync.pull import Puller, Start
from shared.sync.push import Pusher
from shared.sync.session import SyncRequest, SyncSession
from tests.neutral.tables import CATALOG, SUMMARISE


def pass_millisecond() -> None:
    """Spin to the clock's next millisecond, so that what was committed lies before the cursor.

    A record of the cursor's own millisecond may come twice. That is harmless, and on a fast emulator
    it happens now and then; tests that count rows should not depend on it.
    """
    now = wall_ms()
    while wall_ms() <= now:
        pass


class Clinic:
    """The server's side: the engine on a store, called as the function calls it."""

    catalog: Catalog = CATALOG
    member: str = "member"  #: the role of those who write
    kind: str = SUMMARISE  #: the jobs that most tests are about

    def __init__(self, store: RecordStore, *, attempts: int = 30) -> None:
        self._serve(store, attempts)
        self.now_ms: Callable[[], int] = wall_ms

    def _serve(self, store: RecordStore, attempts: int = 30) -> None:
        self.store = store
        self.pusher = Pusher(store, self.catalog, attempts=attempts)
        self.puller = Puller(store, self.catalog, secret=b"s" * 32)
        self.last: Outcome | None = None

    def on(self, store: RecordStore) -> Clinic:
        """The same clinic with another store in front (see `tests.stores.Interrupted`)."""
        other = Clinic(store)
        other.catalog, other.member, other.kind = self.catalog, self.member, self.kind
        other.now_ms = self.now_ms
        other._serve(store)
        return other

    def join(self, user: str, team: str = "team1", role: str | None = None) -> None:
        membership.grant(self.store, user, team, role or self.member, self.now_ms())
        pass_millisecond()

    def leave(self, user: str, team: str = "team1") -> None:
        membership.revoke(self.store, user, team, self.now_ms())

    def phone(self, user: str | None = None, device: str | None = None, **more: Any) -> Phone:
        user = user or f"{self.member}1"
        own = tuple(each.name for each in self.catalog.collections if each.pushable)
        return Phone(self.answer, user, device or f"{user}-phone", own_tables=own, **more)

    def answer(self, body: Json, phone: Phone) -> Json:
        """What `POST /api/sync` does with a body, without HTTP."""
        now = self.now_ms()
        data = orjson.dumps(body)
        asked = batch.parse(
            orjson.loads(data),
            self.catalog,
            fingerprint=hashlib.sha256(data).hexdigest(),
            client_time_ms=None if phone.clock is None else phone.clock(),
            now_ms=now,
        )
        caller = Caller(phone.user, self.member, phone.device)
        if asked.device:
            caller = replace(caller, device=asked.device)
        rows = asked.limit or 2000
        if asked.page is not None:
            request = SyncRequest(page=asked.page, rows=rows)
        else:
            request = SyncRequest(asked.push, start=Start(asked.push.cursor_ms), rows=rows)
        synced = self.session().sync(caller, request, now, pushed=self._pushed)
        answer = batch.render(self.catalog, synced.outcome, synced.pull, asked.push.clock_offset_ms)
        return json.loads(orjson.dumps(batch.brief(answer) if asked.brief else answer))

    def session(self) -> SyncSession:
        """What serves a sync; nobody hears its bells: tests run what is due themselves."""
        return SyncSession(self.pusher, self.puller, ring=lambda _bells: None)

    def _pushed(self, outcome: Outcome) -> None:
        self.last = outcome
        if outcome.written:
            pass_millisecond()

    # --- looking inside

    def get(self, table: str, record_id: str) -> Document | None:
        key = Key(table, record_id)
        return self.store.read([key]).documents.get(key)

    def fields(self, table: str, record_id: str) -> Json:
        document = self.get(table, record_id)
        assert document is not None, f"{table}/{record_id} is not stored"
        return document.fields

    def all(self, collection: str) -> list[Document]:
        return list(self.store.query(Query(collection)))

    def jobs(self, kind: str | None = None) -> list[jobs.Job]:
        found = [jobs.Job.of(document) for document in self.all(jobs.COLLECTION)]
        return [job for job in found if job.kind == (kind or self.kind)]
