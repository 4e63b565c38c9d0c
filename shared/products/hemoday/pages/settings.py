"""How somebody is reminded: on which phones, by mail, in which language, and when it is quiet."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page, Response
from shared.console.visit import Visit
from shared.products.hemoday.pages.family import MENU

_API = "/api/v1/reminders/settings"

#: The field of a form that stands for a phone, before its number in the list.
_PHONE = "phone-"


class SettingsForm(Struct):
    """All but the phones, which are read from the fields of their numbers."""

    which: Annotated[str, Meta(max_length=10)] = "all"
    mail: Annotated[str, Meta(max_length=1)] = ""
    language: Annotated[str, Meta(max_length=16)] = "en"
    quiet_from: Annotated[str, Meta(max_length=10)] = ""
    quiet_to: Annotated[str, Meta(max_length=10)] = ""


def show_settings(visit: Visit) -> Response:
    """What is chosen, and the phones there are to choose from."""
    now: Any = visit.api.get(_API)
    return visit.show("hemoday/settings.html", now=now, quiet=now["quiet_hours"] or {})


def save(visit: Visit, form: SettingsForm) -> Response:
    """Keep the choice. Quiet hours go by the clock that they went by, else by that of the pages."""
    now: Any = visit.api.get(_API)
    names = [each["device"] for each in now["phones"]]
    chosen = [name for at, name in enumerate(names) if visit.sent.get(f"{_PHONE}{at}")]
    quiet = None
    if form.quiet_from or form.quiet_to:
        zone = (now["quiet_hours"] or {}).get("time_zone") or visit.words.zone.key
        quiet = {"from": form.quiet_from, "to": form.quiet_to, "time_zone": zone}
    body = {
        "devices": None if form.which == "all" else chosen,
        "mail": bool(form.mail),
        "language": form.language,
        "quiet_hours": quiet,
    }
    visit.api.send("PUT", _API, body)
    return visit.again(N_("It is kept."))


PAGES = (
    Page(
        path="reminders/settings",
        shows=show_settings,
        title=N_("How I am reminded"),
        acts={"save": Act(save, SettingsForm)},
        right=Action.READ,
        menu=MENU,
    ),
)
