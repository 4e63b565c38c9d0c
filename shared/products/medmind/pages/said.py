"""What the patient said to the device: symptoms, questions, and the words of both."""

from __future__ import annotations

from shared.access.rights import Action
from shared.console.page import N_, Page, Response
from shared.console.visit import Visit
from shared.products.medmind.pages.circle import CirclePageAsked, circle_of, clock_of
from shared.products.medmind.pages.words import MENU


def show_said(visit: Visit, asked: CirclePageAsked) -> Response:
    """The newest first."""
    scope = circle_of(visit, asked.scope)
    day = visit.api.get("/api/v1/circle/doses", scope=scope)
    return visit.show(
        "medmind/said.html",
        scope=scope,
        patient=day["patient"],
        found=visit.api.get("/api/v1/circle/said", scope=scope),
        clock=clock_of(visit, day["time_zone"]),
    )


PAGES = (
    Page(
        path="said",
        shows=show_said,
        title=N_("What was said"),
        asks=CirclePageAsked,
        right=Action.READ,
        menu=MENU,
    ),
)
