"""The conflict rule, on both stores and in both dialects: seen beats clocks, column by column.

Each story is one of people who use such systems; the server that loses an edit in silence fails it.
Edits are made by plain requests, as apps of all kinds send them: whole rows, rows that name what was
changed, columns alone.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.local.phone import Json, wall_ms
from shared.errors import StalePush
from shared.sync.conflict import Stamp, Writer
from tests.sync.clinic import Clinic, pass_millisecond
from tests.sync.test_watermelon import Melon, created, updated

MINUTE = 60.0
YEAR = 365 * 86_400.0


class App:
    """A phone of the batch dialect that keeps nothing but its cursor."""

    def __init__(self, clinic: Clinic, user: str = "member1", device: str = "one") -> None:
        self.phone = clinic.phone(user, device)
        self.clinic, self.cursor = clinic, 0.0

    def send(self, *rows: Json, table: str = "notes", cursor: float | None = None) -> Json:
        """Push rows; the cursor moves on unless one is given."""
        body = {
            "last_sync_timestamp": self.cursor if cursor is None else cursor,
            "changes": {table: list(rows)},
        }
        answer = self.clinic.answer(body, self.phone)
        if cursor is None:
            self.cursor = answer["new_sync_timestamp"]
        pass_millisecond()
        return answer

    def pull(self) -> Json:
        return self.send()


NOW = wall_ms() / 1000


@pytest.fixture(autouse=True)
def _today() -> None:
    """Edits are dated from the beginning of their test: the run may have begun long before."""
    global NOW
    NOW = wall_ms() / 1000


def edit(ago: float, name: str = "c1", **columns: Any) -> Json:
    """An edit so many seconds ago."""
    return {"id": name, "sync_status": "dirty", "last_modified_at": NOW - ago, **columns}


@pytest.fixture
def two(clinic: Clinic) -> tuple[App, App]:
    """Two phones of one team that hold the green note c1 with one photo."""
    clinic.join("member2")
    one, other = App(clinic), App(clinic, "member2", "two")
    one.send(edit(1000, "p1", sync_status="new", cover={"age": 30}), table="notebooks")
    note: Json = {"notebook_id": "p1", "body": {"q": 1}, "mark": "green", "picture_keys": ["k"]}
    one.send(edit(900, sync_status="new", **note))
    one.pull()
    other.pull()
    return one, other


def stored(clinic: Clinic, name: str = "c1") -> Json:
    have = clinic.fields("notes", name)
    return {**have, "body": json.loads(have["body"])}


def named(answer: Json) -> list[tuple[str, str, Json, Json]]:

    def side(item: Json, name: str) -> Json:
        return {column: item[name][column] for column in item["columns"]}

    return [
        (item["winner"], item["reason"], side(item, "yours"), side(item, "theirs"))
        for item in answer["conflicts"]
    ]


# --- several edits of one record in one push


def test_two_partial_edits_in_one_push_add_up(two: tuple[App, App], clinic: Clinic) -> None:
    answer = two[0].send(edit(50, mark="red"), edit(40, body={"q": 2}))
    assert (answer["accepted"], answer["conflicts"]) == ({"notes": ["c1"]}, [])
    assert (stored(clinic)["mark"], stored(clinic)["body"]) == ("red", {"q": 2})
    assert len(clinic.jobs()) == 1


def test_edits_of_one_push_are_applied_in_the_order_of_their_times(
    two: tuple[App, App], clinic: Clinic
) -> None:
    two[0].send(edit(40, body={"q": 3}), edit(50, body={"q": 2}, mark="yellow"))
    assert (stored(clinic)["mark"], stored(clinic)["body"]) == ("yellow", {"q": 3})


def test_a_creation_and_a_partial_edit_of_it_are_stored(
    two: tuple[App, App], clinic: Clinic
) -> None:
    new = edit(50, "c2", sync_status="new", notebook_id="p1", mark="red")
    answer = two[0].send(new, edit(40, "c2", body={"q": 2}))
    assert answer["rejected"] == []
    assert (stored(clinic, "c2")["mark"], stored(clinic, "c2")["body"]) == (
        "red",
        {"q": 2},
    )


def test_what_a_later_whole_row_does_not_name_keeps_the_earlier_edit(
    two: tuple[App, App], clinic: Clinic
) -> None:
    whole: Json = {"notebook_id": "p1", "mark": "green", "picture_keys": ["k"]}
    two[0].send(
        edit(50, mark="red"),
        edit(40, **whole, body={"q": 2}, changed=["body"]),
    )
    assert (stored(clinic)["mark"], stored(clinic)["body"]) == ("red", {"q": 2})


def test_created_and_deleted_in_one_push_is_deleted(two: tuple[App, App], clinic: Clinic) -> None:
    new = edit(50, "c2", sync_status="new", notebook_id="p1")
    answer = two[0].send(new, edit(40, "c2", sync_status="deleted"))
    assert answer["accepted"] == {"notes": ["c2"]}
    rows = App(clinic, device="new").pull()["server_updates"]["notes"]
    assert [row["id"] for row in rows] == ["c1"]


def test_an_edit_after_a_deletion_in_one_push_is_refused_and_kept(
    two: tuple[App, App], clinic: Clinic
) -> None:
    answer = two[0].send(edit(50, sync_status="deleted"), edit(40, body={"late": 1}))
    assert [item["code"] for item in answer["rejected"]] == ["deleted"]
    assert stored(clinic)["deleted_at"] is not None
    assert any('"late"' in entry.fields["raw"] for entry in clinic.all("quarantine"))


def test_a_record_that_stands_twice_gets_the_same_verdict_in_a_replay(
    two: tuple[App, App], clinic: Clinic
) -> None:
    rows = [edit(50, body={"q": 2}), edit(40, picture_keys=["k"] * 101)]
    since = two[0].cursor
    answers = [two[0].send(*rows, cursor=since) for _ in range(3)]
    for answer in answers:
        assert answer["accepted"] == {"notes": ["c1"]}
        assert [item["code"] for item in answer["rejected"]] == ["too_long"]
    assert answers[0]["receipt"] == answers[2]["receipt"]


# --- another column is no conflict

#: How the phones of the story send their edits.
SENT = {
    "columns alone": lambda row, _changed, _held: row,
    "whole rows that name what was changed": lambda row, changed, held: {
        **held, **row, "changed": changed,
    },
    "whole rows": lambda row, _changed, held: {**held, **row},
}  # fmt: skip

HELD: Json = {"notebook_id": "p1", "body": {"q": 1}, "mark": "green", "picture_keys": ["k"]}


@pytest.mark.parametrize("how", SENT)
@pytest.mark.parametrize("red_first", [True, False])
def test_edits_of_different_columns_both_stand_in_either_order(
    two: tuple[App, App], clinic: Clinic, how: str, red_first: bool
) -> None:
    one, other = two
    red = SENT[how](edit(600, body={"q": "red flag"}), ["body"], HELD)
    note = SENT[how](edit(300, mark="yellow"), ["mark"], HELD)
    pushes = [(one, red), (other, note)]
    answers = [app.send(row) for app, row in (pushes if red_first else pushes[::-1])]
    have = stored(clinic)
    assert (have["body"], have["mark"]) == ({"q": "red flag"}, "yellow")
    assert [named(answer) for answer in answers] == [[], []]
    # and each phone gets what it does not hold
    held = {}
    for answer, (app, _) in zip(answers, pushes if red_first else pushes[::-1], strict=True):
        for page in (answer, app.pull()):
            for row in page["server_updates"]["notes"]:
                held.setdefault(app.phone.user, {}).update(row)
    assert all(row.get("body", {"q": "red flag"}) == {"q": "red flag"} for row in held.values())
    assert all(row.get("mark", "yellow") == "yellow" for row in held.values())


def test_a_stale_copy_of_another_column_comes_back_corrected(
    two: tuple[App, App], clinic: Clinic
) -> None:
    one, other = two
    one.send(edit(600, body={"q": 2}))
    answer = other.send(edit(300, **{**HELD, "mark": "yellow"}))
    (row,) = answer["server_updates"]["notes"]
    assert row["body"] == {"q": 2}
    assert "mark" not in row  # as it was sent


def test_a_column_that_changed_more_often_than_anybody_remembers_goes_by_the_clock(
    two: tuple[App, App], clinic: Clinic
) -> None:
    one, other = two
    for number in range(6):
        one.send(edit(600 - number, body={"n": number}))
    answer = other.send(edit(300, **{**HELD, "mark": "yellow"}))
    assert named(answer) == [("client", "unseen_overwrite", {"body": {"q": 1}}, {"body": {"n": 5}})]


def test_both_changed_the_same_column_unseen(two: tuple[App, App], clinic: Clinic) -> None:
    one, other = two
    one.send(edit(600, body={"by": "one"}))
    answer = other.send(edit(700, body={"by": "other"}, mark="yellow"))
    assert named(answer) == [
        ("server", "older", {"body": {"by": "other"}}, {"body": {"by": "one"}})
    ]
    assert (stored(clinic)["body"], stored(clinic)["mark"]) == (
        {"by": "one"},
        "yellow",
    )


# --- declared merges


@pytest.mark.parametrize(("first", "second"), [("red", "yellow"), ("yellow", "red")])
def test_red_stays_red_between_two_that_did_not_know_of_each_other(
    two: tuple[App, App], clinic: Clinic, first: str, second: str
) -> None:
    one, other = two
    one.send(edit(600, mark=first))
    answer = other.send(edit(300, mark=second))
    assert stored(clinic)["mark"] == "red"
    (conflict,) = answer["conflicts"]
    assert conflict["winner"] == ("server" if first == "red" else "client")
    assert {conflict["yours"]["mark"], conflict["theirs"]["mark"]} == {"red", "yellow"}
    if first == "red":
        (row,) = answer["server_updates"]["notes"]
        assert row["mark"] == "red"


def test_no_photo_vanishes_between_two_that_did_not_know_of_each_other(
    two: tuple[App, App], clinic: Clinic
) -> None:
    one, other = two
    one.send(edit(600, picture_keys=["k", "one"]))
    answer = other.send(edit(300, picture_keys=["k", "other"]))
    assert stored(clinic)["picture_keys"] == ["k", "one", "other"]
    assert answer["conflicts"] == []
    (row,) = answer["server_updates"]["notes"]
    assert row["picture_keys"] == ["k", "one", "other"]


def test_who_has_seen_the_row_may_lower_its_colour_and_remove_a_photo(
    two: tuple[App, App], clinic: Clinic
) -> None:
    one, other = two
    one.send(edit(600, mark="red", picture_keys=["k", "bad"]))
    other.pull()
    answer = other.send(edit(300, mark="green", picture_keys=["k"]))
    assert (stored(clinic)["mark"], stored(clinic)["picture_keys"]) == ("green", ["k"])
    assert answer["conflicts"] == []


def test_what_a_watermelon_phone_lowers_by_a_blind_merge_is_named(
    two: tuple[App, App], clinic: Clinic
) -> None:
    # given a phone that made a note yellow offline, before a colleague made it red
    melon = Melon(clinic, "member2", "melon")
    melon.pull()
    offline = wall_ms()
    pass_millisecond()
    two[0].send(edit(600, mark="red"))
    # when its client lays its own column over the pulled row, as it does unasked
    pulled = melon.pull()
    (row,) = [row for row in pulled["changes"]["notes"]["created"] if row["id"] == "c1"]
    mine = {**row, "mark": "yellow", "_changed": "mark", "last_modified_at": offline}
    melon.push(updated(mine, table="notes"), pulled["timestamp"])
    # then nobody has looked at the red: it is kept for a doctor
    assert stored(clinic)["mark"] == "yellow"
    (entry,) = clinic.all("conflicts")
    assert json.loads(entry.fields["theirs"]) == {"mark": "red"}


def test_what_a_watermelon_phone_sends_again_after_a_lost_answer_drops_no_photo_of_others(
    clinic: Clinic, two: tuple[App, App]
) -> None:
    one, _ = two
    melon = Melon(clinic, "member2", "melon")
    pulled = melon.pull()
    (row,) = [row for row in pulled["changes"]["notes"]["created"] if row["id"] == "c1"]
    mine = {
        **row,
        "picture_keys": '["k","m"]',
        "body": '{"q":5}',
        "_changed": "picture_keys,body",
        "last_modified_at": round((NOW - 50) * 1000),
    }
    # given a photo that arrived, but whose answer did not, and another's photo since
    melon.push(updated(mine, table="notes"), pulled["timestamp"])
    one.pull()
    after: Json = {"picture_keys": ["k", "m", "n"], "body": {"q": 6}}
    one.send(edit(40, **after, changed=list(after)))
    # when its client lays the column, which it believes unsent, over the pulled row
    since = melon.pull(pulled["timestamp"])["timestamp"]
    melon.push(updated(mine, table="notes"), since, fingerprint="again")
    # then the other's photo is there, and nobody is bothered
    assert {name: stored(clinic)[name] for name in after} == after
    assert clinic.all("conflicts") == []


def test_an_own_undo_from_before_the_clock_was_set_is_named(clinic: Clinic, two: Any) -> None:
    one, _ = two
    before = one.pull()["new_sync_timestamp"]
    row: Json = {"notebook_id": "p1", "mark": "green", "picture_keys": ["k"]}
    one.phone.clock = lambda: wall_ms() - 600_000
    one.send(edit(700, body={"q": 2}, **row), cursor=before)
    # when its user went back, then the phone's clock was put right, and the answer had not come
    one.phone.clock = wall_ms
    answer = one.send(edit(650, body={"q": 1}, **row), cursor=before)
    assert [item[:2] for item in named(answer)] == [("server", "older")]


def test_a_red_that_another_had_lowered_meanwhile_is_still_this_phone_s_choice(
    two: tuple[App, App], clinic: Clinic
) -> None:
    one, other = two
    # given a colour that went up and down again after this phone had looked
    one.send(edit(300, mark="red", changed=["mark"]))
    one.send(edit(200, mark="yellow", changed=["mark"]))
    # when it chooses red itself, in a whole row, with a clock that is behind
    row: Json = {"notebook_id": "p1", "body": {"q": 1}, "picture_keys": ["k"], "mark": "red"}
    other.send(edit(YEAR, **row))
    assert stored(clinic)["mark"] == "red"


@pytest.mark.parametrize("later_ms", [-60_000, 20_000])
def test_a_clone_on_watermelon_lowers_no_red_of_its_twin_unnamed(
    two: tuple[App, App], clinic: Clinic, later_ms: int
) -> None:
    melon, twin = Melon(clinic, "member2", "melon"), Melon(clinic, "member2", "melon")
    pulled = melon.pull()
    (row,) = [row for row in pulled["changes"]["notes"]["created"] if row["id"] == "c1"]
    at = round((NOW - 50) * 1000)
    told = {**row, "mark": "red", "_changed": "mark", "last_modified_at": at}
    twin.push(updated(told, table="notes"), pulled["timestamp"])
    since = melon.pull(pulled["timestamp"])["timestamp"]
    mine = {**told, "mark": "yellow", "last_modified_at": at + later_ms}
    melon.push(updated(mine, table="notes"), since)
    (entry,) = clinic.all("conflicts")
    assert json.loads(entry.fields["theirs"]) == {"mark": "red"}


def test_a_watermelon_phone_gets_what_its_blind_merge_did_not_lower(
    two: tuple[App, App], clinic: Clinic
) -> None:
    melon = Melon(clinic, "member2", "melon")
    since = melon.pull()["timestamp"]
    at = round((NOW - 50) * 1000)
    two[0].send(edit(60, mark="yellow", changed=["mark"]))
    (row,) = melon.pull(since)["changes"]["notes"]["updated"]
    # given a green of before the yellow, which the note had once, in an edit with the latest time
    mine = {**row, "mark": "green", "body": '{"q":9}', "last_modified_at": at}
    since = melon.pull(since)["timestamp"]
    melon.push(updated({**mine, "_changed": "mark,body"}, table="notes"), since)
    # then the next pull brings the colour that stayed
    (row,) = melon.pull(since)["changes"]["notes"]["updated"]
    assert (row["mark"], row["body"]) == ("yellow", '{"q":9}')


def test_a_change_that_comes_again_gets_what_became_of_it(two: tuple[App, App]) -> None:
    one, other = two
    mine = edit(300, body={"q": 2}, changed=["body"])
    one.send(mine)
    other.pull()
    other.send(edit(200, body={"q": 3}, changed=["body"]))
    one.pull()
    # when it comes again with a cursor that no listing goes back behind
    (row,) = one.send(mine)["server_updates"]["notes"]
    assert row["body"] == {"q": 3}


# --- seen beats clocks

CLOCKS = {
    "right": (10.0, 0.0),
    "ten minutes behind": (10 * MINUTE, -10 * MINUTE),
    "two years behind": (2 * YEAR, -2 * YEAR),
    "in 1970": (NOW - 5, 5 - NOW),
    "a day ahead": (-86_400.0, 86_400.0),
    "ahead, put right since": (-3600.0, 0.0),
    "not told": (10 * MINUTE, None),
}


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("deleting", [False, True])
def test_an_edit_of_what_one_has_seen_wins_whatever_the_clock_says(
    two: tuple[App, App], clinic: Clinic, clock: str, deleting: bool
) -> None:
    one, other = two
    ago, off = CLOCKS[clock]
    if off is not None:
        other.phone.clock = lambda: wall_ms() + round(off * 1000)
    one.send(edit(100, body={"by": "one"}))
    before = stored(clinic)["last_modified_at"]
    other.pull()
    row: Json = {"sync_status": "deleted"} if deleting else {"body": {"by": "other"}}
    answer = other.send(edit(ago, **row))
    assert answer["conflicts"] == []
    if deleting:
        assert stored(clinic)["deleted_at"] is not None
    else:
        assert stored(clinic)["body"] == {"by": "other"}
    # and its time is later than what it was made of, so that all phones order them alike
    assert stored(clinic)["last_modified_at"] > before
    # an edit that was made in between, and comes now, does not undo it
    if not deleting:
        late = App(clinic, "member1", "third")
        late.send(edit(99.5, body={"by": "third"}))
        assert stored(clinic)["body"]["by"] in ("other", "third")


def test_an_edit_within_the_same_second_after_a_sync_is_later(
    two: tuple[App, App], clinic: Clinic
) -> None:
    second = int(NOW) - 30
    for number in (2, 3):
        row: Json = {"id": "c1", "sync_status": "dirty", "last_modified_at": second}
        answer = two[0].send({**row, "body": {"q": number}})
        assert answer["conflicts"] == []
    assert stored(clinic)["body"] == {"q": 3}


def test_an_own_later_edit_never_loses_to_an_own_earlier_one_whose_answer_was_lost(
    two: tuple[App, App], clinic: Clinic
) -> None:
    one = two[0]
    one.phone.clock = lambda: wall_ms() + 3 * 3_600_000
    one.send(edit(-3 * 3600 + 20, body={"n": 1}), cursor=one.cursor)  # the answer is lost
    one.phone.clock = wall_ms  # put right
    one.send(edit(10, body={"n": 2}), cursor=one.cursor)
    assert stored(clinic)["body"] == {"n": 2}


def test_the_version_that_a_phone_names_it_has_seen(two: tuple[App, App], clinic: Clinic) -> None:
    # given a phone that got a row with a page of a sync that never ended: its cursor is old
    one, other = two
    since = other.cursor
    one.send(edit(100, body={"by": "one"}))
    row = next(r for r in other.send(cursor=since)["server_updates"]["notes"] if r["id"] == "c1")
    answer = other.send(edit(500, body={"by": "other"}, updated_at=row["updated_at"]), cursor=since)
    assert answer["conflicts"] == []
    assert stored(clinic)["body"] == {"by": "other"}


# --- undo


def test_an_older_edit_loses_to_an_undo(two: tuple[App, App], clinic: Clinic) -> None:
    one, other = two
    one.send(edit(100, body={"q": 1}))  # tried something, and took it back
    answer = other.send(edit(200, body={"q": "older"}))
    assert [item["reason"] for item in answer["conflicts"]] == ["older"]
    assert stored(clinic)["body"] == {"q": 1}


def test_an_undo_moves_the_time_on_also_where_the_record_was_not_seen(
    two: tuple[App, App], clinic: Clinic
) -> None:
    one, other = two
    one.send(edit(100, body={"q": 1}), cursor=0)
    answer = other.send(edit(200, body={"q": "older"}), cursor=0)
    assert [item["reason"] for item in answer["conflicts"]] == ["older"]
    assert stored(clinic)["body"] == {"q": 1}


@pytest.mark.parametrize("ago", [10.0, 10 * MINUTE, 2 * YEAR])
def test_a_watermelon_push_that_the_network_held_back_does_not_undo_an_undo(
    clinic: Clinic, ago: float
) -> None:
    # given a phone that changed a record, and whose push the network holds back
    melon = Melon(clinic)
    first = {"id": "p1", "cover": '{"v":0}', "last_modified_at": wall_ms() - 60_000}
    melon.push(created(first))
    since = melon.pull()["timestamp"]
    held = updated({**first, "cover": '{"v":1}', "last_modified_at": wall_ms() - round(ago * 1000)})
    # when it takes the change back, and that push gets through
    undone = {**first, "last_modified_at": wall_ms() - round(ago * 1000) + 500}
    melon.push(updated(undone), since)
    # then the first one comes too late
    with pytest.raises(StalePush):
        melon.push(held, since)
    assert clinic.fields("notebooks", "p1")["cover"] == '{"v":0}'


def test_the_very_same_edit_again_moves_nothing(two: tuple[App, App], clinic: Clinic) -> None:
    row = edit(100, **HELD)
    two[0].send(row)
    before = clinic.get("notes", "c1")
    for app in two:
        app.send(row)
    after = clinic.get("notes", "c1")
    assert before is not None
    assert after is not None
    assert before.version == after.version


# --- restored and cloned phones


def test_what_a_restored_phone_cannot_have_seen_is_named_and_kept(
    two: tuple[App, App], clinic: Clinic
) -> None:
    one = two[0]
    backup = one.cursor
    one.send(edit(600, body={"allergy": "penicillin"}))
    answer = one.send(edit(300, body={"phone": "123"}), cursor=backup)
    assert named(answer) == [
        (
            "client",
            "unseen_overwrite",
            {"body": {"phone": "123"}},
            {"body": {"allergy": "penicillin"}},
        )
    ]
    (entry,) = clinic.all("conflicts")
    assert "penicillin" in entry.fields["theirs"]


def test_a_restored_phone_s_whole_row_undoes_nothing(two: tuple[App, App], clinic: Clinic) -> None:
    one = two[0]
    backup = one.cursor
    one.send(edit(600, body={"allergy": "penicillin"}))
    answer = one.send(edit(300, **{**HELD, "mark": "yellow"}), cursor=backup)
    # Its copy of the backup might have been an undo of its own: it is not taken, and named.
    assert named(answer) == [
        ("server", "older", {"body": {"q": 1}}, {"body": {"allergy": "penicillin"}})
    ]
    assert stored(clinic)["body"] == {"allergy": "penicillin"}
    (row,) = answer["server_updates"]["notes"]
    assert row["body"] == {"allergy": "penicillin"}


def test_a_restored_phone_names_what_it_changed(two: tuple[App, App], clinic: Clinic) -> None:
    one = two[0]
    backup = one.cursor
    for number in range(5):  # more than is known by its hash
        one.send(edit(600 - number, body={"n": number}))
    row: Json = {**HELD, "mark": "yellow", "changed": ["mark"]}
    answer = one.send(edit(300, **row), cursor=backup)
    assert answer["conflicts"] == []
    assert (stored(clinic)["body"], stored(clinic)["mark"]) == ({"n": 4}, "yellow")


def test_two_clones_of_one_phone_lose_nothing_to_each_other(
    two: tuple[App, App], clinic: Clinic
) -> None:
    one = two[0]
    clone = App(clinic, "member1", "one")
    clone.cursor = one.cursor
    one.send(edit(600, body={"by": "one"}, picture_keys=["k", "a"]))
    answer = clone.send(edit(700, body={"by": "clone"}, picture_keys=["k", "b"]))
    assert stored(clinic)["body"] == {"by": "one"}
    assert stored(clinic)["picture_keys"] == ["k", "a", "b"]
    assert named(answer) == [
        ("server", "older", {"body": {"by": "clone"}}, {"body": {"by": "one"}})
    ]


def test_a_watermelon_phone_that_was_rolled_back_gets_everything_again(clinic: Clinic) -> None:
    melon = Melon(clinic)
    melon.push(created({"id": "p1", "cover": "{}", "last_modified_at": wall_ms() - 9000}))
    since = melon.pull()["timestamp"]
    (row,) = Melon(clinic, device="other").pull()["changes"]["notebooks"]["created"]
    edited = {**row, "cover": '{"v":1}', "last_modified_at": wall_ms()}
    melon.push(updated(edited), since)
    # it has the answer of its push, so it need not hear of it again
    assert melon.pull(since)["changes"]["notebooks"]["updated"] == []
    # a backup of it has not, though its id and its cursor are the same
    rolled_back = Melon(clinic)
    (row,) = rolled_back.pull(since)["changes"]["notebooks"]["updated"]
    assert row["cover"] == '{"v":1}'


# --- times


def test_created_at_is_the_phone_s_and_received_at_the_server_s(
    two: tuple[App, App], clinic: Clinic
) -> None:
    one = two[0]
    day = 86_400.0
    one.send(edit(day, "c2", sync_status="new", notebook_id="p1"))
    one.send(edit(day, "c3", sync_status="new", notebook_id="p1", created_at=NOW - 2 * day))
    one.send(edit(day, "c4", sync_status="new", notebook_id="p1", created_at=NOW + 9 * day))
    for name, made in (("c2", NOW - day), ("c3", NOW - 2 * day), ("c4", NOW - day)):
        have = stored(clinic, name)
        assert have["created_at"] == round(made * 1000)
        assert have["received_at"] >= round(NOW * 1000)
    one.send(edit(10, "c3", body={"q": 2}, created_at=NOW))  # it is for good
    assert stored(clinic, "c3")["created_at"] == round((NOW - 2 * day) * 1000)


def test_watermelon_s_own_created_at_survives_and_its_clamped_time_comes_back(
    clinic: Clinic,
) -> None:
    melon = Melon(clinic)
    ahead = wall_ms() + 3 * 3_600_000
    made = wall_ms() - 86_400_000
    row: Json = {"id": "p1", "cover": "{}", "last_modified_at": ahead, "created_at": made}
    since = melon.pull()["timestamp"]
    melon.push(created(row), since)
    (back,) = melon.pull(since)["changes"]["notebooks"]["updated"]
    assert back["created_at"] == made
    assert back["last_modified_at"] < ahead
    since = melon.pull(since)["timestamp"]
    melon.push(updated({**row, "_changed": "cover"}), since)  # the same, still ahead
    (back,) = melon.pull(since)["changes"]["notebooks"]["updated"]
    assert back["last_modified_at"] < ahead


# --- deletions take children along


def test_the_children_of_a_deleted_parent_go_in_the_same_commit(
    two: tuple[App, App], clinic: Clinic
) -> None:
    two[0].send(edit(10, mark="red"))
    answer = two[0].send(edit(5, "p1", sync_status="deleted"), table="notebooks")
    assert answer["deleted"]["notes"] == ["c1"]
    assert answer["deleted"]["summary_queue"] == ["c1"]
    notebook, note = clinic.get("notebooks", "p1"), clinic.get("notes", "c1")
    assert notebook is not None
    assert note is not None
    assert notebook.version == note.version
    assert stored(clinic)["_deleted_with"] == "notebooks/p1"


def test_more_children_than_a_commit_holds_go_with_the_same_push(clinic: Clinic) -> None:
    one = App(clinic)
    one.send(edit(100, "p1", sync_status="new"), table="notebooks")
    for start in range(0, 900, 300):
        one.send(*(
            edit(90, f"c{n}", sync_status="new", notebook_id="p1") for n in range(start, start + 300)
        ))  # fmt: skip
    one.send(edit(5, "p1", sync_status="deleted"), table="notebooks")
    assert all(note.fields.get("deleted_at") for note in clinic.all("notes"))


# --- answers are as small as their news


def test_of_what_the_phone_sent_only_the_news_comes_back(
    two: tuple[App, App], clinic: Clinic
) -> None:
    one = two[0]
    columns = {"notebook_id": "p1", "body": {"note": "x" * 500}, "mark": "green"}
    answer = one.send(*(edit(20, f"n{n}", sync_status="new", **columns) for n in range(50)))
    rows = {row.pop("id"): row for row in answer["server_updates"]["notes"]}
    filled = {"maker_id": "member1", "status": "KEPT", "scope_id": "team1"}
    assert rows == {f"n{n}": filled for n in range(50)}
    # of a partial edit, what the server made of it
    answer = one.send(edit(10, "n1", mark="red"))
    (row,) = answer["server_updates"]["notes"]
    assert row == {"id": "n1", "status": "WAITING"}


# --- limits are bytes

HINDI = "खुजली और लाल दाने " * 9000  # 160,000 characters, 440,000 bytes

QUOTES = '"\\' * 100_000


@pytest.mark.parametrize("text", [HINDI, QUOTES])
def test_large_values_are_stored_lose_and_are_kept_without_a_500(
    two: tuple[App, App], clinic: Clinic, text: str
) -> None:
    one, other = two
    since = other.cursor
    big: Json = {"body": {"a": text}}
    assert one.send(edit(100, **big))["rejected"] == []
    answer = other.send(edit(200, body={"b": text}), cursor=since)
    assert [item["reason"] for item in answer["conflicts"]] == ["older"]
    kept = [json.loads(entry.fields["yours"]) for entry in clinic.all("conflicts")]
    assert any("body" in yours for yours in kept)
    refused = other.send(edit(50, picture_keys=["k"] * 101, body={"c": text}))
    assert [item["code"] for item in refused["rejected"]] == ["too_long"]


def test_two_large_sides_of_a_conflict_are_kept_apart(two: tuple[App, App], clinic: Clinic) -> None:
    one, other = two
    one.send(edit(100, body={"one": "a" * 480_000}))
    other.send(edit(200, body={"other": "b" * 480_000}))
    sides = [(len(e.fields["yours"]), len(e.fields["theirs"])) for e in clinic.all("conflicts")]
    assert sorted(side > 480_000 for pair in sides for side in pair) == [False, False, True, True]
    assert all(sum(pair) < 1_000_000 for pair in sides)


def test_a_stale_push_of_large_records_keeps_the_values(clinic: Clinic) -> None:
    melon, other = Melon(clinic), App(clinic, device="other")
    ids = [f"L{n}" for n in range(12)]
    note = json.dumps({"note": "ख" * 100_000}, ensure_ascii=False)
    rows = [{"id": i, "cover": note, "last_modified_at": wall_ms() - 9000} for i in ids]
    melon.push(created(*rows))
    since = melon.pull()["timestamp"]
    other.pull()
    other.send(*(edit(1, i, sync_status="deleted") for i in ids), table="notebooks")
    late = [{**row, "cover": note.replace("ख", "ग")} for row in rows]
    with pytest.raises(StalePush):
        melon.push(updated(*late), since)
    kept = [entry.fields["yours"] for entry in clinic.all("conflicts")]
    assert sum("ग" in text for text in kept) == len(ids)


# --- after a restore


@pytest.mark.parametrize("listed", [False, True])
def test_a_copy_that_is_offered_after_a_restore_is_no_edit_of_what_is_newer(
    clinic: Clinic, two: tuple[App, App], listed: bool
) -> None:
    one, other = two
    before = one.pull()["new_sync_timestamp"]
    copy = {**stored(clinic), "id": "c1", "sync_status": "new"}
    offered = {
        name: copy[name]
        for name in ("id", "sync_status", "notebook_id", "body", "mark", "picture_keys")
    }
    # given an edit that the other made since
    other.send(edit(100, body={"q": 2}, changed=["body"]))
    # when the phone offers its copy, with the cursor that the listing brought or without
    cursor = one.pull()["new_sync_timestamp"] if listed else before
    answer = one.send({**offered, "last_modified_at": NOW - 850}, cursor=cursor)
    # then the edit stands, and nobody is bothered
    assert stored(clinic)["body"] == {"q": 2}
    assert answer["accepted"]["notes"] == ["c1"]
    assert named(answer) == []


def test_a_copy_that_watermelon_offers_is_no_edit_either(clinic: Clinic) -> None:
    one, other = Melon(clinic), App(clinic, "member2", "two")
    clinic.join("member2")
    mine = {"id": "p1", "cover": '{"age":30}', "last_modified_at": wall_ms() - 900_000}
    one.push(created(mine))
    other.send(edit(100, "p1", cover={"age": 31}, changed=["cover"]), table="notebooks")
    one.push(created(mine), one.pull()["timestamp"])
    assert clinic.fields("notebooks", "p1")["cover"] == '{"age":31}'


def test_offering_the_very_copy_that_is_stored_writes_nothing(
    clinic: Clinic, two: tuple[App, App]
) -> None:
    one, _ = two
    # given a record of which one column was changed later
    one.send(edit(100, body={"q": 2}, changed=["body"]))
    have = clinic.get("notes", "c1")
    assert have is not None
    row: Json = {"body": {"q": 2}, "notebook_id": "p1", "mark": "green", "picture_keys": ["k"]}
    one.send({**edit(100, sync_status="new", **row)})
    again = clinic.get("notes", "c1")
    assert again is not None
    assert again.version == have.version


def test_what_a_device_wrote_in_the_ms_of_its_cursor_it_has_seen() -> None:
    writer = Writer("phone", "member1", 5, 9, 0, 0, 0, pulled_first=False)
    mine = Stamp(5_700, 1, 1, 0, "phone", "member1")
    assert writer.has_seen(mine, 5_000)
    assert not writer.has_seen(mine, 4_000)
    assert not writer.has_seen(mine._replace(device="other"), 5_000)


def test_an_own_change_in_the_ms_of_the_cursor_is_nobodys_loss(
    clinic: Clinic, two: tuple[App, App]
) -> None:
    one, other = two
    one.send(edit(100, body={"q": 2}, changed=["body"]))
    have = clinic.get("notes", "c1")
    assert have is not None
    # given a cursor that was rounded down to the ms of this phone's own commit
    cursor = have.version // 1000 / 1000
    answer = one.send(edit(90, body={"q": 3}, changed=["body"]), cursor=cursor)
    assert named(answer) == []
    # but what another wrote in it was not seen
    have = clinic.get("notes", "c1")
    assert have is not None
    cursor = have.version // 1000 / 1000 - 0.001
    answer = other.send(edit(80, body={"q": 4}, changed=["body"]), cursor=cursor)
    assert [item[:2] for item in named(answer)] == [("client", "unseen_overwrite")]
