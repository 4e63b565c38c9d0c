"""A doctor's own numbers by week: what she signed, how long it waited, whether she and the AI agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any

from markupsafe import Markup
from msgspec import Meta, Struct

from shared.console import charts
from shared.console.page import N_, Page, Response
from shared.console.visit import Visit
from shared.products.dermadetect import days
from shared.products.dermadetect.pages.case_words import RISKS
from shared.products.dermadetect.rights import ReviewAction

#: Numbers of weeks to choose from.
SPANS = (4, 12, 26, 52)

_HOUR_MS = 3_600_000

VERDICTS = {
    "agree": N_("Agreed"),
    "edit": N_("Corrected"),
    "reject": N_("Rejected"),
    "none": N_("Nothing said"),
}

WAITS = {"median_ms": N_("Median"), "p90_ms": N_("9 of 10 within")}

TOTAL, AGREEMENT = N_("Total"), N_("Agreement")


class NumbersChosen(Struct):
    """Of how many weeks."""

    weeks: Annotated[int, Meta(ge=1, le=52)] = 12


def show_own_numbers(visit: Visit, asked: NumbersChosen) -> Response:
    """Weeks until today, in the console's time zone."""
    zone = visit.words.zone
    today = days.day_at(visit.now_ms, zone)
    first = days.monday_of(today) - timedelta(weeks=asked.weeks - 1)
    found = visit.api.get(
        "/api/v1/review/numbers",
        own="1",
        zone=zone.key,
        first_day=first.isoformat(),
        last_day=today.isoformat(),
    )
    weeks = [
        {**week, "begins": days.begins_ms(days.day_of(week["first_day"], "first_day"), zone)}
        for week in found["weeks"]
    ]
    whole = found["all"]
    return visit.show(
        "dermadetect/own-numbers.html",
        weeks=weeks,
        whole=whole,
        drawn=_charts(visit, weeks) if whole["signed"]["total"] else {},
        spans=SPANS,
        asked=asked,
        risks=RISKS,
        verdicts=VERDICTS,
        waits=WAITS,
        total=TOTAL,
        agreement=AGREEMENT,
    )


def _charts(visit: Visit, weeks: Sequence[Mapping[str, Any]]) -> dict[str, Markup]:
    """Charts of the table's columns: what was signed, waits in hours, agreement in per cent."""
    labels = [week["week"][5:] if not at % _every(weeks) else ""
              for at, week in enumerate(weeks)]  # fmt: skip
    said = visit.words.said

    def hours(name: str) -> list[float | None]:
        return [
            None if week["waits"] is None else round(week["waits"][name] / _HOUR_MS, 1)
            for week in weeks
        ]

    signed = {
        said(label): [week["signed"][risk] for week in weeks] for risk, label in RISKS.items()
    }
    waits = {said(label): hours(name) for name, label in WAITS.items()}
    agreed = [week["verdicts"]["agreement"] for week in weeks]
    percent = [None if part is None else round(part * 100) for part in agreed]
    return {
        "signed": charts.stacked(labels, signed, said(N_("Signed by risk"))),
        "waits": charts.lines(labels, waits, said(N_("Time to the diagnosis, hours"))),
        "agreement": charts.bars(
            labels, {said(AGREEMENT): percent}, said(N_("Agreement with the AI, per cent"))
        ),
    }


def _every(weeks: Sequence[object]) -> int:
    """Which labels there is room for."""
    return -(-len(weeks) // 13)


PAGES = (
    Page(
        path="my-numbers",
        shows=show_own_numbers,
        title=N_("My numbers"),
        asks=NumbersChosen,
        right=ReviewAction.DIAGNOSE,
        menu=N_("Patients"),
    ),
)
