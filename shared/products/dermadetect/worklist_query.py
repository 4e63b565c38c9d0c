"""What a screen asks of the work list: filters, pages, and the days that it means.

A page token names the place of the last entry that was shown, and the list: one of other filters refuses
it, or it would leave out what stands before the place there. It may be forged: it only says where a list of
what the caller may see goes on. Since it is a place and no number of entries, what comes and goes before it
moves nothing: an entry that stays where it is comes once.
"""

from __future__ import annotations

import base64
import hashlib
from typing import NamedTuple

import orjson
from msgspec import UnsetType

from shared.errors import InvalidCursor, InvalidRequest
from shared.products.dermadetect import days
from shared.products.dermadetect.screen import MOST, PAGE, CasesAsked
from shared.products.dermadetect.tables import PENDING
from shared.records import record

#: Where a page ended: the place of its last entry in the list.
Place = tuple[int | str, ...]

#: Kinds of lists. A place in the first has two numbers before the id, in the others one.
CASES, UNREAD, OF_PATIENT = "cases", "unread", "patient"


class WorklistQuery(NamedTuple):
    """What a screen asks for; `from_ms` (inclusive) and `until_ms` (exclusive) are times of phones."""

    scope_id: str | None = None
    status: str = PENDING
    risk: str | None = None
    unread: bool = False
    limit: int = PAGE
    behind: Place | None = None
    since_ms: int | None = None
    mine: bool = False
    changed: bool = False
    worker: str | None = None
    patient: str | None = None
    from_ms: int | None = None
    until_ms: int | None = None
    thumbnails: bool = False

    @property
    def kind(self) -> str:
        """Which list it is: the same for every page of it, another one for other filters."""
        if self.unread:
            return UNREAD
        plain = WorklistQuery()
        own = self._replace(limit=PAGE, behind=None, since_ms=None, thumbnails=False)
        if own == plain:
            return CASES
        return f"{CASES}.{hashlib.sha256(repr(own).encode()).hexdigest()[:16]}"


def parse(asked: CasesAsked) -> WorklistQuery:
    """What a query string asks for. Raises `InvalidRequest` and `InvalidCursor`."""
    from_ms, until_ms = _span(asked)
    query = WorklistQuery(
        asked.scope or None,
        asked.status,
        asked.risk or None,
        asked.unread == "1",
        min(asked.limit, MOST),
        None,
        _since(asked.since) if isinstance(asked.since, str) else None,
        asked.mine == "1",
        asked.changed == "1",
        asked.worker or None,
        asked.patient or None,
        from_ms,
        until_ms,
        asked.thumbnails == "1",
    )
    if query.unread:
        further = {
            "mine": query.mine,
            "changed": query.changed,
            "worker": query.worker,
            "patient": query.patient,
            "first_day": from_ms,
            "last_day": until_ms,
        }
        for name, value in further.items():
            if value:
                raise InvalidRequest(f"{name} cannot be joined with unread.", field=name)
    if query.changed and query.status != PENDING:
        raise InvalidRequest("changed cannot be joined with status.", field="changed")
    return query._replace(behind=behind(asked.page, query.kind))


def _span(asked: CasesAsked) -> tuple[int | None, int | None]:
    """From the first day to the last one, both inclusive, in their zone: ms. Raises `InvalidRequest`."""
    zone = days.zone_of(asked.zone)
    first = days.day_of(asked.first_day, "first_day") if asked.first_day else None
    last = days.day_of(asked.last_day, "last_day") if asked.last_day else None
    if first is not None and last is not None and last < first:
        raise InvalidRequest("last_day must not be before first_day.", field="last_day")
    return (
        None if first is None else days.begins_ms(first, zone),
        None if last is None else days.ends_ms(last, zone),
    )


def _since(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InvalidCursor("since must be the timestamp of an earlier answer.", field="since")
    if 0 < int(text) < record.LEAST_MS:
        raise InvalidCursor(
            "since is in seconds; this endpoint counts milliseconds.",
            code="time_in_seconds",
            field="since",
        )
    return int(text)


def behind(page: str | UnsetType, kind: str) -> Place | None:
    """Where a list goes on; None: at its beginning. Raises `InvalidCursor`."""
    return opened(page, kind) if isinstance(page, str) else None


def sealed(kind: str, place: Place) -> str:
    """The token of what stands behind a place in a kind of list."""
    return base64.urlsafe_b64encode(orjson.dumps([kind, *place])).decode().rstrip("=")


def opened(token: str, kind: str) -> Place:
    """The place that a token names. Raises `InvalidCursor`."""
    try:
        data = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), b"-_", validate=True)
        found, *place = orjson.loads(data)
    except (ValueError, TypeError):
        found, place = None, []
    *numbers, last = place or [None]
    known = found == kind and len(numbers) == (1 if kind in (UNREAD, OF_PATIENT) else 2)
    whole = all(type(n) is int and 0 <= n <= record.MAX_INTEGER for n in numbers)
    if not (known and whole and record.valid_id(last)):
        raise InvalidCursor(
            "page is none of this list, or of other filters. Start it again.", field="page"
        )
    return tuple(place)
