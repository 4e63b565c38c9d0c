"""The stage `ocr`: what stands on the sheets of revisions, a few in each go."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.errors import Fault, FileRefused
from shared.jobs.job import Job
from shared.jobs.runner import Again, Finish
from shared.products.buildtrace import processing
from shared.products.buildtrace.processing import SheetFound
from shared.products.buildtrace.stages import CONTENT, FACTS, DrawingStage
from shared.products.buildtrace.tables import (
    COMPARISONS,
    DIFF,
    OCR,
    READ,
    READING,
    REFUSED,
    REVISIONS,
    SHEETS,
    WAITING,
    WAITS_MS,
    made_id,
)
from shared.records import record
from shared.records.killpoints import reach
from shared.records.store import (
    ABSENT,
    Document,
    Key,
    Query,
    Write,
    patch,
    put,
    verify,
)

#: A go takes so long before it stores what it has, seconds; one sheet is always finished.
_GO_SECONDS = 15.0

#: Sheets of one revision: what the commit that matches them can hold.
MOST_SHEETS = 400


class OcrStage(DrawingStage):
    """The task of kind `ocr`: of a revision whose file has come, or of a comparison."""

    name = OCR

    def gave_up(self, job: Job, fault: Fault) -> Finish:
        """A revision that could not be read says so; a retry of a comparison reads it again."""
        if job.table == COMPARISONS:
            return super().gave_up(job, fault)
        words = "The file could not be read here. Compare it again; if it ends here again, tell support."
        lost = FileRefused(words, code=fault.code)
        return lambda now_ms: self._refused(job, job.subject_id, lost, now_ms)

    def work(self, job: Job) -> Finish:
        """Read some sheets of a revision. Raises `FilesUnavailable`."""
        if job.table == REVISIONS:
            return self._of_revision(job, job.subject_id, last=False)
        comparison = self._running(job)
        if comparison is None:
            return lambda _now: None
        for side in ("old_revision_id", "new_revision_id"):
            name = str(comparison.fields[side])
            revision = self._revision(name, str(comparison.fields[record.SCOPE]))
            if revision is not None and revision.fields.get("state") == READING:
                return self._of_revision(job, name, last=True)
        return lambda now_ms: self._gathered(job, now_ms)

    def _revision(self, name: str, scope_id: str) -> Document | None:
        key = Key(REVISIONS, name)
        found = self.store.read([key]).documents.get(key)
        if found is None or found.fields.get(record.DELETED) is not None:
            return None
        return found if found.fields[record.SCOPE] == scope_id else None

    def _of_revision(self, job: Job, name: str, *, last: bool) -> Finish:
        """Some sheets that are not there yet. A comparison begins with the `last`, an upload with the
        first: at work side by side they share them.
        """
        revision = self._revision(name, job.scope_id)
        if revision is None or revision.fields.get("state") != READING:
            return lambda now_ms: self._gathered(job, now_ms)
        try:
            count, found, sha256 = self._some(revision, last=last)
        except FileRefused as refusal:
            fault = refusal  # the name of an exception ends with its clause
            return lambda now_ms: self._refused(job, name, fault, now_ms)
        reach("ocr.read")
        return lambda now_ms: self._kept(job, name, count, found, sha256, now_ms)

    def _some(self, revision: Document, *, last: bool) -> tuple[int, dict[int, SheetFound], str]:
        end = time.monotonic() + _GO_SECONDS
        data, type_, sha256 = self.source(revision)
        drawing = processing.opened(data, type_)
        count = len(drawing.pages)
        if count > MOST_SHEETS:
            raise FileRefused(
                f"The file has more than {MOST_SHEETS} pages. Split it.",
                code="drawing_too_many_pages",
            )
        there = {each.fields["place"] for each in self.rows(SHEETS, "revision_id", revision.key.id)}
        found: dict[int, SheetFound] = {}
        left = [place for place in range(1, count + 1) if place not in there]
        scope_id = str(revision.fields[record.SCOPE])
        for place in reversed(left) if last else left:
            known = self._known(sheet_content(scope_id, sha256, place))
            found[place] = known or processing.read_sheet(drawing, place - 1)
            if time.monotonic() > end:
                break
        return count, found, sha256

    def _known(self, content: str) -> SheetFound | None:
        """What the same page of the same bytes gave before, in this project."""
        query = Query(SHEETS, where=((CONTENT, "==", content),), limit=1)
        for sheet in self.store.query(query):
            key = Key(FACTS, sheet.key.id)
            text = self.store.read([key]).documents.get(key)
            if text is not None:
                own = {name: sheet.fields.get(name) for name in processing.SHEET_COLUMNS}
                return SheetFound(own, str(text.fields["facts"]))
        return None

    def _kept(
        self,
        job: Job,
        name: str,
        count: int,
        found: Mapping[int, SheetFound],
        sha256: str,
        now_ms: int,
    ) -> Sequence[Write] | Again | None:
        revision = self._revision(name, job.scope_id)
        if revision is None or revision.fields.get("state") != READING:
            return self._gathered(job, now_ms)
        there = {each.fields["place"] for each in self.rows(SHEETS, "revision_id", name)}
        scope_id = str(revision.fields[record.SCOPE])
        writes: list[Write] = []
        for place, sheet in sorted(found.items()):
            if place not in there:
                writes += _sheet(
                    name, place, sheet, sheet_content(scope_id, sha256, place), scope_id, now_ms
                )
        read = len(there | set(found))
        whole = read >= count
        told = {
            "state": READ if whole else READING,
            "sheet_count": count,
            "sheets_read": read,
            record.MODIFIED: now_ms,
        }
        writes.append(record.server_patch(revision, told))
        if job.table == COMPARISONS:
            comparison = self._running(job)
            if comparison is None:
                return writes
            other = self._other(comparison, name)
            total = count + int(other.get("sheet_count") or 0) if other else None
            done = read + int((other or {}).get("sheets_read") or 0)
            return self._again(
                job, now_ms, [*writes, *self._moved(comparison, now_ms, done, total)]
            )
        return writes if whole else self._again(job, now_ms, writes)

    def _other(self, comparison: Document, name: str) -> Mapping[str, Any] | None:
        sides = {str(comparison.fields[side]) for side in ("old_revision_id", "new_revision_id")}
        [other] = (sides - {name}) or {name}
        found = self._revision(other, str(comparison.fields[record.SCOPE]))
        return None if found is None else found.fields

    def _refused(
        self, job: Job, name: str, fault: FileRefused, now_ms: int
    ) -> Sequence[Write] | Again | None:
        revision = self._revision(name, job.scope_id)
        if revision is None or revision.fields.get("state") != READING:
            return self._gathered(job, now_ms)
        told = {
            "state": REFUSED,
            "fault": fault.code,
            "message": fault.message,
            record.MODIFIED: now_ms,
        }
        writes = [record.server_patch(revision, told)]
        return writes if job.table == REVISIONS else self._again(job, now_ms, writes)

    def _gathered(self, job: Job, now_ms: int) -> Sequence[Write] | Again | None:
        """Both revisions are read, or what keeps them from it is said."""
        if job.table == REVISIONS:
            return None
        comparison = self._running(job)
        if comparison is None:
            return None
        have, scope_id = comparison.fields, str(comparison.fields[record.SCOPE])
        count, missing, guards = 0, False, []
        for side in ("old_revision_id", "new_revision_id"):
            name = str(have[side])
            revision = self._revision(name, scope_id)
            state = None if revision is None else revision.fields.get("state")
            if revision is not None and state == REFUSED:
                return self._failed(
                    job,
                    str(revision.fields["fault"]),
                    f"Revision {revision.fields.get('label') or name}: {revision.fields['message']}",
                    now_ms,
                )
            if revision is not None and state == READING:
                return self._again(job, now_ms)
            if revision is None or state != READ:
                missing = True
                version = ABSENT if revision is None else revision.version
                if revision is not None or not self._elsewhere(name):
                    guards.append(verify(Key(REVISIONS, name), version))
            else:
                count += int(revision.fields["sheet_count"])
        if missing:
            row = self._stage(comparison)
            words = {
                "fault": "file_missing",
                "message": "A revision's file has not come yet. Upload it; this goes on by itself.",
                "state": WAITING,
                record.MODIFIED: now_ms,
            }
            same = row.fields.get("fault") == "file_missing"
            told = () if same else (patch(row.key, words, row.version),)
            return Again(now_ms + WAITS_MS, [*told, *guards])
        return self._passed(job, comparison, now_ms, count, DIFF, ())

    def _elsewhere(self, name: str) -> bool:
        """Whether a revision of this name is there, deleted or in another project."""
        key = Key(REVISIONS, name)
        return key in self.store.read([key], (record.SCOPE,)).documents


def sheet_content(scope_id: str, sha256: str, place: int) -> str:
    """What a page of some bytes is, in a project: also by what reads it."""
    return made_id(scope_id, sha256, place, processing.READER)


def _sheet(
    revision: str, place: int, sheet: SheetFound, content: str, scope_id: str, now_ms: int
) -> Iterator[Write]:
    name = made_id(revision, place)
    base = {record.SCOPE: scope_id, record.CREATED: now_ms, record.MODIFIED: now_ms}
    columns = {"revision_id": revision, "place": place, **sheet.columns, CONTENT: content}
    yield put(Key(SHEETS, name), {**columns, **base}, None)
    text = {"facts": sheet.facts, "record_id": name, "table": SHEETS, record.SCOPE: scope_id}
    yield put(Key(FACTS, name), text, None)
