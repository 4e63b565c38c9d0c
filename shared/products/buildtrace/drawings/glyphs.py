"""Text of a picture: letters are found by form, put into lines, and each line is read as a strip.

The reader is the recognition model PP-OCRv6 of RapidOCR's package (Apache-2.0), run by ONNX Runtime: it
installs with the other packages, where Tesseract would have to come from the system, and reads drawings'
short lines better. Finding the lines is ours: detectors made for pages of text miss words among lines.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from shared.products.buildtrace.drawings.document import Rect, SheetPage, SheetWord
from shared.products.buildtrace.drawings.ink import ink_of, parts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Gray = NDArray[Any]

#: Height of letters that are looked for, mm.
_LEAST_MM, _MOST_MM = 1.4, 9.0

#: The model's own height of a strip in pixels, and how many strips are read side by side.
_HEIGHT, _AT_ONCE = 48, 2

#: Below this nothing was read.
_SURE = 0.5


@dataclass(frozen=True)
class Strip:
    """A line's box in pixels (left, top, right, bottom), whether it is read upwards, and its
    letters' boxes.
    """

    box: tuple[int, int, int, int]
    upright: bool = False
    letters: tuple[tuple[int, int, int, int], ...] = ()


def read(page: SheetPage, area: Rect) -> tuple[SheetWord, ...]:
    """The words of an area of a page."""
    k = page.scale
    rows, columns = page.gray.shape
    left, top = max(0, int(area[0] * k)), max(0, int(area[1] * k))
    right, bottom = min(columns, int(area[2] * k) + 1), min(rows, int(area[3] * k) + 1)
    part = page.gray[top:bottom, left:right]
    if min(part.shape, default=0) < 8:
        return ()
    strips = list(find(ink_of(part, True), page.dpi))
    found: list[SheetWord] = []
    for strip, (text, sure) in zip(strips, recognise(part, strips), strict=True):
        if sure < _SURE or not text.strip():
            continue
        a, b, c, d = strip.box
        rect = ((a + left) / k, (b + top) / k, (c + left) / k, (d + top) / k)
        found += _words(text, rect, sure, strip.upright)
    return tuple(found)


def _words(text: str, rect: Rect, sure: float, upright: bool) -> Iterator[SheetWord]:
    """A line's words, placed by the share of signs before them."""
    left, top, right, bottom = rect
    size = (right - left) if upright else (bottom - top)
    at = 0
    for word in text.split(" "):
        if word:
            a, b = at / len(text), (at + len(word)) / len(text)
            place = (
                (left, bottom - (bottom - top) * b, right, bottom - (bottom - top) * a)
                if upright
                else (left + (right - left) * a, top, left + (right - left) * b, bottom)
            )
            yield SheetWord(word, place, 90.0 if upright else 0.0, size, round(sure, 3))
        at += len(word) + 1


def find(ink: Gray, dpi: float) -> Iterator[Strip]:
    """Lines of text: parts of ink (`ink_of`) of letters' size that stand in a row."""
    import cv2
    import numpy

    dark: Any = (ink > 90).astype(numpy.uint8)
    # Long straight strokes are lines of the drawing: without them letters in tables stand alone.
    long = max(8, int(_MOST_MM * 1.3 / 25.4 * dpi))
    for shape in ((1, long), (long, 1)):
        dark &= 1 - cv2.morphologyEx(dark, cv2.MORPH_OPEN, numpy.ones(shape, numpy.uint8))
    _, stats = parts_of(dark)
    per = dpi / 25.4
    least, most = _LEAST_MM * per, _MOST_MM * per
    letters = []
    for x, y, wide, high, area in stats[1:]:
        tall = max(wide, high)
        if least * 0.8 <= tall <= most and area >= 0.04 * wide * high and area >= 4:
            letters.append((int(x), int(y), int(x + wide), int(y + high)))
    level = [box for box in letters if box[3] - box[1] >= least * 0.8]
    upright = [box for box in letters if box[2] - box[0] >= least * 0.8 and not _dash(box, 0.12)]
    across, up = _rows(level, False), _rows(upright, True)
    # A letter belongs to the longer of the two lines that it could be in.
    taken: set[tuple[int, int, int, int]] = set()
    for row, turned in sorted(
        [*((row, False) for row in across), *((row, True) for row in up)],
        key=lambda each: (-len(each[0]), each[1], each[0][0]),
    ):
        held = [box for box in row if box not in taken]
        if not held or (turned and len(held) < 2 and _dash(held[0], 0.2)):
            continue
        taken.update(held)
        pad = 2
        yield Strip(
            (
                max(0, min(box[0] for box in held) - pad),
                max(0, min(box[1] for box in held) - pad),
                min(ink.shape[1], max(box[2] for box in held) + pad),
                min(ink.shape[0], max(box[3] for box in held) + pad),
            ),
            turned,
            tuple(held),
        )


def _dash(box: tuple[int, int, int, int], share: float) -> bool:
    """Is this a piece of a level line, and not a letter that lies on its side?"""
    return box[3] - box[1] < share * (box[2] - box[0])


def _rows(
    letters: Sequence[tuple[int, int, int, int]], upright: bool
) -> list[list[tuple[int, int, int, int]]]:
    """Letters in a row: of one height, on one level, with gaps below a letter's height."""

    def span(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """Start, end, and low and high edge across."""
        return (-box[3], -box[1], box[0], box[2]) if upright else (box[0], box[2], box[1], box[3])

    rows: list[list[tuple[int, int, int, int]]] = []
    ends: dict[int, list[int]] = {}
    for box in sorted(letters, key=span):
        start, _, low, high = span(box)
        size = high - low
        best = None
        for key in range(int((low - size) // 16), int((high + size) // 16) + 1):
            for index in ends.get(key, ()):
                _, last, a, b = span(rows[index][-1])
                tall = max(size, b - a)
                overlap = min(high, b) - max(low, a)
                if (
                    -0.4 * tall <= start - last <= 0.95 * tall
                    and overlap > 0.55 * min(size, b - a)
                    and min(size, b - a) > 0.45 * tall
                ):
                    best = index
        if best is None:
            rows.append([box])
            best = len(rows) - 1
        else:
            rows[best].append(box)
        ends.setdefault(int((low + high) / 2 // 16), []).append(best)
    # Letters of a table's column stand in a row too, but wide apart: each is read with its own line.
    found = []
    for row in rows:
        places = [span(box) for box in row]
        gaps = [after[0] - before[1] for before, after in pairwise(places)]
        along = median(end - start for start, end, _, _ in places)
        across = median(high - low for _, _, low, high in places)
        # Thin letters are further apart than they are long: there their height says what is far.
        reach = along if along > across / 2 else across
        apart = bool(gaps) and median(gaps) > 0.6 * reach
        found += [[box] for box in row] if apart else [row]
    return found


@cache
def _model() -> tuple[Any, tuple[str, ...]]:
    """The recogniser, and its signs; the first is "none"."""
    import onnxruntime  # type: ignore[import-untyped,unused-ignore]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # `recognise` reads side by side; own threads would wait
    options.log_severity_level = 3
    # The package is there for its model: importing it would load a second of other things.
    places = (Path(folder) / "rapidocr/models/PP-OCRv6_rec_small.onnx" for folder in sys.path)
    held = next(place for place in places if place.exists())
    model = onnxruntime.InferenceSession(str(held), options, providers=["CPUExecutionProvider"])
    signs = model.get_modelmeta().custom_metadata_map["character"].split("\n")
    return model, ("", *signs, " ")


def recognise(gray: Gray, strips: Sequence[Strip]) -> list[tuple[str, float]]:
    """What each strip says, and how sure that is (0 to 1).

    Each is read alone, two side by side: in batches all are as wide as the widest, which takes twice
    the time, and what stands in one would depend on the others.
    """
    from concurrent.futures import ThreadPoolExecutor
    from functools import partial

    if not strips:
        return []
    _model()  # once, before two ask for it
    with ThreadPoolExecutor(_AT_ONCE) as readers:
        return list(readers.map(partial(_said, gray), strips))


def _said(gray: Gray, strip: Strip) -> tuple[str, float]:
    """What one strip says."""
    import cv2
    import numpy

    model, signs = _model()
    a, b, c, d = strip.box
    part = gray[b:d, a:c]
    if strip.upright:
        part = cv2.rotate(part, cv2.ROTATE_90_CLOCKWISE)
    wide = max(_HEIGHT // 2, min(1600, math.ceil(part.shape[1] * _HEIGHT / part.shape[0])))
    low, high = numpy.percentile(part, (1, 90))
    stretched = numpy.clip((part.astype(numpy.float32) - low) / max(high - low, 30), 0, 1)
    flags = cv2.INTER_CUBIC if part.shape[0] < _HEIGHT else cv2.INTER_AREA
    row = numpy.zeros((1, 3, _HEIGHT, max(wide + 8, 64)), numpy.float32)
    row[0, :, :, :wide] = cv2.resize(stretched, (wide, _HEIGHT), interpolation=flags) * 2 - 1
    [said] = model.run(None, {model.get_inputs()[0].name: row})
    best, sure = said[0].argmax(axis=1), said[0].max(axis=1)
    keep = (best > 0) & (numpy.diff(best, prepend=0) != 0)
    text = "".join(signs[at] for at in best[keep] if at < len(signs))
    return plain(text), float(sure[keep].mean()) if keep.any() else 0.0


#: Signs that the model writes in their wide forms.
_WIDE = str.maketrans("（），。：；－×　", "(),.:;-x ")


def plain(text: str) -> str:
    """A line as drawings write it: no wide signs, and 0 for O among digits."""
    text = text.translate(_WIDE)
    words = []
    for word in text.split(" "):
        digits = sum(sign.isdigit() for sign in word)
        if digits and digits >= len(word) - sum(word.count(sign) for sign in "OoIl.,-'\"") - 0:
            word = word.translate(str.maketrans("OoIl", "0011"))
        words.append(word)
    return " ".join(words)
