"""A report as a PDF: tagged for screen readers (PDF/UA-1), A4, its fonts within.

A product gives its content as data and a source for Typst, which may import `/export/frame.typ`.
"""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from shared.export import letters

log = logging.getLogger(__name__)

#: One report is set at a time in a process: it is one processor's work, and memory for one.
_ONE = threading.Lock()

#: What sources may import from: this package.
_ROOT = Path(__file__).parents[1]


def pdf(source: Path, data: dict[str, Any], now_ms: int) -> bytes:
    """The document of a source and its content, made at a moment (Unix ms); the same gives the same bytes.

    A letter that `letters` let through and no font has would break PDF/UA: such a document is made without
    that promise, and the log says so.
    """
    import typst

    try:
        return _compiled(source, data, now_ms, pdf_standards=["ua-1"])
    except typst.TypstError:  # its message may have words of people
        log.warning("report is not PDF/UA")
        return _compiled(source, data, now_ms)


def _compiled(source: Path, data: dict[str, Any], now_ms: int, **how: Any) -> bytes:
    import typst

    with _ONE:
        made: bytes = typst.compile(
            str(source),
            root=str(_ROOT),
            font_paths=_folders(),
            ignore_system_fonts=True,
            sys_inputs={"data": orjson.dumps(data).decode()},
            timestamp=datetime.fromtimestamp(now_ms // 1000, UTC),
            **how,
        )
    return made


@cache
def _folders() -> list[str]:
    return letters.folders()
