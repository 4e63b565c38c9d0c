"""Bringing deleted records back, with what was deleted along with them, on both stores."""

from __future__ import annotations

import pytest

from shared.access.membership import Caller
from shared.errors import Forbidden, NotFound, ParentDeleted, Purged
from shared.records import record
from shared.records.store import Key
from shared.support.undelete import undelete
from shared.sync.retention import Purger
from tests.jobs.conftest import Workplace
from tests.neutral.tables import CATALOG

BOSS = Caller("boss", "supervisor", "desk")
P1 = Key("notebooks", "p1")
DAY_MS = 86_400_000


def household(place: Workplace) -> None:
    """A notebook with three notes; one is deleted by itself, then the notebook with the rest."""
    place.join("boss", role="supervisor")
    place.red_note("c1")
    phone = place.phone()
    phone.sync()
    phone.save("notes", "c2", notebook_id="p1", mark="green", body={"a": 1})
    phone.save("notes", "c3", notebook_id="p1", mark="green")
    phone.sync()
    phone.delete("notes", "c3")
    phone.sync()
    place.follow()
    phone.delete("notebooks", "p1")
    phone.sync()
    place.follow()


def restore(place: Workplace, key: Key = P1, caller: Caller | None = BOSS) -> None:
    place.time += 1000
    undelete(place.store, CATALOG, caller, key, place.time)
    place.follow()


def live(place: Workplace) -> set[str]:
    return {
        document.key.id
        for table in ("notebooks", "notes")
        for document in place.all(table)
        if document.fields.get(record.DELETED) is None
    }


def test_a_patient_comes_back_with_what_was_deleted_along_with_it(place: Workplace) -> None:
    household(place)
    other = place.phone("member1", "other")
    other.sync()
    assert other.rows == {}
    assert live(place) == set()
    restore(place)
    assert live(place) == {"p1", "c1", "c2"}
    other.sync()
    held = {name for table, name in other.rows if table in ("notebooks", "notes")}
    assert held == {"p1", "c1", "c2"}
    row = other.row("notes", "c2")
    assert row is not None
    assert (row["body"], row["deleted_at"]) == ({"a": 1}, None)
    assert ("summary_queue", "c1") in other.rows


def test_what_comes_back_has_the_content_it_had(place: Workplace) -> None:
    place.join("boss", role="supervisor")
    place.red_note("c1")
    before = place.fields("notebooks", "p1")
    phone = place.phone()
    phone.sync()
    phone.delete("notebooks", "p1")
    phone.sync()
    place.follow()
    restore(place)
    after = place.fields("notebooks", "p1")
    assert after[record.HASH] == before[record.HASH]
    assert {record.DELETED, record.KEPT, record.DELETED_WITH} & set(after) == set()


def test_a_red_case_that_comes_back_is_read_after_all(place: Workplace) -> None:
    place.join("boss", role="supervisor")
    job_id = place.red_note("c1")
    phone = place.phone()
    phone.sync()
    phone.delete("notebooks", "p1")
    phone.sync()
    place.follow()
    assert place.worker().run(job_id) == "stale"
    restore(place)
    assert place.state(job_id) == "queued"
    assert place.worker().run(job_id) == "done"
    assert place.fields("notes", "c1")["summary"]["status"] == "ok"
    assert place.row("c1") == ("done", 1)


def test_bringing_back_twice_or_what_is_there_changes_nothing(place: Workplace) -> None:
    household(place)
    restore(place)
    before = place.all("notebooks") + place.all("notes")
    restore(place)
    restore(place, Key("notes", "c1"))
    assert place.all("notebooks") + place.all("notes") == before


def test_deleted_again_it_is_deleted_with_all_its_children(place: Workplace) -> None:
    household(place)
    restore(place)
    phone = place.phone("member1", "third")
    phone.sync()
    phone.delete("notebooks", "p1")
    phone.sync()
    place.follow()
    assert live(place) == set()


def test_a_cascade_that_comes_late_does_not_delete_what_was_brought_back(place: Workplace) -> None:
    place.join("boss", role="supervisor")
    place.red_note("c1")
    phone = place.phone()
    phone.sync()
    phone.delete("notebooks", "p1")
    phone.sync()
    (job,) = place.jobs("cascade")
    undelete(place.store, CATALOG, BOSS, P1, place.time)
    assert place.worker().run(job.id) == "stale"
    place.follow()
    assert live(place) == {"p1", "c1"}


def test_a_phone_that_deletes_what_came_back_must_mean_it(place: Workplace) -> None:
    """A deletion older than the undelete's record loses nothing: the same request is a replay."""
    household(place)
    restore(place)
    phone = place.phone("member1", "late")
    phone.rows = {("notebooks", "p1"): {"id": "p1"}}
    phone.delete("notebooks", "p1", at=1001)
    answer = phone.sync()
    assert [item["reason"] for item in answer["conflicts"]] == ["older"]
    assert "p1" in live(place)


def test_only_supervisors_may_and_strangers_are_told_nothing(place: Workplace) -> None:
    household(place)
    place.join("stranger", "team2", "supervisor")
    with pytest.raises(Forbidden):
        restore(place, caller=Caller("member1", "member", "x"))
    for caller in (Caller("stranger", "supervisor", "x"), Caller("nobody", "admin", "x")):
        with pytest.raises(NotFound):
            restore(place, caller=caller)
    for key in (Key("notebooks", "unknown"), Key("nonsense", "p1"), Key("notebooks", "../p1")):
        with pytest.raises(NotFound):
            restore(place, key)
    assert live(place) == set()
    restore(place, caller=None)  # an operator at the command line
    assert "p1" in live(place)


def test_a_child_needs_its_parent_first(place: Workplace) -> None:
    household(place)
    with pytest.raises(ParentDeleted):
        restore(place, Key("notes", "c2"))
    restore(place)
    restore(place, Key("notes", "c3"))
    assert live(place) == {"p1", "c1", "c2", "c3"}


def test_what_was_purged_is_gone_for_good(place: Workplace) -> None:
    household(place)
    place.time += 181 * DAY_MS
    assert Purger(place.store, CATALOG, keep_days=180).purge(place.time) >= 3
    with pytest.raises(Purged):
        restore(place)
