"""One attempt at a job: claim, work, finish. Nothing is done twice, nothing is stuck.

    claim   compare-and-set: state running, a lease, an attempt token, the attempt counted
    work    outside any transaction, within a bounded time
    finish  the result and the job's end, or its next time (`Again`), in one commit, guarded by the
            claim's version

Killed anywhere, the lease runs out and the job is due again. A second worker that takes over makes
the first one's finish fail its precondition. A faulty answer of the store is settled by reading
again: a lease that carries our own token is ours.
"""

from __future__ import annotations

import dataclasses
import logging
import random
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

from shared.errors import Contended, Fault, StoreUnavailable
from shared.jobs import job as jobs
from shared.jobs.job import Job, RetryPolicy
from shared.records.killpoints import reach
from shared.records.store import Document, Query, RecordStore, Write, patch

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Again:
    """The writes of a finish, after which the same job is due again, as one that was never tried."""

    due_ms: int  #: server ms
    writes: Sequence[Write] = ()


#: Builds the writes of a finish from a fresh read; None: the subject changed, the result is stale.
Finish = Callable[[int], Sequence[Write] | Again | None]

#: How often a finish is built anew when its subject changes meanwhile.
_FINISH_ATTEMPTS = 10

#: Due jobs looked at in one go.
_DUE_BATCH = 10

#: Late jobs told of in one round.
_LATE_BATCH = 200


class Task(ABC):
    """What one kind of job does. Only `work` must be said; the rest is what most kinds leave alone.

    Functions that build writes get the time in server ms.
    """

    #: The longest that `work` may take.
    longest_seconds = 60.0

    #: When it is tried again; None: as the deployment's jobs are.
    policy: ClassVar[RetryPolicy | None] = None

    #: Whether somebody here waits for it, so that an old one alarms (`Swept.oldest_ms`).
    awaited: ClassVar[bool] = True

    #: How many of its jobs the sweeper runs at the same time: several, if they mostly wait for others.
    side_by_side: ClassVar[int] = 1

    def started(self, job: Job, now_ms: int) -> Sequence[Write]:
        """Writes that belong in the commit that claims the job."""
        return ()

    @abstractmethod
    def work(self, job: Job) -> Finish:
        """Do it, outside any transaction. A `Fault` that is retryable is tried again later.

        One with `outage` costs no attempt and is tried for hours; one that is `lasting` ends as failed.
        """

    def postponed(self, job: Job, now_ms: int) -> Sequence[Write]:
        """Writes that belong in the commit that puts the job back in the queue."""
        return ()

    def gave_up(self, job: Job, fault: Fault) -> Finish:
        """What remains to be said when the job failed or was parked; alerts show the job itself."""
        return lambda _now: ()

    def late(self, job: Job, code: str, now_ms: int) -> Sequence[Write]:
        """Writes that tell who waits that the job takes long; `code` says why."""
        return ()

    def finished(self, job: Job) -> None:  # noqa: B027  nothing is to be done, unless a kind says so
        """Called after the commit that ended the job; best effort, like ringing. Never raises."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a call of a subscriber did: job id → state reached; whether anything was attempted."""

    states: dict[str, str]
    attempted: bool = False


class Runner:
    """Runs jobs of the kinds in `tasks`. Safe to share between threads; `clock` gives server ms."""

    def __init__(
        self,
        store: RecordStore,
        tasks: Mapping[str, Task],
        *,
        policy: RetryPolicy,
        lease_ms: int,
        clock: Callable[[], int],
    ) -> None:
        self._store, self._tasks = store, tasks
        self._policy, self._lease_ms, self._clock = policy, lease_ms, clock

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that it runs."""
        return tuple(self._tasks)

    def answer(self, kind: str, job_id: str | None) -> Report:
        """Answer a bell: one attempt at the job that it names; if that needs none, at another that is due.

        One bell, one attempt: the queue sends the more bells at once the sooner they are answered. Raises
        `StoreUnavailable` if a job's state cannot be written: the bell must ring again.
        """
        states: dict[str, str] = {}
        named = () if job_id is None else (job_id,)
        for found in chain(named, self._due_ids(kind)):
            job = self._claim(found, secrets.token_hex(8))
            if isinstance(job, Job):
                states[found] = self._attempt(job)
                return Report(states, attempted=True)
            states[found] = job
        return Report(states)

    def run_due(self, kind: str, budget_seconds: float) -> Report:
        """Run what is due of a kind, one after the other, while time is left. Raises `StoreUnavailable`."""
        end = time.monotonic() + budget_seconds
        report = Report({})
        longest = self._tasks[kind].longest_seconds
        while time.monotonic() + longest < end:
            took = False
            for found in self.due(kind):
                if found.id in report.states:
                    continue
                state = self.run(found.id)
                report.states[found.id] = state
                took = took or state != "held"
                if time.monotonic() + longest >= end:
                    break
            if not took:
                break
        return report

    def drain(self, kind: str, budget_seconds: float) -> Report:
        """Run what is due of a kind while time is left, several at once where the kind says so.

        Raises `StoreUnavailable`.
        """
        workers = self._tasks[kind].side_by_side
        workers = workers if workers == 1 else len(self.due(kind, workers))
        if workers <= 1:
            return self.run_due(kind, budget_seconds)
        with ThreadPoolExecutor(workers) as pool:
            reports = list(pool.map(lambda _: self.run_due(kind, budget_seconds), range(workers)))
        # what one of them had, the others found held
        moved = [each for report in reports for each in report.states.items() if each[1] != "held"]
        return Report(dict(moved))

    def due(self, kind: str, limit: int = _DUE_BATCH, *, waiting_ms: int = 0) -> list[Job]:
        """Jobs of a kind that have been due for so long, the most urgent first."""
        query = Query(
            jobs.COLLECTION,
            where=(("kind", "==", kind), ("due_at", "<=", self._clock() - waiting_ms)),
            order=(("due_at", "asc"),),
            limit=limit,
        )
        found = [Job.of(document) for document in self._store.query(query)]
        # Workers that look at the same list should not all reach for the same job.
        random.shuffle(found)
        return sorted(found, key=lambda job: job.priority)

    def _due_ids(self, kind: str) -> Iterator[str]:
        """Asked of the store when the first is wanted."""
        yield from (job.id for job in self.due(kind))

    def redrive(self, job_id: str | None = None) -> list[str]:
        """Queue parked and failed jobs again (all, or one); returns their ids.

        Raises `Contended` if one changes at this very moment: call again.
        """
        stuck = [jobs.PARKED, jobs.FAILED]
        found: Iterable[Document] = self._store.query(
            Query(jobs.COLLECTION, where=(("state", "in", stuck),))
        )
        if job_id is not None:
            found = self._store.read([jobs.key(job_id)]).documents.values()
        again = []
        for document in found:
            job, now = Job.of(document), self._clock()
            if job.state not in stuck:
                continue
            fresh = dataclasses.replace(job, attempts=0)
            waiting = self._tasks[job.kind].postponed(fresh, now)
            queued = job.move(jobs.QUEUED, now, due_at=now, attempts=0, outage_at=None)
            self._store.commit([queued, *waiting])
            again.append(job.id)
        return again

    def tell_late(self, now_ms: int) -> int:
        """Tell who waits of jobs that have become late, once each; returns how many."""
        query = Query(
            jobs.COLLECTION,
            where=(("late_at", "<=", now_ms),),
            order=(("late_at", "asc"),),
            limit=_LATE_BATCH,
        )
        told = 0
        for document in list(self._store.query(query)):
            job = Job.of(document)
            telling = self._tasks[job.kind].late(job, "waiting", now_ms)
            mark = patch(document.key, {"late_at": None}, document.version)
            try:
                self._store.commit([mark, *telling])
            except Contended:
                continue  # it moves: what it becomes is told, or the next round tells
            told += 1
        return told

    def run(self, job_id: str) -> str:
        """One attempt at one job. Returns the state it reached, or "held" or "unknown".

        "held": another worker has it, or it is not due.
        """
        job = self._claim(job_id, secrets.token_hex(8))
        return job if isinstance(job, str) else self._attempt(job)

    def _attempt(self, job: Job) -> str:
        task = self._tasks[job.kind]
        reach("job.claimed")
        try:
            finish, state, fault = task.work(job), jobs.DONE, None
            reach("job.worked")
        except Exception as error:  # anything a task may raise counts as one failed attempt
            fault = error if isinstance(error, Fault) else _crash(error)
            log.warning("job attempt failed", extra={"job": job.id, "fault": fault.code})
            if fault.outage:
                # somebody must hear of it: it answers no job, and heals by no waiting
                log.error("deployment at fault", extra={"job": job.id, "fault": fault.code})
            if fault.outage or not fault.attempted:
                job = dataclasses.replace(job, attempts=job.attempts - 1)
            if fault.retryable and self._goes_on(job, fault):
                return self._postpone(job, fault)
            finish = task.gave_up(job, fault)
            state = jobs.PARKED if fault.retryable and not fault.lasting else jobs.FAILED
        return self._finish(job, finish, state, fault)

    def _goes_on(self, job: Job, fault: Fault) -> bool:
        if not fault.outage:
            return job.attempts < self._policy_of(job).attempts
        since = job.outage_at or self._clock()
        return self._clock() - since < self._policy_of(job).outage_hours * 3_600_000

    def _policy_of(self, job: Job) -> RetryPolicy:
        return self._tasks[job.kind].policy or self._policy

    def is_awaited(self, kind: str) -> bool:
        """Whether somebody here waits for jobs of this kind."""
        task = self._tasks.get(kind)
        return task is None or task.awaited

    def _claim(self, job_id: str, token: str) -> Job | str:
        for _ in range(3):
            document = self._store.read([jobs.key(job_id)]).documents.get(jobs.key(job_id))
            if document is None:
                return "unknown"
            job = Job.of(document)
            if job.token == token:
                return job  # our own claim got through although its answer was lost
            now = self._clock()
            if job.state in jobs.FINAL:
                return job.state
            if job.due_at is None or job.due_at > now:
                return "held"
            claim = job.move(
                jobs.RUNNING,
                now,
                attempts=job.attempts + 1,
                token=token,
                due_at=now + self._lease_ms,
            )
            if job.attempts >= self._policy_of(job).attempts:
                # Every attempt was claimed and none came back: the job itself kills its workers.
                return self._park_unfinished(job)
            unreachable: StoreUnavailable | None = None
            try:
                self._store.commit([claim, *self._tasks[job.kind].started(job, now)])
            except Contended:
                continue  # somebody else's claim, or our own that was sent twice below us: look
            except StoreUnavailable as error:
                unreachable = error
        document = self._store.read([jobs.key(job_id)]).documents.get(jobs.key(job_id))
        if document is not None and document.fields.get("token") == token:
            return Job.of(document)
        if unreachable is not None:
            raise unreachable
        return "held"

    def _park_unfinished(self, job: Job) -> str:
        fault = Fault("No attempt came back.", code="worker_lost")
        return self._finish(job, self._tasks[job.kind].gave_up(job, fault), jobs.PARKED, fault)

    def _postpone(self, job: Job, fault: Fault) -> str:
        now = self._clock()
        tries, outage_at = job.attempts, None
        if fault.outage:  # no attempts, but waits that grow all the same
            tries = 1 + sum(step.get("fault") == fault.code for step in job.history)
            outage_at = job.outage_at or now
        elif not fault.attempted:
            outage_at = job.outage_at
        due = now + self._policy_of(job).wait_ms(tries, fault.retry_after_s)
        task = self._tasks[job.kind]
        for _ in range(_FINISH_ATTEMPTS):
            fields = {"due_at": due, "token": None, "fault": fault.code, "late_at": None}
            fields |= {"outage_at": outage_at}
            move = job.move(jobs.QUEUED, now, attempts=job.attempts, **fields)
            waiting = task.postponed(job, now)
            try:
                self._store.commit([move, *waiting, *task.late(job, fault.code, now)])
            except Contended:
                held = self._still_held(job)
                if held is None:
                    return "held"  # the lease ran out and another worker took over
                job = dataclasses.replace(held, attempts=job.attempts)
                continue
            reach("job.postponed")
            self._tell(job, jobs.QUEUED, fault.code, now)
            return jobs.QUEUED
        return "held"  # the lease will run out

    def _still_held(self, job: Job) -> Job | None:
        """The job as it is now, if the lease is still ours: others may write its `late_at`."""
        document = self._store.read([jobs.key(job.id)]).documents.get(jobs.key(job.id))
        if document is None or job.token is None or document.fields.get("token") != job.token:
            return None
        return Job.of(document)

    @staticmethod
    def _tell(job: Job, state: str, code: str | None, now_ms: int) -> None:
        """One log line a transition: the metrics of the queue are made of these."""
        extra: dict[str, object] = {"job": job.id, "kind": job.kind, "state": state}
        extra |= {"attempts": job.attempts, "age_ms": now_ms - job.created_at, "fault": code}
        log.info("job moved", extra=extra)

    def _finish(self, job: Job, finish: Finish, state: str, fault: Fault | None) -> str:
        unreachable: StoreUnavailable | None = None
        for attempt in range(_FINISH_ATTEMPTS):
            if attempt:
                document = self._store.read([jobs.key(job.id)]).documents.get(jobs.key(job.id))
                if document is None or document.version != job.version:
                    held = self._still_held(job)
                    if held is not None:
                        job = held
                        continue
                    now_at = document.fields["state"] if document else "unknown"
                    # Either our own finish got through, or the lease went to somebody else.
                    return now_at if now_at in jobs.FINAL else "held"
            now = self._clock()
            result = finish(now)
            reached = jobs.STALE if result is None else state
            code = None if fault is None else fault.code
            if isinstance(result, Again):
                reached, writes = jobs.QUEUED, result.writes
                move = _renewed(job, result.due_ms, now, code)
            else:
                writes, move = result or (), job.move(reached, now, fault=code)
            try:
                self._store.commit([move, *writes])
                reach("job.finished")
                self._tell(job, reached, code, now)
                self._tasks[job.kind].finished(job)
                return reached
            except Contended:
                continue
            except StoreUnavailable as error:
                unreachable = error
        raise unreachable or StoreUnavailable("A job's result could not be stored in time.")


def _renewed(job: Job, due_ms: int, now_ms: int, code: str | None) -> Write:
    fresh = dataclasses.replace(job, history=())
    since = {"due_at": due_ms, "created_at": max(due_ms, now_ms), "attempts": 0}
    gone = dict.fromkeys(("token", "outage_at", "late_at"))
    return fresh.move(jobs.QUEUED, now_ms, fault=code, **since, **gone)


def _crash(error: Exception) -> Fault:
    log.error("job crashed", exc_info=error)
    fault = Fault("The attempt ended unexpectedly.", code="crashed")
    fault.retryable = True
    return fault
