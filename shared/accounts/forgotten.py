"""A forgotten password: a mail with a code that is good once, and another password for it.

    asked   `resets/{hash of the code}` is stored: whose account it is for, of which generation, until when
    reset   the document goes in the commit that sets the password; every session ends

The code is 32 random bytes; only its SHA-256 is stored. It is void as soon as the account's sessions were
ended in any way (`generation`): another reset, another password, "log out everywhere".

Nobody learns from the answer whether an address has an account: it is the same, the same documents are read
and as much is stored, and the mail is sent beside the answer. A second factor stays as it is.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from shared.access import audit, membership
from shared.accounts import account as accounts
from shared.accounts import throttle
from shared.accounts.account import Account
from shared.accounts.caller import Origin, noted
from shared.accounts.contention import retried
from shared.accounts.credentials import Credentials
from shared.accounts.passwords import Passwords
from shared.accounts.throttle import Window
from shared.errors import Forbidden
from shared.records.store import (
    ABSENT,
    Key,
    RecordStore,
    StoredCollection,
    delete,
    put,
    verify,
)

COLLECTION = "resets"

STORED = (StoredCollection(COLLECTION, (("expires_at",),)),)

#: How long a code is good, ms.
GOOD_MS = 30 * 60_000

#: One mail of an account in this time, whoever asks; what an address may ask for accounts.
ACCOUNT_ASKS = Window(1, 5 * 60_000)
ADDRESS_ASKS = Window(20, 3_600_000)

_CODE_BYTES = 32
_CODE = re.compile(r"[A-Za-z0-9_-]{43}")

#: Where people type the code: a page of the console. The code stands behind `#`, which no server is sent.
PAGE = "/console/reset"


class Letter(NamedTuple):
    """A mail in plain text."""

    to: str
    subject: str
    text: str


class Wording(NamedTuple):
    """What the mail says. `text` has places for `link`, `code` and `minutes`."""

    subject: str = "Another password"
    text: str = (
        "Somebody asked for another password for this e-mail address. If it was you, open this page:\n\n"
        "%(link)s\n\n"
        "If the page asks for a code, it is this:\n\n"
        "%(code)s\n\n"
        "It is good once, for %(minutes)s minutes. If it was not you, do nothing: nothing has changed."
    )


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Helps those who forgot their password. All times are server ms; threads may share it.

    `post` sends a letter beside the caller and never raises; for None it does as much without one. Without
    it no mail is sent, and everything is refused. `address` is where people reach us.
    """

    store: RecordStore
    passwords: Passwords
    credentials: Credentials
    secret: bytes  #: keys the names of gates
    post: Callable[[Letter | None], None] | None = None
    address: str = ""

    def ask(self, email: str, origin: Origin, now_ms: int, wording: Wording | None = None) -> None:
        """Send a code to whose account it is, if it is somebody's and none was sent a moment ago.

        Raises `Forbidden` (mail_off), `InvalidRequest` (invalid_email), `TooManyTries` for the address
        that asks.
        """
        post = self._mailing()
        email = accounts.normal_email(email)
        account = accounts.find(self.store, email)
        often = throttle.gate("forgot-account", ACCOUNT_ASKS, self.secret, email)
        there = throttle.gate("forgot-address", ADDRESS_ASKS, self.secret, origin.address)
        code = secrets.token_urlsafe(_CODE_BYTES)

        def attempt() -> bool:
            keys = [membership.key(account.user_id)]
            reading = throttle.read(self.store, [often, there], keys)
            throttle.demand([there], reading, now_ms)
            held = membership.known(account.user_id, reading.documents.get(keys[0]))
            waits = throttle.wait_ms(often, reading, now_ms) > 0
            fields = {
                "user_id": account.user_id,
                "generation": account.generation,
                "expires_at": now_ms + GOOD_MS,
            }
            counted = [there] if waits else [often, there]
            # Whoever waits has a code in their mailbox; this one nobody gets to know.
            self.store.commit(
                [
                    put(_key(code), fields, ABSENT),
                    *throttle.count(counted, reading, now_ms),
                ]
            )
            return not waits and account.email == email and held.disabled_ms is None

        wanted = retried(attempt)
        letter = self._letter(email, code, wording or Wording())
        post(letter if wanted else None)

    def reset(self, code: str, password: str, origin: Origin, now_ms: int) -> str:
        """Another password by a code; all sessions end. The user id.

        Raises `Forbidden` (mail_off, reset_invalid), `InvalidRequest` (password_length,
        password_guessable): then the code is still good.
        """
        self._mailing()
        code = code.strip()
        account, _ = self._of(code, now_ms)
        new = self.credentials.checked(password, "new_password", account.email, account.name)
        stored = self.passwords.hash(new)

        def attempt() -> str:
            present, version = self._of(code, now_ms)
            gates = self.credentials.gates(present.email or present.user_id, origin)[:1]
            where = membership.key(present.user_id)
            reading = throttle.read(self.store, gates, [where])
            held = membership.of(reading, present.user_id)  # not of a disabled account
            who = noted(present, origin.device)
            self.store.commit(
                [
                    delete(_key(code), version),
                    accounts.with_password(present, stored),
                    verify(where, held.version),
                    *throttle.forgive(gates, reading, now_ms),
                    audit.right(who, "recover-password", now_ms, of=present.user_id),
                ]
            )
            return present.user_id

        return retried(attempt)

    @property
    def is_on(self) -> bool:
        """Whether mail is sent at all."""
        return self.post is not None

    def _mailing(self) -> Callable[[Letter | None], None]:
        if self.post is None:
            raise Forbidden(
                "No mail is sent from here. Ask an admin of your team, or whoever runs this service.",
                code="mail_off",
            )
        return self.post

    def _letter(self, email: str, code: str, wording: Wording) -> Letter:
        values = {
            "link": f"{self.address.rstrip('/')}{PAGE}#{code}",
            "code": code,
            "minutes": GOOD_MS // 60_000,
        }
        return Letter(email, wording.subject, wording.text % values)

    def _of(self, code: str, now_ms: int) -> tuple[Account, int]:
        """The account that a code is for, and the version of the code's document."""
        if _CODE.fullmatch(code) is not None:
            found = self.store.read([_key(code)]).documents.get(_key(code))
            if found is not None and now_ms < int(found.fields["expires_at"]):
                user_id = str(found.fields["user_id"])
                account = accounts.of(self.store.read([accounts.key(user_id)]), user_id)
                if account.version and account.generation == found.fields["generation"]:
                    return account, found.version
        raise Forbidden(
            "This code is mistyped, too old, or was used. Ask for another mail.",
            code="reset_invalid",
            field="code",
        )


def _key(code: str) -> Key:
    return Key(COLLECTION, hashlib.sha256(code.encode()).hexdigest())
