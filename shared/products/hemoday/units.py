"""Units as people type them, and what they are in UCUM (ucum.org): spellings, never guesses.

"г/л", "G/L" and "g / l" are the same unit, written by different people; "mg" and "mg/dL" are not. A text is
taken apart at its stroke, each part is looked up, and the whole is what a table of `analytes.py` may name.
What is not found here is unknown, and asked about.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

#: UCUM's spelling of a part → how people write it. Small letters: case never counts.
_PARTS: dict[str, str] = {
    "g": "g gm gms gr gram grams г гр грамм غ غم جم جرام غرام ग्राम",
    "mg": "mg mgs milligram milligrams мг миллиграмм ملغ ملغم مجم ملجم मिग्रा मिलीग्राम",
    "ug": "ug mcg мкг микрограмм ميكروغرام ميكروجرام مكغ माइक्रोग्राम",
    "ng": "ng нг нанограмм نانوغرام نانوجرام नैनोग्राम",
    "pg": "pg пг пикограмм بيكوغرام بيكوجرام पिकोग्राम",
    "mol": "mol моль",
    "mmol": "mmol mmols ммоль مليمول ملليمول ميليمول मिलीमोल मिमोल",
    "umol": "umol mcmol мкмоль ميكرومول माइक्रोमोल",
    "nmol": "nmol нмоль نانومول नैनोमोल",
    "pmol": "pmol пмоль بيكومول पिकोमोल",
    "L": "l ltr lt litre liter л литр ل لتر ليتر लीटर ली",
    "dL": "dl дл децилитр دل ديسيلتر دسيلتر डेसीलीटर डेली",
    "mL": "ml cc мл миллилитр مل ملل मिली मिलीलीटर",
    "uL": "ul mcl mm3 mm^3 cmm cumm mkl мкл мм3 мм^3 ميكرولتر ملم3 माइक्रोलीटर",
    "fL": "fl fl. um3 um^3 фл мкм3 мкм^3 فمتولتر फेमटोलीटर",
    "U": "u ед вд وحدة यूनिट",
    "[IU]": "iu [iu] ме وحدةدولية आईयू",
    "m[IU]": "miu m[iu] мме",
    "u[IU]": "uiu mciu u[iu] мкме",
    "mU": "mu мед",
    "uU": "uu mcu мкед",
    "ukat": "ukat мккат",
    "nkat": "nkat нкат",
    "meq": "meq мэкв",
    "10*3": "10^3 10*3 10e3 k thou thousand thousands тыс тыс. 10³",
    "10*5": "lakh lakhs lac lacs लाख",
    "10*6": "10^6 10*6 10e6 m mil mill million millions млн млн. 10⁶",
    "10*9": "10^9 10*9 10e9 10⁹",
    "10*12": "10^12 10*12 10e12 10¹²",
    "%": "% percent проц процентов بالمئة प्रतिशत",
    "1": "1 cell cells кл клеток خلية कोशिकाएं",
    "mm": "mm мм ملم مم मिमी",
    "h": "h hr hrs hour 1h ч час ساعة س घंटा",
    "s": "s sec secs seconds с сек ث ثانية सेकंड",
}

_UCUM = {
    spelling: unit for unit, spellings in _PARTS.items() for spelling in [unit, *spellings.split()]
}
_KNOWN = {unicodedata.normalize("NFKC", spelling.casefold()): _UCUM[spelling] for spelling in _UCUM}

_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_EXPONENT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_TIMES = re.compile(r"^(?:[x×*·•]|х)(?=10)")  # the last one is Cyrillic
_POWER = re.compile(r"^(10[\^*e]\d+|[a-zа-я]+)[ .*]?(?:cells|cell|кл)?$")

#: Longest text that is looked at, characters.
_LONGEST = 40

#: "per", as words.
_PER = re.compile(r"\s(?:per|на|لكل|प्रति)\s")

_THOUSAND = Fraction(1000)

#: What a part measures, and how many of that it is. Katal is defined as 6 * 10^7 units of an enzyme.
_NUMERATORS: dict[str, tuple[str, Fraction]] = {
    "g": ("g", Fraction(1)),
    "mg": ("g", 1 / _THOUSAND),
    "ug": ("g", 1 / _THOUSAND**2),
    "ng": ("g", 1 / _THOUSAND**3),
    "pg": ("g", 1 / _THOUSAND**4),
    "mol": ("mol", Fraction(1)),
    "mmol": ("mol", 1 / _THOUSAND),
    "umol": ("mol", 1 / _THOUSAND**2),
    "nmol": ("mol", 1 / _THOUSAND**3),
    "pmol": ("mol", 1 / _THOUSAND**4),
    "meq": ("eq", 1 / _THOUSAND),
    "L": ("L", Fraction(1)),
    "dL": ("L", Fraction(1, 10)),
    "mL": ("L", 1 / _THOUSAND),
    "uL": ("L", 1 / _THOUSAND**2),
    "fL": ("L", 1 / _THOUSAND**5),
    "U": ("U", Fraction(1)),
    "mU": ("U", 1 / _THOUSAND),
    "uU": ("U", 1 / _THOUSAND**2),
    "ukat": ("U", Fraction(60)),
    "nkat": ("U", 60 / _THOUSAND),
    "[IU]": ("[IU]", Fraction(1)),
    "m[IU]": ("[IU]", 1 / _THOUSAND),
    "u[IU]": ("[IU]", 1 / _THOUSAND**2),
    "10*3": ("1", Fraction(10**3)),
    "10*5": ("1", Fraction(10**5)),
    "10*6": ("1", Fraction(10**6)),
    "10*9": ("1", Fraction(10**9)),
    "10*12": ("1", Fraction(10**12)),
    "%": ("1", Fraction(1, 100)),
    "": ("1", Fraction(1)),
    "mm": ("mm", Fraction(1)),
    "s": ("s", Fraction(1)),
}


class Scale(NamedTuple):
    """What a unit measures, as a text that equals another's of its kind, and how many of that it is."""

    kind: str
    size: Fraction


@lru_cache(maxsize=512)
def ucum(text: str) -> str | None:
    """The UCUM unit that somebody's text means; None if it means none that is known here.

    Case, blanks, the kind of stroke and of the micro sign do not count, nor does a "×" before a power
    of ten. Powers of ten may stand in any of their usual ways.
    """
    if len(text) > _LONGEST:
        return None
    plain = _EXPONENT.sub(lambda found: "^" + found[0].translate(_RAISED), text)
    plain = unicodedata.normalize("NFKC", plain).casefold()
    plain = _PER.sub("/", plain.replace("μ", "u").replace("⁄", "/").replace("∕", "/"))
    over, stroke, under = "".join(plain.split()).removesuffix(".").partition("/")
    top, bottom = _part(over), _part(under)
    if not stroke:
        return top or None  # a number alone is no unit
    if top is None or not bottom:
        return None
    return f"{top}/{bottom}"


def _part(text: str) -> str | None:
    """One part of a unit; "" is the number one."""
    text = _TIMES.sub("", text)
    found = _POWER.match(text)
    unit = _KNOWN.get(text) or (_KNOWN.get(found[1]) if found else None)
    return "" if text == "" or unit == "1" else unit


def scale(unit: str) -> Scale:
    """What a UCUM unit that `ucum` gave measures."""
    top, _, bottom = unit.partition("/")
    kind, size = _NUMERATORS[top]
    if not bottom:
        return Scale(kind, size)
    if bottom == "h":
        return Scale(f"{kind}/h", size)
    under, per = _NUMERATORS[bottom]
    return Scale("1" if kind == under else f"{kind}/{under}", size / per)
