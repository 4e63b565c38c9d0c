"""What a photo's file says of itself, read before any decoder sees it.

JPEG (ISO/IEC 10918-1, annex B), PNG (its chunks), WebP (RIFF). Promises:

- Width and height come from the header; nothing is decoded, nothing inflated.
- A PNG or WebP that ends too early is found here already. Of a JPEG what is there is given, ended as a
  decoder wants it, with a word on whether its end was missing.
- What a decoder is given ends where the picture ends, and holds no EXIF, XMP or comment of a JPEG: a
  parser that is not asked cannot be attacked. (Pillow reads EXIF as it opens a JPEG, and writes its values
  to the debug log.)
- Time and memory are bounded: so many segments, so many scans.

HEIC is left to libheif, which reads its boxes under limits of its own.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import NamedTuple

JPEG, PNG, WEBP, HEIC = "image/jpeg", "image/png", "image/webp", "image/heic"
PDF, TIFF = "application/pdf", "image/tiff"

#: Segments of a JPEG and chunks of a PNG. A photo has tens; a PNG of 20 MB in pieces of 8 KiB has 2,500.
MOST_PARTS = 20_000
#: Scans of one JPEG. Progressive photos have about ten. Each costs a pass over all pixels, though it
#: may be ten bytes long: without a limit a small file keeps a decoder busy for hours (libjpeg-turbo,
#: "Two Issues with the JPEG Standard").
MOST_SCANS = 64
#: Bytes of a colour profile. Display P3 has 500, a printer's about half a million.
MOST_PROFILE = 1 << 20

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_IEND = b"\x00\x00\x00\x00IEND\xaeB`\x82"
#: Brands of pictures in HEVC (the last three: of sequences, as bursts are), and the general ones, which
#: AVIF has too: of these the decoder judges the content, unless a file says that it is AVIF.
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm"))
_HEIF_BRANDS = frozenset((b"mif1", b"msf1"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
#: What broken senders put before a picture, at most so many bytes: line ends, zeros, a byte order mark.
_BLANK = re.compile(rb"(?:\xef\xbb\xbf)?[\x00\t\n\r ]{0,64}")


class Broken(ValueError):
    """Not a whole file of its kind."""


class Outline(NamedTuple):
    """A photo's size as it is stored (before it is turned), and the bytes that a decoder needs.

    `exif` and `xmp` are those of a JPEG; those of PNG and WebP are found by their decoders. `scans`, of a
    JPEG: how many were begun. `ended`: its end marker was there. `promised`: all that its frame promises
    was begun, so that at most the last scan lacks something.
    """

    width: int
    height: int
    data: bytes
    exif: bytes = b""
    xmp: bytes = b""
    scans: int = 0
    ended: bool = True
    promised: bool = True


def trimmed(data: bytes) -> bytes:
    """The file from its picture on, if nothing but blanks stands before it."""
    if kind(data[:64]) is None:
        blank = _BLANK.match(data)
        rest = data[blank.end() if blank else 0 :]
        if kind(rest[:64]) in (JPEG, PNG, WEBP):
            return rest
    return data


def kind(head: bytes) -> str | None:
    """The media type that the first bytes (64 are enough) stand for; None for all others.

    One type or none: what is also something else further on (a polyglot) is taken as what it begins with.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(_PNG_MAGIC):
        return PNG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[4:8] == b"ftyp":
        (length,) = struct.unpack_from(">I", head)
        major, rest = head[8:12], head[16 : min(length, 64)]
        brands = {major, *(rest[at : at + 4] for at in range(0, len(rest), 4))}
        if major in _HEIC_BRANDS or (major in _HEIF_BRANDS and not brands & _AVIF_BRANDS):
            return HEIC
    if head.startswith((b"II*\x00", b"MM\x00*")):
        return TIFF
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
_XMP = b"http://ns.adobe.com/xap/1.0/\x00"
_EOI = b"\xff\xd9"


def _jpeg(data: bytes) -> Outline:
    # Bytes behind the end are left out, not refused: Samsung's phones, motion photos and pictures with a
    # gain map (MPO) all carry some, and no decoder gets to see them. Once a scan has begun, what makes no
    # sense is where the picture breaks off: a decoder shows what came before it.
    kept, at, scans, profile = [data[:2]], 2, 0, 0
    frame: _Frame | None = None
    exif, xmp, coded, ended = b"", b"", 0, False
    for _ in range(MOST_PARTS):
        found = _MARKER.search(data, at)
        if found is None:
            end = len(data)
            break
        end, marker, body = found.start(), data[found.start() + 1], found.end()
        if marker == _END:
            ended = True
            break
        length = int.from_bytes(data[body : body + 2], "big")
        at = body + length
        if marker < 0xC0 or marker == _START or length < 2 or at > len(data):
            break
        if marker in _FRAMES:
            if frame is not None:
                break
            frame = _frame(marker, data[body + 2 : at])
        elif marker == _SCAN:
            scans += 1
            coded = coded or end
            if frame is None or scans > MOST_SCANS:
                raise Broken
            frame.begin(data[body + 2 : at])
        elif marker == 0xE1 and data.startswith(b"Exif\x00", body + 2):
            exif = exif or data[body + 2 : at]
        elif marker == 0xE1 and data.startswith(_XMP, body + 2):
            xmp = xmp or data[body + 2 + len(_XMP) : at]
        elif marker == 0xE2 and data.startswith(_ICC, body + 2):
            profile += length
        if not coded and (
            not (0xE0 <= marker <= 0xEF or marker == 0xFE)
            or marker in (0xE0, 0xEE)  # JFIF and Adobe: how colours are coded
            or (marker == 0xE2 and data.startswith(_ICC, body + 2) and profile <= MOST_PROFILE)
        ):
            kept.append(data[end:at])
    else:
        raise Broken
    if frame is None or not coded:
        raise Broken
    picture = data[coded:end] if ended else _unfilled(data[coded:end])
    whole = b"".join([*kept, picture, _EOI])
    return Outline(frame.width, frame.height, whole, exif, xmp, scans, ended, frame.all_begun)


def _unfilled(coded: bytes) -> bytes:
    """Without the zeros, or ones, with which a broken memory card ends a file.

    A few stay: one picture in eight ends in a zero of its own, and what is in so few is not seen.
    """
    return coded[: len(coded.rstrip(b"\x00\xff")) + 8]


class _Frame:
    """A frame header, and what of its picture the scans so far have begun."""

    def __init__(self, progressive: bool, width: int, height: int, components: bytes) -> None:
        self.width, self.height = width, height
        # Coefficients of each component that are still to come in full; without progress all at once.
        self._open = {each: set(range(64 if progressive else 1)) for each in components}

    def begin(self, header: bytes) -> None:
        """A scan says what it holds. Raises `IndexError` if the header is too short."""
        count = header[0]
        first, last, step = header[1 + 2 * count : 4 + 2 * count]
        for each in header[1 : 1 + 2 * count : 2]:
            if each in self._open and step & 15 == 0:
                # Some phones write 0 as the last coefficient of a whole picture (libvips#2309).
                self._open[each] -= set(range(first, max(last, first) + 1))

    @property
    def all_begun(self) -> bool:
        """Whether nothing is left to come but the rest of a scan."""
        return not any(self._open.values())


def _frame(marker: int, body: bytes) -> _Frame:
    height, width, count = struct.unpack_from(">HHB", body, 1)
    progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
    return _Frame(progressive, width, height, body[6 : 6 + 3 * count : 3])


# --- PNG and WebP


def _png(data: bytes) -> Outline:
    at = len(_PNG_MAGIC)
    _, first, width, height = struct.unpack_from(">I4sII", data, at)
    if first != b"IHDR":
        raise Broken
    kept, coded = [data[:at]], False
    for _ in range(MOST_PARTS):
        if coded and at > len(data) - 12:
            break  # all is there but the end, or its sum
        length, name = struct.unpack_from(">I4s", data, at)
        behind = at + 12 + length
        if behind > len(data):
            raise Broken
        if name == b"IEND":
            break
        # What is only told beside the picture is left out where its sum is wrong, as libpng does.
        told = name[:1].islower()
        if not told or zlib.crc32(data[at + 4 : behind - 4]) == _number(data[behind - 4 : behind]):
            kept.append(data[at:behind])
        coded, at = coded or name == b"IDAT", behind
    else:
        raise Broken
    return Outline(width, height, b"".join([*kept, _IEND]))


def _number(four: bytes) -> int:
    return int.from_bytes(four, "big")


def _webp(data: bytes) -> Outline:
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 == len(data) + 1:
        data += b"\x00"  # an odd last chunk without the byte that makes it even
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


#: EXIF's whole numbers by their code: the standard wants 3 (SHORT), cameras and editors write others.
_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
_XMP_TURNED = re.compile(rb"""tiff:Orientation\s*(?:=\s*["']|>)\s*([1-8])\s*["'<]""")


def orientation(exif: bytes, xmp: bytes = b"") -> int:
    """Which way is up, 1 to 8: as EXIF says, else as XMP says; 1 if neither says anything that makes sense.

    Only this tag of EXIF's first directory is read. Where the two differ EXIF counts: editors that turn a
    picture and forget one of them forget XMP (osxphotos#378).
    """
    found = _XMP_TURNED.search(xmp)
    return _exif_turned(exif) or (int(found[1]) if found else 1)


def _exif_turned(exif: bytes) -> int | None:
    tiff = exif[6:] if exif.startswith(b"Exif\x00") else exif
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2], "")
    if not order:
        return None
    try:
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, at)
        for number in range(entries):
            entry = at + 2 + 12 * number
            tag, form = struct.unpack_from(order + "HH", tiff, entry)
            if tag == 0x0112 and form in _NUMBERS:
                (value,) = struct.unpack_from(order + _NUMBERS[form], tiff, entry + 8)
                return value if 1 <= value <= 8 else None
    except struct.error:
        pass
    return None
