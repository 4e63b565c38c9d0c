"""Rows as files that analysts open: CSV, NDJSON, Parquet. Each streams, in flat memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import IO, Any

import orjson

from shared.export.rows import Column, RowWriter
from shared.records.collection import Type

#: A spreadsheet takes a text that begins like this for a formula (OWASP, CSV injection).
FORMULA = ("=", "+", "-", "@", "\t", "\r")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Open = Callable[[IO[bytes], Sequence[Column]], AbstractContextManager[RowWriter]]


def iso(ms: int) -> str:
    """A time as RFC 3339 in UTC, to the millisecond; outside of the years 1 to 9999 as milliseconds."""
    try:
        return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError):
        return str(ms)


class _Csv:
    """RFC 4180, UTF-8 with a byte-order mark, which spreadsheets need to see that it is UTF-8."""

    def __init__(self, to: IO[str], columns: Sequence[Column], delimiter: str) -> None:
        self._csv = csv.writer(to, delimiter=delimiter)
        self._comma = delimiter == ";"  # who separates by it writes 7,2
        self._types = [column.type for column in columns]
        self._csv.writerow([column.name for column in columns])

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            cells = map(_cell, row, self._types)
            self._csv.writerow(map(_with_comma, cells) if self._comma else cells)


def _with_comma(cell: str | int | float) -> str | int:
    return str(cell).replace(".", ",") if isinstance(cell, float) else cell


def _cell(value: Any, kind: Type) -> str | int | float:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return iso(int(value)) if kind is Type.TIME else value
        case str():
            # one that has the apostrophe already gets another: both can be told again
            return f"'{value}" if value.lstrip("'").startswith(FORMULA) else value
        case _:
            return orjson.dumps(value).decode()


class _Ndjson:
    """An object a line; JSON columns are opened, times RFC 3339, what is empty is left out."""

    def __init__(self, to: IO[bytes], columns: Sequence[Column]) -> None:
        self._to, self._columns = to, columns

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            said = {
                column.name: _value(value, column.type)
                for column, value in zip(self._columns, row, strict=True)
                if value is not None
            }
            self._to.write(orjson.dumps(said) + b"\n")


def _value(value: Any, kind: Type) -> Any:
    if kind is Type.TIME:
        return iso(value)
    return orjson.Fragment(value) if kind is Type.JSON else value


@contextmanager
def as_csv(to: IO[bytes], columns: Sequence[Column], delimiter: str = ",") -> Iterator[RowWriter]:
    """CSV. A text that a spreadsheet would take for a formula gets an apostrophe in front.

    With semicolons numbers have a decimal comma: as Excel opens it where people write so.
    """
    text = io.TextIOWrapper(to, "utf-8-sig", newline="")
    yield _Csv(text, columns, delimiter)
    text.flush()
    text.detach()


@contextmanager
def as_ndjson(to: IO[bytes], columns: Sequence[Column]) -> Iterator[RowWriter]:
    """Newline-delimited JSON."""
    yield _Ndjson(to, columns)


@contextmanager
def as_parquet(to: IO[bytes], columns: Sequence[Column]) -> Iterator[RowWriter]:
    """Parquet with zstd; needs pyarrow, which only this loads. Times are timestamps in ms, UTC."""
    import pyarrow
    from pyarrow import parquet

    types = {
        Type.STRING: pyarrow.string(),
        Type.NUMBER: pyarrow.float64(),
        Type.INTEGER: pyarrow.int64(),
        Type.BOOLEAN: pyarrow.bool_(),
        Type.TIME: pyarrow.timestamp("ms", tz="UTC"),
        Type.JSON: pyarrow.string(),
        Type.MAP: pyarrow.string(),
        Type.STRINGS: pyarrow.list_(pyarrow.string()),
    }
    schema = pyarrow.schema([pyarrow.field(each.name, types[each.type]) for each in columns])

    class Rows:
        def write(self, rows: Sequence[Sequence[Any]]) -> None:
            table = [
                pyarrow.array(
                    [_text(row[at]) if column.type is Type.MAP else row[at] for row in rows],
                    type=types[column.type],
                )
                for at, column in enumerate(columns)
            ]
            out.write_batch(pyarrow.record_batch(table, schema=schema))

    with parquet.ParquetWriter(to, schema, compression="zstd") as out:
        yield Rows()


def _text(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


#: Format → how a file of it is written.
FORMATS: dict[str, Open] = {
    "csv": as_csv,
    "csv-semicolon": partial(as_csv, delimiter=";"),
    "ndjson": as_ndjson,
    "parquet": as_parquet,
}

#: The end of a file's name, where it is not the format's.
ENDS = {"csv-semicolon": "csv"}
