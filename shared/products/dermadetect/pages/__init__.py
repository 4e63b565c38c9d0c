"""DermaDetect's pages of the console."""

from __future__ import annotations

from pathlib import Path

from shared.console.page import Pages
from shared.products.dermadetect.pages import case, own_numbers, texts, unread, week, worklist
from shared.products.dermadetect.pages.words import ACTIONS
from shared.products.product import Parts

#: The name in front of its templates.
NAME = "dermadetect"


def pages(_parts: Parts) -> Pages:
    """All of them."""
    return Pages(
        name=NAME,
        folder=Path(__file__).parent,
        pages=(
            *worklist.PAGES,
            *unread.PAGES,
            *case.PAGES,
            *own_numbers.PAGES,
            *texts.PAGES,
            *week.PAGES,
        ),
        home=worklist.PAGES[0].path,
        actions=ACTIONS,
    )
