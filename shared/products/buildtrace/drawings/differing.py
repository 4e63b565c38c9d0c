"""What is on one of two laid sheets alone: ink → clouds → changes.

1. `contrast`: ink that is gone, or has come.
2. `moving`: what is gone and is found again, shifted, has moved, and is taken out.
3. `wording`: where both sheets have words at one place and they differ, the text has changed.
4. What is left is added, removed, or replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.products.buildtrace.drawings.aligning import Aligned
from shared.products.buildtrace.drawings.comparing import SheetChange, change_of
from shared.products.buildtrace.drawings.contrast import (
    Box,
    LaidSheets,
    bands,
    blobs_of,
    held_against,
    joined,
    mass,
    overlap,
)
from shared.products.buildtrace.drawings.document import Rect, SheetPage
from shared.products.buildtrace.drawings.moving import moved_parts
from shared.products.buildtrace.drawings.reading import SheetText, read_sheet
from shared.products.buildtrace.drawings.wording import changed_letters, changed_texts


def changes(
    laid: Aligned,
    old: SheetPage,
    new: SheetPage,
    old_text: SheetText | None,
    new_text: SheetText | None,
) -> list[SheetChange]:
    """All changes between two laid sheets, from top to bottom."""
    here = held_against(laid, old, new)
    found = moved_parts(here)
    new_text = new_text or read_sheet(new)
    if old.scan or new.scan or old.pictured or new.pictured:
        found += changed_letters(here, found)
    else:
        found += changed_texts(here, (old_text or read_sheet(old)).words, new_text.words, found)
    found += _rest(here, found)
    block = new_text.title_block.rect
    done = [_placed(change, block, new) for change in found]
    return sorted(done, key=lambda change: (change.rect[1], change.rect[0], change.id))


def _rest(here: LaidSheets, moved: Sequence[SheetChange]) -> list[SheetChange]:
    """Added, removed or replaced, by which ink there is. What stands where rows made room is one change."""
    found = []
    for box in _gathered(here, blobs_of(here), moved):
        gone, come = mass(here.gone, box), mass(here.come, box)
        if gone + come < here.sharp.least:
            continue
        kind = "removed" if gone > 6 * come else "added" if come > 6 * gone else "replaced"
        rect = here.rect(box)
        found.append(
            change_of(
                kind,
                rect,
                outline=outline_of(here, box),
                old_rect=None if kind == "added" else rect,
                confidence=min(1.0, 0.5 + (gone + come) / (20 * here.sharp.least)),
            )
        )
    return found


def _gathered(here: LaidSheets, boxes: list[Box], moved: Sequence[SheetChange]) -> list[Box]:
    """Blobs in a band that was opened by what moved away, or closed by it, as one."""
    for band in bands(here, moved):
        inside = [box for box in boxes if overlap(box, band) > 0.6]
        if len(inside) > 1:
            boxes = [box for box in boxes if box not in inside]
            boxes.append(joined(*inside))
    return boxes


def outline_of(here: LaidSheets, box: Box) -> tuple[tuple[float, float], ...]:
    """A polygon around the changed ink of a box, in points."""
    import cv2
    import numpy

    part = here.gone[box[1] : box[3], box[0] : box[2]] | here.come[box[1] : box[3], box[0] : box[2]]
    ys, xs = numpy.nonzero(part)
    if len(xs) < 3:
        return ()
    hull = cv2.convexHull(numpy.stack([xs, ys], axis=1).astype(numpy.int32))[:, 0]
    k = 1 / here.new.scale
    rough = cv2.approxPolyDP(hull, 3, True)[:, 0]
    if len(rough) < 3:
        return ()
    return tuple(((int(x) + box[0] + 0.5) * k, (int(y) + box[1] + 0.5) * k) for x, y in rough)


def _placed(change: SheetChange, block: Rect | None, new: SheetPage) -> SheetChange:
    """With its region."""
    x = (change.rect[0] + change.rect[2]) / 2
    y = (change.rect[1] + change.rect[3]) / 2
    if block and block[0] - 6 <= x <= block[2] + 6 and block[1] - 6 <= y <= block[3] + 6:
        return replace(change, region="title_block")
    edge = 0.008 * max(new.width, new.height)
    if min(x, y, new.width - x, new.height - y) < edge:
        return replace(change, region="margin")
    return change
