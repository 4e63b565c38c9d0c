"""When a reminder is due: a subset of RFC 5545's recurrence, in the wall time of a time zone.

Times are expanded as a clock on the wall shows them, without a zone, and each is then one instant:

    it comes once             that instant
    it comes twice (autumn)   the first one (RFC 5545, 3.3.5); the second where the reminder was set for it
    it never comes (spring)   read with the offset before the change (the same), so 02:30 is 03:30 that day
    the day never comes       (Samoa, 30 December 2011) as above; what falls on an instant that is taken
                              already is left out: no instant comes twice
    the month has no 31st     the month's last day, and the 31st again in the next one that has it
                              (RFC 7529: SKIP=BACKWARD): a monthly reminder comes every month

The wall time stays when summer time begins. Who travels keeps the reminder's zone until they choose
another. An occurrence is named by its wall time (`Occurrence.name`), which no later change of the rules of
a zone alters.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from shared.records.wall_time import instant, zone_named

#: Longest distance between two occurrences, in units of the frequency; most of them that COUNT may ask for.
MOST_INTERVAL, MOST_COUNT = 366, 10_000

#: How far a wall time may be from the same figures in UTC, with a day that never comes.
_SLACK = timedelta(days=3)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_YEAR = 9990

_PART = re.compile(r"(FREQ|INTERVAL|COUNT|UNTIL)=([A-Z0-9]{1,20})")
_NAMED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d", re.ASCII)
_UNTIL = "%Y%m%dT%H%M%SZ"


class NoRule(ValueError):
    """A text is no rule of the subset; the message says what is."""


class Occurrence(NamedTuple):
    """One time that it is due."""

    at_ms: int  #: Unix ms
    wall: datetime  #: what the clock of the zone was asked for, without a zone

    @property
    def name(self) -> str:
        """Names it for good: `2026-03-29T02:30`."""
        return self.wall.isoformat(timespec="minutes")


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A rule. `start` is the first wall time, without a zone, and is always one of them."""

    start: datetime
    zone: ZoneInfo
    frequency: str = "ONCE"  #: or DAILY, WEEKLY, MONTHLY
    interval: int = 1
    count: int | None = None
    until_ms: int | None = None  #: the last instant that it may be, Unix ms

    def between(self, from_ms: int, to_ms: int) -> Iterator[Occurrence]:
        """What is due from one instant on and before another (Unix ms), in order, each instant once."""
        number = self._first_near(from_ms)
        before = self._instant(number - 1) if number else None
        while (wall := self._wall(number)) is not None:
            at_ms = self._resolve(wall)
            if at_ms >= to_ms or (self.until_ms is not None and at_ms > self.until_ms):
                return
            if before is None or at_ms > before:
                before = at_ms
                if at_ms >= from_ms:
                    yield Occurrence(at_ms, wall)
            number += 1

    def next(self, after_ms: int) -> Occurrence | None:
        """The first one after an instant; None: there is none any more."""
        return next(self.between(after_ms + 1, _ms(datetime(_LAST_YEAR, 1, 1, tzinfo=UTC))), None)

    def rrule(self) -> str | None:
        """As RFC 5545 writes it, for a calendar; None: it comes once."""
        if self.frequency == "ONCE":
            return None
        parts = [f"FREQ={self.frequency}", f"INTERVAL={self.interval}"]
        if self.count is not None:
            parts.append(f"COUNT={self.count}")
        if self.until_ms is not None:
            parts.append(f"UNTIL={_moment(self.until_ms).strftime(_UNTIL)}")
        return ";".join(parts)

    def _first_near(self, from_ms: int) -> int:
        """A number whose occurrence is before an instant, but not long before."""
        months = {"MONTHLY": self.interval}.get(self.frequency)
        ahead = _moment(from_ms).replace(tzinfo=None) - _SLACK - self.start
        if self.frequency == "ONCE" or ahead <= timedelta():
            return 0
        if months is not None:
            return max(0, (ahead.days // 31) // months - 1)
        return ahead // self._step

    @property
    def _step(self) -> timedelta:
        return timedelta(days=self.interval * (7 if self.frequency == "WEEKLY" else 1))

    def _instant(self, number: int) -> int | None:
        wall = self._wall(number)
        return None if wall is None else self._resolve(wall)

    def _wall(self, number: int) -> datetime | None:
        """The wall time of this number, from 0; None: there is none."""
        if self.count is not None and number >= self.count:
            return None
        if number == 0:
            return self.start
        if self.frequency == "ONCE":
            return None
        if self.frequency == "MONTHLY":
            years, month = divmod(self.start.month - 1 + number * self.interval, 12)
            year = self.start.year + years
            if year > _LAST_YEAR:
                return None
            day = min(self.start.day, monthrange(year, month + 1)[1])
            return self.start.replace(year=year, month=month + 1, day=day, fold=0)
        if self.start.year + number * self._step.days / 365 > _LAST_YEAR:
            return None
        return self.start + number * self._step

    def _resolve(self, wall: datetime) -> int:
        # Only the first wall time may have another fold than 0: arithmetic drops it.
        return instant(wall, self.zone)


def parse(text: str, start: datetime, zone: ZoneInfo) -> Recurrence:
    """A rule of RFC 5545: FREQ of DAILY, WEEKLY or MONTHLY, INTERVAL, and COUNT or UNTIL in UTC.

    Raises `NoRule`: whatever else a rule may say is refused, not passed over.
    """
    found: dict[str, str] = {}
    for part in text.strip().upper().removeprefix("RRULE:").split(";"):
        said = _PART.fullmatch(part)
        if said is None or said[1] in found:
            raise NoRule("A rule may have FREQ, INTERVAL, COUNT and UNTIL, each once.")
        found[said[1]] = said[2]
    if found.get("FREQ") not in ("DAILY", "WEEKLY", "MONTHLY"):
        raise NoRule("FREQ must be DAILY, WEEKLY or MONTHLY.")
    if "COUNT" in found and "UNTIL" in found:
        raise NoRule("A rule may have COUNT or UNTIL, not both.")
    until = found.get("UNTIL")
    try:
        until_ms = (
            None if until is None else _ms(datetime.strptime(until, _UNTIL).replace(tzinfo=UTC))
        )
    except ValueError:
        raise NoRule("UNTIL must be in UTC: 20270131T180000Z.") from None
    return Recurrence(
        start,
        zone,
        found["FREQ"],
        _whole(found.get("INTERVAL", "1"), "INTERVAL", MOST_INTERVAL),
        None if "COUNT" not in found else _whole(found["COUNT"], "COUNT", MOST_COUNT),
        until_ms,
    )


def of_reminder(values: Mapping[str, Any]) -> Recurrence:
    """The rule of a row of `reminders`. A zone that is unknown or missing is UTC (`questions` asks)."""
    zone = zone_named(values.get("time_zone"))
    begins = _moment(values["remind_at"]).astimezone(zone).replace(tzinfo=None)
    said = str(values.get("frequency") or "once")
    every = values.get("every") or 1
    frequency = {"daily": "DAILY", "every_n_days": "DAILY", "weekly": "WEEKLY"}.get(said)
    return Recurrence(
        begins,
        zone,
        frequency or {"monthly": "MONTHLY"}.get(said, "ONCE"),
        every if said == "every_n_days" else 1,
        until_ms=values.get("ends_at"),
    )


def is_occurrence(name: object) -> bool:
    """Whether it can be an occurrence's name."""
    return isinstance(name, str) and _NAMED.fullmatch(name) is not None


@lru_cache(maxsize=256)
def _whole(text: str, name: str, most: int) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise NoRule(f"{name} must be from 1 to {most}.")
    return int(text)


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _moment(at_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at_ms)
