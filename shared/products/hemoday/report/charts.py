"""Where the parts of a chart are: all in shares of its frame, x from the left, y from below.

A point's shape says where the value lies, so that it is seen in grey, too: a circle in its range or without
one, a triangle up or down beyond it, hollow where it is a bound or not a whole year's, a cross where it is
asked about. The scale is made of what is not asked about; a point beyond it stands at the edge, with its
number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from math import ceil, floor
from typing import Any, NamedTuple

from shared.products.hemoday.indicators import number
from shared.products.hemoday.series import Period, Series, SeriesPoint

#: Labels of an axis, at most.
_MOST_DAYS, _MOST_VALUES = 5, 6

#: Months between two labels.
_STEPS = (1, 2, 3, 6, 12, 24, 60, 120)

#: Values that differ by less than this share of them are one for a scale.
_ALIKE = Decimal("1e-9")

#: The room that a number beside a point takes, and how many points are drawn smaller.
_ROOM, _MANY = 0.15, 40

#: A line is not drawn over a longer gap than this, days: nobody knows what was between.
_GAP_DAYS = 200

_SHAPES = {"low": "down", "high": "up", "in": "circle", None: "circle"}


class Days(NamedTuple):
    """The time axis that all charts of a report share."""

    first: date
    last: date

    def at(self, day: date) -> float:
        """Where a day is."""
        return (day - self.first).days / max(1, (self.last - self.first).days)

    def labels(self, month: Callable[[date], str]) -> list[dict[str, Any]]:
        """Months that are named below it."""
        months = (self.last.year - self.first.year) * 12 + self.last.month - self.first.month
        step = next((each for each in _STEPS if months / each < _MOST_DAYS), 240)
        found = []
        count = self.first.year * 12 + self.first.month - 1
        for at in range(count + (-count) % min(step, 12), self.last.year * 12 + self.last.month):
            day = date(at // 12, at % 12 + 1, 1)
            here = at % step == 0 if step <= 12 else at % 12 == 0 and at // 12 % (step // 12) == 0
            if here and self.first <= day <= self.last:
                found.append({"x": self.at(day), "text": month(day)})
        return found


def days_of(series: Sequence[Series], period: Period) -> Days | None:
    """The axis of all that is shown: the period, else what there is; None: there is nothing."""
    met = [period.day(point.at) for each in series for point in each.points]
    if not met:
        return None
    first, last = period.first or min(met), period.last or max(met)
    return Days(first, last) if first < last else Days(first - timedelta(30), last + timedelta(30))


def chart(
    series: Series, days: Days, period: Period, written: Callable[[Decimal], str], *, joined: bool
) -> dict[str, Any]:
    """The parts of one chart; `joined`: points are joined by a line, else they stand on bars."""
    sure = [each for each in series.points if each.question is None] or series.points
    numbers = [number(each.value) for each in sure]
    ends = [number(end) for each in sure for end in (each.low, each.high) if end is not None]
    scale = _scale([*numbers, *ends], from_zero=not joined)
    step = scale[1] - scale[0]
    if scale[0] in ends and scale[0] > 0:  # a range that only touches the frame is not seen
        scale = [scale[0] - step, *scale]
    if scale[-1] in ends:
        scale = [*scale, scale[-1] + step]
    low, high = scale[0], scale[-1]

    def height(value: Decimal) -> float:
        return float((min(max(value, low), high) - low) / (high - low))

    points: list[dict[str, Any]] = []
    named = -1.0  # where the last number beyond the scale was written
    for each in series.points:
        value, x = number(each.value), days.at(period.day(each.at))
        beyond = not low <= value <= high and x - named > _ROOM
        if beyond:
            named = x
        points.append(
            {
                "x": x,
                "y": height(value),
                "shape": "cross" if each.question else _SHAPES[each.place],
                "hollow": bool(each.comparator) or each.partial,
                "text": written(value) if beyond else "",
            }
        )
    lines = [
        [points[at]["x"], points[at]["y"], points[at + 1]["x"], points[at + 1]["y"]]
        for at, (one, two) in enumerate(pairwise(series.points))
        if joined and not one.question and not two.question and _near(one, two, period)
    ]
    return {
        "points": points,
        "lines": lines,
        "bars": not joined,
        "size": 4.2 if len(points) <= _MANY else 2.8,
        "bands": _bands(series.points, points, height, low, high),
        "scale": [{"y": height(each), "text": written(each)} for each in scale],
    }


def _near(one: SeriesPoint, two: SeriesPoint, period: Period) -> bool:
    return (period.day(two.at) - period.day(one.at)).days <= _GAP_DAYS


def _bands(
    series: Sequence[SeriesPoint],
    points: Sequence[dict[str, Any]],
    height: Callable[[Decimal], float],
    low: Decimal,
    high: Decimal,
) -> list[list[float]]:
    """Ranges, each from half-way to the point before to half-way to the next: [x, y, x, y]."""
    edges = [0.0, *((one["x"] + two["x"]) / 2 for one, two in pairwise(points)), 1.0]
    found: list[list[float]] = []
    for place, each in enumerate(series):
        if each.whose is None:
            continue
        bottom = height(low if each.low is None else number(each.low))
        top = height(high if each.high is None else number(each.high))
        last = found[-1] if found else None
        if last and last[2] == edges[place] and last[1] == bottom and last[3] == top:
            last[2] = edges[place + 1]
        else:
            found.append([edges[place], bottom, edges[place + 1], top])
    return found


def _scale(values: Sequence[Decimal], *, from_zero: bool) -> list[Decimal]:
    """Round numbers around some values: 2 to 6 of them, at equal distances."""
    low, high = (min(values), max(values)) if values else (Decimal(0), Decimal(1))
    if from_zero or (low >= 0 and low < high / 4):
        low = min(Decimal(0), low)
    if high - low <= abs(high) * _ALIKE:
        low, high = low - max(Decimal(1), abs(low) / 10), high + max(Decimal(1), abs(high) / 10)
    unit = Decimal(10) ** (high - low).adjusted() / 10
    for factor in (1, 2, 5, 10, 20, 50, 100):
        step = unit * factor
        first, last = floor(low / step), ceil(high / step)
        if last - first < _MOST_VALUES:
            return [step * at for at in range(first, last + 1)]
    return [low, high]
