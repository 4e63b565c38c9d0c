"""Digests: how a phone proves that it holds what the server holds.

A table's digest is a count and the exclusive or of its live records' content hashes
(`record.content_hash`): independent of order, of times and of what a role may see. A phone computes
the same from its rows (`docs/mobile-guide.md`). Equal digests mean equal content; an unequal one
calls for a replacement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.access import membership
from shared.access.membership import Caller
from shared.access.rights import Action
from shared.records import record
from shared.records.collection import Catalog
from shared.records.store import RecordStore
from shared.sync.pull import SCOPES_A_QUERY

_MASK = (record.SCOPE, record.HASH, record.DELETED, record.EDITED)


class RunningDigest:
    """A digest in the making."""

    __slots__ = ("count", "mixed")

    def __init__(self) -> None:
        self.count, self.mixed = 0, 0

    def add(self, content_hash: str) -> None:
        """Count one live record."""
        self.count += 1
        self.mixed ^= int(content_hash, 16)

    def value(self) -> dict[str, object]:
        """As it travels: `{"count": n, "hash": 64 hex digits}`."""
        return {"count": self.count, "hash": f"{self.mixed:064x}"}


@dataclass(frozen=True, slots=True)
class Digest:
    """What a caller may see at a moment. `current`: nothing changed since the cursor asked about.

    Without `current` there are no tables: pull first, then ask again.
    """

    at_ms: int
    current: bool
    tables: Mapping[str, Mapping[str, object]]


def digest(store: RecordStore, catalog: Catalog, caller: Caller, cursor_ms: int | None) -> Digest:
    """The digest of everything that a caller may read; flat memory, one read a record.

    With a cursor it is first asked whether anything changed since: then the phone cannot be equal.
    Raises `StoreUnavailable`.
    """
    own = membership.key(caller.user_id)
    reading = store.read([own])
    members = membership.parse(caller.user_id, reading.documents.get(own))
    held = [scope for scope in members.scopes if catalog.may(members.roles[scope], Action.READ)]
    groups = [held[at : at + SCOPES_A_QUERY] for at in range(0, len(held), SCOPES_A_QUERY)]
    names = [item.name for item in catalog.collections]
    at_ms = max(reading.read_at // 1000, 1)
    if cursor_ms is not None:
        after = cursor_ms * 1000
        changed = members.version > after or any(
            next(store.changes(name, scopes, after, reading.read_at, fields=_MASK), None)
            for scopes in groups
            for name in (record.REVOCATIONS, *names)
        )
        if changed:
            return Digest(at_ms, False, {})
    tables = {}
    for name in names:
        tally = RunningDigest()
        for scopes in groups:
            listing = store.changes(
                name, scopes, 0, reading.read_at, fields=_MASK, even_if_newer=True
            )
            for change in listing:
                have = change.document.fields
                if record.client_version(change.document) > reading.read_at:
                    return Digest(at_ms, False, {})  # a phone wrote it while we look
                if have.get(record.DELETED) is None:
                    tally.add(hash_of(change.document.key.id, have))
        tables[name] = tally.value()
    return Digest(at_ms, True, tables)


def hash_of(record_id: str, have: Mapping[str, object]) -> str:
    """A live record's content hash; one of the server's own tables has no client-owned content."""
    known = have.get(record.HASH)
    return (
        str(known) if known else record.content_hash(record_id, str(have.get(record.SCOPE)), {})[0]
    )
