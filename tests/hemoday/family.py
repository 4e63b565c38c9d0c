"""A family on a store, with phones that speak WatermelonDB's dialect."""

from __future__ import annotations

from typing import Any

from infra.local.phone import wall_ms
from shared.products.hemoday.tables import CATALOG
from shared.records.store import Key
from tests.sync.clinic import Clinic
from tests.sync.test_watermelon import Melon

Json = dict[str, Any]


class Family(Clinic):
    """The engine on HemoDay's tables."""

    catalog = CATALOG

    def stored(self, table: str, name: str) -> Json:
        """All that is stored of a record."""
        key = Key(table, name)
        return dict(self.store.read([key]).documents[key].fields)

    def melon(self, user: str = "member1", device: str = "phone") -> Melon:
        """A phone of somebody."""
        return Melon(self, user, device)


def row(name: str, /, **columns: Any) -> Json:
    """A record as a phone sends it."""
    return {"id": name, "last_modified_at": wall_ms() - 5000, **columns}


def changes(**tables: list[Json]) -> Json:
    """New records by table."""
    return {
        table: {"created": rows, "updated": [], "deleted": []} for table, rows in tables.items()
    }
