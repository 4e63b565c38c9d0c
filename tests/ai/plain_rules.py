"""The red-flag rules without any haste: every answer is read and every rule is asked, each time.

`rules` of the product passes over what cannot speak while it gathers. Its verdicts must be these.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

from shared.products.dermadetect import intake, questions, rules
from shared.products.dermadetect.questions import Answer, asked
from shared.products.dermadetect.rules import NOTHING, Verdict


def judge(triage_data: object, demographics: object, today: date) -> Verdict:
    """What the rules say of a case."""
    if triage_data is None or triage_data == "":
        return NOTHING
    form = _parsed(triage_data)
    if form is None or isinstance(form, str):
        return rules._unread(triage_data if form is None else form)
    return rules._judged(list(answers(form)), demographics, today)


def answers(form: object) -> Iterator[Answer]:
    """Every answer of a form, however deep."""
    if isinstance(form, list):
        for item in form:
            yield from answers(item)
    if not isinstance(form, dict):
        return
    named = questions._answered(form) if questions._ASKING & form.keys() else None
    if named is not None and named.given is not None:
        yield named
    for key, given in form.items():
        question = asked(key)
        names = named is not None and key in questions._ASKING
        grouped = names or questions.is_group(given)
        if question is not None and given is not None and not grouped:
            unit = question.unit or questions._unit_beside(form, key, question.name)
            yield Answer(question, given, unit)
        yield from answers(given)


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        result: object = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return result


def entries(value: object, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Key and value of everything that `intake` may send, containers opened."""
    if depth > 4:
        return
    snake = intake.snake
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
            asked_ = [item[k] for k in ("key", "id", "question", "name", "field") if k in item]
            asked_ = [question for question in asked_ if isinstance(question, str)]
            told = [item[k] for k in ("answer", "value", "response") if k in item]
            if asked_ and told and told[0] is not None:
                yield snake(asked_[0]), told[0]
            else:
                yield from entries(item, depth + 1)
