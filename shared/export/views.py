"""A product's numbers for analysts: few columns of its documents as tables, and SQL views over them.

What is not declared here does not leave: no names, texts or photos, only ids, times, colours and verdicts.
Who needs more exports rows (`shared/export/rows.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Fact(NamedTuple):
    """A column: what a document has at `path` (`ai_analysis.status`). Lists and maps are JSON text."""

    name: str
    path: str
    doc: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The living documents of a collection as a table: `id`, `scope_id`, then its facts.

    `keep` is an SQL condition on its own columns and on tables declared before it: only those rows.
    """

    name: str
    collection: str
    doc: str
    facts: tuple[Fact, ...]
    keep: str = ""


class View(NamedTuple):
    """A question that is asked often: a name, what it answers, a SELECT in SQLite's dialect."""

    name: str
    doc: str
    sql: str


class Views(NamedTuple):
    """All that analysts get of a product. A view may use every table, and views before it."""

    tables: tuple[Facts, ...]
    views: tuple[View, ...]
