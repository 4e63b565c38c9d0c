"""Deletion follows: when a record is deleted, everything that refers to it is deleted too.

The tombstone of the parent and a `cascade` job are one commit. From then on no child can be
stored (its commit verifies that the parent lives), so once no live child is found, none will come.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress

from shared.errors import Contended, Fault
from shared.jobs import job as jobs
from shared.jobs.job import Job
from shared.jobs.runner import Finish
from shared.killpoints import reach
from shared.sync import record
from shared.sync.collection import Product
from shared.sync.store import Document, Query, RecordStore, Write, patch

KIND = "cascade"

#: Children deleted in one commit, each with a job of its own at most.
_BATCH = 200

#: Passes over the children before the attempt counts as failed.
_PASSES = 50


def cascade(table: str, record_id: str, scope_id: str, now_ms: int) -> Write:
    """The job that deletes the children of a record. One a record: its id is the record's."""
    name = hashlib.sha256(f"{table}\n{record_id}".encode()).hexdigest()[:40]
    return jobs.create(f"cascade~{name}", KIND, table, record_id, scope_id, now_ms, priority=1)


class Cascade:
    """The task of kind `cascade`. `clock` gives server ms."""

    longest_seconds = 60.0

    def __init__(self, store: RecordStore, product: Product, clock: Callable[[], int]) -> None:
        self._store, self._product, self._clock = store, product, clock

    def started(self, job: Job, now_ms: int) -> Sequence[Write]:
        """Nothing but the job itself changes."""
        return ()

    def postponed(self, job: Job, now_ms: int) -> Sequence[Write]:
        """Nothing but the job itself changes."""
        return ()

    def work(self, job: Job) -> Finish:
        """Delete live children until a pass finds none. Every step may be repeated."""
        for _ in range(_PASSES):
            if not self._pass(job):
                return lambda _now: ()
        raise Contended("Children are still being changed by others.")

    def gave_up(self, job: Job, fault: Fault) -> Finish:
        """Nothing can be said in the records; the parked job itself stands in the alerts."""
        return lambda _now: ()

    def _pass(self, job: Job) -> bool:
        live = False
        for collection, name in self._product.children(job.table):
            query = Query(
                collection.name, where=((name, "==", job.subject_id),), fields=(*record.META, name)
            )
            batch: list[Write] = []
            for document in self._store.query(query):
                if document.fields.get(record.DELETED) is None:
                    live = True
                    batch += self._tombstone(document)
                if len(batch) >= _BATCH:
                    self._commit(batch)
                    batch = []
            self._commit(batch)
        return live

    def _tombstone(self, document: Document) -> list[Write]:
        now, (table, record_id) = self._clock(), document.key
        scope_id = document.fields[record.SCOPE]
        fields = {
            record.DELETED: now,
            record.HASH: record.content_hash(record_id, scope_id, None)[0],
            record.ECHO: None,
            record.EDITED: record.client_version(document),
        }
        writes = [patch(document.key, fields, document.version)]
        if self._product.children(table):
            writes.append(cascade(table, record_id, scope_id, now))
        return writes

    def _commit(self, batch: list[Write]) -> None:
        if not batch:
            return
        with suppress(Contended):  # a child changed meanwhile; the next pass finds it again
            self._store.commit(batch)
            reach("cascade.batch")
