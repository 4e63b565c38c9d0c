"""Which queries need which index in Firestore, and who asks them.

Neither the emulator nor SQLite refuses a query without its index; Firestore does. So every query that
our own code issues while tests run is written down as a shape, and each shape is held against
`infra/firestore.indexes.json` by the rules of
(cloud.google.com/firestore/docs/query-data/index-overview):

- no condition and no order: the documents' names, always indexed;
- one field, compared and ordered by at most itself: a single-field index, unless it is exempted;
- else a composite index: the fields compared by ==, in or contains, in any order; then the order
  fields in theirs, with their directions (or all of them turned round); then the name in the direction
  of the last field;
- what is near: the fields compared by ==, the name, the vector.

Firestore can also merge several indexes. That is not counted on: it reads more than it answers.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from shared.adapters.firestore import FirestoreStore
from shared.adapters.sqlite import SqliteStore
from shared.records.store import STAMP, Query

ROOT = Path(__file__).resolve().parents[1]
INDEXES = ROOT / "infra" / "firestore.indexes.json"

#: Comparisons that fix a value: their fields stand first in an index.
_FIXING = ("==", "in", "contains")


@dataclass(frozen=True, order=True)
class Shape:
    """A query without its values."""

    collection: str
    where: tuple[tuple[str, str], ...]  #: (field, operator), sorted
    order: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, query: Query) -> Shape:
        where = sorted((name, operator) for name, operator, _ in query.where)
        order = query.order if query.near is None else ((query.near.field, "near"),)
        return cls(query.collection, tuple(where), order)

    def __str__(self) -> str:
        conditions = ", ".join(f"{name} {operator}" for name, operator in self.where)
        order = ", ".join(f"{name} {direction}" for name, direction in self.order)
        return f"{self.collection} where {conditions or 'all'} order by {order or 'name'}"


def changes_shape(collection: str) -> Shape:
    """What `RecordStore.changes` asks of Firestore, several scopes and a cursor."""
    return Shape(collection, (("scope_id", "in"), (STAMP, ">")), ((STAMP, "asc"),))


Index = tuple[str, tuple[tuple[str, str], ...]]


#: The tables and references of the tests' own product, and those of the deployed one that are alike:
#: their queries need the same indexes.
_ALIKE = {
    "notebooks": "patients",
    "notes": "cases",
    "summary_queue": "medgemma_queue",
    "notebook_id": "patient_id",
    "note_id": "case_id",
}


@cache
def declared() -> tuple[frozenset[Index], frozenset[Index], frozenset[str]]:
    """(composite, single-field, collections without automatic indexes) of the list."""
    listed = json.loads(INDEXES.read_text("utf-8"))
    composite = {
        (each["collectionGroup"], tuple(_part(part) for part in each["fields"]))
        for each in listed["indexes"]
    }
    single = {
        (each["collectionGroup"], (_part({"fieldPath": each["fieldPath"], **index}),))
        for each in listed["fieldOverrides"]
        for index in each["indexes"]
    }
    exempt = {
        each["collectionGroup"]
        for each in listed["fieldOverrides"]
        if each["fieldPath"] == "*" and not each["indexes"]
    }
    return frozenset(composite), frozenset(single), frozenset(exempt)


def _part(entry: dict[str, str]) -> tuple[str, str]:
    if "vectorConfig" in entry:
        return entry["fieldPath"], "near"
    kind = entry.get("order", entry.get("arrayConfig", ""))
    return entry["fieldPath"], {"ASCENDING": "asc", "DESCENDING": "desc", "CONTAINS": "has"}[kind]


def indexes_for(shape: Shape) -> Iterator[Index]:
    """Every index that would serve a shape; nothing is asked for: none is needed."""
    fixed = {
        name: "has" if operator == "contains" else ""
        for name, operator in shape.where
        if operator in _FIXING
    }
    ordered = [(name, direction) for name, direction in shape.order if name not in fixed]
    fields = {*fixed, *(name for name, _ in shape.where), *(name for name, _ in ordered)}
    composite, single, _ = declared()
    for index in single if len(fields) == 1 else composite:
        collection, parts = index
        if collection == shape.collection and _serves(parts, fixed, ordered):
            yield index


def _serves(
    parts: tuple[tuple[str, str], ...], fixed: dict[str, str], ordered: list[tuple[str, str]]
) -> bool:
    head, tail = parts[: len(fixed)], list(parts[len(fixed) :])
    if {name for name, _ in head} != set(fixed):
        return False
    if any((kind == "has") != (fixed[name] == "has") for name, kind in head):
        return False
    if tail and tail[-1][1] == "near":
        return [("__name__", "asc"), *ordered] == tail
    if not tail or tail[-1][0] != "__name__":
        last = parts[-1][1]
        tail.append(("__name__", "asc" if last == "has" else last))
    turned = [(name, "desc" if direction == "asc" else "asc") for name, direction in tail]
    return [*ordered, ("__name__", "asc")] in (tail, turned)


def needs_index(shape: Shape) -> bool:
    """Whether Firestore would refuse the query as the list stands."""
    shape = Shape(
        _ALIKE.get(shape.collection, shape.collection),
        tuple((_ALIKE.get(name, name), operator) for name, operator in shape.where),
        tuple((_ALIKE.get(name, name), direction) for name, direction in shape.order),
    )
    if not shape.where and not shape.order:
        return False
    if next(indexes_for(shape), None) is not None:
        return False
    names = {name for name, _ in shape.where} | {name for name, _ in shape.order}
    return len(names) > 1 or shape.collection in declared()[2]


@dataclass
class Recorder:
    """Shapes that our code issues, each with the places that do."""

    seen: dict[Shape, set[str]] = field(default_factory=dict)

    def note(self, shape: Shape) -> None:
        """Write a shape down, if our own code asks and no test."""
        if (place := _asking()) is not None:
            self.seen.setdefault(shape, set()).add(place)

    def faults(self) -> list[str]:
        """One line a shape without its index."""
        return [
            f"{shape} ({', '.join(sorted(places))})"
            for shape, places in sorted(self.seen.items())
            if needs_index(shape)
        ]

    def listen(self) -> None:
        """From now on hear what both stores are asked."""
        for kind in (FirestoreStore, SqliteStore):
            _hear(kind, "query", lambda query: Shape.of(query), self)
            _hear(kind, "count", lambda query: Shape.of(query), self)
            _hear(kind, "changes", lambda collection: changes_shape(collection), self)


def _hear(kind: type[Any], name: str, shape: Callable[[Any], Shape], recorder: Recorder) -> None:
    asked = getattr(kind, name)

    def heard(self: Any, first: Any, *more: Any, **named: Any) -> Any:
        recorder.note(shape(first))
        return asked(self, first, *more, **named)

    heard.__name__, heard.__doc__ = name, asked.__doc__
    setattr(kind, name, heard)


def _asking() -> str | None:
    """The place in our own code that asks a store just now: "shared/jobs/runner.py:120", or None."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith(("shared.", "functions.", "infra.")) and ".adapters." not in name:
            return f"{name.replace('.', '/')}.py:{frame.f_lineno}"
        if name.startswith("tests.") and name not in ("tests.shapes", "tests.stores"):
            return None
        frame = frame.f_back
    return None


def sites() -> set[str]:
    """Every line of our code that asks a store by query or changes."""
    found = set()
    for folder in ("shared", "functions", "infra"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "adapters" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in ("query", "count", "changes")
                    and _is_store(node.func.value)
                ):
                    found.add(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def _is_store(owner: Any) -> bool:
    return ast.unparse(owner).rpartition(".")[2].strip("_()") in ("store", "inner")
