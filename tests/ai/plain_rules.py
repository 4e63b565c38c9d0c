"""The red-flag rules without any haste: every answer is read and every rule is asked, each time.

`shared.ai.rules` looks first whether anything can speak at all. Its verdicts must be these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from shared.ai import intake, rules
from shared.ai.rules import NOTHING, RULES, Verdict


def judge(triage_data: object, demographics: object, today: date) -> Verdict:
    """What the rules say of a case."""
    seen = _see(_parsed(triage_data), demographics, today)
    flags = tuple(flag for flag, holds in RULES.items() if holds(seen))
    return Verdict("red", flags) if flags else NOTHING


def _see(triage: object, demographics: object, today: date) -> rules._Seen:
    yes: set[str] = set()
    sites: set[str] = set()
    colours: set[str] = set()
    numbers: dict[str, float] = {}
    days: list[float] = []
    for name, value in entries(triage):
        if name in rules._SITES:
            sites.update(rules._parts(value))
        elif name in rules._COLOURS:
            colours.update(rules._parts(value))
        elif name in rules._LISTS:
            yes.update(_known(snake(text)) for text in rules._texts(value))
        elif name.startswith("duration") or name == "started_days_ago":
            days += rules._days(name, value)
        elif name in ("growth", "grew") and snake(value) in ("rapid", "fast", "rapidly"):
            yes.add("rapid_growth")
        else:
            if rules._is_yes(value):
                yes.add(_known(name))
            if _known(name) == "pain" and snake(value) == "severe":
                yes.add("severe_pain")
        found = intake.number(rules._value(value))
        if found is not None:
            numbers.setdefault(name, found)
    return rules._Seen(
        frozenset(yes),
        frozenset(sites),
        frozenset(colours),
        numbers,
        max(days, default=None),
        lambda: intake.age_years(demographics, today),
    )


def _known(word: str) -> str:
    return rules._SYNONYMS.get(word, rules._FRAIL_KEYS.get(word, word))


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        result: object = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return result


def snake(key: object) -> str:
    """A key or word in snake_case; empty for anything else."""
    if not isinstance(key, str) or len(key) > 64:
        return ""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key)
    return re.sub(r"[\W_]+", "_", spaced).strip("_").lower()


def entries(value: object, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Key and value of everything that may be an answer, containers opened."""
    if depth > 4:
        return
    if isinstance(value, dict):
        for key, item in sorted(value.items(), key=lambda pair: str(pair[0])):
            held = item if isinstance(item, list) else []
            opens = isinstance(item, dict) or any(isinstance(each, dict) for each in held)
            if snake(key) in intake._CONTAINERS and opens:
                yield from entries(item, depth + 1)
            else:
                yield snake(key), item
    elif isinstance(value, list):
        for item in (each for each in value[:240] if isinstance(each, dict)):
            asked = [item[k] for k in ("key", "id", "question", "name", "field") if k in item]
            asked = [question for question in asked if isinstance(question, str)]
            told = [item[k] for k in ("answer", "value", "response") if k in item]
            if asked and told and told[0] is not None:
                yield snake(asked[0]), told[0]
            else:
                yield from entries(item, depth + 1)
