"""Keys in a folder: the embedded profile's key store.

keys/ring.json      private keys (`shared/accounts/keys.py`), readable by their owner only
keys/jwks.json      public keys; all that verification reads
keys/page.secret    signs page tokens
keys/accounts.secret   keys the hashes of the accounts function
keys/files.secret   signs links to files
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.accounts.keys import (
    ALGORITHMS,
    Ring,
    RingKeys,
    SigningKey,
    VerificationKey,
    parse_jwks,
    parse_ring,
)
from shared.errors import ConfigurationFault, Contended


class FileKeys:
    """Keys of a folder; the first signing key and the secrets are made on first use."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._public: dict[str, VerificationKey] = {}
        self._ends: dict[str, float] = {}
        self._seen: tuple[int, int, int] | None = None

    # --- public keys

    def find(self, kid: str) -> VerificationKey | None:
        """The public key of that id; the file is read again when it has changed."""
        return {each.kid: each for each in self.published()}.get(kid)

    def published(self) -> list[VerificationKey]:
        """See `PublishedKeys`."""
        path = self._folder / "jwks.json"
        try:
            about = path.stat()
        except FileNotFoundError:
            return []
        # the file is replaced, never written: another number of its own even within one tick
        seen = (about.st_ino, about.st_mtime_ns, about.st_size)
        with self._lock:
            if seen != self._seen:
                self._read_public(path.read_text())
                self._seen = seen
            now_s = self._clock()
            return [
                each
                for each in self._public.values()
                if now_s < self._ends.get(each.kid, float("inf"))
            ]

    def _read_public(self, text: str) -> None:
        try:
            self._public = parse_jwks(text, ALGORITHMS)
            entries = json.loads(text)["keys"]
            self._ends = {each["kid"]: float(each["exp"]) for each in entries if "exp" in each}
        except (ValueError, TypeError) as error:
            raise ConfigurationFault("the key folder's jwks.json cannot be read") from error

    # --- the ring

    def load(self) -> tuple[Ring, int]:
        """See `KeyStore`."""
        try:
            stored = json.loads((self._folder / "ring.json").read_text())
        except FileNotFoundError:
            return Ring(), 0
        except ValueError:
            raise ConfigurationFault("the key folder's ring.json cannot be read") from None
        return parse_ring(json.dumps(stored)), int(stored.get("version", 1))

    def save(self, ring: Ring, expect: int) -> int:
        """See `KeyStore`."""
        with self._locked():
            _, version = self.load()
            if version != expect:
                raise Contended("the signing keys changed meanwhile")
            stored = {**json.loads(ring.text()), "version": version + 1}
            # Public keys first: dying in between leaves a key published that never signs.
            _replace(self._folder / "jwks.json", ring.jwks(self._clock()).encode())
            _replace(self._folder / "ring.json", json.dumps(stored).encode())
        return version + 1

    def current(self) -> SigningKey:
        """The private key that signs new tokens."""
        return RingKeys(self, self._clock, make=True).current()

    # --- secrets

    def page_secret(self) -> bytes:
        """The secret that signs page tokens."""
        return self.secret("page")

    def secret(self, name: str) -> bytes:
        """A secret of that name, made on first use."""
        path = self._folder / f"{name}.secret"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            _write_new(path, secrets.token_urlsafe(48).encode())
        return path.read_bytes()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _draft(path: Path, data: bytes) -> Path:
    """A file beside `path` that only its owner can read."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _write_new(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; the first writer wins."""
    draft = _draft(path, data)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _replace(path: Path, data: bytes) -> None:
    """Replace a file, whole or not at all."""
    _draft(path, data).rename(path)
