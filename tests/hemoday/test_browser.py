"""The family's pages in Chromium: light and dark, on a phone and a desk, in both directions."""

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
from tests.hemoday.desk import PAGES, family_at_home

pytestmark = pytest.mark.proof


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRODUCT", "hemoday")
        with family_at_home(tmp_path_factory.mktemp("home")) as stack:
            yield stack


@pytest.mark.parametrize(
    ("user", "language"), [("demo-mother", "en"), ("demo-mother", "ar"), ("demo-granny", "ru")]
)
def test_a_page_is_for_everybody(
    home: Stack, chromium: Browser, axe: str, user: str, language: str
) -> None:
    wrong: list[str] = []
    context = chromium.new_context(bypass_csp=True, locale="en-GB", viewport=DESK)  # type: ignore[arg-type]
    seen = context.new_page()
    seen.on("console", lambda message: wrong.append(f"{seen.url}: {message.text}"))
    log_in(seen, home.url, user, language)
    for page in PAGES if user == "demo-mother" else PAGES[:-1]:  # a viewer brings nothing in
        weight = Weight(seen)
        answer = seen.goto(f"{home.url}{HOME}/{page}")
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
    context.close()
    assert not wrong, "\n".join(dict.fromkeys(wrong))


def test_a_transfusion_is_noted_without_script_by_keyboard(home: Stack, chromium: Browser) -> None:
    context = chromium.new_context(locale="en-GB", viewport=PHONE, java_script_enabled=False)  # type: ignore[arg-type]
    page = context.new_page()
    log_in(page, home.url, "demo-mother")
    page.goto(f"{home.url}{HOME}/records/transfusions/new")
    page.fill("#f-date", "2026-03-20")  # how days are typed is the browser's language
    page.focus("#f-volume_ml")
    page.keyboard.type("333")
    page.keyboard.press("Enter")
    page.get_by_text("It is kept.").wait_for()
    page.goto(f"{home.url}{HOME}/family")
    assert "333 ml" in page.inner_text("main")
    context.close()
