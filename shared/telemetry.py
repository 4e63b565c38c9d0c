"""Structured logs: one JSON object a line, as Cloud Logging reads it.

Fields say who and how much (request, scope, device, counts, ms), never what: no clinical content,
no tokens. An exception is logged as its type and the places it passed, without its message, since a
message may quote what a phone sent.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from typing import Any

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON with `severity`, `message`, `time` and the extras."""

    def __init__(self, version: str) -> None:
        super().__init__()
        self._labels = {"version": version}

    def format(self, entry: logging.LogRecord) -> str:
        """One line; extras that are no JSON values are named by their type."""
        line: dict[str, Any] = {
            "severity": entry.levelname,
            "message": entry.getMessage(),
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(entry.created))
            + f".{int(entry.msecs):03d}Z",
            **self._labels,
        }
        for name, value in entry.__dict__.items():
            if name not in _STANDARD:
                line[name] = value
        if entry.exc_info and entry.exc_info[0]:
            line["exception"] = entry.exc_info[0].__name__
            frames = traceback.extract_tb(entry.exc_info[2])
            line["at"] = [f"{frame.filename}:{frame.lineno}:{frame.name}" for frame in frames[-8:]]
        return json.dumps(line, default=lambda value: type(value).__name__, ensure_ascii=False)


def start(version: str, level: str) -> None:
    """Send this process's logs to standard output as JSON. Calling it again changes nothing."""
    root = logging.getLogger("shared")
    if any(isinstance(handler.formatter, JsonFormatter) for handler in root.handlers):
        return
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(version))
    root.addHandler(handler)
    root.setLevel(level)
    root.propagate = False
