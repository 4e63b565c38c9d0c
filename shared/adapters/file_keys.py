"""Keys in a folder: the embedded profile's key store, and public keys given as text.

keys/signing.json   {"kid", "algorithm"} of the key that signs
keys/KID.pem        private keys, readable by their owner only
keys/jwks.json      public keys; all that verification reads
keys/page.secret    signs page tokens
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import threading
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.accounts.keys import ALGORITHMS, SigningKey, VerificationKey
from shared.errors import ConfigurationFault


class JwksKeys:
    """Public keys of a JWKS text (RFC 7517). Raises `ConfigurationFault` if it is none."""

    def __init__(self, text: str) -> None:
        self._keys = _parse(text)

    def find(self, kid: str) -> VerificationKey | None:
        """The key of that id."""
        return self._keys.get(kid)


class FileKeys:
    """Keys of a folder; the signing key and the page secret are made on first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._public: dict[str, VerificationKey] = {}
        self._read_at: float = -1.0

    def find(self, kid: str) -> VerificationKey | None:
        """The public key of that id; the file is read again when it has changed."""
        path = self._folder / "jwks.json"
        try:
            changed = path.stat().st_mtime
        except FileNotFoundError:
            return None
        with self._lock:
            if changed != self._read_at:
                self._public, self._read_at = _parse(path.read_text()), changed
            return self._public.get(kid)

    def current(self) -> SigningKey:
        """The private key that signs new tokens."""
        path = self._folder / "signing.json"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # two processes must not make a key each
                if not path.exists():
                    self._make()
        about = json.loads(path.read_text())
        pem = (self._folder / f"{about['kid']}.pem").read_bytes()
        return SigningKey(about["kid"], about["algorithm"], pem)

    def page_secret(self) -> bytes:
        """The secret that signs page tokens."""
        path = self._folder / "page.secret"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            _write_new(path, secrets.token_urlsafe(48).encode())
        return path.read_bytes()

    def _make(self) -> None:
        private = ec.generate_private_key(ec.SECP256R1())
        kid = secrets.token_hex(8)
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        public: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(
            private.public_key(), as_dict=True
        )
        public |= {"kid": kid, "alg": "ES256", "use": "sig"}
        _write_new(self._folder / f"{kid}.pem", pem)
        _write_new(self._folder / "jwks.json", json.dumps({"keys": [public]}).encode())
        about = json.dumps({"kid": kid, "algorithm": "ES256"}).encode()
        _write_new(self._folder / "signing.json", about)


def _write_new(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all; the first writer wins."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _parse(text: str) -> dict[str, VerificationKey]:
    try:
        entries = json.loads(text)["keys"]
        keys = {}
        for entry in entries:
            if entry.get("alg") not in ALGORITHMS or entry.get("use", "sig") != "sig":
                raise ValueError("alg")
            keys[entry["kid"]] = VerificationKey(
                entry["kid"], entry["alg"], jwt.PyJWK.from_dict(entry).key
            )
    except (ValueError, KeyError, TypeError, AttributeError, jwt.InvalidKeyError) as error:
        raise ConfigurationFault(
            "TOKEN_JWKS must be a JSON Web Key Set of ES256 or EdDSA keys with kid and alg",
            field="TOKEN_JWKS",
        ) from error
    return keys
