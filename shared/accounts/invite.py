"""Invite codes: six characters that make somebody a member of a scope.

Made to be read out over a bad line: no characters that look or sound alike, case and blanks do not
matter. 31^6 codes are 887 million; with five wrong tries in a quarter of an hour they cannot be
found by trying. The store knows a code by its keyed hash only.

`uses` is counted in the commit that makes the member, with compare-and-set: a code for one person
admits one person, however many come at the same moment.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.access import membership
from shared.accounts.throttle import Window
from shared.records.store import (
    Document,
    Key,
    Query,
    RecordStore,
    Snapshot,
    StoredCollection,
    Write,
)

STORED = (StoredCollection("invites", (("scope_id",), ("expires_at",))),)

#: Without 0 O 1 I L: they look alike.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
LENGTH = 6

#: Longest life of a code, days, and most people that one code may admit.
MOST_DAYS, MOST_USES = 90, 500

#: Codes of a scope that are listed.
MOST_LISTED = 500

#: Wrong codes: five in a quarter of an hour, for an account and for an address.
TRIES = Window(most=5, span_ms=900_000)


@dataclass(frozen=True, slots=True)
class Invite:
    """A code's promise: this role in this scope, to so many people, until then."""

    scope_id: str
    role: str
    made_by: str
    made_ms: int
    expires_ms: int
    most_uses: int
    uses: int = 0

    @property
    def fields(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "scope_id": self.scope_id,
            "role": self.role,
            "made_by": self.made_by,
            "made_at": self.made_ms,
            "expires_at": self.expires_ms,
            "most_uses": self.most_uses,
            "uses": self.uses,
        }

    def holds(self, now_ms: int) -> bool:
        """Whether it still admits somebody."""
        return now_ms < self.expires_ms and self.uses < self.most_uses

    def used(self) -> Invite:
        """After one more use."""
        return replace(self, uses=self.uses + 1)

    def void(self) -> Invite:
        """Admitting nobody any more."""
        return replace(self, most_uses=self.uses)


def new_code() -> str:
    """A code nobody can foresee."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def normal_code(text: str) -> str | None:
    """The code somebody typed, or None if it can be none."""
    code = "".join(text[:64].split()).replace("-", "").upper()
    return code if len(code) == LENGTH and all(each in ALPHABET for each in code) else None


def key(code: str, secret: bytes) -> Key:
    """The address of a code's invite."""
    name = hmac.new(secret, b"invite\0" + code.encode(), hashlib.sha256).hexdigest()
    return key_of(name[:40])


def key_of(invite_id: str) -> Key:
    """The address of an invite by its id, which does not give the code away."""
    return Key("invites", invite_id)


def of_scope(store: RecordStore, scope_id: str) -> Iterator[Document]:
    """Up to `MOST_LISTED` invites of a scope, those that hold no more among them."""
    where = (("scope_id", "==", scope_id),)
    return store.query(Query("invites", where=where, limit=MOST_LISTED))


def granting(
    reading: Snapshot,
    user_id: str,
    invite: Invite,
    now_ms: int,
    instead_of: Sequence[str] = (),
) -> list[Write]:
    """Writes that make a user a member as an invite promises, given both documents."""
    return membership.granting(
        reading, user_id, invite.scope_id, invite.role, now_ms, instead_of=instead_of
    )


def parse(document: Document) -> Invite:
    """The invite of a document."""
    said: Mapping[str, Any] = document.fields
    return Invite(
        str(said["scope_id"]),
        str(said["role"]),
        str(said["made_by"]),
        int(said["made_at"]),
        int(said["expires_at"]),
        int(said["most_uses"]),
        int(said["uses"]),
    )
