"""The circle's pages in Chromium: light and dark, on a phone and a desk, both directions, by keyboard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from infra.local.stack import Stack
from shared.console.page import HOME
from tests.console.at_desk import log_in
from tests.console.browser.conftest import DESK, PHONE
from tests.console.browser.conftest import axe as axe
from tests.console.browser.conftest import chromium as chromium
from tests.console.browser.look import MOST_BYTES, Weight, found_by_axe, sideways
from tests.medmind.desk import PAGES, circle_at_home

pytestmark = pytest.mark.proof

#: The smallest side of what is touched, px: WCAG 2.2, 2.5.8 asks for 24.
LEAST = 40


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRODUCT", "medmind")
        with circle_at_home(tmp_path_factory.mktemp("home")) as stack:
            yield stack


@pytest.mark.parametrize(
    ("user", "language"), [("demo-daughter", "en"), ("demo-daughter", "ar"), ("demo-doctor", "ru")]
)
def test_a_page_is_for_everybody(
    home: Stack, chromium: Browser, axe: str, user: str, language: str
) -> None:
    wrong: list[str] = []
    context = chromium.new_context(bypass_csp=True, locale="en-GB", viewport=DESK)  # type: ignore[arg-type]
    seen = context.new_page()
    seen.on("console", lambda message: wrong.append(f"{seen.url}: {message.text}"))
    log_in(seen, home.url, user, language)
    for page in PAGES:
        weight = Weight(seen)
        whole = page if "scope=" in page else f"{page}{'&' if '?' in page else '?'}scope=demo"
        answer = seen.goto(
            f"{home.url}{HOME}/{whole if page not in ('circles', 'telling') else page}"
        )
        assert answer is not None
        assert answer.ok, (page, answer.status)
        seen.wait_for_load_state("networkidle")
        for size in (DESK, PHONE):
            seen.set_viewport_size(size)  # type: ignore[arg-type]
            for scheme in ("light", "dark"):
                seen.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                where = f"{page} {size['width']} {scheme}"
                wrong += [f"{where}: {each}" for each in found_by_axe(seen, axe)]
                wrong += [f"{where}: sideways: {each}" for each in sideways(seen)]
        assert weight.whole <= MOST_BYTES, weight.parts
        small = seen.evaluate(
            "least => [...document.querySelectorAll('main button, main a.button')]"
            ".filter(e => e.getBoundingClientRect().height > 0 && e.getBoundingClientRect().height < least)"
            ".map(e => e.outerHTML.slice(0, 100))",
            LEAST,
        )
        wrong += [f"{page}: small: {each}" for each in small]
    context.close()
    assert not wrong, "\n".join(dict.fromkeys(wrong))


def test_times_are_the_patients_wherever_the_browser_is(home: Stack, chromium: Browser) -> None:
    context = chromium.new_context(locale="en-GB", timezone_id="America/New_York", viewport=DESK)  # type: ignore[arg-type]
    page = context.new_page()
    log_in(page, home.url, "demo-daughter")
    page.goto(f"{home.url}{HOME}/today")
    assert page.inner_text(".when >> nth=0") == "08:00"
    context.close()


def test_a_dose_is_noted_without_script_by_keyboard(home: Stack, chromium: Browser) -> None:
    context = chromium.new_context(locale="en-GB", viewport=PHONE, java_script_enabled=False)  # type: ignore[arg-type]
    page = context.new_page()
    log_in(page, home.url, "demo-daughter")
    page.goto(f"{home.url}{HOME}/today?day=2037-03-24&scope=demo")
    page.focus("summary >> nth=0")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("s")  # skipped
    page.keyboard.press("Tab")
    while page.evaluate("() => document.activeElement.name") != "reason":
        page.keyboard.press("Tab")
    page.keyboard.type("She was asleep")
    page.keyboard.press("Enter")
    page.get_by_text("It is noted.").wait_for()
    assert "She was asleep" in page.inner_text("main")
    context.close()
