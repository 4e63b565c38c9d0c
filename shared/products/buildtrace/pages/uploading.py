"""The file of a revision: in one form, or in pieces, which script on the page sends one after another.

Pieces go to the file engine of phones (`/api/v1/files`), with the session and the form token of the page:

    tell     what the file is, and its SHA-256 → how far it is: 0, or where an earlier try broke off
    piece    bytes from there on → how far it is; after the last one what became of the file
    came     the page anew, with what is to be said

Each may be sent again. A file that was chosen again, by whoever, in whichever browser, goes on where it
was.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import orjson
from msgspec import Meta, Struct

from shared.console.page import N_, Response
from shared.console.visit import Visit
from shared.errors import InvalidRequest, NotFound, UploadExpired
from shared.files.file import PASSING, REFUSED, file_key, media_type
from shared.products.buildtrace.files import TYPES
from shared.products.buildtrace.tables import NO_FILE, REVISIONS

_Id = Annotated[str, Meta(max_length=128)]
_Bytes = Annotated[int, Meta(ge=0, le=2**40)]

#: The same for each try: another file takes the place of one that was refused.
_KEY = "drawing"

#: Files that are looked for on one page.
_MOST_ARRIVING = 20

#: A refusal that says nothing of the file.
_LOST = N_("Something was lost on the way, or the file was changed meanwhile. Send it again.")

_BROKEN = N_("The file is damaged, or not what its name says. Export or scan it again.")


class FileToldForm(Struct):
    """A file that is about to come."""

    revision: _Id
    name: Annotated[str, Meta(max_length=255)]
    bytes: _Bytes
    sha256: Annotated[str, Meta(max_length=64)]
    type: Annotated[str, Meta(max_length=255)] = ""


class PieceForm(Struct):
    """Bytes of it, as the form's file: from `first` on, of `total`."""

    of: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    first: _Bytes
    total: _Bytes


def tell(visit: Visit, _asked: Any, form: FileToldForm) -> Response:
    """Say what the file is, and hear how far it is."""
    wanted = {
        "table": REVISIONS,
        "record_id": form.revision,
        "key": _KEY,
        "name": form.name,
        "type": kind_of(form.type, form.name),
        "bytes": form.bytes,
        "sha256": form.sha256,
    }
    [found] = visit.api.post("/api/v1/files", {"files": [wanted]})["files"]
    if "error" in found:
        raise InvalidRequest(found["error"]["message"], code="file_not_taken", field="file")
    return _standing(visit, found)


def piece(visit: Visit, _asked: Any, form: PieceForm) -> Response:
    """Take a piece."""
    if visit.file is None:
        raise InvalidRequest("There is no piece in this form.", field="file")
    data = visit.file.stream.read()
    path = f"/api/v1/files/{form.of}/content"
    return _standing(visit, visit.api.piece(path, data, form.first, form.total))


def came(visit: Visit, _asked: Any) -> Response:
    """All of it is here: the page anew."""
    return visit.again(N_("The file is here, and is being read."))


def take(visit: Visit, revision: str) -> Response:
    """The file that came along with a form. Raises `InvalidRequest`."""
    file = visit.file
    if file is None or not file.filename:
        raise InvalidRequest(N_("Choose a file."), field="file")
    file.headers["Content-Type"] = kind_of(file.mimetype, file.filename)
    fields = {"table": REVISIONS, "record_id": revision, "key": _KEY}
    found = visit.api.upload("/api/v1/upload", fields, file)
    if found["state"] == REFUSED:
        raise InvalidRequest(_why(found), field="file")
    return visit.again(N_("The file is here, and is being read."))


def kind_of(said: str, name: str) -> str:
    """The media type of a file, by its name if a browser says none. Raises `InvalidRequest`."""
    if said in ("", "application/octet-stream"):  # a desk that does not know what a .tif is
        said = mimetypes.guess_type(name)[0] or said
    if media_type(said) not in TYPES:
        raise InvalidRequest(N_("This file is neither PDF nor PNG, TIFF or JPEG."), field="file")
    return said


def arriving(
    visit: Visit, revisions: Sequence[Mapping[str, Any]]
) -> Mapping[str, Mapping[str, Any]]:
    """Revision → its file, of those that wait for one: `state`, the share that is here, `words`."""
    found = {}
    waiting = [each["id"] for each in revisions if each["state"] in (None, NO_FILE)]
    for revision in waiting[-_MOST_ARRIVING:]:
        path = f"/api/v1/files/{file_key(REVISIONS, revision, _KEY).id}"
        try:
            file = visit.api.get(path)
        except (NotFound, UploadExpired):
            continue
        offset = (file.get("upload") or {}).get("offset") or 0
        share = offset / file["bytes"] if file.get("bytes") else 0
        words = _why(file) if file["state"] == REFUSED else ""
        found[revision] = {"state": file["state"], "share": share, "words": words}
    return found


def _why(found: Mapping[str, Any]) -> str:
    return _LOST if found.get("code") in PASSING else _BROKEN


def _standing(visit: Visit, found: Mapping[str, Any]) -> Response:
    """Where an upload stands, for the script."""
    state, offset = found["state"], (found.get("upload") or {}).get("offset")
    told = {"id": found["id"], "state": state, "offset": offset}
    if state == REFUSED:
        told["words"] = visit.words.said(_why(found))
    response = Response(orjson.dumps(told), content_type="application/json")
    return visit.frame.guarded(response, visit.call)
