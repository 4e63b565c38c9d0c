"""A CSV file as rows of texts: whichever way a spreadsheet or a laboratory wrote it.

Delimiter `,` `;` or tab, quotes as in RFC 4180, the line `sep=` of Excel; UTF-8 and UTF-16 with or without
a byte-order mark, else a code page of Windows. What is guessed is said, and may be said otherwise. A file
that is broken is refused whole, with the line: of one half that was read nobody would know which.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from shared.errors import InvalidRequest

#: The largest file, characters; its lines, columns and the longest cell.
MOST_CHARACTERS, MOST_LINES, MOST_COLUMNS, MOST_OF_A_CELL = 2_000_000, 20_000, 200, 20_000

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}

#: Encodings that may be named; the code pages are those of Windows in our languages.
ENCODINGS = ("utf-8", "utf-16", "cp1251", "cp1252", "cp1256")

_FIELD = "text"


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows with the number of their line, the header first; rows without any text are left out."""

    encoding: str  #: empty: it came as text
    delimiter: str  #: a name of `DELIMITERS`
    rows: list[tuple[int, list[str]]]


def decoded(data: bytes, encoding: str | None) -> tuple[str, str]:
    """The text of a file, and its encoding. Raises `InvalidRequest`."""
    for candidate in [encoding] if encoding else _likely(data):
        try:
            return data.decode("utf-8-sig" if candidate == "utf-8" else candidate), candidate
        except (UnicodeDecodeError, UnicodeError):
            continue
    raise InvalidRequest(
        "The file's letters cannot be read. Save it as CSV UTF-8, or name its encoding.",
        field="encoding",
    )


def _likely(data: bytes) -> list[str]:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return ["utf-16"]
    zeros = data[:4000].count(0)
    if zeros * 4 > len(data[:4000]):  # Latin letters and signs of UTF-16 have one each
        return ["utf-16-le" if data[1:2] == b"\0" else "utf-16-be"]
    return ["utf-8", "cp1251"]


def sheet(text: str, encoding: str, delimiter: str | None) -> Sheet:
    """The rows of a text. Raises `InvalidRequest`, with the line of the fault."""
    if len(text) > MOST_CHARACTERS:
        raise InvalidRequest(
            f"The file has more than {MOST_CHARACTERS} characters. Take it in parts.", field=_FIELD
        )
    text = text.removeprefix("\ufeff")
    if text.count("\0") * 10 > len(text):
        raise InvalidRequest("The file is in another encoding: name it.", field="encoding")
    skipped = 0
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) <= 5:
        text, skipped = rest, 1
    name = delimiter or _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[name], strict=True)
    rows: list[tuple[int, list[str]]] = []
    begins = 1
    try:
        for row in reader:
            line, begins = begins + skipped, reader.line_num + 1
            if not any(map(str.strip, row)):
                continue
            _bounded(line, row, len(rows))
            rows.append((line, row))
    except csv.Error:
        raise InvalidRequest(
            f"The row that begins in line {begins + skipped} cannot be read: a quotation mark is open, "
            "or stands inside a cell without being doubled, or a cell is too long. Nothing was taken.",
            field=_FIELD,
        ) from None
    if len(rows) < 2:
        raise InvalidRequest("There is no row below the header.", field=_FIELD)
    return Sheet(encoding, name, rows)


def _bounded(line: int, cells: list[str], rows: int) -> None:
    if rows >= MOST_LINES:
        raise InvalidRequest(
            f"The file has more than {MOST_LINES} rows. Take it in parts.", field=_FIELD
        )
    if len(cells) > MOST_COLUMNS:
        raise InvalidRequest(f"Line {line} has more than {MOST_COLUMNS} columns.", field=_FIELD)
    if any(len(cell) > MOST_OF_A_CELL for cell in cells):
        raise InvalidRequest(
            f"Line {line} has a cell with more than {MOST_OF_A_CELL} characters.", field=_FIELD
        )


def _delimiter(text: str) -> str:
    """The delimiter that the header has most of, outside of quotes."""
    header = next((line for line in text[:100_000].splitlines() if line.strip()), "")
    bare = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=lambda name: bare.count(DELIMITERS[name]))
