"""What people are shown of a job: where it stands, and to whom.

Who may read the scope of the record that a job is about may see the job; everybody else is told that
there is none. Everybody there sees the state and when it is tried next, some roles
(`Action.JOB_HISTORY`) also each step and why it failed. Ids and codes only.
"""

from __future__ import annotations

import re
from typing import Any

from shared.access import membership
from shared.access.membership import Caller
from shared.access.rights import Action
from shared.errors import NotFound
from shared.jobs import job as jobs
from shared.jobs.job import Job
from shared.records import record
from shared.records.collection import Catalog
from shared.records.store import Key, RecordStore

#: What a job's id, or a record's, can look like.
_NAME = re.compile(r"(?!\.{1,2}\Z|__)[A-Za-z0-9_~.-]{1,300}")

#: In rows of the catalogue's `job_rows`, the field that names the job.
_JOB = "_job"


def readable_job(
    store: RecordStore, catalog: Catalog, caller: Caller, name: str
) -> tuple[Job, str]:
    """The job of that id, or of the row of `job_rows` of that id; and the caller's role there.

    Raises `NotFound`, for every reason alike.
    """
    if not _NAME.fullmatch(name):
        raise _no_job()
    own, row, direct = (
        membership.key(caller.user_id),
        Key(catalog.job_rows or jobs.COLLECTION, name),
        jobs.key(name),
    )
    read = store.read([own, row, direct]).documents
    found = read.get(direct)
    if found is None and row in read:
        key = jobs.key(str(read[row].fields.get(_JOB)))
        found = store.read([key]).documents.get(key)
    if found is None:
        raise _no_job()
    job = Job.of(found)
    subject = Key(job.table, job.subject_id)
    # A record that moved is its new scope's business; one that is gone was its old scope's.
    have = store.read([subject], (record.SCOPE,)).documents.get(subject)
    scope = have.fields[record.SCOPE] if have is not None else job.scope_id
    role = membership.parse(caller.user_id, read.get(own)).roles.get(scope)
    if role is None or not catalog.may(role, Action.READ):
        raise _no_job()
    return job, role


#: What a stage's row says.
_STAGE = ("stage", "state", "done", "total", "started_at", "ended_at", "fault", "message")


def stages(store: RecordStore, catalog: Catalog, job: Job) -> list[dict[str, Any]] | None:
    """The stages of the work that a job belongs to, in their order; None: it has none."""
    keys = catalog.stages(job.table, job.subject_id)
    found = store.read(keys).documents if keys else {}
    rows = [found[key].fields for key in keys if key in found]
    return [{name: row.get(name) for name in _STAGE} for row in rows] or None


def shown_job(job: Job, catalog: Catalog, role: str) -> dict[str, Any]:
    """A job as a role sees it; times in server ms."""
    whole = catalog.may(role, Action.JOB_HISTORY)
    steps = [
        {"state": step["state"], "at": step["at"], "fault": step.get("fault")}
        for step in job.history
    ]
    return {
        "id": job.id,
        "kind": job.kind,
        "table": job.table,
        "record_id": job.subject_id,
        "state": job.state,
        "final": job.state in jobs.FINAL,
        "attempts": job.attempts,
        "created_at": job.created_at,
        "next_attempt_at": job.due_at if job.state == jobs.QUEUED else None,
        "history": steps if whole else None,
    }


def _no_job() -> NotFound:
    return NotFound("There is no such job, or none that you may see.")
