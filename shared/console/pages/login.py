"""Log in and out."""

from __future__ import annotations

from typing import Annotated

from flask import Response
from msgspec import Meta, Struct

from shared.console import cookies
from shared.console.frame import LOGIN
from shared.console.page import N_, Act, Page
from shared.console.refusals import SENTENCES
from shared.console.visit import LONGEST_BACK, Visit, address, inside, no_page


class LoginAsked(Struct):
    """Where to go afterwards, and why somebody has to log in."""

    next: Annotated[str, Meta(max_length=LONGEST_BACK)] = ""
    why: Annotated[str, Meta(max_length=64)] = ""


class LoginForm(Struct):
    """Address, password and, where there is a second factor, its code."""

    email: Annotated[str, Meta(max_length=320)]
    password: Annotated[str, Meta(max_length=1024)]
    otp: Annotated[str, Meta(max_length=64)] = ""
    kept: Annotated[str, Meta(max_length=500_000)] = ""


def show_login(visit: Visit, asked: LoginAsked) -> Response:
    """The form, with a field for the code once it is known that there is one."""
    if visit.holder is not None and visit.fault is None:
        return visit.go(_after(visit, asked))
    needs_code = visit.fault is not None and visit.fault.code in ("totp_required", "totp_wrong")
    return visit.show(
        "console/login.html",
        asked=asked,
        why=SENTENCES.get(asked.why, ""),
        needs_code=needs_code,
        kept=visit.kept or visit.typed.get("kept", ""),
    )


def log_in(visit: Visit, asked: LoginAsked, form: LoginForm) -> Response:
    """Begin a session in this browser."""
    accounts = visit.frame.accounts()
    begun = accounts.login.begin(
        form.email, form.password, visit.origin, visit.now_ms, form.otp.strip() or None
    )
    visit.call.notes["user"] = begun.account.user_id
    visit.holder = accounts.sessions.holder(begun.refresh, visit.now_ms)
    response = visit.take_up(form.kept, _after(visit, asked))
    cookies.keep(response, cookies.SESSION, begun.refresh)
    cookies.drop(response, cookies.VISITOR)
    return response


def log_out(visit: Visit) -> Response:
    """End this session."""
    token = visit.call.request.cookies.get(cookies.SESSION, "")
    visit.frame.accounts().sessions.logout(token, visit.now_ms)
    response = visit.go(address(LOGIN), N_("You are logged out."))
    cookies.drop(response, cookies.SESSION)
    return response


def _after(visit: Visit, asked: LoginAsked) -> str:
    """Where a log-in leads: back to a page of ours, never anywhere else."""
    return asked.next if inside(asked.next) else visit.frame.home_of(visit)


PAGES = (
    Page(
        path=LOGIN,
        shows=show_login,
        title=N_("Log in"),
        asks=LoginAsked,
        acts={"log-in": Act(log_in, LoginForm)},
        open=True,
    ),
    Page(
        path="logout",
        shows=no_page,
        title=N_("Log out"),
        acts={"log-out": Act(log_out)},
        sets_up=True,
    ),
)
