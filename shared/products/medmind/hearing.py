"""The job `voice`: an utterance is heard, dangers in it escalate, and then it is understood and answered.

    heard       one commit: the text, the dangers that it names with their alert, the answer to those
    answered    one commit with the job's end: what was wanted, the answer, symptoms, questions

Dangers are looked for before any model is asked, and nothing else is done about them here. Nobody hears the
recording, for whatever reason: a carer is told, once the second attempt fails. Killed between any two steps
the job finds what was done, and does the rest. No dose is changed here, ever: an answer may ask about one,
and the device sends the event when the button is pressed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from shared.ai.embedding import Embedder
from shared.ai.speech import Audio, is_of_type, silent
from shared.errors import Fault, FileMissing, FilesUnavailable, ModelMisconfigured
from shared.jobs.job import Job, RetryPolicy
from shared.jobs.runner import Finish, Task
from shared.products.medmind import danger, said_before, understanding, voice
from shared.products.medmind.alert_tables import (
    CALL_FOR_HELP,
    DANGER_WORDS,
    EMERGENCY,
    URGENT,
)
from shared.products.medmind.alerts import raised
from shared.products.medmind.answers import (
    DANGER,
    NOT_UNDERSTOOD,
    spoken_language,
)
from shared.products.medmind.answers import voice as words_for
from shared.products.medmind.plan_facts import PlanFacts
from shared.products.medmind.replying import Reply, reply
from shared.products.medmind.tables import PATIENTS
from shared.products.medmind.understanding import Meaning, ModelUse
from shared.products.medmind.voice_tables import (
    ANSWERED,
    CONVERSATIONS,
    HEARD,
    INTERACTIONS,
    MOST_TEXT,
    QUESTIONS,
    SYMPTOMS,
)
from shared.products.medmind.voice_tables import DANGER as DANGER_INTENT
from shared.products.medmind.voice_tables import NOT_UNDERSTOOD as UNHEARD
from shared.products.product import Parts
from shared.records import record
from shared.records.insist import insist
from shared.records.store import ABSENT, Document, Key, RecordStore, Write, patch, put
from shared.records.wall_time import zone_named

log = logging.getLogger(__name__)

#: What is likely to be said, for engines that know phrases.
PHRASES: dict[str, tuple[str, ...]] = {
    "en": tuple(
        phrase
        for group in (
            ("i took my pill", "i took my pills", "i took my medicine", "i took my tablet"),
            ("i have taken my pill", "i have taken my medicine", "i have taken my pills"),
            ("i did not take my pill", "i did not take my medicine", "i skipped my medicine"),
            ("what is next", "what do i take next", "what do i take now", "yes", "no"),
            ("help", "help me", "please help me", "call my daughter", "call for help"),
            ("i cannot breathe", "i can't breathe", "i fell", "i have fallen", "i fell down"),
            ("my chest hurts", "i have chest pain", "i have pain in my chest"),
            ("call an ambulance", "i am dying", "i am bleeding"),
        )
        for phrase in group
    )
}

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_ATTEMPTS = 8


class Hear(Task):
    """The task of kind `voice`."""

    #: Soon, a few times, and never long: somebody waits beside the device.
    policy: ClassVar[RetryPolicy] = RetryPolicy(5, 2.0, 60.0, outage_hours=1.0)

    side_by_side: ClassVar[int] = 4

    def __init__(self, parts: Parts, *, audio_hours: int, text_days: int) -> None:
        self._parts, self._audio_hours, self._text_days = parts, audio_hours, text_days
        self.longest_seconds = parts.settings.speech_timeout_seconds + 30.0

    @property
    def _store(self) -> RecordStore:
        return self._parts.store()

    def work(self, job: Job) -> Finish:
        """Hear it, unless it was heard; then understand it."""
        utterance, row = self._read(job)
        if utterance is None or utterance.fields["state"] != voice.RECEIVED:
            return lambda _now: None
        if row is None:
            text = self._text(utterance)
            # utterances of a day meet in their conversation: a danger does not wait for the next attempt
            insist(lambda: self._hear(job, text), _ATTEMPTS, unreachable=2, wait=time.sleep)
            utterance, row = self._read(job)
        if utterance is None or row is None or row.fields["state"] != HEARD:
            return lambda _now: ()
        facts = PlanFacts.of(
            self._store, str(utterance.fields[record.SCOPE]), self._parts.clock_ms()
        )
        meaning, asked = understanding.understood(
            str(row.fields["heard"]), facts.names, facts.people, self._terms()
        )
        placed = said_before.places([each.what for each in meaning.symptoms], self._embedder())
        return lambda now_ms: self._answered(job, facts, meaning, asked, now_ms, placed)

    def _hear(self, job: Job, text: str) -> None:
        utterance, row = self._read(job)
        if utterance is not None and utterance.fields["state"] == voice.RECEIVED and row is None:
            self._store.commit(self._heard(utterance, text, self._parts.clock_ms()))

    def late(self, job: Job, code: str, now_ms: int) -> Sequence[Write]:
        """Nobody hears it, for the second time: a carer is told."""
        failed = sum(1 for step in job.history if step.get("fault"))
        if failed < 1 or code == "waiting":
            return ()
        return raised(CALL_FOR_HELP, job.subject_id, job.scope_id, now_ms, URGENT)

    def gave_up(self, job: Job, fault: Fault) -> Finish:
        """The patient hears that nothing was understood, a carer is told."""

        def finish(now_ms: int) -> Sequence[Write] | None:
            utterance, row = self._read(job)
            if utterance is None or utterance.fields["state"] != voice.RECEIVED:
                return None
            if row is not None:
                facts = PlanFacts.of(self._store, job.scope_id, now_ms)
                heard = understanding.by_words(str(row.fields.get("heard") or ""), facts.names)
                return self._answered(job, facts, heard, ModelUse(), now_ms)
            code = fault.code if fault.code in voice.REFUSALS else None
            return self._heard(utterance, self._typed(utterance), now_ms, code)

        return finish

    def finished(self, job: Job) -> None:
        """A recording whose time is over goes at once; the sweeper takes what is left."""
        if self._audio_hours == 0:
            try:
                voice.forget(self._parts.files, Key(voice.UTTERANCES, job.subject_id))
            except FilesUnavailable:
                log.warning("a recording is removed later", extra={"job": job.id})

    def _embedder(self) -> Embedder | None:
        try:
            return self._parts.embedder()
        except Fault as fault:  # letters will do
            log.warning("no embedder", extra={"fault": fault.code})
            return None

    def _terms(self) -> Any:
        try:
            return self._parts.terms(understanding.TASK)
        except Fault as fault:  # the words will do
            log.warning("no model", extra={"fault": fault.code})
            return None

    def _read(self, job: Job) -> tuple[Document | None, Document | None]:
        keys = Key(voice.UTTERANCES, job.subject_id), Key(INTERACTIONS, job.subject_id)
        found = self._store.read(keys).documents
        return found.get(keys[0]), found.get(keys[1])

    def _typed(self, utterance: Document) -> str:
        """What was typed, if that is what it is and it can be read."""
        try:
            return self._text(utterance) if utterance.fields["type"] == voice.TEXT else ""
        except FilesUnavailable:
            return ""

    def _text(self, utterance: Document) -> str:
        """What was said; empty: nothing that can be told. Raises what engines raise."""
        have = utterance.fields
        try:
            data = voice.recording(utterance, self._parts.files())
        except FileMissing:
            return ""
        if have["type"] == voice.TEXT:
            text = data.decode("utf-8", "replace")
            return " ".join(text.split())[: voice.MOST_TYPED]
        if not is_of_type(data, str(have["type"])) or voice.too_long(data, str(have["type"])):
            raise Fault("The recording cannot be heard.", code="too_long")
        language = self._language(utterance)
        audio = Audio(data, str(have["type"]), language, PHRASES.get(language, ()))
        if silent(audio):
            return ""
        engine = self._parts.transcriber()
        if engine is None:
            raise ModelMisconfigured("Nobody hears recordings: set SPEECH.")
        heard = engine.transcribe(audio, self._parts.settings.speech_timeout_seconds)
        log.info("heard", extra={"engine": heard.engine, "latency_ms": heard.latency_ms})
        return heard.text[:MOST_TEXT]

    def _language(self, utterance: Document) -> str:
        key = Key(PATIENTS, str(utterance.fields[record.SCOPE]))
        patient = self._store.read([key]).documents.get(key)
        about = {} if patient is None else patient.fields
        return spoken_language(utterance.fields.get("language"), about.get("language"))

    def _heard(
        self, utterance: Document, text: str, now_ms: int, code: str | None = None
    ) -> list[Write]:
        """The commit of what was heard, with the alert of what it names."""
        have, name = utterance.fields, utterance.key.id
        scope, device, at_ms = str(have[record.SCOPE]), str(have["device_id"]), int(have["at"])
        language = self._language(utterance)
        say = words_for(language, "UTC").text
        signs = danger.found(text)
        day = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y%m%d")
        conversation = Key(CONVERSATIONS, f"{voice.utterance_key(device, day).id}_{day}")
        before = self._store.read([conversation]).documents.get(conversation)
        stamps = {record.SCOPE: scope, record.CREATED: now_ms, record.MODIFIED: now_ms}
        fields: dict[str, Any] = {
            **stamps,
            "conversation_id": conversation.id,
            "device_id": device,
            "at": at_ms,
            "language": language,
            "heard": text or None,
            "state": HEARD,
        }
        if self._text_days and text:
            fields[voice.FORGET_TEXT] = at_ms + self._text_days * _DAY_MS
        writes: list[Write] = []
        if signs:
            fields |= {
                "state": ANSWERED,
                "intent": DANGER_INTENT,
                "danger": list(signs),
                "said": say(DANGER),
                "by": "words",
            }
            symptom = {"interaction_id": name, "at": at_ms, "what": text, "quote": text}
            writes.append(put(Key(SYMPTOMS, f"{name}_0"), {**stamps, **symptom}, ABSENT))
            writes += raised(DANGER_WORDS, name, scope, now_ms, EMERGENCY)
        elif not text:
            fields |= {"state": UNHEARD, "said": say(NOT_UNDERSTOOD)}
            writes += raised(CALL_FOR_HELP, name, scope, now_ms, URGENT)
        if before is None:
            talk = {**stamps, "patient_id": scope, "device_id": device, "last_at": at_ms}
            writes.append(put(conversation, talk, ABSENT))
        else:
            last = max(int(before.fields.get("last_at") or 0), at_ms)
            patched = {"last_at": last, record.MODIFIED: now_ms}
            writes.append(record.server_patch(before, patched))
        state = {HEARD: voice.RECEIVED}.get(fields["state"], fields["state"])
        over = {} if state == voice.RECEIVED else self._over(now_ms)
        about = {"state": state, "code": code, **over}
        return [
            patch(utterance.key, about, utterance.version),
            put(Key(INTERACTIONS, name), fields, ABSENT),
            *writes,
        ]

    def _over(self, now_ms: int) -> dict[str, Any]:
        return {"forget_at": now_ms + self._audio_hours * _HOUR_MS}

    def _answered(
        self,
        job: Job,
        facts: PlanFacts,
        meaning: Meaning,
        asked: ModelUse,
        now_ms: int,
        placed: Sequence[said_before.WordPlace] = (),
    ) -> Sequence[Write] | None:
        utterance, row = self._read(job)
        if utterance is None or row is None or row.fields["state"] != HEARD:
            return None
        name, scope, at_ms = row.key.id, job.scope_id, int(row.fields["at"])
        words = words_for(str(row.fields["language"]), str(zone_named(facts.zone)))
        said: Reply = reply(meaning, facts, words, self._earlier(utterance), at_ms)
        stamps = {record.SCOPE: scope, record.CREATED: now_ms, record.MODIFIED: now_ms}
        writes: list[Write] = []
        for number, each in enumerate(meaning.symptoms):
            fields = {
                **stamps,
                "interaction_id": name,
                "at": at_ms,
                "what": each.what,
                "severity": each.severity,
                "since": each.since,
                "quote": each.quote,
                **said_before.columns(self._store, scope, placed[number], at_ms),
            }
            writes.append(put(Key(SYMPTOMS, f"{name}_{number}"), fields, None))
        if said.answered_from:
            fields = {
                **stamps,
                "interaction_id": name,
                "at": at_ms,
                "question": str(row.fields["heard"]),
                "answered_from": said.answered_from,
                "said": said.text,
            }
            writes.append(put(Key(QUESTIONS, name), fields, None))
        if said.severity:
            writes += raised(CALL_FOR_HELP, name, scope, now_ms, said.severity)
        columns = {
            "state": ANSWERED,
            "intent": meaning.intent,
            "by": meaning.by,
            "said": said.text,
            "dose_id": said.dose_id,
            "confirms": said.confirms,
            "confirmed": said.confirmed or None,
            record.MODIFIED: now_ms,
        }
        state = {"state": ANSWERED, **self._over(now_ms)}
        return [
            record.server_patch(row, columns),
            patch(utterance.key, state, utterance.version),
            *writes,
            *asked.kept(f"{job.id}~{job.token}", scope, now_ms),
        ]

    def _earlier(self, utterance: Document) -> Document | None:
        """The answer that this utterance answers, if it is of the same device."""
        wanted = str(utterance.fields.get("answers") or "")
        if not wanted:
            return None
        key = Key(INTERACTIONS, voice.utterance_key(str(utterance.fields["device_id"]), wanted).id)
        found = self._store.read([key]).documents.get(key)
        if found is None or found.fields.get(record.SCOPE) != utterance.fields[record.SCOPE]:
            return None
        return found
