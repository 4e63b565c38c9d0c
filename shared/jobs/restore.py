"""What was deleted with a record comes back with it: the job that `shared/support/undelete.py` leaves.

A record that was deleted by itself before its parent was stays deleted when the parent comes back.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.jobs.tree_walk import TreeWalk
from shared.records import record
from shared.records.bell import Bell
from shared.records.collection import Catalog, Turn
from shared.records.store import Document, Write, patch

KIND = "restore"


def revive(
    catalog: Catalog, stored: Document, parent: Document | None, now_ms: int
) -> tuple[list[Write], list[Bell]]:
    """The writes that make a tombstone with data a record again, and bells to ring after them."""
    table, record_id = stored.key
    collection = catalog.by_name[table]
    scope_id = stored.fields[record.SCOPE]
    values = {name: stored.fields.get(name) for name in collection.client_fields}
    effects = collection.restored(
        Turn(
            table,
            record_id,
            scope_id,
            str(stored.fields.get(record.AUTHOR, "")),
            values,
            stored.fields,
            None if parent is None else parent.fields,
            now_ms,
        )
    )
    fields = {
        **effects.fields,
        record.DELETED: None,
        record.KEPT: None,
        record.DELETED_WITH: None,
        record.HASH: record.content_hash(record_id, scope_id, values)[0],
        record.ECHO: None,
        record.EDITED: record.client_version(stored),
    }
    return [patch(stored.key, fields, stored.version), *effects.writes], list(effects.bells)


class Restore(TreeWalk):
    """The task of kind `restore`: what was deleted with a record comes back with it."""

    kind = KIND

    def holds(self, parent: Document) -> bool:
        return parent.fields.get(record.DELETED) is None

    def waits(self, child: Document, parent: Document) -> bool:
        have = child.fields
        return (
            have.get(record.DELETED_WITH) == f"{parent.key.collection}/{parent.key.id}"
            and have.get(record.KEPT) is not None
        )

    def follow(self, child: Document, parent: Document) -> Sequence[Write]:
        # Bells are left to the sweeper, which runs this task and rings for what is due.
        writes, _ = revive(self.catalog, child, parent, self.clock())
        return (*writes, *self.next(child.key, child.fields[record.SCOPE]))
