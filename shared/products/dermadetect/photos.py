"""Photos of DermaDetect's cases: which are there, and when the analysis of a red case may begin.

A case names its photos (`image_keys`); the server knows which are settled (`PHOTOS`: key → file id, ""
for one that will not come). What is ready is shown for good, whether the row names it or not: rows are
written by phones that may not know of it yet. The analysis of a red case waits for the last photo, but not
for long: then it is read with what is there. Photos that come after that make it be read once more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from shared.files.file import (
    BLOBS,
    FILES,
    PHOTO_TYPES,
    READY,
    Attachment,
    Settled,
    plain_key,
    shown,
)
from shared.jobs import job as jobs
from shared.products.dermadetect.signal import listed_again
from shared.products.dermadetect.tables import (
    ANALYSE,
    DIAGNOSED,
    JOB,
    PENDING,
    PHOTOS,
    analysis_job,
    image_url,
    image_urls,
    queue_row,
    ready_photos,
)
from shared.products.dermadetect.waiting_for_photos import still_awaited
from shared.records import record
from shared.records.bell import Bell
from shared.records.collection import Effects
from shared.records.store import Document, Key, Query, RecordStore, Write

#: What a doctor is told of a photo, beside who sent it.
_TOLD = ("id", "key", "name", "state", "code", "message", "type", "bytes")
_SEEN = ("width", "height", "quality", "incomplete")

#: Photos of a case that are shown. A record may have 100; another table's of the same id count along.
_MOST_SHOWN = 200


def settled(turn: Settled) -> Effects:
    """What news of its photos change in a case."""
    case = turn.record.fields
    photos = {**(case.get(PHOTOS) or {}), **turn.files}
    keys = case.get("image_keys") or ()
    fields: dict[str, Any] = {PHOTOS: photos, "image_urls": image_urls(keys, photos)}
    job_id = case.get(JOB)
    news = any(turn.files.values())
    signed = case.get("status") == DIAGNOSED
    if case.get(record.DELETED) is not None:
        return Effects(fields)
    if signed and news:
        fields |= listed_again(case, ["image_urls"])
    if job_id is None or still_awaited(keys, photos) or (signed and not news):
        return Effects(fields)
    found = turn.store.read([jobs.key(job_id)]).documents.get(jobs.key(job_id))
    if found is None:
        return Effects(fields)
    job = jobs.Job.of(found)
    if job.state == jobs.AWAITING_FILES:
        due = job.move(jobs.QUEUED, turn.now_ms, due_at=turn.now_ms)
        return Effects(fields, (due,), (Bell(ANALYSE, job.id, job.subject_id),))
    if job.state == jobs.QUEUED or not news:
        return Effects(fields)  # it reads what is there when it begins
    return _again(turn.record, job, fields, photos, turn.now_ms)


def _again(
    case: Document,
    job: jobs.Job,
    fields: dict[str, Any],
    photos: Mapping[str, str],
    now_ms: int,
) -> Effects:
    """A job that looks at the late photos too; what the one before it may still say is stale."""
    base = "~".join(job.id.split("~")[:3])
    name = hashlib.sha256(record.canonical(dict(photos)).encode()).hexdigest()[:16]
    job_id, scope_id = f"{base}~{name}", str(case.fields[record.SCOPE])
    signed = case.fields.get("status") == DIAGNOSED
    writes: Sequence[Write] = (
        analysis_job(job_id, case.key.id, scope_id, now_ms, job.priority, jobs.QUEUED, now_ms),
        queue_row(case.key.id, scope_id, job_id, "queued", 0, now_ms, now_ms),
    )
    return Effects(
        {**fields, JOB: job_id, "status": DIAGNOSED if signed else PENDING},
        tuple(writes),
        (Bell(ANALYSE, job_id, case.key.id),),
    )


def photos_of(store: RecordStore, case: Document) -> list[dict[str, Any]]:
    """Every photo of a case that a phone announced, for a doctor: what is ready in the order of
    `image_urls`, then what is under way or was refused, by key.

    `url` is where it can be looked at, None while it cannot; `named`: the row names it; `at` in ms.
    """
    query = Query(FILES, where=(("record_id", "==", case.key.id),), limit=_MOST_SHOWN)
    scope_id, keys = case.fields[record.SCOPE], case.fields.get("image_keys") or ()
    files = {
        each.fields["key"]: each
        for each in store.query(query)
        if (each.fields["table"], each.fields[record.SCOPE]) == (case.key.collection, scope_id)
    }
    wanted = sorted({Key(BLOBS, each.fields["blob"]) for each in files.values()})
    blobs = store.read(wanted).documents if wanted else {}
    ready = {key: each.key.id for key, each in files.items() if each.fields["state"] == READY}
    order = {file: place for place, file in enumerate(ready_photos(keys, ready))}
    named = set(map(plain_key, keys))

    def told(key: str, file: Document) -> dict[str, Any]:
        value = shown(file, blobs.get(Key(BLOBS, file.fields["blob"])))
        return {
            **{name: value.get(name) for name in (*_TOLD, *_SEEN)},
            "url": image_url(file.key.id) if file.key.id in order else None,
            "named": plain_key(key) in named,
            "user_id": file.fields.get(record.AUTHOR),
            "device": file.fields.get("device"),
            "at": file.fields.get("at"),
        }

    listed = sorted(
        files.items(), key=lambda item: (order.get(item[1].key.id, len(order)), item[0])
    )
    return [told(key, file) for key, file in listed]


#: DermaDetect's files: photos of cases.
ATTACHMENTS: dict[str, Attachment] = {"cases": Attachment(PHOTO_TYPES, settled)}
