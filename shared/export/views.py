"""A product's numbers for analysts: few columns of its documents as tables, and SQL views over them.

What is not declared here does not leave: no names, texts or photos, only ids, times, colours and verdicts.
Who needs more exports rows (`shared/export/rows.py`).

The SQL is what SQLite and BigQuery both understand: `CASE` in sums, window functions, `NULLIF` before a
division; no `FILTER`, no dates. Other tables and views stand in braces, `{cases}`: each store has them in
another place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from shared.records.collection import Type


class Fact(NamedTuple):
    """A column: what a document has at `path` (`ai_analysis.status`).

    STRING; STRINGS as JSON text; TIME in ms, with a column beside it for the Monday of its week in UTC:
    `created_at` has `created_week`.
    """

    name: str
    path: str
    doc: str
    type: Type = Type.STRING

    @property
    def week(self) -> str | None:
        """The column of its week, if it is a time."""
        return f"{self.name.removesuffix('_at')}_week" if self.type is Type.TIME else None


@dataclass(frozen=True, slots=True)
class Facts:
    """The living documents of a collection as a table: `id`, `scope_id`, then its facts.

    `keep` is an SQL condition on its own columns and on tables declared before it: only those rows.
    """

    name: str
    collection: str
    doc: str
    facts: tuple[Fact, ...]
    keep: str = "true"

    @property
    def columns(self) -> dict[str, str]:
        """What each column beside `id` and `scope_id` is."""
        said = {}
        for fact in self.facts:
            said[fact.name] = fact.doc
            if fact.week:
                said[fact.week] = f"The Monday of the week of {fact.name}, UTC."
        return said


class View(NamedTuple):
    """A question that is asked often: a name, what it answers, a SELECT."""

    name: str
    doc: str
    sql: str


class Views(NamedTuple):
    """All that analysts get of a product. A view may use every table, and views before it."""

    tables: tuple[Facts, ...]
    views: tuple[View, ...]

    def placed(self, sql: str, where: str) -> str:
        """SQL in which every name in braces is behind `where`."""
        names = [*(each.name for each in self.tables), *(each.name for each in self.views)]
        return sql.format_map({name: f"{where}{name}" for name in names})
