"""`python -m tests.hemoday.shots [FOLDER]` (`make shots`): pictures of the family's pages.

In `.build/shots` unless a folder is named: each page on a desk and on a phone, in English and in Arabic.
With `docs/pictures` as the folder: those that docs/hemoday.md shows.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from shared.console.page import HOME
from tests.console.at_desk import log_in
from tests.console.browser.conftest import ARGUMENTS, DESK, PHONE, chromium_path
from tests.console.browser.shots import CHOSEN, FOLDER, MOST_BYTES, save, speak
from tests.hemoday.desk import PAGES, family_at_home

#: Name → page, whether on a phone, language.
PICTURES = {
    "hemoday-timeline": ("family", DESK, "en"),
    "hemoday-charts": ("charts", DESK, "ru"),
    "hemoday-phone": ("records/blood_tests/demo-test-1", PHONE, "ar"),
}


def main(words: list[str]) -> int:
    """Take them; the exit code."""
    os.environ["PRODUCT"] = "hemoday"
    folder = Path(words[0]) if words else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    chosen = folder.resolve() == CHOSEN.resolve()
    every = {
        f"hemoday-{page.replace('/', '-').partition('?')[0]}-{size['width']}-{language}": (
            page,
            size,
            language,
        )
        for page in PAGES
        for size in (DESK, PHONE)
        for language in ("en", "ar")
    }
    with (
        tempfile.TemporaryDirectory() as data,
        family_at_home(Path(data)) as stack,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        page = browser.new_page(locale="en-GB", timezone_id="Asia/Tbilisi")
        log_in(page, stack.url, "demo-mother")
        for name, (where, size, language) in (PICTURES if chosen else every).items():
            page.set_viewport_size(size)  # type: ignore[arg-type]
            speak(page, stack.url, language)
            page.goto(f"{stack.url}{HOME}/{where}")
            page.wait_for_load_state("networkidle")
            whole = page.screenshot(full_page=not chosen)
            save(whole, folder / f"{name}.png", MOST_BYTES if chosen else None)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
