"""`python -m infra.ci.compatible`: would the API's description break an app that is in use?

Compares infra/openapi.json with infra/openapi.released.json, the description at the last release, and
prints what breaks. Apps in the field are updated late or never, so a break needs a new path or a
minimum app version, and a line in CHANGELOG.md. `--release` keeps the present description as released.

Breaking, for what apps send: a path, method, parameter or property that is gone or has another type, a
new required one, a narrower enumeration or bound. For what apps receive: a property that is gone or
no longer promised, another type, a status that is gone, a new value of an enumeration that was closed.

Limit: schemas that are alternatives (oneOf, anyOf) are compared in their order.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
CURRENT = REPOSITORY / "infra" / "openapi.json"
RELEASED = REPOSITORY / "infra" / "openapi.released.json"

#: Keys that say nothing about what is accepted or promised.
_TALK = {
    "description",
    "summary",
    "example",
    "examples",
    "title",
    "tags",
    "externalDocs",
    "x-codes",
}

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")

#: (key, whether a larger value is the narrower bound)
_BOUNDS = (
    ("minimum", True),
    ("exclusiveMinimum", True),
    ("minLength", True),
    ("minItems", True),
    ("maximum", False),
    ("exclusiveMaximum", False),
    ("maxLength", False),
    ("maxItems", False),
)

Json = Mapping[str, Any]


def quiet(value: Any, *, names: bool = False) -> Any:
    """A description without its texts. Within `properties` every key is a name and stays."""
    if isinstance(value, dict):
        return {
            key: quiet(each, names=key in ("properties", "schemas", "paths", "responses"))
            for key, each in value.items()
            if names or key not in _TALK
        }
    return [quiet(each) for each in value] if isinstance(value, list) else value


class _Comparison:
    """Walks two descriptions side by side. Every schema is looked at once for each direction."""

    def __init__(self, before: Json, after: Json) -> None:
        self.before, self.after = before, after
        self._met: set[tuple[str, str, bool]] = set()

    def breaks(self) -> Iterator[str]:
        """One line a break."""
        for path, methods in self.before.get("paths", {}).items():
            now = self.after.get("paths", {}).get(path)
            if now is None:
                yield f"{path}: the path is gone"
                continue
            for method in _METHODS:
                if method in methods and method not in now:
                    yield f"{method.upper()} {path}: the method is gone"
                elif method in methods:
                    where = f"{method.upper()} {path}"
                    yield from self._operation(where, methods[method], now[method])

    def _operation(self, where: str, before: Json, after: Json) -> Iterator[str]:
        had = {self._id(each): self._of(self.before, each) for each in self._parameters(before, 0)}
        has = {self._id(each): self._of(self.after, each) for each in self._parameters(after, 1)}
        for key in had:
            if key not in has:
                yield f"{where}: parameter {key} is gone"
        for key, parameter in has.items():
            if parameter.get("required") and not had.get(key, {}).get("required"):
                yield f"{where}: parameter {key} is required now"
            if key in had:
                schemas = (had[key].get("schema", {}), parameter.get("schema", {}))
                yield from self._schema(f"{where}: {key}", *schemas, sent=True)
        yield from self._body(where, before, after)
        for status, answer in before.get("responses", {}).items():
            now = after.get("responses", {}).get(status)
            if now is None:
                yield f"{where}: status {status} is gone"
                continue
            old, new = self._of(self.before, answer), self._of(self.after, now)
            for kind, content in old.get("content", {}).items():
                if kind not in new.get("content", {}):
                    yield f"{where}: {status} is no longer {kind}"
                    continue
                schemas = (content.get("schema", {}), new["content"][kind].get("schema", {}))
                yield from self._schema(f"{where}: {status}", *schemas, sent=False)

    def _body(self, where: str, before: Json, after: Json) -> Iterator[str]:
        old = self._of(self.before, before.get("requestBody", {}))
        new = self._of(self.after, after.get("requestBody", {}))
        if new.get("required") and not old.get("required"):
            yield f"{where}: a body is required now"
        for kind, content in old.get("content", {}).items():
            if kind not in new.get("content", {}):
                yield f"{where}: a body of {kind} is not taken any more"
                continue
            schemas = (content.get("schema", {}), new["content"][kind].get("schema", {}))
            yield from self._schema(f"{where}: body", *schemas, sent=True)

    def _schema(self, where: str, before: Any, after: Any, *, sent: bool) -> Iterator[str]:
        if not isinstance(before, dict) or not isinstance(after, dict):
            if after is False and before is not False:
                yield f"{where}: nothing is allowed there any more"
            return
        if "$ref" in before and "$ref" in after:
            met = (before["$ref"], after["$ref"], sent)
            if met in self._met:
                return
            self._met.add(met)
        old, new = self._whole(self.before, before), self._whole(self.after, after)
        yield from self._values(where, old, new, sent=sent)
        yield from self._properties(where, old, new, sent=sent)
        for key in ("items", "additionalProperties"):
            if key in old and key in new:
                yield from self._schema(f"{where}[]", old[key], new[key], sent=sent)
        if sent and new.get("additionalProperties") is False and old.get("additionalProperties", 1):
            yield f"{where}: unknown properties are refused now"
        for key in ("oneOf", "anyOf", "allOf"):
            pairs = zip(old.get(key, ()), new.get(key, ()), strict=False)
            for number, (one, other) in enumerate(pairs):
                yield from self._schema(f"{where}<{number}>", one, other, sent=sent)
            if sent and key != "allOf" and len(new.get(key, ())) < len(old.get(key, ())):
                yield f"{where}: an alternative is gone"

    def _values(self, where: str, old: Json, new: Json, *, sent: bool) -> Iterator[str]:
        had, has = _types(old), _types(new)
        if had and has:
            lost = had - has if sent else has - had
            if lost and not (lost == {"integer"} and "number" in (has if sent else had)):
                yield f"{where}: type {_words(had)} became {_words(has)}"
        listed, lists = _enum(old), _enum(new)
        if sent and lists and (not listed or listed - lists):
            yield f"{where}: {_words(listed - lists) or 'other values'} not taken any more"
        if not sent and listed and (not lists or lists - listed):
            yield f"{where}: {_words(lists - listed) or 'any value'} may be answered now"
        if sent:
            for key, larger_is_narrower in _BOUNDS:
                if key in new and (
                    key not in old
                    or (new[key] > old[key] if larger_is_narrower else new[key] < old[key])
                ):
                    yield f"{where}: {key} is {new[key]} now"
            if "pattern" in new and new["pattern"] != old.get("pattern"):
                yield f"{where}: another pattern"

    def _properties(self, where: str, old: Json, new: Json, *, sent: bool) -> Iterator[str]:
        had, has = old.get("properties", {}), new.get("properties", {})
        for name, schema in had.items():
            if name not in has:
                yield f"{where}.{name}: the property is gone"
            else:
                yield from self._schema(f"{where}.{name}", schema, has[name], sent=sent)
        required, promised = set(new.get("required", ())), set(old.get("required", ()))
        if sent:
            for name in sorted(required - promised):
                yield f"{where}.{name}: required now"
        else:
            for name in sorted((promised - required) & set(has)):
                yield f"{where}.{name}: no longer promised"

    def _parameters(self, operation: Json, side: int) -> Sequence[Json]:
        root = (self.before, self.after)[side]
        return [self._of(root, each) for each in operation.get("parameters", ())]

    @staticmethod
    def _id(parameter: Json) -> str:
        return f"{parameter.get('in')} {parameter.get('name')}"

    def _whole(self, root: Json, schema: Json) -> Json:
        """A schema as one, also where it is written as a choice of it and null."""
        found = self._of(root, schema)
        kinds = [each for each in found.get("anyOf", ()) if each != {"type": "null"}]
        if len(kinds) != 1 or len(found["anyOf"]) != 2:
            return found
        kind = self._of(root, kinds[0])
        return {**kind, "type": [*_types(kind), "null"]} if "type" in kind else kind

    @staticmethod
    def _of(root: Json, value: Json) -> Json:
        while "$ref" in value:
            found: Any = root
            for step in str(value["$ref"]).removeprefix("#/").split("/"):
                found = found[step.replace("~1", "/").replace("~0", "~")]
            value = found
        return value


def _types(schema: Json) -> set[str]:
    kind = schema.get("type", ())
    return {kind} if isinstance(kind, str) else set(kind)


def _enum(schema: Json) -> set[str]:
    values = [schema["const"]] if "const" in schema else schema.get("enum", ())
    return {json.dumps(value) for value in values}


def _words(values: set[str]) -> str:
    return ", ".join(sorted(values))


def breaks(before: Json, after: Json) -> list[str]:
    """What in `after` breaks an app that was written for `before`; one line each."""
    return list(dict.fromkeys(_Comparison(before, after).breaks()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what breaks; 1 if anything does."""
    parser = argparse.ArgumentParser(prog="python -m infra.ci.compatible", description=__doc__)
    parser.add_argument("--release", action="store_true", help="keep this description as released")
    chosen = parser.parse_args(arguments)
    current = json.loads(CURRENT.read_text("utf-8"))
    if chosen.release:
        RELEASED.write_text(json.dumps(quiet(current), separators=(",", ":")) + "\n", "utf-8")
        print(f"{RELEASED.name} is the present description")
        return 0
    found = breaks(json.loads(RELEASED.read_text("utf-8")), current)
    print("\n".join(found) or "nothing breaks")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
