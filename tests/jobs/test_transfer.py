"""Moving a record to another team takes everything along, to the phones too, on both stores."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shared.errors import Contended, InvalidRequest, NotFound
from shared.jobs import transfer
from shared.records import record
from shared.records.store import Key, Write
from shared.sync.retention import Purger
from tests.jobs.conftest import Workplace
from tests.neutral.tables import CATALOG
from tests.stores import Interrupted

P1 = Key("notebooks", "p1")


def village(place: Workplace) -> None:
    """A notebook with a red and a green note in team1, another notebook, and a second team."""
    place.join("member2", "team2")
    place.red_note("c1")
    phone = place.phone()
    phone.sync()
    phone.save("notes", "c2", notebook_id="p1", mark="green")
    phone.save("notebooks", "p2", cover={})
    phone.sync()


def move(place: Workplace, to: str = "team2", key: Key = P1) -> None:
    place.time += 1000
    transfer.move(place.store, CATALOG, key, to, place.time)
    place.follow()


def scopes(place: Workplace) -> set[str]:
    found = [place.fields("notebooks", "p1")]
    found += [place.fields("notes", name) for name in ("c1", "c2")]
    found.append(place.fields("summary_queue", "c1"))
    return {have[record.SCOPE] for have in found}


def test_a_patient_moves_with_everything_below(place: Workplace) -> None:
    village(place)
    old, new = place.phone("member1", "old"), place.phone("member2", "new")
    old.sync()
    new.sync()
    assert new.rows == {}
    move(place)
    assert scopes(place) == {"team2"}
    answer = old.sync()
    assert answer["deleted"]["notebooks"] == ["p1"]
    assert sorted(answer["deleted"]["notes"]) == ["c1", "c2"]
    assert {name for _, name in old.rows} == {"p2"}
    new.sync()
    assert {name for _, name in new.rows} == {"p1", "c1", "c2"}
    assert place.fields("notebooks", "p2")[record.SCOPE] == "team1"


def test_moving_again_changes_nothing_and_moving_back_undoes_it(place: Workplace) -> None:
    village(place)
    old, new = place.phone("member1", "old"), place.phone("member2", "new")
    old.sync()
    move(place)
    before = place.get("notebooks", "p1")
    move(place)
    assert place.get("notebooks", "p1") == before
    old.sync()
    new.sync()
    move(place, "team1")
    old.sync()
    new.sync()
    assert {name for _, name in old.rows} == {"p1", "p2", "c1", "c2"}
    assert new.rows == {}


def test_a_patient_that_moves_on_twice_reaches_who_is_in_the_first_and_the_last_team(
    place: Workplace,
) -> None:
    village(place)
    place.join("member1", "team3")
    phone = place.phone()
    phone.sync()
    move(place, "team2")
    move(place, "team3")
    phone.sync()
    assert {name for _, name in phone.rows} == {"p1", "p2", "c1", "c2"}


def test_readings_move_with_their_case_and_go_with_its_data(place: Workplace) -> None:
    place.join("member2", "team2")
    job_id = place.red_note()
    place.worker().run(job_id)
    move(place)
    (reading,) = place.all("readings")
    assert (reading.fields["record_id"], reading.fields[record.SCOPE]) == ("c1", "team2")
    phone = place.phone("member2", "new")
    phone.sync()
    phone.delete("notebooks", "p1")
    phone.sync()
    place.follow()
    purger, later = Purger(place.store, CATALOG, keep_days=180), place.time + 181 * 86_400_000
    purger.purge(later)
    assert len(place.all("readings")) == 1  # somebody has still to look at what was deleted
    note = place.get("notes", "c1")
    assert note is not None
    place.store.commit([record.server_patch(note, {record.WAITS: None})])
    purger.purge(later)
    assert place.all("readings") == []


def test_what_the_old_team_still_sends_waits_for_the_new_one(place: Workplace) -> None:
    village(place)
    old = place.phone("member1", "old")
    old.sync()
    old.save("notes", "c1", body={"note": "worse"})
    old.save("notes", "c9", notebook_id="p1", mark="green", body={"note": "new"})
    old.delete("notes", "c2")
    move(place)
    answer = old.sync()
    assert {(item["id"], item["code"]) for item in answer["rejected"]} == {
        ("c1", "moved"),
        ("c9", "moved"),
    }
    inbox = {
        have.fields["record_id"]: have.fields
        for have in place.all("quarantine")
        if have.fields.get("late")
    }
    assert set(inbox) == {"c1", "c2", "c9"}
    assert {entry[record.SCOPE] for entry in inbox.values()} == {"team2"}
    assert "worse" in inbox["c1"]["raw"]
    assert place.fields("notes", "c2").get(record.DELETED) is None
    assert place.get("notes", "c9") is None


def test_a_strangers_id_is_refused_as_ever(place: Workplace) -> None:
    village(place)
    move(place)
    stranger = place.phone("member3", "third")
    place.join("member3", "team3")
    stranger.save("notebooks", "p1", cover={})
    answer = stranger.sync()
    assert [item["code"] for item in answer["rejected"]] == ["id_unavailable"]
    (entry,) = place.all("quarantine")
    assert (entry.fields[record.SCOPE], entry.fields.get("late")) == ("team3", None)


def test_somebody_in_both_teams_goes_on_editing(place: Workplace) -> None:
    village(place)
    place.join("member1", "team2")
    phone = place.phone()
    phone.sync()
    phone.save("notes", "c2", body={"note": "offline"})
    move(place)
    answer = phone.sync()
    assert answer["rejected"] == []
    assert answer["conflicts"] == []
    assert "offline" in place.fields("notes", "c2")["body"]
    row = phone.row("notes", "c2")
    assert row is not None
    assert row["scope_id"] == "team2"


def test_the_analysis_of_a_case_that_moves_reaches_the_new_team(place: Workplace) -> None:
    place.join("member2", "team2")
    job_id = place.red_note("c1")
    transfer.move(place.store, CATALOG, P1, "team2", place.time)
    assert place.worker().run(job_id) == "done"
    place.follow()
    new = place.phone("member2", "new")
    new.sync()
    row, queue = new.row("notes", "c1"), new.row("summary_queue", "c1")
    assert row is not None
    assert queue is not None
    assert row["summary"]
    assert (queue["status"], queue["scope_id"]) == ("done", "team2")


def test_log_entries_move_with_their_record(place: Workplace) -> None:
    village(place)
    one, two = place.phone("member1", "one"), place.phone("member1", "two")
    one.sync()
    two.sync()
    one.save("notebooks", "p1", cover={"n": "one"})
    two.save("notebooks", "p1", cover={"n": "two"})
    one.sync()
    two.sync()
    assert {have.fields[record.SCOPE] for have in place.all("conflicts")} == {"team1"}
    move(place)
    assert {have.fields[record.SCOPE] for have in place.all("conflicts")} == {"team2"}


def test_an_edit_at_the_same_moment_is_either_before_or_after_the_move(place: Workplace) -> None:
    village(place)
    phone = place.phone()
    phone.sync()
    phone.save("notebooks", "p1", cover={"n": "meanwhile"})
    once: list[bool] = []

    def edit(_writes: Sequence[Write]) -> None:
        if not once:
            once.append(True)
            phone.sync()

    seen = Interrupted(place.store, before=edit)
    transfer.move(seen, CATALOG, P1, "team2", place.time)
    have = place.fields("notebooks", "p1")
    assert have[record.SCOPE] == "team2"
    assert "meanwhile" in have["cover"]


def test_an_edit_that_loses_at_the_same_moment_is_kept_where_the_record_is(
    place: Workplace,
) -> None:
    village(place)
    late, first = place.phone("member1", "late"), place.phone("member1", "first")
    for phone in (late, first):
        phone.sync()
    first.save("notebooks", "p1", at=2000, cover={"n": "first"})
    first.sync()
    late.save("notebooks", "p1", at=1500, cover={"n": "late"})
    once: list[bool] = []

    def moved(_writes: Sequence[Write]) -> None:
        if not once:
            once.append(True)
            move(place)

    late.send = place.on(Interrupted(place.store, before=moved)).answer
    answer = late.sync()
    assert [item["code"] for item in answer["rejected"]] == ["moved"]
    kept = [*place.all("conflicts"), *place.all("quarantine")]
    assert {entry.fields[record.SCOPE] for entry in kept} == {"team2"}


def test_a_move_that_was_killed_half_way_is_finished_by_the_next_attempt(place: Workplace) -> None:
    village(place)

    class Killed(BaseException):
        pass

    def die(writes: Sequence[Write]) -> None:
        if any(write.key.collection == "notes" for write in writes):
            raise Killed

    transfer.move(place.store, CATALOG, P1, "team2", place.time)
    (job,) = place.jobs("transfer")
    with pytest.raises(Killed):
        place.worker(store=Interrupted(place.store, after=die)).run(job.id)
    place.time += 700_000  # its lease runs out
    place.follow()
    assert scopes(place) == {"team2"}


def test_what_cannot_be_moved_is_said(place: Workplace) -> None:
    village(place)
    with pytest.raises(InvalidRequest, match="belong to"):
        move(place, key=Key("notes", "c1"))
    with pytest.raises(InvalidRequest, match="no such table"):
        move(place, key=Key("nonsense", "c1"))
    with pytest.raises(InvalidRequest, match="1 to 128"):
        move(place, to="no team!")
    with pytest.raises(NotFound):
        move(place, key=Key("notebooks", "nobody"))

    def always(writes: Sequence[Write]) -> None:
        raise Contended("somebody is faster")

    with pytest.raises(Contended):
        transfer.move(Interrupted(place.store, before=always), CATALOG, P1, "team2", place.time)
