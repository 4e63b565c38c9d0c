"""The key port: public keys that verify access tokens, private keys that sign them, their rotation.

Most functions only ever see `VerificationKeys`; only accounts (and the local stack's command line) may
load private keys.

A ring holds the private keys of a deployment, with the time from which each signs. A rotation adds a
key that is published at once and signs `AHEAD_SECONDS` later, when every verifier has heard of
it; the key before it stays published until `KEEP_SECONDS` after that, when its last token has ended.
So there is no moment at which a good token meets a verifier that does not know its key.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from shared.errors import ConfigurationFault, Contended, Fault

#: Signature algorithms that a key of ours may be for. The key says which one, never the token.
ALGORITHMS = ("ES256", "EdDSA")

#: How long anybody may keep a copy of the published keys, seconds (Cache-Control).
PUBLISHED_SECONDS = 300

#: How long a new key is published before it signs: two lives of a copy, seconds.
AHEAD_SECONDS = 600

#: How long a key is published after its successor signs, seconds: a token lives 900, clocks may differ
#: by 300, an instance may sign with a ring that is 60 seconds old.
KEEP_SECONDS = 3600

#: How old a copy of the ring may get in the process that signs, seconds.
RING_SECONDS = 60.0

#: Smallest RSA key of an outside issuer, bits (RFC 7518 3.3).
_LEAST_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """What every token must say, and the clock difference that is forgiven, seconds.

    `role` is that of callers whose tokens name none, `roles` are those that a token may name, and
    `user_claim` is the claim that holds the user's id. `types` are the `typ` of headers that are
    taken, in lower case, without `application/` (RFC 7515 4.1.9); "" is none. Ours say `at+jwt` (RFC
    9068); those that the release before signed say `JWT`, and live for a quarter of an hour.
    """

    issuer: str
    audience: str
    leeway_seconds: int = 30
    role: str = ""
    roles: tuple[str, ...] = ()
    user_claim: str = "sub"
    types: tuple[str, ...] = ("at+jwt", "jwt")


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key: its id, its one algorithm, and the key object PyJWT takes.

    `outside` is the policy of the outside issuer whose key it is; None: ours. `since_s` and `until_s` say
    when it signs and until when it is published, Unix seconds, where that is known.
    """

    kid: str
    algorithm: str
    key: Any
    outside: TokenPolicy | None = None
    since_s: int | None = None
    until_s: int | None = None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key in PEM, with the id that its tokens name."""

    kid: str
    algorithm: str
    pem: bytes


class VerificationKeys(Protocol):
    """Where public keys come from."""

    def find(self, kid: str) -> VerificationKey | None:
        """The key of that id, or None. May look again at its source when the id is new.

        Raises `KeysUnavailable` if no keys at all could be had yet.
        """
        ...


class PublishedKeys(VerificationKeys, Protocol):
    """A source that can also list its keys."""

    def published(self) -> Sequence[VerificationKey]:
        """Every key that is known. Raises `KeysUnavailable` if no keys could be had yet."""
        ...


class SigningKeys(Protocol):
    """Where the private key comes from."""

    def current(self) -> SigningKey:
        """The key that signs new tokens."""
        ...


class JwksText:
    """Public keys of a JWKS text (RFC 7517). Raises `ConfigurationFault` if it is none."""

    def __init__(self, text: str) -> None:
        try:
            self._keys = parse_jwks(text, ALGORITHMS)
        except ValueError as error:
            raise ConfigurationFault(
                "TOKEN_JWKS must be a JSON Web Key Set of ES256 or EdDSA keys with kid and alg",
                field="TOKEN_JWKS",
            ) from error

    def find(self, kid: str) -> VerificationKey | None:
        """The key of that id."""
        return self._keys.get(kid)

    def published(self) -> Sequence[VerificationKey]:
        """All of them."""
        return list(self._keys.values())


class CombinedKeys:
    """Keys of several sources; the first that knows an id wins."""

    def __init__(self, sources: Sequence[VerificationKeys]) -> None:
        self._sources = sources

    def find(self, kid: str) -> VerificationKey | None:
        """The key of that id. A source without keys matters only if no other one knows the id."""
        missing: Fault | None = None
        for source in self._sources:
            try:
                if (found := source.find(kid)) is not None:
                    return found
            except Fault as fault:
                missing = fault
        if missing is not None:
            raise missing
        return None


def parse_jwks(
    text: str,
    algorithms: Sequence[str],
    *,
    outside: TokenPolicy | None = None,
) -> dict[str, VerificationKey]:
    """The keys of a JWKS text by id. Raises `ValueError` if it is none, or holds none that is usable.

    Of an outside issuer, keys of other kinds are left out, and a key without `alg` is for the one
    algorithm of its kind. Of ours, anything odd is a fault.
    """
    keys: dict[str, VerificationKey] = {}
    try:
        for entry in json.loads(text)["keys"]:
            try:
                kid, key = entry["kid"], jwt.PyJWK.from_dict(_with_alg(entry)).key
                algorithm = _with_alg(entry)["alg"]
                usable = algorithm in algorithms and entry.get("use", "sig") == "sig"
                if not usable or not isinstance(kid, str) or not _fits(key, algorithm):
                    raise ValueError("a key of another kind")
            except (ValueError, KeyError, TypeError, jwt.PyJWTError):
                if outside is None:
                    raise
                continue
            since, until = (_whole(entry.get(name)) for name in ("nbf", "exp"))
            keys[kid] = VerificationKey(kid, algorithm, key, outside, since, until)
    except (KeyError, TypeError, AttributeError, jwt.PyJWTError) as error:
        raise ValueError("no JSON Web Key Set") from error
    if not keys:
        raise ValueError("no usable key")
    return keys


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _with_alg(entry: Mapping[str, Any]) -> dict[str, Any]:
    natural = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
    return {"alg": natural.get(str(entry.get("kty")), ""), **entry}


def _fits(key: Any, algorithm: str) -> bool:
    """Whether a key is public and of the kind that its algorithm takes."""
    if algorithm == "RS256":
        return isinstance(key, rsa.RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS
    if algorithm == "ES256":
        return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1"
    return isinstance(key, ed25519.Ed25519PublicKey)


# --- the ring of private keys


@dataclass(frozen=True, slots=True)
class RingKey:
    """One private key in PEM, its public JWK, and the Unix second from which it signs."""

    kid: str
    algorithm: str
    pem: str
    public: Mapping[str, Any]
    signs_from_s: int


def make_key(signs_from_s: int, algorithm: str = "ES256") -> RingKey:
    """A new key."""
    kid = secrets.token_hex(8)
    public: dict[str, Any]
    private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    if algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
        public = jwt.algorithms.OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    else:
        private = ec.generate_private_key(ec.SECP256R1())
        public = jwt.algorithms.ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public |= {"kid": kid, "alg": algorithm, "use": "sig"}
    return RingKey(kid, algorithm, pem.decode(), public, signs_from_s)


@dataclass(frozen=True, slots=True)
class Ring:
    """The private keys of a deployment, in the order in which they sign."""

    keys: tuple[RingKey, ...] = ()

    def signing(self, now_s: float) -> RingKey | None:
        """The key that signs now; None in an empty ring."""
        if not self.keys:
            return None
        begun = [each for each in self.keys if each.signs_from_s <= now_s]
        return begun[-1] if begun else self.keys[0]

    def ends_s(self, key: RingKey) -> int | None:
        """When a key is no longer published; None: it has no successor."""
        later = [each for each in self.keys if each.signs_from_s > key.signs_from_s]
        return later[0].signs_from_s + KEEP_SECONDS if later else None

    def published(self, now_s: float) -> tuple[RingKey, ...]:
        """Keys that verifiers must know now: the one that signs, its successor, those not ended."""
        return tuple(
            each for each in self.keys if (end := self.ends_s(each)) is None or now_s < end
        )

    def rotated(self, now_s: float, *, at_once: bool = False, algorithm: str = "ES256") -> Ring:
        """With a next key, and without those that have ended.

        If a key is waiting already, no other is added: a rotation may be repeated. `at_once` is for
        a key that leaked: the next one signs now, and verifiers hear of it when they meet it.
        """
        now = int(now_s)
        kept = self.published(now_s)
        waiting = [each for each in kept if each.signs_from_s > now]
        if not kept:
            return Ring((make_key(now, algorithm),))
        if waiting and at_once:
            return Ring((*kept[:-1], replace(waiting[-1], signs_from_s=now)))
        if waiting:
            return Ring(kept)
        # strictly later than the key before it, also twice in one second
        begins = max(now + (0 if at_once else AHEAD_SECONDS), kept[-1].signs_from_s + 1)
        return Ring((*kept, make_key(begins, algorithm)))

    def without(self, kid: str, now_s: float) -> Ring:
        """Without a key that leaked. Raises `ValueError` if it signs now."""
        signing = self.signing(now_s)
        if signing is not None and signing.kid == kid:
            raise ValueError("the key that signs now")
        return Ring(tuple(each for each in self.keys if each.kid != kid))

    def jwks(self, now_s: float) -> str:
        """The published keys as JWKS text; `nbf` says from when each signs, `exp` until when it is
        published, where that is known (Unix seconds).
        """
        keys = []
        for each in self.published(now_s):
            end = self.ends_s(each)
            ends = {} if end is None else {"exp": end}
            keys.append({**each.public, "nbf": each.signs_from_s, **ends})
        return json.dumps({"keys": keys})

    def text(self) -> str:
        """The ring with its private keys, as it is stored."""
        keys = [
            {
                "kid": each.kid,
                "algorithm": each.algorithm,
                "pem": each.pem,
                "public": dict(each.public),
                "signs_from": each.signs_from_s,
            }
            for each in self.keys
        ]
        return json.dumps({"ring": 1, "keys": keys})


def parse_ring(text: str) -> Ring:
    """A stored ring. Raises `ConfigurationFault` if it is none; the text is never repeated."""
    try:
        return Ring(
            tuple(
                RingKey(
                    str(each["kid"]),
                    str(each["algorithm"]),
                    str(each["pem"]),
                    dict(each["public"]),
                    int(each["signs_from"]),
                )
                for each in json.loads(text)["keys"]
            )
        )
    except (ValueError, KeyError, TypeError):
        raise ConfigurationFault("the stored signing keys cannot be read") from None


class KeyStore(Protocol):
    """Where the ring is kept. `tests/contracts/test_keys.py` holds every adapter to this."""

    def load(self) -> tuple[Ring, int]:
        """The ring and its version; an empty one and 0 if there is none.

        Raises `KeysUnavailable` when the store does not answer.
        """
        ...

    def save(self, ring: Ring, expect: int) -> int:
        """Replace the ring of version `expect` (0: none yet); returns the new version.

        Whole or not at all. Raises `Contended` when it is no longer at that version.
        """
        ...


class RingKeys:
    """The keys of a store, for the process that signs. Threads may share it.

    The ring is read again when it is older than `RING_SECONDS`; if that fails the copy is used.
    `make` makes the first key when there is none; without, that is a `ConfigurationFault`.
    """

    def __init__(self, store: KeyStore, clock: Callable[[], float], *, make: bool = False) -> None:
        self._store, self._clock, self._make = store, clock, make
        self._lock = threading.Lock()
        self._ring = Ring()
        self._public: dict[str, VerificationKey] = {}
        self._read_s = float("-inf")

    def current(self) -> SigningKey:
        """The key that signs new tokens."""
        key = self._fresh().signing(self._clock())
        assert key is not None  # noqa: S101  for the type checker: a fresh ring is not empty
        return SigningKey(key.kid, key.algorithm, key.pem.encode())

    def find(self, kid: str) -> VerificationKey | None:
        """The public key of that id, while it is published."""
        ring = self._fresh()
        now = self._clock()
        return self._public.get(kid) if any(k.kid == kid for k in ring.published(now)) else None

    def jwks(self) -> str:
        """The published keys as JWKS text."""
        return self._fresh().jwks(self._clock())

    def _fresh(self) -> Ring:
        with self._lock:
            if not 0 <= self._clock() - self._read_s < RING_SECONDS:
                self._reload()
            return self._ring

    def _reload(self) -> None:
        try:
            ring, version = self._store.load()
            if not ring.keys and self._make:
                try:
                    ring = ring.rotated(self._clock())
                    self._store.save(ring, version)
                except Contended:  # another process made the first key
                    ring, _ = self._store.load()
        except Fault:
            if not self._ring.keys:
                raise
            self._read_s = self._clock()  # asked again after another minute
            return
        if not ring.keys:
            raise ConfigurationFault(
                "there is no signing key: run `python -m infra.cli keys rotate`"
            )
        published = json.dumps({"keys": [dict(each.public) for each in ring.keys]})
        self._public = parse_jwks(published, ALGORITHMS)
        self._ring, self._read_s = ring, self._clock()
