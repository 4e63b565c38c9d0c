"""The engine's suites need no product of ours: they run on the notebooks of this folder."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.products.product import Product
from shared.records.collection import Merge, Owner, Type
from tests.neutral.product import NOTEBOOKS
from tests.neutral.tables import CATALOG

TESTS = Path(__file__).parents[1]

#: Folders whose suites are about the engine alone.
ENGINE = (
    *("accounts", "contracts", "files", "hooks", "jobs", "neutral", "notify"),
    *("privacy", "reliability", "sync"),
)

#: Modules that mean DermaDetect, and one among them that does not: it starts a model server.
OF_A_PRODUCT = (
    "shared.products.dermadetect",
    "tests.ai",
    "tests.dermadetect",
    "tests.review",
    "tests.scripted",
)
OF_NONE = "tests.ai.vertex"


def suites() -> list[Path]:
    return [path for folder in ENGINE for path in sorted((TESTS / folder).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def of_a_product(path: Path) -> list[str]:
    return [name for name in imported(path) if name.startswith(OF_A_PRODUCT)]


@pytest.mark.parametrize("path", suites(), ids=lambda path: str(path.relative_to(TESTS)))
def test_an_engine_suite_imports_nothing_of_a_product(path: Path) -> None:
    assert [name for name in of_a_product(path) if not name.startswith(OF_NONE)] == []


def test_the_notebooks_declare_what_a_product_can_declare() -> None:
    fields = [spec for item in CATALOG.collections for spec in item.fields]
    assert {spec.type for spec in fields} == set(Type)
    assert {spec.merge for spec in fields} == set(Merge)
    assert {Owner.CLIENT, Owner.SERVER} <= {spec.owner for spec in fields}
    assert [item.name for item in CATALOG.collections if item.pushable] == ["notebooks", "notes"]
    assert isinstance(NOTEBOOKS, Product)
    assert set(NOTEBOOKS.attachments()) == {"notes"}
