"""Photos: tickets, pieces of uploads, what became of them, short-lived links to look at them."""

from __future__ import annotations

import hashlib
import mimetypes
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Annotated, Any

from flask import Request, Response
from msgspec import UNSET, Struct, UnsetType
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from shared import wiring
from shared.access import audit
from shared.api.bodies import PAGE
from shared.api.fields import (
    NULL,
    Count,
    CountOrNull,
    Error,
    Id,
    Moment,
    Seconds,
    TextOrNull,
    bullets,
    either,
    must,
    says,
    schema,
)
from shared.api.web import Call, Route, answer, serve, tagged
from shared.errors import (
    Contended,
    FileMissing,
    FilesUnavailable,
    Forbidden,
    InvalidRequest,
    LinkExpired,
    NotFound,
    RequestTooLarge,
    StoreUnavailable,
    UnsupportedEncoding,
    UploadExpired,
    UploadIncomplete,
)
from shared.files.codes import FILE_CODES
from shared.files.disposition import attachment
from shared.files.file import CHECK, PHOTO_TYPES
from shared.files.tickets import MOST_ASKED
from shared.files.uploads import ByteRange, Progress, parse_range
from shared.records.bell import Bell

SETTINGS = wiring.begin()

#: What is read at once of a file that is here, bytes.
_HASHED = 2**16

#: What is read of a body at once, bytes: what a broken connection may cost at most.
_BLOCK = 4096

#: Fields of a form with a file, bytes together, and how many parts it may have.
_FIELDS_BYTES, _PARTS = 2**16, 16

#: What the parser of forms may hold, bytes. It reads 64 KiB at once, and keeps what may begin the line
#: between two parts: with 64 KiB here it refuses most files that are larger.
_PARSED_BYTES = 2**18

#: A form with a file.
_FORM = {
    "type": "object",
    "required": ["file", "record_id"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "The file, with its type."},
        "record_id": {"type": "string", "description": "The record that it belongs to."},
        "table": {
            "type": "string",
            "description": "The record's table; absent: the only one whose records have files.",
        },
        "key": {
            "type": "string",
            "description": "Its name in the record; absent: the file's name.",
        },
    },
}

#: A photo of 50 megapixels takes up to 460 MB to check: one at a time in an instance. A usual one takes a
#: tenth of a second; who would wait longer than this, in seconds, is left to the function `images`.
#: And always in the same thread: what a thread has freed glibc keeps for that thread, so that 16 threads
#: would hold 16 photos although only one is being checked.
_ONE = threading.BoundedSemaphore(1)
_CHECKS = ThreadPoolExecutor(1, "check")
_LONGEST_WAIT_SECONDS = 2.0

_FileId = Annotated[str, schema(pattern="^[0-9a-f]{32}$")]
_Sha256 = Annotated[str, schema(pattern="^[0-9a-f]{64}$")]

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,200}")


class FileAsked(Struct):
    """A photo that the phone has. One that does not satisfy this is answered with an `error` of its own."""

    table: Annotated[str, says("The table of the record that it belongs to.")]
    record_id: Annotated[Id, says("The record; sent before, or in the same request.")]
    key: Annotated[
        str,
        says(
            "Its name on the phone, as in the record's `image_keys`.", minLength=1, maxLength=1024
        ),
    ]
    type: Annotated[
        str,
        says(
            f"{', '.join(PHOTO_TYPES)}. Capitals and parameters do not matter; `image/jpg` and "
            "`image/heif` are understood."
        ),
    ]
    bytes: Annotated[int, says("Its exact size.", minimum=1)]
    sha256: Annotated[_Sha256, says("Of exactly these bytes.")]
    name: Annotated[str | None, schema(**NULL, maxLength=255)] = None


class TicketsRequest(Struct):
    """Photos that the phone has."""

    files: Annotated[
        list[Any],
        must(f"a list of at most {MOST_ASKED} files", max_length=MOST_ASKED),
        schema(items=either(FileAsked, None)),
    ]
    direct: bool = False


class Ticket(Struct):
    """Only while `state` is `upload`."""

    url: Annotated[str, says("Where to send pieces, by PUT, with the bearer token.")]
    offset: Annotated[Count, says("The first byte that is missing.")]
    expires_at: Annotated[
        Seconds, says("When an upload that rests is removed, Unix seconds.", deprecated=True)
    ]
    expires_at_ms: Annotated[
        Moment, says("When an upload that rests is removed, Unix milliseconds.")
    ]
    direct_url: Annotated[
        TextOrNull, says("Only if it was asked for; a secret. Null: send it through this server.")
    ] = None


class Advice(Struct):
    """Advice while the patient is still there; it blocks nothing."""

    verdict: Annotated[str, schema(enum=["good", "retake"])]
    reasons: Annotated[list[str], says("The most serious first.")]


class StoredFile(Struct):
    """A photo of a record."""

    id: _FileId
    table: str
    record_id: Id
    key: str
    name: TextOrNull
    type: Annotated[
        TextOrNull, says("Null here and below: it was refused for what was said of it.")
    ]
    bytes: CountOrNull
    sha256: Annotated[_Sha256 | None, schema(**NULL)]
    state: Annotated[
        str,
        says(
            "Keep the photo on the phone until it is `ready`.",
            enum=["upload", "checking", "ready", "refused"],
        ),
    ]
    scope_id: Id
    code: Annotated[TextOrNull, says(f"Why it was refused.\n\n{bullets(FILE_CODES.items())}")] = (
        None
    )
    message: Annotated[
        str | UnsetType, says("Why it was refused, and what to do. Keep it on the phone.")
    ] = UNSET
    found: Annotated[
        str | UnsetType,
        says(
            "Only with `wrong_type`, where it is known: what the bytes are. Ask again with this type."
        ),
    ] = UNSET
    upload: Ticket | UnsetType = UNSET
    width: CountOrNull = None
    height: CountOrNull = None
    quality: Annotated[Advice | None, schema(**NULL)] = None
    incomplete: Annotated[
        bool | UnsetType,
        says(
            "Only while `state` is `ready`. True: the photo breaks off; what is there is shown, "
            "the rest is grey."
        ),
    ] = UNSET
    links: Annotated[
        dict[str, str] | UnsetType,
        says("By version: `original`, and the longest edge of smaller ones in px."),
    ] = UNSET
    links_expire_at: Annotated[Seconds | UnsetType, says("Unix seconds.", deprecated=True)] = UNSET
    links_expire_at_ms: Annotated[Moment | UnsetType, says("Until when.")] = UNSET


class RefusalOfFile(Struct):
    """Why a file cannot be taken."""

    code: Annotated[str, schema(enum=list(FILE_CODES))]
    message: str
    field: str | UnsetType = UNSET


class FileRefusedAnswer(Struct):
    """A file that cannot be taken, with what names it.

    `id`: its record says so to whoever reviews it, and `GET /api/v1/files/{id}` to the phone.
    """

    error: RefusalOfFile
    id: _FileId | UnsetType = UNSET
    table: str | UnsetType = UNSET
    record_id: str | UnsetType = UNSET
    key: str | UnsetType = UNSET


class TicketsAnswer(Struct):
    """What the phone is to do with each photo: an answer for each, in order."""

    files: Annotated[list[Any], schema(items=either(StoredFile, FileRefusedAnswer))]


class UploadedFile(Struct):
    """A file that came in one request."""

    id: _FileId
    table: str
    record_id: Id
    key: str
    state: Annotated[
        str, says("As of a ticket's file.", enum=["upload", "checking", "ready", "refused"])
    ]
    file_url: Annotated[str, says("Where it is: `GET` says what became of it and gives links.")]
    code: Annotated[TextOrNull, says("Why it was refused.")] = None
    message: Annotated[TextOrNull, says("Why it was refused, and what to do.")] = None


class UploadIncompleteAnswer(Struct):
    """What is still missing."""

    error: Error
    offset: Count


class OneFile(Struct):
    """Which file."""

    id: Annotated[_FileId, says("The file, as its ticket names it.")]


class OneLink(Struct):
    """Which link."""

    token: Annotated[str, says("As the link has it.")]


def ask(call: Call, body: TicketsRequest) -> Response:
    """Say which photos the phone has, and hear how to send them.

    One answer for each file, in order. A photo that the team has already is `ready` at once. Asking
    again is safe, and says where an upload stands. The same list may be sent as `files` in `POST
    /api/sync`, together with the records.

    With `direct`, `upload.direct_url` is a session of the cloud's file store: send the file there
    by the same protocol, in pieces of 256 KiB or a multiple, then call `complete`. That spares this
    server, but survives only a network that carries such a piece whole.
    """
    asks = wiring.tickets().parse(body.files)
    asked = wiring.tickets().ask(call.caller, asks, wiring.clock_ms())
    wiring.ring(asked.bells)
    if body.direct:
        origin = call.request.headers.get("Origin", "")
        origin = origin if _ORIGIN.fullmatch(origin) else ""
        for each in asked.answers:
            if each.get("state") == "upload":
                session = wiring.uploads().session(call.caller, each["id"], origin)
                each["upload"]["direct_url"] = session
    call.notes |= {
        "asked": len(asked.answers),
        "ready": sum(each.get("state") == "ready" for each in asked.answers),
        "rejected": sum("error" in each for each in asked.answers),
    }
    return answer(TicketsAnswer(asked.answers), call=call)


def upload(call: Call) -> Response:
    """Send a whole file in one request.

    A form (`multipart/form-data`), for good lines and browsers: what the other way does in two steps. Its
    record is sent before. Safe to repeat; on a bad line ask for a ticket and send pieces.
    """
    part, fields = _form(call)
    key = fields.get("key") or part.filename or "file"
    hashed, size = hashlib.sha256(), 0
    while block := part.stream.read(_HASHED):
        hashed.update(block)
        size += len(block)
    tables = sorted(wiring.attachments())
    kind = part.mimetype
    if kind in ("", "application/octet-stream"):
        kind = mimetypes.guess_type(part.filename or "")[0] or ""
    wanted = {
        "table": fields.get("table") or (tables[0] if len(tables) == 1 else None),
        "record_id": fields.get("record_id"),
        "key": key,
        "name": part.filename,
        "type": kind,
        "bytes": size,
        "sha256": hashed.hexdigest(),
    }
    asked = wiring.tickets().ask(call.caller, wiring.tickets().parse([wanted]), wiring.clock_ms())
    wiring.ring(asked.bells)
    [said] = asked.answers
    if "error" in said:
        error = said["error"]
        if error["code"] == "unknown_record":
            raise NotFound(error["message"], field="record_id")
        if error["code"] == "not_allowed":
            raise Forbidden(error["message"])
        raise InvalidRequest(error["message"], code="file_not_taken", field=error.get("field"))
    call.notes["file"] = said["id"]
    if said["state"] == "upload":
        part.stream.seek(0)
        blocks = iter(lambda: part.stream.read(_HASHED), b"")
        span = ByteRange(0, size - 1, size)
        progress = wiring.uploads().receive(
            call.caller, said["id"], span, blocks, wiring.clock_ms()
        )
        if progress.job_id is not None:
            progress = _check(call, progress, progress.job_id)
        said = progress.value()
    told = {name: said.get(name) for name in UploadedFile.__struct_fields__}
    return answer({**told, "file_url": f"/api/v1/files/{said['id']}"}, call=call)


def _form(call: Call) -> tuple[FileStorage, dict[str, str]]:
    """The file of a form, and its other fields. Raises `InvalidRequest`, `RequestTooLarge`."""
    request = call.request
    most = wiring.form_bytes()
    request.max_content_length = most + _FIELDS_BYTES
    request.max_form_memory_size, request.max_form_parts = _PARSED_BYTES, _PARTS
    fields: dict[str, str] = {}
    try:
        part, fields = request.files.get("file"), request.form.to_dict()
    except RequestEntityTooLarge:
        more = " Send a larger one in pieces." if wiring.file_bytes() > most else ""
        raise RequestTooLarge(f"A file may have {most} bytes.{more}") from None
    except HTTPException:
        part = None
    if sum(map(len, fields.values())) > _FIELDS_BYTES:
        raise RequestTooLarge(f"The fields of a form may have {_FIELDS_BYTES} bytes.")
    if part is None:
        raise InvalidRequest(
            "Send a form (multipart/form-data) with a part `file`, which has a file name.",
            field="file",
        )
    return part, fields


def receive(call: Call, asked: OneFile) -> Response:
    """Send a piece of a photo.

    The protocol of resumable uploads: each piece says in `Content-Range` which bytes it holds.
    Pieces may have any size; what arrived of a piece that broke off is kept, from 8 KiB on. 308
    says how far it is (`Range`, and `upload.offset`): go on there. A piece that is known already,
    or comes too early, does no harm. `bytes */TOTAL` without a body asks how far it is.
    """
    call.notes["file"] = asked.id
    request = call.request
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedEncoding("Send a file's bytes as they are.")
    span = parse_range(request.headers.get("Content-Range"), request.content_length)
    if span is None:
        raise InvalidRequest(
            "Say which bytes these are.", code="invalid_range", field="Content-Range"
        )
    if span.total > (most := wiring.file_bytes()):
        raise RequestTooLarge(f"A file may have {most} bytes.")
    progress = wiring.uploads().receive(
        call.caller, asked.id, span, _body(request), wiring.clock_ms()
    )
    call.notes |= {"offset": span.first, "received": progress.received}
    return _told(call, progress)


def complete(call: Call, asked: OneFile) -> Response:
    """Say that all bytes are there.

    Needed only for a file that went to `direct_url`. Safe to repeat. The answer is what the check
    says, or `checking` if it takes longer.
    """
    call.notes["file"] = asked.id
    progress = wiring.uploads().complete(call.caller, asked.id, wiring.clock_ms())
    return _told(call, progress)


def show(call: Call, asked: OneFile) -> Response:
    """What became of a photo, and links to look at it.

    `links` lead to the original and to smaller versions without the camera's data, for some minutes
    and for whoever has them: open them at once, keep them nowhere. To poll until there are some, send
    `If-None-Match`.
    """
    call.notes["file"] = asked.id
    progress = wiring.uploads().look(call.caller, asked.id)
    now_ms = wiring.clock_ms()
    links = wiring.uploads().links(progress, now_ms)
    value = {**progress.value(), **links}
    # Links are other ones with every answer, and soon expire: who has such an answer asks for a new one.
    if not links:
        return tagged(value, call, of=value)
    seen = {value["scope_id"]: {"files": [value["id"]]}}
    audit.reading(wiring.store(), call.caller, "read_file", seen, now_ms)
    return answer(value, call=call)


def follow(_: Call, asked: OneLink) -> Response:
    """What a link leads to.

    Only where the file store is a folder; elsewhere links lead to the cloud's file store. The link
    is the permission: no token is asked for.
    """
    found = wiring.open_link(asked.token)
    response = Response(found.pieces, content_type=found.file.type)
    response.headers["Content-Length"] = str(found.file.size)
    response.headers["Content-Disposition"] = attachment(found.file_name)
    return response


def _told(call: Call, progress: Progress) -> Response:
    """200 with the file when all bytes are here, else 308 with how far it is."""
    if progress.open:
        if progress.received:
            call.headers["Range"] = f"bytes=0-{progress.received - 1}"
        return answer(progress.value(), 308, call=call)
    if progress.job_id is not None:
        progress = _check(call, progress, progress.job_id)
    return answer(progress.value(), call=call)


def _check(call: Call, progress: Progress, job_id: str) -> Progress:
    """Small files are checked while the phone waits, one at a time; the others by a job."""
    if progress.blob.fields["bytes"] <= SETTINGS.check_inline_bytes and _ONE.acquire(
        timeout=_LONGEST_WAIT_SECONDS
    ):
        try:
            check = _CHECKS.submit(copy_context().run, wiring.runner().run, job_id)
            call.notes["check"] = check.result()
        except StoreUnavailable as fault:
            call.notes["check"] = fault.code
        finally:
            _ONE.release()
    else:
        wiring.ring((Bell(CHECK, job_id, progress.blob.key.id),))
        call.notes["check"] = "rung"
    return wiring.uploads().look(call.caller, progress.file.key.id)


def _body(request: Request) -> Iterator[bytes]:
    """The body as far as it comes: a connection that breaks ends it."""
    while True:
        try:
            block = request.stream.read(_BLOCK)
        except Exception:  # the HTTP server's own classes: a caller who hung up
            return
        if not block:
            return
        yield block


_STORES = (Contended, StoreUnavailable, FilesUnavailable)
_SHOWN = ("Cache-Control", "Content-Encoding")

ROUTES = (
    Route(
        "POST",
        "/api/v1/files",
        ask,
        PAGE,
        name="askForTickets",
        takes=TicketsRequest,
        gives=TicketsAnswer,
        faults=_STORES,
        names=(FileAsked, StoredFile, FileRefusedAnswer),
        answer_headers=_SHOWN,
    ),
    Route(
        "POST",
        "/api/v1/upload",
        upload,
        name="uploadFile",
        form=_FORM,
        gives=UploadedFile,
        faults=("file_not_taken", Forbidden, RequestTooLarge, UploadExpired, *_STORES),
        answer_headers=_SHOWN,
    ),
    Route(
        "GET",
        "/api/v1/files/{id}",
        show,
        name="getFile",
        asks=OneFile,
        gives=StoredFile,
        faults=(UploadExpired, StoreUnavailable, FilesUnavailable),
        headers=("IfNoneMatch",),
        answer_headers=(*_SHOWN, "ETag"),
        unchanged=True,
    ),
    Route(
        "PUT",
        "/api/v1/files/{id}/content",
        receive,
        name="putFile",
        asks=OneFile,
        takes=bytes,
        gives=StoredFile,
        faults=(
            *("invalid_range", "wrong_size"),
            Forbidden,
            RequestTooLarge,
            UnsupportedEncoding,
            UploadExpired,
            *_STORES,
        ),
        headers=("ContentRange",),
        answer_headers=_SHOWN,
        resumed=True,
    ),
    Route(
        "POST",
        "/api/v1/files/{id}/complete",
        complete,
        name="completeFile",
        asks=OneFile,
        gives=StoredFile,
        faults=(Forbidden, UploadExpired, UploadIncomplete, *_STORES),
        refusals={UploadIncomplete.status: UploadIncompleteAnswer},
        answer_headers=_SHOWN,
    ),
    Route(
        "GET",
        "/api/v1/files/links/{token}",
        follow,
        name="followLink",
        asks=OneLink,
        gives=bytes,
        media="application/octet-stream",
        faults=(FileMissing, LinkExpired, FilesUnavailable),
        secured=False,
        answer_headers=(),
    ),
)


def files(request: Request) -> Response:
    """Entry point of the function."""
    return serve(request, ROUTES, SETTINGS, wiring.caller)
