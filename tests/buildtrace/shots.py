"""`python -m tests.buildtrace.shots [FOLDER]` (`make shots`): pictures of the pages for a building site.

In `.build/shots` unless a folder is named: each page on a desk, on a phone, and dark. With `docs/pictures`
as the folder: those that docs/buildtrace.md shows.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from shared.console.page import HOME
from tests.buildtrace.desk import DRAWING, compare, office, sheet, upload
from tests.console.at_desk import log_in
from tests.console.browser.conftest import ARGUMENTS, DESK, PHONE, chromium_path
from tests.console.browser.shots import CHOSEN, FOLDER, MOST_BYTES, save

#: Name → page, and its window.
PICTURES = {"buildtrace-overlay": ("sheet", DESK), "buildtrace-comparison": ("comparison", DESK)}


def main(words: list[str]) -> int:
    """Take them; the exit code."""
    os.environ["PRODUCT"] = "buildtrace"
    folder = Path(words[0]) if words else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        office(Path(data)) as stack,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        page = browser.new_page(locale="en-GB", timezone_id="Europe/Berlin", viewport=DESK)  # type: ignore[arg-type]
        log_in(page, stack.url, "demo-foreman")
        upload(page, stack.url, whole=True)
        compare(page, stack.url)
        pages = {"comparison": page.url, "sheet": sheet(page)}
        pages |= {name: f"{stack.url}{HOME}/{name}" for name in ("drawings",)}
        pages["drawing"] = f"{stack.url}{HOME}/{DRAWING}"
        if folder.resolve() == CHOSEN.resolve():
            for name, (where, size) in PICTURES.items():
                _shown(page, pages[where], size)
                save(page.screenshot(), folder / f"{name}.png", MOST_BYTES)
            save(_summary(page, pages["comparison"]), folder / "buildtrace-summary.png", MOST_BYTES)
        else:
            for name, where in pages.items():
                for way, size in (("1280", DESK), ("360", PHONE), ("dark", DESK)):
                    page.emulate_media(color_scheme="dark" if way == "dark" else "light")
                    _shown(page, where, size)
                    save(page.screenshot(full_page=True), folder / f"buildtrace-{name}-{way}.png")
        browser.close()
    return 0


def _summary(page: Page, comparison: str) -> bytes:
    """The first page of a comparison's summary."""
    import pypdfium2

    made = page.request.get(f"{comparison.partition('?')[0]}/summary.pdf").body()
    out = io.BytesIO()
    pypdfium2.PdfDocument(made)[0].render(scale=1.6).to_pil().save(out, "PNG")
    return out.getvalue()


def _shown(page: Page, where: str, size: dict[str, int]) -> None:
    """A page as it is looked at: of a sheet a change."""
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.goto(where)
    page.wait_for_load_state("networkidle")
    if page.locator(".jump").count():
        page.locator(".jump").nth(1).click()
        page.wait_for_load_state("networkidle")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
