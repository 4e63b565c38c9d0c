"""What hangs on syncing, for the people who look after phones and teams.

Devices, job states, the inbox, conflicts, what was deleted and comes back, moves, exports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field, fields
from itertools import chain
from typing import Any

from flask import Request, Response

from shared import wiring
from shared.access import audit, membership
from shared.access.membership import Caller, Memberships
from shared.access.rights import Action
from shared.accounts import people
from shared.api import support as bodies
from shared.api.bodies import PAGE
from shared.api.web import Call, Route, answer, download, serve, tagged
from shared.errors import (
    Contended,
    Forbidden,
    InvalidCursor,
    InvalidRequest,
    KeysUnavailable,
    NotFound,
    ParentDeleted,
    Purged,
    StoreUnavailable,
)
from shared.export import rows, stream
from shared.hooks import routes as hooks
from shared.records import record
from shared.records.bell import Bell
from shared.records.store import Key
from shared.support import (
    conflicts,
    deleted,
    devices,
    inbox,
    ledger,
    moves,
    stuck_jobs,
    trail,
)
from shared.support.inbox import shown_entry
from shared.support.job_state import readable_job, shown_job, stages
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
    value["stages"] = stages(wiring.store(), wiring.catalog(), job)
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


def list_deleted(call: Call, asked: bodies.DeletedAsked) -> Response:
    """What was deleted in a team, and can come back.

    For roles that undelete. What was deleted so long ago that its data is gone is not listed.
    """
    catalog, now_ms = wiring.catalog(), wiring.clock_ms()
    role = _role_in(call.caller, asked.scope, Action.UNDELETE)
    tables = [each.name for each in catalog.collections if each.name != catalog.job_rows]
    name = asked.table if isinstance(asked.table, str) else catalog.people or tables[0]
    if name not in tables:
        raise InvalidRequest("There is no such table.", field="table")
    table = catalog.by_name[name]
    token = asked.page if isinstance(asked.page, str) else None
    limit = min(asked.limit, deleted.PAGE)
    page = deleted.page(wiring.store(), table, asked.scope, limit, token)
    seen = {asked.scope: {name: [each.key.id for each in page.records]}}
    audit.reading(wiring.store(), call.caller, "deleted", seen, now_ms)
    call.notes |= {"records": len(page.records), "role": role}
    value = {
        "scope_id": asked.scope,
        "table": name,
        "tables": tables,
        "records": [deleted.shown_deleted(each, table) for each in page.records],
        "next_page": page.next_page,
    }
    return answer(value, call=call)


def list_conflicts(call: Call, asked: bodies.ConflictsAsked) -> Response:
    """Values of records that lost against others.

    For roles that see the inbox. Both sides of each conflict, as far as they differ.
    """
    role = _role_in(call.caller, asked.scope, Action.INBOX)
    token = asked.page if isinstance(asked.page, str) else None
    limit = min(asked.limit, conflicts.PAGE)
    page = conflicts.page(wiring.store(), asked.scope, limit, token)
    touched: dict[str, list[str]] = {}
    for entry in page.entries:
        touched.setdefault(entry.fields["table"], []).append(entry.fields["record_id"])
    now_ms = wiring.clock_ms()
    audit.reading(wiring.store(), call.caller, "conflicts", {asked.scope: touched}, now_ms)
    call.notes["conflicts"] = len(page.entries)
    catalog = wiring.catalog()
    value = {
        "scope_id": asked.scope,
        "conflicts": [conflicts.shown_conflict(each, catalog, role) for each in page.entries],
        "next_page": page.next_page,
    }
    return answer(value, call=call)


def move_record(call: Call, body: bodies.MoveRequest) -> Response:
    """Move a record to another team.

    For roles that move records, in both teams. All that hangs on it follows: cases, photos, diagnoses,
    logs. Only a record that belongs to no other can be moved. Doing it again changes nothing.
    """
    catalog = wiring.catalog()
    table = body.table or catalog.people or catalog.collections[0].name
    key, now_ms = Key(table, body.id), wiring.clock_ms()
    done = moves.move(
        wiring.store(),
        catalog,
        call.caller,
        key,
        body.to_scope_id,
        now_ms,
        dry_run=body.dry_run,
    )
    call.notes |= {"moved": done.moved}
    said = bodies.Moved(
        table,
        body.id,
        done.from_scope,
        body.to_scope_id,
        done.moved,
        done.counts,
        done.at_least,
    )
    return answer(said, call=call)


def show_trail(call: Call, asked: bodies.TrailAsked) -> Response:
    """Who did what.

    Without `scope_id` what the caller did, wherever. With it what was done in that team, for roles that
    see that. The newest first, 50 at a time; with a filter a page may be shorter. Of records how many.
    """
    if asked.scope_id:
        _demand(call.caller, asked.scope_id, Action.TRAIL)
    else:
        _memberships(call.caller)  # of nobody who is disabled
    wanted = trail.TrailWanted(
        user_id=asked.user_id if asked.scope_id else call.caller.user_id,
        scope_id=asked.scope_id,
        action=asked.action,
        from_ms=asked.from_ms if isinstance(asked.from_ms, int) else None,
        to_ms=asked.to_ms if isinstance(asked.to_ms, int) else None,
    )
    token = asked.page if isinstance(asked.page, str) else None
    found = trail.page(wiring.store(), wanted, token)
    names = _names(asked.scope_id, found.entries)
    entries = [
        {**each, "name": each["name"] or names.get(each["user_id"])} for each in found.entries
    ]
    return answer({"entries": entries, "next_page": found.next_page, "names": names}, call=call)


def _names(scope_id: str, entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What those whom entries of a scope are about are called, as far as they are its members now."""
    about = sorted({who for each in entries for who in (each["user_id"], *each["of"])})
    if not scope_id or not about:
        return {}
    reading = wiring.store().read(people.keys(about), people.FIELDS)
    found = {who: people.in_scope(reading, who, scope_id) for who in about}
    return {who: person.name for who, person in found.items() if person and person.name}


def check_trail(call: Call, asked: bodies.TrailCheckAsked) -> Response:
    """Whether a team's trail is whole.

    Reads all of it: every entry must be there, unaltered, and fit what was kept outside the store. For
    roles that see the trail.
    """
    _demand(call.caller, asked.scope_id, Action.TRAIL)
    kept, anchors = wiring.audit_heads(), []
    if kept is not None and kept.exists():
        with kept.open(encoding="utf-8") as lines:
            anchors = [each for each in audit.anchors(lines) if each.scope_id == asked.scope_id]
    found = audit.verify(wiring.store(), asked.scope_id, anchors)
    call.notes["entries"] = found.entries
    said = bodies.TrailChecked(
        asked.scope_id, found.entries, found.waiting, bool(anchors), found.faults
    )
    return answer(said, call=call)


def list_exports(call: Call) -> Response:
    """What can be exported.

    For roles that export: their teams, the tables, the formats of this deployment.
    """
    scopes = _allowed(_memberships(call.caller), Action.EXPORT)
    tables = [bodies.ExportTable(each.name, each.doc) for each in wiring.catalog().collections]
    return answer(bodies.Exports(scopes, tables, _formats()), call=call)


def export_file(call: Call, asked: bodies.ExportAsked) -> Response:
    """Records of a team as a file.

    For roles that export. The file holds people's data, unencrypted. It is sent while it is made; the audit
    trail notes each record. `csv` and `parquet` are one table, `csv-semicolon` is CSV for Excel where
    decimals have a comma, `xlsx` is one or all (a sheet each, 50,000 rows at most), `fhir` is FHIR R4 as
    NDJSON. In CSV a text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    _role_in(call.caller, asked.scope, Action.EXPORT)
    catalog, kind = wiring.catalog(), asked.format
    if kind not in _formats():
        raise InvalidRequest("This deployment does not write this format.", field="format")
    tables = [asked.table] if isinstance(asked.table, str) else list(catalog.by_name)
    if not set(tables) <= set(catalog.by_name):
        raise InvalidRequest("There is no such table.", field="table")
    if kind in ("csv", "csv-semicolon", "parquet") and len(tables) != 1:
        raise InvalidRequest("This format takes one table.", field="table")
    since, until = (each if isinstance(each, int) else None for each in (asked.since, asked.until))
    made = wiring.product().fhir
    pieces = stream.pieces(
        wiring.store(),
        catalog,
        rows.Wanted([asked.scope], tables, since, until),
        kind,
        call.caller,
        wiring.clock_ms,
        made() if made is not None and kind == "fhir" else None,
    )
    first = next(pieces, b"")  # what fails before it is refused as ever
    call.notes["format"] = kind
    what = tables if kind != "fhir" else []
    name = stream.name_of(asked.scope, what, kind, wiring.clock_ms())
    return download(chain((first,), pieces), name, "application/octet-stream")


def _formats() -> list[str]:
    return stream.formats(wiring.product().fhir is not None)


def _role_in(caller: Caller, scope_id: str, action: Action) -> str:
    """The caller's role in a scope, if it allows the action. Raises `NotFound`, `Forbidden`."""
    role = _memberships(caller).roles.get(scope_id)
    if role is None or not wiring.catalog().may(role, Action.READ):
        raise NotFound("There is no such team, or none of yours.", field="scope")
    if not wiring.catalog().may(role, action):
        raise Forbidden("Your role does not allow this in this team.")
    return role


def list_jobs(call: Call) -> Response:
    """Jobs that are stuck.

    Those about records of the caller's teams that failed, were parked, or wait for more than an hour. For
    admins. Ids and codes only.
    """
    scopes = _allowed(_memberships(call.caller), Action.ADMINISTER)
    found, more = stuck_jobs.listed(wiring.store(), scopes, wiring.clock_ms())
    return answer({"jobs": [stuck_jobs.shown(each) for each in found], "more": more}, call=call)


def redrive_job(call: Call, asked: bodies.OneJob) -> Response:
    """Queue a job again.

    One that failed or was parked begins anew. For admins of the team that the record is in. Another one is
    left as it is, so doing it again changes nothing.
    """
    job, _ = readable_job(wiring.store(), wiring.catalog(), call.caller, asked.id)
    scope = stuck_jobs.scope_of(wiring.store(), job)
    _demand(call.caller, scope, Action.ADMINISTER)
    again = wiring.runner().redrive(job.id)
    if again:
        wiring.ring([Bell(job.kind, job.id, job.subject_id)])
        seen = {scope: {job.table: [job.subject_id]}}
        audit.reading(wiring.store(), call.caller, "redrive_job", seen, wiring.clock_ms())
    call.notes["job"] = job.id
    return answer(bodies.Redriven(job.id, queued=bool(again)), call=call)


def show_settings(call: Call) -> Response:
    """How this deployment is set up.

    Settings that concern its teams, for admins; of secrets whether they are set. Public keys of access
    tokens: since when each signs.
    """
    _allowed(_memberships(call.caller), Action.ADMINISTER)
    sources = wiring.all_settings()
    said = [
        _setting(spec, getattr(source, spec.name)) for source in sources for spec in fields(source)
    ]
    shown = bodies.SettingsShown(SETTINGS.release, [each for each in said if each], _public_keys())
    return answer(shown, call=call)


def _setting(spec: Field[Any], value: object) -> bodies.SettingShown | None:
    about = spec.metadata
    if about["secret"]:
        text = "set" if value else "not set"
    elif about["shown"]:
        text = str(value).lower() if isinstance(value, bool) else str(value)
    else:
        return None
    return bodies.SettingShown(spec.name.upper(), about["doc"], about["secret"], text or None)


def _public_keys() -> list[bodies.PublicKeyShown] | None:
    try:
        found = wiring.own_keys().published()
    except KeysUnavailable:
        return None
    return [
        bodies.PublicKeyShown(
            each.kid,
            each.algorithm,
            None if each.since_s is None else each.since_s * 1000,
            None if each.until_s is None else each.until_s * 1000,
        )
        for each in found
    ]


def _demand(caller: Caller, scope_id: str, action: Action) -> None:
    """Raises `NotFound` of a team that the caller is not in, `Forbidden` of one in which they may not."""
    role = _memberships(caller).roles.get(scope_id)
    if role is None:
        raise NotFound("There is no such team, or you are not in it.")
    if not wiring.catalog().may(role, action):
        raise Forbidden("Your role does not allow this in this team.")


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
        "/api/v1/jobs",
        list_jobs,
        name="listStuckJobs",
        gives=bodies.StuckJobs,
        faults=(Forbidden, StoreUnavailable),
        answer_headers=_CUT,
    ),
    Route(
        "POST",
        "/api/v1/jobs/{id}/redrive",
        redrive_job,
        name="redriveJob",
        asks=bodies.OneJob,
        gives=bodies.Redriven,
        faults=(Forbidden, *_STORE),
        answer_headers=_CUT,
    ),
    Route(
        "GET",
        "/api/v1/trail",
        show_trail,
        name="listTrail",
        asks=bodies.TrailAsked,
        gives=bodies.Trail,
        faults=_LISTED,
        answer_headers=_CUT,
    ),
    Route(
        "GET",
        "/api/v1/trail/check",
        check_trail,
        name="checkTrail",
        asks=bodies.TrailCheckAsked,
        gives=bodies.TrailChecked,
        faults=(Forbidden, StoreUnavailable),
        answer_headers=_CUT,
    ),
    Route(
        "GET",
        "/api/v1/settings",
        show_settings,
        name="listSettings",
        gives=bodies.SettingsShown,
        faults=(Forbidden, StoreUnavailable),
        answer_headers=_CUT,
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
    Route(
        "GET",
        "/api/v1/deleted",
        list_deleted,
        name="listDeleted",
        asks=bodies.DeletedAsked,
        gives=bodies.Deleted,
        faults=_LISTED,
        answer_headers=_CUT,
    ),
    Route(
        "GET",
        "/api/v1/conflicts",
        list_conflicts,
        name="listConflicts",
        asks=bodies.ConflictsAsked,
        gives=bodies.Conflicts,
        faults=_LISTED,
        answer_headers=_CUT,
    ),
    Route(
        "POST",
        "/api/v1/moves",
        move_record,
        PAGE,
        name="moveRecord",
        takes=bodies.MoveRequest,
        gives=bodies.Moved,
        faults=("not_found", Forbidden, *_STORE),
        answer_headers=_CUT,
    ),
    Route(
        "GET",
        "/api/v1/exports",
        list_exports,
        name="listExports",
        gives=bodies.Exports,
        faults=(Forbidden, StoreUnavailable),
        answer_headers=_CUT,
    ),
    Route(
        "GET",
        "/api/v1/exports/file",
        export_file,
        name="exportFile",
        asks=bodies.ExportAsked,
        gives=bytes,
        media="application/octet-stream",
        faults=("invalid_request", "not_found", Forbidden, StoreUnavailable),
        answer_headers=("Cache-Control",),
    ),
    *hooks.routes(wiring.hooks, wiring.clock_ms, wiring.ring),
)


def support(request: Request) -> Response:
    """Entry point of the function."""
    return serve(request, ROUTES, SETTINGS, wiring.caller)
