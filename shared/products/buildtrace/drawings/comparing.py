"""What changed between two sheets: aligned, subtracted, gathered into clouds, and named.

Ink is new where one sheet is clearly dark and the other has not even faint ink nearby; what
scanning does to a
line stays below that. What moved as a whole is found again at its new place and counts as one change; words
are compared as words. Everything is decided by the two pictures and their words: the same pages
give the same changes, with the same ids.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.products.buildtrace.drawings.aligning import (
    Aligned,
    Alignment,
    CouldNotAlign,
    align,
)
from shared.products.buildtrace.drawings.document import Rect, SheetPage, open_drawing
from shared.products.buildtrace.drawings.reading import SheetText

__all__ = [
    "KINDS",
    "REGIONS",
    "Comparison",
    "CouldNotAlign",
    "SheetChange",
    "compare",
    "opened_pair",
]

#: What a change may be. `replaced`: something else stands in its place.
KINDS = ("added", "removed", "moved", "replaced", "text_changed", "dimension_changed")

#: Where a change may be.
REGIONS = ("drawing", "title_block", "margin")


@dataclass(frozen=True)
class SheetChange:
    """One change. Rectangles and the cloud's outline in points of the new sheet; sizes in mm.

    `id` is made of what changed and where, so the same two sheets give the same ids. `old_rect`:
    where it was, laid on
    the new sheet. `old_text` and `new_text` are "" where nothing was read. `confidence`: 0 to 1.
    """

    id: str
    kind: str
    rect: Rect
    outline: tuple[tuple[float, float], ...]
    width_mm: float
    height_mm: float
    region: str = "drawing"
    old_rect: Rect | None = None
    old_text: str = ""
    new_text: str = ""
    confidence: float = 1.0

    def as_json(self) -> dict[str, Any]:
        """A JSON-able mapping of all fields."""
        return {
            "id": self.id,
            "kind": self.kind,
            "rect": list(self.rect),
            "outline": [list(point) for point in self.outline],
            "width_mm": self.width_mm,
            "height_mm": self.height_mm,
            "region": self.region,
            "old_rect": list(self.old_rect) if self.old_rect else None,
            "old_text": self.old_text,
            "new_text": self.new_text,
            "confidence": self.confidence,
        }


@dataclass(frozen=True)
class Comparison:
    """How two sheets lie on each other, and what changed. `aligned`: their pictures, for overlays."""

    alignment: Alignment
    changes: tuple[SheetChange, ...]
    aligned: Aligned = field(repr=False, compare=False)
    width: float
    height: float

    def as_json(self) -> dict[str, Any]:
        """Everything but the pictures, JSON-able; `width` and `height` of the new sheet in points."""
        at = self.alignment
        return {
            "width": self.width,
            "height": self.height,
            "alignment": {
                "matrix": list(at.matrix),
                "rotation": at.rotation,
                "scale": at.scale,
                "shift": list(at.shift),
                "displacement": at.displacement,
                "error": at.error,
                "common": at.common,
                "dpi": at.dpi,
            },
            "changes": [change.as_json() for change in self.changes],
        }


def opened_pair(
    old: tuple[bytes, str, int], new: tuple[bytes, str, int]
) -> tuple[SheetPage, SheetPage]:
    """Two pages at the same dots per inch, opened side by side; each as the bytes of its file, their
    type and its number from 0. Raises `FileRefused`.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as both:
        files = list(both.map(open_drawing, (old[0], new[0]), (old[1], new[1])))
        numbers = (old[2], new[2])
        pages = list(both.map(lambda file, number: file.page(number), files, numbers))
        most = max(page.dpi for page in pages)
        if min(page.dpi for page in pages) < 0.98 * most:
            pages = list(both.map(lambda file, number: file.page(number, most), files, numbers))
    return pages[0], pages[1]


def compare(
    old: SheetPage,
    new: SheetPage,
    old_text: SheetText | None = None,
    new_text: SheetText | None = None,
) -> Comparison:
    """Compare two pages of about the same dpi. Texts are read where they are not given.

    An A1 sheet takes some seconds and up to 1.2 GB. Raises `CouldNotAlign`.
    """
    from shared.products.buildtrace.drawings import differing

    laid = align(old, new)
    found = differing.changes(laid, old, new, old_text, new_text)
    return Comparison(laid.alignment, tuple(found), laid, new.width, new.height)


def change_of(
    kind: str,
    rect: Rect,
    outline: Sequence[tuple[float, float]] = (),
    region: str = "drawing",
    old_rect: Rect | None = None,
    old_text: str = "",
    new_text: str = "",
    confidence: float = 1.0,
) -> SheetChange:
    """A change with its id and sizes; coordinates are kept to a tenth of a point."""
    left, top, right, bottom = rect = _rounded(rect)
    old_rect = _rounded(old_rect) if old_rect else None
    named = json.dumps([kind, rect, old_rect, old_text, new_text], ensure_ascii=False)
    corners = outline or ((left, top), (right, top), (right, bottom), (left, bottom))
    return SheetChange(
        hashlib.sha256(named.encode()).hexdigest()[:16],
        kind,
        rect,
        tuple((round(x, 1), round(y, 1)) for x, y in corners),
        round((right - left) / 72 * 25.4, 1),
        round((bottom - top) / 72 * 25.4, 1),
        region,
        old_rect,
        old_text,
        new_text,
        round(confidence, 2),
    )


def _rounded(rect: Rect) -> Rect:
    left, top, right, bottom = (round(float(each), 1) for each in rect)
    return left, top, right, bottom
