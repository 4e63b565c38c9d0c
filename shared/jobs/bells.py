"""Reading a doorbell out of the Pub/Sub message that carried it."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import orjson

from shared.records.bell import Bell

#: Every job's id has this form; the store would refuse another as an address, bell after bell.
_JOB_ID = re.compile(r"(?!__)[A-Za-z0-9_~-]{1,300}")


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
