"""The batch dialect in the API's description: `POST /api/sync`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared import errors
from shared.api.openapi.parts import (
    BODY,
    COUNT,
    ID,
    MS,
    SECONDS,
    TEXT,
    UNFIT,
    Operation,
    Schema,
    fixed,
    header,
    list_of,
    needed,
    or_null,
    ref,
    says,
)
from shared.api.openapi.records import change, conflict, ignored, name_of, rejection, row, values
from shared.api.record_codes import WATERMELON_ONLY
from shared.files.tickets import MOST_ASKED
from shared.records.collection import Catalog, Collection
from shared.records.record import MOST_SECONDS
from shared.settings import Settings

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/api/sync",
        "sync",
        "sync",
        "Send what changed on the phone, get what changed elsewhere",
        "One request pushes and pulls. A record that cannot be stored is named in `rejected`; all "
        "others are stored in one step or not at all. (Only a very large request takes several "
        "steps, parents first: if one fails, the answer is 503 and the same request completes it.)"
        "\n\n"
        "Sending the same request again is always safe, also when its answer was lost: nothing is "
        "stored twice, and the verdicts are the same.\n\n"
        "With `page`, the request only goes on reading: send no `changes`.\n\n"
        'A phone on a line where each byte costs sends `"brief": true`, too. The answer then is a '
        "`BriefSyncAnswer`; who takes its types from here need not know it, for nobody else gets one.",
        answers="What became of the records, and what changed for this phone.",
        answer="SyncAnswer",
        body="SyncRequest",
        faults=(
            *UNFIT,
            errors.Unauthenticated,
            errors.PageExpired,
            *BODY,
            errors.AppTooOld,
            errors.CommitTooBig,
            errors.Contended,
            errors.StoreUnavailable,
        ),
        parameters=("ClientTime", "AppVersion", "RequestId", "ContentEncoding"),
        answer_headers=("Cache-Control", "Content-Encoding"),
        never=("time_in_seconds",),
    ),
)

PARAMETERS: dict[str, Schema] = {
    "ClientTime": header(
        "X-Client-Time",
        {"type": "number", "minimum": 0, "maximum": MOST_SECONDS},
        "What the phone's clock says while it sends this very attempt, Unix seconds. If it is "
        f"ahead by more than {Settings().clock_tolerance_seconds} seconds, the request's times "
        "are shifted back by as much; without it they count as they are.",
    )
}


def schemas(catalog: Catalog) -> dict[str, Schema]:
    """Schemas of this dialect, with those of records."""
    pushable = [item for item in catalog.collections if item.pushable]
    tables = {item.name: item for item in catalog.collections}
    receipt: Schema = {
        **fixed(
            id=says(TEXT, "The same for every repetition of the request."),
            accepted=COUNT,
            conflicts=COUNT,
            rejected=COUNT,
            digest={
                "type": "object",
                "description": "What the server now holds of the accepted records, by table. "
                "Deleted ones do not count.",
                "properties": {item.name: ref("Digest") for item in pushable},
            },
        ),
        "description": "Proof of delivery: compare the counts with what was sent.",
    }
    found: dict[str, Schema] = {
        "SyncRequest": _request(catalog),
        "SyncChanges": _changes(pushable),
        "SyncAnswer": _answer(tables, pushable),
        "BriefSyncAnswer": _brief_answer(tables, pushable),
        "Conflict": {
            "description": "A value that lost, or was overwritten unseen. Show it to the user.",
            "oneOf": [ref(name_of(item, "Conflict")) for item in pushable],
            "discriminator": {
                "propertyName": "table",
                "mapping": {
                    item.name: f"#/components/schemas/{name_of(item, 'Conflict')}"
                    for item in pushable
                },
            },
        },
        "Rejection": rejection(WATERMELON_ONLY),
        "Ignored": ignored(),
        "Receipt": receipt,
        "BriefReceipt": {
            **receipt,
            "description": "As the usual receipt; a count that is missing is 0.",
            "required": ["id", "digest"],
        },
        "Digest": {
            **fixed(
                count=COUNT,
                hash={
                    "type": "string",
                    "pattern": "^[0-9a-f]{64}$",
                    "description": "The exclusive or of the records' content hashes, hexadecimal.",
                },
            ),
            "description": "A set of records in brief: equal digests mean equal content. A record's "
            "content hash is the SHA-256 of its canonical JSON (RFC 8785): `deleted` (false), `fields` "
            "(columns that phones write, without nulls; JSON columns as canonical text), `id`, `scope`.",
        },
        "SyncDigest": _digest(catalog),
    }
    for item in pushable:
        found[name_of(item, "Change")] = change(item, catalog.scope_word)
    for item in catalog.collections:
        found[name_of(item, "Row")] = row(item, catalog.scope_word)
    for item in pushable:
        found[name_of(item, "Values")] = values(item)
        found[name_of(item, "Conflict")] = conflict(item)
    return found


def _digest(catalog: Catalog) -> Schema:
    names = [item.name for item in catalog.collections]
    return {
        **fixed(
            timestamp=says({**MS, "type": "integer"}, "The moment that the digest speaks of, ms."),
            current=says(
                {"type": "boolean"},
                "Whether nothing changed since `last_pulled_at`. If false, pull and ask again; the "
                "phone's own last push counts as a change too.",
            ),
            tables={
                "type": "object",
                "description": "By table; empty unless `current`.",
                "properties": dict.fromkeys(names, ref("Digest")),
            },
        ),
        "description": "What the caller's phone should hold.",
        "if": {"properties": {"current": {"const": True}}},
        "then": {"properties": {"tables": needed(names)}},
        "else": {"properties": {"tables": {"maxProperties": 0}}},
    }


def _changes(pushable: Sequence[Collection]) -> Schema:
    return {
        "type": "object",
        "description": "Records that changed on the phone, by table. Order does not matter. "
        "Entries with one id add up in the order of their times.",
        "properties": {
            item.name: {"type": ["array", "null"], "items": ref(name_of(item, "Change"))}
            for item in pushable
        },
        "additionalProperties": {
            "type": ["array", "null"],
            "items": {},
            "description": "Records of any other table come back in `rejected`.",
        },
    }


def _request(catalog: Catalog) -> Schema:
    limits = Settings()
    no_changes = {"properties": {"changes": {"additionalProperties": {"maxItems": 0}}}}
    return {
        "type": "object",
        "description": "All parts are optional: `{}` asks for everything.",
        "properties": {
            "last_sync_timestamp": says(
                or_null(SECONDS),
                "`new_sync_timestamp` of the last complete sync; 0, null or absent at first.",
            ),
            "changes": says(or_null(ref("SyncChanges")), "What changed on the phone."),
            "files": {
                "type": ["array", "null"],
                "description": "Photos that the phone has, as in `POST /api/v1/files`. With the first "
                "page only.",
                "maxItems": MOST_ASKED,
                "items": {"anyOf": [ref("FileAsked"), {}]},
            },
            "device_id": says(
                or_null(ID),
                "Names this phone among the user's: keep one per installation. Without it the "
                "token's device counts.",
            ),
            "scope_id": says(
                or_null(ID),
                f"The {catalog.scope_word} of new records that name none. Needed if the user is "
                "in several.",
            ),
            "limit": {
                "type": ["integer", "null"],
                "minimum": 1,
                "description": f"Most rows and deletions in one answer; {limits.page_rows} at most.",
            },
            "page": {
                "type": ["string", "null"],
                "description": "`next_page` of the answer before, to go on reading. Without "
                "`changes`.",
            },
        },
        "if": {"properties": {"page": {"type": "string"}}, "required": ["page"]},
        "then": no_changes,
    }


def _answer(tables: Mapping[str, Collection], pushable: Sequence[Collection]) -> Schema:
    rows = {
        name: {"type": "array", "items": ref(name_of(item, "Row"))} for name, item in tables.items()
    }
    ids: Schema = {"type": "array", "items": ID}
    more = {"properties": {"has_more": {"const": True}}}
    answer = fixed(
        new_sync_timestamp=says(
            SECONDS,
            "Keep it for the next sync, after everything in this one was applied. While `has_more`, "
            "it is still the old one.",
        ),
        server_updates=says(
            fixed(**rows),
            "Records by table: lay the columns of each over the row that the phone holds, if any.",
        ),
        deleted=says(
            fixed(**dict.fromkeys(tables, ids)),
            "Ids to drop, by table; unknown ones may be among them.",
        ),
        accepted={
            "type": "object",
            "description": "Ids that may be marked as synced, by table; only tables that were sent. "
            "Losers of a conflict are among them: their winner is in `server_updates`.",
            "properties": {item.name: ids for item in pushable},
        },
        conflicts=list_of(ref("Conflict"), "Values that lost, or were overwritten unseen."),
        rejected=list_of(ref("Rejection"), "Records that were not stored. They stay on the phone."),
        has_more={"type": "boolean", "description": "Whether to ask again, with `next_page`."},
        next_page=says(
            or_null(TEXT), "Opaque. Good for 30 days, also after the app was restarted."
        ),
        clock_offset_ms={
            "type": ["integer", "null"],
            "description": "How far the phone's clock is ahead (negative: behind), ms; null without "
            "`X-Client-Time`. Tell the user if it is minutes.",
        },
        receipt=says(or_null(ref("Receipt")), "Null if no record was sent."),
    )
    answer["properties"]["files"] = list_of(
        {"anyOf": [ref("StoredFile"), ref("FileRefused")]},
        "Only there if the request had `files`: one answer for each, in order.",
    )
    answer["properties"]["ignored"] = list_of(
        ref("Ignored"), "Only there if parts of the request were left out."
    )
    answer["properties"]["resync"] = {
        "type": "string",
        "const": "upload_first",
        "description": "Only there if the server lost history (restored from a backup) or the cursor "
        "is from the future: mark every record on the phone as `dirty` and sync again.",
    }
    pages = {"if": more, "then": {"properties": {"next_page": TEXT}}}
    doc = "What became of the records that were sent, and what changed for this phone."
    no_page = {"properties": {"next_page": {"type": "null"}}}
    return {"description": doc, **answer, **pages, "else": no_page}


def _brief_answer(tables: Mapping[str, Collection], pushable: Sequence[Collection]) -> Schema:
    """What `shared.sync.dialects.batch.brief` leaves of an answer."""
    parts = _answer(tables, pushable)["properties"]
    for name in ("server_updates", "deleted"):
        some = {table: {**each, "minItems": 1} for table, each in parts[name]["properties"].items()}
        parts[name] = {
            "type": "object",
            "description": parts[name]["description"],
            "properties": some,
            "minProperties": 1,
        }
    for name in ("conflicts", "rejected", "files", "ignored"):
        parts[name] = {**parts[name], "minItems": 1}
    ids: Schema = {"type": "array", "items": ID, "minItems": 2}
    alike = list_of(
        fixed(ids=ids, row={"type": "object", "description": "Columns, as in a row; no id."}),
        "Each row's columns are news of all these ids.",
    )
    parts |= {
        "has_more": {"type": "boolean", "const": True},
        "next_page": TEXT,
        "clock_offset_ms": {"type": "integer"},
        "receipt": ref("BriefReceipt"),
        "same": {
            "type": "object",
            "description": "What would stand in `server_updates` several times, alike but for the id.",
            "properties": dict.fromkeys(tables, alike),
            "minProperties": 1,
        },
    }
    return {
        "type": "object",
        "description": "Only if the request was `brief`: as the usual answer, without what is empty, "
        "null or false; news that several of the sent records have alike stand once, in `same`.",
        "properties": parts,
        "required": ["new_sync_timestamp"],
        "dependentRequired": {"has_more": ["next_page"], "next_page": ["has_more"]},
    }
