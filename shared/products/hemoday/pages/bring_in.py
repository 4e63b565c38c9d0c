"""A CSV file into the family: looked at first, then taken."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page, Response
from shared.console.visit import Visit, address
from shared.errors import InvalidRequest
from shared.products.hemoday.pages.family import MENU, family_of
from shared.products.hemoday.pages.words import MANY, QUESTIONS

#: A file that is larger is chosen again to confirm it: a form's fields have a bound.
_MOST_KEPT = 150_000

#: Rows of a preview that are shown.
_ROWS = 100

ORDERS = {
    "": N_("As found"),
    "day_first": N_("Day first: 03/04 is 3 April"),
    "month_first": N_("Month first: 03/04 is 4 March"),
}


class BringInAsked(Struct):
    """Into which family."""

    scope: Annotated[str, Meta(max_length=2000)] = ""


class FileForm(Struct):
    """A file that was just chosen, or what was kept of it; `confirmed`: of the preview that was seen."""

    date_order: Annotated[str, Meta(max_length=20)] = ""
    kept: str = ""
    confirmed: Annotated[str, Meta(max_length=64)] = ""


def show_bring_in(visit: Visit, asked: BringInAsked, found: Any = None, kept: str = "") -> Response:
    """The form; `found` is the preview of a file."""
    return visit.show(
        "hemoday/bring-in.html",
        scope=family_of(visit, Action.WRITE, asked.scope),
        found=found,
        kept=kept if len(kept) <= _MOST_KEPT else "",
        orders=ORDERS,
        rows=found["records"][:_ROWS] if found else [],
        many=MANY,
        questions=QUESTIONS,
    )


def preview(visit: Visit, asked: BringInAsked, form: FileForm) -> Response:
    """Look at a file."""
    body, kept = _body(visit, asked, form)
    return show_bring_in(visit, asked, visit.api.post("/api/v1/import/preview", body), kept)


def take(visit: Visit, asked: BringInAsked, form: FileForm) -> Response:
    """Take what the preview showed."""
    body, _ = _body(visit, asked, form)
    done = visit.api.post("/api/v1/import", {**body, "token": form.confirmed})
    said = N_("%(added)s records were added.")
    where = address("family", scope=family_of(visit, Action.WRITE, asked.scope))
    return visit.go(where, said, added=visit.words.number(done["added"]))


def _body(visit: Visit, asked: BringInAsked, form: FileForm) -> tuple[dict[str, object], str]:
    """What the import is asked, and the file in base64."""
    kept = form.kept
    if visit.file is not None and visit.file.filename:
        kept = base64.b64encode(visit.file.stream.read()).decode()
    if not kept:
        raise InvalidRequest(N_("Choose a file."), field="file")
    body: dict[str, object] = {
        "scope": family_of(visit, Action.WRITE, asked.scope),
        "base64": kept,
        "time_zone": visit.words.zone.key,
    }
    if form.date_order:
        body["date_order"] = form.date_order
    return body, kept


PAGES = (
    Page(
        path="bring-in",
        shows=show_bring_in,
        title=N_("Bring a table in"),
        asks=BringInAsked,
        acts={"preview": Act(preview, FileForm), "take": Act(take, FileForm)},
        right=Action.WRITE,
        menu=MENU,
        takes_file=True,
    ),
)
