"""What people may choose of how they are told: the hours in which it is quiet, and their phones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from shared.api.fields import MomentOrNull, must, says
from shared.errors import InvalidRequest
from shared.records.store import Query, RecordStore
from shared.records.wall_time import instant, known_zone
from shared.support import ledger

#: From and to as 22:00, and the time zone of that clock.
Quiet = tuple[str, str, str]

#: Longest quiet hours: whoever is told less than every third hour of a day is not told.
_LONGEST_QUIET = timedelta(hours=16)

_MINUTES = r"^([01]\d|2[0-3]):[0-5]\d\Z"
Clock = Annotated[str, must("a time of day as 22:00", pattern=_MINUTES), says("HH:MM.")]


class QuietHours(Struct, rename={"begins": "from", "ends": "to"}):
    """Hours of each day in which nothing is sent; what falls in is sent at their end."""

    begins: Clock
    ends: Clock
    time_zone: Annotated[str, Meta(max_length=60), says("Of that clock, as Asia/Kolkata.")]


class KnownPhone(Struct):
    """A phone that the caller has synced with."""

    device: str
    reachable: Annotated[bool, says("Whether it has sent a push token.")]
    last_seen_at: MomentOrNull


def check_quiet(quiet: QuietHours | None) -> None:
    """Refuse quiet hours that cannot be. Raises `InvalidRequest`."""
    if quiet is None:
        return
    check_zone(quiet.time_zone, "quiet_hours.time_zone")
    length = _minutes(quiet.ends) - _minutes(quiet.begins)
    if not timedelta() < timedelta(minutes=length % 1440) <= _LONGEST_QUIET:
        hours = _LONGEST_QUIET // timedelta(hours=1)
        raise InvalidRequest(
            f"Quiet hours have an end after their beginning, at most {hours} hours later.",
            field="quiet_hours.to",
        )


def check_zone(name: str, field: str) -> None:
    """Refuse what is no time zone. Raises `InvalidRequest`."""
    if not known_zone(name):
        raise InvalidRequest("Name a time zone such as Asia/Kolkata.", field=field)


def quiet_until(quiet: Quiet | None, at_ms: int) -> int:
    """When it may be sent that is due at an instant, Unix ms: then, or at the end of quiet hours.

    They begin and end when the clock first shows so; a time that spring leaves out is an hour later.
    """
    if quiet is None:
        return at_ms
    begins, ends, zone = quiet
    where = ZoneInfo(zone)
    today = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(where).date()
    for days in (-1, 0, 1):
        day = today + timedelta(days=days)
        after = day + timedelta(days=1) if ends <= begins else day
        first = instant(datetime.fromisoformat(f"{day}T{begins}"), where)
        last = instant(datetime.fromisoformat(f"{after}T{ends}"), where)
        if first <= at_ms < last:
            return last
    return at_ms


def next_clock(shows: str, zone: str, after_ms: int) -> int:
    """The first instant after one (Unix ms) at which a zone's clock shows a time of day."""
    where = ZoneInfo(zone)
    today = datetime.fromtimestamp(after_ms / 1000, UTC).astimezone(where).date()
    moments = (
        instant(datetime.fromisoformat(f"{today + timedelta(days=days)}T{shows}"), where)
        for days in (0, 1, 2)
    )
    return next(each for each in moments if each > after_ms)


def phones_of(store: RecordStore, user_id: str) -> list[KnownPhone]:
    """The phones of a user, the one that was heard of last first."""
    fields = ("device", "attempt_at", ledger.PUSH_TOKEN)
    query = Query(ledger.COLLECTION, where=(("user_id", "==", user_id),), fields=fields)
    found = sorted(store.query(query), key=lambda each: -int(each.fields.get("attempt_at") or 0))
    return [
        KnownPhone(
            str(each.fields["device"]),
            bool(each.fields.get(ledger.PUSH_TOKEN)),
            each.fields.get("attempt_at"),
        )
        for each in found
    ]


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])
