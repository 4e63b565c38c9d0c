"""Bells: ringing for what a commit left due, and reading one out of the message that carried it."""

from __future__ import annotations

import base64
import binascii
import logging
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from shared.errors import QueueUnavailable
from shared.jobs.queue import RING_TIMEOUT_SECONDS, Doorbell
from shared.records.bell import Bell

log = logging.getLogger(__name__)

#: Every job's id has this form; the store would refuse another as an address, bell after bell.
_JOB_ID = re.compile(r"(?!__)[A-Za-z0-9_~-]{1,300}")


def ring(doorbell: Callable[[], Doorbell], bells: Sequence[Bell]) -> None:
    """Ring for jobs that a commit has just left due, within `RING_TIMEOUT_SECONDS` in all. Never raises.

    Somebody waits meanwhile: what is not heard in that time the sweeper rings for. `doorbell` is asked
    for only if there is something to ring for.
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


def bell_of(data: Any) -> Bell | None:
    """The bell in a Pub/Sub push body or its CloudEvent; None if it is none of ours.

    A message that cannot be read is nobody's job: it is logged and acknowledged, never retried.
    """
    try:
        content = orjson.loads(base64.b64decode(data["message"]["data"], validate=True))
        bell = Bell(content["kind"], content["job_id"], content["subject_id"])
        trace = content.get("trace")
    except (TypeError, KeyError, ValueError, binascii.Error):
        return None
    if not all(isinstance(part, str) and part for part in bell[:3]):
        return None
    if not _JOB_ID.fullmatch(bell.job_id):
        return None
    return bell._replace(trace=trace) if isinstance(trace, str) else bell
