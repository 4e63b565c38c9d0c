"""Photos: is a file what it says, and the small copies that a model and a screen are given.

Hostile input is expected. Promises:

- The header decides first: another kind of file, or too many pixels, is refused before it is decoded.
- A photo is decoded to its end before it is taken; only the decoders of four formats are open to it. A
  JPEG that breaks off is taken as far as it goes, and said to be incomplete.
- Every failure on the way is `FileRefused`, with a code and a fixed sentence: nothing of the file, and
  nothing of its EXIF, is in a message or a log.
- A copy is a new JPEG of pixels alone: sRGB, upright, without EXIF, position, XMP, profile, comments.
- A process stays under 512 MB for every photo that is taken (`MOST_PIXELS_OF`).

Of several pictures in a file the first (HEIC: the primary one) is taken. A PDF is only checked for its
beginning and its end.

Limits: a JPEG whose coded picture is damaged in the middle, and goes on behind it, is taken and not called
incomplete; the upload's SHA-256 finds what the network damaged. Decoders are C libraries in this process.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, NamedTuple

import pillow_heif
from PIL import Image, ImageCms, ImageFile

from shared.errors import FileRefused
from shared.files import container
from shared.files.container import HEIC, JPEG, PDF, PNG, TIFF, WEBP
from shared.files.file import PhotoLimits
from shared.files.quality import Quality, judge

#: Media types that are taken as photos.
PHOTOS = (JPEG, PNG, WEBP, HEIC)
DOCUMENTS = (PDF,)
#: The longest edges of copies, px: what the eyes of Gemma (896) and SigLIP (448) look at.
EDGES = (896, 448)
#: Pixels of any photo: the main cameras of today's phones give 12, 24 or 48 million.
MOST_PIXELS = 50_000_000
#: Pixels by format. libwebp keeps four copies of the whole picture, 16 bytes a pixel, so half must do.
MOST_PIXELS_OF = {JPEG: MOST_PIXELS, PNG: MOST_PIXELS, WEBP: 25_000_000, HEIC: MOST_PIXELS}
#: Quality of copies, of 100; colours are stored at full resolution, since redness is a sign.
JPEG_QUALITY = 90

#: What PIL calls the decoders. HEIC goes to libheif directly: its plug-in would need a third copy.
_FORMATS = {JPEG: "JPEG", PNG: "PNG", WEBP: "WEBP"}
#: Rows that are taken from a decoded photo at once, about.
_BAND = 256

# Both are global to the process, so they are only the second line: sizes are checked by us, and what
# ends too early is found before.
Image.MAX_IMAGE_PIXELS = MOST_PIXELS
ImageFile.LOAD_TRUNCATED_IMAGES = False


class Looked(NamedTuple):
    """What a file is. Width and height in px as it is shown (upright); None for a document."""

    type: str
    width: int | None
    height: int | None


class Derived(NamedTuple):
    """A copy: JPEG, longest edge at most `edge` px."""

    edge: int
    data: bytes
    width: int
    height: int


def look(file: BinaryIO, declared: str, *, scan: bool = False) -> Looked:
    """Is it what it says? Reads and decodes all of it; of a `scan` its outline alone, whatever its size.

    Raises `FileRefused`: `wrong_type` (another kind than declared, or none that is taken), `broken_file`
    (cut off, or not decodable), `too_many_pixels`.
    """
    data = _read(file)
    found = container.kind(data[:64])
    if found is None or found != declared:
        fault = _refused("wrong_type")
        fault.found = found
        raise fault
    if found == PDF:
        if b"%%EOF" not in data[-1024:]:
            raise _refused("broken_file")
        return Looked(found, None, None)
    if found == TIFF:
        order = "<I" if data[:1] == b"I" else ">I"
        if not 8 <= struct.unpack_from(order, data.ljust(8, b"\0"), 4)[0] < len(data):
            raise _refused("broken_file")
        return Looked(found, None, None)
    if scan:
        return Looked(found, *_outlined(found, data))
    photo = _decoded(
        found, data, 1
    )  # of a JPEG an eighth of each edge: quick, and reads every byte
    return Looked(found, *photo.upright)


def derive(
    file: BinaryIO, limits: PhotoLimits, edges: Sequence[int] = EDGES
) -> tuple[list[Derived], Quality]:
    """Copies of a photo in the order of `edges`, never enlarged, and what is to be said of its quality.

    Of a JPEG that breaks off what is there is shown, the rest is grey, and `incomplete` is said of its
    quality. Raises `FileRefused` like `look`; `broken_file` also if nothing of it can be shown.
    """
    data = _read(file)
    found = container.kind(data[:64])
    if found not in PHOTOS:
        raise _refused("wrong_type")
    photo = _decoded(found, data, max(edges))
    try:
        image = _shown(photo, max(edges))
        incomplete = found == JPEG and _incomplete(container.outline(JPEG, data))
    except FileRefused:
        raise
    except Exception:
        raise _refused("broken_file") from None
    quality = judge(image, *photo.upright, limits, incomplete=incomplete)
    return [_copy(image, edge) for edge in edges], quality


_REASONS = {
    "wrong_type": "The file is of another type than declared, or of none that is taken.",
    "broken_file": "The file is damaged or cut off: send it again, or take it again.",
    "too_many_pixels": "The photo has too many pixels: take it with a lower resolution.",
}


def _refused(code: str) -> FileRefused:
    return FileRefused(_REASONS[code], code=code)


def _read(file: BinaryIO) -> bytes:
    file.seek(0)
    return container.trimmed(file.read())


# --- decoding


class _Photo(NamedTuple):
    """A decoded photo, from which rows are taken: `band(top, bottom)`, of `decoded` size.

    `size` is that of the file as it is stored, `turned` EXIF's orientation, `profile` an ICC profile.
    """

    size: tuple[int, int]
    decoded: tuple[int, int]
    band: Callable[[int, int], Image.Image]
    turned: int
    profile: bytes

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height as it is shown."""
        width, height = self.size
        return (height, width) if self.turned >= 5 else (width, height)


def _decoded(type_: str, data: bytes, edge: int) -> _Photo:
    """Decode a photo to its end; a JPEG not much larger than needed for copies of `edge`."""
    try:
        return _heic(data) if type_ == HEIC else _pillow(type_, data, edge)
    except FileRefused:
        raise
    except Exception:  # of a decoder, at hostile input: it may be anything, and may quote the file
        raise _refused("broken_file") from None


def _check(type_: str, width: int, height: int) -> None:
    if width * height > MOST_PIXELS_OF[type_]:
        raise _refused("too_many_pixels")


def _outlined(type_: str, data: bytes) -> tuple[int, int]:
    """Width and height of a picture as it is shown, from its header. Raises `FileRefused`."""
    try:
        outline = container.outline(type_, data)
    except container.Broken:
        raise _refused("broken_file") from None
    turned = container.orientation(outline.exif, outline.xmp)
    return (outline.height, outline.width) if turned >= 5 else (outline.width, outline.height)


def _pillow(type_: str, data: bytes, edge: int) -> _Photo:
    outline = container.outline(type_, data)
    size = outline.width, outline.height
    _check(type_, *size)
    with Image.open(io.BytesIO(outline.data), formats=[_FORMATS[type_]]) as image:
        if image.size != size:
            raise container.Broken
        factor = max(1, max(size) // edge)
        image.draft(None, (max(1, size[0] // factor), max(1, size[1] // factor)))
        image.load()

        def band(top: int, bottom: int) -> Image.Image:
            return image.crop((0, top, image.width, bottom))

        exif = outline.exif or _bytes(image.info.get("exif"))
        xmp = outline.xmp or _bytes(image.info.get("xmp"))
        profile = _bytes(image.info.get("icc_profile"))
        return _Photo(size, image.size, band, container.orientation(exif, xmp), profile)


#: Put behind a coded picture to see whether a decoder still wants something: no marker, nothing but noise.
_FILLER = bytes(value % 255 for value in random.Random(1).randbytes(4096))  # noqa: S311
#: Pixels that are compared at most, where fine detail counts: those of a usual photo (4032 × 3024).
_MOST_COMPARED = 12_400_000


def _incomplete(jpeg: container.Outline) -> bool:
    """Whether a JPEG lacks part of its picture. Raises `FileRefused` if it lacks all of it.

    No decoder behind Pillow says so. It is seen by decoding twice: once as it is, once with noise before
    the end marker. What is whole stays the same; what breaks off takes the noise for its rest, from the
    row on where it breaks off. A missing end marker alone (many cameras and editors) is no loss.
    """
    if jpeg.scans > 1 and not jpeg.promised:
        return True
    # An eighth of each edge is quick, and shows every block; of several scans the last ones hold detail.
    scale = 8
    if jpeg.scans > 1 and not jpeg.ended:
        pixels = jpeg.width * jpeg.height
        scale = next(each for each in (1, 2, 4, 8) if pixels <= _MOST_COMPARED * each**2)
    coded = jpeg.data[:-2].rstrip(b"\xff")  # an FF before a marker only fills up
    plain = _rows(jpeg, jpeg.data, scale)
    try:
        noisy = _rows(jpeg, coded + _FILLER + jpeg.data[-2:], scale)
    except OSError:
        return True  # it took the noise, and made no sense of it
    if jpeg.scans == 1 and plain[0] != noisy[0]:
        raise _refused("broken_file")
    return plain != noisy or not jpeg.promised


def _rows(jpeg: container.Outline, data: bytes, scale: int) -> list[int]:
    """A checksum of each row, decoded at one of so many px."""
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        image.draft(None, (max(1, jpeg.width // scale), max(1, jpeg.height // scale)))
        width, height = image.size
        return [zlib.crc32(image.crop((0, row, width, row + 1)).tobytes()) for row in range(height)]


def _heic(data: bytes) -> _Photo:
    """The primary picture. libheif turns it itself and wants EXIF's orientation left alone.

    It refuses a coded picture that is larger than the boxes say, so the check holds.
    """
    file: Any = pillow_heif.HeifFile(io.BytesIO(data))  # type: ignore[no-untyped-call]
    image = file[file.primary_index]
    _check(HEIC, *image.size)
    pixels, stride, mode = memoryview(image.data), image.stride, image.mode
    width, height = image.size  # may have changed by decoding
    _check(HEIC, width, height)

    def band(top: int, bottom: int) -> Image.Image:
        rows = pixels[top * stride : bottom * stride]
        return Image.frombytes(mode, (width, bottom - top), rows, "raw", mode, stride)

    profile = _bytes(image.info.get("icc_profile"))
    return _Photo((width, height), (width, height), band, 1, profile)


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


# --- from what was decoded to what is shown

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _shown(photo: _Photo, edge: int) -> Image.Image:
    """The photo as RGB, sRGB, upright, without anything beside pixels; its longest edge below 2 · `edge`.

    Band by band, so that no second copy of the whole is made.
    """
    width, height = photo.decoded
    factor = max(1, max(width, height) // edge)
    rows = factor * max(1, _BAND // factor)
    shown: Image.Image | None = None
    for top in range(0, height, rows):
        band = _flat(photo.band(top, min(top + rows, height))).reduce(factor)
        if shown is None:
            shown = Image.new(band.mode, (-(-width // factor), -(-height // factor)))
        shown.paste(band, (0, top // factor))
    if shown is None:
        raise container.Broken
    shown = _in_srgb(shown, photo.profile)
    return shown.transpose(_TURNS[photo.turned]) if photo.turned in _TURNS else shown


def _flat(band: Image.Image) -> Image.Image:
    """RGB, or CMYK as it is; what is transparent is white."""
    if band.mode == "CMYK":
        return band
    if band.mode.startswith(("I", "F")):  # 16 bits of grey
        band = band.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    elif band.has_transparency_data:
        band = band.convert("RGBA")
        white = Image.new("RGB", band.size, "white")
        white.paste(band, mask=band.getchannel("A"))
        return white
    return band.convert("RGB")


_SRGB = ImageCms.createProfile("sRGB")


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Colours by the photo's own profile (iPhones: Display P3); as they are, if it has no usable one."""
    if 0 < len(profile) <= container.MOST_PROFILE:
        try:
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            made = ImageCms.profileToProfile(image, own, _SRGB, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            made = None  # a profile for other kinds of pixels, or none at all
        if made is not None:
            made.info.clear()
            return made
    return image.convert("RGB")


def _copy(image: Image.Image, edge: int) -> Derived:
    if max(image.size) > edge:
        image = image.copy()
        image.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=JPEG_QUALITY, subsampling="4:4:4")
    return Derived(edge, out.getvalue(), *image.size)
