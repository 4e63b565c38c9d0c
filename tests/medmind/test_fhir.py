"""A circle's records in FHIR are valid R4, whole, and lead nowhere that is not there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given
from hypothesis import strategies as st

from infra.cli.local import seed
from shared import wiring
from shared.export.fhir import Resource, bundle, resources
from shared.products.medmind import items
from shared.products.medmind.fhir import CircleMapper
from shared.products.medmind.tables import CATALOG, DOSING
from shared.records.store import Document, Key
from tests.api.conftest import StartApi

AT = 1_772_323_200_000
Made = tuple[str, str, dict[str, Any]]

PLAN: tuple[Made, ...] = (
    ("patients", "c1", {"name": "Kamala", "birth_date": "1944-08-15"}),
    ("medications", "m1", {"name": "Metformin", "strength": "500 mg", "form": "tablet"}),
    (
        "medication_plans",
        "p1",
        {"medication_id": "m1", "reason": "diabetes", "prescribed_by": "Dr Rao"},
    ),
)


def item(**more: Any) -> Made:
    have = {"plan_id": "p1", "amount": 1, "unit": "tablet", "starts_on": "2026-03-02"}
    return (
        "medication_plan_items",
        "i1",
        {**have, "frequency": "daily", "times": ["08:00"], **more},
    )


def dose(name: str, state: str, **more: Any) -> Made:
    have = {"item_id": "i1", "due_at": AT, "amount": 1, "unit": "tablet", "state": state}
    return ("dose_occurrences", name, {**have, **more})


def mapped(*made: Made) -> list[Resource]:
    """As an export reads them: parents before children."""
    order = [each.name for each in CATALOG.collections]
    documents = [
        Document(Key(table, id), {**fields, "scope_id": "c1"}, AT * 1000)
        for table, id, fields in sorted(made, key=lambda each: order.index(each[0]))
    ]
    found = list(resources(CircleMapper(), documents))
    check(found)
    whole = bundle(CircleMapper(), documents)
    get_fhir_model_class("Bundle").model_validate_json(json.dumps(whole))
    return found


def check(found: list[Resource]) -> None:
    """Valid, with ids of their own, and every reference leads to one of them."""
    for each in found:
        get_fhir_model_class(each["resourceType"]).model_validate_json(json.dumps(each))
    named = [f"{each['resourceType']}/{each['id']}" for each in found]
    assert len(set(named)) == len(named)
    led = {part.split('"')[0] for part in json.dumps(found).split('"reference": "')[1:]}
    assert led <= set(named), led - set(named)


def only(found: list[Resource], kind: str) -> Resource:
    [one] = [each for each in found if each["resourceType"] == kind]
    return one


def test_a_plan_is_a_request_with_its_timing() -> None:
    request = only(
        mapped(*PLAN, item(times=["20:00", "8:00"], ends_on="2026-04-01")), "MedicationRequest"
    )
    assert (request["status"], request["intent"]) == ("active", "plan")
    assert request["medicationCodeableConcept"] == {"text": "Metformin 500 mg tablet"}
    assert (request["requester"], request["reasonCode"]) == (
        {"display": "Dr Rao"},
        [{"text": "diabetes"}],
    )
    [dosage] = request["dosageInstruction"]
    assert dosage["doseAndRate"] == [{"doseQuantity": {"value": 1, "unit": "tablet"}}]
    assert dosage["timing"]["repeat"] == {
        "boundsPeriod": {"start": "2026-03-02", "end": "2026-04-01"},
        "frequency": 2,
        "period": 1,
        "periodUnit": "d",
        "timeOfDay": ["08:00:00", "20:00:00"],
    }


@pytest.mark.parametrize(
    ("columns", "repeat"),
    [
        (
            {"frequency": "every_n_days", "every": 2},
            {"frequency": 1, "period": 2, "periodUnit": "d"},
        ),
        (
            {"frequency": "every_n_hours", "every": 8},
            {"frequency": 1, "period": 8, "periodUnit": "h"},
        ),
        ({"frequency": "monthly"}, {"frequency": 1, "period": 1, "periodUnit": "mo"}),
        (
            {"frequency": "weekly", "weekdays": ["monday", "Friday"]},
            {"period": 1, "periodUnit": "wk", "dayOfWeek": ["mon", "fri"]},
        ),
    ],
)
def test_days_and_hours_between(columns: dict[str, Any], repeat: dict[str, Any]) -> None:
    [dosage] = only(mapped(*PLAN, item(**columns)), "MedicationRequest")["dosageInstruction"]
    assert repeat.items() <= dosage["timing"]["repeat"].items()


def test_as_needed_paused_and_unread_plans() -> None:
    needed = item(frequency="as_needed", times=None, most_a_day=3, amount=2)
    [dosage] = only(mapped(*PLAN, needed), "MedicationRequest")["dosageInstruction"]
    assert dosage["asNeededBoolean"] is True
    assert dosage["maxDosePerPeriod"]["numerator"] == {"value": 6, "unit": "tablet"}
    paused = only(mapped(*PLAN, item(paused=True)), "MedicationRequest")
    assert paused["status"] == "on-hold"
    unread = only(mapped(*PLAN, item(unread=["times"], times=["noon"])), "MedicationRequest")
    assert "timing" not in unread["dosageInstruction"][0]
    ruled = only(mapped(*PLAN, item(rrule="FREQ=WEEKLY;INTERVAL=2")), "MedicationRequest")
    assert ruled["dosageInstruction"][0]["timing"]["code"] == {"text": "FREQ=WEEKLY;INTERVAL=2"}


def test_doses_are_administrations_and_what_was_not_taken_says_why() -> None:
    found = mapped(
        *(*PLAN, item()),
        dose("i1_20260302_0", "on_time", taken_at=AT + 60_000, taken_amount=2),
        dose("i1_20260303_0", "missed"),
        dose("i1_20260304_0", "skipped", reason="nausea"),
        dose("i1_20260305_0", "late", taken_at=AT + 7_200_000),
        dose("i1_20260306_0", "planned"),
        dose("i1_20260307_0", "due"),
    )
    given = [each for each in found if each["resourceType"] == "MedicationAdministration"]
    assert [each["status"] for each in given] == ["completed", "not-done", "not-done", "completed"]
    assert given[0]["dosage"] == {"dose": {"value": 2, "unit": "tablet"}}
    assert given[2]["statusReason"] == [{"text": "nausea"}]
    assert given[1]["statusReason"][0]["text"].startswith("Nobody said")
    assert all(each["request"] == {"reference": "MedicationRequest/i1"} for each in given)


def test_what_is_taken_as_needed_is_reported_and_a_symptom_is_in_the_patient_s_words() -> None:
    found = mapped(
        *(*PLAN, item(frequency="as_needed", times=None)),
        dose("i1_00000000_000000000001", "on_time", taken_at=AT),
        ("symptom_logs", "s1", {"at": AT, "what": "सिर दर्द", "quote": "सिर में दर्द है"}),
        ("symptom_logs", "s2", {"at": AT}),
    )
    assert only(found, "MedicationStatement")["basedOn"] == [{"reference": "MedicationRequest/i1"}]
    told = [each for each in found if each["resourceType"] == "Observation"]
    assert (told[0]["status"], told[0]["valueString"]) == ("preliminary", "सिर दर्द")
    assert "dataAbsentReason" in told[1]


def test_a_dose_of_a_plan_that_is_gone_leads_nowhere() -> None:
    found = mapped(dose("i1_20260302_0", "missed"), item(deleted_at=AT))
    assert "request" not in only(found, "MedicationAdministration")
    assert found[0] == {"resourceType": "Patient", "id": "c1"}


TEXT = st.none() | st.text(max_size=20)


@given(
    columns=st.fixed_dictionaries(
        {
            **dict.fromkeys(
                ("unit", "starts_on", "ends_on", "with_meal", "rrule", "time_zone"), TEXT
            ),
            "times": st.none()
            | st.lists(st.sampled_from(["8:00", "23.59", "noon", ""]), max_size=3),
            "weekdays": st.none()
            | st.lists(st.sampled_from(["monday", "Sunday ", "x"]), max_size=3),
            "frequency": st.sampled_from(["daily", "weekly", "every_n_hours", "as_needed"]),
            "amount": st.none() | st.floats(0, 1e6),
            "every": st.none() | st.integers(1, 366),
            "most_a_day": st.none() | st.integers(1, 50),
        }
    ),
    text=TEXT,
)
def test_whatever_a_circle_entered_is_valid(columns: dict[str, Any], text: Any) -> None:
    row = {**columns, "unread": items.unread(columns) or None}
    mapped(
        ("patients", "c1", {"name": text, "birth_date": text}),
        ("medications", "m1", {"name": text, "strength": text}),
        ("medication_plans", "p1", {"medication_id": "m1", "reason": text, "prescribed_by": text}),
        item(**row),
        dose(
            "i1_20260302_0", "skipped", reason=text, unit=columns["unit"], amount=columns["amount"]
        ),
        ("symptom_logs", "s1", {"at": AT, "what": text, "severity": text, "since": text}),
    )


# --- through the engine


def test_exports_are_fhir_and_csv(start_api: StartApi) -> None:
    api = start_api(product="medmind")
    seed("demo")
    wiring.runner().run_due(DOSING, 60)
    path = "/api/v1/exports/file?scope=demo&format="
    token = api.token("demo-daughter")
    lines = api.ask("GET", f"{path}fhir", token=token).get_data().splitlines()
    found = [json.loads(line) for line in lines]
    check(found)
    assert {"Patient", "MedicationRequest"} <= {each["resourceType"] for each in found}
    table = api.ask("GET", f"{path}csv&table=dose_occurrences", token=token).get_data()
    assert table.startswith(b"\xef\xbb\xbf")
    assert api.ask("GET", f"{path}fhir", token=api.token("demo-grandmother")).status_code == 403
