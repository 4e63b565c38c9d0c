"""The API's description, OpenAPI 3.1, made of the declarations; and the same as a page for people.

    python -m shared.api.openapi.document > infra/openapi.json

`document` joins what the modules of `_PARTS` describe, in their order, and the operations of status.
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
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared import errors
from shared.api.codes import ERROR_CODES
from shared.api.openapi import accounts, batch, files, review, support, watermelon
from shared.api.openapi.accounts import ACCOUNTS_ONLY
from shared.api.openapi.files import FILES_ONLY
from shared.api.openapi.page import page
from shared.api.openapi.parts import TEXT, Operation, Schema, bullets, fixed, header, ref, says
from shared.errors import Fault
from shared.products.dermadetect.examples import EXAMPLES
from shared.products.dermadetect.tables import CATALOG
from shared.records.collection import Catalog
from shared.settings import Settings

__all__ = ["document", "page", "text"]

#: Version of the wire, not of a release: `/version` names that.
API_VERSION = "1.0"

_EVERYWHERE = (errors.NotFound, errors.MethodNotAllowed, errors.TooManyTries, Fault)

_STATUS_WORDS = {
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

#: Errors that say more than the others do, and the schema of their answers.
_SHAPES: dict[type[Fault], str] = {
    errors.StalePush: "StalePush",
    errors.CaseChanged: "ReviewConflict",
    errors.Claimed: "ReviewConflict",
    errors.UploadIncomplete: "UploadIncomplete",
}


def _open(method: str, path: str, name: str, summary: str, doc: str, **more: Any) -> Operation:
    return Operation(
        method, path, name, "status", summary, doc, secured=False, parameters=("RequestId",), **more
    )


_STATUS: tuple[Operation, ...] = (
    _open(
        "GET",
        "/health",
        "getHealth",
        "Is it up",
        "Answers as long as the process lives; asks nothing else.",
        answers="It is up.",
        answer=fixed(status={"type": "string", "const": "ok"}),
    ),
    _open(
        "GET",
        "/ready",
        "getReadiness",
        "Can it serve",
        "Asks the record store too.",
        answers="It can serve.",
        answer=fixed(status={"type": "string", "const": "ready"}),
        faults=(errors.StoreUnavailable,),
    ),
    _open(
        "GET",
        "/version",
        "getVersion",
        "Which release of which product",
        "For bug reports.",
        answers="The release and the product.",
        answer=fixed(version=TEXT, product=TEXT),
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
        answer=TEXT,
        content_type="text/html",
    ),
)

#: Modules of operations, in the order of the document; see `shared.api.openapi.parts`.
_PARTS = (
    batch,
    watermelon,
    files,
    support,
    review,
    accounts,
)


def document(catalog: Catalog) -> Schema:
    """The OpenAPI 3.1 document of a product's deployment."""
    paths: dict[str, Schema] = {}
    for operation in (*(item for part in _PARTS for item in part.OPERATIONS), *_STATUS):
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
            operation, EXAMPLES.get(catalog.name, {})
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{_TITLES.get(catalog.name, catalog.name)} Cloud API",
            "version": API_VERSION,
            "summary": "One request keeps an offline phone and the server in step.",
            "description": _introduction(catalog),
        },
        "servers": [{"url": "/", "description": "The host that serves this document."}],
        "security": [{"bearer": []}],
        "tags": [
            {"name": "sync", "description": "What phones call."},
            {"name": "files", "description": "Photos, sent over a bad network and looked at."},
            {"name": "support", "description": "What supervisors and doctors call."},
            {
                "name": "review",
                "description": "What doctors' screens call. Times are milliseconds.",
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
            "headers": _headers() | review.HEADERS,
            "schemas": {
                "Error": _error(),
                **{name: spec for part in _PARTS for name, spec in part.schemas(catalog).items()},
            },
        },
    }


_TITLES = {"dermadetect": "DermaDetect"}


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

A phone asks for a digest to know whether it holds what the server holds. Supervisors see the phones \
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
- Every error has one shape, `{{"error": {{"code", "message", …}}}}`. Decide by `code`, which is \
stable; `message` is for developers.
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
    if not operation.secured:
        said["security"] = []
    said["parameters"] = [
        {"$ref": f"#/components/parameters/{name}"} for name in operation.parameters
    ]
    example = examples.get(operation.id, {})
    if operation.body:
        content: Schema = {"schema": ref(operation.body)}
        if "request" in example:
            content["examples"] = example["request"]
        said["requestBody"] = {
            "required": operation.body_needed,
            "content": {operation.body_type: content},
        }
    answer = operation.answer
    content = {"schema": answer if isinstance(answer, dict) else ref(answer)}
    if "answer" in example:
        content["examples"] = example["answer"]
    said["responses"] = {
        "200": {
            "description": operation.answers,
            "headers": _answer_headers("X-Request-Id", *operation.answer_headers),
            "content": {operation.content_type: content},
        },
        **_errors((*_with_keys(operation.faults), *_EVERYWHERE), _never(operation)),
    }
    if operation.resumed:
        headers = _answer_headers("X-Request-Id") | {
            "Range": {"$ref": "#/components/headers/Range"}
        }
        said["responses"]["308"] = {
            "description": "More bytes are wanted, from `upload.offset` on.",
            "headers": headers,
            "content": {operation.content_type: content},
        }
    if operation.unchanged:
        said["responses"]["304"] = {
            "description": "What the screen shows is current.",
            "headers": _answer_headers("X-Request-Id", "ETag"),
        }
    return said


def _never(operation: Operation) -> tuple[str, ...]:
    """Codes of its faults that it does not answer: those of accounts are answered by accounts alone."""
    elsewhere = () if operation in accounts.OPERATIONS else ACCOUNTS_ONLY
    if operation not in files.OPERATIONS:
        elsewhere = (*elsewhere, *FILES_ONLY)
    return (*operation.never, *elsewhere)


def _with_keys(faults: Sequence[type[Fault]]) -> tuple[type[Fault], ...]:
    """Whoever judges tokens may lack the keys for it."""
    judges = errors.Unauthenticated in faults
    return (*faults, errors.KeysUnavailable) if judges else tuple(faults)


def _answer_headers(*names: str) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _errors(faults: Iterable[type[Fault]], never: Sequence[str]) -> dict[str, Schema]:
    """Error answers by status, each with the codes that it may carry; without those in `never`."""
    codes: dict[int, dict[str, str]] = {}
    shapes = {fault.status: _SHAPES[fault] for fault in faults if fault in _SHAPES}
    for fault in faults:
        said = {code: text for code, text in ERROR_CODES[fault].items() if code not in never}
        codes.setdefault(fault.status, {}).update(said)
    return {
        str(status): _error_answer(status, codes[status], shapes.get(status, "Error"))
        for status in sorted(codes)
    }


def _error_answer(status: int, codes: Mapping[str, str], shape: str) -> Schema:
    headers = ["X-Request-Id"]
    headers += {
        401: ["WWW-Authenticate"],
        429: ["Retry-After", "RateLimit-Policy", "RateLimit"],
        503: ["Retry-After"],
    }.get(status, [])
    narrowed = {"properties": {"error": {"properties": {"code": {"enum": list(codes)}}}}}
    return {
        "description": f"{_STATUS_WORDS[status]}\n\n{bullets(codes.items())}",
        "headers": _answer_headers(*headers),
        "content": {"application/json": {"schema": {"allOf": [ref(shape), narrowed]}}},
    }


def _error() -> Schema:
    parts = {
        "code": says(TEXT, "Stable. Judge a code that you do not know by the status."),
        "message": says(TEXT, "What to do next, for developers. May change; no patient data."),
        "field": says(TEXT, "Which part of the request, if it is one's fault."),
        "retry_after_s": {"type": "number", "description": "When to try again, seconds."},
        "request_id": says(TEXT, "The same as `X-Request-Id`."),
    }
    error = {
        "type": "object",
        "properties": parts,
        "required": ["code", "message", "request_id"],
    }
    return {**fixed(error=error), "description": "The shape of every error."}


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
        "Cache-Control": sent({**TEXT, "const": "no-store"}, "Patients' data is never cached."),
        "Content-Encoding": sent(
            {**TEXT, "const": "gzip"},
            "There if the request accepts gzip and the answer is long enough.",
            always=False,
        ),
    }


def text(catalog: Catalog) -> str:
    """The document as `infra/openapi.json` holds it."""
    return json.dumps(document(catalog), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text(CATALOG))
