"""WatermelonDB's `synchronize()` in the small: pull, keep own columns of it, push, again if stale."""

from __future__ import annotations

from typing import Any

from infra.local.phone import wall_ms
from shared.errors import StalePush
from tests.sync.test_watermelon import Melon

Json = dict[str, Any]
Key = tuple[str, str]


class StockPhone:
    """A phone with the stock client's rules (`src/sync/impl`), on the engine without HTTP."""

    def __init__(self, melon: Melon) -> None:
        self.melon = melon
        self.cursor: Any = "null"
        self.rows: dict[Key, Json] = {}
        self.created: set[Key] = set()
        self.changed: dict[Key, set[str]] = {}  #: of records that the server knows
        self.deleted: set[Key] = set()
        self.refused: set[Key] = set()

    def save(self, table: str, name: str, /, **columns: Any) -> None:
        """Create or edit a record offline."""
        key = (table, name)
        if key not in self.rows:
            self.created.add(key)
        elif key not in self.created:
            self.changed.setdefault(key, set()).update(columns)
        self.rows[key] = {
            **self.rows.get(key, {"id": name}), **columns, "last_modified_at": wall_ms()
        }  # fmt: skip

    def delete(self, table: str, name: str) -> None:
        """Delete a record offline; one that was never sent leaves no trace."""
        key = (table, name)
        self.rows.pop(key)
        self.changed.pop(key, None)
        if key in self.created:
            self.created.discard(key)
        else:
            self.deleted.add(key)

    def sync(self) -> None:
        """Pull and push, until neither has more."""
        for _ in range(20):
            again = self._pull()
            try:
                self._push()
            except StalePush:
                continue
            if not again:
                return
        raise AssertionError("a phone does not come to an end with its sync")

    def _pull(self) -> bool:
        answer = self.melon.pull(self.cursor)
        for table, sets in answer["changes"].items():
            for row in sets["created"] + sets["updated"]:
                key = (table, row["id"])
                if key in self.deleted:
                    continue
                mine = self.rows.get(key, {})
                own = mine if key in self.created else self.changed.get(key, set())
                self.rows[key] = {**row, **{name: mine[name] for name in own if name in mine}}
            for name in sets["deleted"]:
                self._forget((table, name))
        self.cursor = answer["timestamp"]
        return bool(answer.get("sync_again"))

    def _push(self) -> None:
        sets: dict[str, Json] = {}

        def of(table: str) -> Json:
            return sets.setdefault(table, {"created": [], "updated": [], "deleted": []})

        for table, name in sorted(self.created):
            of(table)["created"].append({**self.rows[table, name], "_status": "created"})
        for (table, name), columns in self.changed.items():
            named = ",".join(sorted(columns))
            of(table)["updated"].append({**self.rows[table, name], "_changed": named})
        for table, name in sorted(self.deleted):
            of(table)["deleted"].append(name)
        if not sets:
            return
        answer = self.melon.push(sets, self.cursor)
        self.created, self.changed, self.deleted = set(), {}, set()
        for table, names in answer.get("experimentalRejectedIds", {}).items():
            for name in names:  # an app shows them to somebody; here they go
                self.refused.add((table, name))
                self._forget((table, name))

    def _forget(self, key: Key) -> None:
        self.rows.pop(key, None)
        self.created.discard(key)
        self.changed.pop(key, None)
        self.deleted.discard(key)
