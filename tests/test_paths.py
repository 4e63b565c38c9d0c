"""Rules that people ask for stand in a file whose name says so: nobody has to search for them.

Each file states its rule in the first paragraph of its docstring, and what decides it stands in it.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent


class Rule(NamedTuple):
    """A question, where its answer is, words of the answer, and what decides it there."""

    asked: str
    path: str
    stated: tuple[str, ...]
    decides: str


RULES = (
    Rule(
        "which of two edits wins",
        "shared/sync/conflict.py",
        ("last write wins", "column by column", "had seen"),
        "merge",
    ),
    Rule(
        "how long a deleted record is kept",
        "shared/sync/retention.py",
        ("keeps its data", "RETENTION_DAYS", "only its id"),
        "Purger",
    ),
    Rule(
        "how long a red case waits for its photos",
        "shared/products/dermadetect/waiting_for_photos.py",
        ("waits for the photos", "half an hour at most", "read with what is there"),
        "PHOTOS_WAIT_MS",
    ),
    Rule(
        "who sees the AI's percentages",
        "shared/products/dermadetect/who_sees_analysis.py",
        ("before a doctor signed", "doctors, supervisors and admins", "percentages"),
        "as_seen_by",
    ),
    Rule(
        "what happens when Pub/Sub is down",
        "shared/jobs/queue_down.py",
        ("Pub/Sub", "nothing is lost", "sweeper", "within a minute"),
        "ring",
    ),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.asked)
def test_a_rule_is_found_by_the_name_of_its_file(rule: Rule) -> None:
    tree = ast.parse((ROOT / rule.path).read_text(encoding="utf-8"))
    first = " ".join((ast.get_docstring(tree) or "").split("\n\n")[0].split())
    for words in rule.stated:
        assert words.lower() in first.lower(), f"{rule.path} begins: {first}"
    assert rule.decides in decided(tree), f"{rule.path} does not hold {rule.decides}"


def decided(tree: ast.Module) -> set[str]:
    """Names that a module itself defines."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names
