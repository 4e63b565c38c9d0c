"""Deleting a parent deletes what refers to it, on both stores."""

from __future__ import annotations

from tests.jobs.conftest import Workplace


def household(place: Workplace) -> None:
    phone = place.phone()
    phone.save("notebooks", "p1", at=1000, cover={})
    phone.save("notebooks", "p2", at=1000, cover={})
    for number in range(3):
        phone.save("notes", f"c{number}", at=1000, notebook_id="p1", mark="red")
    phone.save("notes", "other", at=1000, notebook_id="p2", mark="green")
    phone.sync()


def test_children_follow_their_parent_also_the_servers_own_rows(place: Workplace) -> None:
    household(place)
    other = place.phone("member1", "second-phone")
    other.sync()
    phone = place.phone()
    phone.sync()
    phone.delete("notebooks", "p1")
    phone.sync()
    place.revive("c0", "c1", "c2")
    worker = place.worker()
    report = worker.run_due("cascade", 120)
    assert set(report.states.values()) == {"done"}
    for number in range(3):
        assert place.fields("notes", f"c{number}")["deleted_at"]
        assert place.fields("summary_queue", f"c{number}")["deleted_at"]
    assert place.fields("notes", "other").get("deleted_at") is None
    answer = other.sync()
    assert sorted(answer["deleted"]["notes"]) == ["c0", "c1", "c2"]
    assert answer["conflicts"] == []
    assert {name for table, name in other.rows if table == "notes"} == {"other"}


def test_a_cascade_that_was_killed_is_finished_by_the_next(place: Workplace) -> None:
    household(place)
    phone = place.phone()
    phone.sync()
    phone.delete("notebooks", "p1")
    phone.sync()
    place.revive("c0", "c1", "c2")
    (job,) = place.jobs("cascade")
    worker = place.worker()
    assert worker.run(job.id) == "done"
    before = place.all("notes")
    assert worker.run(job.id) == "done"
    assert place.all("notes") == before


def test_jobs_of_deleted_cases_end_without_a_result(place: Workplace) -> None:
    household(place)
    phone = place.phone()
    phone.sync()
    phone.delete("notebooks", "p1")
    phone.sync()
    worker = place.worker()
    worker.run_due("cascade", 120)
    assert set(worker.run_due("summarise", 60).states.values()) == {"stale"}
    assert all(document.fields.get("summary") is None for document in place.all("notes"))
