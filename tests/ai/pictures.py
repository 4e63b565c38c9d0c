"""Small pictures, made here: whole files of their kind, with words beside the picture."""

from __future__ import annotations

import struct
import zlib


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(words: bytes = b"", shade: int = 255) -> bytes:
    """A PNG of one pixel."""
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
        + (_chunk(b"tEXt", b"Comment\x00" + words) + _chunk(b"eXIf", words) if words else b"")
        + _chunk(b"IDAT", zlib.compress(bytes((0, shade, 0, 0))))
        + _chunk(b"IEND", b"")
        + words
    )


def _segment(kind: int, data: bytes) -> bytes:
    return bytes((0xFF, kind)) + struct.pack(">H", len(data) + 2) + data


def jpeg(words: bytes = b"") -> bytes:
    """The segments of a progressive JPEG with two scans, stuffed bytes and a restart."""
    meta = _segment(0xE1, b"Exif\x00\x00" + words) + _segment(0xFE, words) if words else b""
    scan = _segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x12\xff\x00\x34\xff\xd0\x56"
    return (
        b"\xff\xd8" + _segment(0xE0, b"JFIF\x00" + words) + meta + _segment(0xEE, b"Adobe")
        + _segment(0xC2, b"frame") + scan + _segment(0xC4, b"table") + scan + b"\xff\xd9" + words
    )  # fmt: skip


def webp(words: bytes = b"") -> bytes:
    """An extended WebP with a colour profile, EXIF and XMP."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack("<4sI", kind, len(data)) + data + b"\x00" * (len(data) % 2)

    body = b"WEBP" + part(b"VP8X", bytes((0x3C,)) + b"\x00" * 9) + part(b"ICCP", words)
    body += part(b"VP8L", b"pixels!") + part(b"EXIF", words) + part(b"XMP ", words)
    return b"RIFF" + struct.pack("<I", len(body)) + body
