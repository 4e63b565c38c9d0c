"""One's own account: name, password, teams, second factor, sessions, and what one did."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from flask import Response
from msgspec import Meta, Struct

from shared.accounts import passkeys
from shared.console.frame import FACTOR
from shared.console.page import N_, Act, Page
from shared.console.pages.members import ROLES
from shared.console.qr import qr_code
from shared.console.visit import Visit, address
from shared.errors import InvalidRequest

_ME = N_("Me")

_Password = Annotated[str, Meta(max_length=1024)]
_Code = Annotated[str, Meta(max_length=64)]

#: Where an authenticator app's secret begins; nothing else is drawn.
_URI = "otpauth://totp/"


class ProfileForm(Struct):
    """What teams see of somebody; empty: nothing."""

    name: Annotated[str, Meta(max_length=200)] = ""
    phone: Annotated[str, Meta(max_length=100)] = ""


class PasswordForm(Struct):
    """The old password and the new one."""

    old_password: _Password
    new_password: _Password


class JoinForm(Struct):
    """A code."""

    invite_code: _Code


class LeaveForm(Struct):
    """A team."""

    scope_id: Annotated[str, Meta(max_length=128)]


class ProofForm(Struct):
    """The password, and a code of the factor that is in use."""

    password: _Password
    otp: _Code = ""


class ConfirmForm(Struct):
    """A first code. Secret and address of the factor come from the page, which shows them again."""

    otp: _Code
    secret: Annotated[str, Meta(max_length=128)] = ""
    uri: Annotated[str, Meta(max_length=1000)] = ""


class PasskeyForm(Struct):
    """What the browser made for a challenge, and what its owner calls it."""

    challenge: Annotated[str, Meta(max_length=128)]
    answer: Annotated[str, Meta(max_length=passkeys.LONGEST_ANSWER)]
    name: Annotated[str, Meta(max_length=200)] = ""


class RemovePasskeyForm(ProofForm):
    """Which passkey."""

    passkey: Annotated[str, Meta(max_length=2000)] = ""


class EndForm(Struct):
    """A session, and the password."""

    password: _Password
    session: Annotated[str, Meta(max_length=128)] = ""


class PageAsked(Struct):
    """Which page of a list."""

    page: Annotated[str, Meta(max_length=2000)] = ""


def show_account(visit: Visit) -> Response:
    """Who I am."""
    me = visit.api.get("/api/v1/auth/me")
    return visit.show("console/account.html", me=me, factor=FACTOR, roles=ROLES)


def change_profile(visit: Visit, form: ProfileForm) -> Response:
    """Say who I am."""
    said = {"name": form.name.strip() or None, "phone": form.phone.strip() or None}
    visit.api.post("/api/v1/auth/profile", said)
    return visit.again(N_("Your name and number are kept."))


def change_password(visit: Visit, form: PasswordForm) -> Response:
    """Another password."""
    said = {"old_password": form.old_password, "new_password": form.new_password}
    visit.api.post("/api/v1/auth/password", said)
    return visit.again(N_("Your password is changed. You are logged out everywhere else."))


def join(visit: Visit, form: JoinForm) -> Response:
    """Enter a team."""
    visit.api.post("/api/v1/auth/join", {"invite_code": form.invite_code})
    return visit.again(N_("You are in the team."))


def leave(visit: Visit, form: LeaveForm) -> Response:
    """Leave a team."""
    visit.api.post("/api/v1/auth/leave", {"scope_id": form.scope_id})
    return visit.again(N_("You left the team."))


# --- the second factor


def show_factor(
    visit: Visit,
    secret: str = "",
    uri: str = "",
    codes: list[str] | None = None,
    passkey: tuple[str, str] | None = None,
) -> Response:
    """What there is, a secret to scan, codes to keep, or a passkey to make: challenge and question."""
    if visit.fault is not None and visit.typed.get("act") == "confirm":
        secret, uri = visit.typed.get("secret", ""), visit.typed.get("uri", "")
    drawn = qr_code(uri) if uri.startswith(_URI) and len(uri) <= 1000 else None
    me = visit.api.get("/api/v1/auth/me")
    account = None if visit.holder is None else visit.holder.account
    return visit.show(
        "console/second-factor.html",
        me=me,
        passkey=passkey,
        passkeys=account.passkeys if account else (),
        takes_passkeys=visit.frame.accounts().second_factor.host is not None,
        drawn=drawn,
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        raw=secret,
        uri=uri,
        codes=codes,
        home=visit.frame.home_of(visit),
    )


def begin_factor(visit: Visit, form: ProofForm) -> Response:
    """A secret for an authenticator app. It stands on this answer alone."""
    made = visit.api.post("/api/v1/auth/totp", _proof(form))
    return show_factor(visit, made["secret"], made["uri"])


def confirm_factor(visit: Visit, form: ConfirmForm) -> Response:
    """The factor is in use; recovery codes stand on this answer alone."""
    made = visit.api.post("/api/v1/auth/totp/confirm", {"otp": form.otp or "-"})
    visit.know_again()
    return show_factor(visit, codes=made["recovery_codes"])


def remove_factor(visit: Visit, form: ProofForm) -> Response:
    """The password alone again."""
    visit.api.post("/api/v1/auth/totp/remove", _proof(form))
    return visit.again(N_("The second factor is removed."))


def begin_passkey(visit: Visit, form: ProofForm) -> Response:
    """Ask the browser for a passkey."""
    factor, otp = visit.frame.accounts().second_factor, form.otp.strip() or None
    made = factor.ask_passkey(visit.caller, form.password, otp, visit.origin, visit.now_ms)
    return show_factor(visit, passkey=made)


def add_passkey(visit: Visit, form: PasskeyForm) -> Response:
    """Keep it."""
    factor = visit.frame.accounts().second_factor
    factor.add_passkey(visit.caller, form.challenge, form.answer, form.name, visit.now_ms)
    return visit.again(N_("The passkey is added. You can log in with it from now on."))


def remove_passkey(visit: Visit, form: RemovePasskeyForm) -> Response:
    """Take one away."""
    if not form.passkey:
        raise InvalidRequest("Choose a passkey.")
    factor, otp = visit.frame.accounts().second_factor, form.otp.strip() or None
    factor.remove_passkey(
        visit.caller, form.passkey, form.password, otp, visit.origin, visit.now_ms
    )
    return visit.again(N_("The passkey is removed."))


def _proof(form: ProofForm) -> dict[str, object]:
    return {"password": form.password, "otp": form.otp.strip() or None}


# --- sessions and trail


def show_sessions(visit: Visit) -> Response:
    """Where I am logged in."""
    found = visit.api.get("/api/v1/auth/sessions")
    return visit.show("console/sessions.html", sessions=found["sessions"])


def end_session(visit: Visit, form: EndForm) -> Response:
    """End one."""
    if not form.session:
        raise InvalidRequest("Choose a session.")
    where = f"/api/v1/auth/sessions/{quote(form.session, safe='')}/end"
    visit.api.post(where, {"password": form.password})
    return visit.again(N_("This session is over."))


def end_sessions(visit: Visit, form: EndForm) -> Response:
    """Log out everywhere."""
    visit.api.post("/api/v1/auth/sessions/end", {"password": form.password})
    return visit.go(address("login"), N_("You are logged out everywhere."))


def show_trail(visit: Visit, asked: PageAsked) -> Response:
    """What I did."""
    found = visit.api.get("/api/v1/trail", page=asked.page)
    return visit.show("console/my-trail.html", found=found, actions=visit.frame.actions)


PAGES = (
    Page(
        path="account",
        shows=show_account,
        title=N_("My account"),
        menu=_ME,
        acts={
            "profile": Act(change_profile, ProfileForm),
            "password": Act(change_password, PasswordForm),
            "join": Act(join, JoinForm),
            "leave": Act(leave, LeaveForm),
        },
    ),
    Page(
        path=FACTOR,
        shows=show_factor,
        title=N_("Second factor"),
        menu=_ME,
        sets_up=True,
        acts={
            "begin": Act(begin_factor, ProofForm),
            "confirm": Act(confirm_factor, ConfirmForm),
            "remove": Act(remove_factor, ProofForm),
            "begin-passkey": Act(begin_passkey, ProofForm),
            "add-passkey": Act(add_passkey, PasskeyForm),
            "remove-passkey": Act(remove_passkey, RemovePasskeyForm),
        },
    ),
    Page(
        path="account/sessions",
        shows=show_sessions,
        title=N_("Where I am logged in"),
        menu=_ME,
        acts={"end": Act(end_session, EndForm), "end-all": Act(end_sessions, EndForm)},
    ),
    Page(
        path="account/trail",
        shows=show_trail,
        title=N_("What I did"),
        menu=_ME,
        asks=PageAsked,
    ),
)
