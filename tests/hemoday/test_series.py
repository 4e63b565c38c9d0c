"""Charts show exact values in one unit, held against the right range; nothing odd is dropped."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.products.hemoday import series
from shared.products.hemoday.household import Household, Households
from shared.products.hemoday.indicators import number
from shared.products.hemoday.ranges import AppliedRange
from shared.products.hemoday.series import Period, Series, placed
from shared.products.hemoday.tables import CATALOG
from tests.api.conftest import Api, StartApi
from tests.hemoday.at_home import DAY, household, result, transfusion
from tests.hemoday.family import Family, changes, row

UTC = ZoneInfo("UTC")
EVER = Period(None, None, UTC)


def of(home: Household, kind: str) -> Series:
    [found] = [each for each in series.standard(home, EVER) if each.kind == kind]
    return found


def test_haemoglobin_before_is_in_one_unit_with_the_family_s_range() -> None:
    home = household(
        ("family_profiles", "f1", {"ranges": {"718-7": {"low": 95, "high": 105}}}),
        transfusion(20000, 9.4),
        transfusion(20021, 96, "г/л"),
        transfusion(20042, "11", "g/dL"),
    )
    found = of(home, "haemoglobin_before")
    assert found.unit == "g/L"
    assert [(each.value, each.text, each.place, each.whose) for each in found.points] == [
        (94, "94", "low", "family"),
        (96, "96", "in", "family"),
        (110, "110", "high", "family"),
    ]
    assert [each.entered for each in found.points] == ["9.4 g/dL", "96 г/л", "11 g/dL"]


def test_what_is_asked_about_is_marked_and_what_has_no_unit_stands_apart() -> None:
    home = household(transfusion(20000, 96, "g/dL"), transfusion(20021, 9.6, ""))
    found = of(home, "haemoglobin_before")
    assert [(each.value, each.question) for each in found.points] == [(960, "unlikely_value")]
    assert [(each.entered, each.question) for each in found.unplaced] == [("9.6", "unit_missing")]


def test_the_report_s_own_range_goes_before_the_family_s_and_is_converted() -> None:
    """nightscout/cgm-remote-monitor#6984: what was too low to be measured stayed in the other unit."""
    home = household(
        ("family_profiles", "f1", {"ranges": {"2276-4": {"low": 1, "high": 2}}}),
        *result("r1", "Ferritin", 20000, value=900, unit="ng/mL", range_low=20, range_high=1000),
        *result("r2", "Ferritin", 20001, value=2, unit="mg/L", range_low=0.02),
        *result("r3", "Ferritin", 20002, value_text="> 2000", unit="ng/ml"),
        *result("r4", "Ferritin", 20003, value_text="< 2", unit="ng/ml"),
    )
    assert [
        (each.comparator, each.value, each.low, each.high, each.whose, each.place)
        for each in of(home, "ferritin").points
    ] == [
        ("", 900, 20, 1000, "report", "in"),
        ("", 2000, 20, None, "report", "in"),
        (">", 2000, 1, 2, "family", "high"),
        ("<", 2, 1, 2, "family", None),
    ]


@pytest.mark.parametrize(
    ("sign", "value", "low", "high", "place"),
    [
        ("", 5, 10, 40, "low"),
        ("", 10, 10, 40, "in"),
        ("<", 10, 10, 40, "low"),
        ("<=", 10, 10, 40, None),
        ("<", 5, 10, 40, "low"),
        ("<", 100, 10, 40, None),
        ("<", 30, 10, 40, None),
        ("<", 30, None, 40, "in"),
        ("<=", 40, None, 40, "in"),
        ("<", 50, None, 40, None),
        (">", 40, 10, 40, "high"),
        (">=", 40, 10, 40, None),
        (">", 59, 10, 40, "high"),
        (">", 20, 10, 40, None),
        (">", 20, 10, None, "in"),
        (">", 5, 10, None, None),
    ],
)
def test_a_bound_is_placed_only_where_it_is_certain(
    sign: str, value: float, low: float | None, high: float | None, place: str | None
) -> None:
    assert placed(AppliedRange(low, high, "report"), sign, value) == place


def test_volume_per_kg_says_what_it_lacks() -> None:
    home = household(
        ("family_profiles", "f1", {"weight_kg": 20}),
        transfusion(20000, volume_ml=300, weight_kg=30),
        transfusion(20100, volume_ml=300),
        transfusion(20200, weight_kg=30),
        transfusion(20366, volume_ml=310, weight_kg=31),
    )
    rolling = of(home, "volume_per_kg_rolling").points
    assert [
        (each.text, each.comparator, each.assumed, each.missing, each.partial) for each in rolling
    ] == [
        ("10", "", 0, 0, True),
        ("25", "", 1, 0, True),
        ("25", ">=", 1, 1, True),
        ("25", ">=", 1, 1, False),
    ]
    years = of(home, "volume_per_kg_year").points
    assert [(each.text, each.partial) for each in years] == [("10", True), ("25", True)]


def test_intervals_count_days_of_the_family_s_clock() -> None:
    late = 20000 * DAY + 23 * 3_600_000  # the next day in Tbilisi
    home = household(
        ("transfusions", "a", {"date": 20000 * DAY}),
        ("transfusions", "b", {"date": late}),
        ("transfusions", "c", {"date": 20021 * DAY}),
    )
    assert [each.text for each in of(home, "interval").points] == ["21"]
    here = Period(None, None, ZoneInfo("Asia/Tbilisi"))
    [found] = [each for each in series.standard(home, here) if each.kind == "interval"]
    assert [each.text for each in found.points] == ["1", "20"]


def test_a_family_s_own_indicator_has_a_series_for_each_unit() -> None:
    home = household(
        *result("r1", "Liver iron T2*", 20000, value=7.5, unit="ms"),
        *result("r2", "liver iron t2*", 20001, value=8.25, unit="ms"),
        *result("r3", "Liver iron T2*", 20002, value=3, unit="mg Fe/g"),
        *result("r4", "Liver iron T2*", 20003, value_text="unclear", unit="ms"),
    )
    found = series.indicator(home, "LIVER IRON T2*")
    assert [(each.unit, [one.text for one in each.points]) for each in found] == [
        ("mg Fe/g", ["3"]),
        ("ms", ["7.5", "8.25"]),
    ]
    assert [each.entered for each in found[1].unplaced] == ["unclear ms"]
    assert series.indicator(home, "nothing of that") == []


HB = st.one_of(
    st.tuples(st.decimals(2, 25, places=1), st.just("g/dL")),
    st.tuples(st.decimals(20, 250, places=0), st.just("g/L")),
    st.tuples(st.decimals(1, 15, places=2), st.just("mmol/L")),
)


@given(st.lists(HB, min_size=1, max_size=8), st.integers(40, 120), st.integers(121, 200))
def test_points_that_look_alike_are_alike(
    values: list[tuple[Any, str]], low: int, high: int
) -> None:
    """nightscout/nightguard#351: a bound of 4 was drawn, and raised its alarm, at another number."""
    home = household(
        ("family_profiles", "f1", {"ranges": {"718-7": {"low": low, "high": high}}}),
        *(transfusion(20000 + at, float(value), unit) for at, (value, unit) in enumerate(values)),
    )
    points = of(home, "haemoglobin_before").points
    assert len(points) == len(values)
    seen: dict[str, tuple[float, str | None]] = {}
    for each in points:
        assert seen.setdefault(each.text, (each.value, each.place)) == (each.value, each.place)
        assert number(each.value) == number(float(each.text))


@given(
    st.lists(
        st.tuples(
            st.integers(9000, 10500), st.integers(50, 600), st.decimals(5, 60, places=1).map(float)
        ),
        max_size=25,
        unique_by=lambda each: each[0],
    )
)
def test_the_rolling_year_is_what_adding_up_finds(rows: list[tuple[int, int, float]]) -> None:
    home = household(
        *(transfusion(day, volume_ml=volume, weight_kg=weight) for day, volume, weight in rows)
    )
    for each in of(home, "volume_per_kg_rolling").points:
        here = each.at // DAY
        exact = sum(
            Fraction(v) / Fraction(number(w)) for day, v, w in rows if here - 365 < day <= here
        )
        assert abs(Fraction(each.text) - exact) <= Fraction(1, 20)


WILD = st.floats(-1e14, 1e14) | st.sampled_from([None, True, "7", 1e300, 0, -1])


@given(
    volume=st.none() | st.floats(-1e9, 1e9),
    weight=st.none() | st.floats(-1e9, 1e9),
    before=WILD,
    ends=st.tuples(WILD, WILD),
    unit=st.sampled_from(["g/L", "g/dL", "mmol/L", "", "x"]),
)
def test_every_number_of_an_answer_is_one(
    volume: Any, weight: Any, before: Any, ends: Any, unit: str
) -> None:
    ranges = {"718-7": dict(zip(("low", "high"), ends, strict=True))}
    home = household(
        ("family_profiles", "f1", {"weight_kg": weight, "ranges": ranges}),
        transfusion(20000, before, unit, volume_ml=volume),
        transfusion(20021, before, unit, volume_ml=volume, weight_kg=weight),
        *result("r1", "own", 20000, value=volume, range_low=weight),
    )
    found = [*series.standard(home, EVER), *series.indicator(home, "own")]
    for point in (point for each in found for point in each.points):
        for number_ in (point.value, point.low or 0, point.high or 0):
            assert abs(number_) < 1e17
        assert float(point.text) == point.value


# --- the route


@pytest.fixture
def api(start_api: StartApi) -> Api:
    api = start_api(product="hemoday")
    api.join("anna", "f1", "owner")
    api.join("vera", "f1", "viewer")
    api.join("carl", "f2", "owner")
    said = '[{"name": "Hb", "value": %s, "unit": "g/dL"}]'
    sets = changes(
        transfusions=[
            {"id": f"t{day}", "date": day * DAY, "indicators_before": said % (9 + day % 3)}
            for day in (20000, 20021, 20042)
        ]
    )
    token = api.token("anna")
    assert api.ask("POST", "/api/v1/sync?last_pulled_at=null", sets, token=token).status_code == 200
    return api


def ask(api: Api, user: str, query: str = "") -> Any:
    answer = api.ask("GET", f"/api/v1/series{query}", token=api.token(user))
    return {"status": answer.status_code, **(answer.json or {})}


def test_days_are_inclusive_and_what_was_shown_is_in_the_trail(api: Api) -> None:
    first = date(1970, 1, 1) + timedelta(days=20021)
    said = ask(api, "vera", f"?first_day={first}&last_day={first}")
    [before] = [each for each in said["series"] if each["kind"] == "haemoglobin_before"]
    assert [each["id"] for each in before["points"]] == ["t20021"]
    [interval] = [each for each in said["series"] if each["kind"] == "interval"]
    assert [each["text"] for each in interval["points"]] == ["21"]  # also from before the days
    trail = api.ask("GET", "/api/v1/trail", token=api.token("vera")).json
    assert trail is not None
    assert "read_series" in {each["action"] for each in trail["entries"]}


def test_one_indicator_by_code_and_by_name_and_nothing_of_others(api: Api) -> None:
    for which in (
        "718-7",
        "hemoglobin",
        "%D0%B3%D0%B5%D0%BC%D0%BE%D0%B3%D0%BB%D0%BE%D0%B1%D0%B8%D0%BD",
    ):
        [found] = ask(api, "anna", f"?indicator={which}")["series"]
        assert (found["loinc"], len(found["points"])) == ("718-7", 3)
    [found] = ask(api, "carl", "?indicator=718-7")["series"]
    assert found["points"] == []


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("?scope=f2", 404, None),
        ("?first_day=2026-02-30", 400, "first_day"),
        ("?first_day=30.02.2026", 400, "first_day"),
        ("?first_day=2026-02-02&last_day=2026-02-01", 400, "last_day"),
        ("?first_day=0001-01-01", 400, "first_day"),
        ("?last_day=9999-12-31", 400, "last_day"),
        ("?time_zone=Mars/Base", 400, "time_zone"),
        ("?time_zone=../../etc/passwd", 400, "time_zone"),
        ("?indicator=", 400, "indicator"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(
    api: Api, query: str, status: int, field: str | None
) -> None:
    said = ask(api, "anna", query)
    assert (said["status"], said["error"].get("field")) == (status, field)


def test_a_family_on_a_store_is_the_family_in_memory(family: Family) -> None:
    said = '[{"name": "Hb", "value": 9.4, "unit": "g/dL"}]'
    family.melon().push(changes(transfusions=[row("t1", date=20000 * DAY, indicators_before=said)]))
    home = Households(family.store, CATALOG).of("team1")
    [point] = of(home, "haemoglobin_before").points
    assert (point.value, datetime.fromtimestamp(point.at / 1000, UTC).date()) == (
        94,
        date(1970, 1, 1) + timedelta(days=20000),
    )
