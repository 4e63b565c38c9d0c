"""The red-flag rules: a closed list that only raises, and that nothing a phone sends can stop."""

from __future__ import annotations

import json
import random
from datetime import date
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ai import rules
from shared.ai.analysis import RED_FLAGS
from shared.ai.intake import entries
from shared.ai.rules import NOTHING, RULES, judge
from tests.ai import plain_rules, strategies

TODAY = date(2026, 11, 21)
ADULT = {"age": 34}


def flags(triage: Any, demographics: Any = ADULT) -> tuple[str, ...]:
    return judge(triage, demographics, TODAY).flags


def test_every_red_flag_but_other_has_its_rule_and_there_is_no_other_rule() -> None:
    assert set(RULES) == set(RED_FLAGS) - {"other"}


#: One row a rule at least: answers, patient, the flags that must come of it.
FIRES: list[tuple[Any, Any, tuple[str, ...]]] = [
    ({"bleeding": True}, ADULT, ("bleeding",)),
    ({"bleeds": "yes"}, ADULT, ("bleeding",)),
    ({"rapid_growth": True}, ADULT, ("rapid_growth",)),
    ({"growth": "rapid"}, ADULT, ("rapid_growth",)),
    ({"fever": True}, ADULT, ("fever",)),
    ({"temperature_c": 38.0}, ADULT, ("fever",)),
    ({"temperature": "39.2"}, ADULT, ("fever",)),
    ({"mucosa": 1}, ADULT, ("mucosal_involvement",)),
    ({"site": "lower lip", "ulcer": True}, ADULT, ("mucosal_involvement",)),
    ({"site": "left eyelid", "swelling": True}, ADULT, ("eye_involvement",)),
    ({"purpura": "present"}, ADULT, ("purpura",)),
    ({"necrosis": {"present": True}}, ADULT, ("necrosis",)),
    ({"blisters": True}, ADULT, ("blistering",)),
    ({"skin_detachment": True}, ADULT, ("skin_detachment",)),
    ({"pain_score": 8}, ADULT, ("severe_pain",)),
    ({"pain": "severe"}, ADULT, ("severe_pain",)),
    ({"spreadingInfection": True}, ADULT, ("spreading_infection",)),
    ({"facial_swelling": True}, ADULT, ("facial_swelling",)),
    ({"breathing_difficulty": "Y"}, ADULT, ("breathing_difficulty",)),
    ({"ulcer": True, "duration_weeks": 4}, ADULT, ("non_healing_ulcer",)),
    ({"ulcer": True, "duration": "2 months"}, ADULT, ("non_healing_ulcer",)),
    ({"ulcer": True, "duration": {"value": 5, "unit": "weeks"}}, ADULT, ("non_healing_ulcer",)),
    ({"colour": "black", "growing": True}, ADULT, ("suspicious_pigmented_lesion",)),
    (
        {"abcde": {"asymmetry": True, "evolution": True}, "diameter_mm": 7},
        ADULT,
        ("suspicious_pigmented_lesion",),
    ),
    ({"pus": True}, {"age_months": 2}, ("infant",)),
    ({"spreading": True}, {"birth_date": "2026-05-01"}, ("infant",)),
    ({"pregnant": True, "pus": True}, ADULT, ("pregnancy",)),
    ({"hiv_positive": True, "spreading": True}, ADULT, ("immunosuppressed",)),
    ({"symptoms": ["itch", "fever"]}, ADULT, ("fever",)),
    ({"red_flags": ["purpura"]}, ADULT, ("purpura",)),
    ([{"question": "fever", "answer": "yes"}], ADULT, ("fever",)),
    ({"answers": {"fever": True}}, ADULT, ("fever",)),
]


@pytest.mark.parametrize(("triage", "patient", "found"), FIRES, ids=lambda v: json.dumps(v)[:40])
def test_an_answer_that_a_rule_knows_makes_the_case_red(
    triage: Any, patient: Any, found: tuple[str, ...]
) -> None:
    for shape in (triage, json.dumps(triage)):  # parsed, and as it is stored
        verdict = judge(shape, patient, TODAY)
        assert verdict == ("red", found)
    jsonschema.validate(verdict.stored(), rules.SCHEMA)


#: What must not fire: a plain rash, answers with no, the patient's state alone, edges of numbers.
STILL: list[tuple[Any, Any]] = [
    ({}, ADULT),
    ({"site": "foot", "itching": True, "duration_days": 60}, ADULT),
    ({"fever": False, "bleeding": "no", "pus": 0}, {"age_months": 2}),
    ({"temperature_c": 37.9}, ADULT),
    ({"temperature_c": 380}, ADULT),
    ({"pain_score": 7}, ADULT),
    ({"ulcer": True, "duration_days": 27}, ADULT),
    ({"pregnant": True}, ADULT),
    ({"site": "arm"}, {"age_months": 2}),
    ({"site": "left eyelid"}, ADULT),
    ({"colour": "black"}, ADULT),
    ({"pus": True}, ADULT),
    ({"pus": True}, {"age": 1}),
    ({"notes": "fever, bleeding"}, ADULT),
    ({"other": True}, ADULT),
]


@pytest.mark.parametrize(("triage", "patient"), STILL, ids=lambda v: json.dumps(v)[:40])
def test_what_no_rule_knows_says_nothing(triage: Any, patient: Any) -> None:
    assert judge(triage, patient, TODAY) == NOTHING
    assert NOTHING.stored() is None


@strategies.unhurried
@given(strategies.json_values, strategies.json_values | st.text(max_size=20))
def test_whatever_a_phone_sends_the_rules_end_with_words_of_the_list(
    triage: Any, demographics: Any
) -> None:
    verdict = judge(triage, demographics, TODAY)
    assert set(verdict.flags) <= set(RED_FLAGS)
    assert (verdict.triage == "red") is bool(verdict.flags)


@strategies.unhurried
@given(st.sampled_from(FIRES), st.dictionaries(st.sampled_from("abcdefgh"), strategies.scalars))
def test_more_answers_never_silence_a_rule(
    row: tuple[Any, Any, tuple[str, ...]], noise: dict[str, Any]
) -> None:
    triage, patient, found = row
    if isinstance(triage, dict):
        assert set(flags({**noise, **triage}, patient)) >= set(found)


#: Demographics that make somebody frail or not, readable or not.
PATIENTS: tuple[Any, ...] = (None, ADULT, {"ageMonths": 3}, '{"dob": "2026-08-01"}', {"age": "x"})


@settings(strategies.unhurried, max_examples=400)
@given(strategies.triage_answers, st.sampled_from(PATIENTS))
def test_the_quick_look_finds_what_reading_everything_finds(triage: Any, patient: Any) -> None:
    expected = plain_rules.judge(triage, patient, TODAY)
    assert judge(triage, patient, TODAY) == expected
    # As it is stored: text, with escapes or without.
    for plain in (True, False):
        text = json.dumps(triage, ensure_ascii=plain)
        assert judge(text, patient, TODAY) == plain_rules.judge(text, patient, TODAY)
    if isinstance(triage, dict | list):
        assert entries(triage) == list(plain_rules.entries(triage))


def test_every_word_with_every_reply_is_judged_as_by_reading_everything() -> None:
    """Each key that anything knows with each reply, alone, denied, and beside what completes it."""
    beside: tuple[dict[str, Any], ...] = (
        {},
        {"site": "eyelid"},
        {"pus": True, "swelling": True},
        {"colours": ["brown"], "diameter_mm": 8, "duration": "5 weeks"},
        {"asymmetry": 1, "ulcer": "yes", "duration_days": 28, "genital": "no"},
    )
    replies: tuple[Any, ...] = (True, False, "yes", "no", "severe", "rapid", 1, 0, 8, 39.5, "38.2")
    replies += (["fever", "painful"], {"present": True}, {"present": False}, {"bleeds": "yes"})
    for key in strategies.KNOWN_KEYS:
        for reply in replies:
            for others in beside:
                triage = {**others, key: reply}
                expected = plain_rules.judge(triage, {"age_months": 2}, TODAY)
                assert judge(triage, {"age_months": 2}, TODAY) == expected, triage


def test_whole_forms_are_judged_as_by_reading_everything() -> None:
    draw = random.Random(20261121)
    spoke = 0
    for _ in range(3_000):
        triage = {
            draw.choice(strategies.KNOWN_KEYS): draw.choice(
                [
                    True,
                    False,
                    False,
                    "no",
                    "no",
                    "none",
                    "yes",
                    "mild",
                    3,
                    38.4,
                    12,
                    ["itch"],
                    ["pus"],
                ]
            )
            for _ in range(draw.randint(1, 14))
        }
        if draw.random() < 0.3:
            triage = {"answers": [{"question": k, "answer": v} for k, v in triage.items()]}
        patient = draw.choice(PATIENTS)
        found = judge(json.dumps(triage), patient, TODAY)
        assert found == plain_rules.judge(triage, patient, TODAY), triage
        spoke += found.triage is not None
    assert 500 < spoke < 2_500, "forms must be of both kinds"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"fever": true, "x": NaN}', ("fever",)),
        ('{"fever": true, "note": "\\ud800"}', ("fever",)),
        ('{"fever": true, "fever": false}', ()),
        ('{"fever": 1e400}', ()),
        ('{"fever": "\ud800"}', ()),
        ("\ufeff{}", ()),
        ("{", ()),
        ("[" * 5_000 + "]" * 5_000, ()),
    ],
)
def test_text_at_the_edge_of_json_is_read_as_ever(text: str, found: tuple[str, ...]) -> None:
    assert flags(text) == found == plain_rules.judge(text, ADULT, TODAY).flags
