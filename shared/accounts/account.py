"""An account: who somebody is, apart from what they may do (`membership.py`).

    accounts/{user_id}   e-mail, name, telephone, password hash, generation: what every session must match
    logins/{hash}        from a normalised e-mail to the account; makes an e-mail unique
    scopes/{scope_id}    who made a scope, and its name

User ids made here begin with `u-`. Those of an outside issuer's people begin with `o-` and are a hash
of issuer and subject (`oidc.py`): the same person is always the same user, without a look-up.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.access import membership
from shared.access.membership import Memberships
from shared.accounts import passkeys, people, totp
from shared.accounts.oidc import OUTSIDE
from shared.accounts.passkeys import Challenge, Passkey
from shared.accounts.totp import Factor
from shared.errors import InvalidRequest, NotFound
from shared.records.record import valid_id
from shared.records.store import (
    ABSENT,
    Document,
    Key,
    RecordStore,
    Snapshot,
    StoredCollection,
    Write,
    patch,
    put,
    verify,
)

STORED = (StoredCollection("accounts"), StoredCollection("logins"), StoredCollection("scopes"))

#: Whose account is looked up for an e-mail that nobody has. No user can be called so.
NOBODY = "~nobody"

#: Longest e-mail address, characters (RFC 5321 4.5.3.1.3: a path of 256 with its brackets).
LONGEST_EMAIL = 254

# Sane, not complete: quoted local parts and address literals are refused.
_PART = r"[^\s@\"(),:;<>\[\]\\.\x00-\x1f\x7f]+"
_EMAIL = re.compile(
    rf"(?=[^@]{{1,64}}@){_PART}(\.{_PART})*@([^\W_]([\w-]*[^\W_])?\.)+[^\W\d_][\w-]*[^\W_]"
)


@dataclass(frozen=True, slots=True)
class Account:
    """One person. `password` is a PHC string; None: nobody can log in with a password.

    `generation` rises when every session must end (a new password); a session of an earlier one is
    over. `factor` is the second one, `set_up` one that waits for its first code; `passkeys` may stand in
    for it in browsers, `asked` is a challenge that waits for its answer. `version` is the document's (0: no
    document).
    """

    user_id: str
    email: str | None = None
    name: str | None = None
    password: str | None = None
    generation: int = 0
    created_ms: int = 0
    factor: Factor | None = None
    set_up: Factor | None = None
    version: int = 0
    phone: str | None = None
    passkeys: tuple[Passkey, ...] = ()
    asked: Challenge | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "email": self.email,
            "name": self.name,
            "phone": self.phone,
            "password": self.password,
            "generation": self.generation,
            "created_at": self.created_ms,
            "totp": None if self.factor is None else self.factor.fields,
            "totp_set_up": None if self.set_up is None else self.set_up.fields,
            "passkeys": [each.fields for each in self.passkeys],
            "asked": None if self.asked is None else self.asked.fields,
        }


#: The address of an account.
key = people.account_key


def login_key(email: str) -> Key:
    """Where a normalised e-mail leads to its account."""
    return Key("logins", hashlib.sha256(b"email\0" + email.encode()).hexdigest())


def scope_key(scope_id: str) -> Key:
    """The address of what is known about a scope."""
    return Key("scopes", scope_id)


def parse(user_id: str, document: Document | None) -> Account:
    """The account of a document; an empty one if there is none."""
    if document is None:
        return Account(user_id)
    said: Mapping[str, Any] = document.fields
    return Account(
        user_id,
        said.get("email"),
        said.get("name"),
        said.get("password"),
        int(said.get("generation") or 0),
        int(said.get("created_at") or 0),
        totp.parse(said.get("totp")),
        totp.parse(said.get("totp_set_up")),
        document.version,
        said.get("phone"),
        passkeys.parse(said.get("passkeys")),
        passkeys.parse_challenge(said.get("asked")),
    )


def of(reading: Snapshot, user_id: str) -> Account:
    """The account of a user in a snapshot that read it; an empty one if there is none."""
    return parse(user_id, reading.documents.get(key(user_id)))


def find(store: RecordStore, email: str) -> Account:
    """The account of a normalised e-mail; an empty one takes as many reads."""
    where = login_key(email)
    found = store.read([where]).documents.get(where)
    user_id = NOBODY if found is None else str(found.fields["user_id"])
    return of(store.read([key(user_id)]), user_id)


def named(store: RecordStore, who: str) -> tuple[Account, Memberships]:
    """Somebody by e-mail or user id. Raises `NotFound`."""
    user_id = who
    if "@" in who:
        login = login_key(normal_email(who))
        found = store.read([login]).documents.get(login)
        user_id = "" if found is None else str(found.fields["user_id"])
    if not valid_id(user_id):
        raise NotFound("There is no such account.")
    reading = store.read([key(user_id), membership.key(user_id)])
    if not reading.documents:
        raise NotFound("There is no such account.")
    held = membership.known(user_id, reading.documents.get(membership.key(user_id)))
    return of(reading, user_id), held


def kept(account: Account) -> Write:
    """Refuses the commit if the account changed meanwhile."""
    return verify(key(account.user_id), account.version or ABSENT)


def written(account: Account) -> Write:
    """The write that replaces an account by this."""
    return put(key(account.user_id), account.fields, account.version)


def with_password(account: Account, password: str) -> Write:
    """The write of another password's hash, which ends all sessions."""
    return written(replace(account, password=password, generation=account.generation + 1))


def raised(account: Account) -> Write:
    """The write that ends all sessions of an account."""
    return patch(key(account.user_id), {"generation": account.generation + 1}, account.version)


def first_fields(user_id: str, now_ms: int) -> dict[str, Any]:
    """The account document of somebody who comes with a token and has none yet."""
    return {"created_at": now_ms, "outside": user_id.startswith(OUTSIDE)}


def new_user_id() -> str:
    """An id for a new user."""
    return f"u-{secrets.token_hex(12)}"


def normal_email(text: str) -> str:
    """One spelling of an e-mail: NFKC, case-folded, trimmed. Raises `InvalidRequest` (invalid_email)."""
    email = ""
    if len(text) <= 2 * LONGEST_EMAIL:
        folded = unicodedata.normalize("NFKC", text).strip().casefold()
        email = unicodedata.normalize("NFKC", folded)
    if len(email) > LONGEST_EMAIL or _EMAIL.fullmatch(email) is None:
        raise InvalidRequest("This is no e-mail address.", code="invalid_email", field="email")
    return email
