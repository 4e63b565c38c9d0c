"""BuildTrace: a project's drawings, their revisions, and what changed between two of them.

The scope is the project. Drawings, revisions, comparisons and remarks are written by phones and pages,
offline too; sheets, stages, pairs, changes and summaries are the server's.

    drawings ─ revisions ─ sheets
       └────── comparisons ─ job_stages
                    ├─────── sheet_pairs ─ changes ─ remarks
                    └─────── summaries

A comparison is a record, and the job that makes it: its stages `ocr`, `diff` and `summary` are jobs of the
engine, each due in the commit that finishes the one before (`stages.py`).
"""

from __future__ import annotations

import hashlib

from shared.jobs import job as jobs
from shared.jobs.cascade import cascade
from shared.products.buildtrace.rights import RIGHTS
from shared.records import record
from shared.records.bell import Bell
from shared.records.collection import Catalog, Collection, Effects, Field, Owner, Turn, Type
from shared.records.store import Key, Write, patch, put

DRAWINGS = "drawings"
REVISIONS = "revisions"
SHEETS = "sheets"
COMPARISONS = "comparisons"
STAGES = "job_stages"
PAIRS = "sheet_pairs"
CHANGES = "changes"
REMARKS = "remarks"
SUMMARIES = "summaries"

#: The kinds of jobs, which are the stages of a comparison; the first also reads what was uploaded.
OCR, DIFF, SUMMARY = "ocr", "diff", "summary"
STAGE_NAMES = (OCR, DIFF, SUMMARY)

#: States of a comparison and of its stages.
WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
STATES = (WAITING, RUNNING, DONE, FAILED, CANCELLED)

#: States of a revision: its file is not there; it is being read; it was; it cannot be.
NO_FILE, READING, READ, REFUSED = "no_file", "reading", "read", "refused"

#: What became of a pair of sheets.
PENDING, SAME, CHANGED = "pending", "same", "changed"
NOT_ALIGNED, ADDED, REMOVED, UNREADABLE = "could_not_align", "added", "removed", "unreadable"
OUTCOMES = (PENDING, SAME, CHANGED, NOT_ALIGNED, ADDED, REMOVED, UNREADABLE)

#: The job that a comparison waits for; never sent to phones.
JOB = "_job"

#: The file of a revision, once it is ready. Never sent to phones.
FILE = "_file"

#: How long a comparison waits for a file before it looks again by itself, ms.
WAITS_MS = 3_600_000

_NAME, _TEXT = 200, 5000


def made_id(*parts: object) -> str:
    """The id of a record that the server makes: the same for the same parts."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]


def stage_id(comparison: str, stage: str) -> str:
    """The id of a stage's row."""
    return made_id(comparison, stage)


def stage_job(comparison: str, stage: str) -> str:
    """The job of a stage of a comparison."""
    return f"{stage}~{comparison}"


def reading_job(revision: str) -> str:
    """The job that reads a revision when its file has come."""
    return f"{OCR}~of~{revision}"


def _text(name: str, doc: str, length: int = _TEXT, *, required: bool = False) -> Field:
    return Field(name, Type.STRING, doc, required=required, max_length=length)


def _own(name: str, kind: Type, doc: str, **more: object) -> Field:
    return Field(name, kind, doc, Owner.SERVER, **more)  # type: ignore[arg-type]


def _of(table: str, name: str, doc: str) -> Field:
    return Field(name, Type.STRING, doc, Owner.SERVER, references=table)


_MADE_BY = _own("made_by", Type.STRING, "The user who made the record.")
_FAULT = (
    _own("fault", Type.STRING, "A stable code; null: none."),
    _own("message", Type.STRING, "What it means, and what to do."),
)


def _made(turn: Turn) -> Effects:
    return Effects() if turn.before is not None else Effects({"made_by": turn.author_id})


def _revision(turn: Turn) -> Effects:
    if turn.before is not None:
        return Effects()
    return Effects({"made_by": turn.author_id, "state": NO_FILE})


def _comparison(turn: Turn) -> Effects:
    """A new one has its stages and its first job; a cancelled one stops where it is."""
    if turn.before is None:
        fields = {"made_by": turn.author_id, **begun(turn.id, OCR)}
        if turn.values.get("cancelled"):
            return Effects({**fields, "state": CANCELLED})
        return Effects(fields, begin(turn.id, turn.scope_id, turn.now_ms), bells(turn.id, OCR))
    was, now = turn.before.get("state"), bool(turn.values.get("cancelled"))
    if now and was in (WAITING, RUNNING):
        stage = str(turn.before.get("stage"))
        row = Key(STAGES, stage_id(turn.id, stage))
        fields = {"state": CANCELLED, "ended_at": turn.now_ms, record.MODIFIED: turn.now_ms}
        return Effects({"state": CANCELLED, "ended_at": turn.now_ms}, (patch(row, fields, None),))
    if not now and was == CANCELLED:
        stage = str(turn.before.get("stage"))
        return Effects(
            begun(turn.id, stage),
            begin(turn.id, turn.scope_id, turn.now_ms, stage),
            bells(turn.id, stage),
        )
    return Effects()


def _comparison_back(turn: Turn) -> Effects:
    """A deleted one comes back: what it was doing goes on."""
    before = turn.before or {}
    if before.get("state") not in (WAITING, RUNNING):
        return Effects()
    stage = str(before.get("stage"))
    return Effects({}, (_job(turn.id, stage, turn.scope_id, turn.now_ms),), bells(turn.id, stage))


def begun(comparison: str, stage: str) -> dict[str, object]:
    """Columns of a comparison that waits for a stage."""
    return {
        "state": WAITING,
        "stage": stage,
        "ended_at": None,
        "fault": None,
        "message": None,
        JOB: stage_job(comparison, stage),
    }


def begin(comparison: str, scope_id: str, now_ms: int, stage: str = OCR) -> tuple[Write, ...]:
    """The rows of a stage and of those behind it, which wait, and the job of that stage."""
    rows = tuple(
        stage_row(comparison, each, scope_id, now_ms)
        for each in STAGE_NAMES[STAGE_NAMES.index(stage) :]
    )
    return (*rows, _job(comparison, stage, scope_id, now_ms))


def stage_row(comparison: str, stage: str, scope_id: str, now_ms: int) -> Write:
    """A stage that waits."""
    fields = {
        "comparison_id": comparison,
        "stage": stage,
        "state": WAITING,
        "done": 0,
        record.SCOPE: scope_id,
        record.CREATED: now_ms,
        record.MODIFIED: now_ms,
    }
    return put(Key(STAGES, stage_id(comparison, stage)), fields, None)


def bells(comparison: str, stage: str) -> tuple[Bell, ...]:
    """What to ring for after the commit that makes a stage due."""
    return (Bell(stage, stage_job(comparison, stage), comparison),)


def _job(comparison: str, stage: str, scope_id: str, now_ms: int) -> Write:
    return jobs.create(
        stage_job(comparison, stage), stage, COMPARISONS, comparison, scope_id, now_ms
    )


def _stages(table: str, record_id: str) -> tuple[Key, ...]:
    if table != COMPARISONS:
        return ()
    return tuple(Key(STAGES, stage_id(record_id, stage)) for stage in STAGE_NAMES)


CATALOG = Catalog(
    name="buildtrace",
    scope_word="project",
    cascade=cascade,
    roles=RIGHTS.roles,
    may=RIGHTS.may,
    maker="made_by",
    job_rows=COMPARISONS,
    stages=_stages,
    collections=(
        Collection(
            DRAWINGS,
            "A drawing, or a set of them that is issued together.",
            (
                _text("name", "What people call it.", _NAME, required=True),
                _text("discipline", "Architecture, structure, electrical.", 60),
                _text("note", "What else is to be remembered."),
                _MADE_BY,
            ),
            effects=_made,
            label=lambda fields: str(fields.get("name") or ""),
        ),
        Collection(
            REVISIONS,
            "One issue of a drawing: a PDF of one or more sheets, or a scan.",
            (
                Field(
                    "drawing_id",
                    Type.STRING,
                    "The drawing.",
                    required=True,
                    references=DRAWINGS,
                ),
                _text("label", "As the title block says it: `C2`.", 60),
                _text("issued_on", "YYYY-MM-DD.", 30),
                _text("note", "What else is to be remembered."),
                _own("file_url", Type.STRING, "Where its file is; null: it has not come."),
                _own(
                    "state",
                    Type.STRING,
                    "Where reading it stands.",
                    choices=(NO_FILE, READING, READ, REFUSED),
                ),
                _own("sheet_count", Type.INTEGER, "Sheets that it has."),
                _own("sheets_read", Type.INTEGER, "Sheets that were read."),
                *_FAULT,
                _MADE_BY,
            ),
            effects=_revision,
            label=lambda fields: str(fields.get("label") or ""),
        ),
        Collection(
            SHEETS,
            "A sheet of a revision, with what its title block says.",
            (
                _of(REVISIONS, "revision_id", "The revision."),
                _own("place", Type.INTEGER, "Its page in the file, from 1."),
                _own("number", Type.STRING, "Sheet number: `A-101`."),
                _own("title", Type.STRING, "Sheet title."),
                _own("revision", Type.STRING, "Revision, as the title block says it."),
                _own("scale", Type.STRING, "Scale, as the title block says it."),
                _own("confidence", Type.NUMBER, "Of the sheet number, 0 to 1."),
                _own("scanned", Type.BOOLEAN, "A picture, without lines or text of its own."),
                _own("width_mm", Type.NUMBER, "Paper."),
                _own("height_mm", Type.NUMBER, "Paper."),
                _own("words", Type.INTEGER, "Words that were read."),
                *_FAULT,
            ),
            pushable=False,
            label=lambda fields: str(fields.get("number") or ""),
        ),
        Collection(
            COMPARISONS,
            "Two revisions of a drawing, and what changed. Making one starts its job.",
            (
                Field(
                    "drawing_id",
                    Type.STRING,
                    "The drawing.",
                    required=True,
                    references=DRAWINGS,
                ),
                _text("old_revision_id", "The revision before.", 128, required=True),
                _text("new_revision_id", "The revision after.", 128, required=True),
                Field(
                    "cancelled",
                    Type.BOOLEAN,
                    "True stops it where it is; false again goes on.",
                    default=False,
                ),
                _own("state", Type.STRING, "Where it stands.", choices=STATES),
                _own("stage", Type.STRING, "The stage that it is in.", choices=STAGE_NAMES),
                _own("sheets", Type.MAP, "How many pairs have which outcome."),
                _own("counts", Type.MAP, "How many changes of which kind."),
                _own(
                    "result", Type.STRING, "SHA-256 of all that was found: equal for equal input."
                ),
                _own("ended_at", Type.TIME, "When it was done, or stopped."),
                *_FAULT,
                _MADE_BY,
            ),
            context=("state", "stage"),
            effects=_comparison,
            restored=_comparison_back,
        ),
        Collection(
            STAGES,
            "A stage of a comparison: `ocr` reads, `diff` compares, `summary` tells.",
            (
                _of(COMPARISONS, "comparison_id", "The comparison."),
                _own("stage", Type.STRING, "Which.", choices=STAGE_NAMES),
                _own("state", Type.STRING, "Where it stands.", choices=STATES),
                _own("done", Type.INTEGER, "Sheets, or pairs of them, that are done."),
                _own("total", Type.INTEGER, "Of so many; null: not known yet."),
                _own("started_at", Type.TIME, "When it began."),
                _own("ended_at", Type.TIME, "When it ended."),
                *_FAULT,
            ),
            pushable=False,
        ),
        Collection(
            PAIRS,
            "A sheet before and after, or one that was added or removed.",
            (
                _of(COMPARISONS, "comparison_id", "The comparison."),
                _own("place", Type.INTEGER, "Its place in the list."),
                _own("old_sheet_id", Type.STRING, "The sheet before; null: it was added."),
                _own("new_sheet_id", Type.STRING, "The sheet after; null: it was removed."),
                _own("number", Type.STRING, "Sheet number."),
                _own("title", Type.STRING, "Sheet title."),
                _own("renamed", Type.BOOLEAN, "Its number was another one."),
                _own("why", Type.STRING, "Why these two are taken for the same sheet."),
                _own("outcome", Type.STRING, "What became of it.", choices=OUTCOMES),
                _own("counts", Type.MAP, "How many changes of which kind."),
                _own("error_px", Type.NUMBER, "How far corners are off after alignment."),
                _own("overlay_url", Type.STRING, "The overlay, a PDF."),
                _own(
                    "tiles", Type.MAP, "Its pictures: side of a tile, size in pixels, zoom levels."
                ),
                *_FAULT,
            ),
            pushable=False,
            context=("comparison_id",),
            label=lambda fields: str(fields.get("number") or ""),
        ),
        Collection(
            CHANGES,
            "One change of a sheet, in a cloud.",
            (
                _of(PAIRS, "pair_id", "The pair of sheets."),
                _own("comparison_id", Type.STRING, "The comparison."),
                _own("place", Type.INTEGER, "Its place in the list."),
                _own(
                    "kind",
                    Type.STRING,
                    "`added`, `removed`, `moved`, `replaced`, `text_changed` or `dimension_changed`.",
                ),
                _own(
                    "region",
                    Type.STRING,
                    "Where on the sheet: `drawing`, `title_block` or `margin`.",
                ),
                _own("x_mm", Type.NUMBER, "From the left of the new sheet."),
                _own("y_mm", Type.NUMBER, "From its top."),
                _own("width_mm", Type.NUMBER, "Of its cloud."),
                _own("height_mm", Type.NUMBER, "Of its cloud."),
                _own("old_text", Type.STRING, "What stood there."),
                _own("new_text", Type.STRING, "What stands there."),
                _own("old_place", Type.MAP, "Where it was: left, top, right, bottom in mm."),
                _own("outline", Type.MAP, "Its cloud: x and y of each corner in mm."),
                _own("part", Type.STRING, "Where on the sheet, in words: `top left`."),
                _own("moved_mm", Type.NUMBER, "How far it moved, on paper."),
                _own("confidence", Type.NUMBER, "0 to 1."),
            ),
            pushable=False,
        ),
        Collection(
            REMARKS,
            "What somebody says of a change: seen, and a comment.",
            (
                Field(
                    "change_id",
                    Type.STRING,
                    "The change.",
                    required=True,
                    references=CHANGES,
                ),
                Field("checked", Type.BOOLEAN, "It was looked at.", default=False),
                _text("comment", "What is to be done about it."),
                _MADE_BY,
            ),
            effects=_made,
        ),
        Collection(
            SUMMARIES,
            "What changed, in sentences; each names the changes that it is about.",
            (
                _of(COMPARISONS, "comparison_id", "The comparison."),
                _own("place", Type.INTEGER, "Its place in the list."),
                _own("about", Type.STRING, "`all`, `trade` or `sheet`."),
                _own("subject", Type.STRING, "Which trade or sheet."),
                _own("text", Type.STRING, "The sentences."),
                _own("changes", Type.STRINGS, "Changes that they are about, by id."),
                _own("writer", Type.STRING, "The model that wrote it, or `rules`."),
            ),
            pushable=False,
        ),
    ),
)
