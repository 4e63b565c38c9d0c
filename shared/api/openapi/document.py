"""The API's description, OpenAPI 3.1, made of the declarations; and the same as a page for people.

    python -m infra.openapi > infra/openapi.json

`document` joins what the modules of `_PARTS` describe and what routes say of themselves.
Schemas of records come from the product's collections, errors from `shared.errors` and
`shared.api.codes`. A test holds the document against the routes of every function and against real
answers.

How to read the schemas:

- A record to send (`…Change`) satisfies its schema if its shape will be accepted. A record that
  does not is no fault of the request: it comes back in `rejected`, with one of `RECORD_CODES`.
- A record to receive (`…Row`) carries exactly the declared columns. Later servers may add columns,
  so objects are not closed by `additionalProperties: false`; tests close them. (The analysis is: it
  carries its own version.)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from shared import errors
from shared.api.codes import SELDOM, sentences_of
from shared.api.openapi import batch, typed, watermelon
from shared.api.openapi.page import page
from shared.api.openapi.parts import (
    EVERYWHERE,
    TEXT,
    Operation,
    Schema,
    fixed,
    header,
    headers,
    ref,
    refusals,
    says,
)
from shared.api.problems import EXPLAINED, PROBLEM
from shared.api.routes import Route
from shared.errors import Fault
from shared.records import record
from shared.records.collection import Catalog
from shared.settings import Settings

__all__ = ["Described", "document", "page", "text"]

#: Version of the wire, not of a release: `/version` names that.
API_VERSION = "1.0"

#: Errors that say more than the others do, and the schema of their answers.
_SHAPES: dict[type[Fault], str] = {errors.StalePush: "StalePush"}


#: Modules of operations that read their bodies themselves; see `shared.api.openapi.parts`.
_PARTS = (batch, watermelon)

#: What is said of routes that do not say it themselves, by method and path.
_BY_HAND = {(item.method, item.path): item for part in _PARTS for item in part.OPERATIONS}


@dataclass(frozen=True)
class Described:
    """What a deployment serves: a product's tables, and the routes of its functions."""

    title: str  #: the product's
    catalog: Catalog
    routes: Mapping[str, Sequence[Route]]  #: by function, which is the tag
    schemas: Mapping[str, Schema]  #: named by tables or routes, and made of neither
    examples: Mapping[str, Mapping[str, Schema]]  #: by operation: `request` and `answer`


def document(described: Described) -> Schema:
    """The OpenAPI 3.1 document of a deployment."""
    catalog, examples = described.catalog, described.examples
    paths: dict[str, Schema] = {}
    for tag, routes in described.routes.items():
        for route in routes:
            if route.gives is None:
                item = _BY_HAND[route.method, route.path]
                said = _operation(item, examples.get(item.id, {}))
                said["parameters"] = [*typed.arguments(route), *said["parameters"]]
            else:
                said = typed.operation(route, tag, examples.get(route.id, {}))
            paths.setdefault(route.path, {})[route.method.lower()] = said
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{described.title} Cloud API",
            "version": API_VERSION,
            "summary": "One request keeps an offline phone and the server in step.",
            "description": _introduction(catalog),
        },
        "servers": [{"url": "/", "description": "The host that serves this document."}],
        "security": [{"bearer": []}],
        "tags": [
            {"name": "sync", "description": "What phones call."},
            {"name": "files", "description": "Photos, sent over a bad network and looked at."},
            {"name": "support", "description": "What is for those who look after others."},
            {
                "name": "review",
                "description": "What is looked at and decided on a screen. Times are milliseconds.",
            },
            {"name": "accounts", "description": "Who somebody is, and who is in a scope."},
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
            "parameters": {
                **{name: spec for part in _PARTS for name, spec in part.PARAMETERS.items()},
                **_COMMON,
            },
            "headers": _headers(),
            "schemas": {
                "Error": says(fixed(error=ref("ErrorDetail")), "The shape of every error."),
                "ErrorDetail": _error_detail(),
                "Problem": _problem(),
                "Role": {
                    "enum": list(catalog.roles),
                    "description": "What somebody may do in a scope.",
                },
                **{name: spec for part in _PARTS for name, spec in part.schemas(catalog).items()},
                **{name: _untitled(spec) for name, spec in described.schemas.items()},
                **typed.schemas(chain.from_iterable(described.routes.values())),
            },
        },
    }


def _untitled(schema: Schema) -> Schema:
    """Generators would call it by its title, not by its name here."""
    return {key: value for key, value in schema.items() if key != "title"}


def _introduction(catalog: Catalog) -> str:
    limits = Settings()
    return f"""Phones work without a network for days and then send all that changed in one request, \
`POST /api/sync`; the answer carries all that changed for them. A record belongs to a \
{catalog.scope_word}, and everybody in it shares it.

**A sync, step by step**

1. Send every record that is new, changed or deleted on the phone, with the cursor \
(`last_sync_timestamp`) that the last complete sync gave. Keep the records and the request until \
an answer has come.
2. No answer, or 503: send the very same request again, after `Retry-After` or with growing pauses. \
That is always safe.
3. Mark the ids in `accepted` as synced, except records that the user changed again meanwhile.
4. Lay the rows of `server_updates` over those of the phone's database and drop the ids in `deleted`, \
in one transaction. A record that the user changed meanwhile keeps the phone's values: they go with the \
next sync.
5. Show what is in `rejected` and `conflicts`. A rejected record stays on the phone; correct it and \
send it again.
6. While `has_more` is true, ask again with `page` set to `next_page`, with the same `device_id` \
and without `changes`. Keep `new_sync_timestamp` only when the last page is applied.

**WatermelonDB**

Apps on WatermelonDB use `GET` and `POST /api/v1/sync` instead, with the stock `synchronize()`. Both \
ways work on the same records.

**Photos**

Records never wait for photos. A phone names the photos that it has (`files` of a sync, or `POST \
/api/v1/files`), and sends each in pieces that survive a broken connection. It keeps a photo until the \
server calls it `ready`.

**Beside syncing**

A phone asks for a digest to know whether it holds what the server holds. Some roles see the phones \
of their {catalog.scope_word}s and bring deleted records back. What could not be stored and somebody \
should look at waits in an inbox. Times of these operations are milliseconds.

**Conventions**

- Bodies are JSON in UTF-8, up to {limits.max_body_bytes >> 20} MiB as sent and \
{limits.max_inflated_bytes >> 20} MiB inflated, with up to a million values; forms are smaller. Send them \
with `Content-Encoding: gzip` if that \
helps; answers are compressed for clients that accept gzip.
- Times are Unix seconds, fractions allowed. A time in milliseconds is refused by name. (Under \
`/api/v1` it is the other way round.)
- Ids are made by the phone: 1 to 128 of `A-Z a-z 0-9 _ -`.
- Ignore columns, tables and codes that you do not know: a newer server may send more.
- A part of a query that is not described here is refused with 400.
- Every error has one shape, `{{"error": {{"code", "message", …}}}}`. Decide by `code`, which is \
stable; `message` is for developers. Who sends `Accept: application/problem+json` gets problem details \
(RFC 9457) instead.
- What does not come in time is refused with 408 (`request_timeout`), too long a path with 414 \
(`uri_too_long`), too long headers with 431 (`headers_too_large`).
- Every answer carries `X-Request-Id`. Log it, and name it when you report a problem."""


def _operation(operation: Operation, examples: Mapping[str, Schema]) -> Schema:
    said: Schema = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.doc,
    }
    said["parameters"] = [
        {"$ref": f"#/components/parameters/{name}"} for name in operation.parameters
    ]
    if operation.body:
        sent = typed.content("application/json", ref(operation.body), examples.get("request"))
        said["requestBody"] = {"required": True, **sent}
    shapes = {fault.status: ref(_SHAPES[fault]) for fault in operation.faults if fault in _SHAPES}
    said["responses"] = {
        "200": {
            "description": operation.answers,
            "headers": headers("X-Request-Id", *operation.answer_headers),
            **typed.content("application/json", ref(operation.answer), examples.get("answer")),
        },
        **refusals(_codes(operation), shapes),
    }
    return said


def _codes(operation: Operation) -> set[str]:
    """Every code that an operation answers."""
    faults = (*operation.faults, *EVERYWHERE)
    if errors.Unauthenticated in faults:  # whoever judges tokens may lack the keys for it
        faults = (*faults, errors.KeysUnavailable)
    never = {*operation.never, *SELDOM}
    return {code for fault in faults for code in sentences_of(fault)} - never


def _error_detail() -> Schema:
    parts = {
        "code": says(TEXT, "Stable. Judge a code that you do not know by the status."),
        "message": says(TEXT, "What to do next, for developers. May change; nothing of records."),
        "field": says(TEXT, "Which part of the request, if it is one's fault."),
        "retry_after_s": {"type": "number", "description": "When to try again, seconds."},
        "request_id": says(TEXT, "The same as `X-Request-Id`."),
    }
    return {
        "type": "object",
        "properties": parts,
        "required": ["code", "message", "request_id"],
        "description": "What went wrong.",
    }


def _problem() -> Schema:
    parts = {
        "type": {
            "type": "string",
            "format": "uri-reference",
            "description": f"`{EXPLAINED}` and the code: where it is explained. One for each code, stable.",
        },
        "title": says(TEXT, "The code in words."),
        "status": says({"type": "integer"}, "The same as the answer's."),
        "detail": says(TEXT, "What to do next, for developers. May change; nothing of records."),
        **_error_detail()["properties"],
    }
    del parts["message"]
    return {
        "type": "object",
        "properties": parts,
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "additionalProperties": True,
        "description": f"Every error as RFC 9457 has it, for requests whose `Accept` prefers `{PROBLEM}`. "
        "What other errors have beside `error` is here, too.",
    }


#: What operations of several modules take.
_COMMON: dict[str, Schema] = {
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
    "IfMatch": header("If-Match", dict(TEXT), "`ETag` of what was looked at."),
    "IfNoneMatch": header("If-None-Match", dict(TEXT), "`ETag` of the answer that is shown."),
    "IdempotencyKey": header(
        "Idempotency-Key",
        {"type": "string", "pattern": f"^{record.ID.pattern}$"},
        "Made by the screen when the button is pressed; the same in every repetition.",
    ),
    "ContentRange": header(
        "Content-Range",
        {"type": "string", "pattern": r"^bytes (\d+-\d+|\*)/\d+$"},
        "Which bytes of how many; absent: the whole file.",
    ),
}


def _headers() -> Schema:
    def sent(schema: Schema, text: str, *, always: bool = True) -> Schema:
        return {"description": text, "required": always, "schema": schema}

    return {
        "X-Request-Id": sent(TEXT, "Names this answer in the server's logs."),
        "Retry-After": sent({"type": "integer", "minimum": 1}, "When to try again, seconds."),
        "RateLimit-Policy": sent(
            TEXT, "The limits that are near, as in the IETF's draft.", always=False
        ),
        "RateLimit": sent(
            TEXT, "What is left of them: `r`, and seconds until all is: `t`.", always=False
        ),
        "WWW-Authenticate": sent({**TEXT, "const": "Bearer"}, "A bearer token is needed."),
        "Range": sent(
            {**TEXT, "pattern": r"^bytes=0-\d+$"}, "What has come; absent: nothing.", always=False
        ),
        "ETag": sent(
            TEXT,
            "Names what the answer shows; not there if `changed` is false, or with links that expire.",
            always=False,
        ),
        "Link": sent(
            {**TEXT, "pattern": '^<[^>]+>; rel="next"$'},
            "Where the next page is; not there on the last one.",
            always=False,
        ),
        "Cache-Control": sent({**TEXT, "const": "no-store"}, "Answers are never cached."),
        "Content-Encoding": sent(
            {**TEXT, "const": "gzip"},
            "There if the request accepts gzip and the answer is long enough.",
            always=False,
        ),
    }


def text(described: Described, *, compact: bool = False) -> str:
    """The document as `infra/openapi.json` holds it; `compact`: on one line."""
    found = document(described)
    if compact:
        return json.dumps(found, separators=(",", ":"), ensure_ascii=False) + "\n"
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"
