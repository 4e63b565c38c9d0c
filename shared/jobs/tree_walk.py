"""What happened to a record happens to everything below it: in passes, until nothing is left to do.

A job of such a kind is stored in the commit that changes its record. Every batch of children
verifies the record that they follow, so an older job cannot undo what was decided after it.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import ClassVar

from shared.errors import Contended
from shared.jobs import job as jobs
from shared.jobs.job import Job
from shared.jobs.runner import Finish, Task
from shared.records.collection import Catalog
from shared.records.killpoints import reach
from shared.records.store import Document, Key, Query, RecordStore, Write, verify

#: Writes in one commit, about.
_BATCH = 200

#: Passes over the children before the attempt counts as failed.
_PASSES = 50


def due(kind: str, key: Key, scope_id: str, now_ms: int) -> Write:
    """The job of that kind for the children of a record. One a record: its id is the record's."""
    name = hashlib.sha256(f"{key.collection}\n{key.id}".encode()).hexdigest()[:40]
    return jobs.create(f"{kind}~{name}", kind, key.collection, key.id, scope_id, now_ms, priority=1)


class TreeWalk(Task):
    """A task that takes the children of a record along. `clock` gives server ms."""

    kind: ClassVar[str]
    #: What a pass reads of each child; None: everything.
    mask: ClassVar[tuple[str, ...] | None] = None

    def __init__(self, store: RecordStore, catalog: Catalog, clock: Callable[[], int]) -> None:
        self.store, self.catalog, self.clock = store, catalog, clock

    @abstractmethod
    def holds(self, parent: Document) -> bool:
        """Whether the record is still in the state that its children should follow."""

    @abstractmethod
    def waits(self, child: Document, parent: Document) -> bool:
        """Whether this child has not followed yet."""

    @abstractmethod
    def follow(self, child: Document, parent: Document) -> Sequence[Write]:
        """The writes that make it follow."""

    def work(self, job: Job) -> Finish:
        """Change children until a pass finds none that waits. Every step may be repeated."""
        key = Key(job.table, job.subject_id)
        for _ in range(_PASSES):
            parent = self.store.read([key]).documents.get(key)
            if parent is None or not self.holds(parent):
                return lambda _now: None
            if not self._pass(parent):
                return lambda _now: ()
        raise Contended("Children are still being changed by others.")

    def next(self, key: Key, scope_id: str) -> tuple[Write, ...]:
        """The job for the children of a child, if it can have any."""
        if not self.catalog.children(key.collection):
            return ()
        return (due(self.kind, key, scope_id, self.clock()),)

    def _pass(self, parent: Document) -> bool:
        """One look at all children. Whether any was found waiting."""
        found = False
        batch: list[Write] = []
        for child in self._children(parent.key):
            if self.waits(child, parent):
                found = True
                batch += self.follow(child, parent)
            if len(batch) >= _BATCH:
                self._commit(parent, batch)
                batch = []
        self._commit(parent, batch)
        return found

    def _children(self, key: Key) -> Iterator[Document]:
        for collection, name in self.catalog.children(key.collection):
            mask = None if self.mask is None else (*self.mask, name)
            yield from self.store.query(
                Query(collection.name, where=((name, "==", key.id),), fields=mask)
            )

    def _commit(self, parent: Document, batch: list[Write]) -> None:
        if not batch:
            return
        with suppress(Contended):  # somebody changed something; the next pass looks again
            self.store.commit([*batch, verify(parent.key, parent.version)])
            reach(f"{self.kind}.batch")
