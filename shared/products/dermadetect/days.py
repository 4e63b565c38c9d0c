"""Days and weeks as people name them: dates in a time zone, weeks that begin on Monday (ISO 8601).

A day begins at midnight of its zone, whatever the clocks do in it: a day may have 23 or 25 hours, and
neighbouring days neither overlap nor leave a gap. Without a zone, days are those of UTC.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from typing import NamedTuple

from shared.errors import InvalidRequest

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

#: Days before and after these are slips of the keyboard.
_FIRST, _LAST = date(1970, 1, 2), date(2999, 12, 31)


class Week(NamedTuple):
    """A week, or the part of it that was asked for: its days, both inclusive, and their times in ms."""

    name: str  #: 2026-W10
    first_day: date
    last_day: date
    from_ms: int  #: inclusive
    until_ms: int  #: exclusive


def zone_of(name: str) -> tzinfo:
    """The zone of a name of the IANA database. Raises `InvalidRequest`."""
    if name == "UTC":
        return UTC
    if name not in _zones():
        raise InvalidRequest(
            "zone must be a name of the IANA time zone database, like Africa/Nairobi, or UTC.",
            field="zone",
        )
    return zoneinfo.ZoneInfo(name)


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def day_of(text: str, field: str) -> date:
    """A date like 2026-03-02. Raises `InvalidRequest`."""
    try:
        found = date.fromisoformat(text) if _DAY.fullmatch(text) and text.isascii() else None
    except ValueError:
        found = None
    if found is None or not _FIRST <= found <= _LAST:
        raise InvalidRequest(f"{field} must be a day like 2026-03-02.", field=field)
    return found


def begins_ms(day: date, zone: tzinfo) -> int:
    """When a day begins, ms."""
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def ends_ms(day: date, zone: tzinfo) -> int:
    """When a day has ended, ms: the first moment of the next one."""
    return begins_ms(day + timedelta(days=1), zone)


def day_at(at_ms: int, zone: tzinfo) -> date:
    """The day of a moment."""
    return datetime.fromtimestamp(at_ms / 1000, zone).date()


def monday_of(day: date) -> date:
    """The day on which the week of a day begins."""
    return day - timedelta(days=day.weekday())


def weeks(first_day: date, last_day: date, zone: tzinfo) -> Iterator[Week]:
    """The weeks from one day to another, both inclusive, in order; the outer ones may be parts."""
    begins = first_day
    while begins <= last_day:
        ends = min(monday_of(begins) + timedelta(days=6), last_day)
        year, number, _ = begins.isocalendar()
        name = f"{year}-W{number:02}"
        yield Week(name, begins, ends, begins_ms(begins, zone), ends_ms(ends, zone))
        begins = ends + timedelta(days=1)
