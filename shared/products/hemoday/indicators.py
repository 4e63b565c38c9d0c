"""What a family enters as an indicator: which analyte it is, and its value in the analyte's own unit.

Arithmetic is exact (`Fraction`). Nothing is guessed: a name, unit or number that is not understood stays as
it was entered, and `questions.py` asks about it.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from shared.products.hemoday.analytes import ANALYTES, Analyte
from shared.products.hemoday.units import scale, ucum

#: Digits that a canonical value keeps: more than any laboratory gives, and what a double holds.
_DIGITS = 12

_ARABIC_MARKS = re.compile("[\u0640\u064b-\u0652]")
_ALIKE = str.maketrans("أإآةىё", "اااهيе")
_SEPARATORS = re.compile(r"[\s,.;:_/-]+")
_BRACKETS = re.compile(r"[(\[][^)\]]*[)\]]")

#: Longest name and number that are looked at, characters.
_LONGEST_NAME, _LONGEST_NUMBER = 120, 40

_NUMBER = re.compile(r"(<=|>=|<|>|≤|≥)?\s*(-?\d+(?:[.,٫]\d+)?)")
_SIGNS = {"≤": "<=", "≥": ">="}


class Reading(NamedTuple):
    """A number as a report prints it: `comparator` is "", "<", "<=", ">" or ">=" (FHIR's)."""

    comparator: str
    value: Decimal


def plain(name: str) -> str:
    """A name as names are compared: case, blanks, points, strokes and Arabic marks do not count."""
    text = unicodedata.normalize("NFKC", name[:_LONGEST_NAME]).casefold()
    text = _ARABIC_MARKS.sub("", text).translate(_ALIKE)
    return _SEPARATORS.sub(" ", text).strip()


_BY_NAME = {plain(name): each for each in ANALYTES for name in each.names.split(";")}
BY_LOINC = {each.loinc: each for each in ANALYTES}


@lru_cache(maxsize=512)
def named(name: str) -> Analyte | None:
    """The analyte that a name means, by LOINC code or by what people call it; None: a family's own."""
    if (known := BY_LOINC.get(name.strip())) is not None:
        return known
    known = _BY_NAME.get(plain(name))
    # "Haemoglobin (Hb)": what stands in brackets explains the name
    return known or _BY_NAME.get(plain(_BRACKETS.sub(" ", name)))


def number(value: float) -> Decimal:
    """A number of JSON as it was written: 7.2 is 7.2, not the double that is next to it."""
    return Decimal(repr(value))


def reading(text: str) -> Reading | None:
    """The number in a text of a report, as "7,2", "> 59" or "٧٫٢"; None if it is no number.

    A comma or point with three digits behind it may mean thousands: such a text is none.
    """
    found = _NUMBER.fullmatch(unicodedata.normalize("NFKC", text.strip())[:_LONGEST_NUMBER])
    if found is None:
        return None
    sign, digits = found[1] or "", found[2].replace(",", ".").replace("٫", ".")
    whole, _, after = digits.partition(".")
    if len(after) == 3 and whole.lstrip("-") not in ("0", "٠", "०"):
        return None
    return Reading(_SIGNS.get(sign, sign), Decimal(digits))


def in_unit(analyte: Analyte, value: Decimal | Fraction, unit: str, to: str) -> Fraction | None:
    """A value of an analyte in another UCUM unit, exactly; None if the two do not measure the same."""
    if unit == to:
        return Fraction(value)
    if not unit or not to:
        return None
    given, wanted = scale(unit), scale(to)
    factor = _factor(analyte, given.kind, wanted.kind)
    return None if factor is None else Fraction(value) * given.size * factor / wanted.size


def _factor(analyte: Analyte, kind: str, wanted: str) -> Fraction | None:
    """How many of a kind's base unit one of another is: grams and moles, moles and charges, U and IU."""
    if kind == wanted:
        return Fraction(1)
    mass, per_mole = analyte.molar_mass, {"g/L": Fraction(1)}
    if mass is not None:
        per_mole = {"g/L": mass, "mol/L": Fraction(1)}
        if analyte.valence:
            per_mole["eq/L"] = Fraction(analyte.valence)
    if kind in per_mole and wanted in per_mole:
        return per_mole[wanted] / per_mole[kind]
    if analyte.international and {kind, wanted} == {"U/L", "[IU]/L"}:
        return Fraction(1)
    return None


def canonical(analyte: Analyte, value: Decimal, unit: str | None) -> Decimal | None:
    """A value in the analyte's own unit, of at most twelve digits; None: the unit is not one of it.

    `unit` is as somebody typed it. An analyte without a unit takes none.
    """
    typed = (unit or "").strip()
    known = ucum(typed) if typed else ("" if not analyte.unit else None)
    exact = None if known is None else in_unit(analyte, value, known, analyte.unit)
    return None if exact is None else decimal(exact)


def decimal(value: Fraction) -> Decimal:
    """A fraction as a decimal of at most `_DIGITS` significant digits, without zeros at its end."""
    with localcontext(prec=_DIGITS):
        rounded = Decimal(value.numerator) / Decimal(value.denominator)
    return Decimal(f"{rounded.normalize():f}")


def taken(analyte: Analyte, value: Decimal, units: tuple[str, ...]) -> list[str]:
    """Which of some units would make a value of an analyte one that nobody is asked about."""
    low, high = map(Fraction, analyte.asked)
    found = [(unit, in_unit(analyte, value, unit, analyte.unit)) for unit in units]
    return [unit for unit, exact in found if exact is not None and low <= exact <= high]


#: Units that laboratories print, to suggest one of: never taken without an answer.
PRINTED = (
    *("g/L", "g/dL", "mg/dL", "mg/L", "ug/dL", "ug/L", "ng/mL", "ng/L", "pg/mL", "ng/dL"),
    *("mmol/L", "umol/L", "nmol/L", "pmol/L", "meq/L", "%", "L/L", "fL", "pg"),
    *("10*9/L", "10*12/L", "10*3/uL", "10*6/uL", "10*5/uL", "/uL"),
    *("U/L", "[IU]/L", "ukat/L", "m[IU]/L", "u[IU]/mL", "mm/h"),
)
