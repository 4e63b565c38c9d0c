"""Access tokens: JWTs that say who is calling. Verification pins everything it relies on.

The algorithm is the key's, never the token's; keys come from our own set by `kid`, never from the
token (`jwk`, `jku`, `x5u` are not looked at); the type is that of an access token (RFC 9068). Claims:
iss, aud, exp, nbf, iat, sub, the product's `user_claim`, role, device?, sid? (the log-in), scopes?,
only? (what alone it is good for). A token's scopes are hints; memberships in the store decide.

Tokens of an outside issuer are judged by that issuer's policy, which comes with the key: a key of
theirs is never good for a token of ours, nor the other way round.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jwt

from shared.access.membership import Caller
from shared.accounts.keys import SigningKey, TokenPolicy, VerificationKey, VerificationKeys
from shared.accounts.oidc import outside_user_id
from shared.errors import Unauthenticated
from shared.records.record import MOST_SECONDS, UNNAMED, valid_id

#: Longest token that is looked at, characters.
MAX_TOKEN = 8192

#: The `typ` of our access tokens (RFC 9068 2.1).
TYPE = "at+jwt"

#: What a token is good for alone whose user has yet to set up the second factor that a role needs.
SET_UP = "totp"

#: What an access token lives, seconds. Tests and demos may ask for more.
ACCESS_SECONDS = 900

#: Tokens whose check is remembered: 2,000 phones of one instance, some 2 MB.
_MOST_PROOFS = 2_000

_KID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_AGAIN = "Log in or refresh the token, then send the request again."


__all__ = ["ACCESS_SECONDS", "MAX_TOKEN", "TokenPolicy", "issue", "verify"]

#: What our own tokens must say, and those of an outside issuer (OpenID Connect Core 2).
_OWN = ("exp", "iat", "nbf", "iss", "aud", "sub")
_OUTSIDE = ("exp", "iat", "iss", "aud", "sub")


def verify(
    token: str, keys: VerificationKeys, policy: TokenPolicy, now_s: float, *, only: str = ""
) -> Caller:
    """The caller of a token. Raises `Unauthenticated` (token_missing, token_expired, token_invalid;
    totp_setup_required for a token that is good for something else `only`).

    `now_s` is the server's time in Unix seconds.
    """
    if not token:
        raise Unauthenticated(f"A bearer token is needed. {_AGAIN}", code="token_missing")
    if len(token) > MAX_TOKEN:
        raise _invalid()
    key, claims = _signed(token, keys, policy)
    if key.outside is not None:
        _check_times(claims, key.outside, now_s)
        return _outside_caller(claims, key.outside)
    _check_times(claims, policy, now_s)
    if "only" in claims and claims["only"] != (only or None):
        raise Unauthenticated(
            "Your role needs a second factor: set it up first.", code="totp_setup_required"
        )
    return _caller(claims, policy)


class _Proof(NamedTuple):
    """A token whose signature was checked: what held, and what it says."""

    kid: str
    key: VerificationKey
    policy: TokenPolicy
    claims: Mapping[str, Any]


#: By the hash of the token: a phone shows the same one for a quarter of an hour, and to check it takes a
#: seventh of a sync that brings nothing.
_proofs: dict[bytes, _Proof] = {}


def _signed(
    token: str, keys: VerificationKeys, policy: TokenPolicy
) -> tuple[VerificationKey, Mapping[str, Any]]:
    """The key of a token, and its claims, whose times are still to be checked.

    What was proven once holds as long as the key is the very same and still published, and the policy
    has not changed.
    """
    name = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
    known = _proofs.get(name)
    if known is not None and known.policy == policy and keys.find(known.kid) is known.key:
        return known.key, known.claims
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
    if not _is_type(header.get("typ", ""), (key.outside or policy).types):
        raise _invalid()
    if key.outside is not None:
        claims = _claims(token, key.key, key.algorithm, key.outside, _OUTSIDE)
    else:
        claims = _claims(token, key.key, key.algorithm, policy, (*_OWN, policy.user_claim))
    if len(_proofs) >= _MOST_PROOFS:
        _proofs.clear()
    _proofs[name] = _Proof(kid, key, policy, claims)
    return key, claims


def _is_type(said: object, taken: Sequence[str]) -> bool:
    """Whether a header's `typ` is one that is taken: an ID token or a log-out token is no access token."""
    return isinstance(said, str) and said.lower().removeprefix("application/") in taken


def _claims(
    token: str, key: Any, algorithm: str, policy: TokenPolicy, required: Sequence[str]
) -> Mapping[str, Any]:
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=policy.audience,
            issuer=policy.issuer,
            # Times are checked by `_check_times`, against a time that tests can choose.
            options={
                "require": list(required),
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
        value = claims.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _invalid()
        if not -MOST_SECONDS < value < MOST_SECONDS:  # NaN too: it would never expire
            raise _invalid()
    if claims["exp"] <= now_s - policy.leeway_seconds:
        raise Unauthenticated(f"The token has expired. {_AGAIN}", code="token_expired")
    if max(claims.get("nbf", 0), claims["iat"]) > now_s + policy.leeway_seconds:
        raise _invalid()


def _caller(claims: Mapping[str, Any], policy: TokenPolicy) -> Caller:
    user_id, role = claims[policy.user_claim], claims.get("role", policy.role)
    session = claims.get("sid") or ""
    device = claims.get("device") or session or UNNAMED
    if not valid_id(user_id) or not isinstance(role, str) or role not in policy.roles:
        raise _invalid()
    if not valid_id(device) or (session and not valid_id(session)):
        raise _invalid()
    return Caller(user_id, role, device, session)


def _outside_caller(claims: Mapping[str, Any], policy: TokenPolicy) -> Caller:
    """Somebody of an outside issuer. Roles and devices of theirs mean nothing here."""
    subject = claims["sub"]
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255:  # OpenID Connect Core 2: 255
        raise _invalid()
    return Caller(outside_user_id(policy.issuer, subject), policy.role, UNNAMED)


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
    session: str | None = None,
    scopes: Sequence[str] = (),
    only: str = "",
    seconds: int = ACCESS_SECONDS,
) -> str:
    """A signed access token for a user, valid from now."""
    claims: dict[str, Any] = {
        "iss": policy.issuer,
        "aud": policy.audience,
        "sub": user_id,
        policy.user_claim: user_id,
        "role": role,
        "iat": int(now_s),
        "nbf": int(now_s),
        "exp": int(now_s) + seconds,
    }
    if device is not None:
        claims["device"] = device
    if session is not None:
        claims["sid"] = session
    if only:
        claims["only"] = only
    if scopes:
        claims["scopes"] = list(scopes)
    return jwt.encode(
        claims, key.pem, algorithm=key.algorithm, headers={"kid": key.kid, "typ": TYPE}
    )
