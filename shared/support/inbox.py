"""The inbox of a scope: what its people should look at although it could not be stored.

Refused, late and lost records are there whose values carry a signal that a person must see, and late
ones from phones that had not heard that a record moved or that their user left. Entries are in the
quarantine, where every refused record is kept; `open` marks those that wait for a person. The urgent
come first, among them those of members, then the oldest: however many others there are, they hide none.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

import orjson

from shared.access.membership import Caller
from shared.errors import InvalidCursor, NotFound
from shared.records import record
from shared.records.store import Document, Key, Query, RecordStore, patch
from shared.sync import paging
from shared.sync.journal import OTHERS, ends
from shared.sync.paging import Place

COLLECTION = "quarantine"

#: True for an entry of a member; `OTHERS` for one of somebody who is in no scope (any more).
OPEN = "open"

#: Entries of one page unless the request says otherwise, and at most.
PAGE = 100

#: Longest word with which an entry is closed, characters.
LONGEST_WORD = 2000

#: What is said of an entry that is not there, or not for who asks.
NO_ENTRY = "There is no such entry, or none that you may see."

#: Entries that are counted; more are told as "at least".
_MOST_COUNTED = 1000

#: Scopes in one query: Firestore allows 30 values of `in`.
_SCOPES_A_QUERY = 30


class InboxPage(NamedTuple):
    """A page of entries, and the token of the next one."""

    entries: list[Document]
    next_page: str | None


def entries(
    store: RecordStore,
    scopes: Sequence[str],
    *,
    behind: Place | None = None,
    urgent: bool = False,
    fields: tuple[str, ...] | None = None,
) -> Iterator[Document]:
    """What waits in these scopes, the urgent first, those of members, then the oldest.

    `urgent`: nothing else. `behind`: only what stands behind that place. `fields` must hold `urgent`,
    `at` and `OPEN`.
    """
    groups = [scopes[at : at + _SCOPES_A_QUERY] for at in range(0, len(scopes), _SCOPES_A_QUERY)]
    for pressing, others in ((True, False), (True, True), (False, False), (False, True)):
        if (urgent and not pressing) or (
            behind is not None and (not pressing, others) < (not behind[0], behind[1])
        ):
            continue
        here = behind is not None and (pressing, others) == behind[:2]
        query = Query(
            COLLECTION,
            where=((OPEN, "==", OTHERS if others else True), ("urgent", "==", pressing)),
            order=(("urgent", "desc"), ("at", "asc")),
            limit=PAGE,
            fields=fields,
            start_after=_cursor(behind) if behind is not None and here else None,
        )
        streams = [_stream(store, query, group) for group in groups]
        yield from heapq.merge(*streams, key=place)


def _stream(store: RecordStore, query: Query, scopes: Sequence[str]) -> Iterator[Document]:
    asked = replace(query, where=((record.SCOPE, "in", tuple(scopes)), *query.where))
    while True:
        found = list(store.query(asked))
        yield from found
        if len(found) < PAGE:
            return
        asked = replace(asked, start_after=_cursor(place(found[-1])))


def place(entry: Document) -> Place:
    """Where an entry stands in the list: urgent, of others, when, id."""
    have = entry.fields
    return bool(have["urgent"]), have[OPEN] == OTHERS, int(have["at"]), entry.key.id


def _cursor(at: Place) -> tuple[bool, int, str]:
    return at[0], *at[2:]


def page(store: RecordStore, scopes: Sequence[str], limit: int, token: str | None) -> InboxPage:
    """One page. Raises `InvalidCursor` for a token that is none of this list."""
    behind = None if token is None else _opened(token)
    found = list(islice(entries(store, scopes, behind=behind), limit + 1))
    more, found = len(found) > limit, found[:limit]
    return InboxPage(found, paging.sealed(place(found[-1])) if more else None)


def count(store: RecordStore, scopes: Sequence[str]) -> dict[str, int | bool]:
    """How many entries wait, and how many of them are urgent; `at_least` when there may be more."""
    masked = entries(store, scopes, fields=("urgent", "at", OPEN))
    found = list(islice(masked, _MOST_COUNTED + 1))
    told = found[:_MOST_COUNTED]
    urgent = sum(bool(entry.fields["urgent"]) for entry in told)
    return {"open": len(told), "urgent": urgent, "at_least": len(found) > _MOST_COUNTED}


def count_urgent(store: RecordStore, scopes: Sequence[str], most: int) -> int:
    """How many urgent entries wait, `most` at most; counted, not read."""
    found = 0
    for at in range(0, len(scopes), _SCOPES_A_QUERY):
        here = (record.SCOPE, "in", tuple(scopes[at : at + _SCOPES_A_QUERY]))
        for whose in (True, OTHERS):
            where = (here, (OPEN, "==", whose), ("urgent", "==", True))
            found += store.count(Query(COLLECTION, where, (("at", "asc"),), most))
    return min(found, most)


def _opened(token: str) -> Place:
    place = paging.opened(token)
    if not record.valid_id(place[-1]):
        raise InvalidCursor("page is none of this list. Start it again.", field="page")
    return place


def shown_entry(entry: Document) -> dict[str, Any]:
    """An entry as its readers get it; `sent` is null if the copy is not whole."""
    have = entry.fields
    return {
        "id": entry.key.id,
        "scope_id": have[record.SCOPE],
        "table": have["table"],
        "record_id": have["record_id"],
        "code": have["code"],
        "late": bool(have.get("late")),
        "urgent": bool(have.get("urgent")),
        "unfiled": bool(have.get("unfiled")),
        "user_id": have[record.AUTHOR],
        "device": have["device"],
        "at": have["at"],
        "sent": orjson.Fragment(have["raw"]) if have["raw_whole"] else None,
    }


def read(store: RecordStore, entry_id: str) -> Document:
    """One entry. Raises `NotFound`."""
    key = Key(COLLECTION, entry_id)
    found = store.read([key]).documents.get(key)
    if found is None:
        raise NotFound(NO_ENTRY)
    return found


def close(
    store: RecordStore, entry: Document, caller: Caller, now_ms: int, word: str | None = None
) -> None:
    """Take an entry off the list, with a word why; it stays in the quarantine. Again changes nothing.

    Raises `Contended` when somebody else changes it at this very moment.
    """
    if entry.fields.get(OPEN):
        fields = {OPEN: None, "closed_by": caller.user_id, "closed_at": now_ms, "word": word}
        fields["expires_at"] = ends(now_ms)
        store.commit([patch(entry.key, fields, entry.version)])
