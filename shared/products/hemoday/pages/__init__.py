"""HemoDay's pages of the console: for families, at a desk or on an old phone's browser."""

from __future__ import annotations

from pathlib import Path

from shared.console.page import Pages
from shared.products.hemoday.pages import bring_in, charts, family, record, report, search, settings
from shared.products.hemoday.pages.words import ACTIONS, INSTEAD
from shared.products.product import Parts

#: The name in front of its templates.
NAME = "hemoday"


def pages(_parts: Parts) -> Pages:
    """All of them."""
    return Pages(
        name=NAME,
        folder=Path(__file__).parent,
        pages=(
            *family.PAGES,
            *search.PAGES,
            *charts.PAGES,
            *report.PAGES,
            *record.PAGES,
            *settings.PAGES,
            *bring_in.PAGES,
        ),
        home=family.PAGES[0].path,
        actions=ACTIONS,
        instead=INSTEAD,
    )
