"""A plan item as a rule of doses: its columns, read; and the versions that it has had.

What a row says is kept as it is. A time, a day or a zone that cannot be read is none: then the item has no
doses, and `_unread` names the columns, so that a page can say so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from shared.products.medmind.plans import MOST_TIMES, DoseRule, RuleVersion
from shared.records.wall_time import known_zone, zone_named

#: Columns that say when doses are due.
SCHEDULE = (
    *("starts_on", "ends_on", "times", "frequency", "every", "weekdays", "paused", "time_zone"),
)

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
    """A version as a rule."""
    first, last = _day(values.get("starts_on")), _day(values.get("ends_on"))
    times = sorted({at for text in values.get("times") or () if (at := _time(text)) is not None})
    weekdays = (str(each).strip().casefold() for each in values.get("weekdays") or ())
    return DoseRule(
        first or date.max,
        tuple(times[:MOST_TIMES]),
        str(values.get("frequency") or "daily"),
        int(values.get("every") or 1),
        frozenset(_WEEKDAYS.index(each) for each in weekdays if each in _WEEKDAYS),
        last,
        bool(values.get("paused")) or first is None,
    )


def zone_of(values: Mapping[str, Any]) -> ZoneInfo:
    """The patient's clock; UTC if the row names none that there is."""
    return zone_named(values.get("time_zone"))


def unread(values: Mapping[str, Any]) -> list[str]:
    """Columns of a row that cannot be read."""
    found = []
    for name in ("starts_on", "ends_on"):
        if values.get(name) and _day(values[name]) is None:
            found.append(name)
    if any(_time(each) is None for each in values.get("times") or ()):
        found.append("times")
    if values.get("time_zone") and not known_zone(values["time_zone"]):
        found.append("time_zone")
    return found


def today(now_ms: int, zone: ZoneInfo) -> date:
    """The day that a zone's clock shows."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone).date()


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(str(text)) if text else None
    except ValueError:
        return None


def _time(text: object) -> time | None:
    found = _TIME.fullmatch(str(text).strip())
    return None if found is None else time(int(found[1]), int(found[2]))
