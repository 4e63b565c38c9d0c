"""Stories that the fleet has found: what went wrong with several edits of one device, told in the small."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.local.phone import Json, wall_ms
from tests.sync.clinic import Clinic

NOW = wall_ms() / 1000


@pytest.fixture(autouse=True)
def _today() -> None:
    """Edits are dated from the beginning of their test: the run may have begun long before."""
    global NOW
    NOW = wall_ms() / 1000


def text_of(clinic: Clinic, notebook: str = "p1") -> Any:
    return json.loads(clinic.fields("notebooks", notebook)["cover"])["note"]


def sends(clinic: Clinic, cursor: float, *entries: Json, device: str = "d1") -> Json:
    """A push of entries of notebook p1."""
    rows = [{"id": "p1", "sync_status": "dirty", **entry} for entry in entries]
    body = {"last_sync_timestamp": cursor, "device_id": device, "changes": {"notebooks": rows}}
    return clinic.answer(body, clinic.phone())


def entry(note: str, at: float, **more: Any) -> Json:
    return {"cover": {"note": note}, "last_modified_at": at, **more}


CHANGED = pytest.mark.parametrize("changed", [None, ["cover"]], ids=["whole", "named"])


@CHANGED
def test_an_undo_after_a_sync_that_did_not_end_is_an_edit(
    clinic: Clinic, changed: list[str] | None
) -> None:
    # given a phone whose push got through, but not the rest of that sync: its cursor did not move
    more: Json = {} if changed is None else {"changed": changed}
    cursor = sends(clinic, 0, entry("before", NOW - 100, sync_status="new"))["new_sync_timestamp"]
    sends(clinic, cursor, entry("after", NOW - 90, **more))
    # when its user goes back to what it was
    answer = sends(clinic, cursor, entry("before", NOW - 80, **more))
    # then that is stored, and what it replaced is named
    assert text_of(clinic) == "before"
    assert [item["reason"] for item in answer["conflicts"]] == ["unseen_overwrite"]


@CHANGED
def test_a_request_that_arrives_late_is_no_undo(clinic: Clinic, changed: list[str] | None) -> None:
    more: Json = {} if changed is None else {"changed": changed}
    cursor = sends(clinic, 0, entry("before", NOW - 100, sync_status="new"))["new_sync_timestamp"]
    sends(clinic, cursor, entry("after", NOW - 80, **more))
    answer = sends(clinic, cursor, entry("before", NOW - 90, **more))
    assert text_of(clinic) == "after"
    # where the phone says that it changed this, it may be one after all, by a clock that was set back
    assert [item["reason"] for item in answer["conflicts"]] == ["older"] * (changed is not None)


@CHANGED
def test_an_old_value_of_a_phone_that_did_not_see_the_new_one_is_no_undo(
    clinic: Clinic, changed: list[str] | None
) -> None:
    more: Json = {} if changed is None else {"changed": changed}
    cursor = sends(clinic, 0, entry("before", NOW - 100, sync_status="new"))["new_sync_timestamp"]
    sends(clinic, cursor, entry("after", NOW - 90, **more), device="d2")
    answer = sends(clinic, cursor, entry("before", NOW - 80, **more))
    assert text_of(clinic) == "after"
    # where the phone says that it changed this, it may have been chosen anew
    assert [item["reason"] for item in answer["conflicts"]] == ["older"] * (changed is not None)


@pytest.mark.parametrize("changed", [None, ["picture_keys"]], ids=["whole", "named"])
def test_a_clone_that_edits_another_column_undoes_nothing_of_its_twin(
    clinic: Clinic, changed: list[str] | None
) -> None:
    # given two phones with one device id, and an edit of one that the other has not seen
    more: Json = {} if changed is None else {"changed": changed}
    clinic.answer(notebook(), clinic.phone())
    cursor = sends_case(clinic, 0, "before", [], NOW - 100, sync_status="new")["new_sync_timestamp"]
    sends_case(clinic, cursor, "after", [], NOW - 90)
    # when the other one edits another column, in a row that repeats the old one
    answer = sends_case(clinic, cursor, "before", ["photo"], NOW - 80, **more)
    # then both edits stand; a repeated value that could be an undo is named
    fields = clinic.fields("notes", "c1")
    assert json.loads(fields["body"]) == {"note": "after"}
    assert fields["picture_keys"] == ["photo"]
    named = [
        {name: item["yours"][name] for name in item["columns"]} for item in answer["conflicts"]
    ]
    assert named == [{"body": {"note": "before"}}] * (changed is None)


def test_an_edit_back_to_what_is_stored_counts_beside_one_of_another_column(
    clinic: Clinic,
) -> None:
    # given a note that two phones hold
    clinic.answer(notebook(), clinic.phone())
    cursor = sends_case(clinic, 0, "one", [], NOW - 100, sync_status="new")["new_sync_timestamp"]
    # when one edits a column and undoes it before it syncs, beside an edit of another column
    both = ["body", "picture_keys"]
    sends_case(clinic, cursor, "one", ["photo"], NOW - 80, changed=both)
    # then an older edit of that column, which did not know of this, does not win
    older: Json = {"changed": ["body"], "device": "d2"}
    answer = sends_case(clinic, cursor, "two", [], NOW - 90, **older)
    assert json.loads(clinic.fields("notes", "c1")["body"]) == {"note": "one"}
    (named,) = answer["conflicts"]
    assert (named["reason"], named["columns"]) == ("older", ["body"])
    assert named["yours"]["body"] == {"note": "two"}
    # and the very same edit again moves nothing
    before = clinic.fields("notes", "c1")
    sends_case(clinic, cursor, "one", ["photo"], NOW - 80, changed=both)
    assert clinic.fields("notes", "c1") == before


def notebook() -> Json:
    row = {"id": "p1", "sync_status": "new", "last_modified_at": NOW - 200}
    return {"last_sync_timestamp": 0, "device_id": "d1", "changes": {"notebooks": [row]}}


def sends_case(
    clinic: Clinic,
    cursor: float,
    note: str,
    photos: list[str],
    at: float,
    device: str = "d1",
    **more: Any,
) -> Json:
    """A push of note c1 as a whole row."""
    row: Json = {"id": "c1", "sync_status": "dirty", "notebook_id": "p1", "mark": "green"}
    row |= {"body": {"note": note}, "picture_keys": photos, "last_modified_at": at, **more}
    body = {"last_sync_timestamp": cursor, "device_id": device, "changes": {"notes": [row]}}
    return clinic.answer(body, clinic.phone())


def test_an_edit_that_its_own_push_overtakes_is_named(clinic: Clinic) -> None:
    # given a phone whose clock was put right between two edits of a record
    ahead, right = entry("first", NOW + 80_000), entry("second", NOW - 10)
    cursor = sends(clinic, 0, entry("new", NOW - 100, sync_status="new"))["new_sync_timestamp"]
    # when both go in one push
    answer = sends(clinic, cursor, ahead, right)
    # then one is stored, the other is named, and the phone learns which
    assert text_of(clinic) == "first"
    (named,) = answer["conflicts"]
    assert (named["winner"], named["reason"]) == ("server", "older")
    assert named["yours"] == {"cover": {"note": "second"}}
    assert named["theirs"] == {"cover": {"note": "first"}}
    assert len(clinic.all("conflicts")) == 1
    (row,) = answer["server_updates"]["notebooks"]
    assert row["cover"] == {"note": "first"}
    # and the very same push again says the same
    again = sends(clinic, cursor, ahead, right)
    assert (again["conflicts"], len(clinic.all("conflicts"))) == (answer["conflicts"], 1)


def test_a_new_record_that_its_own_push_overtakes_is_named(clinic: Clinic) -> None:
    new = entry("first", NOW + 80_000, sync_status="new")
    answer = sends(clinic, 0, new, entry("second", NOW - 10))
    assert text_of(clinic) == "first"
    assert [item["yours"] for item in answer["conflicts"]] == [{"cover": {"note": "second"}}]
    (row,) = answer["server_updates"]["notebooks"]
    assert row["cover"] == {"note": "first"}


def test_edits_in_the_order_of_their_times_overtake_nothing(clinic: Clinic) -> None:
    new, edit = entry("first", NOW - 20, sync_status="new"), entry("second", NOW - 10)
    answer = sends(clinic, 0, new, edit)
    assert text_of(clinic) == "second"
    assert answer["conflicts"] == []
