"""Who belongs to which scope. One document a user, read in the snapshot of every request.

`memberships/{user_id}` holds `scopes: {scope_id: {role, since}}` and `left: {scope_id: at}`, times in
server ms. One document, because then one read answers for all scopes, and its version tells whether
anything changed since a cursor. Tokens only hint at scopes; this document decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.sync.store import ABSENT, Document, Key, RecordStore, put


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, from a verified token. `device` tells this phone from the user's others."""

    user_id: str
    role: str
    device: str


@dataclass(frozen=True, slots=True)
class Memberships:
    """A user's scopes at one moment. `version` is the document's (0: no document)."""

    user_id: str
    roles: Mapping[str, str]  #: scope → role in it
    since_ms: Mapping[str, int]  #: scope → when it was granted, server clock
    left_ms: Mapping[str, int]  #: scope → when it was lost
    version: int

    @property
    def scopes(self) -> tuple[str, ...]:
        return tuple(sorted(self.roles))


def key(user_id: str) -> Key:
    """The address of a user's memberships."""
    return Key("memberships", user_id)


def parse(user_id: str, document: Document | None) -> Memberships:
    """Memberships of a document; none if there is no document."""
    if document is None:
        return Memberships(user_id, {}, {}, {}, 0)
    scopes: Mapping[str, Mapping[str, Any]] = document.fields.get("scopes") or {}
    return Memberships(
        user_id,
        {scope: str(entry["role"]) for scope, entry in scopes.items()},
        {scope: int(entry["since"]) for scope, entry in scopes.items()},
        {scope: int(at) for scope, at in (document.fields.get("left") or {}).items()},
        document.version,
    )


def grant(store: RecordStore, user_id: str, scope_id: str, role: str, now_ms: int) -> None:
    """Make a user a member of a scope, or change the role in it. Doing it again changes nothing.

    Raises `Contended` when the memberships changed meanwhile: call again.
    """
    held, now_ms = _held(store, user_id, now_ms)
    if held.roles.get(scope_id) == role:
        return
    # A changed role may show more than before: the scope is sent whole again, as for a new member.
    scopes = {**_scopes(held), scope_id: {"role": role, "since": now_ms}}
    left = {scope: at for scope, at in held.left_ms.items() if scope != scope_id}
    _write(store, held, scopes, left)


def revoke(store: RecordStore, user_id: str, scope_id: str, now_ms: int) -> None:
    """End a membership: the user's phones are told to drop the scope's records.

    Raises `Contended` when the memberships changed meanwhile: call again.
    """
    held, now_ms = _held(store, user_id, now_ms)
    if scope_id not in held.roles:
        return
    scopes = {scope: entry for scope, entry in _scopes(held).items() if scope != scope_id}
    _write(store, held, scopes, {**held.left_ms, scope_id: now_ms})


def _held(store: RecordStore, user_id: str, now_ms: int) -> tuple[Memberships, int]:
    """The memberships, and now: never before the store's own time, with which cursors are compared.

    A server clock that fell back would otherwise stamp a change as older than every phone's cursor.
    """
    reading = store.read([key(user_id)])
    held = parse(user_id, reading.documents.get(key(user_id)))
    return held, max(now_ms, -(-reading.read_at // 1000))


def _scopes(held: Memberships) -> dict[str, dict[str, Any]]:
    return {
        scope: {"role": role, "since": held.since_ms[scope]} for scope, role in held.roles.items()
    }


def _write(
    store: RecordStore, held: Memberships, scopes: Mapping[str, Any], left: Mapping[str, int]
) -> None:
    fields = {"scopes": dict(scopes), "left": dict(left)}
    store.commit([put(key(held.user_id), fields, held.version or ABSENT)])
