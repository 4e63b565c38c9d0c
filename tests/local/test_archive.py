"""A back-up is encrypted, whole or refused, and what is restored of it is what was there."""

from __future__ import annotations

import fcntl
import io
import json
import os
import resource
import signal
import sqlite3
import tarfile
import threading
from contextlib import closing
from pathlib import Path

import pyrage
import pytest

from infra.local import archive
from shared.adapters.sqlite import SqliteStore
from shared.errors import Fault, InvalidRequest
from shared.records.store import Key, Query, put

NOW_MS = 1_790_000_000_000

SECRET, RECIPIENT = archive.make_key()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a record, a photo in a folder, a key and settings."""
    folder = tmp_path / "data"
    (folder / "files" / "a").mkdir(parents=True)
    (folder / "keys").mkdir()
    (folder / "files" / "a" / "photo").write_bytes(os.urandom(200_000))
    (folder / "keys" / "page.secret").write_bytes(b"s" * 48)
    (folder / "environment.json").write_text("{}")
    (folder / "logs").mkdir()
    store = SqliteStore(folder / "records.db")
    store.commit([put(Key("notes", "n"), {"scope_id": "s", "text": "Asha N."}, None)])
    store.close()
    return folder


def made(data: Path, *recipients: str) -> bytes:
    to = io.BytesIO()
    archive.write(data, to, recipients or (RECIPIENT,), "1.2", NOW_MS)
    return to.getvalue()


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("records.db")
    }


def records(folder: Path) -> list[tuple[Key, object]]:
    store = SqliteStore(folder / "records.db")
    try:
        return [(each.key, each.fields) for each in store.query(Query("notes"))]
    finally:
        store.close()


def test_what_is_restored_is_what_was_there(data: Path, tmp_path: Path) -> None:
    copy = made(data)
    assert b"Asha" not in copy
    back = tmp_path / "other" / "back"
    archive.restore(io.BytesIO(copy), back, SECRET)
    known = tree(back)
    said = json.loads(known.pop("manifest.json"))
    assert said == {"format": 1, "made_ms": NOW_MS, "release": "1.2"}
    assert known == tree(data)
    assert records(back) == records(data)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (back, *back.rglob("*")))
    assert {path.name for path in data.iterdir()} >= {"records.db", "files"}
    assert not list(data.glob(".backup*"))


def test_every_recipient_can_open_it_and_nobody_else(data: Path, tmp_path: Path) -> None:
    other_secret, other = archive.make_key()
    copy = made(data, RECIPIENT, other)
    archive.restore(io.BytesIO(copy), tmp_path / "one", SECRET)
    archive.restore(io.BytesIO(copy), tmp_path / "two", other_secret)
    stranger, _ = archive.make_key()
    with pytest.raises(InvalidRequest) as refused:
        archive.restore(io.BytesIO(copy), tmp_path / "three", stranger)
    assert refused.value.code == "unreadable"
    assert not (tmp_path / "three").exists()


@pytest.mark.parametrize("left", [0, 10, 300, 70_000, -20, -1])
def test_what_is_cut_off_is_refused_and_leaves_nothing(
    data: Path, tmp_path: Path, left: int
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        archive.restore(io.BytesIO(made(data)[:left]), tmp_path / "back", SECRET)
    assert refused.value.code == "unreadable"
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


@pytest.mark.parametrize("at", [5, 200, 100_000, -5])
def test_what_was_altered_is_refused(data: Path, tmp_path: Path, at: int) -> None:
    copy = bytearray(made(data))
    copy[at] ^= 1
    with pytest.raises(InvalidRequest):
        archive.restore(io.BytesIO(bytes(copy)), tmp_path / "back", SECRET)
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_a_folder_in_use_is_never_written_over(data: Path) -> None:
    before = tree(data)
    with pytest.raises(InvalidRequest) as refused:
        archive.restore(io.BytesIO(made(data)), data, SECRET)
    assert (refused.value.code, refused.value.field) == ("not_empty", "data")
    assert tree(data) == before


@pytest.mark.parametrize(
    ("recipients", "field"), [((), "recipient"), (("age1x",), "recipient"), (("",), "recipient")]
)
def test_a_wrong_recipient_is_named(data: Path, recipients: tuple[str, ...], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        archive.write(data, io.BytesIO(), recipients, "1.2", NOW_MS)
    assert refused.value.field == field


def test_a_wrong_identity_and_a_folder_without_records_are_named(
    data: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        archive.restore(io.BytesIO(made(data)), tmp_path / "back", "AGE-SECRET-KEY-1X")
    assert refused.value.field == "identity"
    (data / "records.db").unlink()
    with pytest.raises(InvalidRequest) as refused:
        made(data)
    assert refused.value.field == "data"


class _Full(io.BytesIO):
    """A disk that is full after some bytes."""

    def write(self, block: object) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_said_and_the_draft_goes(data: Path, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        archive.write(data, _Full(), [RECIPIENT], "1.2", NOW_MS)
    with pytest.raises(Fault), archive.in_folder(tmp_path / "backups", NOW_MS):
        raise Fault("power cut")
    assert list((tmp_path / "backups").iterdir()) == []
    assert not list(data.glob(".backup*"))


def test_a_full_disk_is_not_taken_for_a_broken_backup(data: Path, tmp_path: Path) -> None:
    """AzuraCast/AzuraCast#2542: the back-up was good, the new machine's disk was not."""
    copy = made(data)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            archive.restore(io.BytesIO(copy), tmp_path / "back", SECRET)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_what_a_killed_backup_left_goes_with_the_next(data: Path, tmp_path: Path) -> None:
    """A copy of the records that stays would keep who was erased, and fill the disk."""
    kept = tmp_path / "kept"
    for left in (data / ".backup", kept / ".partial", tmp_path / ".back.restored" / "data"):
        left.mkdir(parents=True)
        (left / "records.db").write_bytes(b"Asha N.")
    with archive.in_folder(kept, NOW_MS) as to:
        archive.write(data, to, [RECIPIENT], "1.2", NOW_MS)
    [file] = kept.iterdir()
    with file.open("rb") as source:
        archive.restore(source, tmp_path / "back", SECRET)
    assert records(tmp_path / "back") == records(data)
    assert {path.name for path in tmp_path.iterdir()} == {"data", "kept", "back"}
    assert not (data / ".backup").exists()


def test_a_second_backup_at_once_is_refused(data: Path) -> None:
    (data / ".backup").mkdir()
    handle = os.open(data / ".backup", os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(InvalidRequest) as refused:
            made(data)
    finally:
        os.close(handle)
    assert refused.value.code == "busy"
    assert made(data)


def test_a_backup_is_checked_without_restoring_it(data: Path, tmp_path: Path) -> None:
    copy = made(data)
    found = archive.check(io.BytesIO(copy), tmp_path, SECRET)
    assert found == {"documents": 1, "files": 5, "made_ms": NOW_MS}
    with pytest.raises(InvalidRequest) as refused:
        archive.check(io.BytesIO(copy[:-20]), tmp_path, SECRET)
    assert refused.value.code == "unreadable"
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


@pytest.mark.parametrize("damaged", [slice(-400, -100), slice(0, 4096), slice(0, None)])
def test_a_backup_of_damaged_records_is_told(tmp_path: Path, damaged: slice) -> None:
    """m3ue/m3u-editor#1509: a file that opens, and is malformed where nobody looked."""
    with closing(sqlite3.connect(tmp_path / "records.db")) as db:
        db.execute("CREATE TABLE documents (collection, id, data)")
        rows = ((f"{at}", "x" * 500) for at in range(100))
        db.executemany("INSERT INTO documents VALUES ('notes', ?, ?)", rows)
        db.execute("CREATE INDEX ids ON documents (id)")
        db.commit()
    bytes_of = bytearray((tmp_path / "records.db").read_bytes())
    bytes_of[damaged] = bytes(len(bytes_of[damaged]))
    (tmp_path / "records.db").write_bytes(bytes_of)
    (tmp_path / "manifest.json").write_text('{"format": 1, "made_ms": 0}')
    packed, sealed = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in ("manifest.json", "records.db"):
            tar.add(tmp_path / name, name)
    packed.seek(0)
    pyrage.encrypt_io(packed, sealed, [pyrage.x25519.Recipient.from_str(RECIPIENT)])
    sealed.seek(0)
    with pytest.raises(InvalidRequest) as refused:
        archive.check(sealed, tmp_path, SECRET)
    assert refused.value.code == "unreadable"


def test_a_backup_made_while_phones_write_is_of_one_moment(data: Path, tmp_path: Path) -> None:
    """Pairs are written in one commit: a copy never holds one without the other."""
    store, done = SqliteStore(data / "records.db"), threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            store.commit(
                [put(Key("notes", f"{side}{number}"), {"scope_id": "s"}, None) for side in "lr"]
            )

    writer = threading.Thread(target=write)
    writer.start()
    try:
        copies = [made(data) for _ in range(5)]
    finally:
        done.set()
        writer.join()
        store.close()
    for number, copy in enumerate(copies):
        archive.restore(io.BytesIO(copy), tmp_path / str(number), SECRET)
        ids = [key.id for key, _ in records(tmp_path / str(number))]
        assert {i[1:] for i in ids if i[0] == "l"} == {i[1:] for i in ids if i[0] == "r"}


def test_backups_of_a_folder_are_named_by_their_time_and_the_oldest_go(
    data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    for day in range(4):
        with archive.in_folder(folder, NOW_MS + day * 86_400_000) as to:
            archive.write(data, to, [RECIPIENT], "1.2", NOW_MS)
    names = sorted(path.name for path in folder.iterdir())
    assert names[0] == "backup-2026-09-21T141320Z.tar.age"
    assert [path.name for path in archive.keep_newest(folder, 3)] == names[:1]
    assert sorted(path.name for path in folder.iterdir()) == names[1:]
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
