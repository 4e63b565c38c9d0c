"""Requests to every route of the product, made of what it declares: later routes are asked as well."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.structs import fields

from shared.api.routes import Route
from shared.records.collection import Collection, Field, Owner, Type

NOW = 1_772_323_200_000

#: Columns of tables that mean something: what a plan needs to have doses.
_MEANT: Mapping[str, Any] = {
    "starts_on": "2026-03-02",
    "times": '["08:00", "20:00"]',
    "time_zone": "Asia/Kolkata",
    "ends_on": None,
    "rrule": None,
    "weekdays": None,
    "undoes": None,
    "paused": None,
}


def request_of(route: Route, scope: str, name: str) -> tuple[str, Any]:
    """The path with query, and the body, of a request about a scope and a record of this name."""
    path = route.path.replace("{id}", name)
    for part in route.path.split("/"):
        if part.startswith("{"):
            path = path.replace(part, name)
    asked = {} if route.asks is None else filled(route.asks, scope, name)
    asked = {each: value for each, value in asked.items() if f"{{{each}}}" not in route.path}
    if route.takes is bytes:
        body: Any = b"some sound"
    else:
        body = None if route.takes is None else filled(route.takes, scope, name)
    return f"{path}?{urlencode(asked)}" if asked else path, body


def filled(struct: Any, scope: str, name: str) -> dict[str, Any]:
    """What a struct needs, and the scope if it has one: texts are ids, times are now."""
    hints = get_type_hints(struct)
    return {
        each.encode_name: _value(each.name, hints[each.name], scope, name)
        for each in fields(struct)
        if each.required or each.name in ("scope", "scope_id")
    }


def _value(column: str, kind: Any, scope: str, name: str) -> Any:
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(each for each in get_args(kind) if each is not types.NoneType)
        return _value(column, kind, scope, name)
    if isinstance(kind, type) and issubclass(kind, Struct):
        return filled(kind, scope, name)
    origin = get_origin(kind) or kind
    if origin is str:
        return scope if column in ("scope", "scope_id") else name
    return {int: NOW, float: 1.0, bool: True, list: [], dict: {}}.get(origin, name)


def row_of(table: Collection, mark: str, number: int, words: str | None = None) -> dict[str, Any]:
    """A record of a table: ids and parents of a circle's mark, and a mark in every text."""
    row: dict[str, Any] = {"id": f"{mark}-{table.name}-{number}", "last_modified_at": NOW}
    for each in table.fields:
        if each.owner is Owner.CLIENT:
            row[each.name] = _MEANT.get(each.name, _column(each, mark, words or mark))
    if "dose_id" in row:
        row["dose_id"] = f"{mark}-medication_plan_items-{number}_20260302_0"
    return {name: value for name, value in row.items() if value is not None}


def _column(spec: Field, mark: str, words: str) -> Any:
    if spec.references:
        return f"{mark}-{spec.references}-0"
    if spec.choices:
        return spec.choices[0]
    return {
        Type.STRING: words,
        Type.NUMBER: 2,
        Type.INTEGER: 2,
        Type.BOOLEAN: True,
        Type.TIME: NOW,
        Type.JSON: f'{{"said": "{words}"}}',
        Type.STRINGS: f'["{words}"]',
    }.get(spec.type)
