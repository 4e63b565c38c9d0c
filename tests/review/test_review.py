"""Claims and signatures, on both stores: one doctor signs, everything is kept, nothing is done twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.access import membership
from shared.access.membership import Caller
from shared.api.routes import decode
from shared.errors import (
    Contended,
    Fault,
    Forbidden,
    InvalidRequest,
    KeyReused,
    NotFound,
    ParentDeleted,
    StoreUnavailable,
)
from shared.jobs import transfer
from shared.products.dermadetect.faults import AlreadyDiagnosed, CaseChanged, Claimed
from shared.products.dermadetect.review import diagnosis_key, parse_signature
from shared.products.dermadetect.screen import ReviewDiagnosisRequest
from shared.products.dermadetect.tables import CATALOG
from shared.records.store import Key, RecordStore, Write, patch
from shared.support.undelete import undelete
from tests.review.conftest import CLAIM_MS, HOUR, Practice, Screen, doctor, signature
from tests.stores import Interrupted
from tests.sync.clinic import pass_millisecond

BOSS = Caller("boss", "supervisor", "desk")


@pytest.fixture
def case(practice: Practice) -> str:
    """A red case that waits."""
    practice.red_case()
    return "c1"


def diagnoses(practice: Practice) -> dict[str, dict[str, Any]]:
    return {document.key.id: document.fields for document in practice.all("diagnoses")}


# --- claims


def test_a_claim_keeps_others_off_until_it_ends(practice: Practice, case: str) -> None:
    # given a claim
    assert practice.claim("doc1") == {
        "case_id": "c1",
        "claimed_by": "doc1",
        "claimed_until": practice.time + CLAIM_MS,
    }
    # then another doctor may neither claim nor sign, and learns who has it and until when
    practice.time += CLAIM_MS - 1
    for attempt in (lambda: practice.claim("doc2"), lambda: practice.sign("doc2")):
        with pytest.raises(Claimed) as caught:
            attempt()
        assert (caught.value.by, caught.value.until) == ("doc1", practice.time + 1)
    assert diagnoses(practice) == {}
    # until it has ended
    practice.time += 1
    practice.claim("doc2")
    assert practice.fields("reviews", case)["claimed_by"] == "doc2"


def test_ones_own_claim_is_extended(practice: Practice, case: str) -> None:
    practice.claim("doc1")
    practice.time += CLAIM_MS // 2
    assert practice.claim("doc1")["claimed_until"] == practice.time + CLAIM_MS
    assert len(practice.fields("reviews", case)["history"]) == 1


def test_a_claim_is_no_news_for_phones(practice: Practice, case: str) -> None:
    phone = practice.phone()
    phone.sync()
    practice.claim("doc1")
    pass_millisecond()
    assert not any(phone.sync()["server_updates"].values())


def test_a_claim_is_released_by_its_holder_or_a_supervisor(practice: Practice, case: str) -> None:
    for who in (doctor("doc1"), BOSS):
        practice.claim("doc1")
        with pytest.raises(Claimed):
            practice.review().release(doctor("doc2"), case, practice.time)
        freed = practice.review().release(who, case, practice.time)
        assert freed == {"case_id": "c1", "claimed_by": None, "claimed_until": None}
        practice.claim("doc2")
        practice.review().release(doctor("doc2"), case, practice.time)


def test_releasing_what_nobody_has_changes_nothing(practice: Practice, case: str) -> None:
    practice.review().release(doctor("doc1"), case, practice.time)
    assert practice.get("reviews", case) is None


def test_a_supervisor_gives_a_case_to_a_doctor_whoever_has_it(
    practice: Practice, case: str
) -> None:
    practice.claim("doc1")
    given = practice.review().claim(BOSS, case, "doc2", practice.time)
    assert given["claimed_by"] == "doc2"
    with pytest.raises(Claimed):
        practice.sign("doc1")
    assert practice.sign("doc2")["doctor_id"] == "doc2"


@pytest.mark.parametrize("whom", ["chw1", "boss2", "nobody", "elsewhere"])
def test_a_case_is_given_to_doctors_of_its_team_only(
    practice: Practice, case: str, whom: str
) -> None:
    practice.join("elsewhere", "team2", "doctor")
    practice.join("boss2", role="supervisor")
    with pytest.raises(InvalidRequest) as caught:
        practice.review().claim(BOSS, case, whom, practice.time)
    assert caught.value.field == "doctor_id"
    assert practice.get("reviews", case) is None


def test_a_doctor_does_not_give_cases_to_others(practice: Practice, case: str) -> None:
    with pytest.raises(Forbidden):
        practice.claim("doc1", to="doc2")
    assert practice.claim("doc1", to="doc1")["claimed_by"] == "doc1"


def test_a_supervisor_claims_nothing_for_himself(practice: Practice, case: str) -> None:
    for whom in (None, "boss"):
        with pytest.raises(Forbidden):
            practice.review().claim(BOSS, case, whom, practice.time)


# --- who may


def attempts(review: Screen, who: Caller, case: str, now: int) -> dict[str, Callable[[], Any]]:
    return {
        "claim": lambda: review.claim(who, case, None, now),
        "assign": lambda: review.claim(who, case, "doc2", now),
        "release": lambda: review.release(who, case, now),
        "diagnose": lambda: review.diagnose(who, case, signature(), now),
    }


#: What each role may do; everybody else of the team gets 403, strangers 404.
MAY = {
    "chw": set(),
    "member": set(),
    "doctor": {"claim", "release", "diagnose"},
    "supervisor": {"assign", "release"},
    "admin": {"assign", "release"},
}


@pytest.mark.parametrize("role", MAY)
@pytest.mark.parametrize("what", ["claim", "assign", "release", "diagnose"])
def test_the_role_in_the_case_s_team_decides(
    practice: Practice, case: str, role: str, what: str
) -> None:
    practice.join("user", role=role)
    # the token's role and a role in another team count for nothing
    practice.join("stranger", "team2", role)
    attempt = attempts(practice.review(), Caller("user", "doctor", "x"), case, practice.time)[what]
    if what in MAY[role]:
        attempt()
    else:
        with pytest.raises(Forbidden):
            attempt()
    for who, name in ((Caller("stranger", role, "x"), case), (doctor("doc1"), "nothing")):
        with pytest.raises(NotFound):
            attempts(practice.review(), who, name, practice.time)[what]()


def test_a_doctor_who_leaves_at_that_moment_signs_nothing(practice: Practice, case: str) -> None:
    def leave(_writes: Sequence[Write]) -> None:
        membership.revoke(practice.store, "doc1", "team1", practice.time)

    review = practice.review(Interrupted(practice.store, before=leave))
    with pytest.raises(NotFound):
        review.diagnose(doctor("doc1"), case, signature(), practice.time)
    assert diagnoses(practice) == {}
    assert practice.fields("cases", case)["status"] == "PENDING_DIAGNOSIS"


def test_a_doctor_who_leaves_at_that_moment_is_given_nothing(practice: Practice, case: str) -> None:
    def leave(_writes: Sequence[Write]) -> None:
        membership.revoke(practice.store, "doc2", "team1", practice.time)

    review = practice.review(Interrupted(practice.store, before=leave))
    with pytest.raises(InvalidRequest):
        review.claim(BOSS, case, "doc2", practice.time)
    assert practice.get("reviews", case) is None


@pytest.mark.parametrize("what", ["claim", "assign", "release"])
def test_who_loses_the_role_at_that_moment_changes_nothing(
    practice: Practice, case: str, what: str
) -> None:
    who = BOSS if what == "assign" else doctor("doc1")
    practice.claim("doc1")
    before = practice.fields("reviews", case)

    def leave(_writes: Sequence[Write]) -> None:
        membership.revoke(practice.store, who.user_id, "team1", practice.time)

    review = practice.review(Interrupted(practice.store, before=leave))
    practice.time += 1
    with pytest.raises(NotFound):
        attempts(review, who, case, practice.time)[what]()
    assert practice.fields("reviews", case) == before


# --- signatures


def test_a_signature_is_one_commit_of_diagnosis_case_and_review(
    practice: Practice, case: str
) -> None:
    commits: list[set[str]] = []
    store = Interrupted(
        practice.store, after=lambda writes: commits.append({w.key.collection for w in writes})
    )
    answer = practice.review(store).diagnose(
        doctor("doc1"), case, signature(verdict_text="As seen"), practice.time
    )
    written = {"diagnoses", "cases", "reviews", "memberships", "audit", "hook_events"}
    assert commits == [written]
    assert answer == {
        "id": diagnosis_key("doc1", "k1").id,
        "case_id": "c1",
        "status": "DIAGNOSED",
        "doctor_id": "doc1",
        "diagnosis_text": "Tinea corporis",
        "prescription": "Clotrimazole",
        "amends": None,
        "verdict": "agree",
        "verdict_text": "As seen",
        "signed_at": practice.time,
    }
    assert practice.fields("cases", case)["status"] == "DIAGNOSED"
    row = diagnoses(practice)[answer["id"]]
    assert (row["scope_id"], row["author_id"], len(row["_hash"])) == ("team1", "doc1", 64)


def test_both_dialects_phones_get_the_diagnosis_and_not_the_verdict(
    practice: Practice, case: str
) -> None:
    phone = practice.phone()
    phone.sync()
    signed = practice.sign()
    pass_millisecond()
    phone.sync()
    row = phone.row("diagnoses", signed["id"])
    assert row is not None
    assert (row["case_id"], row["diagnosis_text"], row["amends"]) == ("c1", "Tinea corporis", None)
    assert "verdict" not in row
    assert not [name for name in row if name.startswith("_")]
    found = phone.row("cases", case)
    assert found is not None
    assert found["status"] == "DIAGNOSED"


def test_the_same_request_gets_the_same_answer_and_signs_once(
    practice: Practice, case: str
) -> None:
    first = practice.sign()
    version = practice.get("reviews", case)
    practice.time += HOUR
    assert practice.sign() == first
    assert practice.get("reviews", case) == version
    # also when the diagnosis was amended meanwhile
    practice.sign("doc2", key="k2", amends=first["id"])
    assert practice.sign() == first
    assert len(diagnoses(practice)) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"diagnosis_text": "Psoriasis"},
        {"prescription": None},
        {"verdict": "reject"},
        {"verdict_text": "x"},
        {"amends": "d0"},
    ],
)
def test_a_key_with_other_content_is_refused(
    practice: Practice, case: str, other: dict[str, Any]
) -> None:
    first = practice.sign()
    with pytest.raises(KeyReused):
        practice.sign(**other)
    assert set(diagnoses(practice)) == {first["id"]}


def test_a_key_for_another_case_is_refused(practice: Practice, case: str) -> None:
    practice.red_case("c2")
    practice.sign()
    with pytest.raises(KeyReused):
        practice.sign(case="c2")
    assert practice.fields("cases", "c2")["status"] == "PENDING_DIAGNOSIS"


def test_keys_of_two_doctors_are_two_keys(practice: Practice, case: str) -> None:
    practice.red_case("c2")
    practice.sign("doc1")
    assert practice.sign("doc2", "c2")["doctor_id"] == "doc2"


def test_a_second_doctor_learns_who_signed_and_when(practice: Practice, case: str) -> None:
    first = practice.sign("doc1")
    practice.time += HOUR
    for name in ("doc1", "doc2"):
        with pytest.raises(AlreadyDiagnosed) as caught:
            practice.sign(name, key="k2", diagnosis_text="Psoriasis")
        fault = caught.value
        assert (fault.by, fault.at) == ("doc1", first["signed_at"])
        assert fault.diagnosis_id == first["id"]
    assert set(diagnoses(practice)) == {first["id"]}


def test_an_amendment_keeps_both_versions_and_phones_get_both(
    practice: Practice, case: str
) -> None:
    phone = practice.phone()
    first = practice.sign("doc1")
    pass_millisecond()
    phone.sync()
    practice.time += HOUR
    second = practice.sign("doc2", key="k2", amends=first["id"], diagnosis_text="Psoriasis")
    pass_millisecond()
    phone.sync()
    old, new = phone.row("diagnoses", first["id"]), phone.row("diagnoses", second["id"])
    assert old is not None
    assert new is not None
    assert (old["diagnosis_text"], old["amended_by"]) == ("Tinea corporis", second["id"])
    assert (new["diagnosis_text"], new["amends"]) == ("Psoriasis", first["id"])
    assert new["amended_by"] is None
    shown = practice.detail()
    assert [row["id"] for row in shown["diagnoses"]] == [first["id"], second["id"]]
    assert shown["review"]["signed_by"] == "doc2"
    assert [entry["step"] for entry in shown["review"]["history"]] == ["signed", "amended"]


def test_only_the_diagnosis_that_counts_can_be_amended(practice: Practice, case: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        practice.sign(amends="d0")
    assert caught.value.field == "amends"
    first = practice.sign()
    second = practice.sign(key="k2", amends=first["id"])
    for name in (first["id"], "d0"):
        with pytest.raises(AlreadyDiagnosed) as refused:
            practice.sign("doc2", key="k3", amends=name)
        assert refused.value.diagnosis_id == second["id"]


def test_a_deleted_case_is_neither_claimed_nor_diagnosed(practice: Practice, case: str) -> None:
    phone = practice.phone()
    phone.sync()
    phone.delete("cases", case)
    phone.sync()
    for attempt in (practice.claim, practice.sign):
        with pytest.raises(ParentDeleted):
            attempt("doc1")
    assert diagnoses(practice) == {}


def test_a_signature_survives_deletion_and_return_of_its_case(
    practice: Practice, case: str
) -> None:
    signed = practice.sign()
    phone = practice.phone()
    phone.sync()
    phone.delete("cases", case)
    phone.sync()
    practice.follow()
    undelete(practice.store, CATALOG, None, Key("cases", case), practice.time)
    practice.follow()
    assert practice.fields("cases", case)["status"] == "DIAGNOSED"
    assert [row["id"] for row in practice.detail()["diagnoses"]] == [signed["id"]]
    with pytest.raises(AlreadyDiagnosed):
        practice.sign("doc2", key="k2")


def test_a_case_that_moves_at_that_moment_is_diagnosed_by_nobody_of_its_old_team(
    practice: Practice, case: str
) -> None:
    def move(_writes: Sequence[Write]) -> None:
        if practice.fields("patients", "p1")["scope_id"] == "team1":
            transfer.move(practice.store, CATALOG, Key("patients", "p1"), "team2", practice.time)
            practice.follow()

    review = practice.review(Interrupted(practice.store, before=move))
    with pytest.raises(NotFound):
        review.diagnose(doctor("doc1"), case, signature(), practice.time)
    assert diagnoses(practice) == {}


def test_a_green_case_that_was_never_analysed_can_be_diagnosed(practice: Practice) -> None:
    practice.cases("green")
    practice.sign(case="c0", verdict=None)
    assert practice.fields("cases", "c0")["status"] == "DIAGNOSED"


# --- doctors, phones and the analysis at once


def test_of_many_doctors_at_once_exactly_one_signs(practice: Practice, case: str) -> None:
    names = [f"doctor{number}" for number in range(6)]
    for name in names:
        practice.join(name, role="doctor")

    def sign(name: str) -> str:
        try:
            return str(practice.sign(name)["doctor_id"])
        except AlreadyDiagnosed as fault:
            return f"after {fault.by}"

    with ThreadPoolExecutor(len(names)) as pool:
        said = list(pool.map(sign, names))
    (row,) = diagnoses(practice).values()
    winner = row["doctor_id"]
    assert sorted(said) == sorted([winner, *[f"after {winner}"] * (len(names) - 1)])
    assert practice.fields("reviews", case)["signed_by"] == winner


def test_of_many_doctors_at_once_exactly_one_claims(practice: Practice, case: str) -> None:
    names = [f"doctor{number}" for number in range(6)]
    for name in names:
        practice.join(name, role="doctor")

    def claim(name: str) -> str:
        try:
            return str(practice.claim(name)["claimed_by"])
        except Claimed as fault:
            return f"after {fault.by}"

    with ThreadPoolExecutor(len(names)) as pool:
        said = list(pool.map(claim, names))
    winner = practice.fields("reviews", case)["claimed_by"]
    assert sorted(said) == sorted([winner, *[f"after {winner}"] * (len(names) - 1)])


def once(happens: Callable[[], object]) -> Callable[[Sequence[Write]], None]:
    """Something that happens before the first commit only."""
    left = [happens]

    def before(_writes: Sequence[Write]) -> None:
        if left:
            left.pop()()

    return before


def test_a_claim_that_was_overtaken_is_refused(practice: Practice, case: str) -> None:
    for _ in range(2):  # with and without an entry that is there already
        store = Interrupted(practice.store, before=once(lambda: practice.claim("doc2")))
        with pytest.raises(Claimed) as caught:
            practice.review(store).claim(doctor("doc1"), case, None, practice.time)
        assert caught.value.by == "doc2"
        practice.time += CLAIM_MS


def test_a_signature_that_was_overtaken_by_a_claim_is_refused(
    practice: Practice, case: str
) -> None:
    store = Interrupted(practice.store, before=once(lambda: practice.claim("doc2")))
    with pytest.raises(Claimed):
        practice.review(store).diagnose(doctor("doc1"), case, signature(), practice.time)
    assert diagnoses(practice) == {}


def test_an_amendment_that_was_overtaken_is_refused(practice: Practice, case: str) -> None:
    first = practice.sign()["id"]
    store = Interrupted(
        practice.store, before=once(lambda: practice.sign("doc2", key="k2", amends=first))
    )
    with pytest.raises(AlreadyDiagnosed) as caught:
        practice.review(store).diagnose(
            doctor("doc1"), case, signature("k3", amends=first), practice.time
        )
    assert caught.value.by == "doc2"
    assert len(diagnoses(practice)) == 2


def test_a_case_that_is_deleted_at_that_moment_is_not_claimed(
    practice: Practice, case: str
) -> None:
    phone = practice.phone()
    phone.sync()
    phone.delete("cases", case)
    store = Interrupted(practice.store, before=once(phone.sync))
    with pytest.raises(ParentDeleted):
        practice.review(store).claim(doctor("doc1"), case, None, practice.time)
    assert practice.get("reviews", case) is None


def test_the_same_request_many_times_at_once_signs_once(practice: Practice, case: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(lambda _: practice.sign(), range(6)))
    assert all(answer == said[0] for answer in said)
    assert len(diagnoses(practice)) == 1


def test_an_analysis_that_ends_after_the_signature_does_not_undo_it(
    practice: Practice, case: str
) -> None:
    # given a worker that has asked the model and is about to store its answer
    job = practice.jobs()[0].id
    signed: list[dict[str, Any]] = []

    def sign(writes: Sequence[Write]) -> None:
        if not signed and any(write.key.collection == "cases" for write in writes):
            signed.append(practice.sign())

    # when a doctor signs first
    state = practice.worker(store=Interrupted(practice.store, before=sign)).run(job)
    # then both are there
    assert (state, len(signed)) == ("done", 1)
    have = practice.fields("cases", case)
    assert (have["status"], have["ai_analysis"]["status"]) == ("DIAGNOSED", "ok")


def test_a_signature_while_the_analysis_ends_keeps_the_analysis(
    practice: Practice, case: str
) -> None:
    job, first = practice.jobs()[0].id, itertools.count()

    def analyse(_writes: Sequence[Write]) -> None:
        if next(first) == 0:
            assert practice.worker().run(job) == "done"

    with pytest.raises(CaseChanged) as caught:  # she has not seen what the model said
        practice.review(Interrupted(practice.store, before=analyse)).diagnose(
            doctor("doc1"), case, signature(), practice.time
        )
    assert "ai_analysis" in caught.value.changed
    practice.sign()
    have = practice.fields("cases", case)
    assert (have["status"], have["ai_analysis"]["status"]) == ("DIAGNOSED", "ok")


def test_a_case_that_is_edited_after_the_signature_stays_diagnosed(
    practice: Practice, case: str
) -> None:
    phone = practice.phone()
    phone.sync()
    practice.sign()
    # an edit of a phone that has not heard of the diagnosis
    phone.save("cases", case, at=5000, triage_data={"site": "leg"}, risk_level="red")
    answer = phone.sync()
    assert answer["accepted"]["cases"] == ["c1"]
    have = practice.fields("cases", case)
    assert (have["status"], have["triage_data"]) == ("DIAGNOSED", '{"site":"leg"}')
    assert [row["status"] for row in answer["server_updates"]["cases"]] == ["DIAGNOSED"]


def test_an_edit_that_is_stored_at_that_moment_is_kept(practice: Practice, case: str) -> None:
    phone, first = practice.phone(), itertools.count()
    phone.sync()

    def edit(_writes: Sequence[Write]) -> None:
        if next(first) == 0:
            phone.save("cases", case, at=5000, triage_data={"site": "leg"})
            phone.sync()

    with pytest.raises(CaseChanged) as caught:
        practice.review(Interrupted(practice.store, before=edit)).diagnose(
            doctor("doc1"), case, signature(), practice.time
        )
    assert caught.value.changed == ["triage_data"]
    practice.sign()
    have = practice.fields("cases", case)
    assert (have["status"], have["triage_data"]) == ("DIAGNOSED", '{"site":"leg"}')


def test_before_a_doctor_signed_a_health_worker_sees_a_part_of_the_analysis(
    practice: Practice, case: str
) -> None:
    practice.worker().run(practice.jobs()[0].id)
    phone = practice.phone()

    def seen() -> set[str]:
        pass_millisecond()
        phone.sync()
        row = phone.row("cases", case)
        assert row is not None
        return set(row["ai_analysis"])

    assert "differential" not in seen()
    practice.claim("doc1")
    assert "differential" not in seen()
    practice.sign()
    assert "differential" in seen()


# --- faults in between


def interrupted(store: RecordStore, when: str, times: int) -> RecordStore:
    """The first commits get lost before or after they are applied."""
    count = itertools.count()

    def fail(_writes: Sequence[Write]) -> None:
        if next(count) < times:
            raise StoreUnavailable("cut off")

    return Interrupted(store, before=fail) if when == "before" else Interrupted(store, after=fail)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_of_the_store_is_settled_by_reading_again(
    practice: Practice, case: str, when: str
) -> None:
    review = practice.review(interrupted(practice.store, when, 1))
    answer = review.diagnose(doctor("doc1"), case, signature(), practice.time)
    assert practice.sign() == answer
    assert len(diagnoses(practice)) == 1
    assert len(practice.fields("reviews", case)["history"]) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_request_that_is_cut_off_can_be_sent_again(
    practice: Practice, case: str, when: str
) -> None:
    class Killed(BaseException):
        pass

    def die(_writes: Sequence[Write]) -> None:
        raise Killed

    store = Interrupted(practice.store, **{when: die})
    with pytest.raises(Killed):
        practice.review(store).diagnose(doctor("doc1"), case, signature(), practice.time)
    # either everything is there or nothing
    there = practice.fields("cases", case)["status"] == "DIAGNOSED"
    assert (there, len(diagnoses(practice)), practice.get("reviews", case) is not None) == (
        (False, 0, False) if when == "before" else (True, 1, True)
    )
    practice.sign()
    assert len(diagnoses(practice)) == 1
    assert practice.fields("cases", case)["status"] == "DIAGNOSED"


def test_a_store_that_does_not_answer_is_said_so_soon(practice: Practice, case: str) -> None:
    review = practice.review(interrupted(practice.store, "before", 99))
    with pytest.raises(StoreUnavailable):
        review.diagnose(doctor("doc1"), case, signature(), practice.time)


def test_a_case_that_never_stands_still_is_answered_with_a_time_to_wait(
    practice: Practice, case: str
) -> None:
    def touch(_writes: Sequence[Write]) -> None:
        practice.store.commit([patch(Key("cases", case), {"touched": practice.time}, None)])
        practice.time += 1

    with pytest.raises(Contended) as caught:
        practice.review(Interrupted(practice.store, before=touch)).claim(
            doctor("doc1"), case, None, practice.time
        )
    assert caught.value.retry_after_s is not None
    assert diagnoses(practice) == {}


# --- what is asked

GOOD = {"diagnosis_text": "Tinea"}

#: field at fault, body, header.
UNFIT: list[tuple[str | None, Any, str | None]] = [
    (None, None, "k"),
    (None, [], "k"),
    (None, "text", "k"),
    (None, {**GOOD, "prescripton": "x"}, "k"),
    (None, {**GOOD, "doctor_id": "doc2"}, "k"),
    ("idempotency_key", GOOD, None),
    ("idempotency_key", GOOD, ""),
    ("idempotency_key", GOOD, "a b"),
    ("idempotency_key", GOOD, "k" * 129),
    ("idempotency_key", GOOD, "k\n"),
    ("idempotency_key", {**GOOD, "idempotency_key": 7}, None),
    ("idempotency_key", {**GOOD, "idempotency_key": ["k"]}, None),
    ("idempotency_key", {**GOOD, "idempotency_key": "other"}, "k"),
    ("diagnosis_text", {}, "k"),
    ("diagnosis_text", {"diagnosis_text": None}, "k"),
    ("diagnosis_text", {"diagnosis_text": " \n\t "}, "k"),
    ("diagnosis_text", {"diagnosis_text": 7}, "k"),
    ("diagnosis_text", {"diagnosis_text": "x" * 10_001}, "k"),
    ("prescription", {**GOOD, "prescription": ["x"]}, "k"),
    ("prescription", {**GOOD, "prescription": "x" * 10_001}, "k"),
    ("verdict", {**GOOD, "verdict": "Agree"}, "k"),
    ("verdict", {**GOOD, "verdict": ["agree"]}, "k"),
    ("verdict", {**GOOD, "verdict": {"a": 1}}, "k"),
    ("verdict_text", {**GOOD, "verdict": "edit", "verdict_text": 1}, "k"),
    ("verdict_text", {**GOOD, "verdict": "edit", "verdict_text": "x" * 10_001}, "k"),
    ("verdict_text", {**GOOD, "verdict_text": "of nothing"}, "k"),
    ("amends", {**GOOD, "amends": "__x__"}, "k"),
    ("amends", {**GOOD, "amends": ""}, "k"),
    ("amends", {**GOOD, "amends": 1}, "k"),
]


@pytest.mark.parametrize(("field", "body", "header"), UNFIT, ids=lambda value: str(value)[:40])
def test_a_body_that_is_not_as_documented_is_refused_by_name(
    field: str | None, body: Any, header: str | None
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_signature(decode(body, ReviewDiagnosisRequest), header)
    assert caught.value.field == field


def test_a_body_may_name_its_key_itself() -> None:
    whole = {**GOOD, "idempotency_key": "k", "prescription": " Cream ", "verdict": "edit"}
    for header in (None, "k"):
        found = parse_signature(decode(whole, ReviewDiagnosisRequest), header)
        assert found == ("k", "Tinea", "Cream", "edit", None, None)


def test_faults_carry_who_and_when() -> None:
    said = Claimed("…", by="doc1", until=5).body("r")
    assert (said["by"], said["until"]) == ("doc1", 5)
    said = AlreadyDiagnosed("…", by="doc1", at=6, diagnosis_id="d").body("r")
    assert (said["by"], said["at"], said["diagnosis_id"]) == ("doc1", 6, "d")
    assert issubclass(KeyReused, Fault)
