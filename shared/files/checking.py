"""The job `images`: an upload becomes a file that can be shown, or is refused with a reason.

Puts the pieces together, compares size and SHA-256, looks whether the bytes are what they say, seals
the original, makes what is shown of it and judges its quality. All objects are written before the commit
that speaks of them, under names of this life of the blob: killed at any step, it is simply done again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any

from shared.errors import Fault, FileMissing, FileRefused
from shared.files.file import (
    AWAITING,
    BLOBS,
    FILES,
    PHOTO_TYPES,
    READY,
    RECEIVED,
    REFUSED,
    Attachment,
    PhotoLimits,
    check_job,
    derived_name,
    original_name,
)
from shared.files.settling import settle
from shared.files.store import FileStore
from shared.files.uploads import gathered
from shared.jobs.job import Job
from shared.jobs.queue import Doorbell
from shared.jobs.queue_down import ring
from shared.jobs.runner import Finish, Task
from shared.records.bell import Bell
from shared.records.killpoints import reach
from shared.records.store import Document, Key, Query, RecordStore, Write, patch

log = logging.getLogger(__name__)

_BLOCK = 2**20

#: When a ready blob is looked at first: what is left of its upload is removed then at the latest, ms.
_LOOK_AFTER_MS = 3_600_000


class Check(Task):
    """The task of kind `images`."""

    def __init__(
        self,
        store: RecordStore,
        files: Callable[[], FileStore],
        attachments: Mapping[str, Attachment],
        limits: PhotoLimits,
        doorbell: Callable[[], Doorbell],
    ) -> None:
        self._store, self._files, self._doorbell = store, files, doorbell
        self._attachments, self._limits = attachments, limits
        self._bells: dict[str, Sequence[Bell]] = {}  #: job → what its finish makes due

    def work(self, job: Job) -> Finish:
        """Check and derive. Raises `FilesUnavailable`; what is wrong with the file is a result."""
        blob = self._blob(job)
        if blob is None:
            return lambda _now: None
        try:
            found = self._found(blob)
        except FileRefused as fault:
            return self._refuse(job, fault.code, fault.found)
        except FileMissing:
            return self._refuse(job, "upload_lost")
        return self._finish(job, {"state": READY, **found})

    def gave_up(self, job: Job, fault: Fault) -> Finish:
        """The phone is told to send it again: it keeps what is not ready."""
        return self._refuse(job, "not_processed")

    def finished(self, job: Job) -> None:
        """Ring for what waited for this file; the sweeper rings for what is not heard."""
        ring(self._doorbell, self._bells.pop(job.id, ()))

    # --- looking at the bytes

    def _found(self, blob: Document) -> dict[str, Any]:
        from shared.files import picture

        have, files, scan = blob.fields, self._files(), self._is_scan(blob)
        with BytesIO() as whole:  # as large as a file may be
            digest, size = hashlib.sha256(), 0
            for block in gathered(files, blob):
                digest.update(block)
                size += len(block)
                whole.write(block)
            if size != have["bytes"]:
                raise FileRefused("The file has another size.", code="wrong_size")
            if digest.hexdigest() != have["sha256"]:
                raise FileRefused("The file has another SHA-256.", code="wrong_hash")
            whole.seek(0)
            looked = picture.look(whole, have["type"], scan=scan)
            derived: dict[str, Any] = {}
            found: dict[str, Any] = {"width": looked.width, "height": looked.height}
            if looked.type in PHOTO_TYPES and not scan:
                whole.seek(0)
                made, quality = picture.derive(whole, self._limits)
                for each in made:
                    files.put(derived_name(blob, each.edge), [each.data], "image/jpeg")
                    derived[str(each.edge)] = {
                        "sha256": hashlib.sha256(each.data).hexdigest(),
                        "bytes": len(each.data),
                        "width": each.width,
                        "height": each.height,
                    }
                found["incomplete"] = "incomplete" in quality.reasons
                found["quality"] = {
                    "verdict": quality.verdict,
                    "reasons": list(quality.reasons),
                    "measures": dict(quality.measures),
                    "version": quality.version,
                }
            reach("check.derived")
            whole.seek(0)
            files.put(original_name(blob), _blocks(whole), looked.type)
            reach("check.sealed")
        return {**found, "derived": derived}

    # --- telling

    def _refuse(self, job: Job, code: str, found: str | None = None) -> Finish:
        log.info("file refused", extra={"job": job.id, "code": code})
        return self._finish(job, {"state": REFUSED, "code": code, "found": found})

    def _finish(self, job: Job, found: Mapping[str, Any]) -> Finish:
        def finish(now_ms: int) -> Sequence[Write] | None:
            blob = self._blob(job)
            if blob is None:
                return None
            fields = {**found, "look_at": now_ms + _LOOK_AFTER_MS}
            writes: list[Write] = [patch(blob.key, fields, blob.version)]
            settled: dict[Key, dict[str, str]] = {}
            for each in self._shown_by(blob):
                have = each.fields
                writes.append(
                    patch(
                        each.key,
                        {"state": found["state"], "code": found.get("code")},
                        each.version,
                    )
                )
                ready = each.key.id if found["state"] == READY else ""
                subject = Key(have["table"], have["record_id"])
                settled.setdefault(subject, {})[have["key"]] = ready
            bells: list[Bell] = []
            subjects = self._store.read(sorted(settled)).documents if settled else {}
            for key, files in settled.items():
                subject_now = subjects.get(key)
                if subject_now is None:
                    continue
                news = settle(
                    self._store, self._attachments[key.collection], subject_now, files, now_ms
                )
                writes += news.writes
                bells += news.bells
            self._bells[job.id] = bells
            return writes

        return finish

    def _shown_by(self, blob: Document) -> list[Document]:
        """The files that wait for this blob. A ticket that adds one writes the blob too (`Tickets`)."""
        query = Query(FILES, where=(("blob", "==", blob.key.id),))
        return [each for each in self._store.query(query) if each.fields["state"] == AWAITING]

    def _is_scan(self, blob: Document) -> bool:
        """Whether pictures are scans (`Attachment.scans`) wherever this blob is shown."""
        if not any(each.scans for each in self._attachments.values()):
            return False
        shown = [self._attachments[each.fields["table"]] for each in self._shown_by(blob)]
        return bool(shown) and all(each.scans for each in shown)

    def _blob(self, job: Job) -> Document | None:
        """The blob, if it is still this upload that the job is about."""
        key = Key(BLOBS, job.subject_id)
        blob = self._store.read([key]).documents.get(key)
        if blob is None or blob.fields["state"] != RECEIVED:
            return None
        return blob if job.id == check_job(blob) else None


def _blocks(file: BytesIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block
