"""What was deleted in a scope and can come back: for those who undelete, a page at a time, newest first.

What was deleted so long ago that its data is gone is not listed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from shared.records import record
from shared.records.collection import Collection
from shared.records.store import Document, Query, RecordStore
from shared.sync import paging

#: Records of one page unless the request says otherwise, and at most.
PAGE = 50

#: Longest label, characters.
_LONGEST = 200


class DeletedPage(NamedTuple):
    """A page of deleted records, and the token of the next one."""

    records: list[Document]
    next_page: str | None


def page(
    store: RecordStore, table: Collection, scope_id: str, limit: int, token: str | None
) -> DeletedPage:
    """One page. Raises `InvalidCursor` for a token that is none of this list."""
    behind = None if token is None else paging.opened(token)[2:]
    query = Query(
        table.name,
        where=((record.SCOPE, "==", scope_id), (record.KEPT, ">", 0)),
        order=((record.KEPT, "desc"),),
        limit=limit + 1,
        start_after=behind,
    )
    found = list(store.query(query))
    more, found = len(found) > limit, found[:limit]
    token = (
        paging.sealed((False, False, int(found[-1].fields[record.KEPT]), found[-1].key.id))
        if more
        else None
    )
    return DeletedPage(found, token)


def shown_deleted(document: Document, table: Collection) -> dict[str, Any]:
    """A deleted record as its readers get it: no values but a few words by which people know it."""
    have = document.fields
    label = " ".join(table.label(have).split())
    return {
        "id": document.key.id,
        "label": label[:_LONGEST],
        "deleted_at": have.get(record.DELETED) or have[record.KEPT],
        "deleted_by": have.get(record.DELETED_BY),
        "deleted_with": have.get(record.DELETED_WITH),
    }
