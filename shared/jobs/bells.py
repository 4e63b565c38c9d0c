"""Reading a doorbell out of the Pub/Sub message that carried it."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from shared.jobs.queue import Bell


def bell_of(data: Any) -> Bell | None:
    """The bell in a Pub/Sub push body or its CloudEvent; None if it is none of ours.

    A message that cannot be read is nobody's job: it is logged and acknowledged, never retried.
    """
    try:
        content = json.loads(base64.b64decode(data["message"]["data"], validate=True))
        bell = Bell(content["kind"], content["job_id"], content["subject_id"])
    except (TypeError, KeyError, ValueError, binascii.Error):
        return None
    return bell if all(isinstance(part, str) and part for part in bell) else None
