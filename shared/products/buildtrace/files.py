"""Files of revisions: a PDF of one or more sheets, a scan, a photo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.files.file import DOCUMENT_TYPES, SCAN_TYPES, Attachment, Settled
from shared.jobs import job as jobs
from shared.products.buildtrace.settings import BuildTraceSettings
from shared.products.buildtrace.tables import (
    COMPARISONS,
    FILE,
    OCR,
    READING,
    REVISIONS,
    RUNNING,
    WAITING,
    reading_job,
    stage_job,
)
from shared.records import record
from shared.records.bell import Bell
from shared.records.collection import Effects
from shared.records.store import Query, RecordStore, Write
from shared.settings import own

#: Comparisons that wait for one revision, most.
_MOST_WAITING = 50


def _settled(turn: Settled) -> Effects:
    """The first file that is ready is the revision's: it is read, and who waited for it goes on."""
    have = turn.record.fields
    ready = next((file for _, file in sorted(turn.files.items()) if file), None)
    if ready is None or have.get(FILE):
        return Effects()
    revision, scope_id = turn.record.key.id, str(have[record.SCOPE])
    job_id = reading_job(revision)
    read = jobs.create(job_id, OCR, REVISIONS, revision, scope_id, turn.now_ms)
    waiting = list(_waiting(turn.store, revision, scope_id, turn.now_ms))
    fields = {
        FILE: ready,
        "file_url": f"/api/v1/files/{ready}",
        "state": READING,
        "fault": None,
        "message": None,
    }
    return Effects(fields, (read, *waiting), (Bell(OCR, job_id, revision),))


def _waiting(store: RecordStore, revision: str, scope_id: str, now_ms: int) -> list[Write]:
    found: dict[str, dict[str, Any]] = {}
    for side in ("old_revision_id", "new_revision_id"):
        query = Query(COMPARISONS, where=((side, "==", revision),), limit=_MOST_WAITING)
        found |= {each.key.id: each.fields for each in store.query(query)}
    return [
        jobs.create(stage_job(name, OCR), OCR, COMPARISONS, name, scope_id, now_ms)
        for name, have in sorted(found.items())
        if have.get("state") in (WAITING, RUNNING)
        and (have.get("stage"), have[record.SCOPE]) == (OCR, scope_id)
        and have.get(record.DELETED) is None
    ]


#: What a drawing may be sent as.
TYPES = (*DOCUMENT_TYPES, *SCAN_TYPES, "image/png", "image/jpeg")


def attachments() -> Mapping[str, Attachment]:
    """A revision has one file. Of A1 a usual scan, at 300 dpi, has 70 million pixels."""
    most = own(BuildTraceSettings).drawing_bytes
    return {REVISIONS: Attachment(TYPES, _settled, most=1, most_bytes=most, scans=True)}
