"""A photo for the model without what cameras and apps write beside the picture.

EXIF, XMP, comments and text chunks may hold a position, a name, or words meant for the model. Only
what a decoder needs is copied: JPEG (ISO/IEC 10918-1, annex B), PNG (its critical chunks and colour),
WebP (RIFF chunks). Pixels are not decoded. A turned photo is turned by whoever stores it, before.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from dataclasses import replace

from shared.ai.model import Image
from shared.errors import ModelRefused

_DATA_URL = re.compile(r"data:image/(jpeg|png|webp);base64,([A-Za-z0-9+/=]*)")
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"sRGB", b"cHRM"}
_WEBP_KEPT = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"}
#: VP8X's flags for the chunks that are left out: colour profile, EXIF, XMP.
_WEBP_FLAGS = 0x20 | 0x08 | 0x04

_START, _END, _SCAN, _COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
#: Adobe's segment says how colours are coded; every other APPn goes.
_ADOBE = 0xEE


class _Broken(ValueError):
    """Not a picture of its kind."""


def without_metadata(image: Image) -> Image:
    """The image with its data URL cleaned; a link is left to the copy that it points to.

    Raises `ModelRefused` (`invalid_image`) for data that is no JPEG, PNG or WebP.
    """
    if image.url.startswith("https://"):
        return image
    found = _DATA_URL.fullmatch(image.url)
    try:
        if found is None:
            raise _Broken
        data = base64.b64decode(found[2], validate=True)
        cleaned = {"jpeg": _jpeg, "png": _png, "webp": _webp}[found[1]](data)
    except (_Broken, binascii.Error, struct.error, IndexError):
        raise ModelRefused("An image is no JPEG, PNG or WebP.", code="invalid_image") from None
    text = base64.b64encode(cleaned).decode()
    return replace(image, url=f"data:image/{found[1]};base64,{text}")


def _jpeg(data: bytes) -> bytes:
    if data[:2] != bytes((0xFF, _START)):
        raise _Broken
    out, at = [data[:2]], 2
    while True:
        if data[at] != 0xFF:
            raise _Broken
        while data[at + 1] == 0xFF:  # fill bytes
            at += 1
        kind = data[at + 1]
        if kind == _END:
            return b"".join([*out, data[at : at + 2]])  # what follows the end is left out
        (length,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + length
        if length < 2 or end > len(data):
            raise _Broken
        if kind == _SCAN:
            end = _scan_end(data, end)
        if not (kind == _COMMENT or (0xE0 <= kind <= 0xEF and kind != _ADOBE)):
            out.append(data[at:end])
        at = end


def _scan_end(data: bytes, at: int) -> int:
    """Where the coded picture after a scan's header ends: the next marker but restarts."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0:
            raise _Broken
        if data[at + 1] != 0 and not 0xD0 <= data[at + 1] <= 0xD7:
            return at
        at += 2


def _png(data: bytes) -> bytes:
    if data[:8] != _PNG:
        raise _Broken
    out, at = [_PNG], 8
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise _Broken
        if kind in _PNG_KEPT:
            out.append(data[at:end])
        if kind == b"IEND":
            return b"".join(out)
        at = end


def _webp(data: bytes) -> bytes:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise _Broken
    out, at = [b"WEBP"], 12
    while at < len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length
        if end > len(data):
            raise _Broken
        body = data[at + 8 : end]
        if kind == b"VP8X":
            body = bytes((body[0] & ~_WEBP_FLAGS,)) + body[1:]
        if kind in _WEBP_KEPT:
            out.append(struct.pack("<4sI", kind, length) + body + b"\x00" * (length % 2))
        at = end + length % 2
    if len(out) < 2:
        raise _Broken
    cleaned = b"".join(out)
    return b"RIFF" + struct.pack("<I", len(cleaned)) + cleaned
