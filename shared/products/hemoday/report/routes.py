"""`GET /api/v1/report`: the doctor's report of a family, as a PDF."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from msgspec import UNSET, Struct, UnsetType

from shared.access import audit
from shared.api.fields import says
from shared.api.routes import Route
from shared.api.web import Call, Response, download
from shared.errors import NotFound, StoreUnavailable
from shared.products.hemoday.asked import Scope, family_of
from shared.products.hemoday.household import Households
from shared.products.hemoday.series import Day, Period, Zone
from shared.products.product import Parts

#: The days of a report that names none.
_USUAL = timedelta(days=365)

#: What Typst sets.
SOURCE = Path(__file__).with_name("report.typ")

LANGUAGES = ("en", "ru", "ar", "hi")


class ReportAsked(Struct):
    """Of which family, which days, in which language."""

    scope: Scope = UNSET
    first_day: Annotated[
        Day | UnsetType, says("The first day; absent: a year before the last.")
    ] = UNSET
    last_day: Annotated[Day | UnsetType, says("The last day, inclusive; absent: today.")] = UNSET
    time_zone: Annotated[Zone | UnsetType, says("Absent: UTC.")] = UNSET
    language: Annotated[Literal["en", "ru", "ar", "hi"] | UnsetType, says("Absent: English.")] = (
        UNSET
    )


def routes(parts: Parts, households: Households) -> tuple[Route, ...]:
    """The report's route."""

    def get_report(call: Call, asked: ReportAsked) -> Response:
        """The report for the doctor.

        A PDF, tagged for screen readers (PDF/UA-1), to be shown and printed: one page that sums up, charts,
        tables, and how values were converted. It says what the family entered, and what is asked about it.
        """
        from shared.console.words import words_of
        from shared.export.pdf import pdf
        from shared.products.hemoday.report.content import content

        scope, now_ms = family_of(parts.store(), call.caller, asked.scope), parts.clock_ms()
        period = Period.of(asked.first_day, asked.last_day, asked.time_zone)
        last = period.last or period.day(now_ms)
        period = period._replace(first=period.first or last - _USUAL, last=last)
        language = asked.language if isinstance(asked.language, str) else LANGUAGES[0]
        words = words_of(language, (Path(__file__).parent,), period.zone.key)
        found = content(households.of(scope), period, words, now_ms)
        made = pdf(SOURCE, found.data, now_ms)
        audit.reading(parts.store(), call.caller, "read_report", {scope: found.touched}, now_ms)
        call.notes["bytes"] = len(made)
        return download(made, f"hemoday-{period.first}-{period.last}.pdf", "application/pdf")

    return (
        Route(
            "GET",
            "/api/v1/report",
            get_report,
            name="getReport",
            asks=ReportAsked,
            gives=bytes,
            media="application/pdf",
            faults=("invalid_request", NotFound, StoreUnavailable),
        ),
    )
