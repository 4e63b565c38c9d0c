"""A family's values over time, each chart beside its table."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from markupsafe import Markup
from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console import charts
from shared.console.page import N_, Page, Response
from shared.console.visit import Visit
from shared.products.hemoday.pages import forms
from shared.products.hemoday.pages.family import MENU, family_of

#: Years to choose from; 0: all.
SPANS = (1, 2, 5, 0)

TITLES = {
    "haemoglobin_before": N_("Haemoglobin before transfusions"),
    "haemoglobin_after": N_("Haemoglobin after transfusions"),
    "ferritin": N_("Ferritin"),
    "volume_per_kg_rolling": N_("Blood for each kg in the year before"),
    "volume_per_kg_year": N_("Blood for each kg, by calendar year"),
    "interval": N_("Days since the transfusion before"),
}

UNITS = {"mL/kg": N_("ml for each kg"), "d": N_("days")}

LOW, HIGH = N_("Range, low"), N_("Range, high")

#: Rows of a table beside its chart, the newest.
_ROWS = 12


class ChartsAsked(Struct):
    """Of which family, how many years, and which other indicator."""

    scope: Annotated[str, Meta(max_length=2000)] = ""
    years: Annotated[int, Meta(ge=0, le=100)] = 2
    indicator: Annotated[str, Meta(max_length=200)] = ""


def show_charts(visit: Visit, asked: ChartsAsked) -> Response:
    """The usual series, or one indicator that is asked for."""
    scope = family_of(visit, Action.READ, asked.scope)
    zone = visit.words.zone
    query: dict[str, object] = {"scope": scope, "time_zone": zone.key}
    if asked.years:
        first = visit.now_ms - timedelta(days=round(365.25 * asked.years)) / timedelta(
            milliseconds=1
        )
        query["first_day"] = forms.day(first, zone)
    if asked.indicator.strip():
        query["indicator"] = asked.indicator.strip()
    found = visit.api.get("/api/v1/series", **query)
    return visit.show(
        "hemoday/charts.html",
        scope=scope,
        asked=asked,
        spans=SPANS,
        shown=[_chart(visit, each) for each in found["series"]],
    )


def _chart(visit: Visit, series: dict[str, Any]) -> dict[str, Any]:
    """A series with its chart, its title in words and the newest rows of its table."""
    points = series["points"]
    title = visit.words.said(TITLES.get(series["kind"], "")) or series["name"]
    unit = visit.words.said(UNITS[series["unit"]]) if series["unit"] in UNITS else series["unit"]
    return {
        "kind": series["kind"],
        "title": title,
        "unit": unit,
        "drawn": _drawn(visit, series["kind"], points, title),
        "rows": points[: -_ROWS - 1 : -1],
        "more": max(0, len(points) - _ROWS) + series["left_off"],
        "unplaced": series["unplaced"],
    }


def _drawn(visit: Visit, kind: str, points: list[dict[str, Any]], title: str) -> Markup:
    """Values as a line, years as bars; where there are ranges, their ends as further lines."""
    if kind == "volume_per_kg_year":
        years = [visit.words.year(each["at"]) for each in points]
        return charts.bars(years, {title: [each["value"] for each in points]}, title)
    lines = {title: [(each["at"], each["value"]) for each in points]}
    for name, end in ((LOW, "low"), (HIGH, "high")):
        ends = [(each["at"], each[end]) for each in points if each[end] is not None]
        if ends:
            lines[visit.words.said(name)] = ends
    return charts.over_time(lines, title, lambda at: visit.words.day(round(at)))


PAGES = (
    Page(
        path="charts",
        shows=show_charts,
        title=N_("Charts"),
        asks=ChartsAsked,
        right=Action.READ,
        menu=MENU,
    ),
)
