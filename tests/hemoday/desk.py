"""The example family's back end, started as a user starts it, with accounts for its people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

from infra.cli.local import seed
from infra.local.environment import use_stack
from infra.local.phone import wall_ms
from infra.local.stack import Stack
from shared import wiring
from shared.console.page import HOME

PASSWORD = "a rather long pass phrase"

#: Pages of the product, with what the example family has on them.
PAGES = (
    "family",
    "family?table=reminders",
    "family?table=analysis_templates",
    "search",
    "reminders/settings",
    "charts",
    "report",
    "child",
    "records/transfusions/demo-transfusion-1",
    "records/blood_tests/demo-test-1",
    "records/blood_tests/new?template=demo-template-1",
    "records/documents/demo-document-1",
    "records/reminders/demo-reminder-1",
    "bring-in",
)


@contextmanager
def family_at_home(folder: Path) -> Iterator[Stack]:
    """It runs until the end; `PRODUCT=hemoday` must stand in this process's environment."""
    with Stack(
        profile="local", data=folder, workers=2, sweep_seconds=2.0, environ={"PRODUCT": "hemoday"}
    ) as stack:
        use_stack(folder)
        seed("demo")
        administration = wiring.accounts().administration
        for name in ("mother", "granny"):
            user = f"demo-{name}"
            administration.create(
                address(user), PASSWORD, wall_ms(), user_id=user, name=name.title()
            )
        yield stack


def address(user: str) -> str:
    """Of somebody's account."""
    return f"{user}@example.org"


def log_in(page: Page, url: str, user: str, language: str = "en") -> None:
    """Log in, and choose a language."""
    page.goto(f"{url}{HOME}/login")
    page.fill("#f-email", address(user))
    page.fill("#f-password", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_load_state()
    if language != "en":
        page.select_option("#language", language)
        page.wait_for_selector(f"html[lang={language}]")
