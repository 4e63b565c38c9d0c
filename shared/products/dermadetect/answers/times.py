"""For how long something has lasted: words, shorthand, dates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from shared.products.dermadetect.answers.measures import NUMBER, amount, worst_of
from shared.products.dermadetect.answers.wording import (
    MOST_CHARS,
    NO,
    NUMBERS,
    OPEN,
    TIMES,
    UNCLEAR,
    UNITS,
    UNSURE,
    Measurement,
    fold,
    phrases_in,
)
from shared.products.dermadetect.answers.yes_no import reply

_DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.0, "year": 365.0}
#: Medicine's shorthand: 3/7 are days, 6/52 weeks, 8/12 months.
_SHORTHAND = re.compile(rf"[<>~=\s]*({NUMBER})\s*/\s*(7|52|12)\b(?!\s*/)")
_SHORT_UNIT = {"7": "day", "52": "week", "12": "month"}
_SINCE = re.compile(r"(?:(?:since|from|on|started|began|depuis|le|desde|el|tangu|منذ)\s+)+")
_ISO = re.compile(r"p(?:([0-9]+)y)?(?:([0-9]+)m)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:t.*)?")
_TOKENS = re.compile("[0-9]+(?:[.,][0-9]+)?|\\.[0-9]+|<=?|≤|[^\\s\\d\x00-/:-@\\[-`{-~।]+")


def days(answer: object, unit: str, today: date) -> Measurement:
    """How long ago or how long, days: the longest that the answer can mean.

    From "6weeks", ">4 weeks", "more than a month", "wiki 3", "6/52", "P6W", a date; a bare number
    takes `unit`, and without one it is not understood.
    """
    return worst_of(answer, unit, lambda one, of: duration(one, of, today, 30.0))


def duration(answer: object, unit: str, today: date, month: float) -> Measurement:
    """A time in days; `month` says how many days a month has."""
    factors = {**_DAYS, "month": month}
    number = amount(answer)
    if number is not None:
        known = factors.get(unit)
        return (
            Measurement(None, UNCLEAR)
            if known is None or number < 0
            else Measurement(number * known, NO)
        )
    if not isinstance(answer, str):
        return Measurement(None, UNCLEAR if reply(answer) >= UNCLEAR else OPEN)
    text = fold(answer[:MOST_CHARS])
    day = date_of(_SINCE.sub("", text), today)
    if day is not None:
        return Measurement(float((today - day).days), NO)
    if short := _SHORTHAND.fullmatch(text):
        return Measurement(float(short[1].replace(",", ".")) * factors[_SHORT_UNIT[short[2]]], NO)
    if len(text) > 1 and (iso := _ISO.fullmatch(text)) and any(iso.groups()):
        each = zip(iso.groups(), ("year", "month", "week", "day"), strict=True)
        return Measurement(sum(float(n) * factors[u] for n, u in each if n), NO)
    total, less = _spelt(text, unit, factors)
    if total is not None:
        return Measurement(total * less, NO)
    return Measurement(
        None, min(reply(answer), UNCLEAR) if reply(answer) in (OPEN, UNSURE) else UNCLEAR
    )


#: What "less than" leaves of a time: under a month is under four weeks.
_LESS_THAN = 0.9


def _spelt(text: str, unit: str, factors: Mapping[str, float]) -> tuple[float | None, float]:
    """Days of a time in words, and its share that counts: "less than a month" is none."""
    items: list[tuple[str, object]] = []
    less = 1.0
    vague: float | None = None
    for phrase, known in phrases_in(_TOKENS.findall(text), TIMES, UNITS, NUMBERS):
        if phrase[0].isdigit() or phrase[0] == ".":
            items.append(("number", float(phrase.replace(",", "."))))
        elif known == 0 and TIMES[phrase] == "less":
            less = _LESS_THAN
        elif known == 0 and TIMES[phrase] in ("long", "short"):
            longer = 3650.0 if TIMES[phrase] == "long" else 2.0
            if phrase in UNITS:
                items.append(("vague", UNITS[phrase]))
            else:
                vague = max(vague or 0.0, longer)
        elif phrase in UNITS:
            items.append(("unit", UNITS[phrase]))
        elif phrase in NUMBERS:
            items.append(("number", float(NUMBERS[phrase])))
    sums: dict[str, float] = {}
    for at, (kind, value) in enumerate(items):
        if kind == "number":
            continue
        name, many = str(value), None
        if name.startswith("two "):
            name, many = name[4:-1], 2.0
        elif at and items[at - 1][0] == "number":
            many = float(str(items[at - 1][1]))
        elif at + 1 < len(items) and items[at + 1][0] == "number" and items[at + 2 : at + 3] == []:
            many = float(str(items[at + 1][1]))
        elif kind == "vague":
            many = 3.0  # "months", "days": several
        elif name in ("month", "year", "day", "hour"):
            many = 1.0
        if many is None or name not in factors:
            return None, 1.0
        sums[name] = max(sums.get(name, 0.0), many * factors[name])
    if sums:
        return sum(sums.values()), less
    numbers = [float(str(value)) for kind, value in items if kind == "number"]
    if numbers and unit in factors:
        return max(numbers) * factors[unit], less
    return (None, 1.0) if numbers else (vague, less)


_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan janv ene يناير जनवरी",
            "feb fev fevr febr فبراير फरवरी",
            "mar mars مارس मार्च",
            "apr avr abr aprili ابريل अप्रैल",
            "may mai مايو मई",
            "jun juin يونيو जून",
            "jul juil يوليو जुलाई",
            "aug aou aout ago اغسطس अगस्त",
            "sep set sept سبتمبر सितंबर",
            "oct out okt اكتوبر अक्टूबर",
            "nov نوفمبر नवंबर",
            "dec dez dic des ديسمبر दिसंबर",
        ),
        start=1,
    )
    for name in names.split()
}
_YMD = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})(?:[-/.]([0-9]{1,2}))?(?:[t ].*)?")
_DMY = re.compile(r"([0-9]{1,2})[-/. ]([0-9]{1,2})[-/. ]([0-9]{4}|[0-9]{2})(?:[t ,].*)?")
_COMPACT = re.compile(r"((?:19|20)[0-9]{2})([0-9]{2})([0-9]{2})")
_NAMED = re.compile(
    r"(?:([0-9]{1,2})(?:st|nd|rd|th)?[-\s/.]*(?:of |de )?)?([^\W\d_]{3,})[-\s/.,]*"
    r"(?:([0-9]{1,2})(?:st|nd|rd|th)?,?\s+)?(?:de )?([0-9]{4})"
)


def date_of(text: str, today: date) -> date | None:
    """The day that a text names; None when it is none or lies ahead.

    `01/08/2026` may be August or January: the later day that is not ahead counts, so that a child
    is not made older. A month without its day is its first.
    """
    text = fold(text[:40])
    if found := _YMD.fullmatch(text) or _COMPACT.fullmatch(text):
        return _day(today, (int(found[1]), int(found[2]), int(found[3] or 1)))
    if found := _DMY.fullmatch(text):
        first, second, year = int(found[1]), int(found[2]), int(found[3])
        if year < 100:
            year += 2000 if year <= today.year % 100 else 1900
        return _day(today, (year, second, first), (year, first, second))
    if (found := _NAMED.fullmatch(text)) and (month := _month(found[2])):
        return _day(today, (int(found[4]), month, int(found[1] or found[3] or 1)))
    return None


def _month(name: str) -> int | None:
    return _MONTHS.get(name) or _MONTHS.get(name[:3])


def _day(today: date, *readings: tuple[int, int, int]) -> date | None:
    known = []
    for reading in readings:
        try:
            day = date(*reading)
        except ValueError:
            continue
        if day <= today:
            known.append(day)
    return max(known, default=None)
