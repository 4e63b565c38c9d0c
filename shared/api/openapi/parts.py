"""What every part of the API's description is made of: operations, small schemas, parameters.

A module of operations (`batch`, for example) exports `OPERATIONS`, `PARAMETERS` by the names that
operations list, and `schemas(product)` by the names that `ref` asks for. `document` joins them;
names may be used across modules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from shared import errors
from shared.api.codes import every_code
from shared.api.fields import bullets
from shared.api.problems import JSON, PROBLEM
from shared.errors import Fault
from shared.records import record

Schema = dict[str, Any]

#: Longest table name or id of a refused record that an answer repeats, characters.
LONGEST_ECHOED = 128

#: Faults of a body as JSON, and as bytes.
UNFIT = (errors.InvalidJson, errors.InvalidRequest, errors.InvalidCursor)
BODY = (errors.RequestTooLarge, errors.UnsupportedEncoding)

#: Faults of every operation.
EVERYWHERE = (errors.NotFound, errors.MethodNotAllowed, errors.TooManyTries, Fault)

#: What an error's status means, in words.
STATUS_WORDS = {
    400: "The request cannot be used as it stands.",
    401: "Nobody is known by this token.",
    403: "Not allowed.",
    404: "Nothing here.",
    405: "Another method is needed.",
    409: "Not as things stand.",
    410: "Too late.",
    412: "It is another one by now.",
    413: "Too large.",
    415: "Unknown encoding.",
    426: "The app is too old.",
    428: "Say what this is about.",
    429: "Too many wrong tries, or too many requests.",
    500: "A fault on our side.",
    503: "Not now. Nothing is lost: send the very same request again.",
}

#: Headers of a refusal beside its id, by status.
_REFUSAL_HEADERS = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}

#: Headers of every answer of whoever has used half of a rate.
_OF_RATES = ("RateLimit-Policy", "RateLimit")


@dataclass(frozen=True)
class Operation:
    """One method of one path, with a token. `answer` and `body` name schemas."""

    method: str
    path: str
    id: str
    tag: str
    summary: str
    doc: str
    answers: str  #: what the 200 is, in words
    answer: str
    faults: tuple[type[Fault], ...] = ()
    body: str = ""
    parameters: tuple[str, ...] = ()  #: headers, from `components.parameters`
    answer_headers: tuple[str, ...] = ()
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
    "minimum": record.LEAST_MS,
    "exclusiveMaximum": record.MOST_MS,
    "description": "Unix milliseconds.",
}


def fixed(**words: Schema) -> Schema:
    """An object of which every property is always there."""
    return {"type": "object", "properties": words, "required": list(words)}


def needed(names: Iterable[str]) -> Schema:
    """What must be there, whatever it is."""
    wanted = list(names)
    return {"required": wanted, "properties": {name: {} for name in wanted}}


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


def headers(*names: str) -> dict[str, Schema]:
    """Headers of an answer, as `components.headers` has them, with those that any answer may have."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*names, *_OF_RATES)}


def refusals(codes: Set[str], shapes: Mapping[int, Schema]) -> dict[str, Schema]:
    """Error answers by status, each with those of the codes that it may carry.

    `shapes` are the schemas of those that say more than the others, by status.
    """
    said: dict[int, dict[str, str]] = {}
    for fault, sentences in every_code().items():
        for code, sentence in sentences.items():
            if code in codes:
                said.setdefault(fault.status, {}).setdefault(code, sentence)
    return {
        str(status): _refusal(status, said[status], shapes.get(status, ref("Error")))
        for status in sorted(said)
    }


def _refusal(status: int, codes: Mapping[str, str], shape: Schema) -> Schema:
    narrowed = {"properties": {"error": {"properties": {"code": {"enum": list(codes)}}}}}
    return {
        "description": f"{STATUS_WORDS[status]}\n\n{bullets(codes.items())}",
        "headers": headers("X-Request-Id", *_REFUSAL_HEADERS.get(status, ())),
        "content": {
            JSON: {"schema": {"allOf": [shape, narrowed]}},
            PROBLEM: {"schema": ref("Problem")},
        },
    }


# --- parameters


def header(name: str, schema: Schema, text: str) -> Schema:
    """A header of a request."""
    return {"name": name, "in": "header", "description": text, "schema": schema}
