"""Subscriber of the topic `ocr`: a drawing is to be read."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import telemetry, wiring
from shared.products.buildtrace.tables import OCR

SETTINGS = wiring.begin()


@functions_framework.cloud_event
def ocr(event: CloudEvent) -> None:
    """Entry point of the function. Raises `StoreUnavailable` to have the bell rung again."""
    try:
        wiring.subscriber().answer(OCR, event["id"], event.get_data())
    finally:
        telemetry.answered()
