"""What is stored about files: a `File` for each photo of a record, a `Blob` for the bytes it shows.

    files/{id}    one file of one record under the key that the phone gave it; the id is made of these
                  three, so that asking twice is asking once. `awaiting` → `ready` or `refused`
    blobs/{id}    bytes in a scope, known by their SHA-256: what a scope has, nobody sends again, and no
                  other scope learns of it. `open` (pieces arrive) → `received` → `ready` or `refused`

Bytes never stand in documents. A blob's life has a secret number (`upload`), part of the names of all its
objects, so that what is left of an earlier life is never taken for this one's:

    incoming/{blob}/{upload}/…           pieces, until they were checked
    originals/{blob}/{upload}/original   the file as it was sent, sealed
    derived/{blob}/{upload}/896          JPEG without metadata, longest edge in px
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from shared.records import record
from shared.records.collection import Effects
from shared.records.store import Document, Key, RecordStore, StoredCollection

#: Media types of photos, and of documents.
PHOTO_TYPES = ("image/jpeg", "image/png", "image/webp", "image/heic")
DOCUMENT_TYPES = ("application/pdf",)

#: Scans of paper, taken as they are: nothing is derived of them (as of other types: `Attachment.scans`).
SCAN_TYPES = ("image/tiff",)

#: Other names of these types, as phones and libraries say them (riot-android#3435, uppy#1604). A file of
#: any of them is looked at like any other: what it is, its bytes say.
_OTHER_NAMES = {
    "image/jpg": "image/jpeg",
    "image/tif": "image/tiff",
    "image/x-tiff": "image/tiff",
    "image/x-png": "image/png",
    "image/heif": "image/heic",
    "image/heic-sequence": "image/heic",
    "image/heif-sequence": "image/heic",
}

#: Largest file of one request, bytes; larger ones are sent in pieces. Cloud Run takes requests of 32 MiB,
#: the form around the file among it (its quotas, HTTP/1).
ONE_REQUEST = 31 * 2**20

FILES = "files"
BLOBS = "blobs"

STORED = (
    StoredCollection(FILES, (("record_id",), ("blob",))),
    StoredCollection(BLOBS, (("look_at",),)),
)

#: The job that checks a blob's bytes and derives what is shown of them.
CHECK = "images"

#: States of a file.
AWAITING = "awaiting"
READY = "ready"
REFUSED = "refused"

#: States of a blob, beside the last two.
OPEN = "open"
RECEIVED = "received"

#: Refusals that say nothing of the content: the same file may be sent again.
PASSING = frozenset({"wrong_hash", "wrong_size", "upload_lost", "not_processed"})

#: The blob of a file that was refused before a byte was sent.
NO_BLOB = "none"

#: Why a photo was refused, and what to do: for who sent it and for who waits for it.
REFUSALS: dict[str, str] = {
    "wrong_type": "The bytes are of another type than was said, or no photo; or a field is wrong.",
    "type_not_allowed": "Files of this type are not taken. Convert it on the phone.",
    "empty_file": "The file has no bytes. Take the photo again.",
    "file_too_large": "The file is over the cap. Make it smaller on the phone.",
    "invalid_sha256": "`sha256` must be 64 hexadecimal digits, in lower case.",
    "broken_file": "The file is damaged, or nothing of it can be shown. Take the photo again.",
    "too_many_pixels": "The photo has too many pixels. Make it smaller on the phone.",
    "wrong_size": "What came has another size than was said. Ask for a new ticket.",
    "wrong_hash": "What came has another SHA-256 than was said. Ask for a new ticket and send it again.",
    "upload_lost": "A part of the upload was lost here. Ask for a new ticket and send it again.",
    "not_processed": "The file could not be checked. Ask for a new ticket and send it again.",
}

INCOMING, ORIGINALS, DERIVED = "incoming", "originals", "derived"


class Settled(NamedTuple):
    """News for a record: files that are ready (key → file id), or will not come (key → "")."""

    store: RecordStore
    record: Document  #: as it was read; the writes are guarded by its version
    files: Mapping[str, str]
    now_ms: int


@dataclass(frozen=True)
class Attachment:
    """What a product declares of the files of one table.

    `settled` says what changes in the record, and what else belongs in the commit, when files of it are
    ready or refused. `Effects.fields` are the record's own.
    """

    types: tuple[str, ...]  #: media types that may be sent
    settled: Callable[[Settled], Effects]
    most: int = 100  #: files of one record, refused ones apart
    most_bytes: int = 0  #: the largest of them; 0: as the deployment says (`FILE_BYTES`)
    #: Pictures are scans of paper, too: taken as they are, however many pixels they have, for the product
    #: opens them itself, within bounds of its own.
    scans: bool = False


class PhotoLimits(NamedTuple):
    """From where on a measure of `quality.py` is a defect. `version` changes with every number."""

    version: str
    least_sharpness: float  #: below: blurred
    least_brightness: int  #: below: too dark; of 255
    most_burnt: float  #: above: too bright
    most_glare: float  #: above: glare
    least_short_edge: int  #: below: low resolution; px
    least_presence: float  #: below: framing, nothing stands out in the middle


#: No photo is refused for how it looks.
ANY_PHOTO = PhotoLimits("any", 0, 0, 1, 1, 0, 0)


class Piece(NamedTuple):
    """Bytes of an upload that have arrived: where they begin, how many, and in which object."""

    offset: int
    size: int
    mark: str

    @classmethod
    def read(cls, text: str) -> Piece:
        """From the form in which it is stored."""
        offset, size, mark = text.split(":")
        return cls(int(offset), int(size), mark)

    def text(self) -> str:
        """The form in which it is stored: stores hold no lists of lists."""
        return f"{self.offset}:{self.size}:{self.mark}"


def media_type(said: str) -> str:
    """A media type by its own name: without parameters, in lower case, as `PHOTO_TYPES` has it."""
    plain = said.partition(";")[0].strip().lower()
    return _OTHER_NAMES.get(plain, plain)


def plain_key(key: str) -> str:
    """A phone's key as keys are compared: one phone writes é as one code point, another as two (NFC)."""
    return unicodedata.normalize("NFC", key)


def file_key(table: str, record_id: str, key: str) -> Key:
    """The address of the file of a record under a phone's key."""
    return Key(FILES, _hash(f"{table}\n{record_id}\n{plain_key(key)}")[:32])


def blob_key(scope_id: str, sha256: str) -> Key:
    """The address of what is known of these bytes in a scope."""
    return Key(BLOBS, _hash(f"{scope_id}\n{sha256}")[:40])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def prefix(folder: str, blob: Document) -> str:
    """Where the objects of a blob's present life are, in one of the three folders."""
    return f"{folder}/{blob.key.id}/{blob.fields['upload']}"


def piece_name(blob: Document, piece: Piece) -> str:
    """The object that holds a piece."""
    return f"{prefix(INCOMING, blob)}/{piece.offset:010d}-{piece.mark}"


def original_name(blob: Document) -> str:
    """The object that holds the file as it was sent."""
    return f"{prefix(ORIGINALS, blob)}/original"


def derived_name(blob: Document, edge: int | str) -> str:
    """The object that holds the version whose longest edge has so many px."""
    return f"{prefix(DERIVED, blob)}/{edge}"


def check_job(blob: Document) -> str:
    """The job that checks a blob in its present life."""
    return f"{CHECK}~{blob.key.id}~{blob.fields['upload']}"


def direct_name(blob: Document) -> str:
    """The object that a phone writes itself, in a session of the file store."""
    return f"{prefix(INCOMING, blob)}/direct"


def shown_quality(blob: Document) -> dict[str, Any] | None:
    """The verdict on a photo, as phones see it: advice, never a block."""
    said = blob.fields.get("quality")
    if said is None:
        return None
    return {"verdict": said["verdict"], "reasons": list(said["reasons"])}


def shown(file: Document, blob: Document | None) -> dict[str, Any]:
    """A file as phones see it; while bytes are wanted, with where to send them."""
    have = file.fields
    about = blob.fields if blob is not None else {}
    state = have["state"]
    if state == AWAITING:
        state = "checking" if about.get("state") == RECEIVED else "upload"
    value: dict[str, Any] = {
        "id": file.key.id,
        "table": have["table"],
        "record_id": have["record_id"],
        "key": have["key"],
        "name": have.get("name"),
        **{name: have.get(name) for name in ("type", "bytes", "sha256")},
        "state": state,
        record.SCOPE: have[record.SCOPE],
    }
    if state == "upload" and blob is not None:
        value["upload"] = {
            "url": f"/api/v1/files/{file.key.id}/content",
            "offset": about["received"],
            "expires_at": about["look_at"] // 1000,
            "expires_at_ms": about["look_at"],
        }
    if state == REFUSED:
        code = str(have.get("code"))
        value |= {"code": code, "message": REFUSALS.get(code, "The photo was refused. Keep it.")}
        if about.get("found"):
            value["found"] = about["found"]
    if state == READY and blob is not None:
        value |= {
            "width": about.get("width"),
            "height": about.get("height"),
            "quality": shown_quality(blob),
            "incomplete": bool(about.get("incomplete")),
        }
    return value
