"""What users of other apps report of summaries, tried here: each test names the public report."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from shared.records.wall_time import instant
from tests.medmind.summing import Summed, tomorrow
from tests.medmind.test_dosing import DAY, MINUTE, ms

FIRST = DAY.isoformat()  # a Monday
SUNDAY = (DAY + timedelta(6)).isoformat()


@pytest.fixture
def circle(tmp_path: Path) -> Iterator[Summed]:
    place = Summed(tmp_path)
    place.item(times=["08:00"])
    yield place
    place.store.close()


def at(zone: str, day: str, hour: int, minute: int = 0) -> int:
    return instant(datetime.combine(date.fromisoformat(day), time(hour, minute)), ZoneInfo(zone))


def days(circle: Summed, count: int) -> None:
    circle.hour(ms(DAY + timedelta(count), 0, 1), 8 * 60)


def test_a_new_medicine_lowers_no_day_before_it(circle: Summed) -> None:
    """SparkyFitness#1915: days on which a medicine did not exist yet counted as missed."""
    days(circle, 3)
    before = {day: circle.numbers(day) for day in circle.days}
    circle.item(id="i2", starts_on=FIRST, times=["08:00"])
    days(circle, 5)
    assert {day: circle.numbers(day) for day in before} == before
    assert circle.days[tomorrow(FIRST, 4)]["due"] == 2


def test_what_nobody_logged_is_missed_and_not_taken(circle: Summed) -> None:
    """CodyBontecou/health-md#69: what was not logged at all was exported as taken."""
    days(circle, 1)
    assert circle.numbers(FIRST) == [1, 0, 0, 1, 0, 0, 0, 0]


def test_a_week_is_monday_to_sunday_and_has_seven_days(circle: Summed) -> None:
    """mtierltd/timetracker#55 (summed from Sunday, shown as Monday's); toggl/track-extension#989 and
    Progrunning/BoardGamesCompanion#263 (both Sundays, eight days)."""
    days(circle, 15)
    weeks = circle.weeks
    assert sorted(weeks) == ["2026-W10", "2026-W11"]
    assert [each["due"] for each in weeks.values()] == [7, 7]
    assert (
        weeks["2026-W10"]["ends_at"] == weeks["2026-W11"]["starts_at"] == ms(DAY + timedelta(7), 0)
    )
    assert circle.days[SUNDAY]["ends_at"] == weeks["2026-W10"]["ends_at"]


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Pago_Pago", "Pacific/Kiritimati"])
def test_an_evening_is_of_its_own_day_wherever_it_is(tmp_path: Path, zone: str) -> None:
    """Oak-and-Sprout/sprout-track#32, Freika/dawarich#2069, endurain#326: days of UTC;
    nightscout/Trio#697: sums that were empty west of Greenwich."""
    circle = Summed(tmp_path, zone)
    circle.at = at(zone, "2026-03-10", 0, 1)
    circle.push(patients=[{"id": "team1", "time_zone": zone}])
    circle.item(times=["21:50"], time_zone=zone, starts_on="2026-03-10")
    circle.hour(at(zone, "2026-03-10", 22))
    circle.says("e1", "i1_20260310_0", "taken", circle.at)
    circle.hour(at(zone, "2026-03-11", 0))
    assert circle.numbers("2026-03-10") == [1, 1, 0, 0, 0, 0, 100, 0]
    assert [day for day, row in circle.days.items() if row["due"]] == ["2026-03-10"]
    circle.store.close()


def test_a_dose_that_is_told_twice_counts_once(circle: Summed) -> None:
    """chrisvel/tududi#1316: a second tap on the same day raised the total for ever."""
    circle.hour(ms(DAY, 9))
    for name in ("tap1", "tap2"):
        circle.says(name, "i1_20260302_0", "taken", ms(DAY, 8, 5))
    days(circle, 1)
    assert circle.numbers(FIRST) == [1, 1, 0, 0, 0, 0, 100, 0]


def test_nothing_is_ever_over_a_hundred_percent(circle: Summed) -> None:
    """krwg/cultiva#144: more completions than were due made more than 100 %."""
    circle.hour(ms(DAY, 9))
    circle.says("e1", "i1_20260302_0", "taken", ms(DAY, 8, 5))
    for number in range(3):  # beside the plan: pills that nobody had planned
        circle.says(f"more{number}", "i1", "taken", ms(DAY, 8, 30 + number))
    days(circle, 7)
    assert circle.numbers(FIRST) == [1, 1, 0, 0, 0, 0, 100, 3]
    assert circle.weeks["2026-W10"]["percent_taken"] == 14  # one of seven, rounded down


def test_only_days_on_which_it_was_due_count(tmp_path: Path) -> None:
    """InlitX/streak#52: three weekdays a week reached at most 43 %."""
    circle = Summed(tmp_path)
    circle.item(times=["08:00"], frequency="weekly", weekdays=["monday", "thursday"])
    for day in (DAY, DAY + timedelta(3)):
        circle.hour(ms(day, 8, 30), 8 * 60)
        circle.says(f"e{day}", f"i1_{day:%Y%m%d}_0", "taken", circle.at)
    days(circle, 7)
    week = circle.weeks["2026-W10"]
    assert (week["due"], week["percent_taken"]) == (2, 100)
    assert circle.days[tomorrow(FIRST)].get("percent_taken") is None
    circle.store.close()


def test_paused_days_are_no_missed_ones(circle: Summed) -> None:
    """Futsch1/medTimer#138 asks for days that differ from the plan without a mark against one."""
    days(circle, 1)
    circle.item(times=["08:00"], paused=True)
    days(circle, 4)
    circle.item(times=["08:00"], paused=False)
    days(circle, 5)
    assert [circle.days[tomorrow(FIRST, n)]["due"] for n in range(5)] == [1, 0, 0, 0, 1]


def test_what_was_skipped_is_marked_apart_with_its_reason(circle: Summed) -> None:
    """Futsch1/medTimer#1292: skipped doses could not be told from others in the analysis."""
    circle.hour(ms(DAY, 9))
    circle.says("e1", "i1_20260302_0", "skipped", ms(DAY, 8, 5), reason="fasting  today\n")
    days(circle, 1)
    assert circle.numbers(FIRST) == [1, 0, 0, 0, 1, 0, 0, 0]
    assert circle.days[FIRST]["skip_reasons"] == ["fasting today"]
    assert "1 dose was skipped." in circle.days[FIRST]["text"]


@pytest.mark.parametrize(("first", "hours"), [("2026-03-28", 23), ("2026-10-24", 25)])
def test_a_night_of_daylight_saving_ends_one_day(tmp_path: Path, first: str, hours: int) -> None:
    """HabitRPG/habitica#3231 and #6103: the night of the change ended two days; pvorb/npm-stat.com#83 and
    CenturyLinkCloud/mdw#764: a date came twice, another was left out."""
    zone = "Europe/Berlin"
    circle = Summed(tmp_path, zone)
    circle.at = at(zone, first, 0, 1)
    circle.push(patients=[{"id": "team1", "time_zone": zone}])
    circle.item(times=["02:30"], time_zone=zone, starts_on=first)
    circle.hour(at(zone, tomorrow(first, 3), 0), 30)
    rows = circle.days
    assert sorted(rows)[-3:] == [first, tomorrow(first), tomorrow(first, 2)]
    change = rows[tomorrow(first)]
    assert change["ends_at"] - change["starts_at"] == hours * 60 * MINUTE
    assert [rows[day]["due"] for day in sorted(rows)[-3:]] == [1, 1, 1]
    circle.store.close()
