"""One case through the real path, and what of it is counted: no text of the model's is kept.

The path is that of `shared.products.dermadetect.analyse`: rules, second look, gateway (redaction,
prompt, repair, contract), worst of all; a case that got no answer becomes the same `unavailable` document.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.triage.cases import Case, Diagnosis, picture
from shared.ai.conversation import Terms
from shared.ai.model import ChatRequest, Completion, Model
from shared.ai.spending import Prices
from shared.errors import ModelFault, ModelRefused
from shared.products.dermadetect import rules
from shared.products.dermadetect.analysis.document import unavailable
from shared.products.dermadetect.analysis.draft_reading import parse
from shared.products.dermadetect.analysis.vocabulary import CONTRACT_BROKEN, LIKELIHOODS
from shared.products.dermadetect.gateway import Gateway
from shared.products.dermadetect.intake import parsed
from shared.products.dermadetect.triage import ZeroShot, phone_scored

#: How a case's answers kept the contract; a case that got no whole answer has none of them.
FIRST, REPAIRED, BROKEN = "first", "repaired", "broken"

#: A code of the ICD-10 or ICD-11 within a label: `L40.0`, `EA90`.
_CODE = re.compile(r"\b(?:[A-Z]\d[0-9A-Z]|[1-9A-Z][A-Z]\d[0-9A-Z])(?:\.[0-9A-Z]{1,4})?\b")


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of one case. Colours are green, yellow, red or None: no opinion."""

    case: str
    status: str  #: of the document: ok, insufficient_image, parse_failed, unavailable …
    fault: str | None  #: code of the fault when there is no reading
    again: bool  #: whether asking again can help
    phone: str | None
    rules: str | None  #: red, or None: no rule spoke
    ai: str | None
    final: str
    rank: int | None  #: place of the right condition, 1 the likeliest; None: not named, or no label
    contract: str | None  #: FIRST, REPAIRED, BROKEN
    second_look: str  #: its status
    model: str
    version: str
    calls: int  #: answers and failures
    latency_ms: int  #: of the answers
    prompt_tokens: int | None
    completion_tokens: int | None
    price_micros: int
    photos_shown: int
    photos_skipped: int

    def line(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @staticmethod
    def of(line: Mapping[str, Any]) -> Reading:
        """From JSON. Raises `TypeError` for another form."""
        return Reading(**line)


class _Witness:
    """Stands before the model for one case and keeps what it took, failures included."""

    def __init__(self, model: Model, prices: Prices) -> None:
        self._model, self._prices = model, prices
        self.answers: list[Completion] = []
        self.calls = self.micros = 0

    def ask(self, question: ChatRequest, timeout_seconds: float) -> Completion:
        began = time.monotonic()
        try:
            answer = self._model.ask(question, timeout_seconds)
        except ModelFault as fault:
            if fault.attempted:
                took_ms = round((time.monotonic() - began) * 1000)
                self.calls += 1
                self.micros += self._prices.micros(None, None, took_ms)
            raise
        self.calls += 1
        self.micros += self._prices.micros(
            answer.prompt_tokens, answer.completion_tokens, answer.latency_ms
        )
        self.answers.append(answer)
        return answer

    def total(self, count: Callable[[Completion], int | None]) -> int | None:
        """Sum over the answers; None when one was not counted, or there is none."""
        counts = [count(answer) for answer in self.answers]
        known = [each for each in counts if each is not None]
        return sum(known) if known and len(known) == len(counts) else None


class CasePath:
    """The path of a case, with everything that is the same for all of them. Safe to share.

    `model` gives the model for a case (by id). Waits for one answer `timeout_seconds`.
    """

    def __init__(
        self,
        model: Callable[[str], Model],
        *,
        max_tokens: int,
        timeout_seconds: float,
        prices: Prices = Prices(),  # noqa: B008  it is frozen
        second_look: ZeroShot | None = None,
        photos: bool = True,
    ) -> None:
        self._model, self._prices = model, prices
        self._max_tokens, self._timeout = max_tokens, timeout_seconds
        self._second_look = second_look or ZeroShot(None)
        self._photos = photos

    def read(self, case: Case) -> Reading:
        """Ask about a case. Never raises a `ModelFault`: that is a reading without an answer."""
        fields = {**case.record, "triage_data": parsed(case.record.get("triage_data"))}
        patient = {"demographics": parsed(case.patient.get("demographics"))}
        said = rules.judge(fields["triage_data"], patient["demographics"], case.today)
        images = [picture(path) for path in case.photos] if self._photos else []
        look = self._second_look.look(phone_scored(fields), images)
        witness = _Witness(self._model(case.id), self._prices)
        gateway = Gateway(Terms(witness, self._max_tokens, self._timeout, prices=self._prices))
        caught: ModelFault | None = None
        try:
            document = gateway.analyse(
                fields,
                patient,
                images,
                said.triage,
                today=case.today,
                rules_flags=said.flags,
                second_look=look,
            )
        except ModelFault as fault:
            caught = fault
            document = unavailable(
                fault.code,
                fields.get("risk_level"),
                rules_triage=said.triage,
                rules_flags=said.flags,
            )
        last = witness.answers[-1] if witness.answers else None
        shown = document["provenance"]["image_sha256"]
        return Reading(
            case=case.id,
            status=document["status"],
            fault=None if caught is None else caught.code,
            again=caught is not None and not isinstance(caught, ModelRefused),
            phone=document["triage_device"],
            rules=document["triage_rules"],
            ai=document["triage_ai"],
            final=document["triage_final"],
            rank=rank(document["differential"], case.diagnosis),
            contract=_kept(witness.answers, caught),
            second_look=look.status,
            model=last.model if last else "",
            version=last.version if last else "",
            calls=witness.calls,
            latency_ms=sum(answer.latency_ms for answer in witness.answers),
            prompt_tokens=witness.total(lambda answer: answer.prompt_tokens),
            completion_tokens=witness.total(lambda answer: answer.completion_tokens),
            price_micros=witness.micros,
            photos_shown=len(shown),
            photos_skipped=0 if caught else len(images) - len(shown),
        )


def _kept(answers: Sequence[Completion], caught: ModelFault | None) -> str | None:
    """How the contract was kept. The gateway repairs a broken answer before it goes on."""
    if caught is not None:
        return BROKEN if caught.code == CONTRACT_BROKEN else None
    return FIRST if all(_valid(answer) for answer in answers) else REPAIRED


def _valid(answer: Completion) -> bool:
    try:
        parse(answer.text)
    except ModelRefused:
        return False
    return True


# --- conditions --------------------------------------------------------------------------------


def rank(differential: Sequence[Mapping[str, Any]], truth: Diagnosis | None) -> int | None:
    """Place of the first entry that names the condition, likeliest first; None when none does.

    Entries of one likelihood keep the model's order.
    """
    if truth is None:
        return None
    likeliest = sorted(differential, key=lambda entry: -LIKELIHOODS.index(entry["likelihood"]))
    places = (
        place for place, entry in enumerate(likeliest, 1) if names_condition(entry["label"], truth)
    )
    return next(places, None)


def names_condition(label: str, truth: Diagnosis) -> bool:
    """Whether a label names the condition: one of its names as a whole, or a code of its ICD.

    Case, accents, punctuation and what stands in brackets do not matter: `Tinea corporis (ringworm)`
    is both. A part of a name is not the name: `not psoriasis` is not psoriasis. A code counts
    for the codes above it: `L40.0` is `L40`.
    """
    parts = [label, *re.findall(r"[(\[]([^()\[\]]*)[)\]]", label)]
    parts.append(re.sub(r"[(\[][^()\[\]]*[)\]]", " ", label))
    if {_plain(part) for part in parts} & {_plain(name) for name in truth.names}:
        return True
    codes = set(_CODE.findall(label.upper()))
    return any(
        code == wanted or code.startswith(f"{wanted}.")
        for code in codes
        for wanted in (each.upper() for each in truth.icd)
    )


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(each for each in letters if not unicodedata.combining(each))
    return " ".join(re.sub(r"[\W_]+", " ", kept).split())
