"""The contract `ai_analysis`: what an analysis may say, how it is read, finished and shown.

A model writes a *draft* (free text that should hold one JSON object, found by `shared.ai.answer`).
`parse` understands words of closed lists in the forms in which models write them, and refuses what it
does not understand where safety hangs on it (status, urgency, red flags, differential). `merge` joins
the drafts of several images, `finish` adds what only we know and gives the complete document, `shown`
joins the readings of a case. `SCHEMA` is the document's JSON Schema (published); every document is
checked against it.

Promises, whatever the model wrote:
- a finished document satisfies `SCHEMA`, or `ContractBroken` is raised;
- an answer that says emergency is an emergency, also where the rest of it cannot be read (`heard`);
- `triage_final` is the worst of device, rules and AI, and `urgency` is never milder than
  `triage_final` asks for: an analysis escalates, it never lowers;
- what a CHW sees before a doctor signed (`who_sees_analysis.py`) comes from closed vocabularies: no drug,
  dose, procedure, percentage or condition can be in it;
- nothing in it diagnoses: a doctor's review is always required.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shared.ai.answer import MAX_ANSWER_CHARS, Shape, draft_in, plain, snake, without_thinking
from shared.ai.model import MODEL_DECLINED, SCRIPTED
from shared.ai.schema import problems
from shared.errors import ContractBroken
from shared.products.dermadetect.emergency import urgency_of


def _vocabulary(words: str) -> tuple[str, ...]:
    return tuple(words.split())


SCHEMA_VERSION = "1"

#: The collection of readings, a document each.
READINGS = "readings"

#: Code of `ContractBroken`: an answer breaks the contract.
CONTRACT_BROKEN = ContractBroken.code

DISCLAIMER = (
    "Made by software to help a doctor decide what to look at first. "
    "It is not a diagnosis. A doctor reviews every case."
)
#: The scripted model's answers carry this one, so that nobody at a clinic mistakes them.
DISCLAIMER_SCRIPTED = "TEST ANSWER WITHOUT ANY CLINICAL VALUE. " + DISCLAIMER

DRAFT_STATUSES = ("ok", "insufficient_image", "not_skin", "refused")
STATUSES = (*DRAFT_STATUSES, "parse_failed", "unavailable")
#: What became of the zero-shot triage; only `ok` has scores.
SECOND_LOOKS = _vocabulary("ok not_run phone_scored no_image no_endpoint failed")
#: Mildest first: routine, soon (within 14 days), urgent (within 72 h), emergency (now).
URGENCIES = ("routine", "soon", "urgent", "emergency")
#: Mildest first.
TRIAGES = ("green", "yellow", "red")
LIKELIHOODS = ("low", "med", "high")
YES_NO = ("yes", "no", "unclear")
RED_FLAGS = _vocabulary(
    "bleeding rapid_growth fever mucosal_involvement eye_involvement purpura necrosis "
    "blistering skin_detachment severe_pain spreading_infection facial_swelling "
    "breathing_difficulty non_healing_ulcer suspicious_pigmented_lesion immunosuppressed "
    "infant pregnancy "
    # signs of which some are an emergency by themselves (`shared.products.dermadetect.emergency`)
    "airway_swelling shock altered_consciousness convulsions unable_to_drink heavy_bleeding "
    "neck_stiffness crepitus low_temperature young_infant "
    "other"
)
IMAGE_VERDICTS = ("good", "usable", "unusable", "unclear")
IMAGE_ISSUES = ("blur", "dark", "glare", "far", "framing", "low_res", "hair")
PRIMARY_LESIONS = _vocabulary(
    "macule patch papule plaque nodule vesicle bulla pustule wheal ulcer erosion scar none unclear"
)
COLOURS = _vocabulary("red pink brown black blue purple white yellow skin_coloured unclear")
BORDERS = ("sharp", "ill_defined", "irregular", "raised", "unclear")
DISTRIBUTIONS = _vocabulary("single grouped scattered linear annular symmetric generalised unclear")
ABCDE = ("asymmetry", "border", "colour", "diameter", "evolution")
MISSING_INFORMATION = _vocabulary(
    "age sex body_site duration change_over_time symptoms fever pain itching bleeding "
    "contacts_with_same earlier_treatment earlier_skin_disease immune_status pregnancy travel "
    "exposure sharper_photo close_up_photo overview_photo scale_in_photo"
)
_REFERRALS = {
    "emergency": "refer_now",
    "urgent": "refer_within_3_days",
    "soon": "refer_within_2_weeks",
}
#: Verbs for a CHW. Referral, looking, asking, photographing: no drug, dose or procedure, ever.
NEXT_STEPS = (
    *_REFERRALS.values(),
    "await_doctor",
    "retake_photo",
    "add_close_up_photo",
    "add_overview_photo",
    "ask_missing_information",
    "check_temperature",
    "look_for_more_lesions",
    "advise_return_if_worse",
    "see_again_in_2_weeks",
)
UNCERTAINTIES = ("low", "medium", "high")

#: A red case is at least urgent, a yellow one at least soon; and back.
_URGENCY_OF_TRIAGE = {"green": "routine", "yellow": "soon", "red": "urgent"}
_TRIAGE_OF_URGENCY = {"routine": "green", "soon": "yellow", "urgent": "red", "emergency": "red"}
_RISK_LEVELS = {"high": "red", "medium": "yellow", "low": "green"}

_MAX_OPINIONS = 5
_MAX_REASONS = 5
_MAX_STEPS = 5
_MAX_MISSING = 5
_MAX_IMAGES = 16
_LABEL_CHARS = 80
_REASON_CHARS = 160
_NOTE_CHARS = 300


@dataclass(frozen=True, slots=True)
class Opinion:
    """One entry of the differential; for doctors only."""

    label: str
    likelihood: str
    supporting: tuple[str, ...] = ()
    against: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageQuality:
    """What the model made of one photo."""

    verdict: str = "unclear"
    issues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """What the model said, every word inside the vocabularies and every text bounded."""

    status: str
    urgency: str
    red_flags: tuple[str, ...] = ()
    differential: tuple[Opinion, ...] = ()
    image_quality: tuple[ImageQuality, ...] = (ImageQuality(),)  #: one per image asked about
    primary_lesion: str = "unclear"
    colours: tuple[str, ...] = ()
    border: str = "unclear"
    distribution: str = "unclear"
    abcde: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(ABCDE, "unclear"))
    missing_information: tuple[str, ...] = ()
    suggested_next_steps: tuple[str, ...] = ()
    uncertainty: str = "high"
    uncertainty_note: str = ""
    confidence: tuple[float | str | None, ...] = (None,)  #: as given, one per image asked about


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an analysis comes from and what it took."""

    model: str = ""
    version: str = ""
    prompt: str = ""  #: the prompt's name, like `analyse-v1`
    prompt_sha256: str = ""  #: of the prompt as sent, without the patient's data
    image_sha256: tuple[str, ...] = ()  #: of the images that were shown, in order
    image_files: tuple[str, ...] = ()  #: the ids of their files, in the same order
    images_skipped: int = 0  #: images that there was no room or time for
    images_unread: int = 0  #: photos that were shown, and of which no answer could be read
    images_missing: int = 0  #: photos that the case names and that had not come, or were refused
    max_tokens: int = 0
    temperature: float = 0.0
    latency_ms: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    calls: int = 0  #: questions asked, repairs included
    attempts: int = 1  #: the job's attempt that this is
    price_estimate: float = 0.0  #: what the calls cost by the configured prices; an estimate


@dataclass(frozen=True, slots=True)
class SecondLook:
    """What the zero-shot triage made of the photos (`triage`); for doctors only.

    `status` says why there are no scores: `not_run`, `phone_scored`, `no_image`, `no_endpoint`,
    `failed`. `triage` is None without calibrated thresholds.
    """

    status: str = "not_run"
    labels: str = ""  #: name and version of the label texts
    scores: Mapping[str, float] = field(default_factory=dict)  #: label → 0 to 1, worst photo
    triage: str | None = None
    model: str = ""


# --- reading a draft ---------------------------------------------------------------------------


#: What a draft is known by, in an answer.
_SHAPE = Shape(
    keys=_vocabulary(
        "status image_quality morphology differential urgency red_flags missing_information "
        "suggested_next_steps uncertainty confidence"
    ),
    wanted=("status", "urgency"),
    once=("status", "urgency", "red_flags", "differential"),
)


def parse(text: str) -> Draft:
    """The draft in a model's answer: thinking and code fences stripped, bounded, in vocabulary.

    Raises `ContractBroken`, with the urgency that was `heard` all the same; its message lists what is
    wrong in words that can be sent back to the model, and never quotes the answer (it may repeat the
    patient's data).
    """
    answer = without_thinking(text[:MAX_ANSWER_CHARS])
    try:
        return _draft(answer)
    except ContractBroken as broken:
        broken.urgency = heard(answer)
        raise


def _draft(answer: str) -> Draft:
    found = draft_in(answer, _SHAPE)
    if found is None:
        raise _broken(["Write exactly one complete JSON object with status and urgency."])
    faults: list[str] = []
    status = _word(found.get("status"), DRAFT_STATUSES)
    if status is None:
        faults.append(f"status must be one of {', '.join(DRAFT_STATUSES)}.")
    urgency = _urgency(found.get("urgency"))
    if urgency is None:
        faults.append(f"urgency must be one of {', '.join(URGENCIES)}.")
    elif _worst([urgency, *_stated(answer)]) != urgency:
        # another object, or a sentence beside it: two answers
        faults.append("Name one urgency only.")
    flags = _listed(found.get("red_flags"))
    if not isinstance(flags, list | str | None) or "red_flags" not in found:
        faults.append("red_flags must be a list of words.")
    faults_before = len(faults)
    opinions = _opinions(found.get("differential"), faults)
    if status == "ok" and not opinions and len(faults) == faults_before:
        faults.append("differential needs 1 to 5 entries when status is ok.")
    if faults or status is None or urgency is None:
        raise _broken(faults)
    quality = _mapping(found.get("image_quality"))
    morphology = _mapping(found.get("morphology"))
    abcde = _mapping(morphology.get("abcde"))
    uncertainty = _mapping(found.get("uncertainty"))
    return Draft(
        status=status,
        urgency=urgency,
        # An unknown flag is still a flag: dropping it would lower the case.
        red_flags=_words(flags, RED_FLAGS, len(RED_FLAGS), unknown="other"),
        differential=opinions,
        image_quality=(
            ImageQuality(
                verdict=_word(quality.get("verdict"), IMAGE_VERDICTS) or "unclear",
                issues=_words(quality.get("issues"), IMAGE_ISSUES, len(IMAGE_ISSUES)),
            ),
        ),
        primary_lesion=_word(morphology.get("primary_lesion"), PRIMARY_LESIONS) or "unclear",
        colours=_words(morphology.get("colours"), COLOURS, len(COLOURS)),
        border=_word(morphology.get("border"), BORDERS) or "unclear",
        distribution=_word(morphology.get("distribution"), DISTRIBUTIONS) or "unclear",
        abcde={name: _word(abcde.get(name), YES_NO) or "unclear" for name in ABCDE},
        missing_information=_words(
            found.get("missing_information"), MISSING_INFORMATION, _MAX_MISSING
        ),
        suggested_next_steps=_words(found.get("suggested_next_steps"), NEXT_STEPS, len(NEXT_STEPS)),
        uncertainty=_word(uncertainty.get("level"), UNCERTAINTIES) or "high",
        uncertainty_note=clean(uncertainty.get("note"), _NOTE_CHARS),
        confidence=(_confidence(found.get("confidence")),),
    )


def _broken(faults: Sequence[str]) -> ContractBroken:
    return ContractBroken(" ".join(faults[:10]))


# How an urgency is put into words. Prefixes, so that emergencies, emergent and urgently count.
_URGENT_WORDS = (
    *((word, "emergency") for word in ("emerg", "immediate", "critical", "now", "asap")),
    ("urgent", "urgent"),
    ("soon", "soon"),
    ("routine", "routine"),
)
_NOT = frozenset(_vocabulary("not no non isn never nor without"))
_ARTICLES = frozenset(_vocabulary("a an the t"))
_KEY_OF_URGENCY = re.compile(
    r"urgency[\w ]{0,12}[^\w\s:=-]{0,4}\s*(?:[:=–—-]|\bis\b)[^\w\n]{0,8}([^,}\]\n\"“”]{1,80})",
    re.IGNORECASE,
)
_ALARM = re.compile(r"\bemergenc|\brefer[ _]now\b|\bimmediate(?:ly)? refer", re.IGNORECASE)
#: A sentence with one of these sets a condition, denies, or lists the choices.
_CONDITION = re.compile(
    r"\b(?:if|when|should|unless|not|no|non|isn|without|rule|may|might|could|or|routine)\b",
    re.IGNORECASE,
)


def heard(answer: str) -> str | None:
    """The worst urgency that a text names although it is no draft; None if it names none.

    A value beside the word urgency, the step `refer_now`, or a sentence that says emergency without a
    condition, a negation or a list of choices. Nothing else of such a text is used.
    """
    alarms = (
        "emergency"
        for sentence in re.split(r"[.!?;\n]", answer)
        if _ALARM.search(sentence) and not _CONDITION.search(sentence)
    )
    return _worst([*_stated(answer), *alarms])


def _stated(answer: str) -> list[str]:
    found = (_urgency(value) for value in _KEY_OF_URGENCY.findall(answer))
    return [urgency for urgency in found if urgency is not None]


def worst_urgency(*urgencies: str | None) -> str | None:
    """The worst of urgencies; None if none is named."""
    return _worst(urgency for urgency in urgencies if urgency is not None)


def _worst(urgencies: Iterable[str]) -> str | None:
    return max(urgencies, key=URGENCIES.index, default=None)


def _urgency(value: object) -> str | None:
    """The worst urgency that a value names, in any case, with anything beside it; None: none."""
    if isinstance(value, dict):
        named = (key if said is True else said for key, said in value.items() if said)
        return _worst(filter(None, map(_urgency, named)))
    if isinstance(value, list):
        return _worst(filter(None, map(_urgency, value[:10])))
    if not isinstance(value, str):
        return None
    found, before = [], ""
    for word in re.findall(r"[^\W_]+|[,;:.?!]", plain(value[:200]).lower()):
        if before not in _NOT:
            found += [urgency for stem, urgency in _URGENT_WORDS if word.startswith(stem)][:1]
        before = before if word in _ARTICLES else word
    return _worst(found)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


_SYNONYMS = {
    **dict.fromkeys(("medium", "moderate", "possible"), "med"),
    **dict.fromkeys(("likely", "probable"), "high"),
    "unlikely": "low",
    "color": "colour",
    "unknown": "unclear",
}
_BACK = {"med": "medium"}
#: Left out before a word: "very high" is high.
_DEGREES = frozenset(_vocabulary("very extremely quite rather fairly most highly"))


def _word(value: object, vocabulary: tuple[str, ...]) -> str | None:
    """The word of the vocabulary that `value` begins with, in any case ("Good (sharp)"); else None."""
    if not isinstance(value, str):
        return None
    words = snake(value).split("_")
    while words[1:] and words[0] in _DEGREES:
        words = words[1:]
    for count in range(min(len(words), 5), 0, -1):
        word = "_".join(words[:count])
        word = word if word in vocabulary else _SYNONYMS.get(word, word)
        word = word if word in vocabulary else _BACK.get(word, word)
        if word in vocabulary:
            return word
    return None


_ABSENT = frozenset(_vocabulary("no none absent negative false denied 0"))


def _listed(value: object) -> object:
    """Words as a list, however they were listed: in one text, or as keys that are answered.

    `{"fever": true, "bleeding": "no"}` is fever; a key that is no flag counts with what it holds.
    """
    if isinstance(value, str):
        return [part for part in re.split(r"[,;/\n]", value) if part.strip()]
    if not isinstance(value, dict):
        return value
    found: list[object] = []
    for key, said in value.items():
        if key in _ABSENT or not said or (isinstance(said, str) and snake(said) in _ABSENT):
            continue
        if key not in RED_FLAGS and isinstance(said, list):
            found += said
        elif not _says_nothing(said):
            found.append(key)
    return found


def _words(
    value: object, vocabulary: tuple[str, ...], limit: int, unknown: str | None = None
) -> tuple[str, ...]:
    """The known words of a list (or of one string), in order, once each, at most `limit`.

    `unknown` stands for what is not in the vocabulary but says something; else it is dropped.
    """
    items: Iterable[object] = value if isinstance(value, list) else [value]
    found: list[str] = []
    for item in items:
        if unknown is not None and _says_nothing(item):
            continue
        word = _word(item, vocabulary) or unknown
        if word is not None and word not in found:
            found.append(word)
    return tuple(found[:limit])


_SEEN = (
    "(_(seen|noted|observed|identified|present|reported|detected|apparent|evident|visible|found))?"
)
#: An entry of a list of red flags that is none; also a flag that is denied ("fever: no").
_NOTHING = re.compile(
    f"(none|no|no_red_flags?|no_flags?){_SEEN}|nil|n_a|na|not_applicable|unclear|unknown|"
    f"|({'|'.join(RED_FLAGS)})_({'|'.join(_ABSENT)}|not_present|not_seen)"
)


def _says_nothing(item: object) -> bool:
    if item is None or item is False or item in ([], {}):
        return True
    return isinstance(item, str) and _NOTHING.fullmatch(snake(item)) is not None


def _opinions(value: object, faults: list[str]) -> tuple[Opinion, ...]:
    if value is None:
        return ()
    if isinstance(value, dict):
        value = [value] if "label" in value else [_named(key, said) for key, said in value.items()]
    if not isinstance(value, list):
        faults.append("differential must be a list.")
        return ()
    found: list[Opinion] = []
    for index, item in enumerate(value[:_MAX_OPINIONS]):
        entry = _mapping(_parted(item) if isinstance(item, str) else item)
        label = clean(_first_of(entry, "label", "condition", "diagnosis", "name"), _LABEL_CHARS)
        likelihood = _word(_first_of(entry, "likelihood", "probability"), LIKELIHOODS)
        if not label:
            faults.append(f"differential[{index}].label is missing.")
        if likelihood is None:
            faults.append(f"differential[{index}].likelihood must be low, med or high.")
        if label and likelihood is not None:
            found.append(
                Opinion(
                    label, likelihood, _texts(entry.get("supporting")), _texts(entry.get("against"))
                )
            )
    return tuple(found)


def _named(label: str, said: object) -> dict[str, object]:
    """An entry of `{"Eczema": "high"}` or `{"1": {"label": …}}`."""
    return (
        {"label": label.replace("_", " "), **said}
        if isinstance(said, dict)
        else {
            "label": label.replace("_", " "),
            "likelihood": said,
        }
    )


def _parted(text: str) -> dict[str, str]:
    """An entry of one text: "Eczema (high)", "Eczema: low"."""
    label, _, likelihood = re.sub(r"[(:–—]|\s-\s", "\n", text[:400]).rpartition("\n")
    return {"label": label, "likelihood": likelihood}


def _first_of(entry: Mapping[str, Any], *names: str) -> object:
    return next((entry[name] for name in names if entry.get(name) is not None), None)


def _texts(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    texts = (clean(item, _REASON_CHARS) for item in items[:_MAX_REASONS])
    return tuple(text for text in texts if text)


#: Control characters, lone surrogates (no store takes them), marks that reorder or hide text.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff]+"
)


def clean(value: object, limit: int) -> str:
    """A text fit to store and show: one line, no control or reordering characters, bounded.

    Anything but a string gives the empty text.
    """
    if not isinstance(value, str):
        return ""
    # cut before the regular expressions see it, and again after
    text = _UNPRINTABLE.sub(" ", value[: 4 * limit])
    return " ".join(text.split())[:limit].strip()


def _confidence(value: object) -> float | str | None:
    if isinstance(value, str):
        return clean(value, 40) or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) and abs(number) <= 1e6 else None
    return None


# --- several images ----------------------------------------------------------------------------


def merge(drafts: Sequence[Draft]) -> Draft:
    """One draft out of one per image: worst urgency, every flag, best status, likeliest first.

    Raises `ValueError` without a draft.
    """
    if not drafts:
        raise ValueError("nothing to merge")
    if len(drafts) == 1:
        return drafts[0]
    opinions: dict[str, Opinion] = {}
    for opinion in (o for d in drafts for o in d.differential):
        name = opinion.label.casefold()
        known = opinions.get(name)
        opinions[name] = opinion if known is None else _joined(known, opinion)
    likeliest = sorted(opinions.values(), key=lambda o: -LIKELIHOODS.index(o.likelihood))
    return Draft(
        status=min((d.status for d in drafts), key=DRAFT_STATUSES.index),
        urgency=max((d.urgency for d in drafts), key=URGENCIES.index),
        red_flags=_union(d.red_flags for d in drafts),
        differential=tuple(likeliest[:_MAX_OPINIONS]),
        image_quality=tuple(q for d in drafts for q in d.image_quality),
        primary_lesion=_first_clear(d.primary_lesion for d in drafts),
        colours=_union(d.colours for d in drafts),
        border=_first_clear(d.border for d in drafts),
        distribution=_first_clear(d.distribution for d in drafts),
        abcde={name: min((d.abcde[name] for d in drafts), key=YES_NO.index) for name in ABCDE},
        missing_information=_union(d.missing_information for d in drafts)[:_MAX_MISSING],
        suggested_next_steps=_union(d.suggested_next_steps for d in drafts),
        uncertainty=max((d.uncertainty for d in drafts), key=UNCERTAINTIES.index),
        uncertainty_note=clean(
            " ".join(_union([d.uncertainty_note] for d in drafts if d.uncertainty_note)),
            _NOTE_CHARS,
        ),
        confidence=tuple(c for d in drafts for c in d.confidence),
    )


def _joined(one: Opinion, other: Opinion) -> Opinion:
    return Opinion(
        one.label,
        max(one.likelihood, other.likelihood, key=LIKELIHOODS.index),
        _union((one.supporting, other.supporting))[:_MAX_REASONS],
        _union((one.against, other.against))[:_MAX_REASONS],
    )


def _union(lists: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for words in lists for word in words))


def _first_clear(words: Iterable[str]) -> str:
    return next((word for word in words if word != "unclear"), "unclear")


def raised(draft: Draft, urgency: str | None) -> Draft:
    """The draft, at least as urgent as this."""
    return replace(draft, urgency=worst_urgency(draft.urgency, urgency) or draft.urgency)


# --- the complete document ---------------------------------------------------------------------


def triage_colour(value: object) -> str | None:
    """green, yellow or red for a risk level (high, medium and low count too); else None."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    word = value.strip().lower()
    word = _RISK_LEVELS.get(word, word)
    return word if word in TRIAGES else None


def finish(
    draft: Draft,
    *,
    triage_device: object,
    rules_triage: object = None,
    rules_flags: Sequence[str] = (),
    second_look: SecondLook = SecondLook(),
    provenance: Provenance,
) -> dict[str, Any]:
    """The complete contract document of a draft.

    `triage_device` is the phone's risk level, `rules_triage` what rules on the server say (None: no
    rule spoke), `rules_flags` why; `second_look` counts as a fourth opinion. A level that is missing or
    cannot be read is null in the document and counts as red: the worst is assumed of what is not
    known.

    Raises `ContractBroken` if the result were outside the contract, which only a
    provenance out of bounds can cause.
    """
    urgency_ai = max(draft.urgency, _implied_urgency(draft), key=URGENCIES.index)
    triage_ai: str | None = _TRIAGE_OF_URGENCY[urgency_ai]
    if draft.status != "ok" and triage_ai == "green":
        triage_ai = None  # no picture, no opinion: silence must not read as "harmless"
    document = _document(
        draft.status,
        triage_device,
        rules_triage,
        triage_ai,
        urgency_ai,
        provenance,
        draft.confidence,
        second_look,
    )
    document["image_quality"] = [
        {"image_sha256": sha256, "verdict": quality.verdict, "issues": list(quality.issues)}
        for sha256, quality in zip(provenance.image_sha256, draft.image_quality, strict=False)
    ]
    document["morphology"] = {
        "primary_lesion": draft.primary_lesion,
        "colours": list(draft.colours),
        "border": draft.border,
        "distribution": draft.distribution,
        "abcde": dict(draft.abcde),
    }
    document["differential"] = [
        {
            "label": opinion.label,
            "likelihood": opinion.likelihood,
            "supporting": list(opinion.supporting),
            "against": list(opinion.against),
        }
        for opinion in draft.differential
    ]
    _flag(document, rules_flags, draft.red_flags)
    document["missing_information"] = list(draft.missing_information)
    document["suggested_next_steps"] = _steps(
        document["urgency"], draft.status, draft.suggested_next_steps
    )
    document["uncertainty"] = {
        "level": draft.uncertainty,
        "calibrated": False,
        "note": draft.uncertainty_note,
    }
    return _checked(document)


def unavailable(
    reason: str,
    triage_device: object,
    *,
    rules_triage: object = None,
    rules_flags: Sequence[str] = (),
    second_look: SecondLook = SecondLook(),
    provenance: Provenance | None = None,
    urgency: str | None = None,
) -> dict[str, Any]:
    """The document of a case that got no analysis; the doctor gets the case all the same.

    `urgency` is what was heard in an answer that could not be read: nothing else of it is used.

    `reason` is a stable code (the `code` of the fault); its status is parse_failed for
    `contract_broken`, refused for `model_declined`, else unavailable. Anything that does not look
    like a code (`[a-z0-9_]`, at most 64) is written as `unspecified`: no foreign text gets in.
    """
    status = {CONTRACT_BROKEN: "parse_failed", MODEL_DECLINED: "refused"}.get(reason, "unavailable")
    document = _document(
        status,
        triage_device,
        rules_triage,
        # silence, and what is hardly heard, must not read as "harmless"
        None if urgency in (None, "routine") else _TRIAGE_OF_URGENCY[str(urgency)],
        urgency,
        provenance or Provenance(),
        (),
        second_look,
    )
    _flag(document, rules_flags)
    document["reason"] = reason if re.fullmatch(r"[a-z0-9_]{1,64}", reason) else "unspecified"
    document["suggested_next_steps"] = _steps(document["urgency"], status, ())
    return _checked(document)


#: How much the reading of a status tells: a reading, one that saw too little, none at all.
_TELLING = {"ok": 3, "insufficient_image": 2, "not_skin": 2, "refused": 1}
#: Steps that ask for a photo: of an earlier reading they are out of date.
_PHOTO_STEPS = frozenset(_vocabulary("retake_photo add_close_up_photo add_overview_photo"))


def shown(earlier: Mapping[str, Any] | None, latest: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of a case whose earlier document is there when another reading comes.

    The reading that tells most, of equals the most urgent, then the one that saw more photos, then the
    latest; with the worst triage and urgency of both, every red flag and every next step. The colours
    of phone and rules are the latest ones. Nothing is ever taken away: the doctor decides.
    """
    if not earlier:
        return dict(latest)
    base = latest if _telling(latest) >= _telling(earlier) else earlier
    final = max(
        (each for each in (earlier.get("triage_final"), latest["triage_final"]) if each in TRIAGES),
        key=TRIAGES.index,
    )
    known = (earlier.get("urgency"), latest["urgency"], _URGENCY_OF_TRIAGE[final])
    urgency = max((each for each in known if each in URGENCIES), key=URGENCIES.index)
    steps = [
        step
        for step in _strings(earlier, "suggested_next_steps")
        if step in NEXT_STEPS and not (base is latest and step in _PHOTO_STEPS)
    ] + latest["suggested_next_steps"]
    joined: dict[str, Any] = {
        "triage_device": latest["triage_device"],
        "triage_rules": latest["triage_rules"],
        "triage_final": final,
        "urgency": urgency,
    }
    _flag(joined, _strings(earlier, "red_flags"), latest["red_flags"])
    joined["suggested_next_steps"] = _steps(joined["urgency"], str(base.get("status")), steps)
    # A document of an older release lacks what came since.
    since: dict[str, Any] = {"image_files": [], "images_unread": 0, "read_at": None}
    origin = {**since, **(base.get("provenance") or {})}
    document = {**base, **joined, "provenance": origin}
    return document if not problems(document, SCHEMA) else {**latest, **joined}


def _telling(document: Mapping[str, Any]) -> tuple[int, int, int]:
    urgency = document.get("urgency")
    origin = document.get("provenance") or {}
    return (
        _TELLING.get(str(document.get("status")), 0),
        URGENCIES.index(urgency) if urgency in URGENCIES else -1,
        len(origin.get("image_sha256") or ()),
    )


def _strings(document: Mapping[str, Any], name: str) -> list[str]:
    found = document.get(name)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _flag(document: dict[str, Any], *lists: Sequence[str]) -> None:
    """Write the red flags down, and the urgency that they alone mean: nobody makes it less."""
    flags = [flag for flag in _union(lists) if flag in RED_FLAGS]
    document["red_flags"] = flags
    if (urgency := urgency_of(flags).urgency) is not None:
        document |= {"urgency": urgency, "triage_final": _TRIAGE_OF_URGENCY[urgency]}


def _implied_urgency(draft: Draft) -> str:
    """What flags and referrals ask for, should the draft's urgency contradict them."""
    implied = [
        urgency for urgency, step in _REFERRALS.items() if step in draft.suggested_next_steps
    ]
    if draft.red_flags:
        implied.append("urgent")
    return max(implied, key=URGENCIES.index, default="routine")


def _document(
    status: str,
    triage_device: object,
    rules_triage: object,
    triage_ai: str | None,
    urgency_ai: str | None,
    provenance: Provenance,
    confidence: tuple[float | str | None, ...],
    look: SecondLook,
) -> dict[str, Any]:
    device, rules = triage_colour(triage_device), triage_colour(rules_triage)
    sources = (device, rules, triage_ai, look.triage)
    known = [colour for colour in sources if colour is not None]
    if device is None or (rules is None and rules_triage is not None):
        known.append("red")
    final = max(known, key=TRIAGES.index)
    floor = _URGENCY_OF_TRIAGE[final]
    scripted = provenance.model == SCRIPTED
    return {
        "schema_version": SCHEMA_VERSION,
        "status": status,
        "reason": None,
        "image_quality": [],
        "morphology": None,
        "differential": [],
        "urgency": max(urgency_ai or floor, floor, key=URGENCIES.index),
        "urgency_ai": urgency_ai,
        "red_flags": [],
        "triage_device": device,
        "triage_rules": rules,
        "triage_ai": triage_ai,
        "triage_final": final,
        "second_look": {
            "status": look.status,
            "labels": clean(look.labels, 64),
            "model": clean(look.model, 200),
            "scores": [{"label": name, "score": score} for name, score in look.scores.items()],
            "triage": look.triage,
        },
        "missing_information": [],
        "suggested_next_steps": [],
        "uncertainty": {"level": "high", "calibrated": False, "note": ""},
        "provenance": {
            "model": clean(provenance.model, 200),
            "version": clean(provenance.version, 200),
            "prompt": clean(provenance.prompt, 64),
            "prompt_sha256": provenance.prompt_sha256 or None,
            "image_sha256": list(provenance.image_sha256),
            "image_files": list(provenance.image_files),
            "images_skipped": provenance.images_skipped,
            "images_unread": provenance.images_unread,
            "images_missing": provenance.images_missing,
            "parameters": {
                "max_tokens": provenance.max_tokens,
                "temperature": float(provenance.temperature),
            },
            "confidence": list(confidence[: len(provenance.image_sha256) or 1]),
            "latency_ms": provenance.latency_ms,
            "tokens": {
                "prompt": provenance.prompt_tokens,
                "completion": provenance.completion_tokens,
            },
            "calls": provenance.calls,
            "attempts": provenance.attempts,
            "price_estimate": float(provenance.price_estimate),
            "read_at": None,
        },
        "disclaimer": DISCLAIMER_SCRIPTED if scripted else DISCLAIMER,
        "requires_human_review": True,
    }


def _steps(urgency: str, status: str, suggested: Sequence[str]) -> list[str]:
    """The referral that the urgency asks for, waiting for the doctor, then what was suggested."""
    steps = [_REFERRALS[urgency]] if urgency in _REFERRALS else []
    steps.append("await_doctor")
    if status == "insufficient_image":
        steps.append("retake_photo")
    for step in suggested:
        milder = step in _REFERRALS.values() or (
            step == "see_again_in_2_weeks" and urgency in ("urgent", "emergency")
        )
        if step not in steps and not milder:
            steps.append(step)
    return steps[:_MAX_STEPS]


def _checked(document: dict[str, Any]) -> dict[str, Any]:
    faults = problems(document, SCHEMA)
    if faults:
        raise ContractBroken(f"The analysis is outside its contract: {'; '.join(faults[:5])}.")
    return document


# --- the published schema ----------------------------------------------------------------------

_INTEGER = {"type": "integer", "minimum": 0, "maximum": 2**53}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$", "maxLength": 64}


def _choice(words: Sequence[str], *, nullable: bool = False) -> dict[str, Any]:
    return {"enum": [*words, None] if nullable else list(words)}


def _text(limit: int, least: int = 0) -> dict[str, Any]:
    return {"type": "string", "minLength": least, "maxLength": limit}


def _list(items: Mapping[str, Any], limit: int, *, unique: bool = True) -> dict[str, Any]:
    schema = {"type": "array", "items": dict(items), "maxItems": limit}
    return {**schema, "uniqueItems": True} if unique else schema


def _record(properties: Mapping[str, Any], *, nullable: bool = False) -> dict[str, Any]:
    """Every property is required and no other is allowed."""
    return {
        "type": ["object", "null"] if nullable else "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _when(name: str, value: str, then: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "if": {"properties": {name: {"const": value}}, "required": [name]},
        "then": {"properties": dict(then)},
    }


#: JSON Schema (draft 2020-12) of `ai_analysis`. The rules below it say that triage never falls.
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "ai_analysis",
    "description": "What software made of a case. Advisory: a doctor reviews every case.",
    **_record(
        {
            "schema_version": {"const": SCHEMA_VERSION},
            "status": _choice(STATUSES),
            "reason": {"type": ["string", "null"], "pattern": "^[a-z0-9_]{1,64}$", "maxLength": 64},
            "image_quality": _list(
                _record(
                    {
                        "image_sha256": _SHA256,
                        "verdict": _choice(IMAGE_VERDICTS),
                        "issues": _list(_choice(IMAGE_ISSUES), len(IMAGE_ISSUES)),
                    }
                ),
                _MAX_IMAGES,
                unique=False,
            ),
            "morphology": _record(
                {
                    "primary_lesion": _choice(PRIMARY_LESIONS),
                    "colours": _list(_choice(COLOURS), len(COLOURS)),
                    "border": _choice(BORDERS),
                    "distribution": _choice(DISTRIBUTIONS),
                    "abcde": _record({name: _choice(YES_NO) for name in ABCDE}),
                },
                nullable=True,
            ),
            "differential": _list(
                _record(
                    {
                        "label": _text(_LABEL_CHARS, 1),
                        "likelihood": _choice(LIKELIHOODS),
                        "supporting": _list(_text(_REASON_CHARS, 1), _MAX_REASONS, unique=False),
                        "against": _list(_text(_REASON_CHARS, 1), _MAX_REASONS, unique=False),
                    }
                ),
                _MAX_OPINIONS,
                unique=False,
            ),
            "urgency": _choice(URGENCIES),
            "urgency_ai": _choice(URGENCIES, nullable=True),
            "red_flags": _list(_choice(RED_FLAGS), len(RED_FLAGS)),
            "triage_device": _choice(TRIAGES, nullable=True),
            "triage_rules": _choice(TRIAGES, nullable=True),
            "triage_ai": _choice(TRIAGES, nullable=True),
            "triage_final": _choice(TRIAGES),
            "second_look": _record(
                {
                    "status": _choice(SECOND_LOOKS),
                    "labels": _text(64),
                    "model": _text(200),
                    "scores": _list(
                        _record({"label": _text(64, 1), "score": _SHARE}), 16, unique=False
                    ),
                    "triage": _choice(TRIAGES, nullable=True),
                }
            ),
            "missing_information": _list(_choice(MISSING_INFORMATION), _MAX_MISSING),
            "suggested_next_steps": _list(_choice(NEXT_STEPS), _MAX_STEPS),
            "uncertainty": _record(
                {
                    "level": _choice(UNCERTAINTIES),
                    "calibrated": {"const": False},
                    "note": _text(_NOTE_CHARS),
                }
            ),
            "provenance": _record(
                {
                    "model": _text(200),
                    "version": _text(200),
                    "prompt": _text(64),
                    "prompt_sha256": {**_SHA256, "type": ["string", "null"]},
                    "image_sha256": _list(_SHA256, _MAX_IMAGES, unique=False),
                    "image_files": _list(_text(128), _MAX_IMAGES, unique=False),
                    "images_skipped": _INTEGER,
                    "images_unread": _INTEGER,
                    "images_missing": _INTEGER,
                    "parameters": _record(
                        {"max_tokens": _INTEGER, "temperature": {"type": "number", "minimum": 0}}
                    ),
                    "confidence": _list(
                        {
                            "type": ["number", "string", "null"],
                            "minimum": -1e6,
                            "maximum": 1e6,
                            "maxLength": 40,
                        },
                        _MAX_IMAGES,
                        unique=False,
                    ),
                    "latency_ms": _INTEGER,
                    "tokens": _record(
                        {
                            "prompt": {**_INTEGER, "type": ["integer", "null"]},
                            "completion": {**_INTEGER, "type": ["integer", "null"]},
                        }
                    ),
                    "calls": _INTEGER,
                    "attempts": _INTEGER,
                    "price_estimate": {"type": "number", "minimum": 0},
                    "read_at": {**_INTEGER, "type": ["integer", "null"]},
                }
            ),
            "disclaimer": {"enum": [DISCLAIMER, DISCLAIMER_SCRIPTED]},
            "requires_human_review": {"const": True},
        }
    ),
    "allOf": [
        rule
        for source in ("triage_device", "triage_rules", "triage_ai")
        for rule in (
            _when(source, "yellow", {"triage_final": _choice(("yellow", "red"))}),
            _when(source, "red", {"triage_final": {"const": "red"}}),
        )
    ]
    + [
        _when("triage_final", "yellow", {"urgency": _choice(URGENCIES[1:])}),
        _when("triage_final", "red", {"urgency": _choice(URGENCIES[2:])}),
        _when("status", "ok", {"differential": {"minItems": 1}}),
    ]
    + [
        {
            "if": {
                "properties": {"second_look": {"properties": {"triage": {"const": colour}}}},
                "required": ["second_look"],
            },
            "then": {"properties": {"triage_final": _choice(TRIAGES[TRIAGES.index(colour) :])}},
        }
        for colour in TRIAGES[1:]
    ],
}


def schemas() -> dict[str, dict[str, Any]]:
    """The analysis, whole and as health workers see it, for the API's description."""
    from shared.products.dermadetect.who_sees_analysis import VISIBLE_TO_CHW

    whole = {name: value for name, value in SCHEMA.items() if name[0] != "$"}
    seen = {name: whole["properties"][name] for name in VISIBLE_TO_CHW}
    return {
        "AiAnalysis": whole,
        "AiAnalysisBeforeReview": {
            "type": "object",
            "title": "ai_analysis before a doctor signed",
            "description": "What a health worker's phone gets until a doctor has signed.",
            "properties": seen,
            "required": list(seen),
            "additionalProperties": False,
        },
    }


def published() -> str:
    """The text of `docs/ai-analysis.schema.json`."""
    return json.dumps(SCHEMA, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(published(), end="")
