"""The week: whether cases are seen, how soon, what doctors say of the AI, which photos are taken again.

Small numbers tell of people: a cell that counts fewer than `LEAST` is shown as "<5", and so is everything
made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, NamedTuple

from markupsafe import Markup
from msgspec import Meta, Struct

from shared.console import charts
from shared.console.page import N_, Page, Response
from shared.console.visit import Visit
from shared.errors import NotFound
from shared.products.dermadetect import days
from shared.products.dermadetect.rights import ReviewAction

#: Fewer cases or photos than this in a cell are not told.
LEAST = 5

#: What is shown instead of a number that small ones could be worked out of.
_HIDDEN = "…"

#: Weeks to choose from.
SPANS = (4, 8, 12, 26)
_USUAL = 8

_HOUR_MS = 3_600_000


class WeekAsked(Struct):
    """Which team (empty: all), and how many weeks."""

    scope: Annotated[str, Meta(max_length=128)] = ""
    weeks: Annotated[int, Meta(ge=1, le=53)] = _USUAL


class Cell(NamedTuple):
    """A number of a table as it is shown, and as it is drawn (None: not told)."""

    shown: str
    drawn: float | None


class Part(NamedTuple):
    """One question: its chart, its table, and what must be said of it."""

    title: str
    explained: str
    heads: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    whole: Sequence[Cell]
    chart: Markup
    series: Sequence[str]


def show_week(visit: Visit, asked: WeekAsked) -> Response:
    """Five questions about the last weeks, the newest below."""
    scopes = visit.scopes(ReviewAction.NUMBERS)
    if asked.scope and asked.scope not in scopes:
        raise NotFound("There is no such team, or none of yours.")
    today = days.day_at(visit.now_ms, visit.words.zone)
    first = days.monday_of(today) - timedelta(weeks=asked.weeks - 1)
    query = {
        "scope": asked.scope,
        "first_day": first.isoformat(),
        "last_day": today.isoformat(),
        "zone": visit.words.zone.key,
    }
    numbers = visit.api.get("/api/v1/review/numbers", **query)
    quality = visit.api.get("/api/v1/review/quality", **query)
    return visit.show(
        "dermadetect/week.html",
        parts_of_week=parts(visit, numbers, quality),
        quality=quality,
        scopes=scopes,
        asked=asked,
        spans=SPANS,
        least=LEAST,
    )


def parts(visit: Visit, numbers: Mapping[str, Any], quality: Mapping[str, Any]) -> list[Part]:
    """The questions, with what is too small left out."""
    say = visit.words.said
    number, percent = visit.words.number, visit.words.percent

    def count(value: int) -> Cell:
        return Cell(f"<{number(LEAST)}", None) if 0 < value < LEAST else Cell(number(value), value)

    def share(some: int, of: int, *others: int) -> Cell:
        if of == 0:
            return Cell("–", None)
        if any(0 < each < LEAST for each in (some, of, *(others or (of - some,)))):
            return Cell(_HIDDEN, None)
        return Cell(percent(some / of), round(100 * some / of, 1))

    def time(week: Mapping[str, Any], name: str) -> Cell:
        if week["waits"] is None:
            return Cell("–", None)
        if week["signed"]["total"] < LEAST:
            return Cell(_HIDDEN, None)
        span_ms = week["waits"][name]
        return Cell(visit.words.duration(span_ms), round(span_ms / _HOUR_MS, 2))

    def coverage(week: Mapping[str, Any]) -> list[Cell]:
        arrived, signed = week["arrived"]["total"], week["signed"]["total"]
        return [count(arrived), count(signed)]

    def waits(week: Mapping[str, Any]) -> list[Cell]:
        return [time(week, "median_ms"), time(week, "p95_ms")]

    def agreement(week: Mapping[str, Any]) -> list[Cell]:
        verdicts = week["verdicts"]
        judged = verdicts["agree"] + verdicts["edit"] + verdicts["reject"]
        return [
            *(count(verdicts[name]) for name in ("agree", "edit", "reject")),
            share(verdicts["agree"], judged, verdicts["edit"], verdicts["reject"]),
        ]

    def retakes(week: Mapping[str, Any]) -> list[Cell]:
        photos = week["photos"]
        checked, retake = photos["checked"], photos["retake"]
        return [count(checked), count(retake), share(retake, checked)]

    def red(week: Mapping[str, Any]) -> list[Cell]:
        confirmed, called = week["red"]["confirmed"], week["red"]["phone_red"]
        return [count(confirmed), count(called), share(called, confirmed)]

    def part(
        title: str,
        explained: str,
        heads: Sequence[str],
        asked: Mapping[str, Any],
        cells: Callable[[Mapping[str, Any]], list[Cell]],
        drawn: Sequence[int],
        draw: Callable[..., Markup],
    ) -> Part:
        rows = [(_monday(visit, week), cells(week)) for week in asked["weeks"]]
        series = {say(heads[at]): [each[at].drawn for _, each in rows] for at in drawn}
        chart = draw([name for name, _ in rows], series, say(title))
        # One hidden number of a column could be worked out of the others and their sum, or share.
        alone = [_hidden(row[at] for _, row in rows) == 1 for at in range(len(heads))]
        hides = [*alone[:-1], any(alone)] if len(heads) > 2 else alone
        sums = zip(cells(asked["all"]), hides, strict=True)
        whole = [Cell(_HIDDEN, None) if hidden else each for each, hidden in sums]
        return Part(title, explained, heads, rows, whole, chart, list(series))

    return [
        part(
            N_("Are all cases seen?"),
            N_(
                "Cases by the week in which phones made them, diagnoses by the week of the first signature."
            ),
            (N_("Cases that arrived"), N_("Cases that were signed")),
            numbers,
            coverage,
            (0, 1),
            charts.bars,
        ),
        part(
            N_("How long do patients wait for a diagnosis?"),
            N_("From the arrival of a case to its first diagnosis. The chart counts hours."),
            (N_("Half waited at most"), N_("Nineteen of twenty waited at most")),
            numbers,
            waits,
            (0, 1),
            charts.lines,
        ),
        part(
            N_("Do doctors agree with the AI?"),
            N_("What the diagnosis that counts says of the analysis."),
            (N_("Agreed"), N_("Edited"), N_("Rejected"), N_("Agreed, of all")),
            numbers,
            agreement,
            (0, 1, 2),
            charts.stacked,
        ),
        part(
            N_("Which photos should be taken again?"),
            N_("Photos that the server has judged, by the week in which phones spoke of them."),
            (N_("Photos judged"), N_("To take again"), N_("To take again, of all")),
            quality,
            retakes,
            (2,),
            charts.lines,
        ),
        part(
            N_("Do phones recognise red cases?"),
            N_(
                "Nobody asks doctors how urgent a case was, so this is the nearest that is known: of the "
                "cases that the AI called red and whose analysis the doctor agreed with, how many the "
                "phone had called red itself. Cases that phone and AI both took for harmless are not in "
                "it: the real share may be lower."
            ),
            (
                N_("Red by AI and doctor"),
                N_("Red by the phone, too"),
                N_("Recognised by the phone"),
            ),
            quality,
            red,
            (0, 1),
            charts.bars,
        ),
    ]


def _hidden(cells: Iterable[Cell]) -> int:
    """How many small numbers of a column are not told."""
    return sum(cell.shown.startswith("<") for cell in cells)


def _monday(visit: Visit, week: Mapping[str, Any]) -> str:
    """The first day of a week, as short as it can be read."""
    return visit.words.short_day(days.day_of(week["first_day"], "first_day"))


PAGES = (
    Page(
        path="week",
        shows=show_week,
        title=N_("The week"),
        asks=WeekAsked,
        right=ReviewAction.NUMBERS,
        menu=N_("Team"),
    ),
)

#: Names of the tables, where pages of the frame name them.
TABLES = (N_("patients"), N_("cases"), N_("diagnoses"), N_("medgemma_queue"))
