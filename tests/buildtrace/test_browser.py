"""Pages of a building site in Chromium: from the upload to a checked change, on both profiles."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, CDPSession, Page

from infra.local.stack import Stack
from shared.console.page import HOME
from shared.products.buildtrace.example import house, sheets
from tests.buildtrace.desk import DRAWING, compare, office, sheet, upload
from tests.console.at_desk import log_in
from tests.console.browser.conftest import DESK, PHONE
from tests.console.browser.conftest import axe as axe
from tests.console.browser.conftest import chromium as chromium
from tests.console.browser.look import MOST_BYTES, Weight, found_by_axe, sideways
from tests.console.browser.shots import speak
from tests.e2e.conftest import PROFILES

pytestmark = pytest.mark.proof


@pytest.fixture(scope="module", params=PROFILES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRODUCT", "buildtrace")
        with office(tmp_path_factory.mktemp("site"), request.param) as stack:
            yield stack


def seen_part(page: Page) -> list[float]:
    """Left, top, width and height of what the viewer shows."""
    return [float(each) for each in page.get_attribute("[data-stage] svg", "viewBox").split()]  # type: ignore[union-attr]


def test_from_the_upload_to_a_checked_change(site: Stack, chromium: Browser, axe: str) -> None:
    wrong: list[str] = []
    context = chromium.new_context(bypass_csp=True, locale="en-GB", viewport=DESK)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.on("console", lambda message: wrong.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
    log_in(page, site.url, "demo-foreman")
    upload(page, site.url)
    compare(page, site.url)
    assert "11 050" in page.inner_text("main")
    comparison = page.url
    here = sheet(page)
    # the whole, then a change by its number: closer, with tiles of the last level
    whole = seen_part(page)
    page.click("#jump-2")
    near = seen_part(page)
    assert near[2] < whole[2]
    assert page.locator(".cloud.current").get_attribute("data-cloud") == "2"
    page.locator("image[data-level='2'][href]").first.wait_for(state="attached")
    # keys and wheel
    page.focus("[data-stage]")
    page.keyboard.press("n")
    assert page.locator(".changes [aria-current]").get_attribute("data-change") == "3"
    page.keyboard.press("+")
    closer = seen_part(page)
    page.keyboard.press("ArrowRight")
    moved = seen_part(page)
    assert (closer[2] < near[2] or closer[2] == near[2], moved[0] > closer[0]) == (True, True)
    page.keyboard.press("0")
    assert seen_part(page) == whole
    page.hover("[data-stage]")
    page.mouse.wheel(0, -200)
    page.wait_for_function(
        "w => document.querySelector('[data-stage] svg').viewBox.baseVal.width < w", arg=whole[2]
    )
    # ways to look
    for name, shown in (("old", {"old"}), ("new", {"new"}), ("slider", {"old", "new"})):
        page.check(f"[name=layer][value={name}]")
        found = page.locator("[data-layer][visibility=visible]")
        assert {each.get_attribute("data-layer") for each in found.all()} == shown
    assert page.locator("[data-layer=old]").get_attribute("clip-path") == "url(#split)"
    page.locator("[data-layer=old] image[data-level='1'][href]").first.wait_for(state="attached")
    page.check("[name=layer][value=blink]")
    page.locator("[data-layer=old][visibility=hidden]").wait_for(state="attached")
    page.check("[name=layer][value=overlay]")
    # a window without a size breaks nothing
    page.evaluate(
        "document.querySelector('[data-stage]').hidden = true; dispatchEvent(new Event('resize'))"
    )
    page.evaluate(
        "document.querySelector('[data-stage]').hidden = false; dispatchEvent(new Event('resize'))"
    )
    assert all(number == number and abs(number) < 1e6 for number in seen_part(page))
    # checked, without losing what is in sight
    before = seen_part(page)
    page.click("#check-2")
    page.locator("#change-2 .badge.green").wait_for()
    assert page.inner_text("#checked-of").startswith("1 of")
    assert seen_part(page) == before
    assert "checked" in str(page.locator("[data-cloud='2']").get_attribute("class"))
    page.click("#say-2")
    page.fill("#change-2 textarea", "Ask the surveyor")
    page.click("#change-2 form.stack button")
    page.locator("#change-2 .comment").wait_for()
    # every page for everybody, in both directions of writing
    pages = (f"{site.url}{HOME}/drawings", f"{site.url}{HOME}/{DRAWING}", comparison, here)
    for where, language in itertools.product(pages, ("en", "ar")):
        speak(page, site.url, language)
        weight = Weight(page)
        page.goto(where)
        page.wait_for_load_state("networkidle")
        for size in (DESK, PHONE):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                at = f"{where} {language} {size['width']} {scheme}"
                wrong += [f"{at}: {each}" for each in found_by_axe(page, axe)]
                wrong += [f"{at}: sideways: {each}" for each in sideways(page)]
        assert weight.whole <= MOST_BYTES, weight.parts
    context.close()
    # without script: the whole picture, the list, and a change by its link
    context = chromium.new_context(locale="en-GB", viewport=PHONE, java_script_enabled=False)  # type: ignore[arg-type]
    page = context.new_page()
    log_in(page, site.url, "demo-client")
    page.goto(here)
    assert page.locator("[data-layer=overlay] image").bounding_box()["width"] > 250  # type: ignore[index]
    page.click("#jump-2")
    assert page.locator(".cloud.current").count() == 1
    assert "Ask the surveyor" in page.inner_text("main")
    context.close()
    assert not wrong, "\n".join(dict.fromkeys(wrong))


def line(session: CDPSession, kilobytes: int) -> None:
    """A page's connection carries so many kB a second; 0: it is broken."""
    said = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": kilobytes * 1000 or -1}
    session.send("Network.emulateNetworkConditions", {"offline": not kilobytes, **said})


#: The share of a file that the page says is sent, once it is more than what is asked.
_SENT = """least => {
    const found = [...document.querySelectorAll("[data-progress]:not([hidden]) progress")];
    return found.length && found[0].value > least ? found[0].value : 0;
}"""


def test_uppy_288_an_upload_goes_on_after_its_connection_broke(
    site: Stack, chromium: Browser
) -> None:
    page = chromium.new_page(locale="en-GB", bypass_csp=True)
    page.set_default_timeout(60_000)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    log_in(page, site.url, "demo-foreman")
    data = sheets(house("C2")[:1]) + b"\n" * 2_000_000 + b"%%EOF\n"
    file = {"name": "C3.pdf", "mimeType": "application/pdf", "buffer": data}

    def begin(label: str, sent: float) -> None:
        """Over a slow line, a new revision with its file, until so much of it was sent."""
        if not page.locator("#new[open]").count():
            page.click("#new summary")
        page.fill("#new [name=label]", label)
        page.locator("#new input[type=file]").set_input_files(file)  # type: ignore[arg-type]
        line(session, 400)
        page.click("#new button[type=submit]")
        page.wait_for_function(_SENT, arg=sent)

    # a new revision with its file: the line breaks, and comes back
    page.goto(f"{site.url}{HOME}/{DRAWING}")
    begin("C3", 0.1)
    line(session, 0)
    page.get_by_text("It goes on by itself as soon as it can.").wait_for()
    line(session, 4000)
    page.get_by_text("The file is here, and is being read.").wait_for()
    row = page.get_by_role("row", name="C3")
    row.get_by_text("Open the file").wait_for()
    # another one: the page is left, and the file chosen again
    file = {**file, "name": "C4.pdf", "buffer": data + b"\n"}
    begin("C4", 0.3)
    page.goto(f"{site.url}{HOME}/{DRAWING}")
    row = page.get_by_role("row", name="C4")
    row.locator("summary").click()
    row.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    row.locator("button").click()
    found = page.wait_for_function(_SENT, arg=0)
    assert found.json_value() >= 0.3
    line(session, 4000)
    page.get_by_text("The file is here, and is being read.").wait_for()
    # over plain http a browser makes no digest: the form goes in one
    page.add_init_script("Object.defineProperty(crypto, 'subtle', { value: undefined })")
    page.goto(f"{site.url}{HOME}/{DRAWING}")
    page.click("#new summary")
    page.fill("#new [name=label]", "C5")
    file = {**file, "name": "C5.pdf", "buffer": data + b"\n\n"}
    page.locator("#new input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    page.click("#new button[type=submit]")
    page.get_by_role("row", name="C5").get_by_text("Open the file").wait_for()
    page.close()
