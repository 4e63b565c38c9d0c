"""What stands on a sheet: words, lines, dimensions, notes, and the title block.

The text of the file itself comes first; where a page is a picture, or parts of it are, letters are
found and read by `glyphs`. Reading by picture is the slow part: ask for the areas that matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.products.buildtrace.drawings.document import Rect, SheetPage, SheetWord

#: 3,600 · 12'-6 1/2" · Ø 20 · R 450 · 2.50 m · 90°
_DIMENSION = re.compile(
    r"""[ØøR⌀±]?\s?\d{1,3}(?:[ ,.]?\d{3})*(?:[.,]\d+)?\s?(?:mm|cm|m|°)?|\d+'-?\s?\d*(?:\s?\d/\d+)?"?""",
    re.X,
)
_NUMBER = re.compile(r"[A-Z]{1,3}[-. ]?\d{1,4}(?:[.-]\d{1,3})?[A-Z]?")
_SCALE = re.compile(
    r"1\s*[:/]\s*\d{1,5}|N\.?T\.?S\.?|AS (?:SHOWN|NOTED|INDICATED)|\d+/?\d*\"\s?=\s?\d+'.*"
)
_REVISION = re.compile(r"(?:REV\.?\s*)?([A-Z]{1,2}|[A-Z]?\d{1,3})")

#: Between digits of a number that was read letter by letter.
_APART = re.compile(r"(?<=\b\d) (?=\d\b)")

_ANY_WORD = re.compile(r".*[^\W\d_]{2}.*")

_LABELS = {
    "number": re.compile(r"(?:SHEET|DRAWING|DWG|DRG|PLAN)\.?\s*(?:NO|NUMBER|NR|#)\.?:?|SHEET:?"),
    "title": re.compile(r"(?:SHEET|DRAWING|DWG)?\s*TITLE:?|DRAWING:|SUBJECT:?"),
    "revision": re.compile(r"REV(?:ISION)?\.?(?:\s*(?:NO|NUMBER)\.?)?:?|ISSUE:?"),
    "scale": re.compile(r"SCALES?:?"),
}


@dataclass(frozen=True)
class Line:
    """Words that are read together."""

    text: str
    rect: Rect
    words: tuple[SheetWord, ...]
    angle: float = 0.0
    size: float = 0.0

    @property
    def confidence(self) -> float:
        """That of its least certain word."""
        return min(word.confidence for word in self.words)


@dataclass(frozen=True)
class BlockField:
    """What a field of the title block says, how sure that is (0 to 1), and where it stands."""

    text: str
    confidence: float
    rect: Rect


@dataclass(frozen=True)
class TitleBlock:
    """The fields that were found; `rect` is the area that they stand in."""

    rect: Rect | None = None
    number: BlockField | None = None
    title: BlockField | None = None
    revision: BlockField | None = None
    scale: BlockField | None = None


@dataclass(frozen=True)
class SheetText:
    """All text of a sheet. `dimensions` and `notes` are among `lines`; a note has three words or more."""

    words: tuple[SheetWord, ...]
    lines: tuple[Line, ...]
    dimensions: tuple[Line, ...]
    notes: tuple[Line, ...]
    title_block: TitleBlock


def read_sheet(page: SheetPage, areas: Sequence[Rect] | None = None) -> SheetText:
    """The text of a page; of a picture only what stands in `areas` (default: the title block's corner).

    A picture's whole sheet: `areas=[(0, 0, page.width, page.height)]`, which takes long.
    """
    words = page.words
    if page.pictured:
        from shared.products.buildtrace.drawings import glyphs

        for area in corners(page) if areas is None else areas:
            words += glyphs.read(page, area)
            if areas is None and title_block(lines_of(words), page.width, page.height).number:
                break
    lines = lines_of(words)
    return SheetText(
        words,
        lines,
        tuple(line for line in lines if is_dimension(line.text)),
        tuple(line for line in lines if len(line.words) >= 3),
        title_block(lines, page.width, page.height),
    )


def corners(page: SheetPage) -> tuple[Rect, ...]:
    """Where title blocks stand, the most usual first: the bottom right corner, a strip at the
    right or below.
    """
    width, height = page.width, page.height
    return (
        (width * 0.7, height * 0.75, width, height),
        (width * 0.84, 0, width, height * 0.75),
        (0, height * 0.84, width * 0.7, height),
    )


def is_dimension(text: str) -> bool:
    """Is this a measure: 3,600 · 12'-6" · Ø20 · 2.50 m?"""
    return bool(_DIMENSION.fullmatch(text.strip())) and any(sign.isdigit() for sign in text)


def lines_of(words: Sequence[SheetWord]) -> tuple[Line, ...]:
    """Words that stand one after the other on a line, in reading order. Gaps wider than a letter's
    height end it.
    """
    import math

    groups: dict[int, list[SheetWord]] = {}
    for word in words:
        groups.setdefault(round(word.angle) % 360, []).append(word)
    found: list[Line] = []
    for angle, group in groups.items():
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))

        def placed(
            word: SheetWord, cos: float = cos, sin: float = sin
        ) -> tuple[float, float, float, float]:
            """Start and end along the line, middle and height across it."""
            left, top, right, bottom = word.rect
            x, y = (left + right) / 2, (top + bottom) / 2
            half = (abs(cos) * (right - left) + abs(sin) * (bottom - top)) / 2
            high = abs(sin) * (right - left) + abs(cos) * (bottom - top)
            along, across = x * cos - y * sin, x * sin + y * cos
            return along - half, along + half, across, high

        rows: list[list[tuple[tuple[float, float, float, float], SheetWord]]] = []
        by_row: dict[int, list[list[tuple[tuple[float, float, float, float], SheetWord]]]] = {}
        for place, word in sorted(
            ((placed(word), word) for word in group), key=lambda each: each[0]
        ):
            size = word.size or place[3]
            key = int(place[2] // 20)
            best = None
            for near in (key - 1, key, key + 1):
                for row in by_row.get(near, ()):
                    last, tail = row[-1]
                    gap = place[0] - last[1]
                    if (
                        abs(place[2] - last[2]) < 0.45 * size
                        and -0.3 * size < gap < 1.0 * size
                        and 0.6 < size / (tail.size or last[3] or 1) < 1.6
                    ):
                        best = row
            if best is None:
                best = []
                rows.append(best)
                by_row.setdefault(key, []).append(best)
            best.append((place, word))
        for row in rows:
            held = tuple(word for _, word in row)
            found.append(
                Line(
                    " ".join(word.text for word in held),
                    around(word.rect for word in held),
                    held,
                    float(angle),
                    held[0].size,
                )
            )
    return tuple(sorted(found, key=lambda line: (round(line.rect[1], 1), line.rect[0])))


def around(rects: Iterable[Rect]) -> Rect:
    """The smallest rectangle around others."""
    lefts, tops, rights, bottoms = zip(*rects, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def title_block(lines: Sequence[Line], width: float, height: float) -> TitleBlock:
    """Sheet number, title, revision and scale, by their labels, else by form, size and place.

    A value stands to the right of its label or below it. Without a label the largest text of a sheet
    number's form near the bottom right corner is the number.
    """
    zone = [
        line
        for line in lines
        if (line.rect[0] > width * 0.6 and line.rect[1] > height * 0.66)
        or line.rect[0] > width * 0.8
    ]
    labels = {
        name: [line for line in zone if form.fullmatch(line.text.upper().strip())]
        for name, form in _LABELS.items()
    }
    taken = {id(line) for found in labels.values() for line in found}
    values = [line for line in zone if id(line) not in taken]

    def labelled(name: str, form: re.Pattern[str] | None) -> BlockField | None:
        ranked = []
        for label in labels[name]:
            for line in values:
                cost = _far(label, line)
                text = line.text.strip() if form is None else _APART.sub("", line.text.strip())
                if cost is not None and (form is None or form.fullmatch(text.upper())):
                    ranked.append((cost, text, line))
        if not ranked:
            return None
        _, text, line = min(ranked, key=lambda each: each[0])
        return BlockField(text, min(0.98, line.confidence), line.rect)

    def inline(name: str, form: re.Pattern[str]) -> BlockField | None:
        """Label and value in one line: "SCALE 1:50", "Rev: C"."""
        for line in values:
            text = line.text.strip()
            head = _LABELS[name].match(text.upper())
            rest = text[head.end() :].strip(" :.") if head else ""
            if rest and form.fullmatch(rest.upper()):
                return BlockField(rest, min(0.95, line.confidence), line.rect)
        return None

    number = labelled("number", _NUMBER) or inline("number", _NUMBER)
    if number is None:
        formed = [line for line in values if _NUMBER.fullmatch(line.text.strip().upper())]
        if formed:
            line = max(formed, key=lambda each: (each.size, each.rect[0] + each.rect[1]))
            number = BlockField(line.text.strip(), 0.7 * line.confidence, line.rect)
    revision = labelled("revision", _REVISION) or inline("revision", _REVISION)
    scale = labelled("scale", _SCALE) or inline("scale", _SCALE)
    if scale is None:
        formed = [line for line in values if _SCALE.fullmatch(line.text.strip().upper())]
        if formed:
            scale = BlockField(formed[0].text.strip(), 0.7 * formed[0].confidence, formed[0].rect)
    title = labelled("title", None) or inline("title", _ANY_WORD)
    if title is not None:
        title = _continued(title, values)
    else:
        used = {each.rect for each in (number, revision, scale) if each}
        rest = [
            line
            for line in values
            if line.rect not in used and sum(sign.isalpha() for sign in line.text) >= 4
        ]
        if rest:
            line = max(rest, key=lambda each: each.size)
            title = BlockField(line.text.strip(), 0.5 * line.confidence, line.rect)
    found = [each.rect for each in (number, title, revision, scale) if each]
    found += [label.rect for each in labels.values() for label in each if each]
    return TitleBlock(around(found) if found else None, number, title, revision, scale)


def _far(label: Line, line: Line) -> float | None:
    """How far a value is from its label, in letters' heights of the value; None: it stands elsewhere."""
    size = max(line.size, label.size, 1.0)
    right = line.rect[0] - label.rect[2]
    below = line.rect[1] - label.rect[3]
    level = abs((line.rect[1] + line.rect[3]) / 2 - (label.rect[1] + label.rect[3]) / 2)
    if level < 0.8 * size and -1 < right < 12 * size:
        return right / size
    if -0.5 * size < below < 3 * size and -2 * size < line.rect[0] - label.rect[0] < 8 * size:
        return below / size + abs(line.rect[0] - label.rect[0]) / size * 0.5
    return None


def _continued(title: BlockField, values: Sequence[Line]) -> BlockField:
    """A title of several lines: those of the same size directly below."""
    text, rect = title.text, title.rect
    first = next(line for line in values if line.rect == rect)
    for line in sorted(values, key=lambda each: each.rect[1]):
        gap = line.rect[1] - rect[3]
        same = abs(line.size - first.size) < 0.15 * first.size
        if same and 0 <= gap < first.size and abs(line.rect[0] - rect[0]) < first.size:
            text, rect = f"{text} {line.text.strip()}", around((rect, line.rect))
    return BlockField(text, title.confidence, rect)
