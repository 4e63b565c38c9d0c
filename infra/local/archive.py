"""A data folder as one encrypted file, and back: records, photos, keys and settings.

The file is a tar in the format of age (https://age-encryption.org/v1), which the public tool `age`
opens, too. It is encrypted for recipients: whoever makes it needs no secret, and whoever steals it, or
the machine, has nothing to open it with. What is cut off or altered is refused when it is opened.

The records are those of one moment. Photos are read after them: their bytes are there before a record
speaks of them. Bells are left out: the sweeper rings again for what is due.
"""

from __future__ import annotations

import gzip
import json
import os
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

import pyrage

from shared.adapters.sqlite import SqliteStore
from shared.errors import InvalidRequest
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

    Raises `InvalidRequest` for a recipient that is none, and for a folder without records, `OSError` when
    `to` cannot take it.
    """
    keys = [_recipient(each) for each in recipients]
    if not keys:
        raise InvalidRequest("Say for whom: make a key first.", code="missing", field="recipient")
    if not (data / _RECORDS).exists():
        raise InvalidRequest("There are no records in this folder.", code="not_found", field="data")
    with (
        tempfile.TemporaryDirectory(prefix=".backup-", dir=data) as draft,
        _encrypted(to, keys) as plain,
        gzip.GzipFile(fileobj=plain, mode="wb", compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        manifest = Path(draft) / _MANIFEST
        manifest.write_text(json.dumps({"format": FORMAT, "made_ms": now_ms, "release": release}))
        copy = Path(draft) / _RECORDS
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
    one that was cut off, altered, or is none of ours.
    """
    if data.exists() and any(data.iterdir()):
        raise InvalidRequest("The folder is not empty.", code="not_empty", field="data")
    data.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{data.name}-", dir=data.parent) as draft:
        made = private_folder(Path(draft) / "data")
        try:
            with (
                _decrypted(source, identity) as plain,
                tarfile.open(fileobj=plain, mode="r|gz") as tar,
            ):
                tar.extractall(made, filter="data")
                while plain.read(2**20):
                    """What follows the tar shows that the archive is whole."""
            said = json.loads((made / _MANIFEST).read_text())["format"]
        except (pyrage.DecryptError, tarfile.TarError, EOFError, OSError, ValueError, KeyError):
            raise InvalidRequest(
                "This is no back-up that the identity opens, or it is not whole.", code="unreadable"
            ) from None
        if said != FORMAT:
            raise InvalidRequest("A later release made this back-up.", code="unsupported")
        if data.exists():
            data.rmdir()
        made.rename(data)
    private_folder(data, all_of_it=True)


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
    draft = path.with_suffix(".partial")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)


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
    try:
        with _piped(lambda reader: pyrage.encrypt_io(reader, to, keys), "wb") as plain:
            yield plain
    except pyrage.EncryptError as fault:  # how it wraps what writing raised
        raise OSError(str(fault)) from None


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
