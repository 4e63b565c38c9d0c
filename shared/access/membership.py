"""Who belongs to which scope. One document a user, read in the snapshot of every request.

`memberships/{user_id}` holds `scopes: {scope_id: {role, since}}` and `left: {scope_id: at}`, times in
server ms. One document, because then one read answers for all scopes, and its version tells whether
anything changed since a cursor. Tokens only hint at scopes; this document decides.

`disabled_at` stands in it, too: so whoever reads what a caller may do is told in the same read that the
account is disabled, and a commit that verifies this document is refused if that comes in between.

`scope_members/{scope_id}~{user_id}` says the same from the other side, to list a scope's members. It
is written in the same commit, and is never asked whether somebody may do something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.errors import Forbidden, Unauthenticated
from shared.records.store import (
    ABSENT,
    Document,
    Key,
    Query,
    RecordStore,
    Snapshot,
    StoredCollection,
    Write,
    delete,
    put,
    verify,
)

#: What a reading of memberships must not leave out: who reads less lets the disabled act.
FIELDS = ("scopes", "left", "disabled_at")

STORED = (StoredCollection("memberships"), StoredCollection("scope_members", (("scope_id",),)))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, from a verified token. `device` tells this phone from the user's others."""

    user_id: str
    role: str
    device: str
    session: str = ""  #: the log-in it belongs to; empty: none of ours
    name: str = ""  #: of the human, where it is known: for the trail


@dataclass(frozen=True, slots=True)
class Memberships:
    """A user's scopes at one moment. `version` is the document's (0: no document)."""

    user_id: str
    roles: Mapping[str, str]  #: scope → role in it
    since_ms: Mapping[str, int]  #: scope → when it was granted, server clock
    left_ms: Mapping[str, int]  #: scope → when it was lost
    version: int
    disabled_ms: int | None = None  #: since when nobody acts as this user; None: not disabled

    @property
    def scopes(self) -> tuple[str, ...]:
        return tuple(sorted(self.roles))

    def scopes_where(self, may: Callable[[str], bool]) -> list[str]:
        """The scopes in which the role may do something. Raises `Forbidden` if it may in none."""
        scopes = [each for each in self.scopes if may(self.roles[each])]
        if not scopes:
            raise Forbidden("Your role does not allow this in any of your scopes.")
        return scopes


def key(user_id: str) -> Key:
    """The address of a user's memberships."""
    return Key("memberships", user_id)


def parse(user_id: str, document: Document | None) -> Memberships:
    """What a caller may act in. Raises `Unauthenticated` (account_disabled)."""
    held = known(user_id, document)
    if held.disabled_ms is not None:
        raise Unauthenticated(
            "This account is disabled. Ask whoever runs this service.", code="account_disabled"
        )
    return held


def of(reading: Snapshot, user_id: str) -> Memberships:
    """What a user may act in, in a snapshot that read it. Raises as `parse`."""
    return parse(user_id, reading.documents.get(key(user_id)))


def role_of(user_id: str, document: Document | None, scope_id: str) -> str | None:
    """The role in which somebody acts in a scope; None: in none, or the account is disabled."""
    held = known(user_id, document)
    return held.roles.get(scope_id) if held.disabled_ms is None else None


def known(user_id: str, document: Document | None) -> Memberships:
    """Memberships of a document, disabled or not; none if there is no document."""
    if document is None:
        return Memberships(user_id, {}, {}, {}, 0)
    scopes: Mapping[str, Mapping[str, Any]] = document.fields.get("scopes") or {}
    return Memberships(
        user_id,
        {scope: str(entry["role"]) for scope, entry in scopes.items()},
        {scope: int(entry["since"]) for scope, entry in scopes.items()},
        {scope: int(at) for scope, at in (document.fields.get("left") or {}).items()},
        document.version,
        document.fields.get("disabled_at"),
    )


def member_key(scope_id: str, user_id: str) -> Key:
    """The address of a scope's entry for a member."""
    return Key("scope_members", f"{scope_id}~{user_id}")


def members(
    store: RecordStore, scope_id: str, after: str | None = None, limit: int = 500
) -> Sequence[tuple[str, str, int]]:
    """Up to `limit` members of a scope behind user `after`: user, role, since (server ms); by user."""
    behind = None if after is None else (member_key(scope_id, after).id,)
    query = Query(
        "scope_members", where=(("scope_id", "==", scope_id),), limit=limit, start_after=behind
    )
    return [
        (str(each.fields["user_id"]), str(each.fields["role"]), int(each.fields["since"]))
        for each in store.query(query)
    ]


def everybody(store: RecordStore, scope_id: str) -> Iterator[tuple[str, str, int]]:
    """All members of a scope, as `members` gives them, read page by page."""
    after: str | None = None
    while page := members(store, scope_id, after):
        yield from page
        after = page[-1][0]


def has_members(store: RecordStore, scope_id: str) -> bool:
    """Whether anybody is in a scope."""
    return bool(members(store, scope_id, limit=1))


def grant(
    store: RecordStore,
    user_id: str,
    scope_id: str,
    role: str,
    now_ms: int,
    also: Sequence[Write] = (),
) -> None:
    """Make a user a member of a scope, or change the role in it. Doing it again changes nothing.

    Raises `Contended` when the memberships changed meanwhile: call again.
    """
    reading = store.read([key(user_id), member_key(scope_id, user_id)])
    if writes := granting(reading, user_id, scope_id, role, now_ms):
        store.commit([*writes, *also])


def granting(
    reading: Snapshot,
    user_id: str,
    scope_id: str,
    role: str,
    now_ms: int,
    *,
    instead_of: Sequence[str] = (),
) -> list[Write]:
    """Writes that make a user a member, given both documents; none if nothing changes.

    `instead_of` are scopes that the user leaves in the same write.
    """
    held = known(user_id, reading.documents.get(key(user_id)))
    now_ms = _not_before(reading, now_ms)
    if held.roles.get(scope_id) == role:
        listed = reading.documents.get(member_key(scope_id, user_id))
        if listed is not None and listed.fields.get("role") == role:
            return []
        entry = _entry(user_id, scope_id, role, held.since_ms[scope_id])
        return [verify(key(user_id), held.version), entry]
    # A changed role may show more than before: the scope is sent whole again, as for a new member.
    kept = {scope: entry for scope, entry in _scopes(held).items() if scope not in instead_of}
    scopes = {**kept, scope_id: {"role": role, "since": now_ms}}
    left = {**held.left_ms, **dict.fromkeys(instead_of, now_ms)}
    left.pop(scope_id, None)
    return [
        _write(held, scopes, left),
        _entry(user_id, scope_id, role, now_ms),
        *(delete(member_key(scope, user_id)) for scope in instead_of),
    ]


def revoke(
    store: RecordStore, user_id: str, scope_id: str, now_ms: int, also: Sequence[Write] = ()
) -> None:
    """End a membership: the user's phones are told to drop the scope's records.

    Raises `Contended` when the memberships changed meanwhile: call again.
    """
    reading = store.read([key(user_id)])
    if writes := revoking(reading, user_id, scope_id, now_ms):
        store.commit([*writes, *also])


def revoking(reading: Snapshot, user_id: str, scope_id: str, now_ms: int) -> list[Write]:
    """Writes that end a membership, given the user's document; none if there is none."""
    held = known(user_id, reading.documents.get(key(user_id)))
    if scope_id not in held.roles:
        return []
    now_ms = _not_before(reading, now_ms)
    scopes = {scope: entry for scope, entry in _scopes(held).items() if scope != scope_id}
    left = {**held.left_ms, scope_id: now_ms}
    return [_write(held, scopes, left), delete(member_key(scope_id, user_id))]


def disabling(held: Memberships, at_ms: int | None) -> Write:
    """The write that disables an account; None: that enables it again, with the same memberships."""
    return _write(replace(held, disabled_ms=at_ms), _scopes(held), held.left_ms)


def ending(held: Memberships, reading: Snapshot, now_ms: int) -> list[Write]:
    """Writes that end all memberships of an account, and disable it."""
    now_ms = _not_before(reading, now_ms)
    left = {**held.left_ms, **dict.fromkeys(held.scopes, now_ms)}
    return [
        _write(replace(held, disabled_ms=now_ms), {}, left),
        *(delete(member_key(scope, held.user_id)) for scope in held.scopes),
    ]


def _not_before(reading: Snapshot, now_ms: int) -> int:
    """Now: never before the store's own time, with which cursors are compared.

    A server clock that fell back would otherwise stamp a change as older than every phone's cursor.
    """
    return max(now_ms, -(-reading.read_at // 1000))


def _entry(user_id: str, scope_id: str, role: str, since_ms: int) -> Write:
    """The scope's entry; without a condition: its commit writes or verifies the memberships too."""
    fields = {"scope_id": scope_id, "user_id": user_id, "role": role, "since": since_ms}
    return put(member_key(scope_id, user_id), fields, None)


def _scopes(held: Memberships) -> dict[str, dict[str, Any]]:
    return {
        scope: {"role": role, "since": held.since_ms[scope]} for scope, role in held.roles.items()
    }


def _write(held: Memberships, scopes: Mapping[str, Any], left: Mapping[str, int]) -> Write:
    fields = {"scopes": dict(scopes), "left": dict(left), "disabled_at": held.disabled_ms}
    return put(key(held.user_id), fields, held.version or ABSENT)
