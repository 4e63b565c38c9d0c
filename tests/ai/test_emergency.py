"""What makes an emergency by itself: a sourced table, that only raises, and that nobody can make less."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.products.dermadetect import emergency, rules
from shared.products.dermadetect.analysis.document import finish, unavailable
from shared.products.dermadetect.analysis.draft_reading import parse
from shared.products.dermadetect.analysis.vocabulary import NEXT_STEPS, RED_FLAGS, URGENCIES
from shared.products.dermadetect.emergency import NONE, ROWS, urgency_of
from tests.ai import strategies
from tests.ai.test_analysis import PROVENANCE, text

TODAY = date(2026, 11, 21)
some_flags = st.sets(st.sampled_from(RED_FLAGS))


def test_every_row_has_known_flags_a_reason_and_a_source() -> None:
    for row in ROWS:
        assert row.flags
        assert set(row.flags) <= set(RED_FLAGS) - {"other"}, row
        assert row.why
        assert row.source
        assert row.url.startswith("https://"), row
    sets = [frozenset(row.flags) for row in ROWS]
    assert len(set(sets)) == len(sets)
    assert not [(one, other) for one in sets for other in sets if one < other], (
        "a row that says nothing new"
    )
    assert set(emergency.STEPS) <= set(NEXT_STEPS)


def test_the_table_says_that_a_clinician_has_to_confirm_it() -> None:
    assert "clinician" in emergency.STATUS
    assert date.fromisoformat(emergency.DATED)
    assert emergency.VERSION


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "+".join(row.flags))
def test_the_flags_of_a_row_are_an_emergency_and_fewer_are_not(
    row: emergency.EmergencyRule,
) -> None:
    assert urgency_of(row.flags) == ("emergency", ("refer_now",))
    for left_out in row.flags:
        assert urgency_of(set(row.flags) - {left_out}) == NONE


#: What the table must hold whatever else is changed: flags, and whether they are an emergency.
FIXED: list[tuple[str, bool]] = [
    ("breathing_difficulty", True),
    ("airway_swelling", True),
    ("shock", True),
    ("skin_detachment fever", True),
    ("purpura fever", True),
    ("necrosis severe_pain", True),
    ("young_infant fever", True),
    ("", False),
    ("fever", False),
    ("bleeding", False),
    ("purpura", False),
    ("non_healing_ulcer suspicious_pigmented_lesion rapid_growth", False),
    ("infant pregnancy immunosuppressed", False),
    ("other", False),
]


@pytest.mark.parametrize(("flags", "is_one"), FIXED)
def test_what_is_an_emergency_and_what_is_not(flags: str, is_one: bool) -> None:
    assert urgency_of(flags.split()).urgency == ("emergency" if is_one else None)


@given(some_flags, some_flags)
def test_more_flags_never_mean_less(some: set[str], more: set[str]) -> None:
    if urgency_of(some).urgency:
        assert urgency_of(some | more).urgency == "emergency"


@strategies.unhurried
@given(
    strategies.good_drafts,
    st.sampled_from(ROWS),
    some_flags,
    strategies.triages,
    strategies.triages,
    st.integers(0, 3),
)
def test_neither_model_nor_phone_makes_an_emergency_less(
    draft: dict[str, Any],
    row: emergency.EmergencyRule,
    more: set[str],
    device: Any,
    said: Any,
    split: int,
) -> None:
    # Given the flags of a row, some from the rules and some from the model
    by_rules = [*row.flags[:split], *more]
    draft = {**draft, "red_flags": [*row.flags[split:]]}
    # When the model calls it what it likes
    document = finish(
        parse(json.dumps(draft)),
        triage_device=device,
        rules_triage=said,
        rules_flags=by_rules,
        provenance=PROVENANCE,
    )
    # Then it is an emergency, red, and the first step is to refer now
    assert (document["urgency"], document["triage_final"]) == ("emergency", "red")
    assert document["suggested_next_steps"][0] == "refer_now"
    assert set(document["red_flags"]) >= set(row.flags)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "+".join(row.flags))
@pytest.mark.parametrize("device", ["green", "red", None])
def test_an_emergency_does_not_wait_for_a_model_that_is_away(
    row: emergency.EmergencyRule, device: Any
) -> None:
    document = unavailable("model_busy", device, rules_triage="red", rules_flags=row.flags)
    assert (document["urgency"], document["triage_final"]) == ("emergency", "red")
    assert document["suggested_next_steps"][0] == "refer_now"


def test_flags_that_are_no_emergency_leave_the_urgency_as_it_was() -> None:
    for urgency in URGENCIES:
        document = finish(
            parse(text(urgency=urgency)),
            triage_device="red",
            rules_triage="red",
            rules_flags=["bleeding"],
            provenance=PROVENANCE,
        )
        assert document["urgency"] == max("urgent", urgency, key=URGENCIES.index)


#: From the answers of a form to the emergency; the phone says green.
FORMS: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({"breathlessness": "yes"}, {"age": 30}, True),
    ({"swollen_tongue": "ndiyo"}, {"age": 30}, True),
    ({"bleeding": "heavy"}, {"age": 30}, True),
    ({"bleeding": "moderate"}, {"age": 30}, False),
    ({"skin_peeling": "oui", "temperature": "38,9"}, {"age": 30}, True),
    ({"non_blanching_rash": True, "fever": "नहीं"}, {"age": 30}, False),
    ({"non_blanching_rash": True, "fever": "हाँ"}, {"age": 30}, True),
    ({"necrosis": 1, "pain_score": "9/10"}, {"age": 30}, True),
    ({"temperature": 38.2}, {"age_days": 20}, True),
    ({"temperature": 35.1}, {"age_days": 20}, True),
    ({"temperature": 35.1}, {"age": 30}, False),
    ({"pus": True}, {"age_days": 20}, False),
    ({"temperature": 38.2}, {"age_months": 6}, False),
    ({"danger_signs": "convulsions"}, {"age": 3}, True),
    ({"danger_signs": "unable_to_drink_or_breastfeed vomits_everything"}, {"age": 3}, True),
    ({"danger_signs": "lethargic_or_unconscious"}, {"age": 3}, True),
]


@pytest.mark.parametrize(("form", "patient", "is_one"), FORMS)
def test_answers_become_an_emergency_by_themselves(
    form: dict[str, Any], patient: dict[str, Any], is_one: bool
) -> None:
    verdict = rules.judge(form, patient, TODAY)
    assert (rules.urgency_of(verdict.flags).urgency == "emergency") is is_one
    document = unavailable("x", "green", rules_triage=verdict.triage, rules_flags=verdict.flags)
    assert (document["urgency"] == "emergency") is is_one
