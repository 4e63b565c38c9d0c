"""The key port: public keys that verify access tokens, the private key that signs them, page secret.

Most functions only ever see `VerificationKeys`; only accounts (and the local stack) may sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

#: Signature algorithms that a key may be for. The key says which one, never the token.
ALGORITHMS = ("ES256", "EdDSA")


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key: its id, its one algorithm, and the key object PyJWT takes."""

    kid: str
    algorithm: str
    key: Any


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key in PEM, with the id that its tokens name."""

    kid: str
    algorithm: str
    pem: bytes


class VerificationKeys(Protocol):
    """Where public keys come from."""

    def find(self, kid: str) -> VerificationKey | None:
        """The key of that id, or None. May look again at its source when the id is new."""
        ...


class SigningKeys(Protocol):
    """Where the private key comes from."""

    def current(self) -> SigningKey:
        """The key that signs new tokens."""
        ...
