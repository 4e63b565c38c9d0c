"""The WatermelonDB dialect: `GET` and `POST /api/v1/sync`, for the stock `synchronize()`. Times in ms.

    GET  ?last_pulled_at=…  → {changes: {table: {created, updated, deleted}}, timestamp}
    POST ?last_pulled_at=…  {table: {created, updated, deleted}}, bare or in {changes}
                            → {experimentalRejectedIds?: {table: [id …]}}, or 409 stale_push

`created` is filled only on a first sync: a `created` row would bring a record back that the phone has
deleted and not pushed yet. JSON columns, lists and maps travel as JSON text: the phone's columns are
strings, numbers and booleans, and anything else would silently become empty there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from shared.errors import InvalidCursor, InvalidRequest
from shared.sync import record
from shared.sync.collection import (
    Collection,
    Product,
    RecordFault,
    Type,
    Wire,
    parsed_column,
)
from shared.sync.exchange import Entry, Outcome, Push, Refusal
from shared.sync.pull import Pull, Row
from shared.sync.store import STAMP, Document

#: A cursor before this (1973) is seconds taken for milliseconds.
_LEAST_MS = 100_000_000_000

#: A time of an edit after this many "ms" (a fortnight of 1970) and before 1973 is seconds.
_LEAST_SECONDS = 1_200_000_000

#: A cursor beyond this (the year 5138) is no time in ms.
_MOST_MS = 100_000_000_000_000

#: What phones send for "nothing": the documented snippet interpolates JavaScript's null.
_NOTHING = frozenset({"", "null", "undefined", "0"})

_MAX_ECHOED_ID = 128

_TIME = re.compile(r"[0-9]{1,17}(\.[0-9]{1,9})?", re.ASCII)

_WIRE = Wire(json_as_text=True, ms_per_unit=1)

_AS_TEXT = frozenset({Type.MAP, Type.STRINGS})


@dataclass(frozen=True, slots=True)
class PullRequest:
    """What a `GET` asks for. `tables` are to be sent whole, since the phone's schema has grown."""

    cursor_ms: int
    tables: tuple[str, ...]
    created_as_updated: bool
    replacement: bool


def parse_pull(arguments: Mapping[str, str], product: Product) -> PullRequest:
    """Check a query string. Raises `InvalidCursor` and `InvalidRequest`."""
    strategy = arguments.get("strategy", "")
    if strategy not in ("", "incremental", "replacement"):
        raise InvalidRequest("strategy must be incremental or replacement.", field="strategy")
    return PullRequest(
        parse_cursor(arguments.get("last_pulled_at")),
        _migrated(arguments.get("migration", ""), product),
        arguments.get("created_as_updated", "") in ("1", "true"),
        strategy == "replacement",
    )


def parse_cursor(text: str | None) -> int:
    """`last_pulled_at` in ms; 0 on a first sync. Raises `InvalidCursor`."""
    field = "last_pulled_at"
    if text is None or text.strip() in _NOTHING:
        return 0
    value = float(text) if _TIME.fullmatch(text.strip()) else -1.0
    if not 0 <= value < _MOST_MS:
        raise InvalidCursor("last_pulled_at must be a time in ms, or null.", field=field)
    if 0 < value < _LEAST_MS:
        raise InvalidCursor(
            "last_pulled_at is in seconds; this endpoint counts milliseconds.",
            code="time_in_seconds",
            field=field,
        )
    return int(value)


def _migrated(text: str, product: Product) -> tuple[str, ...]:
    """Tables that a schema migration of the phone needs whole; unknown ones are left out.

    `{from, tables: […], columns: [{table, columns: […]}]}`. A new column gets its whole table: more
    than asked for, never less.
    """
    if text.strip() in _NOTHING:
        return ()
    try:
        asked = orjson.loads(text)
        if not isinstance(asked.get("tables", []), list):
            raise TypeError
        tables = [*asked.get("tables", ()), *(entry["table"] for entry in asked.get("columns", ()))]
        known = tuple(name for name in product.by_name if name in set(tables))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InvalidRequest(
            "migration must be {from, tables, columns} as JSON, or null.", field="migration"
        ) from None
    return known


# --- push


def parse_push(
    body: Any,
    product: Product,
    *,
    cursor_ms: int,
    device: str | None,
    fingerprint: str,
    client_time_ms: int | None,
    now_ms: int,
) -> Push:
    """Check a body. Raises `InvalidRequest`; a bad record becomes a refusal of it.

    `device` names the phone, if it said who it is: only then may its own rows be left out of the
    pull that follows.
    """
    changes = body.get("changes", body) if isinstance(body, dict) else None
    if not isinstance(changes, dict):
        raise InvalidRequest("The body must be an object of tables.", field="changes")
    offset = None if client_time_ms is None else client_time_ms - now_ms
    entries: list[Entry] = []
    refusals: list[Refusal] = []
    for table, sets in changes.items():
        name = f"changes.{table[:64]}"
        if not isinstance(sets, dict):
            raise InvalidRequest("A table must hold created, updated and deleted.", field=name)
        for kind in ("created", "updated", "deleted"):
            rows = sets.get(kind, [])
            if not isinstance(rows, list):
                raise InvalidRequest("created, updated and deleted must be lists.", field=name)
            for raw in rows:
                _take(product, table, kind, raw, now_ms, offset, entries, refusals)
    echo = echo_of(device, cursor_ms) or None
    return Push(entries, refusals, cursor_ms, fingerprint, offset, echo, pulled_first=True)


def echo_of(device: str | None, cursor_ms: int) -> str:
    """The exchange of a push and the pull that follows it; empty if it cannot be told for sure.

    A phone pulls (and stores the new cursor), pushes everything it has, and pulls with that cursor
    again: whatever it pushed at a cursor it holds when it asks with it. Not so at the cursor 0,
    which a new installation sends too, and not for phones that cannot be told apart.
    """
    return f"{device}@{cursor_ms}" if device and cursor_ms else ""


def _take(
    product: Product,
    table: str,
    kind: str,
    raw: Any,
    now_ms: int,
    offset_ms: int | None,
    entries: list[Entry],
    refusals: list[Refusal],
) -> None:
    collection = product.by_name.get(table)
    try:
        if collection is None:
            raise RecordFault(None, "unknown_table", "This server does not know this table")
        if not collection.pushable:
            raise RecordFault(None, "read_only_table", "Only the server writes this table")
        entries.append(_entry(collection, kind, raw, now_ms, offset_ms))
    except RecordFault as fault:
        shown = raw.get("id") if isinstance(raw, dict) else raw
        known = shown if isinstance(shown, str) else ""
        # Whole, however long: an id that is not named exactly would count as synced on the phone.
        refusals.append(Refusal(table, known, fault.field, fault.code, fault.message, raw))


def _entry(
    collection: Collection, kind: str, raw: Any, now_ms: int, offset_ms: int | None
) -> Entry:
    if kind == "deleted":
        if not record.valid_id(raw):
            raise RecordFault("id", "invalid_id", "id must be 1 to 128 of A-Z a-z 0-9 _ -")
        return Entry(collection, raw, {"id": raw}, coerced=None, raw_ms=None)
    if not isinstance(raw, dict):
        raise RecordFault(None, "wrong_type", "A record must be an object")
    record_id = raw.get("id")
    if not record.valid_id(record_id):
        raise RecordFault("id", "invalid_id", "id must be 1 to 128 of A-Z a-z 0-9 _ -")
    own_scope = raw.get("scope_id") or None
    if own_scope is not None and not record.valid_id(own_scope):
        raise RecordFault("scope_id", "invalid_id", "scope_id must be 1 to 128 of A-Z a-z 0-9 _ -")
    return Entry(
        collection,
        str(record_id),
        raw,
        coerced=collection.coerce(_plain(collection, raw), _WIRE),
        raw_ms=_moment(raw.get("last_modified_at"), now_ms + (offset_ms or 0)),
        scope_id=own_scope,
    )


def _plain(collection: Collection, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The record with lists and maps out of their text, and the phone's empty values as none.

    A phone's required string column holds '' where the server has nothing.
    """
    plain: dict[str, Any] = {}
    for name, value in raw.items():
        spec = collection.by_name.get(name)
        if spec is not None and isinstance(value, str):
            if spec.type in _AS_TEXT:
                value = _parsed(name, value)
            elif value == "" and (spec.type is Type.JSON or spec.choices or spec.references):
                value = None
        plain[name] = value
    return plain


def _parsed(name: str, text: str) -> Any:
    if text == "":
        return None
    return parsed_column(name, text)


def _moment(value: Any, now_ms: int) -> int:
    """When the edit was made, by the phone's clock. A table without the column: it was made now."""
    name = "last_modified_at"
    if value is None or value == 0:
        return now_ms
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecordFault(name, "wrong_type", "last_modified_at must be a number of milliseconds")
    if not 0 <= value < _MOST_MS:
        raise RecordFault(name, "number_out_of_range", "last_modified_at must be a time in ms")
    # Seconds of our days would be a day of January 1970 in ms; earlier ones may be a clock's first.
    if _LEAST_SECONDS < value < _LEAST_MS / 10:
        raise RecordFault(
            name,
            "time_in_seconds",
            "last_modified_at is in seconds; this endpoint counts milliseconds",
        )
    return round(value)


def render_push(outcome: Outcome) -> dict[str, Any]:
    """The answer to a push that was taken: ids that stay dirty on the phone, if there are any."""
    answer: dict[str, Any] = {"receipt": outcome.receipt()}
    if outcome.rejected:
        ids: dict[str, list[str]] = {}
        for refusal in outcome.rejected:
            if refusal.id:  # a record without one is none of the phone's own
                ids.setdefault(refusal.table, []).append(refusal.id)
        answer["experimentalRejectedIds"] = ids
        answer["rejected"] = [
            {
                "table": refusal.table[:_MAX_ECHOED_ID],
                "id": refusal.id[:_MAX_ECHOED_ID],
                "field": refusal.field,
                "code": refusal.code,
                "message": refusal.message,
            }
            for refusal in outcome.rejected
        ]
    return answer


# --- pull


def render_pull(product: Product, asked: PullRequest, pull: Pull) -> Iterator[bytes]:
    """The answer, a piece at a time: memory stays flat however much there is.

    Plain `{"changes": …, "timestamp": …}` with exactly three lists a table, as the unparsed first
    sync ("turbo") needs it. Rows come in the order of the product's tables.
    """
    kind = "created" if asked.cursor_ms == 0 and not asked.created_as_updated else "updated"
    if asked.replacement:
        kind = "updated"
    other = "updated" if kind == "created" else "created"
    deleted: dict[str, list[str]] = {item.name: [] for item in product.collections}
    order = [item.name for item in product.collections]
    at, first = -1, True
    yield b'{"changes":{'

    def close(table: str) -> bytes:
        return b'],"%s":[],"deleted":%s}' % (other.encode(), orjson.dumps(deleted[table]))

    def open_(table: str) -> bytes:
        comma = b"," if at > 0 else b""
        return b'%s%s:{"%s":[' % (comma, orjson.dumps(table), kind.encode())

    late: list[tuple[str, str]] = []
    for item in pull.items:
        table = item.collection.name if isinstance(item, Row) else item.table
        if not isinstance(item, Row):
            if order.index(table) < at:
                late.append((table, item.id))
            else:
                deleted[table].append(item.id)
            continue
        while at < order.index(table):
            if at >= 0:
                yield close(order[at])
            at, first = at + 1, True
            yield open_(order[at])
        if order.index(table) < at:
            raise RuntimeError("rows must come table by table")
        yield (b"" if first else b",") + orjson.dumps(
            row(item.collection, item.document, item.role)
        )
        first = False
    if late:
        raise RuntimeError("deletions must come before the rows of later tables")
    while at < len(order) - 1:
        if at >= 0:
            yield close(order[at])
        at += 1
        yield open_(order[at])
    yield close(order[at])
    tail: dict[str, Any] = {"timestamp": pull.cursor_ms}
    if asked.replacement:
        tail["experimentalStrategy"] = "replacement"
    if pull.resync is not None:
        tail["resync"] = pull.resync
    if pull.held:
        tail["sync_again"] = True
    yield b"}," + orjson.dumps(tail)[1:]


def row(collection: Collection, document: Document, role: str) -> dict[str, Any]:
    """A record as the phone's database takes it: strings, numbers, booleans, null."""
    have = collection.redact(document.fields, role)
    shown: dict[str, Any] = {"id": document.key.id}
    for name, type_ in collection.columns:
        value = have.get(name)
        if value is not None and type_ in _AS_TEXT:
            # strings alone are canonical as they are: no numbers, no order of keys
            strings = type_ is Type.STRINGS
            value = orjson.dumps(value).decode() if strings else record.canonical(value)
        shown[name] = value
    shown[record.SCOPE] = have.get(record.SCOPE)
    shown[record.CREATED] = have.get(record.CREATED)
    shown[record.MODIFIED] = have.get(record.MODIFIED)
    stamp = have.get(STAMP)
    shown[STAMP] = None if stamp is None else stamp // 1000
    return shown
