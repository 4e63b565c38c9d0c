"""Queries of the SQLite store as SQL, and the indexes that serve them.

A query and an index must spell a field alike, or the index is not used: both ask `sql_of`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from shared.records.store import STAMP, Document, Near, Query

#: How the names of tables begin that hold documents, one a collection.
TABLES = "c__"
_CAPITAL, _ESCAPED = re.compile("[A-Z]"), re.compile("[$](.)")

#: Operators that SQL writes in another way.
_SQL = {"==": "="}


def table_of(collection: str) -> str:
    """The SQL of the table that holds a collection's documents."""
    # SQLite knows no difference between upper and lower case in names.
    return f'"{TABLES}{_CAPITAL.sub(lambda found: f"${found[0].lower()}", collection)}"'


def collection_of(table: str) -> str | None:
    """The collection whose documents a table holds; None: it holds no documents."""
    if not table.startswith(TABLES):
        return None
    return _ESCAPED.sub(lambda found: found[1].upper(), table[len(TABLES) :])


def sql_of(field: str) -> str:
    """The SQL of a field. Queries and indexes must spell it alike, or an index is not used."""
    known = {"scope_id": "scope", STAMP: "version", "__name__": "id"}
    return known.get(field) or f"json_extract(data, '$.{field}')"


def select(query: Query, behind: tuple[Any, ...] | None) -> tuple[str, list[Any]]:
    """The SQL of one page; its last parameter is the page's size."""
    order = [(sql_of(field), direction) for field, direction in query.order]
    columns = [f"{column} AS by{n}" for n, (column, _) in enumerate(order)]
    order.append(("id", "asc"))
    after, bounds = ("", []) if behind is None else _behind(order, behind)
    branches: list[str] = []
    values: list[Any] = []
    for each in _a_branch_each(query):
        where, bound = _where(each, behind)
        where = [*where, after] if after else where
        branches.append(
            f"SELECT {', '.join(['id', 'version', 'data', *columns])}"  # noqa: S608  names are checked
            f" FROM {table_of(query.collection)} WHERE {' AND '.join(where)}"
        )
        values += [*bound, *bounds]
    by = [f"by{n} {direction}" for n, (_, direction) in enumerate(query.order)]
    return f"{' UNION ALL '.join(branches)} ORDER BY {', '.join([*by, 'id asc'])} LIMIT ?", values


def tally(query: Query) -> tuple[str, list[Any]]:
    """The SQL that counts what a query finds; its last parameter is the most that is counted."""
    branches: list[str] = []
    values: list[Any] = []
    for each in _a_branch_each(query):
        where, bound = _where(each)
        table = table_of(query.collection)
        branches.append(f"SELECT 1 FROM {table} WHERE {' AND '.join(where)}")  # noqa: S608  names are checked
        values += bound
    return f"SELECT count(*) FROM ({' UNION ALL '.join(branches)} LIMIT ?)", values  # noqa: S608


def _a_branch_each(query: Query) -> list[Query]:
    """A query for each scope that it names: together they find what it finds.

    Each walks its index in order, and SQLite merges them as they run. From a plain `scope IN (…)` of three
    values on it would rather read all of these scopes' documents by the index `changes`, and sort them.
    """
    for at, (field, operator, value) in enumerate(query.where):
        if (field, operator) == ("scope_id", "in"):
            before, behind = query.where[:at], query.where[at + 1 :]
            return [
                replace(query, where=(*before, (field, "==", scope), *behind))
                for scope in dict.fromkeys(value)
            ]
    return [query]


def _where(query: Query, behind: tuple[Any, ...] | None = None) -> tuple[list[str], list[Any]]:
    """The conditions of a query, at least one, and their values."""
    where, values = list[str](), list[Any]()
    for field, operator, value in query.where:
        if behind is not None and _implied(query, behind, field, operator, value):
            # Of two bounds SQLite takes the first to begin at: each page would walk all pages before it.
            conditions, bound = [_of_kind(field, value)], []
        elif _only_numbers(query, field, operator, value):
            conditions, bound = [f"{sql_of(field)} {_SQL.get(operator, operator)} ?"], [value]
        else:
            condition, bound = _condition(field, operator, value)
            conditions = [condition]
        where += filter(None, conditions)
        values += bound
    # Like Firestore: a document without the field that orders is not in the order.
    where += [f"{sql_of(field)} IS NOT NULL" for field, _ in query.order]
    return where or ["TRUE"], values


def _implied(query: Query, behind: tuple[Any, ...], field: str, operator: str, value: Any) -> bool:
    """Whether what stands behind a place holds a comparison anyway."""
    if not query.order or field != query.order[0][0]:
        return False
    last, falls = behind[0], query.order[0][1] == "desc"
    if isinstance(last, str) != isinstance(value, str):
        return False
    if falls:
        return bool((operator == "<=" and last <= value) or (operator == "<" and last < value))
    return bool((operator == ">=" and last >= value) or (operator == ">" and last > value))


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
            f"({' OR '.join(f'({condition})' for condition, _ in parts)}) AND {column} IS NOT NULL",
            [bound[0] for _, bound in parts],
        )
    if operator == "contains":
        held = f"SELECT 1 FROM json_each(data, '$.{field}') AS held WHERE held.value = ?"  # noqa: S608
        return f"json_type(data, '$.{field}') = 'array' AND EXISTS ({held})", [value]
    kind = _of_kind(field, value)
    compared = f"{column} {_SQL.get(operator, operator)} ?"
    return f"{compared} AND {kind}" if kind else compared, [value]


def _of_kind(field: str, value: Any) -> str:
    """The condition that a field holds a value of the same kind; empty for a column."""
    if not sql_of(field).startswith("json_extract"):
        return ""
    # json_extract makes 1 of true and a string of a map.
    if isinstance(value, bool):
        kinds = "'true', 'false'"
    elif isinstance(value, str):
        kinds = "'text'"
    else:
        kinds = "'integer', 'real'"
    return f"json_type(data, '$.{field}') IN ({kinds})"


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


def nearest(found: Iterable[Document], near: Near, most: int) -> list[Document]:
    """Of documents those that are near, the nearest first: compared one by one."""
    length, kept = math.hypot(*near.place), list[tuple[float, str, Document]]()
    for each in found:
        place = each.fields.get(near.field)
        if place is None or len(place) != len(near.place) or not any(place):
            continue
        product = sum(a * b for a, b in zip(near.place, place, strict=True))
        cosine = product / (length * math.hypot(*place))
        if cosine >= near.least:
            kept.append((-cosine, each.key.id, each))
    return [each for _, _, each in sorted(kept)[:most]]


def declared_indexes(path: Path) -> dict[str, dict[str, str]]:
    """By collection, name and SQL of an index for each index that a Firebase CLI file asks for.

    Composite ones, and single fields that its overrides leave indexed.
    """
    wanted: dict[str, dict[str, str]] = {}
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
            continue  # arrays and places are looked through one by one
        if fields[-1][0] != "__name__":
            # Firestore's rule. Our queries break ties by rising ids, so an index that ends in a
            # descending field must name __name__ itself to serve them, there and here.
            fields.append(("__name__", fields[-1][1]))
        short = {"ASCENDING": "asc", "DESCENDING": "desc"}
        columns = ", ".join(f"{sql_of(field)} {short[order]}" for field, order in fields)
        collection = index["collectionGroup"]
        parts = [f"{field.strip('_')}_{short[order]}" for field, order in fields]
        name = "__".join(["q", collection, *parts])
        made = f'CREATE INDEX "{name}" ON {table_of(collection)} ({columns})'
        # As in Firestore, a document stands in it that has all of its fields: most are not deleted, and
        # wait for nobody. Queries say of each of these fields something that is true of no NULL.
        own = [sql_of(field) for field, _ in fields if sql_of(field).startswith("json_extract")]
        if own:
            made += f" WHERE {' AND '.join(f'{column} IS NOT NULL' for column in own)}"
        wanted.setdefault(collection, {})[name] = made
    return wanted
