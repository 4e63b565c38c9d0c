"""Only what is listed leaves, odd input crashes nothing, and the input of an analysis is settled."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.products.dermadetect.intake import age_band, analysis_input, clinical_facts, scrub, sex
from tests.ai import probes, strategies

TODAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("demographics", "band"),
    [
        # every edge of every band
        *(
            ({"age": age}, band)
            for age, band in [
                (0, "0-1"), (1, "0-1"), (2, "2-5"), (5, "2-5"), (6, "6-12"), (12, "6-12"),
                (13, "13-17"), (17, "13-17"), (18, "18-39"), (39, "18-39"), (40, "40-64"),
                (64, "40-64"), (65, "65+"), (130, "65+"), (131, None), (-1, None),
                (1.99, "0-1"), (5.5, "2-5"), (0.2, "0-1"),
            ]
        ),
        # where it may stand, and in which spelling
        ({"age_years": 7}, "6-12"),
        ({"ageYears": "7"}, "6-12"),
        ({"age": " 41 "}, "40-64"),
        ({"age": "seven", "age_years": 7}, "6-12"),
        ({"age": None, "age_months": 30}, "2-5"),
        ({"ageMonths": 11}, "0-1"),
        ('{"age": 7}', "6-12"),
        # a birthday that is today has been had, one tomorrow has not
        ({"birth_date": "2008-11-21"}, "18-39"),
        ({"birth_date": "2008-11-22"}, "13-17"),
        ({"dateOfBirth": "1960-02-29T00:00:00Z"}, "65+"),
        ({"date_of_birth": "1990"}, "18-39"),
        ({"dob": "2026-11-21"}, "0-1"),
        # as other forms write it
        ({"birth_date": "21/11/2008"}, "18-39"),
        ({"age": "6 months"}, "0-1"),
        ({"age": {"value": 30, "unit": "months"}}, "2-5"),
        ({"age": 30, "age_unit": "months"}, "2-5"),
        ({"age_in_months": "١١"}, "0-1"),
        ({"age": 0, "age_months": 30}, "2-5"),
        ({"age": "7 ans"}, "6-12"),
        ({"profile": {"dob": "1 Aug 1990"}}, "18-39"),
        ({"birth_date": "2026-11-22"}, None),
        ({"birth_date": "2026-02-30"}, None),
        ({"birth_date": 1226361600}, None),
        # nothing to go by
        ({}, None), (None, None), ("", None), ("{", None), ([], None), (7, None),
        ({"age": True}, None), ({"age": [7]}, None), ({"age": {}}, None),
        ({"age": float("nan")}, None), ({"age": 10**400}, None), ({"age": "9" * 500}, None),
        ({7: 7}, None),
    ],
)  # fmt: skip
def test_an_age_becomes_a_band(demographics: object, band: str | None) -> None:
    assert age_band(demographics, TODAY) == band


@pytest.mark.parametrize(
    ("demographics", "expected"),
    [
        ({"sex": "F"}, "female"),
        ({"gender": " Male "}, "male"),
        ({"Sex": "woman"}, "female"),
        ({"sex": "other"}, "other"),
        ({"sex": "?", "gender": "m"}, "male"),
        ({"sex": 1}, None),
        ({"sex": None}, None),
        ({}, None),
        (None, None),
        ([{"sex": "f"}], None),
    ],
)
def test_sex_is_one_of_three_words_or_unknown(demographics: object, expected: str | None) -> None:
    assert sex(demographics) == expected


# --- the input of an analysis --------------------------------------------------------------------


def test_an_analysis_depends_on_triage_risk_images_age_band_and_sex_alone() -> None:
    case = {
        "id": "c1",
        "patient_id": "p1",
        "triage_data": {"itching": True},
        "risk_level": "high",
        "image_keys": ["a.jpg", "b.jpg"],
        "status": "TRIAGED",
        "last_modified_at": 5,
    }
    patient = {"id": "p1", "demographics": {"name": "Amina", "age": 33, "sex": "f"}}
    assert analysis_input(case, patient, TODAY) == {
        "triage_data": {"itching": True},
        "risk_level": "red",
        "image_keys": ["a.jpg", "b.jpg"],
        "age_band": "18-39",
        "sex": "female",
    }


@pytest.mark.parametrize("odd", [None, 3, "x", [], {}, True, 1.5, [[{}]], {"a": None}])
def test_odd_fields_give_an_input_all_the_same(odd: Any) -> None:
    case = {"triage_data": odd, "risk_level": odd, "image_keys": odd}
    found = analysis_input(case, {"demographics": odd}, TODAY)
    assert set(found) == {"triage_data", "risk_level", "image_keys", "age_band", "sex"}
    json.dumps(found, allow_nan=False)
    clinical_facts(case, {"demographics": odd}, TODAY)


@strategies.unhurried
@given(strategies.json_values, strategies.json_values, strategies.json_values)
def test_no_input_crashes_and_what_leaves_is_small_json(
    triage: Any, demographics: Any, other: Any
) -> None:
    case = {"triage_data": triage, "image_keys": other, "risk_level": other, "id": other}
    patient = {"demographics": demographics, "id": other}
    analysis_input(case, patient, TODAY)
    facts = clinical_facts(case, patient, TODAY)
    assert set(facts) == {"age_band", "sex", "answers", "notes"}
    assert len(json.dumps(facts, allow_nan=False, ensure_ascii=False).encode()) < 50_000


@strategies.unhurried
@given(
    st.dictionaries(
        st.sampled_from(
            ["itching", "fever", "site", "symptoms", "answers", "notes", "xyz", "other"]
        ),
        strategies.json_values,
    ),
    st.randoms(),
)
def test_the_order_in_which_a_phone_wrote_does_not_matter(
    triage: dict[str, Any], order: Any
) -> None:
    shuffled = list(triage.items())
    order.shuffle(shuffled)
    assert clinical_facts({"triage_data": triage}, {}, TODAY) == clinical_facts(
        {"triage_data": dict(shuffled)}, {}, TODAY
    )


# --- what leaves ---------------------------------------------------------------------------------


def test_answers_are_found_in_the_shapes_phones_use() -> None:
    expected = {"itching": True, "site": "left arm", "duration": {"unit": "weeks", "value": 3}}
    shapes: list[object] = [
        expected,
        {"answers": expected},
        {"triage": {"lesion": expected}},
        {
            "Itching": True,
            "answers": {"site": "left arm"},
            "duration": {"value": 3, "unit": "weeks"},
        },
        [{"question": key, "answer": value} for key, value in expected.items()],
        {"questions": [{"id": key, "value": value} for key, value in expected.items()]},
        json.dumps(expected),
    ]
    for shape in shapes:
        assert clinical_facts({"triage_data": shape}, {}, TODAY)["answers"] == expected, shape


def test_what_is_not_on_the_list_stays() -> None:
    triage = {
        "itching": True,
        "patient_name": "Amina Diallo",
        "patientName": "Amina Diallo",
        "gps": {"lat": 14.6937, "lon": -17.4441},
        "location": "Ziguinchor",
        "device_serial": "SN-99",
        "nom": "Diallo",
        "answers": {"secret": "x", "fever": False, "contact_person": "Fatou"},
        "symptoms": {"pain": "mild", "mother": "Fatou"},
        "duration": {"value": 3, "unit": "weeks", "reported_by": "Fatou"},
        "siglip_scores": {"melanoma": 0.9},
        "size_mm": 791234567,
        "temperature": 38.47,
    }
    demographics = {"name": "Amina Diallo", "age": 33, "sex": "f", "phone": "0791234567"}
    facts = clinical_facts({"triage_data": triage}, {"demographics": demographics}, TODAY)
    assert facts == {
        "age_band": "18-39",
        "sex": "female",
        "answers": {
            "duration": {"unit": "weeks", "value": 3},
            "fever": False,
            "itching": True,
            "pain": "mild",
            "temperature": 38.47,
        },
        "notes": "",
    }


SCRUBBED = [
    ("call 079 123 45 67 now", "call [removed] now"),
    ("tel:+41-79-123.45.67", "tel:[removed]"),
    ("(0044) 20 7946 0958", "[removed]"),
    ("٠٧٩١٢٣٤٥٦٧", "[removed]"),
    ("０７９１２３４５６７", "[removed]"),
    ("write to amina.d@example.org please", "write to [removed] please"),
    ("see https://example.org/p?id=1 here", "see [removed] here"),
    ("www.example.org/x", "[removed]"),
    ("at 14.69370, -17.44410", "at [removed]"),
    ("born 03.05.1990", "born [removed]"),
    ("since 2026-10-01", "since [removed]"),
    ("id 3f0e6a52-1b1c-4f0e-9a56-0c6f1c2d3e4f!", "id [removed]!"),
    ("MRN0012345", "[removed]"),
    # what a doctor needs stays
    ("3 weeks, 12 mm, 38.5 C, 2-3 lesions", "3 weeks, 12 mm, 38.5 C, 2-3 lesions"),
    ("grew from 5 to 10 mm in 14 days", "grew from 5 to 10 mm in 14 days"),
    ("line\none\u202e two", "line one two"),
]


@pytest.mark.parametrize(("written", "left"), SCRUBBED)
def test_notes_lose_numbers_addresses_dates_and_links(written: str, left: str) -> None:
    assert scrub(written, None, 200) == left
    facts = clinical_facts({"triage_data": {"notes": written}}, {}, TODAY)
    assert facts["notes"] == left


@pytest.mark.parametrize(
    ("demographics", "notes", "left"),
    [
        ({"name": "Amina Diallo"}, "AMINA says her arm itches", "[removed] says her arm itches"),
        ({"name": "Amina Diallo"}, "amina diallo, cousin Diallo", "[removed], cousin [removed]"),
        ({"name": {"given": ["José"], "family": "Peña"}}, "Jose PEÑA came", "[removed] [removed] came"),
        ({"nombre": "Lucía"}, "Lucía tiene fiebre", "[removed] tiene fiebre"),
        ({"village": "Saint Louis"}, "came from Saint-Louis", "came from [removed]"),
        ({"name": "สมชาย"}, "ผู้ป่วยสมชายมีไข้", "ผู้ป่วย[removed]มีไข้"),
        # clinical words that a name or address happens to hold stay
        ({"address": "12 Red Arm Street"}, "red spot on arm", "red spot on arm"),
        ({"name": "Ann"}, "annular plaque", "annular plaque"),
        ({"sex": "female", "age": 33}, "female, 33", "female, 33"),
    ],
)  # fmt: skip
def test_notes_lose_the_names_and_places_that_the_record_holds(
    demographics: dict[str, Any], notes: str, left: str
) -> None:
    facts = clinical_facts({"triage_data": {"notes": notes}}, {"demographics": demographics}, TODAY)
    assert facts["notes"] == left


def test_ids_are_removed_from_notes_and_answers() -> None:
    case = {
        "id": "case-A7",
        "patient_id": "pat-B8",
        "chw_id": "chw-C9",
        "triage_data": {"notes": "case-A7 of pat-B8", "site": "arm (chw-C9)", "itching": "PAT-B8"},
    }
    facts = clinical_facts(case, {"id": "pat-B8"}, TODAY)
    assert facts["notes"] == "[removed] of [removed]"
    assert facts["answers"] == {"itching": "[removed]", "site": "arm ([removed])"}


@strategies.unhurried
@given(
    st.from_regex(r"[A-Z][a-z]{4,9}(zq|xv) [A-Z][a-z]{4,9}(zq|xv)", fullmatch=True),
    st.from_regex(r"\+?[1-9][0-9]{7,12}", fullmatch=True),
    st.sampled_from(["notes", "site", "symptoms", "itching", "comment", "duration"]),
)
def test_a_known_name_or_a_number_leaves_in_no_answer(name: str, phone: str, key: str) -> None:
    said = f"{name.upper()} ({phone}) says {name.split()[0].lower()} hurts"
    case = {"triage_data": {key: [said] if key == "symptoms" else said}}
    facts = json.dumps(clinical_facts(case, {"demographics": {"full_name": name}}, TODAY)).lower()
    assert not [part for part in (*name.lower().split(), phone) if part in facts]


@strategies.unhurried
@given(st.text(max_size=300), st.text(max_size=30))
def test_scrubbing_ends_and_is_bounded(text: str, name: str) -> None:
    facts = clinical_facts(
        {"triage_data": {"notes": text * 20}}, {"demographics": {"n": name}}, TODAY
    )
    assert len(facts["notes"]) <= 1000


def test_hostile_notes_are_scrubbed_in_no_time() -> None:
    for text in ("1 " * 5000, "a@" * 5000, "(+" * 5000, "0" * 10_000, "1." * 5000, "x1" * 5000):
        clinical_facts({"triage_data": {"notes": text}}, {"demographics": {"n": text}}, TODAY)


def test_bands_cover_every_day_of_a_life() -> None:
    born = date(1950, 1, 1)
    bands = [
        age_band({"birth_date": born.isoformat()}, born + timedelta(days=day))
        for day in range(0, 36_525, 7)
    ]
    assert None not in bands
    assert list(dict.fromkeys(bands)) == ["0-1", "2-5", "6-12", "13-17", "18-39", "40-64", "65+"]


# --- probes: leaks and losses ----------------------------------------------------------------------


def told(text: str, key: str) -> str:
    """What the model gets of a text under that key, about the probes' patient."""
    facts = clinical_facts({**probes.CASE, "triage_data": {key: text}}, probes.PATIENT, TODAY)
    return str(facts["notes"] or facts["answers"].get(key, ""))


@pytest.mark.parametrize("key", ["notes", "site"])
@pytest.mark.parametrize(("kind", "text", "secret"), probes.HIDDEN)
def test_what_identifies_does_not_leave(kind: str, text: str, secret: str, key: str) -> None:
    assert secret.lower() not in told(text, key).lower()


@pytest.mark.parametrize("key", ["notes", "site"])
@pytest.mark.parametrize("text", probes.KEPT)
def test_what_a_doctor_needs_leaves_whole(text: str, key: str) -> None:
    assert told(text, key) == text


@pytest.mark.parametrize(("text", "secret"), probes.PASSED)
def test_the_limits_are_those_that_are_told(text: str, secret: str) -> None:
    assert secret in told(text, "notes")


@strategies.unhurried
@given(st.sampled_from([text for _, text, _ in probes.HIDDEN]), st.sampled_from(probes.KEPT))
def test_clinical_words_stay_beside_an_identifier(identifying: str, clinical: str) -> None:
    assert clinical in told(f"{identifying} ... {clinical}", "notes")
