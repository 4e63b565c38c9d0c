"""Phones sync: `POST /api/sync` (batch), `GET` and `POST /api/v1/sync` (WatermelonDB)."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask import Request, Response

from shared import wiring
from shared.accounts import tokens
from shared.accounts.membership import Caller
from shared.errors import InvalidRequest, QueueUnavailable
from shared.jobs.queue import RING_TIMEOUT_SECONDS, Bell
from shared.killpoints import reach
from shared.sync import batch, record, watermelon
from shared.sync.pull import Start
from shared.sync.push import Outcome
from shared.web import Call, Route, answer, serve, streamed

SETTINGS = wiring.begin()

log = logging.getLogger("shared.sync.function")


def batch_sync(call: Call) -> Response:
    """The batch dialect: push, ring for red cases, pull."""
    caller = authenticate(call)
    call.check_app_version()
    now_ms = wiring.clock_ms()
    body, data = call.json()
    asked = batch.parse(
        body,
        wiring.product(),
        fingerprint=hashlib.sha256(data).hexdigest(),
        client_time_ms=call.client_time_ms(),
        now_ms=now_ms,
        size=len(data),
    )
    if asked.device is not None:
        caller = replace(caller, device=asked.device)
    call.notes |= {"user": caller.user_id, "device": caller.device}
    limits = {
        "rows": min(asked.limit or SETTINGS.page_rows, SETTINGS.page_rows),
        "size": SETTINGS.page_bytes,
    }
    if asked.page is not None:
        outcome = Outcome("")
        pull = wiring.puller().resume(caller, asked.page, now_ms, **limits)
    else:
        outcome = wiring.pusher().push(caller, asked.push, now_ms)
        ring(outcome.bells)
        reach("sync.rung")
        start = Start(asked.push.cursor_ms, tuple(outcome.show), outcome.receipt_id)
        pull = wiring.puller().start(caller, start, now_ms, **limits)
    value = batch.render(wiring.product(), outcome, pull, asked.push.clock_offset_ms)
    _note(call, outcome, value)
    return answer(value, call=call)


def authenticate(call: Call) -> Caller:
    """The caller of a request. Raises `Unauthenticated`."""
    return tokens.verify(
        call.bearer(), wiring.verification_keys(), wiring.token_policy(), time.time()
    )


def ring(bells: Sequence[Bell]) -> None:
    """Ring for jobs that were just stored. Within two seconds in all; the sweeper rings the rest."""
    end = time.monotonic() + RING_TIMEOUT_SECONDS
    for done, bell in enumerate(bells):
        if time.monotonic() >= end:
            log.warning("bells left to the sweeper", extra={"bells": len(bells) - done})
            return
        try:
            wiring.doorbell().ring(bell)
        except QueueUnavailable as error:
            log.warning("queue unavailable", extra={"bells": len(bells) - done, "code": error.code})
            return


def _note(call: Call, outcome: Outcome, value: dict[str, Any]) -> None:
    _note_outcome(call, outcome)
    call.notes |= {
        "rows": sum(len(rows) for rows in value["server_updates"].values()),
        "deletions": sum(len(ids) for ids in value["deleted"].values()),
        "has_more": value["has_more"],
    }


def _note_outcome(call: Call, outcome: Outcome) -> None:
    call.notes |= {
        "accepted": sum(len(ids) for ids in outcome.accepted.values()),
        "written": outcome.written,
        "conflicts": len(outcome.conflicts),
        "rejected": len(outcome.rejected),
        "attempts": outcome.attempts,
    }
    if outcome.urgent:
        log.error("red case refused", extra={"request_id": call.request_id, "n": outcome.urgent})


def watermelon_pull(call: Call) -> Response:
    """The WatermelonDB dialect: everything that changed since the phone's last pull, streamed."""
    caller, device = _phone(call)
    asked = watermelon.parse_pull(call.request.args, wiring.product())
    echo = watermelon.echo_of(device, asked.cursor_ms)
    start = Start(0 if asked.replacement else asked.cursor_ms, echo=echo, whole=asked.tables)
    pull = wiring.puller().start(caller, start, wiring.clock_ms())
    return streamed(watermelon.render_pull(wiring.product(), asked, pull), call)


def watermelon_push(call: Call) -> Response:
    """The WatermelonDB dialect: all or nothing, unless single records are to blame."""
    caller, device = _phone(call)
    now_ms = wiring.clock_ms()
    cursor_ms = watermelon.parse_cursor(call.request.args.get("last_pulled_at"))
    body, data = call.json()
    push = watermelon.parse_push(
        body,
        wiring.product(),
        cursor_ms=cursor_ms,
        device=device,
        fingerprint=hashlib.sha256(data).hexdigest(),
        client_time_ms=call.client_time_ms(unit_ms=1),
        now_ms=now_ms,
    )
    outcome = wiring.pusher().push(caller, push, now_ms)
    ring(outcome.bells)
    _note_outcome(call, outcome)
    return answer(watermelon.render_push(outcome), call=call)


def _phone(call: Call) -> tuple[Caller, str | None]:
    """The caller, and the phone's id if it named one: unnamed phones cannot be told apart."""
    caller = authenticate(call)
    call.check_app_version()
    named = call.request.args.get("device_id")
    if named is not None and not record.valid_id(named):
        raise InvalidRequest("device_id must be 1 to 128 of A-Z a-z 0-9 _ -.", field="device_id")
    if named is not None:
        caller = replace(caller, device=named)
    call.notes |= {"user": caller.user_id, "device": caller.device}
    return caller, None if caller.device == record.UNNAMED else caller.device


ROUTES = (
    Route("POST", "/api/sync", batch_sync),
    Route("GET", "/api/v1/sync", watermelon_pull),
    Route("POST", "/api/v1/sync", watermelon_push),
)


def sync(request: Request) -> Response:
    """Entry point of the function."""
    return serve(request, ROUTES, SETTINGS)
