"""What is on one of two laid sheets alone: ink → clouds → changes.

1. *Hysteresis*: ink is gone where the old sheet is clearly dark and the new one not even faintly, within a
   tolerance; come, the other way round.
2. Gone and come ink that lie close together make a *blob*. What is gone and is found again,
   shifted, has moved:
   a view, the rows below an inserted row, a door. What a shift explains is taken out, the rest is
   looked at anew.
3. Where both sheets have words at one place and they differ, the text has changed.
4. What is left is added, removed, or replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shared.products.buildtrace.drawings.aligning import Aligned
from shared.products.buildtrace.drawings.comparing import SheetChange, change_of
from shared.products.buildtrace.drawings.document import Rect, SheetPage, SheetWord
from shared.products.buildtrace.drawings.ink import parts_of
from shared.products.buildtrace.drawings.reading import (
    Line,
    SheetText,
    around,
    is_dimension,
    lines_of,
    read_sheet,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Gray = NDArray[Any]
    Mask = NDArray[Any]

_POINTS_PER_MM = 72 / 25.4

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
_TOGETHER_MM = 2.0

#: The same for parts of a sheet that move as one, mm.
_VIEW_GAP_MM = 10.0

#: How far beside what moved more of it is sought, mm: two rows of a table.
_BESIDE_MM = 15.0

#: Shifts of something large that are tried.
_MOST_SHIFTS = 12

#: How exactly the edge of the other sheet's paper is known, pixels.
_EDGE_STEP = 16

#: Share of ink that a shift must explain, and the least shift, mm.
_EXPLAINED, _LEAST_SHIFT_MM = 0.8, 1.0


def changes(
    laid: Aligned,
    old: SheetPage,
    new: SheetPage,
    old_text: SheetText | None,
    new_text: SheetText | None,
) -> list[SheetChange]:
    """All changes between two laid sheets, from top to bottom."""

    scan = old.scan or new.scan
    sharp = _SCANNED if scan else _DRAWN
    one, other = laid.inks
    per_mm = new.dpi / 25.4
    gone, come = _only(one, other, sharp, per_mm), _only(other, one, sharp, per_mm)
    if scan:  # outside of the other's paper nothing is gone
        _blank_outside(gone, come, laid, old)
    here = _Sheets(laid, old, new, one, other, gone, come, sharp)
    found = _moved(here)
    new_text = new_text or read_sheet(new)
    if scan:
        found += _letters(here, found)
    else:
        words_old = [_laid(word, laid) for word in (old_text or read_sheet(old)).words]
        found += _texts(here, words_old, list(new_text.words), found)
    found += _rest(here, found)
    block = new_text.title_block.rect
    done = [_placed(change, block, new) for change in found]
    return sorted(done, key=lambda change: (change.rect[1], change.rect[0], change.id))


@dataclass(frozen=True, eq=False)
class _Sheets:
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


def _disc(radius: int) -> Mask:
    import cv2

    side = 2 * radius + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def _only(ink: Gray, other: Gray, sharp: Sharpness, per_mm: float) -> Mask:
    """1 where `ink` is strong, or faint but large, and `other` has nothing near."""
    import cv2
    import numpy

    def alone(least: int, most: int) -> Mask:
        near = cv2.dilate((other > most).astype(numpy.uint8), _disc(sharp.near))
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


def _blobs(here: _Sheets, gap_mm: float = _TOGETHER_MM) -> list[Box]:
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
    spread = cv2.dilate((small > 0).astype(numpy.uint8), _disc(radius))
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


def _cut(picture: Any, box: Box, dx: int = 0, dy: int = 0) -> Any:
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


# --- moved


def _moved(here: _Sheets) -> list[SheetChange]:
    """What is gone here and stands there, shifted. Explained ink is taken out.

    Large parts first: a view, the rows below a new one.
    """
    found: list[SheetChange] = []
    for gap, least_mm in ((_VIEW_GAP_MM, 18.0), (_TOGETHER_MM, 2.0)):
        for box in _blobs(here, gap):
            if max(box[2] - box[0], box[3] - box[1]) < least_mm * here.per_mm:
                continue
            large = gap == _VIEW_GAP_MM
            for place in (_wider(here, box), box) if large else (box,):
                for _ in range(3):
                    shift = _shift_within(here, place, large)
                    if (
                        shift is None
                        or (change := _explain(here, place, place, shift, large)) is None
                    ):
                        break
                    found.append(change)
    # What moved further than its own neighbourhood: two blobs of one size.
    least = 2.0 * here.per_mm
    blobs = [box for box in _blobs(here) if max(box[2] - box[0], box[3] - box[1]) >= least]
    gone = [box for box in blobs if _mass(here.gone, box) > 3 * _mass(here.come, box)]
    come = [box for box in blobs if _mass(here.come, box) > 3 * _mass(here.gone, box)]
    for box in gone:
        best = None
        for other in come:
            wide, high = box[2] - box[0], box[3] - box[1]
            apart = abs(other[2] - other[0] - wide) + abs(other[3] - other[1] - high)
            if apart > 6 + 0.06 * (wide + high):
                continue
            dx = round((other[0] + other[2] - box[0] - box[2]) / 2)
            dy = round((other[1] + other[3] - box[1] - box[3]) / 2)
            score, shift = _fit(here, box, (dx, dy), 4)
            far = (dx * dx + dy * dy) ** 0.5
            if score > _EXPLAINED and (best is None or (score - far * 1e-5, shift) > best[:2]):
                best = (score - far * 1e-5, shift, other)
        if best is None:
            continue
        if (change := _explain(here, box, best[2], best[1])) is not None:
            found.append(change)
            come.remove(best[2])
    return found


def _wider(here: _Sheets, box: Box) -> Box:
    """A box with what is beside it: of a table that moved some rows look as before, and part the others."""
    rows, columns = here.other.shape
    margin = round(_BESIDE_MM * here.per_mm)
    left, top, right, bottom = box
    return (
        max(0, left - margin),
        max(0, top - margin),
        min(columns, right + margin),
        min(rows, bottom + margin),
    )


def _mass(mask: Mask, box: Box) -> int:
    return int(mask[box[1] : box[3], box[0] : box[2]].sum())


def _fit(
    here: _Sheets, box: Box, shift: tuple[int, int], reach: int
) -> tuple[float, tuple[int, int]]:
    """How well a box of the old sheet fits the new one at about a shift: correlation, and the
    exact shift.
    """
    import cv2
    import numpy

    part: Any = here.one[box[1] : box[3], box[0] : box[2]].astype(numpy.float32)
    wide = (box[0] - reach, box[1] - reach, box[2] + reach, box[3] + reach)
    field = _cut(here.other, wide, *shift).astype(numpy.float32)
    part, field = cv2.GaussianBlur(part, (0, 0), 1.0), cv2.GaussianBlur(field, (0, 0), 1.0)
    if part.std() < 1 or field.std() < 1:
        return 0.0, shift
    _, most, _, at = cv2.minMaxLoc(cv2.matchTemplate(field, part, cv2.TM_CCOEFF_NORMED))
    return float(most), (shift[0] + at[0] - reach, shift[1] + at[1] - reach)


def _shift_within(here: _Sheets, box: Box, large: bool) -> tuple[int, int] | None:
    """The shift, within a blob, that takes what is gone to what has come; None: there is none.

    Rows of a schedule are so alike that little of them is gone or has come, and much of that fits
    other rows as well. So of something `large` the shortest shifts count too after which ink is found, on
    the whole new sheet, for nearly all that is gone, and on the old one for what has come; the shift is
    taken that explains most and contradicts least (`_score`).
    """
    import cv2
    import numpy

    cut = (slice(box[1], box[3]), slice(box[0], box[2]))
    gone, come = here.gone[cut], here.come[cut]
    if min(int(gone.sum()), int(come.sum())) < max(30, 3 * here.sharp.least):
        return None
    rows = cv2.getOptimalDFTSize(2 * gone.shape[0])
    columns = cv2.getOptimalDFTSize(2 * gone.shape[1])
    if rows * columns > 40_000_000:
        return None

    def spectrum(mask: NDArray[Any]) -> Any:
        held = numpy.zeros((rows, columns), numpy.float32)
        held[: mask.shape[0], : mask.shape[1]] = mask
        return cv2.dft(held)

    def matched(*pairs: tuple[Any, Any]) -> Any:
        """How many pixels of one mask lie on the other, at every shift; the sum over pairs."""
        products = [cv2.mulSpectrums(other, one, 0, conjB=True) for one, other in pairs]
        return cv2.idft(sum(products), flags=cv2.DFT_SCALE)

    def shift_at(x: int, y: int) -> tuple[int, int]:
        return (
            x if x <= columns // 2 else x - columns,
            y if y <= rows // 2 else y - rows,
        )

    def far(shift: tuple[int, int]) -> int:
        return shift[0] * shift[0] + shift[1] * shift[1]

    least = (_LEAST_SHIFT_MM * here.per_mm) ** 2
    left, arrived = (spectrum(cv2.GaussianBlur(mask * 1.0, (0, 0), 1.2)) for mask in (gone, come))
    peaks = matched((left, arrived))
    found: list[tuple[int, int]] = []
    for _ in range(6 if large else 3):
        _, _, _, (x, y) = cv2.minMaxLoc(peaks)
        if far(shift := shift_at(x, y)) >= least:
            if not large:
                return shift
            found.append(shift)
        peaks[max(0, y - 4) : y + 5, max(0, x - 4) : x + 5] = 0
    if not large:
        return None
    old, new = (spectrum(_near(here, ink[cut])) for ink in (here.one, here.other))
    told = matched((spectrum(gone), new), (old, spectrum(come)))
    ys, xs = numpy.nonzero(
        (told > 0.85 * told.max()) & (told >= cv2.dilate(told, numpy.ones((9, 9))))
    )
    also = {shift_at(int(x), int(y)) for x, y in zip(xs, ys, strict=True)}
    found += sorted((shift for shift in also if far(shift) >= least), key=far)[:_MOST_SHIFTS]
    if not found:
        return None
    best = max(found, key=lambda shift: _score(here, box, shift))
    told_gone, _ = _told(here, box, box, best)
    return _fit(here, _tight(told_gone, box), best, 4)[1] if told_gone.any() else best


def _tight(mask: Mask, box: Box) -> Box:
    """The part of a box that is around what a mask has in it."""
    import cv2

    left, top, wide, high = cv2.boundingRect(mask)
    return box[0] + left, box[1] + top, box[0] + left + wide, box[1] + top + high


def _score(here: _Sheets, box: Box, shift: tuple[int, int]) -> float:
    """Share of what is gone, and of what has come, that a shift explains, less the share that it
    contradicts: ink of what would have moved that is missing at the new place, or is only there.

    Shares, because of a table with a row more hardly anything is gone.
    """
    dx, dy = shift
    cut = (slice(box[1], box[3]), slice(box[0], box[2]))
    told_gone, told_come = _told(here, box, box, shift)
    if not told_gone.any():
        return 0.0
    tight = _tight(told_gone, box)
    old = here.one[tight[1] : tight[3], tight[0] : tight[2]]
    new = _cut(here.other, tight, dx, dy)
    dark, arrived = old > here.sharp.strong, new > here.sharp.strong
    wrong = (dark & ~_near(here, new)).sum() + (arrived & ~_near(here, old)).sum()
    return float(
        told_gone.sum() / here.gone[cut].sum()
        + told_come.sum() / here.come[cut].sum()
        - wrong / max(1, dark.sum() + arrived.sum())
    )


def _near(here: _Sheets, ink: Gray) -> NDArray[Any]:
    """Where there is ink, or nearly."""
    import cv2
    import numpy

    spread = cv2.dilate((ink > here.sharp.weak).astype(numpy.uint8), _disc(here.sharp.near + 1))
    return spread > 0


def _told(here: _Sheets, box: Box, place: Box, shift: tuple[int, int]) -> tuple[Mask, Mask]:
    """What is gone in a box that stands on the new sheet, shifted; and what has come at a place that
    stood on the old one.
    """
    dx, dy = shift
    gone = here.gone[box[1] : box[3], box[0] : box[2]]
    come = here.come[place[1] : place[3], place[0] : place[2]]
    there = _near(here, _cut(here.other, box, dx, dy))
    before = _near(here, _cut(here.one, place, -dx, -dy))
    return gone & there, come & before


def _trim(gone: Mask, told: Mask, shift: tuple[int, int]) -> None:
    """Leave out of what a shift explains, at both ends of its way, what it explains by chance: a row
    that was taken out of a table has letters that others have too.
    """
    import numpy

    axis = 1 if abs(shift[1]) >= abs(shift[0]) else 0
    step = abs(shift[axis])
    sums = [mask.sum(axis=axis, dtype=numpy.int64) for mask in (gone, told)]
    whole, known = (numpy.concatenate([[0], numpy.cumsum(each)]) for each in sums)
    low, high = 0, len(whole) - 1

    def chance(start: int, end: int) -> bool:
        return bool(known[end] - known[start] <= 0.9 * (whole[end] - whole[start]))

    while low + step < high and chance(low, low + step):
        low += 1
    while low + step < high and chance(high - step, high):
        high -= 1
    if axis:
        told[:low], told[high:] = 0, 0
    else:
        told[:, :low], told[:, high:] = 0, 0


def _explain(
    here: _Sheets, box: Box, place: Box, shift: tuple[int, int], large: bool = False
) -> SheetChange | None:
    """Take out what a shift explains, if that is enough to say that something moved.

    Of something `large` a part may have changed as well.
    """
    dx, dy = shift
    gone = here.gone[box[1] : box[3], box[0] : box[2]]
    come = here.come[place[1] : place[3], place[0] : place[2]]
    told_gone, told_come = _told(here, box, place, shift)
    mass_gone, mass_come = int(gone.sum()), int(come.sum())
    if not mass_gone or not mass_come:
        return None
    enough = 0.6 if large else _EXPLAINED
    if told_gone.sum() < enough * mass_gone or told_come.sum() < 0.5 * mass_come:
        return None
    if large:
        _trim(gone, told_gone, shift)
        if not told_gone.any():
            return None
    tight = _tight(told_gone, box)
    if max(tight[2] - tight[0], tight[3] - tight[1]) < 2.0 * here.per_mm:
        return None
    score, _ = _fit(here, tight, shift, 2)
    if score < (0.6 if large else 0.75):
        return None
    target = (tight[0] + dx, tight[1] + dy, tight[2] + dx, tight[3] + dy)
    if large and told_come.any():
        # The last row of a table may look like the one before it: then it is seen where it has come alone.
        a, b, c, d = _joined(target, _tight(told_come, place))
        level = abs(dx) > abs(dy)
        target = (
            target[0] if level and dx > 0 else a,
            target[1] if not level and dy > 0 else b,
            target[2] if level and dx < 0 else c,
            target[3] if not level and dy < 0 else d,
        )
        tight = (target[0] - dx, target[1] - dy, target[2] - dx, target[3] - dy)
    gone[told_gone > 0] = 0
    come[told_come > 0] = 0
    return change_of(
        "moved",
        here.rect(target),
        outline=(),
        old_rect=here.rect(tight),
        confidence=min(1.0, score),
    )


# --- texts


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


def _texts(
    here: _Sheets, old: Sequence[SheetWord], new: Sequence[SheetWord], moved: Sequence[SheetChange]
) -> list[SheetChange]:
    """Lines of which both sheets have one at the same place, with other words."""
    lines_old, lines_new = lines_of(old), lines_of(new)
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


def _shifted(rect: Rect, by: tuple[float, float]) -> Rect:
    return rect[0] + by[0], rect[1] + by[1], rect[2] + by[0], rect[3] + by[1]


def _text_change(here: _Sheets, old: Line, new: Line) -> SheetChange | None:
    """A line that reads otherwise; None: nothing of it is seen."""
    both = around((old.rect, new.rect))
    box = here.box(both, 0.6)
    if _mass(here.gone, box) + _mass(here.come, box) < here.sharp.least:
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
    _wipe(here, box)
    dimension = is_dimension(old.text) and is_dimension(new.text)
    return change_of(
        "dimension_changed" if dimension else "text_changed",
        rect,
        old_rect=old.rect,
        old_text=old.text,
        new_text=new.text,
        confidence=min(old.confidence, new.confidence),
    )


def _wipe(here: _Sheets, box: Box) -> None:
    for mask in (here.gone, here.come):
        mask[box[1] : box[3], box[0] : box[2]] = 0


# --- letters of scans


def _letters(here: _Sheets, moved: Sequence[SheetChange]) -> list[SheetChange]:
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
            part = _cut(soft[side], (left, top, right, bottom))
            field = _cut(soft[1 - side], (left - 2, top - 2, right + 2, bottom + 2), *way)
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
    opened = _bands(here, moved)
    pairs = [
        each
        for each in _facing(lines)
        if not any(_overlap(each.boxes[1], band) > 0.6 for band in opened)
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
        spot = _joined(*pair.odd)
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
        _wipe(here, (box[0] - 2, box[1] - 2, box[2] + 2, box[3] + 2))
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


#: Correlation below which a letter is another one, and below which it may be. Unchanged letters of
#: scans at 150 dpi
#: have .97 (median) and .87 (1st percentile), changed ones .2 to .8, sometimes .9 (6 and 8).
_LETTER_DIFFERS, _LETTER_MAY_DIFFER = 0.7, 0.91

#: Single signs that are larger are more often doors than letters, mm.
_SYMBOL_MM = 6.0

#: A whole line that fits where the rows of a table went has moved with them, this far beside them, mm.
_ROW_MM = 60.0

#: Correlation from which on all letters of a line are surely there.
_LETTER_STAYED = 0.95


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
                and all(_overlap(*both) > 0.3 for both in zip(other.boxes, line.boxes, strict=True))
            ]
            if not there:
                continue
            said = [each.upright for each in (line, *there) if each.upright is not None]
            upright = bool(said and said[0])
            places = [_joined(*(each.boxes[at] for each in there)) for at in (0, 1)]
            beside = [
                other.boxes
                for other in lines[side]
                if alike(other.upright, upright)
                and all(_overlap(*both) > 0.5 for both in zip(other.boxes, places, strict=True))
            ]
            # The sheets lie on each other: both are read in one place, or one would miss a line's end.
            held = (line.boxes, *(each.boxes for each in there), *beside)
            old, new = (_joined(*each) for each in zip(*held, strict=True))
            odd = line.odd if side else tuple(_at(each, line.boxes) for each in line.odd)
            for index, known in enumerate(found):
                if _overlap(known.boxes[1], new) > 0.5 and known.upright == upright:
                    whole = (_joined(known.boxes[0], old), _joined(known.boxes[1], new))
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


def _joined(*boxes: Box) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _overlap(one: Box, other: Box) -> float:
    """Share of the smaller box that lies in both."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return wide * high / min(areas)


def _carried(
    here: _Sheets,
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
    """A text without what a reader confuses: blanks, case, O and 0, I, l and 1."""
    plain = "".join(sign for sign in text.upper() if sign.isalnum())
    return plain.translate(str.maketrans("OIL", "011"))


def _alone(here: _Sheets, pair: _Facing, before: str, after: str) -> bool:
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


# --- what is left


def _rest(here: _Sheets, moved: Sequence[SheetChange]) -> list[SheetChange]:
    """Added, removed or replaced, by which ink there is. What stands where rows made room is one change."""
    found = []
    for box in _gathered(here, _blobs(here), moved):
        gone, come = _mass(here.gone, box), _mass(here.come, box)
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


def _bands(here: _Sheets, moved: Sequence[SheetChange]) -> list[Box]:
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


def _gathered(here: _Sheets, boxes: list[Box], moved: Sequence[SheetChange]) -> list[Box]:
    """Blobs in a band that was opened by what moved away, or closed by it, as one."""
    for band in _bands(here, moved):
        inside = [box for box in boxes if _overlap(box, band) > 0.6]
        if len(inside) > 1:
            boxes = [box for box in boxes if box not in inside]
            boxes.append(_joined(*inside))
    return boxes


def outline_of(here: _Sheets, box: Box) -> tuple[tuple[float, float], ...]:
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
