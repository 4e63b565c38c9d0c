"""What a page showed of a case, in a few letters that its form sends back, and what is news since then.

It decides nothing: whether a signature is stale says the version of the case. It only lets a page name
what changed, so one that was made up harms whoever made it up.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.products.dermadetect.pages.case_answers import Form

#: Longest trace that is read, characters; 300 answers have 9,000.
MOST_CHARS = 16_000


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new or another since a page showed the case."""

    answers: int = 0  #: new or changed; they are marked
    gone: int = 0  #: answers that are not there any more
    photos: frozenset[str] = frozenset()
    readings: int = 0
    colour: str = ""  #: what the phone's colour was, if it is another one
    diagnosed: bool = False  #: another diagnosis counts

    def __bool__(self) -> bool:
        return any(
            (self.answers, self.gone, self.photos, self.readings, self.colour, self.diagnosed)
        )


def trace_of(case: Mapping[str, Any], form: Form) -> str:
    """What a page shows."""
    said = {
        "a": dict(answer.trace for answer in form.answers),
        "p": [each["id"][:12] for each in case["photos"] if each["url"]],
        "r": len(case["readings"]),
        "c": case["case"].get("risk_level"),
        "d": (case["review"]["diagnosis_id"] or "")[:12],
    }
    text = json.dumps(said, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).decode()


def news_since(trace: str, case: Mapping[str, Any], form: Form) -> Changes:
    """What is news, and the marks of answers; nothing for a trace that is none of ours."""
    try:
        seen = json.loads(base64.urlsafe_b64decode(trace[:MOST_CHARS].encode()))
        answers, photos = dict(seen["a"]), set(seen["p"])
        readings, colour, diagnosis = int(seen["r"]), str(seen["c"] or ""), str(seen["d"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Changes()
    count = 0
    for answer in form.answers:
        asked, said = answer.trace
        if answers.pop(asked, None) != said:
            answer.mark, count = "new", count + 1
    now = str(case["case"].get("risk_level") or "")
    return Changes(
        count,
        len(answers),
        frozenset(
            each["id"] for each in case["photos"] if each["url"] and each["id"][:12] not in photos
        ),
        max(0, len(case["readings"]) - readings),
        colour if colour != now else "",
        (case["review"]["diagnosis_id"] or "")[:12] != diagnosis,
    )
