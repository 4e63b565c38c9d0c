"""The queue port: a doorbell. The job table is the queue; a bell only says "look at this job now".

A bell that is lost costs at most a minute (the sweeper rings what is due), a bell that comes twice
costs one read. Nothing depends on bells arriving once, in order, or at all.

Both adapters deliver a bell as a Pub/Sub push request to the subscriber of its kind:
`{"message": {"data": base64(JSON of the bell), "attributes": {"kind"}, "messageId", "publishTime"},
"subscription"}`; a 2xx answer acknowledges, anything else or no answer within the ack deadline is
delivered again with backoff, and after the subscription's delivery attempts to the dead-letter
subscriber.
"""

from __future__ import annotations

from typing import Protocol

from shared.records.bell import Bell

#: Longest a ring may take, seconds. A sync waits for it, so it is short; the sweeper catches up.
RING_TIMEOUT_SECONDS = 2.0

#: How long rings fail at once after one that got no answer, seconds: a sync with five urgent records must
#: not wait five times; shorter than a person waits before trying again.
REST_SECONDS = 5.0


class Doorbell(Protocol):
    """Rings for jobs. Adapters: Pub/Sub, SQLite."""

    def ring(self, bell: Bell) -> None:
        """Ask that the subscriber of `bell.kind` be called soon.

        Waits for the answer at most `RING_TIMEOUT_SECONDS`, does not try again, and raises
        `QueueUnavailable` when it is not known to have been taken. After a ring without an answer
        the next ones fail at once for `REST_SECONDS`.
        """
        ...

    def close(self) -> None:
        """Give back connections."""
        ...
