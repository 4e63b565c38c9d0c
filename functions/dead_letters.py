"""Subscriber of the dead-letter topics: a bell that nobody could answer.

Only our own count of attempts parks a job. So a dead letter makes its job due again, unless
somebody is working on it, and is seen in the logs and alerts.
"""

from __future__ import annotations

import logging

import functions_framework
from cloudevents.http import CloudEvent

from shared import telemetry, wiring
from shared.errors import Contended
from shared.jobs.bells import bell_of
from shared.jobs.sweep import revive

SETTINGS = wiring.begin()

log = logging.getLogger("shared.jobs.dead_letters")


@functions_framework.cloud_event
def dead_letters(event: CloudEvent) -> None:
    """Entry point of the function. Raises `StoreUnavailable` to be called again."""
    bell = bell_of(event.get_data())
    if bell is None:
        log.error("dead letter not understood", extra={"event": event["id"]})
        return
    with telemetry.span(f"take dead {bell.kind}", bell.trace, "consumer"):
        try:
            state = revive(wiring.store(), bell.job_id, wiring.clock_ms)
        except Contended:
            state = "changing"
        log.error("dead letter", extra={"job": bell.job_id, "kind": bell.kind, "state": state})
    telemetry.answered()
