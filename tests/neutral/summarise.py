"""The job `summarise`: a note gets what the model makes of it.

Whatever happens, the note ends with a summary: the model's, or one that says why there is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.ai.conversation import Terms, as_data
from shared.ai.model import ChatRequest
from shared.errors import ContractBroken, Fault
from shared.jobs.job import Job
from shared.jobs.runner import Finish, Task
from shared.notify import notice
from shared.records import record
from shared.records.store import Document, Key, RecordStore, Write, put
from tests.neutral.tables import JOB, QUEUE, queue_row

SYSTEM = 'You summarise notes. Answer with JSON: {"summary": "…"}.'


def draft(question: ChatRequest) -> Mapping[str, Any]:
    """What a model should say: the same to the same note."""
    return {"summary": f"{len(question.text)} characters"}


def parse(text: str) -> str:
    """The summary in an answer. Raises `ContractBroken`."""
    try:
        return str(json.loads(text)["summary"])
    except (ValueError, KeyError, TypeError):
        raise ContractBroken("The answer must be JSON with a summary.") from None


class Summarise(Task):
    """The task of kind `summarise`. `clock` gives server ms."""

    longest_seconds = 0.0

    def __init__(
        self, store: RecordStore, terms: Callable[[], Terms], clock: Callable[[], int]
    ) -> None:
        self._store, self._terms, self._clock = store, terms, clock

    def started(self, job: Job, now_ms: int) -> Sequence[Write]:
        """The phone sees that its note is being read."""
        return self._row(job, "processing", job.attempts + 1, now_ms)

    def postponed(self, job: Job, now_ms: int) -> Sequence[Write]:
        """The phone sees that its note waits again."""
        return self._row(job, "queued", job.attempts, now_ms)

    def work(self, job: Job) -> Finish:
        """Ask the model."""
        note = self._note(job)
        if note is None:
            return lambda _now: None
        with self._terms().begin(1) as conversation:
            said = conversation.ask(SYSTEM, as_data(note.fields.get("body")), (), parse)
        return self._finish(job, {"status": "ok", "text": said}, "done")

    def gave_up(self, job: Job, fault: Fault) -> Finish:
        """The note says that it has no summary, and why."""
        return self._finish(job, _none(fault.code, isinstance(fault, ContractBroken)), "failed")

    def late(self, job: Job, code: str, now_ms: int) -> Sequence[Write]:
        """The note says at once that it waits for its summary; an earlier one stays."""
        note = self._note(job)
        if note is None or note.fields.get("summary") is not None:
            return ()
        return (record.server_patch(note, {"summary": _told(note, _none(code))}),)

    def _finish(self, job: Job, summary: Mapping[str, Any], status: str) -> Finish:
        def finish(now_ms: int) -> Sequence[Write] | None:
            note = self._note(job)
            if note is None:
                return None
            scope_id, told = str(note.fields[record.SCOPE]), _told(note, summary)
            reading = {
                "table": note.key.collection,
                "record_id": note.key.id,
                record.SCOPE: scope_id,
                "at": now_ms,
                "summary": json.dumps(told),
            }
            ended = (job.id, status, job.attempts, job.created_at, now_ms)
            return (
                record.server_patch(note, {"summary": told}),
                put(Key("readings", f"{job.id}~{job.token}"), reading, None),
                queue_row(note.key.id, scope_id, *ended),
                notice.due(job.id, note.key.id, scope_id, now_ms),
            )

        return finish

    def _row(self, job: Job, status: str, attempts: int, now_ms: int) -> Sequence[Write]:
        """The phones' row about this job, unless it speaks of a newer job or is deleted."""
        key = Key(QUEUE, job.subject_id)
        row = self._store.read([key], (JOB, record.SCOPE, record.DELETED)).documents.get(key)
        if row is None or row.fields.get(JOB) != job.id or row.fields.get(record.DELETED):
            return ()
        about = (row.fields[record.SCOPE], job.id, status, attempts, job.created_at, now_ms)
        return (queue_row(job.subject_id, *about, row.version),)

    def _note(self, job: Job) -> Document | None:
        """The note as it is now; None if it is gone, or if another job is about its newer content."""
        key = Key(job.table, job.subject_id)
        note = self._store.read([key]).documents.get(key)
        if note is None or note.fields.get(record.DELETED) is not None:
            return None
        return note if note.fields.get(JOB) == job.id else None


def _none(code: str, broken: bool = False) -> dict[str, Any]:
    return {"status": "unreadable" if broken else "unavailable", "reason": code}


def _told(note: Document, summary: Mapping[str, Any]) -> dict[str, Any]:
    """A summary as the note shows it: a person looks at each."""
    return {**summary, "mark": note.fields.get("mark"), "needs_a_person": True}
