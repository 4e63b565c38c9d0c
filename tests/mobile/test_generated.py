"""What the kit holds of the product is made of the server's declarations, and is current."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from infra import kit as generate
from shared.api import schema_js
from shared.products.dermadetect.tables import CATALOG
from shared.records.collection import Catalog, Collection, Field, Type
from tests.neutral import tables as neutral


def with_village() -> Catalog:
    """The declarations with a column more."""
    patients = CATALOG.by_name["patients"]
    more = replace(patients, fields=(*patients.fields, Field("village", Type.STRING, "Where.")))
    return replace(CATALOG, collections=(more, *CATALOG.collections[1:]))


def test_the_generated_modules_are_current() -> None:
    there = {file.name: file.read_text("utf-8") for file in generate.GENERATED.iterdir()}
    assert there == generate.modules(CATALOG), "make generated"


def test_tables_that_differ_from_their_release_need_a_new_number() -> None:
    with pytest.raises(generate.Unreleased, match="Raise VERSION"):
        generate.versions(with_village(), generate.RELEASED)
    before, after = generate.versions(with_village(), generate.RELEASED, schema_js.VERSION + 1)[-2:]
    assert (before["version"], after["version"]) == (schema_js.VERSION, schema_js.VERSION + 1)
    assert "village" in generate.module(with_village(), [before, after])


def test_a_product_whose_tables_were_never_released_has_one_version(tmp_path: Path) -> None:
    assert generate.versions(CATALOG, tmp_path) == [
        {"version": schema_js.VERSION, "tables": schema_js.tables(CATALOG)}
    ]


def test_a_number_that_is_lowered_takes_no_phone_back(tmp_path: Path) -> None:
    """WatermelonDB empties a database whose schema is newer than the app's (WatermelonDB#1810)."""
    now = {"version": 1, "tables": schema_js.tables(CATALOG)}
    for each in (now, {**now, "version": 2}):
        text = json.dumps(each)
        (tmp_path / f"{CATALOG.name}-{each['version']}.json").write_text(text, "utf-8")
    assert generate.versions(CATALOG, tmp_path, 1)[-1]["version"] == 2


def test_releases_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (2, 10, 1):
        (tmp_path / f"{CATALOG.name}-{number}.json").write_text(
            json.dumps({"version": number, "tables": []}), "utf-8"
        )
    found = generate.versions(CATALOG, tmp_path, 11)
    assert [each["version"] for each in found] == [1, 2, 10, 11]


#: Names that a record has already, that a class of the module has, two ways to one table, and odd texts.
ODD = replace(
    neutral.CATALOG,
    name="odd",
    collections=(
        Collection(
            "rows",
            "Ends */ here.",
            (
                *(
                    Field(name, Type.STRING, "Text.")
                    for name in ("text", "table", "update", "queries", "row")
                ),
                Field("kind", Type.STRING, "Ends */ there.", choices=("it's", "a\\b")),
                Field("row_id", Type.STRING, "Its parent.", references="rows"),
            ),
        ),
        Collection(
            "queries",
            "Where from, where to.",
            (
                Field("from_id", Type.STRING, "From.", required=True, references="rows"),
                Field("row", Type.STRING, "To.", references="rows"),
            ),
        ),
    ),
)


@pytest.mark.proof
def test_an_app_uses_the_modules_of_any_product(kit: Path, tmp_path: Path) -> None:
    packages = tmp_path / "node_modules"
    packages.mkdir()
    for package in (kit / "node_modules").iterdir():
        (packages / package.name).symlink_to(package)
    (packages / "@dermadetect").mkdir()
    (packages / "@dermadetect" / "care-kit").symlink_to(kit)
    for catalog in (neutral.CATALOG, ODD):
        for name, text in generate.modules(catalog, tmp_path, generate.OUTSIDE).items():
            (tmp_path / name).write_text(text, "utf-8")
    shutil.copy(Path(__file__).parent / "any_product.ts", tmp_path / "app.ts")
    settings = json.loads((kit / "tsconfig.json").read_text("utf-8"))
    settings["include"] = ["*.ts"]
    (tmp_path / "tsconfig.json").write_text(json.dumps(settings), "utf-8")
    (tmp_path / "package.json").write_text('{"type": "module"}', "utf-8")
    for command in (["node_modules/typescript/bin/tsc"], ["dist/app.js"]):
        done = subprocess.run(
            ["node", *command], cwd=tmp_path, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    (said,) = [line for line in done.stdout.splitlines() if line.startswith("said ")]
    assert json.loads(said.removeprefix("said ")) == [
        *("red", True, 3, ["a"], {"title": "Birds"}, 1),
        *("a", "b", "c", "it's", True, 1, 1),
    ]
