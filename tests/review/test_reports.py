"""Stories that people told of other systems, on both stores: a signal that went missing on the way."""

from __future__ import annotations

import pytest

from infra.local.phone import Json
from shared.products.dermadetect.signal import RANKS
from tests.review.conftest import Practice
from tests.review.test_signal import case, push, seen


@pytest.fixture
def village(practice: Practice) -> Practice:
    """A practice in which one child was registered twice: as p1, and as p2 with its age."""
    phone = practice.phone()
    phone.save("patients", "p1", at=900, demographics={"age": 30})
    phone.save("patients", "p2", at=900, demographics={"age": "3 weeks"})
    phone.sync()
    return practice


GONE = {"id": "p1", "sync_status": "deleted"}


@pytest.mark.parametrize("pushes", ["one push", "two pushes", "the patient first"])
def test_a_case_that_moved_to_the_other_of_two_patients_is_not_deleted_with_the_first(
    village: Practice, pushes: str
) -> None:
    """openmrs/openmrs-core#6194: what a merge did not take along vanished with the voided patient."""
    push(village, case(1000, risk_level="red"))
    phone = village.phone()
    phone.sync()
    moved = case(2000, patient_id="p2", changed=["patient_id"])
    now = phone.cursor
    if pushes == "one push":
        body: Json = {"changes": {"patients": [GONE], "cases": [moved]}, "last_sync_timestamp": now}
        phone.send(body, phone)
    elif pushes == "two pushes":
        phone.send({"changes": {"cases": [moved]}, "last_sync_timestamp": now}, phone)
        phone.send({"changes": {"patients": [GONE]}, "last_sync_timestamp": now}, phone)
    else:
        phone.send({"changes": {"patients": [GONE]}, "last_sync_timestamp": now}, phone)
        phone.send({"changes": {"cases": [moved]}, "last_sync_timestamp": now}, phone)
    # then it lives with the other one; or it stands there as deleted while it waited
    assert seen(village)[0] == "list"
    (entry,) = village.listed()["cases"]
    if pushes == "the patient first":
        assert entry["reason"] == "deleted_while_waiting"
    else:
        assert (entry["reason"], entry["patient_id"]) == ("waits", "p2")


def test_a_case_that_moved_to_a_baby_is_judged_by_its_age(village: Practice) -> None:
    """drajer-health/eCRNow#541: after a merge what was triggered went on with the old patient."""
    push(village, case(1000, risk_level="green", triage_data={"pus": True}))
    assert seen(village) == []
    cursor = village.time / 1000 + 10**6
    push(village, case(2000, patient_id="p2"), last_sync_timestamp=cursor)
    assert seen(village) == ["list"]
    assert len(village.jobs()) == 1


def test_one_red_flag_hides_no_other(village: Practice) -> None:
    """medic/cht-core#8144: with a primary risk factor there the secondary ones were left out."""
    push(village, case(1000, triage_data={"breathing_difficulty": True, "bleeding": True}))
    assert {"breathing_difficulty", "bleeding"} <= set(village.detail()["case"]["rules"]["flags"])
    assert village.listed()["cases"][0]["rank"] == RANKS["emergency"]


def test_a_phone_that_never_marks_its_rows_as_sent_undoes_nothing(village: Practice) -> None:
    """Nozbe/WatermelonDB#1752: the same record is pushed with every sync, for ever."""
    mine = case(1000, risk_level="green", triage_data={"itching": True})
    push(village, mine)
    phone = village.phone("chw1", "other")
    phone.sync()
    phone.save("cases", "c1", triage_data={"bleeding": True}, risk_level="red")
    phone.sync()
    for cursor in (0, village.time / 1000 + 10**6):  # whether it says that it has looked or not
        answer = push(village, mine, last_sync_timestamp=cursor)
        assert answer["accepted"]["cases"] == ["c1"]
        assert village.fields("cases", "c1")["risk_level"] == "red"
        assert "bleeding" in village.fields("cases", "c1")["triage_data"]
    assert seen(village) == ["list"]


def test_what_was_closed_can_still_be_found(village: Practice) -> None:
    """elastic/kibana#109624: an alert that somebody acknowledged was in no list any more."""
    push(village, case(1000, risk_level="red"))
    village.sign()
    assert seen(village) == []
    assert village.ids(status="DIAGNOSED") == ["c1"]
    assert village.detail()["review"]["history"][-1]["by"] == "doc1"
