"""Queries of the SQLite store as SQL, and the indexes that serve them.

A query and an index must spell a field alike, or the index is not used: both ask `sql_of`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.records.store import STAMP, Query


def sql_of(field: str) -> str:
    """The SQL of a field. Queries and indexes must spell it alike, or an index is not used."""
    known = {"scope_id": "scope", STAMP: "version", "__name__": "id"}
    return known.get(field) or f"json_extract(data, '$.{field}')"


def select(query: Query, behind: tuple[Any, ...] | None) -> tuple[str, list[Any]]:
    """The SQL of one page; its last parameter is the page's size."""
    # The collection is spelt out, not bound: SQLite must see that a partial index covers it.
    where, values = [f"collection = '{query.collection}'"], []
    for field, operator, value in query.where:
        condition, bound = _condition(field, operator, value)
        where.append(condition)
        values += bound
    order = [(sql_of(field), direction) for field, direction in query.order]
    # Like Firestore: a document without the field that orders is not in the order.
    where += [f"{column} IS NOT NULL" for column, _ in order]
    order.append(("id", "asc"))
    if behind is not None:
        condition, bound = _behind(order, behind)
        where.append(condition)
        values += bound
    columns = ", ".join(["id", "version", "data", *(column for column, _ in order[:-1])])
    return (
        f"SELECT {columns} FROM documents WHERE {' AND '.join(where)}"  # noqa: S608  names are checked
        f" ORDER BY {', '.join(f'{column} {direction}' for column, direction in order)} LIMIT ?",
        values,
    )


def tally(query: Query) -> tuple[str, list[Any]]:
    """The SQL that counts what a query finds; its last parameter is the most that is counted."""
    where, values = [f"collection = '{query.collection}'"], []
    for field, operator, value in query.where:
        if _only_numbers(query, field, operator, value):
            condition, bound = f"{sql_of(field)} {operator.replace('==', '=')} ?", [value]
        else:
            condition, bound = _condition(field, operator, value)
        where.append(condition)
        values += bound
    where += [f"{sql_of(field)} IS NOT NULL" for field, _ in query.order]
    found = f"SELECT 1 FROM documents WHERE {' AND '.join(where)} LIMIT ?"  # noqa: S608  names are checked
    return f"SELECT count(*) FROM ({found})", values  # noqa: S608


def _only_numbers(query: Query, field: str, operator: str, value: Any) -> bool:
    """Whether a comparison can hold for numbers alone, without a look at the document's own types.

    Then the index has all that is asked for, and no document is read. A boolean is 0 or 1 there, and any
    text is above any number: so an equality with another number will do, and a span between two such.
    """

    def beyond_booleans(each: Any) -> bool:
        return isinstance(each, int | float) and not isinstance(each, bool) and each > 1

    if operator == "==":
        return beyond_booleans(value)
    bounds = [(how, least) for name, how, least in query.where if name == field]
    lower = any(how in (">", ">=") and beyond_booleans(least) for how, least in bounds)
    upper = any(how in ("<", "<=") and beyond_booleans(least) for how, least in bounds)
    return lower and upper and beyond_booleans(value)


def _condition(field: str, operator: str, value: Any) -> tuple[str, list[Any]]:
    """A comparison that, like Firestore's, holds between values of one kind only."""
    column = sql_of(field)
    if operator == "in":
        parts = [_condition(field, "==", each) for each in dict.fromkeys(value)]
        if len({condition for condition, _ in parts}) == 1:  # values of one kind: one range scan
            kinds = parts[0][0].removeprefix(f"{column} = ?")
            marks = ", ".join("?" * len(parts))
            return f"{column} IN ({marks}){kinds}", [bound[0] for _, bound in parts]
        return (
            f"({' OR '.join(f'({condition})' for condition, _ in parts)})",
            [bound[0] for _, bound in parts],
        )
    if operator == "contains":
        held = f"SELECT 1 FROM json_each(data, '$.{field}') AS held WHERE held.value = ?"  # noqa: S608
        return f"json_type(data, '$.{field}') = 'array' AND EXISTS ({held})", [value]
    comparison = "=" if operator == "==" else operator
    if not column.startswith("json_extract"):
        return f"{column} {comparison} ?", [value]
    # json_extract makes 1 of true and a string of a map.
    if isinstance(value, bool):
        kinds = "'true', 'false'"
    elif isinstance(value, str):
        kinds = "'text'"
    else:
        kinds = "'integer', 'real'"
    return f"{column} {comparison} ? AND json_type(data, '$.{field}') IN ({kinds})", [value]


def _behind(order: Sequence[tuple[str, str]], last: Sequence[Any]) -> tuple[str, list[Any]]:
    """Behind `last`: later in the first field, or equal there and later in the next, and so on."""
    alternatives: list[str] = []
    values: list[Any] = []
    for n, (column, direction) in enumerate(order):
        equal = [f"{before} = ?" for before, _ in order[:n]]
        alternatives.append(
            " AND ".join([*equal, f"{column} {'<' if direction == 'desc' else '>'} ?"])
        )
        values += [*last[:n], last[n]]
    # Implied by the alternatives, but the index can only start at a bound that stands by itself.
    column, direction = order[0]
    start = f"{column} {'<=' if direction == 'desc' else '>='} ?"
    return f"{start} AND ({' OR '.join(f'({case})' for case in alternatives)})", [last[0], *values]


def declared_indexes(path: Path) -> dict[str, str]:
    """Name and SQL of an index for each index that a Firebase CLI file asks for.

    Composite ones, and single fields that its overrides leave indexed.
    """
    wanted: dict[str, str] = {}
    file = json.loads(path.read_text("utf-8"))
    single = [
        {
            "collectionGroup": override["collectionGroup"],
            "fields": [{"fieldPath": override["fieldPath"], **entry}],
        }
        for override in file["fieldOverrides"]
        for entry in override["indexes"]
    ]
    for index in [*file["indexes"], *single]:
        fields = [(field["fieldPath"], field.get("order")) for field in index["fields"]]
        if fields == [("scope_id", "ASCENDING"), (STAMP, "ASCENDING")]:
            continue  # the index `changes` serves it
        if any(order is None for _, order in fields):
            continue  # array and vector indexes: the port has no such query
        if fields[-1][0] != "__name__":
            # Firestore's rule. Our queries break ties by rising ids, so an index that ends in a
            # descending field must name __name__ itself to serve them, there and here.
            fields.append(("__name__", fields[-1][1]))
        short = {"ASCENDING": "asc", "DESCENDING": "desc"}
        columns = ", ".join(f"{sql_of(field)} {short[order]}" for field, order in fields)
        collection = index["collectionGroup"]
        parts = [f"{field.strip('_')}_{short[order]}" for field, order in fields]
        name = "__".join(["q", collection, *parts])
        wanted[name] = (
            f'CREATE INDEX IF NOT EXISTS "{name}" ON documents ({columns})'
            f" WHERE collection = '{collection}'"
        )
    return wanted
