"""What a photo's file says of itself, read before any decoder sees it.

JPEG (ISO/IEC 10918-1, annex B), PNG (its chunks), WebP (RIFF). Promises:

- Width and height come from the header; nothing is decoded, nothing inflated.
- A file that ends too early is found here already.
- What a decoder is given ends where the picture ends, and holds no EXIF, XMP or comment of a JPEG: a
  parser that is not asked cannot be attacked. (Pillow reads EXIF as it opens a JPEG, and writes its values
  to the debug log.)
- Time and memory are bounded: so many segments, so many scans.

HEIC is left to libheif, which reads its boxes under limits of its own.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

JPEG, PNG, WEBP, HEIC = "image/jpeg", "image/png", "image/webp", "image/heic"
PDF = "application/pdf"

#: Segments of a JPEG and chunks of a PNG. A photo has tens; a PNG of 20 MB in pieces of 8 KiB has 2,500.
MOST_PARTS = 20_000
#: Scans of one JPEG. Progressive photos have about ten. Each costs a pass over all pixels, though it
#: may be ten bytes long: without a limit a small file keeps a decoder busy for hours (libjpeg-turbo,
#: "Two Issues with the JPEG Standard").
MOST_SCANS = 64
#: Bytes of a colour profile. Display P3 has 500, a printer's about half a million.
MOST_PROFILE = 1 << 20

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
#: Brands of still pictures in HEVC; `mif1` is the general one, whose content the decoder judges.
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1")


class Broken(ValueError):
    """Not a whole file of its kind."""


class Outline(NamedTuple):
    """A photo's size as it is stored (before it is turned), and the bytes that a decoder needs.

    `exif` is the EXIF block of a JPEG; those of PNG and WebP are found by their decoders.
    """

    width: int
    height: int
    data: bytes
    exif: bytes = b""


def kind(head: bytes) -> str | None:
    """The media type that the first bytes (at least 16) stand for; None for all others.

    One type or none: what is also something else further on (a polyglot) is taken as what it begins with.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(_PNG_MAGIC):
        return PNG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        return HEIC
    return PDF if head.startswith(b"%PDF-") else None


def outline(type_: str, data: bytes) -> Outline:
    """Read a JPEG, PNG or WebP. Raises `Broken`."""
    try:
        found = {JPEG: _jpeg, PNG: _png, WEBP: _webp}[type_](data)
    except (struct.error, IndexError):
        raise Broken from None
    if not (found.width and found.height):
        raise Broken
    return found


# --- JPEG

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
#: Frame headers: SOF0 to SOF15 without DHT, JPG and DAC.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
#: The next marker; in a coded picture FF is followed by stuffing (00) or a restart (D0 to D7).
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_ICC = b"ICC_PROFILE\x00"


def _jpeg(data: bytes) -> Outline:
    # Bytes behind the end are left out, not refused: Samsung's phones, motion photos and pictures with a
    # gain map (MPO) all carry some, and no decoder gets to see them.
    kept, at, scans, profile = [data[:2]], 2, 0, 0
    size: tuple[int, int] | None = None
    exif, coded = b"", 0
    for _ in range(MOST_PARTS):
        found = _MARKER.search(data, at)
        if found is None:
            raise Broken
        marker, body = data[found.start() + 1], found.end()
        if marker == _END:
            if size is None or not scans:
                raise Broken
            return Outline(*size, b"".join([*kept, data[coded : found.end()]]), exif)
        if marker < 0xC0 or marker == _START:
            raise Broken
        (length,) = struct.unpack_from(">H", data, body)
        at = body + length
        if length < 2 or at > len(data):
            raise Broken
        if marker in _FRAMES:
            if size is not None:
                raise Broken
            height, width = struct.unpack_from(">HH", data, body + 3)
            size = width, height
        elif marker == _SCAN:
            scans += 1
            coded = coded or found.start()
            if scans > MOST_SCANS:
                raise Broken
        elif marker == 0xE1 and data.startswith(b"Exif\x00", body + 2):
            exif = exif or data[body + 2 : at]
        elif marker == 0xE2 and data.startswith(_ICC, body + 2):
            profile += length
        if not coded and (
            not (0xE0 <= marker <= 0xEF or marker == 0xFE)
            or marker in (0xE0, 0xEE)  # JFIF and Adobe: how colours are coded
            or (marker == 0xE2 and data.startswith(_ICC, body + 2) and profile <= MOST_PROFILE)
        ):
            kept.append(data[found.start() : at])
    raise Broken


# --- PNG and WebP


def _png(data: bytes) -> Outline:
    at = len(_PNG_MAGIC)
    _, first, width, height = struct.unpack_from(">I4sII", data, at)
    if first != b"IHDR":
        raise Broken
    for _ in range(MOST_PARTS):
        length, name = struct.unpack_from(">I4s", data, at)
        at += 12 + length
        if at > len(data):
            raise Broken
        if name == b"IEND":
            return Outline(width, height, data[:at])
    raise Broken


def _webp(data: bytes) -> Outline:
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 > len(data):
        raise Broken
    name, body = data[12:16], data[20:30]
    if name == b"VP8X":
        width = int.from_bytes(body[4:7], "little") + 1
        height = int.from_bytes(body[7:10], "little") + 1
    elif name == b"VP8L" and body[0] == 0x2F:
        (bits,) = struct.unpack_from("<I", body, 1)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif name == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", body, 6))
    else:
        raise Broken
    return Outline(width, height, data[: length + 8])


# --- which way is up


def orientation(exif: bytes) -> int:
    """EXIF's orientation, 1 to 8; 1 if there is none, or none that makes sense.

    Only this tag of the first directory is read. XMP may say it too, and is not asked.
    """
    tiff = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2], "")
    if not order:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, at)
        for number in range(entries):
            tag, form, _, value = struct.unpack_from(order + "HHIH", tiff, at + 2 + 12 * number)
            if tag == 0x0112:
                return value if form == 3 and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
