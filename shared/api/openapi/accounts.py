"""The operations of the accounts function, for `shared.api.openapi.document`."""

from __future__ import annotations

from typing import Any

from shared import errors
from shared.accounts.account import LONGEST_EMAIL
from shared.accounts.invite import ALPHABET, LENGTH, MOST_DAYS, MOST_USES
from shared.accounts.passwords import LONGEST, SHORTEST
from shared.api.openapi.parts import Operation, Schema, segment
from shared.errors import Fault
from shared.records import record
from shared.records.collection import Catalog

_HOME = "/api/v1/auth/"

#: Codes of the shared faults that only sync answers, and those that only some operations here do.
_SYNC_ONLY = ("time_in_milliseconds", "time_in_seconds")
_TOKEN = ("token_missing", "token_expired", "token_invalid")
_REFRESH = ("refresh_invalid", "refresh_reused")
_FACTOR = ("totp_required", "totp_wrong")
_SET_UP = "totp_setup_required"
_LOG_IN = ("credentials_wrong", "refresh_invalid", *_FACTOR)
_INVITE = ("invite_needed", "invite_invalid")
_NEW = ("password_guessable",)
_WORDS = ("invalid_email", "password_length", *_NEW)


_BODY: tuple[type[Fault], ...] = (
    errors.InvalidJson,
    errors.InvalidRequest,
    errors.RequestTooLarge,
    errors.UnsupportedEncoding,
)
_STORE: tuple[type[Fault], ...] = (errors.Contended, errors.StoreUnavailable)


def _post(
    word: str,
    summary: str,
    doc: str,
    answers: str,
    answer: str | Schema,
    *faults: type[Fault],
    never: tuple[str, ...] = (),
    secured: bool = True,
    name: str = "",
    body: str = "",
    parameters: tuple[str, ...] = (),
) -> Operation:
    return Operation(
        "POST",
        _HOME + word,
        name or word,
        "accounts",
        summary,
        doc,
        answers=answers,
        answer=answer,
        body=body or f"{word.capitalize()}Request",
        faults=(*_BODY, *faults, *_STORE),
        parameters=(*parameters, "RequestId", "ContentEncoding"),
        answer_headers=("Cache-Control",),
        secured=secured,
        never=(*_SYNC_ONLY, *never),
    )


def _get(
    path: str,
    name: str,
    summary: str,
    doc: str,
    answers: str,
    answer: str | Schema,
    parameters: tuple[str, ...] = ("RequestId",),
    **more: Any,
) -> Operation:
    return Operation(
        "GET",
        path,
        name,
        "accounts",
        summary,
        doc,
        answers=answers,
        answer=answer,
        parameters=parameters,
        **more,
    )


_NOTHING: Schema = {"type": "object", "description": "Nothing."}

OPERATIONS: tuple[Operation, ...] = (
    _post(
        "register",
        "Make an account",
        "Makes an account and logs in. Where registration is by invitation, `invite_code` is needed; "
        "it makes the new user a member at once.",
        "The first tokens.",
        "Tokens",
        errors.Forbidden,
        errors.Taken,
        errors.TooManyTries,
        never=("forbidden", "scope_taken"),
        secured=False,
    ),
    _post(
        "login",
        "Log in",
        "Begins a session. The answer is the same for a wrong password and an unknown address. Whoever has "
        "a second factor is asked for `otp`.",
        "The tokens of a new session.",
        "Tokens",
        errors.Unauthenticated,
        errors.TooManyTries,
        never=(*_TOKEN, *_REFRESH, "session_ended", _SET_UP, *_NEW),
        secured=False,
    ),
    _post(
        "refresh",
        "Stay logged in",
        "Gives both tokens anew. Keep the new refresh token; the old one is replaced. If the answer "
        "is lost, send the same request again: it gives the same refresh token, until that is "
        "used. A token that was replaced before ends the session.",
        "Both tokens.",
        "Tokens",
        errors.Unauthenticated,
        never=(*_TOKEN, "credentials_wrong", *_FACTOR, _SET_UP, *_WORDS),
        secured=False,
    ),
    _post(
        "logout",
        "Log out",
        "Ends the session of a refresh token. Succeeds always; access tokens live on for up to a "
        "quarter of an hour.",
        "Done.",
        _NOTHING,
        never=_WORDS,
        secured=False,
    ),
    _post(
        "password",
        "Change the password",
        "All other sessions of the user end. A password that is common, or made of the user's name or "
        "address, is refused.",
        "Done.",
        _NOTHING,
        errors.Unauthenticated,
        errors.TooManyTries,
        never=("refresh_invalid", "invalid_email", *_FACTOR),
    ),
    _post(
        "totp",
        "Begin a second factor",
        "Gives a secret for an authenticator app, to be shown as a QR code of `uri`. Confirm it with a "
        "first code within a quarter of an hour. Who has a factor sends `otp`, too; it holds until then.",
        "The secret.",
        "TotpSecret",
        errors.Unauthenticated,
        errors.TooManyTries,
        never=("refresh_invalid", "invalid_email", *_NEW, _SET_UP),
        body="TotpRequest",
    ),
    _post(
        "totp/confirm",
        "Confirm a second factor",
        "From now on a log-in asks for a code. All other sessions of the user end.",
        "Ten recovery codes, each good once. They are shown only now.",
        "RecoveryCodes",
        errors.Unauthenticated,
        errors.TooManyTries,
        never=("credentials_wrong", "refresh_invalid", "totp_required", _SET_UP, *_WORDS),
        name="confirm_totp",
        body="ConfirmTotpRequest",
    ),
    _post(
        "totp/remove",
        "Remove the second factor",
        "A log-in takes the password alone again. Harmless if there is no factor.",
        "Done.",
        _NOTHING,
        errors.Unauthenticated,
        errors.TooManyTries,
        never=("refresh_invalid", "invalid_email", *_NEW),
        name="remove_totp",
        body="TotpRequest",
    ),
    _post(
        "sessions/end",
        "Log out everywhere",
        "Ends all sessions of the caller, this one, too. Access tokens live on for up to a quarter of an "
        "hour.",
        "Done.",
        _NOTHING,
        errors.Unauthenticated,
        errors.TooManyTries,
        never=("refresh_invalid", "invalid_email", *_NEW, *_FACTOR),
        name="end_sessions",
        body="ProofRequest",
    ),
    _post(
        "sessions/{id}/end",
        "End one session",
        "Ends one session of the caller, as that of a phone that is lost. Harmless if it has ended.",
        "Done.",
        _NOTHING,
        errors.Unauthenticated,
        errors.NotFound,
        errors.TooManyTries,
        never=("refresh_invalid", "invalid_email", *_NEW, *_FACTOR),
        name="end_session",
        body="ProofRequest",
        parameters=("SessionId",),
    ),
    _post(
        "delete",
        "Delete my account",
        "Removes the caller's e-mail, name, password and sessions, and ends all memberships. Records that "
        "the user wrote stay with their teams. Sync first: what was not sent is not taken any more. There "
        "is no way back.",
        "Done. No sync will tell the app to drop the records any more: drop them.",
        _NOTHING,
        errors.Unauthenticated,
        errors.TooManyTries,
        never=("refresh_invalid", "invalid_email", *_NEW, *_FACTOR),
        body="ProofRequest",
    ),
    _post(
        "join",
        "Enter a scope by a code",
        "Makes the caller a member. Who is one already stays what they are, and uses nothing up.",
        "The caller, with all scopes.",
        "Me",
        errors.Unauthenticated,
        errors.Forbidden,
        errors.TooManyTries,
        never=(*_LOG_IN, "forbidden", "invite_needed", *_WORDS),
    ),
    _post(
        "leave",
        "Leave a scope",
        "Ends the caller's own membership: the user's phones drop the scope's records.",
        "The caller, with all scopes.",
        "Me",
        errors.Unauthenticated,
        never=(*_LOG_IN, *_WORDS),
    ),
    _post(
        "invites",
        "Make an invite code",
        "For supervisors and admins of the scope. Nobody gives away more than they hold.",
        "The code. It is shown only once.",
        "Invite",
        errors.Unauthenticated,
        errors.Forbidden,
        never=(*_LOG_IN, *_INVITE, *_WORDS),
    ),
    _post(
        "invites/{id}/void",
        "Make a code void",
        "The code admits nobody any more, whoever made it. For supervisors and admins of the scope.",
        "Done.",
        _NOTHING,
        errors.Unauthenticated,
        errors.Forbidden,
        errors.NotFound,
        never=(*_LOG_IN, *_INVITE, *_WORDS),
        name="void_invite",
        body="InScopeRequest",
        parameters=("InviteId",),
    ),
    _post(
        "members/{id}/remove",
        "Put somebody out of a scope",
        "Ends a membership: the user's next request is refused, the user's phones drop the scope's "
        "records. For supervisors and admins of the scope, and roles that they may give away; one leaves "
        "oneself by `leave`.",
        "Done.",
        _NOTHING,
        errors.Unauthenticated,
        errors.Forbidden,
        errors.NotFound,
        never=(*_LOG_IN, *_INVITE, *_WORDS),
        name="put_out",
        body="InScopeRequest",
        parameters=("MemberId",),
    ),
    _post(
        "scopes",
        "Make a scope",
        "Its maker becomes its first admin. With `scope_id` the request may be repeated.",
        "The scope, and the caller's role in it.",
        "Scope",
        errors.Unauthenticated,
        errors.Forbidden,
        errors.Taken,
        never=(*_LOG_IN, *_INVITE, *_WORDS, "email_taken"),
    ),
    _get(
        f"{_HOME}me",
        "me",
        "Who am I",
        "The caller's account and scopes, as they are now.",
        "The caller, with all scopes.",
        "Me",
        faults=(errors.Unauthenticated, errors.StoreUnavailable),
        answer_headers=("Cache-Control",),
        never=(*_LOG_IN, _SET_UP),
    ),
    _get(
        f"{_HOME}sessions",
        "sessions",
        "Where am I logged in",
        "The caller's sessions, the one that was used last first. At most 20: a further log-in ends the "
        "one that was not used for longest.",
        "The sessions.",
        "Sessions",
        faults=(errors.Unauthenticated, errors.StoreUnavailable),
        answer_headers=("Cache-Control",),
        never=_LOG_IN,
    ),
    _get(
        f"{_HOME}invites",
        "list_invites",
        "Which codes are open",
        "Codes of the scope that still admit somebody, the newest first; the codes themselves are not "
        "known. For supervisors and admins of the scope.",
        "The codes.",
        "Invites",
        faults=(
            errors.InvalidRequest,
            errors.Unauthenticated,
            errors.Forbidden,
            errors.NotFound,
            errors.StoreUnavailable,
        ),
        parameters=("ScopeId", "RequestId"),
        answer_headers=("Cache-Control",),
        never=(*_LOG_IN, *_INVITE, *_SYNC_ONLY, *_WORDS),
    ),
    _get(
        f"{_HOME}members",
        "members",
        "Who is in a scope",
        "For supervisors and admins of the scope. 200 at a time, by user id.",
        "The members.",
        "Members",
        faults=(
            errors.InvalidRequest,
            errors.Unauthenticated,
            errors.Forbidden,
            errors.StoreUnavailable,
        ),
        parameters=("ScopeId", "After", "RequestId"),
        answer_headers=("Cache-Control",),
        never=(*_LOG_IN, *_INVITE, *_SYNC_ONLY, *_WORDS),
    ),
    _get(
        "/.well-known/jwks.json",
        "jwks",
        "The public keys of access tokens",
        "A JSON Web Key Set (RFC 7517). May be kept for five minutes; look again when a token names "
        "a key that is not in it.",
        "The keys.",
        "Jwks",
        secured=False,
    ),
)


# --- schemas

_TEXT: Schema = {"type": "string"}
_SECONDS: Schema = {"type": "number", "minimum": 0}
_ID: Schema = {"type": "string", "pattern": f"^(?!__.*__$){record.ID.pattern}$"}
_EMAIL: Schema = {
    "type": "string",
    "minLength": 3,
    "maxLength": LONGEST_EMAIL,
    "description": "An e-mail address. Case and blanks around it do not matter.",
}
#: A password that is shown, not set: bounded for hashing, judged by nothing else.
_HELD_PASSWORD: Schema = {"type": "string", "minLength": 1, "maxLength": 4 * LONGEST}
_PASSWORD: Schema = {"type": "string", "minLength": SHORTEST, "maxLength": LONGEST}
_CODE: Schema = {
    "type": "string",
    "minLength": 1,
    "description": f"{LENGTH} characters of `{ALPHABET}`; case, blanks and hyphens do not matter.",
}
_NAME: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 100,
    "pattern": r"^\S[^\x00-\x1f]*$",
}
_DEVICE: Schema = {
    **_ID,
    "description": "Names this installation of the app, as in a sync. A known device is let through "
    "while somebody else tries wrong passwords.",
}
_OTP: Schema = {
    "type": "string",
    "minLength": 1,
    "description": "Six digits of the authenticator app, good once, or a recovery code; blanks and "
    "hyphens do not matter.",
}
_REFRESH_TOKEN: Schema = {"type": "string", "minLength": 1, "maxLength": 2000}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _sent(text: str, required: list[str], **properties: Schema) -> Schema:
    return {
        "type": "object",
        "description": text,
        "properties": properties,
        "required": required,
    }


def _given(text: str, **properties: Schema) -> Schema:
    return _sent(text, list(properties), **properties)


def schemas(catalog: Catalog) -> dict[str, Schema]:
    """Schemas of the bodies, by name."""
    whole = {"type": "integer", "minimum": 1}
    member = _given(
        "Somebody in a scope.",
        user_id=_ID,
        role={"enum": list(catalog.roles)},
        since={**_SECONDS, "description": "Since when, Unix seconds."},
        name=_or_null(_TEXT),
        email=_or_null(_TEXT),
    )
    return {
        "RegisterRequest": _sent(
            "A new account.",
            ["email", "password"],
            email=_EMAIL,
            password=_PASSWORD,
            invite_code=_or_null(_CODE),
            name=_or_null({**_NAME, "description": "What others in the scope see."}),
            device_id=_or_null(_DEVICE),
        ),
        "LoginRequest": _sent(
            "Who is there.",
            ["email", "password"],
            email=_EMAIL,
            password=_HELD_PASSWORD,
            otp=_or_null(_OTP),
            device_id=_or_null(_DEVICE),
        ),
        "TotpRequest": _sent(
            "The caller's password, and a code of the factor that is in use.",
            ["password"],
            password=_HELD_PASSWORD,
            otp=_or_null(_OTP),
            device_id=_or_null(_DEVICE),
        ),
        "ConfirmTotpRequest": _sent(
            "A first code of the new factor.", ["otp"], otp=_OTP, device_id=_or_null(_DEVICE)
        ),
        "RefreshRequest": _sent("A session.", ["refresh_token"], refresh_token=_REFRESH_TOKEN),
        "LogoutRequest": _sent("A session.", ["refresh_token"], refresh_token=_REFRESH_TOKEN),
        "PasswordRequest": _sent(
            "The old password and the new one.",
            ["old_password", "new_password"],
            old_password=_HELD_PASSWORD,
            new_password=_PASSWORD,
            device_id=_or_null(_DEVICE),
        ),
        "ProofRequest": _sent(
            "The caller's password: a token alone is not enough for this.",
            ["password"],
            password=_HELD_PASSWORD,
            device_id=_or_null(_DEVICE),
        ),
        "JoinRequest": _sent(
            "A code.", ["invite_code"], invite_code=_CODE, device_id=_or_null(_DEVICE)
        ),
        "InScopeRequest": _sent("A scope.", ["scope_id"], scope_id=_ID),
        "LeaveRequest": _sent("A scope.", ["scope_id"], scope_id=_ID),
        "InvitesRequest": _sent(
            "What the code will give away.",
            ["scope_id", "role"],
            scope_id=_ID,
            role={"enum": list(catalog.roles)},
            expires_in_days=_or_null(
                {**whole, "maximum": MOST_DAYS, "description": "7 if absent."}
            ),
            max_uses=_or_null({**whole, "maximum": MOST_USES, "description": "1 if absent."}),
        ),
        "ScopesRequest": _sent("A new scope.", ["name"], name=_NAME, scope_id=_or_null(_ID)),
        "Tokens": _given(
            "What keeps a phone logged in. Keep the refresh token where other apps cannot read.",
            user_id=_ID,
            token_type={"const": "Bearer"},
            access_token={**_TEXT, "description": "For `Authorization: Bearer …`."},
            expires_in={"type": "integer", "description": "Life of the access token, seconds."},
            refresh_token={**_TEXT, "description": "Good for one refresh."},
            refresh_expires_at={**_SECONDS, "description": "Until when, Unix seconds."},
            totp_setup_required={
                "type": "boolean",
                "description": "Whether the user's role needs a second factor that is not set up: until it "
                "is, the access token is good for `totp`, `totp/confirm` and `me` alone.",
            },
        ),
        "Me": _given(
            "The caller.",
            user_id=_ID,
            email=_or_null(_TEXT),
            name=_or_null(_TEXT),
            totp={"type": "boolean", "description": "Whether there is a second factor."},
            scopes={
                "type": "array",
                "items": _given(
                    "A membership.",
                    scope_id=_ID,
                    role={"enum": list(catalog.roles)},
                    since=_SECONDS,
                ),
            },
        ),
        "TotpSecret": _given(
            "What an authenticator app is set up with.",
            secret={**_TEXT, "description": "In base32, for typing."},
            uri={**_TEXT, "description": "`otpauth://…`, for a QR code."},
        ),
        "RecoveryCodes": _given(
            "For the day when the authenticator app is lost.",
            recovery_codes={"type": "array", "items": _TEXT},
        ),
        "Sessions": _given(
            "The caller's sessions.",
            sessions={
                "type": "array",
                "items": _given(
                    "A session.",
                    id=_ID,
                    device_id={**_or_null(_TEXT), "description": "As the log-in named it."},
                    began_at={**_SECONDS, "description": "The log-in, Unix seconds."},
                    used_at={**_SECONDS, "description": "The last refresh, Unix seconds."},
                    expires_at={**_SECONDS, "description": "The end, Unix seconds."},
                    current={"type": "boolean", "description": "Whether this request is of it."},
                ),
            },
        ),
        "Invite": _given(
            "An invite code.",
            invite_code=_CODE,
            scope_id=_ID,
            role={"enum": list(catalog.roles)},
            expires_at={**_SECONDS, "description": "Until when, Unix seconds."},
            max_uses={**whole, "description": "How many people it admits."},
        ),
        "Invites": _given(
            "Codes of a scope that still admit somebody.",
            scope_id=_ID,
            invites={
                "type": "array",
                "items": _given(
                    "A code.",
                    id={**_ID, "description": "Names the code, and does not give it away."},
                    role={"enum": list(catalog.roles)},
                    made_by={**_ID, "description": "The user who made it, or `operator`."},
                    made_at=_SECONDS,
                    expires_at=_SECONDS,
                    max_uses={**whole, "description": "How many people it admits."},
                    uses={"type": "integer", "minimum": 0},
                ),
            },
        ),
        "Members": _given(
            "Members of a scope.",
            scope_id=_ID,
            members={"type": "array", "items": member},
            next_after={
                **_or_null(_ID),
                "description": "`after` of the next request; null: that was all.",
            },
        ),
        "Scope": _given(
            "A scope.", scope_id=_ID, name=_TEXT, role=_or_null({"enum": list(catalog.roles)})
        ),
        "Jwks": _given(
            "A JSON Web Key Set.",
            keys={"type": "array", "items": {"type": "object", "additionalProperties": True}},
        ),
    }


def _query(name: str, text: str, required: bool) -> Schema:
    return {"name": name, "in": "query", "description": text, "required": required, "schema": _ID}


#: Parameters of the query, by name.
PARAMETERS: dict[str, Schema] = {
    "ScopeId": _query("scope_id", "The scope.", True),
    "InviteId": segment("id", _ID, "The code's id, as the list names it."),
    "MemberId": segment("id", _ID, "The member's user id."),
    "SessionId": segment("id", _ID, "The session."),
    "After": _query("after", "`next_after` of the answer before.", False),
}
