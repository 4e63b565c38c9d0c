"""A family in memory, without a store: records as a push makes them."""

from __future__ import annotations

from typing import Any

from shared.products.hemoday.household import Household
from shared.products.hemoday.tables import CATALOG
from shared.records.collection import Turn
from shared.records.store import Document, Key

DAY = 86_400_000
NOW = 1_790_000_000_000

#: Table, id, columns.
Made = tuple[str, str, dict[str, Any]]


def household(*records: Made) -> Household:
    """A family in memory, whose records have the server's columns as a push makes them."""
    tables: dict[str, dict[str, Document]] = {each.name: {} for each in CATALOG.collections}
    for table, id, columns in records:
        collection = CATALOG.by_name[table]
        values = collection.coerce(columns).values
        turn = Turn(table, id, "f1", "anna", values, None, None, NOW)
        fields = {**values, **collection.effects(turn).fields, "created_at": NOW}
        tables[table][id] = Document(Key(table, id), fields, NOW * 1000)
    return Household("f1", 1, 0, tables)


def transfusion(day: int, before: Any = None, unit: str = "g/dL", **columns: Any) -> Made:
    said = [] if before is None else [{"name": "Hb", "value": before, "unit": unit}]
    return (
        "transfusions",
        f"t{day}",
        {"date": day * DAY, "indicators_before": said, "confirmed": [], **columns},
    )


def result(id: str, name: str, day: int, **columns: Any) -> list[Made]:
    return [
        ("blood_tests", f"b{id}", {"date": day * DAY}),
        ("blood_test_results", id, {"blood_test_id": f"b{id}", "name": name, **columns}),
    ]
