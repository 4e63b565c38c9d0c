"""Whether a text names a danger: by a closed list (`danger_words.py`), before any model and without one.

It errs on the side of alarm, and that is the whole of its policy:

    case, accents, vowel signs, hamza, nukta     do not matter
    words may stand apart, in another order      "in my chest there is such a pain"
    they may run together or be split            "chestpain", "heart at tack"
    one letter of a longer word may be wrong     "cheast pain"
    "no", "not", "if", "yesterday", "she has"    change nothing: "no chest pain" is an alarm, too
    every language is looked for in every text   patients mix them, and engines mistake them

A false alarm costs a look, a missed one may cost a life. `tests/medmind/test_danger.py` counts both.
"""

from __future__ import annotations

from functools import cache

from shared.products.medmind.danger_words import CRIES, PHRASES, SIGNS
from shared.products.medmind.phrases import Phrases, words_of


def found(text: str) -> tuple[str, ...]:
    """The dangers that a text names, in the order of `SIGNS`; empty: none."""
    signs = set(_phrases().found(text))
    if " ".join(words_of(text)) in _cries():
        signs.add("calls_for_help")
    return tuple(each for each in SIGNS if each in signs)


@cache
def _phrases() -> Phrases:
    return Phrases(
        (sign, row) for signs in PHRASES.values() for sign, rows in signs.items() for row in rows
    )


@cache
def _cries() -> frozenset[str]:
    return frozenset(" ".join(words_of(each)) for each in CRIES)
