"""Links to the next page (RFC 8288), for lists whose answers say where it begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from flask import Request

from shared.api.routes import Route

#: Fields of an answer that say where its next page begins, and the argument that asks for that.
_NEXT = {"next_page": "page", "next_after": "after"}


def next_link(request: Request, value: Any) -> str | None:
    """The `Link` of an answer: the same question, for the next page. None if there is none, or no list.

    Only what can be asked by its address is linked: the pages of a `POST` are asked for in its body.
    """
    if request.method not in ("GET", "HEAD"):
        return None
    for field, argument in _NEXT.items():
        found = value.get(field) if isinstance(value, Mapping) else getattr(value, field, None)
        if found:
            query = urlencode({**request.args, argument: found})
            return f'<{quote(request.path)}?{query}>; rel="next"'
    return None


def linked(route: Route) -> bool:
    """Whether a route's answers have a next page."""
    kind = route.gives
    fields = msgspec.structs.fields(kind) if msgspec.inspect.is_struct_type(kind) else ()
    return route.method == "GET" and any(each.name in _NEXT for each in fields)
