"""A signature is taken back within seconds, on both stores: everything is as it was, nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from shared.access import membership
from shared.access.membership import Caller
from shared.errors import Forbidden, InvalidRequest, NotFound, ParentDeleted, StoreUnavailable
from shared.products.dermadetect.faults import AlreadyDiagnosed, TooLate, Withdrawn
from shared.products.dermadetect.review import WITHDRAW_MS
from shared.products.dermadetect.tables import CATALOG
from shared.records.record import DELETED, MODIFIED
from shared.records.store import STAMP, Key, RecordStore, Write
from shared.support.undelete import undelete
from tests.review.conftest import HOUR, Practice, doctor
from tests.stores import Interrupted
from tests.sync.clinic import pass_millisecond

BOSS = Caller("boss", "supervisor", "desk")


@pytest.fixture
def case(practice: Practice) -> str:
    """A red case that waits."""
    practice.red_case()
    return "c1"


def take_back(
    practice: Practice, signed: dict[str, Any], who: str = "doc1", store: RecordStore | None = None
) -> dict[str, Any]:
    return practice.review(store).withdraw(doctor(who), "c1", signed["id"], practice.time)


def told(practice: Practice, table: str, name: str) -> dict[str, Any]:
    """What is stored, without what any write of the server changes."""
    fields = practice.fields(table, name)
    left_out = {STAMP, "_echo", "_edited", "history", MODIFIED, "before_signature"}
    return {
        key: value for key, value in fields.items() if key not in left_out and value is not None
    }


def test_the_case_is_as_it_was(practice: Practice, case: str) -> None:
    # given a case that a doctor has in hand
    practice.claim("doc1")
    before = told(practice, "cases", case), told(practice, "reviews", case)
    signed = practice.sign()
    practice.time += WITHDRAW_MS
    # when she takes her signature back
    answer = take_back(practice, signed)
    # then case and claim are as before, and it is in the list again
    assert answer == {
        "id": signed["id"],
        "case_id": "c1",
        "withdrawn_at": practice.time,
        "counts": None,
    }
    assert (told(practice, "cases", case), told(practice, "reviews", case)) == before
    assert practice.ids() == ["c1"]
    assert practice.ids(unread=True) == []
    shown = practice.detail()
    assert (shown["diagnoses"], shown["review"]["signed_by"]) == ([], None)
    assert [step["step"] for step in shown["review"]["history"]] == [
        "claimed",
        "signed",
        "withdrawn",
    ]
    # and can be signed anew
    assert practice.sign(key="k2")["diagnosis_text"] == "Tinea corporis"


def test_it_is_one_commit_with_its_trail(practice: Practice, case: str) -> None:
    signed = practice.sign()
    commits: list[Sequence[Write]] = []
    take_back(practice, signed, store=Interrupted(practice.store, after=commits.append))
    (writes,) = commits
    assert {write.key.collection for write in writes} == {
        "diagnoses",
        "cases",
        "reviews",
        "memberships",
        "audit",
        "hook_events",
    }
    (trail,) = (entry for entry in practice.all("audit") if entry.fields["action"] == "withdraw")
    assert trail.fields["ids"] == {"cases": ["c1"], "diagnoses": [signed["id"]]}
    kinds = {entry.fields["type"] for entry in practice.all("hook_events")}
    assert "diagnosis.withdrawn" in kinds


def test_phones_drop_a_diagnosis_that_they_have(practice: Practice, case: str) -> None:
    phone = practice.phone()
    phone.sync()
    signed = practice.sign()
    pass_millisecond()
    phone.sync()
    assert phone.row("diagnoses", signed["id"]) is not None
    take_back(practice, signed)
    pass_millisecond()
    phone.sync()
    assert phone.row("diagnoses", signed["id"]) is None
    row = phone.row("cases", case)
    assert row is not None
    assert row["status"] == "PENDING_DIAGNOSIS"


def test_of_an_amendment_the_earlier_diagnosis_counts_again(practice: Practice, case: str) -> None:
    first = practice.sign()
    practice.review().delivered(doctor("chw1"), practice.all("diagnoses"), practice.time)
    before = told(practice, "cases", case), told(practice, "reviews", case)
    assert before[1]["read_at"] == practice.time
    row = told(practice, "diagnoses", first["id"])
    practice.time += HOUR
    second = practice.sign("doc2", key="k2", amends=first["id"], diagnosis_text="Psoriasis")
    assert take_back(practice, second, "doc2")["counts"] == first["id"]
    assert (told(practice, "cases", case), told(practice, "reviews", case)) == before
    assert told(practice, "diagnoses", first["id"]) == row
    assert [each["id"] for each in practice.detail()["diagnoses"]] == [first["id"]]
    # the first one is too old
    with pytest.raises(TooLate):
        take_back(practice, first)


def test_repeated_it_gets_the_same_answer_at_any_time(practice: Practice, case: str) -> None:
    signed = practice.sign()
    answer = take_back(practice, signed)
    practice.time += HOUR
    practice.sign("doc2", key="k2")
    before = practice.fields("cases", case)
    assert take_back(practice, signed) == answer
    assert practice.fields("cases", case) == before


def test_after_some_seconds_it_is_refused(practice: Practice, case: str) -> None:
    signed = practice.sign()
    practice.time += 2 * WITHDRAW_MS
    with pytest.raises(TooLate):
        take_back(practice, signed)
    assert practice.fields("cases", case)["status"] == "DIAGNOSED"


def test_only_who_signed_takes_it_back(practice: Practice, case: str) -> None:
    signed = practice.sign()
    practice.join("stranger", "team2", "doctor")
    for who, fault in (("doc2", Forbidden), ("chw1", Forbidden), ("stranger", NotFound)):
        with pytest.raises(fault):
            take_back(practice, signed, who)
    with pytest.raises(Forbidden):
        practice.review().withdraw(BOSS, case, signed["id"], practice.time)
    for unknown in ("nothing", "__x__", "", "../x"):
        with pytest.raises(NotFound):
            take_back(practice, {"id": unknown})
    assert practice.fields("cases", case)["status"] == "DIAGNOSED"


def test_what_was_amended_meanwhile_stays(practice: Practice, case: str) -> None:
    signed = practice.sign()
    second = practice.sign("doc2", key="k2", amends=signed["id"])
    with pytest.raises(AlreadyDiagnosed) as caught:
        take_back(practice, signed)
    assert (caught.value.by, caught.value.diagnosis_id) == ("doc2", second["id"])


def test_a_deleted_case_is_left_alone(practice: Practice, case: str) -> None:
    signed = practice.sign()
    phone = practice.phone()
    phone.sync()
    phone.delete("cases", case)
    phone.sync()
    with pytest.raises(ParentDeleted):
        take_back(practice, signed)


def test_the_key_of_what_was_taken_back_signs_nothing(practice: Practice, case: str) -> None:
    take_back(practice, practice.sign())
    with pytest.raises(Withdrawn):
        practice.sign()
    assert practice.fields("cases", case)["status"] == "PENDING_DIAGNOSIS"


def test_nobody_brings_it_back_as_a_deleted_record(practice: Practice, case: str) -> None:
    signed = practice.sign()
    take_back(practice, signed)
    with pytest.raises(InvalidRequest):
        undelete(practice.store, CATALOG, None, Key("diagnoses", signed["id"]), practice.time)
    # nor with its case
    phone = practice.phone()
    phone.sync()
    phone.delete("cases", case)
    phone.sync()
    practice.follow()
    undelete(practice.store, CATALOG, None, Key("cases", case), practice.time)
    practice.follow()
    assert practice.detail()["diagnoses"] == []


@pytest.mark.parametrize("was", ["red", "green"])
def test_what_came_meanwhile_asks_for_a_doctor(practice: Practice, was: str) -> None:
    (name,) = practice.cases(was)
    phone = practice.phone()
    phone.sync()
    signed = practice.sign(case=name)
    phone.save("cases", name, at=5000, triage_data={"site": "leg"})
    phone.sync()
    practice.review().withdraw(doctor(), name, signed["id"], practice.time)
    have = practice.fields("cases", name)
    assert (have["status"], have["_waits"]) == ("PENDING_DIAGNOSIS", True)
    assert have["triage_data"] == '{"site":"leg"}'
    assert practice.ids() == [name]


def test_what_came_to_an_amended_case_meanwhile_is_named(practice: Practice, case: str) -> None:
    first = practice.sign()
    phone = practice.phone()
    phone.sync()
    second = practice.sign(key="k2", amends=first["id"])
    phone.save("cases", case, at=5000, triage_data={"site": "leg"})
    phone.sync()
    take_back(practice, second)
    have = practice.fields("cases", case)
    assert (have["status"], have["_waits"]) == ("DIAGNOSED", True)
    assert "triage_data" in have["_changed_since"]


def test_a_green_case_is_triaged_again(practice: Practice) -> None:
    (name,) = practice.cases("green")
    signed = practice.sign(case=name, verdict=None)
    practice.review().withdraw(doctor(), name, signed["id"], practice.time)
    assert practice.fields("cases", name)["status"] == "TRIAGED"
    assert practice.ids() == []


def test_a_colleague_s_claim_of_these_seconds_stays(practice: Practice, case: str) -> None:
    practice.claim("doc1")
    signed = practice.sign()
    practice.claim("doc2")
    take_back(practice, signed)
    assert practice.fields("reviews", case)["claimed_by"] == "doc2"


def test_a_doctor_who_leaves_at_that_moment_takes_nothing_back(
    practice: Practice, case: str
) -> None:
    signed = practice.sign()

    def leave(_writes: Sequence[Write]) -> None:
        membership.revoke(practice.store, "doc1", "team1", practice.time)

    with pytest.raises(NotFound):
        take_back(practice, signed, store=Interrupted(practice.store, before=leave))
    assert practice.fields("cases", case)["status"] == "DIAGNOSED"


class Killed(BaseException):
    """The process ends."""


@pytest.mark.parametrize("when", ["before", "after"])
def test_cut_off_anywhere_it_can_be_sent_again(practice: Practice, case: str, when: str) -> None:
    signed = practice.sign()

    def die(_writes: Sequence[Write]) -> None:
        raise Killed

    with pytest.raises(Killed):
        take_back(practice, signed, store=Interrupted(practice.store, **{when: die}))
    # either everything is there or nothing
    there = practice.fields("cases", case)["status"] == "DIAGNOSED"
    assert there == (when == "before")
    assert there == (practice.fields("diagnoses", signed["id"]).get(DELETED) is None)
    answer = take_back(practice, signed)
    assert practice.fields("cases", case)["status"] == "PENDING_DIAGNOSIS"
    assert practice.fields("diagnoses", signed["id"])[DELETED] == answer["withdrawn_at"]


def test_a_store_that_is_away_for_a_moment_is_asked_again(practice: Practice, case: str) -> None:
    signed, first = practice.sign(), [True]

    def fail(_writes: Sequence[Write]) -> None:
        if first and first.pop():
            raise StoreUnavailable("cut off")

    take_back(practice, signed, store=Interrupted(practice.store, after=fail))
    assert (
        len([e for e in practice.fields("reviews", case)["history"] if e["step"] == "withdrawn"])
        == 1
    )
