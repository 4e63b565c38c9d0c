"""Records as flat rows for analysts: by team and date, streamed, each reading noted in the audit trail.

A row has the columns of `columns_of`: id, team, author and times, then every declared field in its order.
JSON columns are canonical text, times milliseconds since 1970 until a format writes them. All tables of a
team are read at one moment (on Firestore; SQLite has no history and gives the newest). Nothing is hidden:
who may export may see everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, Protocol

from shared.access import audit
from shared.access.membership import Caller
from shared.records import record
from shared.records.collection import Catalog, Collection, Type
from shared.records.store import STAMP, Document, RecordStore

#: Rows that are read, noted in the trail and written together.
_BATCH = 500


class Column(NamedTuple):
    """A column of a table's rows."""

    name: str
    type: Type
    doc: str


#: What every record has, before its declared fields.
COMMON = (
    Column("id", Type.STRING, "The record's id, made by the phone."),
    Column(record.SCOPE, Type.STRING, "Who shares it."),
    Column(record.AUTHOR, Type.STRING, "Who wrote its own columns last."),
    Column(record.CREATED, Type.TIME, "When the phone made it, by its corrected clock."),
    Column(record.RECEIVED, Type.TIME, "When the server first stored it."),
    Column(record.MODIFIED, Type.TIME, "When a person changed it last, by the corrected clock."),
    Column(STAMP, Type.TIME, "When the server wrote it last."),
    Column(record.DELETED, Type.TIME, "When it was deleted; empty while it lives."),
)


def columns_of(collection: Collection) -> tuple[Column, ...]:
    """The columns of a table's rows, in their order."""
    declared = (Column(item.name, item.type, item.doc) for item in collection.fields)
    return (*COMMON, *declared)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is exported: records of these teams and tables that phones made from `since_ms` (inclusive)
    until `until_ms` (exclusive); None: no bound. Deleted ones only if `deleted`."""

    scopes: Sequence[str]
    tables: Sequence[str]
    since_ms: int | None = None
    until_ms: int | None = None
    deleted: bool = False

    def holds(self, document: Document) -> bool:
        """Whether a record is asked for."""
        fields = document.fields
        if fields.get(record.DELETED) is not None and not self.deleted:
            return False
        made = fields.get(record.CREATED, 0)
        return (self.since_ms is None or made >= self.since_ms) and (
            self.until_ms is None or made < self.until_ms
        )


class RowWriter(Protocol):
    """Takes the rows of one table."""

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows: values in the order of the columns."""
        ...


def export(
    store: RecordStore,
    catalog: Catalog,
    wanted: Wanted,
    writers: Mapping[str, RowWriter],
    by: Caller,
    clock_ms: Callable[[], int],
) -> dict[str, int]:
    """Write what is wanted to the writer of its table; returns rows by table.

    A batch is noted in the audit trail before it is written. Raises `StoreUnavailable`; what was written
    until then is a part.
    """
    counts = dict.fromkeys(wanted.tables, 0)
    for scope in wanted.scopes:
        read_at = store.read(()).read_at
        for table in wanted.tables:
            columns = columns_of(catalog.by_name[table])
            for batch in batches(store, table, scope, read_at, by, clock_ms, wanted.holds):
                writers[table].write([row_of(each, columns) for each in batch])
                counts[table] += len(batch)
    return counts


def dictionary(catalog: Catalog) -> Iterator[dict[str, str]]:
    """The data dictionary: a row a column, of what the product declares."""
    for table in catalog.collections:
        declared = table.by_name
        for column in columns_of(table):
            item = declared.get(column.name)
            yield {
                "table": table.name,
                "column": column.name,
                "type": column.type.value,
                "description": column.doc,
                "values": ", ".join(item.choices) if item else "",
                "refers_to": (item.references or "") if item else "",
                "written_by": item.owner.value if item else "",
            }


def batches(
    store: RecordStore,
    table: str,
    scope: str,
    read_at: int,
    by: Caller,
    clock_ms: Callable[[], int],
    holds: Callable[[Document], bool] = lambda _document: True,
) -> Iterator[list[Document]]:
    """A team's records of a table, each batch noted in the audit trail before it is given out.

    Each record comes once: a listing may meet one twice that is written meanwhile.
    """
    listing = store.changes(table, [scope], 0, read_at, even_if_newer=True)
    found = _once(change.document for change in listing if holds(change.document))
    while batch := list(islice(found, _BATCH)):
        ids = {table: [each.key.id for each in batch]}
        store.commit(audit.entries(by, "export", scope, ids, clock_ms()))
        yield batch


def _once(documents: Iterable[Document]) -> Iterator[Document]:
    met: set[str] = set()
    for document in documents:
        if document.key.id not in met:
            met.add(document.key.id)
            yield document


def row_of(document: Document, columns: Sequence[Column]) -> list[Any]:
    """A record as values in the order of the columns."""
    said = {**document.fields, "id": document.key.id, STAMP: document.version // 1000}
    return [said.get(column.name) for column in columns]
