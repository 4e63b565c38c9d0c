"""Subscriber of the topic `diff`: sheets are to be compared."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import telemetry, wiring
from shared.products.buildtrace.tables import DIFF

SETTINGS = wiring.begin()


@functions_framework.cloud_event
def diff(event: CloudEvent) -> None:
    """Entry point of the function. Raises `StoreUnavailable` to have the bell rung again."""
    try:
        wiring.subscriber().answer(DIFF, event["id"], event.get_data())
    finally:
        telemetry.answered()
