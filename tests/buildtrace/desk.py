"""The example project's back end, started as a user starts it, with accounts, and two issues compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

from infra.cli.local import seed
from infra.local.phone import wall_ms
from infra.local.stack import Stack
from shared.console.page import HOME
from shared.products.buildtrace.example import house, sheets
from tests.console.at_desk import accounts, in_place_of

DRAWING = "drawings/demo-ground-floor?scope=demo"

#: A comparison on a busy machine, ms.
_MS = 180_000


@contextmanager
def office(folder: Path, profile: str = "local") -> Iterator[Stack]:
    """It runs until the end; `PRODUCT=buildtrace` must stand in this process's environment."""
    environ = {"PRODUCT": "buildtrace"}
    with (
        Stack(profile=profile, data=folder, workers=2, sweep_seconds=2.0, environ=environ) as stack,
        in_place_of(folder),
    ):
        seed("demo")
        accounts(("architect", "foreman", "client"), wall_ms())
        yield stack


def upload(page: Page, url: str, whole: bool = False) -> None:
    """Both files of the example drawing, from the page of somebody who writes."""
    for label in ("C1", "C2"):
        plans = house(label) if whole else (house(label)[0], *house(label)[3:])
        page.goto(f"{url}{HOME}/{DRAWING}")
        row = page.locator(f"#r-demo-ground-floor-{label.lower()}")
        row.locator("summary").click()
        row.locator("input[type=file]").set_input_files(
            {"name": f"{label}.pdf", "mimeType": "application/pdf", "buffer": sheets(plans)}
        )
        row.locator("button").click()
        row.get_by_text("Open the file").wait_for(timeout=_MS)


def compare(page: Page, url: str) -> None:
    """Ask for it, and wait while the page shows where it stands."""
    page.goto(f"{url}{HOME}/{DRAWING}")
    page.get_by_role("button", name="Compare the latest with the one before").click()
    page.locator(".stages").wait_for()
    page.locator("#comparison:not([hx-get])").wait_for(timeout=_MS)


def sheet(page: Page, number: str = "A-101") -> str:
    """To a sheet of the comparison that is open; its address."""
    page.get_by_role("link", name=number, exact=True).click()
    page.locator("[data-stage].live").wait_for()
    return page.url.partition("?")[0]
