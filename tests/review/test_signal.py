"""A red signal is never silent, on both stores: whatever becomes of it, somebody has it before the eyes.

Each story is one in which a case was made to vanish: by its spelling, by losing a conflict, by being
refused, by a deletion, by a signature that came before. `seen` is what a doctor meets who opens her list
and her inbox.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from infra.local.phone import Json
from shared.errors import InvalidRequest
from shared.products.dermadetect.faults import CaseChanged, NotSeen
from shared.products.dermadetect.rejudge import KIND as REJUDGE
from shared.products.dermadetect.rejudge import Rejudge
from shared.products.dermadetect.signal import RANKS, RISK_WORDS, RISKS
from shared.products.dermadetect.tables import CATALOG
from shared.records import record
from shared.records.store import Key, put
from shared.support import inbox
from tests.review.conftest import Practice, doctor, signature

ROOT = Path(__file__).parents[2]


def seen(practice: Practice, name: str = "c1", scopes: tuple[str, ...] = ("team1",)) -> list[str]:
    """Where a doctor meets a case."""
    found = ["list"] if name in practice.ids() else []
    entries = inbox.entries(practice.store, scopes)
    return found + ["inbox" for entry in entries if entry.fields["record_id"] == name]


def push(
    practice: Practice, *rows: Json, user: str = "chw1", device: str = "p", **more: Any
) -> Json:
    phone = practice.phone(user, device)
    body = {"last_sync_timestamp": 0, "changes": {"cases": list(rows)}, **more}
    return phone.send(body, phone)


def case(at: float = 1000, name: str = "c1", **columns: Any) -> Json:
    return {
        "id": name,
        "patient_id": "p1",
        "last_modified_at": at,
        "sync_status": "dirty",
        **columns,
    }


@pytest.fixture
def village(practice: Practice) -> Practice:
    """A practice with the patient p1 and nothing else."""
    phone = practice.phone()
    phone.save("patients", "p1", at=900, demographics={"age": 30})
    phone.sync()
    return practice


# --- the colour, as phones write it


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("RED", "red"), (" Red ", "red"), ("HIGH", "red"), ("Very  High", "red"), (["red"], "red"),
        ("emergency", "red"), ("rouge", "red"), ("लाल", "red"), ("Medium", "yellow"), ("LOW", "green"),
        ("purple", "unknown"), ("", "unknown"), (3, "unknown"), (None, "unknown"), ({}, "unknown"),
        (["red", "green"], "unknown"), (True, "unknown"),
    ],
)  # fmt: skip
def test_a_colour_is_read_in_any_form_or_asks_for_a_person(
    village: Practice, sent: object, stored: str
) -> None:
    answer = push(village, case(risk_level=sent))
    assert answer["rejected"] == []
    assert village.fields("cases", "c1")["risk_level"] == stored
    assert bool(seen(village)) is (stored in ("red", "unknown"))
    if stored == "unknown":
        assert village.listed()["cases"][0]["rank"] == RANKS["look"]
        assert len(village.jobs()) == 1  # and is read a second time
    if sent and stored == "unknown":
        # what was sent is kept for the doctor to read
        (copy,) = village.detail()["refused"]
        assert copy["field"] == "risk_level"


def test_a_case_without_a_colour_stands_in_the_list_until_somebody_looked(
    village: Practice,
) -> None:
    push(village, case(triage_data={"itching": True}))
    assert seen(village) == ["list"]
    village.sign()
    assert seen(village) == []


def test_every_word_for_a_colour_is_one_and_known_in_lower_case() -> None:
    spec = CATALOG.by_name["cases"].by_name["risk_level"]
    for word, colour in RISK_WORDS.items():
        assert word == word.casefold()
        assert spec.choice(f"  {word.upper()} ") == colour
        assert colour in RISKS


# --- signals that are not stored


def test_a_red_edit_that_loses_is_met_by_a_doctor(village: Practice) -> None:
    push(village, case(1000, risk_level="green", triage_data={"site": "foot"}))
    push(village, case(3000, triage_data={"site": "left foot"}), device="b")
    answer = push(village, case(2000, risk_level="red", triage_data={"bleeding": True}), device="c")
    assert [item["reason"] for item in answer["conflicts"]] == ["unseen_overwrite", "older"]
    assert village.fields("cases", "c1")["risk_level"] == "red"  # another column is no conflict
    assert seen(village) == ["list", "inbox"]  # and the answers that lost are shown, too
    (entry,) = village.listed()["cannot_be_filed"]
    assert (entry["code"], entry["urgent"], entry["record_id"]) == ("older", True, "c1")


def test_a_red_answer_that_is_overwritten_unseen_is_met_by_a_doctor(village: Practice) -> None:
    push(village, case(1000, risk_level="green", triage_data={"bleeding": True}))
    village.sign()
    push(village, case(2000, triage_data={"bleeding": False}), device="b")
    assert "inbox" in seen(village)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (case(risk_level="red", patient_id="nobody"), "unknown_parent"),
        (case(risk_level="urgent", image_keys=["k"] * 101), "too_long"),
        (case(triage_data={"bleeding": True}, image_keys=["k"] * 101), "too_long"),
        (case(risk_level="nonsense", patient_id="nobody"), "unknown_parent"),
        (case(risk_level="red", patient_id="gone"), "parent_deleted"),
    ],
)
def test_a_red_case_that_is_refused_stands_at_the_head_of_the_list(
    village: Practice, row: Json, code: str
) -> None:
    phone = village.phone()
    phone.save("patients", "gone", at=900)
    phone.sync()
    phone.delete("patients", "gone")
    phone.sync()
    answer = push(village, row)
    assert [item["code"] for item in answer["rejected"]] == [code]
    assert seen(village) == ["inbox"]
    assert [entry["record_id"] for entry in village.listed()["cannot_be_filed"]] == ["c1"]


def test_a_red_edit_of_a_deleted_case_is_met_by_a_doctor(village: Practice) -> None:
    push(village, case(risk_level="green"))
    push(village, {"id": "c1", "sync_status": "deleted"})
    answer = push(village, case(9000, risk_level="red"), device="b")
    assert [item["code"] for item in answer["rejected"]] == ["deleted"]
    assert seen(village) == ["inbox"]


def test_a_red_case_of_two_teams_waits_in_both_and_one_of_none_with_the_admins(
    village: Practice,
) -> None:
    village.join("chw2", "team1")
    village.join("chw2", "team2")
    push(village, case(name="two", patient_id="unknown", risk_level="red"), user="chw2")
    assert seen(village, "two", ("team1",)) == seen(village, "two", ("team2",)) == ["inbox"]
    push(village, case(name="none", patient_id="unknown", risk_level="red"), user="stranger")
    assert seen(village, "none", ("team1", "team2")) == []
    assert seen(village, "none", (record.UNFILED,)) == ["inbox"]
    # what carries no signal goes to nobody's inbox
    push(village, case(name="green", patient_id="unknown", risk_level="green"), user="chw2")
    assert seen(village, "green", ("team1", "team2", record.UNFILED)) == []


def test_others_entries_hide_no_urgent_one(village: Practice) -> None:
    for number in range(120):
        village.store.commit([_entry(f"late{number}", urgent=False, at=number)])
    push(village, case(risk_level="red", patient_id="nobody"))
    first = inbox.page(village.store, ["team1"], 10, None)
    assert first.entries[0].fields["record_id"] == "c1"
    ids, token = [e.fields["record_id"] for e in first.entries], first.next_page
    while token is not None:
        page = inbox.page(village.store, ["team1"], 50, token)
        ids, token = ids + [e.fields["record_id"] for e in page.entries], page.next_page
    assert len(ids) == len(set(ids)) == 121
    assert inbox.count(village.store, ["team1"]) == {"open": 121, "urgent": 1, "at_least": False}


def _entry(name: str, *, urgent: bool, at: int) -> Any:
    fields = {
        record.SCOPE: "team1", "open": True, "urgent": urgent, "at": at, "table": "cases",
        "record_id": name, "code": "moved", "device": "d", record.AUTHOR: "chw1",
        "raw": "{}", "raw_whole": True,
    }  # fmt: skip
    return put(Key("quarantine", name), fields, None)


def test_nothing_is_refused_or_lost_but_through_the_two_doors() -> None:
    """Only the door appends to what is refused or lost, and only the journal writes the logs."""
    doors = {"rejected": "refuse", "conflicts": "_conflict"}
    for path in sorted((ROOT / "shared").rglob("*.py")):
        tree = ast.parse(path.read_text())
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        for function in functions:
            for node in ast.walk(function):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in ("append", "extend")
                    and isinstance(node.func.value, ast.Attribute)
                    and node.func.value.attr in doors
                ):
                    assert function.name == doors[node.func.value.attr], (path.name, function.name)
        logs = [
            node.lineno
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "Key"
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and node.args[0].value in ("conflicts", "quarantine")
        ]
        assert logs == [], (path.name, logs)


# --- deleting is not a way out


@pytest.mark.parametrize("what", ["cases", "patients"])
def test_a_waiting_case_that_is_deleted_stays_until_it_is_closed_with_a_word(
    village: Practice, what: str
) -> None:
    push(village, case(risk_level="red"))
    phone = village.phone()
    phone.sync()
    phone.delete(what, "c1" if what == "cases" else "p1")
    phone.sync()
    (entry,) = village.listed()["cases"]
    assert (entry["id"], entry["reason"], entry["deleted_by"]) == (
        "c1", "deleted_while_waiting", "chw1",
    )  # fmt: skip
    assert village.detail()["case"]["risk_level"] == "red"
    waits = village.get("cases", "c1")
    assert waits is not None
    with pytest.raises(NotSeen):
        village.review().close(doctor(), "c1", "registered twice", None, village.time)
    # a word says nothing of what came after the look
    with pytest.raises(CaseChanged):
        village.review().close(doctor(), "c1", "twice", waits.version - 1, village.time)
    village.review().close(doctor(), "c1", "registered twice", waits.version, village.time)
    assert seen(village) == []
    history = village.fields("reviews", "c1")["history"]
    assert (history[-1]["step"], history[-1]["word"]) == ("closed", "registered twice")


def test_a_case_that_waits_for_its_diagnosis_is_not_closed_with_a_word(village: Practice) -> None:
    push(village, case(risk_level="red"))
    with pytest.raises(InvalidRequest):
        village.review().close(doctor(), "c1", "no time", 1, village.time)
    assert seen(village) == ["list"]


# --- signed is not a sink

AFTER: dict[str, tuple[Json, list[str]]] = {
    "a worse colour": ({"risk_level": "red"}, ["risk_level"]),
    "a rule": ({"triage_data": {"itching": True, "bleeding": True}}, ["rules", "triage_data"]),
    "another answer": ({"triage_data": {"itching": False}}, ["triage_data"]),
    "another photo": ({"image_keys": ["a", "b"]}, ["image_keys"]),
}


@pytest.mark.parametrize("news", AFTER)
def test_what_becomes_worse_after_the_signature_is_read_and_listed_again(
    village: Practice, news: str
) -> None:
    first: Json = {"risk_level": "yellow", "triage_data": {"itching": True}, "image_keys": ["a"]}
    push(village, case(1000, **first))
    village.sign()
    jobs = len(village.jobs())
    columns, changed = AFTER[news]
    push(village, case(2000, **columns), last_sync_timestamp=village.time / 1000 + 10**6)
    (entry,) = village.listed()["cases"]
    assert (entry["reason"], entry["changed"], entry["status"]) == (
        "changed_since_signed", changed, "DIAGNOSED",
    )  # fmt: skip
    assert len(village.jobs()) == jobs + 1
    # a new signature, or a word, takes it off; the same again does not bring it back
    current = village.fields("reviews", "c1")["diagnosis_id"]
    village.sign(key="k2", amends=current)
    assert seen(village) == []
    push(village, case(2000, **columns), device="b")
    assert seen(village) == []


def test_what_stays_as_it_was_signed_is_not_listed(village: Practice) -> None:
    push(village, case(1000, risk_level="red", image_keys=["a", "b"]))
    village.sign()
    push(village, case(2000, risk_level="green", image_keys=["a"]), device="b")
    assert seen(village) == []


@pytest.mark.parametrize("word", ["red", "purple"])
def test_a_signed_case_that_was_lowered_and_is_raised_again_is_listed_again(
    village: Practice, word: str
) -> None:
    cursor = village.time / 1000 + 10**6
    push(village, case(1000, risk_level="red"))
    village.sign()
    push(village, case(2000, risk_level="green"), last_sync_timestamp=cursor)
    push(village, case(3000, risk_level=word), last_sync_timestamp=cursor)
    (entry,) = village.listed()["cases"]
    assert (entry["reason"], entry["changed"]) == ("changed_since_signed", ["risk_level"])


def test_a_signed_case_whose_colour_nobody_can_read_any_more_is_listed_again(
    village: Practice,
) -> None:
    push(village, case(1000, risk_level="red"))
    village.sign()
    cursor = village.time / 1000 + 10**6
    push(village, case(2000, risk_level="purple"), last_sync_timestamp=cursor)
    (entry,) = village.listed()["cases"]
    assert (entry["reason"], entry["changed"]) == ("changed_since_signed", ["risk_level"])


@pytest.mark.parametrize(
    "end", [{"risk_level": "green"}, {"risk_level": ""}, {"sync_status": "deleted"}]
)
def test_a_signal_that_its_own_push_takes_back_is_met_by_a_doctor(
    village: Practice, end: Json
) -> None:
    push(village, case(1000, risk_level="green"))
    rows = [case(2000, risk_level="red"), {**case(3000), **end}]
    push(village, *rows, last_sync_timestamp=village.time / 1000 + 10**6)
    assert seen(village).count("inbox") == 1
    push(village, *rows, device="again")  # once, however often it comes
    assert seen(village).count("inbox") == 1


@pytest.mark.parametrize("end", ["deleted", "nobody's"])
def test_an_answer_that_a_clock_set_back_overtook_is_met_by_a_doctor_all_the_same(
    village: Practice, end: str
) -> None:
    more = {"patient_id": "nobody"} if end == "nobody's" else {}
    if end == "deleted":
        push(village, case(500, risk_level="green"))
        push(village, {"id": "c1", "sync_status": "deleted", "last_modified_at": 600})
    rows = [
        case(3000, risk_level="red", triage_data={"note": "first"}, **more),
        case(2000, triage_data={"bleeding": True}, **more),  # its clock was set back
    ]
    push(village, *rows, device="late")
    texts = [entry.fields["raw"] for entry in inbox.entries(village.store, ("team1",))]
    assert any("bleeding" in text for text in texts)


def test_an_answer_that_nobody_understands_is_kept_as_a_signal(village: Practice) -> None:
    answers = {"bleeding": "?"}
    push(village, case(1000, patient_id="nobody", risk_level="green", triage_data=answers))
    assert seen(village) == ["inbox"]


def test_the_same_colour_that_is_lost_once_more_is_an_entry_once_more(village: Practice) -> None:
    push(village, case(1000, risk_level="green"))
    push(village, {"id": "c1", "sync_status": "deleted", "last_modified_at": 1500})
    for number, at in enumerate((2000, 3000)):
        push(village, case(at, risk_level="red"), device="late")
        (entry,) = inbox.entries(village.store, ("team1",))
        inbox.close(village.store, entry, doctor(), number)


def test_a_signature_on_what_is_older_than_the_case_is_refused_and_says_what_changed(
    village: Practice,
) -> None:
    push(village, case(1000, risk_level="red", triage_data={"itching": True}))
    seen_version = village.get("cases", "c1")
    assert seen_version is not None
    push(village, case(2000, triage_data={"breathing_difficulty": True}), device="b")
    with pytest.raises(CaseChanged) as caught:
        village.review().diagnose(
            doctor(), "c1", signature(), village.time, seen=seen_version.version
        )
    assert caught.value.changed == ["triage_data"]
    assert seen(village)[0] == "list"


# --- a patient who turns out to be a baby


def test_open_cases_are_judged_again_when_the_patient_turns_out_to_be_a_baby(
    village: Practice,
) -> None:
    push(village, case(1000, risk_level="green", triage_data={"pus": True}))
    assert seen(village) == []
    phone = village.phone()
    phone.sync()
    phone.save("patients", "p1", demographics={"age": "3 weeks"})
    phone.sync()
    (job,) = village.jobs(REJUDGE)
    Rejudge(village.store, CATALOG, lambda: village.time).work(job)
    assert seen(village) == ["list"]
    assert village.fields("cases", "c1")["status"] == "PENDING_DIAGNOSIS"
    # and again: nothing changes
    before = village.get("cases", "c1")
    Rejudge(village.store, CATALOG, lambda: village.time).work(job)
    after = village.get("cases", "c1")
    assert before is not None
    assert after is not None
    assert before.version == after.version


# --- the order


def test_the_list_goes_emergency_red_look_and_within_a_class_by_how_long_the_patient_waits(
    village: Practice,
) -> None:
    rows = [
        case(5000, "look", risk_level="purple"),
        case(4000, "red2", risk_level="red"),
        case(3000, "red1", risk_level="red"),
        case(9000, "emergency", risk_level="green", triage_data={"breathing_difficulty": True}),
    ]
    for row in rows:
        push(village, row, device=row["id"])
    assert village.ids() == ["emergency", "red1", "red2", "look"]
