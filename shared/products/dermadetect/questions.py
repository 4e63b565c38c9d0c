"""What a key of a form asks for, and every answer of a form, however deep its groups are.

ODK and KoboToolbox write `group/question` and `symptoms/fever: "1"`, REDCap `symptoms___fever`,
CommCare and CHT groups in groups, DHIS2 `{"dataElement": …, "value": …}`, OpenMRS `concept`, FHIR
`linkId` and `valueBoolean`. Repeats are lists of groups. All of them are read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from shared.products.dermadetect import forms
from shared.products.dermadetect.answers import measures, yes_no
from shared.products.dermadetect.answers.measures import unit_word
from shared.products.dermadetect.answers.sign_lists import listed
from shared.products.dermadetect.answers.wording import index, words


class Question(NamedTuple):
    """What a key asks for: a sign or a question of `forms.py`."""

    name: str
    unit: str = ""  #: that the key names: `duration_weeks`
    denied: bool = False  #: `no_bleeding`: yes means no
    opposite: bool = False  #: `able_to_drink`: no is the sign
    loose: bool = False  #: the key says more than we know: `bleeding_gums`
    tells: bool = False  #: an answer can make a rule speak by itself
    silent: bool = False  #: an answer of no adds nothing and is passed over


#: Questions whose answers only add to others'.
_ADDING = frozenset(("site", "colours", "duration", "diameter", "age", "birth_date"))
_FRAIL = frozenset(("pregnancy", "immunosuppressed", "infant", "young_infant"))
#: Questions whose `no` or 0 says something.
_HEARD = frozenset(("age", "birth_date", "duration", "site", "colours"))

_KEYS = index({**forms.QUESTIONS, **forms.SIGNS, **forms.OTHERS}, ("pain", "growth"))
_OPPOSITES = index(forms.OPPOSITES)
_LISTS = index({name: forms.QUESTIONS[name] for name in ("red_flags", "symptoms")}, ("red_flags",))
_FILLERS = frozenset(words(forms.KEY_FILLERS))
_OTHER = frozenset(words(forms.KEY_OTHER))
_NO = frozenset(
    ("no", "not", "without", "absence", "absent", "sans", "sin", "sem", "bila", "hakuna", "pas")
)
_LENGTH = frozenset(("mm", "cm", "in"))
_UNIT_OF = {
    "temperature": frozenset("cfk"),
    "diameter": _LENGTH,
    "duration": frozenset(("hour", "day", "week", "month", "year")),
    "age": frozenset(("hour", "day", "week", "month", "year")),
}
#: Keys that begin so ask how long: `duration_of_illness`.
_DURATION = frozenset(words("duration durée duração duración अवधि المدة مدة"))
_MOST_CHARS = 200
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEGMENT = re.compile(r"___|[/.:>\[\]|]+")
_NUMBER = re.compile(r"[0-9]+|[a-z]?[0-9]+[a-z]?")


def asked(key: object) -> Question | None:
    """What a key asks for; None for anything that no rule looks at."""
    return _asked(key) if isinstance(key, str) and len(key) <= _MOST_CHARS else None


@lru_cache(maxsize=8192)
def _asked(key: str) -> Question | None:
    """The last part of a path that says something: `danger_signs/bleeding`, `temperature[1]`."""
    for part in reversed(_SEGMENT.split(key)):
        tokens = words(_CAMEL.sub(" ", part))
        if tokens and not all(map(_NUMBER.fullmatch, tokens)):
            found = _named(tokens)
            return found or (_sentence(key) if " " in key.strip() else None)
    return None


def _sentence(key: str) -> Question | None:
    """A question in words: "Is the patient bleeding?", also with a full stop or a colon in it."""
    return _named(words(key))


def _named(tokens: list[str]) -> Question | None:
    whole = " ".join(tokens)
    if whole in _KEYS:
        return _question(_KEYS[whole])
    if whole in _OPPOSITES:
        return _opposite(_OPPOSITES[whole])
    kept = [word for word in tokens if word not in _FILLERS and not _NUMBER.fullmatch(word)]
    denied = bool(kept) and (kept[0] in _NO or kept[-1] in _NO)
    if denied:
        kept = kept[1:] if kept[0] in _NO else kept[:-1]
    if (name := _KEYS.get(" ".join(kept))) is not None:
        if name == "colours" and "skin" in tokens:
            return None  # the colour of a person's skin is not that of a mark
        return _question(name, denied=denied)
    if not denied and (opposite := _OPPOSITES.get(" ".join(kept))) is not None:
        return _opposite(opposite)
    units = [unit_word(word) for word in tokens]
    unit = next((each for each in reversed(units) if each), "")
    bare = [word for word, its in zip(tokens, units, strict=True) if not its and word in kept]
    name = _KEYS.get(" ".join(bare))
    if name is None and tokens[0] in _DURATION and not (set(tokens[1:]) & _KEYS.keys()):
        name = "duration"
    if (
        name is None
        and bare
        and bare[-1] in _DURATION
        and _KEYS.get(" ".join(bare[:-1])) == "ulcer"
    ):
        name = "duration"
    if name is not None and unit in _UNIT_OF.get(name, ()):
        return _question(name, unit=unit)
    if name == "duration":
        return _question(name)
    if denied or _OTHER.intersection(kept):
        return None
    return next(_loosely(kept), None) or _list_of(tokens)


def _list_of(tokens: list[str]) -> Question | None:
    """A list under a longer name: `danger_sign_list`, `main_symptoms`."""
    for size in (3, 2, 1):
        for start in range(len(tokens) - size + 1):
            if name := _LISTS.get(" ".join(tokens[start : start + size])):
                return _question(name)
    return None


def _opposite(name: str) -> Question:
    return Question(name, opposite=True, tells=True)


def _loosely(kept: list[str]) -> Iterator[Question]:
    """A sign somewhere in a key that says more."""
    for size in range(min(len(kept), 5), 0, -1):
        for start in range(len(kept) - size + 1):
            name = _KEYS.get(" ".join(kept[start : start + size]))
            if name in forms.SIGNS:
                yield Question(str(name), loose=True, tells=True)


def _question(name: str, unit: str = "", denied: bool = False) -> Question:
    tells = name not in _ADDING and name not in _FRAIL
    silent = not denied and name not in _HEARD
    return Question(name, unit, denied, tells=tells, silent=silent)


class Answer(NamedTuple):
    """One answer of a form."""

    to: Question
    given: Any
    unit: str  #: that stands beside it or in its key; "" for none


#: Keys of an object that name a question, and those that hold what was answered.
_NAMING = (
    "key", "id", "question", "name", "field", "linkId", "dataElement", "code", "concept", "label", "text",
    "question_id", "questionId", "variable", "element", "symptom", "sign", "attribute", "display",
)  # fmt: skip
_ASKING = frozenset(_NAMING)
_ANSWERING = ("answer", "value", "response", "present", "selected", "checked", "result", "answers")
#: Answers of no as forms mostly write them; the rest is read.
_PLAIN_NO = frozenset(
    (
        "",
        "no",
        "No",
        "NO",
        "0",
        "false",
        "False",
        "none",
        "None",
        "n",
        "N",
        "non",
        "não",
        "hapana",
        "नहीं",
        "لا",
    )
)
#: Temperatures that speak of nobody, °C, and a score of pain that does only with a site.
_USUAL_C = (36.0, 37.9)
_MILD_PAIN = 7
#: Keys of a form that are read. Bounds the time that a hostile one can take; real ones have hundreds.
MOST_KEYS = 4000
#: How much of a form's answers can speak: nothing, mild pain alone, something; or more than is read.
SILENT, MILD, TELLING, TOO_MUCH = range(4)


#: Keys that were seen to ask nothing: most of a form's, the same in every record.
_DULL: set[object] = set()
_MOST_DULL = 8192


def gather(form: object) -> tuple[list[Answer], int]:
    """Every answer of a form that a rule may look at, and SILENT, MILD, TELLING or TOO_MUCH.

    This runs for each record of a push: a plain no is passed over here.
    """
    found: list[Answer] = []
    telling, keys = SILENT, 0
    waiting: list[Any] = [form]
    while waiting:
        node = waiting.pop()
        if type(node) is list:
            waiting.extend(item for item in node if type(item) is dict or type(item) is list)
            continue
        if type(node) is not dict:
            continue
        keys += len(node)
        if keys > MOST_KEYS:
            return found, TOO_MUCH
        named = False
        if not _ASKING.isdisjoint(node) and (answer := _answered(node)) is not None:
            named = True
            if answer.given is not None:
                found.append(answer)
                telling = TELLING if answer.to.tells else telling
        waiting.extend(item for item in node.values() if type(item) is dict or type(item) is list)
        for key in [key for key in node if key not in _DULL]:
            given, to = node[key], asked(key)
            kind = type(given)
            if to is None and len(_DULL) < _MOST_DULL:
                _DULL.add(key)
            if to is None or given is None or (named and key in _ASKING):
                continue
            if (kind is dict or kind is list) and is_group(given):
                continue
            if to.silent:
                if given is False or (kind is str and given in _PLAIN_NO):
                    continue
                if kind is float or kind is int:
                    if (
                        to.name == "temperature"
                        and to.unit in ("", "c")
                        and _USUAL_C[0] <= given <= _USUAL_C[1]
                    ):
                        continue
                    if to.name == "pain" and 0 <= given <= _MILD_PAIN:
                        found.append(Answer(to, given, ""))
                        telling = telling or MILD
                        continue
                if to.name == "symptoms" and _names_nothing(given):
                    continue
            found.append(Answer(to, given, to.unit or _unit_beside(node, key, to.name)))
            telling = TELLING if to.tells else telling
    return found, telling


def is_group(given: object) -> bool:
    """Whether a value is a group of questions, or repeats of one, and no answer: its name asks nothing."""
    if isinstance(given, list):
        return bool(given) and all(isinstance(item, dict) and is_group(item) for item in given)
    return (
        isinstance(given, dict)
        and yes_no.parts(given)[0] is None
        and any((to := asked(key)) is not None and not to.loose for key in given)
    )


def _names_nothing(given: object) -> bool:
    """Whether a list of symptoms holds no sign."""
    items = given if type(given) is list else (given,)
    return all(
        type(item) is str and not listed(item).signs and not item[:1].isdigit() for item in items
    )


def _answered(node: Mapping[Any, Any]) -> Answer | None:
    """The answer of an object that names its question: `{"question": "fever", "answer": "yes"}`."""
    held = next((key for key in _ANSWERING if key in node), None)
    if held is None:
        held = next((key for key in node if isinstance(key, str) and key.startswith("value")), None)
    if held is None:
        return None
    for key in _NAMING:
        if key not in node or key == held:
            continue
        name = node[key]
        if isinstance(name, dict):
            name = next(
                (name[each] for each in ("display", "text", "name", "code") if each in name), None
            )
        if (to := asked(name)) is not None:
            return Answer(to, node[held], to.unit or measures.unit_of(node))
    return None


def _unit_beside(node: Mapping[Any, Any], key: str, name: str) -> str:
    """The unit that a form asks for in a question of its own: `age_unit` beside `age`."""
    if name not in _UNIT_OF:
        return ""
    stem = key.removesuffix("_value").removesuffix("Value")
    for beside in (
        f"{stem}_unit",
        f"{stem}Unit",
        f"{key}_unit",
        f"{key}_units",
        f"{key}Unit",
        f"{key}Units",
        f"{key}_uom",
        f"{key} unit",
    ):
        if beside in node:
            return unit_word(node[beside])
    return measures.unit_of(node) if len(node) <= 3 else ""
