"""Tables of the documentation, as tests hold them against the code."""

from __future__ import annotations

import re
from pathlib import Path


def table(document: Path, first: str) -> list[list[str]]:
    """The cells of the table whose first column is headed `first`, without its head."""
    head = re.search(
        rf"^\| {re.escape(first)} \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)",
        document.read_text(encoding="utf-8"),
        re.M,
    )
    assert head, f"{document.name} has no table of {first}"
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in head[1].splitlines()]
