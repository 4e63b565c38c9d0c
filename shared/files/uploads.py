"""Uploads: pieces of any size, in order, each kept as far as it came; nothing is sent twice.

The protocol is that of resumable uploads (`Content-Range`, 308 with `Range`), as the big file stores speak
it, with one difference that matters on a bad network: what arrived of a piece that broke off is kept to
the byte. A cloud's own sessions keep whole 256 KiB only, so that a connection which breaks every 100 kB
would never get on (docs/decisions/0009-photos.md).

    piece begins at the offset     kept
    before it                      the overlap is passed over, the rest kept
    behind it, or all known        nothing kept; the answer says where to go on

Each piece is an object of its own; the blob's document lists them, and is the judge when two phones, or
one phone twice, send the same file at once.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Any, NamedTuple

from shared.access import membership
from shared.access.membership import Caller
from shared.access.rights import Action
from shared.errors import (
    Contended,
    FileMissing,
    Forbidden,
    InvalidRequest,
    NotFound,
    UploadExpired,
    UploadIncomplete,
)
from shared.files.file import (
    AWAITING,
    BLOBS,
    CHECK,
    FILES,
    OPEN,
    READY,
    RECEIVED,
    REFUSED,
    Piece,
    check_job,
    derived_name,
    direct_name,
    original_name,
    piece_name,
    shown,
)
from shared.files.store import FileStore
from shared.jobs import job as jobs
from shared.records import record
from shared.records.collection import Catalog
from shared.records.insist import insist
from shared.records.killpoints import reach
from shared.records.store import Document, Key, RecordStore, patch

#: Pieces shorter than this are not kept, unless they end the file: each is an object of its own. It
#: is also what a broken connection may cost.
LEAST_PIECE = 8 * 1024

_ATTEMPTS = 20
_ID = re.compile(r"[0-9a-f]{32}")
_RANGE = re.compile(r"bytes (?:(\d{1,12})-(\d{1,12})|\*)/(\d{1,12})")


class ByteRange(NamedTuple):
    """Which bytes a piece holds: first and last, of how many. A question names no bytes."""

    first: int
    last: int
    total: int

    @property
    def asks(self) -> bool:
        """Whether it only asks how far the upload is."""
        return self.last < self.first


def parse_range(text: str | None, length: int | None) -> ByteRange | None:
    """`Content-Range`, or that of a whole file; None if neither says how much comes.

    Raises `InvalidRequest` (`invalid_range`).
    """
    if text is None:
        return None if not length else ByteRange(0, length - 1, length)
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        raise _invalid_range()
    total = int(found[3])
    if found[1] is None:
        return ByteRange(0, -1, total)
    span = ByteRange(int(found[1]), int(found[2]), total)
    if not span.first <= span.last < total:
        raise _invalid_range()
    return span


def _invalid_range() -> InvalidRequest:
    return InvalidRequest(
        "Content-Range must be: bytes FIRST-LAST/TOTAL, or bytes */TOTAL to ask.",
        code="invalid_range",
        field="Content-Range",
    )


class Progress(NamedTuple):
    """Where an upload is. `job_id`: the check that waits, once all bytes are here."""

    file: Document
    blob: Document
    job_id: str | None = None

    @property
    def received(self) -> int:
        """How many bytes, from the first on, are here."""
        return int(self.blob.fields["received"])

    @property
    def open(self) -> bool:
        """Whether bytes are still wanted."""
        return bool(self.file.fields["state"] == AWAITING and self.blob.fields["state"] == OPEN)

    def value(self) -> dict[str, Any]:
        """As phones see it."""
        return shown(self.file, self.blob)


class Uploads:
    """Takes files and gives links to them. `keep_ms`: how long an upload may rest."""

    def __init__(
        self,
        store: RecordStore,
        files: FileStore,
        catalog: Catalog,
        *,
        keep_ms: int,
        link_seconds: int,
    ) -> None:
        self._store, self._files, self._catalog = store, files, catalog
        self._keep_ms, self._link_seconds = keep_ms, link_seconds

    # --- taking

    def receive(
        self, caller: Caller, file_id: str, span: ByteRange, body: Iterator[bytes], now_ms: int
    ) -> Progress:
        """Keep what is new in a piece. `body` ends where the connection did.

        Raises `NotFound`, `Forbidden`, `InvalidRequest` (`invalid_range`, `wrong_size`),
        `UploadExpired`, `FilesUnavailable` and `Contended`.
        """
        progress = self._look(caller, file_id, Action.WRITE)
        if not progress.open:
            return self._checked(progress)
        blob = progress.blob
        if span.total != blob.fields["bytes"]:
            raise InvalidRequest(
                f"This file was announced with {blob.fields['bytes']} bytes.",
                code="wrong_size",
                field="Content-Range",
            )
        if blob.fields["look_at"] <= now_ms:
            raise _expired()
        offset = progress.received
        if span.asks or not span.first <= offset <= span.last:
            return progress
        piece = Piece(offset, 0, secrets.token_hex(4))
        name = piece_name(blob, piece)
        counted = _Counted(body, skip=offset - span.first, most=span.last + 1 - offset)
        self._files.put(name, counted, "application/octet-stream")
        reach("upload.piece")
        piece = piece._replace(size=counted.size)
        if piece.size < min(LEAST_PIECE, span.total - offset):
            self._files.delete([name])
            return progress
        return self._add(caller, file_id, progress, piece, now_ms)

    def _add(
        self, caller: Caller, file_id: str, progress: Progress, piece: Piece, now_ms: int
    ) -> Progress:
        """The piece becomes part of the upload, unless another one has taken its place."""
        upload = progress.blob.fields["upload"]
        name = piece_name(progress.blob, piece)
        for _ in range(_ATTEMPTS):
            have = progress.blob.fields
            mine = have["upload"] == upload and piece.text() in have["pieces"]
            if mine or have["state"] != OPEN or have["upload"] != upload:
                break
            if have["received"] != piece.offset:
                break
            received = piece.offset + piece.size
            fields: dict[str, Any] = {
                "pieces": [*have["pieces"], piece.text()],
                "received": received,
                "look_at": now_ms + self._keep_ms,
            }
            writes = [patch(progress.blob.key, fields, progress.blob.version)]
            if received == have["bytes"]:
                fields["state"] = RECEIVED
                writes.append(self._job(progress.blob, now_ms))
            try:
                self._store.commit(writes)
                reach("upload.added")
            except Contended:
                pass
            progress = self._look(caller, file_id, Action.WRITE)
        else:
            raise Contended("Many pieces of this file arrive at once. Try again.")
        if not mine:
            self._files.delete([name])
        return self._checked(progress)

    def complete(self, caller: Caller, file_id: str, now_ms: int) -> Progress:
        """Say that all is sent. Needed only for files that went to the file store itself.

        Raises `NotFound`, `Forbidden`, `UploadIncomplete` (with the offset) and `UploadExpired`.
        """

        def attempt() -> Progress:
            progress = self._look(caller, file_id, Action.WRITE)
            if not progress.open:
                return self._checked(progress)
            blob = progress.blob
            if blob.fields["look_at"] <= now_ms:
                raise _expired()
            there = self._files.stat(direct_name(blob))
            if there is None or there.size != blob.fields["bytes"]:
                raise UploadIncomplete(
                    "Not all bytes are here yet. Send the rest.", offset=progress.received
                )
            whole = Piece(0, there.size, "direct")
            fields = {
                "pieces": [whole.text()],
                "received": there.size,
                "state": RECEIVED,
                "look_at": now_ms + self._keep_ms,
            }
            self._store.commit([patch(blob.key, fields, blob.version), self._job(blob, now_ms)])
            reach("upload.added")
            return self._checked(self._look(caller, file_id, Action.WRITE))

        busy = "This file is being changed by others right now. Try again."
        return insist(attempt, _ATTEMPTS, busy=busy)

    def session(self, caller: Caller, file_id: str, origin: str) -> str | None:
        """A link to which the phone sends the file itself, if the file store takes it so."""
        progress = self._look(caller, file_id, Action.WRITE)
        if not progress.open:
            return None
        have = progress.blob.fields
        return self._files.session(direct_name(progress.blob), have["type"], have["bytes"], origin)

    @staticmethod
    def _job(blob: Document, now_ms: int) -> Any:
        return jobs.create(
            check_job(blob),
            CHECK,
            BLOBS,
            blob.key.id,
            blob.fields[record.SCOPE],
            now_ms,
            priority=1,
        )

    @staticmethod
    def _checked(progress: Progress) -> Progress:
        """With the check that waits, if one does."""
        if progress.blob.fields["state"] != RECEIVED:
            return progress
        return progress._replace(job_id=check_job(progress.blob))

    # --- showing

    def look(self, caller: Caller, file_id: str) -> Progress:
        """A file as it stands. Raises `NotFound`."""
        return self._checked(self._look(caller, file_id, Action.READ))

    def links(self, progress: Progress, now_ms: int) -> dict[str, Any]:
        """Short-lived links to a ready file: the original, and what was derived of it."""
        blob = progress.blob
        if progress.file.fields["state"] != READY or blob.fields["state"] != READY:
            return {}
        stem = progress.file.key.id
        found: dict[str, Any] = {}
        variants: dict[str, tuple[str, str]] = {
            "original": (original_name(blob), blob.fields["type"])
        }
        for edge in sorted(blob.fields.get("derived") or {}):
            variants[edge] = (derived_name(blob, edge), "image/jpeg")
        for variant, (name, media_type) in variants.items():
            ending = _ENDINGS.get(media_type, "bin")
            found[variant] = self._files.link(
                name,
                media_type=media_type,
                file_name=f"{stem}-{variant}.{ending}",
                seconds=self._link_seconds,
                now_ms=now_ms,
            )
        ends_ms = now_ms + self._link_seconds * 1000
        return {
            "links": found,
            "links_expire_at": ends_ms // 1000,
            "links_expire_at_ms": ends_ms,
        }

    def _look(self, caller: Caller, file_id: str, action: Action) -> Progress:
        """A file that the caller may see. Raises `NotFound` for every reason alike, and `Forbidden`."""
        if not _ID.fullmatch(file_id):
            raise _no_file()
        own, key = membership.key(caller.user_id), Key(FILES, file_id)
        read = self._store.read([own, key]).documents
        file = read.get(key)
        if file is None:
            raise _no_file()
        role = membership.parse(caller.user_id, read.get(own)).roles.get(file.fields[record.SCOPE])
        if not self._catalog.may(role, Action.READ):
            raise _no_file()
        subject = Key(file.fields["table"], file.fields["record_id"])
        blob_key = Key(BLOBS, file.fields["blob"])
        read = self._store.read([subject, blob_key]).documents
        have, blob = read.get(subject), read.get(blob_key)
        if have is None or have.fields.get(record.DELETED) is not None:
            raise _no_file()
        if blob is None and file.fields["state"] == REFUSED:
            blob = Document(
                blob_key, {"state": REFUSED, "received": 0}, 0
            )  # no byte of it ever came
        if blob is None:
            raise _expired()
        if not self._catalog.may(role, action):
            raise Forbidden("Your role may not add files here.")
        return Progress(file, blob)


class _Counted:
    """Part of a body: `skip` bytes are passed over, then at most `most` are given and counted."""

    def __init__(self, body: Iterator[bytes], *, skip: int, most: int) -> None:
        self._body, self._skip, self._most = body, skip, most
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._body:
            rest = block[self._skip :]
            self._skip -= len(block) - len(rest)
            rest = rest[: self._most - self.size]
            self.size += len(rest)
            if rest:
                yield rest
            if self.size == self._most:
                return


#: Endings of the names under which files are saved.
_ENDINGS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/heic": "heic",
    "application/pdf": "pdf",
}


def _no_file() -> NotFound:
    return NotFound("There is no such file.")


def _expired() -> UploadExpired:
    return UploadExpired("This upload rested too long. Ask for a new ticket and send it again.")


def gathered(files: FileStore, blob: Document) -> Iterator[bytes]:
    """The bytes of an upload, in order. Raises `FileMissing` if a piece is gone."""
    for text in blob.fields["pieces"]:
        piece = Piece.read(text)
        direct = piece.mark == "direct"
        size = 0
        for block in files.read(direct_name(blob) if direct else piece_name(blob, piece)):
            size += len(block)
            yield block
        if size != piece.size:
            raise FileMissing("A piece of this upload is incomplete.")
