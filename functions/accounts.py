"""Accounts: register, log in, stay logged in; scopes, invites and members; the public keys.

The only function that may load private keys. Bodies are read here, everything else is decided by the
services in `shared/accounts/`.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Mapping
from typing import Any

from flask import Request, Response

from shared import wiring
from shared.access.membership import Caller
from shared.accounts import tokens
from shared.accounts.caller import Me, Origin, check
from shared.accounts.invite import MOST_DAYS, MOST_USES
from shared.accounts.keys import PUBLISHED_SECONDS
from shared.accounts.throttle import client_address
from shared.accounts.token_issuer import Tokens
from shared.api.web import Call, Route, answer, serve
from shared.errors import InvalidRequest
from shared.records.record import valid_id

SETTINGS = wiring.begin()
if SETTINGS.key_store != "files":
    wiring.accounts_secret()  # a missing one stops the start, by name

#: Longest name of a person or scope, longest body field, characters.
_LONGEST_NAME, _LONGEST_TEXT = 100, 2_000

#: Members of one answer.
_MEMBERS = 200

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def register(call: Call) -> Response:
    """A new account, with its first session."""
    body = _body(call)
    made = wiring.accounts().registration.register(
        _text(body, "email"),
        _text(body, "password"),
        _origin(call, body),
        wiring.clock_ms(),
        code=_optional(body, "invite_code"),
        name=_name(body, "name"),
    )
    return _tokens(call, made)


def login(call: Call) -> Response:
    """A new session."""
    body = _body(call)
    email, password = _text(body, "email"), _text(body, "password")
    origin, otp = _origin(call, body), _optional(body, "otp")
    return _tokens(
        call, wiring.accounts().login.log_in(email, password, origin, wiring.clock_ms(), otp)
    )


def refresh(call: Call) -> Response:
    """Both tokens anew."""
    return _tokens(
        call,
        wiring.accounts().sessions.refresh(_text(_body(call), "refresh_token"), wiring.clock_ms()),
    )


def logout(call: Call) -> Response:
    """The end of a session."""
    wiring.accounts().sessions.logout(_text(_body(call), "refresh_token"), wiring.clock_ms())
    return answer({}, call=call)


def password(call: Call) -> Response:
    """Another password."""
    caller = _caller(call)
    body = _body(call)
    old, new = _text(body, "old_password"), _text(body, "new_password")
    wiring.accounts().login.change_password(
        caller, old, new, _origin(call, body), wiring.clock_ms()
    )
    return answer({}, call=call)


def totp(call: Call) -> Response:
    """A secret for an authenticator app."""
    caller = _caller(call, only=tokens.SET_UP)
    body = _body(call)
    word, otp, origin = _text(body, "password"), _optional(body, "otp"), _origin(call, body)
    secret, uri = wiring.accounts().second_factor.begin(
        caller, word, otp, origin, wiring.clock_ms()
    )
    return answer({"secret": secret, "uri": uri}, call=call)


def confirm_totp(call: Call) -> Response:
    """The second factor is in use from now on."""
    caller = _caller(call, only=tokens.SET_UP)
    body = _body(call)
    otp, origin = _text(body, "otp"), _origin(call, body)
    codes = wiring.accounts().second_factor.confirm(caller, otp, origin, wiring.clock_ms())
    return answer({"recovery_codes": codes}, call=call)


def remove_totp(call: Call) -> Response:
    """The password alone again."""
    caller = _caller(call)
    body = _body(call)
    word, otp, origin = _text(body, "password"), _optional(body, "otp"), _origin(call, body)
    wiring.accounts().second_factor.remove(caller, word, otp, origin, wiring.clock_ms())
    return answer({}, call=call)


def sessions(call: Call) -> Response:
    """Where the caller is logged in."""
    caller = _caller(call)
    said = [
        {
            "id": each.sid,
            "device_id": each.device,
            "began_at": each.began_ms / 1000,
            "used_at": each.used_ms / 1000,
            "expires_at": each.expires_ms / 1000,
            "current": each.sid == caller.session,
        }
        for each in wiring.accounts().sessions.live(caller, wiring.clock_ms())
    ]
    return answer({"sessions": said}, call=call)


def end_session(call: Call) -> Response:
    """The end of one of the caller's sessions."""
    caller, word, origin = _shown(call)
    sid = _id(call.arguments, "id")
    wiring.accounts().sessions.end(caller, sid, word, origin, wiring.clock_ms())
    return answer({}, call=call)


def end_sessions(call: Call) -> Response:
    """The end of all of the caller's sessions."""
    caller, word, origin = _shown(call)
    wiring.accounts().sessions.end_all(caller, word, origin, wiring.clock_ms())
    return answer({}, call=call)


def delete(call: Call) -> Response:
    """The end of the caller's account."""
    caller, word, origin = _shown(call)
    wiring.accounts().deletion.delete_own(caller, word, origin, wiring.clock_ms())
    return answer({}, call=call)


def me(call: Call) -> Response:
    """Who the caller is."""
    return _me(call, check(wiring.store(), _caller(call, only=tokens.SET_UP)))


def join(call: Call) -> Response:
    """Into a scope, by a code."""
    caller = _caller(call)
    body = _body(call)
    code, origin = _text(body, "invite_code"), _origin(call, body)
    return _me(call, wiring.accounts().invites.join(caller, code, origin, wiring.clock_ms()))


def leave(call: Call) -> Response:
    """Out of a scope."""
    caller = _caller(call)
    scope = _id(_body(call), "scope_id")
    return _me(call, wiring.accounts().members.leave(caller, scope, wiring.clock_ms()))


def invites(call: Call) -> Response:
    """A code that lets somebody in."""
    caller = _caller(call)
    body = _body(call)
    scope, role = _id(body, "scope_id"), _text(body, "role")
    roles = wiring.catalog().roles
    if role not in roles:
        raise InvalidRequest(f"role must be one of {', '.join(roles)}.", field="role")
    days = _number(body, "expires_in_days", 7, 1, MOST_DAYS)
    uses = _number(body, "max_uses", 1, 1, MOST_USES)
    code, invite = wiring.accounts().invites.give(
        caller, scope, role, days, uses, wiring.clock_ms()
    )
    said = {
        "invite_code": code,
        "scope_id": invite.scope_id,
        "role": invite.role,
        "expires_at": invite.expires_ms / 1000,
        "max_uses": invite.most_uses,
    }
    return answer(said, call=call)


def list_invites(call: Call) -> Response:
    """Codes of a scope that still admit somebody."""
    caller = _caller(call)
    scope = _id(call.request.args, "scope_id")
    said = [
        {
            "id": invite_id,
            "role": invite.role,
            "made_by": invite.made_by,
            "made_at": invite.made_ms / 1000,
            "expires_at": invite.expires_ms / 1000,
            "max_uses": invite.most_uses,
            "uses": invite.uses,
        }
        for invite_id, invite in wiring.accounts().invites.listed(caller, scope, wiring.clock_ms())
    ]
    return answer({"scope_id": scope, "invites": said}, call=call)


def void_invite(call: Call) -> Response:
    """A code that admits nobody any more."""
    caller = _caller(call)
    invite_id, scope = _id(call.arguments, "id"), _id(_body(call), "scope_id")
    wiring.accounts().invites.void(caller, scope, invite_id, wiring.clock_ms())
    return answer({}, call=call)


def put_out(call: Call) -> Response:
    """The end of somebody's membership."""
    caller = _caller(call)
    user_id, scope = _id(call.arguments, "id"), _id(_body(call), "scope_id")
    wiring.accounts().members.put_out(caller, scope, user_id, wiring.clock_ms())
    return answer({}, call=call)


def members(call: Call) -> Response:
    """Who is in a scope."""
    caller = _caller(call)
    asked: dict[str, Any] = call.request.args.to_dict()
    scope = _id(asked, "scope_id")
    after = _id(asked, "after") if asked.get("after") else None
    found = wiring.accounts().members.listed(caller, scope, after, _MEMBERS + 1)
    shown = found[:_MEMBERS]
    said = {
        "scope_id": scope,
        "members": [
            {
                "user_id": each.user_id,
                "role": each.role,
                "since": each.since_ms / 1000,
                "name": each.name,
                "email": each.email,
            }
            for each in shown
        ],
        "next_after": shown[-1].user_id if len(found) > _MEMBERS else None,
    }
    return answer(said, call=call)


def scopes(call: Call) -> Response:
    """A new scope."""
    caller = _caller(call)
    body = _body(call)
    named = None if body.get("scope_id") is None else _id(body, "scope_id")
    name = _name(body, "name")
    if name is None:
        raise InvalidRequest("name is needed.", field="name")
    made, mine = wiring.accounts().scopes.make(caller, named, name, wiring.clock_ms())
    role = mine.memberships.roles.get(made)
    return answer({"scope_id": made, "name": name, "role": role}, call=call)


def jwks(_: Call) -> Response:
    """The public keys, as RFC 7517 writes them."""
    response = Response(wiring.signing_keys().jwks(), content_type="application/json")
    response.headers["Cache-Control"] = f"public, max-age={PUBLISHED_SECONDS}"
    return response


# --- what was asked


def _caller(call: Call, only: str = "") -> Caller:
    keys, policy = wiring.accounts_verification_keys(), wiring.token_policy()
    caller = tokens.verify(call.bearer(), keys, policy, time.time(), only=only)
    call.notes["user"] = caller.user_id
    call.admit(caller.user_id)
    return caller


def _shown(call: Call) -> tuple[Caller, str, Origin]:
    """The caller, with the password that they show again, and from where."""
    caller, body = _caller(call), _body(call)
    return caller, _text(body, "password"), _origin(call, body)


def _body(call: Call) -> dict[str, Any]:
    value, _ = call.json()
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be an object.")
    return value


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"{name} must be a text.", field=name)
    if len(value) > _LONGEST_TEXT:
        raise InvalidRequest(f"{name} may have {_LONGEST_TEXT} characters.", field=name)
    return value


def _optional(body: dict[str, Any], name: str) -> str | None:
    return None if body.get(name) is None else _text(body, name)


def _name(body: dict[str, Any], name: str) -> str | None:
    value = _optional(body, name)
    if value is None:
        return None
    text = unicodedata.normalize("NFC", value).strip()
    if not 1 <= len(text) <= _LONGEST_NAME or _CONTROL.search(text):
        raise InvalidRequest(
            f"{name} must be one line of 1 to {_LONGEST_NAME} characters.", field=name
        )
    return text


def _id(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not valid_id(value):
        raise InvalidRequest(f"{name} must be 1 to 128 of A-Z a-z 0-9 _ -.", field=name)
    return value


def _number(body: dict[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidRequest(f"{name} must be a whole number from {low} to {high}.", field=name)
    return value


def _origin(call: Call, body: dict[str, Any]) -> Origin:
    device = None if body.get("device_id") is None else _id(body, "device_id")
    forwarded = ",".join(call.request.headers.getlist("X-Forwarded-For"))
    remote = call.request.remote_addr
    return Origin(client_address(remote, forwarded, SETTINGS.trusted_proxies), device)


# --- what is answered


def _tokens(call: Call, made: Tokens) -> Response:
    call.notes["user"] = made.user_id
    said = {
        "user_id": made.user_id,
        "token_type": "Bearer",
        "access_token": made.access,
        "expires_in": made.access_seconds,
        "refresh_token": made.refresh,
        "refresh_expires_at": made.refresh_ends_s,
        "totp_setup_required": made.set_up_needed,
    }
    return answer(said, call=call)


def _me(call: Call, me: Me) -> Response:
    held = me.memberships
    said = {
        "user_id": held.user_id,
        "email": me.account.email,
        "name": me.account.name,
        "totp": me.account.factor is not None,
        "scopes": [
            {
                "scope_id": scope,
                "role": held.roles[scope],
                "since": held.since_ms[scope] / 1000,
            }
            for scope in held.scopes
        ],
    }
    return answer(said, call=call)


ROUTES = (
    Route("POST", "/api/v1/auth/register", register),
    Route("POST", "/api/v1/auth/login", login),
    Route("POST", "/api/v1/auth/refresh", refresh),
    Route("POST", "/api/v1/auth/logout", logout),
    Route("POST", "/api/v1/auth/password", password),
    Route("POST", "/api/v1/auth/totp", totp),
    Route("POST", "/api/v1/auth/totp/confirm", confirm_totp),
    Route("POST", "/api/v1/auth/totp/remove", remove_totp),
    Route("GET", "/api/v1/auth/sessions", sessions),
    Route("POST", "/api/v1/auth/sessions/end", end_sessions),
    Route("POST", "/api/v1/auth/sessions/{id}/end", end_session),
    Route("POST", "/api/v1/auth/delete", delete),
    Route("GET", "/api/v1/auth/me", me),
    Route("POST", "/api/v1/auth/join", join),
    Route("POST", "/api/v1/auth/leave", leave),
    Route("POST", "/api/v1/auth/invites", invites),
    Route("GET", "/api/v1/auth/invites", list_invites),
    Route("POST", "/api/v1/auth/invites/{id}/void", void_invite),
    Route("GET", "/api/v1/auth/members", members),
    Route("POST", "/api/v1/auth/members/{id}/remove", put_out),
    Route("POST", "/api/v1/auth/scopes", scopes),
    Route("GET", "/.well-known/jwks.json", jwks),
)


def accounts(request: Request) -> Response:
    """Entry point of the function."""
    return serve(request, ROUTES, SETTINGS)
