"""From an event to its deliveries: one job for each endpoint of the scope that wants it.

An event's end and its deliveries are one commit, guarded by the event's version: killed before, it is due
again; two at once make them once. An event of a scope without endpoints is removed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from shared.errors import Contended, Fault
from shared.hooks import event as events
from shared.hooks.endpoint import Endpoint, endpoints, key
from shared.jobs import job as jobs
from shared.records import record
from shared.records.bell import Bell
from shared.records.store import (
    Document,
    Query,
    RecordStore,
    StoredCollection,
    Write,
    delete,
    patch,
)

log = logging.getLogger(__name__)

#: The job that sends one event to one endpoint, and its topic.
KIND = "hooks"

STORED = (
    StoredCollection(
        jobs.COLLECTION, (("hook_id", "created_at desc", "__name__"), ("expires_at",))
    ),
)

#: Events of one round.
_A_ROUND = 200


def delivery(name: str, have: Mapping[str, Any], hook_id: str, now_ms: int) -> Write:
    """The job that sends the event of this id to an endpoint; again, if it is there."""
    said = ("type", record.SCOPE, "ids", "path", "at")
    made = jobs.create(
        f"{KIND}~{name}~{hook_id}",
        KIND,
        have["table"],
        have["record_id"],
        have[record.SCOPE],
        now_ms,
    )
    more = {
        "hook_id": hook_id,
        "event_id": name,
        "event": {each: have[each] for each in said},
        "expires_at": now_ms + events.KEPT_MS,
    }
    return made._replace(fields={**made.fields, **more})


def bell(job: Write) -> Bell:
    """The bell for a delivery."""
    return Bell(KIND, job.key.id, job.fields["subject_id"])


class FanOut:
    """Makes deliveries of events. Safe to share between threads and to run in many processes.

    `ring` rings for what was just stored and never raises. `clock` gives server ms.
    """

    def __init__(
        self,
        store: RecordStore,
        ring: Callable[[Sequence[Bell]], None],
        clock: Callable[[], int],
    ) -> None:
        self._store, self._ring, self._clock = store, ring, clock

    def run(self, now_ms: int) -> int:
        """Take the events that are due; how many deliveries they made. Raises `StoreUnavailable`."""
        query = Query(
            events.COLLECTION,
            where=(("due_at", "<=", now_ms),),
            order=(("due_at", "asc"),),
            limit=_A_ROUND,
        )
        due = list(self._store.query(query))
        scopes = {key(str(each.fields[record.SCOPE])) for each in due}
        known = self._store.read(sorted(scopes)).documents if scopes else {}
        bells: list[Bell] = []
        for found in due:
            there = endpoints(known.get(key(str(found.fields[record.SCOPE]))))
            with suppress(Contended):  # somebody else has it
                bells += self._take(found, there.values(), now_ms)
        self._ring(bells)
        return len(bells)

    def run_soon(self) -> None:
        """The same for somebody who has something else to answer for: what fails is left to the sweeper."""
        try:
            self.run(self._clock())
        except Fault as fault:
            log.warning("events left to the sweeper", extra={"code": fault.code})

    def _take(self, found: Document, there: Collection[Endpoint], now_ms: int) -> list[Bell]:
        if not there:
            self._store.commit([delete(found.key, found.version)])
            return []
        made = [
            delivery(found.key.id, found.fields, each.id, now_ms)
            for each in there
            if each.wants(found.fields["type"])
        ]
        self._store.commit([patch(found.key, {"due_at": None}, found.version), *made])
        return [bell(each) for each in made]
