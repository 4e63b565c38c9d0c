"""What families have, in this process: as a phone has it, brought up to date by what changed since.

Search, charts, the report and the pages ask for all of a family's records. The first question reads them
whole; each later one reads what was committed since then, by the listing that phones pull by, so nothing is
missed and nothing of another family comes in. Families that nobody asked for lately are forgotten.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from shared.records import record
from shared.records.collection import Catalog
from shared.records.store import Document, Query, RecordStore
from shared.sync.pull import EPOCH

#: Records of all families that one process keeps: about 2 KB each.
_MOST_RECORDS = 100_000

#: Characters that take as much memory as a record.
_A_RECORD = 1_000

#: Values of one `in` of a query.
MOST_IN = 30


@dataclass(frozen=True, slots=True)
class Household:
    """A family's living records at one moment, by table and id. It does not change."""

    scope_id: str
    read_at: int  #: µs, as in `Snapshot`
    epoch: int  #: version of the store's epoch; another one: a copy was brought back
    tables: Mapping[str, Mapping[str, Document]]
    size: int = 0  #: what it takes of memory, in records

    def of(self, table: str) -> Iterator[Document]:
        """The records of a table, in no order."""
        yield from self.tables[table].values()

    def __len__(self) -> int:
        return sum(map(len, self.tables.values()))


@dataclass(slots=True)
class _Slot:
    lock: threading.Lock = field(default_factory=threading.Lock)
    held: Household | None = None


class Households:
    """Reads families. Safe to share between threads; each family is read by one at a time."""

    def __init__(
        self,
        store: RecordStore,
        catalog: Catalog,
        most_records: int = _MOST_RECORDS,
        *,
        beside: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`beside`: collections of what belongs to records (`record.LOGS`), and the table of these."""
        self._store, self._most, self._beside = store, most_records, beside
        self._names = tuple(each.name for each in catalog.collections)
        self._slots: OrderedDict[str, _Slot] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, scope_id: str) -> Household:
        """A family as it is now; whether somebody may see it was asked before.

        Raises `StoreUnavailable`.
        """
        with self._lock:
            slot = self._slots.setdefault(scope_id, _Slot())
            self._slots.move_to_end(scope_id)
        with slot.lock:
            slot.held = held = self._renewed(scope_id, slot.held)
        self._forget()
        return held

    def _renewed(self, scope_id: str, held: Household | None) -> Household:
        reading = self._store.read([EPOCH])
        epoch = reading.documents[EPOCH].version if EPOCH in reading.documents else 0
        if held is None or held.epoch != epoch:
            nothing: dict[str, dict[str, Document]] = {
                name: {} for name in (*self._names, *self._beside)
            }
            held = Household(scope_id, 0, epoch, nothing)
        gone: dict[str, set[str]] = {}
        if held.read_at:
            moved = self._store.changes(
                record.REVOCATIONS, [scope_id], held.read_at, reading.read_at
            )
            for change in moved:
                fields = change.document.fields
                if fields.get("to_scope") != scope_id:
                    gone.setdefault(str(fields["table"]), set()).add(str(fields["record_id"]))
        tables = {
            name: self._table(name, held, gone.get(name, set()), reading.read_at)
            for name in self._names
        }
        for name, table in self._beside.items():
            tables[name] = self._belongings(name, table, held, tables[table], reading.read_at)
        size = sum(len(tables[name]) for name in self._names)
        size += sum(map(_records_in, (tables[name] for name in self._beside)))
        return Household(scope_id, reading.read_at, epoch, tables, size)

    def _table(
        self, name: str, held: Household, gone: set[str], read_at: int
    ) -> Mapping[str, Document]:
        """The table as it is now: the one that was held, if nothing changed in it."""
        listing = self._store.changes(
            name, [held.scope_id], held.read_at, read_at, even_if_newer=True
        )
        changed = {change.document.key.id: change.document for change in listing}
        if not changed and not gone & held.tables[name].keys():
            return held.tables[name]
        rows = {id: row for id, row in held.tables[name].items() if id not in gone}
        for id, document in changed.items():
            if document.fields.get(record.DELETED) is None:
                rows[id] = document
            else:
                rows.pop(id, None)
        return MappingProxyType(rows)

    def _belongings(
        self, name: str, table: str, held: Household, owners: Mapping[str, Document], read_at: int
    ) -> Mapping[str, Document]:
        """What belongs to living records of a table.

        It is told of what changed in it, but not of what comes back along with its record, as from another
        family: that is asked for.
        """
        listing = self._store.changes(
            name, [held.scope_id], held.read_at, read_at, even_if_newer=True
        )
        changed = {change.document.key.id: change.document for change in listing}
        before = held.tables[table]
        if not changed and owners is before:
            return held.tables[name]
        back = sorted(owners.keys() - before.keys()) if held.read_at else []
        for at in range(0, len(back), MOST_IN):
            query = Query(name, where=(("record_id", "in", back[at : at + MOST_IN]),))
            for row in self._store.query(query):
                if row.fields[record.SCOPE] == held.scope_id:
                    changed.setdefault(row.key.id, row)
        rows = {**held.tables[name], **changed}
        return MappingProxyType(
            {
                id: row
                for id, row in rows.items()
                if row.fields["table"] == table and row.fields["record_id"] in owners
            }
        )

    def _forget(self) -> None:
        with self._lock:
            held = [(scope, slot.held.size) for scope, slot in self._slots.items() if slot.held]
            over = sum(size for _, size in held) - self._most
            for scope, size in held[:-1]:
                if over <= 0:
                    return
                del self._slots[scope]
                over -= size


def _records_in(belongings: Mapping[str, Document]) -> int:
    """As how many records what belongs to records counts: a text may be a hundred times as long."""
    long = (value for row in belongings.values() for value in row.fields.values())
    return (
        len(belongings) + sum(len(value) for value in long if isinstance(value, str)) // _A_RECORD
    )
