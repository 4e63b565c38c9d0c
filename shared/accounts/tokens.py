"""Access tokens: JWTs that say who is calling. Verification pins everything it relies on.

The algorithm is the key's, never the token's; keys come from our own set by `kid`, never from the
token (`jwk`, `jku`, `x5u` are not looked at). Claims: iss, aud, exp, nbf, iat, sub, chw_id, role,
device?, sid?. A token's scopes are hints; memberships in the store decide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from shared.accounts.access import ROLES
from shared.accounts.keys import SigningKey, VerificationKeys
from shared.accounts.membership import Caller
from shared.errors import Unauthenticated
from shared.sync.record import UNNAMED, valid_id

#: Longest token that is looked at, characters.
MAX_TOKEN = 8192

#: What an access token lives, seconds. Tests and demos may ask for more.
ACCESS_SECONDS = 900

#: Beyond this (the year 5138) a time is no moment in seconds: infinite, or in milliseconds.
_MOST_SECONDS = 1e11

_KID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_AGAIN = "Log in or refresh the token, then send the request again."


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """What every token must say, and the clock difference that is forgiven, seconds."""

    issuer: str
    audience: str
    leeway_seconds: int = 30


def verify(token: str, keys: VerificationKeys, policy: TokenPolicy, now_s: float) -> Caller:
    """The caller of a token. Raises `Unauthenticated` (token_missing, token_expired, token_invalid).

    `now_s` is the server's time in Unix seconds.
    """
    if not token:
        raise Unauthenticated(f"A bearer token is needed. {_AGAIN}", code="token_missing")
    if len(token) > MAX_TOKEN:
        raise _invalid()
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise _invalid() from None
    kid = header.get("kid")
    if not isinstance(kid, str) or not _KID.fullmatch(kid) or "crit" in header:
        raise _invalid()
    key = keys.find(kid)
    if key is None or header.get("alg") != key.algorithm:
        raise _invalid()
    claims = _claims(token, key.key, key.algorithm, policy)
    _check_times(claims, policy, now_s)
    return _caller(claims)


def _claims(token: str, key: Any, algorithm: str, policy: TokenPolicy) -> Mapping[str, Any]:
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=policy.audience,
            issuer=policy.issuer,
            # Times are checked by `_check_times`, against a time that tests can choose.
            options={
                "require": ["exp", "iat", "nbf", "iss", "aud", "sub", "chw_id"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except (jwt.InvalidTokenError, TypeError, ValueError, OverflowError):
        raise _invalid() from None
    return claims


def _check_times(claims: Mapping[str, Any], policy: TokenPolicy, now_s: float) -> None:
    for name in ("exp", "nbf", "iat"):
        value = claims[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _invalid()
        if not -_MOST_SECONDS < value < _MOST_SECONDS:  # NaN too: it would never expire
            raise _invalid()
    if claims["exp"] <= now_s - policy.leeway_seconds:
        raise Unauthenticated(f"The token has expired. {_AGAIN}", code="token_expired")
    if max(claims["nbf"], claims["iat"]) > now_s + policy.leeway_seconds:
        raise _invalid()


def _caller(claims: Mapping[str, Any]) -> Caller:
    user_id, role = claims["chw_id"], claims.get("role", "chw")
    device = claims.get("device") or claims.get("sid") or UNNAMED
    if not valid_id(user_id) or role not in ROLES or not valid_id(device):
        raise _invalid()
    return Caller(user_id, role, device)


def _invalid() -> Unauthenticated:
    return Unauthenticated(f"This token cannot be used. {_AGAIN}")


def issue(
    key: SigningKey,
    policy: TokenPolicy,
    *,
    user_id: str,
    role: str,
    now_s: float,
    device: str | None = None,
    seconds: int = ACCESS_SECONDS,
) -> str:
    """A signed access token for a user, valid from now."""
    claims: dict[str, Any] = {
        "iss": policy.issuer,
        "aud": policy.audience,
        "sub": user_id,
        "chw_id": user_id,
        "role": role,
        "iat": int(now_s),
        "nbf": int(now_s),
        "exp": int(now_s) + seconds,
    }
    if device is not None:
        claims["device"] = device
    return jwt.encode(claims, key.pem, algorithm=key.algorithm, headers={"kid": key.kid})
