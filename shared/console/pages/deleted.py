"""What was deleted in a team, and can come back."""

from __future__ import annotations

from typing import Annotated

from flask import Response
from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page
from shared.console.pages.team import MENU, Scope, Token, chosen, names
from shared.console.visit import Visit


class DeletedPageAsked(Struct):
    """Which deleted records."""

    scope: Scope = ""
    table: Annotated[str, Meta(max_length=128)] = ""
    page: Token = ""


class UndeleteForm(Struct):
    """A record."""

    table: Annotated[str, Meta(max_length=128)]
    id: Annotated[str, Meta(max_length=128)]


def show_deleted(visit: Visit, asked: DeletedPageAsked) -> Response:
    """The newest deletion first."""
    scope = chosen(visit, Action.UNDELETE, asked.scope)
    found = visit.api.get("/api/v1/deleted", scope=scope, table=asked.table, page=asked.page)
    return visit.show(
        "console/deleted.html",
        found=found,
        scope=scope,
        scopes=visit.scopes(Action.UNDELETE),
        names=names(visit, [scope]),
    )


def bring_back(visit: Visit, _asked: DeletedPageAsked, form: UndeleteForm) -> Response:
    """Bring a record back."""
    visit.api.post("/api/v1/undelete", {"table": form.table, "id": form.id})
    said = N_("It is back. What was deleted with it follows within a minute or two.")
    return visit.again(said)


PAGES = (
    Page(
        path="deleted",
        shows=show_deleted,
        title=N_("Deleted records"),
        asks=DeletedPageAsked,
        acts={"undelete": Act(bring_back, UndeleteForm)},
        right=Action.UNDELETE,
        menu=MENU,
    ),
)
