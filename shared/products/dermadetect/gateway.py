"""One analysis of one case: redact, ask about each photo, merge, within one conversation.

Identifiers never leave (see `intake`), and every answer is checked against the contract; time and money
are the conversation's (`shared.ai.conversation`).

A photo that cannot be read costs that photo: what was read of the others is kept and what was not is
counted. While trying again may help (`PHOTO_ATTEMPTS`), the fault is raised with the reading in it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cache, partial
from pathlib import Path
from string import Template
from typing import Any

from shared.ai.conversation import Conversation, Terms, Usage, as_data
from shared.ai.model import Image
from shared.ai.spending import MICRO
from shared.errors import ContractBroken, ModelFault, ModelRefused, ModelUnreadable
from shared.products.dermadetect.analysis import vocabulary
from shared.products.dermadetect.analysis.document import Provenance, SecondLook, finish
from shared.products.dermadetect.analysis.draft import Draft, merge, raised
from shared.products.dermadetect.analysis.draft_reading import parse
from shared.products.dermadetect.analysis.urgency_heard import worst_urgency
from shared.products.dermadetect.intake import clinical_facts

log = logging.getLogger(__name__)

PROMPT = "analyse-v1"

#: Images of one case that are shown to the model; each is a call of its own.
MAX_IMAGES = 6
#: Attempts at a case of which some photos were read and others were not; then that is the reading.
PHOTO_ATTEMPTS = 3
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
        "statuses": vocabulary.DRAFT_STATUSES,
        "image_verdicts": vocabulary.IMAGE_VERDICTS,
        "image_issues": vocabulary.IMAGE_ISSUES,
        "primary_lesions": vocabulary.PRIMARY_LESIONS,
        "colours": vocabulary.COLOURS,
        "borders": vocabulary.BORDERS,
        "distributions": vocabulary.DISTRIBUTIONS,
        "yes_no": vocabulary.YES_NO,
        "likelihoods": vocabulary.LIKELIHOODS,
        "urgencies": vocabulary.URGENCIES,
        "red_flags": vocabulary.RED_FLAGS,
        "missing_information": vocabulary.MISSING_INFORMATION,
        "next_steps": vocabulary.NEXT_STEPS,
        "uncertainties": vocabulary.UNCERTAINTIES,
    }
    filled = Template(source).safe_substitute(
        {key: json.dumps(list(words)) for key, words in vocabularies.items()}
    )
    system, _, task = filled.partition("\n=== TASK ===\n")
    return Prompt(system.strip(), Template(task.strip()), _sha256(filled))


@dataclass(slots=True)
class _Analysis:
    """One analysis on its way."""

    facts: Mapping[str, Any]
    talk: Conversation
    drafts: list[Draft] = field(default_factory=list)
    shown: list[Image] = field(default_factory=list)  #: photos that were read
    faults: list[ModelFault] = field(default_factory=list)  #: why others were not
    heard: str | None = None  #: worst urgency that answers named which break the contract

    def hear(self, broken: ContractBroken) -> None:
        self.heard = worst_urgency(self.heard, broken.urgency)


def _for_good(fault: ModelFault) -> bool:
    """Whether the same photo would meet the same fault: it is refused, or no picture."""
    return isinstance(fault, ModelRefused) and not fault.lasting


def _server_is_at_fault(fault: ModelFault) -> bool:
    """Whether other photos would fare no better, or the server asked to be left alone."""
    return fault.outage or not fault.attempted or fault.retry_after_s is not None


def _facts_alone(task: _Analysis, attempt: int) -> bool:
    """Whether the facts are all that can be read: each photo failed by itself, now or repeatedly."""
    if task.drafts or not task.faults:
        return False
    if attempt < PHOTO_ATTEMPTS:
        return all(map(_for_good, task.faults))
    return all(isinstance(fault, ModelRefused | ModelUnreadable) for fault in task.faults)


def _told(task: _Analysis) -> ModelFault:
    """The fault that is raised of several: the server's before a photo's, else the first."""
    fault = next(filter(_server_is_at_fault, task.faults), task.faults[0])
    fault.urgency = task.heard
    return fault


class Gateway:
    """Analyses cases with a model. Keeps no state between cases; safe to use from several threads.

    Images for which no time is left within the conversation are skipped and counted in the provenance.
    """

    def __init__(self, terms: Terms, *, max_images: int = MAX_IMAGES) -> None:
        self._terms, self._max_images = terms, max_images

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
        second_look: SecondLook = SecondLook(),  # noqa: B008  it is frozen
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
        with self._terms.begin(len(asked) + 1) as talk:
            task = _Analysis(facts, talk)
            if asked:
                self._photos(asked, task)
            if not asked or _facts_alone(task, attempt):
                line = _UNREAD_LINE if asked else _NO_IMAGE_LINE
                self._try(task, partial(self._draft, task, line))
        if not task.drafts:
            raise _told(task)
        unread = len(task.faults)
        document = finish(
            raised(merge(task.drafts), task.heard),
            triage_device=case.get("risk_level"),
            rules_triage=rules_triage,
            rules_flags=rules_flags,
            second_look=second_look,
            provenance=replace(
                self._provenance(talk.account, task.shown, attempt),
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

    def _photos(self, images: Sequence[Image], task: _Analysis) -> None:
        """Ask about each photo; after a fault that is not the photo's, about no further one."""
        for image in images:
            if (task.drafts or task.faults) and not task.talk.time_left():
                return
            read = self._try(task, partial(self._draft, task, _IMAGE_LINE, image))
            if read:
                task.shown.append(image)
            elif _server_is_at_fault(task.faults[-1]):
                return

    @staticmethod
    def _try(task: _Analysis, draft: Callable[[], Draft]) -> bool:
        try:
            task.drafts.append(draft())
        except ModelFault as fault:
            task.faults.append(fault)
            return False
        return True

    def _draft(self, task: _Analysis, image_line: str, image: Image | None = None) -> Draft:
        """One image's draft, after at most one repair. What the first answer named stays heard."""
        chosen = prompt()
        text = chosen.text.substitute(image_line=image_line, patient_data=as_data(task.facts))
        images = () if image is None else (image,)
        return task.talk.ask(chosen.system, text, images, parse, task.hear)

    def _provenance(self, account: Usage, shown: Sequence[Image], attempt: int) -> Provenance:
        model, version = account.models[-1]
        return Provenance(
            model=model,
            version=version,
            prompt=PROMPT,
            prompt_sha256=prompt().sha256,
            image_sha256=tuple(image.sha256 for image in shown),
            image_files=tuple(image.file_id for image in shown),
            max_tokens=self._terms.max_tokens,
            temperature=0.0,
            latency_ms=account.latency_ms,
            prompt_tokens=account.prompt_tokens,
            completion_tokens=account.completion_tokens,
            calls=account.calls,
            attempts=max(0, attempt),
            price_estimate=account.micros / MICRO,
        )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
