"""The batch dialect: `POST /api/sync`, one request that pushes and pulls. Times in Unix seconds.

    {last_sync_timestamp, changes: {table: [record …]}, files?, device_id?, scope_id?, limit?, page?}
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
from shared.sync import record
from shared.sync.collection import Collection, Product, RecordFault, Type, Wire
from shared.sync.exchange import Conflict, Entry, Outcome, Push, Refusal
from shared.sync.pull import Pull, Row
from shared.sync.store import STAMP, Document

#: A time beyond this (the year 5138) is milliseconds taken for seconds.
_MOST_SECONDS = 1e11

#: Longest id or code of a refused record that is repeated in an answer.
_MAX_ECHOED_ID = 128

_WIRE = Wire(ms_per_unit=1000)

_SYNC_STATES = ("new", "dirty", "synced", "deleted")


@dataclass(slots=True)
class Request:
    """A checked envelope. `page` is a page token (then there are no changes and no files).

    `files` are the photos that the phone has, as it sent them (`shared.files.tickets`).
    """

    push: Push
    device: str | None
    limit: int | None
    page: str | None
    files: Any = None


def parse(
    body: Any,
    product: Product,
    *,
    fingerprint: str,
    client_time_ms: int | None,
    now_ms: int,
    size: int = 0,
) -> Request:
    """Check a body. Raises `InvalidRequest` or `InvalidCursor` for faults of the envelope.

    `client_time_ms`: what the phone's clock says, from `X-Client-Time`. `fingerprint` and `size` (in
    bytes) are the body's.
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
    for table, rows in changes.items():
        if not isinstance(rows, list):
            name = f"changes.{table[:64]}"
            raise InvalidRequest("A table's changes must be a list of records.", field=name)
    if page is not None and any(changes.values()):
        raise InvalidRequest("Changes go with the first page only.", field="changes")
    files = body.get("files")
    if page is not None and files:
        raise InvalidRequest("Files go with the first page only.", field="files")
    entries: list[Entry] = []
    refusals: list[Refusal] = []
    for table, rows in changes.items():
        _table(product.by_name.get(table), table, rows, scope_id, entries, refusals)
    offset = None if client_time_ms is None else client_time_ms - now_ms
    push = Push(entries, refusals, cursor_ms, fingerprint, offset, size=size)
    return Request(push, device, limit, page, files)


def _cursor(value: Any) -> int:
    field = "last_sync_timestamp"
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidCursor("last_sync_timestamp must be a number of seconds.", field=field)
    if value > _MOST_SECONDS:
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


def _table(
    collection: Collection | None,
    table: str,
    rows: Sequence[Any],
    scope_id: str | None,
    entries: list[Entry],
    refusals: list[Refusal],
) -> None:
    for raw in rows:
        try:
            if not isinstance(raw, dict):
                raise RecordFault(None, "wrong_type", "A record must be an object")
            if collection is None:
                raise RecordFault(None, "unknown_table", "This server does not know this table")
            if raw.get("sync_status") == "synced":
                continue
            if not collection.pushable:
                raise RecordFault(None, "read_only_table", "Only the server writes this table")
            entries.append(_entry(collection, raw, scope_id))
        except RecordFault as fault:
            shown = raw.get("id") if isinstance(raw, dict) else None
            known = shown[:_MAX_ECHOED_ID] if isinstance(shown, str) else ""
            refusals.append(
                Refusal(table[:_MAX_ECHOED_ID], known, fault.field, fault.code, fault.message, raw)
            )


def _entry(collection: Collection, raw: Mapping[str, Any], scope_id: str | None) -> Entry:
    record_id = raw.get("id")
    if record_id is None:
        raise RecordFault("id", "missing_field", "id is needed")
    if not record.valid_id(record_id):
        raise RecordFault("id", "invalid_id", "id must be 1 to 128 of A-Z a-z 0-9 _ -")
    state = raw.get("sync_status")
    if state is not None and state not in _SYNC_STATES:
        raise RecordFault(
            "sync_status", "invalid_choice", f"sync_status must be one of {', '.join(_SYNC_STATES)}"
        )
    raw_ms = _moment(raw.get("last_modified_at"))
    if state == "deleted":
        return Entry(collection, str(record_id), raw, coerced=None, raw_ms=raw_ms)
    if raw_ms is None:
        raise RecordFault("last_modified_at", "missing_field", "last_modified_at is needed")
    own_scope = raw.get("scope_id")
    if own_scope is not None and not record.valid_id(own_scope):
        raise RecordFault("scope_id", "invalid_id", "scope_id must be 1 to 128 of A-Z a-z 0-9 _ -")
    return Entry(
        collection,
        str(record_id),
        raw,
        coerced=collection.coerce(raw, _WIRE),
        raw_ms=raw_ms,
        scope_id=own_scope or scope_id,
    )


def _moment(value: Any) -> int | None:
    if value is None:
        return None
    name = "last_modified_at"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecordFault(name, "wrong_type", "last_modified_at must be a number of seconds")
    if value > _MOST_SECONDS:
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
    product: Product, outcome: Outcome, pull: Pull, clock_offset_ms: int | None
) -> dict[str, Any]:
    """The answer as a value for `orjson.dumps`. Consumes the pull."""
    updates: dict[str, list[Any]] = {item.name: [] for item in product.collections}
    deleted: dict[str, list[str]] = {item.name: [] for item in product.collections}
    for item in pull.items:
        if isinstance(item, Row):
            updates[item.collection.name].append(row(item))
        else:
            deleted[item.table].append(item.id)
    answer: dict[str, Any] = {
        "new_sync_timestamp": _seconds(pull.cursor_ms),
        "server_updates": updates,
        "deleted": deleted,
        "accepted": outcome.accepted,
        "conflicts": [_conflict(product, conflict) for conflict in outcome.conflicts],
        "rejected": [_rejected(refusal) for refusal in outcome.rejected],
        "has_more": pull.next_page is not None,
        "next_page": pull.next_page,
        "clock_offset_ms": clock_offset_ms,
        "receipt": _receipt(outcome),
    }
    if pull.resync is not None:
        answer["resync"] = pull.resync
    return answer


def row(item: Row) -> dict[str, Any]:
    """A record as a phone sees it: id, declared fields, scope, times in seconds."""
    return _visible(item.collection, item.document, item.role)


def _visible(collection: Collection, document: Document, role: str) -> dict[str, Any]:
    have = collection.redact(document.fields, role)
    shown: dict[str, Any] = {"id": document.key.id}
    for spec in collection.fields:
        value = have.get(spec.name)
        if value is not None:
            if spec.type is Type.JSON:
                value = orjson.Fragment(value)
            elif spec.type is Type.TIME:
                value = _seconds(value)
        shown[spec.name] = value
    shown[record.SCOPE] = have.get(record.SCOPE)
    for name in (record.CREATED, record.MODIFIED, record.DELETED):
        shown[name] = _seconds(have.get(name))
    stamp = have.get(STAMP)
    shown[STAMP] = None if stamp is None else _seconds(stamp // 1000)
    return shown


def _seconds(value_ms: int | None) -> float | int | None:
    if value_ms is None:
        return None
    return value_ms // 1000 if value_ms % 1000 == 0 else value_ms / 1000


def _conflict(product: Product, conflict: Conflict) -> dict[str, Any]:
    collection = product.by_name[conflict.table]
    return {
        "table": conflict.table,
        "id": conflict.id,
        "winner": conflict.winner,
        "reason": conflict.reason,
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
        "table": refusal.table,
        "id": refusal.id,
        "field": refusal.field,
        "code": refusal.code,
        "message": refusal.message,
    }


def _receipt(outcome: Outcome) -> Mapping[str, Any] | None:
    """What the phone can show as a proof of delivery; None when it pushed nothing."""
    if not outcome.accepted and not outcome.rejected:
        return None
    return outcome.receipt()
