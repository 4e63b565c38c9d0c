"""How one sheet lies on the other: shift, turn, size, and the stretch of paper.

A similarity is found from features (ORB, then RANSAC), or taken to be none where that explains the ink.
Then the sheets are compared in tiles of the picture, coarse to fine: each tile says by least squares how
far it is off and in which direction it knows that (Lucas and Kanade 1981), and a polynomial is fitted to
all tiles, those with changes counting little. Pages of vectors get a similarity alone, and are
drawn anew with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.errors import Fault
from shared.products.buildtrace.drawings.document import Matrix, SheetPage
from shared.products.buildtrace.drawings.ink import ink_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[Any]
    Gray = NDArray[Any]

#: Dots per inch at which features are sought: strokes are seen, letters are not.
_COARSE_DPI = 50.0

#: Turn (degrees) and size beyond which sheets are not put over each other: what scanners do, and more.
MOST_TURN, MOST_SIZE = 10.0, 1.12

#: Share of the fainter sheet's ink that must lie on the other's, and how much more than by chance. Other
#: sheets of one frame and title block have .5, one with forty changes .98.
_LEAST_COMMON, _LEAST_OVER_CHANCE = 0.6, 1.8

#: Residual of the fit, in pixels, that is too much.
_MOST_ERROR = 1.5

#: Degree of the polynomial that paper is stretched by, and how many monomials it has.
_DEGREE = 5
_TERMS = (_DEGREE + 1) * (_DEGREE + 2) // 2

#: The picture's size is a `level`-th in so many rounds. A second round at a half and in full moves
#: corners of scans by less than a tenth of a pixel, and takes as long as all others.
_ROUNDS = ((4, 3), (2, 1), (1, 1))

#: Side of a tile, pixels.
_TILE = 128


class CouldNotAlign(Fault):
    """Two sheets do not lie on each other: they are not the same drawing, or too much of it is new."""

    code = "could_not_align"
    status = 422


@dataclass(frozen=True)
class Alignment:
    """How the old sheet lies on the new one.

    `matrix` takes points of the old sheet to points of the new one; `rotation` in degrees, against
    the clock; `shift` in points, of the sheet's middle. `displacement`: the most that paper is stretched
    beyond that, and `error`: what tiles are still off after all, 95th percentile, both in pixels at `dpi`.
    `common`: share of the old sheet's ink that lies on ink of the new one.
    """

    matrix: Matrix
    rotation: float
    scale: float
    shift: tuple[float, float]
    displacement: float
    error: float
    common: float
    dpi: float


@dataclass(frozen=True, eq=False)
class Aligned:
    """Both sheets in the pixels of the new one, as they are and as ink (`ink_of`); and how words of
    the old one come there.
    """

    alignment: Alignment
    old: Gray
    new: Gray
    inks: tuple[Gray, Gray]
    field: Displacement

    def clean(self) -> tuple[Gray, Gray]:
        """Both sheets on white paper: of a scan what is drawn, without stains and folds."""
        return 255 - self.inks[0], 255 - self.inks[1]


@dataclass(frozen=True, eq=False)
class Displacement:
    """Pixels of the new sheet → pixels of the old: a matrix (2 × 3) and, on top, those of a
    polynomial (`_TERMS` × 2).

    The polynomial's argument is a pixel of the new sheet, scaled to −1 … 1 by `size`.
    """

    matrix: Floats
    stretch: Floats
    size: tuple[int, int]

    def old_of(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Where pixels of the new sheet are on the old one."""
        import numpy

        terms = _terms(x, y, self.size)
        off = numpy.tensordot(self.stretch, terms, axes=(0, 0))
        u, v = x + off[0], y + off[1]
        m = self.matrix
        return m[0, 0] * u + m[0, 1] * v + m[0, 2], m[1, 0] * u + m[1, 1] * v + m[1, 2]

    def new_of(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the old sheet is on the new one; the stretch of paper is small, so two
        steps do.
        """
        import numpy

        m = self.matrix
        u, v = numpy.linalg.solve(m[:, :2], numpy.array([x, y]) - m[:, 2])
        at = numpy.array([u, v])
        for _ in range(2):
            off = self.stretch.T @ _terms(at[:1], at[1:], self.size)[:, 0]
            at = numpy.array([u, v]) - off
        return float(at[0]), float(at[1])


def _terms(x: Floats, y: Floats, size: tuple[int, int]) -> Floats:
    """The monomials up to `_DEGREE`, at pixels scaled to −1 … 1."""
    import numpy

    half = max(size) / 2
    u, v = (x - size[0] / 2) / half, (y - size[1] / 2) / half
    powers = [[numpy.ones_like(u)], [numpy.ones_like(v)]]
    for held, value in zip(powers, (u, v), strict=True):
        for _ in range(_DEGREE):
            held.append(held[-1] * value)
    return numpy.stack(
        [
            powers[0][i] * powers[1][total - i]
            for total in range(_DEGREE + 1)
            for i in range(total, -1, -1)
        ]
    )


def align(old: SheetPage, new: SheetPage) -> Aligned:
    """Lay the old page on the new one. Raises `CouldNotAlign`."""
    import numpy

    vectors = not old.scan and not new.scan
    ink_old, ink_new = ink_of(old.gray, old.scan), ink_of(new.gray, new.scan)
    height, width = new.gray.shape
    if not ink_old[::2, ::2].max() > 60 or not ink_new[::2, ::2].max() > 60:
        raise CouldNotAlign("One of the two sheets is empty: there is nothing to lay it on.")
    field = Displacement(
        _similarity(old, new, ink_old, ink_new), numpy.zeros((_TERMS, 2)), (width, height)
    )
    turn, size = _turn_and_size(field.matrix, old, new)
    if abs(turn) > MOST_TURN or not 1 / MOST_SIZE < size < MOST_SIZE:
        raise CouldNotAlign(
            f"The sheets could be laid on each other only turned by {abs(turn):.0f} degrees and scaled to "
            f"{size:.0%}. Turn or scan one of them again, at the size of the other."
        )
    exact = vectors and _still(field.matrix, old, new)
    error = 0.0
    if not exact:
        for level, rounds in _ROUNDS:
            inks = [_reduced(ink, level) for ink in (ink_old, ink_new)]
            for _ in range(rounds):
                field, error = _finer(field, inks[0], inks[1], level, rigid=vectors)
    if vectors and _still(field.matrix, old, new):
        field, exact, error = (
            Displacement(_plain(old, new), numpy.zeros((_TERMS, 2)), field.size),
            True,
            0.0,
        )
    if exact and old.gray.shape == new.gray.shape:
        laid = old.gray
    elif vectors:
        laid = old.rendered(_drawn_with(field, old), width, height)
    else:
        laid = warp(old.gray, field, 255)
    laid_ink = ink_of(laid, old.scan)
    common, chance = _common(laid_ink, ink_new)
    if common < _LEAST_COMMON or common < _LEAST_OVER_CHANCE * chance or error > _MOST_ERROR:
        raise CouldNotAlign(
            "These do not look like the same drawing: laid on each other at best, "
            f"{common:.0%} of the lines agree. Choose another pair of sheets."
        )
    report = _report(field, old, new, error, common)
    return Aligned(report, laid, new.gray, (laid_ink, ink_new), field)


def warp(gray: Gray, field: Displacement, around: int, level: int = 1) -> Gray:
    """A picture of the old sheet in the new one's pixels; with `level` both are that many times smaller.

    In bands: maps of a whole sheet would take 300 MB.
    """
    import cv2
    import numpy

    width, height = field.size[0] // level, field.size[1] // level
    if not field.stretch.any() and level == 1:
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(gray, field.matrix, field.size, flags=flags, borderValue=around)
    laid = numpy.empty((height, width), numpy.uint8)
    step, middle = 16, (level - 1) / 2
    how = cv2.INTER_CUBIC if level == 1 else cv2.INTER_LINEAR
    xs = numpy.arange(0, width + step, step, dtype=numpy.float64) * level + middle
    for top in range(0, height, 512):
        rows = min(512, height - top)
        ys = numpy.arange(top, top + rows + step, step, dtype=numpy.float64) * level + middle
        grid = numpy.meshgrid(xs, ys)
        shape = (len(xs) * step, len(ys) * step)
        # The field is smooth: between every 16th pixel it is a straight line.
        maps = [
            _between(((each - middle) / level).astype(numpy.float32), step, shape)[:rows, :width]
            for each in field.old_of(grid[0], grid[1])
        ]
        laid[top : top + rows] = cv2.remap(gray, maps[0], maps[1], how, borderValue=around)
    return laid


def _between(values: Any, step: int, shape: tuple[int, int]) -> Any:
    """Values at every `step`th pixel, spread over all pixels: the first stays at pixel 0."""
    import cv2
    import numpy

    matrix = numpy.array([[1 / step, 0, 0], [0, 1 / step, 0]], numpy.float64)
    return cv2.warpAffine(
        values,
        matrix,
        shape,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _plain(old: SheetPage, new: SheetPage) -> Floats:
    """The new sheet's pixels on the old sheet, if both lie with their top left corners on each other."""
    import numpy

    share = old.scale / new.scale
    middle = (share - 1) / 2  # a pixel's number is that of its middle
    return numpy.array([[share, 0, middle], [0, share, middle]], float)


def _still(matrix: Floats, old: SheetPage, new: SheetPage) -> bool:
    """Is this no movement at all, but for less than a third of a pixel in the corners?"""
    import numpy

    width, height = new.gray.shape[1], new.gray.shape[0]
    corners = numpy.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], float)
    off = (matrix - _plain(old, new)) @ corners.T
    return bool(numpy.abs(off).max() < 0.35)


def _turn_and_size(matrix: Floats, old: SheetPage, new: SheetPage) -> tuple[float, float]:
    """How far the old sheet is turned (degrees, against the clock) and scaled to come on the new one."""
    forth = math.hypot(matrix[0, 0], matrix[1, 0])
    turn = math.degrees(math.atan2(matrix[1, 0], matrix[0, 0]))
    return turn, old.scale / new.scale / forth


def _drawn_with(field: Displacement, old: SheetPage) -> Matrix:
    """Points of the old page → pixels of the new one."""
    import numpy

    whole = numpy.vstack([field.matrix, [0, 0, 1]])
    half = numpy.array(
        [[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]]
    )  # a pixel's number is that of its middle
    back = half @ numpy.linalg.inv(half @ whole) @ numpy.diag([old.scale, old.scale, 1])
    return back[0, 0], back[1, 0], back[0, 1], back[1, 1], back[0, 2], back[1, 2]


def _report(
    field: Displacement, old: SheetPage, new: SheetPage, error: float, common: float
) -> Alignment:
    import numpy

    a, b, c, d, e, f = _drawn_with(field, old)
    per = 1 / new.scale
    matrix = (a * per, b * per, c * per, d * per, e * per, f * per)
    turn, size = _turn_and_size(field.matrix, old, new)
    x, y = old.width / 2, old.height / 2
    shift = (
        matrix[0] * x + matrix[2] * y + matrix[4] - new.width / 2,
        matrix[1] * x + matrix[3] * y + matrix[5] - new.height / 2,
    )
    grid = numpy.meshgrid(numpy.linspace(0, field.size[0], 9), numpy.linspace(0, field.size[1], 7))
    off = numpy.tensordot(field.stretch, _terms(*grid, field.size), axes=(0, 0))
    most = float(numpy.hypot(off[0], off[1]).max())
    return Alignment(matrix, turn, size, shift, most, error, common, new.dpi)


# --- the similarity


def _small(ink: Gray, dpi: float) -> Gray:
    import cv2

    share = _COARSE_DPI / dpi
    return cv2.resize(ink, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)


def _common(old: Gray, new: Gray) -> tuple[float, float]:
    """Share of old ink within 2 pixels (at half size) of new ink; and the share that chance would give."""
    import cv2
    import numpy

    one = cv2.resize(old, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) > 50
    other = cv2.resize(new, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) > 50
    near = cv2.dilate(other.astype(numpy.uint8), numpy.ones((3, 3), numpy.uint8)) > 0
    if one.sum() < 50 or other.sum() < 50:
        return 0.0, 1.0
    # Sheets of which one has much more than the other are the same all the same: the fainter one counts.
    back = cv2.dilate(one.astype(numpy.uint8), numpy.ones((3, 3), numpy.uint8)) > 0
    forth, also = float(near[one].mean()), float(back[other].mean())
    return (forth, float(near.mean())) if one.sum() <= other.sum() else (also, float(back.mean()))


def _similarity(old: SheetPage, new: SheetPage, ink_old: Gray, ink_new: Gray) -> Floats:
    """Pixels of the new sheet → pixels of the old one, to about a pixel. Raises `CouldNotAlign`."""
    import cv2
    import numpy

    one, other = _small(ink_old, old.dpi), _small(ink_new, new.dpi)
    if one.shape == other.shape:
        near = numpy.ones((3, 3), numpy.uint8)
        dark, also = one > 40, other > 40
        if dark.any() and also.any():
            forth = float((cv2.dilate(also.astype(numpy.uint8), near) > 0)[dark].mean())
            back = float((cv2.dilate(dark.astype(numpy.uint8), near) > 0)[also].mean())
            if min(forth, back) > 0.85 and not (old.scan or new.scan):
                return _plain(old, new)
    orb = cv2.ORB_create(nfeatures=800, fastThreshold=12, nlevels=4, scaleFactor=1.25)  # type: ignore[attr-defined]

    def features(picture: Any) -> tuple[Any, Any]:
        """From each of 3 × 2 parts as many, or a hatch would take all."""
        picture = cv2.GaussianBlur(picture, (0, 0), 1.0)
        points, described = [], []
        rows, columns = picture.shape
        for row in range(2):
            for column in range(3):
                top, left = rows * row // 2, columns * column // 3
                part = picture[top : rows * (row + 1) // 2, left : columns * (column + 1) // 3]
                if min(part.shape) < 70:
                    continue
                keys, words = orb.detectAndCompute(part, None)
                if words is not None:
                    points += [(key.pt[0] + left, key.pt[1] + top) for key in keys]
                    described.append(words)
        return numpy.array(points, numpy.float32), numpy.vstack(described) if described else None

    at_old, said_old = features(one)
    at_new, said_new = features(other)
    refused = CouldNotAlign(
        "These do not look like the same drawing: too little of one is found in the other. "
        "Choose another pair of sheets."
    )
    if said_old is None or said_new is None:
        raise refused
    near_two = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(said_new, said_old, k=2)
    good = [
        pair[0]
        for pair in near_two
        if len(pair) == 2 and pair[0].distance < 0.85 * pair[1].distance
    ]
    if len(good) < 12:
        raise refused
    source = numpy.array([at_new[each.queryIdx] for each in good])
    target = numpy.array([at_old[each.trainIdx] for each in good])
    cv2.setRNGSeed(1)  # RANSAC draws: the same sheets give the same bytes
    found, inliers = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=3, maxIters=5000, confidence=0.9999
    )
    if found is None or int(inliers.sum()) < 12 or math.hypot(*found[:, 0]) < 1e-3:
        raise refused  # the last: all of one on a point of the other
    back, forth_scale = new.dpi / _COARSE_DPI, old.dpi / _COARSE_DPI
    # Pixel centres: a small pixel's middle is not the large one's corner.
    matrix = numpy.vstack([found, [0, 0, 1]])
    shrink = numpy.array(
        [[1 / back, 0, 0.5 / back - 0.5], [0, 1 / back, 0.5 / back - 0.5], [0, 0, 1]]
    )
    grow = numpy.array(
        [
            [forth_scale, 0, forth_scale / 2 - 0.5],
            [0, forth_scale, forth_scale / 2 - 0.5],
            [0, 0, 1],
        ]
    )
    whole: Floats = (grow @ matrix @ shrink)[:2]
    return whole


# --- finer


def _reduced(ink: Gray, level: int) -> Gray:
    """A `level`-th of the size; what is left over at the right and at the bottom is cut off."""
    import cv2

    if level == 1:
        return ink
    rows, columns = (side // level for side in ink.shape)
    whole = ink[: rows * level, : columns * level]
    return cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)


def _finer(
    field: Displacement, ink_old: Gray, ink_new: Gray, level: int, rigid: bool
) -> tuple[Displacement, float]:
    """One round with pictures of a `level`-th of the size: where tiles are off, and the field that
    mends it.

    Returns the field, and how far tiles were off of it: 95th percentile over well-known tiles, pixels.
    """
    import cv2
    import numpy

    laid, other = warp(ink_old, field, 0, level), ink_new
    height, width = (min(sides) for sides in zip(laid.shape, other.shape, strict=True))
    laid, other = laid[:height, :width], other[:height, :width]
    tile = max(32, _TILE // level)
    rows, columns = (side // tile for side in other.shape)
    sums = [[numpy.zeros(columns) for _ in range(rows)] for _ in range(5)]
    for row in range(rows):
        # A band at a time, with a margin for the filters: floats of a whole sheet would take 400 MB.
        top, bottom = max(0, row * tile - 8), min(other.shape[0], (row + 1) * tile + 8)
        a = cv2.GaussianBlur(laid[top:bottom].astype(numpy.float32), (0, 0), 1.4)
        b = cv2.GaussianBlur(other[top:bottom].astype(numpy.float32), (0, 0), 1.4)
        mean = (a + b) / 2
        gx = cv2.Sobel(mean, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
        gy = cv2.Sobel(mean, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
        rest = b - a
        weight = 1 / (1 + (rest / 40) ** 2)  # what is only in one sheet counts little
        start = row * tile - top
        cut = (slice(start, start + tile), slice(0, columns * tile))
        for held, values in zip(
            sums,
            (
                weight * gx * gx,
                weight * gx * gy,
                weight * gy * gy,
                weight * gx * rest,
                weight * gy * rest,
            ),
            strict=True,
        ):
            held[row] = values[cut].sum(axis=0).reshape(columns, tile).sum(axis=1)
    xx, xy, yy, bx, by = (numpy.array(held, float) for held in sums)
    # A tile's own answer, held back where it knows little: gradient · shift = rest.
    scale = float(numpy.percentile(xx + yy, 90)) + 1e-6
    keep = 0.02 * scale
    det = (xx + keep) * (yy + keep) - xy * xy
    sx = ((yy + keep) * bx - xy * by) / det
    sy = ((xx + keep) * by - xy * bx) / det
    known = (xx * yy - xy * xy) / (xx + yy + 1e-6) > 0.05 * scale
    limit = 3.0
    trust = numpy.where(numpy.hypot(sx, sy) > limit, 0.0, 1.0)
    x = (numpy.arange(columns) + 0.5) * tile * level
    y = (numpy.arange(rows) + 0.5) * tile * level
    grid_x, grid_y = numpy.meshgrid(x, y)
    terms = _terms(grid_x, grid_y, field.size).reshape(_TERMS, -1)
    count = 3 if rigid or level == 4 else _TERMS
    terms = terms[:count]
    weights = trust.ravel() / (xx + yy + keep).ravel() * numpy.minimum(xx + yy, 3 * scale).ravel()
    xx_, xy_, yy_, bx_, by_ = (each.ravel() for each in (xx, xy, yy, bx, by))
    solved = numpy.zeros((2, count))
    for _ in range(6):
        w = weights
        if rigid:
            # u = p + q·x − r·y, v = s + r·x + q·y: a similarity.
            basis_u = numpy.stack([terms[0], terms[1], -terms[2], 0 * terms[0]])
            basis_v = numpy.stack([0 * terms[0], terms[2], terms[1], terms[0]])
        else:
            zero = numpy.zeros_like(terms)
            basis_u, basis_v = numpy.vstack([terms, zero]), numpy.vstack([zero, terms])
        normal = (
            (basis_u * (w * xx_)) @ basis_u.T
            + (basis_u * (w * xy_)) @ basis_v.T
            + (basis_v * (w * xy_)) @ basis_u.T
            + (basis_v * (w * yy_)) @ basis_v.T
        )
        right = basis_u @ (w * bx_) + basis_v @ (w * by_)
        normal += numpy.eye(len(normal)) * (1e-6 * numpy.trace(normal) / len(normal) + 1e-9)
        found = numpy.linalg.solve(normal, right)
        off_u, off_v = found @ basis_u, found @ basis_v
        # Tiles that disagree hold changes: they count less the more they do.
        apart_x, apart_y = sx.ravel() - off_u, sy.ravel() - off_v
        apart = numpy.hypot(apart_x, apart_y)
        seen = apart[known.ravel() & (trust.ravel() > 0)]
        spread = max(0.05, 1.5 * float(numpy.median(seen)) if seen.size else 0.05)
        weights = (
            trust.ravel()
            / (1 + (apart / (2 * spread)) ** 2) ** 2
            / (xx + yy + keep).ravel()
            * numpy.minimum(xx + yy, 3 * scale).ravel()
        )
        if rigid:
            solved = numpy.array([[found[0], found[1], -found[2]], [found[3], found[2], found[1]]])
        else:
            solved = found.reshape(2, count)
    error = float(numpy.percentile(seen, 90)) * level if seen.size else 0.0
    return _moved(field, solved * level, rigid), error


def _moved(field: Displacement, solved: Floats, rigid: bool) -> Displacement:
    """The field with a shift of the new sheet's pixels added (2 × terms)."""
    import numpy

    stretch = numpy.zeros((_TERMS, 2))
    stretch[: solved.shape[1]] = solved.T
    if not rigid:
        return Displacement(field.matrix, field.stretch + stretch, field.size)
    half = max(field.size) / 2
    width, height = field.size
    linear = numpy.eye(3)
    for axis in (0, 1):
        p, q, r = solved[axis]
        linear[axis, 0] += q / half
        linear[axis, 1] += r / half
        linear[axis, 2] += p - q * width / 2 / half - r * height / 2 / half
    whole = numpy.vstack([field.matrix, [0, 0, 1]]) @ linear
    return Displacement(whole[:2], field.stretch, field.size)
