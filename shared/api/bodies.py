"""What a body may be: bytes as sent, bytes inflated, JSON values; all bounded before anything is built.

A stranger's 29 KB of gzip can be a gigabyte of Python objects. So a route says what it needs (`Limits`),
and a body beyond that is refused while it is still bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from shared.errors import InvalidJson, RequestTooLarge

#: Bytes that are inflated, or looked through, at a time: what that costs in memory.
_PIECE = 2**16

#: What comes before every JSON value and every name of a field, but for the outermost value.
_BEFORE_A_VALUE = b"[{,:"
_NO_SIGN = bytes(sorted(set(range(256)) - {*_BEFORE_A_VALUE, *b'"\\'}))


@dataclass(frozen=True, slots=True)
class Limits:
    """What a route takes: bytes as sent, bytes after gzip, JSON values (names of fields count, too)."""

    sent: int
    inflated: int
    values: int


#: A form: some names and words. (Some thousand characters, each written as an escape of two halves, do not
#: fit; nobody has such a name or password.)
FORM = Limits(2**14, 2**14, 500)

#: A page of text, or a list of some dozen things.
PAGE = Limits(2**18, 2**18, 5_000)


def too_large(cap: int, what: str = "is larger than") -> RequestTooLarge:
    """The refusal of a body by its bytes."""
    return RequestTooLarge(f"The body {what} {cap} bytes. Send it in smaller parts.")


def inflated(data: bytes, cap: int) -> Iterator[bytes]:
    """What gzip holds, piece by piece. Raises `InvalidJson`, and `RequestTooLarge` beyond `cap` bytes.

    Of several members: what a phone appended to while it wrote. They are taken through a window: zlib
    copies what follows a member, and a body of tiny members would be copied a million times.
    """
    window = memoryview(data)
    at, left = 0, cap + 1
    engine = zlib.decompressobj(wbits=31)
    while at < len(data):
        if engine.eof:
            engine = zlib.decompressobj(wbits=31)
        taken = window[at : at + _PIECE // 16]
        try:
            piece = engine.decompress(taken, min(left, _PIECE))
        except zlib.error:
            raise InvalidJson("The body is not valid gzip.") from None
        at += len(taken) - len(engine.unused_data if engine.eof else engine.unconsumed_tail)
        left -= len(piece)
        if not left:
            raise too_large(cap, "inflates to more than")
        yield piece
    if not engine.eof:
        raise InvalidJson("The body is not valid gzip: it is cut short.")


def count_values(data: bytes, most: int) -> int:
    """How many values and names a JSON parser would build of a body, at most. Stops counting beyond `most`.

    Each of them follows a bracket, a comma or a colon outside of texts, but for the outermost; only an
    empty object or list counts as two. Nothing is parsed, and memory is a piece's. Bodies that are no JSON
    are counted, too, since what is around a broken record is read: texts count as values wherever they
    stand, and beyond a backslash outside of texts, where texts begin is a matter of opinion, so everything
    counts.
    """
    found, at, marks = 1, 0, 0
    quoted = doubtful = False
    while at < len(data) and found <= most:
        piece = data[at : at + _PIECE]
        # an escape must not be cut in two
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2 and at + len(piece) < len(data):
            piece = piece[:-1]
        at += len(piece)
        if not doubtful:
            # pairs first: in a run of backslashes the first one begins an escape
            plain = piece.replace(b"\\\\", b"\\ ").replace(b'\\"', b"\\ ")
            signs = plain.translate(None, _NO_SIGN)
            marks += signs.count(b'"')
            # two marks side by side change nothing for what stands around them
            outside = b"".join(signs.replace(b'""', b"").split(b'"')[quoted::2])
            quoted = marks % 2 == 1
            doubtful = b"\\" in outside
        if doubtful:
            outside = piece
        found += len(outside) - len(outside.translate(None, _BEFORE_A_VALUE))
        found = max(found, marks // 2)
    return found
