"""Signed cases that no phone of their health worker has got yet: whom to call."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from shared.console.page import N_, Page, Response
from shared.console.visit import Visit
from shared.products.dermadetect.pages.case_words import RISKS, WORD_OF
from shared.products.dermadetect.rights import ReviewAction


class UnreadAsked(Struct):
    """Of which team, and where the list goes on."""

    scope: Annotated[str, Meta(max_length=128)] = ""
    page: Annotated[str, Meta(max_length=2000)] = ""


def show_unread(visit: Visit, asked: UnreadAsked) -> Response:
    """Who was signed first is first."""
    found = visit.api.get("/api/v1/review/cases", unread="1", scope=asked.scope, page=asked.page)
    return visit.show(
        "dermadetect/unread.html",
        found=found,
        asked=asked,
        scopes=visit.scopes(ReviewAction.REVIEW),
        risks=RISKS,
        word_of=WORD_OF,
    )


PAGES = (
    Page(
        path="unread",
        shows=show_unread,
        title=N_("Unread diagnoses"),
        asks=UnreadAsked,
        right=ReviewAction.REVIEW,
        menu=N_("Patients"),
    ),
)
