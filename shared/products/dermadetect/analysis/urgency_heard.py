"""Which urgency a text names: an emergency is heard also in an answer that is no draft."""

from __future__ import annotations

import re

from shared.ai.answer import plain
from shared.products.dermadetect.analysis.vocabulary import URGENCIES

# How an urgency is put into words. Prefixes, so that emergencies, emergent and urgently count.
_URGENT_WORDS = (
    *((word, "emergency") for word in ("emerg", "immediate", "critical", "now", "asap")),
    ("urgent", "urgent"),
    ("soon", "soon"),
    ("routine", "routine"),
)
_NOT = frozenset({"not", "no", "non", "isn", "never", "nor", "without"})
_ARTICLES = frozenset({"a", "an", "the", "t"})
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
    return worst_urgency(*stated(answer), *alarms)


def stated(answer: str) -> list[str]:
    """The urgencies that stand beside the word urgency."""
    found = (named_urgency(value) for value in _KEY_OF_URGENCY.findall(answer))
    return [urgency for urgency in found if urgency is not None]


def worst_urgency(*urgencies: str | None) -> str | None:
    """The worst of urgencies; None if none is named."""
    named = (urgency for urgency in urgencies if urgency is not None)
    return max(named, key=URGENCIES.index, default=None)


def named_urgency(value: object) -> str | None:
    """The worst urgency that a value names, in any case, with anything beside it; None: none."""
    if isinstance(value, dict):
        named = (key if said is True else said for key, said in value.items() if said)
        return worst_urgency(*map(named_urgency, named))
    if isinstance(value, list):
        return worst_urgency(*map(named_urgency, value[:10]))
    if not isinstance(value, str):
        return None
    found, before = [], ""
    for word in re.findall(r"[^\W_]+|[,;:.?!]", plain(value[:200]).lower()):
        if before not in _NOT:
            found += [urgency for stem, urgency in _URGENT_WORDS if word.startswith(stem)][:1]
        before = before if word in _ARTICLES else word
    return worst_urgency(*found)
