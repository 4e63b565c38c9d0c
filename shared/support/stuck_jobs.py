"""Jobs of a team that somebody should look at: they failed, were parked, or wait for long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from shared.jobs import job as jobs
from shared.jobs.job import Job
from shared.records import record
from shared.records.store import Key, Query, RecordStore

#: Jobs that are listed, and those of one team and state that are looked at.
MOST = 200

#: What is not done after so long counts as late, ms: waiting for photos takes half an hour.
LATE_MS = 3_600_000

_STUCK = (jobs.FAILED, jobs.PARKED)
_WAITING = (jobs.QUEUED, jobs.AWAITING_FILES, jobs.RUNNING)


class Stuck(NamedTuple):
    """A job, and why it is listed: its state, or `late`."""

    job: Job
    scope_id: str
    late: bool


def listed(store: RecordStore, scopes: Sequence[str], now_ms: int) -> tuple[list[Stuck], bool]:
    """Stuck jobs about records of these teams, those that moved last first; and whether there are more.

    A record that moved is its new team's business.
    """
    found = [job for scope in scopes for job in _of(store, scope, now_ms)]
    keys = list({Key(each.table, each.subject_id): None for each in found})
    there = store.read(keys, (record.SCOPE,)).documents if keys else {}
    shown = []
    for each in found:
        subject = there.get(Key(each.table, each.subject_id))
        scope = each.scope_id if subject is None else subject.fields.get(record.SCOPE)
        if scope in scopes:
            shown.append(Stuck(each, str(scope), each.state not in _STUCK))
    shown.sort(key=lambda each: (-_moved_ms(each.job), each.job.id))
    return shown[:MOST], len(shown) > MOST


def _of(store: RecordStore, scope_id: str, now_ms: int) -> Iterator[Job]:
    for state in (*_STUCK, *_WAITING):
        query = Query(
            jobs.COLLECTION,
            where=(("scope_id", "==", scope_id), ("state", "==", state)),
            limit=MOST + 1,
        )
        for document in store.query(query):
            job = Job.of(document)
            if state in _STUCK or job.created_at <= now_ms - LATE_MS:
                yield job


def scope_of(store: RecordStore, job: Job) -> str:
    """The team whose business a job is: that of its record, wherever that is now."""
    subject = Key(job.table, job.subject_id)
    have = store.read([subject], (record.SCOPE,)).documents.get(subject)
    return job.scope_id if have is None else str(have.fields[record.SCOPE])


def _moved_ms(job: Job) -> int:
    return int(job.history[-1]["at"]) if job.history else job.created_at


def shown(stuck: Stuck) -> dict[str, Any]:
    """A job as an answer shows it: ids and codes only."""
    job = stuck.job
    faults = (step["fault"] for step in reversed(job.history) if step.get("fault"))
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "late": stuck.late,
        "scope_id": stuck.scope_id,
        "table": job.table,
        "record_id": job.subject_id,
        "attempts": job.attempts,
        "fault": next(faults, None),
        "created_at": job.created_at,
        "moved_at": _moved_ms(job),
        "next_attempt_at": job.due_at if job.state == jobs.QUEUED else None,
    }
