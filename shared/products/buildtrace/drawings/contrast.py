"""Two laid sheets held against each other: which ink is on one of them alone, and where.

*Hysteresis*: ink is gone where the old sheet is clearly dark and the new one not even faintly, within a
tolerance; come, the other way round. Gone and come ink that lie close together make a *blob*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.products.buildtrace.drawings.aligning import Aligned
from shared.products.buildtrace.drawings.comparing import SheetChange
from shared.products.buildtrace.drawings.document import Rect, SheetPage
from shared.products.buildtrace.drawings.ink import parts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Gray = NDArray[Any]
    Mask = NDArray[Any]

#: Left, top, right, bottom in pixels; right and bottom are outside.
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Sharpness:
    """Thresholds of ink (0 to 255), tolerance in pixels, and the least that counts, in pixels of ink.

    `faint`: ink that counts as well where it is `faint_mm2` large in one piece, its darkest pixel has
    more than the second value and the other sheet has less than the third.
    """

    strong: int
    weak: int
    near: int
    least: int
    faint: tuple[int, int, int]
    faint_mm2: float


#: Vectors are drawn alike to a fraction of a pixel; scans are not. Faint: grey lines of vectors, hairlines
#: of a pale scan; a fold comes to 90, and noise is never large.
_DRAWN = Sharpness(120, 40, 1, 4, (16, 24, 8), 0.3)

_SCANNED = Sharpness(120, 55, 2, 14, (90, 100, 45), 0.9)

#: Ink closer than this belongs to one change, mm.
TOGETHER_MM = 2.0

#: How exactly the edge of the other sheet's paper is known, pixels.
_EDGE_STEP = 16


@dataclass(frozen=True, eq=False)
class LaidSheets:
    """Everything about two laid sheets; what is explained is taken out of `gone` and `come`."""

    laid: Aligned
    old: SheetPage
    new: SheetPage
    one: Gray
    other: Gray
    gone: Mask
    come: Mask
    sharp: Sharpness

    @property
    def per_mm(self) -> float:
        """Pixels of a millimetre."""
        return self.new.dpi / 25.4

    def rect(self, box: Box) -> Rect:
        """Pixels as points."""
        k = 1 / self.new.scale
        return box[0] * k, box[1] * k, box[2] * k, box[3] * k

    def box(self, rect: Rect, margin: float = 0) -> Box:
        """Points as pixels, within the sheet; `margin` in points."""
        k = self.new.scale
        rows, columns = self.other.shape
        return (
            max(0, int((rect[0] - margin) * k)),
            max(0, int((rect[1] - margin) * k)),
            min(columns, int((rect[2] + margin) * k) + 1),
            min(rows, int((rect[3] + margin) * k) + 1),
        )


def held_against(laid: Aligned, old: SheetPage, new: SheetPage) -> LaidSheets:
    """The ink of two laid sheets, and what of it is on one of them alone."""
    scan = old.scan or new.scan
    sharp = _SCANNED if scan else _DRAWN
    one, other = laid.inks
    per_mm = new.dpi / 25.4
    gone, come = _only(one, other, sharp, per_mm), _only(other, one, sharp, per_mm)
    if scan:  # outside of the other's paper nothing is gone
        _blank_outside(gone, come, laid, old)
    return LaidSheets(laid, old, new, one, other, gone, come, sharp)


def disc(radius: int) -> Mask:
    """What `cv2` spreads ink by, so many pixels to each side."""
    import cv2

    side = 2 * radius + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def _only(ink: Gray, other: Gray, sharp: Sharpness, per_mm: float) -> Mask:
    """1 where `ink` is strong, or faint but large, and `other` has nothing near."""
    import cv2
    import numpy

    def alone(least: int, most: int) -> Mask:
        near = cv2.dilate((other > most).astype(numpy.uint8), disc(sharp.near))
        found: Mask = (ink > least) & (near == 0)
        return found.astype(numpy.uint8)

    low, peak, most = sharp.faint
    only, faint = alone(sharp.strong, sharp.weak), alone(low, most)
    parts, stats = parts_of(faint)
    for part in numpy.flatnonzero(stats[:, 4] >= sharp.faint_mm2 * per_mm**2)[1:]:
        x, y, wide, high, _ = stats[part]
        cut = (slice(y, y + high), slice(x, x + wide))
        piece = parts[cut] == part
        if ink[cut][piece].max() > peak:
            only[cut] |= piece
    return only


def _blank_outside(gone: Mask, come: Mask, laid: Aligned, old: SheetPage) -> None:
    """Take out what lies beyond the edges of the old picture, and a strip along the new one's own edges.

    To `_EDGE_STEP` pixels, a part of the strip.
    """
    import cv2
    import numpy

    rows, columns = gone.shape
    edge, step = max(6, int(old.dpi / 25.4 * 2)), _EDGE_STEP
    x, y = (numpy.arange(0, side, step) + (step - 1) / 2 for side in (columns, rows))
    u, v = laid.field.old_of(*numpy.meshgrid(x, y))
    high, wide = old.gray.shape
    inside = (u >= edge) & (u < wide - edge) & (v >= edge) & (v < high - edge)
    size = (len(x) * step, len(y) * step)
    shown = cv2.resize(inside.astype(numpy.uint8), size, interpolation=cv2.INTER_NEAREST)
    shown[:edge], shown[rows - edge :], shown[:, :edge], shown[:, columns - edge :] = 0, 0, 0, 0
    gone &= shown[:rows, :columns]
    come &= shown[:rows, :columns]


def blobs_of(here: LaidSheets, gap_mm: float = TOGETHER_MM) -> list[Box]:
    """Boxes of changed ink that lies together, largest first; specks are left out."""
    import cv2
    import numpy

    both = here.gone | here.come
    share = 4  # a quarter of the size is enough to see what lies together
    rows, columns = both.shape
    small = cv2.resize(
        both * 255, (-(-columns // share), -(-rows // share)), interpolation=cv2.INTER_AREA
    )
    radius = max(1, round(gap_mm * here.per_mm / share / 2))
    spread = cv2.dilate((small > 0).astype(numpy.uint8), disc(radius))
    parts, stats = parts_of(spread)
    found = []
    for part in range(1, len(stats)):
        x, y, wide, high, _ = (int(each) for each in stats[part])
        left, top = x * share, y * share
        right, bottom = min(columns, (x + wide) * share), min(rows, (y + high) * share)
        held = both[top:bottom, left:right]
        if int(held.sum()) < here.sharp.least:
            continue
        own = numpy.kron(parts[y : y + high, x : x + wide] == part, numpy.ones((share, share)))
        ys, xs = numpy.nonzero(held * own[: held.shape[0], : held.shape[1]])
        if len(xs) < here.sharp.least:
            continue
        found.append(
            (
                left + int(xs.min()),
                top + int(ys.min()),
                left + int(xs.max()) + 1,
                top + int(ys.max()) + 1,
            )
        )
    return sorted(found, key=lambda box: (-(box[2] - box[0]) * (box[3] - box[1]), box))


def bands(here: LaidSheets, moved: Sequence[SheetChange]) -> list[Box]:
    """Where parts of a table or list made room for a new row, or closed up over an old one."""
    found = []
    for change in moved:
        if change.kind != "moved" or change.old_rect is None:
            continue
        new, old = here.box(change.rect), here.box(change.old_rect)
        dx, dy = new[0] - old[0], new[1] - old[1]
        if dy and abs(dx) <= 2 and abs(dy) < 20 * here.per_mm and new[2] - new[0] > 3 * abs(dy):
            margin = int(1.5 * here.per_mm)
            for edge in (1, 3):
                low, high = sorted((old[edge], new[edge]))
                found.append(
                    (new[0] - 3 * margin, low - margin, new[2] + 3 * margin, high + margin)
                )
    return found


def excerpt(picture: Any, box: Box, dx: int = 0, dy: int = 0) -> Any:
    """A part of a picture, shifted; beyond its edges it is 0."""
    import numpy

    left, top, right, bottom = box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy
    rows, columns = picture.shape
    a, b, c, d = max(0, left), max(0, top), min(columns, right), min(rows, bottom)
    if (a, b, c, d) == (left, top, right, bottom):
        return picture[top:bottom, left:right]
    held = numpy.zeros((bottom - top, right - left), picture.dtype)
    if c > a and d > b:
        held[b - top : d - top, a - left : c - left] = picture[b:d, a:c]
    return held


def mass(mask: Mask, box: Box) -> int:
    """Pixels of a mask within a box."""
    return int(mask[box[1] : box[3], box[0] : box[2]].sum())


def wipe(here: LaidSheets, box: Box) -> None:
    """A box is explained: nothing in it is gone or has come."""
    for mask in (here.gone, here.come):
        mask[box[1] : box[3], box[0] : box[2]] = 0


def joined(*boxes: Box) -> Box:
    """The box around boxes."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def overlap(one: Box, other: Box) -> float:
    """Share of the smaller box that lies in both."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return wide * high / min(areas)
