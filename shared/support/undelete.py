"""Undelete: a deleted record comes back, and with it what was deleted along with it.

Possible for as long as the tombstone keeps its data (`shared/sync/retention.py`). The record itself
comes back at once, what hangs on it by a job (`shared/jobs/restore.py`).
"""

from __future__ import annotations

from shared.access import audit, membership
from shared.access.membership import Caller
from shared.access.rights import Action
from shared.errors import Forbidden, NotFound, ParentDeleted, Purged
from shared.jobs import restore
from shared.jobs.tree_walk import due
from shared.records import record
from shared.records.bell import Bell
from shared.records.collection import Catalog, Collection
from shared.records.insist import insist
from shared.records.store import Document, Key, RecordStore, Write, verify

_ATTEMPTS = 5


def undelete(
    store: RecordStore,
    catalog: Catalog,
    caller: Caller | None,
    key: Key,
    now_ms: int,
    by: Caller = audit.OPERATOR,
) -> list[Bell]:
    """Bring a deleted record back; a live one is left as it is. Returns bells to ring.

    `caller` None is an operator at the command line. Raises `NotFound` (also for what the caller
    may not see), `Forbidden`, `Purged` (its data is gone), `ParentDeleted` (restore that first) and
    `Contended`.
    """
    return insist(lambda: _undelete(store, catalog, caller, key, now_ms, by), _ATTEMPTS)


def _undelete(
    store: RecordStore, catalog: Catalog, caller: Caller | None, key: Key, now_ms: int, by: Caller
) -> list[Bell]:
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
    writes, bells = restore.revive(catalog, stored, parent, now_ms)
    if catalog.children(key.collection):
        writes.append(due(restore.KIND, key, scope_id, now_ms))
    who = caller or by
    touched = {key.collection: [key.id]}
    trail = audit.entries(who, "undelete", scope_id, touched, now_ms)
    store.commit([*writes, *guards, *trail])
    return bells


def _parent(store: RecordStore, collection: Collection, stored: Document) -> Document | None:
    spec = collection.parent
    name = None if spec is None else stored.fields.get(spec.name)
    if spec is None or name is None:
        return None
    key = Key(str(spec.references), name)
    return store.read([key]).documents.get(key)


def _unknown() -> NotFound:
    return NotFound("There is no such record, or none that you may see.")
