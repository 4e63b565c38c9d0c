"""Templates and static files of the console.

Static files are served under a path with the hash of their content, so browsers keep them for a year and
never show an old one. htmx comes from its package, as it was installed; the rest is ours.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined

from shared.console.refusals import sentence
from shared.console.words import Words

#: The frame's own templates, locales and static files.
FOLDER = Path(__file__).parent

#: The frame's name in front of its templates.
FRAME = "console"

#: So many marks hang on one sign at most. The longest sign that is joined of others has eleven parts.
_MOST_MARKS = 12
_JOINER = "\u200d"

#: Where the package that carries htmx has it. Of the package nothing else is used.
_HTMX = "static/htmx/htmx.min.js"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is served. `tag` is of its content."""

    name: str
    kind: str
    tag: str
    whole: bytes
    packed: bytes  #: with gzip


def static_files(folders: Mapping[str, Path]) -> dict[str, StaticFile]:
    """Name → file: those of each package's `static/`, and htmx."""
    found = {
        path.name: path.read_bytes()
        for folder in folders.values()
        for path in sorted((folder / "static").glob("*"))
    }
    found["htmx.js"] = _htmx()
    return {name: _static(name, data) for name, data in found.items()}


@cache
def _htmx() -> bytes:
    import js_lib_htmx

    return (Path(js_lib_htmx.__file__).parent / _HTMX).read_bytes()


def _static(name: str, data: bytes) -> StaticFile:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    tag = hashlib.sha256(data).hexdigest()[:16]
    return StaticFile(name, kind, tag, data, gzip.compress(data, 9, mtime=0))


def environment(folders: Mapping[str, Path], words: Words) -> Environment:
    """Templates in one language: everything that is put into one is escaped."""
    loader = PrefixLoader(
        {name: FileSystemLoader(folder / "templates") for name, folder in folders.items()}
    )
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
        auto_reload=False,
    )
    made.install_gettext_callables(  # type: ignore[attr-defined]
        words.text, words.translations.ungettext, newstyle=True
    )
    made.filters |= {
        "said": words.said,
        "sentence": sentence,
        "number": words.number,
        "percent": words.percent,
        "moment": words.moment,
        "day": words.day,
        "duration": words.duration,
        "iso": _iso,
        "calm": calm,
    }
    return made


def calm(value: object) -> str:
    """A text as it can be shown: marks above marks, and signs that are joined, have an end.

    No language needs as many. Such a run can neither be broken nor folded: it would push all else aside.
    """
    text = str(value)
    if text.isascii():
        return text
    kept: list[str] = []
    run, joined = 0, False
    for sign in text:
        hangs = sign == _JOINER or unicodedata.category(sign) in ("Mn", "Me", "Mc")
        run = run + 1 if hangs or joined else 0
        joined = sign == _JOINER
        if hangs and run > _MOST_MARKS:
            joined = False
            continue
        kept.append(sign)
    return "".join(kept)


def _iso(at_ms: int) -> str:
    """A moment for the attribute `datetime`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
