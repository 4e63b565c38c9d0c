"""A reader for the part of Cloud Logging's query language that terraform/ uses.

    path=value   path=("a" OR "b")   path>=number   "a word anywhere"     side by side: all of them

As the language has it: `=` compares text without case; a comparison with a field that is not there, or
is null, is false; a number is compared with numbers alone. Anything else raises `ValueError`.
(cloud.google.com/logging/docs/view/logging-query-language)
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

_TERM = re.compile(
    r'\s*(?:(?P<path>[A-Za-z_][\w.]*)\s*(?P<op>>=|<=|>|<|=)\s*(?P<value>"[^"]*"|-?[\d.]+|\([^()]*\))'
    r"|(?P<bare>\"[^\"]*\")|(?P<group>\([^()]*\)))"
)

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": lambda left, right: left >= right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    "<": lambda left, right: left < right,
}


def matches(query: str, entry: Mapping[str, Any]) -> bool:
    """Whether a log entry fits."""
    at, found = 0, True
    while query[at:].strip():
        term = _TERM.match(query, at)
        if term is None:
            raise ValueError(f"not understood: {query[at:]}")
        at = term.end()
        found = _holds(term, entry) and found
    return found


def _holds(term: re.Match[str], entry: Mapping[str, Any]) -> bool:
    if term["bare"]:
        return json.loads(term["bare"]).lower() in json.dumps(entry, ensure_ascii=False).lower()
    if term["group"]:
        return any(matches(part, entry) for part in _choices(term["group"]))
    here = value_at(entry, term["path"])
    if here is None:
        return False
    if term["op"] != "=":
        number = isinstance(here, int | float) and not isinstance(here, bool)
        return number and _COMPARE[term["op"]](here, float(term["value"]))
    wanted = _choices(term["value"]) if term["value"][0] == "(" else [term["value"]]
    return any(str(here).lower() == each.strip().strip('"').lower() for each in wanted)


def _choices(group: str) -> list[str]:
    return group[1:-1].split(" OR ")


def value_at(entry: Mapping[str, Any], path: str) -> Any:
    """What stands at `jsonPayload.a.b`; None where nothing does."""
    here: Any = entry
    for step in path.split("."):
        here = here.get(step) if isinstance(here, Mapping) else None
    return here
