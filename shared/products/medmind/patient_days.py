"""The days of a patient: by the clock of the place where they are, through daylight saving and travel.

    a common day       24 hours; 23 or 25 where the clock is set
    flies west         the day on which it happens is longer
    flies east         it is shorter; a day that is left out on the way has no time at all
    back over midnight a day that has begun goes on: no day comes twice

So each moment is of exactly one day. A zone counts from when the server heard of it: days that are over
stay as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.records.wall_time import instant

DAY = timedelta(days=1)


class ZoneSince(NamedTuple):
    """Where a patient is, and since when (Unix ms)."""

    since_ms: int
    zone: ZoneInfo


class PatientClock:
    """The clock that a patient goes by. The first zone counts for all that was before, too."""

    def __init__(self, zones: Sequence[ZoneSince]) -> None:
        """`zones`: at least one, in the order of time."""
        self._zones = [zones[0]._replace(since_ms=-(10**15)), *zones[1:]]

    def starts_ms(self, day: date) -> int:
        """When a day begins, Unix ms: as soon as the clock shows it, or a later one."""
        midnight = datetime.combine(day, time(0))
        firsts = []
        for at, (since_ms, zone) in enumerate(self._zones):
            first_ms = max(instant(midnight, zone), since_ms)
            if at + 1 == len(self._zones) or first_ms < self._zones[at + 1].since_ms:
                firsts.append(first_ms)
        return min(firsts)

    def day_of(self, at_ms: int) -> date:
        """The day of a moment (Unix ms)."""
        shown = [
            _shown(min(at_ms, self._until_ms(at) - 1), zone)
            for at, (since_ms, zone) in enumerate(self._zones)
            if since_ms <= at_ms
        ]
        day = max(shown)
        return day + DAY if self.starts_ms(day + DAY) <= at_ms else day

    def zone_at(self, at_ms: int) -> ZoneInfo:
        """Where the patient is at a moment."""
        return [zone for since_ms, zone in self._zones if since_ms <= at_ms][-1]

    def _until_ms(self, at: int) -> int:
        return self._zones[at + 1].since_ms if at + 1 < len(self._zones) else 10**15


def span(first: date, last: date) -> Iterator[date]:
    """The days from one to another, both inclusive."""
    for number in range((last - first).days + 1):
        yield first + timedelta(number)


def runs(days: Iterable[date]) -> Iterator[tuple[date, date]]:
    """Days that follow each other, as their first and last."""
    first = last = None
    for day in sorted(days):
        if first is None or last is None:
            first = last = day
        elif day > last + DAY:
            yield first, last
            first = last = day
        else:
            last = day
    if first is not None and last is not None:
        yield first, last


def monday(day: date) -> date:
    """The Monday of a day's ISO week."""
    return day - timedelta(day.weekday())


def week_name(day: date) -> str:
    """The ISO 8601 week of a day: 2026-W13. The year is that of its Thursday."""
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"


def _shown(at_ms: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).date()
