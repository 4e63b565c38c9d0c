"""One sheet over the other: as PDF that keeps vectors, as tiles of PNG, and side by side.

What only the old sheet has is orange, what only the new one has is blue, what both have comes out
nearly black: colours
that people tell apart with any of the common kinds of colour blindness (Okabe and Ito 2008). The same
comparison gives the same bytes.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from shared.products.buildtrace.drawings.comparing import Comparison, SheetChange
from shared.products.buildtrace.drawings.document import Matrix, Rect, SheetPage, one_page

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shared.products.buildtrace.drawings.aligning import Aligned

    Gray = NDArray[Any]

#: Red, green, blue from 0 to 255: Okabe and Ito's vermilion and blue, made lighter or darker for
#: thin lines.
OLD, NEW, CLOUD = (235, 110, 20), (20, 110, 235), (145, 30, 130)

#: What tiles may show.
LAYERS = ("overlay", "old", "new")

#: Side of a tile, pixels.
TILE = 512

#: Tones of a sheet in pictures: those of two make the 256 colours that a PNG may list.
_TONES = 16

#: Width of the bows of a cloud, and its distance from what changed, points.
_BOW, _AWAY = 9.0, 6.0


@dataclass(frozen=True)
class Tile:
    """A square of a layer. At `zoom` 0 the whole sheet is one tile; each step shows twice as much of it."""

    layer: str
    zoom: int
    x: int
    y: int
    png: bytes


def zooms(comparison: Comparison) -> int:
    """How many zoom levels there are; the last shows the pixels that were compared."""
    rows, columns = comparison.aligned.new.shape
    return 1 + max(0, math.ceil(math.log2(max(rows, columns) / TILE)))


def tiles(comparison: Comparison, layers: Sequence[str] = LAYERS) -> Iterator[Tile]:
    """All tiles of the layers, from the smallest zoom on: PNG of `_TONES` tones of each sheet.

    With all 256 the grain of scanned paper makes files seven times as large, and nobody sees it.
    """
    levels = zooms(comparison)
    laid = comparison.aligned
    shown = {
        layer: [_pyramid(each, levels) for each in _sheets_of(laid, layer)] for layer in layers
    }
    for zoom in range(levels):
        for layer in layers:
            toned, colours = _toned([each[zoom] for each in shown[layer]])
            rows, columns = toned.shape
            for y in range(math.ceil(rows / TILE)):
                for x in range(math.ceil(columns / TILE)):
                    cut = toned[y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE]
                    yield Tile(layer, zoom, x, y, _png(cut, colours))


def picture(comparison: Comparison, rect: Rect | None = None, layer: str = "overlay") -> bytes:
    """A part of a layer (points of the new sheet; default: all of it), with its clouds, as PNG."""
    import cv2
    import numpy

    k = comparison.alignment.dpi / 72
    left, top, right, bottom = rect or (0, 0, comparison.width, comparison.height)
    rows, columns = comparison.aligned.new.shape
    cut = (
        slice(max(0, int(top * k)), min(rows, math.ceil(bottom * k))),
        slice(max(0, int(left * k)), min(columns, math.ceil(right * k))),
    )
    toned, colours = _toned([each[cut] for each in _sheets_of(comparison.aligned, layer)])
    held = colours[toned][:, :, ::-1].copy()
    for change in comparison.changes:
        points = numpy.array(_bows_flat(change.rect), float) * k - [cut[1].start, cut[0].start]
        line = numpy.round(points * 8).astype(numpy.int32)
        cv2.polylines(held, [line], True, CLOUD[::-1], max(1, round(k * 1.2)), cv2.LINE_AA, 3)
    _, png = cv2.imencode(".png", held, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    return bytes(png.tobytes())


def _sheets_of(laid: Aligned, layer: str) -> tuple[Gray, ...]:
    """What a layer shows: one sheet as it is, or both on white paper."""
    if layer == "overlay":
        return laid.clean()
    return (laid.old if layer == "old" else laid.new,)


def _pyramid(gray: Gray, levels: int) -> list[Gray]:
    """A picture in all sizes, each half of the next; the last is the picture itself."""
    import cv2

    held = [gray]
    while len(held) < levels:
        size = (-(-held[0].shape[1] // 2), -(-held[0].shape[0] // 2))
        held.insert(0, cv2.resize(held[0], size, interpolation=cv2.INTER_AREA))
    return held


def _toned(grays: Sequence[Gray]) -> tuple[Gray, NDArray[Any]]:
    """One sheet, or the old and the new one, as rows × columns of colours' numbers; and the colours:
    red, green and blue from 0 to 255.
    """
    import cv2
    import numpy

    steps = numpy.arange(256)
    nearest = ((steps * (_TONES - 1) + 127) // 255).astype(numpy.uint8)
    first, *rest = (cv2.LUT(gray, nearest) for gray in grays)
    light = numpy.arange(_TONES)[:, None] / (_TONES - 1)
    if not rest:
        return first, numpy.round(255 * numpy.repeat(light, 3, axis=1)).astype(numpy.uint8)
    one, other = (1 - (1 - light) * (255 - numpy.array(tone)) / 255 for tone in (OLD, NEW))
    colours = numpy.round(255 * one[:, None] * other[None]).astype(numpy.uint8)
    return first * _TONES + rest[0], colours.reshape(-1, 3)


def _png(toned: Gray, colours: NDArray[Any]) -> bytes:
    import numpy
    from PIL import Image

    rows, columns = toned.shape
    held = Image.frombuffer("P", (columns, rows), numpy.ascontiguousarray(toned), "raw", "P", 0, 1)
    held.putpalette(colours.tobytes())
    out = io.BytesIO()
    bits = 4 if len(colours) <= _TONES else 8
    # Runs of one tone are most of a drawing: to look for them alone is fastest, and no larger.
    held.save(out, "PNG", bits=bits, compress_level=1, compress_type=zlib.Z_RLE)
    return out.getvalue()


# --- clouds


def _bows(rect: Rect) -> list[tuple[float, float]]:
    """Where the bows of a cloud around a rectangle begin: points on a rectangle around it, clockwise."""
    left, top, right, bottom = (
        rect[0] - _AWAY,
        rect[1] - _AWAY,
        rect[2] + _AWAY,
        rect[3] + _AWAY,
    )
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    points = []
    for (x0, y0), (x1, y1) in pairwise(corners):
        count = max(2, round(math.hypot(x1 - x0, y1 - y0) / _BOW))
        points += [(x0 + (x1 - x0) * i / count, y0 + (y1 - y0) * i / count) for i in range(count)]
    return points


def _curves(rect: Rect) -> list[tuple[tuple[float, float], ...]]:
    """A cloud's bows as Bézier curves of four points, bulging outwards (y down, clockwise)."""
    points = _bows(rect)
    curves: list[tuple[tuple[float, float], ...]] = []
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
        ux, uy = (y1 - y0) * 0.55, -(x1 - x0) * 0.55
        curves.append(((x0, y0), (x0 + ux, y0 + uy), (x1 + ux, y1 + uy), (x1, y1)))
    return curves


def _bows_flat(rect: Rect) -> list[tuple[float, float]]:
    found = []
    for a, b, c, d in _curves(rect):
        for step in range(6):
            t = step / 6
            s = 1 - t
            found.append(
                tuple(
                    s**3 * p + 3 * s * s * t * q + 3 * s * t * t * r + t**3 * w
                    for p, q, r, w in zip(a, b, c, d, strict=True)
                )
            )
    return found  # type: ignore[return-value]


def _cloud(change: SheetChange, number: int, height: float) -> str:
    """PDF operators that draw a cloud and its number; y is turned up."""
    curves = _curves(change.rect)
    out = [f"{curves[0][0][0]:.2f} {height - curves[0][0][1]:.2f} m"]
    for curve in curves:
        out.append(" ".join(f"{x:.2f} {height - y:.2f}" for x, y in curve[1:]) + " c")
    x, y = change.rect[2] + _AWAY + 3, height - change.rect[1] + _AWAY
    return " ".join(out) + f" s BT /F 9 Tf {x:.2f} {y:.2f} Td ({number}) Tj ET"


# --- PDF


def overlay_pdf(comparison: Comparison, old: SheetPage, new: SheetPage) -> bytes:
    """The sheets over each other with clouds numbered as `comparison.changes` are, from 1. Vectors
    stay vectors.

    Raises `FileRefused` where a page cannot be taken out of its file.
    """
    book = _Book(comparison.width, comparison.height)
    book.say("/Multiply gs")
    for page, name, tone, matrix in (
        (old, "Old", OLD, comparison.alignment.matrix),
        (new, "New", NEW, (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)),
    ):
        inner = book.form_of(page, matrix, comparison, clean=True)
        width, height = comparison.width, comparison.height
        r, g, b = (f"{part / 255:.4f}" for part in tone)
        whole = f"0 0 {width:.3f} {height:.3f} re f"
        # On white paper: to grey first, then every grey to a tint of the colour.
        paper, turned = "1 g", ""
        if page.dark and not page.scan:  # a scan's picture is on white already
            paper, turned = "0 g", f"q /Difference gs 1 g {whole} Q "
        book.group(
            name,
            f"{paper} {whole} q /SheetPage Do Q {turned}q /Hue gs 0.5 g {whole} Q "
            f"q /Screen gs {r} {g} {b} rg {whole} Q",
            {"/SheetPage": inner},
        )
        book.say(f"q /{name} Do Q")
    book.say("/Normal gs")
    book.clouds(comparison.changes, 0.0)
    return book.finished()


def side_by_side(comparison: Comparison, old: SheetPage, new: SheetPage) -> bytes:
    """The old sheet to the left, laid as the new one to the right lies; clouds on both. Raises
    `FileRefused`.
    """
    width, height = comparison.width, comparison.height
    book = _Book(2 * width, height)
    for page, name, matrix, at in (
        (old, "Old", comparison.alignment.matrix, 0.0),
        (new, "New", (1.0, 0.0, 0.0, 1.0, 0.0, 0.0), width),
    ):
        inner = book.form_of(page, matrix, comparison)
        clip = f"0 0 {width:.3f} {height:.3f} re W n"
        book.group(name, f"{clip} q /SheetPage Do Q", {"/SheetPage": inner})
        book.say(f"q 1 0 0 1 {at:.3f} 0 cm /{name} Do Q")
        book.clouds(comparison.changes, at)
    return book.finished()


class _Book:
    """A PDF of one page that is being made."""

    def __init__(self, width: float, height: float) -> None:
        import pypdf
        import pypdf.generic as pdf

        self._pdf = pdf
        self._writer = pypdf.PdfWriter()
        self._page = self._writer.add_blank_page(width, height)
        self._height = height
        self._said: list[str] = []
        self._forms: dict[str, Any] = {}
        modes = {each: each for each in ("Multiply", "Screen", "Difference", "Normal")}
        self._states = self._dictionary(
            {
                f"/{name}": self._dictionary({"/BM": pdf.NameObject(f"/{mode}")})
                for name, mode in {**modes, "Hue": "Color"}.items()
            }
        )

    def _dictionary(self, held: dict[str, Any]) -> Any:
        pdf = self._pdf
        return pdf.DictionaryObject({pdf.NameObject(key): value for key, value in held.items()})

    def _numbers(self, values: Sequence[float]) -> Any:
        return self._pdf.ArrayObject([self._pdf.FloatObject(f"{value:.6f}") for value in values])

    def say(self, operators: str) -> None:
        """Add operators to the page."""
        self._said.append(operators)

    def _stream(self, data: bytes, held: dict[str, Any], packed: bool = True) -> Any:
        pdf = self._pdf
        stream = pdf.StreamObject()
        stream.set_data(data)
        if packed:
            stream = stream.flate_encode()
        for key, value in held.items():
            stream[pdf.NameObject(key)] = value
        return self._writer._add_object(stream)

    def group(self, name: str, operators: str, forms: dict[str, Any]) -> None:
        """A form that is painted by itself before it comes on the page."""
        name_of = self._pdf.NameObject
        about = self._dictionary(
            {
                "/S": name_of("/Transparency"),
                "/CS": name_of("/DeviceRGB"),
                "/I": self._pdf.BooleanObject(True),
            }
        )
        resources = {"/XObject": self._dictionary(forms), "/ExtGState": self._states}
        width = float(self._page.mediabox.width)
        self._forms[f"/{name}"] = self._stream(
            operators.encode(),
            {
                "/Type": name_of("/XObject"),
                "/Subtype": name_of("/Form"),
                "/BBox": self._numbers((0, 0, width, self._height)),
                "/Group": about,
                "/Resources": self._dictionary(resources),
            },
        )

    def form_of(
        self, page: SheetPage, matrix: Matrix, comparison: Comparison, clean: bool = False
    ) -> Any:
        """A page, laid by `matrix` (points, y down), as a form; a scan as the picture that was compared."""
        name_of = self._pdf.NameObject
        if page.scan:
            return self._picture_of(page, comparison, clean)
        import pypdf

        source = pypdf.PdfReader(io.BytesIO(one_page(page.drawing.data, page.number))).pages[0]
        box = source.cropbox
        left, low, right, high = (float(each) for each in (*box.lower_left, *box.upper_right))
        shown: Matrix = {  # the page's own axes → what is shown, y up
            0: (1, 0, 0, 1, -left, -low),
            90: (0, -1, 1, 0, -low, right),
            180: (-1, 0, 0, -1, right, high),
            270: (0, 1, -1, 0, high, -left),
        }[source.rotation % 360]
        flip_old: Matrix = (1, 0, 0, -1, 0, page.height)
        flip_new: Matrix = (1, 0, 0, -1, 0, comparison.height)
        whole = _after(_after(_after(shown, flip_old), matrix), flip_new)
        contents = source.get_contents()
        resources = source.get("/Resources") or self._dictionary({})
        return self._stream(
            contents.get_data() if contents is not None else b"",
            {
                "/Type": name_of("/XObject"),
                "/Subtype": name_of("/Form"),
                "/BBox": self._numbers((left, low, right, high)),
                "/Matrix": self._numbers(whole),
                "/Resources": resources.get_object().clone(self._writer),
            },
        )

    def _picture_of(self, page: SheetPage, comparison: Comparison, clean: bool) -> Any:
        import cv2

        laid = comparison.aligned
        pictures = laid.clean() if clean else (laid.old, laid.new)
        gray = pictures[page.gray is laid.new]
        _, jpeg = cv2.imencode(".jpg", gray, [cv2.IMWRITE_JPEG_QUALITY, 60])
        name_of, number = self._pdf.NameObject, self._pdf.NumberObject
        inner = self._stream(
            jpeg.tobytes(),
            {
                "/Type": name_of("/XObject"),
                "/Subtype": name_of("/Image"),
                "/Width": number(gray.shape[1]),
                "/Height": number(gray.shape[0]),
                "/ColorSpace": name_of("/DeviceGray"),
                "/BitsPerComponent": number(8),
                "/Filter": name_of("/DCTDecode"),
            },
            packed=False,
        )
        k = 72 / comparison.alignment.dpi
        width, height = gray.shape[1] * k, gray.shape[0] * k
        low = comparison.height - height
        return self._stream(
            f"q {width:.4f} 0 0 {height:.4f} 0 {low:.4f} cm /I Do Q".encode(),
            {
                "/Type": name_of("/XObject"),
                "/Subtype": name_of("/Form"),
                "/BBox": self._numbers((0, low, width, comparison.height)),
                "/Resources": self._dictionary({"/XObject": self._dictionary({"/I": inner})}),
            },
        )

    def clouds(self, changes: Sequence[SheetChange], at: float) -> None:
        """A cloud around each change, with its number."""
        r, g, b = (part / 255 for part in CLOUD)
        out = [
            f"q 1 0 0 1 {at:.3f} 0 cm 1.2 w {r:.3f} {g:.3f} {b:.3f} RG {r:.3f} {g:.3f} {b:.3f} rg"
        ]
        out += [_cloud(change, number, self._height) for number, change in enumerate(changes, 1)]
        self.say("\n".join([*out, "Q"]))

    def finished(self) -> bytes:
        """The file."""
        name_of = self._pdf.NameObject
        font = self._dictionary(
            {
                "/Type": name_of("/Font"),
                "/Subtype": name_of("/Type1"),
                "/BaseFont": name_of("/Helvetica-Bold"),
            }
        )
        self._page[name_of("/Resources")] = self._dictionary(
            {
                "/XObject": self._dictionary(self._forms),
                "/ExtGState": self._states,
                "/Font": self._dictionary({"/F": font}),
            }
        )
        self._page[name_of("/Contents")] = self._stream("\n".join(self._said).encode(), {})
        held = io.BytesIO()
        self._writer.write(held)
        return held.getvalue()


def _after(first: Matrix, then: Matrix) -> Matrix:
    """Do one, then the other."""
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return (
        a * p + b * r,
        a * q + b * s,
        c * p + d * r,
        c * q + d * s,
        e * p + f * r + t,
        e * q + f * s + u,
    )
