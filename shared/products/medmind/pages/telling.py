"""How somebody is told of calls for help: by which ways, when not, in which language and turn."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page, Response
from shared.console.visit import Visit
from shared.errors import InvalidRequest
from shared.products.medmind.pages.words import MENU, WAYS

_API = "/api/v1/notifications/settings"

_Short = Annotated[str, Meta(max_length=40)]


class TellingForm(Struct):
    """All but the ways, which are read from the fields of their names."""

    language: Annotated[str, Meta(max_length=16)] = "en"
    quiet_from: _Short = ""
    quiet_to: _Short = ""
    digest: _Short = ""
    turn: _Short = ""
    url: Annotated[str, Meta(max_length=2000)] = ""
    to: Annotated[str, Meta(max_length=60)] = ""


def show_telling(visit: Visit, secret: str = "") -> Response:
    """What is chosen; `secret`: of a webhook that is new, this once."""
    now: Any = visit.api.get(_API)
    return visit.show(
        "medmind/telling.html",
        now=now,
        quiet=now["quiet_hours"] or {},
        ways=sorted(WAYS, key=lambda each: (each not in now["ways"], list(WAYS).index(each))),
        names=WAYS,
        secret=secret,
    )


def save(visit: Visit, form: TellingForm) -> Response:
    """Keep the choice. Hours go by the clock that they went by, else by that of the pages."""
    now: Any = visit.api.get(_API)
    zone = visit.words.zone.key
    quiet = None
    if form.quiet_from or form.quiet_to:
        had = (now["quiet_hours"] or {}).get("time_zone")
        quiet = {"from": form.quiet_from, "to": form.quiet_to, "time_zone": had or zone}
    had = (now["digest"] or {}).get("time_zone")
    if form.turn and not form.turn.isdecimal():
        raise InvalidRequest(N_("This must be a number."), field="turn")
    chosen = [each for each in WAYS if visit.sent.get(each)]
    body = {
        "ways": [
            *(each for each in now["ways"] if each in chosen),
            *(e for e in chosen if e not in now["ways"]),
        ],
        "devices": now["devices"],
        "webhook": {"url": form.url.strip(), "to": form.to.strip()} if form.url.strip() else None,
        "quiet_hours": quiet,
        "digest": {"at": form.digest, "time_zone": had or zone} if form.digest else None,
        "language": form.language,
        "turn": int(form.turn) if form.turn else None,
    }
    made = visit.api.send("PUT", _API, body)["webhook_secret"]
    return show_telling(visit, made) if made else visit.again(N_("It is kept."))


PAGES = (
    Page(
        path="telling",
        shows=show_telling,
        title=N_("How I am told"),
        acts={"save": Act(save, TellingForm)},
        right=Action.READ,
        menu=MENU,
    ),
)
