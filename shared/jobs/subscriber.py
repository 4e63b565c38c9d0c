"""The body of every subscriber: a message of a topic is read, and answered by running what is due.

Every outcome that is written down is acknowledged; only when nothing could be written does it fail, so
that the bell rings again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from shared.errors import Contended
from shared.jobs.bells import bell_of
from shared.jobs.runner import Runner
from shared.jobs.sweep import revive
from shared.records.store import RecordStore

log = logging.getLogger(__name__)

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
        budget_seconds: float,
        span: Spanned,
    ) -> None:
        self._store, self._runner, self._clock = store, runner, clock
        self._budget_seconds, self._span = budget_seconds, span

    def answer(self, kind: str, event_id: str, message: Any) -> None:
        """Run the job that the bell names, then others of its kind that are due while time is left.

        Raises `StoreUnavailable` to have the bell rung again.
        """
        bell = bell_of(message)
        if bell is None:
            log.error("bell not understood", extra={"event": event_id})
            return
        with self._span(f"take {bell.kind}", bell.trace, "consumer"):
            report = self._runner().answer(kind, bell.job_id, self._budget_seconds)
            said = {"event": event_id, "job": bell.job_id, "states": report.states}
            log.info("jobs", extra=said)

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
