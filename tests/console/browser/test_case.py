"""A case in Chromium: photos looked at closely, a sheet of paper, texts that are inserted."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Dialog, Page, PdfMargins

from shared.console.page import HOME
from tests.console.browser.conftest import Desk

pytestmark = pytest.mark.proof

CASE = f"{HOME}/cases/case-foot"


def scale(page: Page, viewer: str = "current") -> float:
    """How large a photo is shown."""
    style = str(page.locator(f"[data-viewer={viewer}] img").get_attribute("style"))
    found = re.search(r"scale\(([0-9.]+)\)", style)
    assert found, style
    return float(found[1])


def test_a_photo_is_looked_at_with_keys_wheel_and_sliders(desk: Desk) -> None:
    with desk.page() as page:
        page.goto(f"{desk.url}{CASE}")
        stage = page.locator("[data-viewer=current] [data-stage]")
        stage.focus()
        for key, larger in (("+", True), ("+", True), ("-", False), ("0", False)):
            before = scale(page)
            page.keyboard.press(key)
            assert (scale(page) > before) == larger, key
        assert scale(page) == 1
        stage.hover()
        page.mouse.wheel(0, -300)
        page.wait_for_function(
            "() => !document.querySelector('[data-viewer=current] img').style.transform"
            ".includes('scale(1)')"
        )
        # it is moved by dragging, and never out of sight
        box = stage.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 100, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + 2000, box["y"] + 2000)
        page.mouse.up()
        style = str(page.locator("[data-viewer=current] img").get_attribute("style"))
        moved = re.search(r"translate\(([0-9.]+)px", style)
        assert moved, style
        assert 0 < float(moved[1]) <= box["width"] * (scale(page) - 1) / 2 + 1
        assert page.url.endswith(CASE)
        page.locator("[data-filter=brightness]").fill("180")
        style = str(page.locator("[data-viewer=current] img").get_attribute("style"))
        assert "brightness(180%)" in style
        page.click("[data-zoom=reset]")
        assert scale(page) == 1


def test_an_earlier_photo_is_put_beside_and_nothing_typed_is_lost(desk: Desk) -> None:
    with desk.page() as page:
        page.goto(f"{desk.url}{CASE}")
        page.fill("#f-diagnosis_text", "Half a sentence")
        page.locator("[data-earlier] a[data-show]").first.click()
        beside = page.locator("[data-viewer=beside] img")
        beside.wait_for()
        page.wait_for_function(
            "() => document.querySelector('[data-viewer=beside] img').naturalWidth > 100"
        )
        page.click("[data-zoom=in]")
        assert scale(page, "beside") == scale(page) == 1.4
        assert page.input_value("#f-diagnosis_text") == "Half a sentence"
        # who leaves is asked first
        asked: list[str] = []

        def leave(dialog: Dialog) -> None:
            asked.append(dialog.type)
            dialog.accept()

        page.once("dialog", leave)
        page.goto(f"{desk.url}{HOME}/cases")
        assert asked == ["beforeunload"]


def test_a_text_of_hers_is_inserted_where_she_writes(desk: Desk) -> None:
    with desk.page() as page:
        page.goto(f"{desk.url}{HOME}/texts")
        page.fill("#f-name", "Wound")
        page.fill("#f-text", "Clean it, cover it.")
        page.click("main button.main")
        page.goto(f"{desk.url}{CASE}")
        page.fill("#f-prescription", "Every day:")
        page.select_option("#f-saved", label="Wound")
        page.click("[data-insert]")
        assert page.input_value("#f-prescription") == "Every day:\nClean it, cover it."
        assert page.input_value("#f-diagnosis_text") == ""
        page.once("dialog", lambda dialog: dialog.accept())
        page.goto(f"{desk.url}{HOME}/texts")
        page.once("dialog", lambda dialog: dialog.accept())
        page.click("main button.danger")
        page.get_by_text("You keep no texts yet.").wait_for()


def test_a_case_is_one_sheet_of_paper(desk: Desk) -> None:
    with desk.page(color_scheme="dark") as page:
        for case in ("case-foot", "case-baby", "case-red"):
            page.goto(f"{desk.url}{HOME}/cases/{case}", wait_until="networkidle")
            margin: PdfMargins = {"top": "12mm", "bottom": "12mm", "left": "12mm", "right": "12mm"}
            sheet = page.pdf(format="A4", margin=margin)
            assert len(re.findall(rb"/Type\s*/Page\b(?!s)", sheet)) == 1, case
