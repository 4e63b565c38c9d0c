"""A week of doses as a grid, with its numbers."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console import charts
from shared.console.page import N_, Page, Response
from shared.console.visit import Visit
from shared.errors import InvalidRequest
from shared.products.medmind.pages.circle import (
    Adherence,
    CircleClock,
    adherence,
    circle_of,
    clock_of,
    in_words,
)
from shared.products.medmind.pages.words import MENU, STATES

_DAYS = 7

#: Digits of a moment in the name of a dose; places among the times of a day have fewer.
_MOMENT = 4


class CircleWeekAsked(Struct):
    """Of which circle, and its last day; empty: today."""

    scope: Annotated[str, Meta(max_length=2000)] = ""
    last: Annotated[str, Meta(max_length=10)] = ""


def show_week(visit: Visit, asked: CircleWeekAsked) -> Response:
    """Seven days, the newest at the top."""
    scope = circle_of(visit, asked.scope)
    found, before, last = two_spans(visit, scope, asked.last, _DAYS)
    clock = clock_of(visit, found["time_zone"])
    days = [last - timedelta(at) for at in range(_DAYS)]
    by_day = of_days(found["doses"], clock)
    planned = [each for each in found["doses"] if not each["as_needed"]]
    slots = _slots(planned, clock)
    summaries, insights = in_words(visit, scope, 1)
    numbers = {day: adherence(by_day.get(day, ())) for day in days}
    return visit.show(
        "medmind/week.html",
        scope=scope,
        patient=found["patient"],
        days=days,
        slots=slots,
        cells=_cells(planned, clock),
        beside=[each for each in found["doses"] if each["as_needed"]],
        numbers=adherence(found["doses"]),
        before=adherence(before["doses"]),
        drawn=drawn(visit, numbers),
        earlier=days[-1] - timedelta(1),
        later=last + timedelta(_DAYS) if last.isoformat() < found["today"] else None,
        clock=clock,
        summaries=summaries,
        insights=insights,
        states=STATES,
    )


def two_spans(visit: Visit, scope: str, last: str, days: int) -> tuple[Any, Any, date]:
    """Doses of so many days until `last` (empty: today), and of as many before."""
    try:
        end = date.fromisoformat(
            last or visit.api.get("/api/v1/circle/doses", scope=scope)["today"]
        )
    except ValueError:
        raise InvalidRequest(N_("This must be a day: YYYY-MM-DD."), field="last") from None

    def doses(end: date) -> Any:
        first = end - timedelta(days - 1)
        return visit.api.get(
            "/api/v1/circle/doses",
            scope=scope,
            first_day=first.isoformat(),
            last_day=end.isoformat(),
        )

    return doses(end), doses(end - timedelta(days)), end


def of_days(doses: list[dict[str, Any]], clock: CircleClock) -> dict[date, list[dict[str, Any]]]:
    """Doses by the day of the patient's clock."""
    found: dict[date, list[dict[str, Any]]] = {}
    for each in doses:
        found.setdefault(clock.day_of(each["due_at"]), []).append(each)
    return found


def drawn(visit: Visit, numbers: dict[date, Adherence]) -> Any:
    """What became of the doses of each day, as bars."""
    days = sorted(numbers)
    series = {
        visit.words.said(STATES[name].name): [getattr(numbers[day], name) for day in days]
        for name in Adherence._fields
    }
    labels = [
        visit.words.week_day(day) if len(days) <= _DAYS or at % 7 == 0 else ""
        for at, day in enumerate(days)
    ]
    return charts.stacked(labels, series, visit.words.said(N_("Doses of each day")))


def _slot(dose: dict[str, Any]) -> tuple[str, str]:
    """The item, and the place among its day's times; none, where doses are hours apart."""
    place = dose["id"].rpartition("_")[2]
    return dose["item_id"], place if len(place) < _MOMENT else ""


def _cells(
    doses: list[dict[str, Any]], clock: CircleClock
) -> dict[tuple[date, tuple[str, str]], list[dict[str, Any]]]:
    """Doses by day and column."""
    found: dict[tuple[date, tuple[str, str]], list[dict[str, Any]]] = {}
    for each in doses:
        found.setdefault((clock.day_of(each["due_at"]), _slot(each)), []).append(each)
    return found


def _slots(
    doses: list[dict[str, Any]], clock: CircleClock
) -> list[tuple[tuple[str, str], str, str]]:
    """Columns of the grid in the order of the day: which one, the medicine, its newest time."""
    newest = {_slot(each): each for each in doses}
    order = sorted(newest, key=lambda slot: (clock.wall(newest[slot]["due_at"]), slot))
    return [
        (
            slot,
            f"{newest[slot]['medicine']} {newest[slot]['strength'] or ''}".strip(),
            clock.shows(newest[slot]["due_at"]) if slot[1] else "",
        )
        for slot in order
    ]


PAGES = (
    Page(
        path="week",
        shows=show_week,
        title=N_("Week"),
        asks=CircleWeekAsked,
        right=Action.READ,
        menu=MENU,
    ),
)
