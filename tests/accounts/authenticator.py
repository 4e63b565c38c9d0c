"""An authenticator in software, with the browser before it: what WebAuthn Level 3 says that both do.

Every part that a verifier must look at can be made wrong: origin, challenge, host, flags, counter, key.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

#: Flags of authenticator data (6.1): somebody was there, was verified, a new key is in it.
PRESENT, VERIFIED, NEW_KEY = 0x01, 0x04, 0x40


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """One key. `origin` is the page's, as the browser sees it."""

    origin: str
    flags: int = PRESENT | VERIFIED
    count: int = 0
    key_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def make(self, options: str, **wrong: Any) -> str:
        """`navigator.credentials.create`, as JSON. `wrong` replaces what the browser says of itself."""
        asked = json.loads(options)
        data = self._data(asked["rp"]["id"], NEW_KEY)
        data += bytes(16) + len(self.key_id).to_bytes(2, "big") + self.key_id + self._public()
        made = {
            "clientDataJSON": self._client("webauthn.create", asked["challenge"], wrong),
            "attestationObject": encoded(
                cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
            ),
        }
        return self._answer(made)

    def show(self, options: str, **wrong: Any) -> str:
        """`navigator.credentials.get`, as JSON."""
        asked = json.loads(options)
        client = self._client("webauthn.get", asked["challenge"], wrong)
        data = self._data(asked["rpId"])
        signed = data + hashlib.sha256(decoded(client)).digest()
        said = {
            "clientDataJSON": client,
            "authenticatorData": encoded(data),
            "signature": encoded(self.key.sign(signed, ec.ECDSA(SHA256()))),
        }
        return self._answer(said)

    def _data(self, host: str, more: int = 0) -> bytes:
        flags = bytes([self.flags | more])
        return hashlib.sha256(host.encode()).digest() + flags + self.count.to_bytes(4, "big")

    def _client(self, kind: str, challenge: str, wrong: dict[str, Any]) -> str:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return encoded(json.dumps(said | wrong).encode())

    def _public(self) -> bytes:
        at = self.key.public_key().public_numbers()
        x, y = at.x.to_bytes(32, "big"), at.y.to_bytes(32, "big")
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})

    def _answer(self, response: dict[str, str]) -> str:
        name = encoded(self.key_id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})
