"""When doses are due: a plan item's days and times, by the patient's clock, through every change of it.

A dose is named by its item, its day and its place among the day's times: `ITEM_20260329_1`. So another
time of day is the same dose, and no change makes a second one of it:

    a change before it was due      it is due at the new time
    a change after it was due       it stays as it was
    09:00 becomes 08:00 at 08:30    neither time comes any more: it is due at the change
    08:00 becomes 09:00 at 08:30    it came at 08:00, and comes once

Of a wall time that comes twice in autumn the first counts; one that spring leaves out is an hour later that
day. What is taken as needed has no times and no doses here.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.records.wall_time import instant

#: How often; `as_needed` has no times.
FREQUENCIES = ("daily", "every_n_days", "weekly", "monthly", "as_needed")

#: Most times of one day, days between two days of doses, and days that are looked at together.
MOST_TIMES, MOST_EVERY, MOST_DAYS = 24, 366, 3_700

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DoseRule:
    """On which days, and at which times of them. Both ends are inclusive; None: it has no end."""

    first: date
    times: tuple[time, ...]  #: in the order of the day
    frequency: str = "daily"
    every: int = 1  #: days, of `every_n_days`
    weekdays: frozenset[int] = frozenset()  #: 0 is Monday, of `weekly`; none: the first day's
    last: date | None = None
    paused: bool = False

    def holds(self, day: date) -> bool:
        """Whether it has doses on a day. A month without the day has them on its last."""
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


class RuleVersion(NamedTuple):
    """A rule, and since when it counts (Unix ms)."""

    since_ms: int
    rule: DoseRule


class DoseDue(NamedTuple):
    """A dose, and when it is due (Unix ms)."""

    name: str  #: of the item's doses: the day and the place among its times
    at_ms: int


def doses(
    versions: Sequence[RuleVersion], zone: ZoneInfo, first: date, last: date
) -> Iterator[DoseDue]:
    """The doses of an item on some days (both inclusive), in the order of their days and places.

    `versions` are in the order in which they count. Raises `ValueError` for more than `MOST_DAYS` days.
    """
    if (last - first).days >= MOST_DAYS:
        raise ValueError(f"at most {MOST_DAYS} days")
    day = first
    while day <= last:
        yield from _of_day(versions, zone, day)
        day += _DAY


def _of_day(versions: Sequence[RuleVersion], zone: ZoneInfo, day: date) -> Iterator[DoseDue]:
    most = max((len(each.rule.times) for each in versions), default=0)
    for place in range(most):
        at_ms = _due(versions, zone, day, place)
        if at_ms is not None:
            yield DoseDue(f"{day:%Y%m%d}_{place}", at_ms)


def _due(versions: Sequence[RuleVersion], zone: ZoneInfo, day: date, place: int) -> int | None:
    """When a dose is due through all versions; None: it never came to be due.

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
        due_ms = instant(datetime.combine(day, rule.times[place]), zone)
        if due_ms < version.since_ms:
            if not waits:
                continue  # the item, or this dose of it, is younger
            due_ms = version.since_ms
        if ends_ms is None or due_ms < ends_ms:
            return due_ms
        waits = True
    return None
