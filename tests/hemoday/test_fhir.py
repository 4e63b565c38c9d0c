"""A family's records in FHIR are valid R4, whole, in units of UCUM, and lead nowhere that is not there."""

from __future__ import annotations

import json
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given
from hypothesis import strategies as st

from shared.export.fhir import Resource, bundle, resources
from shared.products.hemoday.fhir import FamilyMapper
from shared.products.hemoday.tables import CATALOG
from shared.records.store import Document
from tests.api.conftest import Api, StartApi
from tests.hemoday.at_home import DAY, Made, household, result, transfusion
from tests.hemoday.family import changes

PROFILE: Made = (
    "family_profiles",
    "f1",
    {
        "patient_name": "Mira",
        "sex": "female",
        "birth_date": "2018-05-14",
        "ranges": {"718-7": {"low": 95, "high": 105}},
    },
)
STORY: tuple[Made, ...] = (
    PROFILE,
    transfusion(20000, 9.4, volume_ml=300, weight_kg=21, medication="Deferasirox"),
    *result("r1", "Ferritin", 20001, value_text="> 2000", unit="ng/ml", range_high=300),
    *result("r2", "Hb", 20002, value=96, unit="g/dL"),
    *result("r3", "Liver T2*", 20003, value=7.5, unit="ms"),
    *result("r4", "INR", 20004, value=1.1),
    *result("r5", "Ferritin", 20005, value=900),
    *result("r6", "HBsAg", 20006, value_text="negative"),
    ("analysis_templates", "a1", {"name": "Every month"}),
    ("reminders", "m1", {"title": "Scan", "remind_at": 20000 * DAY}),
    ("documents", "d1", {"name": "Letter", "category": "discharge", "date": 20000 * DAY}),
)


def documents(*made: Made) -> list[Document]:
    """As an export reads them: parents before children."""
    home = household(*made)
    found = [each for table in CATALOG.collections for each in home.of(table.name)]
    return [each._replace(fields={**each.fields, "scope_id": "f1"}) for each in found]


def mapped(*made: Made) -> list[Resource]:
    return list(resources(FamilyMapper(), documents(*made)))


def check(found: list[Resource]) -> None:
    """Valid, with ids of their own, and every reference leads to one of them."""
    for each in found:
        get_fhir_model_class(each["resourceType"]).model_validate_json(json.dumps(each))
    named = [f"{each['resourceType']}/{each['id']}" for each in found]
    assert len(set(named)) == len(named)
    led = {part.split('"')[0] for part in json.dumps(found).split('"reference": "')[1:]}
    assert led <= set(named), led - set(named)


def observation(found: list[Resource], id: str) -> Resource:
    [one] = [each for each in found if each["resourceType"] == "Observation" and each["id"] == id]
    return one


def test_a_family_is_valid_and_whole() -> None:
    found = mapped(*STORY)
    check(found)
    kinds = [each["resourceType"] for each in found]
    assert {kind: kinds.count(kind) for kind in sorted(set(kinds))} == {
        "DiagnosticReport": 6,
        "DocumentReference": 1,
        "Observation": 9,
        "Patient": 1,
        "Procedure": 1,
    }
    whole = bundle(FamilyMapper(), documents(*STORY))
    get_fhir_model_class("Bundle").model_validate_json(json.dumps(whole))


def test_values_have_codes_units_comparators_and_ranges() -> None:
    found = mapped(*STORY)
    before = observation(found, "t20000.indicator-0")
    assert before["code"]["coding"] == [{"system": "http://loinc.org", "code": "718-7"}]
    unit = {"unit": "g/L", "system": "http://unitsofmeasure.org", "code": "g/L"}
    assert before["valueQuantity"] == {"value": 94, **unit}
    [held] = before["referenceRange"]
    assert held == {
        "low": {"value": 95, **unit},
        "high": {"value": 105, **unit},
        "text": "set by the family",
    }
    assert [each["text"] for each in before["note"]] == [
        "before the transfusion",
        "Entered: 9.4 g/dL",
    ]
    ferritin = observation(found, "r1")
    assert ferritin["valueQuantity"]["comparator"] == ">"
    assert ferritin["valueQuantity"]["code"] == "ug/L"
    assert ferritin["referenceRange"][0]["high"]["value"] == 300
    own = observation(found, "r3")
    assert own["code"] == {"text": "Liver T2*"}
    assert own["valueQuantity"] == {"value": 7.5, "unit": "ms"}  # no unit that is known: no code
    assert observation(found, "r4")["valueQuantity"]["code"] == "1"
    assert observation(found, "r6")["valueString"] == "negative"


def test_what_is_asked_about_is_preliminary_and_as_it_was_entered() -> None:
    found = mapped(*STORY)
    odd, unplaced = observation(found, "r2"), observation(found, "r5")
    assert (odd["status"], odd["valueQuantity"]["value"]) == ("preliminary", 960)
    assert (unplaced["status"], unplaced["valueQuantity"]) == ("preliminary", {"value": 900})


def test_a_deleted_record_is_nothing_and_a_family_without_a_profile_has_a_patient() -> None:
    [given] = documents(transfusion(20000))
    gone = given._replace(fields={**given.fields, "deleted_at": 1})
    assert list(resources(FamilyMapper(), [gone])) == []
    found = mapped(*STORY[1:])
    check(found)
    assert found[0] == {"resourceType": "Patient", "id": "f1"}


TEXT = st.text(max_size=20)


@given(
    name=TEXT.filter(str.strip),
    text=st.none() | TEXT,
    unit=st.none() | TEXT,
    value=st.none() | st.floats(-1e8, 1e8),
    low=st.none() | st.floats(-1e8, 1e8),
    born=TEXT,
)
def test_whatever_a_family_entered_is_valid(
    name: str, text: Any, unit: Any, value: Any, low: Any, born: str
) -> None:
    said = {"value_text": text, "unit": unit, "value": value, "range_low": low}
    check(
        mapped(
            ("family_profiles", "f1", {"patient_name": text, "birth_date": born, "ranges": said}),
            ("transfusions", "t_1", {"date": 0, "indicators_before": [{"name": name, **said}, {}]}),
            *result("r1", name, 20000, **said),
            ("documents", "d1", {"name": name}),
        )
    )


# --- through the engine


def test_exports_are_fhir_csv_and_excel(start_api: StartApi) -> None:
    api: Api = start_api(product="hemoday")
    api.join("anna", "f1", "owner")
    api.join("vera", "f1", "viewer")
    said = '[{"name": "Hb", "value": 9.4, "unit": "g/dL"}]'
    comments = ["=1+1", "+7 900", "-5", "@x", "\tz", "Фёдор, «тест»"]
    sets = changes(
        transfusions=[
            {"id": f"t{at}", "date": 20000 * DAY, "indicators_before": said, "comment": comment}
            for at, comment in enumerate(comments)
        ]
    )
    token = api.token("anna")
    api.ask("POST", "/api/v1/sync?last_pulled_at=null", sets, token=token)
    path = "/api/v1/exports/file?scope=f1&format="
    lines = api.ask("GET", f"{path}fhir", token=token).get_data().splitlines()
    check([json.loads(line) for line in lines])
    assert len(lines) == 1 + 2 * len(comments)
    table = api.ask("GET", f"{path}csv&table=transfusions", token=token).get_data()
    assert table.startswith(b"\xef\xbb\xbf")  # spreadsheets see that it is UTF-8
    text = table.decode("utf-8-sig")
    for comment in comments[:5]:
        assert f"'{comment}" in text
    assert "Фёдор, «тест»" in text
    assert api.ask("GET", f"{path}xlsx", token=token).get_data().startswith(b"PK")
    assert api.ask("GET", f"{path}fhir", token=api.token("vera")).status_code == 403
