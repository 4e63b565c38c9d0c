"""The sweeper: what runs every minute so that nothing waits for a bell that was never heard.

Rings for due jobs of kinds that have a subscriber, runs the others (cascades, moves) itself, removes
what has expired (sessions, invites, tallies, refused records, silent phones), blanks what was
deleted long ago and seals the audit trail. Everything it does may be repeated, and two sweepers at once
do no harm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.errors import QueueUnavailable
from shared.jobs import job as jobs
from shared.jobs.queue import Doorbell
from shared.jobs.runner import Runner
from shared.records.bell import Bell
from shared.records.killpoints import reach
from shared.records.store import Query, RecordStore, remove_found

#: Bells rung for one kind in one sweep; where jobs have waited long, subscribers ring on by themselves.
_MOST_BELLS = 100

#: Documents of each kind removed in one sweep.
_MOST_EXPIRED = 400

#: Collections of documents that are of no use after their `expires_at`.
_EXPIRING = (
    "sessions",
    "invites",
    "throttles",
    "resets",
    "notices",
    "spending",
    "quarantine",
    "devices",
    "hook_events",
    jobs.COLLECTION,  # of kinds that are not kept for ever
)


@dataclass(slots=True)
class Swept:
    """What a sweep did, for its log line."""

    rung: int = 0
    ran: int = 0
    expired: int = 0
    rounds: dict[str, int] = field(default_factory=dict)  #: what else it did, by name
    queue_down: bool = False
    oldest_ms: int = 0  #: age of the oldest due job that was rung for and is awaited


class Sweeper:
    """`rung_kinds` have a subscriber behind a topic, `own_kinds` are run here.

    `rounds` are other things to do, by name: given the time (ms), each says how much it did.
    """

    def __init__(
        self,
        store: RecordStore,
        runner: Runner,
        doorbell: Doorbell,
        *,
        rung_kinds: Sequence[str],
        own_kinds: Sequence[str],
        clock: Callable[[], int],
        rounds: Mapping[str, Callable[[int], int]] | None = None,
    ) -> None:
        self._rounds = rounds or {}
        self._store, self._runner, self._doorbell = store, runner, doorbell
        self._rung_kinds, self._own_kinds, self._clock = rung_kinds, own_kinds, clock

    def sweep(self, budget_seconds: float = 50.0) -> Swept:
        """One round, within `budget_seconds`. Raises `StoreUnavailable`."""
        end = time.monotonic() + budget_seconds
        swept = Swept()
        for kind in self._rung_kinds:  # first: urgent jobs wait behind nothing
            self._ring(kind, swept)
        for kind in self._own_kinds:
            report = self._runner.drain(kind, max(end - time.monotonic(), 0) + 60)
            swept.ran += len(report.states)
        swept.expired = sum(self._expire(name) for name in _EXPIRING)
        for name, act in self._rounds.items():
            swept.rounds[name] = act(self._clock())
        return swept

    def _ring(self, kind: str, swept: Swept) -> None:
        for job in self._runner.due(kind, _MOST_BELLS):
            if self._runner.is_awaited(kind):
                swept.oldest_ms = max(swept.oldest_ms, self._clock() - job.created_at)
            try:
                self._doorbell.ring(Bell(kind, job.id, job.subject_id))
            except QueueUnavailable:
                swept.queue_down = True
                return
            swept.rung += 1
            reach("sweep.rung")

    def _expire(self, collection: str) -> int:
        query = Query(
            collection,
            where=(("expires_at", "<=", self._clock()),),
            order=(("expires_at", "asc"),),
            limit=_MOST_EXPIRED,
            fields=("expires_at",),
        )
        return remove_found(self._store, query)


def revive(store: RecordStore, job_id: str, clock: Callable[[], int]) -> str:
    """What a dead letter asks for: make the job due again, unless somebody is working on it.

    Only our own count of attempts parks a job; a bell that nobody could answer is no attempt.
    Returns the job's state. Raises `Contended` if it changed at this very moment.
    """
    document = store.read([jobs.key(job_id)]).documents.get(jobs.key(job_id))
    if document is None:
        return "unknown"
    job = jobs.Job.of(document)
    now = clock()
    if job.state == jobs.QUEUED and job.due_at is not None and job.due_at > now:
        store.commit([job.move(jobs.QUEUED, now, due_at=now)])
    return job.state
