"""One analysis of one case: redact, ask, check, repair once, merge, account, within the day's cap.

The core talks to a model through the port only. Identifiers never leave (see `intake`), patient
text is data inside a fence that it cannot close, every answer is checked against the contract, and
every question counts against a time budget, so that an analysis takes a bounded time.

A photo that cannot be read costs that photo: what was read of the others is kept and what was not is
counted. While trying again may help (`PHOTO_ATTEMPTS`), the fault is raised with the reading in it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cache, partial
from pathlib import Path
from string import Template
from typing import Any

from shared.ai import analysis
from shared.ai.intake import clinical_facts
from shared.ai.model import Answer, Image, Model, Question
from shared.ai.pictures import without_metadata
from shared.ai.spending import MICRO, Prices, Purse
from shared.errors import ContractBroken, ModelBusy, ModelFault, ModelRefused, ModelUnreadable

log = logging.getLogger(__name__)

PROMPT = "analyse-v1"

#: Images of one case that are shown to the model; each is a call of its own.
MAX_IMAGES = 6
#: Attempts at a case of which some photos were read and others were not; then that is the reading.
PHOTO_ATTEMPTS = 3
#: Characters of a broken answer that are shown to the model again for repair.
_REPAIR_CHARS = 4000
#: Seconds below which a further question is not begun.
_LEAST_SECONDS = 0.05
_IMAGE_LINE = "Look at the photograph and the facts, and prepare the case for the doctor."
_NO_IMAGE_LINE = "There is no photograph. Prepare the case for the doctor from the facts alone."
_UNREAD_LINE = (
    "There are photographs, but they cannot be shown to you. Prepare the case for the doctor from the "
    "facts alone."
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """The prompt with the vocabularies filled in; `text` still waits for the patient's data."""

    system: str
    text: Template
    sha256: str


@cache
def prompt(name: str = PROMPT) -> Prompt:
    """The named prompt. Its hash covers all that is sent but the patient's data and image line."""
    source = (Path(__file__).parent / "prompts" / f"{name}.txt").read_text(encoding="utf-8")
    vocabularies = {
        "statuses": analysis.DRAFT_STATUSES,
        "image_verdicts": analysis.IMAGE_VERDICTS,
        "image_issues": analysis.IMAGE_ISSUES,
        "primary_lesions": analysis.PRIMARY_LESIONS,
        "colours": analysis.COLOURS,
        "borders": analysis.BORDERS,
        "distributions": analysis.DISTRIBUTIONS,
        "yes_no": analysis.YES_NO,
        "likelihoods": analysis.LIKELIHOODS,
        "urgencies": analysis.URGENCIES,
        "red_flags": analysis.RED_FLAGS,
        "missing_information": analysis.MISSING_INFORMATION,
        "next_steps": analysis.NEXT_STEPS,
        "uncertainties": analysis.UNCERTAINTIES,
    }
    filled = Template(source).safe_substitute(
        {key: json.dumps(list(words)) for key, words in vocabularies.items()}
    )
    system, _, task = filled.partition("\n=== TASK ===\n")
    return Prompt(system.strip(), Template(task.strip()), _sha256(filled))


@dataclass(slots=True)
class _Account:
    """What one analysis has taken so far."""

    calls: int = 0
    latency_ms: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    models: list[tuple[str, str]] = field(default_factory=list)
    micros: int = 0  #: price estimate, millionths

    def add(self, answer: Answer, micros: int) -> None:
        self.micros += micros
        self.latency_ms += max(0, answer.latency_ms)
        self.prompt_tokens = _sum(self.prompt_tokens, answer.prompt_tokens)
        self.completion_tokens = _sum(self.completion_tokens, answer.completion_tokens)
        self.models.append((answer.model, answer.version))


@dataclass(slots=True)
class _Task:
    """One analysis on its way."""

    facts: Mapping[str, Any]
    ends_at: float
    account: _Account = field(default_factory=_Account)
    drafts: list[analysis.Draft] = field(default_factory=list)
    shown: list[Image] = field(default_factory=list)  #: photos that were read
    faults: list[ModelFault] = field(default_factory=list)  #: why others were not
    heard: str | None = None  #: worst urgency that answers named which break the contract

    def hear(self, urgency: str | None) -> None:
        self.heard = analysis.worst_urgency(self.heard, urgency)


def _for_good(fault: ModelFault) -> bool:
    """Whether the same photo would meet the same fault: it is refused, or no picture."""
    return isinstance(fault, ModelRefused) and not fault.lasting


def _server_is_at_fault(fault: ModelFault) -> bool:
    """Whether other photos would fare no better, or the server asked to be left alone."""
    return fault.outage or not fault.attempted or fault.retry_after_s is not None


def _facts_alone(task: _Task, attempt: int) -> bool:
    """Whether the facts are all that can be read: each photo failed by itself, now or repeatedly."""
    if task.drafts or not task.faults:
        return False
    if attempt < PHOTO_ATTEMPTS:
        return all(map(_for_good, task.faults))
    return all(isinstance(fault, ModelRefused | ModelUnreadable) for fault in task.faults)


def _told(task: _Task) -> ModelFault:
    """The fault that is raised of several: the server's before a photo's, else the first."""
    fault = next(filter(_server_is_at_fault, task.faults), task.faults[0])
    fault.urgency = task.heard
    return fault


class Gateway:
    """Analyses cases with a model. Keeps no state between cases; safe to use from several threads.

    `timeout_seconds` bounds one answer. `budget_seconds` bounds a whole analysis (default: twice
    the timeout): images for which no time is left are skipped and counted in the provenance. Every
    call is estimated by `prices` and leaves a log line; `purse` keeps the day's cap.
    """

    def __init__(
        self,
        model: Model,
        *,
        max_tokens: int,
        timeout_seconds: float,
        budget_seconds: float | None = None,
        max_images: int = MAX_IMAGES,
        clock: Callable[[], float] = time.monotonic,
        prices: Prices = Prices(),  # noqa: B008  it is frozen
        purse: Purse | None = None,
    ) -> None:
        self._model = model
        self._prices, self._purse = prices, purse
        self._max_tokens = max_tokens
        self._timeout = timeout_seconds
        self._budget = 2 * timeout_seconds if budget_seconds is None else budget_seconds
        self._max_images = max_images
        self._clock = clock

    def analyse(
        self,
        case: Mapping[str, Any],
        patient: Mapping[str, Any],
        images: Sequence[Image] = (),
        rules_triage: str | None = None,
        attempt: int = 1,
        *,
        today: date | None = None,
        rules_flags: Sequence[str] = (),
        second_look: analysis.SecondLook = analysis.SecondLook(),  # noqa: B008  it is frozen
        images_missing: int = 0,
    ) -> dict[str, Any]:
        """The complete contract document for a case.

        `case` and `patient` hold the records' fields (`triage_data`, `demographics` parsed);
        `case["risk_level"]` is the device's triage, `rules_triage` and `rules_flags` what the
        server's rules say, `second_look` what the zero-shot triage made of the photos, and
        `images_missing` how many photos the case names that are not there.
        `today` is needed for the age band (default: today in UTC).

        Raises what the model raised, if nothing could be read; `ModelBusy` when the budget ends before
        one image was answered; `ModelPaused` when the day's cap is reached or the model rests: nobody
        was asked; `ContractBroken` when every answer breaks the contract after one repair. The fault's
        `urgency` is what was heard in broken answers, its `reading` the document of those photos that
        were read, if trying again may bring the others.
        """
        for each in images:
            if not re.fullmatch(r"[0-9a-f]{64}", each.sha256):
                raise ModelRefused("An image has no SHA-256 in hex.", code="invalid_image")
        facts = clinical_facts(case, patient, today or datetime.now(UTC).date())
        asked = images[: self._max_images]
        task = _Task(facts, self._clock() + self._budget)
        with self._paid(2 * (len(asked) + 1), task.account):
            if asked:
                self._photos(asked, task)
            if not asked or _facts_alone(task, attempt):
                line = _UNREAD_LINE if asked else _NO_IMAGE_LINE
                self._try(task, partial(self._draft, task, line))
        if not task.drafts:
            raise _told(task)
        unread = len(task.faults)
        document = analysis.finish(
            analysis.raised(analysis.merge(task.drafts), task.heard),
            triage_device=case.get("risk_level"),
            rules_triage=rules_triage,
            rules_flags=rules_flags,
            second_look=second_look,
            provenance=replace(
                self._provenance(task.account, task.shown, attempt),
                images_skipped=len(images) - len(task.shown) - unread,
                images_unread=unread,
                images_missing=images_missing,
            ),
        )
        if unread:
            log.warning("photos not read", extra={"photos": unread, "attempt": attempt})
        if task.shown and attempt < PHOTO_ATTEMPTS and not all(map(_for_good, task.faults)):
            fault = _told(task)
            fault.reading = document
            raise fault
        return document

    def _photos(self, images: Sequence[Image], task: _Task) -> None:
        """Ask about each photo; after a fault that is not the photo's, about no further one."""
        for image in images:
            if (task.drafts or task.faults) and not self._time_left(task.ends_at):
                return
            read = self._try(task, partial(self._draft, task, _IMAGE_LINE, image))
            if read:
                task.shown.append(image)
            elif _server_is_at_fault(task.faults[-1]):
                return

    @staticmethod
    def _try(task: _Task, draft: Callable[[], analysis.Draft]) -> bool:
        try:
            task.drafts.append(draft())
        except ModelFault as fault:
            task.faults.append(fault)
            return False
        return True

    @contextmanager
    def _paid(self, calls: int, account: _Account) -> Iterator[None]:
        """Within the day's cap: the most it may cost is taken before, the rest given back."""
        if self._purse is None:
            yield
            return
        most = self._prices.most(calls, self._max_tokens, self._budget)
        day = self._purse.take(most)
        try:
            yield
        finally:
            self._purse.settle(day, most, account.micros)

    def _draft(self, task: _Task, image_line: str, image: Image | None = None) -> analysis.Draft:
        """One image's draft, after at most one repair. What the first answer named stays heard."""
        chosen = prompt()
        text = chosen.text.substitute(image_line=image_line, patient_data=_as_data(task.facts))
        images = () if image is None else (without_metadata(image),)
        answer = self._ask(chosen.system, text, images, task)
        try:
            return analysis.parse(answer.text)
        except ContractBroken as broken:
            task.hear(broken.urgency)
            repair = (
                f"{text}\n\nAn earlier answer to this task could not be used: {broken.message}\n"
                f"That answer was, as a JSON string: {_as_data(answer.text[:_REPAIR_CHARS])}\n"
                "Write the whole JSON object again, following the rules above."
            )
        try:
            return analysis.parse(self._ask(chosen.system, repair, images, task).text)
        except ContractBroken as broken:
            task.hear(broken.urgency)
            raise

    def _ask(
        self,
        system: str,
        text: str,
        images: tuple[Image, ...],
        task: _Task,
    ) -> Answer:
        account, seconds = task.account, self._time_left(task.ends_at)
        if not seconds:
            raise ModelBusy("The time for this analysis is used up; the job tries again later.")
        question = Question(system, text, images, max_tokens=self._max_tokens)
        began = self._clock()
        try:
            answer = self._model.ask(question, min(self._timeout, seconds))
        except ModelFault as fault:
            took_ms = round((self._clock() - began) * 1000)
            if fault.attempted:  # it answered, or kept us waiting: the machine was busy with us
                account.calls += 1
                account.micros += self._prices.micros(None, None, took_ms)
            log.warning("model call failed", extra={"fault": fault.code, "latency_ms": took_ms})
            raise
        account.calls += 1
        micros = self._prices.micros(
            answer.prompt_tokens, answer.completion_tokens, answer.latency_ms
        )
        account.add(answer, micros)
        log.info(
            "model call",
            extra={
                "latency_ms": answer.latency_ms,
                "prompt_tokens": answer.prompt_tokens,
                "completion_tokens": answer.completion_tokens,
                "price_micros": micros,
                "call": account.calls,
                "model": answer.model,
                "images": len(images),
            },
        )
        return answer

    def _time_left(self, ends_at: float) -> float:
        """Seconds that a question may still take; 0 when none should be begun."""
        left = ends_at - self._clock()
        return left if left >= _LEAST_SECONDS else 0.0

    def _provenance(
        self, account: _Account, shown: Sequence[Image], attempt: int
    ) -> analysis.Provenance:
        model, version = account.models[-1]
        return analysis.Provenance(
            model=model,
            version=version,
            prompt=PROMPT,
            prompt_sha256=prompt().sha256,
            image_sha256=tuple(image.sha256 for image in shown),
            image_files=tuple(image.file_id for image in shown),
            max_tokens=self._max_tokens,
            temperature=0.0,
            latency_ms=account.latency_ms,
            prompt_tokens=account.prompt_tokens,
            completion_tokens=account.completion_tokens,
            calls=account.calls,
            attempts=max(0, attempt),
            price_estimate=account.micros / MICRO,
        )


def _as_data(value: object) -> str:
    """JSON that holds no angle bracket: it can neither close the fence nor be a control token."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)
    text = text.encode("utf-8", "replace").decode("utf-8")  # lone surrogates become "?"
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def _sum(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
