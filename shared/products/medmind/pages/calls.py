"""What people of the circle must know of: those that are open first, and looking after one by a click."""

from __future__ import annotations

import secrets
from typing import Annotated

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page, Response
from shared.console.visit import Visit
from shared.products.medmind.alert_tables import ACTIONS
from shared.products.medmind.pages.circle import (
    CirclePageAsked,
    append,
    circle_of,
    clock_of,
    may_write,
    people,
)
from shared.products.medmind.pages.words import (
    ALERT_KINDS,
    ALERT_STATES,
    MENU,
    SEVERITIES,
    TOLD,
    WAYS,
)

_Id = Annotated[str, Meta(max_length=128)]


class LookAfterForm(Struct):
    """Which alert somebody looks after. `id` is the action's: sent twice it is one."""

    alert: _Id
    id: _Id
    note: Annotated[str, Meta(max_length=2000)] = ""


def show_calls(visit: Visit, asked: CirclePageAsked) -> Response:
    """Alerts of a circle."""
    scope = circle_of(visit, asked.scope)
    found = visit.api.get("/api/v1/circle/alerts", scope=scope)
    day = visit.api.get("/api/v1/circle/doses", scope=scope)
    return visit.show(
        "medmind/calls.html",
        scope=scope,
        patient=day["patient"],
        found=found,
        names=people(visit, scope),
        clock=clock_of(visit, day["time_zone"]),
        may_write=may_write(visit, scope, ACTIONS) and scope in visit.scopes(Action.ALERT),
        kinds=ALERT_KINDS,
        severities=SEVERITIES,
        states=ALERT_STATES,
        told=TOLD,
        ways=WAYS,
        new_id=lambda: secrets.token_urlsafe(16),
    )


def look_after(visit: Visit, asked: CirclePageAsked, form: LookAfterForm) -> Response:
    """Say that one looks after an alert: nobody else is told any more."""
    scope = circle_of(visit, asked.scope, Action.WRITE)
    act = {"alert_id": form.alert, "action": "acknowledge", "at": visit.now_ms}
    if form.note.strip():
        act["note"] = form.note.strip()
    append(visit, scope, ACTIONS, {"id": form.id, **act})
    return visit.again(N_("Noted: you look after it. Nobody else is told any more."))


PAGES = (
    Page(
        path="calls",
        shows=show_calls,
        title=N_("Calls for help"),
        asks=CirclePageAsked,
        acts={"look-after": Act(look_after, LookAfterForm)},
        right=Action.READ,
        menu=MENU,
    ),
)
