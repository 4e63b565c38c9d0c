"""Records that are taken away from a WatermelonDB phone: its unpushed edits are heard first.

The stock client pulls before it pushes, and drops unpushed edits of what a pull deletes without a
word. So the deletions of records that a caller may no longer have wait for the pull after the push.
"""

from __future__ import annotations

from typing import Any

import pytest

from infra.local.phone import wall_ms
from shared.errors import StalePush
from shared.jobs import transfer
from shared.records import record
from shared.records.store import Key, put
from shared.sync.pull import Row, Start
from tests.neutral.tables import CATALOG
from tests.stores import Asked
from tests.sync.clinic import Clinic, pass_millisecond
from tests.sync.test_watermelon import Melon, created, deleted, notebook, updated

Json = dict[str, Any]


def gone(answer: Json) -> list[str]:
    return [name for sets in answer["changes"].values() for name in sets["deleted"]]


def inbox(clinic: Clinic) -> dict[str, str]:
    """Record id → scope that should look at it."""
    found = [entry.fields for entry in clinic.all("quarantine") if entry.fields.get("late")]
    return {entry["record_id"]: entry["scope_id"] for entry in found}


def synced(phone: Melon) -> int:
    """Pull, and let some ms pass: what is taken away right after the cursor leaves fewer chances."""
    since: int = phone.pull()["timestamp"]
    for _ in range(8):
        pass_millisecond()
    return since


def drop(phone: Melon, cursor: int) -> list[str]:
    """What the phone is told to drop, once it has had its chances to push. `cursor` is of the first."""
    for _ in range(2):
        answer = phone.pull(cursor)
        assert (gone(answer), answer["sync_again"]) == ([], True)
        assert answer["timestamp"] == cursor + 1
        cursor = answer["timestamp"]
    answer = phone.pull(cursor)
    assert "sync_again" not in answer
    assert gone(phone.pull(answer["timestamp"])) == []
    return gone(answer)


def move(clinic: Clinic, name: str = "p1", to: str = "team2") -> None:
    transfer.move(clinic.store, CATALOG, Key("notebooks", name), to, clinic.now_ms())
    pass_millisecond()


def test_edits_of_a_moved_record_are_heard_before_the_phone_drops_it(clinic: Clinic) -> None:
    one = Melon(clinic)
    one.push(created(notebook("p1"), notebook("p2")))
    since = synced(one)
    move(clinic)
    # the phone has edited p1 meanwhile, and knows of nothing
    first = one.pull(since)
    assert gone(first) == []
    edit = notebook("p1", cover='{"note":"worse"}')
    answer = one.push(updated(edit), first["timestamp"])
    assert answer["experimentalRejectedIds"] == {"notebooks": ["p1"]}
    assert [item["code"] for item in answer["rejected"]] == ["moved"]
    assert inbox(clinic) == {"p1": "team2"}
    assert drop(one, first["timestamp"]) == ["p1"]


def test_a_push_that_the_network_swallowed_has_more_chances(clinic: Clinic) -> None:
    one = Melon(clinic)
    one.push(created(notebook("p1")))
    since = synced(one)
    move(clinic)
    cursor = since
    for _ in range(3):  # pull, and a push that never arrives
        answer = one.pull(cursor)
        assert gone(answer) == []
        cursor = answer["timestamp"]
    answer = one.push(updated(notebook("p1", cover='{"n":1}')), cursor)
    assert [item["code"] for item in answer["rejected"]] == ["moved"]
    assert inbox(clinic) == {"p1": "team2"}
    assert gone(one.pull(cursor)) == ["p1"]


def test_a_leaver_is_heard_too_before_everything_goes(clinic: Clinic) -> None:
    one = Melon(clinic)
    one.push(created(notebook("p1")))
    since = synced(one)
    clinic.leave("member1")
    first = one.pull(since)
    assert gone(first) == []
    fresh = notebook("p9")
    answer = one.push({**updated(notebook("p1", cover="{}"))}, first["timestamp"])
    assert [item["code"] for item in answer["rejected"]] == ["moved"]
    answer = one.push(created(fresh), first["timestamp"])
    assert [item["code"] for item in answer["rejected"]] == ["moved"]
    assert inbox(clinic) == {"p1": "team1", "p9": "team1"}
    assert clinic.get("notebooks", "p9") is None
    assert drop(one, first["timestamp"]) == ["p1"]


def test_an_edit_in_a_push_that_is_stale_is_kept_all_the_same(clinic: Clinic) -> None:
    clinic.join("member2")
    one, two = Melon(clinic), Melon(clinic, "member2", "second")
    one.push(created(notebook("p1"), notebook("p2")))
    since = synced(one)
    move(clinic)
    first = one.pull(since)
    two.push(updated(notebook("p2", cover='{"by":"two"}')), two.pull()["timestamp"])
    edits = updated(notebook("p1", cover='{"n":1}'), notebook("p2", cover='{"n":2}'))
    with pytest.raises(StalePush):
        one.push(edits, first["timestamp"])
    assert inbox(clinic) == {"p1": "team2"}
    assert drop(one, first["timestamp"]) == ["p1"]


def test_a_deletion_of_a_moved_record_is_no_deletion_but_is_kept(clinic: Clinic) -> None:
    one = Melon(clinic)
    one.push(created(notebook("p1")))
    since = synced(one)
    move(clinic)
    first = one.pull(since)
    assert one.push(deleted("p1"), first["timestamp"]) == {}
    assert inbox(clinic) == {"p1": "team2"}
    assert clinic.fields("notebooks", "p1").get("deleted_at") is None


def test_a_later_grant_does_not_hide_an_earlier_loss(clinic: Clinic) -> None:
    one = Melon(clinic)
    one.push(created(notebook("p1")))
    since = synced(one)
    clinic.leave("member1")
    clinic.now_ms = lambda: wall_ms() + 3_600_000
    clinic.join("member1", "team2")
    clinic.now_ms = wall_ms
    first = one.pull(since)
    assert gone(first) == []
    assert drop(one, first["timestamp"]) == ["p1"]


def test_what_was_held_back_comes_at_once_however_often_it_happened(clinic: Clinic) -> None:
    one = Melon(clinic)
    names = [f"p{number}" for number in range(5)]
    one.push(created(*(notebook(name) for name in names)))
    since = synced(one)
    for name in names:
        move(clinic, name)
    first = one.pull(since)
    assert (gone(first), first["sync_again"]) == ([], True)
    assert sorted(drop(one, first["timestamp"])) == names


def test_other_changes_are_not_held_back(clinic: Clinic) -> None:
    clinic.join("member2")
    one, two = Melon(clinic), Melon(clinic, "member2", "second")
    one.push(created(notebook("p1"), notebook("p2"), notebook("p3")))
    since = synced(one)
    move(clinic)
    theirs = two.pull()["timestamp"]
    two.push(updated(notebook("p2", cover='{"by":"two"}')), theirs)
    two.push(deleted("p3"), theirs)
    first = one.pull(since)
    assert gone(first) == ["p3"]
    assert [row["id"] for row in first["changes"]["notebooks"]["updated"]] == ["p2"]


def test_a_replacement_holds_nothing_back(clinic: Clinic) -> None:
    one = Melon(clinic)
    one.push(created(notebook("p1"), notebook("p2")))
    since = synced(one)
    move(clinic)
    answer = one.pull(since, strategy="replacement")
    assert [row["id"] for row in answer["changes"]["notebooks"]["updated"]] == ["p2"]
    assert "sync_again" not in answer


@pytest.mark.parametrize("count", [0, 3, 1_100])
def test_revocations_are_asked_for_once_unless_they_are_many(clinic: Clinic, count: int) -> None:
    # given a phone, and records that left its team after its cursor
    clinic.join("member1", "team1")
    phone = Melon(clinic)
    phone.push(created(notebook()))
    cursor = synced(phone)
    taken = [Key("notebooks", f"x{number:04d}") for number in range(count)]
    for at in range(0, count, 400):
        notes = [
            put(
                record.revocation(key, "team1"),
                {
                    record.SCOPE: "team1",
                    "table": key.collection,
                    "record_id": key.id,
                    "to_scope": "t2",
                },
                None,
            )
            for key in taken[at : at + 400]
        ]
        clinic.store.commit(notes)
        pass_millisecond()
    # when it pulls until nothing is held back
    asked = Asked(clinic.store)
    phone = Melon(clinic.on(asked))
    answer = phone.pull(cursor)
    while answer.get("sync_again"):
        assert gone(answer) == []
        asked.listed.clear()
        answer = phone.pull(answer["timestamp"])
    # then it is told of each, and each table was asked once for that
    assert sorted(gone(answer)) == [key.id for key in taken]
    times = {name: asked.listed.count(name) for name in asked.listed}
    assert times.pop(record.REVOCATIONS) == (1 if count <= 1_000 else 2)
    assert times == dict.fromkeys(CATALOG.by_name, 1)


def test_held_back_deletions_are_not_lost_between_pages(clinic: Clinic) -> None:
    # given a phone that pulls by pages while a record is taken away and others are edited
    phone, other = Melon(clinic), clinic.phone("member1", "another")
    phone.push(created(*(notebook(f"p{number}") for number in range(4))))
    since = synced(phone)
    move(clinic, "p0")
    other.sync()
    for number in range(1, 4):
        other.save("notebooks", f"p{number}", cover={"n": number})
    other.sync()
    # when the first page is not the last one
    start = Start(since, hold=True)
    pull = clinic.puller.start(phone.caller, start, clinic.now_ms(), rows=2)
    rows = [item.document.key.id for item in pull.items if isinstance(item, Row)]
    while pull.next_page is not None:
        pull = clinic.puller.resume(phone.caller, pull.next_page, clinic.now_ms(), rows=2)
        rows += [item.document.key.id for item in pull.items if isinstance(item, Row)]
    # then everything else is there, and the cursor lies before the deletion: later pulls bring it
    assert sorted(rows) == ["p1", "p2", "p3"]
    assert pull.held
    assert drop(phone, pull.cursor_ms) == ["p0"]
