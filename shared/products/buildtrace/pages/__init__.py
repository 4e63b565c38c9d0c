"""BuildTrace's pages of the console: drawings, comparisons, and two sheets laid over each other."""

from __future__ import annotations

from pathlib import Path

from shared.console.page import Pages
from shared.products.buildtrace.pages import comparison, drawings, overlay
from shared.products.buildtrace.pages.words import ACTIONS, INSTEAD
from shared.products.product import Parts

#: The name in front of its templates.
NAME = "buildtrace"


def pages(_parts: Parts) -> Pages:
    """All of them."""
    return Pages(
        name=NAME,
        folder=Path(__file__).parent,
        pages=(*drawings.PAGES, *comparison.PAGES, *overlay.PAGES),
        home=drawings.PAGES[0].path,
        actions=ACTIONS,
        instead=INSTEAD,
    )
