"""Phrases in what people say, as engines write it: apart, together, out of order, with a letter wrong.

Case, accents, vowel signs, hamza and nukta do not matter. A phrase is a row of words that must stand near
each other (`danger_words.py` says how it is written).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from shared.ai.identifiers import fold

#: Words that may stand between those of a phrase.
_BETWEEN = 4

#: From so many letters on a word may have one wrong, but not its first: упала is not спала.
_FUZZY_LETTERS = 5

#: Letters of a phrase from which on it is also looked for without blanks.
_JOINED_LETTERS = 9

_ALIKE = str.maketrans(
    {
        **dict.fromkeys("أإآٱء", "ا"),
        "ؤ": "و",
        "ئ": "ي",
        "ى": "ي",
        "ة": "ه",
        "گ": "ك",
        "ک": "ك",
        "ی": "ي",
        "ё": "е",
        "ँ": "ं",
        "़": None,
        "‍": None,
        "‌": None,
        "’": "'",
        "ʼ": "'",
        "`": "'",
    }
)
_WORD = re.compile(r"[\w'\u0900-\u0963\u0610-\u061a\u064b-\u065f]+")

#: What Arabic writes in front of a word: and, so, in, to, like, the.
_IN_FRONT = re.compile(r"^(?:[وف])?(?:[بكل]?ال|لل|ب|ل)?(?=\w{2})")


class _Term(NamedTuple):
    """A word, or the beginning of one, and the slots of phrases that it fills."""

    text: str
    begins: bool
    slots: frozenset[int]


def plain(text: str) -> str:
    """A text in the form in which it is compared."""
    return fold(text).casefold().translate(_ALIKE)


class Phrases:
    """Rows of words by name, looked for in texts. See `danger_words.py` for how a row is written.

    What may stand in one place of a row is a slot. Each word of a text is looked up once: which slots does
    it fill. Then a phrase is there if all of its slots are filled near each other.
    """

    def __init__(self, rows: Iterable[tuple[str, str]]) -> None:
        known: dict[str, int] = {}
        self._phrases: list[tuple[str, tuple[int, ...]]] = []
        self._joined: list[tuple[str, str]] = []
        for name, row in rows:
            slots = [plain(each) for each in row.split()]
            numbers = tuple(known.setdefault(each, len(known)) for each in slots)
            self._phrases.append((name, numbers))
            runs = map("".join, product(*map(_bare, slots))) if len(slots) > 1 else ()
            self._joined += [(name, run) for run in runs if len(run) >= _JOINED_LETTERS]
        terms: dict[tuple[str, bool], set[int]] = {}
        for slot, number in known.items():
            for each in slot.split("/"):
                terms.setdefault((each.rstrip("*"), each.endswith("*")), set()).add(number)
        self._terms: dict[str, list[_Term]] = {}  #: by their first letters
        for (text, begins), numbered in terms.items():
            term = _Term(text, begins, frozenset(numbered))
            self._terms.setdefault(text[0], []).append(term)
        self._filled = lru_cache(maxsize=2**14)(self._look_up)

    def found(self, text: str) -> frozenset[str]:
        """The names of those that are in a text."""
        words = words_of(text)
        places: dict[int, list[int]] = {}
        for at, word in enumerate(words):
            for slot in self._filled(word):
                places.setdefault(slot, []).append(at)
        joined = "".join(words)
        near = {name for name, slots in self._phrases if _is_there(slots, places)}
        return frozenset(near | {name for name, run in self._joined if run in joined})

    def _look_up(self, word: str) -> frozenset[int]:
        """The slots that a word fills."""
        found: set[int] = set()
        for form in _forms(word):
            for term in self._terms.get(form[0], ()):
                if not term.slots <= found and _fits(term, form):
                    found |= term.slots
        return frozenset(found)


def words_of(text: str) -> list[str]:
    """The words of a text, in the form in which they are compared."""
    return _WORD.findall(plain(text))


def _forms(word: str) -> tuple[str, ...]:
    """A word as it stands, and without what Arabic or an apostrophe puts in front of it."""
    forms = {word, word.replace("'", ""), word.rpartition("'")[2]}
    if "\u0600" <= word[0] <= "\u06ff":
        forms |= {_IN_FRONT.sub("", word), word[1:] if word[0] in "وف" else word}
    return tuple(each for each in forms if each)


def _bare(slot: str) -> list[str]:
    """The words of a slot as they stand when they run together with others."""
    return [each.rstrip("*").replace("'", "") for each in slot.split("/")]


def _is_there(slots: tuple[int, ...], places: Mapping[int, Sequence[int]]) -> bool:
    """Whether every slot has a word of its own, near each other."""
    if any(slot not in places for slot in slots):
        return False
    here = [places[slot] for slot in slots]
    reach = len(here) + _BETWEEN
    return any(_near(here[1:], (at,), reach) for at in here[0])


def _near(places: Sequence[Sequence[int]], taken: tuple[int, ...], reach: int) -> bool:
    if not places:
        return True
    return any(
        at not in taken
        and max(*taken, at) - min(*taken, at) < reach
        and _near(places[1:], (*taken, at), reach)
        for at in places[0]
    )


def _fits(term: _Term, form: str) -> bool:
    text = term.text
    if form == text or (term.begins and form.startswith(text)):
        return True
    if len(text) < _FUZZY_LETTERS or len(form) < _FUZZY_LETTERS:
        return False
    if not term.begins:
        return _one_off(text, form)
    return any(_one_off(text, form[:size]) for size in (len(text), len(text) + 1))


def _one_off(one: str, other: str) -> bool:
    """Whether two words differ by one letter at most: wrong, missing, too many, or two exchanged."""
    if abs(len(one) - len(other)) > 1:
        return False
    pairs = enumerate(zip(one, other, strict=False))
    at = next((at for at, pair in pairs if pair[0] != pair[1]), None)
    if at is None:
        return True
    return (
        one[at + 1 :] == other[at + 1 :]
        or one[at + 1 :] == other[at:]
        or one[at:] == other[at + 1 :]
        or (one[at : at + 2] == other[at : at + 2][::-1] and one[at + 2 :] == other[at + 2 :])
    )
