"""Insights: an exact test against an oracle, few false ones in a year, an end when they no longer hold."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.products.medmind import insights
from shared.products.medmind.insights import BEFORE, RECENT, SpanQuestion, fisher, questions
from shared.products.medmind.report.sentences import LANGUAGES, changed, numbers_in, words_in
from shared.products.medmind.summary import SummaryNumbers
from shared.products.medmind.summary_tables import INSIGHTS
from tests.medmind.summing import Summed
from tests.medmind.test_dosing import DAY, ms


@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_the_test_is_fisher_s_by_counting_every_way(
    days: int, before: int, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, days))
    hits_before = data.draw(st.integers(0, before))
    ways = list(combinations(range(days + before), hits + hits_before))
    as_many = sum(sum(each < days for each in way) >= hits for way in ways)
    assert fisher(hits, days, hits_before, before) == pytest.approx(as_many / len(ways), abs=1e-12)


def test_the_lady_tasting_tea() -> None:
    """R. A. Fisher, The Design of Experiments (1935), chapter II: 17 of 70 and 1 of 70."""
    assert fisher(3, 4, 1, 4) == pytest.approx(17 / 70)
    assert fisher(4, 4, 0, 4) == pytest.approx(1 / 70)


def lived(rng: random.Random, missed: float, away: float, delay: float = 10) -> SummaryNumbers:
    """A day of three doses; on some days all are missed together."""
    lost = 3 if rng.random() < away else sum(rng.random() < missed for _ in range(3))
    delays = sorted(round(rng.gauss(delay, 30)) for _ in range(3 - lost))
    told = {"pain": 0.1, "cough": 0.5, "nausea": 0.03}
    return SummaryNumbers(
        *(3, 3 - lost, 0, lost),
        delay_minutes=delays[(len(delays) - 1) // 2] if delays else None,
        symptoms={code: 1 for code, often in told.items() if rng.random() < often},
    )


def begun(days: list[SummaryNumbers]) -> list[tuple[int, str]]:
    """Insights that begin, by the day, of days that are looked at one after the other."""
    found, living = [], set[str]()
    for at in range(RECENT + BEFORE, len(days) + 1):
        recent, before = days[at - RECENT : at], days[at - RECENT - BEFORE : at - RECENT]
        asked = list(questions(recent, before))
        living = {name for name in living if insights.holds(name, asked)}
        for each, _ in insights.found(asked):
            if each.name not in living:
                living.add(each.name)
                found.append((at, each.name))
    return found


def test_a_stable_patient_gets_at_most_one_false_insight_a_year() -> None:
    rng = random.Random(7)
    kinds = [(missed, away) for missed in (0.02, 0.1, 0.3) for away in (0, 0.1)]
    years = [[lived(rng, *kind) for _ in range(365 + 42)] for kind in kinds * 4]
    assert sum(len(begun(year)) for year in years) / len(years) <= 1


def test_a_change_is_found_within_two_weeks() -> None:
    rng = random.Random(7)
    found = {"more_missed": 0, "later": 0}
    for _ in range(20):
        days = [lived(rng, 0.03, 0) for _ in range(42)]
        worse = [*days, *(lived(rng, 0.35, 0) for _ in range(14))]
        later = [*days, *(lived(rng, 0.03, 0, delay=60) for _ in range(14))]
        found["more_missed"] += any(name == "more_missed" for _, name in begun(worse))
        found["later"] += any(name == "later" for _, name in begun(later))
    assert min(found.values()) >= 16, found


def test_what_is_not_known_is_not_asked() -> None:
    nothing, fine = SummaryNumbers(), SummaryNumbers(2, 2, delay_minutes=5)
    open_day = SummaryNumbers(2, 1, open=1)
    assert (
        list(questions([fine] * 14, [nothing] * 28)) == []
    )  # paused days are no days without a miss
    assert list(questions([open_day] * 14, [fine] * 28)) == []
    first_told = [SummaryNumbers(2, 2, symptoms={"pain": 1})] * 14
    assert all(each.symptom is None for each in questions(first_told, [fine] * 28))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", insights.KINDS)
def test_its_words_have_its_numbers(kind: str, language: str) -> None:
    asked = SpanQuestion(kind, "cough" if kind == "symptom_more" else None, 9, 14, 3, 28, 44.5, 3.0)
    row = insights.columns(asked, 0.001, 5)
    shift = kind in ("later", "earlier")
    numbers = numbers_in(changed(row, words_in(language)))
    assert sorted(numbers) == ([3, 44] if shift else [3, 9, 14, 28])


# --- the job


@pytest.fixture
def circle(tmp_path: Path) -> Iterator[Summed]:
    place = Summed(tmp_path)
    place.item(times=["08:00"], grace_minutes=120)
    yield place
    place.store.close()


def live(circle: Summed, first: date, days: int, *, takes: bool) -> None:
    for number in range(days):
        day = first + timedelta(number)
        if takes:
            circle.at = ms(day, 8, 30)
            circle.says(f"e{day}", f"i1_{day:%Y%m%d}_0", "taken", circle.at)
        circle.hour(ms(day, 11), 24 * 60)
        circle.hour(ms(day + timedelta(1), 0, 1), 24 * 60)


def test_it_begins_is_shown_with_its_arithmetic_and_ends(circle: Summed) -> None:
    # given six weeks in which every dose was taken
    live(circle, DAY, 42, takes=True)
    assert circle.all(INSIGHTS) == []
    # when a week is missed
    first = DAY + timedelta(42)
    live(circle, first, 7, takes=False)
    # then it was told as soon as chance explained it badly
    [row] = [dict(each.fields) for each in circle.all(INSIGHTS)]
    hits, days = row["recent_hits"], row["recent_days"]
    assert (row["kind"], days, row["before_hits"], row["before_days"]) == ("more_missed", 14, 0, 28)
    assert (
        row["p_value"] == fisher(hits, 14, 0, 28) <= row["threshold"] < fisher(hits - 1, 14, 0, 28)
    )
    assert row["found_on"] == (first + timedelta(hits - 1)).isoformat()
    assert row["text"] == f"More days with a missed dose: {hits} of 14, before 0 of 28."
    assert row["threshold"] == insights.PER_LOOK / row["questions"]
    # and it ends when the device says, late, that all was taken
    for number in range(7):
        day = first + timedelta(number)
        circle.says(f"late{day}", f"i1_{day:%Y%m%d}_0", "taken", ms(day, 8, 5))
    assert "ended_on" not in circle.all(INSIGHTS)[0].fields
    live(circle, first + timedelta(7), 1, takes=True)
    [row] = [dict(each.fields) for each in circle.all(INSIGHTS)]
    assert row["ended_on"] == (first + timedelta(7)).isoformat()
