"""Retakes and red cases by week are what a plain count gives, on both stores, for one's own teams alone."""

from __future__ import annotations

from datetime import UTC, date
from typing import Any

import pytest

from shared.errors import Forbidden, NotFound
from shared.products.dermadetect import quality
from shared.products.dermadetect.numbers import NumbersQuery
from shared.products.dermadetect.quality import WeeklyQuality
from shared.records import record
from shared.records.store import Key, Write, put
from tests.review.conftest import Practice, doctor
from tests.review.test_filters import NOON

DAY = 86_400_000
MARCH = NumbersQuery(date(2026, 3, 1), date(2026, 3, 31), UTC)


def of(practice: Practice, user: str = "doc1", **asked: Any) -> dict[str, Any]:
    return WeeklyQuality(practice.store).of(doctor(user), MARCH._replace(**asked))


def photo(name: str, at: int, verdict: str | None, scope: str = "team1") -> list[Write]:
    file = {"table": "cases", "record_id": "c", record.SCOPE: scope, "blob": name, "at": at}
    blob = {} if verdict is None else {"quality": {"verdict": verdict, "reasons": []}}
    return [
        put(Key("files", name), {**file, "state": "ready"}, None),
        put(Key("blobs", name), {"state": "ready", **blob}, None),
    ]


def case(
    name: str, at: int, phone: str, analysis: str, verdict: str | None, **more: Any
) -> list[Write]:
    """A signed case: what the phone called it, what the analysis, and what the doctor said of that."""
    reading = {"triage_final": analysis}
    ranks = {"red": 1, "yellow": 3, "green": 4}
    own = {record.SCOPE: more.pop("scope", "team1")}
    fields = {
        "risk_level": phone,
        "ai_analysis": reading,
        "_rank": min(ranks[phone], ranks[analysis]),
    }
    done = {"table": "cases", "record_id": name, "first_signed_at": at, "verdict": verdict}
    return [
        put(Key("cases", name), {**own, **fields, **more}, None),
        put(Key("reviews", name), {**own, **done}, None),
    ]


def test_photos_count_in_the_week_in_which_the_phone_spoke_of_them(practice: Practice) -> None:
    weeks = [NOON, NOON + 7 * DAY]
    practice.store.commit(
        [
            *photo("good", weeks[0], "good"),
            *photo("again", weeks[0], "retake"),
            *photo("later", weeks[1], "retake"),
            *photo("unjudged", weeks[0], None),
            *photo("theirs", weeks[0], "retake", "team9"),
            *photo("before", NOON - 60 * DAY, "retake"),
        ]
    )
    found = of(practice)
    assert found["all"]["photos"] == {"checked": 3, "retake": 2}
    told = [each["photos"] for each in found["weeks"] if each["photos"]["checked"]]
    assert told == [{"checked": 2, "retake": 1}, {"checked": 1, "retake": 1}]
    assert found["photos_whole"]


def test_red_cases_are_those_whose_red_analysis_a_doctor_agreed_with(practice: Practice) -> None:
    gone = {record.DELETED: NOON, record.KEPT: NOON}
    practice.store.commit(
        [
            *case("seen", NOON, "red", "red", "agree"),
            *case("missed", NOON, "green", "red", "agree"),
            *case("raised", NOON, "red", "red", "agree", _signed={"colour": 4}),
            *case("harmless", NOON, "yellow", "yellow", "agree"),
            *case("alarm", NOON, "red", "green", "agree"),
            *case("disagreed", NOON, "red", "red", "reject"),
            *case("edited", NOON, "red", "red", "edit"),
            *case("silent", NOON, "red", "red", None),
            *case("gone", NOON, "red", "red", "agree", **gone),
            *case("theirs", NOON, "red", "red", "agree", scope="team9"),
        ]
    )
    found = of(practice)
    assert found["all"]["red"] == {"confirmed": 3, "phone_red": 1}
    assert sum(each["red"]["confirmed"] for each in found["weeks"]) == 3
    assert found["red_whole"]


def test_beyond_the_bound_the_newest_count_and_it_is_said(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "MOST", 2)
    for number in range(3):
        practice.store.commit(photo(f"p{number}", NOON + number * DAY, "retake"))
        practice.store.commit(case(f"c{number}", NOON + number * DAY, "red", "red", "agree"))
    found = of(practice)
    assert found["all"]["photos"]["checked"] == found["all"]["red"]["confirmed"] == 2
    assert (found["photos_whole"], found["red_whole"]) == (False, False)


def test_only_for_those_who_may_see_numbers(practice: Practice) -> None:
    with pytest.raises(NotFound):
        of(practice, scope_id="team9")
    practice.join("chw9", "team1", "chw")
    with pytest.raises(Forbidden):
        of(practice, "chw9")
