"""Ink: what is drawn on a sheet, apart from its paper; and the parts that it hangs together in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Gray = NDArray[Any]


def ink_of(gray: Gray, scan: bool) -> Gray:
    """Darkness against the paper around it, stretched so that drawn lines come near 255.

    Stains, shadows and yellowed paper are wide and go; what is drawn is thin and stays. Large
    black areas of a scan turn into their edges, which is enough to compare.
    """
    import cv2
    import numpy

    if not scan:
        return 255 - gray
    small = cv2.resize(gray, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    paper = cv2.morphologyEx(small, cv2.MORPH_CLOSE, numpy.ones((9, 9), numpy.uint8))
    paper = cv2.GaussianBlur(cv2.medianBlur(paper, 5), (0, 0), 5)
    paper = cv2.resize(paper, (gray.shape[1], gray.shape[0]), interpolation=cv2.INTER_LINEAR)
    ink = cv2.subtract(paper, gray)
    seen = ink[::3, ::3]
    noise = float(numpy.median(seen))
    strong = seen[seen > noise + 40]
    top = float(numpy.percentile(strong, 80)) if strong.size > 500 else 160.0
    table = numpy.clip((numpy.arange(256) - noise) / max(top - noise, 40) * 230, 0, 255)
    return cv2.LUT(ink, table.astype(numpy.uint8))


#: From which grey down the bed of a scanner is; its least thickness where it does not reach the edge,
#: pixels of a quarter (an odd number: the middle must be one).
_BED, _BED_THICK = 100, 9


def without_bed(gray: Gray) -> Gray:
    """A scan without what is black around the sheet: the bed of a scanner, a table.

    It is dark, thick and reaches the edge of the picture; it becomes as bright as paper.
    """
    import cv2
    import numpy

    small = cv2.resize(gray, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    edge = _BED_THICK
    dark = numpy.pad((small < _BED).astype(numpy.uint8), edge, constant_values=1)
    thick = cv2.morphologyEx(dark, cv2.MORPH_OPEN, numpy.ones((edge, edge), numpy.uint8))
    parts = cv2.connectedComponents(thick, connectivity=4)[1]
    bed = (parts == parts[0, 0])[edge:-edge, edge:-edge].astype(numpy.uint8)
    if not bed.any():
        return gray
    bed = cv2.dilate(bed, numpy.ones((5, 5), numpy.uint8))
    rows, columns = gray.shape
    whole = cv2.resize(bed, (columns, rows), interpolation=cv2.INTER_NEAREST).astype(bool)
    paper = small[bed == 0]
    found = gray.copy()
    found[whole] = int(numpy.median(paper)) if paper.size else 255
    return found


def parts_of(mask: Gray) -> tuple[Gray, Gray]:
    """Pixels that touch each other, corners counted: each pixel's part (0: none), and of each part
    left, top, width, height and its number of pixels; the first of these is what is no part.
    """
    import cv2

    try:  # numbers of two bytes take a third of the time; few sheets have more than 65,535 parts
        _, parts, stats, _ = cv2.connectedComponentsWithStats(mask, ltype=cv2.CV_16U)
    except cv2.error:
        _, parts, stats, _ = cv2.connectedComponentsWithStats(mask)
    return parts, stats
