"""A breaker in front of the model: after faults in a row nobody asks for a while, then one tries.

    closed ──(failures in a row)──→ open ──(rest is over)──→ one question goes through
       ↑                              ↑                          │ answered: closed
       └──────────────────────────────┴──────────────────────────┘ failed: open again

So that a burst of urgent jobs does not wait for a dead endpoint one timeout after another, and an
endpoint that comes back is not buried at once. One per process; jobs that meet an open breaker wait
without losing an attempt. A refusal (`ModelRefused`) is an answer: the model is there. A deployment at
fault (401, 404) answers nobody, so it counts as a failure.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from shared.ai.model import ChatRequest, Completion, Model
from shared.errors import ModelFault, ModelPaused, ModelRefused

log = logging.getLogger(__name__)


class Breaker:
    """The model port in front of another model. `clock` gives seconds and never goes back."""

    def __init__(
        self,
        model: Model,
        *,
        failures: int,
        rest_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model, self._failures, self._rest = model, failures, rest_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._opens_at: float | None = None  #: None: closed
        self._trying = False

    def ask(self, question: ChatRequest, timeout_seconds: float) -> Completion:
        """See `shared.ai.model.Model.ask`. Raises `ModelPaused` while it rests."""
        trial = self._enter()
        try:
            answer = self._model.ask(question, timeout_seconds)
        except ModelRefused:
            self._leave(failed=False, trial=trial)
            raise
        except ModelFault:
            self._leave(failed=True, trial=trial)
            raise
        except BaseException:
            # nothing is known of the model; a trial that was lost must not block the next
            self._leave(failed=trial, trial=trial)
            raise
        self._leave(failed=False, trial=trial)
        return answer

    def _enter(self) -> bool:
        """Whether this question is the one that tries again."""
        with self._lock:
            if self._opens_at is None:
                return False
            left = self._opens_at - self._clock()
            if left > 0 or self._trying:
                raise ModelPaused(
                    "The model failed several times in a row; it is left alone for a while.",
                    retry_after_s=max(left, 1.0),
                )
            self._trying = True
            return True

    def _leave(self, *, failed: bool, trial: bool) -> None:
        with self._lock:
            if trial:
                self._trying = False
            if not failed:
                self._in_a_row, self._opens_at = 0, None
                return
            self._in_a_row += 1
            if trial or self._in_a_row >= self._failures:
                if self._opens_at is None:
                    log.error("model rests", extra={"failures": self._in_a_row})
                self._opens_at = self._clock() + self._rest
