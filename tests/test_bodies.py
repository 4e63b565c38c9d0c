"""Bodies are bounded while they are bytes: as sent, inflated, in values; time grows with them alone."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, Queue
from threading import Event
from typing import Any

import orjson
import pytest
from flask import Flask, Response, request
from hypothesis import given
from hypothesis import strategies as st

from shared.api.bodies import FORM, Limits, count_values, inflated
from shared.api.web import Call, Route, answer, serve
from shared.errors import InvalidJson, InvalidRequest, RequestTooLarge
from shared.products.dermadetect.tables import CATALOG
from shared.settings import Settings
from shared.sync.dialects import batch, reading, watermelon
from shared.sync.dialects.intake import MOST_RECORDS
from tests.patience import LATE_SECONDS, PATIENCE_SECONDS

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
    began = time.thread_time()  # of the processor: others may be busy on this machine
    with suppress(InvalidJson):
        SLOW[name]()
    assert time.thread_time() - began < LATE_SECONDS


@pytest.mark.parametrize("dialect", ["batch", "watermelon"])
def test_one_record_too_many_refuses_a_push_and_all_that_are_allowed_do_not(dialect: str) -> None:
    def parse(count: int) -> None:
        rows: list[Any] = [0] * count
        told = {"fingerprint": "f", "client_time_ms": None, "now_ms": 1}
        if dialect == "batch":
            batch.parse({"changes": {"cases": rows}}, CATALOG, **told)  # type: ignore[arg-type]
        else:
            sets = {"cases": {"created": rows}}
            watermelon.parse_push(sets, CATALOG, cursor_ms=0, **told)  # type: ignore[arg-type]

    parse(MOST_RECORDS)
    with pytest.raises(RequestTooLarge, match=f"{MOST_RECORDS} records. Send them in several"):
        parse(MOST_RECORDS + 1)


def test_a_form_is_smaller_than_what_can_hurt() -> None:
    assert FORM.sent == FORM.inflated == 16 * 1024


@pytest.mark.parametrize(
    "large",
    [
        b" " * 2**20 + b"[]",
        gzip.compress(b" " * 2**20 + b"[]", mtime=0),
        b"[" + b"0," * 20_000 + b"0]",
    ],
)
def test_one_large_body_is_worked_on_at_a_time_while_small_ones_pass(large: bytes) -> None:
    entered: Queue[int] = Queue()
    go = Event()

    def handle(call: Call) -> Response:
        size = len(call.body())
        if size > 100:
            entered.put(size)
            go.wait(PATIENCE_SECONDS)
            raise InvalidRequest("also when it is refused, the next one may come")
        return answer({})

    routes = (Route("POST", "/", handle, Limits(2**24, 2**24, 10**6)),)
    app = Flask("test")
    app.add_url_rule("/", view_func=lambda: serve(request, routes, Settings()), methods=["POST"])

    def send(body: bytes) -> int:
        packed = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
        return app.test_client().post("/", data=body, headers=packed).status_code

    with ThreadPoolExecutor(3) as threads:
        try:
            sent = [threads.submit(send, large) for _ in range(3)]
            entered.get(timeout=PATIENCE_SECONDS)
            assert send(b"[]") == 200
            with pytest.raises(Empty):
                entered.get(timeout=0.3)
        finally:
            go.set()
        assert [each.result(PATIENCE_SECONDS) for each in sent] == [400] * 3
