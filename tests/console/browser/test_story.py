"""A doctor's day in Chromium, with real accounts, on the whole back end, on both profiles."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from infra.local import photos
from infra.local.phone import Phone
from shared.console.page import HOME
from tests.console.browser.conftest import Desk
from tests.e2e.conftest import PROFILES
from tests.patience import until

pytestmark = pytest.mark.proof


@pytest.fixture(params=PROFILES)
def either(request: pytest.FixtureRequest, desks: Callable[[str], Desk]) -> Desk:
    """The desk of each profile; afterwards no browser has complained."""
    desk = desks(request.param)
    desk.said.clear()
    return desk


def red_case(desk: Desk, name: str, patient: str, *, with_photo: bool = True) -> Phone:
    """A red case arrives from a phone."""
    phone = desk.phone("amina")
    data = photos.generated(21, (800, 600))
    phone.save(
        "patients", f"{name}-patient", demographics={"name": patient, "age": 44, "sex": "male"}
    )
    phone.save(
        "cases",
        name,
        patient_id=f"{name}-patient",
        risk_level="red",
        triage_data={"site": "hand", "bleeding": True},
        image_keys=[f"{name}.jpg"] if with_photo else [],
    )
    if with_photo:
        phone.photos = [photos.announced("cases", name, f"{name}.jpg", data)]
    phone.sync()
    if with_photo:
        photos.send(desk.url, desk.deployment.token("amina"), phone.tickets[f"{name}.jpg"], data)
    return phone


def signed(phone: Phone, case: str) -> str | None:
    """What the phone has of a case's diagnosis."""
    phone.sync()
    texts = [
        row["diagnosis_text"]
        for (table, _), row in phone.rows.items()
        if table == "diagnoses" and row["case_id"] == case
    ]
    return texts[-1] if texts else None


def sign(page: Page, text: str) -> None:
    """Fill in and sign the diagnosis of the case that is open."""
    page.fill("#f-diagnosis_text", text)
    page.fill("#f-prescription", "Clean it, cover it.")
    if page.locator("input[name=verdict]").count():
        page.check("input[name=verdict][value=agree]")
    page.click("#sign button.main")
    page.wait_for_selector("#diagnosis")


def test_a_red_case_arrives_is_looked_at_and_signed_and_the_phone_has_it(either: Desk) -> None:
    name, patient = "story-red", "Neema of the story"
    with either.page() as page:
        # given a doctor before her list, who has scrolled and put the focus somewhere
        assert page.url.endswith(f"{HOME}/cases")
        assert patient not in page.inner_text("#main")
        page.set_viewport_size({"width": 1280, "height": 300})
        page.wait_for_load_state("networkidle")  # nothing moves by itself any more
        page.evaluate("() => { window.sameVisit = true; }")
        page.locator("main a[id^=open-]").last.focus(timeout=5000)
        focused = page.evaluate("() => document.activeElement.id")
        where = "() => Math.round(document.activeElement.getBoundingClientRect().top)"
        at = page.evaluate(where)
        assert page.evaluate("() => window.scrollY") > 0
        # when a red case comes from a phone
        phone = red_case(either, name, patient)
        # then it is there, without a reload, and she has not lost her place
        page.get_by_text(patient).first.wait_for()
        assert page.evaluate("() => window.sameVisit") is True
        assert page.evaluate("() => document.activeElement.id") == focused
        until(lambda: abs(page.evaluate(where) - at) <= 1, "the place")
        assert "new urgent case" in page.inner_text("#news")
        page.set_viewport_size({"width": 1280, "height": 800})
        # she opens it, and looks at the photo closely
        page.click(f"a[href$='/cases/{name}']")
        image = page.locator("[data-viewer=current] img")
        until(lambda: image.evaluate("(each) => each.naturalWidth > 100"), "the photo")
        page.click("[data-zoom=in]")
        assert "scale(1.4)" in str(image.get_attribute("style"))
        # she signs, and the phone has it with the next sync
        sign(page, "Ulcer of the story")
        until(lambda: signed(phone, name) == "Ulcer of the story", "the diagnosis on the phone")
        page.goto(f"{either.url}{HOME}/cases")
        assert patient not in page.inner_text("#main")
    assert either.said == []


def test_a_signature_is_taken_back_within_seconds(desk: Desk) -> None:
    phone = red_case(desk, "story-back", "Taken back", with_photo=False)
    with desk.page() as page:
        page.goto(f"{desk.url}{HOME}/cases/story-back")
        sign(page, "Too early")
        page.click("form[data-seconds] button")
        page.wait_for_selector("#f-diagnosis_text")
        assert page.input_value("#f-diagnosis_text") == "Too early"
        assert not page.locator("#diagnosis").count()
        page.once("dialog", lambda dialog: dialog.accept())
        page.goto(f"{desk.url}{HOME}/cases")
        assert "Taken back" in page.inner_text("#main")
    assert signed(phone, "story-back") is None


def test_what_changed_while_she_wrote_is_shown_before_she_signs(desk: Desk) -> None:
    phone = red_case(desk, "story-stale", "Changed meanwhile", with_photo=False)
    with desk.page() as page:
        page.goto(f"{desk.url}{HOME}/cases/story-stale")
        phone.save("cases", "story-stale", triage_data={"site": "hand", "fever": True})
        phone.sync()
        page.fill("#f-diagnosis_text", "Written before the fever")
        if page.locator("input[name=verdict]").count():
            page.check("input[name=verdict][value=agree]")
        page.click("#sign button.main")
        alert = page.locator("[role=alert]").first
        alert.wait_for()
        assert page.input_value("#f-diagnosis_text") == "Written before the fever"
        assert signed(phone, "story-stale") is None
        if page.locator("input[name=verdict]").count():
            page.check("input[name=verdict][value=agree]")
        page.click("#sign button.main")
        page.wait_for_selector("#diagnosis")
    # all that a browser notes is that the form was refused once
    assert [each for each in desk.said if "412 (PRECONDITION FAILED)" not in each] == []
    desk.said.clear()
    until(lambda: signed(phone, "story-stale"), "the diagnosis on the phone")


def test_the_keyboard_alone_reaches_a_case_and_signs_it(desk: Desk) -> None:
    phone = red_case(desk, "story-keys", "By keyboard", with_photo=False)

    def tab_to(page: Page, selector: str, most: int = 250) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            if page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
                # and whoever looks sees where they are
                style = page.evaluate(
                    "() => { const s = getComputedStyle(document.activeElement);"
                    " return s.outlineStyle + s.boxShadow; }"
                )
                assert style != "nonenone", selector
                return
        raise AssertionError(f"the keyboard does not reach {selector}")

    with desk.context() as context:
        page = context.new_page()
        page.goto(f"{desk.url}{HOME}/cases/story-keys")
        tab_to(page, "#f-email")
        page.keyboard.type("doctor@kito.example")
        tab_to(page, "#f-password")
        page.keyboard.type("one day in Kito village")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        page.goto(f"{desk.url}{HOME}/cases")
        tab_to(page, "a.skip")
        page.keyboard.press("Enter")
        tab_to(page, "a[href$='/cases/story-keys']")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        tab_to(page, "#f-diagnosis_text")
        page.keyboard.type("Written by keys")
        if page.locator("input[name=verdict]").count():
            tab_to(page, "input[name=verdict]")
            page.keyboard.press("Space")
        tab_to(page, "#sign button.main")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        page.wait_for_selector("#diagnosis")
    until(lambda: signed(phone, "story-keys") == "Written by keys", "the diagnosis on the phone")


def test_without_script_a_case_is_read_and_signed(desk: Desk) -> None:
    phone = red_case(desk, "story-plain", "Without script")
    with desk.page(java_script_enabled=False) as page:
        page.click("a[href$='/cases/story-plain']")
        assert "Without script" in page.inner_text("main")
        page.goto(f"{desk.url}{HOME}/cases/story-plain")
        sign(page, "Read without script")
        page.select_option("#language", "fr")
        page.click(".language button")
        page.wait_for_selector("html[lang=fr]")
        page.locator("header form button").last.click()
        page.wait_for_selector("#f-password")
    until(lambda: signed(phone, "story-plain") == "Read without script", "the diagnosis")


def test_a_list_that_cannot_be_renewed_says_so(desk: Desk) -> None:
    with desk.page() as page:
        assert page.locator("#stale").is_hidden()
        page.context.set_offline(True)
        page.locator("#stale").wait_for()
        page.context.set_offline(False)
        page.locator("#stale").wait_for(state="hidden")
    desk.said.clear()  # the browser says itself that it had no connection


def test_a_list_that_stands_open_over_night_ends_at_the_log_in(desk: Desk) -> None:
    """A part that renews itself does not put off the end of a session, and leads to the log-in then."""
    with desk.page() as page:
        context = page.context
        context.clear_cookies(name="__Host-session")
        page.wait_for_url("**/login?**", timeout=120_000)
        assert "next=%2Fconsole%2Fcases" in page.url
