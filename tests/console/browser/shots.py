"""`python -m tests.console.browser.shots [FOLDER]` (`make shots`): a picture of every page of the console.

In `.build/shots` unless a folder is named: each page on a desk, on a phone, dark, and in Arabic. With
`docs/pictures` as the folder: the four that README shows.
"""

from __future__ import annotations

import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from infra.local import day
from infra.local.stack import Stack
from shared.console.page import HOME
from tests.console.browser.conftest import ARGUMENTS, DESK, PHONE, chromium_path
from tests.console.browser.declared import SHOWN, path, whose

#: Where pictures go that are only looked at, and the folder of those that README shows.
FOLDER, CHOSEN = Path(".build/shots"), Path("docs/pictures")

#: Name → path, user, whether on a phone, language; a picture's longest size, bytes.
PICTURES = {
    "console-list": (f"{HOME}/cases", "doctor", DESK, "en"),
    "console-case": (f"{HOME}/cases/case-foot", "doctor", DESK, "en"),
    "console-week": (f"{HOME}/week", "halima", DESK, "en"),
    "console-arabic": (f"{HOME}/cases", "doctor", PHONE, "ar"),
}
MOST_BYTES = 150_000

#: The grain of the made-up photos would take the bytes, and the colours from the page around them.
_CALM = """() => document.querySelectorAll(".stage img").forEach((image) => {
  image.style.filter = "blur(2px)"; })"""


def main(words: list[str]) -> int:
    """Take them; the exit code."""
    folder = Path(words[0]) if words else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        Stack(
            profile="local",
            data=data,
            workers=2,
            sweep_seconds=2.0,
            environ={"CLOCK_FILE": str(_clock(data))},
        ) as stack,
        sync_playwright() as driver,
    ):
        day.weeks(stack.url, Path(data), _clock(data))
        day.whole(stack.url, Path(data))
        browser = driver.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        if folder.resolve() == CHOSEN.resolve():
            chosen(browser, stack.url, folder)
        else:
            every(browser, stack.url, folder)
        browser.close()
    print(f"{len(list(folder.glob('*.png')))} pictures in {folder}")
    return 0


def _clock(data: str) -> Path:
    """The file that moves the back end's clock."""
    file = Path(data) / "clock"
    if not file.exists():
        file.write_text("0", "ascii")
    return file


def every(browser: Browser, url: str, folder: Path) -> None:
    """Every page, in four ways."""
    people = {user: whose_context(browser, url, user) for user in ("", "doctor", "halima", "omari")}
    for declared in SHOWN:
        context = people[whose(declared)]
        page = context.new_page()
        name = path(declared).removeprefix(f"{HOME}/").replace("/", "-")
        for way, size, scheme, language in (
            ("1280", DESK, "light", "en"),
            ("360", PHONE, "light", "en"),
            ("dark", DESK, "dark", "en"),
            ("arabic", PHONE, "light", "ar"),
        ):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            speak(page, url, language)
            answer = page.goto(f"{url}{path(declared)}")
            if answer is None or "html" not in answer.headers.get("content-type", ""):
                break
            page.wait_for_load_state("networkidle")
            save(page.screenshot(full_page=True), folder / f"{name}-{way}.png")
        speak(page, url, "en")
        page.close()


def chosen(browser: Browser, url: str, folder: Path) -> None:
    """The four of README: what a window shows."""
    for name, (where, user, size, language) in PICTURES.items():
        context = whose_context(browser, url, user)
        page = context.new_page()
        page.set_viewport_size(size)  # type: ignore[arg-type]
        speak(page, url, language)
        page.goto(f"{url}{where}")
        page.wait_for_load_state("networkidle")
        page.evaluate(_CALM)
        save(page.screenshot(), folder / f"{name}.png", MOST_BYTES)
        context.close()


def whose_context(browser: Browser, url: str, user: str) -> BrowserContext:
    """A browser of somebody who has logged in; of nobody."""
    context = browser.new_context(locale="en-GB", timezone_id="Africa/Nairobi")
    if user:
        page = context.new_page()
        page.goto(f"{url}{HOME}/login")
        page.fill("#f-email", day.address(user))
        page.fill("#f-password", day.PASSWORD)
        page.click("main button[type=submit]")
        page.wait_for_load_state()
        page.close()
    return context


def speak(page: Page, url: str, language: str) -> None:
    """Choose a language, if it is not spoken already."""
    if page.url == "about:blank":
        page.goto(f"{url}{HOME}/login")
    if page.locator(f"html[lang={language}]").count():
        return
    page.select_option("#language", language)
    page.wait_for_selector(f"html[lang={language}]")


def save(data: bytes, file: Path, most: int | None = None) -> None:
    """With few colours a picture is small. Raises `ValueError` if it is larger than it may be."""
    with Image.open(BytesIO(data)) as picture:
        whole = picture.convert("RGB")
        for share, colours in ((1, 256), (1, 128), (0.8, 96), (0.7, 64)):
            size = round(whole.width * share), round(whole.height * share)
            small = whole.resize(size, Image.Resampling.LANCZOS).quantize(
                colours, dither=Image.Dither.NONE
            )
            small.save(file, "PNG", optimize=True)
            file.chmod(0o644)
            if most is None or file.stat().st_size <= most:
                return
    raise ValueError(f"{file} has {file.stat().st_size} bytes, more than {most}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
