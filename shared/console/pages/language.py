"""Choose the language of the pages, logged in or not."""

from __future__ import annotations

from typing import Annotated

from flask import Response
from msgspec import Meta, Struct

from shared.console import cookies
from shared.console.page import N_, Act, Page
from shared.console.visit import LONGEST_BACK, Visit, address, inside, no_page
from shared.errors import InvalidRequest


class LanguageForm(Struct):
    """A language, and where to go back to."""

    language: Annotated[str, Meta(max_length=16)]
    back: Annotated[str, Meta(max_length=LONGEST_BACK)] = ""


def choose(visit: Visit, form: LanguageForm) -> Response:
    """Keep the language in this browser."""
    if form.language not in visit.frame.languages:
        raise InvalidRequest("There is no such language.", field="language")
    response = visit.go(form.back if inside(form.back) else address())
    cookies.keep_language(response, form.language)
    return response


PAGES = (
    Page(
        path="language",
        shows=no_page,
        title=N_("Language"),
        acts={"choose": Act(choose, LanguageForm)},
        open=True,
    ),
)
