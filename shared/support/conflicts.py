"""The conflict log of a scope: which values won and which lost, the newest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from shared.records import record
from shared.records.collection import Catalog
from shared.records.store import Document, Query, RecordStore
from shared.sync import paging
from shared.sync.journal import CONFLICTS

#: Entries of one page unless the request says otherwise, and at most.
PAGE = 50


class ConflictPage(NamedTuple):
    """A page of entries, and the token of the next one."""

    entries: list[Document]
    next_page: str | None


def page(store: RecordStore, scope_id: str, limit: int, token: str | None) -> ConflictPage:
    """One page. Raises `InvalidCursor` for a token that is none of this list."""
    query = Query(
        CONFLICTS,
        where=((record.SCOPE, "==", scope_id),),
        order=(("at", "desc"),),
        limit=limit + 1,
        start_after=None if token is None else paging.opened(token)[2:],
    )
    found = list(store.query(query))
    more, found = len(found) > limit, found[:limit]
    last = (
        paging.sealed((False, False, int(found[-1].fields["at"]), found[-1].key.id))
        if more
        else None
    )
    return ConflictPage(found, last)


def shown_conflict(entry: Document, catalog: Catalog, role: str) -> dict[str, Any]:
    """An entry as a role may see it. A side that was too large for one document is empty in this one."""
    have = entry.fields
    yours, theirs = (_side(have, name, catalog, role) for name in ("yours", "theirs"))
    won, lost = (theirs, yours) if have["winner"] == "server" else (yours, theirs)
    return {
        "id": entry.key.id,
        "table": have["table"],
        "record_id": have["record_id"],
        "at": have["at"],
        "reason": have["reason"],
        "winner": have["winner"],
        "won": won,
        "lost": lost,
        "user_id": have.get(record.AUTHOR),
        "device": have.get("device"),
    }


def _side(have: Mapping[str, Any], name: str, catalog: Catalog, role: str) -> dict[str, Any]:
    said: dict[str, Any] = orjson.loads(have[name])
    table = catalog.by_name.get(have["table"])
    return said if table is None else table.redact(said, role)
