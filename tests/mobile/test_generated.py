"""What the kit holds of the product is made of the server's declarations, and is current."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from infra import kit
from shared.api import schema_js
from shared.products.dermadetect.tables import CATALOG
from shared.records.collection import Catalog, Field, Type


def with_village() -> Catalog:
    """The declarations with a column more."""
    patients = CATALOG.by_name["patients"]
    more = replace(patients, fields=(*patients.fields, Field("village", Type.STRING, "Where.")))
    return replace(CATALOG, collections=(more, *CATALOG.collections[1:]))


def test_the_generated_modules_are_current() -> None:
    there = {file.name: file.read_text("utf-8") for file in kit.GENERATED.iterdir()}
    assert there == kit.main(), "make generated"


def test_tables_that_differ_from_their_release_need_a_new_number() -> None:
    with pytest.raises(kit.Unreleased, match="Raise VERSION"):
        kit.versions(with_village(), kit.RELEASED)
    before, after = kit.versions(with_village(), kit.RELEASED, schema_js.VERSION + 1)[-2:]
    assert (before["version"], after["version"]) == (schema_js.VERSION, schema_js.VERSION + 1)
    assert "village" in kit.module(with_village(), [before, after])


def test_a_product_whose_tables_were_never_released_has_one_version(tmp_path: Path) -> None:
    assert kit.versions(CATALOG, tmp_path) == [
        {"version": schema_js.VERSION, "tables": schema_js.tables(CATALOG)}
    ]


def test_releases_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (2, 10, 1):
        (tmp_path / f"{CATALOG.name}-{number}.json").write_text(
            json.dumps({"version": number, "tables": []}), "utf-8"
        )
    found = kit.versions(CATALOG, tmp_path, 11)
    assert [each["version"] for each in found] == [1, 2, 10, 11]
