"""A deleted record keeps its data for RETENTION_DAYS (180), to be undone; then only its id stays.

The id stays for ever: a phone that comes back after years is still told to drop the record. The
time counts from the commit of the deletion, never from the phone's clock: a deletion made offline
half a year ago is kept as long as any other.
"""

from __future__ import annotations

from shared.errors import Contended
from shared.records import record
from shared.records.collection import Catalog
from shared.records.store import Document, Key, Query, RecordStore, Write, delete, put

#: Records purged in one round, by table.
_A_ROUND = 200

#: What is left of a purged record.
_LEFT = (
    record.SCOPE,
    record.DELETED,
    record.MODIFIED,
    record.HASH,
)


class Purger:
    """Blanks the data of records that were deleted more than `keep_days` ago."""

    def __init__(self, store: RecordStore, catalog: Catalog, *, keep_days: int) -> None:
        self._store, self._catalog = store, catalog
        self._keep_ms = keep_days * 86_400_000

    def purge(self, now_ms: int) -> int:
        """One round; how many records were purged. May be repeated, killed and run twice at once."""
        purged = 0
        before = now_ms - self._keep_ms
        for collection in self._catalog.collections:
            query = Query(
                collection.name,
                where=((record.KEPT, "<=", before),),
                order=((record.KEPT, "asc"),),
                limit=_A_ROUND,
                fields=(*_LEFT, record.KEPT, record.EDITED, record.WAITS),
            )
            for document in list(self._store.query(query)):
                # The stamp was a server's clock; the commit's own time must agree.
                waits = document.fields.get(record.WAITS)
                if document.version <= before * 1000 and not waits:
                    purged += self.blank(document)
        return purged

    def blank(self, document: Document) -> int:
        """Purge one tombstone now, whatever its age; 1, or 0 if it changed at this very moment."""
        have = document.fields
        fields = {name: have[name] for name in _LEFT if have.get(name) is not None}
        fields[record.EDITED] = record.client_version(document)
        try:
            # With the first of its log entries: from then on nobody can bring it back.
            logs = self._logs(document.key)
            self._store.commit([put(document.key, fields, document.version), *logs])
            while logs := self._logs(document.key):
                self._store.commit(logs)
        except Contended:
            return 0  # it was brought back at this very moment, or another round has it
        return 1

    def _logs(self, key: Key) -> list[Write]:
        return [
            delete(entry.key)
            for log in record.LOGS
            for entry in self._store.query(
                Query(log, where=(("record_id", "==", key.id),), fields=("table",), limit=_A_ROUND)
            )
            if entry.fields.get("table") == key.collection
        ]
