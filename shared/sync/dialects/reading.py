"""Reading the body of a sync: one record that cannot be read never holds up the others.

Half an emoji at the end of a text that was cut, a number that no double holds, a wrong byte: a JSON
parser refuses the whole body for them, and a phone that sends everything it has would be stuck for
good. Here the record is taken out, and the rest is read without it.

A record is an object in a list that lies in objects only: `{changes: {table: [{…}]}}`,
`{table: {created: [{…}]}}`.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from shared.errors import InvalidJson
from shared.records.collection import RecordFault
from shared.records.record import MAX_DEPTH, long_integer, too_deep

#: Brackets of a body that is looked through record by record; a usual record has four.
_MOST_BRACKETS = 2_000_000

# A text that never ends is one token to the end: looked at from each of its quotation marks, it would cost
# its length squared.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


class Unreadable(NamedTuple):
    """A record that could not be read. `value` is what could be read of it, `text` what came."""

    fault: RecordFault
    value: Mapping[str, Any]
    text: bytes


def read(data: bytes) -> Any:
    """The body as JSON, with an `Unreadable` in the place of each record that is none.

    Raises `InvalidJson` if what is around the records cannot be read.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return _read_apart(data)
    return _read_apart(data) if too_deep(data) or long_integer(data) else value


def _read_apart(data: bytes) -> Any:
    if data.count(b"[") + data.count(b"{") > _MOST_BRACKETS:
        raise _no_json()
    # A key that no phone can know stands for each record while the rest is parsed.
    stand_in = secrets.token_hex(16)
    records: list[Any] = []
    pieces: list[bytes] = []
    end = 0
    for start, stop in _records(data):
        pieces += (data[end:start], b'{"%s":%d}' % (stand_in.encode(), len(records)))
        records.append(_record(data[start:stop]))
        end = stop
    rest = b"".join((*pieces, data[end:]))
    if too_deep(rest):
        raise InvalidJson(f"The body nests deeper than {MAX_DEPTH} levels.")
    try:
        return _put_back(orjson.loads(rest), stand_in, records)
    except orjson.JSONDecodeError:
        raise _no_json() from None


def _no_json() -> InvalidJson:
    return InvalidJson("The body must be JSON in UTF-8, without NaN or lone surrogates.")


def _records(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the records of a body begin and end."""
    depth = start = 0
    inside = lists = 0  #: depth of the record that we are in; depth of the list around it
    for token in _TOKEN.finditer(data):
        sign = token[0]
        if sign in (b"{", b"["):
            depth += 1
            if sign == b"[" and not lists:
                lists = depth
            elif sign == b"{" and not inside and depth == lists + 1 and lists:
                inside, start = depth, token.start()
        elif sign in (b"}", b"]"):
            if depth == inside and inside:
                yield start, token.end()
                inside = 0
            if depth == lists:
                lists = 0
            depth -= 1


def _put_back(value: Any, stand_in: str, records: list[Any]) -> Any:
    if isinstance(value, dict):
        if stand_in in value:
            return records[value[stand_in]]
        return {name: _put_back(item, stand_in, records) for name, item in value.items()}
    if isinstance(value, list):
        return [_put_back(item, stand_in, records) for item in value]
    return value


def _record(text: bytes) -> Any:
    deep = too_deep(text, MAX_DEPTH + 1)
    if not deep and not long_integer(text):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
    flat = _flattened(text) if deep else text
    try:
        value = json.loads(
            flat.decode("utf-8", "surrogateescape"),
            parse_constant=lambda _: _Bad(),
            parse_float=_float,
            parse_int=_integer,
        )
    except (ValueError, RecursionError):
        fault = RecordFault(None, "invalid_json_record", "The record is not valid JSON")
        return Unreadable(fault, {}, text)
    faults = {name: why for name, item in value.items() if (why := _fault_in(item))}
    faults |= {name: _no_text for name in value if _fault_in(name)}
    if not faults:
        return value
    name, why = next(iter(faults.items()))
    readable = {name: item for name, item in value.items() if name not in faults}
    return Unreadable(why(name[:128].encode("utf-8", "replace").decode()), readable, text)


def _no_text(name: str) -> RecordFault:
    message = f"{name} holds text that is no Unicode: half a character, or a wrong byte"
    return RecordFault(name, "invalid_text", message)


def _no_number(name: str) -> RecordFault:
    message = f"{name} holds a number beyond ±(2^53 − 1), or none that JSON knows"
    return RecordFault(name, "number_out_of_range", message)


def _deep(name: str) -> RecordFault:
    return RecordFault(name, "too_deep", f"{name} is nested deeper than {MAX_DEPTH} levels")


#: Makes the fault of a column that cannot be read, by its name.
_Why = Callable[[str], RecordFault]


class _Bad:
    """In the place of a number that cannot be read."""


def _float(text: str) -> float | _Bad:
    value = float(text)
    return value if abs(value) < float("inf") else _Bad()


def _integer(text: str) -> int | _Bad:
    # What the parser takes exactly is judged by the column that it is in; digits cost time to parse.
    value = int(text) if len(text) <= 20 else 2**64
    return value if -(2**63) <= value < 2**64 else _Bad()


#: What stands for a value that is nested too deeply: a constant that Python's parser hands over.
_TOO_DEEP = "\udead too deep"


def _flattened(text: bytes) -> bytes:
    """The record without what lies too deep in it."""
    depth = start = 0
    pieces: list[bytes] = []
    end = 0
    for token in _TOKEN.finditer(text):
        if token[0] in (b"{", b"["):
            depth += 1
            if depth == MAX_DEPTH + 2:
                start = token.start()
        elif token[0] in (b"}", b"]"):
            if depth == MAX_DEPTH + 2:
                pieces += (text[end:start], b'"\\udead too deep"')
                end = token.end()
            depth -= 1
    return b"".join((*pieces, text[end:]))


def _fault_in(value: Any) -> _Why | None:
    """What makes a column unreadable; None if nothing does. It is not nested too deeply any more."""
    if isinstance(value, _Bad):
        return _no_number
    if isinstance(value, str):
        if value == _TOO_DEEP:
            return _deep
        return None if value.isprintable() or _is_text(value) else _no_text
    if isinstance(value, dict):
        items = [*value, *value.values()]
    elif isinstance(value, list):
        items = value
    else:
        return None
    return next((fault for item in items if (fault := _fault_in(item))), None)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
