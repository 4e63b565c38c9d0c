"""What both record stores refuse before they touch anything, so that neither is laxer.

All of these are faults of our own code, hence `ValueError`; only a commit over the limits has a
class of its own, because the engine answers it by splitting.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from shared.errors import CommitTooBig
from shared.records.store import (
    ABSENT,
    MAX_COMMIT_BYTES,
    MAX_COMMIT_WRITES,
    NEAR,
    Key,
    Kind,
    Near,
    Query,
    Write,
)

#: Firestore's own limits on a place's length, and on what one search by places finds.
MAX_DIMENSIONS, MAX_NEAR = 2048, 1000

#: Firestore's own limit on the values of `in`, and thereby on the scopes of one listing.
MAX_IN_VALUES = 30

COMPARISONS = ("==", "in", "contains", "<", "<=", ">", ">=")

_COLLECTION = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}").fullmatch
# Firestore refuses ".", ".." and "__...__" as names of documents.
_ID = re.compile(r"(?!\.{1,2}\Z|__.*__\Z)[A-Za-z0-9_~.-]{1,300}").fullmatch
_FIELD = re.compile(r"(?!__.*__\Z)[^\x00-\x1f\x7f]{1,300}", re.DOTALL).fullmatch
_QUERY_FIELD = re.compile(r"(?!__.*__\Z)[A-Za-z_][A-Za-z0-9_]{0,99}").fullmatch


def check_keys(keys: Iterable[Key]) -> None:
    """Refuse addresses that one of the stores could not hold."""
    for collection, id in keys:
        if not _COLLECTION(collection) or not _ID(id):
            raise ValueError(f"no document can have the address {collection!r}/{id!r}")


def check_fields(names: Iterable[str]) -> None:
    """Refuse names of top-level fields that one of the stores could not hold or address.

    The Firestore emulator drops a field whose path holds a carriage return without a word.
    """
    for name in names:
        if not _FIELD(name):
            raise ValueError(f"no field can be called {name!r}")


def check_writes(writes: Sequence[Write]) -> None:
    """Refuse too many writes, two writes to one document, or a senseless precondition."""
    if len(writes) > MAX_COMMIT_WRITES:
        raise CommitTooBig(f"{len(writes)} writes in one commit; the limit is {MAX_COMMIT_WRITES}")
    check_keys(write.key for write in writes)
    names = set().union(*(write.fields for write in writes))
    check_fields(names)
    for name in (name for name in names if name.startswith(NEAR)):
        for write in writes:
            if write.fields.get(name) is not None:
                _check_place(write.fields[name])
    if len({write.key for write in writes}) < len(writes):
        raise ValueError("a commit may write each document once")
    for kind, key, _, expect in writes:
        if (
            (kind is Kind.VERIFY and expect is None)
            or (kind in (Kind.PATCH, Kind.DELETE) and expect == ABSENT)
            or (expect is not None and expect < 0)
        ):
            raise ValueError(f"{kind.value} of {key.collection}/{key.id} cannot expect {expect!r}")


def check_commit_bytes(size: int) -> None:
    """Refuse a commit over the limit; `size` is counted as the store would send or keep it."""
    if size > MAX_COMMIT_BYTES:
        raise CommitTooBig(f"{size} bytes in one commit; the limit is {MAX_COMMIT_BYTES}")


def check_scopes(scopes: Sequence[str]) -> list[str]:
    """The distinct scopes, at most 30."""
    distinct = list(dict.fromkeys(scopes))
    if len(distinct) > MAX_IN_VALUES:
        raise ValueError(f"{len(distinct)} scopes in one listing; the limit is {MAX_IN_VALUES}")
    return distinct


def check_query(query: Query) -> None:
    """Refuse names, operators and values on which the stores would not agree."""
    if not _COLLECTION(query.collection):
        raise ValueError(f"no collection can be called {query.collection!r}")
    for name in [*(field for field, _, _ in query.where), *(field for field, _ in query.order)]:
        if not _QUERY_FIELD(name):
            raise ValueError(f"a query cannot use the field {name!r}")
    for field, operator, value in query.where:
        _check_comparison(field, operator, value)
    unordered = {
        f for f, operator, _ in query.where if operator not in ("==", "in", "contains")
    } - {field for field, _ in query.order}
    if unordered:
        # Firestore would order by it unasked, and a page could not say where it stopped.
        raise ValueError(f"a field compared by < or > must be in the order: {unordered}")
    if any(direction not in ("asc", "desc") for _, direction in query.order):
        raise ValueError(f"an order is asc or desc: {query.order!r}")
    if query.limit is not None and query.limit < 1:
        raise ValueError(f"a limit is 1 or more, not {query.limit}")
    if query.start_after is not None and len(query.start_after) != len(query.order) + 1:
        raise ValueError("start_after holds the values of the order fields, then the id")
    if query.near is not None:
        _check_near(query, query.near)


def _check_place(place: Any) -> None:
    if not isinstance(place, list | tuple) or not 1 <= len(place) <= MAX_DIMENSIONS:
        raise ValueError(f"a place has 1 to {MAX_DIMENSIONS} numbers")
    if not all(isinstance(each, int | float) and math.isfinite(each) for each in place):
        raise ValueError("a place has numbers only")


def _check_near(query: Query, near: Near) -> None:
    if not _QUERY_FIELD(near.field) or not near.field.startswith(NEAR):
        raise ValueError(f"no field of places can be called {near.field!r}")
    _check_place(near.place)
    if not any(near.place):
        raise ValueError("nothing is near a place of zeros")
    if not query.limit or query.limit > MAX_NEAR or query.order or query.start_after:
        raise ValueError(f"what is near has a limit of 1 to {MAX_NEAR}, and no order")
    if any(operator not in ("==", "in") for _, operator, _ in query.where):
        raise ValueError("beside what is near, a query takes == and in")


def check_count(query: Query) -> int:
    """Refuse what `check_query` refuses, and a count without a bound; the bound."""
    check_query(query)
    if query.near is not None:
        raise ValueError("what is near is not counted")
    if query.limit is None:
        raise ValueError("a count needs a limit")
    if query.start_after is not None:
        raise ValueError("a count takes no start_after")
    return query.limit


def _check_comparison(field: str, operator: str, value: Any) -> None:
    if operator not in COMPARISONS:
        raise ValueError(f"no such operator: {operator!r}")
    values = value if operator == "in" else [value]
    if operator == "in" and (
        not isinstance(values, (list, tuple)) or not 1 <= len(values) <= MAX_IN_VALUES
    ):
        raise ValueError(f"`in` takes a list of 1 to {MAX_IN_VALUES} values ({field!r})")
    if not all(isinstance(each, (str, int, float)) for each in values):
        raise ValueError(f"{field!r} can be compared with strings, numbers and booleans only")
