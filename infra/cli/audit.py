"""The audit trail: whether it is whole, and its newest entries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from infra.cli.command import Group, as_json, iso, show
from shared import wiring
from shared.access import audit
from shared.errors import Fault
from shared.records.store import Key, Query


def check(scope: str | None, kept: Path | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    """(a row a scope, what is wrong): whether every entry is there, unaltered.

    `kept` is a file of heads that was kept outside; else that of this deployment, if it has one.
    """
    store, file = wiring.store(), kept or wiring.audit_heads()
    anchors: list[audit.Anchor] = []
    if file is not None and (kept or file.exists()):
        with file.open(encoding="utf-8") as text:
            anchors = list(audit.anchors(text))
    strays = audit.stray(store)
    names = sorted({*strays, *(each.scope_id for each in anchors)})
    rows, faults = [], []
    for name in [scope] if scope else names:
        found = audit.verify(store, name, anchors)
        rows.append({"scope": name, "sealed": found.entries, "waiting": found.waiting})
        faults += [f"{name}: {fault}" for fault in (*found.faults, *strays.get(name, ()))]
    return rows, faults


def newest(scope: str, count: int) -> list[dict[str, Any]]:
    """The newest entries of a scope, the last one at the end. Of records only how many, by table."""
    store, head = wiring.store(), Key(audit.HEADS, scope)
    sealed = store.read([head]).documents.get(head)
    last = 0 if sealed is None else int(sealed.fields["number"])
    numbered = Query(
        audit.COLLECTION,
        where=(("scope_id", "==", scope), ("number", ">", max(0, last - count))),
        order=(("number", "asc"),),
    )
    unsealed = Query(audit.COLLECTION, where=(("scope_id", "==", scope), ("sealed", "==", False)))
    found = [*store.query(numbered), *store.query(unsealed)]
    found.sort(key=lambda each: int(each.fields["at"]))
    return [_row(each.fields) for each in found[-count:]]


def _row(have: Mapping[str, Any]) -> dict[str, Any]:
    said = dict(have.get("said") or {})
    if of := have["ids"].get("accounts"):
        said["of"] = ",".join(of)
    tables = {table: len(ids) for table, ids in have["ids"].items() if table != "accounts"}
    return {
        "at": iso(have["at"]),
        "action": have["action"],
        "user": have["user_id"],
        "name": have.get("name"),
        "records": dict(sorted(tables.items())),
        "said": dict(sorted(said.items())),
    }


@click.group("audit", cls=Group)
def group() -> None:
    """The audit trail: who read or changed what."""


@group.command("verify", example="python -m infra.cli audit verify")
@click.argument("scope", required=False)
@click.option(
    "--heads",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Heads that were kept elsewhere, or log lines that name them.",
)
@as_json
def verify(scope: str | None, heads: Path | None, as_json: bool) -> None:
    """Check that no entry was altered or removed: of SCOPE, or of all.

    What is wrong is printed on standard error; then the exit code is 1.
    """
    rows, faults = check(scope, heads)
    show(rows, "{scope:<24} {sealed:>7} {waiting:>7}", "no entries", as_json)
    if faults:
        click.echo("\n".join(faults), err=True)
        raise Fault("Entries were altered, removed or slipped in.", code="trail_broken")


@group.command("heads", example="python -m infra.cli audit heads > heads.jsonl")
def print_heads() -> None:
    """Print the heads of now, a JSON a line.

    Keep them where others keep them: `verify --heads` compares.
    """
    for each in audit.heads(wiring.store()):
        click.echo(audit.told(each), nl=False)


@group.command("tail", example="python -m infra.cli audit tail kito-team --count 50")
@click.argument("scope", required=False)
@click.option(
    "--count",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="How many, at most.",
)
@as_json
def tail(scope: str | None, count: int, as_json: bool) -> None:
    """List the newest entries of SCOPE; without it, of what is about no scope.

    Of records it says how many, by table.
    """
    line = "{at:<20}  {action:<16} {user:<20} {name:<20} {records}  {said}"
    show(newest(scope or audit.DEPLOYMENT, count), line, "no entries", as_json)
