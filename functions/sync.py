"""Phones sync: `POST /api/sync` (batch), `GET` and `POST /api/v1/sync` (WatermelonDB).

Beside it what hangs on syncing: the digest, the ledger of devices, the inbox, undelete.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from flask import Request, Response

from shared import wiring
from shared.access import audit, membership
from shared.access.membership import Caller
from shared.access.rights import Action
from shared.api.bodies import PAGE, Limits
from shared.api.web import Call, Route, answer, rates_of, serve, streamed
from shared.errors import (
    Contended,
    Fault,
    Forbidden,
    InvalidRequest,
    NotFound,
    StoreUnavailable,
)
from shared.files.tickets import IssuedTickets
from shared.jobs.restore import undelete
from shared.jobs.show import readable_job, shown_job
from shared.records import record
from shared.records.killpoints import reach
from shared.records.store import Key, Write
from shared.support import inbox, ledger
from shared.support.inbox import shown_entry
from shared.support.ledger import Attempt
from shared.sync import digest, paging
from shared.sync.dialects import batch, reading, watermelon
from shared.sync.exchange import Ignored, Outcome
from shared.sync.pull import Gone, Pull, Row, Start

SETTINGS = wiring.begin()

log = logging.getLogger("shared.sync.function")

_DAY_MS = 86_400_000

#: Everything that a phone has, for the first time: 50,000 patients. A million values take a quarter of the
#: function's memory at worst (tests/infra/test_memory.py).
_EVERYTHING = Limits(SETTINGS.max_body_bytes, SETTINGS.max_inflated_bytes, 1_000_000)


def batch_sync(call: Call) -> Response:
    """The batch dialect: push, ring for red cases, pull."""
    caller = wiring.caller(call)
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
        call.notes |= {"user": caller.user_id, "device": caller.device}
        attempt.clock_offset_ms = asked.push.clock_offset_ms
        attempt.unknown = ledger.unknown_columns(asked.push.ignored)
        limits = {
            "rows": min(asked.limit or SETTINGS.page_rows, SETTINGS.page_rows),
            "size": SETTINGS.page_bytes,
        }
        tickets: IssuedTickets | None = None
        if asked.page is not None:
            outcome = Outcome("")
            pull = wiring.puller().resume(caller, asked.page, now_ms, **limits)
        else:
            outcome = wiring.pusher().push(caller, asked.push, now_ms)
            attempt.take(outcome)
            wiring.ring(outcome.bells)
            reach("sync.rung")
            if announced is not None:
                tickets = wiring.tickets().ask(caller, announced.asks, now_ms)
            pull = wiring.puller().start(
                caller,
                Start(
                    asked.push.cursor_ms,
                    tuple(outcome.show),
                    outcome.receipt_id,
                    also=(ledger.key(caller),),
                ),
                now_ms,
                **limits,
            )
            if not asked.push.cursor_ms:
                _count_first(call, caller, pull)
        seen = _HandedOut(attempt)
        pull.items = seen.watch(pull.items)
        value = batch.render(
            wiring.catalog(),
            outcome,
            pull,
            asked.push.clock_offset_ms,
            [*unheard, *asked.push.ignored],
        )
        if tickets is not None:
            value["files"] = tickets.answers
            wiring.ring(tickets.bells)
        _note(call, outcome)
        call.notes |= {**attempt.pulled, "has_more": value["has_more"]}
        response = answer(value, call=call)
        attempt.bytes_out = response.content_length or 0
    if not value["has_more"] and (asked.page is not None or any(attempt.pulled.values())):
        attempt.cursor_ms = pull.cursor_ms
    if asked.page is None:
        _settle(attempt, pull, seen)
    else:
        audit.note(wiring.store(), seen.entries())
        if attempt.cursor_ms is not None:
            _remember(attempt)
    return response


def _count_first(call: Call, caller: Caller, pull: Pull) -> None:
    """Everything is read now, and nothing was yet. What the phone sent with it is stored in any case."""
    rates_of(call.settings).first_sync(
        wiring.store(), caller.user_id, pull.scopes, wiring.clock_ms()
    )


def watermelon_pull(call: Call) -> Response:
    """The WatermelonDB dialect: everything that changed since the phone's last pull, streamed."""
    caller = _phone(call)
    with _attempt(call, caller, "watermelon") as attempt:
        call.check_app_version()
        asked = watermelon.parse_pull(call.request.args, wiring.catalog())
        limits = {"rows": asked.limit, "size": SETTINGS.page_bytes if asked.limit else None}
        if asked.page is not None:
            limits = {"rows": asked.limit or SETTINGS.page_rows, "size": SETTINGS.page_bytes}
            pull = wiring.puller().resume(caller, asked.page, wiring.clock_ms(), **limits)
        else:
            start = Start(
                0 if asked.replacement else asked.cursor_ms,
                echo=asked.echo,
                whole=asked.tables,
                hold=True,
                also=(ledger.key(caller),),
            )
            pull = wiring.puller().start(caller, start, wiring.clock_ms(), **limits)
            if not start.cursor_ms:
                _count_first(call, caller, pull)
        pieces = watermelon.render_pull(wiring.catalog(), asked, pull)
        return streamed(_watched(attempt, pull, pieces), call)


def watermelon_push(call: Call) -> Response:
    """The WatermelonDB dialect: all or nothing, unless single records are to blame."""
    caller = _phone(call)
    with _attempt(call, caller, "watermelon") as attempt:
        call.check_app_version()
        now_ms = wiring.clock_ms()
        cursor_ms = watermelon.parse_cursor(call.request.args.get("last_pulled_at"))
        data = call.body()
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
        outcome = wiring.pusher().push(caller, push, now_ms)
        attempt.take(outcome)
        wiring.ring(outcome.bells)
        _note(call, outcome)
        response = answer(watermelon.render_push(outcome, [*unheard, *push.ignored]), call=call)
        attempt.bytes_out = response.content_length or 0
    _remember(attempt)
    return response


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


def _phone(call: Call) -> Caller:
    """The caller, as the phone that it names; unnamed phones cannot be told apart."""
    caller = wiring.caller(call)
    named = call.request.args.get("device_id")
    if named is not None and not record.valid_id(named):
        raise InvalidRequest("device_id must be 1 to 128 of A-Z a-z 0-9 _ -.", field="device_id")
    if named is not None:
        caller = replace(caller, device=named)
    call.notes |= {"user": caller.user_id, "device": caller.device}
    return caller


# --- the ledger of devices


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
            _remember(attempt)
        raise
    attempt.bytes_in = int(call.notes.get("bytes_in", 0))


class _HandedOut:
    """What a pull hands out: counted for the ledger, noted for the audit."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._touched: dict[str, dict[str, list[str]]] = {}
        self.waiting = 0  #: ids that no entry has yet
        attempt.pulled = {"rows": 0, "deletions": 0}

    def watch(self, items: Iterator[Row | Gone]) -> Iterator[Row | Gone]:
        """The items, as they pass."""
        pulled = self._attempt.pulled
        for item in items:
            if isinstance(item, Row):
                pulled["rows"] += 1
                self.waiting += 1
                tables = self._touched.setdefault(item.document.fields[record.SCOPE], {})
                tables.setdefault(item.collection.name, []).append(item.document.key.id)
            else:
                pulled["deletions"] += 1
            yield item

    def entries(self) -> list[Write]:
        """The audit's entries for what passed since the last call."""
        touched, self._touched, self.waiting = self._touched, {}, 0
        caller, at_ms = self._attempt.caller, self._attempt.at_ms
        return [
            write
            for scope_id, ids in touched.items()
            for write in audit.entries(caller, "pull", scope_id, ids, at_ms)
        ]


def _settle(attempt: Attempt, pull: Pull, seen: _HandedOut) -> None:
    """Write down an attempt, with what its pull has read."""
    attempt.before, attempt.scopes = pull.also.get(ledger.key(attempt.caller)), pull.scopes
    ledger.note(wiring.store(), attempt, seen.entries())


def _remember(attempt: Attempt) -> None:
    """Write down an attempt that read nothing of the ledger yet."""
    own, member = ledger.key(attempt.caller), membership.key(attempt.caller.user_id)
    try:
        documents = wiring.store().read([own, member]).documents
    except StoreUnavailable as error:
        log.warning("device ledger not written", extra={"code": error.code})
        return
    attempt.before = documents.get(own)
    attempt.scopes = membership.known(attempt.caller.user_id, documents.get(member)).scopes
    ledger.note(wiring.store(), attempt)


def _watched(attempt: Attempt, pull: Pull, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces of a streamed pull; when it ends, or breaks off, the attempt is written down."""
    seen = _HandedOut(attempt)
    pull.items = seen.watch(pull.items)
    attempt.outcome = "interrupted"
    try:
        for piece in pieces:
            attempt.bytes_out += len(piece)
            yield piece
            if seen.waiting >= audit.MOST_IDS:
                audit.note(wiring.store(), seen.entries())
        attempt.outcome = ledger.OK
        attempt.cursor_ms = pull.cursor_ms if any(attempt.pulled.values()) else None
    except Fault as fault:
        attempt.outcome = fault.code
        raise
    finally:
        _settle(attempt, pull, seen)


# --- what hangs on syncing


def sync_digest(call: Call) -> Response:
    """What the caller's phone should hold, as a count and a hash a table."""
    caller = wiring.caller(call)
    cursor_ms = watermelon.parse_cursor(call.request.args.get("last_pulled_at")) or None
    found = digest.digest(wiring.store(), wiring.catalog(), caller, cursor_ms)
    value = {"timestamp": found.at_ms, "current": found.current, "tables": found.tables}
    call.notes |= {"user": caller.user_id, "current": found.current}
    return answer(value, call=call)


def devices(call: Call) -> Response:
    """The phones of the scopes that the caller supervises, those with a problem first."""
    caller, scopes = _supervisor(call, Action.SUPERVISE)
    arguments, now_ms = call.request.args, wiring.clock_ms()
    limit = paging.limit(arguments.get("limit"), ledger.PAGE)
    token = arguments.get("page")
    behind = None if token is None else paging.opened(token)
    failing = arguments.get("failing", "") in ("1", "true")

    def problem(entry: Mapping[str, Any]) -> str | None:
        tolerance_ms = SETTINGS.clock_tolerance_seconds * 1000
        return ledger.problem(entry, now_ms, SETTINGS.silent_days * _DAY_MS, tolerance_ms)

    found = [
        each
        for each in ledger.listed(wiring.store(), scopes, problem, (*_SHOWN_OF_DEVICES, "scopes"))
        if (behind is None or each.place > behind) and (each.problem or not failing)
    ]
    page = found[:limit]
    call.notes |= {"user": caller.user_id, "devices": len(page)}
    value = {
        "devices": [_shown_device(each, scopes) for each in page],
        "next_page": paging.sealed(page[-1].place) if len(found) > limit else None,
        "timestamp": now_ms,
    }
    return answer(value, call=call)


def _shown_device(phone: ledger.ListedDevice, scopes: Sequence[str]) -> dict[str, Any]:
    """A phone as its supervisor sees it.

    Scopes that the caller has nothing to do with are none of the caller's business, nor is a record
    that may be theirs.
    """
    have = phone.entry.fields
    shown = {name: have.get(name) for name in _SHOWN_OF_DEVICES}
    own = [name for name in have["scopes"] if name in scopes]
    if len(own) < len(have["scopes"]):
        shown |= {"rejected": [], "unknown_columns": None}
    return {**shown, "scopes": own, "problem": phone.problem}


_SHOWN_OF_DEVICES = (
    "user_id",
    "device",
    "dialect",
    "attempt_at",
    "ok_at",
    "outcome",
    "failures",
    "app_version",
    "clock_offset_ms",
    "bytes_in",
    "bytes_out",
    "pulled",
    "pushed",
    "rejected",
    "unknown_columns",
)


def register_token(call: Call) -> Response:
    """Where the caller's phone can be woken; null: nowhere any more."""
    caller = _phone(call)
    body, _ = call.json()
    token = body.get("token", "") if isinstance(body, dict) else ""
    if token is not None and not (
        isinstance(token, str) and token.isprintable() and 0 < len(token) <= ledger.LONGEST_TOKEN
    ):
        raise InvalidRequest("token must be the phone's push token, or null.", field="token")
    own = membership.key(caller.user_id)
    held = membership.parse(caller.user_id, wiring.store().read([own]).documents.get(own))
    for tries_left in (2, 1, 0):
        try:
            ledger.register(wiring.store(), caller, held.scopes, token, wiring.clock_ms())
        except Contended:
            if not tries_left:
                raise
        else:
            break
    return answer({"device": caller.device, "registered": token is not None}, call=call)


def show_job(call: Call) -> Response:
    """A job's state, to those who may read what it is about; by its id or that of its record."""
    caller = wiring.caller(call)
    job, role = readable_job(wiring.store(), wiring.catalog(), caller, call.arguments["id"])
    call.notes |= {"user": caller.user_id, "job": job.id}
    return answer(shown_job(job, wiring.catalog(), role), call=call)


def list_inbox(call: Call) -> Response:
    """What could not be stored and somebody should look at, in the caller's scopes."""
    caller, scopes = _inbox_of(call)
    arguments = call.request.args
    limit, token = paging.limit(arguments.get("limit"), inbox.PAGE), arguments.get("page")
    page = inbox.page(wiring.store(), scopes, limit, token)
    listed = [shown_entry(entry) for entry in page.entries]
    call.notes |= {"user": caller.user_id, "entries": len(listed)}
    seen: dict[str, dict[str, list[str]]] = {}
    for entry in listed:
        tables = seen.setdefault(entry["scope_id"], {})
        tables.setdefault("quarantine", []).append(entry["id"])
    audit.reading(wiring.store(), caller, "inbox", seen, wiring.clock_ms())
    value: dict[str, Any] = {"entries": listed, "next_page": page.next_page}
    if token is None:
        value["count"] = inbox.count(wiring.store(), scopes)
    return answer(value, call=call)


def close_inbox(call: Call) -> Response:
    """Somebody has looked at an entry: it leaves the list, and stays in the quarantine."""
    caller, scopes = _inbox_of(call)
    entry_id = call.arguments["id"]
    if not record.valid_id(entry_id):
        raise _no_entry()
    word = None
    if call.request.content_length:
        body, _ = call.json()
        word = body.get("word") if isinstance(body, dict) else 0
    if word is not None and not (isinstance(word, str) and 0 < len(word) <= inbox.LONGEST_WORD):
        raise InvalidRequest("word must say why, in a text.", field="word")
    entry = inbox.read(wiring.store(), entry_id)
    if entry.fields.get(record.SCOPE) not in scopes:
        raise _no_entry()
    now_ms = wiring.clock_ms()
    inbox.close(wiring.store(), entry, caller, now_ms, word)
    seen = {entry.fields[record.SCOPE]: {"quarantine": [entry_id]}}
    audit.reading(wiring.store(), caller, "close_inbox", seen, now_ms)
    return answer({"id": entry_id, "open": False}, call=call)


def _inbox_of(call: Call) -> tuple[Caller, list[str]]:
    """The caller and whose inboxes are theirs: admins see what belongs to nobody, too."""
    caller, scopes = _supervisor(call, Action.INBOX)
    own = membership.key(caller.user_id)
    held = membership.parse(caller.user_id, wiring.store().read([own]).documents.get(own))
    if any(wiring.catalog().may(role, Action.UNFILED) for role in held.roles.values()):
        scopes.append(record.UNFILED)
    return caller, scopes


def undelete_record(call: Call) -> Response:
    """A deleted record comes back, with what was deleted along with it."""
    caller = wiring.caller(call)
    body, _ = call.json()
    names = ("table", "id")
    if not isinstance(body, dict) or not all(isinstance(body.get(name), str) for name in names):
        raise InvalidRequest("Say the table and the id of the record.", field="id")
    key = Key(body["table"], body["id"])
    wiring.ring(undelete(wiring.store(), wiring.catalog(), caller, key, wiring.clock_ms()))
    call.notes |= {"user": caller.user_id}
    return answer({"table": key.collection, "id": key.id, "deleted": False}, call=call)


def _supervisor(call: Call, action: Action) -> tuple[Caller, list[str]]:
    """The caller, and the scopes in which the caller may do this. Raises `Forbidden` if in none."""
    caller = wiring.caller(call)
    own = membership.key(caller.user_id)
    held = membership.parse(caller.user_id, wiring.store().read([own]).documents.get(own))
    scopes = [scope for scope in held.scopes if wiring.catalog().may(held.roles[scope], action)]
    if not scopes:
        raise Forbidden("Your role does not allow this in any of your scopes.")
    return caller, scopes


def _no_entry() -> NotFound:
    return NotFound("There is no such entry, or none that you may see.")


ROUTES = (
    Route("POST", "/api/sync", batch_sync, _EVERYTHING),
    Route("GET", "/api/v1/sync", watermelon_pull),
    Route("POST", "/api/v1/sync", watermelon_push, _EVERYTHING),
    Route("GET", "/api/v1/sync/digest", sync_digest),
    Route("GET", "/api/v1/devices", devices),
    Route("POST", "/api/v1/devices/token", register_token),
    Route("GET", "/api/v1/jobs/{id}", show_job),
    Route("GET", "/api/v1/inbox", list_inbox),
    Route("POST", "/api/v1/inbox/{id}/close", close_inbox, PAGE),
    Route("POST", "/api/v1/undelete", undelete_record),
)


def sync(request: Request) -> Response:
    """Entry point of the function."""
    return serve(request, ROUTES, SETTINGS)
