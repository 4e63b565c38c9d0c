"""The body of every subscriber: a message of a topic is read, and answered by one attempt at a job.

Every outcome that is written down is acknowledged; only when nothing could be written does it fail, so
that the bell rings again. Pub/Sub sends more at once the more it gets answered, so nobody goes on with
other jobs under the same bell: where some have waited long, it is rung for one of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from shared.errors import Contended, StoreUnavailable
from shared.jobs.bells import bell_of
from shared.jobs.queue import Doorbell
from shared.jobs.queue_down import ring
from shared.jobs.runner import Runner
from shared.jobs.sweep import revive
from shared.records.bell import Bell
from shared.records.store import RecordStore

log = logging.getLogger(__name__)

#: How long a job is due before its bell counts as unheard, ms: the sweeper's round.
_UNHEARD_MS = 60_000

#: A span around the work for a bell, given its name, the span that rang, and its kind.
Spanned = Callable[[str, str, str], AbstractContextManager[object]]


class Subscriber:
    """Answers messages of all topics. `clock` gives server ms."""

    def __init__(
        self,
        store: Callable[[], RecordStore],
        runner: Callable[[], Runner],
        clock: Callable[[], int],
        *,
        doorbell: Callable[[], Doorbell],
        span: Spanned,
    ) -> None:
        self._store, self._runner, self._clock = store, runner, clock
        self._doorbell, self._span = doorbell, span

    def answer(self, kind: str, event_id: str, message: Any) -> None:
        """Run the job that the bell names, or another of its kind; ring on, if others wait unheard.

        Raises `StoreUnavailable` to have the bell rung again.
        """
        bell = bell_of(message)
        if bell is None:
            log.error("bell not understood", extra={"event": event_id})
            return
        with self._span(f"take {bell.kind}", bell.trace, "consumer"):
            report = self._runner().answer(kind, bell.job_id)
            said = {"event": event_id, "job": bell.job_id, "states": report.states}
            log.info("jobs", extra=said)
            if report.attempted:  # so that there are never more of these bells than attempts
                self._ring_on(kind)

    def _ring_on(self, kind: str) -> None:
        """Ring for a job that has been due for longer than a bell takes: its own was lost, or many wait.

        Best effort: the sweeper rings for what stays.
        """
        try:
            found = self._runner().due(kind, waiting_ms=_UNHEARD_MS)
        except StoreUnavailable as fault:
            log.warning("not rung on", extra={"kind": kind, "fault": fault.code})
            return
        ring(self._doorbell, [Bell(kind, job.id, job.subject_id) for job in found[:1]])

    def answer_dead(self, event_id: str, message: Any) -> None:
        """A bell that nobody could answer: its job is due again, and it is seen in logs and alerts.

        Only our own count of attempts parks a job, and nobody who works on it is disturbed. Raises
        `StoreUnavailable` to be called again.
        """
        bell = bell_of(message)
        if bell is None:
            log.error("dead letter not understood", extra={"event": event_id})
            return
        with self._span(f"take dead {bell.kind}", bell.trace, "consumer"):
            try:
                state = revive(self._store(), bell.job_id, self._clock)
            except Contended:
                state = "changing"
            log.error("dead letter", extra={"job": bell.job_id, "kind": bell.kind, "state": state})
