"""What the model costs, and the day's cap: at the cap analyses wait, none is dropped.

One document a day (UTC, `spending/2026-11-21`) counts what was spent, in millionths of the currency
that the prices are in. An analysis takes the most that it could cost before it asks, by
compare-and-set, and gives back what it did not use: however many workers there are, the cap is never
passed. A worker that dies between the two leaves its share counted: the cap errs on the safe side.

Prices are settings, so every amount is an estimate; the bill is Google's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.errors import Contended, ModelPaused
from shared.records.insist import insist
from shared.records.store import ABSENT, Key, RecordStore, StoredCollection, put

log = logging.getLogger(__name__)

COLLECTION = "spending"

STORED = (StoredCollection(COLLECTION, (("expires_at",),)),)

#: Code of `ModelPaused` at the cap.
CAP_REACHED = "daily_cap_reached"

MICRO = 1_000_000
#: How often a counter that others write too is tried; the wait between grows to this, seconds.
_TRIES = 12
_LONGEST_WAIT_SECONDS = 0.2
#: Days that a counter is kept.
_KEPT_DAYS = 90
_DAY_MS = 86_400_000
#: Tokens of a question without and for each photo, for the most that one may cost: prompt, facts at
#: their bounds, a broken answer shown again.
_QUESTION_TOKENS = 8_000


@dataclass(frozen=True, slots=True)
class Prices:
    """In one currency: per million tokens asked and answered, and per hour of answering."""

    asked: float = 0.0
    answered: float = 0.0
    hour: float = 0.0

    def micros(self, asked: int | None, answered: int | None, latency_ms: int) -> int:
        """An estimate of what a call cost, in millionths."""
        hours = max(0, latency_ms) / 3_600_000
        return round(
            (asked or 0) * self.asked + (answered or 0) * self.answered + hours * self.hour * MICRO
        )

    def most(self, calls: int, max_tokens: int, seconds: float) -> int:
        """The most that an analysis may cost, in millionths."""
        each = self.micros(_QUESTION_TOKENS, max_tokens, 0)
        return calls * each + self.micros(0, 0, round(seconds * 1000))


class SpendingCap:
    """The day's budget, or that of a task. `cap` is in the prices' currency; `clock` gives server ms."""

    def __init__(
        self, store: RecordStore, cap: float, clock: Callable[[], int], task: str = ""
    ) -> None:
        self._store, self._cap, self._clock = store, round(cap * MICRO), clock
        self._of = f"~{task}" if task else ""

    def take(self, micros: int) -> Key:
        """Set aside the most that something may cost; give the answer to `settle`.

        Raises `ModelPaused` (`daily_cap_reached`) until the next day when it does not fit. What
        alone is larger than the cap fits an untouched day, or it would never run.
        """
        now_ms = self._clock()
        day = datetime.fromtimestamp(now_ms / 1000, UTC).date()
        key = Key(COLLECTION, f"{day.isoformat()}{self._of}")

        def allowed(spent: int) -> bool:
            return spent + micros <= self._cap or spent == 0

        if not self._add(key, micros, allowed):
            midnight = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
            log.warning("daily cap reached", extra={"day": key.id, "cap_micros": self._cap})
            raise ModelPaused(
                "The day's budget for the model is used up; the job waits.",
                code=CAP_REACHED,
                retry_after_s=midnight.timestamp() - now_ms / 1000,
            )
        return key

    def settle(self, key: Key, taken: int, used: int) -> None:
        """Give back what was not used. Never raises `Contended`: then it stays counted."""
        try:
            self._add(key, used - taken, lambda _spent: True)
        except Contended:
            log.warning("budget not given back", extra={"day": key.id})

    def _add(self, key: Key, micros: int, allowed: Callable[[int], bool]) -> bool:
        def add() -> bool:
            document = self._store.read([key]).documents.get(key)
            have = {} if document is None else document.fields
            spent = int(have.get("micros", 0))
            if not allowed(spent):
                return False
            fields = {
                "micros": max(0, spent + micros),
                "expires_at": self._clock() + _KEPT_DAYS * _DAY_MS,
            }
            self._store.commit([put(key, fields, document.version if document else ABSENT)])
            return True

        return insist(
            add,
            _TRIES,
            busy="The day's budget is being changed by too many at once.",
            wait=time.sleep,
            longest_seconds=_LONGEST_WAIT_SECONDS,
        )
