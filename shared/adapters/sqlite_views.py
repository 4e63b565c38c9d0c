"""A product's numbers in a SQLite file of their own, made of a copy of the record store.

Beside the tables and views, `dictionary` says what each of them, and each column of a table, is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import orjson

from shared.export.views import Facts, Views
from shared.records import record

#: Scope → table → ids of the rows that are in the file.
Given = dict[str, dict[str, list[str]]]


def write(copy: Path, to: Path, views: Views, scopes: Sequence[str] | None) -> Given:
    """Fill the new file `to` with what the store's copy has of these scopes (None: all); what is in it.

    `copy` is a file that `SqliteStore.copy_to` made: nothing is left of what was erased.
    """
    with closing(sqlite3.connect(to)) as db:
        db.execute("ATTACH ? AS store", (str(copy),))
        db.execute("CREATE TABLE dictionary (name TEXT, column_name TEXT, description TEXT)")
        db.executemany("INSERT INTO dictionary VALUES (?, ?, ?)", _described(views))
        for table in views.tables:
            _fill(db, table, scopes)
        for view in views.views:
            db.execute(f'CREATE VIEW "{view.name}" AS {view.sql}')
            db.execute(f'SELECT * FROM "{view.name}" LIMIT 1')  # noqa: S608  SQLite reads it only now
        db.commit()
        given: Given = {}
        for table in views.tables:
            for scope, name in db.execute(f'SELECT scope_id, id FROM "{table.name}" ORDER BY id'):  # noqa: S608
                given.setdefault(scope, {}).setdefault(table.collection, []).append(name)
        return given


def _fill(db: sqlite3.Connection, table: Facts, scopes: Sequence[str] | None) -> None:
    names = ", ".join(f'"{fact.name}"' for fact in table.facts)
    db.execute(f'CREATE TABLE "{table.name}" (id TEXT PRIMARY KEY, scope_id TEXT, {names})')
    # `data` is the document as JSON text
    values = ", ".join(
        f"json_extract(data, '$.{fact.path}') AS \"{fact.name}\"" for fact in table.facts
    )
    living = (
        f"SELECT id, scope AS scope_id, {values} FROM store.documents"  # noqa: S608  names and conditions are a product's
        f" WHERE collection = ? AND json_extract(data, '$.{record.DELETED}') IS NULL"
        f" AND scope {'IS NOT NULL' if scopes is None else 'IN (SELECT value FROM json_each(?))'}"
    )
    named = () if scopes is None else (orjson.dumps(list(scopes)).decode(),)
    db.execute(
        f'INSERT INTO "{table.name}" SELECT * FROM ({living}) WHERE {table.keep or "true"}',  # noqa: S608
        (table.collection, *named),
    )


def _described(views: Views) -> Iterator[tuple[str, str | None, str]]:
    for table in views.tables:
        yield table.name, None, table.doc
        for fact in table.facts:
            yield table.name, fact.name, fact.doc
    for view in views.views:
        yield view.name, None, view.doc
