"""The list of devices as support sees it: the phones of some scopes, those with a problem first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from shared.access import membership
from shared.records.store import Document, RecordStore
from shared.support.ledger import devices
from shared.sync import paging

#: Phones of one page unless the request says otherwise, and at most.
PAGE = 500

_SHOWN = (
    "user_id",
    "device",
    "dialect",
    "attempt_at",
    "ok_at",
    "outcome",
    "failures",
    "app_version",
    "clock_offset_ms",
    "bytes_in",
    "bytes_out",
    "pulled",
    "pushed",
    "rejected",
    "unknown_columns",
)


class ListedDevice(NamedTuple):
    """A phone in the list: where it stands, its entry, and what is wrong with it."""

    place: paging.Place
    entry: Document
    problem: str | None


def listed(
    store: RecordStore,
    scopes: Sequence[str],
    problem_of: Callable[[Mapping[str, Any]], str | None],
    fields: tuple[str, ...] = (*_SHOWN, "scopes"),
) -> list[ListedDevice]:
    """The phones of these scopes: members' before those of people who have left, of these the ones
    with a problem first, then the ones that were silent the longest.
    """
    found = {each.key: each for scope in scopes for each in devices(store, scope, fields)}
    users = sorted({str(each.fields["user_id"]) for each in found.values()})
    held = store.read([membership.key(user) for user in users], ("scopes",)).documents
    members = {
        user
        for user in users
        if not membership.parse(user, held.get(membership.key(user)))
        .roles.keys()
        .isdisjoint(scopes)
    }
    phones = []
    for entry in found.values():
        problem = problem_of(entry.fields)
        gone = str(entry.fields["user_id"]) not in members
        place = (gone, problem is None, int(entry.fields["attempt_at"]), entry.key.id)
        phones.append(ListedDevice(place, entry, problem))
    return sorted(phones, key=lambda each: each.place)


def shown_device(phone: ListedDevice, scopes: Sequence[str]) -> dict[str, Any]:
    """A phone as somebody of these scopes sees it.

    Scopes that the caller has nothing to do with are none of the caller's business, nor is a record
    that may be theirs.
    """
    have = phone.entry.fields
    shown = {name: have.get(name) for name in _SHOWN}
    own = [name for name in have["scopes"] if name in scopes]
    if len(own) < len(have["scopes"]):
        shown |= {"rejected": [], "unknown_columns": None}
    return {**shown, "scopes": own, "problem": phone.problem}
