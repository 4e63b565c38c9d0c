"""`python -m tests.medmind.shots [FOLDER]` (`make shots`): pictures of the circle's pages.

In `.build/shots` unless a folder is named: each page on a desk and on a phone, in English and in Arabic,
and dark. With `docs/pictures` as the folder: those that docs/medmind.md shows.
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
from tests.medmind.desk import PAGES, circle_at_home

#: Name → page, user, whether on a phone, language.
PICTURES = {
    "medmind-today": ("today?scope=demo", PHONE, "en"),
    "medmind-week": ("week?scope=demo", DESK, "en"),
}


def main(words: list[str]) -> int:
    """Take them; the exit code."""
    os.environ["PRODUCT"] = "medmind"
    folder = Path(words[0]) if words else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    chosen = folder.resolve() == CHOSEN.resolve()
    ways = ((DESK, "en", "light"), (PHONE, "en", "light"), (DESK, "en", "dark"))
    every = {
        f"medmind-{page.replace('/', '-').replace('?', '-')}-{size['width']}-{language}-{scheme}": (
            page,
            size,
            language,
            scheme,
        )
        for page in PAGES
        for size, language, scheme in (*ways, (PHONE, "ar", "light"))
    }
    shown = {name: (*each, "light") for name, each in PICTURES.items()} if chosen else every
    with (
        tempfile.TemporaryDirectory() as data,
        circle_at_home(Path(data)) as stack,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        page = browser.new_page(locale="en-GB", timezone_id="Europe/Berlin")
        log_in(page, stack.url, "demo-daughter")
        for name, (where, size, language, scheme) in shown.items():
            page.set_viewport_size(size)  # type: ignore[arg-type]
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            speak(page, stack.url, language)
            page.goto(f"{stack.url}{HOME}/{where}")
            page.wait_for_load_state("networkidle")
            whole = page.screenshot(full_page=not chosen)
            save(whole, folder / f"{name}.png", MOST_BYTES if chosen else None)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
