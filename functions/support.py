"""What hangs on syncing, for the people who look after phones: devices, job states, the inbox, undelete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Request, Response

from shared import wiring
from shared.access import audit, membership
from shared.access.membership import Caller, Memberships
from shared.access.rights import Action
from shared.api import support as bodies
from shared.api.bodies import PAGE
from shared.api.web import Call, Route, answer, serve, tagged
from shared.errors import (
    Contended,
    Forbidden,
    InvalidCursor,
    NotFound,
    ParentDeleted,
    Purged,
    StoreUnavailable,
)
from shared.hooks import routes as hooks
from shared.records import record
from shared.records.store import Key
from shared.support import devices, inbox, ledger
from shared.support.inbox import shown_entry
from shared.support.job_state import readable_job, shown_job
from shared.support.undelete import undelete
from shared.sync import paging

SETTINGS = wiring.begin()

_DAY_MS = 86_400_000


def list_devices(call: Call, asked: bodies.DevicesAsked) -> Response:
    """Phones of the caller's teams: when they last synced, what is wrong.

    For roles that supervise. Those with a problem come first, then those that were silent the longest;
    phones of people who have left come last. Of each user the 50 phones are kept that were heard of last,
    each for half a year. Ids and codes only, nothing of records.
    """
    caller = call.caller
    scopes, now_ms = _allowed(_memberships(caller), Action.SUPERVISE), wiring.clock_ms()
    behind = paging.opened(asked.page) if isinstance(asked.page, str) else None
    failing, limit = asked.failing in ("1", "true"), min(asked.limit, devices.PAGE)

    def problem(entry: Mapping[str, Any]) -> str | None:
        tolerance_ms = SETTINGS.clock_tolerance_seconds * 1000
        return ledger.problem(entry, now_ms, SETTINGS.silent_days * _DAY_MS, tolerance_ms)

    found = [
        each
        for each in devices.listed(wiring.store(), scopes, problem)
        if (behind is None or each.place > behind) and (each.problem or not failing)
    ]
    page = found[:limit]
    call.notes["devices"] = len(page)
    value = {
        "devices": [devices.shown_device(each, scopes) for each in page],
        "next_page": paging.sealed(page[-1].place) if len(found) > limit else None,
        "timestamp": now_ms,
    }
    return answer(value, call=call)


def register_token(call: Call, asked: bodies.OneDevice, body: bodies.TokenRequest) -> Response:
    """Say where the phone can be woken.

    The push token of Firebase Cloud Messaging, at each start of the app and whenever it changes; null when
    the user logs out. When a result is there, the phone is poked once to sync, and shows a notification to
    roles that are alerted, without a word about the record. Syncing by itself brings the same news, so
    nothing depends on it.
    """
    caller = ledger.phone_of(call.caller, asked.device_id or None)
    call.notes["device"] = caller.device
    scopes = _memberships(caller).scopes
    ledger.register(wiring.store(), caller, scopes, body.token, wiring.clock_ms())
    said = bodies.TokenRegistered(caller.device, body.token is not None)
    return answer(said, call=call)


def show_job(call: Call, asked: bodies.OneJob) -> Response:
    """Where a job stands.

    For those who may read the record that it is about; everybody else gets 404. Syncing brings the same:
    this is for a screen that waits. To poll, send `If-None-Match`.
    """
    job, role = readable_job(wiring.store(), wiring.catalog(), call.caller, asked.id)
    call.notes["job"] = job.id
    value = shown_job(job, wiring.catalog(), role)
    return tagged(value, call, of=value)


def list_inbox(call: Call, asked: bodies.InboxAsked) -> Response:
    """What could not be stored and somebody should look at.

    For roles that see the inbox: late edits of records that moved here or of people who left, and refused,
    late or lost records with a red signal. The urgent come first, then the oldest. Admins also see urgent
    ones of people who are in no team (`scope_id` is `~unfiled`).
    """
    scopes = _inboxes(call.caller)
    token = asked.page if isinstance(asked.page, str) else None
    page = inbox.page(wiring.store(), scopes, min(asked.limit, inbox.PAGE), token)
    listed = [shown_entry(entry) for entry in page.entries]
    call.notes["entries"] = len(listed)
    seen: dict[str, dict[str, list[str]]] = {}
    for entry in listed:
        tables = seen.setdefault(entry["scope_id"], {})
        tables.setdefault("quarantine", []).append(entry["id"])
    audit.reading(wiring.store(), call.caller, "inbox", seen, wiring.clock_ms())
    value: dict[str, Any] = {"entries": listed, "next_page": page.next_page}
    if token is None:
        value["count"] = inbox.count(wiring.store(), scopes)
    return answer(value, call=call)


def close_inbox(call: Call, asked: bodies.OneEntry, body: bodies.InboxClose) -> Response:
    """Take an entry off the inbox.

    Somebody has looked at it. What was sent is kept. Doing it again changes nothing.
    """
    scopes, now_ms = _inboxes(call.caller), wiring.clock_ms()
    entry = inbox.read(wiring.store(), asked.id)
    scope_id = entry.fields.get(record.SCOPE)
    if scope_id not in scopes:
        raise NotFound(inbox.NO_ENTRY)
    inbox.close(wiring.store(), entry, call.caller, now_ms, body.word)
    seen = {scope_id: {"quarantine": [asked.id]}}
    audit.reading(wiring.store(), call.caller, "close_inbox", seen, now_ms)
    return answer(bodies.InboxClosed(asked.id, open=False), call=call)


def _inboxes(caller: Caller) -> list[str]:
    """Whose inboxes are the caller's: admins see what belongs to nobody, too."""
    held = _memberships(caller)
    scopes = _allowed(held, Action.INBOX)
    if any(wiring.catalog().may(role, Action.UNFILED) for role in held.roles.values()):
        scopes.append(record.UNFILED)
    return scopes


def undelete_record(call: Call, body: bodies.UndeleteRequest) -> Response:
    """Bring a deleted record back.

    For roles that undelete. What was deleted along with the record follows soon. Phones get all of it with
    their next sync. A record that is not deleted is left as it is, so doing it again changes nothing.
    """
    key = Key(body.table, body.id)
    wiring.ring(undelete(wiring.store(), wiring.catalog(), call.caller, key, wiring.clock_ms()))
    return answer(bodies.Undeleted(key.collection, key.id, deleted=False), call=call)


def _memberships(caller: Caller) -> Memberships:
    own = membership.key(caller.user_id)
    return membership.of(wiring.store().read([own]), caller.user_id)


def _allowed(held: Memberships, action: Action) -> list[str]:
    """The scopes in which their holder may do this. Raises `Forbidden` if in none."""
    return held.scopes_where(lambda role: wiring.catalog().may(role, action))


_CUT = ("Cache-Control", "Content-Encoding")
_LISTED = (InvalidCursor.code, Forbidden, StoreUnavailable)
_STORE = (Contended, StoreUnavailable)

ROUTES = (
    Route(
        "GET",
        "/api/v1/devices",
        list_devices,
        name="listDevices",
        asks=bodies.DevicesAsked,
        gives=bodies.Devices,
        faults=_LISTED,
        answer_headers=_CUT,
    ),
    Route(
        "POST",
        "/api/v1/devices/token",
        register_token,
        name="registerToken",
        tag="sync",
        asks=bodies.OneDevice,
        takes=bodies.TokenRequest,
        gives=bodies.TokenRegistered,
        faults=_STORE,
        answer_headers=_CUT,
    ),
    Route(
        "GET",
        "/api/v1/jobs/{id}",
        show_job,
        name="getJob",
        tag="sync",
        asks=bodies.OneJob,
        gives=bodies.JobAnswer,
        faults=(StoreUnavailable,),
        headers=("IfNoneMatch",),
        answer_headers=(*_CUT, "ETag"),
        unchanged=True,
    ),
    Route(
        "GET",
        "/api/v1/inbox",
        list_inbox,
        name="listInbox",
        asks=bodies.InboxAsked,
        gives=bodies.Inbox,
        faults=_LISTED,
        answer_headers=_CUT,
    ),
    Route(
        "POST",
        "/api/v1/inbox/{id}/close",
        close_inbox,
        PAGE,
        name="closeInboxEntry",
        asks=bodies.OneEntry,
        takes=bodies.InboxClose,
        body_needed=False,
        gives=bodies.InboxClosed,
        faults=(Forbidden, *_STORE),
        answer_headers=_CUT,
    ),
    Route(
        "POST",
        "/api/v1/undelete",
        undelete_record,
        name="undelete",
        takes=bodies.UndeleteRequest,
        gives=bodies.Undeleted,
        faults=(Forbidden, ParentDeleted, Purged, *_STORE),
        answer_headers=_CUT,
    ),
    *hooks.routes(wiring.hooks, wiring.clock_ms, wiring.ring),
)


def support(request: Request) -> Response:
    """Entry point of the function."""
    return serve(request, ROUTES, SETTINGS, wiring.caller)
