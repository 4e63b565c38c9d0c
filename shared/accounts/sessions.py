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
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.records.store import Document, Key

#: Characters of a refresh token: 48 bytes in base64url.
TOKEN = re.compile(r"[A-Za-z0-9_-]{64}")

_LOCATOR_BYTES, _SECRET_BYTES = 16, 32

#: Why a family ended.
LOGGED_OUT, REUSED = "logged_out", "reused"


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
    ended: str | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "user_id": self.user_id,
            "device": self.device,
            "current": self.current,
            "previous": self.previous,
            "salt": self.salt,
            "generation": self.generation,
            "began_at": self.began_ms,
            "expires_at": self.expires_ms,
            "ended": self.ended,
        }


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
        int(said["expires_at"]),
        said.get("ended"),
    )


def sid_of(token: str) -> str | None:
    """The session that a token names, or None if it is no token at all."""
    if TOKEN.fullmatch(token) is None:
        return None
    return hashlib.sha256(base64.urlsafe_b64decode(token)[:_LOCATOR_BYTES]).hexdigest()[:40]


def begin(
    user_id: str, device: str | None, generation: int, now_ms: int, life_ms: int
) -> tuple[Session, str]:
    """A new session and its first token."""
    token = _text(secrets.token_bytes(_LOCATOR_BYTES + _SECRET_BYTES))
    sid = sid_of(token) or ""
    ends = now_ms + life_ms
    return Session(sid, user_id, device, _hash(token), None, None, generation, now_ms, ends), token


def refreshed(
    session: Session, token: str, secret: bytes, now_ms: int, life_ms: int
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
            expires_ms=max(session.expires_ms, now_ms + life_ms),
        )
        return moved, after
    if session.previous is not None and hmac.compare_digest(shown, session.previous):
        after = _successor(token, session.salt or "", secret)
        # Another server secret since: the successor is lost, and that is nobody's theft.
        return session, after if _hash(after) == session.current else ""
    return replace(session, ended=REUSED, previous=None, salt=None), None


def _successor(token: str, salt: str, secret: bytes) -> str:
    before = base64.urlsafe_b64decode(token)
    after = hmac.new(secret, b"refresh\0" + bytes.fromhex(salt) + before, hashlib.sha256).digest()
    return _text(before[:_LOCATOR_BYTES] + after)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()
