"""Bodies in which single records cannot be read: they are taken out, and the others are read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.errors import InvalidJson
from shared.sync.dialects.reading import Unreadable, read

GOOD = {"id": "good", "cover": {"a": [1, {"b": "}]"}]}}

#: What is wrong with a record's text, the field and the code that name it.
BAD: list[tuple[str, bytes, str | None, str]] = [
    ("half an emoji", b'{"id":"x","note":"itches \\ud83d"}', "note", "invalid_text"),
    ("half an emoji inside", b'{"id":"x","d":{"a":["\\ude00"]}}', "d", "invalid_text"),
    ("half an emoji as a name", b'{"id":"x","d":{"\\ud83d":1}}', "d", "invalid_text"),
    ("half an emoji as a column", b'{"id":"x","\\ud83d":1}', "?", "invalid_text"),
    ("a wrong byte", b'{"id":"x","note":"caf\xe9"}', "note", "invalid_text"),
    ("1e400", b'{"id":"x","d":{"n":1e400}}', "d", "number_out_of_range"),
    ("-1e400", b'{"id":"x","n":-1e400}', "n", "number_out_of_range"),
    ("NaN", b'{"id":"x","n":NaN}', "n", "number_out_of_range"),
    ("Infinity", b'{"id":"x","n":[-Infinity]}', "n", "number_out_of_range"),
    ("twenty-one digits", b'{"id":"x","n":100000000000000000001}', "n", "number_out_of_range"),
    ("five thousand digits", b'{"id":"x","n":' + b"9" * 5000 + b"}", "n", "number_out_of_range"),
    ("21 levels", b'{"id":"x","d":' + b"[" * 21 + b"]" * 21 + b"}", "d", "too_deep"),
    ("100,000 levels", b'{"id":"x","d":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "d", "too_deep"),
    ("no value", b'{"id":"x","d":}', None, "invalid_json_record"),
    ("a comma too many", b'{"id":"x",}', None, "invalid_json_record"),
]

#: Where records stand in the dialects.
AROUND = {
    "batch": (b'{"device_id":"d","changes":{"notebooks":[', b"]}}"),
    "watermelon": (b'{"notebooks":{"created":[', b'],"updated":[],"deleted":["x"]}}'),
    "watermelon, wrapped": (b'{"changes":{"notebooks":{"created":[', b"]}}}"),
}


def rows(value: Any) -> list[Any]:
    while isinstance(value, dict):
        value = value.get("changes") or value.get("notebooks") or value.get("created")
    assert isinstance(value, list)
    return value


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize(
    ("text", "field", "code"), [bad[1:] for bad in BAD], ids=[b[0] for b in BAD]
)
def test_one_unreadable_record_is_taken_out_and_the_others_are_read(
    around: str, text: bytes, field: str | None, code: str
) -> None:
    good = json.dumps(GOOD).encode()
    head, tail = AROUND[around]
    first, bad, last = rows(read(head + b",".join((good, text, good)) + tail))
    assert first == last == GOOD
    assert isinstance(bad, Unreadable)
    assert (bad.fault.field, bad.fault.code) == (field, code)
    assert bad.text == text
    if code != "invalid_json_record":
        assert bad.value["id"] == "x"


def test_an_integer_that_json_cannot_carry_is_named_at_any_length() -> None:
    for digits in (20, 21, 40, 400, 10_000):
        (row,) = rows(read(b'{"changes":{"notebooks":[{"id":"x","n":%s}]}}' % (b"9" * digits)))
        assert isinstance(row, Unreadable), digits
        assert row.fault.field == "n"
    # a decimal, an exponent, digits in a text, and what 64 bits hold are none of those
    for text in (b"0.99999999999999999999999", b"1e30", b'"99999999999999999999999"', b"9" * 19):
        (row,) = rows(read(b'{"changes":{"notebooks":[{"id":"x","n":%s}]}}' % text))
        assert not isinstance(row, Unreadable), text


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"changes":{"notebooks":[{"id":"x"}', b'{"device_id":"\\ud83d"}', b"[" * 30 + b"]" * 30,
     b'{"last_sync_timestamp":NaN}', b'{"changes":{"\\ud83d":[]}}', b"\xff"],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
def test_what_is_around_the_records_must_be_json(body: bytes) -> None:
    with pytest.raises(InvalidJson):
        read(body)


def test_twenty_levels_of_a_column_are_read_whatever_is_around_it() -> None:
    column = b"[" * 20 + b"]" * 20
    for head, tail in AROUND.values():
        (row,) = rows(read(head + b'{"id":"x","d":' + column + b"}" + tail))
        assert row == {"id": "x", "d": json.loads(column)}
