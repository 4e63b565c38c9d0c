"""Migrations of stored documents, while everything runs (infra/runbooks/migrate.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from infra.cli.command import Group, as_json, show
from infra.cli.migrator import BATCH, MOST_BATCH, Migrator, known
from shared import wiring
from shared.errors import NotFound
from shared.records.migration import Migration

#: Ids that a dry run prints.
_MOST_SHOWN = 10


def migrations() -> Iterator[dict[str, Any]]:
    """What there is to run, and how far each has come."""
    for each in _known().values():
        at = Migrator(wiring.store(), wiring.catalog(), each).progress()
        state = "done" if at.done else f"at {at.behind or 'the beginning'}"
        yield {"name": each.name, "state": state, "changed": at.changed, "what": each.doc}


def _known() -> dict[str, Migration]:
    return known(wiring.catalog(), wiring.product().migrations())


@click.group("migrate", cls=Group)
def group() -> None:
    """Change stored documents to a new form, while everything runs."""


@group.command("list", example="python -m infra.cli migrate list")
@as_json
def list_migrations(as_json: bool) -> None:
    """List what there is to run, and how far each has come."""
    line = "{name:<28} {state:<24} {changed:>7}  {what}"
    show(migrations(), line, "no migrations", as_json)


@group.command("run", example="python -m infra.cli migrate run restamp-{people} --dry-run")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Say what would change; write nothing.")
@click.option(
    "--batch",
    type=click.IntRange(1, MOST_BATCH),
    default=BATCH,
    show_default=True,
    help="Documents of one commit.",
)
@click.option(
    "--pause",
    type=click.FloatRange(min=0),
    default=0.05,
    show_default=True,
    help="Seconds between batches.",
)
def run(name: str, dry_run: bool, batch: int, pause: float) -> None:
    """Run the migration NAME, or go on with one that was interrupted."""
    runs = _known()
    if name not in runs:
        raise NotFound("There is no such migration: see `migrate list`.")
    migrator = Migrator(
        wiring.store(), wiring.catalog(), runs[name], batch=batch, pause_seconds=pause
    )
    if dry_run:
        ids = migrator.would_change()
        click.echo(f"{len(ids)} documents would change: {', '.join(ids[:_MOST_SHOWN])}")
        return
    at = migrator.run(lambda at: click.echo(f"{at.seen} seen, {at.changed} changed"))
    click.echo(f"done in {at.passes} passes")
