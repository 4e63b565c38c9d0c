"""Red-flag rules: what makes a case red whatever the phone and the model say of it.

A closed list, read from the answers of the triage, the patient's age, the site and the duration.
Rules run in the commit that stores a case, before any model, and again with each analysis. They
only ever raise: `triage_final` is the worst of device, rules and model, and a rule that cannot read
an answer says nothing. Every rule reports one word of `analysis.RED_FLAGS`.

Conservative on purpose: a red flag that is answered with yes makes the case red. What a rule misses
(free text, other languages than the app's keys) is left to device, model and doctor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any, NamedTuple

from shared.ai.analysis import RED_FLAGS
from shared.ai.intake import age_years, entries, number, parsed, snake

#: Raised with every change of the rules; stored beside their result.
VERSION = "1"

#: Body temperature that counts as fever, °C.
FEVER_C = 38.0
#: Severe on a scale of pain from 0 to 10.
SEVERE_PAIN = 8
#: An ulcer as old as this does not heal by itself, days.
NON_HEALING_DAYS = 28
#: Signs of ABCDE that make a mark suspicious.
SUSPICIOUS_SIGNS = 3
#: Below this age fever, blisters, pus and spreading are red by themselves, years.
INFANT_YEARS = 1.0

_YES = frozenset(
    ("true", "yes", "y", "1", "present", "severe", "rapid", "fast", "high", "positive")
)
_DAYS = {"day": 1, "days": 1, "d": 1, "week": 7, "weeks": 7, "w": 7, "month": 30, "months": 30}
_DAYS |= {"m": 30, "year": 365, "years": 365, "y": 365}

#: Other keys that mean a red flag when they are answered with yes.
_SYNONYMS = {
    "bleeds": "bleeding",
    "purpuric": "purpura",
    "mucosa": "mucosal_involvement",
    "mouth_involved": "mucosal_involvement",
    "genital_involved": "mucosal_involvement",
    "eye_involved": "eye_involvement",
    "blister": "blistering",
    "blisters": "blistering",
    "swelling_of_face": "facial_swelling",
    "difficulty_breathing": "breathing_difficulty",
    "necrotic": "necrosis",
}
#: Flags that speak of the patient: no emergency without a sign of infection or blisters.
_FRAIL = ("infant", "pregnancy", "immunosuppressed")
_FRAIL_KEYS = {
    "pregnant": "pregnancy",
    "hiv_positive": "immunosuppressed",
    "immune_deficiency": "immunosuppressed",
}
_INFECTION = frozenset({"fever", "blistering", "spreading_infection"})
_INFECTION_KEYS = frozenset({"pus", "spreading", "spread", "discharge", "chills"})
_EYE = ("eye", "eyelid", "periorbital", "orbit")
_MUCOSA = ("mouth", "lip", "lips", "tongue", "genital", "genitals", "vulva", "penis", "oral")
_HURT = frozenset({"pain", "painful", "swelling", "blistering", "ulcer", "ulcerated", "erosion"})
_DARK = ("black", "brown", "blue")
_SITES = frozenset({"site", "sites", "body_site", "body_sites", "lesion_site", "anatomical_site"})
_SITES |= {"body_part", "body_parts", "body_location", "lesion_location"}
_LISTS = frozenset({"symptoms", "symptom", "red_flags", "signs"})
_COLOURS = frozenset({"colour", "color", "colours", "colors"})
_ABCDE = {
    "asymmetry": "asymmetry",
    "border_irregular": "border",
    "irregular_border": "border",
    "colour_change": "colour",
    "color_change": "colour",
    "evolution": "evolution",
    "change_over_time": "evolution",
    "growing": "evolution",
    "changing": "evolution",
}


#: JSON Schema of what is stored beside a case.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "version": {"type": "string"},
        "triage": {"const": "red"},
        "flags": {"type": "array", "items": {"enum": list(RED_FLAGS)}, "minItems": 1},
    },
    "required": ["version", "triage", "flags"],
    "additionalProperties": False,
}


class Verdict(NamedTuple):
    """What the rules say: `triage` is "red" or None (no rule spoke), `flags` are why."""

    triage: str | None
    flags: tuple[str, ...]

    def stored(self) -> dict[str, Any] | None:
        """As it stands beside the case; None when no rule spoke."""
        if self.triage is None:
            return None
        return {"version": VERSION, "triage": self.triage, "flags": list(self.flags)}


NOTHING = Verdict(None, ())


@dataclass(frozen=True, slots=True)
class _Seen:
    """The answers as the rules see them."""

    yes: frozenset[str]  #: keys that are answered with yes, and words of symptom lists
    sites: frozenset[str]
    colours: frozenset[str]
    numbers: Mapping[str, float]
    days: float | None
    age: Callable[[], float | None]

    @property
    def infected(self) -> bool:
        return bool(self.yes & (_INFECTION | _INFECTION_KEYS))


def _fever(seen: _Seen) -> bool:
    degrees = max(
        (seen.numbers.get(name, 0.0) for name in ("temperature", "temperature_c", "fever")),
        default=0.0,
    )
    return "fever" in seen.yes or FEVER_C <= degrees <= 45


def _pain(seen: _Seen) -> bool:
    worst = max(seen.numbers.get(name, 0.0) for name in ("pain_score", "pain", "pain_severity"))
    return "severe_pain" in seen.yes or worst >= SEVERE_PAIN


def _growth(seen: _Seen) -> bool:
    return "rapid_growth" in seen.yes


def _eye(seen: _Seen) -> bool:
    return "eye_involvement" in seen.yes or bool(seen.sites & set(_EYE) and seen.yes & _HURT)


def _mucosa(seen: _Seen) -> bool:
    return "mucosal_involvement" in seen.yes or bool(
        seen.sites & set(_MUCOSA) and seen.yes & (_HURT | {"bleeding"})
    )


def _ulcer(seen: _Seen) -> bool:
    ulcer = bool(seen.yes & {"ulcer", "ulcerated", "ulceration"})
    return "non_healing_ulcer" in seen.yes or (
        ulcer and seen.days is not None and seen.days >= NON_HEALING_DAYS
    )


def _pigment(seen: _Seen) -> bool:
    if "suspicious_pigmented_lesion" in seen.yes:
        return True
    signs = {_ABCDE[name] for name in seen.yes & _ABCDE.keys()}
    if max(seen.numbers.get(name, 0.0) for name in ("diameter_mm", "size_mm")) > 6:
        signs.add("diameter")
    dark = bool(seen.colours & set(_DARK))
    return len(signs) >= SUSPICIOUS_SIGNS or (dark and "evolution" in signs)


def _frail(name: str) -> Callable[[_Seen], bool]:
    def rule(seen: _Seen) -> bool:
        if not (seen.infected or _fever(seen)):
            return False
        if name in seen.yes:
            return True
        age = seen.age() if name == "infant" else None
        return age is not None and age < INFANT_YEARS

    return rule


def _said(flag: str) -> Callable[[_Seen], bool]:
    return lambda seen: flag in seen.yes


#: The closed list: one rule a red flag. `other` names none, so it has none.
RULES: Mapping[str, Callable[[_Seen], bool]] = {
    **{flag: _said(flag) for flag in RED_FLAGS if flag != "other"},
    "fever": _fever,
    "severe_pain": _pain,
    "rapid_growth": _growth,
    "eye_involvement": _eye,
    "mucosal_involvement": _mucosa,
    "non_healing_ulcer": _ulcer,
    "suspicious_pigmented_lesion": _pigment,
    **{flag: _frail(flag) for flag in _FRAIL},
}


#: Words without any of which no rule can speak, unless a number does.
_ASKED = (
    frozenset(RED_FLAGS)
    | _INFECTION_KEYS
    | _HURT
    | _ABCDE.keys()
    | {"ulceration", "ulcer", "ulcerated"}
)
#: Keys whose numbers a rule looks at; from what on a number says something without any other answer.
_MEASURED = {
    **dict.fromkeys(("temperature", "temperature_c", "fever"), FEVER_C),
    **dict.fromkeys(("pain_score", "pain", "pain_severity"), SEVERE_PAIN),
    **dict.fromkeys(("diameter_mm", "size_mm"), math.inf),
}
_GROWTH = frozenset({"growth", "grew"})
#: Keys whose answers can make a rule speak. All others (site, colour, duration) only add to these.
_TELLING = frozenset(
    _ASKED | _SYNONYMS.keys() | _FRAIL_KEYS.keys() | _MEASURED.keys() | _LISTS | _GROWTH
)


def judge(triage_data: object, demographics: object, today: date) -> Verdict:
    """What the rules say of a case. Both are what phones sent: parsed, as JSON text, or odd.

    Never raises: what cannot be read is no answer. Most cases hold nothing that a rule asks for, and
    this runs for each record of a push: so what one answer can tell by itself is looked at first.
    """
    if triage_data in (None, "", "{}", "[]"):
        return NOTHING
    triage = parsed(triage_data)
    if not any(_tells(name, value) for name, value in entries(triage, only=_TELLING)):
        return NOTHING
    seen = _see(entries(triage), lambda: age_years(demographics, today))
    flags = tuple(flag for flag, holds in RULES.items() if holds(seen))
    return Verdict("red", flags) if flags else NOTHING


def _tells(name: str, value: object) -> bool:
    """Whether an answer, of all that a rule needs, is one without which it does not speak."""
    measured = number(_value(value)) if name in _MEASURED else None
    if measured is not None and measured >= _MEASURED[name]:
        return True
    return not _ASKED.isdisjoint(_words(name, value))


def _see(answers: Sequence[tuple[str, Any]], age: Callable[[], float | None]) -> _Seen:
    yes: set[str] = set()
    sites: set[str] = set()
    colours: set[str] = set()
    numbers: dict[str, float] = {}
    days: list[float] = []
    for name, value in answers:
        if name in _SITES:
            sites.update(_parts(value))
        elif name in _COLOURS:
            colours.update(_parts(value))
        elif name.startswith("duration") or name == "started_days_ago":
            days += _days(name, value)
        else:
            yes.update(_words(name, value))
        if name in _MEASURED and (found := number(_value(value))) is not None:
            numbers.setdefault(name, found)
    return _Seen(
        frozenset(yes),
        frozenset(sites),
        frozenset(colours),
        numbers,
        max(days, default=None),
        age,
    )


def _words(name: str, value: object) -> Sequence[str]:
    """What an answer says yes to: its own key, or the words of a list of symptoms."""
    if name in _LISTS:
        return [_known(snake(item)) for item in _texts(value)]
    if name in _GROWTH and snake(value) in ("rapid", "fast", "rapidly"):
        return ("rapid_growth",)
    if not _is_yes(value):
        return ()
    known = _known(name)
    if known == "pain" and snake(value) == "severe":
        return (known, "severe_pain")
    return (known,)


def _known(word: str) -> str:
    """The word that the rules have for it."""
    return _SYNONYMS.get(word, _FRAIL_KEYS.get(word, word))


def _value(answer: object) -> object:
    """The answer itself, where it is an object like `{"value": …}` or `{"present": …}`."""
    if isinstance(answer, dict):
        return next((answer[key] for key in ("value", "present", "answer") if key in answer), None)
    return answer


def _is_yes(answer: object) -> bool:
    value = _value(answer)
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value == 1
    return isinstance(value, str) and snake(value) in _YES


def _texts(value: object) -> list[str]:
    items = value if isinstance(value, list) else [value]
    found = [item for item in (_value(each) for each in items[:100]) if isinstance(item, str)]
    if isinstance(value, dict):
        found += [key for key, item in value.items() if isinstance(key, str) and _is_yes(item)]
    return found


def _parts(value: object) -> set[str]:
    return {part for text in _texts(value) for part in snake(text).split("_")}


def _days(name: str, value: object) -> list[float]:
    """Days of a duration: from a number under `duration_days`, or of `3 weeks`; else nothing."""
    given = _value(value)
    unit = name.rpartition("_")[2]
    amount = number(given)
    if amount is not None:
        if isinstance(value, dict) and isinstance(value.get("unit"), str):
            unit = snake(value["unit"])
        factor = _DAYS.get(unit, 1 if name == "started_days_ago" else 0)
        return [amount * factor] if factor else []
    words = given.lower().split() if isinstance(given, str) and len(given) < 64 else []
    return [
        many * _DAYS[unit]
        for count, unit in pairwise(words)
        if unit in _DAYS and (many := number(count)) is not None
    ]
