"""What waits for a doctor."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from shared.console.page import N_, Page, Response
from shared.console.visit import Visit
from shared.products.dermadetect.rights import ReviewAction

#: Reasons why a case stands in the list, and how bad they are, as badges say it.
RISKS = {
    "emergency": N_("Emergency"),
    "red": N_("Red"),
    "look": N_("Needs a look"),
    "yellow": N_("Yellow"),
    "green": N_("Green"),
}


class WorklistAsked(Struct):
    """Filters of the list."""

    risk: Annotated[str, Meta(max_length=16)] = ""
    page: Annotated[str, Meta(max_length=2000)] = ""


def show_worklist(visit: Visit, asked: WorklistAsked) -> Response:
    """The list: the most urgent first."""
    found = visit.api.get("/api/v1/review/cases", risk=asked.risk, page=asked.page, thumbnails="1")
    totals = visit.api.get("/api/v1/review/totals")
    return visit.show(
        "dermadetect/worklist.html", found=found, totals=totals, risks=RISKS, asked=asked
    )


PAGES = (
    Page(
        path="cases",
        shows=show_worklist,
        title=N_("Waiting"),
        asks=WorklistAsked,
        right=ReviewAction.REVIEW,
        menu=N_("Patients"),
    ),
)
