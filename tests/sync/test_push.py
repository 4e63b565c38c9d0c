"""The write path, on both stores: what a phone sends is stored once, or refused by name."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import orjson
import pytest

from infra.local.phone import Json
from shared.errors import Contended, StoreUnavailable
from shared.records import record
from shared.sync.dialects import batch
from tests.neutral.tables import CATALOG
from tests.stores import Asked, Interrupted
from tests.sync.clinic import Clinic

#: The request that the product's own plan gives as its example, to the letter.
EXAMPLE: Json = {
    "last_sync_timestamp": 1678886400,
    "changes": {
        "notebooks": [
            {
                "id": "local_uuid_1",
                "cover": {},
                "sync_status": "new",
                "last_modified_at": 1678886400,
            }
        ],
        "notes": [
            {
                "id": "local_uuid_2",
                "notebook_id": "local_uuid_1",
                "body": {},
                "sync_status": "new",
                "last_modified_at": 1678886400,
            }
        ],
    },
}


def red_day(count: int = 1) -> Json:
    """A notebook and red notes, as a phone sends them."""
    now = time.time() - 60
    note = {"notebook_id": "p1", "body": {"site": "arm"}, "mark": "red"}
    return {
        "last_sync_timestamp": 0,
        "changes": {
            "notebooks": [{"id": "p1", "cover": {"age": 30}, "last_modified_at": now}],
            "notes": [{"id": f"c{n}", **note, "last_modified_at": now} for n in range(count)],
        },
    }


def test_the_example_of_the_plan_works_as_it_stands(clinic: Clinic) -> None:
    answer = clinic.answer(EXAMPLE, clinic.phone())
    assert answer["accepted"] == {"notebooks": ["local_uuid_1"], "notes": ["local_uuid_2"]}
    assert answer["rejected"] == answer["conflicts"] == []
    assert answer["new_sync_timestamp"] > 1678886400
    note = clinic.fields("notes", "local_uuid_2")
    assert (note["mark"], note["status"]) == ("unknown", "WAITING")
    assert clinic.fields("notebooks", "local_uuid_1")["maker_id"] == "member1"


def test_a_red_case_is_stored_with_its_job_and_moves_on(clinic: Clinic) -> None:
    answer = clinic.answer(red_day(), clinic.phone())
    (job,) = clinic.jobs()
    assert (job.state, job.subject_id, job.scope_id) == ("queued", "c0", "team1")
    (row,) = answer["server_updates"]["notes"]
    assert row["status"] == "WAITING"
    (queued,) = answer["server_updates"]["summary_queue"]
    assert (queued["note_id"], queued["status"], queued["attempts"]) == ("c0", "queued", 0)
    assert clinic.last is not None
    assert [bell.job_id for bell in clinic.last.bells] == [job.id]


def test_a_green_case_makes_no_job(clinic: Clinic) -> None:
    phone = clinic.phone()
    phone.save("notebooks", "p1", cover={})
    phone.save("notes", "c1", notebook_id="p1", body={}, mark="low")
    phone.sync()
    assert clinic.jobs() == []
    row = phone.row("notes", "c1")
    assert row is not None
    assert (row["mark"], row["status"]) == ("green", "KEPT")


def test_the_same_batch_five_times_is_stored_once_with_the_same_answer(clinic: Clinic) -> None:
    answers = [clinic.answer(red_day_fixed, clinic.phone()) for red_day_fixed in [red_day()] * 5]
    verdicts = [{name: answer[name] for name in VERDICTS} for answer in answers]
    assert all(verdict == verdicts[0] for verdict in verdicts)
    assert all(answer["server_updates"] == answers[0]["server_updates"] for answer in answers)
    assert len(clinic.jobs()) == 1
    assert len(clinic.all("notes")) == 1
    assert clinic.all("conflicts") == []


VERDICTS = ("accepted", "conflicts", "rejected", "receipt")


def test_the_same_batch_five_times_at_once_is_stored_once(clinic: Clinic) -> None:
    body = red_day(3)
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: clinic.answer(body, clinic.phone()), range(5)))
    verdicts = [{name: answer[name] for name in VERDICTS} for answer in answers]
    assert all(verdict == verdicts[0] for verdict in verdicts)
    assert len(clinic.jobs()) == 3
    assert len(clinic.all("summary_queue")) == 3
    assert clinic.all("conflicts") == []


def test_a_replay_repeats_the_conflict_of_the_first_answer(clinic: Clinic) -> None:
    clinic.join("member2")
    first, second = clinic.phone("member1"), clinic.phone("member2")
    first.save("notebooks", "p1", at=2000, cover={"name": "A"})
    first.sync()
    second.save("notebooks", "p1", at=1000, cover={"name": "B"})
    body = second.request()
    answers = [clinic.answer(body, second) for _ in range(3)]
    assert [answer["conflicts"][0]["reason"] for answer in answers] == ["older"] * 3
    assert answers[0]["receipt"] == answers[2]["receipt"]
    assert len(clinic.all("conflicts")) == 1


def test_an_edit_that_lost_leaves_the_servers_value_on_the_phone(clinic: Clinic) -> None:
    clinic.join("member2")
    winner, loser = clinic.phone("member1"), clinic.phone("member2")
    winner.save("notebooks", "p1", at=500, cover={"name": "first"})
    winner.sync()
    loser.sync()
    winner.save("notebooks", "p1", at=2000, cover={"name": "winner"})
    winner.sync()
    loser.save("notebooks", "p1", at=1000, cover={"name": "loser"})
    answer = loser.sync()
    (conflict,) = answer["conflicts"]
    assert (conflict["winner"], conflict["reason"]) == ("server", "older")
    assert conflict["yours"]["cover"] == {"name": "loser"}
    assert conflict["theirs"]["cover"] == {"name": "winner"}
    assert answer["accepted"] == {"notebooks": ["p1"]}  # it may mark the record as synced
    row = loser.row("notebooks", "p1")
    assert row is not None
    assert row["cover"] == {"name": "winner"}
    (entry,) = clinic.all("conflicts")
    assert orjson.loads(orjson.loads(entry.fields["yours"])["cover"]) == {"name": "loser"}


def test_equal_times_keep_the_stored_value(clinic: Clinic) -> None:
    clinic.join("member2")
    first, second = clinic.phone("member1"), clinic.phone("member2")
    first.save("notebooks", "p1", at=1000, cover={"name": "first"})
    first.sync()
    second.save("notebooks", "p1", at=1000, cover={"name": "second"})
    answer = second.sync()
    assert answer["conflicts"][0]["reason"] == "equal"
    assert orjson.loads(clinic.fields("notebooks", "p1")["cover"]) == {"name": "first"}


def test_a_value_overwritten_unseen_is_kept_and_named(clinic: Clinic) -> None:
    clinic.join("member2")
    first, second = clinic.phone("member1"), clinic.phone("member2")
    first.save("notebooks", "p1", at=1000, cover={"name": "unseen"})
    first.sync()
    second.save("notebooks", "p1", at=2000, cover={"name": "later"})
    answer = second.sync()
    (conflict,) = answer["conflicts"]
    assert (conflict["winner"], conflict["reason"]) == ("client", "unseen_overwrite")
    assert conflict["theirs"]["cover"] == {"name": "unseen"}
    assert orjson.loads(clinic.fields("notebooks", "p1")["cover"]) == {"name": "later"}
    assert len(clinic.all("conflicts")) == 1


def test_overwriting_what_one_has_seen_is_no_conflict(clinic: Clinic) -> None:
    clinic.join("member2")
    first, second = clinic.phone("member1"), clinic.phone("member2")
    first.save("notebooks", "p1", at=1000, cover={"name": "seen"})
    first.sync()
    second.sync()
    second.save("notebooks", "p1", at=2000, cover={"name": "later"})
    assert second.sync()["conflicts"] == []


def test_the_servers_own_write_is_no_unseen_edit(clinic: Clinic) -> None:
    # A phone that has seen the last edit, but not the summary that came after it, overwrites nothing.
    clinic.join("member2")
    first, second = clinic.phone("member1"), clinic.phone("member2")
    first.save("notebooks", "p1", at=1000, cover={})
    first.save("notes", "c1", at=1000, notebook_id="p1", body={"a": 1}, mark="green")
    first.sync()
    second.sync()
    stored = clinic.get("notes", "c1")
    assert stored is not None
    clinic.store.commit([record.server_patch(stored, {"picture_urls": ["x"]})])
    second.save("notes", "c1", at=2000, body={"a": 2})
    del second.dirty["notes", "c1"]["updated_at"]  # it says nothing of the version that it saw
    answer = second.sync()
    assert answer["conflicts"] == []
    assert clinic.fields("notes", "c1")["picture_urls"] == ["x"]
    row = second.row("notes", "c1")
    assert row is not None
    assert row["picture_urls"] == ["x"]


def test_server_columns_cannot_be_written_by_a_phone(clinic: Clinic) -> None:
    phone = clinic.phone()
    phone.save("notebooks", "p1", cover={}, maker_id="somebody")
    phone.save(
        "notes",
        "c1",
        notebook_id="p1",
        status="SIGNED",
        summary={"status": "ok"},
        picture_urls=["https://evil.example"],
        mark="green",
    )
    answer = phone.sync()
    assert answer["rejected"] == answer["conflicts"] == []
    row = phone.row("notes", "c1")
    assert row is not None
    assert (row["status"], row["summary"], row["picture_urls"]) == ("KEPT", None, None)
    notebook = phone.row("notebooks", "p1")
    assert notebook is not None
    assert notebook["maker_id"] == "member1"


def test_a_stale_copy_of_a_server_column_brings_the_row_back(clinic: Clinic) -> None:
    phone = clinic.phone()
    phone.save("notebooks", "p1", cover={})
    phone.save("notes", "c1", notebook_id="p1", body={}, mark="green")
    phone.sync()
    phone.save("notes", "c1", at=time.time() - 10_000, summary={"made": "up"})
    phone.sync()
    row = phone.row("notes", "c1")
    assert row is not None
    assert row["summary"] is None


BAD: list[tuple[Json, str | None, str]] = [
    ({"id": "bad", "last_modified_at": 5}, "notebook_id", "missing_field"),
    ({"id": "bad", "last_modified_at": 5, "notebook_id": None}, "notebook_id", "missing_field"),
    ({"id": "bad", "last_modified_at": 5, "notebook_id": "p?"}, "notebook_id", "invalid_id"),
    (
        {"id": "bad", "last_modified_at": 5, "notebook_id": "nobody"},
        "notebook_id",
        "unknown_parent",
    ),
    ({"id": "bad", "notebook_id": "p1"}, "last_modified_at", "missing_field"),
    ({"id": "bad", "notebook_id": "p1", "last_modified_at": "5"}, "last_modified_at", "wrong_type"),
    (
        {"id": "bad", "notebook_id": "p1", "last_modified_at": 1678886400000},
        "last_modified_at",
        "time_in_milliseconds",
    ),
    (
        {"id": "bad", "notebook_id": "p1", "last_modified_at": -1},
        "last_modified_at",
        "number_out_of_range",
    ),
    (
        {"id": "bad", "notebook_id": "p1", "last_modified_at": 5, "body": "text"},
        "body",
        "wrong_type",
    ),
    (
        {"id": "bad", "notebook_id": "p1", "last_modified_at": 5, "body": {"n": 2**53}},
        "body",
        "number_out_of_range",
    ),
    (
        {"id": "bad", "notebook_id": "p1", "last_modified_at": 5, "picture_keys": [1]},
        "picture_keys",
        "wrong_type",
    ),
    (
        {"id": "bad", "notebook_id": "p1", "last_modified_at": 5, "picture_keys": ["k"] * 101},
        "picture_keys",
        "too_long",
    ),
    (
        {"id": "bad", "notebook_id": "p1", "last_modified_at": 5, "sync_status": "lost"},
        "sync_status",
        "invalid_choice",
    ),
    (
        {"id": "bad", "notebook_id": "p1", "last_modified_at": 5, "scope_id": "a/b"},
        "scope_id",
        "invalid_id",
    ),
]


@pytest.mark.parametrize(("bad", "field", "code"), BAD)
def test_one_bad_record_among_a_hundred_is_refused_by_name(
    clinic: Clinic, bad: Json, field: str | None, code: str
) -> None:
    phone = clinic.phone()
    good = [
        {"id": f"c{n}", "notebook_id": "p1", "last_modified_at": 5, "sync_status": "new"}
        for n in range(99)
    ]
    notebook = {"id": "p1", "cover": {}, "last_modified_at": 5}
    body = {"changes": {"notebooks": [notebook], "notes": [*good[:50], bad, *good[50:]]}}
    answer = clinic.answer(body, phone)
    (rejected,) = answer["rejected"]
    assert (rejected["table"], rejected["id"]) == ("notes", "bad")
    assert (rejected["field"], rejected["code"]) == (field, code)
    assert len(answer["accepted"]["notes"]) == 99
    assert clinic.get("notes", "bad") is None
    (kept,) = clinic.all("quarantine")
    assert orjson.loads(kept.fields["raw"]) == bad


@pytest.mark.parametrize(
    "record_id", ["", ".", "..", "__x__", "a/b", "x" * 129, "nul\0", "é", 7, None, ["a"], "a b"]
)
def test_an_id_that_no_path_can_hold_is_refused(clinic: Clinic, record_id: Any) -> None:
    body = {"changes": {"notebooks": [{"id": record_id, "last_modified_at": 5}]}}
    answer = clinic.answer(body, clinic.phone())
    (rejected,) = answer["rejected"]
    assert rejected["field"] == "id"
    assert rejected["code"] in ("invalid_id", "missing_field")
    assert answer["accepted"] == {}


def test_tables_that_phones_cannot_write_are_refused_record_by_record(clinic: Clinic) -> None:
    body = {
        "changes": {
            "notebooks": [{"id": "p1", "last_modified_at": 5}],
            "summary_queue": [{"id": "q1", "note_id": "c1", "last_modified_at": 5}],
            "symptoms": [{"id": "s1", "last_modified_at": 5}],
        }
    }
    answer = clinic.answer(body, clinic.phone())
    assert answer["accepted"] == {"notebooks": ["p1"]}
    codes = {item["table"]: item["code"] for item in answer["rejected"]}
    assert codes == {"summary_queue": "read_only_table", "symptoms": "unknown_table"}
    assert len(clinic.all("quarantine")) == 2


def test_a_refused_red_case_is_marked_urgent(clinic: Clinic) -> None:
    note = {"id": "c1", "notebook_id": "nobody", "mark": "high", "last_modified_at": 5}
    clinic.answer({"changes": {"notes": [note]}}, clinic.phone())
    (kept,) = clinic.all("quarantine")
    assert kept.fields["urgent"] is True
    assert clinic.last is not None
    assert clinic.last.urgent == 1


def test_unknown_columns_are_dropped_and_nothing_else(clinic: Clinic) -> None:
    body = {"changes": {"notebooks": [{"id": "p1", "mood": "fine", "last_modified_at": 5}]}}
    assert clinic.answer(body, clinic.phone())["accepted"] == {"notebooks": ["p1"]}
    assert "mood" not in clinic.fields("notebooks", "p1")


def test_an_absent_column_keeps_its_value_and_null_clears_it(clinic: Clinic) -> None:
    phone = clinic.phone()
    notebook = {"id": "p1", "last_modified_at": 5}
    note = {"id": "c1", "notebook_id": "p1", "mark": "green", "picture_keys": ["k"]}
    first = {"notebooks": [notebook], "notes": [{**note, "last_modified_at": 5}]}
    seen = clinic.answer({"changes": first}, phone)["new_sync_timestamp"]
    edit = {"id": "c1", "body": {"x": 1}, "picture_keys": None, "last_modified_at": 6}
    body = {"changes": {"notes": [edit]}, "last_sync_timestamp": seen}
    answer = clinic.answer(body, phone)
    assert answer["accepted"] == {"notes": ["c1"]}
    fields = clinic.fields("notes", "c1")
    assert (fields["mark"], fields["notebook_id"]) == ("green", "p1")
    assert fields["body"] == '{"x":1}'
    assert fields.get("picture_keys") is None


def test_one_id_twice_in_a_push_is_folded_to_the_later_edit(clinic: Clinic) -> None:
    rows = [
        {"id": "p1", "cover": {"n": 2}, "last_modified_at": 20},
        {"id": "p1", "cover": {"n": 1}, "last_modified_at": 10},
        {"id": "p2", "cover": {"n": 1}, "last_modified_at": 10},
        {"id": "p2", "cover": {"n": 2}, "last_modified_at": 10},
    ]
    answer = clinic.answer({"changes": {"notebooks": rows}}, clinic.phone())
    assert sorted(answer["accepted"]["notebooks"]) == ["p1", "p2"]
    for name in ("p1", "p2"):
        assert clinic.fields("notebooks", name)["cover"] == '{"n":2}'


def test_an_id_of_another_team_is_refused_like_one_that_cannot_be_used(clinic: Clinic) -> None:
    clinic.join("stranger", "team2")
    clinic.phone("stranger").send(
        {"changes": {"notebooks": [{"id": "p1", "last_modified_at": 5}]}}, clinic.phone("stranger")
    )
    phone = clinic.phone("member1")
    body = {
        "changes": {
            "notebooks": [{"id": "p1", "cover": {"mine": 1}, "last_modified_at": 50}],
            "notes": [{"id": "c1", "notebook_id": "p1", "last_modified_at": 50}],
        }
    }
    answer = clinic.answer(body, phone)
    codes = {item["id"]: item["code"] for item in answer["rejected"]}
    assert codes == {"p1": "id_unavailable", "c1": "unknown_parent"}
    assert answer["server_updates"]["notebooks"] == []
    assert clinic.fields("notebooks", "p1")["scope_id"] == "team2"
    deletion = {"id": "p1", "sync_status": "deleted"}
    answer = clinic.answer({"changes": {"notebooks": [deletion]}}, phone)
    assert answer["accepted"] == {"notebooks": ["p1"]}  # accepted without effect
    assert clinic.fields("notebooks", "p1").get("deleted_at") is None


def test_a_member_of_two_teams_must_say_which(clinic: Clinic) -> None:
    clinic.join("member1", "team2")
    phone = clinic.phone()
    notebooks = [
        {"id": "p1", "last_modified_at": 5},
        {"id": "p2", "last_modified_at": 5, "scope_id": "team2"},
        {"id": "p3", "last_modified_at": 5, "scope_id": "team9"},
    ]
    notes = [{"id": "c2", "notebook_id": "p2", "last_modified_at": 5}]
    answer = clinic.answer({"changes": {"notebooks": notebooks, "notes": notes}}, phone)
    codes = {item["id"]: item["code"] for item in answer["rejected"]}
    assert codes == {"p1": "scope_required", "p3": "unknown_scope"}
    assert clinic.fields("notes", "c2")["scope_id"] == "team2"  # from its notebook


def test_a_doctor_reads_but_does_not_write(clinic: Clinic) -> None:
    clinic.join("doc", role="doctor")
    body = {"changes": {"notebooks": [{"id": "p1", "last_modified_at": 5}]}}
    answer = clinic.answer(body, clinic.phone("doc"))
    assert [item["code"] for item in answer["rejected"]] == ["not_allowed"]


def test_somebody_in_no_team_stores_nothing(clinic: Clinic) -> None:
    body = {"changes": {"notebooks": [{"id": "p1", "last_modified_at": 5}]}}
    answer = clinic.answer(body, clinic.phone("nobody"))
    assert [item["code"] for item in answer["rejected"]] == ["scope_required"]
    assert clinic.get("notebooks", "p1") is None


# --- deletions


def family(clinic: Clinic) -> Any:
    phone = clinic.phone()
    phone.save("notebooks", "p1", cover={})
    phone.save("notes", "c1", notebook_id="p1", body={}, mark="green")
    phone.sync()
    return phone


def test_a_deletion_is_a_tombstone_that_keeps_its_data(clinic: Clinic) -> None:
    phone = family(clinic)
    clinic.join("member2")
    other = clinic.phone("member2")
    other.sync()
    phone.delete("notes", "c1")
    assert phone.sync()["accepted"] == {"notes": ["c1"]}
    fields = clinic.fields("notes", "c1")
    assert fields["deleted_at"] > 0
    assert fields["notebook_id"] == "p1"
    assert other.sync()["deleted"]["notes"] == ["c1"]
    assert other.row("notes", "c1") is None


def test_deleting_twice_or_an_unknown_record_is_accepted(clinic: Clinic) -> None:
    phone = family(clinic)
    for name in ("c1", "c1", "never"):
        answer = clinic.answer(
            {"changes": {"notes": [{"id": name, "sync_status": "deleted"}]}}, phone
        )
        assert answer["accepted"] == {"notes": [name]}


@pytest.mark.parametrize("teams", [("team1",), ("team1", "team2")])
def test_a_creation_that_comes_after_its_own_deletion_stays_deleted(
    clinic: Clinic, teams: tuple[str, ...]
) -> None:
    # Given a phone whose creation the network holds back while its deletion gets through
    for team in teams:
        clinic.join("member1", team)
    phone, other = clinic.phone(), clinic.phone("member1", "other")
    clinic.answer({"changes": {"notebooks": [{"id": "p9", "sync_status": "deleted"}]}}, phone)
    # When the creation arrives at last
    late = {"id": "p9", "scope_id": teams[-1], "sync_status": "new", "last_modified_at": 1.0}
    answer = clinic.answer({"changes": {"notebooks": [late]}}, phone)
    # Then it is refused, its values are kept, and no phone shows it
    assert [item["code"] for item in answer["rejected"]] == ["deleted"]
    assert len(clinic.all("conflicts")) == 1
    other.sync()
    assert other.row("notebooks", "p9") is None


def test_who_may_not_write_leaves_no_trace_of_an_unknown_id(clinic: Clinic) -> None:
    clinic.join("doc", role="doctor")
    phone = clinic.phone("doc")
    answer = clinic.answer(
        {"changes": {"notebooks": [{"id": "p9", "sync_status": "deleted"}]}}, phone
    )
    assert answer["accepted"] == {"notebooks": ["p9"]}
    assert clinic.get("notebooks", "p9") is None


def test_editing_a_deleted_record_is_refused_and_its_values_kept(clinic: Clinic) -> None:
    phone = family(clinic)
    phone.delete("notes", "c1")
    phone.sync()
    edit = {"id": "c1", "notebook_id": "p1", "body": {"new": 1}}
    body = {"changes": {"notes": [{**edit, "last_modified_at": time.time() + 60}]}}
    answer = clinic.answer(body, phone)
    assert [item["code"] for item in answer["rejected"]] == ["deleted"]
    assert answer["deleted"]["notes"] == ["c1"]
    (entry,) = clinic.all("conflicts")
    assert entry.fields["reason"] == "deleted"
    assert orjson.loads(orjson.loads(entry.fields["yours"])["body"]) == {"new": 1}


def test_an_older_deletion_loses_and_the_record_comes_back(clinic: Clinic) -> None:
    family(clinic)
    clinic.join("member2")
    other, first = clinic.phone("member2"), clinic.phone("member1", "another")
    other.sync()
    first.sync()
    first.save("notes", "c1", body={"edited": "since"})
    first.sync()
    other.delete("notes", "c1", at=1000)
    answer = other.sync()
    assert answer["conflicts"][0]["reason"] == "older"
    assert other.row("notes", "c1") is not None


def test_a_deletion_makes_the_job_that_deletes_the_children(clinic: Clinic) -> None:
    phone = family(clinic)
    phone.delete("notebooks", "p1")
    phone.sync()
    (job,) = clinic.jobs("cascade")
    assert (job.table, job.subject_id) == ("notebooks", "p1")


def test_a_child_of_a_deleted_parent_is_refused(clinic: Clinic) -> None:
    phone = family(clinic)
    phone.delete("notebooks", "p1")
    phone.sync()
    note = {"id": "c9", "notebook_id": "p1", "last_modified_at": 5, "mark": "red"}
    answer = clinic.answer({"changes": {"notes": [note]}}, phone)
    assert [item["code"] for item in answer["rejected"]] == ["parent_deleted"]
    assert clinic.get("notes", "c9") is None


def test_a_parent_deleted_while_a_child_is_on_its_way_leaves_no_live_orphan(
    clinic: Clinic,
) -> None:
    # given a child whose commit is about to be sent
    phone = family(clinic)
    other = clinic.phone("member1", "second-phone")
    other.sync()
    deleted: list[bool] = []

    def delete_the_parent(_writes: object) -> None:
        if not deleted:
            deleted.append(True)
            phone.delete("notebooks", "p1")
            phone.sync()

    racing = clinic.on(Interrupted(clinic.store, before=delete_the_parent))
    other.send = racing.answer
    # when the parent is deleted at that very moment
    other.save("notes", "c2", notebook_id="p1", body={}, mark="green")
    answer = other.sync()
    # then the child is refused, not stored
    assert [item["code"] for item in answer["rejected"]] == ["parent_deleted"]
    assert clinic.get("notes", "c2") is None


# --- clocks


def test_a_clock_that_is_ahead_is_shifted_back(clinic: Clinic) -> None:
    clinic.join("member2")
    now = clinic.now_ms()
    clinic.now_ms = lambda: now
    ahead = clinic.phone("member1", clock=lambda: now + 3_600_000)
    right = clinic.phone("member2", clock=lambda: now)
    # the clock that is ahead says an hour later; the edit was really made ten minutes ago
    ahead.save("notebooks", "p1", at=(now + 3_000_000) / 1000, cover={"by": "ahead"})
    answer = ahead.sync()
    assert answer["clock_offset_ms"] == 3_600_000
    assert clinic.fields("notebooks", "p1")["last_modified_at"] == now - 600_000
    right.save("notebooks", "p1", at=(now - 300_000) / 1000, cover={"by": "right"})
    right.sync()
    assert clinic.fields("notebooks", "p1")["cover"] == '{"by":"right"}'


def test_nothing_from_the_future_sticks(clinic: Clinic) -> None:
    clinic.join("member2")
    now = clinic.now_ms()
    clinic.now_ms = lambda: now
    liar = clinic.phone("member1")  # says no time of its own, so it cannot be corrected
    liar.save("notebooks", "p1", at=now / 1000 + 10**6, cover={"by": "liar"})
    liar.sync()
    assert clinic.fields("notebooks", "p1")["last_modified_at"] == now
    row = liar.row("notebooks", "p1")
    assert row is not None
    assert row["last_modified_at"] == now / 1000  # the phone holds the corrected time
    clinic.now_ms = lambda: now + 1000
    later = clinic.phone("member2")
    later.save("notebooks", "p1", at=(now + 500) / 1000, cover={"by": "later"})
    later.sync()
    assert clinic.fields("notebooks", "p1")["cover"] == '{"by":"later"}'


def test_a_clock_behind_is_reported_and_not_corrected(clinic: Clinic) -> None:
    now = clinic.now_ms()
    clinic.now_ms = lambda: now
    phone = clinic.phone(clock=lambda: now - 7_200_000)
    phone.save("notebooks", "p1", cover={})
    assert phone.sync()["clock_offset_ms"] == -7_200_000
    assert clinic.fields("notebooks", "p1")["last_modified_at"] == now - 7_200_000


def test_the_later_edit_of_one_device_wins_whatever_its_clock(clinic: Clinic) -> None:
    now = clinic.now_ms()
    clinic.now_ms = lambda: now
    drift = [10_000_000, 9_000_000]
    phone = clinic.phone(clock=lambda: now + drift[0])
    phone.save("notebooks", "p1", at=(now + 9_999_000) / 1000, cover={"n": 1})
    phone.sync()
    drift.reverse()  # the offset measured at the next sync differs, the phone's own order does not
    phone.save("notebooks", "p1", at=(now + 9_999_500) / 1000, cover={"n": 2})
    phone.sync()
    assert clinic.fields("notebooks", "p1")["cover"] == '{"n":2}'


# --- many records, faults of the store


def many(count: int, stem: str = "c") -> Json:
    notes = [
        {
            "id": f"{stem}{n}",
            "notebook_id": f"p{n % 40}",
            "body": {"note": "x" * 200},
            "last_modified_at": 5,
        }
        for n in range(count)
    ]
    notebooks = [{"id": f"p{n}", "cover": {}, "last_modified_at": 5} for n in range(40)]
    return {"changes": {"notes": notes, "notebooks": notebooks}}


def test_a_push_too_big_for_one_commit_is_stored_whole(clinic: Clinic) -> None:
    answer = clinic.answer(many(1200), clinic.phone())
    assert answer["rejected"] == []
    assert len(answer["accepted"]["notes"]) == 1200
    assert len(clinic.all("notes")) == 1200


def test_a_push_that_fails_half_way_is_completed_by_sending_it_again(clinic: Clinic) -> None:
    commits: list[int] = []

    def fail_from_the_second(writes: object) -> None:
        commits.append(1)
        if len(commits) > 1:
            raise StoreUnavailable("the line is cut")

    phone = clinic.phone()
    broken = clinic.on(Interrupted(clinic.store, before=fail_from_the_second))
    with pytest.raises(StoreUnavailable):
        broken.answer(many(900), phone)
    stored = len(clinic.all("notes"))
    assert 0 < stored < 900
    assert len(clinic.all("notebooks")) == 40  # parents before children
    answer = clinic.answer(many(900), phone)
    assert len(answer["accepted"]["notes"]) == 900
    assert answer["conflicts"] == answer["rejected"] == []
    assert len(clinic.all("notes")) == 900


def test_a_commit_whose_answer_was_lost_makes_no_conflict(clinic: Clinic) -> None:
    clinic.join("member2")
    first, second = clinic.phone("member1"), clinic.phone("member2")
    first.save("notebooks", "p1", at=1000, cover={"name": "unseen"})
    first.sync()
    lost: list[bool] = []

    def lose_one_answer(_writes: object) -> None:
        if not lost:
            lost.append(True)
            raise StoreUnavailable("the answer was lost")

    second.send = clinic.on(Interrupted(clinic.store, after=lose_one_answer)).answer
    second.save("notebooks", "p1", at=2000, cover={"name": "later"})
    answer = second.sync()
    assert lost
    assert [item["reason"] for item in answer["conflicts"]] == ["unseen_overwrite"]
    assert len(clinic.all("conflicts")) == 1
    assert clinic.fields("notebooks", "p1")["cover"] == '{"name":"later"}'


def test_others_who_are_always_faster_end_in_a_clear_answer(clinic: Clinic) -> None:
    def always_taken(_writes: object) -> None:
        raise Contended("taken")

    stubborn = clinic.on(Interrupted(clinic.store, before=always_taken))
    stubborn.pusher.attempts = 3
    with pytest.raises(Contended) as caught:
        stubborn.answer(red_day(), clinic.phone())
    assert caught.value.retry_after_s
    assert clinic.all("notes") == []


def test_an_idle_sync_writes_nothing(clinic: Clinic) -> None:
    phone = family(clinic)
    commits: list[object] = []
    watched = clinic.on(Interrupted(clinic.store, before=commits.append))
    phone.send = watched.answer
    phone.sync()
    again = {"changes": {"notebooks": [], "notes": []}, "last_sync_timestamp": phone.cursor}
    watched.answer(again, phone)
    assert commits == []


# --- what no other test would notice


def test_a_parent_of_another_team_is_answered_like_an_unknown_one(clinic: Clinic) -> None:
    clinic.join("member2", "team2")
    other = clinic.phone("member2")
    other.save("notebooks", "theirs", cover={})
    other.sync()
    notes = [
        {"id": f"note-{parent}", "notebook_id": parent, "last_modified_at": 5}
        for parent in ("theirs", "nobody")
    ]
    rejected = clinic.answer({"changes": {"notes": notes}}, clinic.phone())["rejected"]
    answers = [{name: item[name] for name in ("field", "code", "message")} for item in rejected]
    assert len(answers) == 2
    assert answers[0] == answers[1]
    assert clinic.all("notes") == []


def test_a_receipt_is_only_good_for_the_phone_that_sent_it(clinic: Clinic) -> None:
    clinic.join("member2", "team2")
    body = red_day()
    clinic.answer(body, clinic.phone("member1"))
    answer = clinic.answer(body, clinic.phone("member2"))
    assert {item["code"] for item in answer["rejected"]} == {
        "id_unavailable",
        "unknown_parent",
    } or {item["code"] for item in answer["rejected"]} == {"id_unavailable"}


def test_a_value_deleted_unseen_is_kept_and_named(clinic: Clinic) -> None:
    clinic.join("member2")
    first, second = clinic.phone("member1"), clinic.phone("member2")
    first.save("notebooks", "p1", at=1000, cover={"name": "seen"})
    first.sync()
    second.sync()
    first.save("notebooks", "p1", at=2000, cover={"name": "unseen"})
    first.sync()
    second.delete("notebooks", "p1", at=3000)
    (conflict,) = second.sync()["conflicts"]
    assert (conflict["winner"], conflict["reason"]) == ("client", "unseen_overwrite")
    assert conflict["theirs"]["cover"] == {"name": "unseen"}
    assert len(clinic.all("conflicts")) == 1


def test_two_phones_that_name_no_device_are_not_one(clinic: Clinic) -> None:
    one, two = clinic.phone(device=record.UNNAMED), clinic.phone(device=record.UNNAMED)
    one.save("notebooks", "p1", at=1000, cover={"n": 0})
    one.sync()
    two.sync()
    one.save("notebooks", "p1", at=2000, cover={"n": "one"})
    one.sync()
    two.save("notebooks", "p1", at=2000, cover={"n": "two"})
    assert [item["reason"] for item in two.sync()["conflicts"]] == ["equal"]


def test_an_own_edit_is_never_lost_and_named_where_nobody_can_know_that_it_was_seen(
    clinic: Clinic,
) -> None:
    phone = clinic.phone()
    phone.save("notebooks", "p1", at=1000, cover={"n": 1})
    clinic.answer(phone.request(), phone)  # the answer is lost, so the cursor stays behind
    phone.save("notebooks", "p1", at=2000, cover={"n": 2})
    # A phone that was restored from a backup would say the very same.
    (conflict,) = phone.sync()["conflicts"]
    assert (conflict["winner"], conflict["reason"]) == ("client", "unseen_overwrite")
    assert clinic.fields("notebooks", "p1")["cover"] == '{"n":2}'
    phone.save("notebooks", "p1", at=1500, cover={"n": 3})
    assert phone.sync()["conflicts"] == []
    assert clinic.fields("notebooks", "p1")["cover"] == '{"n":3}'


def test_a_clock_within_the_tolerance_is_left_alone(clinic: Clinic) -> None:
    now = clinic.now_ms()
    clinic.now_ms = lambda: now
    phone = clinic.phone(clock=lambda: now + 60_000)
    phone.save("notebooks", "p1", at=(now - 600_000) / 1000, cover={})
    phone.sync()
    assert clinic.fields("notebooks", "p1")["last_modified_at"] == now - 600_000


def test_a_records_time_never_goes_back(clinic: Clinic) -> None:
    # given a phone that wrote a record while it did not say what its clock showed
    now = clinic.now_ms()
    clinic.now_ms = lambda: now
    phone = clinic.phone()
    phone.save("notebooks", "p1", at=(now - 1000) / 1000, cover={"n": 1})
    phone.sync()
    # when it says an hour too much with its next edit, so that its times are shifted
    phone.clock = lambda: now + 3_600_000
    phone.save("notebooks", "p1", at=(now - 500) / 1000, cover={"n": 2})
    phone.sync()
    # then the edit wins, since it is of what the phone has seen, and is later than what it replaced
    stored = clinic.fields("notebooks", "p1")
    assert stored["cover"] == '{"n":2}'
    assert stored["last_modified_at"] == now - 999


def test_a_case_and_its_job_are_one_commit(clinic: Clinic) -> None:
    commits: list[tuple[set[str], set[str]]] = []

    def look(writes: Any) -> None:
        notes = {write.key.id for write in writes if write.key.collection == "notes"}
        jobs = {w.fields["subject_id"] for w in writes if w.key.collection == "jobs"}
        commits.append((notes, jobs))

    clinic.on(Interrupted(clinic.store, before=look)).answer(red_day(500), clinic.phone())
    assert sum(len(notes) for notes, _ in commits) == 500
    assert len(commits) > 2
    assert all(notes == jobs for notes, jobs in commits)


def meanwhile(clinic: Clinic, phone: Any, happens: Any) -> None:
    """Let something happen just before the phone's first commit."""
    happened: list[bool] = []

    def before(_writes: object) -> None:
        if not happened:
            happened.append(True)
            happens()

    phone.send = clinic.on(Interrupted(clinic.store, before=before)).answer


def test_an_edit_is_judged_anew_when_the_row_changes_meanwhile(clinic: Clinic) -> None:
    clinic.join("member2")
    first, second = clinic.phone("member1"), clinic.phone("member2")
    first.save("notebooks", "p1", at=1000, cover={"n": 1})
    first.sync()
    second.sync()
    first.save("notebooks", "p1", at=3000, cover={"n": 3})
    second.save("notebooks", "p1", at=2000, cover={"n": 2})
    meanwhile(clinic, second, first.sync)
    answer = second.sync()
    assert [item["reason"] for item in answer["conflicts"]] == ["older"]
    assert clinic.fields("notebooks", "p1")["cover"] == '{"n":3}'


def test_a_new_row_does_not_replace_one_that_was_created_meanwhile(clinic: Clinic) -> None:
    clinic.join("member2")
    first, second = clinic.phone("member1"), clinic.phone("member2")
    first.save("notebooks", "p1", at=3000, cover={"n": 3})
    second.save("notebooks", "p1", at=2000, cover={"n": 2})
    meanwhile(clinic, second, first.sync)
    answer = second.sync()
    assert [item["reason"] for item in answer["conflicts"]] == ["older"]
    assert clinic.fields("notebooks", "p1")["cover"] == '{"n":3}'


def test_a_deletion_is_judged_anew_when_the_row_changes_meanwhile(clinic: Clinic) -> None:
    clinic.join("member2")
    first, second = clinic.phone("member1"), clinic.phone("member2")
    first.save("notebooks", "p1", at=1000, cover={"n": 1})
    first.sync()
    second.sync()
    first.save("notebooks", "p1", at=3000, cover={"n": 3})
    second.delete("notebooks", "p1", at=2000)
    meanwhile(clinic, second, first.sync)
    answer = second.sync()
    assert [item["reason"] for item in answer["conflicts"]] == ["older"]
    assert clinic.fields("notebooks", "p1").get("deleted_at") is None


def test_a_push_in_several_commits_goes_through_at_once(clinic: Clinic) -> None:
    clinic.answer(many(1200), clinic.phone())
    assert clinic.last is not None
    assert clinic.last.attempts == 1  # its own parents' new versions are no contention


def test_a_replay_repeats_the_unseen_overwrite_of_the_first_answer(clinic: Clinic) -> None:
    clinic.join("member2")
    first, second = clinic.phone("member1"), clinic.phone("member2")
    first.save("notebooks", "p1", at=1000, cover={"name": "unseen"})
    first.sync()
    second.save("notebooks", "p1", at=2000, cover={"name": "later"})
    body = second.request()
    answers = [clinic.answer(body, second) for _ in range(2)]
    assert [item["reason"] for item in answers[0]["conflicts"]] == ["unseen_overwrite"]
    assert answers[1]["conflicts"] == answers[0]["conflicts"]
    assert answers[1]["receipt"] == answers[0]["receipt"]


def test_an_unseen_overwrite_is_named_although_a_later_part_was_tried_again(
    clinic: Clinic,
) -> None:
    # given a push in several commits, whose first overwrites what its phone has not seen
    clinic.join("member2")
    first = clinic.phone("member1")
    first.save("notebooks", "p0", at=1, cover={"name": "unseen"})
    first.sync()
    commits: list[bool] = []

    def second_is_contended(_writes: object) -> None:
        commits.append(True)
        if len(commits) == 2:
            raise Contended("taken")

    # when the second commit has to be tried again
    racing = clinic.on(Interrupted(clinic.store, before=second_is_contended))
    answer = racing.answer(many(900), clinic.phone("member2"))
    # then the value that is gone is named all the same
    assert len(commits) > 2
    assert [item["reason"] for item in answer["conflicts"]] == ["unseen_overwrite"]
    assert len(clinic.all("conflicts")) == 1


def test_equal_content_with_a_later_time_moves_the_time_on(clinic: Clinic) -> None:
    phone = clinic.phone()
    for at in (1000, 2000, 2000):
        phone.save("notebooks", "p1", at=at, cover={"n": 1})
        phone.sync()
        assert clinic.fields("notebooks", "p1")["last_modified_at"] == at * 1000
    assert clinic.last is not None
    assert clinic.last.written == 0  # the very same edit again is none
    assert clinic.all("conflicts") == []


def test_the_later_edit_of_one_device_wins_although_its_clock_is_corrected_more(
    clinic: Clinic,
) -> None:
    now = clinic.now_ms()
    clinic.now_ms = lambda: now
    phone = clinic.phone(clock=lambda: now + 9_000_000)
    phone.save("notebooks", "p1", at=(now + 9_000_000) / 1000, cover={"n": 1})
    phone.sync()
    phone.clock = lambda: now + 10_000_000  # the edit is corrected to a quarter of an hour ago
    phone.save("notebooks", "p1", at=(now + 9_000_500) / 1000, cover={"n": 2})
    assert phone.sync()["conflicts"] == []
    assert clinic.fields("notebooks", "p1")["cover"] == '{"n":2}'


def test_of_two_edits_in_a_device_s_future_its_own_clock_tells_the_later(clinic: Clinic) -> None:
    now = clinic.now_ms()
    clinic.now_ms = lambda: now
    phone = clinic.phone(clock=lambda: now + 9_000_000)
    for number in (1, 2):  # both are corrected to now
        phone.save("notebooks", "p1", at=(now + 9_000_000 + number) / 1000, cover={"n": number})
        phone.sync()
        phone.cursor = 0  # the answer was lost: nothing counts as seen
    assert clinic.fields("notebooks", "p1")["cover"] == '{"n":2}'


def test_a_record_over_the_limit_is_refused_by_name(clinic: Clinic) -> None:
    phone = clinic.phone()
    phone.save("notebooks", "p1", cover={})
    note = {"note": "x" * 499_000}
    for name, photos in (("fits", 50), ("large", 100)):  # each field is within its own limit
        keys = ["🩺" * 1024] * photos
        phone.save("notes", name, notebook_id="p1", body=note, picture_keys=keys)
    answer = phone.sync()
    assert [(item["id"], item["code"]) for item in answer["rejected"]] == [
        ("large", "record_too_large")
    ]
    assert [document.key.id for document in clinic.all("notes")] == ["fits"]


def test_a_big_push_that_was_answered_reads_hardly_anything_when_it_comes_again(
    clinic: Clinic,
) -> None:
    # given a push of many records, one of which loses and one of which is refused
    clinic.join("member1")
    one = clinic.phone("member1")
    one.save("notebooks", "old", at=500, cover={"n": 0})
    one.sync()
    other = clinic.phone("member1", "another")
    other.sync()
    other.save("notebooks", "old", at=2000, cover={"n": 2})
    other.sync()
    for number in range(200):
        one.save("notebooks", f"p{number}", cover={"n": number})
    one.save("notebooks", "old", at=1000, cover={"n": 1})
    one.save("notes", "bad", notebook_id="nobody", body={})
    body = one.request()
    first = clinic.answer(body, one)
    assert ([item["id"] for item in first["conflicts"]], len(first["rejected"])) == (["old"], 1)
    # when it comes again
    asked = Asked(clinic.store)
    again = clinic.on(asked).answer(body, one)
    # then the answer is the same, and of its records those are read by key that no listing brings
    said = ("accepted", "conflicts", "rejected", "receipt", "server_updates", "deleted")
    assert {name: again[name] for name in said} == {name: first[name] for name in said}
    assert {key.id for key in asked.keys if key.collection == "notebooks"} == {"old"}
    # and to one who left the team no values are told
    clinic.leave("member1")
    answer = clinic.answer(body, one)
    assert (answer["conflicts"], answer["server_updates"]["notebooks"]) == ([], [])


# --- tables that not every role writes


def library(clinic: Clinic, table: str, **more: Any) -> Clinic:
    """A clinic on the same store, one of whose tables is declared in another way."""
    other = Clinic(clinic.store)
    other.catalog = replace(
        CATALOG,
        collections=tuple(
            replace(each, **more) if each.name == table else each for each in CATALOG.collections
        ),
    )
    other._serve(clinic.store)
    other.join("member1")
    other.join("boss", role="supervisor")
    return other


def test_a_table_is_written_by_its_writers_alone_and_others_rows_are_kept(clinic: Clinic) -> None:
    here = library(clinic, "notebooks", writers=frozenset({"supervisor"}))
    boss, member = here.phone("boss"), here.phone()
    boss.save("notebooks", "p1", cover={"title": "ours"})
    boss.sync()
    member.sync()
    member.save("notebooks", "p1", cover={"title": "mine"})
    member.save("notebooks", "p2", cover={})
    member.save("notes", "c1", notebook_id="p1", body={}, mark="green")
    said = member.sync()
    assert said["accepted"] == {"notes": ["c1"]}
    assert [(each["id"], each["code"]) for each in said["rejected"]] == [
        ("p1", "not_allowed"),
        ("p2", "not_allowed"),
    ]
    assert json.loads(here.fields("notebooks", "p1")["cover"]) == {"title": "ours"}
    kept = {each.fields["record_id"] for each in here.all("quarantine")}
    assert kept == {"p1", "p2"}
    assert member.rows["notebooks", "p1"]["cover"] == {"title": "ours"}  # told what it is


def test_who_does_not_write_a_table_deletes_nothing_there(clinic: Clinic) -> None:
    here = library(clinic, "notebooks", writers=frozenset({"supervisor"}))
    boss, member = here.phone("boss"), here.phone()
    boss.save("notebooks", "p1", cover={})
    boss.sync()
    member.sync()
    member.delete("notebooks", "p1")
    member.delete("notebooks", "p9")  # nobody has it: no tombstone either
    assert [each["code"] for each in member.sync()["rejected"]] == ["not_allowed"]
    assert here.fields("notebooks", "p1").get("deleted_at") is None
    assert here.get("notebooks", "p9") is None


def test_rows_of_a_table_that_is_added_to_stay_as_they_came(clinic: Clinic) -> None:
    here = library(clinic, "notebooks", appended=True)
    phone = here.phone()
    phone.save("notebooks", "p1", cover={"title": "first"})
    sent = phone.request()
    for _ in range(2):  # sent again: the same answer
        assert here.answer(sent, phone)["accepted"] == {"notebooks": ["p1"]}
    phone.sync()
    for way in ("save", "delete"):
        for user in ("member1", "boss"):
            other = here.phone(user)
            other.sync()
            getattr(other, way)("notebooks", "p1", **({"cover": {}} if way == "save" else {}))
            assert [each["code"] for each in other.sync()["rejected"]] == ["not_allowed"], way
    phone.delete("notebooks", "p9")  # of no use: what comes late under this id is stored
    assert [each["code"] for each in phone.sync()["rejected"]] == ["not_allowed"]
    phone.save("notebooks", "p9", cover={})
    assert phone.sync()["accepted"] == {"notebooks": ["p9"]}
    assert json.loads(here.fields("notebooks", "p1")["cover"]) == {"title": "first"}


# --- brief answers


def whole(answer: Json) -> Json:
    """A brief answer made whole, as docs/api.md says."""
    tables = [item.name for item in CATALOG.collections]
    made: Json = {
        "server_updates": {table: [] for table in tables},
        "deleted": {table: [] for table in tables},
        "accepted": {},
        "rejected": [],
        "conflicts": [],
        "receipt": None,
        "has_more": False,
        "next_page": None,
        "clock_offset_ms": None,
    }
    same = answer.pop("same", {})
    for name, value in answer.items():
        made[name] = made[name] | value if isinstance(made.get(name), dict) else value
    if made["receipt"]:
        made["receipt"] = {"accepted": 0, "conflicts": 0, "rejected": 0, **made["receipt"]}
    for table, parts in same.items():
        for part in parts:
            assert len(part["ids"]) > 1
            made["server_updates"][table] += [{"id": name, **part["row"]} for name in part["ids"]]
    return made


def in_order(answer: Json) -> Json:
    rows = answer["server_updates"]
    return answer | {
        "server_updates": {table: sorted(rows[table], key=lambda row: row["id"]) for table in rows}
    }


def test_a_brief_answer_made_whole_is_the_usual_one(clinic: Clinic) -> None:
    phone, other = clinic.phone(clock=time.time), clinic.phone(device="other")
    first = clinic.answer(red_day(5), phone)
    cursor = first["new_sync_timestamp"]
    bodies: list[tuple[Json, Any]] = [(red_day(5), other), ({"last_sync_timestamp": cursor}, phone)]
    now = time.time()
    old = {"id": "c0", "mark": "green", "sync_status": "dirty", "last_modified_at": now - 9000}
    new = {"id": "c1", "mark": "green", "sync_status": "dirty", "last_modified_at": now}
    gone = {"id": "c2", "sync_status": "deleted", "last_modified_at": now}
    bad = {"id": "c 9", "last_modified_at": now}
    sent = [old, new, gone, bad, {**red_day()["changes"]["notes"][0], "id": "c7", "odd": 1}]
    bodies += [({"last_sync_timestamp": 0, "changes": {"notes": sent}}, phone)]
    later = {"last_sync_timestamp": cursor, "device_id": "other"}
    bodies += [(later | {"limit": 2}, other), (later, other)]
    answers = [first, *(clinic.answer(*each) for each in bodies)]
    assert any(answer["conflicts"] and answer["rejected"] for answer in answers)
    assert any(answer["has_more"] for answer in answers)
    assert any(answer["deleted"]["notes"] for answer in answers)
    for answer in answers:
        brief = json.loads(orjson.dumps(batch.brief(answer)))
        assert len(orjson.dumps(brief)) < len(orjson.dumps(answer))
        assert all(it not in (None, [], {}) and it is not False for it in brief.values())
        assert in_order(whole(brief)) == in_order(answer)
    assert "same" in batch.brief(first)


def test_a_phone_that_asks_for_it_is_answered_briefly(clinic: Clinic) -> None:
    """At most 200 bytes, and 120 for each new record, on a line where each byte costs."""
    answer = clinic.answer(red_day(0), clinic.phone())
    for count in (10, 100):
        cursor = answer["new_sync_timestamp"]
        body = red_day(count) | {"last_sync_timestamp": cursor, "brief": True}
        del body["changes"]["notebooks"]
        for note in body["changes"]["notes"]:
            name = f"note-{count:03}-{note['id']:0>28}"
            note |= {"id": name, "mark": "green", "sync_status": "new"}
        answer = clinic.answer(body, clinic.phone())
        assert "rejected" not in answer
        assert len(answer["accepted"]["notes"]) == count
        assert answer["receipt"]["accepted"] == count
        [part] = answer["same"]["notes"]
        assert len(part["ids"]) == count
        assert len(orjson.dumps(answer)) <= 200 + 120 * count
    idle = clinic.answer(
        {"last_sync_timestamp": answer["new_sync_timestamp"], "brief": True}, clinic.phone()
    )
    assert idle.keys() == {"new_sync_timestamp"}
    # what is no true asks for the usual one
    assert "server_updates" in clinic.answer(red_day() | {"brief": 1}, clinic.phone())
