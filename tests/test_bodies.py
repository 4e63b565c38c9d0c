"""Bodies are bounded while they are bytes: as sent, inflated, in values; time grows with them alone."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bodies import FORM, count_values, inflated
from shared.errors import InvalidJson, RequestTooLarge
from shared.products.dermadetect import PRODUCT
from shared.sync import batch, reading, watermelon
from shared.sync.intake import MOST_RECORDS

_TEXT = st.text(st.sampled_from('a"\\[]{},:\n é😀'), max_size=8)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_TEXT, inner, max_size=5),
    max_leaves=40,
)


def built(value: Any) -> tuple[int, int]:
    """Values and names that a parser makes, and how many of them are empty objects or lists."""
    if isinstance(value, dict):
        items = [*value, *value.values()]
    elif isinstance(value, list):
        items = value
    else:
        return 1, 0
    below = [built(item) for item in items]
    return 1 + sum(made for made, _ in below), (not items) + sum(empty for _, empty in below)


@given(_JSON, st.integers(0, 3))
def test_values_are_counted_exactly_but_for_empty_objects_and_lists(
    value: Any, blanks: int
) -> None:
    made, empty = built(value)
    for data in (orjson.dumps(value), json.dumps(value).encode()):
        assert count_values(b" " * blanks + data, 10**9) == made + empty


@given(_JSON, st.sampled_from([b"", b"\\", b'\\"', b"\\\\"]), _JSON)
def test_nothing_hides_behind_a_backslash_that_is_no_json(
    before: Any, between: bytes, value: Any
) -> None:
    data = orjson.dumps(before) + between + b'{"changes":{"cases":[' + orjson.dumps(value)
    assert count_values(data, 10**9) >= built(value)[0]


@pytest.mark.parametrize("at", range(-6, 7))
def test_a_piece_ends_in_no_escape(at: int) -> None:
    text = "x" * (2**16 + at) + '\\\\"\\"[1,2,{' + '"' + "\\" * 9
    data = orjson.dumps([text, 1])
    assert count_values(data, 10**9) == 3


def test_counting_stops_when_there_are_too_many() -> None:
    assert 500 < count_values(b"[" + b"0," * 10**6 + b"0]", 500) < 10**5


@pytest.mark.parametrize("size", [0, 1, 2**16 - 1, 2**16, 2**16 + 1, 300_000])
@pytest.mark.parametrize("members", [1, 3])
def test_gzip_of_any_members_inflates_whole_up_to_the_cap(size: int, members: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    packed = gzip.compress(data) * members
    assert b"".join(inflated(packed, size * members)) == data * members
    if size:
        with pytest.raises(RequestTooLarge, match=str(size * members - 1)):
            list(inflated(packed, size * members - 1))
    for broken in (packed[:-1], packed[:5], packed + b"\0", b""):
        with pytest.raises(InvalidJson):
            list(inflated(broken, size * members))


#: Bodies of a phone within its limits that took hours.
SLOW: dict[str, Callable[[], object]] = {
    "a text of quotation marks that never ends": lambda: reading.read(
        b'{"changes":{"cases":[{"a":"' + b'\\"' * 4_000_000
    ),
    "gzip of nothing, again and again": lambda: list(inflated(gzip.compress(b"") * 200_000, 1000)),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_body_takes_time_that_grows_with_it_and_not_with_its_square(name: str) -> None:
    began = time.monotonic()
    with suppress(InvalidJson):
        SLOW[name]()
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("dialect", ["batch", "watermelon"])
def test_one_record_too_many_refuses_a_push_and_all_that_are_allowed_do_not(dialect: str) -> None:
    def parse(count: int) -> None:
        rows: list[Any] = [0] * count
        told = {"fingerprint": "f", "client_time_ms": None, "now_ms": 1}
        if dialect == "batch":
            batch.parse({"changes": {"cases": rows}}, PRODUCT, **told)  # type: ignore[arg-type]
        else:
            sets = {"cases": {"created": rows}}
            watermelon.parse_push(sets, PRODUCT, cursor_ms=0, **told)  # type: ignore[arg-type]

    parse(MOST_RECORDS)
    with pytest.raises(RequestTooLarge, match=f"{MOST_RECORDS} records. Send them in several"):
        parse(MOST_RECORDS + 1)


def test_a_form_is_smaller_than_what_can_hurt() -> None:
    assert FORM.sent == FORM.inflated == 16 * 1024
