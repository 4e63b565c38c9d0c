"""Checks a JSON value against a JSON Schema (draft 2020-12), by hand and without a library.

It knows the keywords that our schemas use and no more: type, const, enum, minLength, maxLength,
pattern, minimum, maximum, items, minItems, maxItems, uniqueItems, properties, required,
additionalProperties (false), allOf with if and then. A test holds it against `jsonschema`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any


def problems(value: object, schema: Mapping[str, Any], path: str = "") -> list[str]:
    """What keeps `value` from satisfying `schema`; empty when it does.

    Names paths and rules, quotes no value. NaN
    and infinities satisfy nothing: they are no JSON.
    """
    where = path or "document"
    kinds = schema.get("type")
    if kinds is not None:
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not any(_is(value, kind) for kind in kinds):
            return [f"{where} must be {' or '.join(kinds)}"]
    found: list[str] = []
    if "const" in schema and not _equal(value, schema["const"]):
        found.append(f"{where} must be {schema['const']!r}")
    if "enum" in schema and not any(_equal(value, word) for word in schema["enum"]):
        found.append(f"{where} is not in its vocabulary")
    if isinstance(value, str):
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            found.append(f"{where} has the wrong length")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            found.append(f"{where} has the wrong form")
    elif isinstance(value, list):
        found += _list_problems(value, schema, where, path)
    elif isinstance(value, dict):
        found += _record_problems(value, schema, where, path)
    elif _is(value, "number"):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        if not low <= value <= high:
            found.append(f"{where} is out of range")
    for rule in schema.get("allOf", ()):
        if not problems(value, rule["if"], path):
            found += problems(value, rule["then"], path)
    return found


def _list_problems(value: list[Any], schema: Mapping[str, Any], where: str, path: str) -> list[str]:
    found = []
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        found.append(f"{where} has the wrong number of entries")
    if schema.get("uniqueItems") and any(
        _equal(one, other) for i, one in enumerate(value) for other in value[:i]
    ):
        found.append(f"{where} repeats an entry")
    if "items" in schema:
        for index, item in enumerate(value):
            found += problems(item, schema["items"], f"{path}[{index}]")
    return found


def _record_problems(
    value: dict[str, Any], schema: Mapping[str, Any], where: str, path: str
) -> list[str]:
    properties = schema.get("properties", {})
    found = [f"{where} lacks {name}" for name in schema.get("required", ()) if name not in value]
    if schema.get("additionalProperties") is False and not value.keys() <= properties.keys():
        found.append(f"{where} has a property too many")
    for name, rule in properties.items():
        if name in value:
            found += problems(value[name], rule, f"{path}.{name}" if path else name)
    return found


def _is(value: object, kind: str) -> bool:
    """Whether a JSON value is of a JSON Schema type; 1.0 is an integer, true is no number."""
    if isinstance(value, bool) or value is None:
        return kind == ("null" if value is None else "boolean")
    if isinstance(value, int | float):
        if not math.isfinite(value):
            return False
        return kind == "number" or (kind == "integer" and value == int(value))
    return isinstance(value, {"string": str, "array": list, "object": dict}.get(kind, ()))


def _equal(one: object, other: object) -> bool:
    """Equality of JSON: true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other
