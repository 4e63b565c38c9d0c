"""A data folder as one encrypted file, and back: records, photos, keys and settings.

The file is a tar in the format of age (https://age-encryption.org/v1), which the public tool `age`
opens, too. It is encrypted for recipients: whoever makes it needs no secret, and whoever steals it, or
the machine, has nothing to open it with. What is cut off or altered is refused when it is opened.

The records are those of one moment. Photos are read after them: their bytes are there before a record
speaks of them. Bells are left out: the sweeper rings again for what is due.
"""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import shutil
import sqlite3
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

import pyrage

from shared.adapters.sqlite import SqliteStore
from shared.errors import DISK_FULL, InvalidRequest
from shared.settings import private_folder

#: The form of what is in it, for a later release.
FORMAT = 1

#: What stands in a data folder besides the records, and what is not there on every machine.
_PARTS = ("files", "keys", "environment.json")

_RECORDS, _MANIFEST = "records.db", "manifest.json"

#: How a back-up is named: times sort by name.
_NAME = "backup-%Y-%m-%dT%H%M%SZ.tar.age"


def make_key() -> tuple[str, str]:
    """A new pair: the secret identity that opens back-ups, and the recipient that they are made for."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def write(data: Path, to: IO[bytes], recipients: Sequence[str], release: str, now_ms: int) -> int:
    """Write a data folder's archive; returns how many files are in it.

    Raises `InvalidRequest` for a recipient that is none, for a folder without records, and while another
    one is made of it; `OSError` when `to` cannot take it.
    """
    keys = [_recipient(each) for each in recipients]
    if not keys:
        raise InvalidRequest("Say for whom: make a key first.", code="missing", field="recipient")
    if not (data / _RECORDS).exists():
        raise InvalidRequest("There are no records in this folder.", code="not_found", field="data")
    with (
        _draft(data / ".backup") as draft,
        _encrypted(to, keys) as plain,
        gzip.GzipFile(fileobj=plain, mode="wb", compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        manifest = draft / _MANIFEST
        manifest.write_text(json.dumps({"format": FORMAT, "made_ms": now_ms, "release": release}))
        copy = draft / _RECORDS
        store = SqliteStore(data / _RECORDS)
        try:
            store.copy_to(copy)
        finally:
            store.close()
        count = 0
        for path, name in _contents(data, manifest, copy):
            with suppress(FileNotFoundError):  # a photo that was removed meanwhile
                tar.add(path, name, recursive=False)
                count += path.is_file()
    return count


def restore(source: IO[bytes], data: Path, identity: str) -> None:
    """Make a data folder of an archive. `data` must not exist, or be empty; it appears as a whole.

    Raises `InvalidRequest` for a folder in use, for an identity that does not open the archive, and for
    one that was cut off, altered, or is none of ours; `OSError` when the disk cannot take it.
    """
    if data.exists() and any(data.iterdir()):
        raise InvalidRequest("The folder is not empty.", code="not_empty", field="data")
    data.parent.mkdir(parents=True, exist_ok=True)
    with _draft(data.parent / f".{data.name}.restored") as draft:
        made = private_folder(draft / "data")
        _unpack(source, made, identity)
        if data.exists():
            data.rmdir()
        made.rename(data)
    private_folder(data, all_of_it=True)


def check(source: IO[bytes], beside: Path, identity: str) -> dict[str, int]:
    """Restore an archive into a draft in the folder `beside`, look whether it is sound, and remove it.

    Returns `files` and `documents`, how many there are, and `made_ms`, when it was made. Raises as
    `restore` does.
    """
    with _draft(beside / ".checked") as draft:
        made = private_folder(draft / "data")
        said = _unpack(source, made, identity)
        damaged = InvalidRequest("The records in it are damaged.", code="unreadable")
        try:
            with closing(sqlite3.connect(made / _RECORDS)) as db:
                (sound,) = db.execute("PRAGMA integrity_check(1)").fetchone()
                (documents,) = db.execute("SELECT count(*) FROM documents").fetchone()
        except sqlite3.DatabaseError:
            raise damaged from None
        if sound != "ok":
            raise damaged
        files = sum(path.is_file() for path in made.rglob("*"))
    return {"files": files, "documents": documents, "made_ms": said["made_ms"]}


def _unpack(source: IO[bytes], to: Path, identity: str) -> dict[str, int]:
    """What is in an archive becomes files; returns its manifest."""
    unreadable = InvalidRequest(
        "This is no back-up that the identity opens, or it is not whole.", code="unreadable"
    )
    try:
        with (
            _decrypted(source, identity) as plain,
            tarfile.open(fileobj=plain, mode="r|gz") as tar,
        ):
            tar.extractall(to, filter="data")
            while plain.read(2**20):
                """What follows the tar shows that the archive is whole."""
        said: dict[str, int] = json.loads((to / _MANIFEST).read_text())
        if said["format"] != FORMAT:
            raise InvalidRequest("A later release made this back-up.", code="unsupported")
    except (pyrage.DecryptError, tarfile.TarError, EOFError, ValueError, KeyError):
        raise unreadable from None
    except OSError as fault:
        if fault.errno in DISK_FULL:
            raise
        raise unreadable from None
    return said


def keep_newest(folder: Path, kept: int) -> list[Path]:
    """Remove all but the newest back-ups of a folder; returns those that went."""
    found = sorted(folder.glob("backup-*.tar.age"))
    gone = found[: max(0, len(found) - kept)]
    for path in gone:
        path.unlink(missing_ok=True)
    return gone


@contextmanager
def in_folder(folder: Path, now_ms: int) -> Iterator[IO[bytes]]:
    """A new back-up in a folder, readable for its owner; it gets its name when it is whole and on disk."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / datetime.fromtimestamp(now_ms / 1000, UTC).strftime(_NAME)
    with _draft(folder / ".partial") as drafts:
        draft = drafts / path.name
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """A folder for what is not ready; it is empty before and gone after.

    What a killed process left in it goes, too: it may be patients' records. Raises `InvalidRequest` while
    another process is at it.
    """
    private_folder(folder)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidRequest(
                f"Another back-up or restore is at {folder}: wait until it ends.", code="busy"
            ) from None
        for left in folder.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
    finally:
        os.close(handle)


def _contents(data: Path, manifest: Path, records: Path) -> Iterator[tuple[Path, str]]:
    yield manifest, _MANIFEST
    yield records, _RECORDS
    for name in _PARTS:
        top = data / name
        for path in (top, *sorted(top.rglob("*"))) if top.exists() else ():
            yield path, str(path.relative_to(data))


def _recipient(text: str) -> pyrage.x25519.Recipient:
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise InvalidRequest(
            "A recipient begins with age1.", code="invalid", field="recipient"
        ) from None


@contextmanager
def _encrypted(to: IO[bytes], keys: Sequence[pyrage.x25519.Recipient]) -> Iterator[IO[bytes]]:
    out = _Output(to)
    try:
        with _piped(lambda reader: pyrage.encrypt_io(reader, out, keys), "wb") as plain:
            yield plain
        to.flush()
    except pyrage.EncryptError as fault:
        raise out.fault or fault from None
    if out.fault is not None:  # the last piece failed, of which the library says nothing
        raise out.fault


class _Output:
    """Remembers why writing failed: the library that writes says it as text alone, or not at all."""

    def __init__(self, to: IO[bytes]) -> None:
        self._to = to
        self.fault: OSError | None = None

    def write(self, block: bytes) -> int:
        try:
            return self._to.write(block)
        except OSError as fault:
            self.fault = fault
            raise

    def flush(self) -> None:
        self._to.flush()


@contextmanager
def _decrypted(source: IO[bytes], identity: str) -> Iterator[IO[bytes]]:
    try:
        key = pyrage.x25519.Identity.from_str(identity.strip())
    except pyrage.IdentityError:
        raise InvalidRequest(
            "An identity begins with AGE-SECRET-KEY-1.", code="invalid", field="identity"
        ) from None
    with _piped(lambda writer: pyrage.decrypt_io(source, writer, [key]), "rb") as plain:
        yield plain


@contextmanager
def _piped(work: Callable[[IO[bytes]], None], mode: Literal["rb", "wb"]) -> Iterator[IO[bytes]]:
    """One end of a pipe; `work` has the other one, in a thread. What it raises is raised at the end."""
    reader, writer = os.pipe()
    ours, theirs = (writer, reader) if mode == "wb" else (reader, writer)
    faults: list[Exception] = []

    def run() -> None:
        try:
            with os.fdopen(theirs, "rb" if mode == "wb" else "wb") as end:
                work(end)
        except Exception as fault:  # whatever it is, it is raised below
            faults.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        with os.fdopen(ours, mode) as plain:
            yield plain
    except BrokenPipeError:
        thread.join()
        if not faults:
            raise
    finally:
        thread.join()
    if faults:
        raise faults[0]
