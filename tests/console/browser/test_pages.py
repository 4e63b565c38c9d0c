"""Every page in Chromium: light and dark, on a phone and a desk, from left to right and from the right."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.console.page import HOME
from shared.console.page import Page as Declared
from tests.console.browser.conftest import DESK, PHONE, Desk
from tests.console.browser.declared import SHOWN, path, whose
from tests.console.browser.look import MOST_BYTES, Weight, found_by_axe, sideways

pytestmark = pytest.mark.proof


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.path)
def test_a_page_is_for_everybody(desk: Desk, axe: str, page: Declared, language: str) -> None:
    wrong = []
    with desk.context(bypass_csp=True) as context:
        seen = context.new_page()
        if user := whose(page):
            desk.log_in(seen, user)
        else:
            seen.goto(f"{desk.url}{HOME}/login")
        if language != "en":
            seen.select_option("#language", language)
            seen.wait_for_selector(f"html[lang={language}]")
        weight = Weight(seen)
        answer = seen.goto(f"{desk.url}{path(page)}")
        assert answer is not None
        assert answer.ok, answer.status
        if not answer.headers.get("content-type", "").startswith("text/html"):
            return
        seen.wait_for_load_state("networkidle")
        for size in (DESK, PHONE):
            seen.set_viewport_size(size)  # type: ignore[arg-type]
            for scheme in ("light", "dark"):
                seen.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                where = f"{size['width']} {scheme}"
                wrong += [f"{where}: {each}" for each in found_by_axe(seen, axe)]
                wrong += [f"{where}: sideways: {each}" for each in sideways(seen)]
        assert weight.whole <= MOST_BYTES, weight.parts
    assert not wrong, "\n".join(dict.fromkeys(wrong))


@pytest.mark.parametrize("user", ["", "doctor", "halima", "omari"])
def test_every_page_opens_on_the_emulators_too(desks: Callable[[str], Desk], user: str) -> None:
    desk, wrong = desks("emulator"), []
    desk.said.clear()
    with desk.context() as context:
        seen = context.new_page()
        if user:
            desk.log_in(seen, user)
        for page in SHOWN:
            if whose(page) != user:
                continue
            answer = seen.goto(f"{desk.url}{path(page)}", wait_until="networkidle")
            assert answer is not None
            if not answer.ok or seen.locator("main [role=alert]:visible").count():
                wrong.append(f"{page.path}: {answer.status} {seen.inner_text('main')[:200]}")
    assert not wrong, "\n".join(wrong)
    assert desk.said == []


def test_axe_would_find_something(desk: Desk, axe: str) -> None:
    with desk.context(bypass_csp=True) as context:
        page = context.new_page()
        page.goto(f"{desk.url}{HOME}/login")
        page.evaluate("() => document.querySelector('label[for=f-email]').remove()")
        page.evaluate("() => { document.body.style.minWidth = '3000px'; }")
        assert [each for each in found_by_axe(page, axe) if each.startswith("label: ")]
        assert sideways(page)
