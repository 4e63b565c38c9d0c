"""Files that the server itself makes for a record: kept, linked, moved and removed like those of phones.

The objects are written before the commit that speaks of them, under names of a new life of their blob:
killed between the two, nothing speaks of them and the cleaner removes them. What a scope has already is not
kept twice.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from shared.files.file import (
    BLOBS,
    FILES,
    READY,
    blob_key,
    derived_name,
    file_key,
    original_name,
)
from shared.files.store import FileStore
from shared.records import record
from shared.records.killpoints import reach
from shared.records.store import ABSENT, Document, Key, RecordStore, Write, patch, put

#: When a file that was made is looked at first, as one that was sent, ms.
_LOOK_AFTER_MS = 3_600_000


class MadeFile(NamedTuple):
    """A file for a record. `beside` is what was made of it, by name (`derived_name`)."""

    table: str
    record_id: str
    key: str
    name: str  #: as people see it who download it
    type: str
    data: bytes
    beside: Mapping[str, bytes]

    @property
    def id(self) -> str:
        """The id that the file has, whenever it is made."""
        return file_key(self.table, self.record_id, self.key).id


class Kept(NamedTuple):
    """A file whose objects are there; `writes` makes it known."""

    made: MadeFile
    scope_id: str
    upload: str
    sha256: str

    def writes(self, store: RecordStore, now_ms: int) -> tuple[Write, ...]:
        """The documents that speak of it, for the commit of its record. To be asked for at each attempt."""
        made, blob_at = self.made, blob_key(self.scope_id, self.sha256)
        file_at = file_key(made.table, made.record_id, made.key)
        have = store.read([blob_at, file_at]).documents
        blob, file = have.get(blob_at), have.get(file_at)
        fields = {
            record.SCOPE: self.scope_id,
            "table": made.table,
            "record_id": made.record_id,
            "key": made.key,
            "name": made.name,
            "type": made.type,
            "bytes": len(made.data),
            "sha256": self.sha256,
            "blob": blob_at.id,
            "state": READY,
            "at": now_ms,
        }
        mine = put(file_at, fields, ABSENT if file is None else file.version)
        if blob is not None and blob.fields["state"] == READY:
            return mine, patch(blob_at, {"asked": self.upload[:8]}, blob.version)
        life = {
            record.SCOPE: self.scope_id,
            "sha256": self.sha256,
            "bytes": len(made.data),
            "type": made.type,
            "state": READY,
            "upload": self.upload,
            "pieces": [],
            "received": len(made.data),
            "derived": {},
            "at": now_ms,
            "look_at": now_ms + _LOOK_AFTER_MS,
        }
        return mine, put(blob_at, life, ABSENT if blob is None else blob.version)


def keep(files: FileStore, scope_id: str, made: MadeFile) -> Kept:
    """Write the objects of a file that was made. Raises `FilesUnavailable`."""
    sha256, upload = hashlib.sha256(made.data).hexdigest(), secrets.token_hex(8)
    blob = Document(blob_key(scope_id, sha256), {"upload": upload}, 0)
    for name, more in made.beside.items():
        files.put(derived_name(blob, name), [more], "application/octet-stream")
    files.put(original_name(blob), [made.data], made.type)
    reach("made.kept")
    return Kept(made, scope_id, upload, sha256)


def beside(store: RecordStore, file_id: str) -> tuple[Document, Document] | None:
    """A file that is ready and its blob, beside which is what was made of it; None: there is none."""
    file = store.read([Key(FILES, file_id)]).documents.get(Key(FILES, file_id))
    if file is None or file.fields["state"] != READY:
        return None
    key = Key(BLOBS, str(file.fields["blob"]))
    blob = store.read([key]).documents.get(key)
    return None if blob is None else (file, blob)
