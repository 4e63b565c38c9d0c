"""The whole store as one file, and back: for one machine, drills and moves.

Photos' bytes are not in it: on one machine the folder `files` beside the store is copied after it, since
bytes are there before a document speaks of them, and go after.

An export is one moment on Firestore; on SQLite what is written meanwhile may be in it or not, record
by record. **The file holds people's data, unencrypted.** It is made readable for its owner only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import click

from infra.cli.command import Group, OperatorCommand
from shared import wiring
from shared.access import audit
from shared.errors import Fault
from shared.records.store import (
    MAX_COMMIT_BYTES,
    STAMP,
    Document,
    Key,
    Query,
    RecordStore,
    Write,
    put,
)
from shared.sync.pull import EPOCH

INDEXES = Path(__file__).resolve().parents[1] / "firestore.indexes.json"

#: Documents of one commit, and about how many bytes of it.
_BATCH, _BATCH_BYTES = 400, MAX_COMMIT_BYTES // 2


def collections() -> list[str]:
    """Every collection there is: each has a line in the list of indexes."""
    listed = json.loads(INDEXES.read_text("utf-8"))["fieldOverrides"]
    return sorted({entry["collectionGroup"] for entry in listed})


def export(store: RecordStore, to: IO[str]) -> int:
    """Write every document; returns how many."""
    at, count = store.read(()).read_at, 0
    for name in collections():
        for document in store.query(Query(name, read_at=at)):
            fields = {key: value for key, value in document.fields.items() if key != STAMP}
            to.write(json.dumps([*document.key, fields], ensure_ascii=False) + "\n")
            count += 1
    return count


def bring_back(store: RecordStore, lines: Iterable[str]) -> int:
    """Put documents back, each as it was; may be repeated. Returns how many."""
    count = 0
    for batch in _batches(lines):
        store.commit(batch)
        count += len(batch)
    return count


def _batches(lines: Iterable[str]) -> Iterator[list[Write]]:
    batch: list[Write] = []
    size = 0
    for line in lines:
        collection, name, fields = json.loads(line)
        batch.append(put(Key(collection, name), fields, None))
        size += len(line)
        if len(batch) == _BATCH or size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def holds_records(store: RecordStore) -> bool:
    """Whether there is anything that an import could overwrite."""
    found: Iterator[Document] = (
        document for name in collections() for document in store.query(Query(name, limit=1))
    )
    return next(found, None) is not None


def begin_epoch() -> None:
    """Begin a new epoch: every cursor from before now gets the full set and is asked to upload."""
    now = wiring.clock_ms()
    entry = audit.right(wiring.operator(), "epoch", now)
    wiring.store().commit([put(EPOCH, {"started_at": now}, None), entry])


@click.group("backup", cls=Group)
def group() -> None:
    """Copies: a data folder, encrypted (create, restore); any store as JSON (export, import).

    On Google Cloud the runbook restore.md uses Firestore's own export, which is faster.
    """


@group.command("export", example="python -m infra.cli --data .data backup export copy.jsonl")
@click.argument("file", type=click.Path(path_type=Path))
def export_command(file: Path) -> None:
    """Write every document of every collection to FILE, one JSON a line, without photos.

    The file must not exist. It holds people's data, unencrypted, and is readable for its owner only.
    """
    opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    note("back-up")
    with os.fdopen(opened, "w", encoding="utf-8") as to:
        click.echo(f"{export(wiring.store(), to)} documents written")


@group.command("import", example="python -m infra.cli --data .data backup import copy.jsonl")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--over", is_flag=True, help="Overwrite what is there.")
def import_command(file: Path, over: bool) -> None:
    """Put the documents of FILE into an empty store. A new epoch must follow: see `epoch`."""
    if holds_records(wiring.store()) and not over:
        raise Fault("This store is not empty: empty it, or say --over.", code="not_empty")
    with file.open(encoding="utf-8") as lines:
        note("bring-back")  # before: an import that is cut off has changed the store, too
        click.echo(f"{bring_back(wiring.store(), lines)} documents put back")
    click.echo("now: python -m infra.cli epoch")


@click.command("epoch", cls=OperatorCommand, example="python -m infra.cli epoch")
def epoch_command() -> None:
    """Begin a new epoch after a restore: phones offer again what the store lost."""
    begin_epoch()
    click.echo("a new epoch has begun")


def note(action: str) -> None:
    """Say in the audit trail that the store was copied, or a copy put back."""
    wiring.store().commit([audit.right(wiring.operator(), action, wiring.clock_ms())])
