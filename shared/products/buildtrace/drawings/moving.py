"""What is gone from one laid sheet and stands on the other, shifted: a view, the rows below an inserted
row, a door. What a shift explains is taken out, so that the rest is looked at anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.products.buildtrace.drawings.comparing import SheetChange, change_of
from shared.products.buildtrace.drawings.contrast import (
    TOGETHER_MM,
    Box,
    LaidSheets,
    blobs_of,
    disc,
    excerpt,
    joined,
    mass,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Gray = NDArray[Any]
    Mask = NDArray[Any]

#: The same for parts of a sheet that move as one, mm.
_VIEW_GAP_MM = 10.0

#: How far beside what moved more of it is sought, mm: two rows of a table.
_BESIDE_MM = 15.0

#: Shifts of something large that are tried.
_MOST_SHIFTS = 12

#: Share of ink that a shift must explain, and the least shift, mm.
_EXPLAINED, _LEAST_SHIFT_MM = 0.8, 1.0


def moved_parts(here: LaidSheets) -> list[SheetChange]:
    """What is gone here and stands there, shifted. Explained ink is taken out.

    Large parts first: a view, the rows below a new one.
    """
    found: list[SheetChange] = []
    for gap, least_mm in ((_VIEW_GAP_MM, 18.0), (TOGETHER_MM, 2.0)):
        for box in blobs_of(here, gap):
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
    blobs = [box for box in blobs_of(here) if max(box[2] - box[0], box[3] - box[1]) >= least]
    gone = [box for box in blobs if mass(here.gone, box) > 3 * mass(here.come, box)]
    come = [box for box in blobs if mass(here.come, box) > 3 * mass(here.gone, box)]
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


def _wider(here: LaidSheets, box: Box) -> Box:
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


def _fit(
    here: LaidSheets, box: Box, shift: tuple[int, int], reach: int
) -> tuple[float, tuple[int, int]]:
    """How well a box of the old sheet fits the new one at about a shift: correlation, and the
    exact shift.
    """
    import cv2
    import numpy

    part: Any = here.one[box[1] : box[3], box[0] : box[2]].astype(numpy.float32)
    wide = (box[0] - reach, box[1] - reach, box[2] + reach, box[3] + reach)
    field = excerpt(here.other, wide, *shift).astype(numpy.float32)
    part, field = cv2.GaussianBlur(part, (0, 0), 1.0), cv2.GaussianBlur(field, (0, 0), 1.0)
    if part.std() < 1 or field.std() < 1:
        return 0.0, shift
    _, most, _, at = cv2.minMaxLoc(cv2.matchTemplate(field, part, cv2.TM_CCOEFF_NORMED))
    return float(most), (shift[0] + at[0] - reach, shift[1] + at[1] - reach)


def _shift_within(here: LaidSheets, box: Box, large: bool) -> tuple[int, int] | None:
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


def _score(here: LaidSheets, box: Box, shift: tuple[int, int]) -> float:
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
    new = excerpt(here.other, tight, dx, dy)
    dark, arrived = old > here.sharp.strong, new > here.sharp.strong
    wrong = (dark & ~_near(here, new)).sum() + (arrived & ~_near(here, old)).sum()
    return float(
        told_gone.sum() / here.gone[cut].sum()
        + told_come.sum() / here.come[cut].sum()
        - wrong / max(1, dark.sum() + arrived.sum())
    )


def _near(here: LaidSheets, ink: Gray) -> NDArray[Any]:
    """Where there is ink, or nearly."""
    import cv2
    import numpy

    spread = cv2.dilate((ink > here.sharp.weak).astype(numpy.uint8), disc(here.sharp.near + 1))
    return spread > 0


def _told(here: LaidSheets, box: Box, place: Box, shift: tuple[int, int]) -> tuple[Mask, Mask]:
    """What is gone in a box that stands on the new sheet, shifted; and what has come at a place that
    stood on the old one.
    """
    dx, dy = shift
    gone = here.gone[box[1] : box[3], box[0] : box[2]]
    come = here.come[place[1] : place[3], place[0] : place[2]]
    there = _near(here, excerpt(here.other, box, dx, dy))
    before = _near(here, excerpt(here.one, place, -dx, -dy))
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
    here: LaidSheets, box: Box, place: Box, shift: tuple[int, int], large: bool = False
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
        a, b, c, d = joined(target, _tight(told_come, place))
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
