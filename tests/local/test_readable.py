"""What a person at a terminal sees of a log line."""

from __future__ import annotations

import json
import logging

import pytest

from infra.local.readable import readable
from shared.telemetry import JsonFormatter


def line(level: int, message: str, **more: object) -> str:
    entry = logging.LogRecord("shared.x", level, "x.py", 1, message, (), None)
    entry.__dict__.update(more)
    entry.created, entry.msecs = 1_790_000_000.123, 123
    return JsonFormatter("1.2").format(entry)


def test_a_line_says_time_severity_message_and_the_rest() -> None:
    said = readable(line(logging.INFO, "request", status=200, ms=3.5, path="/health", of=["a"]))
    assert said == '14:13:20.123 INFO    request status=200 ms=3.5 path=/health of=["a"]'


def test_colours_tell_a_fault_from_the_rest() -> None:
    assert readable(line(logging.ERROR, "no"), colours=True) == (
        "\033[31m14:13:20.123 ERROR   no\033[0m"
    )
    assert "\033[3" not in readable(line(logging.INFO, "yes", n=1), colours=True)


@pytest.mark.parametrize(
    "other", ["", "Traceback", "[1]", "{", '{"time": 1}', json.dumps({"a": 1})]
)
def test_what_is_no_line_of_ours_stays_as_it_is(other: str) -> None:
    assert readable(other, colours=True) == other
