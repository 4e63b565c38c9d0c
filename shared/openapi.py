"""The API's description, OpenAPI 3.1, made of the declarations; and the same as a page for people.

    python -m shared.openapi > infra/openapi.json

`document` writes what `OPERATIONS` lists. Schemas of records come from the product's collections,
errors from `shared.errors` and `shared.codes`. A test holds the document against the routes of every
function and against real answers.

How to read the schemas:

- A record to send (`…Change`) satisfies its schema if its shape will be accepted. A record that
  does not is no fault of the request: it comes back in `rejected`, with one of `RECORD_CODES`.
- A record to receive (`…Row`) carries exactly the declared columns. Later servers may add columns,
  so objects are not closed by `additionalProperties: false`; tests close them. (The analysis is: it
  carries its own version.)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared import errors
from shared.ai import analysis
from shared.codes import BATCH_ONLY, ERROR_CODES, RECORD_CODES, WATERMELON_ONLY
from shared.errors import Fault
from shared.openapi_page import page
from shared.products import dermadetect
from shared.products.examples import EXAMPLES
from shared.settings import Settings
from shared.sync import record
from shared.sync.collection import (
    MAX_JSON_BYTES,
    MAX_STRING_OF_LIST,
    MAX_STRINGS,
    Collection,
    Field,
    Owner,
    Product,
    Type,
)

__all__ = ["document", "page", "text"]

Schema = dict[str, Any]

#: Version of the wire, not of a release: `/version` names that.
API_VERSION = "1.0"

#: The largest time that counts as seconds (the year 5138); beyond, it is milliseconds.
MOST_SECONDS = 100_000_000_000

#: The range of what counts as milliseconds, the upper end excluded; below, it is seconds.
LEAST_MS, MOST_MS = 100_000_000_000, 100_000_000_000_000

#: Longest table name or id of a refused record that an answer repeats, characters.
_LONGEST_ECHOED = 128

_UNFIT = (errors.InvalidJson, errors.InvalidRequest, errors.InvalidCursor)
_BODY = (errors.RequestTooLarge, errors.UnsupportedEncoding)
_EVERYWHERE = (errors.NotFound, errors.MethodNotAllowed, Fault)

_STATUS_WORDS = {
    400: "The request cannot be used as it stands.",
    401: "Nobody is known by this token.",
    403: "Not allowed.",
    404: "Nothing here.",
    405: "Another method is needed.",
    409: "Pull first.",
    410: "Too late for this page.",
    413: "Too large.",
    415: "Unknown encoding.",
    426: "The app is too old.",
    500: "A fault on our side.",
    503: "Not now. Nothing is lost: send the very same request again.",
}


@dataclass(frozen=True)
class Operation:
    """One method of one path. `answer` and `body` name schemas; the answer's is inline if a dict."""

    method: str
    path: str
    id: str
    tag: str
    summary: str
    doc: str
    answers: str  #: what the 200 is, in words
    answer: str | Schema
    faults: tuple[type[Fault], ...] = ()
    body: str = ""
    parameters: tuple[str, ...] = ()  #: headers and query, from `components.parameters`
    answer_headers: tuple[str, ...] = ()
    secured: bool = True
    content_type: str = "application/json"
    never: tuple[str, ...] = ()  #: codes of its faults that it does not answer


def _fixed(**words: Schema) -> Schema:
    """An object of which every property is always there."""
    return {"type": "object", "properties": words, "required": list(words)}


def _open(method: str, path: str, name: str, summary: str, doc: str, **more: Any) -> Operation:
    return Operation(
        method, path, name, "status", summary, doc, secured=False, parameters=("RequestId",), **more
    )


_TEXT: Schema = {"type": "string"}

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
        "With `page`, the request only goes on reading: send no `changes`.",
        answers="What became of the records, and what changed for this phone.",
        answer="SyncAnswer",
        body="SyncRequest",
        faults=(
            *_UNFIT,
            errors.Unauthenticated,
            errors.PageExpired,
            *_BODY,
            errors.AppTooOld,
            errors.CommitTooBig,
            errors.Contended,
            errors.StoreUnavailable,
        ),
        parameters=("ClientTime", "AppVersion", "RequestId", "ContentEncoding"),
        answer_headers=("Cache-Control", "Content-Encoding"),
        never=("time_in_seconds",),
    ),
    Operation(
        "GET",
        "/api/v1/sync",
        "watermelonPull",
        "sync",
        "WatermelonDB: get what changed elsewhere",
        "What `pullChanges` of the stock `synchronize()` calls. `created` is filled in a first pull "
        "only; run `synchronize` with `sendCreatedAsUpdated: false`. Times are milliseconds. The "
        "answer is streamed: if it is cut short, it is no JSON.",
        answers="What changed for this phone, in one piece.",
        answer="WatermelonPull",
        faults=(
            errors.InvalidRequest,
            errors.InvalidCursor,
            errors.Unauthenticated,
            errors.AppTooOld,
            errors.StoreUnavailable,
        ),
        parameters=(
            "LastPulledAt",
            "DeviceId",
            "SchemaVersion",
            "Migration",
            "CreatedAsUpdated",
            "Strategy",
            "AppVersion",
            "RequestId",
        ),
        answer_headers=("Cache-Control", "Content-Encoding"),
        never=("time_in_milliseconds",),
    ),
    Operation(
        "POST",
        "/api/v1/sync",
        "watermelonPush",
        "sync",
        "WatermelonDB: send what changed on the phone",
        "What `pushChanges` of the stock `synchronize()` calls. A record that cannot be stored is "
        "named in the answer and stays unsent on the phone; all others are stored. If a record "
        "changed here after the phone's last pull, the answer is 409 and nothing is stored.\n\n"
        "Sending the same request again is always safe. Times are milliseconds.",
        answers="Stored, but for what is named.",
        answer="WatermelonPushed",
        body="WatermelonPush",
        faults=(
            *_UNFIT,
            errors.Unauthenticated,
            errors.StalePush,
            *_BODY,
            errors.AppTooOld,
            errors.CommitTooBig,
            errors.Contended,
            errors.StoreUnavailable,
        ),
        parameters=(
            "LastPulledAt",
            "DeviceId",
            "ClientTimeMs",
            "AppVersion",
            "RequestId",
            "ContentEncoding",
        ),
        answer_headers=("Cache-Control", "Content-Encoding"),
        never=("time_in_milliseconds",),
    ),
    _open(
        "GET",
        "/health",
        "getHealth",
        "Is it up",
        "Answers as long as the process lives; asks nothing else.",
        answers="It is up.",
        answer=_fixed(status={"type": "string", "const": "ok"}),
    ),
    _open(
        "GET",
        "/ready",
        "getReadiness",
        "Can it serve",
        "Asks the record store too.",
        answers="It can serve.",
        answer=_fixed(status={"type": "string", "const": "ready"}),
        faults=(errors.StoreUnavailable,),
    ),
    _open(
        "GET",
        "/version",
        "getVersion",
        "Which release of which product",
        "For bug reports.",
        answers="The release and the product.",
        answer=_fixed(version=_TEXT, product=_TEXT),
    ),
    _open(
        "GET",
        "/openapi.json",
        "getOpenApi",
        "This description for programs",
        "OpenAPI 3.1, for code generators and editors.",
        answers="This document.",
        answer={
            "type": "object",
            "required": ["openapi", "info", "paths", "components"],
            "additionalProperties": True,
        },
    ),
    _open(
        "GET",
        "/docs",
        "getDocs",
        "This description for people",
        "One page without scripts; readable on a phone.",
        answers="The page.",
        answer=_TEXT,
        content_type="text/html",
    ),
)


# --- values and records


_SECONDS: Schema = {
    "type": "number",
    "minimum": 0,
    "maximum": MOST_SECONDS,
    "description": "Unix seconds; fractions allowed.",
}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_ID: Schema = {"type": "string", "pattern": f"^(?!__.*__$){record.ID.pattern}$"}


def _says(schema: Schema, text: str) -> Schema:
    return {**schema, "description": text}


def _or_null(schema: Schema) -> Schema:
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    kinds = schema["type"]
    found: Schema = {**schema, "type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}
    if "enum" in schema:
        found["enum"] = [*schema["enum"], None]
    return found


def _list(items: Schema, text: str) -> Schema:
    return {"type": "array", "items": items, "description": text}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _value(spec: Field, *, sent: bool) -> Schema:
    """The schema of a field's value, without null. `sent`: by a phone, so aliases are accepted."""
    client = spec.owner is Owner.CLIENT
    if spec.type is Type.STRING:
        if spec.choices:
            return {"type": "string", "enum": [*spec.choices, *(spec.aliases if sent else ())]}
        if spec.references:
            return dict(_ID)
        return {"type": "string", "maxLength": spec.max_length} if client else dict(_TEXT)
    if spec.type in (Type.NUMBER, Type.INTEGER):
        low = -record.MAX_INTEGER if spec.low is None else spec.low
        high = record.MAX_INTEGER if spec.high is None else spec.high
        return {"type": spec.type.value, "minimum": low, "maximum": high}
    if spec.type is Type.BOOLEAN:
        return {"type": "boolean"}
    if spec.type is Type.TIME:
        return dict(_SECONDS)
    if spec.type is Type.JSON:
        return {"type": ["object", "array"]}
    if spec.type is Type.STRINGS:
        if not client:
            return {"type": "array", "items": dict(_TEXT)}
        items = {"type": "string", "maxLength": MAX_STRING_OF_LIST}
        return {"type": "array", "items": items, "maxItems": MAX_STRINGS}
    return dict(_MAPS.get(spec.name, {"type": "object"}))


#: Objects of the server whose shape is published.
_MAPS: dict[str, Schema] = {
    "ai_analysis": {"anyOf": [_ref("AiAnalysis"), _ref("AiAnalysisBeforeReview")]}
}


def _sent(spec: Field) -> Schema:
    notes = [spec.doc]
    if spec.type is Type.JSON:
        notes.append(f"At most {MAX_JSON_BYTES} bytes of JSON.")
    if spec.required:
        notes.append("Needed for a new record.")
    for other, word in spec.aliases.items():
        notes.append(f"`{other}` is stored as `{word}`.")
    schema = _value(spec, sent=True) if spec.required else _or_null(_value(spec, sent=True))
    if spec.default is not None:
        schema["default"] = spec.default
    return _says(schema, " ".join(notes))


def _received(spec: Field) -> Schema:
    notes = [spec.doc]
    if spec.transitions:
        steps = ", ".join(f"`{one}` → `{other}`" for one, other in spec.transitions)
        notes.append(f"Steps: {steps}.")
    schema = _says(_or_null(_value(spec, sent=False)), " ".join(notes))
    return schema if spec.owner is Owner.CLIENT else {**schema, "readOnly": True}


def _name(collection: Collection, role: str) -> str:
    return "".join(word.capitalize() for word in collection.name.split("_")) + role


def _change(collection: Collection, word: str) -> Schema:
    """What a phone may send as a record of a table."""
    ignored = [item.name for item in collection.fields if item.owner is not Owner.CLIENT]
    doc = (
        f"{collection.doc} To send. A field that is absent keeps its stored value, null clears it."
    )
    if ignored:
        names = ", ".join(f"`{name}`" for name in ignored)
        doc += f" The server's own columns ({names}) may be sent along and are ignored."
    doc += " Columns that the server does not know are dropped."
    when = "When the user made this edit, by the phone's clock, in Unix seconds. Decides conflicts."
    properties = {
        "id": _says(_ID, "Made by the phone, a UUID for example; the record's for good."),
        "sync_status": {
            "type": ["string", "null"],
            "enum": ["new", "dirty", "synced", "deleted", None],
            "description": "`deleted` deletes it (the id alone is enough), `synced` is skipped; "
            "anything else stores it.",
        },
        "last_modified_at": _says(_or_null(_SECONDS), when + " A deletion may go without."),
        "scope_id": _says(
            _or_null(_ID),
            f"The {word} of a new record, if neither its parent nor the request says.",
        ),
        **{item.name: _sent(item) for item in collection.fields if item.owner is Owner.CLIENT},
    }
    state = {"required": ["sync_status"]}
    edit = {"required": ["last_modified_at"], "properties": {"last_modified_at": _SECONDS}}
    ended = {"properties": {"sync_status": {"enum": ["deleted", "synced"]}}, **state}
    schema: Schema = {
        "type": "object",
        "description": doc,
        "required": ["id"],
        "properties": properties,
        "allOf": [{"if": ended, "else": edit}],
    }
    if collection.required:
        new = {"properties": {"sync_status": {"const": "new"}}, **state}
        schema["allOf"].append({"if": new, "then": {"required": list(collection.required)}})
    return schema


def _row(collection: Collection, word: str) -> Schema:
    """A record as phones receive it: every declared column, always."""
    time = _or_null(_SECONDS)
    columns = {
        "id": dict(_ID),
        **{item.name: _received(item) for item in collection.fields},
        record.SCOPE: _says(_or_null(_ID), f"The {word} that shares it."),
        record.CREATED: _says(time, "When the server first stored it, Unix seconds."),
        record.MODIFIED: _says(time, "When it was last edited, by the corrected clock."),
        record.DELETED: _says(time, "Null in every row: deletions come as ids in `deleted`."),
        "updated_at": _says(time, "When the server last wrote it, Unix seconds."),
    }
    return {**_fixed(**columns), "description": f"{collection.doc} As phones receive it."}


def _values(collection: Collection) -> Schema:
    """A record's client-owned columns, as one side of a conflict."""
    columns = {
        item.name: _or_null(_value(item, sent=False))
        for item in collection.fields
        if item.owner is Owner.CLIENT
    }
    return {**_fixed(**columns), "description": "The columns that phones write."}


def _conflict(collection: Collection) -> Schema:
    values = _ref(_name(collection, "Values"))
    deletion = _fixed(deleted_at={"type": "boolean", "const": True})
    words = (
        "`older`, `equal`: the stored record is as new or newer, so it stays. `deleted`: the record "
        "was deleted (it is in `rejected` too). `unseen_overwrite`: what was sent is newer and was "
        "stored over a change that this phone had not seen."
    )
    return {
        **_fixed(
            table={"type": "string", "const": collection.name},
            id=dict(_ID),
            winner={"type": "string", "enum": ["server", "client"]},
            reason={
                "type": "string",
                "enum": ["older", "equal", "deleted", "unseen_overwrite"],
                "description": words,
            },
            yours={
                "anyOf": [values, deletion],
                "description": "What was sent. A deletion shows as `deleted_at: true`.",
            },
            theirs=_says(values, "What the server had."),
        ),
        "description": f"A conflict in `{collection.name}`. The loser's values are kept.",
    }


# --- the batch dialect


def _sync_schemas(product: Product) -> dict[str, Schema]:
    pushable = [item for item in product.collections if item.pushable]
    tables = {item.name: item for item in product.collections}
    found: dict[str, Schema] = {
        "SyncRequest": _request(product, pushable),
        "SyncAnswer": _answer(tables, pushable),
        "Conflict": {
            "description": "A value that lost, or was overwritten unseen. Show it to the user.",
            "oneOf": [_ref(_name(item, "Conflict")) for item in pushable],
            "discriminator": {
                "propertyName": "table",
                "mapping": {
                    item.name: f"#/components/schemas/{_name(item, 'Conflict')}"
                    for item in pushable
                },
            },
        },
        "Rejection": _rejection(WATERMELON_ONLY),
        "Receipt": {
            **_fixed(
                id=_says(_TEXT, "The same for every repetition of the request."),
                accepted=_COUNT,
                conflicts=_COUNT,
                rejected=_COUNT,
            ),
            "description": "Proof of delivery: compare the counts with what was sent.",
        },
    }
    for item in pushable:
        found[_name(item, "Change")] = _change(item, product.scope_word)
    for item in product.collections:
        found[_name(item, "Row")] = _row(item, product.scope_word)
    for item in pushable:
        found[_name(item, "Values")] = _values(item)
        found[_name(item, "Conflict")] = _conflict(item)
    if any(spec.name in _MAPS for item in product.collections for spec in item.fields):
        found |= _analysis()
    return found | _watermelon_schemas(product, pushable)


def _request(product: Product, pushable: Sequence[Collection]) -> Schema:
    limits = Settings()
    changes = {
        "type": ["object", "null"],
        "description": "Records that changed on the phone, by table. Order does not matter. Of two "
        "entries with one id the later edit counts.",
        "properties": {
            item.name: {"type": "array", "items": _ref(_name(item, "Change"))} for item in pushable
        },
        "additionalProperties": {
            "type": "array",
            "description": "Records of any other table come back in `rejected`.",
        },
    }
    no_changes = {"properties": {"changes": {"additionalProperties": {"maxItems": 0}}}}
    return {
        "type": "object",
        "description": "All parts are optional: `{}` asks for everything.",
        "properties": {
            "last_sync_timestamp": _says(
                _or_null(_SECONDS),
                "`new_sync_timestamp` of the last complete sync; 0, null or absent at first.",
            ),
            "changes": changes,
            "device_id": _says(
                _or_null(_ID),
                "Names this phone among the user's: keep one per installation. Without it the "
                "token's device counts.",
            ),
            "scope_id": _says(
                _or_null(_ID),
                f"The {product.scope_word} of new records that name none. Needed if the user is "
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
        name: {"type": "array", "items": _ref(_name(item, "Row"))} for name, item in tables.items()
    }
    ids: Schema = {"type": "array", "items": _ID}
    more = {"properties": {"has_more": {"const": True}}}
    answer = _fixed(
        new_sync_timestamp=_says(
            _SECONDS,
            "Keep it for the next sync, after everything in this one was applied. While `has_more`, "
            "it is still the old one.",
        ),
        server_updates=_says(_fixed(**rows), "Records to insert or replace, by table."),
        deleted=_says(
            _fixed(**dict.fromkeys(tables, ids)),
            "Ids to drop, by table; unknown ones may be among them.",
        ),
        accepted={
            "type": "object",
            "description": "Ids that may be marked as synced, by table; only tables that were sent. "
            "Losers of a conflict are among them: their winner is in `server_updates`.",
            "properties": {item.name: ids for item in pushable},
        },
        conflicts=_list(_ref("Conflict"), "Values that lost, or were overwritten unseen."),
        rejected=_list(_ref("Rejection"), "Records that were not stored. They stay on the phone."),
        has_more={"type": "boolean", "description": "Whether to ask again, with `next_page`."},
        next_page=_says(_or_null(_TEXT), "Opaque. To be used within 50 minutes."),
        clock_offset_ms={
            "type": ["integer", "null"],
            "description": "How far the phone's clock is ahead (negative: behind), ms; null without "
            "`X-Client-Time`. Tell the user if it is minutes.",
        },
        receipt=_says(_or_null(_ref("Receipt")), "Null if no record was sent."),
    )
    answer["properties"]["resync"] = {
        "type": "string",
        "const": "upload_first",
        "description": "Only there if the server lost history (restored from a backup) or the cursor "
        "is from the future: mark every record on the phone as `dirty` and sync again.",
    }
    pages = {"if": more, "then": {"properties": {"next_page": _TEXT}}}
    doc = "What became of the records that were sent, and what changed for this phone."
    no_page = {"properties": {"next_page": {"type": "null"}}}
    return {"description": doc, **answer, **pages, "else": no_page}


def _rejection(never: frozenset[str]) -> Schema:
    """A refused record, in the dialect that does not have the codes `never`."""
    codes = [code for code in RECORD_CODES if code not in never]
    return {
        **_fixed(
            table={"type": "string", "maxLength": _LONGEST_ECHOED},
            id={
                "type": "string",
                "maxLength": _LONGEST_ECHOED,
                "description": "As sent, cut to 128 characters; empty if it was no text.",
            },
            field={"type": ["string", "null"], "description": "Which field, if it is one's fault."},
            code={
                "type": "string",
                "enum": codes,
                "description": _bullets((code, RECORD_CODES[code]) for code in codes),
            },
            message={"type": "string", "description": "For developers; may change."},
        ),
        "description": "A record that was not stored. A copy is kept on the server for support.",
    }


def _analysis() -> dict[str, Schema]:
    whole = {name: value for name, value in analysis.SCHEMA.items() if name[0] != "$"}
    seen = {name: whole["properties"][name] for name in analysis.VISIBLE_TO_CHW}
    return {
        "AiAnalysis": whole,
        "AiAnalysisBeforeReview": {
            "type": "object",
            "title": "ai_analysis before a doctor signed",
            "description": "What a health worker's phone gets until a doctor has signed.",
            "properties": seen,
            "required": list(seen),
            "additionalProperties": False,
        },
    }


# --- the WatermelonDB dialect


_MS: Schema = {
    "type": "number",
    "minimum": LEAST_MS,
    "exclusiveMaximum": MOST_MS,
    "description": "Unix milliseconds.",
}
_AS_TEXT = frozenset({Type.JSON, Type.MAP, Type.STRINGS})


def _watermelon_schemas(product: Product, pushable: Sequence[Collection]) -> dict[str, Schema]:
    word = product.scope_word
    found = {
        "WatermelonPull": _pull(product),
        "WatermelonPush": {
            "description": "`changes` as `pushChanges` gets them, bare or in an object.",
            "anyOf": [_fixed(changes=_ref("WatermelonChanges")), _ref("WatermelonChanges")],
        },
        "WatermelonChanges": _pushed_changes(pushable),
        "WatermelonPushed": _pushed(),
        "WatermelonRejection": _rejection(BATCH_ONLY),
        "StalePush": {
            **_fixed(
                error=_ref("Error/properties/error"),
                conflicts=_list(_fixed(table=_TEXT, id=_ID), "Which records changed here."),
            ),
            "description": "The push came too late. Nothing was applied.",
        },
    }
    for item in pushable:
        found[_name(item, "RawChange")] = _raw_change(item, word)
    for item in product.collections:
        found[_name(item, "Raw")] = _raw(item, word)
    return found


def _pull(product: Product) -> Schema:
    def sets(item: Collection) -> Schema:
        rows: Schema = {"type": "array", "items": _ref(_name(item, "Raw"))}
        return _fixed(created=rows, updated=rows, deleted={"type": "array", "items": _ID})

    answer = _fixed(
        changes=_says(
            _fixed(**{item.name: sets(item) for item in product.collections}),
            "By table. No id is twice in one.",
        ),
        timestamp=_says({**_MS, "type": "integer"}, "The next `last_pulled_at`."),
    )
    answer["properties"] |= {
        "experimentalStrategy": {
            "type": "string",
            "const": "replacement",
            "description": "There if it was asked for: records that are not in it leave the phone.",
        },
        "resync": {
            "type": "string",
            "const": "upload_first",
            "description": "Only there if the server lost history (restored from a backup) or the "
            "cursor is from the future: send every record of the phone again.",
        },
    }
    return {"description": "What `pullChanges` returns, as it is.", **answer}


def _pushed_changes(pushable: Sequence[Collection]) -> Schema:
    def sets(rows: Schema, ids: Schema) -> Schema:
        lists = {"created": rows, "updated": rows, "deleted": ids}
        return {
            "type": "object",
            "properties": {
                name: {"type": "array", "items": items} for name, items in lists.items()
            },
        }

    return {
        "type": "object",
        "description": "Records by table. `created` and `updated` mean the same: store this.",
        "properties": {item.name: sets(_ref(_name(item, "RawChange")), _ID) for item in pushable},
        "additionalProperties": _says(sets({}, {}), "Any other table's records are refused."),
    }


def _pushed() -> Schema:
    ids: Schema = {"type": "array", "items": _TEXT}
    return {
        "type": "object",
        "description": "What `pushChanges` returns, as it is. `{}` if everything was stored.",
        "properties": {
            "experimentalRejectedIds": {
                "type": "object",
                "description": "Ids that stay unsent on the phone, by table.",
                "additionalProperties": ids,
            },
            "rejected": _list(_ref("WatermelonRejection"), "The same, with the reasons."),
        },
    }


def _raw_value(spec: Field, *, sent: bool) -> Schema:
    """A column as the phone's database holds it."""
    if spec.type in _AS_TEXT:
        return {"type": ["string", "null"], "contentMediaType": "application/json"}
    value = {**_MS, "minimum": 0} if spec.type is Type.TIME else _value(spec, sent=sent)
    schema = _or_null(value)
    if sent and (spec.choices or spec.references):
        return {"anyOf": [schema, {"type": "string", "const": ""}]}
    return schema


def _raw_change(collection: Collection, word: str) -> Schema:
    """What the stock client sends as a record of a table."""
    empty: Schema = {"type": "string", "const": ""}
    columns = {
        item.name: _says(_raw_value(item, sent=True), _sent(item)["description"])
        for item in collection.fields
        if item.owner is Owner.CLIENT
    }
    return {
        "type": "object",
        "description": f"{collection.doc} As WatermelonDB sends it: lists and objects are JSON "
        "text, an empty text stands for nothing where text makes no sense. The server's own "
        "columns, `_status` and `_changed` are ignored.",
        "required": ["id"],
        "properties": {
            "id": _says(_ID, "Made by the phone; the record's for good."),
            "last_modified_at": {
                "anyOf": [_MS, {"type": ["number", "null"], "enum": [0, None]}],
                "description": "When the user made this edit, ms. 0, null or absent: now.",
            },
            "scope_id": {
                "anyOf": [_or_null(_ID), empty],
                "description": f"The {word} of a new record that has no parent.",
            },
            **columns,
        },
    }


def _raw(collection: Collection, word: str) -> Schema:
    """A record as the stock client takes it: strings, numbers, booleans, null."""
    time = _or_null(_MS)
    columns = {
        "id": dict(_ID),
        **{item.name: _says(_raw_value(item, sent=False), item.doc) for item in collection.fields},
        record.SCOPE: _says(_or_null(_ID), f"The {word} that shares it."),
        record.CREATED: _says(time, "When the server first stored it, ms."),
        record.MODIFIED: _says(time, "When it was last edited, by the corrected clock, ms."),
        "updated_at": _says(time, "When the server last wrote it, ms."),
    }
    return {**_fixed(**columns), "description": f"{collection.doc} As WatermelonDB takes it."}


# --- the document


def document(product: Product) -> Schema:
    """The OpenAPI 3.1 document of a product's deployment."""
    paths: dict[str, Schema] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
            operation, EXAMPLES.get(product.name, {})
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{_TITLES.get(product.name, product.name)} Cloud API",
            "version": API_VERSION,
            "summary": "One request keeps an offline phone and the server in step.",
            "description": _introduction(product),
        },
        "servers": [{"url": "/", "description": "The host that serves this document."}],
        "security": [{"bearer": []}],
        "tags": [
            {"name": "sync", "description": "What phones call."},
            {"name": "status", "description": "What operators and tools call. Needs no token."},
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The access token from logging in: "
                    "`Authorization: Bearer <token>`.",
                }
            },
            "parameters": _parameters(),
            "headers": _headers(),
            "schemas": {"Error": _error(), **_sync_schemas(product)},
        },
    }


_TITLES = {"dermadetect": "DermaDetect"}


def _introduction(product: Product) -> str:
    limits = Settings()
    return f"""Phones work without a network for days and then send all that changed in one request, \
`POST /api/sync`; the answer carries all that changed for them. A record belongs to a \
{product.scope_word}, and everybody in it shares it.

**A sync, step by step**

1. Send every record that is new, changed or deleted on the phone, with the cursor \
(`last_sync_timestamp`) that the last complete sync gave. Keep the records and the request until \
an answer has come.
2. No answer, or 503: send the very same request again, after `Retry-After` or with growing pauses. \
That is always safe.
3. Mark the ids in `accepted` as synced, except records that the user changed again meanwhile.
4. Put the rows of `server_updates` into the phone's database and drop the ids in `deleted`, in one \
transaction. A record that the user changed meanwhile keeps the phone's values: they go with the \
next sync.
5. Show what is in `rejected` and `conflicts`. A rejected record stays on the phone; correct it and \
send it again.
6. While `has_more` is true, ask again with `page` set to `next_page`, with the same `device_id` \
and without `changes`. Keep `new_sync_timestamp` only when the last page is applied.

**WatermelonDB**

Apps on WatermelonDB use `GET` and `POST /api/v1/sync` instead, with the stock `synchronize()`. Both \
ways work on the same records.

**Conventions**

- Bodies are JSON in UTF-8, up to {limits.max_body_bytes >> 20} MiB as sent and \
{limits.max_inflated_bytes >> 20} MiB inflated. Send them with `Content-Encoding: gzip` if that \
helps; answers are compressed for clients that accept gzip.
- Times are Unix seconds, fractions allowed. A time in milliseconds is refused by name. (Under \
`/api/v1/sync` it is the other way round.)
- Ids are made by the phone: 1 to 128 of `A-Z a-z 0-9 _ -`.
- Ignore columns, tables and codes that you do not know: a newer server may send more.
- Every error has one shape, `{{"error": {{"code", "message", …}}}}`. Decide by `code`, which is \
stable; `message` is for developers.
- Every answer carries `X-Request-Id`. Log it, and name it when you report a problem."""


def _operation(operation: Operation, examples: Mapping[str, Schema]) -> Schema:
    said: Schema = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.doc,
    }
    if not operation.secured:
        said["security"] = []
    said["parameters"] = [
        {"$ref": f"#/components/parameters/{name}"} for name in operation.parameters
    ]
    example = examples.get(operation.id, {})
    if operation.body:
        content: Schema = {"schema": _ref(operation.body)}
        if "request" in example:
            content["examples"] = example["request"]
        said["requestBody"] = {"required": True, "content": {"application/json": content}}
    answer = operation.answer
    content = {"schema": answer if isinstance(answer, dict) else _ref(answer)}
    if "answer" in example:
        content["examples"] = example["answer"]
    said["responses"] = {
        "200": {
            "description": operation.answers,
            "headers": _answer_headers("X-Request-Id", *operation.answer_headers),
            "content": {operation.content_type: content},
        },
        **_errors((*operation.faults, *_EVERYWHERE), operation.never),
    }
    return said


def _answer_headers(*names: str) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _errors(faults: Iterable[type[Fault]], never: Sequence[str]) -> dict[str, Schema]:
    """Error answers by status, each with the codes that it may carry; without those in `never`."""
    codes: dict[int, dict[str, str]] = {}
    for fault in faults:
        said = {code: text for code, text in ERROR_CODES[fault].items() if code not in never}
        codes.setdefault(fault.status, {}).update(said)
    return {str(status): _error_answer(status, codes[status]) for status in sorted(codes)}


def _error_answer(status: int, codes: Mapping[str, str]) -> Schema:
    shape = "StalePush" if status == errors.StalePush.status else "Error"
    headers = ["X-Request-Id"]
    headers += {401: ["WWW-Authenticate"], 503: ["Retry-After"]}.get(status, [])
    narrowed = {"properties": {"error": {"properties": {"code": {"enum": list(codes)}}}}}
    return {
        "description": f"{_STATUS_WORDS[status]}\n\n{_bullets(codes.items())}",
        "headers": _answer_headers(*headers),
        "content": {"application/json": {"schema": {"allOf": [_ref(shape), narrowed]}}},
    }


def _bullets(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- `{code}`: {sentence}" for code, sentence in pairs)


def _error() -> Schema:
    parts = {
        "code": _says(_TEXT, "Stable. Judge a code that you do not know by the status."),
        "message": _says(_TEXT, "What to do next, for developers. May change; no patient data."),
        "field": _says(_TEXT, "Which part of the request, if it is one's fault."),
        "retry_after_s": {"type": "number", "description": "When to try again, seconds."},
        "request_id": _says(_TEXT, "The same as `X-Request-Id`."),
    }
    error = {
        "type": "object",
        "properties": parts,
        "required": ["code", "message", "request_id"],
    }
    return {**_fixed(error=error), "description": "The shape of every error."}


def _parameters() -> Schema:
    def header(name: str, schema: Schema, text: str) -> Schema:
        return {"name": name, "in": "header", "description": text, "schema": schema}

    def query(name: str, schema: Schema, text: str) -> Schema:
        return {"name": name, "in": "query", "description": text, "schema": schema}

    nothing = {"type": "string", "enum": ["null", "undefined", "0", ""]}
    return {
        "LastPulledAt": query(
            "last_pulled_at",
            {"anyOf": [_MS, nothing]},
            "`timestamp` of the last pull, ms; null, undefined, 0, empty or absent at first.",
        ),
        "DeviceId": query(
            "device_id",
            dict(_ID),
            "Names this phone among the user's: keep one per installation. Without it, or a "
            "device in the token, the phone gets back the rows that it has just sent.",
        ),
        "SchemaVersion": query(
            "schema_version",
            dict(_TEXT),
            "The version of the phone's schema, as WatermelonDB sends it. Not used today.",
        ),
        "Migration": query(
            "migration",
            dict(_TEXT),
            "`{from, tables, columns}` as JSON, as `pullChanges` gets it, or null. Tables that are "
            "new, or have new columns, are sent whole.",
        ),
        "CreatedAsUpdated": query(
            "created_as_updated",
            {"type": "string", "enum": ["1", "true", "0", "false"]},
            "1: a first pull fills `updated` too, for apps with `sendCreatedAsUpdated: true`.",
        ),
        "Strategy": query(
            "strategy",
            {"type": "string", "enum": ["incremental", "replacement"]},
            "`replacement`: send everything; the phone drops what is not in it and keeps what it "
            "has not sent.",
        ),
        "ClientTimeMs": header(
            "X-Client-Time",
            {"anyOf": [_MS, {"type": "number", "const": 0}]},
            "What the phone's clock says while it sends this very attempt, Unix milliseconds here.",
        ),
        "ClientTime": header(
            "X-Client-Time",
            {"type": "number", "minimum": 0, "maximum": MOST_SECONDS},
            "What the phone's clock says while it sends this very attempt, Unix seconds. If it is "
            f"ahead by more than {Settings().clock_tolerance_seconds} seconds, the request's times "
            "are shifted back by as much; without it they count as they are.",
        ),
        "AppVersion": header(
            "X-App-Version",
            {"type": "string", "pattern": r"^\d{1,6}(\.\d{1,6}){0,3}$"},
            "The app's version, like `1.4.0`. Too old a version gets 426; another form is ignored.",
        ),
        "RequestId": header(
            "X-Request-Id",
            {"type": "string", "pattern": "^[A-Za-z0-9._/=-]{1,128}$"},
            "A name for this request in the logs. Made by the server if absent or of another form.",
        ),
        "ContentEncoding": header(
            "Content-Encoding",
            {"type": "string", "enum": ["gzip", "x-gzip", "identity"]},
            "How the body is compressed.",
        ),
    }


def _headers() -> Schema:
    def header(schema: Schema, text: str, *, always: bool = True) -> Schema:
        return {"description": text, "required": always, "schema": schema}

    return {
        "X-Request-Id": header(_TEXT, "Names this answer in the server's logs."),
        "Retry-After": header({"type": "integer", "minimum": 1}, "When to try again, seconds."),
        "WWW-Authenticate": header({**_TEXT, "const": "Bearer"}, "A bearer token is needed."),
        "Cache-Control": header({**_TEXT, "const": "no-store"}, "Patients' data is never cached."),
        "Content-Encoding": header(
            {**_TEXT, "const": "gzip"},
            "There if the request accepts gzip and the answer is long enough.",
            always=False,
        ),
    }


def text(product: Product) -> str:
    """The document as `infra/openapi.json` holds it."""
    return json.dumps(document(product), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text(dermadetect.PRODUCT))
