"""Subscriber of the topic `analyse`: a doorbell for a red case."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import telemetry, wiring
from shared.products.dermadetect.tables import ANALYSE

SETTINGS = wiring.begin()


@functions_framework.cloud_event
def analyse(event: CloudEvent) -> None:
    """Entry point of the function. Raises `StoreUnavailable` to have the bell rung again."""
    try:
        wiring.subscriber().answer(ANALYSE, event["id"], event.get_data())
    finally:
        wiring.deliveries().deliver_soon()
        wiring.fan_out().run_soon()
        telemetry.answered()
