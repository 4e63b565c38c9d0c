"""Log in and out. A second factor makes it two steps: the password, then a code or a passkey."""

from __future__ import annotations

from typing import Annotated

from flask import Response
from msgspec import Meta, Struct

from shared.accounts.login import Begun, HalfBegun
from shared.accounts.passkeys import LONGEST_ANSWER
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
    """Address and password."""

    email: Annotated[str, Meta(max_length=320)]
    password: Annotated[str, Meta(max_length=1024)]
    kept: Annotated[str, Meta(max_length=500_000)] = ""


class FactorForm(Struct):
    """The second step: a code, or what the browser says of a passkey."""

    ticket: Annotated[str, Meta(max_length=256)]
    otp: Annotated[str, Meta(max_length=64)] = ""
    answer: Annotated[str, Meta(max_length=LONGEST_ANSWER)] = ""
    kept: Annotated[str, Meta(max_length=500_000)] = ""


def show_login(visit: Visit, asked: LoginAsked) -> Response:
    """The form; that of the second step again after a wrong code."""
    if visit.holder is not None and visit.fault is None:
        return visit.go(_after(visit, asked))
    half = None
    if visit.fault is not None and visit.fault.code == "totp_wrong":
        ticket = visit.typed.get("ticket", "")
        half = HalfBegun(ticket, visit.frame.accounts().login.asked(ticket))
    return _show(visit, asked, half, visit.kept or visit.typed.get("kept", ""))


def _show(visit: Visit, asked: LoginAsked, half: HalfBegun | None, kept: str) -> Response:
    why = "" if half else SENTENCES.get(asked.why, "")
    return visit.show("console/login.html", asked=asked, why=why, half=half, kept=kept)


def log_in(visit: Visit, asked: LoginAsked, form: LoginForm) -> Response:
    """Begin a session in this browser, or ask for the second factor."""
    login = visit.frame.accounts().login
    begun = login.begin_in_steps(form.email, form.password, visit.origin, visit.now_ms)
    if isinstance(begun, HalfBegun):
        return _show(visit, asked, begun, form.kept)
    return _let_in(visit, asked, begun, form.kept)


def second_step(visit: Visit, asked: LoginAsked, form: FactorForm) -> Response:
    """Begin a session of which the password was right."""
    login = visit.frame.accounts().login
    begun = login.finish(
        form.ticket, visit.origin, visit.now_ms, otp=form.otp.strip(), answer=form.answer
    )
    return _let_in(visit, asked, begun, form.kept)


def _let_in(visit: Visit, asked: LoginAsked, begun: Begun, kept: str) -> Response:
    visit.call.notes["user"] = begun.account.user_id
    visit.holder = visit.frame.accounts().sessions.holder(begun.refresh, visit.now_ms)
    response = visit.take_up(kept, _after(visit, asked))
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
        acts={"log-in": Act(log_in, LoginForm), "second-step": Act(second_step, FactorForm)},
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
