"""The report as a PDF: tagged for screen readers (PDF/UA-1), A4, its fonts within."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from shared.products.hemoday.report import letters

log = logging.getLogger(__name__)

#: One report is set at a time in a process: it is one processor's work, and memory for one.
_ONE = threading.Lock()

#: What Typst sets.
_SOURCE = Path(__file__).with_name("report.typ")


def pdf(data: dict[str, Any], now_ms: int) -> bytes:
    """The document of some content, made at a moment (Unix ms); the same content gives the same bytes.

    A letter that `letters` let through and no font has would break PDF/UA: such a document is made without
    that promise, and the log says so.
    """
    import typst

    try:
        return _compiled(data, now_ms, pdf_standards=["ua-1"])
    except typst.TypstError:  # its message may have words of the family
        log.warning("report is not PDF/UA")
        return _compiled(data, now_ms)


def _compiled(data: dict[str, Any], now_ms: int, **how: Any) -> bytes:
    import typst

    with _ONE:
        made: bytes = typst.compile(
            str(_SOURCE),
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
