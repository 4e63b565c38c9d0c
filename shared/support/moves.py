"""A record, and all that hangs on it, moves to another scope: asked by somebody who may in both.

Operators move records too (`shared/jobs/transfer.py`), which says what becomes of phones. A dry run counts
and changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from shared.access import membership
from shared.access.membership import Caller
from shared.access.rights import Action
from shared.errors import Forbidden, NotFound
from shared.jobs import transfer
from shared.records import record
from shared.records.collection import Catalog
from shared.records.insist import insist
from shared.records.store import Key, Query, RecordStore, verify

#: Records that are counted; more are told as "at least".
MOST_COUNTED = 500

_ATTEMPTS = 5


class Move(NamedTuple):
    """What moves, or would."""

    from_scope: str
    counts: dict[str, int]  #: living records by table, itself among them
    at_least: bool
    moved: bool  #: whether this call has moved it


def move(
    store: RecordStore,
    catalog: Catalog,
    caller: Caller,
    key: Key,
    to_scope: str,
    now_ms: int,
    *,
    dry_run: bool,
) -> Move:
    """Move a record, or count what would move; one that is there already stays as it is.

    Raises `InvalidRequest` (it moves with another record), `NotFound` (also for what the caller may not
    see), `Forbidden` and `Contended`.
    """
    transfer.check(catalog, key, to_scope)
    own = membership.key(caller.user_id)

    def attempt() -> Move:
        documents = store.read([key, own]).documents
        held = membership.parse(caller.user_id, documents.get(own))
        stored = documents.get(key)
        scope_id = "" if stored is None else str(stored.fields[record.SCOPE])
        if stored is None or not catalog.may(held.roles.get(scope_id), Action.READ):
            raise NotFound("There is no such record, or none that you may see.", field="id")
        if stored.fields.get(record.DELETED) is not None:
            raise NotFound("This record is deleted. Bring it back first.", field="id")
        if not catalog.may(held.roles.get(to_scope), Action.READ):
            raise NotFound("There is no such team, or none of yours.", field="to_scope_id")
        if not all(catalog.may(held.roles[each], Action.MOVE) for each in (scope_id, to_scope)):
            raise Forbidden("Your role may not move records between these teams.")
        counts, at_least = _below(store, catalog, key)
        moves = not dry_run and scope_id != to_scope
        if moves:
            writes = transfer.moving(store, catalog, stored, to_scope, now_ms, caller)
            store.commit([*writes, verify(own, held.version)])
        return Move(scope_id, counts, at_least, moves)

    return insist(attempt, _ATTEMPTS)


def _below(store: RecordStore, catalog: Catalog, key: Key) -> tuple[dict[str, int], bool]:
    """How many living records hang on one, by table, itself among them; and whether there may be more."""
    counts = {key.collection: 1}
    waiting, seen = [key], 1
    while waiting:
        at = waiting.pop()
        for table, name in catalog.children(at.collection):
            if table.name == catalog.job_rows:
                continue
            query = Query(table.name, where=((name, "==", at.id),), fields=(record.DELETED,))
            for child in store.query(query):
                if seen >= MOST_COUNTED:
                    return counts, True
                seen += 1
                waiting.append(child.key)
                if child.fields.get(record.DELETED) is None:
                    counts[table.name] = counts.get(table.name, 0) + 1
    return counts, False
