"""A second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for its loss.

Six digits, SHA-1, 30 seconds: what every app speaks. A code is good once, for its step and the steps
beside it: `step` is the last one used, and only later ones are taken. The secret is stored encrypted by
a key made of the accounts secret, and bound to its user; so a database alone gives no codes. Recovery
codes have 79 bits: their plain hashes cannot be found by trying, and outlive another accounts secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.accounts.invite import ALPHABET

#: Clocks of phones are off: a code counts this many steps of 30 s before and after its own.
SKEW = 1

#: Recovery codes of one set-up, and characters of each.
RECOVERIES, RECOVERY_LENGTH = 10, 16

#: How long a set-up may wait for its first code, ms.
SET_UP_MS = 15 * 60_000

_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Factor:
    """Somebody's second factor, as it is stored. `recovery` are the hashes of codes not yet used."""

    sealed: str
    begun_ms: int
    step: int = 0
    recovery: tuple[str, ...] = ()

    @property
    def fields(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "sealed": self.sealed,
            "begun_at": self.begun_ms,
            "step": self.step,
            "recovery": list(self.recovery),
        }


def parse(said: Mapping[str, Any] | None) -> Factor | None:
    """The factor of a stored value."""
    if said is None:
        return None
    recovery = tuple(str(each) for each in said.get("recovery") or ())
    return Factor(str(said["sealed"]), int(said["begun_at"]), int(said.get("step") or 0), recovery)


def sealing_key(secret: bytes) -> bytes:
    """The key of stored secrets, made of the accounts secret."""
    return hmac.new(secret, b"totp", hashlib.sha256).digest()


def begun(user_id: str, key: bytes, now_ms: int) -> tuple[Factor, str]:
    """A new factor, and its secret in base32 for the authenticator app."""
    secret = pyotp.random_base32()
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = nonce + AESGCM(key).encrypt(nonce, secret.encode(), user_id.encode())
    return Factor(base64.b64encode(sealed).decode(), now_ms), secret


def uri(secret: str, issuer: str, name: str) -> str:
    """What an authenticator app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


def with_recovery(factor: Factor) -> tuple[Factor, list[str]]:
    """The factor with new recovery codes, and these; they are shown once."""
    made = [
        "".join(secrets.choice(ALPHABET) for _ in range(RECOVERY_LENGTH)) for _ in range(RECOVERIES)
    ]
    return replace(factor, recovery=tuple(_hash(code) for code in made)), [
        "-".join(code[at : at + 4] for at in range(0, RECOVERY_LENGTH, 4)) for code in made
    ]


def used(factor: Factor, code: str, user_id: str, key: bytes, now_ms: int) -> Factor | None:
    """The factor after this code, which is good no more; None: the code is wrong, or was used."""
    text = "".join(code[:64].split()).replace("-", "").upper()
    if len(text) == RECOVERY_LENGTH:
        left = tuple(each for each in factor.recovery if not hmac.compare_digest(each, _hash(text)))
        return None if left == factor.recovery else replace(factor, recovery=left)
    app = pyotp.TOTP(_opened(factor, user_id, key) or pyotp.random_base32())
    now = now_ms // 1000 // app.interval
    for step in range(max(factor.step + 1, now - SKEW), now + SKEW + 1):
        if hmac.compare_digest(app.generate_otp(step).encode(), text.encode("utf-8", "replace")):
            return replace(factor, step=step)
    return None


def _opened(factor: Factor, user_id: str, key: bytes) -> str | None:
    """The secret; None if it was sealed by another accounts secret, or for another user."""
    sealed = base64.b64decode(factor.sealed)
    nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, rest, user_id.encode()).decode()
    except InvalidTag:
        return None


def _hash(code: str) -> str:
    return hashlib.sha256(b"recovery\0" + code.encode("utf-8", "replace")).hexdigest()
