"""A language model's text of a summary: taken if it says the facts and nothing else.

The model gets numbers and names of symptoms, nothing of persons. It answers `{"sentences": [...]}`, and
each clause of these must be one fact, or the fixed text stays:

    its words      those of the fact's fixed sentence, all of them, in any order; a few that join clauses or
                   name the time may be added or left out (a closed vocabulary: there is no word for health,
                   advice or praise, and no "not" that the fact has not)
    its numbers    those of the fact, in the order of the fixed sentence

and nothing that was missed, late, skipped, open, or told may be left out.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from shared.ai.answer import Shape, draft_in
from shared.ai.conversation import as_data
from shared.errors import ContractBroken
from shared.products.medmind.report.sentences import (
    facts,
    words_in,
)
from shared.products.medmind.summary import SummaryNumbers

#: Sentences of one text, and characters of each.
MOST_SENTENCES, MOST_CHARACTERS = 24, 240

#: Words that join clauses: between two of them is one fact.
_JOINS = {"en": ("and", "but"), "hi": ("और", "लेकिन"), "ar": ("و",), "ru": ("и", "а")}

#: Words that change nothing.
_FREE = {
    "en": ("the", "a", "this", "day", "week", "today", "also", "in", "was", "were"),
    "hi": ("इस", "दिन", "सप्ताह", "आज", "भी", "कुल", "है", "हैं", "गई", "गईं"),
    "ar": ("هذا", "اليوم", "الأسبوع", "أيضًا", "في"),
    "ru": ("в", "этот", "день", "на", "этой", "неделе", "сегодня", "также", "всего"),
}

_ENDS = re.compile(r"[.;,،؛।!?؟\n]+")
#: A number, or a word with its accents and vowel signs: Latin, Arabic, Devanagari.
_MARKS = "\u0300-\u036f\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963"
_TOKEN = re.compile(rf"\d+|[^\W\d_](?:[^\W\d_]|[{_MARKS}'’-])*")
_BETWEEN = re.compile(r"[\s:–—()-]*")

_SHAPE = Shape(("sentences",), ("sentences",), ("sentences",))

SYSTEM = (
    "You write a short, plain text about the medicine doses of one period, for the patient's family. "
    "Write in the language that is named. Use the facts that are given, all of them, and nothing else: no "
    "advice, no judgement, no greeting, no names. Say each fact with the words that it is given with, and "
    "those of `also`. One fact a clause, clauses divided by commas or full stops. "
    'Answer with JSON alone: {"sentences": ["…"]}.'
)


def asked(found: SummaryNumbers, language: str) -> str:
    """The question: facts and words, as data."""
    words = words_in(language)
    told = [{"fact": each.name, "as": each.sentence} for each in facts(found, words)]
    also = [*_FREE[words.language], *_JOINS[words.language]]
    return as_data({"language": words.language, "facts": told, "also": also})


def parsed(answer: str, found: SummaryNumbers, language: str) -> str:
    """The text of an answer. Raises `ContractBroken` for one that says anything but the facts."""
    said = draft_in(answer, _SHAPE) or {}
    sentences = said.get("sentences")
    if (
        len(said) != 1
        or not isinstance(sentences, list)
        or not 1 <= len(sentences) <= MOST_SENTENCES
        or not all(isinstance(each, str) and 0 < len(each) <= MOST_CHARACTERS for each in sentences)
    ):
        raise ContractBroken('Answer with {"sentences": […]}, at most 24 short texts.')
    words = words_in(language)
    wanted = {
        _content(clause, words.language): each.name
        for each in facts(found, words)
        for clause in _clauses(each.sentence, words.language)
    }
    left = set(wanted.values())
    for sentence in sentences:
        for clause in _clauses(sentence, words.language):
            name = wanted.get(_content(clause, words.language))
            if name is None:
                raise ContractBroken("Each clause is one fact, with its numbers and its own words.")
            left.discard(name)
    if left - {"delay", "delay_hours"}:
        raise ContractBroken(f"Facts are left out: {', '.join(sorted(left))}.")
    return " ".join(" ".join(each.split()) for each in sentences)


def _clauses(sentence: str, language: str) -> Iterator[list[str]]:
    """The clauses of a sentence as words and numbers."""
    clause: list[str] = []
    for part in _ENDS.split(unicodedata.normalize("NFC", sentence).casefold()):
        for token in _tokens(part):
            if token in _JOINS[language]:
                if clause:
                    yield clause
                clause = []
            else:
                clause.append(token)
        if clause:
            yield clause
        clause = []


def _tokens(text: str) -> Iterator[str]:
    at = 0
    for found in _TOKEN.finditer(text):
        if not _BETWEEN.fullmatch(text, at, found.start()):
            raise ContractBroken("There are signs that are no words.")
        yield found[0]
        at = found.end()
    if not _BETWEEN.fullmatch(text, at):
        raise ContractBroken("There are signs that are no words.")


def _content(clause: Sequence[str], language: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The words that say something, sorted, and the numbers, as they come."""
    words = (each for each in clause if not each[0].isdecimal() and each not in _FREE[language])
    return tuple(sorted(words)), tuple(int(each) for each in clause if each[0].isdecimal())


def draft(question: str) -> dict[str, Any]:
    """What a model should say to `asked`: the sentences as they are, in another order."""
    told = json.loads(question)["facts"]
    return {"sentences": [each["as"] for each in reversed(told)]}
