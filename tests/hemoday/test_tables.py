"""HemoDay's tables on the engine: what is entered stays, what is odd is asked about, viewers read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.access.rights import Action
from shared.products.hemoday.rights import RIGHTS, ROLES
from shared.products.hemoday.seed import seed
from shared.products.hemoday.tables import CATALOG
from shared.records.collection import Owner, Type
from tests import stores
from tests.hemoday.family import Family, changes, row


def result(name: str = "r1", **columns: Any) -> dict[str, Any]:
    return row(name, blood_test_id="t1", **{"name": "Hb", "value": 9.6, "unit": "г/дл", **columns})


def test_what_was_entered_stands_beside_what_it_means(family: Family) -> None:
    phone = family.melon()
    test = row("t1", date=1_772_323_200_000, laboratory="Invitro")
    phone.push(changes(blood_tests=[test], blood_test_results=[result()]))
    [pulled] = family.melon(device="second").pull()["changes"]["blood_test_results"]["created"]
    assert (pulled["value"], pulled["unit"]) == (9.6, "г/дл")
    assert (pulled["canonical_value"], pulled["canonical_unit"]) == (96, "g/L")
    assert (pulled["loinc"], pulled["questions"], pulled["made_by"]) == ("718-7", None, "member1")


@pytest.mark.parametrize(
    ("entered", "code", "units"),
    [
        ({"value": 96, "unit": "g/dL"}, "unlikely_value", ["g/L"]),
        ({"unit": None}, "unit_missing", ["g/dL", "mmol/L"]),
        ({"unit": "grams a cup"}, "unknown_unit", ["g/dL", "mmol/L"]),
        ({"value": None, "value_text": "9.6 or so"}, "unreadable_value", None),
        ({"value": -3}, "unlikely_value", None),
    ],
)
def test_an_odd_value_is_stored_and_asked_about(
    family: Family, entered: dict[str, Any], code: str, units: list[str] | None
) -> None:
    test = row("t1", date=1_772_323_200_000)
    sent = result(**entered)
    family.melon().push(changes(blood_tests=[test], blood_test_results=[sent]))
    have = family.stored("blood_test_results", "r1")
    assert {name: have.get(name) for name in entered} == entered
    [(field, asked)] = have["questions"].items()
    assert (field, asked["code"]) == ("value", code)
    assert set(units or ()) <= set(asked.get("units", ())), asked
    assert asked["message"]


def test_a_confirmed_value_is_asked_about_no_more_until_it_is_another(family: Family) -> None:
    phone = family.melon()
    test = row("t1", date=1_772_323_200_000)
    sent = result(value=260, unit="g/L")
    phone.push(changes(blood_tests=[test], blood_test_results=[sent]))
    confirm = family.stored("blood_test_results", "r1")["questions"]["value"]["confirm"]
    for value, asked in ((260, False), (270, True)):
        sent = result(value=value, unit="g/L", confirmed=json.dumps([confirm]))
        sent["last_modified_at"] += value * 10
        phone.push(
            {"blood_test_results": {"created": [], "updated": [sent], "deleted": []}},
            phone.pull()["timestamp"],
        )
        assert bool(family.stored("blood_test_results", "r1").get("questions")) is asked


def test_indicators_of_a_transfusion_are_read_like_results(family: Family) -> None:
    before = [{"name": "Hb", "value": 9.1, "unit": "g/dL"}, {"name": "mood", "value": 3}]
    sent = row(
        "x1",
        date=1_772_323_200_000,
        volume_ml=3500,
        weight_kg=21.5,
        indicators_before=json.dumps(before),
        indicators_after=json.dumps([{"name": "Hb", "value": "12,4", "unit": "g/l"}]),
    )
    family.melon().push(changes(transfusions=[sent]))
    have = family.stored("transfusions", "x1")
    first, second = have["indicators"]["before"]
    assert (first["loinc"], first["canonical_value"]) == ("718-7", 91)
    assert (second["name"], second["loinc"]) == ("mood", None)
    assert {name: asked["code"] for name, asked in have["questions"].items()} == {
        "volume_ml": "unlikely_value",
        "indicators_after[0]": "unlikely_value",
    }
    assert "g/dL" in have["questions"]["indicators_after[0]"]["units"]


@pytest.mark.parametrize(
    ("table", "columns", "field", "code"),
    [
        ("transfusions", {"date": 4_000_000_000_000}, "date", "unlikely_date"),
        (
            "transfusions",
            {"date": 0, "indicators_before": "{}"},
            "indicators_before",
            "unreadable_value",
        ),
        ("family_profiles", {"birth_date": "31.1.2019"}, "birth_date", "unreadable_date"),
        ("family_profiles", {"birth_date": "1819-01-31"}, "birth_date", "unlikely_date"),
        ("family_profiles", {"weight_kg": 0.3}, "weight_kg", "unlikely_value"),
        (
            "reminders",
            {"title": "Desferal", "remind_at": 2 * 10**12, "time_zone": "Mars/Base"},
            "time_zone",
            "unknown_time_zone",
        ),
        (
            "reminders",
            {"title": "Desferal", "remind_at": 2 * 10**12, "ends_at": 10**12},
            "ends_at",
            "ends_before",
        ),
        (
            "reminder_actions",
            {"reminder_id": "r1", "occurrence": "today", "action": "done"},
            "occurrence",
            "unknown_occurrence",
        ),
        (
            "reminder_actions",
            {"reminder_id": "r1", "occurrence": "2026-03-01T08:00", "action": "snooze"},
            "until",
            "until_missing",
        ),
        ("documents", {"name": "MRI", "date": 5 * 10**12}, "date", "unlikely_date"),
    ],
)
def test_each_table_asks_about_what_is_odd_in_it(
    family: Family, table: str, columns: dict[str, Any], field: str, code: str
) -> None:
    first = changes(reminders=[row("r1", title="Desferal", remind_at=10**12)])
    family.melon().push({**first, **changes(**{table: [row("a1", **columns)]})})
    assert family.stored(table, "a1")["questions"][field]["code"] == code


@pytest.mark.parametrize(
    "said",
    [
        {"value": 1e9, "unit": "g/L"},  # of ng/L more than a phone can count
        {"value_text": "9" * 40, "unit": "ng/L"},
        {"value_text": "-" + "9" * 30, "unit": "pg/mL"},
    ],
)
def test_a_number_that_no_phone_can_count_is_asked_about_and_every_phone_still_pulls(
    family: Family, said: dict[str, Any]
) -> None:
    huge = {"name": "PTH", **said}
    family.melon().push(
        changes(
            blood_tests=[row("b1", date=1)],
            blood_test_results=[row("r1", blood_test_id="b1", **huge)],
            transfusions=[row("t1", date=1, indicators_before=json.dumps([huge]))],
        )
    )
    result = family.stored("blood_test_results", "r1")
    assert (result["loinc"], result.get("canonical_value")) == ("2731-8", None)
    assert result["questions"]["value"]["code"] == "unlikely_value"
    there = family.melon().pull()["changes"]
    assert [len(there[table]["created"]) for table in ("transfusions", "blood_test_results")] == [
        1,
        1,
    ]


def test_results_go_with_their_blood_test(family: Family) -> None:
    phone = family.melon()
    phone.push(changes(blood_tests=[row("t1", date=1)], blood_test_results=[result()]))
    since = phone.pull()["timestamp"]
    phone.push({"blood_tests": {"created": [], "updated": [], "deleted": ["t1"]}}, since)
    assert family.stored("blood_test_results", "r1")["deleted_at"] is not None


def test_a_viewer_reads_and_writes_nothing() -> None:
    assert {role for role in ROLES if RIGHTS.may(role, Action.READ)} == set(ROLES)
    allowed = {right for right in Action if RIGHTS.may("viewer", right)}
    assert allowed == {Action.READ, Action.ALERT}


@pytest.mark.parametrize("kind", stores.BOTH)
def test_the_example_family_is_stored_whole_and_one_value_of_it_is_asked_about(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    family = Family(stores.fresh(kind, request, tmp_path))
    family.join("member1")
    rows: dict[str, list[dict[str, Any]]] = {}
    for table, name, fields in seed("f").records:
        columns = {
            column: json.dumps(value) if isinstance(value, list | dict) else value
            for column, value in fields.items()
        }
        rows.setdefault(table, []).append({**row(name), **columns})
    assert family.melon().push(changes(**rows)) == {}
    asked = {
        document.key.id: document.fields["questions"]
        for table in rows
        for document in family.all(table)
        if document.fields.get("questions")
    }
    assert list(asked) == ["f-result-5"]
    assert asked["f-result-5"]["value"]["units"] == ["g/L"]
    # one that is asked about in a list, by its place
    sent = row("x9", date=1, indicators_after='[{"name":"Hb","value":124,"unit":"g/dL"}]')
    family.melon().push(changes(transfusions=[sent]))
    assert "indicators_after[0]" in family.stored("transfusions", "x9")["questions"]
    pulled = family.melon(device="second").pull()["changes"]["transfusions"]["created"]
    assert len(pulled) == 4
    family.store.close()


def test_every_number_and_text_is_bounded() -> None:
    for item in CATALOG.collections:
        for spec in item.fields:
            if spec.owner is Owner.CLIENT and spec.type in (Type.NUMBER, Type.INTEGER):
                assert spec.low is not None and spec.high is not None, spec.name  # noqa: PT018
            if spec.owner is Owner.CLIENT and spec.type is Type.STRING:
                assert spec.max_length <= 10_000 or spec.choices or spec.references, spec.name
