"""The table of functions (`infra/functions.yaml`) as values, checked, and where each is reached.

Public paths go to http functions. Locally the others stand under `/_push/<name>` and
`/_tasks/<name>`, for those who show the secret (`private.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from shared.errors import ConfigurationFault

REPOSITORY = Path(__file__).resolve().parents[2]
TABLE = REPOSITORY / "infra" / "functions.yaml"

#: Suffix of the topic that takes a kind's dead letters.
DEAD = "-dead"

_NAME = re.compile(r"[a-z][a-z0-9_]{1,40}")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+(/\*)?")
_TOPIC = re.compile(r"[a-z][a-z0-9-]{2,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One row; the YAML file's head says what each column means."""

    name: str
    description: str
    trigger: str
    memory: str
    cpu: float
    concurrency: int
    timeout_seconds: int
    min_instances: int
    max_instances: int
    ingress: str
    secrets: Mapping[str, str] = field(default_factory=dict)
    reads_secrets: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    schedule: str = ""
    ack_deadline_seconds: int = 600
    min_backoff_seconds: int = 10
    max_backoff_seconds: int = 600
    max_delivery_attempts: int = 5

    @property
    def threads(self) -> int:
        """Threads of an instance's server (`THREADS`)."""
        return max(2, self.concurrency)

    @property
    def signature(self) -> str:
        """How functions-framework calls it."""
        return "cloudevent" if self.trigger == "push" else "http"

    @property
    def private_path(self) -> str:
        """Where the local profile serves it for its own postman; empty for http."""
        folder = {"push": "/_push/", "schedule": "/_tasks/"}.get(self.trigger)
        return f"{folder}{self.name}" if folder else ""


def load(path: Path = TABLE, product: str | None = None) -> dict[str, Function]:
    """Read and check the table: all of it, or what the deployment of a product has.

    Raises `ConfigurationFault` naming the function and the column.
    """
    rows: Mapping[str, Mapping[str, Any]] = yaml.safe_load(path.read_text("utf-8"))
    functions = {name: _row(name, row) for name, row in rows.items()}
    seen: dict[str, str] = {}
    for function in functions.values():
        for thing in (*function.paths, *function.topics):
            if thing in seen:
                raise _absurd(function.name, f"shares {thing} with {seen[thing]}")
            seen[thing] = function.name
    for topic in list(seen):
        if not topic.startswith("/") and not topic.endswith(DEAD) and topic + DEAD not in seen:
            raise _absurd(seen[topic], f"has topic {topic}, but nobody takes {topic}{DEAD}")
    return functions if product is None else _of_product(functions, product)


def _of_product(functions: Mapping[str, Function], product: str) -> dict[str, Function]:
    """The rows that a product needs, without dead letters of topics that nobody else's row has."""
    needed = [row for row in functions.values() if product in (row.products or (product,))]
    taken = {topic for row in needed for topic in row.topics}
    return {
        row.name: replace(
            row, topics=tuple(each for each in row.topics if each.removesuffix(DEAD) in taken)
        )
        for row in needed
    }


def _row(name: str, row: Mapping[str, Any]) -> Function:
    columns = Function.__dataclass_fields__
    if unknown := set(row) - set(columns):
        raise _absurd(name, f"has unknown columns {', '.join(sorted(unknown))}")
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in row.items()
    }
    try:
        function = Function(name=name, **values)
    except TypeError as error:
        raise _absurd(name, f"lacks columns ({error})") from None
    wanted = {"http": "paths", "push": "topics", "schedule": "schedule"}
    checks = {
        "name": _NAME.fullmatch(name),
        "trigger": function.trigger in wanted,
        "paths": all(_PATH.fullmatch(path) for path in function.paths),
        "topics": all(_TOPIC.fullmatch(topic) for topic in function.topics),
        "ingress": function.ingress == ("public" if function.trigger == "http" else "internal"),
        "concurrency": 1 <= function.concurrency <= 1000,
        "cpu": function.cpu >= 1 or function.concurrency == 1,
        "max_instances": max(1, function.min_instances) <= function.max_instances,
        "ack_deadline_seconds": 10 <= function.ack_deadline_seconds <= 600,
        "timeout_seconds": function.timeout_seconds > 0
        and (not function.topics or function.timeout_seconds < function.ack_deadline_seconds),
        "max_delivery_attempts": 5 <= function.max_delivery_attempts <= 100,
        "max_backoff_seconds": 0
        <= function.min_backoff_seconds
        <= function.max_backoff_seconds
        <= 600,
    }
    for trigger, column in wanted.items():
        checks[column] = bool(checks.get(column, True)) and (
            bool(getattr(function, column)) == (function.trigger == trigger)
        )
    for column, good in checks.items():
        if not good:
            raise _absurd(name, f"has an absurd {column}")
    return function


def _absurd(name: str, problem: str) -> ConfigurationFault:
    return ConfigurationFault(f"functions.yaml: {name} {problem}", field=name)


def subscribers(functions: Iterable[Function]) -> dict[str, tuple[Function, Function]]:
    """Per job kind: who takes its bells, and who takes its dead letters."""
    by_topic = {topic: function for function in functions for topic in function.topics}
    return {
        topic: (function, by_topic[topic + DEAD])
        for topic, function in by_topic.items()
        if not topic.endswith(DEAD)
    }


class Routes:
    """Which function serves a decoded public path: the exact one, else the longest pattern."""

    def __init__(self, functions: Iterable[Function]) -> None:
        self._exact: dict[str, Function] = {}
        below: dict[str, Function] = {}
        for function in functions:
            for path in function.paths:
                if path.endswith("/*"):
                    below[path[:-1]] = function
                else:
                    self._exact[path] = function
        self._below = sorted(below.items(), key=lambda item: -len(item[0]))

    def find(self, path: str) -> Function | None:
        """The function, or None when no public path matches."""
        found = self._exact.get(path)
        if found is None:
            for start, function in self._below:
                if path.startswith(start) and len(path) > len(start):
                    return function
        return found
