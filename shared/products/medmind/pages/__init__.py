"""MedMind's pages of the console: for families at a desk or on an old phone's browser, and for doctors."""

from __future__ import annotations

from pathlib import Path

from shared.console.page import Pages
from shared.products.medmind.pages import (
    calls,
    circles,
    edit,
    people,
    plan,
    said,
    telling,
    today,
    week,
)
from shared.products.medmind.pages.words import ACTIONS, INSTEAD
from shared.products.product import Parts

#: The name in front of its templates.
NAME = "medmind"


def pages(_parts: Parts) -> Pages:
    """All of them."""
    return Pages(
        name=NAME,
        folder=Path(__file__).parent,
        pages=(
            *today.PAGES,
            *week.PAGES,
            *calls.PAGES,
            *plan.PAGES,
            *edit.PAGES,
            *said.PAGES,
            *people.PAGES,
            *telling.PAGES,
            *circles.PAGES,
        ),
        home=today.PAGES[0].path,
        actions=ACTIONS,
        instead=INSTEAD,
    )
