"""People of an outside issuer (OpenID Connect): trusted by configuration, found by their subject.

Their tokens are bearer tokens here, at every function. A user id of ours is calculated from issuer and
subject; so nothing must be looked up, and no e-mail is trusted. Their account document appears
when they first join a scope.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from shared.errors import KeysUnavailable

#: Algorithms of outside keys: ours, and RS256, which OpenID Connect Core 15.1 makes everybody speak.
OUTSIDE_ALGORITHMS = ("ES256", "EdDSA", "RS256")

#: Beginning of the user ids of outside people.
OUTSIDE = "o-"


def outside_user_id(issuer: str, subject: str) -> str:
    """Our user id of somebody of an outside issuer: a hash of both (160 bits)."""
    text = f"{issuer}\0{subject}".encode("utf-8", "surrogatepass")
    return OUTSIDE + hashlib.sha256(text).hexdigest()[:40]


def discovered(issuer: str, get: Callable[[str], str]) -> Callable[[], str]:
    """A source of the issuer's JWKS text, by way of its discovery document.

    `get` fetches the text of a URL. OpenID Connect Discovery 4.3: the document's `issuer` must be
    exactly the one that was asked for.
    """

    def fetch() -> str:
        text = get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        try:
            said = json.loads(text)
            if said["issuer"] != issuer:
                raise KeysUnavailable("The issuer's discovery document names another issuer.")
            where = said["jwks_uri"]
        except (ValueError, KeyError, TypeError) as error:
            raise KeysUnavailable("The issuer's discovery document cannot be read.") from error
        if not isinstance(where, str):
            raise KeysUnavailable("The issuer's discovery document names no keys.")
        return get(where)

    return fetch
