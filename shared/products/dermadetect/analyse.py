"""The job `analyse`: a red case is read by the model, and its document patched with what it said.

Whatever happens, the case ends with an `ai_analysis` that a doctor sees: the reading, or
"unavailable" with the reason. A case that waits because the model failed, rests or is over its cap
says "unavailable" meanwhile; a later reading replaces it. The red-flag rules count either way.

Every reading is kept as a document of its own in `readings`: a case of a few edits, with several
attempts each, has more of them than a document should grow by. An entry holds `table`, `record_id` and
`scope_id` like the logs (it moves and goes with its case), when it was made (`at`), by which job, and the
document as JSON text, which names model and photos. What the case shows is joined of them
(`analysis/which_reading_is_shown.py`): a later one takes nothing away.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import orjson

from shared.ai.model import Image
from shared.errors import Fault, FileMissing, FilesUnavailable, ModelFault, StoreFault
from shared.jobs.job import Job
from shared.jobs.runner import Finish, Task
from shared.notify import notice
from shared.products.dermadetect import rules
from shared.products.dermadetect.analysis.document import Provenance, unavailable
from shared.products.dermadetect.analysis.vocabulary import READINGS
from shared.products.dermadetect.analysis.which_reading_is_shown import shown
from shared.products.dermadetect.events import ANALYSIS_READY, became_red
from shared.products.dermadetect.gateway import PHOTO_ATTEMPTS, Gateway
from shared.products.dermadetect.intake import parsed
from shared.products.dermadetect.signal import RANK, raised, rank_of_reading
from shared.products.dermadetect.tables import (
    DIAGNOSED,
    JOB,
    PHOTOS,
    QUEUE,
    known_photos,
    queue_row,
    ready_photos,
)
from shared.products.dermadetect.triage import ZeroShot, phone_scored
from shared.records import record
from shared.records.store import Document, Key, RecordStore, Write, put

log = logging.getLogger(__name__)

#: Longest edges that the two models look at, px: MedGemma's and MedSigLIP's.
_EDGE, _SMALL_EDGE = 896, 448


class Analyse(Task):
    """The task of kind `analyse`. `clock` gives server ms.

    `photos` gives the photos of file ids that are ready, with so many px at most: (`data:` URL, SHA-256).
    """

    def __init__(
        self,
        store: RecordStore,
        gateway: Callable[[], Gateway],
        *,
        longest_seconds: float,
        clock: Callable[[], int],
        second_look: Callable[[], ZeroShot] | None = None,
        photos: Callable[[Sequence[str], int], Sequence[tuple[str, str]]] = lambda _ids, _edge: (),
    ) -> None:
        self._store, self._gateway, self._clock = store, gateway, clock
        self.longest_seconds = longest_seconds
        self._photos = photos
        self._second_look = second_look or (lambda: ZeroShot(None))

    def started(self, job: Job, now_ms: int) -> Sequence[Write]:
        """The phone sees that its case is being read."""
        return self._row(job, "processing", job.attempts + 1, now_ms)

    def postponed(self, job: Job, now_ms: int) -> Sequence[Write]:
        """The phone sees that its case waits again."""
        return self._row(job, "queued", job.attempts, now_ms)

    def work(self, job: Job) -> Finish:
        """Ask the model. Raises what the gateway raises.

        What was read or heard all the same is stored before: a further attempt may not get as far.
        """
        case = self._case(job)
        if case is None:
            return lambda _now: None
        patient = self._patient(case)
        fields = {**case.fields, "triage_data": parsed(case.fields.get("triage_data"))}
        today = self._today(self._clock())
        said = self._rules(case, patient, today)
        keys, photos = fields.get("image_keys") or (), fields.get(PHOTOS) or {}
        ids = ready_photos(keys, photos)
        images = self._images(ids, _EDGE, job)
        second = self._second_look()
        asks = images and second.has_endpoint and not phone_scored(fields)
        looked_at = self._images(ids, _SMALL_EDGE, job) if asks else images
        try:
            reading = self._gateway().analyse(
                fields,
                patient,
                images,
                said.triage,
                job.attempts,
                today=today,
                rules_flags=said.flags,
                second_look=second.look(phone_scored(fields), looked_at),
                images_missing=known_photos(keys, photos) - len(images),
            )
        except ModelFault as fault:
            if fault.reading is not None or fault.urgency is not None:
                self._keep_meanwhile(job, fault)
            raise
        return self._finish(job, reading, "done")

    def _images(self, ids: Sequence[str], edge: int, job: Job) -> list[Image]:
        """The photos of file ids that can be had; one that cannot costs that photo alone."""
        found: list[Image] = []
        for file_id in ids:
            try:
                found += [Image(*each, file_id) for each in self._photos([file_id], edge)]
            except (FileMissing, FilesUnavailable) as fault:
                if fault.retryable and job.attempts < PHOTO_ATTEMPTS:
                    raise
                log.warning("photo not had", extra={"job": job.id, "fault": fault.code})
        return found

    def _keep_meanwhile(self, job: Job, fault: ModelFault) -> None:
        """Store what a failed attempt brought. Best effort: the next attempt, or its end, says it again."""
        now_ms = self._clock()
        case = self._case(job)
        if case is not None:
            with suppress(StoreFault):
                self._store.commit(
                    self._read(job, case, self._told(job, case, fault, now_ms), now_ms)
                )

    def gave_up(self, job: Job, fault: Fault) -> Finish:
        """The doctor gets the case all the same, with what was read, or marked as not read."""

        def finish(now_ms: int) -> Sequence[Write] | None:
            case = self._case(job)
            if case is None:
                return None
            reading = self._told(job, case, fault, now_ms)
            return self._patch(job, case, reading, "failed", now_ms)

        return finish

    def _told(self, job: Job, case: Document, fault: Fault, now_ms: int) -> dict[str, Any]:
        """What a failed attempt says of a case: what it read, or why not, and what was heard."""
        said = fault if isinstance(fault, ModelFault) else None
        if said is not None and said.reading is not None:
            return said.reading
        return self._unavailable(job, case, fault.code, now_ms, said.urgency if said else None)

    def late(self, job: Job, code: str, now_ms: int) -> Sequence[Write]:
        """The doctor sees at once that the case waits without a reading; an earlier one stays."""
        case = self._case(job)
        if case is None or case.fields.get("ai_analysis") is not None:
            return ()
        if case.fields.get("status") == DIAGNOSED:
            return ()
        reading = self._unavailable(job, case, code, now_ms)
        reading["provenance"]["read_at"] = now_ms
        rank = raised(case.fields.get(RANK), rank_of_reading(reading))
        return (
            record.server_patch(case, {"ai_analysis": reading, RANK: rank}),
            *_known(case, rank, now_ms),
        )

    def _unavailable(
        self, job: Job, case: Document, code: str, now_ms: int, urgency: str | None = None
    ) -> dict[str, Any]:
        said = self._rules(case, self._patient(case), self._today(now_ms))
        return unavailable(
            code,
            case.fields.get("risk_level"),
            rules_triage=said.triage,
            rules_flags=said.flags,
            provenance=Provenance(attempts=max(job.attempts, 0)),
            urgency=urgency,
        )

    @staticmethod
    def _rules(case: Document, patient: Mapping[str, Any], today: date) -> rules.Verdict:
        return rules.judge(case.fields.get("triage_data"), patient.get("demographics"), today)

    @staticmethod
    def _today(now_ms: int) -> date:
        return datetime.fromtimestamp(now_ms / 1000, UTC).date()

    def _finish(self, job: Job, reading: Mapping[str, Any], status: str) -> Finish:
        def finish(now_ms: int) -> Sequence[Write] | None:
            case = self._case(job)
            return None if case is None else self._patch(job, case, reading, status, now_ms)

        return finish

    @staticmethod
    def _read(
        job: Job, case: Document, reading: Mapping[str, Any], now_ms: int
    ) -> tuple[Write, ...]:
        """The writes that keep a reading and show it. Repeated by the same attempt they change nothing."""
        dated = {**reading, "provenance": {**reading["provenance"], "read_at": now_ms}}
        seen = shown(case.fields.get("ai_analysis"), dated)
        # The list of the doctors follows the analysis up, never down.
        rank = raised(case.fields.get(RANK), rank_of_reading(seen))
        kept = {
            "table": case.key.collection,
            "record_id": case.key.id,
            record.SCOPE: case.fields[record.SCOPE],
            "at": now_ms,
            "job_id": job.id,
            "analysis": orjson.dumps(dated).decode(),
        }
        return (
            record.server_patch(case, {"ai_analysis": seen, RANK: rank}),
            put(Key(READINGS, f"{job.id}~{job.token}"), kept, None),
            *_known(case, rank, now_ms),
        )

    @classmethod
    def _patch(
        cls, job: Job, case: Document, reading: Mapping[str, Any], status: str, now_ms: int
    ) -> Sequence[Write]:
        # The case was read and is guarded: its row speaks of this very job.
        return (
            *cls._read(job, case, reading, now_ms),
            queue_row(
                job.subject_id,
                case.fields[record.SCOPE],
                job.id,
                status,
                job.attempts,
                job.created_at,
                now_ms,
            ),
            notice.due(job.id, case.key.id, case.fields[record.SCOPE], now_ms),
            ANALYSIS_READY.happened(
                case.fields[record.SCOPE],
                {"case_id": case.key.id},
                now_ms,
                once=f"{job.id}\n{job.token}",
            ),
        )

    def _row(self, job: Job, status: str, attempts: int, now_ms: int) -> Sequence[Write]:
        """The phones' row about this job, unless it speaks of a newer job or is deleted."""
        key = Key(QUEUE, job.subject_id)
        row = self._store.read([key], (JOB, record.SCOPE, record.DELETED)).documents.get(key)
        if row is None or row.fields.get(JOB) != job.id or row.fields.get(record.DELETED):
            return ()
        return (
            queue_row(
                job.subject_id,
                row.fields[record.SCOPE],
                job.id,
                status,
                attempts,
                job.created_at,
                now_ms,
                row.version,
            ),
        )

    def _case(self, job: Job) -> Document | None:
        """The case as it is now; None if it is gone, or if another job reads its newer content."""
        key = Key(job.table, job.subject_id)
        case = self._store.read([key]).documents.get(key)
        if case is None or case.fields.get(record.DELETED) is not None:
            return None
        return case if case.fields.get(JOB) == job.id else None

    def _patient(self, case: Document) -> dict[str, Any]:
        key = Key("patients", case.fields["patient_id"])
        patient = self._store.read([key]).documents.get(key)
        fields = patient.fields if patient else {}
        return {"demographics": parsed(fields.get("demographics"))}


def _known(case: Document, rank: int, now_ms: int) -> tuple[Write, ...]:
    before, scope_id = case.fields.get(RANK), str(case.fields[record.SCOPE])
    return became_red(case.key.id, scope_id, before, rank, now_ms)
