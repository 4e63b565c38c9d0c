"""The drill: a store is lost and restored from an older copy, and phones bring back what it lacks."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import pytest

from infra import admin, backup
from infra.local.phone import Phone
from shared import wiring
from shared.sync.store import STAMP, Key, Query, delete, put
from tests.jobs.conftest import Workplace
from tests.jobs.conftest import place as place


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


def test_phones_bring_back_what_the_copy_lacks(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "store", lambda: place.store)
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
    assert admin.main(["epoch"]) == 0

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


def test_the_command_keeps_the_file_private_and_spares_a_store_with_records(
    place: Workplace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(wiring, "store", lambda: place.store)
    file = tmp_path / "copy.jsonl"
    assert backup.main(["export", str(file)]) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert backup.main(["export", str(file)]) == 2
    assert backup.main(["import", str(file)]) == 2
    assert "not_empty" in capsys.readouterr().err
    assert backup.main(["import", str(file), "--over"]) == 0
    lose(place)
    assert backup.main(["import", str(file)]) == 0


def test_every_collection_that_the_code_writes_is_in_the_copy() -> None:
    assert {"patients", "accounts", "sessions", "audit", "migrations"} <= set(backup.collections())
