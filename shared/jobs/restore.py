"""Undelete: a deleted record comes back, and with it what was deleted along with it.

Possible for as long as the tombstone keeps its data (`shared/sync/retention.py`). A record that was
deleted by itself before its parent was stays deleted when the parent comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.access import audit, membership
from shared.access.membership import Caller
from shared.access.rights import Action
from shared.errors import Contended, Forbidden, NotFound, ParentDeleted, Purged
from shared.jobs.tree_walk import TreeWalk, due
from shared.records import record
from shared.records.collection import Catalog, Collection, Turn
from shared.records.store import Document, Key, RecordStore, Write, patch, verify

KIND = "restore"

_ATTEMPTS = 5


def undelete(
    store: RecordStore,
    catalog: Catalog,
    caller: Caller | None,
    key: Key,
    now_ms: int,
    by: Caller = audit.OPERATOR,
) -> list[Any]:
    """Bring a deleted record back; a live one is left as it is. Returns bells to ring.

    `caller` None is an operator at the command line. Raises `NotFound` (also for what the caller
    may not see), `Forbidden`, `Purged` (its data is gone), `ParentDeleted` (restore that first) and
    `Contended`.
    """
    failure = Contended("This record is being changed by others right now. Try again.")
    for _ in range(_ATTEMPTS):
        try:
            return _undelete(store, catalog, caller, key, now_ms, by)
        except Contended as error:
            failure = error
    raise failure


def _undelete(
    store: RecordStore, catalog: Catalog, caller: Caller | None, key: Key, now_ms: int, by: Caller
) -> list[Any]:
    collection = catalog.by_name.get(key.collection)
    if collection is None or not record.valid_id(key.id):
        raise _unknown()
    keys = [key] if caller is None else [key, membership.key(caller.user_id)]
    documents = store.read(keys).documents
    stored = documents.get(key)
    if stored is None:
        raise _unknown()
    scope_id = stored.fields[record.SCOPE]
    guards: list[Write] = []
    if caller is not None:
        own = membership.key(caller.user_id)
        members = membership.parse(caller.user_id, documents.get(own))
        role = members.roles.get(scope_id)
        if not catalog.may(role, Action.READ):
            raise _unknown()
        if not catalog.may(role, Action.UNDELETE):
            raise Forbidden("Your role may not bring a deleted record back.")
        guards.append(verify(own, members.version))
    if stored.fields.get(record.DELETED) is None:
        return []
    if stored.fields.get(record.KEPT) is None:
        raise Purged("This record was deleted so long ago that its data is gone.")
    parent = _parent(store, collection, stored)
    if parent is not None:
        if parent.fields.get(record.DELETED) is not None:
            raise ParentDeleted("The record that it belongs to is deleted. Bring that back first.")
        guards.append(verify(parent.key, parent.version))
    writes, bells = revive(catalog, stored, parent, now_ms)
    if catalog.children(key.collection):
        writes.append(due(KIND, key, scope_id, now_ms))
    who = caller or by
    touched = {key.collection: [key.id]}
    trail = audit.entries(who, "undelete", scope_id, touched, now_ms)
    store.commit([*writes, *guards, *trail])
    return bells


def revive(
    catalog: Catalog, stored: Document, parent: Document | None, now_ms: int
) -> tuple[list[Write], list[Any]]:
    """The writes that make a tombstone with data a record again, and bells to ring after them."""
    table, record_id = stored.key
    collection = catalog.by_name[table]
    scope_id = stored.fields[record.SCOPE]
    values = {name: stored.fields.get(name) for name in collection.client_fields}
    effects = collection.restored(
        Turn(
            table,
            record_id,
            scope_id,
            str(stored.fields.get(record.AUTHOR, "")),
            values,
            stored.fields,
            None if parent is None else parent.fields,
            now_ms,
        )
    )
    fields = {
        **effects.fields,
        record.DELETED: None,
        record.KEPT: None,
        record.DELETED_WITH: None,
        record.HASH: record.content_hash(record_id, scope_id, values)[0],
        record.ECHO: None,
        record.EDITED: record.client_version(stored),
    }
    return [patch(stored.key, fields, stored.version), *effects.writes], list(effects.bells)


def _parent(store: RecordStore, collection: Collection, stored: Document) -> Document | None:
    spec = collection.parent
    name = None if spec is None else stored.fields.get(spec.name)
    if spec is None or name is None:
        return None
    key = Key(str(spec.references), name)
    return store.read([key]).documents.get(key)


def _unknown() -> NotFound:
    return NotFound("There is no such record, or none that you may see.")


class Restore(TreeWalk):
    """The task of kind `restore`: what was deleted with a record comes back with it."""

    kind = KIND

    def holds(self, parent: Document) -> bool:
        return parent.fields.get(record.DELETED) is None

    def waits(self, child: Document, parent: Document) -> bool:
        have = child.fields
        return (
            have.get(record.DELETED_WITH) == f"{parent.key.collection}/{parent.key.id}"
            and have.get(record.KEPT) is not None
        )

    def follow(self, child: Document, parent: Document) -> Sequence[Write]:
        # Bells are left to the sweeper, which runs this task and rings for what is due.
        writes, _ = revive(self.catalog, child, parent, self.clock())
        return (*writes, *self.next(child.key, child.fields[record.SCOPE]))
