"""People at a desk, for products' own pages in a browser: their accounts, and how they log in."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

from infra.local.environment import use_stack
from shared import wiring
from shared.console.page import HOME

PASSWORD = "a rather long pass phrase"


@contextmanager
def in_place_of(folder: Path) -> Iterator[None]:
    """This process works on the stores of the stack in `folder`, and then as before."""
    before = dict(os.environ)
    use_stack(folder)
    changed = [name for name, value in os.environ.items() if before.get(name) != value]
    try:
        yield
    finally:
        for name in changed:
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]
        wiring.forget()


def accounts(names: Iterable[str], now_ms: int) -> None:
    """Accounts for people of the example: `demo-NAME`."""
    administration = wiring.accounts().administration
    for name in names:
        user = f"demo-{name}"
        administration.create(_address(user), PASSWORD, now_ms, user_id=user, name=name.title())


def log_in(page: Page, url: str, user: str, language: str = "en") -> None:
    """Log in, and choose a language."""
    page.goto(f"{url}{HOME}/login")
    page.fill("#f-email", _address(user))
    page.fill("#f-password", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_load_state()
    if language != "en":
        page.select_option("#language", language)
        page.wait_for_selector(f"html[lang={language}]")


def _address(user: str) -> str:
    return f"{user}@example.org"
