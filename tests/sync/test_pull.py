"""The read path, on both stores: everything that changed arrives, and nothing that should not."""

from __future__ import annotations

import time

import pytest

from infra.local.phone import Json, Phone
from shared.access import membership
from shared.access.membership import Caller
from shared.errors import Contended, InvalidCursor, InvalidRequest, PageExpired
from shared.records import record
from shared.records.store import ABSENT, Key, delete, patch, put
from shared.sync.dialects import batch
from shared.sync.pull import EPOCH, PAGE_LIFE_MS, Row, Start
from tests.neutral.tables import CATALOG
from tests.stores import Asked, Interrupted
from tests.sync.clinic import Clinic, pass_millisecond, wall_ms


def team_of(clinic: Clinic, *users: str, team: str = "team1") -> list[Phone]:
    for user in users:
        clinic.join(user, team)
    return [clinic.phone(user) for user in users]


def register(phone: Phone, count: int = 1, stem: str = "p") -> None:
    for number in range(count):
        phone.save("notebooks", f"{stem}{number}", cover={"n": number})
    phone.sync()


def ids(phone: Phone, table: str = "notebooks") -> set[str]:
    return {name for held, name in phone.rows if held == table}


def test_a_first_sync_brings_everything_of_the_team(clinic: Clinic) -> None:
    one, two = team_of(clinic, "member1", "member2")
    register(one, 5)
    assert set(two.sync()["server_updates"]) == {"notebooks", "notes", "summary_queue"}
    assert ids(two) == {f"p{n}" for n in range(5)}


def test_a_first_sync_lists_no_deletions(clinic: Clinic) -> None:
    one, two = team_of(clinic, "member1", "member2")
    register(one, 2)
    one.delete("notebooks", "p0")
    one.sync()
    assert two.sync()["deleted"]["notebooks"] == []
    assert ids(two) == {"p1"}


def test_only_what_changed_comes_again(clinic: Clinic) -> None:
    one, two = team_of(clinic, "member1", "member2")
    register(one, 3)
    two.sync()
    one.save("notebooks", "p1", cover={"n": "new"})
    one.sync()
    rows = two.sync()["server_updates"]["notebooks"]
    assert [row["id"] for row in rows] == ["p1"]
    assert two.sync()["server_updates"]["notebooks"] == []


def test_a_phone_that_joins_a_team_gets_its_old_records(clinic: Clinic) -> None:
    (one,) = team_of(clinic, "member1", team="team2")
    one.save("notebooks", "old", cover={}, scope_id="team2")
    one.sync()
    clinic.join("member2")
    two = clinic.phone("member2")
    two.sync()
    assert ids(two) == set()
    clinic.join("member2", "team2")
    two.sync()
    assert ids(two) == {"old"}


def test_a_phone_that_loses_its_team_drops_its_records(clinic: Clinic) -> None:
    one, two = team_of(clinic, "member1", "member2")
    register(one, 3)
    two.sync()
    clinic.leave("member2")
    answer = two.sync()
    assert sorted(answer["deleted"]["notebooks"]) == ["p0", "p1", "p2"]
    assert ids(two) == set()
    register(one, 1, "later")
    assert two.sync()["server_updates"]["notebooks"] == []


def test_a_phone_that_comes_back_to_its_team_gets_it_again(clinic: Clinic) -> None:
    one, two = team_of(clinic, "member1", "member2")
    register(one, 2)
    two.sync()
    clinic.leave("member2")
    two.sync()
    clinic.join("member2")
    two.sync()
    assert ids(two) == {"p0", "p1"}


def test_a_row_that_the_server_rewrites_while_it_is_listed_comes_all_the_same(
    clinic: Clinic,
) -> None:
    """Else the phone's next edit would overwrite what it never saw, as if it had seen it."""
    one, two = team_of(clinic, "member1", "member2")
    register(one, 3)
    two.sync()
    pass_millisecond()
    one.save("notebooks", "p1", cover={"n": "one"})
    one.sync()
    caller = Caller("member2", "member", "member2-phone")
    pull = clinic.puller.start(caller, Start(round(two.cursor * 1000)), clinic.now_ms())
    stored = clinic.get("notebooks", "p1")
    assert stored is not None
    clinic.store.commit([record.server_patch(stored, {"maker_id": "server"})])
    one.save("notebooks", "p2", cover={"n": "later"})
    one.sync()
    brought = {
        item.document.key.id: item.document.fields["cover"]
        for item in pull.items
        if isinstance(item, Row)
    }
    assert "one" in brought["p1"]
    assert "later" not in brought.get("p2", "")


def test_what_is_edited_while_a_lost_team_is_listed_goes_too(clinic: Clinic) -> None:
    one, two = team_of(clinic, "member1", "member2")
    register(one, 4)
    two.sync()
    clinic.leave("member2")
    two.limit = 1
    answer = two.send(two.request(), two)
    two.apply(answer)
    for number in range(4):
        one.save("notebooks", f"p{number}", cover={"n": "edited"})
    one.sync()
    while answer["has_more"]:
        answer = two.send({"page": answer["next_page"], "limit": 1}, two)
        two.apply(answer)
    assert ids(two) == set()


def test_a_record_that_moved_away_is_dropped_and_arrives_where_it_went(clinic: Clinic) -> None:
    one, two = team_of(clinic, "member1", "member2")
    (three,) = team_of(clinic, "member3", team="team2")
    register(one, 2)
    two.sync()
    three.sync()
    move(clinic, "notebooks", "p0", "team1", "team2")
    assert two.sync()["deleted"]["notebooks"] == ["p0"]
    three.sync()
    assert (ids(two), ids(three)) == ({"p1"}, {"p0"})
    # and back again
    move(clinic, "notebooks", "p0", "team2", "team1")
    two.sync()
    three.sync()
    assert (ids(two), ids(three)) == ({"p0", "p1"}, set())


def test_a_record_that_moved_between_two_of_my_teams_stays(clinic: Clinic) -> None:
    one, two = team_of(clinic, "member1", "member2")
    clinic.join("member2", "team2")
    register(one, 1)
    two.sync()
    move(clinic, "notebooks", "p0", "team1", "team2")
    assert two.sync()["deleted"]["notebooks"] == []
    assert ids(two) == {"p0"}


def move(clinic: Clinic, table: str, name: str, here: str, there: str) -> None:
    """What moving a record to another team commits."""
    stored = clinic.get(table, name)
    assert stored is not None

    def revoked(scope: str, to: str) -> Json:
        return {"scope_id": scope, "table": table, "record_id": name, "to_scope": to}

    clinic.store.commit(
        [
            record.server_patch(stored, {"scope_id": there}),
            put(record.revocation(stored.key, here), revoked(here, there), None),
            put(record.revocation(stored.key, there), revoked(there, there), None),
        ]
    )


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
def test_pages_bring_each_row_once_whatever_their_size(clinic: Clinic, limit: int) -> None:
    one, two = team_of(clinic, "member1", "member2")
    register(one, 9)
    for number in range(4):
        one.save("notes", f"c{number}", notebook_id="p1", mark="green", body={})
    one.sync()
    two.limit = limit
    seen: list[tuple[str, str]] = []
    answer = two.send(two.request(), two)
    pages = 1
    while True:
        for table, rows in answer["server_updates"].items():
            seen += [(table, row["id"]) for row in rows]
        if not answer["has_more"]:
            break
        assert answer["new_sync_timestamp"] == 0  # the old cursor while there is more
        body = {"last_sync_timestamp": 0, "page": answer["next_page"], "limit": limit}
        answer = two.send(body, two)
        pages += 1
    assert len(seen) == len(set(seen)) == 13
    assert pages >= -(-13 // limit)
    assert answer["new_sync_timestamp"] > 0


def test_what_is_written_between_two_pages_arrives_with_the_next_sync(clinic: Clinic) -> None:
    one, two = team_of(clinic, "member1", "member2")
    register(one, 6)
    two.limit = 2
    answer = two.send(two.request(), two)
    two.apply(answer)
    one.save("notebooks", "p5", cover={"n": "changed"})
    one.save("notebooks", "extra", cover={})
    one.sync()
    while answer["has_more"]:
        body = {"last_sync_timestamp": 0, "page": answer["next_page"], "limit": 2}
        answer = two.send(body, two)
        two.apply(answer)
    two.limit = None
    two.sync()
    assert ids(two) == {f"p{n}" for n in range(6)} | {"extra"}
    row = two.row("notebooks", "p5")
    assert row is not None
    assert row["cover"] == {"n": "changed"}


def test_a_first_sync_that_takes_a_day_misses_nothing(clinic: Clinic) -> None:
    """Its snapshot is readable for an hour: later pages are read in the state of their own hour."""
    one, two = team_of(clinic, "member1", "member2")
    register(one, 24)
    one.sync()
    two.limit = 3
    began, pages = clinic.now_ms(), 0
    answer = two.send(two.request(), two)
    two.apply(answer)
    while answer["has_more"]:
        # given what others do between two pages, three hours apart
        held = sorted(name for table, name in two.rows if table == "notebooks")
        waiting = sorted({name for _, name in one.rows} - set(held))
        for names in (held, waiting):
            if len(names) > 2:
                one.save("notebooks", names[0], cover={"changed": pages})
                one.delete("notebooks", names[1])
        one.save("notebooks", f"new{pages}", cover={})
        one.sync()
        pages += 1
        clinic.now_ms = lambda at=began + pages * 3 * 3_600_000: at  # type: ignore[misc]
        answer = two.send({"page": answer["next_page"], "limit": 3}, two)
        clinic.now_ms = wall_ms
        two.apply(answer)
    assert pages >= 6
    # then the next sync makes it whole
    two.limit = None
    two.sync()
    one.sync()
    assert ids(two) == ids(one)
    for name in ids(one):
        mine, theirs = one.row("notebooks", name), two.row("notebooks", name)
        assert mine is not None
        assert theirs is not None
        assert mine["cover"] == theirs["cover"]


def test_a_team_lost_between_two_pages_is_not_listed_further(clinic: Clinic) -> None:
    one, two = team_of(clinic, "member1", "member2")
    register(one, 6)
    two.limit = 2
    answer = two.send(two.request(), two)
    clinic.leave("member2")
    page = two.send({"page": answer["next_page"], "limit": 2}, two)
    assert page["server_updates"]["notebooks"] == []


def test_a_page_token_is_only_good_for_its_user_and_its_hour(clinic: Clinic) -> None:
    one, two = team_of(clinic, "member1", "member2")
    register(one, 4)
    two.limit = 2
    token = two.send(two.request(), two)["next_page"]
    with pytest.raises(InvalidCursor):
        one.send({"page": token}, one)
    for broken in ("", "x", token[:-2], token[:-1] + ("A" if token[-1] != "A" else "B"), "é"):
        with pytest.raises((InvalidCursor, InvalidRequest)):
            two.send({"page": broken}, two)
    began = clinic.now_ms()
    clinic.now_ms = lambda: began + PAGE_LIFE_MS + 60_000
    with pytest.raises(PageExpired):
        two.send({"page": token}, two)


def test_changes_go_with_the_first_page_only(clinic: Clinic) -> None:
    phone = clinic.phone()
    body = {"page": "x", "changes": {"notebooks": [{"id": "p1"}]}}
    with pytest.raises(InvalidRequest):
        phone.send(body, phone)


# --- no echo


def test_a_phone_does_not_get_its_own_push_back(clinic: Clinic) -> None:
    (one,) = team_of(clinic, "member1")
    one.save("notebooks", "p1", cover={"a": 1}, maker_id="member1")
    assert one.sync()["server_updates"]["notebooks"] == []
    # A record of the cursor's own millisecond may come twice: that is the price of whole ms.
    stored = clinic.get("notebooks", "p1")
    assert stored is not None
    own_ms = round(one.cursor * 1000) == stored.version // 1000
    assert one.sync()["server_updates"]["notebooks"] == [] or own_ms


def test_a_new_row_that_the_server_completed_comes_back(clinic: Clinic) -> None:
    (one,) = team_of(clinic, "member1")
    one.save("notebooks", "p1", cover={"a": 1})
    (row,) = one.sync()["server_updates"]["notebooks"]
    assert row["maker_id"] == "member1"
    assert one.sync()["server_updates"]["notebooks"] == []


def test_the_other_phone_of_the_same_user_gets_it(clinic: Clinic) -> None:
    (one,) = team_of(clinic, "member1")
    second = clinic.phone("member1", "second-phone")
    second.sync()
    one.save("notebooks", "p1", cover={"a": 1}, maker_id="member1")
    one.sync()
    second.sync()
    assert ids(second) == {"p1"}


def test_a_phone_that_was_reinstalled_gets_its_own_records_back(clinic: Clinic) -> None:
    (one,) = team_of(clinic, "member1")
    one.save("notebooks", "p1", cover={"a": 1}, maker_id="member1")
    one.sync()  # a first push, with the cursor 0 that a new installation has too
    again = clinic.phone("member1", one.device)
    again.sync()
    assert ids(again) == {"p1"}


def test_a_phone_restored_from_a_backup_gets_its_own_later_pushes(clinic: Clinic) -> None:
    (one,) = team_of(clinic, "member1")
    one.sync()
    backup = one.cursor
    for name in ("p1", "p2"):  # the first of them with the backup's own cursor
        one.save("notebooks", name, cover={"a": 1}, maker_id="member1")
        one.sync()
    one.rows, one.cursor = {}, backup
    one.sync()
    assert ids(one) == {"p1", "p2"}


def test_a_replay_leaves_out_what_the_first_answer_left_out(clinic: Clinic) -> None:
    (one,) = team_of(clinic, "member1")
    one.save("notebooks", "p1", cover={"a": 1}, maker_id="member1")
    body = one.request()
    answers = [clinic.answer(body, one) for _ in range(2)]
    assert [answer["server_updates"]["notebooks"] for answer in answers] == [[], []]


def test_no_page_of_a_sync_brings_its_own_push_back(clinic: Clinic) -> None:
    one, two = team_of(clinic, "member1", "member2")
    register(two, 5, "other")
    for number in range(5):
        one.save("notebooks", f"own{number}", cover={"a": 1}, maker_id="member1")
    one.limit = 2
    seen: list[str] = []
    body = one.request()
    while True:
        answer = clinic.answer(body, one)
        seen += [row["id"] for row in answer["server_updates"]["notebooks"]]
        if not answer["has_more"]:
            break
        body = {"page": answer["next_page"], "limit": 2, "device_id": one.device}
    assert sorted(seen) == [f"other{number}" for number in range(5)]


def test_rows_that_answer_a_push_keep_to_the_pages_size(clinic: Clinic) -> None:
    (one,) = team_of(clinic, "member1")
    for number in range(20):
        one.save("notebooks", f"p{number}", cover={})  # each comes back with its maker_id
    one.limit = 3
    answer = one.send(one.request(), one)
    assert len(answer["server_updates"]["notebooks"]) <= 4
    assert answer["has_more"]
    one.apply(answer)
    while answer["has_more"]:
        answer = one.send({"page": answer["next_page"], "limit": 3}, one)
        one.apply(answer)
    assert all(row["maker_id"] == "member1" for row in one.rows.values())


def test_what_a_push_has_stored_is_listed_and_not_read_by_key_too(clinic: Clinic) -> None:
    (one,) = team_of(clinic, "member1")
    register(one)
    one.save("notebooks", "old", at=1000, cover={"a": 1})
    one.sync()
    for name in ("new1", "new2"):
        one.save("notebooks", name, cover={"a": 2})
    one.save("notebooks", "old", at=1000, cover={"a": 1}, maker_id="somebody")  # stays as it is
    body = one.request()
    for answered_by in ("the push", "its receipt"):
        asked = Asked(clinic.store)
        answer = clinic.on(asked).answer(body, one)
        rows = {row["id"]: row["maker_id"] for row in answer["server_updates"]["notebooks"]}
        assert rows == {"new1": "member1", "new2": "member1", "old": "member1"}, answered_by
        times = {name: asked.keys.count(Key("notebooks", name)) for name in rows}
        # Each is looked at by the push; what no listing brings is read by its key for the answer.
        assert times == {"new1": 1, "new2": 1, "old": 2}, answered_by


@pytest.mark.parametrize("limit", [None, 1])
@pytest.mark.parametrize("first_sync", [True, False])
def test_a_row_of_a_push_that_is_deleted_before_the_answer_is_dropped(
    clinic: Clinic, first_sync: bool, limit: int | None
) -> None:
    one, two = team_of(clinic, "member1", "member2")
    if not first_sync:
        one.sync()
    one.limit = limit
    for name in ("q0", "q1", "p0"):  # the last one finds the page full
        one.save("notebooks", name, cover={"a": 1})

    def delete_it(_writes: object) -> None:
        racing.after = lambda _writes: None
        two.sync()
        two.delete("notebooks", "p0")
        two.sync()

    racing = Interrupted(clinic.store, after=delete_it)
    one.send = clinic.on(racing).answer
    first = one.sync()
    if first_sync or limit is None:
        assert first["deleted"]["notebooks"] == ["p0"]
    assert set(one.rows) == {("notebooks", "q0"), ("notebooks", "q1")}


def test_a_cursor_after_the_commit_of_its_own_push_gets_the_row_all_the_same(
    clinic: Clinic,
) -> None:
    """No listing brings it then: a phone that made up its cursor from its own clock."""
    (one,) = team_of(clinic, "member1")
    one.save("notebooks", "p0", cover={"a": 1})
    body = {**one.request(), "last_sync_timestamp": clinic.now_ms() / 1000 + 0.1}
    asked = batch.parse(body, CATALOG, fingerprint="f", client_time_ms=None, now_ms=1)
    outcome = clinic.pusher.push(
        Caller("member1", "member", one.device), asked.push, clinic.now_ms()
    )
    assert list(outcome.show) == [Key("notebooks", "p0")]


def test_phones_offer_again_what_a_restored_server_lost(clinic: Clinic) -> None:
    # given a record that the server loses in a restore
    (one,) = team_of(clinic, "member1")
    register(one, 3)
    clinic.store.commit([delete(Key("notebooks", "p1"))])
    clinic.store.commit([put(EPOCH, {"started_at": clinic.now_ms() + 1}, ABSENT)])
    # when the phone is told so, and syncs again
    one.sync()
    one.sync()
    # then the server has it again
    assert clinic.get("notebooks", "p1") is not None
    assert ids(one) == {"p0", "p1", "p2"}


def test_a_server_write_over_an_own_push_is_never_swallowed(clinic: Clinic) -> None:
    (one,) = team_of(clinic, "member1")
    one.sync()
    one.save("notebooks", "p1", cover={"a": 1}, maker_id="member1")
    cursor = one.cursor
    one.sync()
    stored = clinic.get("notebooks", "p1")
    assert stored is not None
    clinic.store.commit([record.server_patch(stored, {"maker_id": "boss"})])
    one.cursor = cursor  # even when it asks with the same cursor again
    (row,) = one.sync()["server_updates"]["notebooks"]
    assert row["maker_id"] == "boss"


# --- epochs and cursors


def test_a_cursor_from_before_the_epoch_gets_everything_and_is_asked_to_upload(
    clinic: Clinic,
) -> None:
    one, two = team_of(clinic, "member1", "member2")
    register(one, 3)
    two.sync()
    one.delete("notebooks", "p0")
    one.sync()
    clinic.store.commit([put(EPOCH, {"started_at": clinic.now_ms() + 1}, ABSENT)])
    answer = two.sync()
    assert answer["resync"] == "upload_first"
    assert {row["id"] for row in answer["server_updates"]["notebooks"]} == {"p1", "p2"}
    assert answer["deleted"]["notebooks"] == []


def test_a_cursor_from_the_future_gets_everything(clinic: Clinic) -> None:
    one, two = team_of(clinic, "member1", "member2")
    register(one, 3)
    two.cursor = time.time() + 10**6
    answer = two.sync()
    assert answer["resync"] == "upload_first"
    assert len(answer["server_updates"]["notebooks"]) == 3
    assert two.cursor < time.time() + 10


@pytest.mark.parametrize("cursor", ["0", "", True, [], {}, -1, 1678886400000, 1e300])
def test_a_cursor_that_is_none_is_said_to_be_none(clinic: Clinic, cursor: object) -> None:
    with pytest.raises(InvalidCursor) as caught:
        clinic.answer({"last_sync_timestamp": cursor}, clinic.phone())
    assert caught.value.field == "last_sync_timestamp"


@pytest.mark.parametrize("cursor", [0, None, 0.0])
def test_a_first_sync_may_say_zero_or_nothing(clinic: Clinic, cursor: object) -> None:
    (one,) = team_of(clinic, "member1")
    register(one, 1)
    assert (
        len(
            clinic.answer({"last_sync_timestamp": cursor}, clinic.phone("member1", "new"))[
                "server_updates"
            ]["notebooks"]
        )
        == 1
    )


def test_more_than_thirty_teams_are_all_listed(clinic: Clinic) -> None:
    for number in range(65):
        clinic.join("boss", f"team{number}", "supervisor")
    (member,) = team_of(clinic, "member7", team="team7")
    (other,) = team_of(clinic, "member64", team="team64")
    boss = clinic.phone("boss")
    register(member, 2, "seven")
    boss.sync()
    register(other, 2, "last")
    boss.sync()
    assert ids(boss) == {"seven0", "seven1", "last0", "last1"}


def test_memberships_are_read_from_the_store_not_from_what_a_phone_says(clinic: Clinic) -> None:
    (one,) = team_of(clinic, "member1")
    register(one, 1)
    body = {"last_sync_timestamp": 0, "scope_id": "team1", "scopes": ["team1"]}
    answer = clinic.answer(body, clinic.phone("stranger"))
    assert answer["server_updates"]["notebooks"] == []


def test_before_a_doctor_signed_a_health_worker_sees_a_part_of_the_analysis(
    clinic: Clinic,
) -> None:
    one, doctor = team_of(clinic, "member1", "doc")
    clinic.join("doc", "team1", "doctor")
    one.save("notebooks", "p1", cover={})
    one.save("notes", "c1", notebook_id="p1", body={}, mark="red")
    one.sync()
    stored = clinic.get("notes", "c1")
    assert stored is not None
    summary = {"status": "ok", "urgency": "urgent", "differential": [{"label": "x"}]}
    clinic.store.commit([record.server_patch(stored, {"summary": summary})])
    one.sync()
    doctor.sync()
    row, whole = one.row("notes", "c1"), doctor.row("notes", "c1")
    assert row is not None
    assert whole is not None
    assert row["summary"] == {"status": "ok", "urgency": "urgent"}
    assert whole["summary"] == summary
    stored = clinic.get("notes", "c1")
    assert stored is not None
    clinic.store.commit([record.server_patch(stored, {"status": "SIGNED"})])
    one.sync()
    signed = one.row("notes", "c1")
    assert signed is not None
    assert signed["summary"] == summary


def test_a_membership_that_changes_while_a_push_is_on_its_way_is_seen(clinic: Clinic) -> None:
    (one,) = team_of(clinic, "member1")
    left: list[bool] = []

    def leave(_writes: object) -> None:
        if not left:
            left.append(True)
            clinic.leave("member1")

    one.send = clinic.on(Interrupted(clinic.store, before=leave)).answer
    one.save("notebooks", "p1", cover={})
    answer = one.sync()
    assert [item["code"] for item in answer["rejected"]] == ["moved"]
    assert clinic.get("notebooks", "p1") is None


def test_granting_twice_changes_nothing(clinic: Clinic) -> None:
    clinic.join("member2")
    before = clinic.get("memberships", "member2")
    clinic.join("member2")
    assert clinic.get("memberships", "member2") == before
    clinic.leave("member9")
    assert clinic.get("memberships", "member9") is None
    held = membership.parse("member2", before)
    assert held.scopes == ("team1",)


def test_a_patch_by_hand_reaches_the_phones(clinic: Clinic) -> None:
    one, two = team_of(clinic, "member1", "member2")
    register(one, 1)
    two.sync()
    clinic.store.commit([patch(Key("notebooks", "p0"), {"maker_id": "other"}, None)])
    (row,) = two.sync()["server_updates"]["notebooks"]
    assert row["maker_id"] == "other"


# --- what no other test would notice


def test_a_deletion_is_told_to_the_others_and_not_to_its_phone(clinic: Clinic) -> None:
    one, two = team_of(clinic, "member1", "member2")
    register(one, 2)
    two.sync()
    one.delete("notebooks", "p0")
    assert one.sync()["deleted"]["notebooks"] == []
    assert two.sync()["deleted"]["notebooks"] == ["p0"]


def test_an_edit_that_leaves_columns_out_brings_the_row(clinic: Clinic) -> None:
    # given a column of the server that the phone has not seen
    (one,) = team_of(clinic, "member1")
    one.save("notebooks", "p1", at=1000, cover={})
    one.save("notes", "c1", at=1000, notebook_id="p1", body={}, mark="green")
    one.sync()
    stored = clinic.get("notes", "c1")
    assert stored is not None
    clinic.store.commit([record.server_patch(stored, {"picture_urls": ["u"]})])
    # when it sends an edit that does not speak of that column
    edit = {"id": "c1", "body": {"site": "arm"}, "last_modified_at": 2000}
    body = {"last_sync_timestamp": one.cursor, "changes": {"notes": [edit]}}
    (row,) = clinic.answer(body, one)["server_updates"]["notes"]
    # then it gets the row
    assert row["picture_urls"] == ["u"]


def test_a_grant_that_was_stamped_before_the_cursor_and_committed_after_it_is_seen(
    clinic: Clinic,
) -> None:
    (one,) = team_of(clinic, "member1")
    register(one, 1)
    (two,) = team_of(clinic, "member2", team="team2")
    two.sync()
    stamped_ms = round(two.cursor * 1000) - 1000
    membership.grant(clinic.store, "member2", "team1", "member", stamped_ms)
    two.sync()
    assert ids(two) == {"p0"}


def test_what_an_answer_showed_is_not_shown_again_to_one_who_left(clinic: Clinic) -> None:
    # given a push whose answer showed the record that won
    one, two = team_of(clinic, "member1", "member2")
    one.save("notebooks", "p1", at=3000, cover={"n": 3})
    one.sync()
    two.save("notebooks", "p1", at=2000, cover={"n": 2})
    body = two.request()
    first = clinic.answer(body, two)
    assert [row["id"] for row in first["server_updates"]["notebooks"]] == ["p1"]
    # when the same push comes again from somebody who left the team meanwhile
    clinic.leave("member2")
    answer = clinic.answer(body, two)
    # then the record is not shown
    assert answer["server_updates"]["notebooks"] == []


def test_of_two_grants_at_once_none_is_lost(clinic: Clinic) -> None:
    clinic.join("member2", "team1")

    def other_grant(_writes: object) -> None:
        clinic.join("member2", "team2")

    racing = Interrupted(clinic.store, before=other_grant)
    with pytest.raises(Contended):
        membership.grant(racing, "member2", "team3", "member", clinic.now_ms())
    held = membership.parse("member2", clinic.get("memberships", "member2"))
    assert held.scopes == ("team1", "team2")


def test_a_page_within_one_table_does_not_cut_off_older_rows_of_the_next(clinic: Clinic) -> None:
    one, two = team_of(clinic, "member1", "member2")
    register(one, 1)
    for number in range(3):
        one.save("notes", f"c{number}", notebook_id="p0", body={}, mark="green")
    one.sync()
    register(one, 5, "later")  # notebooks are listed before notes
    two.limit = 3
    two.sync()
    assert ids(two, "notes") == {"c0", "c1", "c2"}
    assert len(ids(two)) == 6


def test_a_replay_brings_the_row_if_the_server_wrote_over_it_meanwhile(clinic: Clinic) -> None:
    (one,) = team_of(clinic, "member1")
    one.save("notebooks", "p1", cover={"a": 1}, maker_id="member1")
    body = one.request()
    assert clinic.answer(body, one)["server_updates"]["notebooks"] == []
    stored = clinic.get("notebooks", "p1")
    assert stored is not None
    clinic.store.commit([record.server_patch(stored, {"maker_id": "boss"})])
    (row,) = clinic.answer(body, one)["server_updates"]["notebooks"]
    assert row["maker_id"] == "boss"
