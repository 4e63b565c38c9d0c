"""Wall time: what the clock of a place shows, and the instant that it means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def known_zone(name: str) -> bool:
    """Whether there is a time zone of this name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def zone_named(name: object) -> ZoneInfo:
    """The time zone of this name; UTC if there is none."""
    named = str(name or "UTC")
    return ZoneInfo(named if known_zone(named) else "UTC")


def instant(wall: datetime, zone: ZoneInfo) -> int:
    """The instant, Unix ms, at which a clock shows a wall time; `fold` 0: the first, if it comes twice.

    One that never comes is read with the offset before the change (PEP 495).
    """
    return (wall.replace(tzinfo=zone) - _EPOCH) // timedelta(milliseconds=1)
