"""Which sheet of a revision is which of the one before: by number, title and content.

| old | new | so |
|---|---|---|
| A-101 | A-101, the same content | a pair |
| A-101 | A101 | a pair: signs between letters and digits do not count |
| A-101 | A-102, the same content; another sheet is A-101 now | a pair, renamed: content counts more |
| A-101 | A-101, all of it redrawn; nothing else is like it | a pair, by the number alone |
| no number was read | the same content | a pair |
| A-101 | nothing | removed |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from shared.products.buildtrace.drawings.document import SheetPage
from shared.products.buildtrace.drawings.reading import SheetText

#: Cells of the picture that stands for a sheet's content, and words that are kept of it.
_COLUMNS, _ROWS, _WORDS = 32, 24, 400

#: What number, title and content count for, and from which sum on two sheets are one.
_BY_NUMBER, _BY_TITLE, _BY_CONTENT, _ENOUGH = 0.45, 0.2, 0.6, 0.42


@dataclass(frozen=True)
class SheetFacts:
    """What a sheet is known by. `ink`: darkness of `_COLUMNS` × `_ROWS` cells, 0 to 255, by rows."""

    number: str = ""
    title: str = ""
    revision: str = ""
    number_confidence: float = 0.0
    words: frozenset[str] = frozenset()
    ink: bytes = b""


@dataclass(frozen=True)
class Pair:
    """Two sheets that are one, by their places in what was given; `why` in words."""

    old: int
    new: int
    score: float
    why: str
    renamed: bool = False


@dataclass(frozen=True)
class Matching:
    """All sheets of both revisions: each is in one pair, or removed, or added."""

    pairs: tuple[Pair, ...]
    added: tuple[int, ...]
    removed: tuple[int, ...]

    @property
    def renamed(self) -> tuple[Pair, ...]:
        """Pairs whose number or title is another one now."""
        return tuple(pair for pair in self.pairs if pair.renamed)


def sheet_facts(page: SheetPage, text: SheetText) -> SheetFacts:
    """What a page is known by."""
    import cv2
    import numpy

    block = text.title_block
    small = cv2.resize(page.gray, (_COLUMNS * 4, _ROWS * 4), interpolation=cv2.INTER_AREA)
    dark = 255 - cv2.resize(small, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA).astype(float)
    most = float(numpy.percentile(dark, 99)) or 1.0
    ink = numpy.clip(dark / most * 255, 0, 255).astype(numpy.uint8).tobytes()
    words = sorted({word.text.upper() for word in text.words if len(word.text) > 2})
    return SheetFacts(
        block.number.text if block.number else "",
        block.title.text if block.title else "",
        block.revision.text if block.revision else "",
        block.number.confidence if block.number else 0.0,
        frozenset(words[:: max(1, -(-len(words) // _WORDS))]),
        ink,
    )


def plain_number(number: str) -> str:
    """A sheet number without signs between: "A-100", "A 100" and "a100" are one."""
    return re.sub(r"[^A-Z0-9]", "", number.upper())


def match(old: Sequence[SheetFacts], new: Sequence[SheetFacts]) -> Matching:
    """Pair what is alike, the most alike first; the order of sheets does not count."""
    likeness = _content(old, new)
    ranked = []
    for i, one in enumerate(old):
        for j, other in enumerate(new):
            same = bool(one.number) and plain_number(one.number) == plain_number(other.number)
            titles = _alike(one.title, other.title)
            content = likeness[i][j]
            score = _BY_NUMBER * same + _BY_TITLE * titles + _BY_CONTENT * content
            if score >= _ENOUGH:
                ranked.append((score, -abs(i - j), i, j, same, titles, content))
    pairs: list[Pair] = []
    used_old: set[int] = set()
    used_new: set[int] = set()
    for score, _, i, j, same, titles, content in sorted(ranked, reverse=True):
        if i in used_old or j in used_new:
            continue
        used_old.add(i)
        used_new.add(j)
        one, other = old[i], new[j]
        renamed = (bool(one.number and other.number) and not same) or (
            bool(one.title and other.title) and titles < 0.85
        )
        why = [
            *(["the same number"] if same else []),
            *(["the same title" if titles > 0.99 else "a similar title"] if titles > 0.6 else []),
            *(
                ["the same content" if content > 0.9 else "similar content"]
                if content > 0.5
                else []
            ),
        ]
        pairs.append(Pair(i, j, round(score, 3), ", ".join(why) or "what is most alike", renamed))
    return Matching(
        tuple(sorted(pairs, key=lambda pair: pair.new)),
        tuple(j for j in range(len(new)) if j not in used_new),
        tuple(i for i in range(len(old)) if i not in used_old),
    )


def _alike(one: str, other: str) -> float:
    if not one or not other:
        return 0.0
    return SequenceMatcher(None, one.upper(), other.upper(), autojunk=False).ratio()


def _content(old: Sequence[SheetFacts], new: Sequence[SheetFacts]) -> list[list[float]]:
    """0 (nothing in common beyond what all sheets have) to 1, of words and of pictures.

    What most sheets share (frame, title block, the project's name) says nothing: it is taken out.
    """
    import numpy

    everyone = [*old, *new]
    count: dict[str, int] = {}
    for sheet in everyone:
        for word in sheet.words:
            count[word] = count.get(word, 0) + 1
    common = {word for word, times in count.items() if times > max(2, 0.5 * len(everyone))}

    def rows(sheets: Sequence[SheetFacts]) -> list[frozenset[str]]:
        return [sheet.words - common if len(everyone) > 4 else sheet.words for sheet in sheets]

    pictures = numpy.array(
        [
            numpy.frombuffer(sheet.ink or bytes(_COLUMNS * _ROWS), numpy.uint8).astype(float)
            for sheet in everyone
        ]
    ).reshape(len(everyone), -1)
    if len(everyone) > 4:
        pictures = pictures - numpy.median(pictures, axis=0)
    else:
        pictures = pictures - pictures.mean(axis=1, keepdims=True)
    lengths = numpy.linalg.norm(pictures, axis=1, keepdims=True)
    pictures = pictures / numpy.where(lengths < 1, 1, lengths)
    alike = pictures[: len(old)] @ pictures[len(old) :].T
    found = []
    for i, one in enumerate(rows(old)):
        row = []
        for j, other in enumerate(rows(new)):
            seen = max(0.0, float(alike[i, j]))
            if one and other:
                words = len(one & other) / min(len(one), len(other))
                row.append(0.5 * words + 0.5 * seen)
            else:
                row.append(seen)
        found.append(row)
    return found
