"""Subscriber of the topic `images`: a doorbell for an upload that is too large to be checked at once."""

from __future__ import annotations

import logging

import functions_framework
from cloudevents.http import CloudEvent

from shared import telemetry, wiring
from shared.files.file import CHECK
from shared.jobs.bells import bell_of

SETTINGS = wiring.begin()

log = logging.getLogger("shared.files.images")


@functions_framework.cloud_event
def images(event: CloudEvent) -> None:
    """Entry point of the function. Raises `StoreUnavailable` to have the bell rung again."""
    bell = bell_of(event.get_data())
    if bell is None:
        log.error("bell not understood", extra={"event": event["id"]})
        return
    try:
        with telemetry.span(f"take {bell.kind}", bell.trace, "consumer"):
            report = wiring.runner().answer(CHECK, bell.job_id, SETTINGS.job_budget_seconds)
            said = {"event": event["id"], "job": bell.job_id, "states": report.states}
            log.info("jobs", extra=said)
    finally:
        telemetry.answered()
