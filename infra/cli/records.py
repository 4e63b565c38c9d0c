"""Records of phones: move, bring back a deleted one, export rows, numbers or FHIR."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import IO

import click
import orjson

from infra.cli.command import Group
from shared import wiring
from shared.errors import InvalidRequest
from shared.export import fhir, rows
from shared.export.formats import ENDS, FORMATS
from shared.jobs import restore, transfer
from shared.privacy import search
from shared.records.store import Key
from shared.support import undelete as bringing_back

#: How long a command waits for what hangs on a record, seconds; the sweeper does what is left.
_WAIT_SECONDS = 120.0


def move(table: str, record_id: str, scope: str) -> None:
    """Move a record, with all that hangs on it, to another scope."""
    key, now = Key(table, record_id), wiring.clock_ms()
    transfer.move(wiring.store(), wiring.catalog(), key, scope, now, wiring.operator())
    wiring.runner().run_due(transfer.KIND, _WAIT_SECONDS)


def undelete(table: str, record_id: str) -> None:
    """Bring a deleted record back, with what was deleted along with it."""
    key, now = Key(table, record_id), wiring.clock_ms()
    bringing_back.undelete(wiring.store(), wiring.catalog(), None, key, now, wiring.operator())
    wiring.runner().run_due(restore.KIND, _WAIT_SECONDS)


def export(wanted: rows.Wanted, kind: str, folder: Path) -> dict[str, int]:
    """Write rows into a folder, a new file a table that only its maker may read; rows by table.

    Beside them `dictionary.csv` says what each column is.
    """
    catalog = wiring.catalog()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        writers = {}
        for table in wanted.tables:
            out = stack.enter_context(_private(folder / f"{table}.{ENDS.get(kind, kind)}"))
            columns = rows.columns_of(catalog.by_name[table])
            writers[table] = stack.enter_context(FORMATS[kind](out, columns))
        file = os.open(folder / "dictionary.csv", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        said = list(rows.dictionary(catalog))
        about = csv.DictWriter(stack.enter_context(os.fdopen(file, "w", newline="")), said[0])
        about.writeheader()
        about.writerows(said)
        by = wiring.operator()
        return rows.export(wiring.store(), catalog, wanted, writers, by, wiring.clock_ms)


@click.group("records", cls=Group)
def group() -> None:
    """Records of phones: move, undelete, export for analysts and other systems."""


@group.command("move", example="python -m infra.cli records move {people} {person}-1 kito-team")
@click.argument("table")
@click.argument("record_id", metavar="ID")
@click.argument("scope")
def move_command(table: str, record_id: str, scope: str) -> None:
    """Move a record to SCOPE, with all that hangs on it."""
    move(table, record_id, scope)
    click.echo(f"{table}/{record_id} is in {scope}")


@group.command("undelete", example="python -m infra.cli records undelete {people} {person}-1")
@click.argument("table")
@click.argument("record_id", metavar="ID")
def undelete_command(table: str, record_id: str) -> None:
    """Bring a deleted record back, with what was deleted with it."""
    undelete(table, record_id)
    click.echo(f"{table}/{record_id} is back")


@group.command(
    "export",
    example="python -m infra.cli records export kito-team --to rows --since 2026-01-01",
)
@click.argument("scopes", metavar="SCOPE...", nargs=-1, required=True)
@click.option(
    "--to", metavar="FOLDER", required=True, type=click.Path(path_type=Path), help="Where files go."
)
@click.option(
    "--format", "kind", type=click.Choice(list(FORMATS)), default="csv", show_default=True
)
@click.option("--table", "tables", multiple=True, help="Only this table; may be repeated.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Made on this day or later, UTC.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Made before this day, UTC.")
@click.option("--deleted", is_flag=True, help="Deleted records, too.")
def export_command(
    scopes: Sequence[str],
    to: Path,
    kind: str,
    tables: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    deleted: bool,
) -> None:
    """Write the records of teams as rows, a file a table.

    The files hold people's data, unencrypted, and are readable for their maker only. The audit trail
    notes each record.
    """
    known = list(wiring.catalog().by_name)
    if unknown := sorted(set(tables) - set(known)):
        raise InvalidRequest(f"There is no table {unknown[0]}.", field="table")
    wanted = rows.Wanted(scopes, tables or known, _ms(since), _ms(until), deleted)
    counts = export(wanted, kind, to)
    click.echo(", ".join(f"{number} {table}" for table, number in counts.items()))


@group.command("fhir", example="python -m infra.cli records fhir kito-team --to fhir")
@click.argument("scopes", metavar="SCOPE...", nargs=-1)
@click.option("--of", "record_id", metavar="ID", help="Only this person, with all about them.")
@click.option(
    "--to", metavar="PATH", required=True, type=click.Path(path_type=Path), help="Where it goes."
)
def fhir_command(scopes: Sequence[str], record_id: str | None, to: Path) -> None:
    """Write the records of teams as FHIR R4: NDJSON, a file a resource type, in the folder of --to.

    With --of, one person's as a Bundle in the file of --to. The files hold people's data, unencrypted, and
    are readable for their maker only. The audit trail notes each record.
    """
    made = wiring.product().fhir
    if made is None:
        raise InvalidRequest("This product has no mapping to FHIR.", code="unsupported")
    if (record_id is None) is (not scopes):
        raise click.UsageError("Name teams, or a person by --of.")
    store, catalog, by = wiring.store(), wiring.catalog(), wiring.operator()
    if record_id is not None:
        found = search.family(store, catalog, record_id)
        if not found:
            raise InvalidRequest(f"There is no {record_id}.", code="not_found")
        search.note(store, by, "export", search.by_scope(found, ()), wiring.clock_ms())
        with _private(to) as out:
            out.write(orjson.dumps(fhir.bundle(made(), found.values())))
        click.echo(f"{len(found)} records")
        return
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:

        @cache
        def file_of(kind: str) -> IO[bytes]:
            return stack.enter_context(_private(to / f"{kind}.ndjson"))

        counts = fhir.export(store, catalog, scopes, made(), file_of, by, wiring.clock_ms)
    click.echo(", ".join(f"{number} {kind}" for kind, number in counts.items()) or "nothing")


@group.command("views", example="python -m infra.cli --data .data records views --to numbers.db")
@click.argument("scopes", metavar="[SCOPE...]", nargs=-1)
@click.option(
    "--to", metavar="FILE", required=True, type=click.Path(path_type=Path), help="A new file."
)
def views_command(scopes: Sequence[str], to: Path) -> None:
    """Write numbers for analysts, of these teams or of all, as a SQLite file with views.

    It holds ids, times, colours and verdicts, no names and no texts; its table `dictionary` says what each
    is. It is readable for its maker only. The audit trail notes each row. The server goes on meanwhile.
    """
    from infra.local import views

    made, chosen = wiring.product().views, wiring.settings()
    if made is None:
        raise InvalidRequest("This product has no views.", code="unsupported")
    if chosen.record_store != "sqlite":
        raise InvalidRequest("The records are not in a data folder.", code="unsupported")
    with _private(to) as out:
        count = views.write(
            Path(chosen.data_folder),
            out,
            made(),
            scopes or None,
            wiring.operator(),
            wiring.clock_ms(),
        )
    click.echo(f"{count} rows")


def _private(path: Path) -> IO[bytes]:
    """A new file that only its maker may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _ms(day: datetime | None) -> int | None:
    return None if day is None else int(day.replace(tzinfo=UTC).timestamp() * 1000)
