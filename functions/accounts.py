"""Accounts: register, log in, stay logged in; scopes, invites and members; the public keys.

The only function that may load private keys. What a request may do is decided by the services in
`shared/accounts/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from flask import Request, Response
from msgspec import UnsetType, structs

from shared import wiring
from shared.access.membership import Caller
from shared.accounts import tokens
from shared.accounts.caller import Me, Origin, check
from shared.accounts.keys import PUBLISHED_SECONDS
from shared.accounts.team_users import TeamUser
from shared.accounts.throttle import client_address
from shared.accounts.token_issuer import Tokens
from shared.api import accounts as bodies
from shared.api.web import Call, Route, answer, serve
from shared.errors import Contended, InvalidRequest, StoreUnavailable

SETTINGS = wiring.begin()
if SETTINGS.key_store != "files":
    wiring.accounts_secret()  # a missing one stops the start, by name

#: How access tokens are sent.
_SCHEME = "Bearer"

#: Members of one answer, and users.
_MEMBERS, _USERS = 200, 50


def register(call: Call, body: bodies.RegisterRequest) -> Response:
    """Make an account.

    Makes an account and logs in. Where registration is by invitation, `invite_code` is needed; it makes the
    new user a member at once. Where everybody may register, a product may make a scope along for those who
    bring no code: `me` names it.
    """
    made = wiring.accounts().registration.register(
        body.email,
        body.password,
        _origin(call, body.device_id),
        wiring.clock_ms(),
        code=body.invite_code,
        name=body.name,
        scope_name=body.scope_name,
    )
    return _tokens(call, made)


def login(call: Call, body: bodies.LoginRequest) -> Response:
    """Log in.

    Begins a session. The answer is the same for a wrong password and an unknown address. Whoever has a
    second factor is asked for `otp`.
    """
    origin, now_ms = _origin(call, body.device_id), wiring.clock_ms()
    made = wiring.accounts().login.log_in(body.email, body.password, origin, now_ms, body.otp)
    return _tokens(call, made)


def refresh(call: Call, body: bodies.RefreshRequest) -> Response:
    """Stay logged in.

    Gives both tokens anew. Keep the new refresh token; the old one is replaced. If the answer is lost, send
    the same request again: it gives the same refresh token, until that is used. A token that was replaced
    before ends the session.
    """
    return _tokens(call, wiring.accounts().sessions.refresh(body.refresh_token, wiring.clock_ms()))


def logout(call: Call, body: bodies.LogoutRequest) -> Response:
    """Log out.

    Ends the session of a refresh token. Succeeds always; access tokens live on for up to a quarter of an
    hour.
    """
    wiring.accounts().sessions.logout(body.refresh_token, wiring.clock_ms())
    return answer({}, call=call)


def password(call: Call, body: bodies.PasswordRequest) -> Response:
    """Change the password.

    All other sessions of the user end. A password that is common, or made of the user's name or address, is
    refused.
    """
    origin, now_ms = _origin(call, body.device_id), wiring.clock_ms()
    wiring.accounts().login.change_password(
        call.caller, body.old_password, body.new_password, origin, now_ms
    )
    return answer({}, call=call)


def forgot(call: Call, body: bodies.ForgotRequest) -> Response:
    """Ask for another password.

    Sends a mail with a code that is good once, for half an hour, if the address is somebody's. The answer
    is the same if it is not, and if a mail was sent a moment ago. Only where mail is sent from.
    """
    origin, now_ms = _origin(call, body.device_id), wiring.clock_ms()
    wiring.accounts().forgotten.ask(body.email, origin, now_ms)
    return answer({}, call=call)


def reset(call: Call, body: bodies.ResetRequest) -> Response:
    """Set another password by a code.

    The code is that of a mail. All sessions of the user end; a second factor stays. A password that is
    refused does not use the code up.
    """
    origin, now_ms = _origin(call, body.device_id), wiring.clock_ms()
    forgotten = wiring.accounts().forgotten
    call.notes["user"] = forgotten.reset(body.code, body.new_password, origin, now_ms)
    return answer({}, call=call)


def totp(call: Call, body: bodies.TotpRequest) -> Response:
    """Begin a second factor.

    Gives a secret for an authenticator app, to be shown as a QR code of `uri`. Confirm it with a first code
    within a quarter of an hour. Who has a factor sends `otp`, too; it holds until then.
    """
    origin, now_ms = _origin(call, body.device_id), wiring.clock_ms()
    secret, uri = wiring.accounts().second_factor.begin(
        call.caller, body.password, body.otp, origin, now_ms
    )
    return answer(bodies.TotpSecret(secret, uri), call=call)


def confirm_totp(call: Call, body: bodies.ConfirmTotpRequest) -> Response:
    """Confirm a second factor.

    From now on a log-in asks for a code. All other sessions of the user end.
    """
    origin, now_ms = _origin(call, body.device_id), wiring.clock_ms()
    codes = wiring.accounts().second_factor.confirm(call.caller, body.otp, origin, now_ms)
    return answer(bodies.RecoveryCodes(codes), call=call)


def remove_totp(call: Call, body: bodies.TotpRequest) -> Response:
    """Remove the second factor.

    A log-in takes the password alone again. Harmless if there is no factor.
    """
    origin, now_ms = _origin(call, body.device_id), wiring.clock_ms()
    wiring.accounts().second_factor.remove(call.caller, body.password, body.otp, origin, now_ms)
    return answer({}, call=call)


def sessions(call: Call) -> Response:
    """Where am I logged in.

    The caller's sessions, the one that was used last first. At most 20: a further log-in ends the one that
    was not used for longest.
    """
    said = [
        bodies.SessionAnswer(
            id=each.sid,
            device_id=each.device,
            began_at=each.began_ms / 1000,
            began_at_ms=each.began_ms,
            used_at=each.used_ms / 1000,
            used_at_ms=each.used_ms,
            expires_at=each.expires_ms / 1000,
            expires_at_ms=each.expires_ms,
            current=each.sid == call.caller.session,
        )
        for each in wiring.accounts().sessions.live(call.caller, wiring.clock_ms())
    ]
    return answer(bodies.SessionsAnswer(said), call=call)


def end_session(call: Call, asked: bodies.OneSession, body: bodies.ProofRequest) -> Response:
    """End one session.

    Ends one session of the caller, as that of a phone that is lost. Harmless if it has ended.
    """
    origin, now_ms = _origin(call, body.device_id), wiring.clock_ms()
    wiring.accounts().sessions.end(call.caller, asked.id, body.password, origin, now_ms)
    return answer({}, call=call)


def end_sessions(call: Call, body: bodies.ProofRequest) -> Response:
    """Log out everywhere.

    Ends all sessions of the caller, this one, too. Access tokens live on for up to a quarter of an hour.
    """
    origin, now_ms = _origin(call, body.device_id), wiring.clock_ms()
    wiring.accounts().sessions.end_all(call.caller, body.password, origin, now_ms)
    return answer({}, call=call)


def delete(call: Call, body: bodies.ProofRequest) -> Response:
    """Delete my account.

    Removes the caller's e-mail, name, telephone number, password and sessions, and ends all memberships.
    Records that the user wrote stay with their teams. Sync first: what was not sent is not taken any more.
    There is no way back. No sync will tell the app to drop the records any more: drop them.
    """
    origin, now_ms = _origin(call, body.device_id), wiring.clock_ms()
    wiring.accounts().deletion.delete_own(call.caller, body.password, origin, now_ms)
    return answer({}, call=call)


def me(call: Call) -> Response:
    """Who am I.

    The caller's account and scopes, as they are now.
    """
    return _me(call, check(wiring.store(), call.caller))


def profile(call: Call, body: bodies.ProfileRequest) -> Response:
    """Say who I am.

    Sets the caller's name and telephone number. Doctors and supervisors of the caller's teams see both
    beside the caller's cases.
    """
    said = {
        name: value
        for name, value in (("name", body.name), ("phone", body.phone))
        if not isinstance(value, UnsetType)
    }
    return _me(call, wiring.accounts().profile.change(call.caller, said, wiring.clock_ms()))


def join(call: Call, body: bodies.JoinRequest) -> Response:
    """Enter a scope by a code.

    Makes the caller a member. Who is one already stays what they are, and uses nothing up. A scope that
    came with the account, and in which nobody wrote anything, ends with that.
    """
    origin, now_ms = _origin(call, body.device_id), wiring.clock_ms()
    return _me(call, wiring.accounts().invites.join(call.caller, body.invite_code, origin, now_ms))


def leave(call: Call, body: bodies.LeaveRequest) -> Response:
    """Leave a scope.

    Ends the caller's own membership: the user's phones drop the scope's records. Where the product says so,
    the last who looks after a scope hands over before.
    """
    return _me(call, wiring.accounts().members.leave(call.caller, body.scope_id, wiring.clock_ms()))


def invites(call: Call, body: bodies.InvitesRequest) -> Response:
    """Make an invite code.

    For supervisors and admins of the scope. Nobody gives away more than they hold.
    """
    _demand_role(body.role)
    days = 7 if body.expires_in_days is None else body.expires_in_days
    uses = 1 if body.max_uses is None else body.max_uses
    code, invite = wiring.accounts().invites.give(
        call.caller, body.scope_id, body.role, days, uses, wiring.clock_ms()
    )
    said = bodies.InviteAnswer(
        invite_code=code,
        scope_id=invite.scope_id,
        role=invite.role,
        expires_at=invite.expires_ms / 1000,
        expires_at_ms=invite.expires_ms,
        max_uses=invite.most_uses,
    )
    return answer(said, call=call)


def list_invites(call: Call, asked: bodies.InScope) -> Response:
    """Which codes are open.

    Codes of the scope that still admit somebody, the newest first; the codes themselves are not known. For
    supervisors and admins of the scope.
    """
    said = [
        bodies.OpenInvite(
            id=invite_id,
            role=invite.role,
            made_by=invite.made_by,
            made_at=invite.made_ms / 1000,
            made_at_ms=invite.made_ms,
            expires_at=invite.expires_ms / 1000,
            expires_at_ms=invite.expires_ms,
            max_uses=invite.most_uses,
            uses=invite.uses,
        )
        for invite_id, invite in wiring.accounts().invites.listed(
            call.caller, asked.scope_id, wiring.clock_ms()
        )
    ]
    return answer(bodies.InvitesAnswer(asked.scope_id, said), call=call)


def void_invite(call: Call, asked: bodies.OneInvite, body: bodies.InScopeRequest) -> Response:
    """Make a code void.

    The code admits nobody any more, whoever made it. For supervisors and admins of the scope.
    """
    wiring.accounts().invites.void(call.caller, body.scope_id, asked.id, wiring.clock_ms())
    return answer({}, call=call)


def put_out(call: Call, asked: bodies.OneMember, body: bodies.InScopeRequest) -> Response:
    """Put somebody out of a scope.

    Ends a membership: the user's next request is refused, the user's phones drop the scope's records. For
    supervisors and admins of the scope, and roles that they may give away; one leaves oneself by `leave`.
    """
    wiring.accounts().members.put_out(call.caller, body.scope_id, asked.id, wiring.clock_ms())
    return answer({}, call=call)


def change_role(call: Call, asked: bodies.OneMember, body: bodies.RoleRequest) -> Response:
    """Give a member another role.

    Of both roles the caller may give away; of oneself, too. The member's phones get the scope anew.
    """
    _demand_role(body.role)
    wiring.accounts().members.change_role(
        call.caller, body.scope_id, asked.id, body.role, wiring.clock_ms()
    )
    return answer({}, call=call)


def members(call: Call, asked: bodies.MembersAsked) -> Response:
    """Who is in a scope.

    For supervisors and admins of the scope. 200 at a time, by user id.
    """
    after = asked.after or None
    found = wiring.accounts().members.listed(call.caller, asked.scope_id, after, _MEMBERS + 1)
    shown = [
        bodies.MemberAnswer(
            user_id=each.user_id,
            role=each.role,
            since=each.since_ms / 1000,
            since_ms=each.since_ms,
            name=each.name,
            email=each.email,
        )
        for each in found[:_MEMBERS]
    ]
    behind = shown[-1].user_id if len(found) > _MEMBERS else None
    return answer(bodies.MembersAnswer(asked.scope_id, shown, behind), call=call)


def users(call: Call, asked: bodies.UsersAsked) -> Response:
    """Accounts of a scope.

    For admins of the scope. 50 at a time, by user id; `hindered` says on whom the caller may not act.
    """
    found, behind = wiring.accounts().team_users.listed(
        call.caller, asked.scope_id, asked.search, asked.after or None, _USERS
    )
    said = bodies.UsersAnswer(asked.scope_id, [_user(each) for each in found], behind)
    return answer(said, call=call)


def user(call: Call, asked: bodies.OneUser) -> Response:
    """One account.

    For admins of one of the user's scopes.
    """
    users = wiring.accounts().team_users
    found = _user(users.one(call.caller, asked.id))
    said = bodies.WholeUserAnswer(
        **structs.asdict(found),
        sessions=[
            bodies.UserSession(each.device, each.began_ms, each.used_ms, each.expires_ms)
            for each in users.sessions(call.caller, asked.id, wiring.clock_ms())
        ],
    )
    return answer(said, call=call)


def disable_user(call: Call, asked: bodies.OneUser, body: bodies.ProofRequest) -> Response:
    """Close an account.

    Nobody acts as this user any more. For admins of all of the user's scopes, with the admin's own
    password; harmless if repeated.
    """
    wiring.accounts().team_users.disable(*_proven(call, asked, body))
    return answer({}, call=call)


def enable_user(call: Call, asked: bodies.OneUser, body: bodies.ProofRequest) -> Response:
    """Open an account again.

    The user may log in again. For admins of all of the user's scopes; harmless if repeated.
    """
    wiring.accounts().team_users.enable(*_proven(call, asked, body))
    return answer({}, call=call)


def end_user_sessions(call: Call, asked: bodies.OneUser, body: bodies.ProofRequest) -> Response:
    """Log somebody out everywhere.

    Ends all sessions of a user. For admins of all of the user's scopes.
    """
    wiring.accounts().team_users.end_sessions(*_proven(call, asked, body))
    return answer({}, call=call)


def reset_user(call: Call, asked: bodies.OneUser, body: bodies.ProofRequest) -> Response:
    """Give somebody another password.

    It is made here and shown only now; all sessions of the user end, a second factor stays. For admins of
    all of the user's scopes.
    """
    made = wiring.accounts().team_users.reset(*_proven(call, asked, body))
    return answer(bodies.NewPassword(made), call=call)


def _proven(
    call: Call, asked: bodies.OneUser, body: bodies.ProofRequest
) -> tuple[Caller, str, str, Origin, int]:
    origin = _origin(call, body.device_id)
    return call.caller, asked.id, body.password, origin, wiring.clock_ms()


def _user(found: TeamUser) -> bodies.UserAnswer:
    account = found.account
    return bodies.UserAnswer(
        user_id=account.user_id,
        name=account.name,
        email=account.email,
        phone=account.phone,
        totp=account.factor is not None,
        scopes=[bodies.HeldRole(*each) for each in sorted(found.roles.items())],
        since_ms=found.since_ms,
        disabled_ms=found.disabled_ms,
        hindered=found.hindered,
    )


def scopes(call: Call, body: bodies.ScopesRequest) -> Response:
    """Make a scope.

    Its maker becomes its first admin. With `scope_id` the request may be repeated.
    """
    made, mine = wiring.accounts().scopes.make(
        call.caller, body.scope_id, body.name, wiring.clock_ms()
    )
    said = bodies.ScopeAnswer(made, body.name, mine.memberships.roles.get(made))
    return answer(said, call=call)


def jwks(_: Call) -> Response:
    """The public keys of access tokens.

    A JSON Web Key Set (RFC 7517). May be kept for five minutes; look again when a token names a key that is
    not in it.
    """
    response = Response(wiring.signing_keys().jwks(), content_type="application/json")
    response.headers["Cache-Control"] = f"public, max-age={PUBLISHED_SECONDS}"
    return response


# --- what was asked


def _demand_role(role: str) -> None:
    roles = wiring.catalog().roles
    if role not in roles:
        raise InvalidRequest(f"role must be one of {', '.join(roles)}.", field="role")


def _caller(call: Call) -> Caller:
    keys, policy = wiring.accounts_verification_keys(), wiring.token_policy()
    only = "" if call.route is None else call.route.only
    caller = tokens.verify(call.bearer(), keys, policy, wiring.clock_ms() / 1000, only=only)
    call.notes["user"] = caller.user_id
    call.admit(caller.user_id)
    return caller


def _origin(call: Call, device: str | None) -> Origin:
    forwarded = ",".join(call.request.headers.getlist("X-Forwarded-For"))
    remote = call.request.remote_addr
    return Origin(client_address(remote, forwarded, SETTINGS.trusted_proxies), device)


# --- what is answered


def _tokens(call: Call, made: Tokens) -> Response:
    call.notes["user"] = made.user_id
    said = bodies.TokensAnswer(
        user_id=made.user_id,
        token_type=_SCHEME,
        access_token=made.access,
        expires_in=made.access_seconds,
        refresh_token=made.refresh,
        refresh_expires_at=made.refresh_ends_ms // 1000,
        refresh_expires_at_ms=made.refresh_ends_ms,
        totp_setup_required=made.set_up_needed,
    )
    return answer(said, call=call)


def _me(call: Call, me: Me) -> Response:
    held = me.memberships
    said = bodies.MeAnswer(
        user_id=held.user_id,
        email=me.account.email,
        name=me.account.name,
        phone=me.account.phone,
        totp=me.account.factor is not None,
        scopes=[
            bodies.MembershipAnswer(
                scope, held.roles[scope], held.since_ms[scope] / 1000, held.since_ms[scope]
            )
            for scope in held.scopes
        ],
    )
    return answer(said, call=call)


# --- the routes

_STORE = (Contended, StoreUnavailable)

#: What ends a session, wherever one is looked at.
_SESSION = ("session_ended", "refresh_reused")

#: What a password that is shown may be answered, a new one, and a code.
_SHOWN = ("credentials_wrong", "password_length")
_NEW = ("password_length", "password_guessable")
_FACTOR = ("totp_required", "totp_wrong")
_INVITE = ("invite_needed", "invite_invalid")
_DONE = {"type": "object", "description": "Done."}
_HOME = "/api/v1/auth"

_get = partial(Route, "GET")
_post = partial(Route, "POST", gives=_DONE)

_ROUTES = (
    _post(
        f"{_HOME}/register",
        register,
        takes=bodies.RegisterRequest,
        gives=bodies.TokensAnswer,
        faults=("email_taken", "invalid_email", *_NEW, *_INVITE, *_STORE),
        secured=False,
    ),
    _post(
        f"{_HOME}/login",
        login,
        takes=bodies.LoginRequest,
        gives=bodies.TokensAnswer,
        faults=(
            *("account_disabled", "invalid_email", "keys_unavailable"),
            *_SHOWN,
            *_FACTOR,
            *_STORE,
        ),
        secured=False,
    ),
    _post(
        f"{_HOME}/refresh",
        refresh,
        takes=bodies.RefreshRequest,
        gives=bodies.TokensAnswer,
        faults=("account_disabled", "keys_unavailable", "refresh_invalid", *_SESSION, *_STORE),
        secured=False,
    ),
    _post(f"{_HOME}/logout", logout, takes=bodies.LogoutRequest, faults=_STORE, secured=False),
    _post(
        f"{_HOME}/password",
        password,
        takes=bodies.PasswordRequest,
        faults=("credentials_wrong", *_NEW, *_SESSION, *_STORE),
    ),
    _post(
        f"{_HOME}/forgot",
        forgot,
        takes=bodies.ForgotRequest,
        faults=("mail_off", "invalid_email", *_STORE),
        secured=False,
    ),
    _post(
        f"{_HOME}/reset",
        reset,
        takes=bodies.ResetRequest,
        faults=("mail_off", "reset_invalid", "account_disabled", *_NEW, *_STORE),
        secured=False,
    ),
    _post(
        f"{_HOME}/totp",
        totp,
        takes=bodies.TotpRequest,
        gives=bodies.TotpSecret,
        faults=(*_SHOWN, *_FACTOR, *_SESSION, *_STORE),
        only=tokens.SET_UP,
    ),
    _post(
        f"{_HOME}/totp/confirm",
        confirm_totp,
        takes=bodies.ConfirmTotpRequest,
        gives=bodies.RecoveryCodes,
        faults=("totp_wrong", *_SESSION, *_STORE),
        only=tokens.SET_UP,
    ),
    _post(
        f"{_HOME}/totp/remove",
        remove_totp,
        takes=bodies.TotpRequest,
        faults=(*_SHOWN, *_FACTOR, *_SESSION, *_STORE),
    ),
    _get(
        f"{_HOME}/sessions",
        sessions,
        gives=bodies.SessionsAnswer,
        faults=(*_SESSION, StoreUnavailable),
    ),
    _post(
        f"{_HOME}/sessions/end",
        end_sessions,
        takes=bodies.ProofRequest,
        faults=(*_SHOWN, *_SESSION, *_STORE),
    ),
    _post(
        f"{_HOME}/sessions/{{id}}/end",
        end_session,
        asks=bodies.OneSession,
        takes=bodies.ProofRequest,
        faults=(*_SHOWN, *_SESSION, *_STORE),
    ),
    _post(
        f"{_HOME}/delete",
        delete,
        takes=bodies.ProofRequest,
        faults=("hand_over_first", *_SHOWN, *_SESSION, *_STORE),
    ),
    _get(
        f"{_HOME}/me",
        me,
        gives=bodies.MeAnswer,
        faults=(*_SESSION, StoreUnavailable),
        only=tokens.SET_UP,
    ),
    _post(
        f"{_HOME}/profile",
        profile,
        takes=bodies.ProfileRequest,
        gives=bodies.MeAnswer,
        faults=(*_SESSION, *_STORE),
    ),
    _post(
        f"{_HOME}/join",
        join,
        takes=bodies.JoinRequest,
        gives=bodies.MeAnswer,
        faults=("invite_invalid", *_SESSION, *_STORE),
    ),
    _post(
        f"{_HOME}/leave",
        leave,
        takes=bodies.LeaveRequest,
        gives=bodies.MeAnswer,
        faults=("hand_over_first", *_SESSION, *_STORE),
    ),
    _post(
        f"{_HOME}/invites",
        invites,
        takes=bodies.InvitesRequest,
        gives=bodies.InviteAnswer,
        faults=("forbidden", *_SESSION, *_STORE),
    ),
    _get(
        f"{_HOME}/invites",
        list_invites,
        asks=bodies.InScope,
        gives=bodies.InvitesAnswer,
        faults=("forbidden", *_SESSION, StoreUnavailable),
    ),
    _post(
        f"{_HOME}/invites/{{id}}/void",
        void_invite,
        asks=bodies.OneInvite,
        takes=bodies.InScopeRequest,
        faults=("forbidden", *_SESSION, *_STORE),
    ),
    _get(
        f"{_HOME}/members",
        members,
        asks=bodies.MembersAsked,
        gives=bodies.MembersAnswer,
        faults=("forbidden", *_SESSION, StoreUnavailable),
    ),
    _post(
        f"{_HOME}/members/{{id}}/remove",
        put_out,
        asks=bodies.OneMember,
        takes=bodies.InScopeRequest,
        faults=("forbidden", *_SESSION, *_STORE),
    ),
    _post(
        f"{_HOME}/members/{{id}}/role",
        change_role,
        asks=bodies.OneMember,
        takes=bodies.RoleRequest,
        faults=("forbidden", "hand_over_first", *_SESSION, *_STORE),
    ),
    _get(
        f"{_HOME}/users",
        users,
        asks=bodies.UsersAsked,
        gives=bodies.UsersAnswer,
        faults=("forbidden", *_SESSION, StoreUnavailable),
    ),
    _get(
        f"{_HOME}/users/{{id}}",
        user,
        asks=bodies.OneUser,
        gives=bodies.WholeUserAnswer,
        faults=("forbidden", *_SESSION, StoreUnavailable),
    ),
    *(
        _post(
            f"{_HOME}/users/{{id}}/{act}",
            handler,
            asks=bodies.OneUser,
            takes=bodies.ProofRequest,
            gives=gives,
            faults=("forbidden", *_SHOWN, *_SESSION, *_STORE),
        )
        for act, handler, gives in (
            ("disable", disable_user, _DONE),
            ("enable", enable_user, _DONE),
            ("end-sessions", end_user_sessions, _DONE),
            ("reset", reset_user, bodies.NewPassword),
        )
    ),
    _post(
        f"{_HOME}/scopes",
        scopes,
        takes=bodies.ScopesRequest,
        gives=bodies.ScopeAnswer,
        faults=("forbidden", "scope_taken", *_SESSION, *_STORE),
    ),
    _get("/.well-known/jwks.json", jwks, gives=bodies.Jwks, secured=False, answer_headers=()),
)


def _aliases() -> Iterator[Route]:
    """The same operations under the names that the product's apps have for them."""
    by_path = {route.path: route for route in _ROUTES}
    for alias, word in wiring.account_policy().aliases.items():
        route = by_path[f"{_HOME}/{word}"]
        yield replace(route, path=f"{_HOME}/{alias}", name=alias.replace("-", "_"))


ROUTES = (*_ROUTES, *_aliases())


def accounts(request: Request) -> Response:
    """Entry point of the function."""
    return serve(request, ROUTES, SETTINGS, _caller)
