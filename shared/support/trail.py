"""The audit trail as people read it: what somebody did, and what was done in a team. The newest first.

An entry names who, what, when and from where, and of records only how many, by table. Who asks for what
somebody did in a team gets that team's entries alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from shared.access import audit
from shared.records.record import SCOPE
from shared.records.store import Document, Query, RecordStore
from shared.sync import paging

#: Entries of one page, and those that one answer looks at to find them: a filter may fit few. Then the
#: page is shorter, and the next one goes on behind what was looked at.
PAGE = 50
LOOKED_AT = 2_000

#: Accounts that a change of rights is about, in the `ids` of its entry.
_ACCOUNTS = "accounts"


class TrailWanted(NamedTuple):
    """Whose entries, or a team's. Empty: all. `from_ms` to `to_ms` (not included), server ms."""

    user_id: str = ""
    scope_id: str = ""
    action: str = ""
    from_ms: int | None = None
    to_ms: int | None = None


class TrailPage(NamedTuple):
    """Entries, and the token of the next page; None: that was all."""

    entries: list[dict[str, Any]]
    next_page: str | None


def page(
    store: RecordStore, wanted: TrailWanted, token: str | None, limit: int = PAGE
) -> TrailPage:
    """A page of the trail of somebody, of a team, or of somebody in a team. Raises `InvalidCursor`."""
    behind = None if token is None else paging.opened(token)
    found: list[dict[str, Any]] = []
    last: Document | None = None
    looked = 0
    for document in islice(_documents(store, wanted, behind, limit), LOOKED_AT):
        if len(found) == limit:
            break
        last, looked = document, looked + 1
        if _fits(document.fields, wanted):
            found.append(shown_entry(document))
    else:
        if looked < LOOKED_AT:
            last = None
    return TrailPage(found, None if last is None else _token(last))


def _documents(
    store: RecordStore, wanted: TrailWanted, behind: paging.Place | None, limit: int
) -> Iterator[Document]:
    filtered = bool(wanted.action or (wanted.user_id and wanted.scope_id))
    one = ("user_id", wanted.user_id) if wanted.user_id else (SCOPE, wanted.scope_id)
    where: list[tuple[str, str, Any]] = [(one[0], "==", one[1])]
    if wanted.from_ms is not None:
        where.append(("at", ">=", wanted.from_ms))
    if wanted.to_ms is not None:
        where.append(("at", "<", wanted.to_ms))
    query = Query(
        audit.COLLECTION,
        where=tuple(where),
        order=(("at", "desc"),),
        start_after=None if behind is None else (behind[2], behind[3]),
        limit=LOOKED_AT if filtered else limit + 1,
    )
    return store.query(query)


def _fits(have: Mapping[str, Any], wanted: TrailWanted) -> bool:
    return (not wanted.scope_id or have[SCOPE] == wanted.scope_id) and (
        not wanted.action or have["action"] == wanted.action
    )


def _token(document: Document) -> str:
    return paging.sealed((False, False, int(document.fields["at"]), document.key.id))


def shown_entry(document: Document) -> dict[str, Any]:
    """An entry as an answer shows it."""
    have = document.fields
    ids = have.get("ids") or {}
    said = have.get("said") or {}
    return {
        "id": document.key.id,
        "at": have["at"],
        "action": have["action"],
        "user_id": have["user_id"],
        "name": have.get("name"),
        "device": have.get("device") or None,
        "scope_id": None if have[SCOPE] == audit.DEPLOYMENT else have[SCOPE],
        "of": list(ids.get(_ACCOUNTS, ())),
        "records": {table: len(each) for table, each in sorted(ids.items()) if table != _ACCOUNTS},
        "said": {name: str(value) for name, value in sorted(said.items())},
        "sealed": bool(have.get("sealed")),
    }
