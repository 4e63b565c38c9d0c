"""The WatermelonDB dialect in the API's description: `GET` and `POST /api/v1/sync`. Times in ms."""

from __future__ import annotations

from collections.abc import Sequence

from shared import errors
from shared.api.openapi.parts import (
    BODY,
    ID,
    MS,
    TEXT,
    UNFIT,
    Operation,
    Schema,
    fixed,
    header,
    list_of,
    or_null,
    ref,
    says,
)
from shared.api.openapi.records import about, name_of, rejection, sent_column, value_of
from shared.api.record_codes import BATCH_ONLY
from shared.records import record
from shared.records.collection import Catalog, Collection, Field, Owner, Type

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/api/v1/sync",
        "watermelonPull",
        "sync",
        "WatermelonDB: get what changed elsewhere",
        "What `pullChanges` of the stock `synchronize()` calls. `created` is filled in a first pull "
        "only, and never with `created_as_updated=1`, which goes with `sendCreatedAsUpdated: true`. "
        "Times are milliseconds. The answer is streamed: if it is cut short, it is no JSON. On a bad "
        "line ask with `limit`, page after page, and hand the gathered changes to `synchronize()`.",
        answers="What changed for this phone, in one piece.",
        answer="WatermelonPull",
        faults=(
            errors.InvalidRequest,
            errors.InvalidCursor,
            errors.Unauthenticated,
            errors.PageExpired,
            errors.AppTooOld,
            errors.StoreUnavailable,
        ),
        parameters=(
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
            *UNFIT,
            errors.Unauthenticated,
            errors.StalePush,
            *BODY,
            errors.AppTooOld,
            errors.CommitTooBig,
            errors.Contended,
            errors.StoreUnavailable,
        ),
        parameters=(
            "ClientTimeMs",
            "AppVersion",
            "RequestId",
            "ContentEncoding",
        ),
        answer_headers=("Cache-Control", "Content-Encoding"),
        never=("time_in_milliseconds",),
    ),
)

PARAMETERS: dict[str, Schema] = {
    "ClientTimeMs": header(
        "X-Client-Time",
        {
            "type": "number",
            "minimum": 0,
            "exclusiveMaximum": record.MOST_MS,
            "not": {"exclusiveMinimum": 0, "exclusiveMaximum": record.LEAST_MS},
        },
        "What the phone's clock says while it sends this very attempt, Unix milliseconds here.",
    ),
}

_AS_TEXT = frozenset({Type.JSON, Type.MAP, Type.STRINGS})


def schemas(catalog: Catalog) -> dict[str, Schema]:
    """Schemas of this dialect; those of records that it shares are the batch dialect's."""
    word, pushable = catalog.scope_word, [item for item in catalog.collections if item.pushable]
    found = {
        "WatermelonPull": _pull(catalog),
        "WatermelonPush": {
            "description": "`changes` as `pushChanges` gets them, bare or in an object.",
            "anyOf": [fixed(changes=ref("WatermelonChanges")), ref("WatermelonChanges")],
        },
        "WatermelonChanges": _pushed_changes(pushable),
        "WatermelonPushed": _pushed(),
        "WatermelonRejection": rejection(BATCH_ONLY),
        "StalePush": {
            **fixed(
                error=ref("ErrorDetail"),
                conflicts=list_of(fixed(table=TEXT, id=ID), "Which records changed here."),
            ),
            "description": "The push came too late. Nothing was applied.",
        },
    }
    for item in pushable:
        found[name_of(item, "RawChange")] = _raw_change(item, word)
    for item in catalog.collections:
        found[name_of(item, "Raw")] = _raw(item, word)
    return found


def _pull(catalog: Catalog) -> Schema:
    def sets(item: Collection) -> Schema:
        rows: Schema = {"type": "array", "items": ref(name_of(item, "Raw"))}
        return fixed(created=rows, updated=rows, deleted={"type": "array", "items": ID})

    answer = fixed(
        changes=says(
            fixed(**{item.name: sets(item) for item in catalog.collections}),
            "By table. No id is twice in one.",
        ),
        timestamp=says(
            {**MS, "type": "integer", "minimum": 0},
            "The next `last_pulled_at`. While `has_more`, still the old one: 0 in a first pull.",
        ),
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
        "has_more": {"type": "boolean", "description": "With `limit`: whether to ask again."},
        "next_page": says(or_null(TEXT), "With `limit`: what to ask with. Good for 30 days."),
        "sync_again": {
            "type": "boolean",
            "const": True,
            "description": "Only there if deletions of records that the user may not have any more "
            "wait for the phone's next push: call `synchronize()` once more.",
        },
    }
    return {"description": "What `pullChanges` returns, as it is.", **answer}


def _pushed_changes(pushable: Sequence[Collection]) -> Schema:
    def sets(rows: Schema, ids: Schema) -> Schema:
        lists = {"created": rows, "updated": rows, "deleted": ids}
        return {
            "type": ["object", "null"],
            "properties": {
                name: {"type": ["array", "null"], "items": items} for name, items in lists.items()
            },
        }

    return {
        "type": "object",
        "description": "Records by table. `created` and `updated` mean the same: store this.",
        "properties": {item.name: sets(ref(name_of(item, "RawChange")), ID) for item in pushable},
        "additionalProperties": says(sets({}, {}), "Any other table's records are refused."),
    }


def _pushed() -> Schema:
    ids: Schema = {"type": "array", "items": TEXT}
    return {
        "type": "object",
        "description": "What `pushChanges` returns, as it is. Only `receipt` if everything was stored.",
        "required": ["receipt"],
        "properties": {
            "receipt": ref("Receipt"),
            "experimentalRejectedIds": {
                "type": "object",
                "description": "Ids that stay unsent on the phone, by table.",
                "additionalProperties": ids,
            },
            "rejected": list_of(ref("WatermelonRejection"), "The same, with the reasons."),
            "ignored": list_of(ref("Ignored"), "Only there if parts of the request were left out."),
        },
    }


def _raw_value(spec: Field, *, sent: bool) -> Schema:
    """A column as the phone's database holds it."""
    if spec.type in _AS_TEXT:
        return {"type": ["string", "null"], "contentMediaType": "application/json"}
    if sent and spec.unreadable is not None:
        return {}
    value = {**MS, "minimum": 0} if spec.type is Type.TIME else value_of(spec, sent=sent)
    schema = or_null(value)
    if sent and (spec.choices or spec.references):
        return {"anyOf": [schema, {"type": "string", "const": ""}]}
    return schema


def _raw_change(collection: Collection, word: str) -> Schema:
    """What the stock client sends as a record of a table."""
    empty: Schema = {"type": "string", "const": ""}
    columns = {
        item.name: says(_raw_value(item, sent=True), sent_column(item)["description"])
        for item in collection.fields
        if item.owner is Owner.CLIENT
    }
    return {
        "type": "object",
        "description": f"{about(collection)} As WatermelonDB sends it: lists and objects are JSON "
        "text, an empty text stands for nothing where text makes no sense. The server's own "
        "columns and `_status` are ignored; `_changed` names what the user changed.",
        "required": ["id"],
        "properties": {
            "id": says(ID, "Made by the phone; the record's for good."),
            "last_modified_at": {
                "anyOf": [MS, {"type": ["number", "null"], "enum": [0, None]}],
                "description": "When the user made this edit, ms. 0, null or absent: now.",
            },
            "scope_id": {
                "anyOf": [or_null(ID), empty],
                "description": f"The {word} of a new record that has no parent.",
            },
            **columns,
        },
    }


def _raw(collection: Collection, word: str) -> Schema:
    """A record as the stock client takes it: strings, numbers, booleans, null."""
    time = or_null(MS)
    columns = {
        "id": dict(ID),
        **{item.name: says(_raw_value(item, sent=False), item.doc) for item in collection.fields},
        record.SCOPE: says(or_null(ID), f"The {word} that shares it."),
        record.CREATED: says(
            {**time, "minimum": 0}, "When the phone made it, by the corrected clock, ms."
        ),
        record.MODIFIED: says(
            {**time, "minimum": 0}, "When it was last edited, by the corrected clock, ms."
        ),
        "updated_at": says(time, "When the server last wrote it, ms."),
    }
    return {**fixed(**columns), "description": f"{collection.doc} As WatermelonDB takes it."}
