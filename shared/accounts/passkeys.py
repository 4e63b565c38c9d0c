"""Passkeys: a second factor for browsers that no other site can use (WebAuthn Level 3), beside codes.

Whoever has an authenticator app may add some; a log-in of the console then takes one of them in the
place of a code. The authenticator signs a challenge of ours, the origin that its browser talks to, and a
counter, after it has verified its owner by finger, face or PIN. A page of somebody else that passes all on
at once gets nothing that we take.

    asked     the challenge's hash is stored in the account: for what, until when
    answered  it goes in the commit that takes the answer, and in the one that refuses it: good once
    asked anew  the later one replaces the earlier: of two tabs the last one counts

Keys are bound to the host for ever (RP ID). Where that changes they are of no use, and codes are. Nobody
asks which make an authenticator is (attestation: none).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shared.errors import Fault

if TYPE_CHECKING:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

#: How long a challenge is good, ms: finding a security key, or the next code, takes a while.
GOOD_MS = 5 * 60_000

#: Passkeys of one account.
MOST = 10

#: Longest answer of a browser, and longest name of a key, characters. An RSA key of 4096 bits with a
#: certificate of its maker makes 6,000.
LONGEST_ANSWER, LONGEST_NAME = 20_000, 60

#: What a challenge is for.
LOG_IN, ADD = "log-in", "add-passkey"

_BYTES = 32


class SecondStepRefused(Fault):
    """In the console: the second step of a log-in, or of a new passkey, is not taken."""

    code = "passkey_wrong"
    status = 401


class PasskeyForbidden(Fault):
    """In the console: nobody adds a passkey here, or not yet."""

    code = "passkeys_off"
    status = 403


@dataclass(frozen=True, slots=True)
class PasskeyHost:
    """For whom passkeys are made: the host that they are bound to (RP ID), where pages are, our name."""

    host: str
    origin: str
    name: str


@dataclass(frozen=True, slots=True)
class Passkey:
    """One key, as it is stored; `key_id` and `public` (COSE) in base64url. `count` is the last seen."""

    key_id: str
    public: str
    count: int
    name: str
    added_ms: int
    used_ms: int = 0

    @property
    def fields(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "id": self.key_id,
            "public": self.public,
            "count": self.count,
            "name": self.name,
            "added_at": self.added_ms,
            "used_at": self.used_ms,
        }


@dataclass(frozen=True, slots=True)
class Challenge:
    """What waits for an answer, as it is stored: `digest` is of its text, `generation` the account's."""

    digest: str
    purpose: str
    generation: int
    until_ms: int

    @property
    def fields(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "digest": self.digest,
            "purpose": self.purpose,
            "generation": self.generation,
            "until": self.until_ms,
        }


def parse(said: Sequence[Mapping[str, Any]] | None) -> tuple[Passkey, ...]:
    """The keys of a stored value."""
    return tuple(
        Passkey(
            str(each["id"]),
            str(each["public"]),
            int(each["count"]),
            str(each["name"]),
            int(each["added_at"]),
            int(each["used_at"]),
        )
        for each in said or ()
    )


def parse_challenge(said: Mapping[str, Any] | None) -> Challenge | None:
    """The challenge of a stored value."""
    if said is None:
        return None
    return Challenge(
        str(said["digest"]), str(said["purpose"]), int(said["generation"]), int(said["until"])
    )


def new_challenge(purpose: str, generation: int, now_ms: int) -> tuple[str, Challenge]:
    """Another challenge of an account of this generation: its text, and what is stored of it."""
    text = secrets.token_urlsafe(_BYTES)
    return text, Challenge(_digest(text), purpose, generation, now_ms + GOOD_MS)


def is_open(
    challenge: Challenge | None, text: str, purpose: str, generation: int, now_ms: int
) -> bool:
    """Whether a text is that of the challenge that waits, for this, and not too late: neither by the clock
    nor because the password was changed meanwhile.
    """
    return (
        challenge is not None
        and challenge.purpose == purpose
        and challenge.generation == generation
        and now_ms < challenge.until_ms
        and hmac.compare_digest(challenge.digest, _digest(text))
    )


def to_add(
    host: PasskeyHost, user_id: str, name: str, held: Sequence[Passkey], challenge: str
) -> str:
    """What a browser is asked for a new key, as JSON; none of those that are `held`."""
    import webauthn
    from webauthn.helpers import structs

    options = webauthn.generate_registration_options(
        rp_id=host.host,
        rp_name=host.name,
        user_name=name,
        user_id=user_id.encode(),
        challenge=challenge.encode(),
        timeout=GOOD_MS,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.PREFERRED,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=_described(held),
    )
    return webauthn.options_to_json(options)


def to_show(host: PasskeyHost, held: Sequence[Passkey], challenge: str) -> str:
    """What a browser is asked for one of the keys that are `held`, as JSON."""
    import webauthn
    from webauthn.helpers import structs

    options = webauthn.generate_authentication_options(
        rp_id=host.host,
        challenge=challenge.encode(),
        timeout=GOOD_MS,
        allow_credentials=_described(held),
        user_verification=structs.UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(options)


def made(host: PasskeyHost, challenge: str, answer: str, name: str, now_ms: int) -> Passkey | None:
    """The key that a browser made; None: the answer is not one to our challenge."""
    import webauthn
    from webauthn.helpers import bytes_to_base64url

    try:
        found = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=challenge.encode(),
            expected_rp_id=host.host,
            expected_origin=host.origin,
            require_user_verification=True,
        )
    except Exception:  # whatever a parser says of bytes that anybody may send: it is no answer
        return None
    return Passkey(
        bytes_to_base64url(found.credential_id),
        bytes_to_base64url(found.credential_public_key),
        found.sign_count,
        name,
        now_ms,
    )


def shown(
    host: PasskeyHost, held: Sequence[Passkey], challenge: str, answer: str, now_ms: int
) -> Passkey | None:
    """The key of those that are `held` that signed the challenge, with its new counter; None: none did.

    A counter that does not go on is none of the same authenticator: somebody copied it.
    """
    import webauthn
    from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

    try:
        said = webauthn.helpers.parse_authentication_credential_json(answer)
        used = bytes_to_base64url(said.raw_id)
        key = next(each for each in held if hmac.compare_digest(each.key_id, used))
        found = webauthn.verify_authentication_response(
            credential=said,
            expected_challenge=challenge.encode(),
            expected_rp_id=host.host,
            expected_origin=host.origin,
            credential_public_key=base64url_to_bytes(key.public),
            credential_current_sign_count=key.count,
            require_user_verification=True,
        )
    except Exception:  # as above
        return None
    return replace(key, count=found.new_sign_count, used_ms=now_ms)


def _described(held: Sequence[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    from webauthn.helpers import base64url_to_bytes, structs

    return [structs.PublicKeyCredentialDescriptor(base64url_to_bytes(each.key_id)) for each in held]


def _digest(text: str) -> str:
    return hashlib.sha256(b"challenge\0" + text.encode("utf-8", "replace")).hexdigest()
