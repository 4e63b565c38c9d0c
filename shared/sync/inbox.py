"""The inbox of a scope: what its people should look at although it could not be stored.

Two kinds of refused records are there: late ones, from phones that had not heard that a record moved
or that their user left, and red cases, which somebody must see whatever is wrong with them. Entries
are in the quarantine, where every refused record is kept; `open` marks those that wait for a person.
"""

from __future__ import annotations

from collections.abc import Iterator

from shared.accounts.membership import Caller
from shared.errors import NotFound
from shared.sync import record
from shared.sync.store import Document, Key, Query, RecordStore, patch

COLLECTION = "quarantine"

OPEN = "open"

#: Entries of one page.
PAGE = 100


def entries(store: RecordStore, scope_id: str, limit: int = PAGE) -> Iterator[Document]:
    """What waits in a scope, the oldest first."""
    return store.query(
        Query(
            COLLECTION,
            where=((record.SCOPE, "==", scope_id), (OPEN, "==", True)),
            order=(("at", "asc"),),
            limit=limit,
        )
    )


def read(store: RecordStore, entry_id: str) -> Document:
    """One entry. Raises `NotFound`."""
    key = Key(COLLECTION, entry_id)
    found = store.read([key]).documents.get(key)
    if found is None:
        raise NotFound("There is no such entry, or none that you may see.")
    return found


def close(store: RecordStore, entry: Document, caller: Caller, now_ms: int) -> None:
    """Take an entry off the list; it stays in the quarantine. Doing it again changes nothing.

    Raises `Contended` when somebody else changes it at this very moment.
    """
    if entry.fields.get(OPEN):
        fields = {OPEN: None, "closed_by": caller.user_id, "closed_at": now_ms}
        store.commit([patch(entry.key, fields, entry.version)])
