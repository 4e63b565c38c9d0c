"""The WatermelonDB protocol, rule by rule, on both stores: what the stock client sends and relies on.

The client itself runs in `tests/mobile`; here are the edges that it reaches rarely.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import orjson
import pytest

from infra.local.phone import wall_ms
from shared.access.membership import Caller
from shared.errors import InvalidCursor, InvalidRequest, StalePush
from shared.records import record
from shared.records.store import ABSENT, put
from shared.sync.dialects import watermelon
from shared.sync.pull import EPOCH, Start
from shared.sync.session import SyncRequest
from tests.neutral.tables import CATALOG
from tests.sync.clinic import Clinic, pass_millisecond

Json = dict[str, Any]


class Melon:
    """The server's side of one phone, called as the function calls it."""

    def __init__(self, clinic: Clinic, user: str = "member1", device: str | None = "phone") -> None:
        self.clinic, self.device = clinic, device
        self.caller = Caller(user, clinic.member, device or record.UNNAMED)
        self.receipt: Json = {"id": ""}  #: of the last push whose answer it has

    def pull(self, last_pulled_at: object = "null", **more: str) -> Json:
        arguments = {"last_pulled_at": str(last_pulled_at), "schema_version": "1", **more}
        arguments.setdefault("receipt", self.receipt["id"])
        asked = watermelon.parse_pull(arguments, self.clinic.catalog)
        start = Start(
            0 if asked.replacement else asked.cursor_ms,
            echo=asked.echo,
            whole=asked.tables,
            hold=True,
        )
        request, now_ms = SyncRequest(start=start), self.clinic.now_ms()
        synced = self.clinic.session().sync(self.caller, request, now_ms)
        text = b"".join(watermelon.render_pull(self.clinic.catalog, asked, synced.pull))
        answer: Json = json.loads(text)
        for sets in answer["changes"].values():
            assert set(sets) == {"created", "updated", "deleted"}
            ids = [row["id"] for row in sets["created"] + sets["updated"]] + sets["deleted"]
            assert len(ids) == len(set(ids)), "an id twice in a table"
        assert isinstance(answer["timestamp"], int)
        assert answer["timestamp"] > 0
        return answer

    def push(self, changes: Json, last_pulled_at: object = "null", **more: Any) -> Json:
        body = orjson.loads(orjson.dumps(changes))
        push = watermelon.parse_push(
            body,
            self.clinic.catalog,
            cursor_ms=watermelon.parse_cursor(str(last_pulled_at)),
            fingerprint=record.canonical(body),
            client_time_ms=None,
            now_ms=self.clinic.now_ms(),
        )
        request, now_ms = SyncRequest(replace(push, **more)), self.clinic.now_ms()
        synced = self.clinic.session().sync(self.caller, request, now_ms)
        pass_millisecond()
        answer = watermelon.render_push(synced.outcome)
        self.receipt = answer.pop("receipt")
        return answer


def notebook(name: str = "p1", **more: Any) -> Json:
    row = {"id": name, "cover": '{"age":30}', "last_modified_at": wall_ms() - 5000}
    return {**row, "_status": "created", "_changed": "", **more}


def created(*rows: Json, table: str = "notebooks") -> Json:
    return {table: {"created": list(rows), "updated": [], "deleted": []}}


def updated(*rows: Json, table: str = "notebooks") -> Json:
    return {table: {"created": [], "updated": list(rows), "deleted": []}}


def deleted(*ids: str, table: str = "notebooks") -> Json:
    return {table: {"created": [], "updated": [], "deleted": list(ids)}}


@pytest.mark.parametrize("nothing", ["null", "undefined", "", "0", None])
def test_a_first_pull_may_say_nothing_in_many_ways(clinic: Clinic, nothing: object) -> None:
    assert watermelon.parse_cursor(None if nothing is None else str(nothing)) == 0


@pytest.mark.parametrize("cursor", ["-1", "yesterday", "1e99", "nan", "1678886400"])
def test_a_cursor_that_is_none_is_said_to_be_none(clinic: Clinic, cursor: str) -> None:
    with pytest.raises(InvalidCursor) as caught:
        watermelon.parse_cursor(cursor)
    assert caught.value.field == "last_pulled_at"
    assert (caught.value.code == "time_in_seconds") is (cursor == "1678886400")


def test_a_first_pull_creates_and_lists_no_deletions(clinic: Clinic) -> None:
    one, two = Melon(clinic), Melon(clinic, device="second")
    one.push(created(notebook("p1"), notebook("p2")))
    one.push(deleted("p2"), one.pull()["timestamp"])
    sets = two.pull()["changes"]["notebooks"]
    assert [row["id"] for row in sets["created"]] == ["p1"]
    assert (sets["updated"], sets["deleted"]) == ([], [])


def test_later_pulls_only_update_so_that_nothing_deleted_comes_back(clinic: Clinic) -> None:
    one, two = Melon(clinic), Melon(clinic, device="second")
    since = two.pull()["timestamp"]
    one.push(created(notebook()))
    sets = two.pull(since)["changes"]["notebooks"]
    assert sets["created"] == []
    assert [row["id"] for row in sets["updated"]] == ["p1"]


def test_created_as_updated_puts_everything_there(clinic: Clinic) -> None:
    Melon(clinic).push(created(notebook()))
    sets = Melon(clinic, device="second").pull(created_as_updated="1")["changes"]["notebooks"]
    assert (len(sets["created"]), len(sets["updated"])) == (0, 1)


def test_columns_leave_as_what_the_phones_database_holds(clinic: Clinic) -> None:
    one = Melon(clinic)
    note = {
        "id": "c1",
        "notebook_id": "p1",
        "body": '{"b": 1, "a": [1.5]}',
        "mark": "red",
        "picture_keys": '["k1","k2"]',
        "last_modified_at": wall_ms(),
    }
    one.push({**created(notebook()), **created(note, table="notes")})
    (row,) = Melon(clinic, device="second").pull()["changes"]["notes"]["created"]
    assert (row["body"], row["picture_keys"]) == ('{"a":[1.5],"b":1}', '["k1","k2"]')
    assert row["summary"] is None
    for value in row.values():
        assert value is None or isinstance(value, str | int | float)
    assert row["last_modified_at"] == note["last_modified_at"]
    assert not {"_status", "_changed"} & set(row)


def test_bare_and_wrapped_changes_are_alike(clinic: Clinic) -> None:
    one = Melon(clinic)
    assert one.push({"changes": created(notebook("p1"))}) == one.push(created(notebook("p2"))) == {}
    assert {document.key.id for document in clinic.all("notebooks")} == {"p1", "p2"}


@pytest.mark.parametrize("body", [[], "x", 1, None, {"changes": 5}, {"notebooks": []}])
def test_a_body_that_is_none_is_refused_whole(clinic: Clinic, body: Any) -> None:
    with pytest.raises(InvalidRequest):
        Melon(clinic).push(body)


def test_creating_what_is_there_updates_it_and_updating_what_is_not_creates_it(
    clinic: Clinic,
) -> None:
    one = Melon(clinic)
    one.push(updated(notebook("p1")))
    since = one.pull()["timestamp"]
    one.push(created(notebook("p1", cover='{"age":31}')), since)
    assert clinic.fields("notebooks", "p1")["cover"] == '{"age":31}'


def test_deleting_the_unknown_is_ignored(clinic: Clinic) -> None:
    assert Melon(clinic).push(deleted("never")) == {}


def test_a_creation_held_back_behind_its_own_deletion_stays_deleted(clinic: Clinic) -> None:
    one = Melon(clinic)
    since = one.pull()["timestamp"]
    pass_millisecond()
    one.push(deleted("p9"), since)
    with pytest.raises(StalePush):
        one.push(created(notebook("p9")), since)
    other = Melon(clinic, device="second").pull(since)["changes"]["notebooks"]
    assert other == {"created": [], "updated": [], "deleted": ["p9"]}


def test_a_stale_push_is_refused_whole_and_names_what_is_stale(clinic: Clinic) -> None:
    one, two = Melon(clinic), Melon(clinic, device="second")
    one.push(created(notebook("p1"), notebook("p2"), notebook("p3")))
    since = two.pull()["timestamp"]
    now = one.pull()["timestamp"]
    one.push(updated(notebook("p1", cover='{"by":"one"}')), now)
    one.push(deleted("p3"), now)
    with pytest.raises(StalePush) as caught:
        two.push(
            {
                "notebooks": {
                    "created": [notebook("new")],
                    "updated": [
                        notebook("p1", cover='{"by":"two"}'),
                        notebook("p2", cover="{}"),
                    ],
                    "deleted": ["p3"],
                }
            },
            since,
        )
    assert set(caught.value.conflicts) == {("notebooks", "p1")}
    assert clinic.get("notebooks", "new") is None
    assert clinic.fields("notebooks", "p2")["cover"] == '{"age":30}'
    body = caught.value.body("r1")
    assert body["conflicts"] == [{"table": "notebooks", "id": "p1"}]


def test_deleting_what_somebody_changed_meanwhile_is_stale_too(clinic: Clinic) -> None:
    one, two = Melon(clinic), Melon(clinic, device="second")
    one.push(created(notebook()))
    since = two.pull()["timestamp"]
    one.push(updated(notebook(cover='{"by":"one"}')), one.pull()["timestamp"])
    with pytest.raises(StalePush):
        two.push(deleted("p1"), since)
    assert clinic.fields("notebooks", "p1").get("deleted_at") is None


def test_an_edit_of_what_was_deleted_meanwhile_is_kept_before_the_phone_drops_it(
    clinic: Clinic,
) -> None:
    one, two = Melon(clinic), Melon(clinic, device="second")
    one.push(created(notebook()))
    since = two.pull()["timestamp"]
    one.push(deleted("p1"), one.pull()["timestamp"])
    with pytest.raises(StalePush):
        two.push(updated(notebook(cover='{"late":"edit"}')), since)
    (entry,) = clinic.all("conflicts")
    assert entry.fields["reason"] == "deleted"
    assert json.loads(entry.fields["yours"])["cover"] == '{"late":"edit"}'


def test_the_same_push_twice_is_taken_twice_without_effect(clinic: Clinic) -> None:
    one = Melon(clinic)
    changes = created(notebook())
    since = one.pull()["timestamp"]
    one.push(changes, since)
    before = clinic.get("notebooks", "p1")
    assert one.push(changes, since) == {}
    # and with another body, so that no receipt helps: equal content is no conflict
    two = Melon(clinic, device="second")
    assert two.push({**changes, **created(table="notes")}, since) == {}
    assert clinic.get("notebooks", "p1") == before


def test_a_merged_row_wins_whatever_the_clocks_say(clinic: Clinic) -> None:
    one, two = Melon(clinic), Melon(clinic, device="second")
    one.push(created(notebook()))
    since = two.pull()["timestamp"]
    merged = notebook(cover='{"merged":true}', last_modified_at=200_000_000_000)
    assert two.push(updated(merged), since) == {}
    assert clinic.fields("notebooks", "p1")["cover"] == '{"merged":true}'
    assert clinic.all("conflicts") == []


def test_server_columns_of_a_phone_are_ignored(clinic: Clinic) -> None:
    one = Melon(clinic)
    note = {
        "id": "c1",
        "notebook_id": "p1",
        "status": "SIGNED",
        "summary": '{"x":1}',
        "last_modified_at": wall_ms(),
    }
    one.push({**created(notebook()), **created(note, table="notes")})
    fields = clinic.fields("notes", "c1")
    assert (fields["status"], fields.get("summary")) == ("WAITING", None)


def test_a_phone_does_not_get_its_own_push_back_at_the_next_pull(clinic: Clinic) -> None:
    one = Melon(clinic)
    since = one.pull()["timestamp"]
    one.push(created(notebook(maker_id="member1")), since)
    assert one.pull(since)["changes"]["notebooks"]["updated"] == []


def test_an_analysis_over_an_own_push_is_never_swallowed(clinic: Clinic) -> None:
    one = Melon(clinic)
    since = one.pull()["timestamp"]
    one.push(created(notebook(maker_id="member1")), since)
    stored = clinic.get("notebooks", "p1")
    assert stored is not None
    clinic.store.commit([record.server_patch(stored, {"maker_id": "boss"})])
    (row,) = one.pull(since)["changes"]["notebooks"]["updated"]
    assert row["maker_id"] == "boss"


@pytest.mark.parametrize("device", ["another", None])
def test_another_phone_at_the_same_cursor_gets_the_row(clinic: Clinic, device: str | None) -> None:
    one, other = Melon(clinic, device=device and "phone"), Melon(clinic, device=device)
    since = one.pull()["timestamp"]
    one.push(created(notebook(maker_id="member1")), since)
    assert len(other.pull(since)["changes"]["notebooks"]["updated"]) == 1


def test_phones_that_name_no_device_never_overwrite_each_other_unseen(clinic: Clinic) -> None:
    one, two = Melon(clinic, device=None), Melon(clinic, device=None)
    one.push(created(notebook()))
    since = two.pull()["timestamp"]
    one.push(updated(notebook(cover='{"by":"one"}')), one.pull()["timestamp"])
    with pytest.raises(StalePush):
        two.push(updated(notebook(cover='{"by":"two"}')), since)


def test_bad_records_stay_on_the_phone_and_the_rest_is_stored(clinic: Clinic) -> None:
    one = Melon(clinic)
    bad = {"id": "c1", "notebook_id": "nobody", "last_modified_at": wall_ms()}
    answer = one.push({**created(notebook()), **created(bad, table="notes")})
    assert answer["experimentalRejectedIds"] == {"notes": ["c1"]}
    assert answer["rejected"][0]["code"] == "unknown_parent"
    assert clinic.get("notebooks", "p1") is not None
    assert len(clinic.all("quarantine")) == 1


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"id": "a/b"}, "invalid_id"),
        ({"cover": "no json"}, "invalid_json_column"),
        ({"cover": "[" * 30 + "]" * 30}, "too_deep"),
        ({"cover": 5}, "wrong_type"),
        ({"last_modified_at": 1678886400}, "time_in_seconds"),
        ({"last_modified_at": "now"}, "wrong_type"),
    ],
)
def test_a_record_that_cannot_be_stored_says_why(clinic: Clinic, row: Json, code: str) -> None:
    answer = Melon(clinic).push(created(notebook(**row)))
    assert [item["code"] for item in answer["rejected"]] == [code]


def test_a_refused_id_is_named_exactly_however_long_it_is(clinic: Clinic) -> None:
    # The phone marks every id that is not named as synced.
    answer = Melon(clinic).push(created(notebook("x" * 300)))
    assert answer["experimentalRejectedIds"] == {"notebooks": ["x" * 300]}
    assert len(answer["rejected"][0]["id"]) == 128


def test_an_edit_without_a_time_was_made_now_also_by_a_clock_that_is_ahead(clinic: Clinic) -> None:
    now = clinic.now_ms()
    clinic.now_ms = lambda: now
    one = Melon(clinic)
    row = notebook()
    del row["last_modified_at"]
    body = orjson.loads(orjson.dumps(created(row)))
    push = watermelon.parse_push(
        body,
        CATALOG,
        cursor_ms=0,
        fingerprint="f",
        client_time_ms=now + 3_600_000,
        now_ms=now,
    )
    clinic.pusher.push(one.caller, push, now)
    assert clinic.fields("notebooks", "p1")["last_modified_at"] == now


def test_tables_of_newer_apps_and_of_the_server_are_refused_record_by_record(
    clinic: Clinic,
) -> None:
    changes = {
        **created(notebook()),
        **created({"id": "s1"}, table="symptoms"),
        **created({"id": "q1"}, table="summary_queue"),
    }
    answer = Melon(clinic).push(changes)
    assert {item["code"] for item in answer["rejected"]} == {"unknown_table", "read_only_table"}


def test_an_empty_string_of_the_phones_database_is_nothing(clinic: Clinic) -> None:
    note = {"id": "c1", "notebook_id": "p1", "mark": "", "body": "", "picture_keys": ""}
    answer = Melon(clinic).push(
        {
            **created(notebook()),
            **created({**note, "last_modified_at": wall_ms()}, table="notes"),
        }
    )
    assert answer == {}
    assert clinic.fields("notes", "c1")["mark"] == "unknown"


def test_a_migration_sends_its_tables_whole(clinic: Clinic) -> None:
    one, two = Melon(clinic), Melon(clinic, device="second")
    one.push(created(notebook("p1"), notebook("p2")))
    since = two.pull()["timestamp"]
    for migration in (
        {"from": 1, "tables": ["notebooks"], "columns": []},
        {"from": 1, "tables": [], "columns": [{"table": "notebooks", "columns": ["x"]}]},
    ):
        sets = two.pull(since, migration=json.dumps(migration))["changes"]["notebooks"]
        assert {row["id"] for row in sets["updated"]} == {"p1", "p2"}
    unknown = {"from": 1, "tables": ["nowhere"], "columns": []}
    assert two.pull(since, migration=json.dumps(unknown))["changes"]["notebooks"]["updated"] == []
    with pytest.raises(InvalidRequest):
        two.pull(since, migration="[1]")


def test_a_replacement_is_everything_on_request_only(clinic: Clinic) -> None:
    one = Melon(clinic)
    one.push(created(notebook("p1"), notebook("p2")))
    since = one.pull()["timestamp"]
    answer = one.pull(since, strategy="replacement")
    assert answer["experimentalStrategy"] == "replacement"
    assert len(answer["changes"]["notebooks"]["updated"]) == 2
    assert "experimentalStrategy" not in one.pull(since)
    with pytest.raises(InvalidRequest):
        one.pull(since, strategy="best")


def test_a_cursor_from_before_the_epoch_gets_everything_and_no_deletions(clinic: Clinic) -> None:
    one = Melon(clinic)
    one.push(created(notebook("p1"), notebook("p2")))
    since = one.pull()["timestamp"]
    one.push(deleted("p2"), since)
    clinic.store.commit([put(EPOCH, {"started_at": wall_ms() + 1}, ABSENT)])
    answer = one.pull(since)
    assert answer["resync"] == "upload_first"
    sets = answer["changes"]["notebooks"]
    assert ([row["id"] for row in sets["updated"]], sets["deleted"]) == (["p1"], [])


def test_a_push_that_comes_late_does_not_undo_a_later_one(clinic: Clinic) -> None:
    one = Melon(clinic)
    one.push(created(notebook()))
    since = one.pull()["timestamp"]
    late = updated(notebook(cover='{"edit":1}'))
    # its answer was lost, the phone went on; now the network delivers it once more
    one.push(late, since)
    pass_millisecond()
    one.push(updated(notebook(cover='{"edit":2}')), one.pull(since)["timestamp"])
    with pytest.raises(StalePush):
        one.push(late, since, fingerprint="another attempt")
    assert clinic.fields("notebooks", "p1")["cover"] == '{"edit":2}'


def test_lost_and_new_teams_come_table_by_table(clinic: Clinic) -> None:
    clinic.join("member2", "team2")
    one, other = Melon(clinic), Melon(clinic, "member2", "other")
    note = {"notebook_id": "p1", "last_modified_at": wall_ms()}
    one.push({**created(notebook("p1")), **created({"id": "c1", **note}, table="notes")})
    since = one.pull()["timestamp"]
    case2 = {"id": "c2", "notebook_id": "p2", "last_modified_at": wall_ms()}
    other.push({**created(notebook("p2")), **created(case2, table="notes")})
    for _ in range(8):
        pass_millisecond()
    clinic.leave("member1", "team1")
    clinic.join("member1", "team2")
    first = one.pull(since)
    assert first["sync_again"] is True
    for table, new in (("notebooks", "p2"), ("notes", "c2")):
        assert first["changes"][table]["deleted"] == []
        assert [row["id"] for row in first["changes"][table]["updated"]] == [new]
    second = one.pull(one.pull(one.pull(first["timestamp"])["timestamp"])["timestamp"])
    assert "sync_again" not in second
    for table, gone, new in (("notebooks", "p1", "p2"), ("notes", "c1", "c2")):
        assert second["changes"][table]["deleted"] == [gone]
        assert [row["id"] for row in second["changes"][table]["updated"]] == [new]


@pytest.mark.parametrize("version", ["0", "999", "two", "", "-1", "null"])
def test_a_schema_version_that_nobody_knows_is_served(clinic: Clinic, version: str) -> None:
    """What the phone lacks it names in `migration`; columns it does not know it leaves out itself."""
    one = Melon(clinic)
    one.push(created(notebook()))
    answer = Melon(clinic, device="second").pull(schema_version=version)
    assert [row["id"] for row in answer["changes"]["notebooks"]["created"]] == ["p1"]


def test_a_turbo_pull_has_nothing_that_the_unparsed_reader_trips_over(clinic: Clinic) -> None:
    Melon(clinic).push(created(notebook()))
    answer = Melon(clinic, device="second").pull()
    assert set(answer) == {"changes", "timestamp"}
    assert all(sets["deleted"] == [] for sets in answer["changes"].values())
