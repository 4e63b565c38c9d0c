"""The batch dialect: `POST /api/sync`, one request that pushes and pulls. Times in Unix seconds.

    {last_sync_timestamp, changes: {table: [record …]}, files?, device_id?, scope_id?, limit?, page?,
     brief?}
    → {new_sync_timestamp, server_updates: {table: [row …]}, deleted: {table: [id …]},
       accepted: {table: [id …]}, conflicts, rejected, has_more, next_page, clock_offset_ms, receipt,
       files?}

A fault of the envelope raises a `RequestFault`; a fault of one record becomes a refusal of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from shared.errors import InvalidCursor, InvalidRequest
from shared.records import record
from shared.records.collection import Catalog, Collection, Field, RecordFault, Type, Wire
from shared.records.store import STAMP, Document
from shared.sync.dialects.intake import MAX_ECHOED, Intake
from shared.sync.dialects.reading import Unreadable
from shared.sync.exchange import Conflict, Entry, Held, Ignored, Outcome, Push, Refusal
from shared.sync.pull import Pull, Row

_WIRE = Wire(ms_per_unit=1000)

_SYNC_STATES = ("new", "dirty", "synced", "deleted")


@dataclass(slots=True)
class Request:
    """A checked envelope. `page` is a page token (then there are no changes and no files).

    `files` are the photos that the phone has, as it sent them (`shared.files.tickets`). `brief`: the answer
    is to have only what says something.
    """

    push: Push
    device: str | None
    limit: int | None
    page: str | None
    files: Any = None
    brief: bool = False


def parse(
    body: Any,
    catalog: Catalog,
    *,
    fingerprint: str,
    client_time_ms: int | None,
    now_ms: int,
    size: int = 0,
    strict: bool = False,
) -> Request:
    """Check a body (`reading.read`). Raises `InvalidRequest` or `InvalidCursor` for faults of the envelope.

    `client_time_ms`: what the phone's clock says, from `X-Client-Time`. `fingerprint` and `size` (in
    bytes) are the body's. `strict`: columns that no declaration knows refuse their record.
    """
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.")
    cursor_ms = _cursor(body.get("last_sync_timestamp"))
    device = _optional_id(body, "device_id")
    scope_id = _optional_id(body, "scope_id")
    limit, page = body.get("limit"), body.get("page")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise InvalidRequest("limit must be a whole number from 1.", field="limit")
    if page is not None and not isinstance(page, str):
        raise InvalidRequest("page must be the next_page of the answer before.", field="page")
    changes = body.get("changes")
    if changes is None:
        changes = {}
    if not isinstance(changes, dict):
        raise InvalidRequest("changes must be an object of tables.", field="changes")
    changes = {table: [] if rows is None else rows for table, rows in changes.items()}
    for table, rows in changes.items():
        if not isinstance(rows, list):
            name = f"changes.{table[:64]}"
            raise InvalidRequest("A table's changes must be a list of records.", field=name)
    if page is not None and any(changes.values()):
        raise InvalidRequest("Changes go with the first page only.", field="changes")
    files = body.get("files")
    if page is not None and files:
        raise InvalidRequest("Files go with the first page only.", field="files")
    intake = Intake(_WIRE, strict)
    for table, rows in changes.items():
        known = table in catalog.by_name
        for raw in rows:
            have = raw.value if isinstance(raw, Unreadable) else raw
            if not (known and isinstance(have, Mapping) and have.get("sync_status") == "synced"):
                intake.take(
                    catalog, table, raw, lambda spec, row: _entry(spec, row, scope_id, intake)
                )
        if not known and not rows:
            intake.unknown_table(table)
    offset = None if client_time_ms is None else client_time_ms - now_ms
    push = Push(
        intake.entries,
        intake.refusals,
        cursor_ms,
        fingerprint,
        offset,
        size=size,
        ignored=intake.ignored(),
    )
    return Request(push, device, limit, page, files, body.get("brief") is True)


def _cursor(value: Any) -> int:
    field = "last_sync_timestamp"
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidCursor("last_sync_timestamp must be a number of seconds.", field=field)
    if value > record.MOST_SECONDS:
        raise InvalidCursor(
            "last_sync_timestamp is in milliseconds; this endpoint counts seconds.",
            code="time_in_milliseconds",
            field=field,
        )
    if value < 0:
        raise InvalidCursor("last_sync_timestamp must not be negative.", field=field)
    return round(value * 1000)


def _optional_id(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not record.valid_id(value):
        raise InvalidRequest(f"{name} must be 1 to 128 of A-Z a-z 0-9 _ -.", field=name)
    return value


def _entry(
    collection: Collection, raw: Mapping[str, Any], scope_id: str | None, intake: Intake
) -> Entry:
    record_id = intake.id_of(raw)
    state = raw.get("sync_status")
    if state is not None and state not in _SYNC_STATES:
        raise RecordFault(
            "sync_status", "invalid_choice", f"sync_status must be one of {', '.join(_SYNC_STATES)}"
        )
    raw_ms = _moment(raw.get("last_modified_at"))
    version_ms = intake.time_of(collection, raw, "updated_at")
    if state == "deleted":
        return Entry(collection, record_id, raw, coerced=None, raw_ms=raw_ms, version_ms=version_ms)
    if raw_ms is None:
        raise RecordFault("last_modified_at", "missing_field", "last_modified_at is needed")
    return Entry(
        collection,
        record_id,
        raw,
        coerced=intake.coerce(collection, raw),
        raw_ms=raw_ms,
        scope_id=intake.scope_of(raw.get("scope_id")) or scope_id,
        named=None if state == "new" else intake.named(collection, raw.get("changed")),
        version_ms=version_ms,
        created_ms=intake.time_of(collection, raw, "created_at"),
        fresh=state == "new",
    )


def _moment(value: Any) -> int | None:
    if value is None:
        return None
    name = "last_modified_at"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecordFault(name, "wrong_type", "last_modified_at must be a number of seconds")
    if value > record.MOST_SECONDS:
        raise RecordFault(
            name,
            "time_in_milliseconds",
            "last_modified_at is in milliseconds; this endpoint counts seconds",
        )
    if value < 0:
        raise RecordFault(name, "number_out_of_range", "last_modified_at must not be negative")
    return round(value * 1000)


# --- answering


def render(
    catalog: Catalog,
    outcome: Outcome,
    pull: Pull,
    clock_offset_ms: int | None,
    ignored: Sequence[Ignored] = (),
) -> dict[str, Any]:
    """The answer as a value for `orjson.dumps`. Consumes the pull."""
    updates: dict[str, list[Any]] = {item.name: [] for item in catalog.collections}
    deleted: dict[str, list[str]] = {item.name: [] for item in catalog.collections}
    for item in pull.items:
        if not isinstance(item, Row):
            deleted[item.table].append(item.id)
            continue
        held = outcome.held.get(item.document.key)
        shown = row(item) if held is None else news(item, held)
        if len(shown) > 1:  # an id alone says nothing
            updates[item.collection.name].append(shown)
    answer: dict[str, Any] = {
        "new_sync_timestamp": _seconds(pull.cursor_ms),
        "server_updates": updates,
        "deleted": deleted,
        "accepted": outcome.accepted,
        "conflicts": [_conflict(catalog, conflict) for conflict in outcome.conflicts],
        "rejected": [_rejected(refusal) for refusal in outcome.rejected],
        "has_more": pull.next_page is not None,
        "next_page": pull.next_page,
        "clock_offset_ms": clock_offset_ms,
        "receipt": _receipt(outcome),
    }
    if pull.resync is not None:
        answer["resync"] = pull.resync
    if ignored:
        answer["ignored"] = [ignored_part(item) for item in ignored]
    return answer


def brief(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer for a line where each byte counts: without what is empty, null or false.

    News that several records bring alike, of those that the phone sent, stand once: `same`, table →
    [{ids, row}], where `row` has no id. A count that is missing in the receipt is 0.
    """
    updates: dict[str, list[Any]] = {}
    same: dict[str, list[Any]] = {}
    for table, rows in answer["server_updates"].items():
        sent = set(answer["accepted"].get(table, ()))
        alike: dict[bytes, list[Any]] = {}
        for shown in rows:
            if shown["id"] in sent:
                news = orjson.dumps({name: it for name, it in shown.items() if name != "id"})
                alike.setdefault(news, []).append(shown)
            else:
                updates.setdefault(table, []).append(shown)
        for news, several in alike.items():
            if len(several) == 1:
                updates.setdefault(table, []).extend(several)
            else:
                part = {"ids": [each["id"] for each in several], "row": orjson.Fragment(news)}
                same.setdefault(table, []).append(part)
    receipt = answer["receipt"]
    parts = {
        **answer,
        "server_updates": updates,
        "same": same,
        "deleted": {table: ids for table, ids in answer["deleted"].items() if ids},
        "receipt": receipt and {name: it for name, it in receipt.items() if it != 0},
    }
    return {name: it for name, it in parts.items() if it not in (None, [], {}) and it is not False}


def ignored_part(item: Ignored) -> dict[str, Any]:
    """A part of the request that was left out, as the answer names it."""
    return {**item._asdict(), "field": item.field[:MAX_ECHOED]}


def news(item: Row, held: Held) -> dict[str, Any]:
    """What a phone does not hold yet of a record that it just sent: the id and those columns."""
    sent, stored, raw = held.sent, item.document.fields, held.sent.raw
    have = item.collection.redact(stored, item.role)
    kept = held.kept if item.document.version == held.version else frozenset()
    is_new = raw.get("sync_status") == "new"
    coerced = sent.coerced
    mine = {} if coerced is None else coerced.values  # as they are stored
    theirs = {} if coerced is None else coerced.sent  # as they look on the wire
    told: dict[str, Any] = {"id": item.document.key.id}
    for spec in item.collection.fields:
        name = spec.name
        value = have.get(name)
        if name not in sent.overtaken:
            if name in mine:
                if mine[name] == stored.get(name) and not (spec.aliases and raw[name] != value):
                    continue
            elif name in theirs:
                if theirs[name] == value:
                    continue
            elif name in kept or (value is None and is_new):
                continue
        told[name] = _on_the_wire(spec, value)
    scope = have.get(record.SCOPE)
    if raw[record.SCOPE] != scope if record.SCOPE in raw else record.SCOPE not in kept:
        told[record.SCOPE] = scope
    for name in (record.CREATED, record.MODIFIED):
        if name in raw and raw[name] != (at := _seconds(have.get(name))):
            told[name] = at
    return told


def row(item: Row) -> dict[str, Any]:
    """A record as a phone sees it: id, declared fields, scope, times in seconds."""
    return _visible(item.collection, item.document, item.role)


def _visible(collection: Collection, document: Document, role: str) -> dict[str, Any]:
    have = collection.redact(document.fields, role)
    shown: dict[str, Any] = {"id": document.key.id}
    for spec in collection.fields:
        shown[spec.name] = _on_the_wire(spec, have.get(spec.name))
    shown[record.SCOPE] = have.get(record.SCOPE)
    for name in (record.CREATED, record.RECEIVED, record.MODIFIED, record.DELETED):
        shown[name] = _seconds(have.get(name))
    stamp = have.get(STAMP)
    shown[STAMP] = None if stamp is None else _seconds(stamp // 1000)
    return shown


def _on_the_wire(spec: Field, value: Any) -> Any:
    if value is not None:
        if spec.type is Type.JSON:
            return orjson.Fragment(value)
        if spec.type is Type.TIME:
            return _seconds(value)
    return value


def _seconds(value_ms: int | None) -> float | int | None:
    if value_ms is None:
        return None
    return value_ms // 1000 if value_ms % 1000 == 0 else value_ms / 1000


def _conflict(catalog: Catalog, conflict: Conflict) -> dict[str, Any]:
    collection = catalog.by_name[conflict.table]
    return {
        "table": conflict.table,
        "id": conflict.id,
        "winner": conflict.winner,
        "reason": conflict.reason,
        "columns": list(conflict.columns),
        "yours": _values(collection, conflict.yours),
        "theirs": _values(collection, conflict.theirs),
    }


def _values(collection: Collection, values: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in values.items():
        spec = collection.by_name.get(name)
        if value is not None and spec is not None and spec.type is Type.JSON:
            shown[name] = orjson.Fragment(value)
        elif value is not None and spec is not None and spec.type is Type.TIME:
            shown[name] = _seconds(value)
        else:
            shown[name] = value
    return shown


def _rejected(refusal: Refusal) -> dict[str, Any]:
    return {
        "table": refusal.table[:MAX_ECHOED],
        "id": refusal.id[:MAX_ECHOED],
        "field": refusal.field,
        "code": refusal.code,
        "message": refusal.message,
    }


def _receipt(outcome: Outcome) -> Mapping[str, Any] | None:
    """What the phone can show as a proof of delivery; None when it pushed nothing."""
    if not outcome.accepted and not outcome.rejected:
        return None
    return outcome.receipt()
