"""Subscriber of the topic `voice`: somebody said something to a device, or a circle is to be told."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from shared import telemetry, wiring
from shared.products.medmind.alert_tables import ALERT
from shared.products.medmind.voice_tables import VOICE

SETTINGS = wiring.begin()

#: How long alerts of what was heard may be worked on here, seconds; the sweeper takes what is left.
_ALERT_SECONDS = 30


@functions_framework.cloud_event
def voice(event: CloudEvent) -> None:
    """Entry point of the function. Raises `StoreUnavailable` to have the bell rung again."""
    try:
        wiring.subscriber().answer(VOICE, event["id"], event.get_data())
        # a danger must not wait for the sweeper's minute
        wiring.runner().drain(ALERT, _ALERT_SECONDS)
    finally:
        wiring.deliveries().deliver_soon()
        telemetry.answered()
