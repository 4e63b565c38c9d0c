"""Words that are known, and which of them somebody means who types one.

A word is meant exactly, as one that begins so, as one that holds it, or with a slip of a finger: a letter
too many, too few, another one, or two that changed places (optimal string alignment, by `rapidfuzz`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import islice

#: How well a word fits, best first. Slips are looked for in what was typed so far as well.
EXACT, PREFIX, INSIDE, SLIP, SLIPS, NONE = range(6)

#: Letters from which on one slip is forgiven, and two; and which a part of a word must have.
ONE_SLIP, TWO_SLIPS, PART = 4, 8, 3


class Vocabulary:
    """Words in the form of `words.folded`. Not safe to share between threads."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = set(known)
        self._sorted: list[str] | None = None
        self._letters: list[str] = []

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

    def meant(self, asked: str) -> Iterator[tuple[str, int]]:
        """Known words that `asked` may mean, and how well each fits; a word may come twice."""
        ordered = self._ordered()
        if asked in self._known:
            yield asked, EXACT
        for word in islice(ordered, bisect_left(ordered, asked), None):
            if not word.startswith(asked):
                break
            yield word, PREFIX
        if len(asked) < PART or any(sign.isdigit() for sign in asked):
            return  # of a number, nothing but itself and what begins so
        yield from ((word, INSIDE) for word in self._letters if asked in word)
        most = 2 if len(asked) >= TWO_SLIPS else 1 if len(asked) >= ONE_SLIP else 0
        if most:
            yield from self._slips(asked, most)

    def _slips(self, asked: str, most: int) -> Iterator[tuple[str, int]]:
        from rapidfuzz import process
        from rapidfuzz.distance import OSA

        size = len(asked)
        whole: list[str] = []
        begun: dict[str, list[str]] = {}  # what longer words begin with, as far as was typed
        for word in self._letters:
            if abs(len(word) - size) <= most:
                whole.append(word)
            elif len(word) > size:
                begun.setdefault(word[:size], []).append(word)
        for word, slips, _ in process.extract(
            asked, whole, scorer=OSA.distance, score_cutoff=most, limit=None
        ):
            yield word, SLIP + int(slips) - 1
        for start, slips, _ in process.extract(
            asked, list(begun), scorer=OSA.distance, score_cutoff=1, limit=None
        ):
            yield from ((word, SLIP + int(slips)) for word in begun[start])

    def _ordered(self) -> list[str]:
        if self._sorted is None:
            self._sorted = sorted(self._known)
            self._letters = [word for word in self._sorted if not any(map(str.isdigit, word))]
        return self._sorted
