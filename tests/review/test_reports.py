"""Stories that people told of other systems, on both stores: a signal that went missing on the way."""

from __future__ import annotations

from datetime import date

import pytest

from infra.local.phone import Json
from shared.errors import InvalidCursor
from shared.products.dermadetect import days
from shared.products.dermadetect.numbers import Numbers
from shared.products.dermadetect.signal import RANKS
from shared.products.dermadetect.worklist_query import WorklistQuery
from shared.records import record
from shared.records.store import Key, patch
from tests.review.conftest import CLAIM_MS, Practice, doctor, numbers_of, place_of, query_of
from tests.review.test_filters import NOON, stored, totals
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


# --- lists, totals and numbers


def test_a_page_goes_on_although_its_last_case_has_left_the_list(practice: Practice) -> None:
    """YosemiteCrew/Yosemite-Crew#2722: a cursor that left the filter took the next row with it."""
    for name in "abcdef":
        stored(practice, name)
    page = practice.listed(limit=2, worker="chw1")
    assert [row["id"] for row in page["cases"]] == ["a", "b"]
    # when the case that the page ended with is signed, the next page begins with the one behind it
    practice.sign(case="b")
    behind = place_of(page["next_page"])
    assert practice.ids(limit=9, worker="chw1", behind=behind) == ["c", "d", "e", "f"]
    # the same in a list that is put together here: of what she has in hand
    for name in "acde":
        practice.claim("doc1", name)
    behind = place_of(practice.listed(limit=2, mine=True)["next_page"])
    practice.sign(case="c", key="k2")
    assert practice.ids(limit=9, mine=True, behind=behind) == ["d", "e"]


def test_a_page_of_other_filters_is_refused_and_not_taken_for_one_of_these(
    practice: Practice,
) -> None:
    """deverman/FocusRelayMCP#146: the cursor of one filter left out 24 entries of another one."""
    for number in range(6):
        rank = RANKS["yellow"] if number < 4 else RANKS["red"]
        stored(practice, f"c{number}", _rank=rank)
    page = practice.listed(limit=2, risk="yellow")["next_page"]
    assert query_of({"risk": "yellow", "page": page}).behind is not None
    for other in ({}, {"risk": "red"}, {"status": "DIAGNOSED"}, {"mine": "1"}, {"patient": "p1"}):
        with pytest.raises(InvalidCursor, match="other filters"):
            query_of({**other, "page": page})


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/New_York"])
def test_the_last_day_is_in_to_its_last_moment_and_one_day_is_a_range(
    practice: Practice, zone: str
) -> None:
    """msupply-foundation/open-msupply#6693, #10703: from today until today there was nothing."""
    there, day = days.zone_of(zone), date(2026, 3, 1)
    begins, ends = days.begins_ms(day, there), days.ends_ms(day, there)
    for name, made in (
        ("before", begins - 1),
        ("first", begins),
        ("last", ends - 1),
        ("after", ends),
    ):
        stored(practice, name, created_at=made)
    asked = {"first_day": "2026-03-01", "last_day": "2026-03-01", "zone": zone}
    query = query_of(asked)
    rows = practice.worklist().cases(doctor(), query, practice.time)["cases"]
    assert [row["id"] for row in rows] == ["first", "last"]
    found = Numbers(practice.store).of(doctor(), numbers_of(asked, NOON))
    assert found["all"]["arrived"]["total"] == 2


def test_sunday_is_of_the_week_before_and_the_week_is_the_clinic_s_own(practice: Practice) -> None:
    """mtierltd/timetracker#55: sums began on Sunday, in UTC, and the weeks shown on Monday."""
    nairobi = days.zone_of("Africa/Nairobi")
    monday = days.begins_ms(date(2025, 12, 29), nairobi)  # the first week of 2026 by ISO 8601
    for name, made in (
        ("sunday", monday - 1),
        ("monday", monday),
        ("new year", monday + 3 * 86_400_000),
    ):
        stored(practice, name.replace(" ", "-"), created_at=made)

    def weeks(zone: str) -> dict[str, int]:
        asked = {"first_day": "2025-12-22", "last_day": "2026-01-04", "zone": zone}
        found = Numbers(practice.store).of(doctor(), numbers_of(asked, NOON))
        return {week["week"]: week["arrived"]["total"] for week in found["weeks"]}

    assert weeks("Africa/Nairobi") == {"2025-W52": 1, "2026-W01": 2}
    # in UTC it is still Sunday evening there
    assert weeks("UTC") == {"2025-W52": 2, "2026-W01": 1}


def test_what_is_given_back_is_in_no_doctor_s_hand_and_in_the_queue_again(
    practice: Practice,
) -> None:
    """masslight/ottehr#598, ohcnetwork/care_fe#1198: an unassigned visit stood with its doctor."""
    practice.cases("red", "red", "red", "red")

    def hands() -> tuple[int, int, int, list[str]]:
        found = totals(practice)
        return found["waiting"], found["claimed"], found["mine"], practice.ids(mine=True)

    for name in ("c0", "c1", "c2"):
        practice.claim("doc1", name)
    practice.claim("doc2", "c3")
    assert hands() == (4, 4, 3, ["c0", "c1", "c2"])
    practice.review().release(doctor(), "c0", practice.time)
    assert hands() == (4, 3, 2, ["c1", "c2"])
    practice.claim("boss", "c1", to="doc2")
    assert hands() == (4, 3, 1, ["c2"])
    practice.sign(case="c2")
    assert hands() == (3, 2, 0, [])
    practice.time += CLAIM_MS
    assert hands() == (3, 0, 0, [])
    assert [row["claimed_by"] for row in practice.listed()["cases"]] == [None] * 3


def test_a_total_beside_a_filter_is_that_of_its_list(practice: Practice) -> None:
    """bcgov/entity#5129, NationalSecurityAgency/skills-service#2472: the numbers were of other rows."""
    for number, word in enumerate(("red", "red", "look", "yellow", "emergency")):
        stored(practice, f"c{number}", _rank=RANKS[word])
    # one was deleted while it waited: it is in the list, so it is in the total
    practice.store.commit([patch(Key("cases", "c0"), {record.DELETED: NOON}, None)])
    # one was dealt with, one is of a team that she is in without reviewing there
    practice.sign(case="c3")
    practice.join("doc1", "team2", "chw")
    stored(practice, "other", "team2")
    found = totals(practice)
    for word in RANKS:
        assert found[word] == len(practice.ids(risk=word)), word
    assert found["waiting"] == len(practice.ids()) == 4


def test_a_doctor_sees_what_the_patient_had_before(practice: Practice) -> None:
    """ohcnetwork/care_fe#948, #970: "permission denied" for the consultation before this one."""
    stored(practice, "old", created_at=NOON - 90 * 86_400_000, chw_id="chw-who-left")
    practice.sign("doc2", case="old")
    stored(practice, "new")
    (before,) = practice.detail(case="new")["patient_cases"]
    assert (before["id"], before["signed_by"]) == ("old", "doc2")
    assert before["diagnosis"]["diagnosis_text"] == "Tinea corporis"
    assert practice.listed(patient="p1", status="DIAGNOSED")["cases"][0]["id"] == "old"
    assert WorklistQuery(patient="p1").kind != WorklistQuery(patient="p2").kind
