"""Who writes what in a circle: plans are the carers', what became of doses is everybody's to say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.products.medmind.rights import CARERS, ROLES
from shared.products.medmind.tables import CATALOG
from tests.medmind.test_dosing import Circle
from tests.sync.test_watermelon import Melon

ROWS: dict[str, dict[str, Any]] = {
    "patients": {"name": "Kamala"},
    "medications": {"name": "Metformin"},
    "medication_plans": {"medication_id": "m1"},
    "medication_plan_items": {"plan_id": "p1", "starts_on": "2026-03-02", "times": '["08:00"]'},
    "dose_events": {"dose_id": "i1_20260302_0", "kind": "taken", "at": 1_772_323_200_000},
}

#: Tables that everybody in a circle adds to.
SAID = ("dose_events",)


@pytest.mark.parametrize("role", ROLES)
def test_a_patient_and_a_device_say_what_became_of_doses_and_change_no_plan(
    tmp_path: Path, role: str
) -> None:
    circle = Circle(tmp_path)
    circle.push(medications=[{"id": "m1", "name": "Metformin"}])
    circle.push(medication_plans=[{"id": "p1", "medication_id": "m1"}])
    circle.join("somebody", role=role)
    phone = Melon(circle, "somebody")
    sets = {
        table: {"created": [], "updated": [{"id": f"new-{table}", **row}], "deleted": []}
        for table, row in ROWS.items()
    }
    said = phone.push(sets, phone.pull()["timestamp"])
    refused = {each["table"]: each["code"] for each in said.get("rejected", [])}
    carers = role in ("caregiver", "doctor")
    wanted = set() if carers else set(ROWS) - set(SAID)
    assert refused == dict.fromkeys(wanted, "not_allowed")
    kept = {each.fields["table"] for each in circle.all("quarantine")}
    assert kept == set(refused)  # on the server, too
    circle.store.close()


def test_what_everybody_writes_is_only_added_to() -> None:
    for each in CATALOG.collections:
        assert not each.pushable or each.appended or each.writers == CARERS, each.name


def test_what_was_said_of_a_dose_is_taken_back_by_saying_so_and_in_no_other_way(
    tmp_path: Path,
) -> None:
    circle = Circle(tmp_path)
    circle.join("grandmother", role="patient")
    circle.says("e1", "i1_20260302_0", "taken", circle.at)
    for user in ("grandmother", "caregiver1"):
        phone = Melon(circle, user)
        row = {"id": "e1", "dose_id": "i1_20260303_0", "kind": "skipped", "at": circle.at}
        for sets in ({"updated": [row], "deleted": []}, {"updated": [], "deleted": ["e1"]}):
            changes = {"dose_events": {"created": [], **sets}}
            said = phone.push(changes, phone.pull()["timestamp"])
            assert [each["code"] for each in said["rejected"]] == ["not_allowed"]
    assert circle.fields("dose_events", "e1")["dose_id"] == "i1_20260302_0"
    circle.store.close()
