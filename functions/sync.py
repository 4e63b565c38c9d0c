"""`POST /api/sync`: a phone's changes in, everything that changed for it out."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from flask import Request, Response

from shared import wiring
from shared.accounts import tokens
from shared.accounts.membership import Caller
from shared.errors import InvalidRequest, QueueUnavailable
from shared.jobs.queue import RING_TIMEOUT_SECONDS, Bell
from shared.killpoints import reach
from shared.sync import batch
from shared.sync.pull import Start
from shared.sync.push import Outcome
from shared.web import Call, Route, answer, serve

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


def _note(call: Call, outcome: Outcome, value: dict[str, object]) -> None:
    updates, deleted = value["server_updates"], value["deleted"]
    if not isinstance(updates, dict) or not isinstance(deleted, dict):
        raise InvalidRequest("unreachable")
    call.notes |= {
        "accepted": sum(len(ids) for ids in outcome.accepted.values()),
        "written": outcome.written,
        "conflicts": len(outcome.conflicts),
        "rejected": len(outcome.rejected),
        "attempts": outcome.attempts,
        "rows": sum(len(rows) for rows in updates.values()),
        "deletions": sum(len(ids) for ids in deleted.values()),
        "has_more": value["has_more"],
    }
    if outcome.urgent:
        log.error("red case refused", extra={"request_id": call.request_id, "n": outcome.urgent})


ROUTES = (Route("POST", "/api/sync", batch_sync),)


def sync(request: Request) -> Response:
    """Entry point of the function."""
    return serve(request, ROUTES, SETTINGS)
