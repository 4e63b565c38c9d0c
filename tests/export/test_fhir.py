"""Our records in FHIR are valid R4, whole, and nothing that software said looks like a doctor's word."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given
from hypothesis import strategies as st

from shared.export.fhir import Resource, bundle, resources
from shared.products.dermadetect.fhir import AI_ASSERTED, Mapper
from shared.records.store import Document, Key

MADE = 1_790_000_000_000


def stored(table: str, name: str, **fields: Any) -> Document:
    common = {"scope_id": "team_kito", "author_id": "amina", "created_at": MADE}
    return Document(Key(table, name), {**common, **fields}, MADE * 1000)


PATIENT = stored(
    "patients", "p1", chw_id="amina", demographics='{"age":34,"name":"Asha N.","sex":"female"}'
)
ANALYSIS = {
    "urgency": "urgent",
    "red_flags": ["fever", "purpura"],
    "differential": [{"label": "Cellulitis", "likelihood": "high"}],
    "disclaimer": "It is not a diagnosis.",
    "provenance": {"model": "medgemma-4b-it", "version": "7"},
}
CASE = stored(
    "cases",
    "c_1",
    patient_id="p1",
    chw_id="amina",
    triage_data='{"bleeding":true,"site":"foot","pain":7,"note":"since Monday","signs":["a"],"empty":null}',
    risk_level="red",
    status="DIAGNOSED",
    ai_analysis=ANALYSIS,
    image_urls=["/api/v1/files/f1", "/api/v1/files/f2"],
)
DIAGNOSIS = stored(
    "diagnoses",
    "d2",
    case_id="c_1",
    doctor_id="grace",
    diagnosis_text="Erysipelas",
    prescription="Rest the leg",
    amends="d1",
)
CORRECTED = stored("diagnoses", "d1", case_id="c_1", doctor_id="grace", amended_by="d2")


def mapped(*documents: Document) -> list[Resource]:
    return list(resources(Mapper(), documents))


def check(found: list[Resource]) -> None:
    """Valid, with ids of their own, and every reference leads to one of them."""
    for each in found:
        get_fhir_model_class(each["resourceType"]).model_validate_json(json.dumps(each))
    named = [f"{each['resourceType']}/{each['id']}" for each in found]
    assert len(set(named)) == len(named)
    text = json.dumps(found)
    led = {part.split('"')[0] for part in text.split('"reference": "')[1:]}
    assert led <= set(named), led - set(named)


def test_a_case_from_registration_to_diagnosis_is_valid_and_whole() -> None:
    story = (PATIENT, CASE, CORRECTED, DIAGNOSIS)
    found = mapped(*story)
    check(found)
    kinds = [each["resourceType"] for each in found]
    assert {kind: kinds.count(kind) for kind in sorted(set(kinds))} == {
        "CarePlan": 1,
        "Condition": 1,
        "Device": 1,
        "DiagnosticReport": 2,
        "Media": 2,
        "Observation": 2,
        "Organization": 1,
        "Patient": 1,
        "Practitioner": 2,
        "Provenance": 1,
        "QuestionnaireResponse": 1,
    }
    get_fhir_model_class("Bundle").model_validate_json(json.dumps(bundle(Mapper(), story)))


def test_what_software_said_is_labelled_and_preliminary() -> None:
    found = mapped(PATIENT, CASE, DIAGNOSIS)
    labelled = [each for each in found if AI_ASSERTED in each.get("meta", {}).get("security", ())]
    assert {each["resourceType"] for each in labelled} == {"DiagnosticReport", "Provenance"}
    reports = [each for each in found if each["resourceType"] == "DiagnosticReport"]
    software, doctor = sorted(reports, key=lambda each: each["status"] != "preliminary")
    assert software in labelled
    assert software["status"] == "preliminary"
    assert software["conclusion"].startswith("It is not a diagnosis.")
    assert "performer" not in software
    assert doctor["status"] == "amended"
    assert doctor["conclusion"] == "Erysipelas"
    assert "Cellulitis" not in json.dumps([each for each in found if each not in labelled])


def test_a_deleted_record_is_nothing() -> None:
    gone = stored("patients", "p", demographics="{}", deleted_at=MADE)
    assert mapped(gone) == []


@pytest.mark.parametrize("story", [(CASE, DIAGNOSIS), (PATIENT, DIAGNOSIS), (DIAGNOSIS,)])
def test_no_reference_leads_to_what_is_not_there(story: tuple[Document, ...]) -> None:
    """smart-on-fhir/bulk-data-server#13: importers refuse the whole file."""
    check(mapped(*story))


@given(
    demographics=st.dictionaries(
        st.sampled_from(["name", "age", "sex", "village"]),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    ),
    answers=st.dictionaries(
        st.text(min_size=1, max_size=20).filter(str.strip),
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(-1e6, 1e6)
        | st.text()
        | st.lists(st.text(max_size=5)),
        max_size=4,
    ),
    name=st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True).filter(lambda t: t[:2] != "__"),
)
def test_whatever_a_phone_wrote_is_valid(
    demographics: dict[str, Any], answers: dict[str, Any], name: str
) -> None:
    check(
        mapped(
            stored("patients", "p", demographics=json.dumps(demographics)),
            stored("cases", name, patient_id="p", triage_data=json.dumps(answers)),
        )
    )


@pytest.mark.parametrize("demographics", ["", "[", "[1]", None, "null"])
def test_unreadable_demographics_leave_the_patient(demographics: str | None) -> None:
    [organization, patient] = mapped(stored("patients", "p", demographics=demographics))
    assert (organization["resourceType"], patient["id"]) == ("Organization", "p")
