"""The part of `python -m infra.admin` that answers people who ask about their own data.

    export ID [--to FILE]    everything that is stored about a patient or a user, as one JSON file; a
                             patient's photos beside it, in a folder of the same name
    erase PATIENT            the data of a patient and of all that hangs on it is gone, at once. Also what
                             was refused under an id that is none ("asha n."), or, by its own id, an
                             entry of the inbox

An export is written to a file that only its maker may read, never printed.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from shared.errors import Fault
from shared.files.store import FileStore
from shared.privacy.erasure import erase
from shared.privacy.export import Json, export
from shared.records import record
from shared.records.store import Key, RecordStore


def add_commands(commands: Any) -> None:
    """Add our commands to the parser of `infra.admin`."""
    export = commands.add_parser("export", help="all that is stored about a patient or user")
    export.add_argument("id")
    export.add_argument("--to", type=Path, help="the file; else export-ID.json")
    erase = commands.add_parser("erase", help="remove a patient's data, and all that hangs on it")
    erase.add_argument("id")


def run(chosen: argparse.Namespace) -> str | None:
    """Run one of our commands and say what was done; None if it is none of ours."""
    from shared import wiring
    from shared.jobs import cascade

    if chosen.command not in ("export", "erase"):
        return None
    if chosen.command == "export" and not record.valid_id(chosen.id):
        raise Fault("An id is 1 to 128 of A-Z a-z 0-9 _ -.", code="invalid_request")
    store, catalog, now_ms = wiring.store(), wiring.catalog(), wiring.clock_ms()
    if chosen.command == "export":
        found = export(store, catalog, chosen.id, now_ms, wiring.operator())
        if not found:
            return f"nothing is stored about {chosen.id}"
        file = chosen.to or Path(f"export-{chosen.id}.json")
        _write(file, found)
        photos = _photos(store, wiring.files, found.get("files", ()), file.with_suffix(""))
        return f"{file}: {', '.join(found)}" + (f"; {photos} photos" if photos else "")

    def follow() -> None:
        wiring.runner().answer(cascade.KIND, None, 120.0)

    told = erase(
        store, catalog, chosen.id, now_ms, follow, wiring.cleaner().drop, wiring.operator()
    )
    counts = ", ".join(f"{number} {name}" for name, number in told.items() if number)
    return f"erased {chosen.id}: {counts}" if counts else f"nothing is stored about {chosen.id}"


def _write(file: Path, found: Json) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        os.fchmod(out.fileno(), 0o600)  # also if the file was there
        json.dump(found, out, indent=2, ensure_ascii=False)
        out.write("\n")


def _photos(
    store: RecordStore, files: Callable[[], FileStore], shown: Iterable[Json], folder: Path
) -> int:
    """Copy the originals of these files into a folder that only its maker may read; how many."""
    from shared.files.file import BLOBS, READY, original_name

    count = 0
    for each in shown:
        key = Key(BLOBS, each["blob"])
        blob = store.read([key]).documents.get(key)
        if blob is None or blob.fields["state"] != READY:
            continue
        folder.mkdir(mode=0o700, exist_ok=True)
        ending = each["type"].partition("/")[2]
        handle = os.open(
            folder / f"{each['id']}.{ending}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600
        )
        with os.fdopen(handle, "wb") as out:
            for block in files().read(original_name(blob)):
                out.write(block)
        count += 1
    return count
