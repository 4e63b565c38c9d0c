"""What clients of accounts send and get, as types. Times are Unix seconds."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from shared.accounts.account import LONGEST_EMAIL
from shared.accounts.invite import ALPHABET, LENGTH, MOST_DAYS, MOST_USES
from shared.accounts.passwords import LONGEST, SHORTEST
from shared.accounts.people import normal_phone
from shared.accounts.team_users import HINDRANCES
from shared.api.fields import REF, SAID, Id, IdOrEmpty, Moment, must, says, schema
from shared.errors import InvalidRequest

#: Longest name of a person or scope, longest text, characters.
_LONGEST_NAME, _LONGEST_TEXT = 100, 2_000

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

#: What is checked of every text. What else the description promises has codes of its own.
_TEXT = must(
    f"a text of 1 to {_LONGEST_TEXT} characters",
    min_length=1,
    max_length=_LONGEST_TEXT,
    extra_json_schema={SAID: {"maxLength": None}},
)

_Email = Annotated[
    str,
    _TEXT,
    says(
        "An e-mail address. Case and blanks around it do not matter.",
        minLength=3,
        maxLength=LONGEST_EMAIL,
    ),
]
#: A password that is shown, not set: bounded for hashing, judged by nothing else.
_HeldPassword = Annotated[str, _TEXT, schema(maxLength=4 * LONGEST)]
_Password = Annotated[str, _TEXT, schema(minLength=SHORTEST, maxLength=LONGEST)]
_Code = Annotated[
    str,
    _TEXT,
    says(f"{LENGTH} characters of `{ALPHABET}`; case, blanks and hyphens do not matter."),
]
_Name = Annotated[str, _TEXT, schema(maxLength=_LONGEST_NAME, pattern=r"^\S[^\x00-\x1f]*$")]
_Phone = Annotated[
    str,
    _TEXT,
    says(
        "A telephone number of 5 to 15 digits, best with + and the country's code. Blanks, hyphens and "
        "brackets do not matter."
    ),
]
_Device = Annotated[
    Id,
    says(
        "Names this installation of the app, as in a sync. A known device is let through while somebody "
        "else tries wrong passwords."
    ),
]
_Otp = Annotated[
    str,
    _TEXT,
    says(
        "Six digits of the authenticator app, good once, or a recovery code; blanks and hyphens do not "
        "matter."
    ),
]
_RefreshToken = Annotated[str, _TEXT, schema(maxLength=_LONGEST_TEXT)]
_Role = Annotated[str, schema(type=None, **{"$ref": REF.format(name="Role")})]
#: Of releases before the field beside it in milliseconds (docs/decisions/0019-unit-of-time.md).
_Seconds = Annotated[float, schema(minimum=0, deprecated=True)]


def _one_line(name: str, field: str = "name") -> str:
    """A name without blanks around it. Raises `InvalidRequest` if it is no line of text."""
    text = unicodedata.normalize("NFC", name).strip()
    if not 1 <= len(text) <= _LONGEST_NAME or _CONTROL.search(text):
        raise InvalidRequest(
            f"{field} must be one line of 1 to {_LONGEST_NAME} characters.", field=field
        )
    return text


# --- what is asked


class RegisterRequest(Struct):
    """A new account."""

    email: _Email
    password: _Password
    invite_code: _Code | None = None
    name: Annotated[_Name, says("What others in the scope see.")] | None = None
    scope_name: Annotated[_Name, says("What the scope that is made along is called.")] | None = None
    device_id: _Device | None = None

    def __post_init__(self) -> None:
        self.name = None if self.name is None else _one_line(self.name)
        self.scope_name = (
            None if self.scope_name is None else _one_line(self.scope_name, "scope_name")
        )


class ProfileRequest(Struct):
    """What the caller's teams see. A field that is absent stays as it is; null removes it."""

    name: Annotated[_Name | UnsetType | None, says("What others in the scope see.")] = UNSET
    phone: Annotated[
        _Phone | UnsetType | None, says("Whom to call about what this user wrote.")
    ] = UNSET

    def __post_init__(self) -> None:
        if isinstance(self.name, str):
            self.name = _one_line(self.name)
        if isinstance(self.phone, str):
            self.phone = normal_phone(self.phone)


class LoginRequest(Struct):
    """Who is there."""

    email: _Email
    password: _HeldPassword
    otp: _Otp | None = None
    device_id: _Device | None = None


class RefreshRequest(Struct):
    """A session."""

    refresh_token: _RefreshToken


class LogoutRequest(Struct):
    """A session."""

    refresh_token: _RefreshToken


class PasswordRequest(Struct):
    """The old password and the new one."""

    old_password: _HeldPassword
    new_password: _Password
    device_id: _Device | None = None


class ProofRequest(Struct):
    """The caller's password: a token alone is not enough for this."""

    password: _HeldPassword
    device_id: _Device | None = None


class TotpRequest(Struct):
    """The caller's password, and a code of the factor that is in use."""

    password: _HeldPassword
    otp: _Otp | None = None
    device_id: _Device | None = None


class ConfirmTotpRequest(Struct):
    """A first code of the new factor."""

    otp: _Otp
    device_id: _Device | None = None


class JoinRequest(Struct):
    """A code."""

    invite_code: _Code
    device_id: _Device | None = None


class LeaveRequest(Struct):
    """A scope."""

    scope_id: Id


class InScopeRequest(Struct):
    """A scope."""

    scope_id: Id


class RoleRequest(Struct):
    """Another role in a scope."""

    scope_id: Id
    role: _Role


class InvitesRequest(Struct):
    """What the code will give away."""

    scope_id: Id
    role: _Role
    expires_in_days: Annotated[int, Meta(ge=1, le=MOST_DAYS), says("7 if absent.")] | None = None
    max_uses: Annotated[int, Meta(ge=1, le=MOST_USES), says("1 if absent.")] | None = None


class ForgotRequest(Struct):
    """Who forgot their password."""

    email: _Email
    device_id: _Device | None = None


class ResetRequest(Struct):
    """The code of the mail and another password."""

    code: Annotated[str, _TEXT, says("As the mail says it.")]
    new_password: _Password
    device_id: _Device | None = None


class UsersAsked(Struct):
    """Which users."""

    scope_id: Annotated[Id, says("The scope.")]
    search: Annotated[
        str,
        must(f"a text of up to {_LONGEST_NAME} characters", max_length=_LONGEST_NAME),
        says("Part of a name, an e-mail address or an id; empty: all."),
    ] = ""
    after: Annotated[IdOrEmpty, says("`next_after` of the answer before.")] = ""


class OneUser(Struct):
    """Which user."""

    id: Annotated[Id, says("The user's id.")]


class ScopesRequest(Struct):
    """A new scope."""

    name: _Name
    scope_id: Id | None = None

    def __post_init__(self) -> None:
        self.name = _one_line(self.name)


class OneSession(Struct):
    """Which session."""

    id: Annotated[Id, says("The session.")]


class OneInvite(Struct):
    """Which code."""

    id: Annotated[Id, says("The code's id, as the list names it.")]


class OneMember(Struct):
    """Which member."""

    id: Annotated[Id, says("The member's user id.")]


class InScope(Struct):
    """Of which scope."""

    scope_id: Annotated[Id, says("The scope.")]


class MembersAsked(Struct):
    """Which members."""

    scope_id: Annotated[Id, says("The scope.")]
    after: Annotated[IdOrEmpty, says("`next_after` of the answer before.")] = ""


# --- what is answered


class TokensAnswer(Struct):
    """What keeps a phone logged in. Keep the refresh token where other apps cannot read."""

    user_id: Id
    access_token: Annotated[str, says("For `Authorization: Bearer …`.")]
    expires_in: Annotated[int, says("Life of the access token, seconds.")]
    refresh_token: Annotated[str, says("Good for one refresh.")]
    refresh_expires_at: Annotated[_Seconds, says("Until when, Unix seconds.")]
    refresh_expires_at_ms: Annotated[Moment, says("Until when, Unix milliseconds.")]
    totp_setup_required: Annotated[
        bool,
        says(
            "Whether the user's role needs a second factor that is not set up: until it is, the access "
            "token is good for `totp`, `totp/confirm` and `me` alone."
        ),
    ]
    token_type: Annotated[str, schema(type=None, const="Bearer")]


class MembershipAnswer(Struct):
    """A membership."""

    scope_id: Id
    role: _Role
    since: _Seconds
    since_ms: Moment


class MeAnswer(Struct):
    """The caller, with all scopes."""

    user_id: Id
    email: str | None
    name: str | None
    phone: Annotated[str | None, says("Shown to who reviews this user's cases in a team of both.")]
    totp: Annotated[bool, says("Whether there is a second factor.")]
    scopes: list[MembershipAnswer]


class TotpSecret(Struct):
    """What an authenticator app is set up with."""

    secret: Annotated[str, says("In base32, for typing.")]
    uri: Annotated[str, says("`otpauth://…`, for a QR code.")]


class RecoveryCodes(Struct):
    """Ten recovery codes, each good once, for the day when the authenticator app is lost.

    They are shown only now.
    """

    recovery_codes: list[str]


class SessionAnswer(Struct):
    """A session."""

    id: Id
    device_id: Annotated[str | None, says("As the log-in named it.")]
    began_at: Annotated[_Seconds, says("The log-in, Unix seconds.")]
    began_at_ms: Annotated[Moment, says("The log-in, Unix milliseconds.")]
    used_at: Annotated[_Seconds, says("The last refresh, Unix seconds.")]
    used_at_ms: Annotated[Moment, says("The last refresh, Unix milliseconds.")]
    expires_at: Annotated[_Seconds, says("The end, Unix seconds.")]
    expires_at_ms: Annotated[Moment, says("The end, Unix milliseconds.")]
    current: Annotated[bool, says("Whether this request is of it.")]


class SessionsAnswer(Struct):
    """The caller's sessions."""

    sessions: list[SessionAnswer]


class InviteAnswer(Struct):
    """An invite code. It is shown only once."""

    invite_code: _Code
    scope_id: Id
    role: _Role
    expires_at: Annotated[_Seconds, says("Until when, Unix seconds.")]
    expires_at_ms: Annotated[Moment, says("Until when, Unix milliseconds.")]
    max_uses: Annotated[int, says("How many people it admits.", minimum=1)]


class OpenInvite(Struct):
    """A code."""

    id: Annotated[Id, says("Names the code, and does not give it away.")]
    role: _Role
    made_by: Annotated[Id, says("The user who made it, or `operator`.")]
    made_at: _Seconds
    made_at_ms: Moment
    expires_at: _Seconds
    expires_at_ms: Moment
    max_uses: Annotated[int, says("How many people it admits.", minimum=1)]
    uses: Annotated[int, schema(minimum=0)]


class InvitesAnswer(Struct):
    """Codes of a scope that still admit somebody."""

    scope_id: Id
    invites: list[OpenInvite]


class MemberAnswer(Struct):
    """Somebody in a scope."""

    user_id: Id
    role: _Role
    since: Annotated[_Seconds, says("Since when, Unix seconds.")]
    since_ms: Annotated[Moment, says("Since when, Unix milliseconds.")]
    name: str | None
    email: str | None


class MembersAnswer(Struct):
    """Members of a scope."""

    scope_id: Id
    members: list[MemberAnswer]
    next_after: Annotated[Id | None, says("`after` of the next request; null: that was all.")]


class HeldRole(Struct):
    """A membership."""

    scope_id: Id
    role: _Role


class UserAnswer(Struct):
    """Somebody in a scope, as its admins see them."""

    user_id: Id
    name: str | None
    email: str | None
    phone: str | None
    totp: Annotated[bool, says("Whether there is a second factor.")]
    scopes: Annotated[list[HeldRole], says("Those that the caller administers.")]
    since_ms: Moment
    disabled_ms: Annotated[Moment | None, says("Since when nobody acts as this user.")]
    hindered: Annotated[
        str | None,
        says(
            "Why the caller may not act on this account: it is in other scopes, too; it is the caller's "
            "own; its role is above. Null: the caller may.",
            enum=[*HINDRANCES, None],
        ),
    ]


class UserSession(Struct):
    """Where somebody is logged in."""

    device_id: Annotated[str | None, says("As the log-in named it.")]
    began_at_ms: Annotated[Moment, says("The log-in.")]
    used_at_ms: Annotated[Moment, says("When it was used last.")]
    expires_at_ms: Annotated[Moment, says("When it ends.")]


class WholeUserAnswer(UserAnswer):
    """Somebody in a scope, as its admins see them, and where they are logged in."""

    sessions: Annotated[
        list[UserSession],
        says("The one that was used last first; none if the caller may not act on the account."),
    ]


class UsersAnswer(Struct):
    """Users of a scope."""

    scope_id: Id
    users: list[UserAnswer]
    next_after: Annotated[Id | None, says("`after` of the next request; null: that was all.")]


class NewPassword(Struct):
    """A password that was made here. It is shown only once."""

    password: str


class ScopeAnswer(Struct):
    """The scope, and the caller's role in it."""

    scope_id: Id
    name: str
    role: _Role | None


class Jwks(Struct):
    """A JSON Web Key Set."""

    keys: Annotated[list[Any], schema(items={"type": "object", "additionalProperties": True})]
