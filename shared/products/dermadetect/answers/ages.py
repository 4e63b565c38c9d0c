"""How old somebody is, by a number of years or a date of birth."""

from __future__ import annotations

import re
from datetime import date

from shared.products.dermadetect.answers.measures import LESS, amount, by_unit, unit_of
from shared.products.dermadetect.answers.times import date_of, duration
from shared.products.dermadetect.answers.wording import (
    NO,
    OPEN,
    TIMES,
    UNCLEAR,
    Measurement,
    fold,
    words,
)
from shared.products.dermadetect.answers.yes_no import parts

#: Years; older is taken for a slip of the keyboard.
OLDEST = 130
_YEAR_DAYS = 365.0


def age(answer: object, unit: str, today: date) -> Measurement:
    """Age in years. A bare number takes `unit`, else it is years; 1987 is a year of birth."""
    if isinstance(answer, dict):
        given, _ = parts(answer)
        if given is None and (named := by_unit(answer)):
            each = [age(item, of, today).amount for item, of in named]
            known_years = [years for years in each if years is not None]
            return Measurement(sum(known_years), NO) if known_years else Measurement(None, UNCLEAR)
        read = [age(item, unit_of(answer) or unit, today) for item in given or ()]
        known = [each for each in read if each.amount is not None]
        return known[0] if known else (read[0] if read else Measurement(None, OPEN))
    number = amount(answer)
    if number is not None and not unit and 1900 <= number <= today.year:
        return Measurement(today.year - number, NO)
    if isinstance(answer, str):
        spoken = TIMES.get(" ".join(words(answer[:40])))
        if spoken in ("newborn", "baby"):
            return Measurement(0.0 if spoken == "newborn" else 0.5, NO)
    read_days = duration(answer, unit or "year", today, _YEAR_DAYS / 12)
    if read_days.amount is None:
        return read_days
    years = read_days.amount / _YEAR_DAYS
    if isinstance(answer, str) and LESS.match(fold(answer[:40])) and years > 1:
        return Measurement(None, UNCLEAR)  # "under five"
    return Measurement(years, NO) if 0 <= years <= OLDEST else Measurement(None, UNCLEAR)


def born(answer: object, today: date) -> Measurement:
    """Age in years from a day or a year of birth: completed years, under one the part of a year."""
    if isinstance(answer, dict):
        given, _ = parts(answer)
        answer = next(iter(given or ()), None)
    if answer in (None, ""):
        return Measurement(None, OPEN)
    if isinstance(answer, int | float) and not isinstance(answer, bool) and 1800 < answer < 1e8:
        answer = str(int(answer))
    if not isinstance(answer, str):
        return Measurement(None, UNCLEAR)
    text = fold(answer[:40])
    if re.fullmatch("[0-9]{4}", text):
        years = float(today.year - int(text))
        return Measurement(years, NO) if 0 <= years <= OLDEST else Measurement(None, UNCLEAR)
    day = date_of(text, today)
    if day is None:
        return Measurement(None, UNCLEAR)
    years = float(today.year - day.year - ((today.month, today.day) < (day.month, day.day)))
    if years > OLDEST:
        return Measurement(None, UNCLEAR)
    return Measurement(years or (today - day).days / 366, NO)
