"""Subscriber of the topic `hooks`: an event is to be posted to an endpoint of somebody else's.

A function of its own: endpoints may be slow, and who posts to addresses that others name should hold
nothing that is worth asking for.
"""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import telemetry, wiring
from shared.hooks.fan_out import KIND

SETTINGS = wiring.begin()

wiring.hooks_secret()  # a missing one stops the start, by name


@functions_framework.cloud_event
def hooks(event: CloudEvent) -> None:
    """Entry point of the function. Raises `StoreUnavailable` to have the bell rung again."""
    try:
        wiring.subscriber().answer(KIND, event["id"], event.get_data())
    finally:
        telemetry.answered()
