"""The doctor's report: which days, in which language; then it is a file."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page, Response
from shared.console.visit import Visit
from shared.products.hemoday.pages import forms
from shared.products.hemoday.pages.family import MENU, family_of

#: How far back the form begins, ms: a year.
_USUAL_MS = 365 * 86_400_000

_Day = Annotated[str, Meta(max_length=20)]


class ReportPageAsked(Struct):
    """Of which family."""

    scope: Annotated[str, Meta(max_length=2000)] = ""


class ReportForm(Struct):
    """Which days, and in which language: the doctor's may be another than the reader's."""

    first_day: _Day = ""
    last_day: _Day = ""
    language: Annotated[str, Meta(max_length=16)] = ""


def show_report(visit: Visit, asked: ReportPageAsked) -> Response:
    """The form."""
    zone = visit.words.zone
    return visit.show(
        "hemoday/report.html",
        scope=family_of(visit, Action.READ, asked.scope),
        first=forms.day(visit.now_ms - _USUAL_MS, zone),
        last=forms.day(visit.now_ms, zone),
    )


def make(visit: Visit, asked: ReportPageAsked, form: ReportForm) -> Response:
    """The file."""
    found = visit.api.file(
        "/api/v1/report",
        scope=family_of(visit, Action.READ, asked.scope),
        first_day=form.first_day,
        last_day=form.last_day,
        language=form.language or visit.words.language,
        time_zone=visit.words.zone.key,
    )
    name = found.headers["Content-Disposition"].partition('filename="')[2].rstrip('"')
    return visit.download(found.get_data(), name, "application/pdf")


PAGES = (
    Page(
        path="report",
        shows=show_report,
        title=N_("Report for the doctor"),
        asks=ReportPageAsked,
        acts={"make": Act(make, ReportForm)},
        right=Action.READ,
        menu=MENU,
    ),
)
