"""Log lines for people at a terminal; files keep them as JSON."""

from __future__ import annotations

import json

#: What a line says in any case, in this order; everything else follows as name=value.
_FIRST = ("time", "severity", "message")

#: What tells a person at a terminal nothing.
_LEFT_OUT = (*_FIRST, "version", "logging.googleapis.com/spanId")

_TRACE = "logging.googleapis.com/trace"

#: ANSI codes: dim, yellow, red, reset.
_COLOURS = {"DEBUG": "\033[2m", "WARNING": "\033[33m", "ERROR": "\033[31m", "CRITICAL": "\033[31m"}
_DIM, _RESET = "\033[2m", "\033[0m"


def readable(line: str, *, colours: bool = False) -> str:
    """A line of `telemetry.JsonFormatter` as time, severity, message and name=value; others as they are."""
    try:
        said = json.loads(line)
    except ValueError:
        return line
    if not isinstance(said, dict) or not all(isinstance(said.get(name), str) for name in _FIRST):
        return line
    time, severity, message = (said[name] for name in _FIRST)
    more = [
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in said.items()
        if name not in _LEFT_OUT and not name.startswith(_TRACE)
    ]
    text = f"{time[11:23]} {severity:<7} {message}"
    if not colours:
        return " ".join([text, *more])
    text = f"{_COLOURS[severity]}{text}{_RESET}" if severity in _COLOURS else text
    return " ".join([text, f"{_DIM}{' '.join(more)}{_RESET}"]) if more else text
