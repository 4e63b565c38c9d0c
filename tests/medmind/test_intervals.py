"""Doses that are hours apart, journeys, and what a change jumps over: never two at one moment."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.products.medmind.plans import DoseDue, DoseRule, RuleVersion, doses
from shared.records.wall_time import instant

BERLIN, TOKYO = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")
NEW_YORK, HONOLULU = ZoneInfo("America/New_York"), ZoneInfo("Pacific/Honolulu")
DAY, HOUR = date(2026, 3, 2), 3_600_000


def ms(day: date, hour: int, minute: int = 0, zone: ZoneInfo = BERLIN) -> int:
    return instant(datetime.combine(day, time(hour, minute)), zone)


def of(*versions: RuleVersion, first: date = DAY, days: int = 3) -> list[DoseDue]:
    return list(doses(versions, BERLIN, first, first + timedelta(days=days - 1)))


def every(hours: int, first: date = DAY, at: int = 8, **more: object) -> DoseRule:
    return DoseRule(first, (time(at),), "every_n_hours", hours, zone=BERLIN, **more)  # type: ignore[arg-type]


def test_every_8_hours_is_8_hours_in_the_night_when_clocks_change() -> None:
    for night in (date(2026, 3, 28), date(2026, 10, 24)):
        found = of(RuleVersion(0, every(8, night)), first=night, days=4)
        assert {after.at_ms - before.at_ms for before, after in pairwise(found)} == {8 * HOUR}
        assert found[0].at_ms == ms(night, 8)
        assert len({each.name for each in found}) == len(found)


def test_a_dose_of_an_interval_is_named_by_its_moment_in_utc() -> None:
    found = of(RuleVersion(0, every(12)), days=2)
    assert [each.name for each in found] == [
        "20260302_0700",
        "20260302_1900",
        "20260303_0700",
        "20260303_1900",
    ]


def test_an_interval_ends_with_its_last_day_and_rests_while_it_is_paused() -> None:
    assert len(of(RuleVersion(0, every(6, last=DAY)), days=3)) == 3  # 8, 14 and 20 o'clock
    noon, later = ms(DAY, 12), ms(DAY + timedelta(1), 12)
    versions = (
        RuleVersion(0, every(8)),
        RuleVersion(noon, every(8, paused=True)),
        RuleVersion(later, every(8)),
    )
    assert [each.at_ms for each in of(*versions, days=2)] == [
        ms(DAY, 8),
        ms(DAY + timedelta(1), 16),
        ms(DAY + timedelta(2), 0),
    ]


@pytest.mark.parametrize(
    ("after", "changed", "following"),
    [
        (every(12), 9, (DAY, 20)),  # the new row: 8, 20 o'clock
        (every(4), 9, (DAY, 12)),
        (every(8, at=7), 9, (DAY, 23)),  # 15 o'clock is 7 hours after the last one: too early
        (every(8, at=9), 10, (DAY, 17)),
        (every(8, at=6), 7, (DAY, 14)),  # none came before the change: the row as it is
    ],
)
def test_after_a_change_the_next_dose_is_a_whole_interval_away(
    after: DoseRule, changed: int, following: tuple[date, int]
) -> None:
    at_ms = ms(DAY, changed)
    found = [each.at_ms for each in of(RuleVersion(0, every(8)), RuleVersion(at_ms, after))]
    assert next(each for each in found if each >= at_ms) == ms(*following)


def test_from_times_of_day_to_an_interval_the_last_dose_counts() -> None:
    times = DoseRule(DAY, (time(8), time(20)), zone=BERLIN)
    found = of(RuleVersion(0, times), RuleVersion(ms(DAY, 21), every(8, at=4)))
    assert [each.at_ms for each in found[:4]] == [
        ms(DAY, 8),
        ms(DAY, 20),
        ms(DAY + timedelta(1), 4),
        ms(DAY + timedelta(1), 12),
    ]


changes = st.lists(
    st.tuples(st.integers(0, 6 * 24 * 60), st.integers(1, 30), st.integers(0, 23), st.booleans()),
    max_size=5,
    unique_by=lambda each: each[0],
)


@given(changes, st.integers(1, 30))
def test_however_an_interval_is_changed_doses_keep_their_distance(
    moves: list[tuple[int, int, int, bool]], hours: int
) -> None:
    versions, start = [RuleVersion(0, every(hours))], ms(DAY, 0)
    for minute, other, at, paused in sorted(moves):
        versions.append(RuleVersion(start + minute * 60_000, every(other, at=at, paused=paused)))
    found = [each.at_ms for each in of(*versions, days=8)]
    assert found == sorted(set(found))

    def hours_at(at_ms: int) -> int:
        return [each.rule.every for each in versions if each.since_ms <= at_ms][-1]

    for before, after in pairwise(found):
        assert after - before >= hours_at(after) * HOUR
    # and a window shows the same doses as a longer one
    assert of(*versions, first=DAY + timedelta(3), days=2) == [
        each
        for each in of(*versions, days=8)
        if DAY + timedelta(3)
        <= datetime.fromtimestamp(each.at_ms / 1000, UTC).date()
        <= DAY + timedelta(4)
    ]


# --- journeys


def travel(
    to: ZoneInfo, at_ms: int, times: tuple[time, ...] = (time(8), time(20))
) -> list[DoseDue]:
    home, away = DoseRule(DAY, times, zone=BERLIN), DoseRule(DAY, times, zone=to)
    return of(RuleVersion(0, home), RuleVersion(at_ms, away))


def test_eastward_the_dose_of_an_evening_that_is_over_there_is_due_at_once() -> None:
    at_ms = ms(DAY, 14)  # 22 o'clock in Tokyo
    found = {each.name: each.at_ms for each in travel(TOKYO, at_ms)}
    assert found["20260302_0"] == ms(DAY, 8)  # it was taken at home
    assert found["20260302_1"] == at_ms
    assert found["20260303_0"] == ms(DAY + timedelta(1), 8, zone=TOKYO)


def test_westward_no_day_has_its_dose_twice() -> None:
    at_ms = ms(DAY, 9)  # 3 o'clock in New York: eight o'clock comes again
    found = travel(NEW_YORK, at_ms)
    assert len({each.name for each in found}) == len(found) == 6
    assert found[0].at_ms == ms(DAY, 8)
    assert found[1].at_ms == ms(DAY, 20, zone=NEW_YORK)


def test_of_several_doses_that_a_journey_jumps_over_one_is_due_and_not_all_at_once() -> None:
    at_ms = ms(DAY, 0, 30, zone=HONOLULU)
    times = (time(8), time(12), time(16))
    home, away = DoseRule(DAY, times, zone=HONOLULU), DoseRule(DAY, times, zone=TOKYO)
    found = of(RuleVersion(0, home), RuleVersion(at_ms, away), days=2)
    assert [each.at_ms for each in found].count(at_ms) == 1
    assert [each.name for each in found] == [
        "20260302_2",
        "20260303_0",
        "20260303_1",
        "20260303_2",
    ]


def test_of_several_times_that_an_edit_jumps_over_one_is_due() -> None:
    before = DoseRule(DAY, (time(12), time(16), time(20)), zone=BERLIN)
    after = DoseRule(DAY, (time(6), time(7), time(20)), zone=BERLIN)
    found = of(RuleVersion(0, before), RuleVersion(ms(DAY, 11), after), days=1)
    assert found == [DoseDue("20260302_1", ms(DAY, 11)), DoseDue("20260302_2", ms(DAY, 20))]
