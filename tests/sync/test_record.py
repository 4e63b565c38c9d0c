"""Canonical JSON and depth: quick ways, held against the standard's own library and plain recursion."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.records.record import MAX_DEPTH, MAX_INTEGER, NotCanonical, canonical, too_deep

unhurried = settings(deadline=None, max_examples=300)

#: Text with all that may be taken for a number, a bracket or the end of a string.
texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ['"', "\\", '\\"', "\\\\", "[{", "}]", "1e5", "37.0", "1" * 20, "\n", "é", "😀"]
    ),
    st.lists(st.sampled_from(['"', "\\", "[", "}", "1", ".0", "e", "E"]), max_size=8).map("".join),
)
numbers = st.one_of(
    st.integers(-MAX_INTEGER, MAX_INTEGER),
    st.integers(-50, 50).map(float),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([-0.0, 0.1, 36.5, 37.0, 0.05, 1e-7, 1e20, 1e21, 1.5e300, 2.0**53, 2.0**53 - 1]),
    st.floats(-1e-4, 1e-4) | st.floats(0, 1) | st.floats(1e14, 1e17),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def too_large(value: Any) -> bool:
    """Whether a phone would read a whole number otherwise than it was meant."""
    if isinstance(value, dict | list):
        return any(map(too_large, value.values() if isinstance(value, dict) else value))
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e21
    return whole and abs(value) > MAX_INTEGER


@unhurried
@given(values)
def test_canonical_text_is_what_the_standards_own_library_writes(value: Any) -> None:
    if too_large(value):
        with pytest.raises(NotCanonical):
            canonical(value)
    else:
        assert canonical(value) == rfc8785.dumps(value).decode()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_a_list_of_strings_is_canonical_as_it_is(value: list[str]) -> None:
    """What `watermelon.row` relies on for the names of photos."""
    assert orjson.dumps(value).decode() == canonical(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 37.0, "a": [-0.0, 1e2]}, '{"a":[0,100],"b":37}'),
        ({"note": "37.0 and 1e5"}, '{"note":"37.0 and 1e5"}'),
        ({"note": "37.0", "t": 37.0}, '{"note":"37.0","t":37}'),
        ({"t": 1e21}, '{"t":1e+21}'),
        ({"t": 1e-7}, '{"t":1e-7}'),
        ({"t": 0.12345678901234566}, '{"t":0.12345678901234566}'),  # the score of a model
        ({"t": [-1e-05, 1e16 / 3]}, '{"t":[-0.00001,3333333333333333.5]}'),
        ({"😀": 1, "\ufb33": 2}, '{"😀":1,"\ufb33":2}'),  # by UTF-16, not by code points
    ],
)
def test_numbers_and_keys_are_written_as_the_standard_says(value: Any, text: str) -> None:
    assert canonical(value) == text


@pytest.mark.parametrize(
    "value",
    [MAX_INTEGER + 1, -MAX_INTEGER - 1, 2.0**53, "\ud800", {"a": 1.0, "b": math.inf}],
    ids=repr,
)
def test_what_no_platform_reads_alike_is_refused(value: Any) -> None:
    with pytest.raises(NotCanonical):
        canonical(value)


def depth(value: Any) -> int:
    held = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, held), default=0) if isinstance(value, dict | list) else 0


@pytest.mark.proof
@unhurried
@given(values, st.integers(0, 6), st.booleans())
def test_depth_is_that_of_brackets_outside_strings(value: Any, limit: int, plain: bool) -> None:
    text = json.dumps(value, ensure_ascii=plain, indent=1 if plain else None).encode()
    assert too_deep(text, limit) is (depth(value) > limit)


def test_strings_full_of_brackets_do_not_count_and_many_siblings_are_not_deep() -> None:
    wide = [{"a": "[" * 100 + '\\"{' * 50}] * 50
    assert not too_deep(orjson.dumps(wide), 2)
    assert too_deep(orjson.dumps(wide), 1)
    assert too_deep(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))
    assert not too_deep(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
