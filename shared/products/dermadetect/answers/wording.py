"""What words mean: phrases of `forms.py` found in a text, in any script and spelling."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from shared.products.dermadetect import forms

#: What an answer says. Mildest first: of several answers the last one counts.
OPEN, NO, UNSURE, UNCLEAR, YES, MUCH = range(6)
MEANS = {
    "yes": YES,
    "there": YES,
    "some": YES,
    "much": MUCH,
    "no": NO,
    "over": NO,
    "unsure": UNSURE,
    "open": OPEN,
}

#: Characters of an answer that are read; a longer one is not understood unless what is read says yes.
MOST_CHARS = 600
#: Objects and lists in one another that an answer may have.
MOST_DEPTH = 8
#: Entries of a list that are read; a longer one is not understood unless what is read says yes.
MOST_ITEMS = 300
#: Words of the longest phrase of the tables.
_LONGEST = 7


class Measurement(NamedTuple):
    """What an answer measures: `amount` in the unit of the question, None when it has none.

    `says` is OPEN for no answer, UNCLEAR for one that could not be read, else what the words say.
    """

    amount: float | None
    says: int


#: Before decomposition: signs that Unicode would take apart wrongly.
_FIRST = str.maketrans(
    {"º": "°", "½": ".5", "¼": ".25", "¾": ".75", "œ": "oe", "Œ": "oe", "’": "'"}
)


#: After it: one letter for what people write in two ways, and one sign for each meaning.
class _Then(dict[int, str]):
    """What becomes of each sign; filled as signs come."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        if code > 0x7F and sign.isdecimal():
            kept = str(unicodedata.decimal(sign))
        else:
            # Accents and vowel marks have a class of ten and more; vowel signs of Indic scripts have none.
            kept = "" if unicodedata.combining(sign) >= 10 else sign
        if len(self) < 4096:
            self[code] = kept
        return kept


_THEN = _Then(
    {
        **dict.fromkeys(map(ord, "ـ\u200b\u200c\u200d\u2060\ufeff٬\u200e\u200f"), ""),
        **{ord(one): other for one, other in zip("ىیېةکہøłı", "يييهكهoli", strict=True)},
        **{ord(one): other for one, other in zip("٫،؛؟⁄−‐‑–", ".,;?/----", strict=True)},
    }
)
_SEPARATORS = re.compile("[\\s\x00-/:-@\\[-`{-~\xa0-¿×÷‒-⁞।॥۔、。「」]+")


@lru_cache(maxsize=8192)
def fold(text: str) -> str:
    """A text without what does not matter: case, accents, vowel marks of Arabic, scripts of digits."""
    if text.isascii():
        return text.casefold().strip()
    found = unicodedata.normalize("NFKD", text.translate(_FIRST)).casefold()
    return found.translate(_THEN).strip()


def words(text: str) -> list[str]:
    """The words of a text, folded."""
    return [word for word in _SEPARATORS.split(fold(text)) if word]


def index(table: forms.Table, order: Iterable[str] = ()) -> dict[str, str]:
    """Phrase → word of ours. Of two words that claim a phrase the first of `order` gets it."""
    found: dict[str, str] = {}
    for name in (*order, *(name for name in table if name not in set(order))):
        for phrases in table[name].values():
            for phrase in phrases.split(","):
                for form in {fold(phrase), " ".join(words(phrase))} - {""}:
                    found.setdefault(form, name)
    return found


REPLIES = index(forms.REPLIES, ("yes", "unsure", "much", "some", "no", "over", "there", "open"))
#: A sign that is part of such a word is lost among words: these count only as a whole.
for _lost in ("ve", "n"):
    REPLIES[_lost] = "no" if _lost == "n" else "word"
FILLERS = frozenset(words(forms.KEY_FILLERS)) | frozenset(
    word for phrase in forms.FILLERS.split(",") for word in words(phrase)
)
ALONE = frozenset(words(forms.ALONE))
SIGNS = index({**forms.SIGNS, **forms.OTHERS, "pain": forms.QUESTIONS["pain"]})
UNITS = index(forms.UNITS)
NUMBERS = index(forms.NUMBERS)
TIMES = index(forms.TIMES)

OR = frozenset(index({"or": forms.REPLIES["or"]}))
_BUT = frozenset(index({"but": forms.REPLIES["but"]}))
for _joint in OR | _BUT:
    if REPLIES.get(_joint) in ("or", "but"):
        del REPLIES[_joint]


def phrases_in(
    tokens: list[str], *tables: Mapping[str, str], longest: int = _LONGEST
) -> Iterator[tuple[str, int]]:
    """(phrase, index of the table that knows it) along a text, longest first; -1 for a single word."""
    start = 0
    while start < len(tokens):
        for end in range(min(len(tokens), start + longest), start, -1):
            phrase = " ".join(tokens[start:end])
            known = next((at for at, table in enumerate(tables) if phrase in table), -1)
            if known >= 0 or end == start + 1:
                yield phrase, known
                start = end
                break
