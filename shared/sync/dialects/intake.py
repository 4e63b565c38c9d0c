"""From a body to entries: what both dialects do alike with each record of a push.

A fault of one record becomes a refusal of it; an optional part that makes no sense is left out and
noted, and so is a column that no declaration knows. The answer names what was left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shared.errors import RequestTooLarge
from shared.records import record
from shared.records.collection import MAX_TIME_MS, Catalog, Coerced, Collection, RecordFault, Wire
from shared.sync.dialects.reading import Unreadable
from shared.sync.exchange import Entry, Ignored, Refusal

#: Longest id, code or name of the phone's that an answer repeats.
MAX_ECHOED = 128

#: Records of one push. Refused ones take some 1,400 bytes of memory each.
MOST_RECORDS = 50_000

#: Parts that one answer names as left out.
_MOST_NAMED = 100

_ID = "must be 1 to 128 of A-Z a-z 0-9 _ -"


class Intake:
    """The records of one push on their way in. `strict`: unknown columns refuse their record."""

    def __init__(self, wire: Wire, strict: bool) -> None:
        self._wire, self._strict = wire, strict
        self.entries: list[Entry] = []
        self.refusals: list[Refusal] = []
        self._ignored: dict[tuple[str | None, str], Ignored] = {}

    def take(
        self,
        catalog: Catalog,
        table: str,
        raw: Any,
        entry: Callable[[Collection, Any], Entry],
    ) -> None:
        """Check one record, by `entry`; or refuse it. Raises `RequestTooLarge` for one too many."""
        if len(self.entries) + len(self.refusals) == MOST_RECORDS:
            raise RequestTooLarge(
                f"The body holds more than {MOST_RECORDS} records. Send them in several requests."
            )
        collection = catalog.by_name.get(table)
        try:
            if isinstance(raw, Unreadable):
                raise raw.fault
            if not isinstance(raw, dict):
                raise RecordFault(None, "wrong_type", "A record must be an object")
            if collection is None:
                raise RecordFault(None, "unknown_table", "This server does not know this table")
            if not collection.pushable:
                raise RecordFault(None, "read_only_table", "Only the server writes this table")
            self.entries.append(entry(collection, raw))
        except RecordFault as fault:
            have = raw.value if isinstance(raw, Unreadable) else raw
            shown = have.get("id") if isinstance(have, Mapping) else None
            # Whole, however long: an id that is not named exactly would count as synced on the phone.
            name = shown if isinstance(shown, str) else ""
            self.refusals.append(Refusal(table, name, fault.field, fault.code, str(fault), raw))

    def id_of(self, raw: Mapping[str, Any]) -> str:
        """The record's id. Raises `RecordFault`."""
        record_id = raw.get("id")
        if record_id is None:
            raise RecordFault("id", "missing_field", "id is needed")
        if not record.valid_id(record_id):
            raise RecordFault("id", "invalid_id", f"id {_ID}")
        return str(record_id)

    def scope_of(self, scope_id: Any) -> str | None:
        """The scope that a record names. Raises `RecordFault`."""
        if scope_id is not None and not record.valid_id(scope_id):
            raise RecordFault(record.SCOPE, "invalid_id", f"scope_id {_ID}")
        return None if scope_id is None else str(scope_id)

    def coerce(self, collection: Collection, raw: Mapping[str, Any]) -> Coerced:
        """The record by its declaration. Raises `RecordFault`."""
        coerced = collection.coerce(raw, self._wire)
        for name in coerced.unknown:
            message = "This server does not know this column; it was not stored"
            if self._strict:
                shown = name[:MAX_ECHOED]
                raise RecordFault(shown, "unknown_column", "This server does not know this column")
            self._leave_out(collection.name, name, "unknown_column", message)
        return coerced

    def named(self, collection: Collection, value: Any) -> frozenset[str] | None:
        """The columns that a phone says it changed: a list, or names with commas; None: it did not say."""
        if value is None or value == "":
            return None
        names = value.split(",") if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            message = "changed must be a list of columns; it was not heeded"
            self._leave_out(collection.name, "changed", "wrong_type", message)
            return None
        return frozenset(names)

    def time_of(self, collection: Collection, raw: Mapping[str, Any], name: str) -> int | None:
        """An optional time of the protocol, ms; one that makes no sense is left out."""
        value = raw.get(name)
        if value is None or value == 0:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._leave_out(collection.name, name, "wrong_type", f"{name} is no time")
            return None
        moment = value * self._wire.ms_per_unit
        if not 0 < moment < MAX_TIME_MS:
            self._leave_out(collection.name, name, "number_out_of_range", f"{name} is no time")
            return None
        return round(moment)

    def unknown_table(self, table: str) -> None:
        """Note an empty table that no declaration knows; its records would be refused."""
        message = "This server does not know this table"
        self._leave_out(table[:MAX_ECHOED], "", "unknown_table", message)

    def ignored(self) -> list[Ignored]:
        """What was left out, each part once."""
        return list(self._ignored.values())

    def _leave_out(self, table: str, name: str, code: str, message: str) -> None:
        if len(self._ignored) < _MOST_NAMED:
            self._ignored.setdefault((table, name), Ignored(table, name, code, message))
