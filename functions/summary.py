"""Subscriber of the topic `summary`: what changed is to be told."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import telemetry, wiring
from shared.products.buildtrace.tables import SUMMARY

SETTINGS = wiring.begin()


@functions_framework.cloud_event
def summary(event: CloudEvent) -> None:
    """Entry point of the function. Raises `StoreUnavailable` to have the bell rung again."""
    try:
        wiring.subscriber().answer(SUMMARY, event["id"], event.get_data())
    finally:
        telemetry.answered()
