"""A household that lives by the clock on its wall, step by step: what is due, and what became of it.

It shares nothing with the product: zones are those of `whenever`, nothing is worked out ahead or looked up
in versions. At each step it asks what its plan says now, and remembers what it waits for and what came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

from whenever import Date, Instant, Time

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Says:
    """What the plan says from a moment on (Unix ms)."""

    since: int
    zone: str
    first: date
    times: tuple[int, ...]  #: minutes of the day
    kind: str = "daily"
    every: int = 1
    weekdays: tuple[int, ...] = ()
    last: date | None = None
    paused: bool = False

    def day_has(self, day: date) -> bool:
        """Whether doses at times of day are on a day."""
        if self.paused or day < self.first or (self.last and day > self.last):
            return False
        since = (day - self.first).days
        month = (day.replace(day=1) + timedelta(days=31)).replace(day=1) - DAY  # its last day
        return {
            "daily": True,
            "every_n_days": since % self.every == 0,
            "weekly": day.weekday() in (self.weekdays or (self.first.weekday(),)),
            "monthly": day.day == self.first.day or (day == month and day.day < self.first.day),
        }.get(self.kind, False)


class Event(NamedTuple):
    """What was said: of which dose, when it happened, and when the server heard of it."""

    id: str
    dose: str
    kind: str
    at: int
    heard: int
    undoes: str = ""


@lru_cache(maxsize=100_000)
def shown(zone: str, day: date, minutes: int) -> int:
    """When a clock shows a time of a day for the first time, Unix ms; left out in spring: an hour later."""
    wall = Date(day.year, day.month, day.day).at(Time(minutes // 60, minutes % 60))
    moment = wall.assume_tz(zone, disambiguation="compatible")
    return int(moment.to_instant().timestamp(unit="millisecond"))


@lru_cache(maxsize=100_000)
def today(zone: str, at: int) -> date:
    """The day that a clock shows."""
    found = Instant.from_timestamp(at, unit="millisecond").to_tz(zone).date()
    return date(found.year, found.month, found.day)


@dataclass
class Household:
    """It lives from one moment to another in steps; `came` are doses with when they were due."""

    item: str
    plan: Sequence[Says]  #: in the order in which it is said
    came: dict[str, int] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)  #: left out, as another was due at that moment
    at_last: int | None = None

    def live(self, start: int, end: int, step: int = 15 * MINUTE) -> None:
        """Until the end, inclusive."""
        waits: dict[str, int] = {}
        before: Says | None = None
        for at in range(start, end + 1, step):
            now = [each for each in self.plan if each.since <= at][-1]
            if now is not before:
                self._heard(now, before, waits, at)
                before = now
            for name, due in self._around(now, at).items():
                if due == at and name not in self.came and name not in self.gone:
                    self.came[name] = self.at_last = at
            if self._hours_are_over(now, at):
                self.at_last = at
                moment = Instant.from_timestamp(at, unit="millisecond").to_tz("UTC")
                name = f"{moment.year:04}{moment.month:02}{moment.day:02}"
                self.came[f"{self.item}_{name}_{moment.hour:02}{moment.minute:02}"] = at
            waits = {
                name: due
                for name, due in self._around(now, at).items()
                if name not in self.came and name not in self.gone and due > at
            }

    def _heard(self, now: Says, before: Says | None, waits: dict[str, int], at: int) -> None:
        """Another plan: what was waited for and is over by the new one is due now, or left out."""
        over = [
            name
            for name, due in sorted(self._around(now, at).items(), key=_place)
            if before is not None and name in waits and due < at
        ]
        self.gone |= set(over[:-1])
        if over:
            self.came[over[-1]] = self.at_last = at

    def _around(self, now: Says, at: int) -> dict[str, int]:
        """Doses at times of the days around a moment, with when they are due."""
        here = today(now.zone, at)
        days = [here + timedelta(days=n) for n in range(-2, 3)]
        return {
            f"{self.item}_{day:%Y%m%d}_{place}": shown(now.zone, day, minutes)
            for day in days
            if now.day_has(day)
            for place, minutes in enumerate(sorted(set(now.times)))
        }

    def _hours_are_over(self, now: Says, at: int) -> bool:
        if now.kind != "every_n_hours" or now.paused or not now.times:
            return False
        if now.last and today(now.zone, at) > now.last:
            return False
        first = shown(now.zone, now.first, min(now.times))
        waited = self.at_last is None or at - self.at_last >= now.every * HOUR
        return at >= first and (at - first) % (now.every * HOUR) == 0 and waited


def _place(each: tuple[str, int]) -> tuple[str, int]:
    _, day, place = each[0].rsplit("_", 2)
    return day, int(place)


def became(due: int, grace: int, said: Sequence[Event], now: int) -> str:
    """The state of a dose, as people would tell it who know all that was heard by now."""
    heard = [each for each in said if each.heard <= now]
    taken_back = [each.undoes for each in heard if each.kind == "undone"]
    stands = [each for each in heard if each.kind != "undone" and each.id not in taken_back]
    moments = [min(each.at, each.heard) for each in stands if each.kind == "taken"]
    if moments:
        return "on_time" if min(moments) <= due + grace else "late"
    if stands:
        return "skipped"
    return "planned" if now < due else "due" if now <= due + grace else "missed"
