"""Migrations run while phones write, may be killed anywhere, and leave nothing out; on both stores."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.cli import migrator
from infra.cli.migrator import Migrator
from infra.cli.root import main
from shared.errors import Contended, Fault, StoreUnavailable
from shared.products.dermadetect.tables import CATALOG
from shared.records import record
from shared.records.migration import Migration
from shared.records.store import Document, Key, Write, delete, patch, put
from shared.settings import Settings
from tests.ai.workplace import Clinic
from tests.ai.workplace import clinic as clinic
from tests.stores import Interrupted

PLAIN = "settings"


def upper(document: Document) -> Mapping[str, Any] | None:
    """Names in capitals: a field of a collection of our own."""
    name = str(document.fields.get("name", ""))
    return None if name.isupper() else {"name": name.upper()}


UPPER = Migration("upper", "names in capitals", PLAIN, upper)


def spelt(document: Document) -> Mapping[str, Any] | None:
    """A client-owned JSON column gets another key."""
    told = json.loads(document.fields.get("demographics") or "{}")
    if "village" not in told:
        return None
    told["place"] = told.pop("village")
    return {"demographics": record.canonical(told)}


SPELT = Migration("spelt", "village is place", "patients", spelt)


def fill(clinic: Clinic, count: int) -> list[Key]:
    keys = [Key(PLAIN, f"d{number:03}") for number in range(count)]
    for start in range(0, count, 400):
        clinic.store.commit(
            [put(key, {"name": f"n{key.id}"}, None) for key in keys[start : start + 400]]
        )
    return keys


def names(clinic: Clinic, keys: Sequence[Key]) -> list[str]:
    found = clinic.store.read(keys).documents
    return [found[key].fields["name"] for key in keys]


def test_everything_is_changed_once_and_a_second_run_changes_nothing(clinic: Clinic) -> None:
    keys = fill(clinic, 25)
    at = Migrator(clinic.store, CATALOG, UPPER, batch=10).run()
    assert (at.done, at.changed, at.passes) == (True, 25, 2)
    assert names(clinic, keys) == [f"N{key.id.upper()}" for key in keys]
    before = clinic.store.read(keys).documents
    assert Migrator(clinic.store, CATALOG, UPPER, batch=10).run().changed == 0
    assert clinic.store.read(keys).documents == before


def test_a_dry_run_says_what_would_change_and_writes_nothing(clinic: Clinic) -> None:
    keys = fill(clinic, 5)
    clinic.store.commit([patch(keys[1], {"name": "DONE"}, None)])
    before = clinic.store.read(keys).documents
    migrator = Migrator(clinic.store, CATALOG, UPPER, batch=2)
    assert migrator.would_change() == ["d000", "d002", "d003", "d004"]
    assert clinic.store.read(keys).documents == before
    assert not clinic.store.read([migrator.key]).documents


class Killed(BaseException):
    """Nothing is cleaned up behind it."""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_killed_at_any_commit_the_next_run_goes_on(
    clinic: Clinic, moment: str, number: int
) -> None:
    keys = fill(clinic, 12)
    calls = 0

    def kill(_: Sequence[Write]) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise Killed

    store = Interrupted(clinic.store, **{moment: kill})
    with pytest.raises(Killed):
        Migrator(store, CATALOG, UPPER, batch=5).run()
    done = Migrator(clinic.store, CATALOG, UPPER, batch=5).progress()
    assert done.changed == sum(name.isupper() for name in names(clinic, keys))
    at = Migrator(clinic.store, CATALOG, UPPER, batch=5).run()
    assert at.changed == (12 if number < 6 and not done.done else 0)
    assert all(name.isupper() for name in names(clinic, keys))


def test_an_answer_that_is_lost_counts_once(clinic: Clinic) -> None:
    fill(clinic, 7)
    lost = iter([True, False, True])

    def lose(_: Sequence[Write]) -> None:
        if next(lost, False):
            raise Contended("the commit got through, its answer did not")

    at = Migrator(Interrupted(clinic.store, after=lose), CATALOG, UPPER, batch=3).run()
    assert (at.changed, at.done) == (7, True)


def test_writers_at_work_lose_nothing_and_nothing_is_left_out(clinic: Clinic) -> None:
    # given documents, and a writer who changes, makes and deletes them all the time
    keys = fill(clinic, 60)
    stop, written = threading.Event(), 0

    def write() -> None:
        nonlocal written
        while not stop.is_set() and written < 400:
            key = keys[written % len(keys)]
            have = clinic.store.read([key]).documents.get(key)
            fresh = Key(PLAIN, f"a{written:04}")
            writes = [put(fresh, {"name": "NEW FORM", "count": written}, None)]
            if have is not None:
                writes.append(patch(key, {"count": written}, have.version))
            try:
                clinic.store.commit(writes)
            except (Contended, StoreUnavailable):
                continue
            written += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        # when it is migrated
        at = Migrator(clinic.store, CATALOG, UPPER, batch=10).run()
    finally:
        stop.set()
        writer.join()
    # then everything is in the new form, and what was written meanwhile is there
    assert at.done
    assert all(name.isupper() for name in names(clinic, keys))
    counts = [clinic.store.read([key]).documents[key].fields.get("count") for key in keys[:written]]
    assert all(count is not None for count in counts[: min(written, 60)])


def test_a_document_in_the_old_form_made_behind_the_cursor_is_found(clinic: Clinic) -> None:
    fill(clinic, 12)
    late = Key(PLAIN, "a-late")
    calls = 0

    def make(_: Sequence[Write]) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            clinic.store.commit([put(late, {"name": "old form"}, None)])

    at = Migrator(Interrupted(clinic.store, after=make), CATALOG, UPPER, batch=5).run()
    assert (at.passes, at.changed) == (3, 13)
    assert names(clinic, [late]) == ["OLD FORM"]


def test_a_document_that_is_deleted_meanwhile_stays_deleted(clinic: Clinic) -> None:
    keys = fill(clinic, 6)
    gone = [True]

    def remove(_: Sequence[Write]) -> None:
        if gone and gone.pop():
            clinic.store.commit([delete(keys[2])])

    at = Migrator(Interrupted(clinic.store, before=remove), CATALOG, UPPER, batch=4).run()
    assert at.changed == 5
    assert keys[2] not in clinic.store.read(keys).documents


def test_a_second_run_beside_it_stops(clinic: Clinic) -> None:
    fill(clinic, 9)
    other: list[Callable[[], object]] = [
        Migrator(clinic.store, CATALOG, UPPER, batch=2).run,
    ]

    def meanwhile(_: Sequence[Write]) -> None:
        if other:
            other.pop()()

    with pytest.raises(Contended, match="another run"):
        Migrator(Interrupted(clinic.store, before=meanwhile), CATALOG, UPPER, batch=4).run()


def test_a_migration_that_never_settles_gives_up(clinic: Clinic) -> None:
    fill(clinic, 2)
    restless = Migration("restless", "", PLAIN, lambda have: {"n": have.fields.get("n", 0) + 1})
    with pytest.raises(Fault, match="passes"):
        Migrator(clinic.store, CATALOG, restless).run()


def test_records_go_to_all_phones_again_and_do_not_conflict_with_them(clinic: Clinic) -> None:
    # given two phones that hold a patient in the old form
    writer, reader = clinic.phone("chw1", "first"), clinic.phone("chw1", "second")
    writer.save("patients", "p1", demographics={"village": "Kito"})
    writer.sync()
    reader.sync()
    # when it is migrated
    assert Migrator(clinic.store, CATALOG, SPELT).run().changed == 1
    # then both get it, its writer too
    for phone in (writer, reader):
        phone.sync()
        assert phone.rows["patients", "p1"]["demographics"] == {"place": "Kito"}
    # and the same content from a phone is the same content
    row = writer.rows["patients", "p1"]
    writer.save("patients", "p1", demographics=row["demographics"])
    answer = writer.sync()
    assert (answer["conflicts"], answer["rejected"]) == ([], [])


def test_a_restamp_sends_every_record_again_and_changes_none(clinic: Clinic) -> None:
    phone = clinic.phone()
    phone.save("patients", "p1", demographics={"age": 3})
    phone.sync()
    phone.sync()
    migration = migrator.known(CATALOG)["restamp-patients"]
    before = clinic.store.read([Key("patients", "p1")]).documents[Key("patients", "p1")]
    assert Migrator(clinic.store, CATALOG, migration).run().passes == 1
    assert [row["id"] for row in phone.sync()["server_updates"]["patients"]] == ["p1"]
    after = clinic.store.read([before.key]).documents[before.key]
    assert after.fields[record.HASH] == before.fields[record.HASH]
    assert after.version > before.version


def test_a_migration_cannot_move_or_delete_records(clinic: Clinic) -> None:
    phone = clinic.phone()
    phone.save("patients", "p1", demographics={})
    phone.sync()
    moving = Migration("moving", "", "patients", lambda _: {record.SCOPE: "team2"})
    with pytest.raises(ValueError, match="scope_id"):
        Migrator(clinic.store, CATALOG, moving).run()


def test_the_command_lists_runs_and_refuses(
    monkeypatch: pytest.MonkeyPatch,
    clinic: Clinic,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from shared import wiring

    monkeypatch.setattr(wiring, "store", lambda: clinic.store)
    monkeypatch.setattr(wiring, "settings", lambda: Settings(data_folder=str(tmp_path)))
    phone = clinic.phone()
    phone.save("patients", "p1", demographics={})
    phone.sync()
    assert main(["migrate", "run", "restamp-patients", "--dry-run"]) == 0
    assert main(["migrate", "run", "restamp-patients", "--pause", "0"]) == 0
    assert main(["migrate", "list"]) == 0
    assert main(["migrate", "run", "nothing"]) == 1
    said = capsys.readouterr()
    assert "1 documents would change: p1" in said.out
    assert "done in 1 passes" in said.out
    assert "There is no such migration" in said.err
