"""Passwords that are tried first: common ones, and those made of what is known about their owner.

The lists are zxcvbn's: 30,000 passwords that leaked most, words of English and of films, names. Of its
estimate nothing is used: it takes seconds for a text made to be slow, and is not for threads.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise

#: What is left beside a listed or known word may be guessed, too, if it is so short. Characters.
_SHORT_REST = 4

#: Shorter words of a name or an address are in too many good passwords. Characters.
_SHORTEST_WORD = 3

#: What people put around a word, and instead of its letters.
_AROUND = string.digits + string.punctuation + string.whitespace
_LEET = str.maketrans("013457@$!|", "oleastasil")

_REPEATED = re.compile(r"(.+?)\1+", re.DOTALL)
_BETWEEN = re.compile(r"[\W_]+")


def guessable(password: str, known: Iterable[str] = ()) -> bool:
    """Whether a password is among the first that somebody would try.

    So is a listed word with little around it, a short piece again and again, a run of characters, and
    what is made of `known` texts (an e-mail address, a name, the product's) with little around them.
    """
    text = password.casefold()
    return (
        _is_run(text)
        or _repeats(text)
        or _is_listed(text)
        or _is_listed(text.translate(_LEET))
        or _is_made_of(text, known)
    )


def _is_run(text: str) -> bool:
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    return steps in ({1}, {-1})


def _repeats(text: str) -> bool:
    found = _REPEATED.fullmatch(text)
    return found is not None and _is_little(found[1])


def _is_listed(text: str) -> bool:
    word = text.strip(_AROUND)
    around = text.split(word, 1) if word else [text]
    return _is_common(text) or (_is_common(word) and all(_is_little(each) for each in around))


def _is_made_of(text: str, known: Iterable[str]) -> bool:
    normal = (unicodedata.normalize("NFKC", each).casefold() for each in known)
    words = {word for each in normal for word in _BETWEEN.split(each)}
    left = text
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= _SHORTEST_WORD:
            left = left.replace(word, "")
    return left != text and _is_little(_BETWEEN.sub("", left))


def _is_little(rest: str) -> bool:
    return len(rest) <= _SHORT_REST or _is_common(rest)


def _is_common(text: str) -> bool:
    return any(text in words for words in _lists())


@cache
def _lists() -> Sequence[Mapping[str, int]]:
    # 60 ms and 13 MB, for a process that takes a new password
    from zxcvbn.matching import RANKED_DICTIONARIES

    return tuple(RANKED_DICTIONARIES.values())
