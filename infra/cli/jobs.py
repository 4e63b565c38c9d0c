"""The jobs of the back end: what waits, what failed, and once more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from infra.cli.command import Group, as_json, show
from shared import wiring
from shared.jobs import job
from shared.records.store import Query


def jobs(state: str | None) -> Iterator[dict[str, Any]]:
    """Every job, or those in a state: state, kind, attempts, last fault, id."""
    where = () if state is None else (("state", "==", state),)
    for document in wiring.store().query(Query(job.COLLECTION, where=where)):
        each = job.Job.of(document)
        yield {
            "state": each.state,
            "kind": each.kind,
            "attempts": each.attempts,
            "fault": next((e["fault"] for e in reversed(each.history) if "fault" in e), None),
            "id": each.id,
        }


@click.group("jobs", cls=Group)
def group() -> None:
    """Jobs: list, and queue again."""


@group.command("list", example="python -m infra.cli jobs list --state parked")
@click.option("--state", type=click.Choice(job.STATES), help="Only those in this state.")
@as_json
def list_jobs(state: str | None, as_json: bool) -> None:
    """List jobs: state, kind, attempts, last fault, id."""
    line = "{state:<14} {kind:<8} {attempts:>8} {fault:<16} {id}"
    show(jobs(state), line, "no jobs", as_json)


@group.command("redrive", example="python -m infra.cli jobs redrive")
@click.argument("job_id", metavar="[JOB]", required=False)
def redrive(job_id: str | None) -> None:
    """Queue parked and failed jobs again: all, or one."""
    click.echo(f"{len(wiring.runner().redrive(job_id))} jobs queued again")
