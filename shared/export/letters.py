"""Texts of people, as reports set them: letters that its fonts have, one line, no control of direction.

The fonts are Noto Sans for Latin, Greek, Cyrillic and Devanagari, and Almarai for Arabic: its letters are
whole, where those of Noto are made of strokes and dots and come out doubled when somebody copies them from
a PDF. All are packages, under the OFL 1.1. PDF/UA allows no letter that a font lacks, so such a letter (an
emoji, Chinese) is set as a box, and an accent or vowel sign that follows a letter of another script is left
out.
"""

from __future__ import annotations

import struct
import unicodedata
from functools import cache
from pathlib import Path

#: What stands for a letter that no font has.
_BOX = "□"

#: Signs that Typst's own fonts have.
_SIGNS = "≤≥≈↑↓→←□"

#: Joiners, which Devanagari and Persian need; other characters that only format are left out.
_JOINERS = "\u200c\u200d"

#: Unicode's isolates: what is between them does not turn what is around it (UAX #9).
_LEFT_TO_RIGHT, _FIRST_STRONG, _END = "\u2066", "\u2068", "\u2069"

_MARKS_OF = (range(0x0300, 0x0370), range(0x0600, 0x0700), range(0x0900, 0x0980))


def folders() -> list[str]:
    """Where the fonts are."""
    import fontpkg_almarai
    import fontpkg_noto_sans
    import fontpkg_noto_sans_devanagari

    packages = (
        fontpkg_almarai,
        fontpkg_noto_sans,
        fontpkg_noto_sans_devanagari,
    )
    return [str(Path(str(each.__file__)).parent / "files") for each in packages]


def line(text: object, longest: int = 120) -> str:
    """A text of somebody on one line, of at most so many characters."""
    kept: list[str] = []
    base = ""
    for letter in unicodedata.normalize("NFC", str(text)[: 4 * longest]):
        kind = unicodedata.category(letter)
        if letter.isspace() or kind == "Cc":
            letter = " "
        elif kind in ("Cf", "Co", "Cs", "Cn") and letter not in _JOINERS:
            continue
        if letter in _JOINERS:
            if not base.isalpha():
                continue
        elif kind.startswith("M"):
            if not _belongs(letter, base) or ord(letter) not in covered():
                continue
        else:
            letter = letter if letter == " " or ord(letter) in covered() else _BOX
            base = letter
        if not (letter == " " and (not kept or kept[-1] == " ")):
            kept.append(letter)
    whole = "".join(kept).strip()
    return whole if len(whole) <= longest else f"{whole[: longest - 1].rstrip()}…"


def own(text: object, longest: int = 120) -> str:
    """A text of somebody that stands among others, whichever way each of them runs."""
    return f"{_FIRST_STRONG}{line(text, longest)}{_END}"


def ltr(text: str) -> str:
    """A number with its sign and unit, which run from left to right everywhere."""
    return f"{_LEFT_TO_RIGHT}{text}{_END}"


def _belongs(mark: str, base: str) -> bool:
    """Whether a mark is of the script of the letter before it."""
    if not base or not (base.isalpha() or unicodedata.category(base).startswith("M")):
        return False
    script = next((each for each in _MARKS_OF if ord(mark) in each), None)
    if script is None:
        return False
    return ord(base) in script if script.start != 0x0300 else ord(base) < 0x0600


@cache
def covered() -> frozenset[int]:
    """The letters that the fonts have."""
    found: set[int] = set()
    for folder in folders():
        for path in Path(folder).glob("*.ttf"):
            if "Italic" not in path.name:
                found |= _letters(path.read_bytes())
    return frozenset(found | set(map(ord, _SIGNS)))


def _letters(font: bytes) -> set[int]:
    """The letters of a TrueType font, by its `cmap` (OpenType 1.9: formats 4 and 12)."""
    count = struct.unpack_from(">H", font, 4)[0]
    tables = {
        font[12 + 16 * at : 16 + 16 * at]: struct.unpack_from(">I", font, 20 + 16 * at)[0]
        for at in range(count)
    }
    cmap = tables[b"cmap"]
    found: set[int] = set()
    for at in range(struct.unpack_from(">H", font, cmap + 2)[0]):
        start = cmap + struct.unpack_from(">I", font, cmap + 8 + 8 * at)[0]
        kind = struct.unpack_from(">H", font, start)[0]
        if kind == 4:
            double = struct.unpack_from(">H", font, start + 6)[0]
            ends = struct.unpack_from(f">{double // 2}H", font, start + 14)
            starts = struct.unpack_from(f">{double // 2}H", font, start + 16 + double)
            for first, last in zip(starts, ends, strict=True):
                found.update(range(first, last + 1))
        elif kind == 12:
            groups = struct.unpack_from(">I", font, start + 12)[0]
            for group in range(groups):
                first, last = struct.unpack_from(">II", font, start + 16 + 12 * group)
                found.update(range(first, last + 1))
    return found - {0xFFFF}
