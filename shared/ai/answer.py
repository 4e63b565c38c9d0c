"""Finds the one JSON object in what a model wrote: behind thinking, in prose, in a fence, badly written.

Read strictly first. What no strict reader takes (a trailing comma, single or smart quotes, a comment, a
missing comma) goes through `json_repair`, but only a whole object does: what was cut off is never
completed, for the end of a list of red flags may be what is missing. What can be read in two ways is
not read: which one was meant is not ours to guess.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from html import unescape
from typing import Any, NamedTuple

#: Characters of an answer that are read. Four times what 8192 tokens of English take.
MAX_ANSWER_CHARS = 131_072
#: Opening braces at which an object is looked for; bounds the time a hostile answer can take.
_MAX_TRIES = 32
#: Characters of an object that are repaired, for the same reason: json_repair walks them in Python, some
#: 5 µs each.
_MOST_REPAIRED = 32_768
#: Levels of wrapping (`{"analysis": {…}}`, a list, JSON in a text) that are opened.
_WRAPPINGS = 3

# Marks of thinking: Gemma's own, those of DeepSeek and Qwen, Mistral, Seed, Kimi.
_MARKS = (
    ("<unused94>", "<unused95>"),
    *((f"<{name}>", f"</{name}>") for name in ("think", "thinking", "thought", "reasoning")),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("◁think▷", "◁/think▷"),
)
#: gpt-oss says where its answer begins.
_FINAL = "<|channel|>final<|message|>"

_SMART = str.maketrans(dict.fromkeys("“”„‟″", '"') | dict.fromkeys("‘’‚‛′", "'"))


class _Refuse(ValueError):
    """JSON that two readers may read differently."""


def without_thinking(text: str) -> str:
    """The answer after the model's thinking.

    Cut off in the middle of thinking: nothing is left. Opened in the prompt and only closed in the
    answer: what follows the last closing mark.
    """
    text = text.rpartition(_FINAL)[2]
    for opened, closed in _MARKS:
        if closed in text or opened in text:
            text = re.sub(f"{re.escape(opened)}.*?{re.escape(closed)}", " ", text, flags=re.DOTALL)
            text = text.partition(opened)[0]
            text = text.rpartition(closed)[2]
    return text


class Shape(NamedTuple):
    """What an object is known by."""

    keys: tuple[str, ...]  #: that it may begin with
    wanted: tuple[str, ...]  #: that it cannot be without
    once: tuple[str, ...]  #: that must not stand twice, in no spelling


def draft_in(text: str, shape: Shape) -> dict[str, Any] | None:
    """The one object of a shape; None if there is none, or several that differ.

    Keys come back in snake_case, whatever they were written in. A key twice with two values and nesting
    beyond all sense count as none.
    """
    found = [*_strict(text, shape)]
    if not found:
        found = [*_repaired(text, shape)]
    first = found[0] if found else None
    return first if all(each == first for each in found) else None


def _strict(text: str, shape: Shape) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder(object_pairs_hook=_no_twins, parse_constant=_no_constant)
    text = text.strip()
    if text[:1] == '"':  # the whole object as one JSON text
        with suppress(ValueError):
            text = str(json.loads(text))
    position = text.find("{")
    for _ in range(_MAX_TRIES):
        if position < 0:
            return
        try:
            value, end = decoder.raw_decode(text, position)
            yield from _unwrapped(_snake_keys(value), shape)
        except (ValueError, RecursionError):
            end = position + 1
        position = text.find("{", end)


def _repaired(text: str, shape: Shape) -> Iterator[dict[str, Any]]:
    """Objects that are whole, by their braces, but that no strict reader takes."""
    if not re.search(r'"[^"]*"\s*:', text):  # smart quotes inside straight ones are part of a text
        text = unescape(text).replace('\\"', '"').translate(_SMART)
    key = re.compile("|".join(f"{re.escape(each)}\\b" for each in shape.keys), re.IGNORECASE)
    position = behind = 0
    for _ in range(_MAX_TRIES):
        begin = key.search(text, position)
        if begin is None:
            return
        position = begin.end()
        start = text.rfind("{", behind, begin.start())
        end = -1 if start < 0 else _closing(text, start)
        if end < 0:
            continue
        part, position, behind = text[start:end], end, end
        if not _twice(part, shape.once):
            try:
                yield from _unwrapped(_snake_keys(_repair(part)), shape)
            except (ValueError, RecursionError):
                continue


def _repair(part: str) -> Any:
    import json_repair  # 20 ms, and only for who writes badly

    try:
        return json_repair.loads(part, skip_json_loads=True)
    except Exception as error:  # whatever a hostile text makes of it, it is no object
        raise _Refuse from error


def _closing(text: str, start: int) -> int:
    """Just behind the brace that closes the one at `start`; -1 if none does.

    Braces inside texts count: a lonely one makes the object unreadable, never wrongly read.
    """
    open_braces = 0
    for brace in re.finditer(r"[{}]", text[start : start + _MOST_REPAIRED]):
        open_braces += 1 if brace[0] == "{" else -1
        if not open_braces:
            return start + brace.end()
    return -1


def _twice(part: str, once: tuple[str, ...]) -> bool:
    return any(len(re.findall(f"\\b{key}\\W{{0,2}}\\s*:", part, re.IGNORECASE)) > 1 for key in once)


def _unwrapped(value: Any, shape: Shape, depth: int = 0) -> Iterator[dict[str, Any]]:
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        try:
            value = _snake_keys(json.loads(value, object_pairs_hook=_no_twins))
        except (ValueError, RecursionError):
            return
    if isinstance(value, dict) and all(key in value for key in shape.wanted):
        if any(snake(key) in shape.once and snake(key) != key for key in value):
            raise _Refuse
        yield value
    elif depth < _WRAPPINGS and isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _unwrapped(inner, shape, depth + 1)


def _snake_keys(value: Any) -> Any:
    """The value with keys as the contract writes them: `Red Flags` and `redFlags` are red_flags.

    Of two spellings of one key the second stays as it is.
    """
    if isinstance(value, list):
        return [_snake_keys(item) for item in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, item in value.items():
        named = snake(str(key))
        found[str(key) if named in found or not named else named] = _snake_keys(item)
    return found


def plain(text: str) -> str:
    """A text in plain letters: full-width ones narrowed, marks that nobody sees left out."""
    narrow = unicodedata.normalize("NFKC", text)
    return "".join(letter for letter in narrow if unicodedata.category(letter) != "Cf")


def snake(key: str) -> str:
    """A word or words in snake_case."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", plain(key[:100]).strip())
    return re.sub(r"[^\w]+", "_", parted).strip("_").lower()


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose key may stand twice only with the same value."""
    found = dict(pairs)
    if len(found) != len(pairs) and any(found[key] != value for key, value in pairs):
        raise _Refuse
    return found


def _no_constant(name: str) -> Any:
    raise _Refuse(name)
