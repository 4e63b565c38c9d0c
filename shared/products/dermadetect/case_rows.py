"""Cases as rows of lists: what stands in them, and what is read beside them to show it.

Of a worker the name and the telephone number are shown while she is in the team of the case, of a patient
what people call her, of a photo the link to its smallest version, if links were asked for. All beside a
page of cases is one reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from shared.accounts import people
from shared.jobs import job as jobs
from shared.products.dermadetect import review
from shared.products.dermadetect.answers import sign_lists
from shared.products.dermadetect.intake import age_years, parsed, sex
from shared.products.dermadetect.questions import gather
from shared.products.dermadetect.signal import CHANGED, LOOK, RANK
from shared.products.dermadetect.tables import (
    JOB,
    PHOTOS,
    image_urls,
    known_photos,
    ready_photos,
)
from shared.records import record
from shared.records.store import Document, Key, Snapshot

#: What is read of a case for its row.
LISTED = (
    record.SCOPE,
    record.CREATED,
    record.MODIFIED,
    record.DELETED,
    record.DELETED_BY,
    record.WAITS,
    CHANGED,
    "patient_id",
    "chw_id",
    "status",
    "risk_level",
    "ai_analysis",
    "image_keys",
    PHOTOS,
    RANK,
    JOB,
)

#: What is read of the documents beside it: `reviews`, jobs, patients, people.
BESIDE = (
    "state",
    "attempts",
    "claimed_by",
    "claimed_until",
    "signed_by",
    "signed_at",
    "diagnosis_id",
    "read_at",
    record.SCOPE,
    record.DELETED,
    "demographics",
    *people.FIELDS,
)

#: What is read of a diagnosis.
DIAGNOSIS = (record.SCOPE, record.DELETED, "diagnosis_text", "prescription")

#: Longest text of a patient in a row, characters; the case itself has all of it.
_LONGEST = 200


def keys_beside(cases: Sequence[Document]) -> list[Key]:
    """What must be read to show these cases."""
    keys = [review.key_of(case.key.id) for case in cases]
    keys += [jobs.key(case.fields[JOB]) for case in cases if case.fields.get(JOB)]
    patients = dict.fromkeys(str(case.fields.get("patient_id", "")) for case in cases)
    keys += [Key("patients", each) for each in patients if record.valid_id(each)]
    return keys + people.keys(str(case.fields.get("chw_id", "")) for case in cases)


def holders(cases: Sequence[Document], beside: Snapshot, now_ms: int) -> list[str]:
    """The doctors who have some of these cases in hand."""
    held = (review.claim_of(_done(case, beside), now_ms) for case in cases)
    return list(dict.fromkeys(each[0] for each in held if each is not None))


def entry(
    case: Document, beside: Snapshot, doctors: Snapshot | None, now_ms: int
) -> dict[str, Any]:
    """A case as the list shows it; `doctors` are those who have cases in hand."""
    have = case.fields
    job = beside.documents.get(jobs.key(have.get(JOB) or "none"))
    done = _done(case, beside)
    held = review.claim_of(done, now_ms)
    holder = None
    if held is not None and doctors is not None:
        holder = people.in_scope(doctors, held[0], str(have.get(record.SCOPE)))
    return {
        **_told(case, done),
        "scope_id": have.get(record.SCOPE),
        "patient_id": have.get("patient_id"),
        "patient": _patient(have, beside, now_ms),
        "chw_id": have.get("chw_id"),
        "worker": worker(beside, str(have.get("chw_id") or ""), str(have.get(record.SCOPE))),
        "last_modified_at": have.get(record.MODIFIED),
        "job": None
        if job is None
        else {"state": job.fields.get("state"), "attempts": job.fields.get("attempts", 0)},
        "claimed_by": held and held[0],
        "claimed_name": holder and holder.name,
        "claimed_until": held and held[1],
    }


def of_patient(case: Document, reviews: Snapshot, diagnoses: Snapshot | None) -> dict[str, Any]:
    """A case as it stands beside another one of the same patient."""
    have, done = case.fields, _done(case, reviews)
    key = Key(review.DIAGNOSES, done.get("diagnosis_id") or "none")
    found = None if diagnoses is None else diagnoses.documents.get(key)
    if found is not None and not _there(found, have[record.SCOPE]):
        found = None
    return {
        **_told(case, done),
        "diagnosis": None
        if found is None
        else {name: found.fields.get(name) for name in ("diagnosis_text", "prescription")},
        "site": site(have.get("triage_data")),
        "image_urls": image_urls(have.get("image_keys") or (), have.get(PHOTOS) or {}) or [],
    }


def _done(case: Document, beside: Snapshot) -> Mapping[str, Any]:
    """What doctors did with a case."""
    found = beside.documents.get(review.key_of(case.key.id))
    return {} if found is None else found.fields


def _told(case: Document, done: Mapping[str, Any]) -> dict[str, Any]:
    """What every row of a case says."""
    have = case.fields
    analysis = have.get("ai_analysis")
    keys, photos = have.get("image_keys") or (), have.get(PHOTOS) or {}
    ready = ready_photos(keys, photos)
    return {
        "id": case.key.id,
        "status": have.get("status"),
        "risk_level": have.get("risk_level"),
        "triage_final": None if analysis is None else analysis.get("triage_final"),
        "rank": have.get(RANK, LOOK),
        "reason": reason(have),
        "changed": list(have.get(CHANGED) or ()),
        "deleted_at": have.get(record.DELETED),
        "deleted_by": have.get(record.DELETED_BY),
        "created_at": have.get(record.CREATED),
        "ai": None
        if analysis is None
        else {
            "status": analysis.get("status"),
            "urgency": analysis.get("urgency"),
            "read_at": (analysis.get("provenance") or {}).get("read_at"),
        },
        "images": known_photos(keys, photos),
        "thumbnail": {"id": ready[0], "url": None, "expires_at": None} if ready else None,
        "signed_by": done.get("signed_by"),
        "signed_at": done.get("signed_at"),
        "diagnosis_id": done.get("diagnosis_id"),
        "read_at": done.get("read_at"),
    }


def reason(have: Mapping[str, Any]) -> str | None:
    """Why a case is in the list; None if it is not."""
    if not have.get(record.WAITS):
        return None
    if have.get(record.DELETED) is not None:
        return "deleted_while_waiting"
    return "changed_since_signed" if have.get(CHANGED) else "waits"


def worker(beside: Snapshot, user_id: str, scope_id: str) -> dict[str, Any] | None:
    """The health worker of a case; None for who is not in its team now."""
    found = people.in_scope(beside, user_id, scope_id)
    return None if found is None else {"name": found.name, "phone": found.phone}


def _patient(case: Mapping[str, Any], beside: Snapshot, now_ms: int) -> dict[str, Any] | None:
    """The patient in brief; None for one who is gone, or on the way to another team."""
    found = beside.documents.get(Key("patients", str(case.get("patient_id", ""))))
    if found is None or not _there(found, case.get(record.SCOPE)):
        return None
    return in_brief(
        found.fields.get("demographics"), datetime.fromtimestamp(now_ms / 1000, UTC).date()
    )


def in_brief(demographics: object, today: date) -> dict[str, Any]:
    """Name, age in years, sex and village of a patient's record, each None if it cannot be read."""
    said = parsed(demographics)
    known = said if isinstance(said, dict) else {}
    name = _text(known.get("name"))
    if name is None:
        parts = [_text(known.get(part)) for part in ("first_name", "last_name")]
        name = " ".join(part for part in parts if part) or None
    years = age_years(said, today)
    return {
        "name": name,
        "age": None if years is None else round(years, 1),
        "sex": sex(said),
        "village": _text(known.get("village")),
    }


def site(triage_data: object) -> str | None:
    """Where on the body a case is, in the words of its answers; None if they do not say."""
    for answer in gather(parsed(triage_data))[0]:
        if answer.to.name == "site":
            said = sign_lists.texts(answer.given)
            if text := _text(", ".join(each for each in said if isinstance(each, str))):
                return text
    return None


def _text(value: object) -> str | None:
    """A text on one line, cut at `_LONGEST`."""
    line = " ".join(value.split()) if isinstance(value, str) else ""
    return line[:_LONGEST] or None


def _there(document: Document, scope_id: object) -> bool:
    have = document.fields
    return have.get(record.SCOPE) == scope_id and have.get(record.DELETED) is None
