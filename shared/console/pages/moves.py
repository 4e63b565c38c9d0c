"""Move a person, with all that hangs on them, to another team: first counted, then done."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response
from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page
from shared.console.pages.team import MENU, Scope
from shared.console.visit import Visit, address
from shared.errors import Fault

_Id = Annotated[str, Meta(max_length=128)]


class MoveAsked(Struct):
    """A record, and the teams that it leaves and joins."""

    id: _Id = ""
    source: Scope = ""
    to: Scope = ""


class MoveForm(Struct):
    """The same, to be done."""

    id: _Id
    to: Scope


def show_moves(visit: Visit, asked: MoveAsked) -> Response:
    """The form; once it is filled in, what would move."""
    found: Any = None
    elsewhere = False
    if asked.id and asked.to and visit.fault is None:
        try:
            found = _ask(visit, asked.id.strip(), asked.to, dry_run=True)
            elsewhere = bool(asked.source) and asked.source != found["from_scope_id"]
        except Fault as fault:
            visit.fault = fault
    return visit.show(
        "console/moves.html",
        found=found,
        elsewhere=elsewhere,
        scopes=visit.scopes(Action.MOVE),
        asked=asked,
    )


def move(visit: Visit, _asked: MoveAsked, form: MoveForm) -> Response:
    """Do it."""
    done = _ask(visit, form.id, form.to, dry_run=False)
    said = (
        N_("It has moved. What hangs on it follows within about a minute.")
        if done["moved"]
        else N_("It was there already.")
    )
    return visit.go(address("moves"), said)


def _ask(visit: Visit, record_id: str, to: str, *, dry_run: bool) -> Any:
    body = {"id": record_id, "to_scope_id": to, "dry_run": dry_run}
    return visit.api.post("/api/v1/moves", body)


PAGES = (
    Page(
        path="moves",
        shows=show_moves,
        title=N_("Move to another team"),
        asks=MoveAsked,
        acts={"move": Act(move, MoveForm)},
        right=Action.MOVE,
        menu=MENU,
    ),
)
