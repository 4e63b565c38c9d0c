"""Schemas of records, made of the product's collections: as phones send and as they receive them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.api.fields import bullets
from shared.api.openapi.parts import (
    ID,
    LONGEST_ECHOED,
    SECONDS,
    TEXT,
    Schema,
    fixed,
    needed,
    or_null,
    ref,
    says,
)
from shared.api.record_codes import RECORD_CODES
from shared.records import record
from shared.records.collection import (
    MAX_JSON_BYTES,
    MAX_STRING_OF_LIST,
    MAX_STRINGS,
    Collection,
    Field,
    Owner,
    Type,
)


def value_of(spec: Field, *, sent: bool) -> Schema:
    """The schema of a field's value, without null. `sent`: by a phone, so aliases are accepted."""
    client = spec.owner is Owner.CLIENT
    if spec.type is Type.STRING:
        if spec.choices and not sent:
            return {"type": "string", "enum": list(spec.choices)}
        if spec.choices:
            word = {"type": "string", "pattern": _however_written([*spec.choices, *spec.aliases])}
            alone = {"items": word, "minItems": 1, "maxItems": 1}
            return {**word, **alone, "type": ["string", "array"]}
        if spec.references:
            return dict(ID)
        return {"type": "string", "maxLength": spec.max_length} if client else dict(TEXT)
    if spec.type in (Type.NUMBER, Type.INTEGER):
        low = -record.MAX_INTEGER if spec.low is None else spec.low
        high = record.MAX_INTEGER if spec.high is None else spec.high
        return {"type": spec.type.value, "minimum": low, "maximum": high}
    if spec.type is Type.BOOLEAN:
        return {"type": "boolean"}
    if spec.type is Type.TIME:
        return dict(SECONDS)
    if spec.type is Type.JSON:
        return {"type": ["object", "array"], "items": {}, "additionalProperties": True}
    if spec.type is Type.STRINGS:
        if not client:
            return {"type": "array", "items": dict(TEXT)}
        items = {"type": "string", "maxLength": MAX_STRING_OF_LIST}
        return {"type": "array", "items": items, "maxItems": MAX_STRINGS}
    return dict(spec.shape or {"type": "object", "additionalProperties": True})


def _however_written(words: Sequence[str]) -> str:
    """A pattern of words in any case, with blanks around and between."""

    def letter(sign: str) -> str:
        both = {sign.lower(), sign.upper()}
        return f"[{''.join(sorted(both))}]" if len(both) > 1 else re.escape(sign)

    patterns = [r"\s+".join("".join(map(letter, part)) for part in word.split()) for word in words]
    return rf"^\s*(?:{'|'.join(patterns)})\s*$"


def sent_column(spec: Field) -> Schema:
    """A column as a phone may send it."""
    notes = [spec.doc]
    if spec.type is Type.JSON:
        notes.append(f"At most {MAX_JSON_BYTES} bytes of JSON.")
    if spec.required:
        notes.append("Needed for a new record.")
    for other, word in spec.aliases.items():
        notes.append(f"`{other}` is stored as `{word}`.")
    if spec.unreadable is not None:
        words = ", ".join(f"`{word}`" for word in (*spec.choices, *spec.aliases))
        notes = [
            spec.doc,
            f"Read are {words}, in any case; all else is stored as `{spec.unreadable}`.",
        ]
        return {"description": " ".join(notes)}
    schema = value_of(spec, sent=True) if spec.required else or_null(value_of(spec, sent=True))
    if spec.default is not None:
        schema["default"] = spec.default
    return says(schema, " ".join(notes))


def received_column(spec: Field) -> Schema:
    """A column as phones receive it."""
    schema = says(or_null(value_of(spec, sent=False)), spec.doc)
    return schema if spec.owner is Owner.CLIENT else {**schema, "readOnly": True}


def name_of(collection: Collection, role: str) -> str:
    """The name of a collection's schema."""
    return "".join(word.capitalize() for word in collection.name.split("_")) + role


def about(collection: Collection) -> str:
    """What a table holds, and how it may be written."""
    said = [collection.doc]
    if collection.writers is not None:
        said.append(f"Only these roles write it: {', '.join(sorted(collection.writers))}.")
    if collection.appended:
        said.append("Rows are added; a change or a deletion is refused (`not_allowed`).")
    return " ".join(said)


def change(collection: Collection, word: str) -> Schema:
    """What a phone may send as a record of a table."""
    ignored = [item.name for item in collection.fields if item.owner is not Owner.CLIENT]
    doc = f"{about(collection)} To send. A field that is absent keeps its stored value, null clears it."
    if ignored:
        names = ", ".join(f"`{name}`" for name in ignored)
        doc += f" The server's own columns ({names}) may be sent along and are ignored."
    doc += " Columns that the server does not know are dropped."
    when = "When the user made this edit, by the phone's clock, in Unix seconds. Decides conflicts."
    properties = {
        "id": says(ID, "Made by the phone, a UUID for example; the record's for good."),
        "sync_status": {
            "type": ["string", "null"],
            "enum": ["new", "dirty", "synced", "deleted", None],
            "description": "`deleted` deletes it (the id alone is enough), `synced` is skipped; "
            "anything else stores it.",
        },
        "last_modified_at": says(or_null(SECONDS), when + " A deletion may go without."),
        "changed": {
            "description": "Names of the columns that the user changed since the record was last in "
            "sync. Send it with whole rows: the other columns then undo nobody's edit.",
            "anyOf": [{"type": "array", "items": TEXT}, {"type": ["string", "null"]}],
        },
        "created_at": says(
            {}, "When the phone made the record, Unix seconds; else its first edit."
        ),
        "updated_at": says({}, "As the phone got it last: it names the version that was edited."),
        "scope_id": says(
            or_null(ID), f"The {word} of a new record, if neither its parent nor the request says."
        ),
        **{
            item.name: sent_column(item) for item in collection.fields if item.owner is Owner.CLIENT
        },
    }
    state = {"required": ["sync_status"]}
    edit = {"required": ["last_modified_at"], "properties": {"last_modified_at": SECONDS}}
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
        schema["allOf"].append({"if": new, "then": needed(collection.required)})
    return schema


def row(collection: Collection, word: str) -> Schema:
    """A record as phones receive it: every column; of one that the phone just sent, the news."""
    time = or_null(SECONDS)
    columns = {
        "id": dict(ID),
        **{item.name: received_column(item) for item in collection.fields},
        record.SCOPE: says(or_null(ID), f"The {word} that shares it."),
        record.CREATED: says(time, "When the phone made it, by the corrected clock, Unix seconds."),
        record.RECEIVED: says(time, "When the server first stored it, Unix seconds."),
        record.MODIFIED: says(time, "When it was last edited, by the corrected clock."),
        record.DELETED: says(time, "Null in every row: deletions come as ids in `deleted`."),
        "updated_at": says(time, "When the server last wrote it, Unix seconds."),
    }
    doc = (
        f"{collection.doc} As phones receive it: every column. Of a record that stood in the request "
        "only the id and the columns that the phone does not hold: lay them over the row."
    )
    return {**fixed(**columns), "required": ["id"], "description": doc}


def values(collection: Collection) -> Schema:
    """A record's client-owned columns, as one side of a conflict."""
    columns = {
        item.name: or_null(value_of(item, sent=False))
        for item in collection.fields
        if item.owner is Owner.CLIENT
    }
    return {**fixed(**columns), "description": "The columns that phones write."}


def conflict(collection: Collection) -> Schema:
    """A conflict in a table."""
    values = ref(name_of(collection, "Values"))
    deletion = fixed(deleted_at={"type": "boolean", "const": True})
    words = (
        "`older`, `equal`: what is stored is as new or newer, so it stays. `merged`: the stored value "
        "is the higher one, and stays. `deleted`: the record was deleted (it is in `rejected` too). "
        "`unseen_overwrite`: what was sent was stored over a change that this phone had not seen."
    )
    return {
        **fixed(
            table={"type": "string", "const": collection.name},
            id=dict(ID),
            winner={"type": "string", "enum": ["server", "client"]},
            reason={
                "type": "string",
                "enum": ["older", "equal", "merged", "deleted", "unseen_overwrite"],
                "description": words,
            },
            columns={
                "type": "array",
                "items": TEXT,
                "description": "What it is about; the other columns stand. `deleted_at`: the whole record.",
            },
            yours={
                "anyOf": [deletion, values],
                "description": "What was sent. A deletion shows as `deleted_at: true`.",
            },
            theirs=says(values, "What the server had."),
        ),
        "description": f"A conflict in `{collection.name}`. The loser's values are kept.",
    }


def ignored() -> Schema:
    """A part of the request that was left out."""
    return {
        **fixed(
            table=or_null(TEXT),
            field=says(TEXT, "The column, header or part; empty: the whole table."),
            code=TEXT,
            message={"type": "string", "description": "For developers; may change."},
        ),
        "description": "A part of the request that was left out, since it makes no sense or is not "
        "known here. Nothing else suffers from it.",
    }


def rejection(never: frozenset[str]) -> Schema:
    """A refused record, in the dialect that does not have the codes `never`."""
    codes = [code for code in RECORD_CODES if code not in never]
    return {
        **fixed(
            table={"type": "string", "maxLength": LONGEST_ECHOED},
            id={
                "type": "string",
                "maxLength": LONGEST_ECHOED,
                "description": "As sent, cut to 128 characters; empty if it was no text.",
            },
            field={"type": ["string", "null"], "description": "Which field, if it is one's fault."},
            code={
                "type": "string",
                "enum": codes,
                "description": bullets((code, RECORD_CODES[code]) for code in codes),
            },
            message={"type": "string", "description": "For developers; may change."},
        ),
        "description": "A record that was not stored. A copy is kept on the server for support.",
    }
