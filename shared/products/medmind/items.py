"""A plan item as a rule of doses: its columns, read; and the versions that it has had.

What a row says is kept as it is. If a time, a day, a rule or a zone cannot be read, the item has no doses:
half a plan is another one. `unread` names the columns, so that a page can say so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from shared.products.medmind import rrule
from shared.products.medmind.plans import MOST_TIMES, YEARS, DoseRule, RuleVersion
from shared.records.wall_time import known_zone, zone_named

#: Columns that say when doses are due.
SCHEDULE = (
    *("starts_on", "ends_on", "times", "frequency", "every", "weekdays", "paused", "time_zone"),
    "rrule",
)

#: Columns that doses to come have of their item.
OF_DOSES = ("amount", "unit", "grace_minutes")

#: What the server keeps of an item: each version of those columns, and since when it counts (Unix ms).
VERSIONS = "_versions"

#: Versions that are kept, the newest: the others decide nothing of the days that are still looked at.
MOST_VERSIONS = 40

_TIME = re.compile(r"([01]?\d|2[0-3])[:.]([0-5]\d)")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def version(values: Mapping[str, Any], since_ms: int) -> dict[str, Any]:
    """The columns of a row that say when doses are due, as a version that counts from now on."""
    return {"since": since_ms, **{name: values.get(name) for name in SCHEDULE}}


def changed(before: Mapping[str, Any] | None, values: Mapping[str, Any]) -> bool:
    """Whether a write says other days or times than the newest version."""
    versions = (before or {}).get(VERSIONS) or ()
    return not versions or any(versions[-1].get(name) != values.get(name) for name in SCHEDULE)


def versions_of(kept: Sequence[Mapping[str, Any]]) -> list[RuleVersion]:
    """Kept versions as rules; one that cannot be read has no doses."""
    return [RuleVersion(int(each["since"]), rule_of(each)) for each in kept]


def rule_of(values: Mapping[str, Any]) -> DoseRule:
    """A version as a rule. A recurrence rule goes before the columns that say the same."""
    if unread(values) or _day(values.get("starts_on")) is None:
        return DoseRule(date.max, (), paused=True)
    zone, last = zone_of(values), _day(values.get("ends_on"))
    rule = DoseRule(
        _day(values["starts_on"]) or date.max,
        tuple(sorted(set(filter(None, map(_time, values.get("times") or ()))))),
        str(values.get("frequency") or "daily"),
        int(values.get("every") or 1),
        frozenset(
            day for each in values.get("weekdays") or () if (day := _weekday(each)) is not None
        ),
        last,
        bool(values.get("paused")),
        zone,
    )
    if not values.get("rrule"):
        return rule
    said = rrule.parse(str(values["rrule"]), zone)
    ends = min((day for day in (last, said["last"]) if day is not None), default=None)
    return replace(rule, **{**said, "last": ends})


def zone_of(values: Mapping[str, Any]) -> ZoneInfo:
    """The patient's clock; UTC if the row names none that there is."""
    return zone_named(values.get("time_zone"))


def unread(values: Mapping[str, Any]) -> list[str]:
    """Columns of a row that cannot be read."""
    found = []
    for name in ("starts_on", "ends_on"):
        if values.get(name) and _day(values[name]) is None:
            found.append(name)
    times = values.get("times") or ()
    by_hours = values.get("frequency") == "every_n_hours"
    if (
        any(_time(each) is None for each in times)
        or len(times) > MOST_TIMES
        or (by_hours and not times)
    ):
        found.append("times")
    if any(_weekday(each) is None for each in values.get("weekdays") or ()):
        found.append("weekdays")
    if not rrule.readable(values, zone_of(values)):
        found.append("rrule")
    if values.get("time_zone") and not known_zone(values["time_zone"]):
        found.append("time_zone")
    return found


def today(now_ms: int, zone: ZoneInfo) -> date:
    """The day that a zone's clock shows."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone).date()


def _day(text: object) -> date | None:
    try:
        found = date.fromisoformat(str(text).strip()) if text else None
    except ValueError:
        return None
    return None if found is None or found.year not in YEARS else found


def _weekday(text: object) -> int | None:
    name = str(text).strip().casefold()
    return _WEEKDAYS.index(name) if name in _WEEKDAYS else None


def _time(text: object) -> time | None:
    found = _TIME.fullmatch(str(text).strip())
    return None if found is None else time(int(found[1]), int(found[2]))
