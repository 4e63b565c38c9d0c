"""Passwords: argon2id, one verification for every question, whoever is asked about.

The cost is OWASP's first recommendation for argon2id (Password Storage Cheat Sheet, 2025): 19 MiB,
two passes, one lane. It is a value, so that it can be raised: a hash of another cost is made anew at
the next log-in. Only the PHC string is stored.
"""

from __future__ import annotations

import base64
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from shared.accounts.guessable import guessable
from shared.errors import InvalidRequest

#: NIST SP 800-63B asks for 8 or more; 10, since no mixture of characters is asked for. The upper end bounds
#: the work of one request. Characters, after normalisation.
SHORTEST, LONGEST = 10, 128


@dataclass(frozen=True, slots=True)
class Cost:
    """What one hash takes: memory in KiB, passes over it, lanes side by side."""

    memory_kib: int = 19_456
    passes: int = 2
    lanes: int = 1


class Passwords:
    """Makes and checks hashes of one cost. Threads may share it."""

    def __init__(self, cost: Cost = Cost()) -> None:
        self._hasher = PasswordHasher(
            cost.passes, cost.memory_kib, cost.lanes, hash_len=32, salt_len=16, type=Type.ID
        )
        salt, tag = (_b64(secrets.token_bytes(size)) for size in (16, 32))
        #: The hash of nothing: checking it costs what checking a real one costs, and always fails.
        self._nobody = (
            f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}${salt}${tag}"
        )

    def hash(self, password: str) -> str:
        """The PHC string of a password that `checked` has let through."""
        return self._hasher.hash(password)

    def fits(self, stored: str | None, password: str) -> bool:
        """Whether a password is the stored one; None (no such account) takes as long and is False."""
        try:
            return self._hasher.verify(stored or self._nobody, password) and stored is not None
        except (VerificationError, InvalidHashError, ValueError):
            return False

    def outdated(self, stored: str) -> bool:
        """Whether the hash was made at another cost."""
        return self._hasher.check_needs_rehash(stored)


def normal(password: str) -> str:
    """The same text whichever keyboard composed its characters (NFKC, NIST SP 800-63B 5.1.1.2).

    A password that is only compared need not be of today's length. Raises `InvalidRequest`
    (password_length) for one that no account can have.
    """
    text = unicodedata.normalize("NFKC", password[: 4 * LONGEST + 1])
    if not text or len(text) > 4 * LONGEST:
        raise _length("password")
    return text


def checked(password: str, field: str, known: Iterable[str]) -> str:
    """A new password, normalised. `known` are texts that it must not be made of.

    Raises `InvalidRequest` (password_length, password_guessable).
    """
    text = unicodedata.normalize("NFKC", password[: 4 * LONGEST + 1])
    if not SHORTEST <= len(text) <= LONGEST:
        raise _length(field)
    if guessable(text, known):
        raise InvalidRequest(
            "This password is among the first that somebody would try: it is a common one, or made of "
            "an e-mail address or a name. Take several words that do not belong together.",
            code="password_guessable",
            field=field,
        )
    return text


def _length(field: str) -> InvalidRequest:
    return InvalidRequest(
        f"A password has {SHORTEST} to {LONGEST} characters.", code="password_length", field=field
    )


def _b64(data: bytes) -> str:
    return base64.b64encode(data).rstrip(b"=").decode()
