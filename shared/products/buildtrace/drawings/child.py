"""Opens files that strangers made, as a program: `document` runs it in a process of its own.

The file comes by standard input, what to do as JSON in the first argument; the answer is a line of
JSON and, for
a picture or a page, bytes after it. Before it reads a byte it bounds its own memory, time and output.
"""

from __future__ import annotations

import io
import json
import math
import sys
from typing import Any

#: Pages of one file; lines, letters and pictures of one page. A dense A0 plan has some hundred thousand.
MOST_PAGES, MOST_OBJECTS = 500, 600_000

#: Side of a page in points: what PDF allows (ISO 32000-1, annex C), 5.08 m.
MOST_POINTS = 14_400

#: Pixels of a page that is shown, and of a picture that somebody sent. A0 at 300 dpi has 140 million.
MOST_PIXELS, MOST_PIXELS_SENT = 90_000_000, 300_000_000

#: Letters of a page that are looked at.
MOST_LETTERS = 200_000

#: Address space and output in bytes, time on the processor in seconds.
MEMORY, OUTPUT, CPU_SECONDS = 1100 * 2**20, 256 * 2**20, 4

#: What a page is shown at, dots per inch; a scan of fewer down to the least is shown as it is.
DPI, LEAST_DPI = 200.0, 140.0

#: Dots per inch of a picture that does not say, or says nonsense.
DPI_UNSAID = 200

PDF = "application/pdf"

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
)


class Unusable(Exception):
    """The file cannot be used; the text is a code of `document.REFUSALS`."""


def type_of(head: bytes) -> str:
    """The media type that a file's first bytes say; "" if it is none of ours."""
    if b"%PDF-" in head:  # readers take it within the first 1,024 bytes
        return PDF
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


# --- PDF


def _raw() -> Any:
    """PDFium itself: what the package makes of it has no types."""
    import pypdfium2.raw

    return pypdfium2.raw


def _open(data: bytes) -> Any:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)  # type: ignore[no-untyped-call]
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", 0) == _raw().FPDF_ERR_PASSWORD:
            raise Unusable("drawing_encrypted") from error
        raise Unusable("drawing_broken") from error
    if not len(document):
        raise Unusable("drawing_empty")
    if len(document) > MOST_PAGES:
        raise Unusable("drawing_too_many_pages")
    return document


def _page(document: Any, number: int) -> Any:
    import pypdfium2

    raw = _raw()

    width, height = document.get_page_size(number)
    if not (1 <= width <= MOST_POINTS and 1 <= height <= MOST_POINTS):
        raise Unusable("drawing_page_too_large")
    try:
        page = document[number]
    except pypdfium2.PdfiumError as error:
        raise Unusable("drawing_broken") from error
    if raw.FPDFPage_CountObjects(page) > MOST_OBJECTS:
        raise Unusable("drawing_too_complex")
    return page


def _look_at_pdf(data: bytes) -> dict[str, Any]:
    """All sizes, and as many pages parsed as a second allows: the rest is refused when it is shown."""
    import time

    document = _open(data)
    sizes = []
    began = time.process_time()
    for number in range(len(document)):
        sizes.append(document.get_page_size(number))
        if not (1 <= max(sizes[-1]) <= MOST_POINTS and min(sizes[-1]) >= 1):
            raise Unusable("drawing_page_too_large")
        if time.process_time() - began < 1:
            _page(document, number).close()
    return {"pages": sizes}


def _scanned_at(page: Any) -> float:
    """Dots per inch of the pictures that cover nearly all of the page; 0: they do not, or more than a
    little is drawn beside them.

    A scan is one picture, or strips and tiles of one, or layers over each other: the lines fine, the paper
    coarse. Of those the finest counts that covers a third of the page.
    """
    raw = _raw()

    if raw.FPDFPage_CountObjects(page) > 2_000:
        return 0.0
    area, drawn = page.get_width() * page.get_height(), 0
    pictures: list[tuple[float, float]] = []  # dots per inch, share of the page
    for each in page.get_objects(max_depth=3):
        if each.type == raw.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = each.get_bounds()
            size = (right - left) * (top - bottom)
            if size > 0:
                columns, rows = each.get_px_size()
                pictures.append((72 * math.sqrt(columns * rows / size), size / area))
        elif each.type == raw.FPDF_PAGEOBJ_PATH:
            drawn += 1
    if drawn >= 50 or sum(share for _, share in pictures) <= 0.6:
        return 0.0
    covered = 0.0
    for dpi, share in sorted(pictures, reverse=True):
        covered += share
        if covered > 0.33:
            return dpi
    return 0.0


def _shown(page: Any, dpi: float, matrix: Any, size: Any, dark: bool) -> tuple[int, int, bytes]:
    """Columns, rows and grey values. `matrix` takes points from the top left corner to pixels.

    What lies around a page is white, or black if it is a `dark` one.
    """
    import ctypes

    raw = _raw()

    a, b, c, d, e, f = matrix or (dpi / 72, 0, 0, dpi / 72, 0, 0)
    columns, rows = size or (
        math.ceil(page.get_width() * dpi / 72 - 0.01),
        math.ceil(page.get_height() * dpi / 72 - 0.01),
    )
    if columns * rows > MOST_PIXELS:
        raise Unusable("drawing_page_too_large")
    bitmap = raw.FPDFBitmap_CreateEx(columns, rows, raw.FPDFBitmap_Gray, None, 0)
    around = 0xFF000000 if dark else 0xFFFFFFFF
    raw.FPDFBitmap_FillRect(bitmap, 0, 0, columns, rows, around)
    raw.FPDF_RenderPageBitmapWithMatrix(
        bitmap,
        page,
        raw.FS_MATRIX(a, b, c, d, e, f),
        raw.FS_RECTF(0, 0, columns, rows),
        raw.FPDF_ANNOT,
    )
    stride = raw.FPDFBitmap_GetStride(bitmap)
    held = ctypes.string_at(raw.FPDFBitmap_GetBuffer(bitmap), stride * rows)
    raw.FPDFBitmap_Destroy(bitmap)
    if stride != columns:
        held = b"".join(held[row * stride : row * stride + columns] for row in range(rows))
    return columns, rows, held


def _letters(page: Any) -> list[tuple[str, float, float, float, float, float, float, float, float]]:
    """Each letter: sign, left, top, right, bottom, origin x and y, angle (radians), size; blanks as "".

    In points of the page as it is shown.
    """
    from ctypes import byref, c_double, c_int

    raw = _raw()

    text = page.get_textpage()
    wide, high = 1 << 20, 1 << 20  # device units: exact to a hundredth of a point
    width, height = page.get_width(), page.get_height()
    x, y = c_int(), c_int()

    def shown(at_x: float, at_y: float) -> tuple[float, float]:
        raw.FPDF_PageToDevice(page, 0, 0, wide, high, 0, at_x, at_y, byref(x), byref(y))
        return x.value / wide * width, y.value / high * height

    # The way from the page's own axes to what is shown is affine: three points tell it.
    x0, y0 = shown(0, 0)
    x1, y1 = shown(1000, 0)
    x2, y2 = shown(0, 1000)
    ax, ay, bx, by = (x1 - x0) / 1000, (y1 - y0) / 1000, (x2 - x0) / 1000, (y2 - y0) / 1000
    turned = round(math.atan2(-ay, ax) / (math.pi / 2)) * math.pi / 2
    found = []
    left, right, bottom, top, ox, oy = (c_double() for _ in range(6))
    matrix = raw.FS_MATRIX()
    for index in range(min(text.count_chars(), MOST_LETTERS)):
        sign = chr(raw.FPDFText_GetUnicode(text, index))
        if sign.isspace() or ord(sign) < 32 or raw.FPDFText_IsGenerated(text, index) == 1:
            found.append(("", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
            continue
        raw.FPDFText_GetCharBox(text, index, byref(left), byref(right), byref(bottom), byref(top))
        raw.FPDFText_GetCharOrigin(text, index, byref(ox), byref(oy))
        xs = [
            x0 + ax * u + bx * v
            for u in (left.value, right.value)
            for v in (bottom.value, top.value)
        ]
        ys = [
            y0 + ay * u + by * v
            for u in (left.value, right.value)
            for v in (bottom.value, top.value)
        ]
        angle = raw.FPDFText_GetCharAngle(text, index)
        angle = turned - angle if angle >= 0 else 0.0
        raw.FPDFText_GetMatrix(text, index, matrix)
        size = raw.FPDFText_GetFontSize(text, index) * math.hypot(matrix.c, matrix.d)
        found.append(
            (
                sign,
                min(xs),
                min(ys),
                max(xs),
                max(ys),
                x0 + ax * ox.value + bx * oy.value,
                y0 + ay * ox.value + by * oy.value,
                angle,
                size,
            )
        )
    return found


def _words(page: Any) -> list[tuple[str, float, float, float, float, float, float]]:
    """Letters that follow each other on one line, without a gap: words."""
    words: list[tuple[str, float, float, float, float, float, float]] = []
    held: list[Any] = []

    def end() -> None:
        if held:
            lefts, tops, rights, bottoms = zip(*(each[1:5] for each in held), strict=True)
            angle = math.degrees(held[0][7]) % 360
            words.append(
                (
                    "".join(each[0] for each in held),
                    round(min(lefts), 3),
                    round(min(tops), 3),
                    round(max(rights), 3),
                    round(max(bottoms), 3),
                    round(angle, 1),
                    held[0][8],
                )
            )
            held.clear()

    for letter in _letters(page):
        if not letter[0]:
            end()
            continue
        if held:
            last = held[-1]
            cos, sin = math.cos(last[7]), math.sin(last[7])
            dx, dy = letter[5] - last[5], letter[6] - last[6]
            along, across = dx * cos - dy * sin, dx * sin + dy * cos
            extent = max(
                abs(last[3] - last[1]) * abs(cos) + abs(last[4] - last[2]) * abs(sin), last[8] * 0.2
            )
            if (
                abs(letter[7] - last[7]) > 0.02
                or abs(across) > last[8] * 0.4
                or along < -last[8] * 0.3
                or along > extent + last[8] * 0.35
            ):
                end()
        held.append(letter)
    end()
    return words


# --- pictures


def _picture(data: bytes, number: int) -> Any:
    """A picture of the file, not decoded yet. Its size is known before a pixel is."""
    import warnings

    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None
    warnings.simplefilter("ignore")
    try:
        picture = Image.open(io.BytesIO(data), formats=("PNG", "TIFF", "JPEG"))
        picture.seek(number)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise Unusable("drawing_broken") from error
    if picture.width * picture.height > MOST_PIXELS_SENT:
        raise Unusable("drawing_page_too_large")
    return picture


def _dpi_of(picture: Any) -> float:
    said = picture.info.get("dpi", (0, 0))[0]
    return float(said) if 50 <= said <= 1300 else float(DPI_UNSAID)


def _turned(picture: Any) -> bool:
    """Does the camera say that width and height are to be exchanged?"""
    return picture.getexif().get(0x0112, 1) in (5, 6, 7, 8)


def _look_at_picture(data: bytes) -> dict[str, Any]:
    first = _picture(data, 0)
    count = getattr(first, "n_frames", 1)
    if count > MOST_PAGES:
        raise Unusable("drawing_too_many_pages")
    sizes = []
    for number in range(count):
        picture = _picture(data, number)
        points = 72 / _dpi_of(picture)
        width, height = picture.width * points, picture.height * points
        if max(width, height) > MOST_POINTS:
            raise Unusable("drawing_page_too_large")
        sizes.append((height, width) if _turned(picture) else (width, height))
    try:  # is it whole?
        first.draft("L", (first.width // 8, first.height // 8))
        first.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise Unusable("drawing_broken") from error
    return {"pages": sizes}


def _gray(data: bytes, number: int, dpi: float) -> Any:
    from PIL import Image, ImageOps

    picture = _picture(data, number)
    share = dpi / _dpi_of(picture)
    wide, high = (
        picture.size[::-1] if _turned(picture) else picture.size
    )  # a draft has fewer pixels
    try:
        picture.draft("L", (int(picture.width * share), int(picture.height * share)))
        if picture.mode.startswith("I"):  # 16 bits
            picture = picture.convert("I").point(lambda value: value / 256).convert("L")
        if "transparency" in picture.info:
            picture = picture.convert("RGBA")
        gray = picture.convert("L")
        if "A" in picture.getbands() and picture.getextrema()[-1] != (255, 255):
            white, info = Image.new("L", gray.size, "white"), gray.info
            gray = Image.composite(gray, white, picture.getchannel("A"))
            gray.info = info  # which way is up
        gray = ImageOps.exif_transpose(gray)
    except (OSError, SyntaxError, ValueError) as error:
        raise Unusable("drawing_broken") from error
    size = max(1, round(wide * share)), max(1, round(high * share))
    if size[0] * size[1] > MOST_PIXELS:
        raise Unusable("drawing_page_too_large")
    if gray.size != size:
        gray = gray.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)
    return gray


# --- light on dark


#: Grey values the other way round.
_NEGATIVE = bytes(range(255, -1, -1))

#: Pixels that are looked at, to know whether a page is dark.
_SAMPLE = 50_000

#: Up to which grey paper may be dark, how far from it ink is, and the largest part of a page that is ink:
#: what is more, on the black bed of a scanner, is a sheet.
_DARKEST_PAPER, _INK_AWAY, _MOST_INK = 140, 40, 0.2


def _is_dark(gray: bytes) -> bool:
    """Whether it is drawn in light on dark: a blueprint, or the background of a CAD program's window."""
    seen = sorted(gray[:: max(1, len(gray) // _SAMPLE)])
    paper = seen[len(seen) // 2]
    lighter = sum(value > paper + _INK_AWAY for value in seen)
    darker = sum(value < paper - _INK_AWAY for value in seen)
    return paper < _DARKEST_PAPER and darker < lighter < _MOST_INK * len(seen)


# --- the program


def _answer(asked: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    pdf = asked["type"] == PDF
    if asked["do"] == "look":
        return (_look_at_pdf if pdf else _look_at_picture)(data), b""
    number, dpi, dark = asked["number"], asked.get("dpi", 0), asked.get("dark")
    if asked["do"] == "cut":
        return {}, _cut(data, number)
    if not pdf:
        dpi = dpi or _shown_at(_dpi_of(_picture(data, number)))
        gray = _gray(data, number, dpi)
        said = {"pixels": gray.size, "dpi": dpi, "scan": True, "words": []}
        return _on_white(said, gray.tobytes(), dark)
    page = _page(_open(data), number)
    own = _scanned_at(page)
    dpi = dpi or _shown_at(own)
    columns, rows, held = _shown(page, dpi, asked["matrix"], asked["size"], bool(dark))
    words = [] if asked["matrix"] else _words(page)
    said = {"pixels": (columns, rows), "dpi": dpi, "scan": own > 0, "words": words}
    return _on_white(said, held, dark)


def _on_white(said: dict[str, Any], gray: bytes, dark: bool | None) -> tuple[dict[str, Any], bytes]:
    """A page as it would be on white paper. `dark`: whether it is none, as was found before."""
    dark = _is_dark(gray) if dark is None else dark
    return {**said, "dark": dark}, gray.translate(_NEGATIVE) if dark else gray


def _shown_at(own: float) -> float:
    """At how many dots per inch a page is shown whose picture has so many of its own."""
    return own if LEAST_DPI <= own <= DPI else DPI


def _cut(data: bytes, number: int) -> bytes:
    import pypdfium2

    document = _open(data)
    _page(document, number)
    cut: Any = pypdfium2.PdfDocument.new()  # type: ignore[no-untyped-call]
    cut.import_pages(document, [number])
    held = io.BytesIO()
    cut.save(held)
    return held.getvalue()


def main() -> None:
    """Bound this process, then answer."""
    import resource

    for kind, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, OUTPUT),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    try:
        said, held = _answer(json.loads(sys.argv[1]), sys.stdin.buffer.read())
    except Unusable as refusal:
        said, held = {"refused": str(refusal)}, b""
    except MemoryError:
        said, held = {"refused": "drawing_too_heavy"}, b""
    except Exception:  # whatever a library stumbles over, it is the file
        said, held = {"refused": "drawing_broken"}, b""
    sys.stdout.buffer.write(json.dumps(said).encode() + b"\n" + held)


if __name__ == "__main__":
    main()
