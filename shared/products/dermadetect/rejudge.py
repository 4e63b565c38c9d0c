"""A patient's data changed: the rules judge the open cases again, since age counts in them.

A patient who turns out to be a baby is the reason. The job is stored in the commit that changes the
patient, and runs within the minute.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.jobs.tree_walk import TreeWalk
from shared.records import record
from shared.records.collection import Effects, Turn
from shared.records.store import Document, Write

KIND = "rejudge"


class Rejudge(TreeWalk):
    """The task of kind `rejudge`."""

    kind = KIND

    def holds(self, parent: Document) -> bool:
        return parent.fields.get(record.DELETED) is None

    def waits(self, child: Document, parent: Document) -> bool:
        if child.fields.get(record.DELETED) is not None:
            return False
        fields = self._effects(child, parent).fields
        return any(child.fields.get(name) != value for name, value in fields.items())

    def follow(self, child: Document, parent: Document) -> Sequence[Write]:
        effects = self._effects(child, parent)
        return (record.server_patch(child, effects.fields), *effects.writes)

    def _effects(self, child: Document, parent: Document) -> Effects:
        spec = self.catalog.by_name[child.key.collection]
        have = child.fields
        return spec.effects(
            Turn(
                spec.name,
                child.key.id,
                str(have[record.SCOPE]),
                str(have.get(record.AUTHOR, "")),
                {name: have.get(name) for name in spec.client_fields},
                have,
                parent.fields,
                self.clock(),
            )
        )
