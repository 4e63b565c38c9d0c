"""Subscriber of the dead-letter topics: a bell that nobody could answer makes its job due again."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import telemetry, wiring

SETTINGS = wiring.begin()


@functions_framework.cloud_event
def dead_letters(event: CloudEvent) -> None:
    """Entry point of the function. Raises `StoreUnavailable` to be called again."""
    try:
        wiring.subscriber().answer_dead(event["id"], event.get_data())
    finally:
        telemetry.answered()
