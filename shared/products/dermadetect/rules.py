"""Red-flag rules: what makes a case red whatever the phone and the model say of it.

A closed list, read from the answers of the triage, the patient's age, the site and the duration.
Rules run in the commit that stores a case, before any model, and again with each analysis. They
only ever raise: `triage_final` is the worst of device, rules and model. Every rule reports one word
of `RED_FLAGS`.

Conservative on purpose: a red flag that is answered with yes makes the case red. Answers are read in
every form that `answers` knows; **one that could change the verdict and is not understood is named
in `look`** and asks for a person: it never counts as "no". Words and languages are data (`forms.py`),
and so is what makes a case an emergency (`emergency.py`).

Limit: notes and other free text outside a question about a red flag are not read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, NamedTuple

from shared.products.dermadetect import forms
from shared.products.dermadetect.analysis.vocabulary import RED_FLAGS
from shared.products.dermadetect.answers import ages, measures, sign_lists, times, wording, yes_no
from shared.products.dermadetect.answers.wording import (
    MUCH,
    NO,
    OPEN,
    UNCLEAR,
    UNSURE,
    YES,
    Measurement,
)
from shared.products.dermadetect.emergency import urgency_of as urgency_of
from shared.products.dermadetect.intake import age_reading, parsed
from shared.products.dermadetect.questions import MILD, TELLING, TOO_MUCH, Answer, gather

#: Raised with every change of the rules or of `forms.py`; stored beside their result.
VERSION = "2"

#: Body temperature that counts as fever, °C.
FEVER_C = 38.0
#: Under this a young infant is too cold, °C (WHO, IMCI: sick young infant, 2019).
COLD_C = 35.5
#: Severe on a scale of pain from 0 to 10.
SEVERE_PAIN = 8
#: An ulcer as old as this does not heal by itself, days.
NON_HEALING_DAYS = 28
#: Signs of ABCDE that make a mark suspicious, and the diameter that is one, mm.
SUSPICIOUS_SIGNS = 3
SUSPICIOUS_MM = 6
#: Below this age fever, blisters, pus and spreading are red by themselves, years.
INFANT_YEARS = 1.0
#: Up to 59 days: what IMCI calls a young infant, years.
YOUNG_INFANT_YEARS = 60 / 366

#: Flags that speak of the patient: no emergency without a sign of infection or blisters.
_FRAIL = ("infant", "young_infant", "pregnancy", "immunosuppressed")
_INFECTION = frozenset(
    ("fever", "blistering", "spreading_infection", "pus", "spreading", "discharge", "chills")
)
_HURT = frozenset(("pain", "painful", "swelling", "blistering", "ulcer", "erosion"))
_ABCDE = frozenset(("asymmetry", "border", "colour", "evolution"))
#: Flags that another one means as well.
_MEANS = {"heavy_bleeding": "bleeding"}

#: What `look` may name: the question, in our words; never the phone's key, never an answer.
LOOKS = tuple(
    name
    for name in dict.fromkeys((*RED_FLAGS, *forms.OTHERS, *forms.QUESTIONS, "triage_data"))
    if name != "other"
)

#: JSON Schema of what is stored beside a case.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "version": {"type": "string"},
        "triage": {"enum": ["red", None]},
        "flags": {"type": "array", "items": {"enum": list(RED_FLAGS)}},
        # not a closed list for apps: words are added as forms are
        "look": {
            "type": "array",
            "items": {"type": "string", "pattern": "^[a-z_]+$", "maxLength": 64},
            "minItems": 1,
        },
    },
    "required": ["version", "triage", "flags"],
    "additionalProperties": False,
    # Red has its flags; what is not red stands here only because a person must look.
    "if": {"properties": {"triage": {"const": "red"}}},
    "then": {"properties": {"flags": {"minItems": 1}}},
    "else": {"properties": {"flags": {"maxItems": 0}, "look": {}}, "required": ["look"]},
}


class Verdict(NamedTuple):
    """What the rules say: `triage` is "red" or None (no rule spoke), `flags` are why.

    `look` are the questions whose answers were not understood and could have made a rule speak.
    """

    triage: str | None
    flags: tuple[str, ...]
    look: tuple[str, ...] = ()

    def stored(self) -> dict[str, Any] | None:
        """As it stands beside the case; None when no rule spoke and everything was understood."""
        if self.triage is None and not self.look:
            return None
        said = {"version": VERSION, "triage": self.triage, "flags": list(self.flags)}
        return {**said, "look": list(self.look)} if self.look else said


NOTHING = Verdict(None, ())


@dataclass(frozen=True, slots=True)
class _Seen:
    """The answers as the rules see them."""

    yes: frozenset[str]  #: signs that are answered with yes, and those that a list names
    places: frozenset[str] = frozenset()  #: `eye`, `mucosa`; `dark` of the colours
    degrees: tuple[float, ...] = ()  #: every temperature, °C
    pain: float = 0.0
    days: float | None = None
    millimetres: float = 0.0
    age: Callable[[], float | None] = field(default=lambda: None)  #: years

    @property
    def feverish(self) -> bool:
        return "fever" in self.yes or any(each >= FEVER_C for each in self.degrees)

    @property
    def infected(self) -> bool:
        return not _INFECTION.isdisjoint(self.yes) or self.feverish or self.cold

    @property
    def cold(self) -> bool:
        return "low_temperature" in self.yes or any(each < COLD_C for each in self.degrees)


def _said(flag: str) -> Callable[[_Seen], bool]:
    return lambda seen: flag in seen.yes


def _cold(seen: _Seen) -> bool:
    return "low_temperature" in seen.yes or (seen.cold and _younger(seen, YOUNG_INFANT_YEARS))


def _pain(seen: _Seen) -> bool:
    return "severe_pain" in seen.yes or seen.pain >= SEVERE_PAIN


def _eye(seen: _Seen) -> bool:
    hurts = "eye" in seen.places and not _HURT.isdisjoint(seen.yes)
    return "eye_involvement" in seen.yes or hurts


def _mucosa(seen: _Seen) -> bool:
    hurts = "mucosa" in seen.places and not (_HURT | {"bleeding"}).isdisjoint(seen.yes)
    return "mucosal_involvement" in seen.yes or hurts


def _ulcer(seen: _Seen) -> bool:
    old = seen.days is not None and seen.days >= NON_HEALING_DAYS
    return "non_healing_ulcer" in seen.yes or ("ulcer" in seen.yes and old)


def _pigment(seen: _Seen) -> bool:
    if "suspicious_pigmented_lesion" in seen.yes:
        return True
    signs = len(seen.yes & _ABCDE) + (seen.millimetres > SUSPICIOUS_MM)
    return signs >= SUSPICIOUS_SIGNS or ("dark" in seen.places and "evolution" in seen.yes)


def _younger(seen: _Seen, years: float) -> bool:
    age = seen.age()
    return age is not None and age < years


def _infant(seen: _Seen) -> bool:
    return _infected_or_hot(seen) and ("infant" in seen.yes or _younger(seen, INFANT_YEARS))


def _young_infant(seen: _Seen) -> bool:
    if not seen.infected:
        return False
    return "young_infant" in seen.yes or _younger(seen, YOUNG_INFANT_YEARS)


def _infected_or_hot(seen: _Seen) -> bool:
    return not _INFECTION.isdisjoint(seen.yes) or seen.feverish


def _frail(flag: str) -> Callable[[_Seen], bool]:
    return lambda seen: flag in seen.yes and _infected_or_hot(seen)


#: The closed list: one rule a red flag. `other` names none, so it has none.
RULES: Mapping[str, Callable[[_Seen], bool]] = {
    **{flag: _said(flag) for flag in RED_FLAGS if flag != "other"},
    "fever": lambda seen: seen.feverish,
    "low_temperature": _cold,
    "severe_pain": _pain,
    "eye_involvement": _eye,
    "mucosal_involvement": _mucosa,
    "non_healing_ulcer": _ulcer,
    "suspicious_pigmented_lesion": _pigment,
    "infant": _infant,
    "young_infant": _young_infant,
    "pregnancy": _frail("pregnancy"),
    "immunosuppressed": _frail("immunosuppressed"),
}


def judge(triage_data: object, demographics: object, today: date) -> Verdict:
    """What the rules say of a case. Both are what phones sent: parsed, as JSON text, or odd.

    Never raises. What cannot be read at all asks for a person. Most cases hold nothing that a rule
    asks for, and this runs for each record of a push: so a plain no is passed over while answers
    are gathered, and only what is left is read.
    """
    if triage_data in (None, "", "{}", "[]"):
        return NOTHING
    form = parsed(triage_data)
    if form is None or isinstance(form, str):
        return _unread(triage_data if form is None else form)
    found, telling = gather(form)
    if telling < (MILD if any(map(_hurting_place, found)) else TELLING):
        return NOTHING
    verdict = _judged(found, demographics, today)
    if telling == TOO_MUCH:
        look = tuple(name for name in LOOKS if name in {*verdict.look, "triage_data"})
        return verdict._replace(look=look)
    return verdict


def _hurting_place(answer: Answer) -> bool:
    """Whether it is a site where even a little pain is red."""
    return answer.to.name == "site" and not _PLACES.keys().isdisjoint(
        word for text in sign_lists.texts(answer.given) for word in wording.words(text[:200])
    )


def _unread(text: object) -> Verdict:
    """Of what is no form: `null` is no answer; text names its signs, and a person looks at it."""
    if not isinstance(text, str) or not text.strip() or text.strip() == "null":
        return NOTHING
    return _verdict(_Seen(sign_lists.listed(text).signs), frozenset(), ("triage_data",))


def _judged(found: Sequence[Answer], demographics: object, today: date) -> Verdict:
    reader = _Reader(today)
    for answer in found:
        reader.read(answer)
    return reader.verdict(demographics)


class _Reader:
    """Reads the answers of a form one by one."""

    def __init__(self, today: date) -> None:
        self._today = today
        self._yes: set[str] = set()
        self._places: set[str] = set()
        self._degrees: list[float] = []
        self._days: list[float] = []
        self._pain = self._millimetres = 0.0
        self._ages: list[Answer] = []
        self._unclear: set[str] = set()
        self._look: set[str] = set()  #: that ask for a person whatever the rules say

    def read(self, answer: Answer) -> None:
        name = answer.to.name
        read = _READ.get(name)
        if read is not None:
            read(self, answer)
        elif name in ("age", "birth_date"):
            self._ages.append(answer)
        else:
            self._sign(answer)

    def _sign(self, answer: Answer) -> None:
        name = answer.to.name
        said = yes_no.reply(answer.given, name)
        if answer.to.loose:
            # "bleeding_gums": we know the word and not the question, so a yes is for a person.
            if said >= YES and not _is_number(answer.given):
                self._look.add(name)
            return
        if answer.to.opposite:
            said = YES if said == NO else OPEN if said >= YES else said
        if answer.to.denied:
            said = UNCLEAR if said in (NO, UNSURE) else OPEN if said >= YES else said
        if name == "fever" and said >= UNCLEAR and self._temperature(answer) and said == UNCLEAR:
            return
        self._take(name, said)

    def _take(self, name: str, said: int) -> None:
        if said >= YES:
            self._yes.add(name)
            if said == MUCH and name == "bleeding":
                self._yes.add("heavy_bleeding")
        elif said == UNCLEAR or (said == UNSURE and name in forms.SIGNS):
            self._unclear.add(name)

    def _temperature(self, answer: Answer) -> bool:
        """Whether a temperature was read."""
        read = measures.temperature(answer.given, answer.unit)
        if read.amount is None:
            if answer.to.name == "temperature":
                # "temperature: yes" says nothing; "high" does
                said = UNCLEAR if read.says == YES else read.says
                self._take("fever" if said == MUCH else "temperature", said)
            return False
        self._degrees += [read.amount]
        if isinstance(answer.given, list | str):
            self._degrees += measures.lowest(answer.given, answer.unit)
        return True

    def _pain_of(self, answer: Answer) -> None:
        if answer.to.denied:
            return
        read = measures.pain(answer.given)
        self._pain = max(self._pain, read.amount or 0.0)
        if read.says == MUCH:
            self._yes.add("severe_pain")
        self._take("pain", read.says)

    def _growth(self, answer: Answer) -> None:
        speeds = {
            _SPEEDS[word]
            for text in sign_lists.texts(answer.given)
            for word in wording.words(text[:200])
            if word in _SPEEDS
        }
        said = yes_no.reply(answer.given)
        if "fast" in speeds and said != NO:
            self._yes.add("rapid_growth")
        elif not speeds and said in (UNCLEAR, MUCH) and not _is_number(answer.given):
            self._unclear.add("growth")

    def _measure(self, read: Measurement, name: str, kept: Callable[[float], None]) -> None:
        if read.amount is not None:
            kept(read.amount)
        elif read.says in (UNCLEAR, UNSURE):
            self._unclear.add(name)

    def _diameter(self, answer: Answer) -> None:
        def keep(length: float) -> None:
            self._millimetres = max(self._millimetres, length)

        self._measure(measures.millimetres(answer.given, answer.unit), "diameter", keep)

    def _duration(self, answer: Answer) -> None:
        read = times.days(answer.given, answer.unit, self._today)
        self._measure(read, "duration", self._days.append)

    def _place(self, table: Mapping[str, str], answer: Answer) -> None:
        for text in sign_lists.texts(answer.given):
            self._places.update(table[word] for word in wording.words(text[:200]) if word in table)

    def _list(self, answer: Answer) -> None:
        named: set[str] = set()
        unknown = False
        for text in sign_lists.texts(answer.given):
            if sign_lists.are_codes(text):  # "1 4": choices by number, which only their form knows
                self._look.add(answer.to.name)
            read = sign_lists.listed(text)
            named |= read.signs
            unknown = unknown or read.unknown or read.bare_yes
        self._yes |= named
        if answer.to.name == "red_flags" and not named:
            plain = answer.given is True or (_is_number(answer.given) and answer.given != 0)
            if unknown or plain:
                self._look.add("red_flags")

    def verdict(self, demographics: object) -> Verdict:
        for flag, other in _MEANS.items():
            if flag in self._yes:
                self._yes.add(other)
        age = _Age(demographics, self._ages, self._today)
        seen = _Seen(
            frozenset(self._yes),
            frozenset(self._places),
            tuple(self._degrees),
            self._pain,
            max(self._days, default=None),
            self._millimetres,
            age.years,
        )
        if seen.infected and age.unclear():
            self._unclear.add("age")
        return _verdict(seen, frozenset(self._unclear), tuple(self._look))


class _Age:
    """The patient's age, read when a rule asks: from the patient, else from the form."""

    def __init__(self, demographics: object, beside: Sequence[Answer], today: date) -> None:
        self._given = demographics, beside, today
        self._read: Measurement | None = None

    def reading(self) -> Measurement:
        if self._read is None:
            demographics, beside, today = self._given
            self._read = age_reading(demographics, today)
            for answer in beside:
                if self._read.amount is None:
                    reads = ages.born if answer.to.name == "birth_date" else None
                    read = (
                        reads(answer.given, today)
                        if reads
                        else ages.age(answer.given, answer.unit, today)
                    )
                    self._read = max(
                        self._read, read, key=lambda each: (each.amount is not None, each.says)
                    )
        return self._read

    def years(self) -> float | None:
        return self.reading().amount

    def unclear(self) -> bool:
        read = self.reading()
        return read.amount is None and read.says == UNCLEAR


_PLACES = wording.index({name: forms.PLACES[name] for name in ("eye", "mucosa")})
_COLOURS = wording.index({"dark": forms.PLACES["dark"]})
_SPEEDS = wording.index(forms.SPEEDS)
_READ: Mapping[str, Callable[[_Reader, Answer], Any]] = {
    "temperature": _Reader._temperature,
    "pain": _Reader._pain_of,
    "growth": _Reader._growth,
    "diameter": _Reader._diameter,
    "duration": _Reader._duration,
    "site": lambda reader, answer: reader._place(_PLACES, answer),
    "colours": lambda reader, answer: reader._place(_COLOURS, answer),
    "symptoms": _Reader._list,
    "red_flags": _Reader._list,
}


def _is_number(answer: object) -> bool:
    return isinstance(answer, int | float) and not isinstance(answer, bool)


#: What an answer that was not understood could at worst have said.
def _worst(seen: _Seen, unclear: frozenset[str]) -> _Seen:
    yes = set(unclear & (forms.SIGNS.keys() | forms.OTHERS.keys()))
    if "temperature" in unclear:
        yes.add("fever")
    if "pain" in unclear:
        yes |= {"pain", "severe_pain"}
    if "growth" in unclear:
        yes.add("rapid_growth")
    worse = replace(seen, yes=seen.yes | yes)
    if "duration" in unclear:
        worse = replace(worse, days=math.inf)
    if "diameter" in unclear:
        worse = replace(worse, millimetres=math.inf)
    if "age" in unclear:
        worse = replace(worse, age=lambda: 0.0)
    return worse


def _flags(seen: _Seen) -> tuple[str, ...]:
    return tuple(flag for flag, holds in RULES.items() if holds(seen))


def _verdict(seen: _Seen, unclear: frozenset[str], look: tuple[str, ...]) -> Verdict:
    flags = _flags(seen)
    needed = set(look) | _looks(seen, unclear, set(flags))
    asked = tuple(name for name in LOOKS if name in needed)
    if not flags:
        return Verdict(None, (), asked) if asked else NOTHING
    return Verdict("red", flags, asked)


def _looks(seen: _Seen, unclear: frozenset[str], flags: set[str]) -> set[str]:
    """Of the answers that were not understood, those that could have added a flag."""
    if not unclear:
        return set()
    worst = set(_flags(_worst(seen, unclear)))
    if worst == flags:
        return set()

    def matters(name: str) -> bool:
        alone = set(_flags(_worst(seen, frozenset((name,)))))
        return alone != flags or set(_flags(_worst(seen, unclear - {name}))) != worst

    return {name for name in unclear if matters(name)} or set(unclear)
