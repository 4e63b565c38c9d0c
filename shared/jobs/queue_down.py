"""When the queue (Pub/Sub) is down nothing is lost: requests succeed, the sweeper rings within a minute.

The jobs stand in the store before anybody rings (`shared/jobs/job.py`). So a ring that fails is a line in
the log, whoever waits for the answer waits `RING_TIMEOUT_SECONDS` for all rings together, and the bells
that were left are rung by the next sweep that reaches the queue (`shared/jobs/sweep.py`): it rings for
every job that is due.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from shared.errors import QueueUnavailable
from shared.jobs.queue import RING_TIMEOUT_SECONDS, Doorbell
from shared.records.bell import Bell

log = logging.getLogger(__name__)


def ring(doorbell: Callable[[], Doorbell], bells: Sequence[Bell]) -> None:
    """Ring for jobs that a commit has just left due, within `RING_TIMEOUT_SECONDS` in all. Never raises.

    `doorbell` is asked for only if there is something to ring for.
    """
    end = time.monotonic() + RING_TIMEOUT_SECONDS
    for done, bell in enumerate(bells):
        if time.monotonic() >= end:
            log.warning("bells left to the sweeper", extra={"bells": len(bells) - done})
            return
        try:
            doorbell().ring(bell)
        except QueueUnavailable as error:
            log.warning("queue unavailable", extra={"bells": len(bells) - done, "code": error.code})
            return
