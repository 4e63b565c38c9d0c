"""Log-in sessions: families of refresh tokens, each token good for one use.

`sessions/{sid}` is one log-in. A refresh token is 48 random bytes: 16 that find the family (the sid is
their hash, so that knowing a sid is not holding a token) and 32 that are the secret. Only SHA-256 of
tokens is stored.

Each use replaces the token by its successor, HMAC-SHA256(server secret, salt of this step + token).
The salt stays until the successor is used itself; so a phone whose answer was lost asks with the
same token and gets the same successor, also from another instance and side by side. Then the salt
is replaced, and a token from before is theft: it was copied, and one of the two holders is not the
phone. The family ends, whoever it was.

What a reader of the database can do: nothing. Hashes do not give tokens back; to calculate a
successor takes its token, the salt and the server's secret, which is not in the database. (With a
stolen token that is not replaced yet he could ask the server himself.) What a writer can do:
everything; that is true of any scheme.

A user has at most `MOST` sessions. Where a log-in makes one more, those that were never refreshed end
first, then those that were refreshed longest ago: so a phone that is in use keeps its session while
somebody who knows the password logs in again and again, or a script forgets to log out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.access.membership import Caller
from shared.accounts.account import Account
from shared.records.store import (
    Document,
    Key,
    Query,
    RecordStore,
    Snapshot,
    StoredCollection,
    Write,
    put,
)

STORED = (StoredCollection("sessions", (("live_of",), ("expires_at",))),)

#: Characters of a refresh token: 48 bytes in base64url.
TOKEN = re.compile(r"[A-Za-z0-9_-]{64}")

_LOCATOR_BYTES, _SECRET_BYTES = 16, 32

_DAY_MS = 86_400_000

#: Why a family ended.
LOGGED_OUT, REUSED, DISPLACED = "logged_out", "reused", "displaced"

#: Sessions of one user: a person's devices several times over. What it bounds is what the store keeps.
MOST = 20


@dataclass(frozen=True, slots=True)
class Life:
    """How long a session lives without use, and in all; ms."""

    idle_ms: int
    whole_ms: int

    def ends_ms(self, began_ms: int, now_ms: int) -> int:
        """When a session ends that is used now, server ms."""
        return min(now_ms + self.idle_ms, began_ms + self.whole_ms)


@dataclass(frozen=True, slots=True)
class Session:
    """One log-in. Hashes are hex; `generation` is the account's when it was last proven."""

    sid: str
    user_id: str
    device: str | None
    current: str  #: hash of the token that was given out last
    previous: str | None  #: hash of the token it came from, until the last one is used
    salt: str | None  #: of that step
    generation: int
    began_ms: int
    expires_ms: int
    used_ms: int  #: the log-in, or the last refresh
    ended: str | None = None
    factor: bool = False  #: whether a second factor was shown

    @property
    def fields(self) -> dict[str, Any]:
        """As it is stored. `live_of` finds what has not ended; what has ended keeps no device."""
        live = self.ended is None
        return {
            "user_id": self.user_id,
            "live_of": self.user_id if live else None,
            "device": self.device if live else None,
            "current": self.current,
            "previous": self.previous,
            "salt": self.salt,
            "generation": self.generation,
            "began_at": self.began_ms,
            "ends_at": self.expires_ms,
            # what it is removed by: a whole day, or a day's refreshes would crowd one place of an index
            "expires_at": (self.expires_ms // _DAY_MS + 1) * _DAY_MS,
            "used_at": self.used_ms,
            "ended": self.ended,
            "factor": self.factor or None,
        }

    def over(self, why: str) -> Session:
        """The same session, ended."""
        return replace(self, ended=why, previous=None, salt=None)


def key(sid: str) -> Key:
    """The address of a session."""
    return Key("sessions", sid)


def parse(document: Document) -> Session:
    """The session of a document."""
    said: Mapping[str, Any] = document.fields
    return Session(
        document.key.id,
        str(said["user_id"]),
        said.get("device"),
        str(said["current"]),
        said.get("previous"),
        said.get("salt"),
        int(said["generation"]),
        int(said["began_at"]),
        int(said.get("ends_at") or said["expires_at"]),  # exact where a release without it wrote
        int(said.get("used_at") or said["began_at"]),  # none where a release without it wrote
        said.get("ended"),
        bool(said.get("factor")),
    )


def live(store: RecordStore, user_id: str) -> list[Document]:
    """Sessions of a user that nobody has ended; some may have expired, or be of an earlier password."""
    return list(store.query(Query("sessions", where=(("live_of", "==", user_id),))))


def in_use(store: RecordStore, account: Account, now_ms: int) -> list[Session]:
    """Sessions of an account that are good now, the one that was used last first."""
    found = map(parse, live(store, account.user_id))
    alive = [
        each for each in found if each.generation == account.generation and now_ms < each.expires_ms
    ]
    return sorted(alive, key=lambda each: each.used_ms, reverse=True)


def kept(
    caller: Caller, generation: int, reading: Snapshot, *, factor: bool = False
) -> list[Write]:
    """Writes that keep the caller's session where all others of this generation end."""
    own = key(caller.session or "none")
    if own not in reading.documents:
        return []
    here = parse(reading.documents[own])
    here = replace(here, generation=generation + 1, factor=here.factor or factor)
    return [put(own, here.fields, reading.documents[own].version)]


def displaced(found: Sequence[Document], generation: int, now_ms: int) -> list[Write]:
    """Writes that make room for one more session of a user who has these."""
    known = [(parse(document), document.version) for document in found]

    def worth(each: tuple[Session, int]) -> tuple[bool, bool, int]:
        session, _ = each
        over = session.generation != generation or now_ms >= session.expires_ms
        return not over, session.previous is not None, session.used_ms

    first = sorted(known, key=worth)[: max(0, len(known) - MOST + 1)]
    return [put(key(each.sid), each.over(DISPLACED).fields, version) for each, version in first]


def sid_of(token: str) -> str | None:
    """The session that a token names, or None if it is no token at all."""
    if TOKEN.fullmatch(token) is None:
        return None
    return hashlib.sha256(base64.urlsafe_b64decode(token)[:_LOCATOR_BYTES]).hexdigest()[:40]


def begin(
    user_id: str, device: str | None, generation: int, now_ms: int, life: Life
) -> tuple[Session, str]:
    """A new session and its first token."""
    token = _text(secrets.token_bytes(_LOCATOR_BYTES + _SECRET_BYTES))
    sid = sid_of(token) or ""
    ends = life.ends_ms(now_ms, now_ms)
    made = Session(sid, user_id, device, _hash(token), None, None, generation, now_ms, ends, now_ms)
    return made, token


def is_current(session: Session, token: str) -> bool:
    """Whether a token is the one that the session gave out last."""
    return hmac.compare_digest(_hash(token), session.current)


def refreshed(
    session: Session, token: str, secret: bytes, now_ms: int, life: Life
) -> tuple[Session, str | None]:
    """The session after a refresh, and the token to give out; None means theft.

    The same session comes back when its successor is only told again.
    """
    shown = _hash(token)
    if hmac.compare_digest(shown, session.current):
        salt = secrets.token_hex(16)
        after = _successor(token, salt, secret)
        moved = replace(
            session,
            current=_hash(after),
            previous=shown,
            salt=salt,
            expires_ms=life.ends_ms(session.began_ms, now_ms),
            used_ms=now_ms,
        )
        return moved, after
    if session.previous is not None and hmac.compare_digest(shown, session.previous):
        after = _successor(token, session.salt or "", secret)
        # Another server secret since: the successor is lost, and that is nobody's theft.
        return session, after if _hash(after) == session.current else ""
    return session.over(REUSED), None


def _successor(token: str, salt: str, secret: bytes) -> str:
    before = base64.urlsafe_b64decode(token)
    after = hmac.new(secret, b"refresh\0" + bytes.fromhex(salt) + before, hashlib.sha256).digest()
    return _text(before[:_LOCATOR_BYTES] + after)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()
