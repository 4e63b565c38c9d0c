"""The phones of a scope, and what they could not deliver."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import click

from infra.cli.command import OperatorCommand, as_json, show
from shared import wiring
from shared.records.record import valid_id
from shared.support import inbox, ledger

#: Entries of the inbox that are listed.
_MOST_LISTED = 1000


def devices(scope: str, *, failing: bool) -> list[dict[str, Any]]:
    """The phones of a scope: user, device, minutes since the last sync, what is wrong; by user."""
    chosen, now = wiring.settings(), wiring.clock_ms()
    rows = []
    for document in ledger.devices(wiring.store(), scope):
        have = document.fields
        wrong = ledger.problem(
            have, now, chosen.silent_days * 86_400_000, chosen.clock_tolerance_seconds * 1000
        )
        if wrong or not failing:
            minutes = (now - have["attempt_at"]) // 60_000
            rows.append(
                {
                    "user": have["user_id"],
                    "device": have["device"],
                    "minutes": minutes,
                    "problem": wrong or "ok",
                }
            )
    return sorted(rows, key=lambda row: (row["user"], row["device"]))


def waiting(scope: str) -> Iterator[dict[str, Any]]:
    """What somebody should look at: table, record, code, author, id of the entry.

    What was sent is left out, and so is an id of a record that is none: it may be a name.
    """
    for entry in islice(inbox.entries(wiring.store(), [scope]), _MOST_LISTED):
        have = entry.fields
        yield {
            "table": have["table"],
            "record_id": have["record_id"] if valid_id(have["record_id"]) else None,
            "code": have["code"],
            "author": have["author_id"],
            "id": entry.key.id,
        }


@click.command(
    "devices", cls=OperatorCommand, example="python -m infra.cli devices kito-team --failing"
)
@click.argument("scope")
@click.option("--failing", is_flag=True, help="Only those with a problem.")
@as_json
def devices_command(scope: str, failing: bool, as_json: bool) -> None:
    """List the phones of SCOPE: when they last synced, what is wrong."""
    line = "{user:<20} {device:<20} {minutes:>7}  {problem}"
    show(devices(scope, failing=failing), line, "no devices", as_json)


@click.command("inbox", cls=OperatorCommand, example="python -m infra.cli inbox kito-team")
@click.argument("scope")
@as_json
def inbox_command(scope: str, as_json: bool) -> None:
    """List what phones of SCOPE could not deliver and somebody should look at."""
    line = "{table:<12} {record_id:<28} {code:<16} {author:<20} {id}"
    show(waiting(scope), line, "the inbox is empty", as_json)
