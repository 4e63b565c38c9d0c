"""What an answer says: yes, no, not sure, or nothing that is understood, which is never "no"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

from shared.products.dermadetect.answers.wording import (
    ALONE,
    FILLERS,
    MEANS,
    MOST_CHARS,
    MOST_DEPTH,
    MOST_ITEMS,
    MUCH,
    NO,
    OPEN,
    REPLIES,
    SIGNS,
    UNCLEAR,
    UNITS,
    UNSURE,
    YES,
    fold,
    phrases_in,
    words,
)


def reply(answer: object, own: str = "", depth: int = 0) -> int:
    """What an answer to a question of yes and no says. `own` is the sign that is asked about."""
    if answer is None or answer is True or answer is False:
        return OPEN if answer is None else YES if answer else NO
    if isinstance(answer, str):
        said = _said(answer[:MOST_CHARS], own)
        return UNCLEAR if len(answer) > MOST_CHARS and said < UNCLEAR else said
    if isinstance(answer, int | float):
        return YES if answer == 1 else NO if answer == 0 else UNCLEAR
    if depth > MOST_DEPTH or not isinstance(answer, list | dict):
        return UNCLEAR
    if isinstance(answer, list):
        said = max((reply(item, own, depth + 1) for item in answer[:MOST_ITEMS]), default=OPEN)
        return max(said, UNCLEAR) if len(answer) > MOST_ITEMS else said
    given, more = parts(answer)
    if given is not None:
        said = max((reply(item, own, depth + 1) for item in given), default=OPEN)
        if said == YES and any(reply(item, own, depth + 1) == MUCH for item in more):
            return MUCH
        return said
    chosen = options(answer)
    if chosen:
        return max(reply(item, own, depth + 1) for item in chosen)
    return OPEN if all(item in (None, "", False) for item in answer.values()) else UNCLEAR


#: Keys of an object that hold the answer itself, as form engines name them; FHIR's are `value…`.
_GIVEN = frozenset(
    ("value", "present", "answer", "response", "selected", "checked", "result", "answers")
) | {"reading", "degrees", "measurement", "val"}
#: Keys that hold it when none of those is there.
_MORE = ("severity", "degree", "level", "amount", "grade", "score", "intensity")
TOLD = ("text", "label", "display", "code", "name", "title", "key", "id", "option", "coding")


def parts(answer: Mapping[Any, Any]) -> tuple[list[object] | None, list[object]]:
    """Of an object that is an answer: what was answered (None: nothing of it is one), and how much."""
    given = [
        answer[key]
        for key in answer
        if isinstance(key, str) and (key in _GIVEN or key.startswith("value"))
    ]
    more = [answer[key] for key in _MORE if key in answer]
    if not given:
        given = more or [answer[key] for key in TOLD if key in answer]
    return (given if given else None), more


def options(answer: Mapping[Any, Any]) -> list[str]:
    """The keys of an object of check boxes (`{"yes": true, "no": false}`) that are ticked."""
    return [key for key, item in answer.items() if isinstance(key, str) and ticked(item)]


def ticked(answer: object) -> bool:
    """Whether a check box is ticked."""
    return answer is True or (
        isinstance(answer, int | float | str) and answer is not False and reply(answer) >= YES
    )


DIGITS = re.compile(r"[0-9]+(?:[.,][0-9]+)?")


@lru_cache(maxsize=8192)
def _said(text: str, own: str) -> int:
    whole = fold(text)
    if whole in REPLIES and REPLIES[whole] in MEANS:
        return MEANS[REPLIES[whole]]
    if not whole:
        return OPEN
    if DIGITS.fullmatch(whole):
        amount = float(whole.replace(",", "."))
        return YES if amount == 1 else NO if amount == 0 else UNCLEAR
    kinds = _kinds(words(whole), own)
    return _judged(kinds) if kinds else UNCLEAR


def _kinds(tokens: list[str], own: str) -> list[str]:
    """What each phrase of an answer is: a word of REPLIES, `own`, `sign`, `number`, `unit`, `word`."""
    kinds = []
    for phrase, known in phrases_in(tokens, SIGNS, REPLIES):
        if phrase in ALONE and len(tokens) > 1:
            continue
        if known == 0 and (SIGNS[phrase] == own or phrase not in REPLIES):
            kinds.append("own" if SIGNS[phrase] == own else "sign")
        elif phrase in REPLIES:
            kinds.append(REPLIES[phrase])
        elif phrase[0].isdigit():
            kinds.append("number" if phrase.strip("0") else "zero")
            if not phrase.isdigit():
                kinds.append("unit")
        elif phrase not in FILLERS:
            kinds.append("unit" if phrase in UNITS else "word")
    return kinds


#: How a sign is denied after it was named: "bleeding: none", "bleeding has stopped".
ENDS = (["no"], ["over"], ["no", "there"], ["there", "over"])


def _judged(kinds: list[str]) -> int:
    if kinds[0] in ("number", "zero") and kinds[1:2] and kinds[1] in MEANS:
        kinds = kinds[1:]  # "2 - No": the number of the choice
    first, rest = kinds[0], kinds[1:]
    yes = MUCH if "much" in kinds else YES
    if first in ("yes", "there", "some", "much"):
        # "seen: no", "present - none": the sign that is asked about, then the answer.
        return NO if first == "there" and rest in (["no"], ["over"]) else yes
    if first in ("unsure", "open"):
        return UNSURE if first == "unsure" or rest else OPEN
    if first in ("no", "over"):
        understood = {"no", "own", "sign", "open", "unit", "zero"}
        understood |= {"over"} if first == "over" else {"there"}
        # "no fever, bleeding": the no is about something else
        other = any(kind == "own" and before == "sign" for before, kind in pairwise(kinds))
        return NO if understood.issuperset(rest) and not other else UNCLEAR
    for at, kind in enumerate(kinds):
        if kind == "own":
            denied = kinds[max(at - 1, 0) : at] == ["no"] or kinds[at + 1 :] in ENDS
            if not denied:
                return yes
        elif kind in ("yes", "some", "much") and kinds[at - 1] != "no":
            return yes
    if "own" in kinds and {"own", "no", "over", "there"}.issuperset(kinds):
        return NO
    # "3 days" under a sign says how long it has been there.
    return YES if "number" in kinds and "unit" in kinds else UNCLEAR
