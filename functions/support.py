"""What hangs on syncing, for the people who look after phones: devices, job states, the inbox, undelete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Request, Response

from shared import wiring
from shared.access import audit, membership
from shared.access.membership import Caller, Memberships
from shared.access.rights import Action
from shared.api.bodies import PAGE
from shared.api.web import Call, Route, answer, serve
from shared.errors import Forbidden, InvalidRequest, NotFound
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


def list_devices(call: Call) -> Response:
    """The phones of the scopes that the caller supervises, those with a problem first."""
    caller = wiring.caller(call)
    scopes = _allowed(_memberships(caller), Action.SUPERVISE)
    arguments, now_ms = call.request.args, wiring.clock_ms()
    limit = paging.limit(arguments.get("limit"), devices.PAGE)
    token = arguments.get("page")
    behind = None if token is None else paging.opened(token)
    failing = arguments.get("failing", "") in ("1", "true")

    def problem(entry: Mapping[str, Any]) -> str | None:
        tolerance_ms = SETTINGS.clock_tolerance_seconds * 1000
        return ledger.problem(entry, now_ms, SETTINGS.silent_days * _DAY_MS, tolerance_ms)

    found = [
        each
        for each in devices.listed(wiring.store(), scopes, problem)
        if (behind is None or each.place > behind) and (each.problem or not failing)
    ]
    page = found[:limit]
    call.notes |= {"user": caller.user_id, "devices": len(page)}
    value = {
        "devices": [devices.shown_device(each, scopes) for each in page],
        "next_page": paging.sealed(page[-1].place) if len(found) > limit else None,
        "timestamp": now_ms,
    }
    return answer(value, call=call)


def register_token(call: Call) -> Response:
    """Where the caller's phone can be woken; null: nowhere any more."""
    caller = ledger.phone_of(wiring.caller(call), call.request.args.get("device_id"))
    call.notes |= {"user": caller.user_id, "device": caller.device}
    body, _ = call.json()
    token = body.get("token", "") if isinstance(body, dict) else ""
    if token is not None and not (
        isinstance(token, str) and token.isprintable() and 0 < len(token) <= ledger.LONGEST_TOKEN
    ):
        raise InvalidRequest("token must be the phone's push token, or null.", field="token")
    scopes = _memberships(caller).scopes
    ledger.register(wiring.store(), caller, scopes, token, wiring.clock_ms())
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
    caller = wiring.caller(call)
    held = _memberships(caller)
    scopes = _allowed(held, Action.INBOX)
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


def _memberships(caller: Caller) -> Memberships:
    own = membership.key(caller.user_id)
    return membership.parse(caller.user_id, wiring.store().read([own]).documents.get(own))


def _allowed(held: Memberships, action: Action) -> list[str]:
    """The scopes in which their holder may do this. Raises `Forbidden` if in none."""
    scopes = [scope for scope in held.scopes if wiring.catalog().may(held.roles[scope], action)]
    if not scopes:
        raise Forbidden("Your role does not allow this in any of your scopes.")
    return scopes


def _no_entry() -> NotFound:
    return NotFound("There is no such entry, or none that you may see.")


ROUTES = (
    Route("GET", "/api/v1/devices", list_devices),
    Route("POST", "/api/v1/devices/token", register_token),
    Route("GET", "/api/v1/jobs/{id}", show_job),
    Route("GET", "/api/v1/inbox", list_inbox),
    Route("POST", "/api/v1/inbox/{id}/close", close_inbox, PAGE),
    Route("POST", "/api/v1/undelete", undelete_record),
    *hooks.routes(wiring.hooks, wiring.clock_ms, wiring.ring),
)


def support(request: Request) -> Response:
    """Entry point of the function."""
    return serve(request, ROUTES, SETTINGS)
