"""Records of a team as one file that is sent while it is made, in flat memory.

    csv      one table; csv-semicolon is for Excel where people write 7,2
    parquet  one table, where pyarrow is installed
    xlsx     one table or all, a sheet each; made in a temporary file, so at most `MOST_EXCEL_ROWS` rows
    fhir     all tables as FHIR R4, a resource a line (NDJSON)

Each batch of records is noted in the audit trail before its piece is given out.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import orjson

from shared.access.membership import Caller
from shared.errors import InvalidRequest
from shared.export.fhir import FhirMapping, told
from shared.export.formats import FORMATS, FORMULA, iso
from shared.export.rows import Column, Wanted, batches, columns_of, row_of
from shared.records import record
from shared.records.collection import Catalog, Type
from shared.records.store import Document, RecordStore

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

#: Rows of one Excel file: where files are kept in memory (Cloud Run), they take some 100 MB.
MOST_EXCEL_ROWS = 50_000

#: Longest text of a cell in Excel, characters, and the largest number that it keeps exactly.
_MOST_CHARACTERS, _MOST_EXACT = 32_767, 10**15

#: Longest name of a sheet.
_MOST_OF_A_NAME = 31

#: A temporary file is sent in pieces of so many bytes.
_PIECE = 2**16

#: The end of a file's name, by format.
KINDS = {
    "csv": "csv",
    "csv-semicolon": "csv",
    "xlsx": "xlsx",
    "parquet": "parquet",
    "fhir": "ndjson",
}


def formats(mapped: bool) -> list[str]:
    """The formats of this deployment; `mapped`: its product has a mapping to FHIR."""
    there = {"parquet": installed("pyarrow"), "fhir": mapped}
    return [name for name in KINDS if there.get(name, True)]


@cache
def installed(package: str) -> bool:
    """Whether a package is there, without the time and the memory that it takes to load it."""
    return any((Path(folder) / package / "__init__.py").exists() for folder in sys.path)


def pieces(
    store: RecordStore,
    catalog: Catalog,
    wanted: Wanted,
    kind: str,
    by: Caller,
    clock_ms: Callable[[], int],
    mapper: FhirMapping | None = None,
) -> Iterator[bytes]:
    """The bytes of a file. Raises `InvalidRequest` (too much for Excel) and `StoreUnavailable`; a fault
    after the first piece cuts the file short.
    """
    if kind == "xlsx":
        yield from _excel(store, catalog, wanted, by, clock_ms)
    elif kind == "fhir" and mapper is not None:
        for scope in wanted.scopes:
            holds = _with_parents(store, catalog, wanted, scope)
            for resources in told(store, catalog, scope, mapper, by, clock_ms, holds):
                yield b"".join(orjson.dumps(each) + b"\n" for each in resources)
    else:
        yield from _rows(store, catalog, wanted, kind, by, clock_ms)


class _Pipe(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._at += len(part)
        return len(part)

    def tell(self) -> int:
        return self._at

    def taken(self) -> bytes:
        """What was written since."""
        whole, self._parts = b"".join(self._parts), []
        return whole


def _rows(
    store: RecordStore,
    catalog: Catalog,
    wanted: Wanted,
    kind: str,
    by: Caller,
    clock_ms: Callable[[], int],
) -> Iterator[bytes]:
    [table] = wanted.tables
    columns, pipe = columns_of(catalog.by_name[table]), _Pipe()
    with FORMATS[kind](cast("IO[bytes]", pipe), columns) as writer:
        for batch in _batches(store, wanted, table, by, clock_ms):
            writer.write([row_of(each, columns) for each in batch])
            yield pipe.taken()
    yield pipe.taken()


def _batches(
    store: RecordStore, wanted: Wanted, table: str, by: Caller, clock_ms: Callable[[], int]
) -> Iterator[list[Document]]:
    for scope in wanted.scopes:
        read_at = store.read(()).read_at
        yield from batches(store, table, scope, read_at, by, clock_ms, wanted.holds)


def _with_parents(
    store: RecordStore, catalog: Catalog, wanted: Wanted, scope: str
) -> Callable[[Document], bool]:
    """Whether a record is asked for, or one that is asked for hangs on it: no reference leads nowhere.

    Keeps the ids of those parents.
    """
    if wanted.since_ms is None and wanted.until_ms is None:
        return wanted.holds
    needed: dict[str, set[str]] = {table.name: set() for table in catalog.collections}
    read_at = store.read(()).read_at
    for table in reversed(catalog.collections):
        spec = table.parent
        if spec is None or spec.references is None:
            continue
        fields = (record.CREATED, record.DELETED, spec.name)
        listing = store.changes(table.name, [scope], 0, read_at, fields=fields, even_if_newer=True)
        for change in listing:
            document = change.document
            if wanted.holds(document) or document.key.id in needed[table.name]:
                needed[spec.references].add(str(document.fields.get(spec.name)))
    return lambda document: (
        wanted.holds(document) or document.key.id in needed[document.key.collection]
    )


# --- Excel


def _excel(
    store: RecordStore,
    catalog: Catalog,
    wanted: Wanted,
    by: Caller,
    clock_ms: Callable[[], int],
) -> Iterator[bytes]:
    from xlsxwriter.workbook import Workbook

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        file = stack.enter_context(tempfile.TemporaryFile(dir=folder))
        book = Workbook(file, {"constant_memory": True, "tmpdir": str(folder)})
        styles = _styles(book)
        left = MOST_EXCEL_ROWS
        for table in wanted.tables:
            columns = columns_of(catalog.by_name[table])
            sheet = book.add_worksheet(table[:_MOST_OF_A_NAME])
            sheet.freeze_panes(1, 0)
            for at, column in enumerate(columns):
                sheet.write_string(0, at, column.name, styles["head"])
            row = 0
            for batch in _batches(store, wanted, table, by, clock_ms):
                left -= len(batch)
                if left < 0:
                    raise InvalidRequest(
                        f"An Excel file takes {MOST_EXCEL_ROWS} rows. Ask for fewer days, or for CSV.",
                        field="format",
                    )
                for document in batch:
                    row += 1
                    for at, value in enumerate(row_of(document, columns)):
                        _write(sheet, row, at, value, columns[at], styles)
        book.close()
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece


def _styles(book: Workbook) -> dict[str, Format]:
    return {
        "head": book.add_format({"bold": True}),
        "time": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        # A text stays one, also after somebody has opened and left its cell.
        "text": book.add_format({"quote_prefix": True}),
    }


def _write(
    sheet: Worksheet, row: int, at: int, value: Any, column: Column, styles: dict[str, Format]
) -> None:
    """One cell; times are UTC. A text is never a formula, a link or a number."""
    match value:
        case None:
            return
        case bool():
            sheet.write_boolean(row, at, value)
            return
        case int() if column.type is Type.TIME:
            when = _day_of_excel(value)
            if when is not None:
                sheet.write_datetime(row, at, when, styles["time"])
                return
            text = iso(value)
        case int() | float() if abs(value) < _MOST_EXACT:
            sheet.write_number(row, at, value)
            return
        case str():
            text = value
        case _:
            text = orjson.dumps(value).decode()
    if len(text) > _MOST_CHARACTERS:
        text = f"{text[: _MOST_CHARACTERS - 1]}…"
    sheet.write_string(row, at, text, styles["text"] if text.startswith(FORMULA) else None)


def _day_of_excel(at_ms: int) -> datetime | None:
    """A moment that Excel's calendar knows, without its zone (UTC)."""
    try:
        when = datetime.fromtimestamp(at_ms / 1000, UTC).replace(tzinfo=None)
    except (OverflowError, ValueError):
        return None
    return when if 1901 <= when.year <= 9998 else None


def name_of(scope: str, wanted: Sequence[str], kind: str, now_ms: int) -> str:
    """What the file is called: team, table and day."""
    what = wanted[0] if len(wanted) == 1 else "records"
    return f"{scope}-{what}-{iso(now_ms)[:10]}.{KINDS[kind]}"
