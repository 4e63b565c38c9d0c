"""Recurrence rules of RFC 5545: what can be read is read, all else is refused and never passed over."""

from __future__ import annotations

from datetime import date, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.products.medmind import items
from shared.products.medmind.plans import DoseRule
from shared.products.medmind.rrule import UnreadableRule, parse, text_of

INDIA = ZoneInfo("Asia/Kolkata")
FIRST = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("text", "frequency", "every", "weekdays", "last"),
    [
        ("FREQ=DAILY", "daily", 1, set(), None),
        ("RRULE:FREQ=DAILY;INTERVAL=2", "every_n_days", 2, set(), None),
        ("freq=weekly;byday=mo,th", "weekly", 1, {0, 3}, None),
        ("FREQ=WEEKLY;INTERVAL=2", "every_n_days", 14, set(), None),
        ("FREQ=MONTHLY", "monthly", 1, set(), None),
        ("FREQ=HOURLY;INTERVAL=8", "every_n_hours", 8, set(), None),
        ("FREQ=DAILY;UNTIL=20260331", "daily", 1, set(), date(2026, 3, 31)),
        ("FREQ=DAILY;UNTIL=20260331T183000Z", "daily", 1, set(), date(2026, 4, 1)),
    ],
)
def test_what_can_be_read(
    text: str, frequency: str, every: int, weekdays: set[int], last: date | None
) -> None:
    assert parse(text, INDIA) == {
        "frequency": frequency,
        "every": every,
        "weekdays": weekdays,
        "last": last,
    }


@pytest.mark.parametrize(
    "text",
    [
        *("", "every day", "FREQ=", "FREQ=YEARLY", "FREQ=SECONDLY", "INTERVAL=2"),
        *("FREQ=DAILY;COUNT=5", "FREQ=DAILY;FREQ=DAILY", "FREQ=DAILY;BYDAY=MO"),
        *("FREQ=DAILY;BYHOUR=8", "FREQ=DAILY;BYSETPOS=1", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO"),
        *("FREQ=MONTHLY;INTERVAL=2", "FREQ=MONTHLY;BYMONTHDAY=31", "FREQ=WEEKLY;BYDAY=1MO"),
        *("FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;INTERVAL=-1", "FREQ=DAILY;INTERVAL=367"),
        *("FREQ=DAILY;INTERVAL=٢", "FREQ=DAILY;UNTIL=20260231", "FREQ=DAILY;UNTIL=99991231"),
        *("FREQ=DAILY;UNTIL=20260331T183000", "FREQ=WEEKLY;INTERVAL=60", "FREQ=DAILY\nX=1"),
    ],
)
def test_what_cannot_is_refused_and_makes_no_doses(text: str) -> None:
    with pytest.raises(UnreadableRule):
        parse(text, INDIA)
    row = {"starts_on": "2026-03-02", "times": ["08:00"], "rrule": text}
    if text:
        assert items.unread(row) == ["rrule"]
        assert items.rule_of(row).paused


def test_a_rule_goes_before_the_columns_that_say_the_same() -> None:
    row = {"starts_on": "2026-03-02", "times": ["08:00"], "ends_on": "2026-03-20", "every": 9}
    rule = items.rule_of({**row, "rrule": "FREQ=DAILY;INTERVAL=2;UNTIL=20260331"})
    assert (rule.frequency, rule.every, rule.last) == ("every_n_days", 2, date(2026, 3, 20))


rules = st.builds(
    lambda kind, every, days, last: DoseRule(FIRST, (time(8),), kind, every, frozenset(days), last),
    st.sampled_from(("daily", "every_n_days", "weekly", "monthly", "every_n_hours")),
    st.integers(2, 366),
    st.sets(st.integers(0, 6)),
    st.none() | st.dates(FIRST, date(2999, 1, 1)),
)


@given(rules)
def test_what_is_written_is_read_as_it_was(rule: DoseRule) -> None:
    text = text_of(rule)
    assert text is not None
    said = parse(text, INDIA)
    assert said["frequency"] == rule.frequency
    assert said["last"] == rule.last
    if rule.frequency.startswith("every"):
        assert said["every"] == rule.every
    if rule.frequency == "weekly":
        assert said["weekdays"] == (rule.weekdays or {FIRST.weekday()})


def test_what_is_taken_as_needed_has_no_rule() -> None:
    assert text_of(DoseRule(FIRST, (), "as_needed")) is None


@pytest.mark.parametrize(
    ("row", "unread"),
    [
        ({"starts_on": "0202-03-02"}, ["starts_on"]),
        ({"ends_on": "2026-02-30"}, ["ends_on"]),
        ({"times": ["25:00"]}, ["times"]),
        ({"times": [f"{n // 60:02}:{n % 60:02}" for n in range(25)]}, ["times"]),
        ({"frequency": "every_n_hours", "times": []}, ["times"]),
        ({"weekdays": ["Montag"]}, ["weekdays"]),
        ({"time_zone": "Mars/Olympus"}, ["time_zone"]),
    ],
)
def test_half_a_plan_is_none(row: dict[str, object], unread: list[str]) -> None:
    values = {"starts_on": "2026-03-02", "times": ["08:00"], **row}
    assert items.unread(values) == unread
    assert items.rule_of(values).paused
