"""Jobs: documents that say what work is due. The job table is the queue.

A job is stored in the very commit that makes it necessary, so it can be neither lost nor early.

    awaiting_files → queued → running → done
                        ↑        │      failed   a lasting fault
                        └────────┤      parked   attempts used up; `redrive` queues it again
                       try later └────→ stale    its subject changed meanwhile: another job exists

`late_at` (ms) is when somebody should be told that a job takes long; absent when told, or when none
waits. `due_at` (ms) is when somebody should look at a job: the next attempt of a queued one, the end of
the lease of a running one, absent when nothing is left to do. One query finds all that is due.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.records.store import Document, Key, StoredCollection, Write, patch, put

COLLECTION = "jobs"

STORED = (
    StoredCollection(
        COLLECTION, (("kind", "due_at"), ("late_at",), ("state",), ("scope_id", "state"))
    ),
)

AWAITING_FILES = "awaiting_files"
QUEUED = "queued"
RUNNING = "running"
DONE = "done"
FAILED = "failed"
PARKED = "parked"
STALE = "stale"

STATES = (AWAITING_FILES, QUEUED, RUNNING, DONE, FAILED, PARKED, STALE)
FINAL = frozenset({DONE, FAILED, PARKED, STALE})

#: Transitions kept in a job's history; the oldest go first.
_MAX_HISTORY = 40


def key(job_id: str) -> Key:
    """The address of a job."""
    return Key(COLLECTION, job_id)


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was read. Times in server ms; `version` guards the next write."""

    id: str
    kind: str
    state: str
    table: str  #: collection of the record the job is about
    subject_id: str
    scope_id: str
    priority: int  #: 0 is the most urgent
    attempts: int
    due_at: int | None
    token: str | None  #: of the attempt that holds the lease
    created_at: int  #: since when it waits: when it was stored, or the time that it was stored for
    outage_at: int | None  #: since when the deployment is at fault, as far as this job has met it
    history: tuple[Mapping[str, Any], ...]
    version: int

    @classmethod
    def of(cls, document: Document) -> Job:
        """Read a job's document."""
        have = document.fields
        return cls(
            document.key.id,
            have["kind"],
            have["state"],
            have["table"],
            have["subject_id"],
            have["scope_id"],
            have.get("priority", 5),
            have.get("attempts", 0),
            have.get("due_at"),
            have.get("token"),
            have.get("created_at", 0),
            have.get("outage_at"),
            tuple(have.get("history") or ()),
            document.version,
        )

    def move(self, state: str, now_ms: int, **fields: Any) -> Write:
        """The write that takes this job to another state, guarded by the version that was read.

        `fields` may set due_at, attempts, token, fault, outage_at. A final state is never due.
        """
        entry = {"state": state, "at": now_ms}
        if fields.get("fault"):
            entry["fault"] = fields["fault"]
        history = [*self.history, entry][-_MAX_HISTORY:]
        if state in FINAL:
            over = dict.fromkeys(("due_at", "token", "late_at", "outage_at"))
            fields = {**fields, **over}
        return patch(
            key(self.id), {**fields, "state": state, "history": history}, expect=self.version
        )


def create(
    job_id: str,
    kind: str,
    table: str,
    subject_id: str,
    scope_id: str,
    now_ms: int,
    *,
    priority: int = 5,
    state: str = QUEUED,
    due_ms: int | None = None,
    late_after_ms: int | None = None,
) -> Write:
    """The write that makes a job due (now, unless `due_ms` says when), and late after so long.

    One that awaits files is due when it should run without them. Any other one that is due later waits
    from then on only.

    Repeating it queues the job anew: the id is its identity.
    """
    due_at = now_ms if due_ms is None else due_ms
    return put(
        key(job_id),
        {
            "kind": kind,
            "state": state,
            "table": table,
            "subject_id": subject_id,
            "scope_id": scope_id,
            "priority": priority,
            "attempts": 0,
            "due_at": due_at,
            "created_at": max(due_at, now_ms) if state == QUEUED else now_ms,
            "history": [{"state": state, "at": now_ms}],
            **({} if late_after_ms is None else {"late_at": now_ms + late_after_ms}),
        },
        None,
    )


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a job is tried again: exponential backoff with full jitter, then parking.

    `outage_hours` bounds how long one waits for a deployment that is at fault: over a weekend.
    """

    attempts: int = 8
    base_seconds: float = 20.0
    cap_seconds: float = 3600.0
    outage_hours: float = 72.0

    def wait_ms(self, attempt: int, retry_after_s: float | None = None) -> int:
        """How long to wait after the `attempt`-th attempt (from 1), ms.

        At least what the server asked for, at least half of the doubled base, never over the cap.
        """
        longest = min(self.base_seconds * 2.0 ** min(attempt - 1, 60), self.cap_seconds)
        wait = random.uniform(longest / 2, longest)  # noqa: S311  jitter, not a secret
        return round(max(wait, min(retry_after_s or 0.0, self.cap_seconds)) * 1000)
