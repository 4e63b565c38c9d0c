"""Routes: what a function answers, and the types of what it takes and gives.

A route says everything in one place. `serve` (shared/api/web.py) finds it by method and path, asks who
calls, and decodes the arguments and the body before the handler is called; `shared.api.openapi` makes the
description of the API of the same values. What the handler does is its docstring: the first line is the
summary, the rest the description.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Struct, ValidationError, inspect, structs
from msgspec.structs import FieldInfo
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule

from shared import errors
from shared.api.bodies import FORM, Limits
from shared.api.fields import AT, MUST, NOTHING
from shared.errors import Fault, InvalidRequest

if TYPE_CHECKING:
    from flask import Response

Body = TypeVar("Body", bound=Struct)

#: Longest name of an unknown part of a query that an answer repeats, characters.
_LONGEST_NAMED = 64


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One operation: method, path (with `{name}` for one segment), and who answers it.

    The handler is called with the `Call`, with the decoded arguments if it `asks` for some, and with the
    decoded body if `takes` is a struct. A fault in `faults` stands for all of its codes, a text for one
    code; what every route answers, every body and every token is not repeated there.
    """

    method: str
    path: str
    handler: Callable[..., Response]
    limits: Limits = FORM
    takes: type[Struct | bytes] | None = None  #: None: no body
    form: Mapping[str, Any] | None = None  #: schema of a body that is a form with files; None: none
    gives: Any = None  #: the type of a 200, or its schema; None: described elsewhere
    faults: tuple[type[Fault] | str, ...] = ()
    names: tuple[type[Struct], ...] = ()  #: further types that its schemas name
    asks: type[Struct] | None = None  #: arguments of path and query; None: there are none
    secured: bool = True  #: whether it needs a token
    only: str = ""  #: a token that is good for nothing but this is good here, too
    body_needed: bool = True  #: False: no body is an empty one
    name: str = ""  #: what clients call it; empty: what the handler is called
    tag: str = ""  #: its group in the description; empty: its function
    headers: tuple[str, ...] = ()  #: that it reads, as the description names them
    answer_headers: tuple[str, ...] = ("Cache-Control",)
    media: str = "application/json"  #: of the answer
    resumed: bool = False  #: answers 308 while more bytes are wanted
    unchanged: bool = False  #: answers 304 to `If-None-Match`
    refusals: Mapping[int, type[Struct]] = field(default_factory=dict)  #: by status: say more

    @property
    def id(self) -> str:
        """What the operation is called in clients made of the description."""
        return self.name or self.handler.__name__


class Found(NamedTuple):
    """What is at a path: the route of the method, or none and the methods that it has."""

    route: Route | None
    arguments: dict[str, str]
    allowed: tuple[str, ...] = ()  #: in alphabetical order


def find(routes: Sequence[Route], path: str, method: str) -> Found:
    """What answers a method at a path. `HEAD` is answered as `GET` is."""
    if path.startswith("//"):  # Werkzeug would look without the slashes in front
        return Found(None, {})
    try:
        at, arguments = _map(_paths(tuple(routes))).bind("").match(path, method)
    except NotFound:
        return Found(None, {})
    except MethodNotAllowed as error:
        return Found(None, {}, tuple(sorted(set(error.valid_methods or ()) - {"HEAD"})))
    return Found(routes[at], dict(arguments))


@cache
def _paths(routes: tuple[Route, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((route.method, route.path) for route in routes)


@cache
def _map(paths: tuple[tuple[str, str], ...]) -> Map:
    rules = [
        Rule(re.sub(r"{(\w+)}", r"<\1>", path), methods=[method], endpoint=at)
        for at, (method, path) in enumerate(paths)
    ]
    return Map(rules, merge_slashes=False, redirect_defaults=False)


# --- arguments and bodies


def arguments(route: Route, path: Mapping[str, str], query: Mapping[str, str]) -> Struct | None:
    """What path and query say, as the route's type.

    Raises `InvalidRequest` for a part of the query that the route does not know: it is named, the known
    ones are listed, its value is not repeated. Raises as `decode` does for the others.
    """
    asked = () if route.asks is None else _fields(route.asks)
    known = [each.encode_name for each in asked if each.encode_name not in path]
    for name in query:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise InvalidRequest(
                f"The query has a part that is not known here. Known are: {listed}.",
                field=name[:_LONGEST_NAMED],
            )
    return None if route.asks is None else decode({**query, **path}, route.asks, strict=False)


def decode(value: object, kind: type[Body], *, strict: bool = True) -> Body:
    """A body, or the arguments of a path and its query, as its type. Raises `InvalidRequest`.

    The first field in the order of the type that is missing or another one than declared is named; its
    value is not repeated. Fields go by the names that they have outside (`msgspec.field(name=…)`).
    What is not declared is dropped, or refused if the type forbids unknown fields.
    Not `strict`: numbers are texts. Raises `NotFound` for a field that `names` something.
    """
    if not isinstance(value, Mapping):
        raise InvalidRequest("The body must be an object.")
    fields = _fields(kind)
    if kind.__struct_config__.forbid_unknown_fields and value.keys() - {
        f.encode_name for f in fields
    }:
        known = ", ".join(each.encode_name for each in fields) or "none"
        raise InvalidRequest(f"There is an unknown field. Known are: {known}.")
    found = {}
    for each in fields:
        if each.encode_name not in value:
            if each.required:
                raise _refusal(each)
            continue
        try:
            said = value[each.encode_name]
            found[each.name] = msgspec.convert(said, each.type, strict=strict)
        except ValidationError:
            raise _refusal(each) from None
    return kind(**found)


def _refusal(field: FieldInfo) -> Fault:
    """Why a field cannot be taken."""
    kind = inspect.type_info(field.type)
    extra = (isinstance(kind, inspect.Metadata) and kind.extra) or {}
    if NOTHING in extra:
        return errors.NotFound(extra[NOTHING])
    name = field.encode_name
    return InvalidRequest(f"{name} must be {_wanted(kind)}.", field=extra.get(AT, name))


#: Reads annotations, which takes longer than a body.
_fields = cache(structs.fields)


def _wanted(kind: inspect.Type) -> str:
    """What a value of a type is, in words."""
    match kind:
        case inspect.Metadata(type=inner, extra=extra):
            return str(extra[MUST]) if extra and MUST in extra else _wanted(inner)
        case inspect.UnionType(types=types):
            return _wanted(next(each for each in types if not isinstance(each, inspect.NoneType)))
        case inspect.LiteralType(values=values):
            return f"one of {', '.join(map(str, values))}"
        case inspect.IntType(ge=int(low), le=int(high)):
            return f"a whole number from {low} to {high}"
        case inspect.StrType(max_length=int(most)):
            return f"a text of up to {most} characters"
        case inspect.StrType():
            return "a text"
        case inspect.BoolType():
            return "true or false"
        case _:
            return "of the documented type"
