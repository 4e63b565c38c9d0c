"""What every part of the API's description is made of: operations, small schemas, parameters.

A module of operations (`batch`, for example) exports `OPERATIONS`, `PARAMETERS` by the names that
operations list, and `schemas(product)` by the names that `ref` asks for. `document` joins them;
names may be used across modules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shared import errors
from shared.errors import Fault
from shared.records import record

Schema = dict[str, Any]

#: The range of what counts as milliseconds, the upper end excluded; below, it is seconds.
LEAST_MS, MOST_MS = 100_000_000_000, 100_000_000_000_000

#: Longest table name or id of a refused record that an answer repeats, characters.
LONGEST_ECHOED = 128

#: Faults of a body as JSON, and as bytes.
UNFIT = (errors.InvalidJson, errors.InvalidRequest, errors.InvalidCursor)
BODY = (errors.RequestTooLarge, errors.UnsupportedEncoding)


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
    parameters: tuple[str, ...] = ()  #: headers, query and path, from `components.parameters`
    answer_headers: tuple[str, ...] = ()
    secured: bool = True
    content_type: str = "application/json"
    body_needed: bool = True
    body_type: str = "application/json"
    resumed: bool = False  #: answers 308 while more bytes are wanted
    unchanged: bool = False  #: answers 304 to `If-None-Match`
    never: tuple[str, ...] = ()  #: codes of its faults that it does not answer


# --- small schemas


TEXT: Schema = {"type": "string"}
SECONDS: Schema = {
    "type": "number",
    "minimum": 0,
    "maximum": record.MOST_SECONDS,
    "description": "Unix seconds; fractions allowed.",
}
COUNT: Schema = {"type": "integer", "minimum": 0}
ID: Schema = {"type": "string", "pattern": f"^(?!__.*__$){record.ID.pattern}$"}
MS: Schema = {
    "type": "number",
    "minimum": LEAST_MS,
    "exclusiveMaximum": MOST_MS,
    "description": "Unix milliseconds.",
}
#: What phones send for "no time".
NOTHING: Schema = {"type": "string", "enum": ["null", "undefined", "0", ""]}


def fixed(**words: Schema) -> Schema:
    """An object of which every property is always there."""
    return {"type": "object", "properties": words, "required": list(words)}


def says(schema: Schema, text: str) -> Schema:
    """The schema with a description."""
    return {**schema, "description": text}


def or_null(schema: Schema) -> Schema:
    """The schema, or null."""
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    kinds = schema["type"]
    found: Schema = {**schema, "type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}
    if "enum" in schema:
        found["enum"] = [*schema["enum"], None]
    return found


def list_of(items: Schema, text: str) -> Schema:
    """A list with a description."""
    return {"type": "array", "items": items, "description": text}


def ref(name: str) -> Schema:
    """The schema of that name, in whichever module it is."""
    return {"$ref": f"#/components/schemas/{name}"}


def bullets(pairs: Iterable[tuple[str, str]]) -> str:
    """Codes with their sentences, as a list."""
    return "\n".join(f"- `{code}`: {sentence}" for code, sentence in pairs)


# --- parameters


def header(name: str, schema: Schema, text: str) -> Schema:
    """A header of a request."""
    return {"name": name, "in": "header", "description": text, "schema": schema}


def query(name: str, schema: Schema, text: str) -> Schema:
    """A part of a query string."""
    return {"name": name, "in": "query", "description": text, "schema": schema}


def segment(name: str, schema: Schema, text: str) -> Schema:
    """A segment of a path."""
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}
