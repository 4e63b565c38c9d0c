"""Words of texts and of questions, in a form in which they can be compared, in every script.

    Haemoglobin, HAEMOGLOBIN    haemoglobin     ё, е     е      é, e + ´, e    e      ø    o
    أحمد, احمد, اَحْمد           احمد            ة, ه     ه      ى, ئ, ي        ي      ء    nothing
    सड़क, सडक                   सडक             हिन्दी, हिंदी   हिंदी     ँ, ं    ं
    ٧٫٢, ७.२, 7,2               7.2             12.03.2026, 2026-03-12    2026-03-12

Arabic follows Lucene's ArabicNormalizer, and leaves out every hamza besides; Devanagari its HindiNormalizer
as far as nukta and nasals go (Larkey et al., 2003). Marks that are vowels of Devanagari stay.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

#: Longest word that is told from others, characters.
LONGEST = 64

#: Combining marks and joiners, which Python's \w leaves out.
_MARKS = "".join(
    chr(code)
    for code in (*range(0x300, 0x3100), *range(0xA66F, 0xABEE), *range(0xFE00, 0xFE30))
    if unicodedata.category(chr(code)).startswith("M")
) + ("\u00ad\u200c\u200d\u2060")

_WORD = re.compile(
    rf"""
    (?P<iso>(?<![^\W_])\d{{4}}-\d\d(?:-\d\d)?(?![^\W_]|-\d))
    | (?P<day>(?<![^\W_])\d{{1,2}}([./])\d{{1,2}}\3\d{{4}}(?![^\W_]))
    | (?P<month>(?<![^\W_])\d{{1,2}}[./]\d{{4}}(?![^\W_]))
    | (?P<number>(?<![^\W_])\d+[.,٫]\d+(?![^\W_]))
    | [^\W_](?:[^\W_]|[{re.escape(_MARKS)}])*
    """,
    re.X,
)

#: Marks of Latin, Greek, Cyrillic, Hebrew and Arabic, hamza, tatweel, nukta, joiners.
_DROPPED = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c7\u0610-\u061a\u0621\u0640"
    "\u064b-\u065f\u0670\u06d6-\u06ed\u093c\u00ad\u200b-\u200f\u2060\ufe0e\ufe0f]"
)
_ALIKE = str.maketrans(
    {
        **dict(zip("ٱىیےکةھہۃ", "ايييكهههه", strict=True)),
        **dict(zip("øłđħıðŧ", "oldhidt", strict=True)),
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "\u0901": "\u0902",
    }
)
#: A nasal before a consonant of its own row is written as the dot above as well.
_NASAL = re.compile("ङ्(?=[क-घ])|ञ्(?=[च-झ])|ण्(?=[ट-ढ])|न्(?=[त-ध])|म्(?=[प-भ])")


class Word(NamedTuple):
    """A word in its form to be compared, and where it stands in the text, characters."""

    form: str
    start: int
    end: int


def words(text: str) -> Iterator[Word]:
    """The words of a text in their order. Signs, also those of other languages' queries, are none."""
    for found in _WORD.finditer(text):
        said = found[0][:LONGEST]
        if (kind := found.lastgroup) is None:
            form = folded(said)
        elif kind == "number":
            form = folded(said).replace(",", ".").replace("٫", ".")
        else:
            form = _date(folded(said))
        if form:
            yield Word(form, found.start(), found.end())


@lru_cache(maxsize=2**16)
def folded(word: str) -> str:
    """A word in the form to be compared; empty for one of marks alone."""
    if word.isascii():
        return word.lower()
    text = unicodedata.normalize("NFKD", word).casefold().translate(_ALIKE)
    text = _NASAL.sub("ं", _DROPPED.sub("", unicodedata.normalize("NFKD", text)))
    return "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in text)


def _date(text: str) -> str:
    """A date or a month as ISO 8601 has it; the day comes first, unless the month would be none.

    What is no date of the last century or this one stays as it is: 0.1234 is a number.
    """
    if "-" in text:
        return text
    *days, month, year = map(int, re.split(r"[./]", text))
    if month > 12 and days:
        days, month = [month], days[0]
    fits = 1900 <= year < 2100 and 1 <= month <= 12 and all(1 <= day <= 31 for day in days)
    return "-".join([f"{year}", f"{month:02}", *(f"{day:02}" for day in days)]) if fits else text
