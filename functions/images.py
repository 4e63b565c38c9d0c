"""Subscriber of the topic `images`: a doorbell for an upload that is too large to be checked at once."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import telemetry, wiring
from shared.files.file import CHECK

SETTINGS = wiring.begin()


@functions_framework.cloud_event
def images(event: CloudEvent) -> None:
    """Entry point of the function. Raises `StoreUnavailable` to have the bell rung again."""
    try:
        wiring.subscriber().answer(CHECK, event["id"], event.get_data())
    finally:
        telemetry.answered()
