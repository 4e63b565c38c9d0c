"""People who ask about their own data. An export is written to a file for its maker alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import click

from infra.cli.command import OperatorCommand, WordedArgument
from shared import wiring
from shared.errors import InvalidRequest
from shared.files.file import BLOBS, READY, original_name
from shared.jobs import cascade
from shared.privacy import erasure
from shared.privacy.export import Json, export
from shared.records.record import valid_id
from shared.records.store import Key

#: How long erasing waits for what hangs on a record, seconds.
_WAIT_SECONDS = 120.0


@click.command(
    "export",
    cls=OperatorCommand,
    example="python -m infra.cli export {person}-1 --to {person}-1.json",
)
@click.argument("named", metavar="ID")
@click.option(
    "--to",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The file; else export-ID.json here.",
)
def export_command(named: str, to: Path | None) -> None:
    """Write all that is stored about a {person} or a user to one JSON file.

    Photos of a {person} are put beside it, into a folder of the same name. The audit trail notes it.
    """
    if not valid_id(named):
        raise InvalidRequest("An id is 1 to 128 of A-Z a-z 0-9 _ -.")
    now_ms = wiring.clock_ms()
    found = export(wiring.store(), wiring.catalog(), named, now_ms, wiring.operator())
    if not found:
        click.echo(f"nothing is stored about {named}")
        return
    file = to or Path(f"export-{named}.json")
    _write(file, found)
    photos = _photos(found.get("files", ()), file.with_suffix(""))
    click.echo(f"{file}: {', '.join(found)}" + (f"; {photos} photos" if photos else ""))


@click.command("erase", cls=OperatorCommand, example="python -m infra.cli erase {person}-1")
@click.argument("named", metavar="{PERSON}", cls=WordedArgument)
def erase_command(named: str) -> None:
    """Remove the data of {PERSON}, and of all that hangs on it, at once.

    {PERSON} may also be an id that is none, under which something was refused ("asha n."), or the own
    id of an entry of the inbox. On a large deployment it takes minutes. May be repeated.
    """
    told = erasure.erase(
        wiring.store(),
        wiring.catalog(),
        named,
        wiring.clock_ms(),
        lambda: wiring.runner().run_due(cascade.KIND, _WAIT_SECONDS),
        wiring.cleaner().drop,
        wiring.operator(),
    )
    counts = ", ".join(f"{number} {name}" for name, number in told.items() if number)
    click.echo(f"erased {named}: {counts}" if counts else f"nothing is stored about {named}")


def _write(file: Path, found: Json) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        os.fchmod(out.fileno(), 0o600)  # also if the file was there
        json.dump(found, out, indent=2, ensure_ascii=False)
        out.write("\n")


def _photos(shown: Iterable[Json], folder: Path) -> int:
    """Copy the originals of these files into a folder that only its maker may read; how many."""
    count = 0
    for each in shown:
        key = Key(BLOBS, each["blob"])
        blob = wiring.store().read([key]).documents.get(key)
        if blob is None or blob.fields["state"] != READY:
            continue
        folder.mkdir(mode=0o700, exist_ok=True)
        ending = each["type"].partition("/")[2]
        handle = os.open(
            folder / f"{each['id']}.{ending}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600
        )
        with os.fdopen(handle, "wb") as out:
            for block in wiring.files().read(original_name(blob)):
                out.write(block)
        count += 1
    return count
