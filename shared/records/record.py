"""What a stored record looks like: its bookkeeping fields, its canonical JSON and its content hash.

A record is a document whose id is the phone's id. Beside the declared fields it carries:

    scope_id            who shares it (a team, a family)
    author_id           who wrote its client-owned fields last
    last_modified_at    when, by the phone's corrected clock, ms
    created_at          when the phone made it, by its corrected clock, ms
    received_at         when the server first stored it, ms
    deleted_at          when it was deleted, ms; absent while it lives (a tombstone keeps its data)
    _raw_modified_at    last_modified_at as the phone's clock said it, ms
    _offset             how far that clock was off, ms; absent: about right, or not known
    _columns            who changed which column, where that is not the last write (`conflict.History`)
    _device             the device that wrote the client-owned fields last
    _hash               of the client-owned fields: decides "nothing changed"
    _echo               the exchange in which a phone sent exactly this row: it need not get it back
    _edited             version of the last write of a phone, set when the server wrote after it
    _kept_since         when it was deleted, ms, for as long as its data is kept
    _waits              True while a person has still to look at it, deleted or not: it is not purged
    _deleted_by         who deleted it
    _for                the user whose phones it is made for: the product hears when one has it
    _deleted_with       "table/id" of the record with which it was deleted, if it was not by itself
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any

import orjson
import rfc8785

from shared.records.store import STAMP, Document, Key, StoredCollection, Write, patch

SCOPE = "scope_id"
AUTHOR = "author_id"
MODIFIED = "last_modified_at"
CREATED = "created_at"
RECEIVED = "received_at"
DELETED = "deleted_at"
RAW_MODIFIED = "_raw_modified_at"
OFFSET = "_offset"
COLUMNS = "_columns"
DEVICE = "_device"
HASH = "_hash"
ECHO = "_echo"
EDITED = "_edited"
KEPT = "_kept_since"
WAITS = "_waits"
DELETED_BY = "_deleted_by"
DELETED_WITH = "_deleted_with"
FOR = "_for"

#: The scope of what belongs to nobody's: no scope can be called so. Admins see what is there.
UNFILED = "~unfiled"

#: What a decision about a record needs to know of its stored version.
META = (
    SCOPE,
    AUTHOR,
    MODIFIED,
    CREATED,
    RECEIVED,
    DELETED,
    RAW_MODIFIED,
    OFFSET,
    COLUMNS,
    DEVICE,
    HASH,
    ECHO,
    EDITED,
)

#: A phone's record id: safe in every path, file name and query.
ID = re.compile(r"[A-Za-z0-9_-]{1,128}")

#: One number tells units apart: a time up to it is in seconds (the year 5138), from it on in milliseconds
#: (1973). Milliseconds end below `MOST_MS` (the year 5138 again).
MOST_SECONDS = LEAST_MS = 100_000_000_000
MOST_MS = 1000 * MOST_SECONDS
_RESERVED_ID = re.compile(r"__.*__")

#: Ids of records that left a scope, so that its members' phones drop them.
REVOCATIONS = "revocations"

STORED = (StoredCollection(REVOCATIONS, ((SCOPE, STAMP), ("record_id",))),)

#: What belongs to a record without being one: logs with its values, what people did with it, its files,
#: what was read of it and of its files. They go where their record goes, in this order.
LOGS = ("conflicts", "quarantine", "reviews", "files", "readings", "document_texts", "sheet_facts")

#: Integers beyond this are not the same number on a phone (JavaScript, RFC 8785 §3.2.2.3).
MAX_INTEGER = 2**53 - 1

#: The device of a caller that named none: nobody knows which of the user's phones it was.
UNNAMED = "unnamed"

#: Deepest nesting of objects and arrays that a request or a JSON column may have.
MAX_DEPTH = 20

# An exponent, a whole number as a float (1.0), or a whole part of digits enough to be beyond 2^53. A plain
# decimal like 36.5 is what RFC 8785 writes, whatever digits follow the point: measured answers
# (temperature, the score of a model) stay on the quick road.
_NOT_PLAIN_NUMBER = re.compile(rb"[0-9][eE]|\.0(?![0-9])|(?<![0-9.])[0-9]{16}")
_DIGITS_AS_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
_SIXTEEN = b"0" * 16
#: orjson makes a float of an integer that needs more than 64 bits: the shortest of those.
_LONG_INTEGER = b"0" * 20
_INTEGER = re.compile(rb"(?<![0-9.eE+])[0-9]{20,}(?![0-9.eE])")
_BRACKETS = bytes.maketrans(b"[{]}", b"(())")
_ALL_BUT_BRACKETS = bytes(sorted(set(range(256)) - set(b'[]{}"')))


def revocation(key: Key, scope_id: str) -> Key:
    """The address of the note that a record left a scope."""
    return Key(REVOCATIONS, f"{key.collection}~{key.id}~{scope_id}")


def valid_id(value: object) -> bool:
    """Whether `value` can be a record's id: 1–128 of `A-Za-z0-9_-`, not `__…__`."""
    return (
        isinstance(value, str)
        and ID.fullmatch(value) is not None
        and _RESERVED_ID.fullmatch(value) is None
    )


def too_deep(text: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether valid JSON nests objects and arrays deeper than `limit`.

    Works on brackets alone, outside strings, at the speed of `bytes.replace`: a body of 16 MiB
    is measured without a Python step per character.
    """
    if text.count(b"{") + text.count(b"[") <= limit:
        return False  # fewer brackets than levels, strings and all: most columns
    quoted = without_escapes(text).translate(_BRACKETS, _ALL_BUT_BRACKETS)
    # Every second piece between quotation marks is a string; most are empty by now. Two marks side by side
    # make no bracket a part of a string that was none, nor the other way round: they go first.
    left = b"".join(quoted.replace(b'""', b"").split(b'"')[::2])
    # Only parentheses remain; each round removes exactly the innermost level.
    for _ in range(limit):
        if not left:
            return False
        left = left.replace(b"()", b"")
    return bool(left)


def long_integer(data: bytes) -> bool:
    """Whether valid JSON may hold an integer that the parser would round without a word."""
    shape = data.translate(_DIGITS_AS_ZERO)
    if _LONG_INTEGER not in shape:
        return False
    outside = b'""'.join(without_escapes(data).split(b'"')[::2])
    return _INTEGER.search(outside) is not None


def without_escapes(text: bytes) -> bytes:
    """Valid JSON without what makes a quotation mark part of a string."""
    if b"\\" not in text:
        return text
    # Pairs first: in a run of backslashes the first one begins an escape.
    return text.replace(b"\\\\", b"").replace(b'\\"', b"")


class NotCanonical(ValueError):
    """A value that RFC 8785 cannot write so that every platform reads the same."""


def canonical(value: Any) -> str:
    """The canonical JSON text of a value (RFC 8785: sorted keys, shortest numbers, no blanks).

    Raises `NotCanonical` for integers beyond ±(2^53 − 1), NaN, infinities and lone surrogates.
    """
    try:
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError) as error:
        raise NotCanonical(str(error)) from error
    # orjson differs from RFC 8785 only in how it writes some numbers and in the order of keys
    # outside ASCII (UTF-8 against UTF-16 order): take the slow road for those.
    if text.isascii() and not _odd_numbers(text):
        return text.decode()
    if _beyond(value):
        raise NotCanonical("a whole number is beyond ±(2^53 − 1)")
    # Usually a whole number that was written as a float: 37.0, which is 37 there.
    text = orjson.dumps(_whole(value), option=orjson.OPT_SORT_KEYS)
    if text.isascii() and not _odd_numbers(text):
        return text.decode()
    try:
        return rfc8785.dumps(value).decode()
    except rfc8785.CanonicalizationError as error:
        raise NotCanonical(str(error)) from error


def _odd_numbers(text: bytes) -> bool:
    """Whether orjson may have written a number otherwise than RFC 8785 does."""
    # Most texts hold nothing that looks like one, not even in a string: two passes of C code.
    shape = text.translate(_DIGITS_AS_ZERO)
    if b".0" in text or b"0e" in shape or b"0E" in shape or _long_whole_part(shape):
        outside = b"".join(without_escapes(text).split(b'"')[::2])
        return _NOT_PLAIN_NUMBER.search(outside) is not None
    return False


def _long_whole_part(shape: bytes) -> bool:
    """Whether a run of sixteen digits stands anywhere but behind a point."""
    at = shape.find(_SIXTEEN)
    while at >= 0:
        if shape[at - 1 : at] != b".":
            return True
        at += len(_SIXTEEN)
        while shape[at : at + 1] == b"0":
            at += 1
        at = shape.find(_SIXTEEN, at)
    return False


def _beyond(value: Any) -> bool:
    """Whether a float in it would be written as an integer that nobody may send back."""
    if isinstance(value, float):
        return value.is_integer() and MAX_INTEGER < abs(value) < 1e21
    if isinstance(value, dict):
        return any(map(_beyond, value.values()))
    return isinstance(value, list | tuple) and any(map(_beyond, value))


def _whole(value: Any) -> Any:
    """The value with whole numbers as integers, as far as they are exact. Raises `NotCanonical`."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotCanonical("a number is infinite, or none")
        return int(value) if value.is_integer() and abs(value) <= MAX_INTEGER else value
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list | tuple) else value


def content_hash(
    record_id: str, scope_id: str, fields: Mapping[str, Any] | None
) -> tuple[str, int]:
    """SHA-256 (hex) of a record's content, and the bytes it was made of.

    The input is the canonical JSON of `{"deleted", "fields", "id", "scope"}`: client-owned fields
    at their declared types, nulls left out, JSON columns as their canonical text. `fields` None
    stands for a tombstone. No times: a phone can compute the same value from what it holds.
    """
    content: dict[str, Any] = {
        "deleted": fields is None,
        "fields": {name: value for name, value in (fields or {}).items() if value is not None},
        "id": record_id,
        "scope": scope_id,
    }
    # Stored values are plain already: only a float needs more than sorted keys (see `canonical`).
    if float in map(type, content["fields"].values()):
        text = canonical(content).encode()
    else:
        text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest(), len(text)


def client_version(document: Document) -> int:
    """The version at which a phone last wrote this record: later writes of the server do not count."""
    return int(document.fields.get(EDITED) or document.version)


def follows(child: Document, parent: Key, now_ms: int, deleted_by: str | None) -> Write:
    """The deletion of a live record because the one that it refers to was deleted. Read with META."""
    fields = {
        DELETED: now_ms,
        KEPT: now_ms,
        DELETED_BY: deleted_by,
        DELETED_WITH: f"{parent.collection}/{parent.id}",
        HASH: content_hash(child.key.id, child.fields[SCOPE], None)[0],
    }
    return server_patch(child, fields)


def server_patch(document: Document, fields: Mapping[str, Any]) -> Write:
    """A write of the server's own fields into a record that was read with its META.

    Guarded by the version that was read. The row goes to every phone again, the writer's too, and
    the phone's own last write stays known.
    """
    return patch(
        document.key,
        {**fields, ECHO: None, EDITED: client_version(document)},
        document.version,
    )
