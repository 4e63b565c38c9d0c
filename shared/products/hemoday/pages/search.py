"""Search over everything of a family."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page, Response
from shared.console.visit import Visit
from shared.products.hemoday.pages import forms
from shared.products.hemoday.pages.family import MENU, family_of
from shared.products.hemoday.pages.words import ONE

#: Records that have a page of their own, by the table of those that have none.
_OPENED_BY = {"blood_test_results": "blood_tests"}


class SearchPageAsked(Struct):
    """In which family."""

    scope: Annotated[str, Meta(max_length=2000)] = ""


class FindForm(Struct):
    """What is looked for, and where the list goes on."""

    q: Annotated[str, Meta(max_length=200)] = ""
    page: Annotated[str, Meta(max_length=2000)] = ""


def show_search(
    visit: Visit,
    asked: SearchPageAsked,
    form: FindForm = FindForm(),  # noqa: B008  it is not changed
) -> Response:
    """The form, and what was found. A question is sent as a form: addresses are noted on the way."""
    scope = family_of(visit, Action.READ, asked.scope)
    found: Any = {"entries": [], "next_page": None}
    if form.q.strip():
        found = visit.api.get("/api/v1/search", scope=scope, q=form.q, page=form.page)
    for entry in found["entries"]:
        entry["pieces"] = list(_pieces(entry["snippet"], entry["marks"]))
        table = _OPENED_BY.get(entry["table"], entry["table"])
        name = entry["parent_id"] if table != entry["table"] else entry["id"]
        entry["opens"] = (table, name) if table in forms.FORMS and name else None
        entry["kind"] = ONE.get(table, table)
    return visit.show(
        "hemoday/search.html",
        scope=scope,
        q=form.q,
        entries=found["entries"],
        next_page=found["next_page"],
    )


def _pieces(text: str, marks: list[dict[str, int]]) -> Iterator[tuple[str, bool]]:
    """A text in pieces, each with whether it was found; marks count UTF-16 code units."""
    units, at = text.encode("utf-16-le"), 0
    for mark in marks:
        for end, hit in ((mark["start"], False), (mark["end"], True)):
            if end > at:
                yield units[2 * at : 2 * end].decode("utf-16-le", "replace"), hit
                at = end
    if rest := units[2 * at :].decode("utf-16-le", "replace"):
        yield rest, False


PAGES = (
    Page(
        path="search",
        shows=show_search,
        title=N_("Search"),
        asks=SearchPageAsked,
        acts={"find": Act(show_search, FindForm)},
        right=Action.READ,
        menu=MENU,
    ),
)
