"""A course of medicine on a store: tapers, changes in mid-course, what is taken as needed, late proof.

Many of these are stories that people tell of such apps; each names where (project and issue).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.jobs.job import RetryPolicy
from shared.jobs.runner import Runner
from shared.products.medmind.alert_tables import ALERTS
from shared.products.medmind.tables import DOSES, EVENTS, as_needed, dose_of
from tests.medmind.test_dosing import DAY, MINUTE, Circle, ms
from tests.sync.test_watermelon import Melon

NEXT = DAY + timedelta(days=1)


@pytest.fixture
def circle(tmp_path: Path) -> Iterator[Circle]:
    place = Circle(tmp_path)
    place.push(medications=[{"id": "m1", "name": "Prednisolone", "strength": "5 mg"}])
    place.push(medication_plans=[{"id": "p1", "medication_id": "m1"}])
    yield place
    place.store.close()


def taper(first: date, steps: Sequence[tuple[float, int]]) -> list[dict[str, Any]]:
    """Columns of items that follow one another without a gap: an amount, and for how many days."""
    found, day = [], first
    for amount, days in steps:
        last = day + timedelta(days - 1)
        columns = {"starts_on": day.isoformat(), "ends_on": last.isoformat(), "amount": amount}
        found.append(columns)
        day = last + timedelta(1)
    return found


def due(circle: Circle) -> list[tuple[int, object]]:
    """When doses are due, and how much each is."""
    return sorted((each["due_at"], each["amount"]) for each in circle.doses.values())


# --- plans


def test_a_taper_has_neither_a_gap_nor_a_day_twice(circle: Circle) -> None:
    steps = taper(DAY, ((4, 3), (2, 3), (1, 4)))
    assert [each["starts_on"] for each in steps] == ["2026-03-02", "2026-03-05", "2026-03-08"]
    assert steps[-1]["ends_on"] == "2026-03-11"
    for number, step in enumerate(steps):
        circle.item(id=f"i{number}", times=["08:00"], **step)
    found = due(circle)
    assert [amount for _, amount in found] == [4] * 3 + [2] * 3 + [1] * 4
    assert [at for at, _ in found] == [ms(DAY + timedelta(days=n), 8) for n in range(10)]


def test_another_amount_in_mid_course_is_that_of_the_doses_to_come(circle: Circle) -> None:
    circle.item(times=["08:00", "20:00"], amount=1)
    circle.go(ms(DAY, 12))
    circle.item(times=["08:00", "20:00"], amount=2, grace_minutes=90)
    assert circle.doses["i1_20260302_0"]["amount"] == 1
    assert circle.doses["i1_20260302_1"]["amount"] == 2
    assert circle.doses["i1_20260315_0"]["grace_minutes"] == 90


def test_alternate_days_and_an_interval_side_by_side(circle: Circle) -> None:
    circle.item(id="i1", times=["08:00"], frequency="every_n_days", every=2)
    circle.item(id="i2", times=["08:00"], frequency="every_n_hours", every=8)
    days = {name[3:11] for name in circle.doses if name.startswith("i1")}
    assert len(days) == 8
    hours = sorted(each["due_at"] for name, each in circle.doses.items() if name.startswith("i2"))
    assert hours[:3] == [ms(DAY, 8), ms(DAY, 16), ms(NEXT, 0)]


def test_a_rule_of_a_calendar_makes_the_same_doses(circle: Circle) -> None:
    circle.item(id="i1", times=["08:00"], frequency="weekly", weekdays=["monday", "thursday"])
    circle.item(id="i2", times=["08:00"], rrule="FREQ=WEEKLY;BYDAY=MO,TH")
    circle.item(id="i3", times=["08:00"], rrule="FREQ=WEEKLY;COUNT=5")
    names = {name.split("_", 1)[0] for name in circle.doses}
    assert names == {"i1", "i2"}
    assert circle.fields("medication_plan_items", "i3")["unread"] == ["rrule"]
    of = {each: {name[3:] for name in circle.doses if name.startswith(each)} for each in names}
    assert of["i1"] == of["i2"]


def test_a_journey_moves_what_is_to_come_and_leaves_what_came(circle: Circle) -> None:
    circle.item(times=["08:00", "20:00"])
    circle.go(ms(DAY, 9))
    before = circle.doses["i1_20260302_0"]["due_at"]
    circle.item(times=["08:00", "20:00"], time_zone="Europe/Berlin")
    found = circle.doses
    assert found["i1_20260302_0"]["due_at"] == before
    assert found["i1_20260302_1"]["due_at"] == ms(NEXT, 0, 30)  # 20:00 in Berlin
    assert found["i1_20260303_0"]["due_at"] == ms(NEXT, 12, 30)


# --- complaints of people


def test_rescheduling_makes_no_second_dose_of_the_day(circle: Circle) -> None:
    """MedTimer #1487, #1143: a medicine that was moved came up twice."""
    circle.item(times=["08:00"])
    for hour in range(9, 13):
        circle.go(ms(DAY, 7, hour))
        circle.item(times=[f"{hour:02}:00"])
    circle.go(ms(DAY, 13, 1))
    today = [name for name in circle.doses if "20260302" in name]
    assert today == ["i1_20260302_0"]


def test_another_time_makes_no_dose_of_the_past_missed(circle: Circle) -> None:
    """What was taken stays taken when its time is edited: its id does not hold the time."""
    circle.item(times=["08:00"])
    circle.go(ms(DAY, 8, 5))
    circle.says("e1", "i1_20260302_0", "taken", circle.at)
    circle.item(times=["07:00"])
    circle.go(ms(NEXT, 6))
    assert circle.doses["i1_20260302_0"]["state"] == "on_time"
    assert circle.all(ALERTS) == []


def test_a_pill_after_midnight_is_yesterday_s_and_tomorrow_s_is_still_to_come(
    circle: Circle,
) -> None:
    """MedTimer #181: a dose taken after midnight used up the next evening's."""
    circle.item(times=["23:30"])
    circle.go(ms(NEXT, 0, 10))
    circle.says("e1", "i1_20260302_0", "taken", circle.at)
    circle.go(ms(NEXT, 23, 31))
    states = [circle.doses[f"i1_2026030{n}_0"]["state"] for n in (2, 3)]
    assert states == ["on_time", "due"]


def test_a_dose_that_nobody_marks_becomes_missed_by_itself(circle: Circle) -> None:
    """MedTimer #1136: nothing ever marked a dose as missed; also after an outage of a week."""
    circle.item(times=["08:00"], ends_on="2026-03-04")
    circle.go(ms(DAY, 8, 10))
    circle.at = ms(DAY + timedelta(days=8), 12)  # nothing ran
    circle.sweep()
    circle.sweep()
    assert {each["state"] for each in circle.doses.values()} == {"missed"}
    assert len(circle.doses) == 3


def test_a_deleted_medicine_wakes_nobody(circle: Circle) -> None:
    """What hangs on a deleted medicine follows within minutes; nothing of it is missed then."""
    circle.item(times=["08:00"])
    circle.go(ms(DAY, 7))
    circle.delete("medications", "m1")
    circle.go(ms(NEXT, 12))
    assert circle.doses == {}
    assert circle.all(ALERTS) == []


def test_a_change_counts_from_when_it_was_made_however_late_the_server_looks(
    circle: Circle,
) -> None:
    circle.item(id="i1", times=["08:00"])
    circle.item(id="i2", times=["08:00"])
    circle.go(ms(DAY, 7))
    runner = circle.runner
    circle.runner = Runner(
        circle.store, {}, policy=RetryPolicy(), lease_ms=1, clock=lambda: circle.at
    )  # nothing runs
    circle.item(id="i1", times=["08:00"], paused=True)
    circle.item(id="i2", times=["12:30"])
    circle.at, circle.runner = ms(DAY, 12), runner
    circle.sweep()
    assert "i1_20260302_0" not in circle.doses
    assert circle.doses["i2_20260302_0"]["due_at"] == ms(DAY, 12, 30)
    assert circle.all(ALERTS) == []


def test_late_proof_leaves_a_line_in_the_trail(circle: Circle) -> None:
    circle.item(times=["08:00"])
    circle.go(ms(DAY, 10))
    circle.join("grandmother", role="patient")
    circle.says("e1", "i1_20260302_0", "taken", ms(DAY, 9, 30))
    assert circle.doses["i1_20260302_0"]["state"] == "late"
    [line] = [each for each in circle.all("audit") if each.fields["action"] == "amend"]
    assert line.fields["user_id"] == "caregiver1"
    assert line.fields["ids"] == {DOSES: ["i1_20260302_0"], EVENTS: ["e1"]}
    circle.go(ms(DAY, 12))
    assert len([each for each in circle.all("audit") if each.fields["action"] == "amend"]) == 1


def test_a_time_to_come_is_when_it_was_told(circle: Circle) -> None:
    """A clock that is ahead and says nothing of it: nothing was taken later than it was told."""
    circle.item(times=["08:00"])
    circle.go(ms(DAY, 8, 5))
    circle.says("e1", "i1_20260302_0", "taken", circle.at + 3 * 24 * 60 * MINUTE)
    assert circle.doses["i1_20260302_0"]["state"] == "on_time"
    assert circle.doses["i1_20260302_0"]["taken_at"] == circle.at


# --- as needed


def needed(circle: Circle, most: int | None = None) -> None:
    circle.item(times=[], frequency="as_needed", amount=2, most_a_day=most)


def test_what_is_taken_as_needed_is_a_dose_of_its_own(circle: Circle) -> None:
    needed(circle)
    for number in range(3):
        circle.says(f"e{number}", "i1", "taken", ms(DAY, 6 + number))
    circle.says("e0", "i1", "taken", ms(DAY, 6))  # again
    found = circle.doses
    assert len(found) == 3
    assert all(as_needed(name) for name in found)
    one = found[dose_of("i1", "taken", "e1")]
    assert (one["state"], one["taken_amount"]) == ("on_time", 2)


@pytest.mark.parametrize("first", ["taken", "undone"])
def test_what_is_undone_is_no_dose_whichever_is_heard_first(circle: Circle, first: str) -> None:
    needed(circle)
    dose = dose_of("i1", "taken", "e1")
    for kind in sorted(("taken", "undone"), key=lambda each: each != first):
        if kind == "taken":
            circle.says("e1", "i1", "taken", circle.at)
        else:
            circle.says("e2", "i1", "undone", circle.at, undoes="e1")
    assert circle.doses == {}
    assert circle.fields(EVENTS, "e1")["dose"] == circle.fields(EVENTS, "e2")["dose"] == dose


def test_a_dose_as_needed_is_undone_by_its_own_name_too(circle: Circle) -> None:
    needed(circle)
    circle.says("e1", "i1", "taken", circle.at)
    [name] = circle.doses
    circle.says("e2", name, "undone", circle.at, undoes="e1")
    assert circle.doses == {}


def test_more_than_the_daily_most_is_kept_and_alerts_once(circle: Circle) -> None:
    needed(circle, most=2)
    for number, hour in enumerate((1, 2)):
        circle.says(f"e{number}", "i1", "taken", ms(DAY, hour))
    assert circle.all(ALERTS) == []
    for number in (2, 3):
        circle.says(f"e{number}", "i1", "taken", ms(DAY, 3))
    assert len(circle.doses) == 4
    [told] = circle.all(ALERTS)
    assert told.fields["kind"] == "too_many_doses"
    assert told.fields["subject"] == "i1_20260302"
    circle.at = ms(NEXT, 12)
    circle.says("e9", "i1", "taken", circle.at)  # another day
    assert len(circle.all(ALERTS)) == 1


def test_a_pill_beside_the_plan_is_counted_as_well(circle: Circle) -> None:
    circle.item(times=["08:00"])
    circle.says("e1", "i1", "taken", circle.at)
    assert [name for name in circle.doses if as_needed(name)] == [dose_of("i1", "taken", "e1")]


def test_an_event_of_an_item_that_is_not_there_yet_waits_for_it(circle: Circle) -> None:
    circle.says("e1", "i1", "taken", circle.at)
    circle.says("e2", "i1_20260302_0", "skipped", circle.at, reason="sick")
    assert circle.doses == {}
    circle.item(times=["08:00"])
    assert len([name for name in circle.doses if as_needed(name)]) == 1
    assert circle.doses["i1_20260302_0"]["state"] == "skipped"


# --- two circles


def test_who_knows_the_id_of_another_circle_s_dose_settles_nothing_there(circle: Circle) -> None:
    circle.item(times=["08:00"])
    needed_id = dose_of("i1", "taken", "s2")
    circle.join("stranger", team="team9", role="caregiver")
    phone = Melon(circle, "stranger")
    rows = [
        {"id": "s1", "dose_id": "i1_20260302_0", "kind": "taken", "at": circle.at},
        {"id": "s2", "dose_id": "i1", "kind": "taken", "at": circle.at},
    ]
    sets = {"dose_events": {"created": [], "updated": rows, "deleted": []}}
    assert "rejected" not in phone.push(sets, phone.pull()["timestamp"])  # their own circle's words
    circle.go(ms(DAY, 9, 5))
    assert circle.doses["i1_20260302_0"]["state"] == "missed"
    assert needed_id not in circle.doses
    jobs = {each.scope_id for each in circle.jobs("dosing") if each.id.endswith("team1~i1")}
    assert jobs == {"team1"}


def test_every_day_of_a_year_is_one_dose(circle: Circle) -> None:
    """The windows of fourteen days meet without a gap: a dose a day, whatever day the job runs."""
    circle.item(times=["08:00"])
    for days in range(0, 60, 7):
        circle.at = ms(DAY + timedelta(days=days), 12)
        circle.sweep()
    names = sorted(each.key.id for each in circle.all(DOSES))
    first = date(2026, 3, 2)
    assert names == [f"i1_{first + timedelta(n):%Y%m%d}_0" for n in range(len(names))]
    assert len(names) > 60
