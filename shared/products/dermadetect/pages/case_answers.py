"""The answers of a triage as a doctor reads them: in groups, flags and unread ones marked.

Groups are those of the form. What a form leaves without one, as flat forms do, is put into ours: signs of
danger, the skin problem, the rest. Forms are whatever an app collects. Nothing is interpreted away: every
answer is shown as it was given, and what the rules made of it stands beside it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from shared.console.page import N_
from shared.products.dermadetect import forms, questions, rules
from shared.products.dermadetect.answers import yes_no
from shared.products.dermadetect.answers.wording import YES
from shared.products.dermadetect.intake import parsed
from shared.records import record

#: Answers that are shown one by one, and levels of groups; the rest is in the form as it was sent.
_MOST, _DEEPEST = 300, 6

#: Characters of the form as it was sent.
_WHOLE_CHARS = 20_000

#: Our own groups, in their order.
DANGER, SKIN, REST = N_("Signs of danger"), N_("The skin problem"), N_("Other answers")

#: What is asked for signs of danger, beside the signs themselves.
_DANGEROUS = frozenset(("temperature", "red_flags", "symptoms", "pain"))

#: Keys of forms that hold the names of their groups: ODK and KoboToolbox, REDCap.
_PARTS = re.compile(r"/|___")

#: Answers that only together with others are a flag.
_TOGETHER = {
    **dict.fromkeys(
        ("asymmetry", "border", "colour", "evolution", "diameter"), "suspicious_pigmented_lesion"
    ),
    **dict.fromkeys(("ulcer", "duration"), "non_healing_ulcer"),
}


@dataclass(slots=True)
class Given:
    """One answer. `mark` says what became of it since a page showed it: "", `new` or `changed`."""

    path: str
    label: str
    value: Any
    flags: list[str]
    look: bool
    mark: str = ""

    @property
    def trace(self) -> tuple[str, str]:
        """What tells later whether it changed: a short hash of what was asked, and of what was said."""
        return _short(self.path), _short(record_text(self.value))


@dataclass(slots=True)
class AnswerGroup:
    """Answers under one heading: of the form, or one of ours (`N_`)."""

    title: str
    ours: bool = False
    answers: list[Given] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Form:
    """A triage. `whole` is the form as it was sent, as far as it is shown; `cut`: there is more."""

    groups: Sequence[AnswerGroup]
    whole: str
    cut: bool

    @property
    def answers(self) -> Iterator[Given]:
        """All of them."""
        for group in self.groups:
            yield from group.answers


def form_of(triage_data: object, said: Mapping[str, Any], today: date) -> Form:
    """The answers of a case. `said` is what the rules say of them (`flags`, `look`)."""
    form = parsed(triage_data)
    groups: dict[str, AnswerGroup] = {}
    cut = False
    for number, (title, path, label, value) in enumerate(_walk(form, "", "", 0)):
        if number >= _MOST:
            cut = True
            break
        flags, look = _judged(label, value, said, today)
        given = Given(path, words_of(label), value, flags, look)
        group = groups.setdefault(title, AnswerGroup(title))
        group.answers.append(given)
    whole = record_text(form)
    return Form(
        [*_grouped(groups.pop("", None)), *groups.values()],
        whole[:_WHOLE_CHARS],
        cut or len(whole) > _WHOLE_CHARS,
    )


def _grouped(loose: AnswerGroup | None) -> Iterator[AnswerGroup]:
    """Answers of no group, in ours. Of those in one of ours the flagged ones come first."""
    found: dict[str, list[Given]] = {DANGER: [], SKIN: [], REST: []}
    for given in loose.answers if loose else ():
        asked = questions.asked(given.label)
        name = "" if asked is None else asked.name
        danger = name in forms.SIGNS or name in _DANGEROUS or given.flags or given.look
        found[DANGER if danger else SKIN if name else REST].append(given)
    for title, answers in found.items():
        if answers:
            answers.sort(key=lambda each: not (each.flags or each.look))
            yield AnswerGroup(title, True, answers)


def words_of(key: str) -> str:
    """A key of a form as words."""
    text = " ".join(key.replace("_", " ").split())
    return text[:1].upper() + text[1:]


def record_text(value: object) -> str:
    """A value as JSON, whatever it is."""
    try:
        return record.canonical(value)
    except record.NotCanonical:
        return repr(value)


def _short(text: str) -> str:
    return hashlib.blake2s(text.encode("utf-8", "replace"), digest_size=4).hexdigest()


def _walk(node: object, title: str, path: str, depth: int) -> Iterator[tuple[str, str, str, Any]]:
    """Group, path, label and value of each answer."""
    if isinstance(node, dict):
        answered = _asked_inside(node)
        if answered is not None:
            yield title, f"{path}/{answered[0]}", *answered
            return
        for key, value in node.items():
            here = f"{path}/{key}"
            group, label = _split(title, str(key))
            if _holds_more(value) and depth < _DEEPEST:
                yield from _walk(value, words_of(str(key)), here, depth + 1)
            else:
                yield group, here, label, value
    elif isinstance(node, list):
        for number, item in enumerate(node):
            here = f"{path}/{number}"
            if isinstance(item, dict | list) and depth < _DEEPEST:
                yield from _walk(item, title, here, depth + 1)
            else:
                yield title, here, str(number + 1), item
    elif node is not None:
        yield title, path, "", node


def _split(title: str, key: str) -> tuple[str, str]:
    """The group and the question of a key; some forms write both into it."""
    parts = [part for part in _PARTS.split(key) if part]
    return (words_of(parts[-2]), parts[-1]) if len(parts) > 1 else (title, key)


def _asked_inside(node: Mapping[Any, Any]) -> tuple[str, Any] | None:
    """Question and answer of an object that holds both: `{"question": "fever", "answer": "yes"}`."""
    name = next(
        (
            node[key]
            for key in ("question", "name", "label", "key", "id", "linkId")
            if isinstance(node.get(key), str)
        ),
        None,
    )
    held = next(
        (
            key
            for key in node
            if key in ("answer", "value", "response") or str(key).startswith("value")
        ),
        None,
    )
    return None if name is None or held is None else (name, node[held])


def _holds_more(value: object) -> bool:
    """Whether a value is a group of answers, and not one answer."""
    if isinstance(value, list):
        return any(isinstance(item, dict) for item in value)
    return (
        isinstance(value, dict) and bool(value) and not {"value", "answer", "amount"} & value.keys()
    )


def _judged(key: str, value: Any, said: Mapping[str, Any], today: date) -> tuple[list[str], bool]:
    """The flags of the case that this answer is a reason for, and whether a person must look at it."""
    flags, look = said.get("flags") or (), said.get("look") or ()
    asked = questions.asked(key)
    if asked is None or not (flags or look):
        return [], False
    alone = set(rules.judge({key: value}, None, today).flags)
    if yes_no.reply(value, asked.name) >= YES:
        alone |= {asked.name, _TOGETHER.get(asked.name, "")}
    return [flag for flag in flags if flag in alone], asked.name in look
