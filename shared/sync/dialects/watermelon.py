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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from shared.errors import InvalidCursor, InvalidRequest
from shared.records import record
from shared.records.collection import (
    Catalog,
    Collection,
    RecordFault,
    Type,
    Wire,
    parsed_column,
)
from shared.records.store import STAMP, Document
from shared.sync.dialects.batch import ignored_part
from shared.sync.dialects.intake import MAX_ECHOED, Intake
from shared.sync.dialects.reading import Unreadable
from shared.sync.exchange import Entry, Ignored, Outcome, Push
from shared.sync.pull import Pull, Row

#: A time of an edit after this many "ms" (a fortnight of 1970) and before 1973 is seconds.
_LEAST_SECONDS = 1_200_000_000

#: What phones send for "nothing": the documented snippet interpolates JavaScript's null.
_NOTHING = frozenset({"", "null", "undefined", "0"})

_TIME = re.compile(r"[0-9]{1,17}(\.[0-9]{1,9})?", re.ASCII)

_WIRE = Wire(json_as_text=True, ms_per_unit=1)

_AS_TEXT = frozenset({Type.MAP, Type.STRINGS})


@dataclass(frozen=True, slots=True)
class PullRequest:
    """What a `GET` asks for. `tables` are to be sent whole, since the phone's schema has grown.

    `echo` is the receipt of the push before, if the phone holds its answer: rows that were exactly
    what it sent need not come back. A phone that was rolled back to a backup has no such receipt, and
    gets everything again. `limit` (rows) and `page` are for a first sync over a bad line.
    """

    cursor_ms: int
    tables: tuple[str, ...]
    created_as_updated: bool
    replacement: bool
    echo: str = ""
    limit: int | None = None
    page: str | None = None


def parse_pull(arguments: Mapping[str, str], catalog: Catalog) -> PullRequest:
    """Check a query string. Raises `InvalidCursor` and `InvalidRequest`."""
    strategy = arguments.get("strategy", "")
    if strategy not in ("", "incremental", "replacement"):
        raise InvalidRequest("strategy must be incremental or replacement.", field="strategy")
    return PullRequest(
        parse_cursor(arguments.get("last_pulled_at")),
        _migrated(arguments.get("migration", ""), catalog),
        arguments.get("created_as_updated", "") in ("1", "true"),
        strategy == "replacement",
        arguments.get("receipt", ""),
        _limit(arguments.get("limit")),
        arguments.get("page") or None,
    )


def _limit(text: str | None) -> int | None:
    if text is None or text.strip() in _NOTHING:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidRequest("limit must be a whole number from 1.", field="limit")
    return int(text)


def parse_cursor(text: str | None) -> int:
    """`last_pulled_at` in ms; 0 on a first sync. Raises `InvalidCursor`."""
    field = "last_pulled_at"
    if text is None or text.strip() in _NOTHING:
        return 0
    value = float(text) if _TIME.fullmatch(text.strip()) else -1.0
    if not 0 <= value < record.MOST_MS:
        raise InvalidCursor("last_pulled_at must be a time in ms, or null.", field=field)
    if 0 < value < record.LEAST_MS:
        raise InvalidCursor(
            "last_pulled_at is in seconds; this endpoint counts milliseconds.",
            code="time_in_seconds",
            field=field,
        )
    return int(value)


def _migrated(text: str, catalog: Catalog) -> tuple[str, ...]:
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
        known = tuple(name for name in catalog.by_name if name in set(tables))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InvalidRequest(
            "migration must be {from, tables, columns} as JSON, or null.", field="migration"
        ) from None
    return known


# --- push


def parse_push(
    body: Any,
    catalog: Catalog,
    *,
    cursor_ms: int,
    fingerprint: str,
    client_time_ms: int | None,
    now_ms: int,
    size: int = 0,
    strict: bool = False,
) -> Push:
    """Check a body (`reading.read`). Raises `InvalidRequest`; a bad record becomes a refusal of it.

    `fingerprint` and `size` (bytes) are the body's. `strict` as for the batch dialect.
    """
    changes = body.get("changes", body) if isinstance(body, dict) else None
    if not isinstance(changes, dict):
        raise InvalidRequest("The body must be an object of tables.", field="changes")
    offset = None if client_time_ms is None else client_time_ms - now_ms
    intake = Intake(_WIRE, strict)
    now = now_ms + (offset or 0)
    for table, sets in changes.items():
        name = f"changes.{table[:64]}"
        if not isinstance(sets, dict | None):
            raise InvalidRequest("A table must hold created, updated and deleted.", field=name)
        if table not in catalog.by_name and not any((sets or {}).values()):
            intake.unknown_table(table)
        for kind in ("created", "updated", "deleted"):
            rows = (sets or {}).get(kind)
            if not isinstance(rows, list | None):
                raise InvalidRequest("created, updated and deleted must be lists.", field=name)
            for raw in rows or ():
                if kind == "deleted" and not isinstance(raw, Unreadable):
                    raw = {"id": raw}  # a deletion is its id alone
                intake.take(catalog, table, raw, partial(_entry, kind, now, intake))
    return Push(
        intake.entries,
        intake.refusals,
        cursor_ms,
        fingerprint,
        offset,
        pulled_first=True,
        size=size,
        ignored=intake.ignored(),
    )


def _entry(kind: str, now_ms: int, intake: Intake, collection: Collection, raw: Any) -> Entry:
    if kind == "deleted":
        return Entry(collection, intake.id_of(raw), raw, coerced=None, raw_ms=None)
    record_id = intake.id_of(raw)
    return Entry(
        collection,
        record_id,
        raw,
        coerced=intake.coerce(collection, _plain(collection, raw)),
        raw_ms=_moment(raw.get("last_modified_at"), now_ms),
        scope_id=intake.scope_of(raw.get("scope_id") or None),
        # What is new is all changed, also a record that was edited while its first push ran.
        named=intake.named(collection, raw.get("_changed")) if kind == "updated" else None,
        version_ms=intake.time_of(collection, raw, "updated_at"),
        created_ms=intake.time_of(collection, raw, "created_at"),
        fresh=kind == "created",
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
    if not 0 <= value < record.MOST_MS:
        raise RecordFault(name, "number_out_of_range", "last_modified_at must be a time in ms")
    # Seconds of our days would be a day of January 1970 in ms; earlier ones may be a clock's first.
    if _LEAST_SECONDS < value < record.LEAST_MS / 10:
        raise RecordFault(
            name,
            "time_in_seconds",
            "last_modified_at is in seconds; this endpoint counts milliseconds",
        )
    return round(value)


def render_push(outcome: Outcome, ignored: Sequence[Ignored] = ()) -> dict[str, Any]:
    """The answer to a push that was taken: ids that stay dirty on the phone, if there are any."""
    answer: dict[str, Any] = {"receipt": outcome.receipt()}
    if ignored:
        answer["ignored"] = [ignored_part(item) for item in ignored]
    if outcome.rejected:
        ids: dict[str, list[str]] = {}
        for refusal in outcome.rejected:
            if refusal.id:  # a record without one is none of the phone's own
                ids.setdefault(refusal.table, []).append(refusal.id)
        answer["experimentalRejectedIds"] = ids
        answer["rejected"] = [
            {
                "table": refusal.table[:MAX_ECHOED],
                "id": refusal.id[:MAX_ECHOED],
                "field": refusal.field,
                "code": refusal.code,
                "message": refusal.message,
            }
            for refusal in outcome.rejected
        ]
    return answer


# --- pull


def render_pull(catalog: Catalog, asked: PullRequest, pull: Pull) -> Iterator[bytes]:
    """The answer, a piece at a time: memory stays flat however much there is.

    Plain `{"changes": …, "timestamp": …}` with exactly three lists a table, as the unparsed first
    sync ("turbo") needs it. Rows come in the order of the product's tables.
    """
    kind = "created" if asked.cursor_ms == 0 and not asked.created_as_updated else "updated"
    if asked.replacement:
        kind = "updated"
    other = "updated" if kind == "created" else "created"
    deleted: dict[str, list[str]] = {item.name: [] for item in catalog.collections}
    order = [item.name for item in catalog.collections]
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
    if asked.limit is not None or asked.page is not None:
        tail |= {"has_more": pull.next_page is not None, "next_page": pull.next_page}
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
