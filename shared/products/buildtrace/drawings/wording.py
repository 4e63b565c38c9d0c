"""Texts that read otherwise: of vectors by their words, where both sheets have some at one place; of scans
by letters that look otherwise, which are then read.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from unicodedata import normalize

from shared.products.buildtrace.drawings.aligning import Aligned
from shared.products.buildtrace.drawings.comparing import SheetChange, change_of
from shared.products.buildtrace.drawings.contrast import (
    Box,
    LaidSheets,
    bands,
    excerpt,
    joined,
    mass,
    overlap,
    wipe,
)
from shared.products.buildtrace.drawings.document import Rect, SheetWord
from shared.products.buildtrace.drawings.reading import Line, around, is_dimension, lines_of

_POINTS_PER_MM = 72 / 25.4

#: Correlation below which a letter is another one, and below which it may be. Unchanged letters of scans
#: at 150 dpi have .97 (median) and .87 (1st percentile), changed ones .2 to .8, sometimes .9 (6 and 8).
_LETTER_DIFFERS, _LETTER_MAY_DIFFER = 0.7, 0.91

#: Single signs that are larger are more often doors than letters, mm.
_SYMBOL_MM = 6.0

#: A whole line that fits where the rows of a table went has moved with them, this far beside them, mm.
_ROW_MM = 60.0

#: Correlation from which on all letters of a line are surely there.
_LETTER_STAYED = 0.95


# --- words of vectors


def changed_texts(
    here: LaidSheets,
    old: Sequence[SheetWord],
    new: Sequence[SheetWord],
    moved: Sequence[SheetChange],
) -> list[SheetChange]:
    """Lines of which both sheets have one at the same place, with other words."""
    lines_old, lines_new = lines_of([_laid(word, here.laid) for word in old]), lines_of(new)
    shifts = [(0.0, 0.0)]
    for change in moved:
        if change.old_rect:
            shifts.append(
                (change.rect[0] - change.old_rect[0], change.rect[1] - change.old_rect[1])
            )
    by_text: dict[str, list[Line]] = {}
    for line in lines_new:
        by_text.setdefault(line.text, []).append(line)
    rest_old = []
    for line in lines_old:
        size = max(line.size, 3.0)
        same = [
            each
            for each in by_text.get(line.text, ())
            if any(_same_place(_shifted(line.rect, shift), each.rect, size) for shift in shifts)
        ]
        if same:
            by_text[line.text].remove(same[0])
        else:
            rest_old.append(line)
    rest_new = [line for held in by_text.values() for line in held]
    found: list[SheetChange] = []
    for line in rest_old:
        size = max(line.size, 3.0)
        for other in rest_new:
            if other.angle != line.angle:
                continue
            if any(_same_place(_shifted(line.rect, shift), other.rect, size) for shift in shifts):
                if (told := _text_change(here, line, other)) is not None:
                    found.append(told)
                rest_new.remove(other)
                break
    return found


def _laid(word: SheetWord, laid: Aligned) -> SheetWord:
    """A word of the old sheet where it lies on the new one."""
    a, b, c, d, e, f = laid.alignment.matrix
    left, top, right, bottom = word.rect
    corners = [(a * x + c * y + e, b * x + d * y + f) for x in (left, right) for y in (top, bottom)]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return replace(word, rect=(min(xs), min(ys), max(xs), max(ys)))


def _same_place(one: Rect, other: Rect, size: float) -> bool:
    """Do two texts begin or end, and stand, at one place?"""
    near = 0.5 * size
    level = abs(one[1] - other[1]) < near and abs(one[3] - other[3]) < near
    upright = abs(one[0] - other[0]) < near and abs(one[2] - other[2]) < near
    overlap_x = min(one[2], other[2]) - max(one[0], other[0])
    overlap_y = min(one[3], other[3]) - max(one[1], other[1])
    return (level and overlap_x > 0) or (upright and overlap_y > 0)


def _shifted(rect: Rect, by: tuple[float, float]) -> Rect:
    return rect[0] + by[0], rect[1] + by[1], rect[2] + by[0], rect[3] + by[1]


def _text_change(here: LaidSheets, old: Line, new: Line) -> SheetChange | None:
    """A line that reads otherwise; None: nothing of it is seen."""
    both = around((old.rect, new.rect))
    box = here.box(both, 0.6)
    if mass(here.gone, box) + mass(here.come, box) < here.sharp.least:
        return None
    before = [word.text for word in old.words]
    after = [word.text for word in new.words]
    head = 0
    while head < min(len(before), len(after)) and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < min(len(before), len(after)) - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    differ = [
        *(word.rect for word in old.words[head : len(before) - tail]),
        *(word.rect for word in new.words[head : len(after) - tail]),
    ]
    rect = around(differ) if differ else both
    wipe(here, box)
    dimension = is_dimension(old.text) and is_dimension(new.text)
    return change_of(
        "dimension_changed" if dimension else "text_changed",
        rect,
        old_rect=old.rect,
        old_text=old.text,
        new_text=new.text,
        confidence=min(old.confidence, new.confidence),
    )


# --- letters of scans


def changed_letters(here: LaidSheets, moved: Sequence[SheetChange]) -> list[SheetChange]:
    """Lines of text of which a letter looks otherwise, read on both sheets.

    A letter is held against the other sheet by correlation. Where it is clearly another one the
    line has changed; where it may be, reading decides.
    """
    import cv2
    import numpy

    from shared.products.buildtrace.drawings import glyphs

    inks = (here.one, here.other)
    with ThreadPoolExecutor(2) as both:
        strips = list(both.map(lambda ink: list(glyphs.find(ink, here.new.dpi)), inks))
    # Without faint ink too: a fold through a letter makes no other letter of it.
    kinds = [
        [cv2.GaussianBlur(numpy.maximum(ink, least) - least, (0, 0), 0.8) for ink in inks]
        for least in (0, here.sharp.faint[0])
    ]
    shifts = [
        (change.rect, here.box(change.rect), change.old_rect) for change in moved if change.old_rect
    ]

    def likeness(side: int, box: Box, way: tuple[int, int]) -> float:
        """How well a letter of one sheet is found on the other, shifted so: correlation."""
        left, top, right, bottom = box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1
        best = -1.0
        for soft in kinds:
            part = excerpt(soft[side], (left, top, right, bottom))
            field = excerpt(soft[1 - side], (left - 2, top - 2, right + 2, bottom + 2), *way)
            if field.std() >= 1 and part.std() >= 1:
                best = max(best, _peak(cv2.matchTemplate(field, part, cv2.TM_CCOEFF_NORMED)))
            if best >= _LETTER_MAY_DIFFER:
                break
        return best

    def held(side: int, strip: glyphs.Strip) -> _Held:
        """A line stays if all of its letters do; else it moved with what it lies in, or perhaps with
        what is beside it.
        """
        way, fits = (0, 0), [likeness(side, box, (0, 0)) for box in strip.letters]
        if min(fits) < _LETTER_MAY_DIFFER:
            within = _carried(here, side, strip.box, shifts)
            ways = within or [way, *_carried(here, side, strip.box, shifts, _ROW_MM)]
            tried = [([likeness(side, box, each) for box in strip.letters], each) for each in ways]
            fits, way = max(tried, key=lambda each: sum(each[0]))
        odd = tuple(
            box for fit, box in zip(fits, strip.letters, strict=True) if fit < _LETTER_MAY_DIFFER
        )
        dx, dy = way
        there = (strip.box[0] + dx, strip.box[1] + dy, strip.box[2] + dx, strip.box[3] + dy)
        boxes = (there, strip.box) if side else (strip.box, there)
        upright = strip.upright if len(strip.letters) > 1 else None
        return _Held(boxes, upright, min(fits), odd)

    lines = [[held(side, strip) for strip in strips[side]] for side in (0, 1)]
    opened = bands(here, moved)
    pairs = [
        each
        for each in _facing(lines)
        if not any(overlap(each.boxes[1], band) > 0.6 for band in opened)
    ]
    read = [
        glyphs.recognise(picture, [glyphs.Strip(each.boxes[side], each.upright) for each in pairs])
        for side, picture in enumerate((here.laid.old, here.laid.new))
    ]
    found = []
    for pair, (before, sure_before), (after, sure_after) in zip(pairs, *read, strict=True):
        sure = min(sure_before, sure_after)
        if sure < 0.6 or not (_is_text(before) and _is_text(after)):
            continue
        same = _folded(before) == _folded(after)
        if same and pair.fit > 0.45:
            continue
        if pair.fit > _LETTER_DIFFERS and (
            sure < 0.85 or not _near_odd(pair, before, after) or _alone(here, pair, before, after)
        ):
            continue
        box = pair.boxes[1]
        spot = joined(*pair.odd)
        found.append(
            change_of(
                "dimension_changed"
                if is_dimension(before) and is_dimension(after)
                else "text_changed",
                here.rect(spot),
                old_rect=here.rect(pair.boxes[0]),
                old_text=before,
                new_text=after,
                confidence=sure,
            )
        )
        wipe(here, (box[0] - 2, box[1] - 2, box[2] + 2, box[3] + 2))
    return found


def _peak(fits: Any) -> float:
    """The largest correlation, between pixels as well: what moved by half a pixel is the same."""
    import cv2

    _, most, _, (x, y) = cv2.minMaxLoc(fits)
    rows, columns = fits.shape
    peak = float(most)
    for at, end, near in ((x, columns, fits[y, :]), (y, rows, fits[:, x])):
        if 0 < at < end - 1:
            before, here, after = (float(each) for each in near[at - 1 : at + 2])
            bend = before - 2 * here + after
            if bend < -1e-6:
                peak -= (after - before) ** 2 / (8 * bend)
    return peak


@dataclass(frozen=True)
class _Held:
    """A line of one sheet held against the other: its box there and here (old, new), its worst
    correlation, and the letters that look otherwise. `upright` is None of a single letter: nothing says
    how it is read.
    """

    boxes: tuple[Box, Box]
    upright: bool | None
    fit: float
    odd: tuple[Box, ...]


@dataclass(frozen=True)
class _Facing:
    """A line of text on both sheets: its boxes, the letters that look otherwise, the worst correlation."""

    boxes: tuple[Box, Box]
    upright: bool
    odd: tuple[Box, ...]
    fit: float


def _facing(lines: Sequence[Sequence[_Held]]) -> list[_Facing]:
    """Doubtful lines with those that lie at their place on the other sheet; each once.

    A line that is found again elsewhere, because it moved, faces nobody.
    """
    found: list[_Facing] = []

    def alike(one: bool | None, other: bool | None) -> bool:
        return one is None or other is None or one == other

    for side in (0, 1):
        for line in lines[side]:
            if not line.odd:
                continue
            there = [
                other
                for other in lines[1 - side]
                if alike(other.upright, line.upright)
                and other.fit < _LETTER_STAYED
                and all(overlap(*both) > 0.3 for both in zip(other.boxes, line.boxes, strict=True))
            ]
            if not there:
                continue
            said = [each.upright for each in (line, *there) if each.upright is not None]
            upright = bool(said and said[0])
            places = [joined(*(each.boxes[at] for each in there)) for at in (0, 1)]
            beside = [
                other.boxes
                for other in lines[side]
                if alike(other.upright, upright)
                and all(overlap(*both) > 0.5 for both in zip(other.boxes, places, strict=True))
            ]
            # The sheets lie on each other: both are read in one place, or one would miss a line's end.
            held = (line.boxes, *(each.boxes for each in there), *beside)
            old, new = (joined(*each) for each in zip(*held, strict=True))
            odd = line.odd if side else tuple(_at(each, line.boxes) for each in line.odd)
            for index, known in enumerate(found):
                if overlap(known.boxes[1], new) > 0.5 and known.upright == upright:
                    whole = (joined(known.boxes[0], old), joined(known.boxes[1], new))
                    fit = min(known.fit, line.fit)
                    found[index] = _Facing(whole, known.upright, (*known.odd, *odd), fit)
                    break
            else:
                found.append(_Facing((old, new), upright, odd, line.fit))
    return found


def _at(box: Box, boxes: tuple[Box, Box]) -> Box:
    """A letter's box on the old sheet, where it is on the new one."""
    dx, dy = boxes[1][0] - boxes[0][0], boxes[1][1] - boxes[0][1]
    return box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy


def _carried(
    here: LaidSheets,
    side: int,
    box: Box,
    moved: Sequence[tuple[Rect, Box, Rect]],
    beside_mm: float = 6.0,
) -> list[tuple[int, int]]:
    """Where else a letter may be on the other sheet: what it lies in has moved.

    What moves as one is often wider than the ink that tells so, but across its way alone: `beside_mm`.
    """
    found = []

    def large(rect: Rect) -> bool:
        return max(rect[2] - rect[0], rect[3] - rect[1]) > 18 * _POINTS_PER_MM

    for rect, target, old in moved:
        dx, dy = (
            round((rect[0] - old[0]) * here.new.scale),
            round((rect[1] - old[1]) * here.new.scale),
        )
        place = target if side else here.box(old)
        level = abs(dy) > abs(dx)
        wide = round((beside_mm if large(rect) and level else 1) * here.per_mm)
        high = round((beside_mm if large(rect) and not level else 1) * here.per_mm)
        if (
            box[0] >= place[0] - wide
            and box[1] >= place[1] - high
            and box[2] <= place[2] + wide
            and box[3] <= place[3] + high
        ):
            found.append((-dx, -dy) if side else (dx, dy))
    return found


def _is_text(text: str) -> bool:
    """Is this what people write on drawings, and not what a reader makes of a symbol?"""
    import unicodedata

    signs = text.replace(" ", "")
    if not signs or not any(sign.isalnum() for sign in signs):
        return False
    if len(signs) < 3 and any(ord(sign) > 0x24F for sign in signs):
        return False
    return not any(unicodedata.category(sign) == "So" and sign != "°" for sign in signs)


def _folded(text: str) -> str:
    """A text without what a reader confuses: blanks, case, accents (or specks), O and 0, I, l and 1."""
    plain = "".join(sign for sign in normalize("NFKD", text.upper()) if sign.isalnum())
    return plain.translate(str.maketrans("OIL", "011"))


def _alone(here: LaidSheets, pair: _Facing, before: str, after: str) -> bool:
    """Is this one large sign, and so perhaps a symbol, of which a reader makes any letter?"""
    box = pair.boxes[1]
    tall = min(box[2] - box[0], box[3] - box[1])
    return max(len(before), len(after)) == 1 and tall > _SYMBOL_MM * here.per_mm


def _near_odd(pair: _Facing, before: str, after: str) -> bool:
    """Do the two readings differ where letters look otherwise?"""
    from difflib import SequenceMatcher

    box = pair.boxes[1]
    start, length = (-box[3], box[3] - box[1]) if pair.upright else (box[0], box[2] - box[0])
    places = [
        ((-(odd[1] + odd[3]) if pair.upright else odd[0] + odd[2]) / 2 - start) / length
        for odd in pair.odd
    ]
    for tag, _, _, a, b in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            middle = (a + max(b, a + 1)) / 2 / max(1, len(after))
            if any(abs(middle - place) < 1.6 / max(1, len(after)) + 0.02 for place in places):
                return True
    return False
