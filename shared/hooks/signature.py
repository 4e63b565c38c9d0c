"""Secrets and signatures as in the specification Standard Webhooks 1.0 (standardwebhooks.com).

    webhook-id         the event's id, the same in every attempt
    webhook-timestamp  Unix seconds of the attempt
    webhook-signature  `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; several after a
                       rotation, with blanks between them

A secret is made of the deployment's own (HOOKS_SECRET), the endpoint's id and how often it was rotated:
nothing secret is stored, and a copy of the store signs nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable

_PREFIX = "whsec_"


def secret_of(deployment: bytes, hook_id: str, generation: int) -> str:
    """An endpoint's secret: `whsec_` and 32 bytes in base64."""
    text = f"hooks\n{hook_id}\n{generation}".encode()
    return _PREFIX + base64.b64encode(hmac.digest(deployment, text, hashlib.sha256)).decode()


def signature(secret: str, event_id: str, at_s: int, body: bytes) -> str:
    """One signature, with its version in front."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = b".".join((event_id.encode(), str(at_s).encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def headers(secrets: Iterable[str], event_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """The headers of one attempt, signed with each secret that is good."""
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(signature(each, event_id, at_s, body) for each in secrets),
    }
