"""Lists of signs: which of them a text names, and which it denies."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from shared.products.dermadetect.answers.wording import (
    ALONE,
    FILLERS,
    MEANS,
    MOST_CHARS,
    MOST_DEPTH,
    MOST_ITEMS,
    OR,
    REPLIES,
    SIGNS,
    YES,
    fold,
    phrases_in,
    words,
)
from shared.products.dermadetect.answers.yes_no import ENDS, TOLD, options, parts, reply

_PIECES = re.compile(r"[,;|\n\r\t/•·&]+|\.\s|\s-\s|\s\+\s")


class SignList(NamedTuple):
    """What a list of signs names, whether anything of it was no sign, and whether it was only yes."""

    signs: frozenset[str]
    unknown: bool
    bare_yes: bool


@lru_cache(maxsize=4096)
def listed(text: str) -> SignList:
    """Signs that a text names: a `select_multiple`, a list with commas, or a sentence.

    "no fever", "fever: no" and "neither fever nor bleeding" name none.
    """
    signs: set[str] = set()
    unknown = bare = False
    for piece in _PIECES.split(fold(text[:MOST_CHARS])):
        found = list(phrases_in(words(piece), SIGNS, REPLIES))
        denied = joined = False
        for at, (phrase, known) in enumerate(found):
            means = REPLIES.get(phrase)
            if known == 0:
                after = [REPLIES.get(each) for each, _ in found[at + 1 : at + 3]]
                over = after in ENDS
                if not denied and not over:
                    signs.add(SIGNS[phrase])
                joined = denied
                denied = False
            elif phrase in ALONE and len(found) > 1:
                # "ni fièvre ni saignement"; once it is an "is" of Swahili
                denied = denied or (phrase == "ni" and found.count((phrase, known)) > 1)
                denied = denied or (joined and phrase in OR)
            elif means == "no":
                denied = True
            elif phrase in OR:
                denied = denied or joined
            elif means in MEANS:
                bare = bare or MEANS[means] >= YES or means == "unsure"
            elif phrase not in FILLERS:
                unknown = unknown or not phrase.isdigit() or phrase.strip("0") != ""
                denied = False
    return SignList(frozenset(signs), unknown or len(text) > MOST_CHARS, bare)


def are_codes(text: str) -> bool:
    """Whether a text is nothing but numbers of choices; 0 is none."""
    numbers = words(text[:MOST_CHARS])
    return all(map(str.isdigit, numbers)) and any(number.strip("0") for number in numbers)


def texts(answer: object, depth: int = 0) -> list[str]:
    """Every text that an answer chooses: of a list, of check boxes, of objects with a label."""
    if isinstance(answer, str):
        return [answer]
    if depth > MOST_DEPTH:
        return []
    if isinstance(answer, list):
        return [text for item in answer[:MOST_ITEMS] for text in texts(item, depth + 1)]
    if not isinstance(answer, dict):
        return []
    given, _ = parts(answer)
    if given is None:
        return options(answer)
    found = [text for item in given for text in texts(item, depth + 1)]
    if not found and reply(given) >= YES:
        found = [answer[key] for key in TOLD if isinstance(answer.get(key), str)]
    return found
