"""A forgotten password: ask for a mail, and set another password by its code."""

from __future__ import annotations

from typing import Annotated

from flask import Response
from msgspec import Meta, Struct

from shared.accounts.forgotten import Wording
from shared.console.frame import LOGIN
from shared.console.page import N_, Act, Page
from shared.console.visit import Visit, address

FORGOT, RESET = "forgot", "reset"

#: The mail, in the language of the page.
SUBJECT = N_("Another password")
TEXT = N_(
    "Somebody asked for another password for this e-mail address. If it was you, open this page:\n\n"
    "%(link)s\n\n"
    "If the page asks for a code, it is this:\n\n"
    "%(code)s\n\n"
    "It is good once, for %(minutes)s minutes. If it was not you, do nothing: nothing has changed."
)


class ForgotForm(Struct):
    """Whose password it is."""

    email: Annotated[str, Meta(max_length=320)]


class ResetForm(Struct):
    """The code of the mail, and another password."""

    code: Annotated[str, Meta(max_length=200)]
    new_password: Annotated[str, Meta(max_length=1024)]


def show_forgot(visit: Visit) -> Response:
    """The form, or that no mail is sent from here."""
    is_on = visit.frame.accounts().forgotten.is_on
    return visit.show("console/forgot.html", is_on=is_on)


def ask(visit: Visit, form: ForgotForm) -> Response:
    """Send a mail, if the address is somebody's; what is said is the same if not."""
    wording = Wording(visit.words.said(SUBJECT), visit.words.said(TEXT))
    forgotten = visit.frame.accounts().forgotten
    forgotten.ask(form.email, visit.origin, visit.now_ms, wording)
    return visit.go(
        address(RESET),
        N_("If this address has an account, a mail with a code comes in a few minutes."),
    )


def show_reset(visit: Visit) -> Response:
    """The form."""
    is_on = visit.frame.accounts().forgotten.is_on
    return visit.show("console/reset.html", is_on=is_on, code=visit.typed.get("code", ""))


def reset(visit: Visit, form: ResetForm) -> Response:
    """Set another password."""
    forgotten = visit.frame.accounts().forgotten
    user = forgotten.reset(form.code, form.new_password, visit.origin, visit.now_ms)
    visit.call.notes["user"] = user
    return visit.go(address(LOGIN), N_("Your password is changed. Log in with it."))


PAGES = (
    Page(
        path=FORGOT,
        shows=show_forgot,
        title=N_("Forgotten password"),
        acts={"ask": Act(ask, ForgotForm)},
        open=True,
    ),
    Page(
        path=RESET,
        shows=show_reset,
        title=N_("Another password"),
        acts={"reset": Act(reset, ResetForm)},
        open=True,
    ),
)
