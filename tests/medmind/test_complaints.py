"""What people complained of in other apps for medicines, each tried here: project and issue are named.

More of them stand where their subject is: `test_course.py`, `test_stock.py`, `test_device_life.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shared.products.medmind.alert_tables import ALERTS
from shared.products.medmind.tables import DOSES
from shared.records.wall_time import instant
from tests.medmind.test_course import taper
from tests.medmind.test_dosing import DAY, MINUTE, Circle, ms
from tests.medmind.test_stock import Cupboard

BERLIN = "Europe/Berlin"


@pytest.fixture
def circle(tmp_path: Path) -> Iterator[Circle]:
    place = Cupboard(tmp_path)
    place.push(patients=[{"id": "team1", "name": "Kamala", "time_zone": "Asia/Kolkata"}])
    place.push(medications=[{"id": "m1", "name": "Metformin"}])
    place.push(medication_plans=[{"id": "p1", "medication_id": "m1"}])
    yield place
    place.store.close()


def there(day: date, hour: int, zone: str) -> int:
    return instant(datetime.combine(day, time(hour)), ZoneInfo(zone))


def states(circle: Circle, *names: str) -> list[str]:
    return [circle.doses[name]["state"] for name in names]


def test_a_late_first_dose_is_not_taken_for_the_second(circle: Circle) -> None:
    """did-i-take-my-meds #68: the nearest dose was marked, and the second never came."""
    circle.item(times=["08:30", "12:30"], grace_minutes=240)
    circle.go(ms(DAY, 11, 19))
    circle.says("e1", "i1_20260302_0", "taken", circle.at)
    circle.go(ms(DAY, 12, 31))
    assert states(circle, "i1_20260302_0", "i1_20260302_1") == ["on_time", "due"]


def test_the_wall_time_stays_when_clocks_change(circle: Circle) -> None:
    """HomeMedkit #136, medTimer #561, #519, #943: all reminders came an hour late."""
    circle.at = there(date(2026, 3, 20), 6, BERLIN)
    circle.item(times=["08:00"], starts_on="2026-03-20", time_zone=BERLIN)
    for day in range(20, 32):
        due = circle.doses[f"i1_202603{day}_0"]["due_at"]
        assert due == there(date(2026, 3, day), 8, BERLIN)


def test_who_travels_may_keep_the_clock_of_home(circle: Circle) -> None:
    """medTimer #759: on a journey people had to reckon which time it is at home."""
    circle.item(times=["08:00"], time_zone="America/Phoenix")
    before = {name: each["due_at"] for name, each in circle.doses.items()}
    circle.push(patients=[{"id": "team1", "time_zone": "America/Chicago"}])
    circle.sweep()
    assert {name: each["due_at"] for name, each in circle.doses.items()} == before


@pytest.mark.parametrize("more", [{"frequency": "every_n_days", "every": 84},
                                  {"rrule": "FREQ=WEEKLY;INTERVAL=12"}])  # fmt: skip
def test_once_in_twelve_weeks_is_once_in_twelve_weeks(circle: Circle, more: dict[str, Any]) -> None:
    """medTimer #1373, #1404: no interval over 31 days."""
    circle.item(times=["08:00"], **more)
    for days in range(0, 180, 10):
        circle.at = ms(DAY + timedelta(days=days), 12)
        circle.sweep()
    found = sorted(each.key.id for each in circle.all(DOSES))
    assert found == [f"i1_{DAY + timedelta(days=84 * n):%Y%m%d}_0" for n in range(3)]


def test_eighty_pills_at_two_every_third_day_last_four_months(circle: Cupboard) -> None:
    """medTimer #1056: the day on which one runs out took no notice of the days between."""
    circle.count(80)
    circle.item(times=["08:00"], frequency="every_n_days", every=3, amount=2)
    assert circle.medicine["refill_on"] == (DAY + timedelta(days=120)).isoformat()


def test_a_rare_medicine_is_ordered_weeks_before(circle: Cupboard) -> None:
    """medTimer #1486, #1175: a bound of pieces says nothing where one is always out of stock."""
    circle.count(0, refill_days=21)
    start = DAY + timedelta(days=40)
    circle.item(times=["08:00"], starts_on=start.isoformat(), frequency="every_n_days", every=84)
    assert circle.low == []
    circle.go(ms(start - timedelta(days=22), 23))
    assert circle.low == []
    circle.go(ms(start - timedelta(days=21), 1))
    assert circle.low == ["open"]


def test_a_dose_may_be_taken_or_skipped_beforehand(circle: Circle) -> None:
    """medTimer #112: the next dose could not be taken before its reminder."""
    circle.item(times=["08:00", "20:00"])
    circle.says("e1", "i1_20260302_0", "taken", circle.at)
    circle.says("e2", "i1_20260302_1", "skipped", circle.at, reason="fasting")
    circle.go(ms(DAY, 23))
    assert states(circle, "i1_20260302_0", "i1_20260302_1") == ["on_time", "skipped"]
    assert circle.all(ALERTS) == []


def test_taken_back_and_taken_again_it_is_one_dose(circle: Circle) -> None:
    """medTimer #1077, #1053: what was taken and raised again was there twice."""
    circle.item(times=["08:00"])
    circle.go(ms(DAY, 8, 5))
    for number in range(3):
        circle.says(f"t{number}", "i1_20260302_0", "taken", circle.at)
        circle.says(f"u{number}", "i1_20260302_0", "undone", circle.at, undoes=f"t{number}")
    circle.says("t9", "i1_20260302_0", "taken", circle.at)
    assert [name for name in circle.doses if "20260302" in name] == ["i1_20260302_0"]
    assert states(circle, "i1_20260302_0") == ["on_time"]


def test_midnight_is_a_time_of_its_own_day(circle: Circle) -> None:
    """rxdroid #49: 0:00 was no time for a dose."""
    circle.item(times=["00:00", "24:00", "23:59"])
    assert circle.fields("medication_plan_items", "i1")["unread"] == ["times"]
    circle.item(times=["00:00", "23:59"])
    next_day = DAY + timedelta(days=1)
    assert circle.doses["i1_20260303_0"]["due_at"] == ms(next_day, 0)
    assert circle.doses["i1_20260302_1"]["due_at"] == ms(DAY, 23, 59)


def test_a_fifth_time_of_day_comes_beside_the_four(circle: Circle) -> None:
    """medTimer #1651: four times a day could not become five."""
    four = ["08:00", "12:00", "16:00", "20:00"]
    circle.item(times=four)
    circle.go(ms(DAY, 12, 5))
    circle.says("e1", "i1_20260302_0", "taken", ms(DAY, 8))
    circle.item(times=[*four, "22:00"])
    found = {name: each["due_at"] for name, each in circle.doses.items() if "20260302" in name}
    assert sorted(found.values()) == [ms(DAY, hour) for hour in (8, 12, 16, 20, 22)]
    assert states(circle, "i1_20260302_0") == ["on_time"]


def test_a_titration_of_two_strengths_is_read_off_the_doses(circle: Circle) -> None:
    """rxdroid #21, medTimer #1160: doses that rise week by week, in pills of 25 and 100 mg."""
    circle.push(medication_plans=[{"id": "p2", "medication_id": "m1"}])
    for number, step in enumerate(taper(DAY, ((1, 7), (2, 7), (3, 7)))):
        circle.item(id=f"small{number}", times=["08:00"], **step)
    large = taper(DAY + timedelta(days=21), ((1, 7),))[0]
    circle.item(id="large", plan_id="p2", times=["08:00"], **large)
    for days in (0, 14, 28):
        circle.at = ms(DAY + timedelta(days=days), 12)
        circle.sweep()
    a_day: dict[int, float] = {}
    for each in circle.all(DOSES):
        strength = 100 if each.key.id.startswith("large") else 25
        due = each.fields["due_at"]
        a_day[due] = a_day.get(due, 0) + strength * each.fields["amount"]
    assert list(dict(sorted(a_day.items())).values()) == [25] * 7 + [50] * 7 + [75] * 7 + [100] * 7


def test_an_interval_keeps_its_row_when_a_dose_is_late(circle: Circle) -> None:
    """medTimer #551, Dosage #100: elapsed time counts from the first dose; a late one moves no other."""
    circle.item(times=["08:00"], frequency="every_n_hours", every=8, grace_minutes=120)
    first, second = sorted(circle.doses)[:2]
    circle.go(ms(DAY, 9, 20))
    circle.says("e1", first, "taken", circle.at)
    assert states(circle, first) == ["on_time"]
    assert circle.doses[second]["due_at"] == ms(DAY, 16)


def test_a_day_of_the_schedule_is_the_patient_s_day(circle: Circle) -> None:
    """dose-android #109: in Brisbane today's list showed two days."""
    circle.at = there(DAY, 6, "Australia/Brisbane")
    circle.item(times=["07:00", "10:00"], time_zone="Australia/Brisbane")
    today = [each["due_at"] for name, each in circle.doses.items() if "20260302" in name]
    assert sorted(today) == [there(DAY, hour, "Australia/Brisbane") for hour in (7, 10)]


def test_a_missed_dose_alerts_within_a_minute_of_its_grace_s_end_and_once(circle: Circle) -> None:
    """The sweeper comes each minute: whenever in it, nobody waits longer."""
    for number in range(4):
        circle.item(id=f"i{number}", times=[f"08:{5 * number:02}"], grace_minutes=7 + number)
    circle.go(ms(DAY, 8))
    circle.at += 59_000  # the worst second of the minute to be swept in
    seen: dict[str, int] = {}
    while circle.at < ms(DAY, 8, 40):
        circle.at += MINUTE
        circle.sweep()
        for each in circle.all(ALERTS):
            seen.setdefault(str(each.fields["subject"]), circle.at)
    late = []
    for number in range(4):
        name = f"i{number}_20260302_0"
        due = circle.doses[name]["due_at"]
        late.append(seen[name] - due - (7 + number) * MINUTE)
    assert len(circle.all(ALERTS)) == 4
    assert 0 < max(late) <= 60_000
