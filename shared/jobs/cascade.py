"""Deletion follows: when a record is deleted, everything that refers to it is deleted too.

The tombstone of the parent and a `cascade` job are one commit. From then on no child can be
stored (its commit verifies that the parent lives), so once no live child is found, none will come.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.jobs.tree_walk import TreeWalk, due
from shared.records import record
from shared.records.store import Document, Key, Write

KIND = "cascade"


def cascade(table: str, record_id: str, scope_id: str, now_ms: int) -> Write:
    """The job that deletes the children of a record."""
    return due(KIND, Key(table, record_id), scope_id, now_ms)


class Cascade(TreeWalk):
    """The task of kind `cascade`."""

    kind = KIND
    mask = record.META

    def holds(self, parent: Document) -> bool:
        return parent.fields.get(record.DELETED) is not None

    def waits(self, child: Document, parent: Document) -> bool:
        return child.fields.get(record.DELETED) is None

    def follow(self, child: Document, parent: Document) -> Sequence[Write]:
        return (
            record.follows(child, parent.key, self.clock(), parent.fields.get(record.DELETED_BY)),
            *self.next(child.key, child.fields[record.SCOPE]),
        )
