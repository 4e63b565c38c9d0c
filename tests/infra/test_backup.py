"""The drill: a store is lost and restored from an older copy, and phones bring back what it lacks."""

from __future__ import annotations

import io
import shutil
import stat
from pathlib import Path

import pytest

from infra.cli import backup
from infra.cli.root import main
from infra.local.phone import Phone, wall_ms
from shared import wiring
from shared.adapters.folder import FolderFiles
from shared.adapters.sqlite import SqliteStore
from shared.records.store import STAMP, Key, Query, delete, put
from shared.settings import Settings
from tests.ai.studio import Studio
from tests.ai.workplace import Workplace
from tests.ai.workplace import place as place
from tests.files.conftest import photo

pytestmark = pytest.mark.proof


def everything(place: Workplace) -> dict[Key, dict[str, object]]:
    return {
        found.key: {name: value for name, value in found.fields.items() if name != STAMP}
        for name in backup.collections()
        for found in place.store.query(Query(name))
    }


def content(phone: Phone) -> dict[tuple[str, str], object]:
    """What a user sees of a phone's rows: ids and what people wrote."""
    return {
        key: (row.get("demographics"), row.get("patient_id"), row.get("risk_level"))
        for key, row in phone.rows.items()
    }


def lose(place: Workplace) -> None:
    """The disaster: every document is gone."""
    keys = list(everything(place))
    for at in range(0, len(keys), 400):
        place.store.commit([delete(key) for key in keys[at : at + 400]])
    assert everything(place) == {}


@pytest.fixture
def at_work(place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands work on the store of the place."""
    monkeypatch.setattr(wiring, "store", lambda: place.store)
    monkeypatch.setattr(wiring, "settings", lambda: Settings(data_folder=str(tmp_path)))


@pytest.mark.usefixtures("at_work")
def test_phones_bring_back_what_the_copy_lacks(place: Workplace) -> None:
    # given two phones, a read case, and a copy of the store
    one, two = place.phone("chw1", "one"), place.phone("chw1", "two")
    job = place.red_case("c1")
    place.worker().run(job)
    one.sync()
    one.save("patients", "deleted-later", demographics={})
    one.sync()
    two.sync()
    copy = io.StringIO()
    count = backup.export(place.store, copy)
    kept = everything(place)
    assert count == len(kept) > 8
    # and work after it: a new patient, an edit, a deletion; and an edit that no server has seen
    one.save("patients", "new-later", demographics={"age": 5})
    one.save("patients", "p1", demographics={"age": 31})
    one.delete("patients", "deleted-later")
    one.sync()
    two.sync()
    two.save("cases", "offline", patient_id="p1", risk_level="green", triage_data={})

    # when the store is lost, restored from the copy, and a new epoch begins
    lose(place)
    assert backup.bring_back(place.store, io.StringIO(copy.getvalue())) == count
    assert everything(place) == kept
    assert main(["epoch"]) == 0

    # then each phone is asked to upload once, and brings back what it holds
    for phone in (one, two):
        assert phone.sync()["resync"] == "upload_first"
    for phone in (one, two, one, two):
        assert "resync" not in phone.sync()
    assert place.fields("patients", "new-later")["_hash"]
    assert place.get("cases", "offline") is not None
    assert content(one) == content(two)
    assert one.rows["patients", "p1"]["demographics"] == {"age": 31}
    assert not one.dirty
    assert not two.dirty
    # the reading, which only the server had, is there as of the copy, and asked for no second time
    assert one.rows["cases", "c1"]["ai_analysis"] is not None
    assert [each.state for each in place.jobs() if each.subject_id == "c1"] == ["done"]
    # the price: what was deleted after the copy lives again, for somebody to delete once more
    assert ("patients", "deleted-later") in one.rows


def test_an_import_may_be_repeated_and_large_documents_fit(place: Workplace) -> None:
    big = {"text": "x" * 400_000}
    place.store.commit([put(Key("conflicts", f"c{n}"), big, None) for n in range(8)])
    place.store.commit([put(Key("receipts", f"r{n}"), {"n": n}, None) for n in range(500)])
    copy = io.StringIO()
    backup.export(place.store, copy)
    kept = everything(place)
    for _ in range(2):
        backup.bring_back(place.store, io.StringIO(copy.getvalue()))
    assert everything(place) == kept


@pytest.mark.usefixtures("at_work")
def test_the_command_keeps_the_file_private_and_spares_a_store_with_records(
    place: Workplace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "copy.jsonl"
    assert main(["backup", "export", str(file)]) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert main(["backup", "export", str(file)]) == 1
    assert main(["backup", "import", str(file)]) == 1
    assert "not_empty" in capsys.readouterr().err
    assert main(["backup", "import", str(file), "--over"]) == 0
    lose(place)
    assert main(["backup", "import", str(file)]) == 0


def test_every_collection_that_the_code_writes_is_in_the_copy() -> None:
    known = set(backup.collections())
    assert {"patients", "accounts", "sessions", "audit", "migrations", "files", "blobs"} <= known


def test_a_machine_s_photos_come_back_with_the_folder_that_was_copied_after_the_store(
    tmp_path: Path,
) -> None:
    # given a photo that was checked, and an upload half way
    store = SqliteStore(tmp_path / "records.db")
    files = FolderFiles(tmp_path / "files", b"f" * 32, wall_ms)
    before = Studio(store, files)
    before.join("chw1")
    before.case("a.jpg", "b.jpg")
    done, half = photo(1, (320, 240)), photo(2, (640, 480))
    ready = before.send(done, "a.jpg")
    ticket = before.ask(half, "b.jpg")
    before.piece(ticket, half, 0, 9_999)
    # when the store is copied, then the folder; meanwhile the upload goes on, and pieces are removed
    copy = io.StringIO()
    backup.export(store, copy)
    before.check(before.piece(ticket, half, 10_000))
    before.cleaner.clean(before.time + 2 * 3_600_000)
    shutil.copytree(tmp_path / "files", tmp_path / "copy")
    store.close()
    files.close()
    # then on another machine the photo is there, and the phone goes on with the other one
    store = SqliteStore(tmp_path / "new.db")
    files = FolderFiles(tmp_path / "copy", b"f" * 32, wall_ms)
    after = Studio(store, files)
    backup.bring_back(store, io.StringIO(copy.getvalue()))
    shown = after.uploads.look(after.caller, ready["id"])
    assert set(after.uploads.links(shown, after.time)["links"]) == {"original", "896", "448"}
    original = f"originals/{shown.blob.key.id}/{shown.blob.fields['upload']}/original"
    assert b"".join(files.read(original)) == done
    assert after.ask(half, "b.jpg")["upload"]["offset"] == 10_000
    assert after.check(after.piece(ticket, half, 10_000)) == "done"
    # its first piece was removed between the two copies: the phone hears of it, and sends all of it again
    told = after.uploads.look(after.caller, ticket["id"]).value()
    assert (told["state"], told["code"]) == ("refused", "upload_lost")
    assert after.send(half, "b.jpg")["state"] == "ready"
    # and nothing of it is taken for an orphan
    for _ in range(4):
        after.cleaner.clean(after.time + 3 * 86_400_000)
    assert b"".join(files.read(original)) == done
    store.close()
    files.close()
