"""What no longer belongs to anything is removed: abandoned uploads, bytes that no file shows, old pieces.

Each blob says when somebody should look at it (`look_at`). A document goes before its objects, guarded
by its version: a ticket that asks for the same bytes at that moment either keeps them or opens them anew
under other names. Killed between the two, the objects are found by their folder.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from shared.errors import Contended, FilesUnavailable
from shared.files import file as names
from shared.files.file import BLOBS, FILES, OPEN, READY, RECEIVED, REFUSED, prefix
from shared.files.store import FileStore
from shared.records.store import ABSENT, Document, Key, Query, RecordStore, delete, patch, put

log = logging.getLogger(__name__)

#: Blobs looked at, and objects of each folder, in one round.
_A_ROUND = 100
_OBJECTS_A_ROUND = 500

#: How often a blob that is shown is looked at again, ms.
_LOOK_EVERY_MS = 30 * 86_400_000

#: Objects younger than this may be on their way into a document, ms.
_YOUNG_MS = 2 * 86_400_000

_FOLDERS = (names.INCOMING, names.ORIGINALS, names.DERIVED)

#: Where the round through all objects stands.
_PLACE = Key("settings", "files_round")


class Cleaner:
    """Removes orphans. May be repeated, killed and run twice at once."""

    def __init__(self, store: RecordStore, files: Callable[[], FileStore]) -> None:
        self._store, self._files = store, files

    def clean(self, now_ms: int) -> int:
        """One round; how many blobs and objects were removed. A file store that is down ends it."""
        try:
            return self._round(now_ms)
        except FilesUnavailable as fault:
            log.warning("files are cleaned later", extra={"code": fault.code})
            return 0

    def _round(self, now_ms: int) -> int:
        query = Query(
            BLOBS, where=(("look_at", "<=", now_ms),), order=(("look_at", "asc"),), limit=_A_ROUND
        )
        removed = 0
        for blob in list(self._store.query(query)):
            try:
                removed += self._look(blob, now_ms)
            except Contended:
                continue  # somebody uses it at this very moment
        return removed + self._objects(now_ms)

    def drop(self, blob_ids: Iterable[str]) -> int:
        """Remove blobs that no file shows any more, now; how many."""
        dropped = 0
        for blob_id in blob_ids:
            key = Key(BLOBS, blob_id)
            blob = self._store.read([key]).documents.get(key)
            if blob is not None and not self._shown(blob):
                dropped += self._remove(blob)
        return dropped

    def _look(self, blob: Document, now_ms: int) -> int:
        state = blob.fields["state"]
        if state == OPEN:
            return self._abandon(blob)
        if not self._shown(blob):
            return self._remove(blob)
        if state == READY:
            self._empty(prefix(names.INCOMING, blob))
        if state == REFUSED:
            for folder in _FOLDERS:
                self._empty(prefix(folder, blob))
        # The check of a received one is a job of its own, which ends or is parked.
        again = now_ms + (_YOUNG_MS if state == RECEIVED else _LOOK_EVERY_MS)
        self._store.commit([patch(blob.key, {"look_at": again}, blob.version)])
        return 0

    def _abandon(self, blob: Document) -> int:
        """An upload that rested too long: its files wait on, a new ticket opens it anew."""
        self._store.commit([delete(blob.key, blob.version)])
        self._empty(prefix(names.INCOMING, blob))
        return 1

    def _remove(self, blob: Document) -> int:
        self._store.commit([delete(blob.key, blob.version)])
        for folder in _FOLDERS:
            self._empty(prefix(folder, blob))
        return 1

    def _shown(self, blob: Document) -> bool:
        query = Query(FILES, where=(("blob", "==", blob.key.id),), fields=("state",), limit=1)
        return next(iter(self._store.query(query)), None) is not None

    def _empty(self, folder: str) -> None:
        files = self._files()
        while found := files.list(f"{folder}/"):
            files.delete(each.name for each in found)

    def _objects(self, now_ms: int) -> int:
        """Objects that no document speaks of: what a kill between two steps has left."""
        place = self._store.read([_PLACE]).documents.get(_PLACE)
        have = {} if place is None else place.fields
        folder, behind = str(have.get("folder") or _FOLDERS[0]), str(have.get("behind") or "")
        removed = 0
        for _ in _FOLDERS:
            found = self._files().list(f"{folder}/", behind=behind, limit=_OBJECTS_A_ROUND)
            old = [each.name for each in found if each.written_ms < now_ms - _YOUNG_MS]
            removed += self._unspoken(folder, old)
            behind = found[-1].name if len(found) == _OBJECTS_A_ROUND else ""
            if not behind:
                folder = _FOLDERS[(_FOLDERS.index(folder) + 1) % len(_FOLDERS)]
            if found:
                break
        step = {"folder": folder, "behind": behind}
        if found:
            try:
                self._store.commit([put(_PLACE, step, ABSENT if place is None else place.version)])
            except Contended:
                log.info("two sweepers clean files at once")
        return removed

    def _unspoken(self, folder: str, objects: list[str]) -> int:
        """Delete those objects whose blob is gone, lives another life, or needs no pieces any more."""
        lives = {name: tuple(name.split("/")[1:3]) for name in objects}
        keys = sorted({Key(BLOBS, blob) for blob, _ in lives.values()})
        blobs = self._store.read(keys, ("upload", "state")).documents if keys else {}
        orphans = []
        for name, (blob_id, life) in lives.items():
            blob = blobs.get(Key(BLOBS, blob_id))
            spoken = blob is not None and blob.fields.get("upload") == life
            if folder == names.INCOMING and spoken and blob is not None:
                spoken = blob.fields["state"] in (OPEN, RECEIVED)
            if not spoken:
                orphans.append(name)
        self._files().delete(orphans)
        return len(orphans)
