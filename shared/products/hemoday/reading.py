"""The text of PDFs: a job reads each once it is checked, and keeps it beside its document.

    document_texts/{file id}   scope_id, table, record_id, outcome, text, pages, whole

`outcome` is `read`, `empty` (a scan: no page has text) or `unreadable` (damaged, encrypted, or it takes too
much). A text is in `record.LOGS`: it goes where its document goes, and ends with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from shared.errors import FileMissing
from shared.files.file import BLOBS, DOCUMENT_TYPES, FILES, READY, original_name
from shared.files.store import FileStore
from shared.jobs import job as jobs
from shared.jobs.job import Job
from shared.jobs.runner import Finish, Task
from shared.products.hemoday.pdf_text import SECONDS, PdfText, read
from shared.records import record
from shared.records.store import (
    ABSENT,
    STAMP,
    Document,
    Key,
    RecordStore,
    StoredCollection,
    Write,
    put,
    verify,
)

log = logging.getLogger(__name__)

#: The collection of texts, and the kind of the job that reads one.
TEXTS = "document_texts"
KIND = "read_document"

STORED = (StoredCollection(TEXTS, ((record.SCOPE, STAMP), ("record_id",))),)


def due(
    store: RecordStore, document: Document, files: Mapping[str, str], now_ms: int
) -> tuple[Write, ...]:
    """The jobs that read those files of a document (key → id) that are ready now, and no photos.

    A file whose bytes were there before is made in the very commit that these belong in: the job sees.
    """
    keys = [Key(FILES, file_id) for file_id in files.values() if file_id]
    there = store.read(keys, ("type",)).documents if keys else {}
    table, scope_id = document.key.collection, document.fields[record.SCOPE]
    return tuple(
        jobs.create(f"{KIND}~{key.id}", KIND, table, document.key.id, scope_id, now_ms)
        for key in keys
        if key not in there or _is_pdf(there[key])
    )


def _is_pdf(file: Document) -> bool:
    return file.fields.get("type") in DOCUMENT_TYPES


class ReadDocument(Task):
    """The task of kind `read_document`."""

    longest_seconds = SECONDS + 15.0
    awaited = False

    def __init__(self, store: RecordStore, files: Callable[[], FileStore]) -> None:
        self._store, self._files = store, files

    def work(self, job: Job) -> Finish:
        """Read it. Raises `FilesUnavailable`; a PDF that cannot be read is a result."""
        key = Key(FILES, job.id.partition("~")[2])
        file = self._ready(key)
        if file is None:
            return lambda _now: None
        name = str(file.fields["blob"])
        blob = self._store.read([Key(BLOBS, name)]).documents.get(Key(BLOBS, name))
        found: PdfText | None = None
        if blob is not None:
            try:
                found = read(self._files().read(original_name(blob)))
            except FileMissing:
                log.warning("the file of a document is missing", extra={"job": job.id})
        return lambda now_ms: self._kept(key, name, found, now_ms)

    def _ready(self, key: Key) -> Document | None:
        file = self._store.read([key]).documents.get(key)
        if file is None or file.fields["state"] != READY or not _is_pdf(file):
            return None
        return file

    def _kept(
        self, key: Key, blob: str, found: PdfText | None, now_ms: int
    ) -> Sequence[Write] | None:
        """The text, in the scope that its file is in at this moment, unless the file is gone."""
        file = self._ready(key)
        if file is None or file.fields["blob"] != blob:
            return None
        mine = Key(TEXTS, key.id)
        there = self._store.read([mine], ("at",)).documents.get(mine)
        outcome = "unreadable" if found is None else "read" if found.text else "empty"
        log.info("document read", extra={"outcome": outcome, "pages": found.pages if found else 0})
        fields = {
            **{name: file.fields[name] for name in (record.SCOPE, "table", "record_id")},
            "outcome": outcome,
            "text": "" if found is None else found.text,
            "pages": 0 if found is None else found.pages,
            "whole": found is not None and found.whole,
            "at": now_ms,
        }
        # A purge and a move write the file before they look for its text.
        return [
            put(mine, fields, ABSENT if there is None else there.version),
            verify(file.key, file.version),
        ]
