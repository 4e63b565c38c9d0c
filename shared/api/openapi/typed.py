"""Routes as operations of the API's description: their types as JSON Schema, their docstrings as words."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeGuard

import msgspec
from msgspec import Struct

from shared.api.codes import SELDOM, sentences_of
from shared.api.fields import REF, SAID
from shared.api.links import linked
from shared.api.openapi.parts import BODY, EVERYWHERE, Schema, headers, refusals
from shared.api.routes import Route
from shared.errors import InvalidJson, InvalidRequest, KeysUnavailable, Unauthenticated

#: A line that goes on in the next one, of a docstring.
_WRAPPED = re.compile(r"(?<=\S)\n(?=[^\s-])")


def schemas(routes: Iterable[Route]) -> dict[str, Schema]:
    """The schemas of all bodies, by name."""
    kinds = {
        id(kind): kind
        for route in routes
        for kind in (route.takes, route.gives, *route.refusals.values(), *route.names)
        if _is_struct(kind)
    }
    return _schemas(kinds.values())


def operation(route: Route, tag: str, examples: Mapping[str, Schema]) -> Schema:
    """One operation. `examples` are those of its body (`request`) and its answer (`answer`)."""
    summary, _, doc = inspect.cleandoc(route.handler.__doc__ or "").partition("\n\n")
    said: Schema = {
        "operationId": route.id,
        "tags": [route.tag or tag],
        "summary": summary.rstrip("."),
        "description": _unwrapped(doc or summary),
    }
    if not route.secured:
        said["security"] = []
    coded = ["ContentEncoding"] if _is_struct(route.takes) else []
    said["parameters"] = [
        *arguments(route),
        *(
            {"$ref": f"#/components/parameters/{name}"}
            for name in (*route.headers, "RequestId", *coded)
        ),
    ]
    if route.form is not None:
        said["requestBody"] = content("multipart/form-data", dict(route.form)) | {"required": True}
    elif route.takes is bytes:
        said["requestBody"] = content("application/octet-stream", _BYTES) | {"required": False}
    elif _is_struct(route.takes) and msgspec.structs.fields(route.takes):
        body = content("application/json", _schema(route.takes), examples.get("request"))
        fields = msgspec.structs.fields(route.takes)
        needed = route.body_needed or any(each.required for each in fields)
        said["requestBody"] = body | {"required": needed}
    link = ("Link",) if linked(route) else ()
    given = content(route.media, _schema(route.gives), examples.get("answer"))
    said["responses"] = {
        "200": {
            "description": _words(route.gives) or summary,
            "headers": headers("X-Request-Id", *route.answer_headers, *link),
            **given,
        },
        **refusals(codes(route), {at: _schema(kind) for at, kind in route.refusals.items()}),
    }
    if route.resumed:
        said["responses"]["308"] = {
            "description": "More bytes are wanted, from `upload.offset` on.",
            "headers": headers("X-Request-Id", "Range"),
            **given,
        }
    if route.unchanged:
        said["responses"]["304"] = {
            "description": "What the caller has is current.",
            "headers": headers("X-Request-Id", "ETag"),
        }
    return said


def codes(route: Route) -> set[str]:
    """Every code that a route answers."""
    found = {code for fault in EVERYWHERE for code in sentences_of(fault)}
    found.add(InvalidRequest.code)  # for what a query has that is not known
    if _is_struct(route.takes):
        found |= {InvalidJson.code, *(fault.code for fault in BODY)}
    if route.secured:
        found |= {*sentences_of(Unauthenticated), *sentences_of(KeysUnavailable)} - SELDOM
    if route.only:
        found.remove("totp_setup_required")
    for fault in route.faults:
        found |= {fault} if isinstance(fault, str) else sentences_of(fault).keys() - SELDOM
    return found


# --- schemas

_BYTES: Schema = {"type": "string", "format": "binary"}


def _is_struct(kind: Any) -> TypeGuard[type[Struct]]:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _schema(kind: Any) -> Schema:
    """The schema of a type, by reference if it has a name."""
    if isinstance(kind, dict):
        return kind
    if kind is bytes:
        return _BYTES
    [schema], known = msgspec.json.schema_components([kind], ref_template=REF)
    tidied: Schema = _tidy(schema, known)
    return tidied


def _schemas(kinds: Iterable[Any]) -> dict[str, Schema]:
    _, known = msgspec.json.schema_components(kinds, ref_template=REF)
    return {
        _name(name): _tidy(schema, known) for name, schema in known.items() if schema["properties"]
    }


def _name(kind: str) -> str:
    """A type that is called as one of ours was given another name: `TokensAnswer` shows `Tokens`."""
    return kind.removesuffix("Answer")


def _tidy(schema: Any, known: Mapping[str, Schema]) -> Any:
    """What msgspec says, without what follows from names, and with what `shared.api.fields` adds."""
    if isinstance(schema, list):
        return [_tidy(each, known) for each in schema]
    if not isinstance(schema, dict):
        return schema
    said = _whole(schema)
    if said.pop("null", False):
        said = _with_null(said, known)
    for key in said.keys() - {"default", "enum", "const", "properties"}:
        said[key] = _tidy(said[key], known)
    if "properties" in said:
        said["properties"] = {name: _tidy(each, known) for name, each in said["properties"].items()}
    if "$ref" in said:
        said["$ref"] = _name(said["$ref"])
        said.pop("type", None)
    elif said.get("type") == "object" and "properties" not in said:
        said.setdefault("additionalProperties", True)
    if said.get("pattern"):
        said["pattern"] = said["pattern"].replace(r"\Z", "$")
    if "description" in said:
        said["description"] = _unwrapped(said["description"])
    nothing: tuple[Any, ...] = (None, [])
    return {key: value for key, value in said.items() if value not in nothing and key != "title"}


def _whole(schema: Schema) -> Schema:
    """A schema with its own words for what msgspec says otherwise."""
    natural = {key: value for key, value in schema.items() if key != SAID}
    return {**natural, **schema.get(SAID, {})}


def _with_null(said: Schema, known: Mapping[str, Schema]) -> Schema:
    """One schema for a value and null, which msgspec says as a choice of both; what has a name keeps it."""
    [kind] = [_whole(each) for each in said["anyOf"] if each != {"type": "null"}]
    if "$ref" in kind:
        kind = known[kind["$ref"].rpartition("/")[2]]
        if "properties" in kind:
            return said
    del said["anyOf"]
    said = {**kind, **said, "type": [kind.get("type", "string"), "null"]}
    if "enum" in said:
        said["enum"] = [*said["enum"], None]
    return said


def _unwrapped(text: str) -> str:
    return _WRAPPED.sub(" ", text)


# --- parts of operations


def _words(kind: Any) -> str:
    """What an answer is."""
    return _unwrapped(inspect.cleandoc(kind.__doc__ or "")) if _is_struct(kind) else ""


def arguments(route: Route) -> Iterator[Schema]:
    """Its arguments of path and query as parameters."""
    if route.asks is None:
        return
    [spec] = _schemas([route.asks]).values()
    for name, schema in spec["properties"].items():
        place = "path" if f"{{{name}}}" in route.path else "query"
        words = {"description": schema.pop("description")}
        needed = {"required": True} if name in spec.get("required", ()) else {}
        yield {"name": name, "in": place, **words, **needed, "schema": schema}


def content(media: str, schema: Schema, examples: Schema | None = None) -> Schema:
    """A body of a media type, with its examples."""
    said: Schema = {"schema": schema}
    if examples:
        said["examples"] = examples
    return {"content": {media: said}}
