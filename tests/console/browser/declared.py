"""The pages that are declared, who may look at each, and what of the demo's day it is about."""

from __future__ import annotations

from typing import NoReturn

from infra.local import day
from shared.console.page import HOME, Page
from shared.console.pages import PAGES
from shared.products.dermadetect import pages as dermadetect
from shared.products.dermadetect.rights import may
from shared.products.product import Parts
from shared.settings import load


def _nothing(*_: object) -> NoReturn:
    raise AssertionError("pages are declared without opening anything")


#: All of them, in the order of the navigation's groups.
DECLARED = (
    *dermadetect.pages(Parts(load({}), *[_nothing] * 13)).pages,
    *PAGES.pages,
)

#: What pages are about, by what their paths name.
THINGS = {"users/{id}": "users/joseph", "cases/{id}": "cases/case-foot"}

#: Without a page to look at: the addresses of forms.
_FORMS = ("language", "logout")


def whose(page: Page) -> str:
    """Somebody who may open it; empty: nobody needs to."""
    if page.open:
        return ""
    return next(user for user, _, role in day.PEOPLE if page.right is None or may(role, page.right))


def path(page: Page) -> str:
    """Where it is."""
    where = page.path
    for name, value in THINGS.items():
        where = where.replace(name, value)
    assert "{" not in where, f"say in THINGS what {page.path} is about"
    return f"{HOME}/{where}"


#: Those to look at: no form's address, no part that a clock asks for, no file.
SHOWN = [page for page in DECLARED if not page.quiet and page.path not in _FORMS]
