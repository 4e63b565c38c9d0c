"""The stages of a comparison, each a job of the engine: `ocr` reads, `diff` compares, `summary` tells.

    ocr      sheets of both revisions, a few in each go, unless they were read before
    diff     which sheets belong together; then a pair in each go
    summary  what changed, in sentences that name the changes

Every go is one commit: what was found, how far the stage is, and when the job is due again, or the next
stage's job. Killed anywhere, what is stored stays and the rest is done again. What equal bytes gave before
in the project is taken from there. A comparison that was cancelled or deleted meanwhile ends the job as
stale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shared.errors import Fault, FileRefused, StoreUnavailable
from shared.files.file import BLOBS, FILES, READY, original_name
from shared.files.store import FileStore
from shared.jobs import job as jobs
from shared.jobs.job import Job
from shared.jobs.runner import Again, Finish, Task
from shared.products.buildtrace.tables import (
    CHANGES,
    COMPARISONS,
    DONE,
    FAILED,
    FILE,
    JOB,
    PAIRS,
    RUNNING,
    SHEETS,
    STAGES,
    SUMMARIES,
    WAITING,
    bells,
    stage_id,
    stage_job,
)
from shared.records import record
from shared.records.bell import Bell
from shared.records.store import (
    Document,
    Key,
    Query,
    RecordStore,
    StoredCollection,
    Write,
    patch,
)

#: What sheets are known by, as JSON, under the id of the sheet. They go where their sheet goes.
FACTS = "sheet_facts"

#: What a sheet, or a pair of them, was made of: equal for equal bytes in one project. Never sent to phones.
CONTENT = "_content"

STORED = (
    StoredCollection(FACTS, (("record_id",),)),
    StoredCollection(SHEETS, ((CONTENT,), ("revision_id",))),
    StoredCollection(PAIRS, ((CONTENT,), ("comparison_id",))),
    StoredCollection(CHANGES, (("comparison_id",), ("pair_id",))),
    StoredCollection(STAGES, (("comparison_id",),)),
    StoredCollection(SUMMARIES, (("comparison_id",),)),
    StoredCollection(COMPARISONS, (("old_revision_id",), ("new_revision_id",))),
)


class DrawingStage(Task):
    """What the stages have in common. `ring` is told what a commit made due."""

    longest_seconds = 120.0
    name = ""

    def __init__(
        self,
        store: RecordStore,
        files: Callable[[], FileStore],
        ring: Callable[[Sequence[Bell]], None],
    ) -> None:
        self.store, self.files, self._ring = store, files, ring
        self._bells: dict[str, tuple[Bell, ...]] = {}

    def gave_up(self, job: Job, fault: Fault) -> Finish:
        """The comparison says where it ended, and may be tried again from there."""
        words = "This could not be finished. Try it again; if it ends here again, tell support."
        return lambda now_ms: self._failed(job, fault.code, words, now_ms)

    def finished(self, job: Job) -> None:
        """Ring for what the commit made due; the sweeper rings for what is not heard."""
        self._ring(self._bells.pop(job.id, ()))

    # --- what a go sees and says

    def _running(self, job: Job) -> Document | None:
        """The comparison, if it still waits for this stage."""
        key = Key(COMPARISONS, job.subject_id)
        found = self.store.read([key]).documents.get(key)
        if found is None or found.fields.get(record.DELETED) is not None:
            return None
        have = found.fields
        going = have.get("state") in (WAITING, RUNNING) and have.get("stage") == self.name
        return found if going else None

    def _stage(self, comparison: Document) -> Document:
        key = Key(STAGES, stage_id(comparison.key.id, self.name))
        found = self.store.read([key]).documents.get(key)
        if found is None:
            raise StoreUnavailable("A comparison's stage is not there.")
        return found

    def _moved(
        self, comparison: Document, now_ms: int, done: int, total: int | None, **fields: Any
    ) -> tuple[Write, Write]:
        """The comparison is at work; its stage is so far."""
        row = self._stage(comparison)
        told = {
            "state": RUNNING,
            "done": done,
            "total": total,
            "started_at": row.fields.get("started_at") or now_ms,
            "fault": None,
            "message": None,
            **fields,
            record.MODIFIED: now_ms,
        }
        state = {"state": RUNNING, record.MODIFIED: now_ms}
        return record.server_patch(comparison, state), patch(row.key, told, row.version)

    def _again(self, job: Job, now_ms: int, writes: Sequence[Write] = ()) -> Again:
        """The same job is due again at once, and rung for."""
        self._bells[job.id] = (Bell(job.kind, job.id, job.subject_id),)
        return Again(now_ms, writes)

    def _passed(
        self,
        job: Job,
        comparison: Document,
        now_ms: int,
        count: int,
        following: str,
        writes: Sequence[Write],
        **fields: Any,
    ) -> Sequence[Write]:
        """The stage is done; the next one is due in the same commit."""
        name, scope_id = comparison.key.id, str(comparison.fields[record.SCOPE])
        _, row = self._moved(comparison, now_ms, count, count, state=DONE, ended_at=now_ms)
        due = stage_job(name, following)
        go = {"state": RUNNING, "stage": following, JOB: due, record.MODIFIED: now_ms, **fields}
        self._bells[job.id] = bells(name, following)
        return [
            *writes,
            row,
            record.server_patch(comparison, go),
            jobs.create(due, following, COMPARISONS, name, scope_id, now_ms),
        ]

    def _failed(self, job: Job, code: str, words: str, now_ms: int) -> Sequence[Write] | None:
        comparison = self._running(job)
        if comparison is None:
            return None
        row = self._stage(comparison)
        said = {
            "state": FAILED,
            "fault": code,
            "message": words,
            "ended_at": now_ms,
            record.MODIFIED: now_ms,
        }
        return [record.server_patch(comparison, said), patch(row.key, said, row.version)]

    def rows(self, table: str, field: str, value: str) -> list[Document]:
        """Living rows of a table by what they belong to, in their order."""
        query = Query(table, where=((field, "==", value),))
        found = [
            each for each in self.store.query(query) if each.fields.get(record.DELETED) is None
        ]
        return sorted(found, key=lambda each: (each.fields.get("place") or 0, each.key.id))

    def source(self, revision: Document) -> tuple[bytes, str, str]:
        """A revision's file: bytes, type, SHA-256. Raises `FilesUnavailable`, `FileRefused`."""
        key = Key(FILES, str(revision.fields.get(FILE)))
        file = self.store.read([key]).documents.get(key)
        if file is None or file.fields["state"] != READY:
            raise FileRefused("The file is not there any more. Upload it again.", code="file_gone")
        at = Key(BLOBS, str(file.fields["blob"]))
        blob = self.store.read([at]).documents.get(at)
        if blob is None:
            raise FileRefused("The file is not there any more. Upload it again.", code="file_gone")
        data = b"".join(self.files().read(original_name(blob)))
        return data, str(file.fields["type"]), str(file.fields["sha256"])
