"""When doses are due: each once, through every change of a plan, every zone and ten years."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.products.medmind.plans import MOST_DAYS, DoseDue, DoseRule, RuleVersion, doses
from shared.records.wall_time import instant

BERLIN = ZoneInfo("Europe/Berlin")
MORNING, NIGHT = time(8), time(20)
DAY = date(2026, 3, 2)
FEW_ZONES = ("Europe/Berlin", "America/Caracas", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Gaza")


def ms(day: date, at: time, zone: ZoneInfo = BERLIN) -> int:
    return instant(datetime.combine(day, at), zone)


def of(
    *versions: RuleVersion, days: int = 3, zone: ZoneInfo = BERLIN, first: date = DAY
) -> list[DoseDue]:
    return list(doses(versions, zone, first, first + timedelta(days=days - 1)))


def test_times_of_a_day_have_places() -> None:
    found = of(RuleVersion(0, DoseRule(DAY, (MORNING, NIGHT))), days=2)
    assert [each.name for each in found] == [
        "20260302_0",
        "20260302_1",
        "20260303_0",
        "20260303_1",
    ]
    assert found[1].at_ms == ms(DAY, NIGHT)


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ({"frequency": "daily"}, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
        ({"frequency": "every_n_days", "every": 2}, [2, 4, 6, 8, 10, 12, 14]),
        ({"frequency": "weekly"}, [2, 9]),
        ({"frequency": "weekly", "weekdays": frozenset({0, 3})}, [2, 5, 9, 12]),
        ({"frequency": "monthly"}, [2]),
        ({"frequency": "as_needed"}, []),
        ({"frequency": "daily", "last": date(2026, 3, 4)}, [2, 3, 4]),
        ({"frequency": "daily", "paused": True}, []),
    ],
)
def test_days_of_a_rule(rule: dict[str, object], days: list[int]) -> None:
    found = of(RuleVersion(0, DoseRule(DAY, (MORNING,), **rule)), days=14)  # type: ignore[arg-type]
    assert [int(each.name[6:8]) for each in found] == days


def test_the_31st_is_the_last_day_of_a_shorter_month() -> None:
    rule = DoseRule(date(2026, 1, 31), (MORNING,), "monthly")
    found = of(RuleVersion(0, rule), days=120, first=date(2026, 1, 1))
    assert [each.name[:8] for each in found] == [
        "20260131",
        "20260228",
        "20260331",
        "20260430",
    ]


@pytest.mark.parametrize(
    ("before", "after", "changed", "due"),
    [
        (time(9), time(10), time(8), time(10)),  # not due yet: it is due at the new time
        (time(8), time(9), time(8, 30), time(8)),  # it came, and comes once
        (time(9), time(8), time(8, 30), time(8, 30)),  # jumped over: due at the change
        (time(9), time(7), time(8), time(8)),
        (time(8), time(7), time(9), time(8)),  # long over
    ],
)
def test_a_change_of_time_makes_neither_two_doses_nor_none(
    before: time, after: time, changed: time, due: time
) -> None:
    versions = (
        RuleVersion(0, DoseRule(DAY, (before,))),
        RuleVersion(ms(DAY, changed), DoseRule(DAY, (after,))),
    )
    found = of(*versions, days=2)
    assert found == [
        DoseDue("20260302_0", ms(DAY, due)),
        DoseDue("20260303_0", ms(DAY + timedelta(days=1), after)),
    ]


def test_a_pause_takes_what_is_to_come_and_leaves_what_was() -> None:
    noon, later = ms(DAY, time(12)), ms(DAY + timedelta(days=2), time(12))
    rule = DoseRule(DAY, (MORNING, NIGHT))
    paused = DoseRule(DAY, (MORNING, NIGHT), paused=True)
    found = of(RuleVersion(0, rule), RuleVersion(noon, paused), RuleVersion(later, rule), days=3)
    assert [each.name for each in found] == ["20260302_0", "20260304_1"]


def test_a_new_item_owes_nothing_of_the_hours_before_it() -> None:
    found = of(RuleVersion(ms(DAY, time(12)), DoseRule(DAY, (MORNING, NIGHT))), days=1)
    assert [each.name for each in found] == ["20260302_1"]


def test_clocks_that_change() -> None:
    spring, autumn = date(2026, 3, 29), date(2026, 10, 25)
    rule = DoseRule(date(2026, 1, 1), (time(2, 30),))
    for day, wanted in ((spring, time(3, 30)), (autumn, time(2, 30))):
        [found] = of(RuleVersion(0, rule), days=1, first=day)
        shown = datetime.fromtimestamp(found.at_ms / 1000, BERLIN)
        assert (shown.time(), shown.fold) == (wanted, 0)


def test_days_are_bounded() -> None:
    with pytest.raises(ValueError, match="days"):
        of(RuleVersion(0, DoseRule(DAY, (MORNING,))), days=MOST_DAYS + 1)


def ten_years(zone: ZoneInfo) -> None:
    """Each day has its dose once, at the wall time or, where that never comes, within a day of it."""
    first = date(2020, 1, 1)
    rule = DoseRule(first, (time(2, 30), time(23, 45)))
    found = of(RuleVersion(0, rule), days=3653, zone=zone, first=first)
    assert len({each.name for each in found}) == len(found) == 2 * 3653
    for each in found:
        shown = datetime.fromtimestamp(each.at_ms / 1000, UTC).astimezone(zone)
        wanted = datetime.strptime(each.name[:8], "%Y%m%d").date()
        assert abs((shown.date() - wanted).days) <= 1


@pytest.mark.parametrize("name", FEW_ZONES)
def test_ten_years_of_a_zone(name: str) -> None:
    ten_years(ZoneInfo(name))


@pytest.mark.proof
def test_ten_years_of_every_zone() -> None:
    for name in sorted(available_timezones()):
        ten_years(ZoneInfo(name))


moments = st.lists(
    st.tuples(st.integers(0, 4 * 24 * 60), st.sampled_from([6, 8, 9, 12, 18, 21])),
    min_size=1,
    max_size=6,
    unique_by=lambda each: each[0],
)


@given(moments, st.sampled_from(FEW_ZONES))
def test_however_often_a_time_is_moved_each_day_has_one_dose(
    changes: list[tuple[int, int]], name: str
) -> None:
    """A judge that walks the minutes: what is due then, of a day that has had none."""
    zone = ZoneInfo(name)
    start = ms(DAY, time(0), zone)
    versions = [RuleVersion(0, DoseRule(DAY, (MORNING,)))]
    for minute, hour in sorted(changes):
        versions.append(RuleVersion(start + minute * 60_000, DoseRule(DAY, (time(hour),))))
    found = {each.name: each.at_ms for each in of(*versions, zone=zone)}
    assert set(found) == {f"{DAY + timedelta(days=n):%Y%m%d}_0" for n in range(3)}

    def rule_at(at_ms: int) -> DoseRule:
        return [each.rule for each in versions if each.since_ms <= at_ms][-1]

    given_on: dict[str, int] = {}
    for minute in range(4 * 24 * 60):
        at_ms = start + minute * 60_000
        for number in range(3):
            day = DAY + timedelta(days=number)
            dose = f"{day:%Y%m%d}_0"
            if (
                dose not in given_on
                and instant(datetime.combine(day, rule_at(at_ms).times[0]), zone) <= at_ms
            ):
                given_on[dose] = at_ms
    assert found == given_on
