"""What a record holds, as rows of a table: a name and a text each, whatever somebody sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

#: Rows of one record, and characters of one text; what is beyond is cut, and said.
_MOST_ROWS, _MOST_CHARACTERS = 60, 600

#: What stands between the parts of a name.
_BETWEEN = " › "


def flat(value: Any) -> list[tuple[str, str]]:
    """Names and texts; a column that holds JSON as text is opened. An empty value is "–"."""
    found: list[tuple[str, str]] = []
    for name, text in _walked(value, ""):
        if len(found) == _MOST_ROWS:
            found.append(("…", "…"))
            break
        cut = len(text) > _MOST_CHARACTERS
        found.append((name, f"{text[:_MOST_CHARACTERS]}…" if cut else text))
    return found


def _walked(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and value[:1] in ("{", "["):
        value = _opened(value)
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _walked(each, f"{name}{_BETWEEN}{key}" if name else str(key))
    elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        for number, each in enumerate(value, 1):
            yield from _walked(each, f"{name}{_BETWEEN}{number}" if name else str(number))
    elif isinstance(value, list):
        yield name, ", ".join(_text(each) for each in value) or "–"
    else:
        yield name, _text(value)


def _opened(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return text


def _text(value: Any) -> str:
    match value:
        case None | "" | {}:
            return "–"
        case bool():
            return "✓" if value else "✗"
        case dict() | list():
            return orjson.dumps(value).decode()
        case _:
            return str(value)
