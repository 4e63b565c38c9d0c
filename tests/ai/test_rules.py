"""The red-flag rules: a closed list that only raises, and that nothing a phone sends can stop."""
# ruff: noqa: E501  (rows of tables)

from __future__ import annotations

import json
import random
from datetime import date
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.products.dermadetect import forms, rules
from shared.products.dermadetect.analysis.vocabulary import RED_FLAGS
from shared.products.dermadetect.answers import measures, yes_no
from shared.products.dermadetect.answers.wording import NO, OPEN
from shared.products.dermadetect.intake import entries
from shared.products.dermadetect.rules import NOTHING, RULES, Verdict, judge
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
    ({"temperature_c": 380}, ADULT, ("fever",)),  # without its point
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
        assert verdict == ("red", found, ())
    jsonschema.validate(verdict.stored(), rules.SCHEMA)


#: Twice the same in what ODK, KoboToolbox, CommCare, CHT, DHIS2, REDCap, OpenMRS and FHIR make of a form.
WRAPPED: list[Any] = [
    {"fever": True},
    {"has_fever": "1"},
    {"Fever?": "yes"},
    {"q3_fever_present": "on"},
    {"symptoms": "itch fever"},
    {"symptoms": ["itch", "fever"]},
    {"symptoms": "itch, fever"},
    {"symptoms": ["itch fever"]},
    {"symptoms/fever": "1", "symptoms/itch": "0"},
    {"symptoms___fever": "1"},
    {"symptoms": {"fever": True, "itch": False}},
    {"symptoms": {"fever": "1"}},
    {"symptoms": [{"name": "fever"}, {"name": "itch"}]},
    {"danger_signs": "fever"},
    {"group_ab1/group_cd2/danger_signs/fever": "yes"},
    {"form": {"history": {"exam": {"findings": {"observations": {"answers": {"fever": True}}}}}}},
    {"visit": [{"day": 1, "fever": "no"}, {"day": 2, "fever": "yes"}]},
    {"fever": {"value": True}},
    {"fever": {"fever": "yes", "since": "2 days"}},
    {"fever": {"temperature": "38,4"}},
    {"fever": ["yes"]},
    {"fever": {"yes": True, "no": False}},
    {"fever": "39.1"},
    {"temperature_1": 37.0, "temperature_2": 38.6},
    {"temperature": [{"value": 37.0}, {"value": 38.6}]},
    {"temperature": 101.5, "temperature_unit": "F"},
    {"temperature_f": "101,5"},
    {"vitals": {"temp": "٣٩"}},
    {"dataValues": [{"dataElement": "fever", "value": "true"}]},
    {"obs": [{"concept": {"display": "Fever"}, "value": {"display": "Yes"}}]},
    {"item": [{"linkId": "1.2", "text": "Fever", "answer": [{"valueBoolean": True}]}]},
    {"item": [{"item": [{"linkId": "fever", "answer": [{"valueCoding": {"display": "Yes"}}]}]}]},
    [{"id": "q7", "question": "Does the child have fever?", "answer": "Yes"}],
    {"no_fever": "no", "fever": "yes"},
    {"fièvre": "oui"},
    {"homa": "ndiyo"},
    {"बुखार": "हाँ"},
    {"febre": "sim"},
    {"fiebre": "sí"},
    {"حمى": "نعم"},
    {"symptômes": "fièvre"},
    "fever",
]


@pytest.mark.parametrize("form", WRAPPED, ids=lambda v: json.dumps(v)[:60])
def test_an_answer_is_found_however_a_form_engine_wraps_it(form: Any) -> None:
    for shape in (form, json.dumps(form), json.dumps(form, ensure_ascii=False)):
        assert set(flags(shape)) == {"fever"}


#: What else people and forms write of a red flag, in no order.
SEEN_IN_THE_FIELD: list[dict[str, Any]] = [
    {"bleeding": "Yes - heavy"},
    {"bleeding": "YES (a bit)"},
    {"bleeding": "ja"},
    {"bleeding": "hapo ndiyo"},
    {"Bleeding": "Oui, un peu"},
    {"bleeding": "1 - Yes"},
    {"bleeding": "yes_heavy"},
    {"bleeding": "option_yes"},
    {"temperature": "39,5 °C"},
    {"temperature": "39.5c"},
    {"temperature": "T39.5"},
    {"temperature": "39.5 grados"},
    {"temperature": "३९"},
    {"temperature": "38.0"},
    {"temperature": "100.4"},
    {"temperature": "100,4 F"},
    {"temperature": "38..5"},
    {"temperature": "39 5"},
    {"temperature": {"celsius": 39.5}},
    {"temperature": {"degrees": "39,5"}},
    {"temperature": {"reading": "39.5", "unit": "C"}},
    {"temperature": ["37.1", "39,0"]},
    {"temp_c": "39"},
    {"bodyTemp": 39.2},
    {"temperature": "37.5 -> 39.1"},
    {"Temperature (°C)": 39.5},
    {"temperature_celsius": "39.5"},
    {"temperature (F)": 103},
    {"vital_signs": {"temperature": {"value": "39,2"}}},
    {"fever": "high"},
    {"fever": "yes, 3 days"},
    {"fever": "since yesterday"},
    {"fever": "101"},
    {"fever": "mild"},
    {"fever": "Sim, 39"},
    {"pain": "10"},
    {"pain": "ten"},
    {"pain_score": "8 / 10"},
    {"pain_score": "9,5"},
    {"pain_score": {"score": 8}},
    {"pain": "très forte"},
    {"pain": "kali"},
    {"pain": "तेज"},
    {"pain": {"severity": "severe"}},
    {"pain": {"present": True, "severity": "severe"}},
    {"pain_severity": "Severe"},
    {"pain_level": "9-10"},
    {"pain": "80/100"},
    {"pain": "worst"},
    {"symptoms": "Bleeding; Fever"},
    {"symptoms": "fever+bleeding"},
    {"symptoms": "1. fever 2. itching"},
    {"symptoms": [["fever"]]},
    {"symptoms": [{"value": "fever"}]},
    {"symptoms": [{"label": "Fever", "selected": True}, {"label": "Itch", "selected": False}]},
    {"symptoms": "high_fever"},
    {"symptoms": "fever_39"},
    {"red_flag_signs": "necrosis"},
    {"danger_signs": {"bleeding": {"selected": "yes"}}},
    {"danger_signs": ["convulsions"]},
    {"dangerSigns": "difficulty_breathing"},
    {"danger_sign_list": "lethargic"},
    {"signes_de_danger": "convulsions"},
    {"ulcer": "yes", "duration": "1 month"},
    {"ulcer": "yes", "duration": "a month"},
    {"ulcer": "yes", "duration": "4 weeks"},
    {"ulcer": "yes", "duration": "+1 month"},
    {"ulcer": "yes", "duration": "1-3 months"},
    {"ulcer": "yes", "duration": "more_than_4_weeks"},
    {"ulcer": "yes", "duration": "over_a_month"},
    {"ulcer": "yes", "duration": "gt_1_month"},
    {"ulcer": "yes", "duration": ">= 4 weeks"},
    {"ulcer": "yes", "duration": "4_to_6_weeks"},
    {"ulcer": "yes", "duration": {"weeks": 6}},
    {"ulcer": "yes", "duration": {"amount": 6, "unit": "weeks"}},
    {"ulcer": "yes", "duration": 6, "duration_unit": "weeks"},
    {"ulcer": "yes", "duration_value": 6, "duration_unit": "weeks"},
    {"ulcer": "yes", "onset": "2026-09-01"},
    {"ulcer": "yes", "duration_days": "٣٠"},
    {"ulcer": "yes", "duration": "zaidi ya mwezi mmoja"},
    {"ulcer": "yes", "duration": "mwezi 1"},
    {"ulcer": "yes", "duration": "एक महीने से ज्यादा"},
    {"ulcer": "yes", "duration": "plus d'un mois"},
    {"ulcer": "yes", "duration": "más de un mes"},
    {"ulcer": "yes", "duration": "mais de 1 mês"},
    {"ulcer": "yes", "duration": "أكثر من شهر"},
    {"ulcer": "yes", "duration": "1 yr"},
    {"ulcer": "yes", "duration": "Long time"},
    {"kidonda": "ndiyo", "muda": "miezi 3"},
    {"ulcer": "yes", "duration": "40" + " d"},
    {"wound": "yes", "how_long": "2 months"},
    {"site": "Left eye", "pain": "mild"},
    {"site": "jicho", "kuvimba": "ndiyo"},
    {"body_site": "oeil gauche", "douleur": "oui"},
    {"site": ["lower_lip"], "ulcer": "yes"},
    {"site": {"value": "eyelid"}, "swelling": "yes"},
    {"site": "face eye", "swelling": "1"},
    {"rash_non_blanching": "yes"},
    {"does_rash_blanch": "no"},
    {"glass_test_positive": "yes"},
    {"swollen_lips": True},
    {"difficulty_in_breathing": "yes"},
    {"breathing_problem": "yes"},
    {"unable_to_breastfeed": "yes"},
    {"not_able_to_drink": "yes"},
    {"able_to_drink": "no"},
    {"vomits_everything": "yes"},
    {"unconscious": "yes"},
    {"conscious": "no"},
    {"had_convulsions": "yes"},
]


@pytest.mark.parametrize("form", SEEN_IN_THE_FIELD, ids=lambda v: json.dumps(v)[:60])
def test_what_is_written_in_the_field_makes_a_case_red(form: dict[str, Any]) -> None:
    verdict = judge(json.dumps(form), ADULT, TODAY)
    assert verdict.triage == "red"
    assert verdict.look == ()


#: What they write when there is none, and what is about something else.
QUIET_IN_THE_FIELD: list[dict[str, Any]] = [
    {"bleeding": "No bleeding seen"},
    {"bleeding": "Nope"},
    {"bleeding": "0 - No"},
    {"bleeding": "2 - No"},
    {"bleeding": "no_bleeding"},
    {"bleeding": "option_no"},
    {"bleeding": "no ()"},
    {"bleeding": "NO/NON"},
    {"bleeding": "not at all"},
    {"bleeding": "no, none"},
    {"bleeding": "no, never"},
    {"bleeding": "No, doctor"},
    {"bleeding": "non, pas du tout"},
    {"bleeding": "hapana hakuna"},
    {"bleeding": "नहीं जी"},
    {"bleeding": "जी नहीं"},
    {"bleeding": "لا ابدا"},
    {"bleeding": "ninguno"},
    {"bleeding": "nein"},
    {"bleeding": "absent"},
    {"bleeding": "None reported"},
    {"fever": "no fever"},
    {"fever": "afebrile"},
    {"fever": "36.8"},
    {"fever": "normal"},
    {"fever": "sin fiebre"},
    {"fever": "no tiene"},
    {"fever": "não tem febre"},
    {"fever": "hana homa"},
    {"fever": "बुखार नहीं है"},
    {"fever": "pas de fièvre"},
    {"fever": "n'a pas de fièvre"},
    {"temperature": "36,8"},
    {"temperature": "98.4 F"},
    {"temperature": "normal"},
    {"temperature": "37"},
    {"pain": "none"},
    {"pain": "0/10"},
    {"pain": "moderate"},
    {"pain": "5"},
    {"pain": "mild pain"},
    {"pain": "no pain"},
    {"pain": "a little"},
    {"symptoms": "itching, dry skin"},
    {"symptoms": "none"},
    {"danger_signs": "none"},
    {"danger_signs": "no danger signs"},
    {"danger_signs": "aucun signe"},
    {"danger_signs": ["none"]},
    {"danger_signs": "hakuna"},
    {"danger_signs": "no"},
    {"danger_signs": None},
    {"ulcer": "yes", "duration": "1 week"},
    {"ulcer": "yes", "duration": "2 weeks"},
    {"ulcer": "yes", "duration": "less than 4 weeks"},
    {"ulcer": "yes", "duration": "< 1 month"},
    {"ulcer": "yes", "duration": "siku 3"},
    {"growth": "slow"},
    {"growth": "none"},
    {"site": "face", "itching": "severe"},
    {"site": "eyelid", "itching": "severe"},
    {"blistering": "no blisters"},
    {"purpura": "no purple spots"},
    {"rapid_growth": "no growth"},
    {"other_symptoms": "itching"},
    {"notes": "no fever"},
    {"consent": "yes"},
    {"photo_quality": "good"},
    {"skin_colour": "brown"},
    {"colour": "brown"},
    {"blood_pressure": "120/80"},
    {"blood_group": "O"},
    {"temperature_site": "axillary"},
    {"age": "34"},
    {"shock": "no"},
    {"fever": "no - 36.7"},
    {"fever": "No (36.9)"},
    {"breathing": "normal"},
    {"necrosis": "nil"},
    {
        "_uuid": "abc",
        "_submission_time": "2026-11-01T10:00:00",
        "meta/instanceID": "uuid:1",
        "start": "2026-11-01T10:00:00.000+02:00",
        "end": "2026-11-01T10:05:00.000+02:00",
        "today": "2026-11-01",
        "deviceid": "x",
        "form/bleeding": "no",
    },
    {
        "form": {
            "@xmlns": "http://x",
            "@name": "Skin",
            "meta": {"timeStart": "2026-11-01"},
            "bleeding": "no",
            "case": {"@case_id": "1"},
        }
    },
    {"skin_colour": "black", "mole_changing": "yes"},
    {"able_to_drink": "yes", "conscious": "yes"},
    {"bleeding": {"bleeding_present": "no", "bleeding_site": ""}},
    {"fever": {"temperature": 36.6, "measured_by": "CHW"}},
]


@pytest.mark.parametrize("form", QUIET_IN_THE_FIELD, ids=lambda v: json.dumps(v)[:60])
def test_what_is_written_in_the_field_of_nothing_is_quiet(form: dict[str, Any]) -> None:
    assert judge(json.dumps(form), ADULT, TODAY) == NOTHING


#: Denied in the same ways: nothing fires and nobody has to look.
DENIED: list[Any] = [
    {"fever": answer}
    for answer in (
        False,
        0,
        "0",
        "no",
        "No",
        "NO!",
        "non",
        "hapana",
        "नहीं",
        "não",
        "لا",
        "none",
        "n/a",
        "37",
        "36,8",
    )
] + [
    {"fever": ["no"]},
    {"fever": {"value": "no", "label": "Fever"}},
    {"fever": {"yes": False, "no": True}},
    {"no_fever": "yes"},
    {"symptoms": "itch no_fever"},
    {"symptoms": {"fever": False}},
    {"symptoms/fever": "0"},
    {"symptoms": "none", "danger_signs": "none"},
    {"danger_signs": []},
    {"danger_signs": "aucun"},
    {"danger_signs": "0"},
    {"danger_signs": {"fever": False, "bleeding": "no"}},
    [{"question": "fever", "answer": "no"}],
    [{"symptom": "fever", "present": False}],
    [{"symptom": "fever", "present": None}],
    {"temperature": 98.6, "temperature_unit": "F"},
    {"temperature": "36,6 °C"},
    {"temperature": 0},
    {"temperature": ""},
    {"pain": "2/10"},
    {"bleeding": "pas de saignement", "purpura": "hakuna", "necrosis": "لا يوجد", "shock": "sin"},
    {"fever_duration": "3", "bleeding_site": "leg", "family_history_of_melanoma": "yes"},
    {"pregnant": "unknown", "hiv_status": "zzz"},
]


@pytest.mark.parametrize("form", DENIED, ids=lambda v: json.dumps(v, ensure_ascii=False)[:60])
def test_no_is_understood_in_every_form_and_nobody_has_to_look(form: Any) -> None:
    assert judge(form, ADULT, TODAY) == NOTHING
    assert judge(json.dumps(form), ADULT, TODAY) == NOTHING


#: What nobody can understand: answers, patient, what asks for a person.
LOOKS: list[tuple[Any, Any, tuple[str, ...]]] = [
    ({"bleeding": "zzz"}, ADULT, ("bleeding",)),
    ({"bleeds": "¿quizá?"}, ADULT, ("bleeding",)),
    ({"bleeding": 7}, ADULT, ("bleeding",)),
    ({"bleeding": "don't know"}, ADULT, ("bleeding",)),
    ({"bleeding": "gums nose"}, ADULT, ("bleeding",)),
    ({"purpura": {"odd": 5}}, ADULT, ("purpura",)),
    ({"no_fever": "no"}, ADULT, ("fever",)),
    ({"temperature": "warm"}, ADULT, ("temperature",)),
    ({"temperature": 999}, ADULT, ("temperature",)),
    ({"temperature": True}, ADULT, ("temperature",)),
    ({"pain": "at night"}, ADULT, ("pain",)),
    ({"growth": "zzz"}, ADULT, ("growth",)),
    ({"temperature": {"odd": 39}}, ADULT, ("temperature",)),
    ({"able_to_drink": "zzz"}, ADULT, ("unable_to_drink",)),
    ({"ulcer": True, "duration": "a while"}, ADULT, ("duration",)),
    ({"ulcer": True, "duration": 6}, ADULT, ("duration",)),
    ({"ulcer": "zzz", "duration": "6 weeks"}, ADULT, ("ulcer",)),
    ({"ulcer": "zzz", "duration": "a while"}, ADULT, ("ulcer", "duration")),
    ({"site": "eyelid", "swelling": "zzz"}, ADULT, ("swelling",)),
    ({"pus": True}, {"age": "small"}, ("age",)),
    ({"pus": "zzz"}, {"age_months": 4}, ("pus",)),
    ({"pus": True, "pregnant": "zzz"}, ADULT, ("pregnancy",)),
    ({"danger_signs": "yes"}, ADULT, ("red_flags",)),
    ({"danger_signs": True}, ADULT, ("red_flags",)),
    ({"danger_signs": "zzz"}, ADULT, ("red_flags",)),
    ({"danger_signs": "1 4"}, ADULT, ("red_flags",)),
    ({"symptoms": "1 4"}, ADULT, ("symptoms",)),
    ({"symptoms": ["2"]}, ADULT, ("symptoms",)),
    ({"bleeding_gums": "yes"}, ADULT, ("bleeding",)),
    ({"fever_last_week": True}, ADULT, ("fever",)),
    ("{", ADULT, ("triage_data",)),
]


@pytest.mark.parametrize(("form", "patient", "look"), LOOKS, ids=lambda v: json.dumps(v)[:40])
def test_what_is_not_understood_under_a_red_flag_asks_for_a_person(
    form: Any, patient: Any, look: tuple[str, ...]
) -> None:
    verdict = judge(form, patient, TODAY)
    assert verdict == Verdict(None, (), look)
    stored = verdict.stored()
    assert stored == {"version": rules.VERSION, "triage": None, "flags": [], "look": list(look)}
    jsonschema.validate(stored, rules.SCHEMA)


#: Not understood, and it could change nothing.
IDLE: list[tuple[Any, Any]] = [
    ({"ulcer": False, "duration": "a while"}, ADULT),
    ({"swelling": "zzz", "site": "arm"}, ADULT),
    ({"pus": "zzz"}, ADULT),
    ({"pregnant": "zzz"}, ADULT),
    ({"itching": True}, {"age": "small"}),
    ({"symptoms": "zzz"}, ADULT),
    ({"site": "zzz", "notes": "bleeding?"}, ADULT),
    ({"bleeding_gums": "no"}, ADULT),
    ({"size": 14}, ADULT),
]


@pytest.mark.parametrize(("form", "patient"), IDLE, ids=lambda v: json.dumps(v)[:40])
def test_what_could_change_nothing_asks_nobody(form: Any, patient: Any) -> None:
    assert judge(form, patient, TODAY) == NOTHING


def test_a_red_case_names_what_was_not_understood_beside_its_flags() -> None:
    verdict = judge({"fever": True, "bleeding": "zzz"}, ADULT, TODAY)
    assert verdict == Verdict("red", ("fever",), ("bleeding",))
    jsonschema.validate(verdict.stored(), rules.SCHEMA)
    assert judge({"fever": True, "temperature": "zzz"}, ADULT, TODAY).look == ()


def test_what_is_stored_of_a_case_that_was_understood_has_no_look() -> None:
    stored = judge({"fever": True}, ADULT, TODAY).stored()
    assert stored == {"version": rules.VERSION, "triage": "red", "flags": ["fever"]}


@strategies.unhurried
@given(st.sampled_from(sorted(forms.SIGNS)), st.text(max_size=40) | strategies.scalars)
def test_an_answer_under_a_red_flag_is_yes_or_no_or_open_or_asks_for_a_person(
    sign: str, answer: Any
) -> None:
    verdict = judge({sign: answer}, ADULT, TODAY)
    if yes_no.reply(answer, sign) not in (NO, OPEN):
        heard = verdict.triage == "red" or verdict.look
        assert heard or (sign == "fever" and measures.temperature(answer).amount is not None)


@strategies.unhurried
@given(strategies.triage_answers, st.sampled_from(["", "Amina", "+250 788 123 456"]))
def test_look_never_holds_what_a_phone_wrote(triage: Any, secret: str) -> None:
    verdict = judge(
        {"bleeding": secret + "zzz", f"bleeding {secret}": True, "x": triage}, ADULT, TODAY
    )
    assert set(verdict.look) <= set(rules.LOOKS)


@strategies.unhurried
@given(
    st.sampled_from(FIRES),
    strategies.triage_answers,
    st.lists(st.sampled_from("abcde"), max_size=8),
)
def test_no_group_hides_an_answer_whatever_stands_beside_it(
    row: tuple[Any, Any, tuple[str, ...]], noise: Any, path: list[str]
) -> None:
    triage, patient, found = row
    form: Any = triage
    for group in path:
        form = {group: form, "noise": noise}
    assert set(flags(form, patient)) >= set(found)


def test_a_form_without_end_is_read_as_far_as_bounds_go_and_asks_for_a_person() -> None:
    endless = {f"question {number}": "no" for number in range(5_000)}
    assert judge({"first": {"bleeding": True}, "rest": endless}, ADULT, TODAY).look == (
        "triage_data",
    )
    for answer in (["no"] * 5_000, "no " * 5_000):
        assert judge({"bleeding": answer}, ADULT, TODAY).look == ("bleeding",)


@pytest.mark.parametrize(
    "odd",
    [
        float("inf"),
        float("-inf"),
        float("nan"),
        10**400,
        -(10**400),
        "9" * 500,
        "P" + "9" * 500 + "Y",
    ],
)
def test_a_number_without_measure_breaks_nothing(odd: Any) -> None:
    for key in (
        "bleeding",
        "temperature",
        "pain",
        "duration",
        "size_mm",
        "age",
        "dob",
        "danger_signs",
    ):
        for given_ in (odd, [odd], {"value": odd}, {"value": odd, "max": odd}):
            judge({"ulcer": True, "pus": True, key: given_}, {key: given_}, TODAY)


#: Age as demographics write it; each is under one year, and the last two under two months.
INFANTS: list[dict[str, Any]] = [
    {"age": 0}, {"age": "6 months"}, {"age": {"value": 6, "unit": "months"}}, {"age_months": 6}, {"ageInMonths": "6"},
    {"dob": "2026-08-01"}, {"dob": "01/08/2026"}, {"age": 6, "age_unit": "months"}, {"age": 6, "ageUnit": "Months"},
    {"dateOfBirth": "2026-08-01T00:00:00.000Z"}, {"age_in_months": 6}, {"age_weeks": 30}, {"age": "६ महीने"}, {"âge": "6 mois"},
    {"age": "miezi 6"}, {"العمر": "٦ أشهر"}, {"demographics": {"age": "6m"}}, {"age": "<1"}, {"age": "baby"},
    {"age_days": 20}, {"age": "newborn"},
]  # fmt: skip


@pytest.mark.parametrize("patient", INFANTS, ids=lambda v: json.dumps(v, ensure_ascii=False))
def test_an_infant_is_known_however_the_age_is_written(patient: dict[str, Any]) -> None:
    young = patient in INFANTS[-2:] or patient == {"age": 0}
    assert flags({"pus": True}, patient) == (("infant", "young_infant") if young else ("infant",))
    # An age that stands in the form itself counts when the patient's record has none.
    assert "infant" in flags({"pus": True, "about": patient}, {})
    assert flags({"pus": True, "about": patient}, ADULT) == ()


#: What must not fire: a plain rash, answers with no, the patient's state alone, edges of numbers.
STILL: list[tuple[Any, Any]] = [
    ({}, ADULT),
    ({"site": "foot", "itching": True, "duration_days": 60}, ADULT),
    ({"fever": False, "bleeding": "no", "pus": 0}, {"age_months": 2}),
    ({"temperature_c": 37.9}, ADULT),
    ({"pain_score": 7}, ADULT),
    ({"ulcer": True, "duration_days": 27}, ADULT),
    ({"pregnant": True}, ADULT),
    ({"pregnant": True, "hiv_positive": True, "swelling": True}, ADULT),
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


@pytest.mark.proof
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


@pytest.mark.parametrize("key", ["temperature", "temperature_c", "body_temperature_celsius"])
@pytest.mark.parametrize(
    "form",
    [
        {},
        {"site": "eye", "pain": 2},
        {"fever": "unsure"},
        {"age_months": 1, "pus": "no"},
        {"duration_days": 60, "ulcer": "yes"},
    ],
)
def test_a_usual_temperature_changes_nothing_however_its_unit_is_said(
    key: str, form: dict[str, Any]
) -> None:
    for degrees in (36.0, 36, 36.6, 37.9):
        assert judge({**form, key: degrees}, None, TODAY) == judge(form, None, TODAY)
    for degrees, flag in ((38.0, "fever"), (34.0, "low_temperature")):
        said = judge({**form, "age_months": 1, key: degrees}, None, TODAY)
        assert flag in said.flags
