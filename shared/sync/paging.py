"""Lists in pages: the token that says where the next page begins.

A token names a place in the list and nothing else: it may be forged, and then only says where a list
of what the caller may see goes on. It needs no key and is good for ever.
"""

from __future__ import annotations

import base64

import orjson

from shared.errors import InvalidCursor

#: What stands where in a list that puts two kinds first: whether not of either, when (ms), id.
Place = tuple[bool, bool, int, str]


def sealed(place: Place) -> str:
    """The token of what stands behind a place."""
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def opened(token: str) -> Place:
    """The place that a token names. Raises `InvalidCursor`."""
    try:
        data = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), b"-_", validate=True)
        first, second, at, name = orjson.loads(data)
    except (ValueError, TypeError):
        first, second, at, name = None, None, None, None
    if {type(first), type(second)} != {bool} or type(at) is not int or not isinstance(name, str):
        raise InvalidCursor("page is none of this list. Start it again.", field="page")
    return first, second, at, name
