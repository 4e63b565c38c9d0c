"""Photos for whoever reads them inside: the derivative without metadata, never the original."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import NamedTuple

from shared.files.file import BLOBS, FILES, READY, derived_name
from shared.files.store import FileStore
from shared.records.store import Document, Key, RecordStore


class Photo(NamedTuple):
    """A photo as a `data:` URL, and the SHA-256 (hex) of exactly these bytes."""

    url: str
    sha256: str


class Photos:
    """Reads derivatives of at most `most_bytes`, the largest edge that fits."""

    def __init__(
        self, store: RecordStore, files: Callable[[], FileStore], *, most_bytes: int
    ) -> None:
        self._store, self._files, self._most_bytes = store, files, most_bytes

    def of(self, file_ids: Sequence[str], edge: int) -> list[Photo]:
        """The photos that are ready, in order, with a longest edge of at most `edge` px.

        Raises `FilesUnavailable` and `StoreUnavailable`: try again later.
        """
        if not file_ids:
            return []
        keys = [Key(FILES, file_id) for file_id in file_ids]
        read = self._store.read(keys).documents
        files = [read[key] for key in keys if key in read]
        blob_keys = [Key(BLOBS, file.fields["blob"]) for file in files]
        blobs = self._store.read(blob_keys).documents
        return [
            photo
            for key in blob_keys
            if (blob := blobs.get(key)) is not None and blob.fields["state"] == READY
            for photo in self._photo(blob, edge)
        ]

    def _photo(self, blob: Document, edge: int) -> list[Photo]:
        derived = blob.fields.get("derived") or {}
        for each in sorted(map(int, derived), reverse=True):
            about = derived[str(each)]
            if each <= edge and about["bytes"] <= self._most_bytes:
                pieces = self._files().read(derived_name(blob, each))
                text = base64.b64encode(b"".join(pieces)).decode()
                return [Photo(f"data:image/jpeg;base64,{text}", about["sha256"])]
        return []
