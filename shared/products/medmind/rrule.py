"""A plan item's days as RFC 5545 writes them: what of a rule can be read, and the rule of an item.

    FREQ=DAILY;INTERVAL=2               every_n_days, 2
    FREQ=WEEKLY;BYDAY=MO,TH             weekly, on these days
    FREQ=WEEKLY;INTERVAL=2              every_n_days, 14
    FREQ=MONTHLY                        monthly, on the day of the first dose
    FREQ=HOURLY;INTERVAL=8              every_n_hours, 8: elapsed time
    ...;UNTIL=20260331                  the last day, inclusive; of a time in UTC, its day by the clock

Anything else, COUNT too, is refused, not passed over: half a rule is another plan. Times are the item's,
and a month without the day has its dose on the last (RFC 7529: SKIP=BACKWARD).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from shared.products.medmind.plans import MOST_EVERY, YEARS, DoseRule

_PART = re.compile(r"(FREQ|INTERVAL|UNTIL|BYDAY)=([A-Z0-9,]{1,30})")
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


class UnreadableRule(ValueError):
    """A text is no rule that can be read; the message says what can."""


def parse(text: str, zone: ZoneInfo) -> dict[str, Any]:
    """`frequency`, `every`, `weekdays` and `last`, as `DoseRule` has them. Raises `UnreadableRule`."""
    said: dict[str, str] = {}
    for part in text.strip().upper().removeprefix("RRULE:").rstrip(";").split(";"):
        found = _PART.fullmatch(part)
        if found is None or found[1] in said:
            raise UnreadableRule("A rule may have FREQ, INTERVAL, BYDAY and UNTIL, each once.")
        said[found[1]] = found[2]
    every = _whole(said.get("INTERVAL", "1"))
    days = (
        frozenset(_weekday(each) for each in said["BYDAY"].split(",")) if "BYDAY" in said else None
    )
    frequency = said.get("FREQ")
    if days is not None and (frequency != "WEEKLY" or every > 1):
        raise UnreadableRule("BYDAY goes with FREQ=WEEKLY, every week.")
    match frequency:
        case "DAILY":
            rule = ("daily", 1) if every == 1 else ("every_n_days", every)
        case "WEEKLY":
            rule = ("weekly", 1) if every == 1 else ("every_n_days", _whole(str(7 * every)))
        case "MONTHLY" if every == 1:
            rule = ("monthly", 1)
        case "HOURLY":
            rule = ("every_n_hours", every)
        case _:
            raise UnreadableRule("FREQ must be HOURLY, DAILY, WEEKLY or MONTHLY (each month).")
    last = _day(said["UNTIL"], zone) if "UNTIL" in said else None
    return {
        "frequency": rule[0],
        "every": rule[1],
        "weekdays": days or frozenset(),
        "last": last,
    }


def text_of(rule: DoseRule) -> str | None:
    """A rule as RFC 5545 writes it, for a calendar; None: it has none, as what is taken as needed."""
    match rule.frequency:
        case "daily":
            parts = ["FREQ=DAILY"]
        case "every_n_days":
            parts = ["FREQ=DAILY", f"INTERVAL={rule.every}"]
        case "weekly":
            days = sorted(rule.weekdays or {rule.first.weekday()})
            parts = ["FREQ=WEEKLY", "BYDAY=" + ",".join(_WEEKDAYS[each] for each in days)]
        case "monthly":
            parts = ["FREQ=MONTHLY"]
        case "every_n_hours":
            parts = ["FREQ=HOURLY", f"INTERVAL={rule.every}"]
        case _:
            return None
    if rule.last is not None:
        parts.append(f"UNTIL={rule.last:%Y%m%d}")
    return ";".join(parts)


def readable(values: Mapping[str, Any], zone: ZoneInfo) -> bool:
    """Whether a row has no rule of its own, or one that can be read."""
    try:
        return not values.get("rrule") or bool(parse(str(values["rrule"]), zone))
    except UnreadableRule:
        return False


def _whole(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_EVERY:
        raise UnreadableRule(f"INTERVAL must be from 1 to {MOST_EVERY} days or hours.")
    return int(text)


def _weekday(text: str) -> int:
    if text not in _WEEKDAYS:
        raise UnreadableRule("BYDAY may name MO to SU.")
    return _WEEKDAYS.index(text)


def _day(text: str, zone: ZoneInfo) -> date:
    try:
        form = "%Y%m%dT%H%M%SZ" if "T" in text else "%Y%m%d"
        at = datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        at = None
    if at is None or at.year not in YEARS:
        raise UnreadableRule("UNTIL must be a day, 20260331, or a time in UTC, 20260331T180000Z.")
    return at.astimezone(zone).date() if "T" in text else at.date()
