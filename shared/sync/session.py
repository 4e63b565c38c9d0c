"""One sync of a phone, from what it asks to what it is answered: without HTTP, free of dialect.

    push     what the phone changed is stored
    ring     for the jobs that are due by it
    tickets  for the files that the phone announced, whose records are stored by now
    pull     what changed elsewhere, on a snapshot that holds the push

A request asks for any of these parts. Whoever calls reads it by a dialect and renders the answer by
the same dialect. A crash between two parts leaves a push that is stored: the same request sent again is
answered from its receipt, and the sweeper rings for what nobody rang for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from shared.access import audit
from shared.access.membership import Caller
from shared.records import record
from shared.records.bell import Bell
from shared.records.killpoints import reach
from shared.records.store import Document, Write
from shared.sync.exchange import Outcome, Push
from shared.sync.pull import Gone, Pull, Puller, Row, Start
from shared.sync.push import Pusher

#: Rings for jobs; what is not heard is left to the sweeper, so it never raises.
Ring = Callable[[Sequence[Bell]], None]


class Issued(Protocol):
    """Tickets for the files of a request: an answer for each, and what to ring for."""

    @property
    def answers(self) -> Sequence[dict[str, Any]]:
        """In the order in which the phone named its files."""
        ...

    @property
    def bells(self) -> Sequence[Bell]:
        """A file that was here already may be the last that a job waited for."""
        ...


#: Issues the tickets that a request asks for, to this caller at this time (server ms).
Ticketing = Callable[[Caller, int], Issued]


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What a phone asks in one request; a part that is None is not asked for.

    `start` begins a pull, `page` goes on with one; at most one of them is given. Of the pull's answer
    there are at most `rows` rows or about `size` bytes.
    """

    push: Push | None = None
    tickets: Ticketing | None = None
    start: Start | None = None
    page: str | None = None
    rows: int | None = None
    size: int | None = None


#: Records for the caller that one answer remembers, the newest: a phone that is new gets all there are.
_MOST_ADDRESSED = 50


class HandedOut:
    """Counts what a pull hands out, and notes it for the audit trail, while it passes."""

    def __init__(self, pull: Pull, caller: Caller, now_ms: int) -> None:
        self._caller, self._now_ms = caller, now_ms
        self._touched: dict[str, dict[str, list[str]]] = {}
        self.counts = {"rows": 0, "deletions": 0}
        self.waiting = 0  #: ids that no entry has yet
        #: The newest records that are made for the caller (`record.FOR`).
        self.addressed: deque[Document] = deque(maxlen=_MOST_ADDRESSED)
        pull.items = self._watched(pull.items)

    def _watched(self, items: Iterator[Row | Gone]) -> Iterator[Row | Gone]:
        for item in items:
            if isinstance(item, Row):
                self.counts["rows"] += 1
                self.waiting += 1
                tables = self._touched.setdefault(item.document.fields[record.SCOPE], {})
                tables.setdefault(item.collection.name, []).append(item.document.key.id)
                if item.document.fields.get(record.FOR) == self._caller.user_id:
                    self.addressed.append(item.document)
            else:
                self.counts["deletions"] += 1
            yield item

    def entries(self) -> list[Write]:
        """The audit's entries for what passed since the last call."""
        touched, self._touched, self.waiting = self._touched, {}, 0
        return [
            write
            for scope_id, ids in touched.items()
            for write in audit.entries(self._caller, "pull", scope_id, ids, self._now_ms)
        ]


@dataclass(frozen=True, slots=True)
class Synced:
    """What came of a request; parts that were not asked for are empty. `pull` is read by rendering it."""

    outcome: Outcome
    tickets: Sequence[dict[str, Any]] | None
    pull: Pull
    handed_out: HandedOut


class SyncSession:
    """Serves syncs. Safe to share between threads."""

    def __init__(self, pusher: Pusher, puller: Puller, ring: Ring) -> None:
        self.pusher, self.puller, self.ring = pusher, puller, ring

    def sync(
        self,
        caller: Caller,
        asked: SyncRequest,
        now_ms: int,
        *,
        pushed: Callable[[Outcome], None] | None = None,
    ) -> Synced:
        """Do what a phone asks, in the order above.

        `pushed` hears what became of the push before a later part may fail. Raises what `Pusher.push`,
        `Puller.start` and `Puller.resume` raise, and what the tickets do. The same request may be sent
        again after any of it.
        """
        outcome, tickets = Outcome(""), None
        if asked.push is not None:
            outcome = self.pusher.push(caller, asked.push, now_ms)
            if pushed is not None:
                pushed(outcome)
            self.ring(outcome.bells)
            reach("sync.rung")
        if asked.tickets is not None:
            issued = asked.tickets(caller, now_ms)
            tickets = issued.answers
            self.ring(issued.bells)
        pull = self._pull(caller, asked, outcome, now_ms)
        return Synced(outcome, tickets, pull, HandedOut(pull, caller, now_ms))

    def _pull(self, caller: Caller, asked: SyncRequest, outcome: Outcome, now_ms: int) -> Pull:
        """The page that is asked for; rows that the push made news for its phone are on the first."""
        if asked.page is not None:
            return self.puller.resume(caller, asked.page, now_ms, rows=asked.rows, size=asked.size)
        if asked.start is None:
            return Pull(0)
        start = asked.start
        if asked.push is not None:
            start = replace(start, show=tuple(outcome.show), echo=outcome.receipt_id)
        return self.puller.start(caller, start, now_ms, rows=asked.rows, size=asked.size)
