"""Days and weeks of a patient: numbers as a judge has them, made once at midnight, mended by late news."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.products.medmind.patient_days import PatientClock, ZoneSince, week_name
from shared.products.medmind.summarising import BACK_DAYS
from shared.products.medmind.summary_tables import SUMMARIES
from shared.records.store import Key, put
from shared.records.wall_time import instant
from tests.medmind.summing import Summed, judged, tomorrow
from tests.medmind.test_dosing import DAY, MINUTE, ms
from tests.stores import Interrupted

HOUR = 60 * MINUTE
FIRST = DAY.isoformat()  # a Monday
NEXT = DAY + timedelta(days=1)


@pytest.fixture
def circle(tmp_path: Path) -> Iterator[Summed]:
    place = Summed(tmp_path)
    place.item()
    yield place
    place.store.close()


# --- days of a clock


def test_a_day_has_the_hours_that_its_clock_says() -> None:
    for name, day, hours in (
        ("Asia/Kolkata", "2026-03-29", 24),
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("America/Havana", "2026-11-01", 25),  # midnight comes twice
        ("Asia/Beirut", "2026-03-29", 23),  # and here it never comes
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Pacific/Apia", "2011-12-30", 0),  # Samoa left it out
    ):
        clock, first = PatientClock([ZoneSince(0, ZoneInfo(name))]), date.fromisoformat(day)
        length = clock.starts_ms(first + timedelta(1)) - clock.starts_ms(first)
        assert length == hours * HOUR, (name, day)


ZONES = (
    *("Asia/Kolkata", "Europe/Berlin", "America/Havana", "Asia/Beirut", "Pacific/Kiritimati"),
    *("Pacific/Pago_Pago", "America/St_Johns", "Pacific/Apia"),
)


@given(
    st.lists(st.tuples(st.integers(1, 60 * 24), st.sampled_from(ZONES)), min_size=1, max_size=6),
    st.datetimes(datetime(1988, 1, 1), datetime(2040, 1, 1)),
)
def test_every_moment_is_of_exactly_one_day(moves: list[tuple[int, str]], begins: datetime) -> None:
    at_ms, zones = int(begins.replace(tzinfo=UTC).timestamp()) * 1000, []
    for hours, name in moves:
        zones.append(ZoneSince(at_ms, ZoneInfo(name)))
        at_ms += hours * HOUR
    clock = PatientClock(zones)
    first = clock.day_of(zones[0].since_ms)
    bounds = [clock.starts_ms(first + timedelta(n)) for n in range(30)]
    assert bounds == sorted(bounds)
    for number, start in enumerate(bounds[:-1]):
        if start < bounds[number + 1]:
            for moment in (start, (start + bounds[number + 1]) // 2, bounds[number + 1] - 1):
                assert clock.day_of(moment) == first + timedelta(number)


def test_weeks_are_those_of_iso_8601() -> None:
    assert week_name(date(2027, 1, 1)) == "2026-W53"
    assert week_name(date(2024, 12, 30)) == "2025-W01"


# --- rows


def test_a_day_is_summed_up_at_its_midnight_and_a_week_on_monday(circle: Summed) -> None:
    circle.hour(ms(DAY, 8, 10))
    circle.says("e1", "i1_20260302_0", "taken", ms(DAY, 8, 7))
    circle.hour(ms(DAY, 23))
    assert circle.days == {}
    circle.hour(ms(NEXT, 0))
    row = circle.days[FIRST]
    assert circle.numbers(FIRST) == [2, 1, 0, 1, 0, 0, 50, 0]
    assert (row["delay_minutes"], row["starts_at"], row["ends_at"]) == (7, ms(DAY, 0), ms(NEXT, 0))
    assert row["scope_id"] == "team1"
    circle.hour(ms(DAY + timedelta(6), 23))
    assert circle.weeks == {}
    circle.hour(ms(DAY + timedelta(7), 0))
    week = circle.weeks["2026-W10"]
    assert (week["due"], week["on_time"], week["missed"]) == (14, 1, 13)
    assert [each.key.id for each in circle.all("weekly_patient_summaries")] == ["team1_2026W10"]


def test_what_comes_late_amends_the_day_and_its_week(circle: Summed) -> None:
    circle.hour(ms(DAY + timedelta(9), 12), 180)
    assert (circle.days[FIRST]["missed"], circle.weeks["2026-W10"]["missed"]) == (2, 14)
    assert circle.days[FIRST].get("amended_at") is None
    circle.says("e1", "i1_20260302_0", "taken", ms(DAY, 11))
    circle.says("e2", "i1_20260302_1", "skipped", ms(DAY, 20), reason="nausea ")
    row = circle.days[FIRST]
    assert circle.numbers(FIRST) == [2, 0, 1, 0, 1, 0, 50, 0]
    assert (row["amended_at"], row["skip_reasons"]) == (circle.at, ["nausea"])
    assert circle.weeks["2026-W10"]["missed"] == 12
    assert circle.days["2026-03-03"].get("amended_at") is None


def test_what_comes_later_than_two_months_leaves_the_day_as_it_was(circle: Summed) -> None:
    circle.hour(ms(NEXT, 1))
    circle.item(ends_on="2026-03-03")
    for days, missed in ((BACK_DAYS, 1), (BACK_DAYS + 1, 2)):
        day = tomorrow(FIRST, 1 if days == BACK_DAYS else 0)
        circle.hour(ms(date.fromisoformat(day) + timedelta(days), 12), 24 * 60)
        name = f"i1_{day.replace('-', '')}_0"
        circle.says(f"e{days}", name, "taken", ms(date.fromisoformat(day), 8))
        assert circle.doses[name]["state"] == "on_time"
        if days == BACK_DAYS:
            assert circle.days[day]["missed"] == missed
    assert circle.days[FIRST]["missed"] == 2


def test_a_dose_whose_grace_is_not_over_at_midnight_is_open_and_then_settled(
    circle: Summed,
) -> None:
    circle.item(times=["23:30"])
    circle.hour(ms(NEXT, 0))
    assert circle.numbers(FIRST) == [1, 0, 0, 0, 0, 1, None, 0]
    circle.hour(ms(NEXT, 1))
    assert circle.numbers(FIRST) == [1, 0, 0, 1, 0, 0, 0, 0]
    assert circle.days[FIRST].get("amended_at") is None  # it came in its time


def test_looking_again_writes_nothing(circle: Summed) -> None:
    circle.hour(ms(DAY + timedelta(8), 2), 180)
    before = [each.version for each in circle.all("daily_patient_summaries")]
    for _ in range(2):
        circle.push(patients=[{"id": "team1", "name": "K.", "time_zone": "Asia/Kolkata"}])
    assert [each.version for each in circle.all("daily_patient_summaries")] == before


def test_a_patient_s_row_that_goes_ends_it_and_one_that_comes_back_begins_again(
    circle: Summed,
) -> None:
    circle.hour(ms(NEXT, 1))
    circle.delete("patients", "team1")
    circle.hour(ms(DAY + timedelta(3), 1), 180)
    assert list(circle.days) == [FIRST]


class Killed(BaseException):
    """The process dies."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_commit_the_rows_are_the_same(tmp_path: Path, *, after: bool) -> None:
    def told(place: Summed) -> list[object]:
        times = ("last_modified_at", "created_at", "updated_at")
        rows = [*place.days.values(), *place.weeks.values()]
        return [
            {name: row[name] for name in row if name[0] != "_" and name not in times}
            for row in rows
        ]

    def lived(place: Summed, kill_at: int) -> int:
        place.item()
        place.at = ms(DAY + timedelta(7), 0, 1)
        place.runner.run_due("dosing", 60)
        count = 0

        def step(_writes: object) -> None:
            nonlocal count
            count += 1
            if count == kill_at:
                raise Killed

        store = Interrupted(place.store, **{"after" if after else "before": step})
        try:
            place.runner_on(store).run_due(SUMMARIES, 60)
        except Killed:
            place.at += 2 * MINUTE  # the lease runs out
            place.runner.run_due(SUMMARIES, 60)
        return count

    for each in ("whole", *"12345678"):
        (tmp_path / each).mkdir()
    whole = Summed(tmp_path / "whole")
    commits = lived(whole, 0)
    assert commits >= 2
    for number in range(1, commits + 1):
        place = Summed(tmp_path / str(number))
        lived(place, number)
        assert told(place) == told(whole)
        assert len(place.days) == 7


def test_symptoms_are_counted_by_kind_on_the_day_they_were_told(circle: Summed) -> None:
    circle.hour(ms(NEXT, 0))
    told = ((ms(NEXT, 9), "a bad headache"), (ms(NEXT, 21), "सिर दर्द"), (ms(NEXT, 22), "my ear"))
    for number, (at, what) in enumerate(told):
        told_of = {"scope_id": "team1", "at": at, "what": what}
        circle.store.commit([put(Key("symptom_logs", f"s{number}"), told_of, None)])
    circle.hour(ms(NEXT + timedelta(1), 0))
    row = circle.days[NEXT.isoformat()]
    assert row["symptoms"] == {"headache": 2, "other": 1}
    assert "headache: 2 times" in row["text"]
    assert circle.days[FIRST].get("symptoms") is None


# --- for any plan, any events, any clock


@pytest.mark.parametrize("seed", range(8))
def test_every_number_is_that_of_a_judge(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    zone = rng.choice(ZONES)
    circle = Summed(tmp_path, zone)
    begins = rng.choice([date(2026, 3, 26), date(2026, 10, 22), date(2026, 10, 29)])
    circle.at = instant(datetime.combine(begins, time(rng.randrange(24))), ZoneInfo(zone))
    circle.push(patients=[{"id": "team1", "time_zone": zone}])
    moves = [(circle.at, zone)]
    for number in range(3):
        circle.item(
            id=f"i{number}",
            starts_on=begins.isoformat(),
            times=[f"{rng.randrange(24):02d}:{rng.choice((0, 30)):02d}" for _ in range(2)],
            time_zone=rng.choice((zone, "UTC")),
            grace_minutes=rng.choice((30, 240)),
            frequency="as_needed" if number == 2 else rng.choice(("daily", "every_n_days")),
            every=2,
        )
    said: dict[str, str] = {}
    for number in range(45):
        circle.hour(circle.at + rng.randrange(1, 9) * HOUR, 240)
        dose = rng.choice([name for name in circle.doses if name[:2] != "i2"])
        if rng.random() < 0.3:
            dose = "i2"  # as needed
        kind = rng.choice(("taken", "taken", "taken", "skipped", "undone"))
        more = {}
        if kind == "undone" and said:
            more["undoes"] = rng.choice(list(said))
            dose = said[more["undoes"]]
        happened = circle.at - rng.choice((0, 1, 2, 30, 60)) * HOUR - rng.randrange(60) * MINUTE
        circle.says(f"e{number}", dose, kind, max(happened, moves[0][0]), reason="sick", **more)
        said[f"e{number}"] = dose
        if rng.random() < 0.12:
            moves.append((circle.at, rng.choice(ZONES)))
            circle.push(patients=[{"id": "team1", "time_zone": moves[-1][1]}])
    circle.hour(circle.at + 30 * HOUR, 240)
    wanted, rows = judged(circle, moves), circle.days
    clock = PatientClock([ZoneSince(at, ZoneInfo(name)) for at, name in moves])
    today = clock.day_of(circle.at).isoformat()
    assert {day for day in wanted if day < today} <= rows.keys() | {begins.isoformat()}
    for day, row in rows.items():
        judge = wanted.get(day, {"counts": [], "delays": [], "as_needed": 0})
        counts = judge["counts"]
        assert row["due"] == len(counts), day
        for state in ("on_time", "late", "missed", "skipped"):
            assert row[state] == counts.count(state), (day, state)
        assert row["as_needed"] == judge["as_needed"], day
        delays = sorted(judge["delays"])
        assert row.get("delay_minutes") == (delays[(len(delays) - 1) // 2] if delays else None)
    for name, row in circle.weeks.items():
        inside = [each for day, each in rows.items() if week_name(date.fromisoformat(day)) == name]
        for each in ("due", "on_time", "late", "missed", "skipped", "open", "as_needed"):
            assert row[each] == sum(day[each] for day in inside), (name, each)
    circle.store.close()
