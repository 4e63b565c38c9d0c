"""How a draft is read in a model's answer: free text that should hold one JSON object.

Words of closed lists are understood in the forms in which models write them. What is not understood is
refused where safety hangs on it: status, urgency, red flags, differential.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.ai.answer import MAX_ANSWER_CHARS, Shape, draft_in, snake, without_thinking
from shared.errors import ContractBroken
from shared.products.dermadetect.analysis.clean_text import clean
from shared.products.dermadetect.analysis.draft import Draft, ImageQuality, Opinion
from shared.products.dermadetect.analysis.urgency_heard import (
    heard,
    named_urgency,
    stated,
    worst_urgency,
)
from shared.products.dermadetect.analysis.vocabulary import (
    ABCDE,
    BORDERS,
    COLOURS,
    DISTRIBUTIONS,
    DRAFT_STATUSES,
    IMAGE_ISSUES,
    IMAGE_VERDICTS,
    LABEL_CHARS,
    LIKELIHOODS,
    MAX_MISSING,
    MAX_OPINIONS,
    MAX_REASONS,
    MISSING_INFORMATION,
    NEXT_STEPS,
    NOTE_CHARS,
    PRIMARY_LESIONS,
    REASON_CHARS,
    RED_FLAGS,
    UNCERTAINTIES,
    URGENCIES,
    YES_NO,
)

#: What a draft is known by, in an answer.
_SHAPE = Shape(
    keys=(
        "status",
        "image_quality",
        "morphology",
        "differential",
        "urgency",
        "red_flags",
        "missing_information",
        "suggested_next_steps",
        "uncertainty",
        "confidence",
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
    urgency = named_urgency(found.get("urgency"))
    if urgency is None:
        faults.append(f"urgency must be one of {', '.join(URGENCIES)}.")
    elif worst_urgency(urgency, *stated(answer)) != urgency:
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
            found.get("missing_information"), MISSING_INFORMATION, MAX_MISSING
        ),
        suggested_next_steps=_words(found.get("suggested_next_steps"), NEXT_STEPS, len(NEXT_STEPS)),
        uncertainty=_word(uncertainty.get("level"), UNCERTAINTIES) or "high",
        uncertainty_note=clean(uncertainty.get("note"), NOTE_CHARS),
        confidence=(_confidence(found.get("confidence")),),
    )


def _broken(faults: Sequence[str]) -> ContractBroken:
    return ContractBroken(" ".join(faults[:10]))


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
_DEGREES = frozenset({"very", "extremely", "quite", "rather", "fairly", "most", "highly"})


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


_ABSENT = frozenset({"no", "none", "absent", "negative", "false", "denied", "0"})


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
    for index, item in enumerate(value[:MAX_OPINIONS]):
        entry = _mapping(_parted(item) if isinstance(item, str) else item)
        label = clean(_first_of(entry, "label", "condition", "diagnosis", "name"), LABEL_CHARS)
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
    texts = (clean(item, REASON_CHARS) for item in items[:MAX_REASONS])
    return tuple(text for text in texts if text)


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
