"""Notebooks, the notes in them, and where the summary of a note stands.

A note that is marked red, or whose mark nobody can read, is to be summarised: that is a job in the commit
that stores it, and the note waits until somebody has signed it. The job awaits the note's pictures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from shared.access.rights import Action, Right, Rights
from shared.files.file import PHOTO_TYPES, Attachment, PhotoLimits, Settled, plain_key
from shared.jobs import job as jobs
from shared.jobs.cascade import cascade
from shared.records import record
from shared.records.bell import Bell
from shared.records.collection import Catalog, Collection, Effects, Field, Merge, Owner, Turn, Type
from shared.records.store import Key, Write, put

KEPT, WAITING, SIGNED = "KEPT", "WAITING", "SIGNED"
GREEN, YELLOW, RED, UNKNOWN = "green", "yellow", "red", "unknown"


class NoteAction(Right):
    """What is asked about notes, beside what the engine asks."""

    SEE_UNSIGNED = "see_unsigned"  #: the whole summary before somebody signed the note


RIGHTS = Rights(
    ("member", "doctor", "supervisor", "admin"),
    {
        Action.READ: frozenset({"member", "doctor", "supervisor", "admin"}),
        Action.WRITE: frozenset({"member", "supervisor", "admin"}),
        Action.UNDELETE: frozenset({"supervisor", "admin"}),
        Action.MOVE: frozenset({"supervisor", "admin"}),
        Action.EXPORT: frozenset({"supervisor", "admin"}),
        Action.SUPERVISE: frozenset({"supervisor", "admin"}),
        Action.INBOX: frozenset({"doctor", "supervisor", "admin"}),
        Action.UNFILED: frozenset({"admin"}),
        Action.JOB_HISTORY: frozenset({"doctor", "supervisor", "admin"}),
        Action.HOOKS: frozenset({"admin"}),
        Action.TRAIL: frozenset({"admin"}),
        Action.ADMINISTER: frozenset({"admin"}),
        Action.ALERT: frozenset({"doctor", "supervisor", "admin"}),
        NoteAction.SEE_UNSIGNED: frozenset({"doctor", "supervisor", "admin"}),
    },
)

#: When a picture is worth taking again.
PHOTO_LIMITS = PhotoLimits("1", 0.17, 24, 0.25, 0.005, 600, 0.06)

#: The job that asks the model for a summary.
SUMMARISE = "summarise"

#: The job that summarises a note's present content; results of any other are stale.
JOB = "_job"

#: Pictures of a note that are settled: key → file id, "" for one that will not come.
PICTURES = "_pictures"

#: How long a summary waits for pictures, and when somebody is told that it takes long, ms.
PICTURES_WAIT_MS = 30 * 60_000
LATE_AFTER_MS = 20_000

#: The table that mirrors the jobs for the phones.
QUEUE = "summary_queue"

#: What phones see of a summary before somebody has signed it.
_SHOWN = ("status", "urgency", "mark", "needs_a_person")


def _notebook_effects(turn: Turn) -> Effects:
    return Effects({"maker_id": turn.author_id} if turn.before is None else {})


def _note_effects(turn: Turn) -> Effects:
    before = turn.before or {}
    fields: dict[str, Any] = {} if turn.before is not None else {"maker_id": turn.author_id}
    keys, pictures = turn.values.get("picture_keys") or (), before.get(PICTURES) or {}
    if pictures:
        fields["picture_urls"] = _urls(pictures)
    status, mark = before.get("status", KEPT), turn.values.get("mark")
    if status == SIGNED or (status == KEPT and mark not in (RED, UNKNOWN, None)):
        return Effects(fields)
    fields |= {"status": WAITING, record.WAITS: True}
    job_id = _job_id(turn)
    if before.get(JOB) == job_id:
        return Effects(fields)
    fields[JOB] = job_id
    state, due_ms = jobs.QUEUED, turn.now_ms
    bells: tuple[Bell, ...] = (Bell(SUMMARISE, job_id, turn.id),)
    if _awaited(keys, pictures):
        state, due_ms, bells = jobs.AWAITING_FILES, turn.now_ms + PICTURES_WAIT_MS, ()
    job = jobs.create(
        job_id,
        SUMMARISE,
        turn.table,
        turn.id,
        turn.scope_id,
        turn.now_ms,
        priority=1,
        state=state,
        due_ms=due_ms,
        late_after_ms=LATE_AFTER_MS,
    )
    row = queue_row(turn.id, turn.scope_id, job_id, "queued", 0, turn.now_ms, turn.now_ms)
    return Effects(fields, (job, row), bells)


def _note_restored(turn: Turn) -> Effects:
    """Its job may have ended as stale while it was deleted."""
    before = {name: value for name, value in (turn.before or {}).items() if name != JOB}
    return _note_effects(turn._replace(before=before))


def _job_id(turn: Turn) -> str:
    """A job's identity: the note and what would be summarised."""
    looked_at = [turn.values.get(name) for name in ("body", "mark", "picture_keys")]
    text = record.canonical([*looked_at, (turn.parent or {}).get("cover")])
    return f"{SUMMARISE}~{turn.id}~{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def queue_row(
    note_id: str,
    scope_id: str,
    job_id: str,
    status: str,
    attempts: int,
    created_ms: int,
    now_ms: int,
    expect: int | None = None,
) -> Write:
    """The row that tells the phones where a note's summary stands. One a note."""
    return put(
        Key(QUEUE, note_id),
        {
            "note_id": note_id,
            "status": status,
            "attempts": attempts,
            JOB: job_id,
            record.SCOPE: scope_id,
            record.CREATED: created_ms,
            record.MODIFIED: now_ms,
        },
        expect,
    )


def _awaited(keys: Any, pictures: Mapping[str, str]) -> bool:
    settled = set(map(plain_key, pictures))
    return any(plain_key(key) not in settled for key in keys)


def _urls(pictures: Mapping[str, str]) -> list[str] | None:
    return [f"/api/v1/files/{file}" for _, file in sorted(pictures.items()) if file] or None


def _settled(turn: Settled) -> Effects:
    """What news of its pictures change in a note."""
    note = turn.record.fields
    pictures = {**(note.get(PICTURES) or {}), **turn.files}
    fields: dict[str, Any] = {PICTURES: pictures, "picture_urls": _urls(pictures)}
    job_id = note.get(JOB)
    if note.get(record.DELETED) is not None or job_id is None:
        return Effects(fields)
    found = turn.store.read([jobs.key(job_id)]).documents.get(jobs.key(job_id))
    if found is None or found.fields["state"] != jobs.AWAITING_FILES:
        return Effects(fields)
    if _awaited(note.get("picture_keys") or (), pictures):
        return Effects(fields)
    due = jobs.Job.of(found).move(jobs.QUEUED, turn.now_ms, due_at=turn.now_ms)
    return Effects(fields, (due,), (Bell(SUMMARISE, job_id, turn.record.key.id),))


def _redact(row: dict[str, Any], role: str) -> dict[str, Any]:
    summary = row.get("summary")
    if not summary or row.get("status") == SIGNED or RIGHTS.may(role, NoteAction.SEE_UNSIGNED):
        return row
    return {**row, "summary": {name: summary[name] for name in _SHOWN if name in summary}}


def _notebook_label(fields: Mapping[str, Any]) -> str:
    cover = fields.get("cover")
    return str(orjson.loads(cover).get("title", "")) if cover else ""


def _urgent(table: str, values: Mapping[str, Any]) -> bool:
    mark = values.get("mark")
    spec = CATALOG.by_name["notes"].by_name["mark"]
    return table == "notes" and mark is not None and spec.choice(mark) in (None, UNKNOWN, RED)


CATALOG = Catalog(
    name="notebooks",
    scope_word="team",
    cascade=cascade,
    roles=RIGHTS.roles,
    may=RIGHTS.may,
    people="notebooks",
    person_word="owner",
    maker="maker_id",
    urgent=_urgent,
    collections=(
        Collection(
            "notebooks",
            "What the notes of one subject are in.",
            (
                Field("cover", Type.JSON, "What stands on it.", default={}),
                Field("maker_id", Type.STRING, "Who made it.", Owner.SERVER),
            ),
            context=("cover",),
            effects=_notebook_effects,
            label=_notebook_label,
        ),
        Collection(
            "notes",
            "One note.",
            (
                Field(
                    "notebook_id",
                    Type.STRING,
                    "The notebook it is in.",
                    required=True,
                    references="notebooks",
                ),
                Field("maker_id", Type.STRING, "Who made it.", Owner.SERVER),
                Field("body", Type.JSON, "What was written.", default={}),
                Field("summary", Type.MAP, "What the model made of it.", Owner.SERVER),
                Field(
                    "status",
                    Type.STRING,
                    "Only moves forward.",
                    Owner.SERVER,
                    default=KEPT,
                    choices=(KEPT, WAITING, SIGNED),
                ),
                Field(
                    "mark",
                    Type.STRING,
                    "How its writer marked it; red asks for a summary.",
                    default=UNKNOWN,
                    choices=(GREEN, YELLOW, UNKNOWN, RED),
                    aliases={"low": GREEN, "medium": YELLOW, "high": RED},
                    unreadable=UNKNOWN,
                    merge=Merge.MOST,
                ),
                Field("picture_keys", Type.STRINGS, "Its pictures.", merge=Merge.UNION),
                Field("picture_urls", Type.STRINGS, "Where they are.", Owner.SERVER),
                Field("weight", Type.NUMBER, "In grams.", low=0, high=5000),
                Field("page", Type.INTEGER, "Where it stands.", low=1, high=10_000),
                Field("pinned", Type.BOOLEAN, "Whether it comes first."),
                Field("remind_at", Type.TIME, "When to remind of it."),
            ),
            context=(JOB, PICTURES, record.WAITS),
            effects=_note_effects,
            restored=_note_restored,
            redact=_redact,
        ),
        Collection(
            QUEUE,
            "Where the summary of a note stands.",
            (
                Field("note_id", Type.STRING, "The note.", Owner.SERVER, references="notes"),
                Field(
                    "status",
                    Type.STRING,
                    "Where it stands.",
                    Owner.SERVER,
                    choices=("queued", "processing", "done", "failed"),
                ),
                Field("attempts", Type.INTEGER, "Attempts so far.", Owner.SERVER),
            ),
            pushable=False,
        ),
    ),
)

ATTACHMENTS: dict[str, Attachment] = {"notes": Attachment(PHOTO_TYPES, _settled)}
