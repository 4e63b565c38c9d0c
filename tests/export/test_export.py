"""What analysts get: rows of the teams and dates they asked for, in forms that their tools read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access.audit import OPERATOR
from shared.errors import StoreUnavailable
from shared.export.formats import FORMATS, FORMULA, iso
from shared.export.rows import Column, Wanted, columns_of, dictionary, export
from shared.jobs.cascade import cascade
from shared.records.collection import Catalog, Collection, Field, Owner, Type
from shared.records.store import Key, Query, RecordStore, put
from tests import stores
from tests.stores import Interrupted

NOTEBOOKS = Catalog(
    name="notebooks",
    scope_word="club",
    cascade=cascade,
    roles=("member",),
    may=lambda role, _right: role == "member",
    collections=(
        Collection("notebooks", "A notebook.", (Field("title", Type.STRING, "Its title."),)),
        Collection(
            "notes",
            "A note.",
            (
                Field("notebook_id", Type.STRING, "Where it is.", references="notebooks"),
                Field("text", Type.STRING, "What it says."),
                Field("pages", Type.INTEGER, "How many."),
                Field("weight", Type.NUMBER, "In grams."),
                Field("done", Type.BOOLEAN, "Whether."),
                Field("when", Type.TIME, "The day."),
                Field("data", Type.JSON, "Anything."),
                Field("sum", Type.MAP, "Of the server.", Owner.SERVER),
                Field("tags", Type.STRINGS, "Words.", choices=("a", "b")),
            ),
        ),
    ),
)

DAY = 86_400_000
NOW_MS = 1_790_000_000_000

#: A note as it is stored, every field filled.
NOTE: dict[str, Any] = {
    "scope_id": "kito",
    "author_id": "amina",
    "created_at": NOW_MS,
    "received_at": NOW_MS + 1,
    "last_modified_at": NOW_MS + 2,
    "notebook_id": "b",
    "text": "Zoë said „yes“, twice\nand no",
    "pages": 3,
    "weight": 1.5,
    "done": False,
    "when": NOW_MS - DAY,
    "data": '{"a":[1,null]}',
    "sum": {"n": 1},
    "tags": ["x", "y"],
    "_hash": "h",
}


@pytest.fixture(params=stores.BOTH)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordStore]:
    made = stores.fresh(request.param, request, tmp_path)
    yield made
    made.close()


def exported(store: RecordStore, form: str, **wanted: Any) -> dict[str, bytes]:
    chosen = Wanted(**{"scopes": ["kito"], "tables": ["notes"], **wanted})
    files = {table: io.BytesIO() for table in chosen.tables}
    with ExitStack() as stack:
        writers = {
            table: stack.enter_context(
                FORMATS[form](files[table], columns_of(NOTEBOOKS.by_name[table]))
            )
            for table in chosen.tables
        }
        counts = export(store, NOTEBOOKS, chosen, writers, OPERATOR, lambda: NOW_MS)
    assert set(counts) == set(chosen.tables)
    return {table: file.getvalue() for table, file in files.items()}


def ids(data: bytes) -> list[str]:
    return sorted(json.loads(line)["id"] for line in data.splitlines())


def test_every_format_says_the_same(store: RecordStore) -> None:
    store.commit(
        [put(Key("notes", "n"), NOTE, None), put(Key("notes", "e"), {"scope_id": "kito"}, None)]
    )
    text = exported(store, "csv")["notes"].decode("utf-8-sig")
    full, empty = sorted(csv.DictReader(io.StringIO(text, newline="")), key=lambda row: row["id"])[
        ::-1
    ]
    assert full["text"] == NOTE["text"]
    assert (full["pages"], full["weight"], full["done"]) == ("3", "1.5", "false")
    assert full["when"] == "2026-09-20T14:13:20.000+00:00"
    assert json.loads(full["data"]) == {"a": [1, None]}
    assert json.loads(full["tags"]) == ["x", "y"]
    assert {name for name, value in empty.items() if value} == {"id", "scope_id", "updated_at"}
    assert "_hash" not in full

    [_, line] = sorted(exported(store, "ndjson")["notes"].splitlines(), key=len)
    said = json.loads(line)
    assert said["data"] == {"a": [1, None]}
    assert said["sum"] == {"n": 1}
    assert said["when"] == full["when"]

    table = pyarrow.parquet.read_table(io.BytesIO(exported(store, "parquet")["notes"]))
    [row] = [row for row in table.to_pylist() if row["id"] == "n"]
    assert (row["text"], row["pages"], row["weight"], row["done"]) == (NOTE["text"], 3, 1.5, False)
    assert iso(int(row["when"].timestamp() * 1000)) == full["when"]
    assert json.loads(row["sum"]) == {"n": 1}
    assert row["tags"] == ["x", "y"]
    assert [column.name for column in columns_of(NOTEBOOKS.by_name["notes"])] == table.column_names


def test_only_the_teams_dates_and_records_that_were_asked_for(store: RecordStore) -> None:
    def note(name: str, scope: str, day: int, **more: Any) -> None:
        fields = {**NOTE, "scope_id": scope, "created_at": NOW_MS + day * DAY, **more}
        store.commit([put(Key("notes", name), fields, None)])

    note("first", "kito", 0)
    note("second", "kito", 1)
    note("gone", "kito", 0, deleted_at=NOW_MS)
    note("other", "moshi", 0)
    assert ids(exported(store, "ndjson")["notes"]) == ["first", "second"]
    assert ids(exported(store, "ndjson", deleted=True)["notes"]) == ["first", "gone", "second"]
    assert ids(exported(store, "ndjson", since_ms=NOW_MS + 1)["notes"]) == ["second"]
    assert ids(exported(store, "ndjson", until_ms=NOW_MS + DAY)["notes"]) == ["first"]
    both = exported(store, "ndjson", scopes=["kito", "moshi"], tables=["notebooks", "notes"])
    assert ids(both["notes"]) == ["first", "other", "second"]
    assert both["notebooks"] == b""


def test_the_trail_knows_what_was_given_out_before_it_is_written(store: RecordStore) -> None:
    store.commit([put(Key("notes", f"n{number}"), NOTE, None) for number in range(3)])
    exported(store, "ndjson")
    [entry] = store.query(Query("audit"))
    assert (entry.fields["action"], entry.fields["scope_id"]) == ("export", "kito")
    assert entry.fields["user_id"] == OPERATOR.user_id
    assert sorted(entry.fields["ids"]["notes"]) == ["n0", "n1", "n2"]

    def refuse(_writes: object) -> None:
        raise StoreUnavailable("no")

    written: list[Any] = []

    class Keeps:
        def write(self, rows: Any) -> None:
            written.extend(rows)

    with pytest.raises(StoreUnavailable):
        export(
            Interrupted(store, before=refuse),
            NOTEBOOKS,
            Wanted(["kito"], ["notes"]),
            {"notes": Keeps()},
            OPERATOR,
            lambda: NOW_MS,
        )
    assert written == []


def test_a_table_larger_than_a_batch_is_whole_whoever_writes_meanwhile(store: RecordStore) -> None:
    """A record that moves to the end of the listing while it runs comes once."""
    for start in range(0, 1200, 400):
        store.commit([put(Key("notes", f"n{n}"), NOTE, None) for n in range(start, start + 400)])
    touched: list[bool] = []

    def touch(_writes: object) -> None:
        if not touched:
            touched.append(True)
            store.commit([put(Key("notes", "n1"), {**NOTE, "text": "again"}, None)])

    seen: list[str] = []

    class Keeps:
        def write(self, rows: Any) -> None:
            seen.extend(row[0] for row in rows)

    export(
        Interrupted(store, before=touch),
        NOTEBOOKS,
        Wanted(["kito"], ["notes"]),
        {"notes": Keeps()},
        OPERATOR,
        lambda: NOW_MS,
    )
    assert sorted(seen) == sorted(f"n{n}" for n in range(1200))


@given(st.text())
def test_no_text_becomes_a_formula_and_every_text_comes_back(text: str) -> None:
    columns = columns_of(NOTEBOOKS.by_name["notebooks"])
    to = io.BytesIO()
    with FORMATS["csv"](to, columns) as writer:
        writer.write([[*(None for _ in columns[1:]), text]])
    try:
        said = to.getvalue().decode("utf-8-sig")
    except UnicodeDecodeError:
        pytest.fail("not UTF-8")
    [row] = csv.DictReader(io.StringIO(said, newline=""))
    assert not row["title"].startswith(("=", "+", "-", "@", "\t", "\r"))
    quoted = row["title"].startswith("'") and row["title"].lstrip("'").startswith(FORMULA)
    assert row["title"][quoted:] == text


def test_semicolons_go_with_decimal_commas() -> None:
    to = io.BytesIO()
    columns = (
        Column("a", Type.NUMBER, ""),
        Column("b", Type.STRING, ""),
        Column("c", Type.JSON, ""),
    )
    with FORMATS["csv-semicolon"](to, columns) as writer:
        writer.write([[7.25, "7.25; x", '{"a":7.25}'], [7, None, None], [1e300, "", None]])
    said = to.getvalue().decode("utf-8-sig")
    assert said.splitlines() == [
        "a;b;c",
        '7,25;"7.25; x";"{""a"":7.25}"',
        "7;;",
        "1e+300;;",
    ]


def test_the_dictionary_describes_every_column() -> None:
    rows = list(dictionary(NOTEBOOKS))
    named = [
        (table.name, column.name) for table in NOTEBOOKS.collections for column in columns_of(table)
    ]
    assert [(row["table"], row["column"]) for row in rows] == named
    assert all(row["description"] for row in rows)
    [tags] = [row for row in rows if row["column"] == "tags"]
    assert (tags["type"], tags["values"]) == ("strings", "a, b")
    [parent] = [row for row in rows if row["refers_to"]]
    assert (parent["column"], parent["refers_to"]) == ("notebook_id", "notebooks")
