"""Photos in the API's description: `/api/v1/files`, and `files` of a sync."""

from __future__ import annotations

from shared import errors
from shared.api.codes import FILE_CODES
from shared.api.openapi.parts import (
    BODY,
    COUNT,
    ID,
    SECONDS,
    TEXT,
    Operation,
    Schema,
    bullets,
    fixed,
    header,
    list_of,
    or_null,
    ref,
    says,
    segment,
)
from shared.files.file import PHOTO_TYPES
from shared.files.tickets import MOST_ASKED
from shared.records.collection import Catalog
from shared.settings import Settings

_FILE_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}

_STORES = (errors.Contended, errors.StoreUnavailable, errors.FilesUnavailable)
_NOT_OURS = (
    "time_in_seconds",
    "time_in_milliseconds",
    "invalid_email",
    "password_length",
    "password_guessable",
)


_PROTOCOL = (
    "The protocol of resumable uploads: each piece says in `Content-Range` which bytes it holds. "
    "Pieces may have any size; what arrived of a piece that broke off is kept, from 8 KiB on. 308 says "
    "how far it is (`Range`, and `upload.offset`): go on there. A piece that is known already, or comes "
    "too early, does no harm. `bytes */TOTAL` without a body asks how far it is."
)

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/api/v1/files",
        "askForTickets",
        "files",
        "Say which photos the phone has, and hear how to send them",
        "One answer for each file, in order. A photo that the team has already is `ready` at once. "
        "Asking again is safe, and says where an upload stands. The same list may be sent as `files` in "
        "`POST /api/sync`, together with the records.\n\n"
        "With `direct`, `upload.direct_url` is a session of the cloud's file store: send the file there "
        "by the same protocol, in pieces of 256 KiB or a multiple, then call `complete`. That spares "
        "this server, but survives only a network that carries such a piece whole.",
        answers="An answer for each file.",
        answer="Tickets",
        body="TicketsRequest",
        faults=(errors.InvalidJson, errors.InvalidRequest, errors.Unauthenticated, *BODY, *_STORES),
        parameters=("RequestId", "ContentEncoding"),
        answer_headers=("Cache-Control", "Content-Encoding"),
        never=(*_NOT_OURS, "invalid_range", "wrong_size"),
    ),
    Operation(
        "GET",
        "/api/v1/files/{id}",
        "getFile",
        "files",
        "What became of a photo, and links to look at it",
        "`links` lead to the original and to smaller versions without the camera's data, for some "
        "minutes and for whoever has them: open them at once, keep them nowhere.",
        answers="The photo.",
        answer="File",
        faults=(
            errors.Unauthenticated,
            errors.UploadExpired,
            errors.StoreUnavailable,
            errors.FilesUnavailable,
        ),
        parameters=("FileId", "RequestId"),
        answer_headers=("Cache-Control", "Content-Encoding"),
    ),
    Operation(
        "PUT",
        "/api/v1/files/{id}/content",
        "putFile",
        "files",
        "Send a piece of a photo",
        _PROTOCOL,
        answers="All bytes are here: what the check says, or `checking` if it takes longer.",
        answer="File",
        body="FileBytes",
        body_type="application/octet-stream",
        body_needed=False,
        faults=(
            errors.InvalidRequest,
            errors.Unauthenticated,
            errors.Forbidden,
            errors.UploadExpired,
            *BODY,
            *_STORES,
        ),
        parameters=("FileId", "ContentRange", "RequestId"),
        answer_headers=("Cache-Control", "Content-Encoding"),
        resumed=True,
        never=(*_NOT_OURS, "invalid_request", "invite_needed", "invite_invalid"),
    ),
    Operation(
        "POST",
        "/api/v1/files/{id}/complete",
        "completeFile",
        "files",
        "Say that all bytes are there",
        "Needed only for a file that went to `direct_url`. Safe to repeat.",
        answers="What the check says, or `checking` if it takes longer.",
        answer="File",
        faults=(
            errors.Unauthenticated,
            errors.Forbidden,
            errors.UploadExpired,
            errors.UploadIncomplete,
            *_STORES,
        ),
        parameters=("FileId", "RequestId"),
        answer_headers=("Cache-Control", "Content-Encoding"),
        never=("invite_needed", "invite_invalid"),
    ),
    Operation(
        "GET",
        "/api/v1/files/links/{token}",
        "followLink",
        "files",
        "What a link leads to",
        "Only where the file store is a folder; elsewhere links lead to the cloud's file store. The "
        "link is the permission: no token is asked for.",
        answers="The bytes.",
        answer={"type": "string", "format": "binary"},
        content_type="application/octet-stream",
        faults=(errors.FileMissing, errors.LinkExpired, errors.FilesUnavailable),
        parameters=("LinkToken", "RequestId"),
        secured=False,
    ),
)

PARAMETERS: dict[str, Schema] = {
    "FileId": segment("id", dict(_FILE_ID), "The file, as its ticket names it."),
    "LinkToken": segment("token", dict(TEXT), "As the link has it."),
    "ContentRange": header(
        "Content-Range",
        {"type": "string", "pattern": r"^bytes (\d+-\d+|\*)/\d+$"},
        "Which bytes of how many; absent: the whole file.",
    ),
}


def schemas(_catalog: Catalog) -> dict[str, Schema]:
    """The schemas of these operations."""
    limits = Settings()
    ask = {
        "type": "object",
        "description": "A photo that the phone has. One that does not satisfy this is answered with an "
        "`error` of its own.",
        "properties": {
            "table": says(TEXT, "The table of the record that it belongs to."),
            "record_id": says(ID, "The record; sent before, or in the same request."),
            "key": {
                "type": "string",
                "minLength": 1,
                "maxLength": 1024,
                "description": "Its name on the phone, as in the record's `image_keys`.",
            },
            "type": says(
                TEXT,
                f"{', '.join(PHOTO_TYPES)}. Capitals and parameters do not matter; `image/jpg` and "
                "`image/heif` are understood.",
            ),
            "bytes": {
                "type": "integer",
                "minimum": 1,
                "maximum": limits.file_bytes,
                "description": "Its exact size.",
            },
            "sha256": says(_SHA256, "Of exactly these bytes."),
            "name": {"type": ["string", "null"], "maxLength": 255},
        },
        "required": ["table", "record_id", "key", "type", "bytes", "sha256"],
    }
    upload = {
        **fixed(
            url=says(TEXT, "Where to send pieces, by PUT, with the bearer token."),
            offset=says(COUNT, "The first byte that is missing."),
            expires_at=says(SECONDS, "When an upload that rests is removed, Unix seconds."),
        ),
        "description": "Only while `state` is `upload`.",
    }
    upload["properties"]["direct_url"] = says(
        or_null(TEXT), "Only if it was asked for; a secret. Null: send it through this server."
    )
    file = fixed(
        id=_FILE_ID,
        table=TEXT,
        record_id=ID,
        key=TEXT,
        name=or_null(TEXT),
        type=says(or_null(TEXT), "Null here and below: it was refused for what was said of it."),
        bytes=or_null(COUNT),
        sha256=or_null(_SHA256),
        state={
            "type": "string",
            "enum": ["upload", "checking", "ready", "refused"],
            "description": "Keep the photo on the phone until it is `ready`.",
        },
        scope_id=ID,
    )
    file["properties"] |= {
        "code": {
            "type": ["string", "null"],
            "description": f"Why it was refused.\n\n{bullets(FILE_CODES.items())}",
        },
        "message": says(TEXT, "Why it was refused, and what to do. Keep it on the phone."),
        "found": says(
            TEXT,
            "Only with `wrong_type`, where it is known: what the bytes are. Ask again with this type.",
        ),
        "upload": upload,
        "width": or_null(COUNT),
        "height": or_null(COUNT),
        "quality": {
            **fixed(
                verdict={"type": "string", "enum": ["good", "retake"]},
                reasons=list_of(TEXT, "The most serious first."),
            ),
            "type": ["object", "null"],
            "description": "Advice while the patient is still there; it blocks nothing.",
        },
        "incomplete": {
            "type": "boolean",
            "description": "Only while `state` is `ready`. True: the photo breaks off; what is there is "
            "shown, the rest is grey.",
        },
        "links": {
            "type": "object",
            "description": "By version: `original`, and the longest edge of smaller ones in px.",
            "additionalProperties": TEXT,
        },
        "links_expire_at": says(SECONDS, "Unix seconds."),
    }
    error = fixed(code={"type": "string", "enum": list(FILE_CODES)}, message=TEXT)
    error["properties"]["field"] = TEXT
    refused = {
        "type": "object",
        "description": "A file that cannot be taken, with what names it. `id`: its record says so to the "
        "doctor, and `GET /api/v1/files/{id}` to the phone.",
        "properties": {
            "id": _FILE_ID,
            "table": TEXT,
            "record_id": TEXT,
            "key": TEXT,
            "error": error,
        },
        "required": ["error"],
    }
    return {
        "TicketsRequest": {
            "type": "object",
            "description": "Photos that the phone has.",
            "properties": {
                "files": {
                    "type": "array",
                    "maxItems": MOST_ASKED,
                    "items": {"anyOf": [ref("FileAsked"), {}]},
                },
                "direct": {"type": "boolean", "default": False},
            },
            "required": ["files"],
        },
        "FileAsked": ask,
        "File": {**file, "description": "A photo of a record."},
        "FileRefused": refused,
        "Tickets": {
            **fixed(files=ref("TicketList")),
            "description": "What the phone is to do with each photo.",
        },
        "TicketList": {
            "type": "array",
            "description": "One answer for each file, in order.",
            "items": {"anyOf": [ref("File"), ref("FileRefused")]},
        },
        "FileBytes": {
            "type": "string",
            "format": "binary",
            "description": "The bytes that `Content-Range` names.",
        },
        "UploadIncomplete": {
            **fixed(error=ref("Error/properties/error"), offset=COUNT),
            "description": "What is still missing.",
        },
    }
