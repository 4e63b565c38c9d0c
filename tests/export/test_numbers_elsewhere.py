"""Analysts' tools: the recipe for datasette as it is written, and BigQuery's query on another engine.

The tools are no dependency of ours. They are installed beside the project, in `.build/analyst`.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from infra import numbers
from shared.products.dermadetect.views import VIEWS
from shared.records import record
from shared.records.store import Query, RecordStore
from tests.conftest import absent
from tests.export.test_views import made, store, year
from tests.test_docs import blocks

__all__ = ["store", "year"]

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "data-out.md"
TOOLS = ROOT / ".build" / "analyst"
WANTED = ("datasette==0.65.5", "sqlglot==30.30.0", "duckdb==2.0.1")


@pytest.fixture(scope="module")
def tools() -> Path:
    """The folder of the tools, filled once."""
    mark = TOOLS / "installed.txt"
    if not mark.exists() or mark.read_text() != " ".join(WANTED):
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--upgrade",
            "--target",
            str(TOOLS),
        ]
        done = subprocess.run([*command, *WANTED], capture_output=True, text=True, check=False)
        if done.returncode:
            absent(f"pip cannot install {', '.join(WANTED)}")
        mark.write_text(" ".join(WANTED))
    return TOOLS


def test_the_query_that_is_deployed_is_made_of_the_declarations() -> None:
    assert (ROOT / "infra" / "numbers.sql").read_text("utf-8") == numbers.render() + "\n", (
        "make generated"
    )


def test_the_query_reads_no_patient_and_no_column_that_is_not_declared() -> None:
    text = numbers.render()
    assert set(re.findall(r"kind_(\w+)/", text)) == {each.collection for each in VIEWS.tables}
    declared = {fact.path for each in VIEWS.tables for fact in each.facts}
    assert set(re.findall(r"\$\.([\w.]+)'", text)) == {*declared, record.SCOPE, record.DELETED}
    # the one thing that Terraform fills in
    assert set(re.findall(r"[$%]\{(\w*)", text)) == {"bucket"}


@pytest.mark.proof
def test_bigquery_s_query_says_what_sqlite_says(
    year: RecordStore, tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tools))
    duckdb, sqlglot = importlib.import_module("duckdb"), importlib.import_module("sqlglot")
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'; CREATE SCHEMA numbers; CREATE SCHEMA numbers_raw")
    for (
        table
    ) in VIEWS.tables:  # an export as BigQuery shows it: a column a field, the id in __key__
        rows = [
            {"__key__": {"name": each.key.id}, **each.fields}
            for each in year.query(Query(table.collection))
        ]
        (tmp_path / "rows").write_text("\n".join(map(json.dumps, rows)))
        db.execute(
            f"CREATE TABLE numbers_raw.{table.name} AS SELECT * FROM"
            f" read_json('{tmp_path / 'rows'}', format = 'newline_delimited')"
        )
    for statement in sqlglot.parse(numbers.render(), read="bigquery"):
        if "EXTERNAL TABLE" not in statement.sql(dialect="bigquery"):
            db.execute(statement.sql(dialect="duckdb"))
    with closing(made(tmp_path)) as ours:
        for name in (*(each.name for each in VIEWS.tables), *(each.name for each in VIEWS.views)):
            asked = f"SELECT * FROM {name}"
            found = ours.execute(asked)
            columns = [each[0] for each in found.description]
            theirs = db.execute(f"SELECT {', '.join(columns)} FROM numbers.{name}")
            assert plain(theirs.fetchall()) == plain(found) != [], name


def plain(rows: Any) -> list[list[str]]:
    """Rows in an order, days as days, JSON without spaces."""
    return sorted([re.sub(r" 00:00:00$|(?<=,) ", "", str(value)) for value in row] for row in rows)


@pytest.mark.proof
@pytest.mark.usefixtures("year")
def test_the_recipe_for_datasette_works_as_it_is_written(tools: Path, tmp_path: Path) -> None:
    [(_, recipe)] = [(said, part) for said, part in blocks(PAGE, "sh") if "datasette" in part]
    with closing(made(tmp_path, "kito")) as db:
        (tmp_path / "numbers.db").write_bytes(db.serialize())
    lines = [line for line in recipe.splitlines() if line.startswith("datasette ")]
    assert len(lines) == 2
    environ = {**os.environ, "PYTHONPATH": str(tools)}
    for line in lines:
        words = line.split()[1:]
        # the page that a browser would show, without a server that has to be waited for
        asked = "/numbers/cases_by_week_and_risk.json?_shape=array"
        more = ["--get", asked] if words[0] == "serve" else []
        done = subprocess.run(
            [sys.executable, "-m", "datasette", *words, *more],
            cwd=tmp_path, env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert {"week": "2026-03-02", "scope_id": "kito", "risk": "red", "cases": 3}.items() <= rows[
        0
    ].items()
