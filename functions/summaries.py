"""Subscriber of the topic `summaries`: a patient's day is over, or something late is of one that was."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import telemetry, wiring
from shared.products.medmind.summary_tables import SUMMARIES

SETTINGS = wiring.begin()


@functions_framework.cloud_event
def summaries(event: CloudEvent) -> None:
    """Entry point of the function. Raises `StoreUnavailable` to have the bell rung again."""
    try:
        wiring.subscriber().answer(SUMMARIES, event["id"], event.get_data())
    finally:
        telemetry.answered()
