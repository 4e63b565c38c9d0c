"""Numbers of an answer: temperature, pain and size, with or without a unit; of several the worst."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from shared.products.dermadetect.answers.sign_lists import listed
from shared.products.dermadetect.answers.wording import (
    MOST_CHARS,
    MOST_DEPTH,
    MOST_ITEMS,
    MUCH,
    NO,
    NUMBERS,
    OPEN,
    TIMES,
    UNCLEAR,
    UNITS,
    YES,
    Measurement,
    fold,
    phrases_in,
    words,
)
from shared.products.dermadetect.answers.yes_no import DIGITS, options, parts, reply

#: Degrees Celsius of a living body; a number outside is a slip or another scale.
BODY_C = (25.0, 45.0)
#: Least that a number without its point is read as, °C: 312 is no temperature.
_SLIP_C = 34.0

NUMBER = r"(?:[0-9]+(?:[.,][0-9]+)?|\.[0-9]+)"
#: "38°5", "38'5" and "38·5" are 38.5.
_POINT = re.compile(r"(?<=[0-9])\s?[°'·]\s?(?=[0-9])")
_CLOCK = re.compile(
    r"\b[0-9]{1,2}(?:[:h][0-9]{2})+\s*(?:am|pm)?\b|\b[0-9]{2,4}-[0-9]{1,2}-[0-9]{1,4}\b"
)
_DEGREES = re.compile(
    rf"({NUMBER})\s*(?:°|deg(?:ree)?s?\.?)?\s*(celsius|fahrenheit|kelvin|[cfk](?![a-z]))?"
)
LESS = re.compile(
    "|".join(
        sorted((re.escape(p) for p, name in TIMES.items() if name == "less"), key=len, reverse=True)
    )
)


def amount(answer: object) -> float | None:
    """A number, or a text that is one; None for anything else. Between -1e6 and 1e6."""
    if isinstance(answer, str):
        text = fold(answer[:40])
        if not re.fullmatch(rf"[-+]?{NUMBER}", text):
            return None
        answer = float(text.replace(",", "."))
    if isinstance(answer, int | float) and not isinstance(answer, bool) and abs(answer) < 1e6:
        return float(answer)  # NaN fails the comparison
    return None


def celsius(degrees: float, unit: str = "") -> float | None:
    """°C of a body, from °C, °F, K or no unit; None when no reading of it is a body's.

    "395" is 39.5 without its point. A unit that makes no sense (103 °C) is not believed.
    """
    low, high = BODY_C
    read = {"f": (degrees - 32) / 1.8, "k": degrees - 273.15}.get(unit[:1], degrees)
    if low <= read <= high:
        return read
    for factor in (1, 10, 100):
        given = degrees / factor
        # 999 is what forms write for "not known", not 99.9 °F without its point
        for each in (given, (given - 32) / 1.8 if factor == 1 or given >= 100 else math.nan):
            if (low if factor == 1 else _SLIP_C) <= each <= high:
                return each
    return None


def temperature(answer: object, unit: str = "") -> Measurement:
    """The highest body temperature of an answer, °C. 0 is no reading."""
    return worst_of(answer, unit, _temperature)


def _temperature(answer: object, unit: str) -> Measurement:
    if isinstance(answer, str):
        text = _POINT.sub(".", _CLOCK.sub(" ", fold(answer[:MOST_CHARS])))
        if DIGITS.search(text):
            found = [(float(n.replace(",", ".")), u or unit) for n, u in _DEGREES.findall(text)]
            read = [each for each in (celsius(*pair) for pair in found) if each is not None]
            less = 0.1 if read and LESS.match(text) else 0.0
            if read:
                return Measurement(max(read) - less, NO)
            return Measurement(None, OPEN if all(not n for n, _ in found) else UNCLEAR)
        return Measurement(None, reply(answer, "fever"))
    number = amount(answer)
    if number is None or number == 0:
        return Measurement(None, OPEN if number == 0 else reply(answer, "fever"))
    degrees = celsius(number, unit)
    return Measurement(degrees, UNCLEAR if degrees is None else NO)


def lowest(answer: object, unit: str = "") -> list[float]:
    """Further temperatures of an answer that holds several, °C: a young infant may be too cold as well."""
    if isinstance(answer, list):
        read = [worst_of(item, unit, _temperature).amount for item in answer]
        return [each for each in read if each is not None]
    if not isinstance(answer, str):
        return []
    found = _DEGREES.findall(_POINT.sub(".", _CLOCK.sub(" ", fold(answer[:MOST_CHARS]))))
    read = [celsius(float(n.replace(",", ".")), u or unit) for n, u in found]
    return [each for each in read if each is not None]


_OF = re.compile(rf"({NUMBER})\s*(?:/|out of|of|sur|kati ya|de|من|में से|on|ya)\s*([0-9]+)")


def pain(answer: object, scale: float | None = None) -> Measurement:
    """The worst pain of an answer, on a scale to 10."""
    if isinstance(answer, dict):
        top = next(
            (answer[key] for key in ("max", "out_of", "scale", "of", "maximum") if key in answer),
            None,
        )
        scale = amount(top) or scale
        given, more = parts(answer)
        read = [pain(item, scale) for item in (given or []) + more]
        return _worse(read) if read else Measurement(None, reply(answer, "pain"))
    return worst_of(answer, "", lambda one, _unit: _pain(one, scale))


def _pain(answer: object, scale: float | None) -> Measurement:
    if isinstance(answer, str):
        text = fold(answer[:MOST_CHARS])
        of = [
            10 * float(some.replace(",", ".")) / float(all_)
            for some, all_ in _OF.findall(text)
            if float(all_) > 0
        ]
        if not of:
            each = [float(n.replace(",", ".")) for n in re.findall(NUMBER, text)]
            of = (
                [n / 10 for n in each]
                if "%" in text
                else [10 * n / scale if scale else n for n in each]
            )
        if not of and text in NUMBERS:
            of = [float(NUMBERS[text])]
        if not of or [phrase for phrase, _ in phrases_in(words(text), UNITS) if phrase in UNITS]:
            said = reply(answer, "pain")
            named = listed(text).signs
            said = max(said, MUCH) if "severe_pain" in named else said
            return Measurement(None, YES if said == UNCLEAR and "painful" in named else said)
        score: float | None = max(of)
    else:
        number = amount(answer)
        score = None if number is None else 10 * number / scale if scale else number
        if score is None:
            return Measurement(None, reply(answer, "pain"))
    if score is None or not 0 <= score <= 100:
        return Measurement(None, UNCLEAR)
    return Measurement(score, YES if score > 0 else NO)


_MM = {"mm": 1.0, "cm": 10.0, "in": 25.4}


def millimetres(answer: object, unit: str = "") -> Measurement:
    """The largest length of an answer, mm; a length without a unit is not understood."""
    return worst_of(answer, unit, _millimetres)


def _millimetres(answer: object, unit: str) -> Measurement:
    text = fold(answer[:MOST_CHARS]) if isinstance(answer, str) else ""
    numbers = [float(n.replace(",", ".")) for n in re.findall(NUMBER, text)]
    if not numbers and (number := amount(answer)) is not None:
        numbers = [number]
    if not numbers:
        said = reply(answer)
        return Measurement(math.inf if said >= YES else None, said)
    named = [word for word in re.findall(r"[^\s\d.,x*×]+", text) if UNITS.get(word) in _MM]
    factor = _MM.get(UNITS.get(named[-1], "") if named else unit)
    return Measurement(None, UNCLEAR) if factor is None else Measurement(max(numbers) * factor, NO)


def worst_of(
    answer: object, unit: str, read: Callable[[Any, str], Measurement], depth: int = 0
) -> Measurement:
    """The worst of a list, of an object's parts, or the one."""
    if depth > MOST_DEPTH:
        return Measurement(None, UNCLEAR)
    if isinstance(answer, list):
        return _worse([worst_of(item, unit, read, depth + 1) for item in answer[:MOST_ITEMS]])
    if isinstance(answer, dict):
        given, _ = parts(answer)
        if given is None:
            named = by_unit(answer)
            chosen = named or [(item, unit) for item in options(answer)]
            if not chosen and any(item not in (None, "", False) for item in answer.values()):
                return Measurement(None, UNCLEAR)
            return _worse([worst_of(item, each, read, depth + 1) for item, each in chosen])
        beside = unit_of(answer) or unit
        return _worse([worst_of(item, beside, read, depth + 1) for item in given])
    return read(answer, unit)


def unit_of(answer: Mapping[Any, Any]) -> str:
    """The unit that an object names beside its value; "" for none that we know."""
    for key in ("unit", "units", "uom", "unit_of_measure"):
        unit = answer.get(key)
        if isinstance(unit, str):
            return UNITS.get(fold(unit[:40]), UNITS.get(" ".join(words(unit[:40])), ""))
    return ""


def by_unit(answer: Mapping[Any, Any]) -> list[tuple[object, str]]:
    """Values of an object that names them by their unit: `{"weeks": 6}`, `{"celsius": 39.5}`."""
    units = ((item, unit_word(key)) for key, item in answer.items())
    return [(item, unit) for item, unit in units if unit and item not in (None, "")]


def unit_word(text: object) -> str:
    """Our word for a unit; "" for none that we know."""
    return UNITS.get(fold(text[:40]), "") if isinstance(text, str) else ""


def _worse(readings: list[Measurement]) -> Measurement:
    amounts = [each.amount for each in readings if each.amount is not None]
    return Measurement(
        max(amounts, default=None), max((each.says for each in readings), default=OPEN)
    )
