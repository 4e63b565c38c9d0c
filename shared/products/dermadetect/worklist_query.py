"""What a screen asks of the work list: filters, pages, and the days that it means.

A page token names the place of the last entry that was shown, and the list: one of other filters refuses
it, or it would leave out what stands before the place there. It may be forged: it only says where a list of
what the caller may see goes on. Since it is a place and no number of entries, what comes and goes before it
moves nothing: an entry that stays where it is comes once.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson

from shared.errors import InvalidCursor, InvalidRequest
from shared.products.dermadetect import days
from shared.products.dermadetect.screen import MOST, PAGE, RISKS, STATUSES
from shared.products.dermadetect.tables import PENDING
from shared.records import record

#: Times before this (1973) are seconds taken for milliseconds.
_LEAST_MS = 100_000_000_000

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


def parse(arguments: Mapping[str, str]) -> WorklistQuery:
    """Check a query string. Raises `InvalidRequest` and `InvalidCursor`."""
    from_ms, until_ms = span(arguments)
    asked = WorklistQuery(
        an_id(arguments, "scope"),
        _one_of(arguments, "status", STATUSES) or PENDING,
        _one_of(arguments, "risk", RISKS),
        flag(arguments, "unread"),
        limit(arguments.get("limit")),
        None,
        _since(arguments.get("since")),
        flag(arguments, "mine"),
        an_id(arguments, "worker"),
        an_id(arguments, "patient"),
        from_ms,
        until_ms,
        flag(arguments, "thumbnails"),
    )
    if asked.unread:
        for name in ("mine", "worker", "patient", "first_day", "last_day"):
            if name in arguments:
                raise InvalidRequest(f"{name} cannot be joined with unread.", field=name)
    page = arguments.get("page")
    return asked if page is None else asked._replace(behind=opened(page, asked.kind))


def an_id(arguments: Mapping[str, str], name: str) -> str | None:
    """An id, if one is named. Raises `InvalidRequest`."""
    value = arguments.get(name)
    if value is not None and not record.valid_id(value):
        raise InvalidRequest(f"{name} must be an id.", field=name)
    return value


def flag(arguments: Mapping[str, str], name: str) -> bool:
    """1 or 0; 0 if it is absent. Raises `InvalidRequest`."""
    value = arguments.get(name, "0")
    if value not in ("0", "1"):
        raise InvalidRequest(f"{name} must be 1 or 0.", field=name)
    return value == "1"


def span(arguments: Mapping[str, str]) -> tuple[int | None, int | None]:
    """From `first_day` to `last_day`, both inclusive, in `zone`: ms. Raises `InvalidRequest`."""
    zone = days.zone_of(arguments.get("zone"))
    first, last = (
        days.day_of(arguments[name], name) if name in arguments else None
        for name in ("first_day", "last_day")
    )
    if first is not None and last is not None and last < first:
        raise InvalidRequest("last_day must not be before first_day.", field="last_day")
    return (
        None if first is None else days.begins_ms(first, zone),
        None if last is None else days.ends_ms(last, zone),
    )


def limit(text: str | None, usual: int = PAGE) -> int:
    """Entries of a page, `MOST` at most. Raises `InvalidRequest`."""
    if text is None:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise InvalidRequest("limit must be a whole number from 1.", field="limit")
    return min(int(text), MOST)


def _one_of(arguments: Mapping[str, str], name: str, choices: Sequence[str]) -> str | None:
    value = arguments.get(name)
    if value is not None and value not in choices:
        raise InvalidRequest(f"{name} must be one of {', '.join(choices)}.", field=name)
    return value


def _since(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InvalidCursor("since must be the timestamp of an earlier answer.", field="since")
    if 0 < int(text) < _LEAST_MS:
        raise InvalidCursor(
            "since is in seconds; this endpoint counts milliseconds.",
            code="time_in_seconds",
            field="since",
        )
    return int(text)


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
