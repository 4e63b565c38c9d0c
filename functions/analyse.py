"""Subscriber of the topic `analyse`: a doorbell for a red case. Answers by running what is due.

Every outcome that is written down is acknowledged; only when nothing could be written does it fail,
so that the bell rings again.
"""

from __future__ import annotations

import logging

import functions_framework
from cloudevents.http import CloudEvent

from shared import telemetry, wiring
from shared.errors import Fault
from shared.jobs.bells import bell_of
from shared.products.dermadetect.tables import ANALYSE

SETTINGS = wiring.begin()

log = logging.getLogger("shared.jobs.analyse")


def notify() -> None:
    """Tell who waits for what was just finished; what fails here is left to the sweeper."""
    try:
        wiring.deliveries().deliver()
    except Fault as error:  # the bell itself was answered
        log.warning("notices left to the sweeper", extra={"code": error.code})


@functions_framework.cloud_event
def analyse(event: CloudEvent) -> None:
    """Entry point of the function. Raises `StoreUnavailable` to have the bell rung again."""
    bell = bell_of(event.get_data())
    if bell is None:
        log.error("bell not understood", extra={"event": event["id"]})
        return
    try:
        with telemetry.span(f"take {bell.kind}", bell.trace, "consumer"):
            report = wiring.runner().answer(ANALYSE, bell.job_id, SETTINGS.job_budget_seconds)
            said = {"event": event["id"], "job": bell.job_id, "states": report.states}
            log.info("jobs", extra=said)
    finally:
        notify()
        telemetry.answered()
