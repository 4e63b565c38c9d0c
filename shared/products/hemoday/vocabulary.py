"""Words that are known, and which of them somebody means who types one.

A word is meant exactly, as one that begins so, as one that holds it, or with a slip of a finger: a letter
too many, too few, another one, or two that changed places (optimal string alignment, by `rapidfuzz`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import repeat

#: How well a word fits, best first. Slips are looked for in what was typed so far as well.
EXACT, PREFIX, INSIDE, SLIP, SLIPS, NONE = range(6)

#: Letters from which on one slip is forgiven, and two; and which a part of a word must have.
ONE_SLIP, TWO_SLIPS, PART = 4, 8, 3


#: Behind every word that begins with what is before it.
_LAST = "\U0010ffff"


class Vocabulary:
    """Words in the form of `words.folded`. Not safe to share between threads."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = set(known)
        self._sorted: list[str] | None = None  #: None: it is to be made anew

    def add(self, word: str) -> None:
        """It is known from now on."""
        self._known.add(word)
        self._sorted = None

    def discard(self, word: str) -> None:
        """It is known no longer."""
        self._known.discard(word)
        self._sorted = None

    def __len__(self) -> int:
        return len(self._known)

    def meant(self, asked: str, *, typing: bool = True) -> Iterator[tuple[str, int]]:
        """Known words that `asked` may mean, and how well each fits; one may come twice, better first.

        `typing`: there may be more of it; of a short word that ended, nothing else is meant.
        """
        ordered = self._ordered()
        if asked in self._known:
            yield asked, EXACT
        if len(asked) < PART and not typing:
            return
        yield from zip(_begun(ordered, asked), repeat(PREFIX))
        if len(asked) < PART or any(map(str.isdigit, asked)):
            return  # a number means itself, and what begins so
        yield from zip(self._holding(asked), repeat(INSIDE))
        most = 2 if len(asked) >= TWO_SLIPS else 1 if len(asked) >= ONE_SLIP else 0
        if most:
            yield from self._slips(asked, most)

    def _holding(self, asked: str) -> Iterator[str]:
        """Words with `asked` in them: a search through all words in one text."""
        at = self._text.find(asked)
        while at >= 0:
            end = self._text.index("\n", at)
            yield self._text[self._text.rindex("\n", 0, at) + 1 : end]
            at = self._text.find(asked, end)

    def _slips(self, asked: str, most: int) -> Iterator[tuple[str, int]]:
        from rapidfuzz import process
        from rapidfuzz.distance import OSA

        size = len(asked)
        for length in range(size - most, size + most + 1):
            for word, slips, _ in process.extract(
                asked,
                self._by_length.get(length, ()),
                scorer=OSA.distance,
                score_cutoff=most,
                limit=None,
            ):
                yield word, SLIP + int(slips) - 1
        # What was typed so far may have a slip as well.
        for start, _, _ in process.extract(
            asked, self._starts(size), scorer=OSA.distance, score_cutoff=1, limit=None
        ):
            yield from zip(_begun(self._letters, start), repeat(SLIPS))

    def _starts(self, size: int) -> list[str]:
        """What longer words begin with."""
        if size not in self._starts_of:
            longer = (each for length, each in self._by_length.items() if length > size)
            found = dict.fromkeys(word[:size] for several in longer for word in several)
            self._starts_of[size] = list(found)
        return self._starts_of[size]

    def _ordered(self) -> list[str]:
        if self._sorted is None:
            self._sorted = sorted(self._known)
            self._letters = [word for word in self._sorted if not any(map(str.isdigit, word))]
            self._text = "\n" + "".join(f"{word}\n" for word in self._letters)
            self._by_length: dict[int, list[str]] = {}
            self._starts_of: dict[int, list[str]] = {}
            for word in self._letters:
                self._by_length.setdefault(len(word), []).append(word)
        return self._sorted


def _begun(ordered: list[str], start: str) -> list[str]:
    """Those of ordered words that begin so."""
    return ordered[bisect_left(ordered, start) : bisect_left(ordered, start + _LAST)]
