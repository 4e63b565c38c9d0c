"""Records of phones: move one to another scope, bring a deleted one back."""

from __future__ import annotations

import click

from infra.cli.command import Group
from shared import wiring
from shared.jobs import restore, transfer
from shared.records.store import Key

#: How long a command waits for what hangs on a record, seconds; the sweeper does what is left.
_WAIT_SECONDS = 120.0


def move(table: str, record_id: str, scope: str) -> None:
    """Move a record, with all that hangs on it, to another scope."""
    key, now = Key(table, record_id), wiring.clock_ms()
    transfer.move(wiring.store(), wiring.catalog(), key, scope, now, wiring.operator())
    wiring.runner().answer(transfer.KIND, None, _WAIT_SECONDS)


def undelete(table: str, record_id: str) -> None:
    """Bring a deleted record back, with what was deleted along with it."""
    key, now = Key(table, record_id), wiring.clock_ms()
    restore.undelete(wiring.store(), wiring.catalog(), None, key, now, wiring.operator())
    wiring.runner().answer(restore.KIND, None, _WAIT_SECONDS)


@click.group("records", cls=Group)
def group() -> None:
    """Records of phones: move, undelete."""


@group.command("move", example="python -m infra.cli records move patients patient-1 kito-team")
@click.argument("table")
@click.argument("record_id", metavar="ID")
@click.argument("scope")
def move_command(table: str, record_id: str, scope: str) -> None:
    """Move a record to SCOPE, with all that hangs on it."""
    move(table, record_id, scope)
    click.echo(f"{table}/{record_id} is in {scope}")


@group.command("undelete", example="python -m infra.cli records undelete patients patient-1")
@click.argument("table")
@click.argument("record_id", metavar="ID")
def undelete_command(table: str, record_id: str) -> None:
    """Bring a deleted record back, with what was deleted with it."""
    undelete(table, record_id)
    click.echo(f"{table}/{record_id} is back")
