"""Phones sync: `POST /api/sync` (batch), `GET` and `POST /api/v1/sync` (WatermelonDB), and the digest.

Each route reads its request by a dialect, calls the session (`shared/sync/session.py`), renders the answer
by the same dialect, and writes the attempt down in the ledger of devices.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from flask import Request, Response
from msgspec import UnsetType

from shared import wiring
from shared.access import audit
from shared.access.membership import Caller
from shared.api.bodies import Limits
from shared.api.fields import REF
from shared.api.sync import DigestAsked, PullAsked, PushAsked
from shared.api.web import Call, Route, answer, rates_of, serve, streamed
from shared.errors import Fault, InvalidRequest, StoreUnavailable
from shared.files.tickets import Announced
from shared.records.store import Write
from shared.support import ledger
from shared.support.ledger import Attempt
from shared.sync import digest
from shared.sync.dialects import batch, reading, watermelon
from shared.sync.exchange import Ignored, Outcome
from shared.sync.pull import Pull, Start
from shared.sync.session import Synced, SyncRequest, Ticketing

SETTINGS = wiring.begin()

log = logging.getLogger("shared.sync.function")

#: Everything that a phone has, for the first time: 50,000 patients. A million values take a quarter of the
#: function's memory at worst (tests/infra/test_memory.py).
_EVERYTHING = Limits(SETTINGS.max_body_bytes, SETTINGS.max_inflated_bytes, 1_000_000)


def batch_sync(call: Call) -> Response:
    """The batch dialect: push, ring for red cases, pull."""
    caller = call.caller
    with _attempt(call, caller, "batch") as attempt:
        call.check_app_version()
        now_ms = wiring.clock_ms()
        data = call.body()
        client_time_ms, unheard = _client_time(call)
        asked = batch.parse(
            reading.read(data),
            wiring.catalog(),
            fingerprint=hashlib.sha256(data).hexdigest(),
            client_time_ms=client_time_ms,
            now_ms=now_ms,
            size=len(data),
            strict=SETTINGS.strict_columns,
        )
        announced = wiring.tickets().announced(asked.files)
        if announced is not None and announced.note:
            message = "files must be a list of photos, 50 at a time; the rest was left out"
            unheard.append(Ignored(None, "files", announced.note, message))
        if asked.device is not None:
            attempt.caller = caller = replace(caller, device=asked.device)
        call.notes["device"] = caller.device
        attempt.clock_offset_ms = asked.push.clock_offset_ms
        attempt.unknown = ledger.unknown_columns(asked.push.ignored)
        request = _request(asked, _ticketing(announced), caller)
        synced = wiring.session().sync(caller, request, now_ms, pushed=attempt.take)
        attempt.pulled = synced.handed_out.counts
        if request.start is not None:
            _count_first(call, caller, request.start, synced.pull)
        value = batch.render(
            wiring.catalog(),
            synced.outcome,
            synced.pull,
            asked.push.clock_offset_ms,
            [*unheard, *asked.push.ignored],
        )
        if synced.tickets is not None:
            value["files"] = synced.tickets
        _note(call, synced.outcome)
        call.notes |= {**attempt.pulled, "has_more": value["has_more"]}
        response = answer(batch.brief(value) if asked.brief else value, call=call)
        attempt.bytes_out = response.content_length or 0
    if not value["has_more"] and (asked.page is not None or any(attempt.pulled.values())):
        attempt.cursor_ms = synced.pull.cursor_ms
    _tell_delivered(attempt, synced)
    if asked.page is None:
        ledger.settle(wiring.store(), attempt, synced)
    else:
        audit.note(wiring.store(), synced.handed_out.entries())
        if attempt.cursor_ms is not None:
            ledger.remember(wiring.store(), attempt)
    return response


def _request(asked: batch.Request, tickets: Ticketing | None, caller: Caller) -> SyncRequest:
    """What a body of the batch dialect asks the session for."""
    rows, size = min(asked.limit or SETTINGS.page_rows, SETTINGS.page_rows), SETTINGS.page_bytes
    if asked.page is not None:
        return SyncRequest(page=asked.page, rows=rows, size=size)
    start = Start(asked.push.cursor_ms, also=(ledger.key(caller),))
    return SyncRequest(asked.push, tickets, start, rows=rows, size=size)


def _ticketing(announced: Announced | None) -> Ticketing | None:
    """How the tickets are issued that a phone asks for; None: it has announced no photos."""
    if announced is None:
        return None
    return lambda caller, now_ms: wiring.tickets().ask(caller, announced.asks, now_ms)


def watermelon_pull(call: Call, query: PullAsked) -> Response:
    """The WatermelonDB dialect: everything that changed since the phone's last pull, streamed."""
    caller = _phone(call, query.device_id)
    with _attempt(call, caller, "watermelon") as attempt:
        call.check_app_version()
        asked = watermelon.parse_pull(call.request.args, wiring.catalog())
        rows = asked.limit or (None if asked.page is None else SETTINGS.page_rows)
        size = None if rows is None else SETTINGS.page_bytes
        start = None
        if asked.page is None:
            start = Start(
                0 if asked.replacement else asked.cursor_ms,
                echo=asked.echo,
                whole=asked.tables,
                hold=True,
                also=(ledger.key(caller),),
            )
        request = SyncRequest(start=start, page=asked.page, rows=rows, size=size)
        synced = wiring.session().sync(caller, request, wiring.clock_ms())
        if start is not None:
            _count_first(call, caller, start, synced.pull)
        pieces = watermelon.render_pull(wiring.catalog(), asked, synced.pull)
        watched = ledger.watched(wiring.store(), attempt, synced, pieces)
        return streamed(_told_when_over(watched, attempt, synced), call)


def _told_when_over(pieces: Iterator[bytes], attempt: Attempt, synced: Synced) -> Iterator[bytes]:
    """The pieces of an answer; the product hears of it when the last one was taken."""
    yield from pieces
    _tell_delivered(attempt, synced)


def _tell_delivered(attempt: Attempt, synced: Synced) -> None:
    """The product hears what a complete sync gave to those whom it is for. Never raises a `Fault`."""
    addressed, hears = synced.handed_out.addressed, wiring.product().delivered
    if attempt.cursor_ms is None or not addressed or hears is None:
        return
    try:
        hears(wiring.parts(), attempt.caller, list(addressed), wiring.clock_ms())
    except Fault as fault:
        log.warning("delivery not noted", extra={"code": fault.code})


def watermelon_push(call: Call, asked: PushAsked) -> Response:
    """The WatermelonDB dialect: all or nothing, unless single records are to blame."""
    caller = _phone(call, asked.device_id)
    with _attempt(call, caller, "watermelon") as attempt:
        call.check_app_version()
        now_ms = wiring.clock_ms()
        cursor_ms = watermelon.parse_cursor(asked.last_pulled_at or None)
        data = call.body()
        attempt.bytes_in = int(call.notes["bytes_in"])
        client_time_ms, unheard = _client_time(call, unit_ms=1)
        push = watermelon.parse_push(
            reading.read(data),
            wiring.catalog(),
            cursor_ms=cursor_ms,
            fingerprint=hashlib.sha256(data).hexdigest(),
            client_time_ms=client_time_ms,
            now_ms=now_ms,
            size=len(data),
            strict=SETTINGS.strict_columns,
        )
        attempt.clock_offset_ms = push.clock_offset_ms
        attempt.unknown = ledger.unknown_columns(push.ignored)

        def answered(outcome: Outcome) -> Response:
            value = watermelon.render_push(outcome, [*unheard, *push.ignored])
            response = answer(value, call=call)
            attempt.bytes_out = response.content_length or 0
            return response

        def entry(outcome: Outcome) -> Sequence[Write]:
            answered(outcome)
            return ledger.with_push(wiring.store(), attempt, outcome)

        push.also, push.adds = {ledger.key(caller): ledger.CARRIED}, entry
        outcome = (
            wiring.session().sync(caller, SyncRequest(push), now_ms, pushed=attempt.take).outcome
        )
        _note(call, outcome)
        response = answered(outcome)
    if not outcome.added:
        ledger.remember(wiring.store(), attempt, outcome.also)
    return response


def sync_digest(call: Call, asked: DigestAsked) -> Response:
    """What the phone should hold, as a count and a hash a table.

    For a phone that wants to know whether it holds what the server holds. Sync until nothing new comes, ask
    with the cursor of that sync, and compare. Reads every record of the user's teams on the server: once a
    day is often enough.
    """
    cursor_ms = watermelon.parse_cursor(asked.last_pulled_at or None) or None
    found = digest.digest(wiring.store(), wiring.catalog(), call.caller, cursor_ms)
    value = {"timestamp": found.at_ms, "current": found.current, "tables": found.tables}
    call.notes["current"] = found.current
    return answer(value, call=call)


def _phone(call: Call, named: str | UnsetType) -> Caller:
    """The caller, as the phone that it names."""
    caller = ledger.phone_of(call.caller, named or None)
    call.notes["device"] = caller.device
    return caller


@contextmanager
def _attempt(call: Call, caller: Caller, dialect: str) -> Iterator[Attempt]:
    """One attempt at a sync; one that is refused is written down."""
    version = call.request.headers.get("X-App-Version", "")
    attempt = Attempt(caller, dialect, wiring.clock_ms(), app_version=version)
    try:
        yield attempt
    except Fault as fault:
        attempt.outcome = fault.code
        attempt.bytes_in = int(call.notes.get("bytes_in", 0))
        if not isinstance(fault, StoreUnavailable):
            ledger.remember(wiring.store(), attempt)
        raise
    attempt.bytes_in = int(call.notes.get("bytes_in", 0))


def _count_first(call: Call, caller: Caller, start: Start, pull: Pull) -> None:
    """A first sync reads everything, so it is counted; it has read nothing yet. What the phone sent with
    it is stored in any case. Raises `TooManyTries`.
    """
    if not start.cursor_ms:
        rates = rates_of(call.settings)
        rates.first_sync(wiring.store(), caller.user_id, pull.scopes, wiring.clock_ms())


def _note(call: Call, outcome: Outcome) -> None:
    call.notes |= {
        "accepted": sum(len(ids) for ids in outcome.accepted.values()),
        "written": outcome.written,
        "conflicts": len(outcome.conflicts),
        "rejected": len(outcome.rejected),
        "attempts": outcome.attempts,
    }
    if outcome.urgent:
        log.error("red case refused", extra={"request_id": call.request_id, "n": outcome.urgent})


def _client_time(call: Call, unit_ms: int = 1000) -> tuple[int | None, list[Ignored]]:
    """The phone's clock, if it said it in words that make sense; a clock is never worth a sync."""
    try:
        return call.client_time_ms(unit_ms), []
    except InvalidRequest as fault:
        call.notes["client_time"] = fault.code
        return None, [Ignored(None, "X-Client-Time", fault.code, fault.message)]


ROUTES = (
    Route("POST", "/api/sync", batch_sync, _EVERYTHING),
    Route("GET", "/api/v1/sync", watermelon_pull, asks=PullAsked),
    Route("POST", "/api/v1/sync", watermelon_push, _EVERYTHING, asks=PushAsked),
    Route(
        "GET",
        "/api/v1/sync/digest",
        sync_digest,
        name="syncDigest",
        asks=DigestAsked,
        gives={"$ref": REF.format(name="SyncDigest")},
        faults=("invalid_cursor", "time_in_seconds", StoreUnavailable),
        answer_headers=("Cache-Control", "Content-Encoding"),
    ),
)


def sync(request: Request) -> Response:
    """Entry point of the function."""
    return serve(request, ROUTES, SETTINGS, wiring.caller)
