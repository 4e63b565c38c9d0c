"""A record moves to another scope (a family moves to another village, another team cares for it).

The record, its revocation and a `transfer` job are one commit; the job takes the descendants and the
log entries along. Phones of the old scope are told to drop the records (`pull.REVOCATIONS`), phones
of the new one get them. What the old scope's phones still send about them is kept for the new one
(`push`, "moved").
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.access import audit
from shared.access.membership import Caller
from shared.errors import InvalidRequest, NotFound
from shared.jobs.job import Job
from shared.jobs.runner import Finish
from shared.jobs.tree_walk import TreeWalk, due
from shared.records import record
from shared.records.collection import Catalog
from shared.records.insist import insist
from shared.records.store import Document, Key, Query, RecordStore, Write, patch, put

KIND = "transfer"

_ATTEMPTS = 5


def move(
    store: RecordStore,
    catalog: Catalog,
    key: Key,
    to_scope: str,
    now_ms: int,
    by: Caller = audit.OPERATOR,
) -> None:
    """Move a record with all that hangs on it to another scope. Doing it again changes nothing.

    Raises as `check` does, `NotFound` and `Contended`.
    """
    check(catalog, key, to_scope)

    def attempt() -> None:
        stored = store.read([key]).documents.get(key)
        if stored is None or stored.fields.get(record.DELETED) is not None:
            raise NotFound("There is no such record.")
        if stored.fields[record.SCOPE] != to_scope:
            store.commit(moving(store, catalog, stored, to_scope, now_ms, by))

    insist(attempt, _ATTEMPTS)


def check(catalog: Catalog, key: Key, to_scope: str) -> None:
    """Only a record that refers to no other can be moved: the others follow theirs.

    Raises `InvalidRequest`.
    """
    collection = catalog.by_name.get(key.collection)
    if collection is None or not collection.pushable:
        raise InvalidRequest("There is no such table.", field="table")
    if collection.parent is not None:
        raise InvalidRequest(
            f"Records of {key.collection} move with the record that they belong to.", field="table"
        )
    if not record.valid_id(to_scope):
        raise InvalidRequest("A scope is 1 to 128 of A-Z a-z 0-9 _ -.", field="scope_id")


def moving(
    store: RecordStore, catalog: Catalog, stored: Document, to_scope: str, now_ms: int, by: Caller
) -> list[Write]:
    """The writes that move a record as it was read, and the job that takes along what hangs on it."""
    touched = {stored.key.collection: [stored.key.id]}
    trail = (
        write
        for scope_id in (stored.fields[record.SCOPE], to_scope)
        for write in audit.entries(by, "move", scope_id, touched, now_ms)
    )
    return [
        *rescoped(store, catalog, stored, to_scope),
        due(KIND, stored.key, to_scope, now_ms),
        *trail,
    ]


def rescoped(store: RecordStore, catalog: Catalog, stored: Document, to_scope: str) -> list[Write]:
    """The writes that move one record: itself, and where phones of its former scopes look."""
    table, record_id = stored.key
    collection = catalog.by_name[table]
    deleted = stored.fields.get(record.DELETED) is not None
    values = {name: stored.fields.get(name) for name in collection.client_fields}
    content_hash, _ = record.content_hash(record_id, to_scope, None if deleted else values)
    here = str(stored.fields[record.SCOPE])
    left = record.revocation(stored.key, here)
    return [
        record.server_patch(stored, {record.SCOPE: to_scope, record.HASH: content_hash}),
        put(
            left,
            {record.SCOPE: here, "table": table, "record_id": record_id, "to_scope": to_scope},
            None,
        ),
        *(
            patch(earlier.key, {"to_scope": to_scope}, earlier.version)
            for earlier in _about(store, record.REVOCATIONS, stored.key)
            if earlier.key != left
        ),
    ]


def _about(store: RecordStore, collection: str, key: Key) -> list[Document]:
    """Entries of a log, or revocations, that speak of a record."""
    found = store.query(Query(collection, where=(("record_id", "==", key.id),)))
    return [document for document in found if document.fields.get("table") == key.collection]


class Transfer(TreeWalk):
    """The task of kind `transfer`: descendants and log entries go where their record went."""

    kind = KIND

    def holds(self, parent: Document) -> bool:
        return True

    def waits(self, child: Document, parent: Document) -> bool:
        return bool(child.fields[record.SCOPE] != parent.fields[record.SCOPE])

    def follow(self, child: Document, parent: Document) -> Sequence[Write]:
        to_scope = parent.fields[record.SCOPE]
        own = rescoped(self.store, self.catalog, child, to_scope)
        return (*own, due(KIND, child.key, to_scope, self.clock()))

    def work(self, job: Job) -> Finish:
        """Log entries of the record first, then its children."""
        key = Key(job.table, job.subject_id)
        stored = self.store.read([key], (record.SCOPE,)).documents.get(key)
        if stored is not None:
            scope_id = stored.fields[record.SCOPE]
            for log in record.LOGS:
                for entry in _about(self.store, log, key):
                    if entry.fields.get(record.SCOPE) != scope_id:
                        self.store.commit(
                            [patch(entry.key, {record.SCOPE: scope_id}, entry.version)]
                        )
        return super().work(job)
