"""Links to the smallest versions of several photos at once, for lists of records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from shared.files.file import BLOBS, FILES, READY, derived_name
from shared.files.store import FileStore
from shared.records import record
from shared.records.store import Document, Key, RecordStore

#: Links that are signed side by side: in the cloud each is a call to IAM.
_SIDE_BY_SIDE = 8


def small_links(
    store: RecordStore,
    files: Callable[[], FileStore],
    wanted: Mapping[str, str],
    *,
    seconds: int,
    now_ms: int,
) -> dict[str, str]:
    """File id → link to its smallest version, good for so many seconds and for whoever has it.

    `wanted`: file id → scope; a file that is not ready, has no small version, or is of another scope is
    left out. Two reads of documents each, in two calls. The file store is touched only if there is one.
    Raises `FilesUnavailable` and `StoreUnavailable`.
    """
    if not wanted:
        return {}
    read = store.read([Key(FILES, each) for each in wanted], ("blob", "state", record.SCOPE))
    blob_of = {
        key.id: Key(BLOBS, found.fields["blob"])
        for key, found in read.documents.items()
        if found.fields["state"] == READY and found.fields[record.SCOPE] == wanted[key.id]
    }
    blobs = store.read(sorted(set(blob_of.values()))).documents if blob_of else {}
    ready = {
        file_id: blobs[key]
        for file_id, key in blob_of.items()
        if key in blobs and blobs[key].fields["state"] == READY and blobs[key].fields.get("derived")
    }
    if not ready:
        return {}
    there = files()

    def link(file_id: str, blob: Document) -> str:
        edge = min(map(int, blob.fields["derived"]))
        return there.link(
            derived_name(blob, edge),
            media_type="image/jpeg",
            file_name=f"{file_id}-{edge}.jpg",
            seconds=seconds,
            now_ms=now_ms,
        )

    with ThreadPoolExecutor(min(_SIDE_BY_SIDE, len(ready))) as pool:
        return dict(zip(ready, pool.map(link, ready, ready.values()), strict=True))
