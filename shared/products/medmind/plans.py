"""When doses are due: a plan item's days and times, by the patient's clock, through every change of it.

A dose is named by its item, its day and its place among the day's times: `ITEM_20260329_1`. So another
time of day is the same dose, and no change makes a second one of it:

    a change before it was due      it is due at the new time
    a change after it was due       it stays as it was
    09:00 becomes 08:00 at 08:30    neither time comes any more: it is due at the change
    several are jumped over         the last of them is due at the change, the others are left out:
                                    what was to be hours apart is never due at one moment
    08:00 becomes 09:00 at 08:30    it came at 08:00, and comes once
    another clock (travel)          the same rules: the wall time stays, each day of it has its doses once

Of a wall time that comes twice in autumn the first counts; one that spring leaves out is an hour later that
day.

Hours between doses are elapsed time, from the first dose on, whatever clocks do. Such a dose is named by
its moment, in UTC: `ITEM_20260329_0630`. After a change the next one is the first of the new row of moments
that is a whole interval after the last dose that came: never sooner.

What is taken as needed has no times and no doses here.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.records.wall_time import instant

#: How often; `as_needed` has no times, `every_n_hours` has the first dose's.
FREQUENCIES = ("daily", "every_n_days", "weekly", "monthly", "every_n_hours", "as_needed")

#: Most times of one day, days or hours between two doses, and days that are looked at together.
MOST_TIMES, MOST_EVERY, MOST_DAYS = 24, 366, 3_700

#: Years that the days of a plan may be in; others are slips of the keyboard.
YEARS = range(1900, 3000)

_DAY = timedelta(days=1)
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000


@dataclass(frozen=True, slots=True)
class DoseRule:
    """On which days, and at which times of them. Both ends are inclusive; None: it has no end."""

    first: date
    times: tuple[time, ...]  #: in the order of the day
    frequency: str = "daily"
    every: int = 1  #: days of `every_n_days`, hours of `every_n_hours`
    weekdays: frozenset[int] = frozenset()  #: 0 is Monday, of `weekly`; none: the first day's
    last: date | None = None
    paused: bool = False
    zone: ZoneInfo | None = None  #: of the clock that it goes by; None: that of whoever asks

    def holds(self, day: date) -> bool:
        """Whether it has doses at times of a day. A month without the day has them on its last."""
        if self.paused or day < self.first or (self.last is not None and day > self.last):
            return False
        match self.frequency:
            case "daily":
                return True
            case "every_n_days":
                return (day - self.first).days % max(1, self.every) == 0
            case "weekly":
                return day.weekday() in (self.weekdays or {self.first.weekday()})
            case "monthly":
                return day.day == min(self.first.day, monthrange(day.year, day.month)[1])
            case _:
                return False

    @property
    def by_hours(self) -> bool:
        """Whether it has doses at moments, so many hours apart."""
        return self.frequency == "every_n_hours" and bool(self.times) and not self.paused


class RuleVersion(NamedTuple):
    """A rule, and since when it counts (Unix ms)."""

    since_ms: int
    rule: DoseRule


class DoseDue(NamedTuple):
    """A dose, and when it is due (Unix ms)."""

    name: str  #: of the item's doses: the day and the place among its times, or the day and its moment
    at_ms: int


def doses(
    versions: Sequence[RuleVersion], zone: ZoneInfo, first: date, last: date
) -> Iterator[DoseDue]:
    """The doses of an item on some days (both inclusive): those at times, by day and place; then others.

    `versions` are in the order in which they count, `zone` is of those that have none. Days of doses that
    are hours apart are days of UTC. Raises `ValueError` for more than `MOST_DAYS` days.
    """
    if (last - first).days >= MOST_DAYS:
        raise ValueError(f"at most {MOST_DAYS} days")
    found = [
        (DoseDue(f"{day:%Y%m%d}_{place}", due[0]), due[1])
        for day in _days(first, last)
        for place, due in _of_day(versions, zone, day)
    ]
    last_jumped = {each.at_ms: each.name for each, jumped in found if jumped}
    for each, jumped in found:
        if not jumped or last_jumped[each.at_ms] == each.name:
            yield each
    if any(each.rule.by_hours for each in versions):
        for at_ms in _by_hours(versions, zone, _midnight(first), _midnight(last + _DAY)):
            yield DoseDue(f"{_moment(at_ms):%Y%m%d_%H%M}", at_ms)


def _days(first: date, last: date) -> Iterator[date]:
    day = first
    while day <= last:
        yield day
        day += _DAY


def _of_day(
    versions: Sequence[RuleVersion], zone: ZoneInfo, day: date
) -> Iterator[tuple[int, tuple[int, bool]]]:
    """The places of a day that come to be due, with when, and whether a change jumped over it."""
    most = max((len(each.rule.times) for each in versions), default=0)
    for place in range(most):
        due = _due(versions, zone, day, place)
        if due is not None:
            yield place, due


def _due(
    versions: Sequence[RuleVersion], zone: ZoneInfo, day: date, place: int
) -> tuple[int, bool] | None:
    """When a dose is due through all versions, and whether at a change; None: it never came to be due.

    The first version in whose time it is due decides. Where a change jumps over it, it is due at the
    change.
    """
    waits = False  #: whether the version before would have had it, later than its end
    for at, version in enumerate(versions):
        ends_ms = versions[at + 1].since_ms if at + 1 < len(versions) else None
        rule = version.rule
        if not rule.holds(day) or place >= len(rule.times):
            waits = False
            continue
        due_ms = instant(datetime.combine(day, rule.times[place]), rule.zone or zone)
        jumped = due_ms < version.since_ms
        if jumped:
            if not waits:
                continue  # the item, or this dose of it, is younger
            due_ms = version.since_ms
        if ends_ms is None or due_ms < ends_ms:
            return due_ms, jumped
        waits = True
    return None


def _by_hours(
    versions: Sequence[RuleVersion], zone: ZoneInfo, from_ms: int, to_ms: int
) -> Iterator[int]:
    """Moments of doses that are hours apart, from one moment on and before another, in order."""
    came_ms: int | None = None  #: when the last dose of earlier versions came
    for number, (since_ms, rule) in enumerate(versions):
        until_ms = versions[number + 1].since_ms if number + 1 < len(versions) else to_ms
        if not rule.by_hours:
            if number + 1 < len(versions):
                before_ms = _last_by_clock(versions, zone, number, until_ms)
                came_ms = before_ms if before_ms is not None else came_ms
            continue
        step_ms, clock = max(1, rule.every) * _HOUR_MS, rule.zone or zone
        starts_ms = instant(datetime.combine(rule.first, rule.times[0]), clock)
        if rule.last is not None:
            until_ms = min(until_ms, instant(datetime.combine(rule.last + _DAY, time(0)), clock))
        least_ms = since_ms if came_ms is None else max(since_ms, came_ms + step_ms)
        at_ms = starts_ms + max(0, -(-(least_ms - starts_ms) // step_ms)) * step_ms
        if at_ms < until_ms:
            came_ms = at_ms + (until_ms - 1 - at_ms) // step_ms * step_ms
            at_ms += max(0, -(-(from_ms - at_ms) // step_ms)) * step_ms
            yield from range(at_ms, min(until_ms, to_ms), step_ms)


def _last_by_clock(
    versions: Sequence[RuleVersion], zone: ZoneInfo, number: int, before_ms: int
) -> int | None:
    """When the last dose at a time of day came in a version; None: none in the longest interval."""
    since_ms, rule = versions[number]
    if rule.by_hours or rule.paused or not rule.times:
        return None
    last = _moment(before_ms).date() + _DAY
    first = max(
        _moment(max(since_ms, 0)).date() - _DAY, last - timedelta(hours=MOST_EVERY) - 2 * _DAY
    )
    came = (
        due[0]
        for day in _days(first, last)
        for _, due in _of_day(versions[: number + 1], zone, day)
        if since_ms <= due[0] < before_ms
    )
    return max(came, default=None)


def _midnight(day: date) -> int:
    return instant(datetime.combine(day, time(0)), ZoneInfo("UTC"))


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
