"""`python -m infra.backup`: the whole store as one file, and back. For one machine, drills and moves.

    export FILE    every document of every collection, one JSON a line
    import FILE    put them back; refuses a store that holds records, unless --over

Photos' bytes are not in it: on one machine the folder `files` beside the store is copied after it, since
bytes are there before a document speaks of them, and go after.

Works on the stores that the settings name; `--data FOLDER` means the local stack in that folder. On
Google Cloud the runbook restore.md uses Firestore's own export, which is faster and needs no machine.

An export is one moment on Firestore; on SQLite what is written meanwhile may be in it or not, record
by record. **The file holds patients' data, unencrypted.** It is made readable for its owner only.
After an import `python -m infra.admin epoch` must follow: phones then offer again what the store lost.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

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

INDEXES = Path(__file__).resolve().parent / "firestore.indexes.json"

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 done, 2 it cannot be done like this."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.backup", description="Copies of the store."
    )
    parser.add_argument("--data", type=Path, help="data folder of the local stack")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("export", help="write every document").add_argument("file", type=Path)
    back = commands.add_parser("import", help="put documents back")
    back.add_argument("file", type=Path)
    back.add_argument("--over", action="store_true", help="overwrite what is there")
    chosen = parser.parse_args(arguments)
    if chosen.data is not None:
        from infra.admin import use_stack

        use_stack(chosen.data)
    from shared import wiring
    from shared.access import audit

    def note(action: str) -> None:
        entry = audit.right(wiring.operator(), action, wiring.clock_ms())
        wiring.store().commit([entry])

    try:
        if chosen.command == "export":
            opened = os.open(chosen.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            note("back-up")
            with os.fdopen(opened, "w", encoding="utf-8") as to:
                print(f"{export(wiring.store(), to)} documents written")
        else:
            if holds_records(wiring.store()) and not chosen.over:
                raise Fault("This store is not empty: empty it, or say --over.", code="not_empty")
            note("bring-back")  # before: an import that is cut off has changed the store, too
            with chosen.file.open(encoding="utf-8") as lines:
                print(f"{bring_back(wiring.store(), lines)} documents put back")
            print("now: python -m infra.admin epoch")
    except FileExistsError:
        print(f"{chosen.file} exists", file=sys.stderr)
        return 2
    except Fault as fault:
        print(f"{fault.code}: {fault.message}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
