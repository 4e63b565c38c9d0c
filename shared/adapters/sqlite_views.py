"""A product's numbers in a SQLite file of their own, made of a copy of the record store.

Beside the tables and views, `dictionary` says what each of them, and each column of a table, is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import orjson

from shared.export.views import Fact, Facts, Views
from shared.records import record

#: Scope → collection → ids of the documents that are in the file.
Given = dict[str, dict[str, list[str]]]


def write(copy: Path, to: Path, views: Views, scopes: Sequence[str] | None) -> Given:
    """Fill the new file `to` with what the store's copy has of these scopes (None: all); what is in it.

    `copy` is a file that `SqliteStore.copy_to` made: nothing is left in it of what was erased.
    """
    with closing(sqlite3.connect(to)) as db:
        db.execute("ATTACH ? AS store", (str(copy),))
        db.execute("CREATE TABLE dictionary (name TEXT, column_name TEXT, description TEXT)")
        db.executemany("INSERT INTO dictionary VALUES (?, ?, ?)", _described(views))
        for table in views.tables:
            _fill(db, table, views.placed(table.keep, ""), scopes)
        for view in views.views:
            db.execute(f'CREATE VIEW "{view.name}" AS {views.placed(view.sql, "")}')
            db.execute(f'SELECT * FROM "{view.name}" LIMIT 1')  # noqa: S608  SQLite reads it only now
        db.commit()
        given: Given = {}
        for table in views.tables:
            for scope, name in db.execute(f'SELECT scope_id, id FROM "{table.name}" ORDER BY id'):  # noqa: S608
                given.setdefault(scope, {}).setdefault(table.collection, []).append(name)
        return given


def _fill(db: sqlite3.Connection, table: Facts, keep: str, scopes: Sequence[str] | None) -> None:
    columns = ", ".join(table.columns)
    values = ", ".join(value for fact in table.facts for value in _values(fact))
    among = "IS NOT NULL" if scopes is None else "IN (SELECT value FROM json_each(?))"
    named = () if scopes is None else (orjson.dumps(list(scopes)).decode(),)
    db.execute(f'CREATE TABLE "{table.name}" (id TEXT PRIMARY KEY, scope_id TEXT, {columns})')
    db.execute(
        f'INSERT INTO "{table.name}" SELECT * FROM ('  # noqa: S608  names and conditions are a product's
        f"SELECT id, scope AS scope_id, {values} FROM store.documents WHERE collection = ?"
        f" AND json_extract(data, '$.{record.DELETED}') IS NULL AND scope {among}) WHERE {keep}",
        (table.collection, *named),
    )


def _values(fact: Fact) -> Iterator[str]:
    value = f"json_extract(data, '$.{fact.path}')"  # `data` is the document as JSON text
    yield f"{value} AS {fact.name}"
    if fact.week:
        # forward to Sunday, if it is none, then back to Monday
        yield f"date({value} / 1000, 'unixepoch', 'weekday 0', '-6 days') AS {fact.week}"


def _described(views: Views) -> Iterator[tuple[str, str | None, str]]:
    for table in views.tables:
        yield table.name, None, table.doc
        for name, doc in table.columns.items():
            yield table.name, name, doc
    for view in views.views:
        yield view.name, None, view.doc
