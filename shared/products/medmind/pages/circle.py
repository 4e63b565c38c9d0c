"""What pages of a circle share: which one, whose names, the patient's clock, numbers of doses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_
from shared.console.pages.team import chosen, names
from shared.console.push import push
from shared.console.visit import Visit
from shared.console.words import Words
from shared.errors import Forbidden, InvalidRequest
from shared.products.medmind.tables import CATALOG
from shared.records.wall_time import instant, zone_named


class CirclePageAsked(Struct):
    """Of which circle."""

    scope: Annotated[str, Meta(max_length=2000)] = ""


@dataclass(frozen=True, slots=True)
class CircleClock:
    """Times as the patient's clock shows them, in the words of whoever looks."""

    words: Words
    zone: ZoneInfo

    def shows(self, at_ms: int) -> str:
        """The time of the day, by 24 hours as forms take it: noon and midnight are not mistaken."""
        return f"{self.wall(at_ms):%H:%M}"

    def moment(self, at_ms: int) -> str:
        """Day and time."""
        return f"{self.words.week_day(self.day_of(at_ms))}, {self.shows(at_ms)}"

    def day_of(self, at_ms: int) -> date:
        """The day that the clock shows."""
        return datetime.fromtimestamp(at_ms / 1000, self.zone).date()

    def wall(self, at_ms: int) -> time:
        """The time that the clock shows."""
        return datetime.fromtimestamp(at_ms / 1000, self.zone).time()

    def at(self, day: date, wall: time) -> int:
        """The instant of a wall time, Unix ms."""
        return instant(datetime.combine(day, wall), self.zone)

    def hour_moves(self, day: date) -> int:
        """By how many minutes the clock is put on (or back, below 0) on a day."""
        begin = datetime.combine(day, time(0), self.zone)
        end = datetime.combine(day + timedelta(1), time(0), self.zone)
        moved = (end.utcoffset() or timedelta(0)) - (begin.utcoffset() or timedelta(0))
        return round(moved / timedelta(minutes=1))


class Adherence(NamedTuple):
    """Doses that came to be due and are settled: how many of each kind."""

    on_time: int
    late: int
    skipped: int
    missed: int

    @property
    def settled(self) -> int:
        """All of them."""
        return sum(self)

    @property
    def taken(self) -> int:
        """On time or late."""
        return self.on_time + self.late

    @property
    def share(self) -> float | None:
        """The part that was taken; None: nothing was due."""
        return self.taken / self.settled if self.settled else None


def adherence(doses: Iterable[Mapping[str, Any]]) -> Adherence:
    """The numbers of some doses."""
    states = [each["state"] for each in doses if not each["as_needed"]]
    return Adherence(*(states.count(each) for each in Adherence._fields))


def circle_of(visit: Visit, scope: str, right: Action = Action.READ) -> str:
    """The circle that a page is about. Raises `NotFound`; `Forbidden` for who may do it in none."""
    if not visit.scopes(right):
        raise Forbidden(N_("Your role does not allow this in any of your circles."))
    return chosen(visit, right, scope)


def may_write(visit: Visit, scope: str, table: str) -> bool:
    """Whether the caller may write rows of a table."""
    may = scope in visit.scopes(Action.WRITE)
    return may and CATALOG.by_name[table].open_to(visit.roles[scope])


def append(visit: Visit, scope: str, table: str, row: Mapping[str, Any]) -> None:
    """Add a row to a table of such; one that is there already, as its form was sent twice, stays.

    Its `at` is Unix ms. Raises `Forbidden`, `InvalidRequest`.
    """
    if not may_write(visit, scope, table):
        raise Forbidden(N_("Your role does not allow this in any of your circles."))
    try:
        push(visit, scope, {table: [row]}, ("at",))
    except InvalidRequest as fault:
        if fault.code != "not_allowed":
            raise


def clock_of(visit: Visit, zone: str) -> CircleClock:
    """The clock of a patient's place."""
    return CircleClock(visit.words, zone_named(zone))


def in_words(visit: Visit, scope: str, weeks: int) -> tuple[list[Any], list[Any]]:
    """The newest weeks as texts, and changes that go on."""
    asked = {"scope": scope, "language": visit.words.language}
    found = visit.api.get("/api/v1/summaries", period="week", limit=weeks, **asked)["summaries"]
    changes = visit.api.get("/api/v1/insights", **asked)["insights"]
    return found, [each for each in changes if each["ended_on"] is None]


def people(visit: Visit, scope: str) -> Mapping[str, str]:
    """User id → name, as far as the caller may see them; the caller is "you"."""
    return {**names(visit, [scope]), visit.caller.user_id: visit.words.said(N_("you"))}
