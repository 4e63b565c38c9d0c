"""What people report of other consoles for clinics, tried on this one. Each test names the reports."""

from __future__ import annotations

import io
import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pypdfium2
import pytest
from playwright.sync_api import Page

from infra.local.phone import Phone
from shared.console.page import HOME
from tests.console.browser.conftest import Desk
from tests.console.browser.declared import SHOWN, path, whose
from tests.console.browser.test_story import red_case, signed
from tests.patience import until

pytestmark = pytest.mark.proof


def case(desk: Desk, name: str, patient: str) -> tuple[Phone, str]:
    """A red case without a photo, and its page."""
    return red_case(desk, name, patient, with_photo=False), f"{desk.url}{HOME}/cases/{name}"


def write(page: Page, text: str) -> None:
    page.fill("#f-diagnosis_text", text)
    if page.locator("input[name=verdict]").count():
        page.check("input[name=verdict][value='']")


def diagnoses(phone: Phone, name: str) -> list[str]:
    phone.sync()
    return [
        row["diagnosis_text"]
        for (table, _), row in phone.rows.items()
        if table == "diagnoses" and row["case_id"] == name
    ]


def test_who_clicks_twice_signs_once(desk: Desk) -> None:
    """open-msupply #3157, opal #365 and #742, hmis #5539: a slow answer, another click, two entries."""
    phone, where = case(desk, "field-twice", "Clicked twice")
    with desk.page() as page:
        page.goto(where)
        write(page, "Once")
        page.locator("#sign button.main").dblclick()
        page.wait_for_selector("#diagnosis")
    # nor without script, where nothing stops the second click
    _, where = case(desk, "field-plain", "Clicked twice, plainly")
    with desk.page(java_script_enabled=False) as page:
        page.goto(where)
        write(page, "Once, plainly")
        page.locator("#sign button.main").dblclick()
        page.wait_for_selector("#diagnosis")
    until(lambda: signed(phone, "field-twice"), "the diagnosis")
    assert diagnoses(phone, "field-twice") == ["Once"]
    assert diagnoses(phone, "field-plain") == ["Once, plainly"]


def test_two_tabs_with_two_patients_do_not_mix(desk: Desk) -> None:
    """openemr #409 and #7138: what was saved in one window went to the patient of the other."""
    phone, first = case(desk, "field-tab-1", "Of the first tab")
    _, second = case(desk, "field-tab-2", "Of the second tab")
    with desk.page() as one:
        two = one.context.new_page()
        one.goto(first)
        two.goto(second)
        write(one, "For the first")
        write(two, "For the second")
        two.bring_to_front()
        with two.expect_navigation():
            two.click("#sign button.main")
        with one.expect_navigation():
            one.click("#sign button.main")
        assert "Of the first tab" in one.inner_text("h1")
        assert "Of the second tab" in two.inner_text("h1")
    until(lambda: signed(phone, "field-tab-1") == "For the first", "the first")
    assert signed(phone, "field-tab-2") == "For the second"


def test_going_back_leaves_no_dead_button(desk: Desk) -> None:
    """firefly-iii #967: grey buttons after "back". prime-simplereport #865: a form that is over."""
    _, where = case(desk, "field-back", "Went back")
    with desk.page() as page:
        page.goto(where)
        write(page, "As it was")
        page.click("#sign button.main")
        page.wait_for_selector("#diagnosis")
        page.go_back()
        page.wait_for_load_state()
        assert page.locator("button[disabled]").count() == 0
        # the page is as it is now, not as it was: what is signed is not there to be signed anew
        assert "As it was" in page.inner_text("#diagnosis")
        assert page.locator("#sign details:not([open])").count() == 1


def test_a_text_outlives_a_page_that_is_loaded_anew(desk: Desk) -> None:
    """odk-x #163: the screen went off, the page came anew, a long text was gone. openemr #3279: a slip."""
    phone, where = case(desk, "field-reload", "Loaded anew")
    with desk.page() as page:
        page.on("dialog", lambda dialog: dialog.accept())  # "leave this page?"
        page.goto(where)
        page.fill("#f-diagnosis_text", "Half a page")
        page.reload()
        assert page.input_value("#f-diagnosis_text") == "Half a page"
        page.get_by_text("It is not sent yet.").wait_for()
        page.goto(f"{desk.url}{HOME}/cases")
        page.go_back()
        assert page.input_value("#f-diagnosis_text") == "Half a page"
        # it is of this case, and of this tab
        page.goto(f"{desk.url}{HOME}/cases/case-baby")
        assert page.input_value("#f-diagnosis_text") == ""
        other = page.context.new_page()
        other.goto(where)
        assert other.input_value("#f-diagnosis_text") == ""
        # a refusal shows it, and it outlives that, too
        page.goto(where)
        phone.save("cases", "field-reload", triage_data={"site": "hand", "fever": True})
        phone.sync()
        write(page, "A page")
        page.click("#sign button.main")
        page.locator("[role=alert]").first.wait_for()
        page.goto(where)
        assert page.input_value("#f-diagnosis_text") == "A page"
        # what is signed is no draft any more
        write(page, "A page")
        page.click("#sign button.main")
        page.wait_for_selector("#diagnosis")
        assert page.get_by_text("It is not sent yet.").is_hidden()
        assert page.evaluate("() => Object.keys(sessionStorage)") == []
        # nor is anything left of one for who comes next
        page.goto(f"{desk.url}{HOME}/cases/case-baby")
        page.fill("#f-diagnosis_text", "Of the doctor")
        page.click("header form button >> text=Log out")
        page.wait_for_url("**/login")
        assert page.evaluate("() => Object.keys(sessionStorage)") == []
    assert [each for each in desk.said if "412 (PRECONDITION FAILED)" not in each] == []
    desk.said.clear()


def test_what_is_pasted_from_a_document_arrives_as_lines(desk: Desk) -> None:
    """care_fe #4696: line breaks were lost. dataverse #787: signs of Word that nobody sees."""
    phone, where = case(desk, "field-paste", "Pasted")
    pasted = (
        "“Ulcer” – 3 cm\r\n\tclean it\u00a0daily\u000bsoft break\r\n• cover it\u2028new line\ufeff\r\n"
        "\u000cnext page\u0007 end\u0000"
    )
    with desk.page() as page:
        page.goto(where)
        write(page, pasted)
        page.click("#sign button.main")
        page.wait_for_selector("#diagnosis")
        shown = page.inner_text("#diagnosis .theirs >> nth=0")
    lines = (
        "“Ulcer” – 3 cm\n\tclean it\u00a0daily\nsoft break\n• cover it\nnew line\n\nnext page end"
    )
    assert shown == lines
    until(lambda: signed(phone, "field-paste") == lines, "the diagnosis")


def test_a_long_case_is_printed_to_the_end(desk: Desk) -> None:
    """care_fe #5634: only the first page was printed. hmis #22250, openemr #491: the margin cut words."""
    phone, where = case(desk, "field-print", "Printed")
    answers = {f"question_{number:03d}": f"answer {number}." for number in range(150)}
    phone.save("cases", "field-print", triage_data={"site": "hand", "bleeding": True, **answers})
    phone.sync()
    with desk.page() as page:
        page.goto(where, wait_until="networkidle")
        text, pages = printed(page)
    assert pages > 1
    assert [each for each in answers.values() if each not in text] == []


def test_no_page_is_cut_on_paper(desk: Desk) -> None:
    """care_fe #13572: tables with bars to scroll print what was in sight, and no more."""
    wrong = []
    for declared in SHOWN:
        with desk.page(whose(declared) or "doctor") as page:
            page.goto(f"{desk.url}{path(declared)}", wait_until="networkidle")
            page.set_viewport_size({"width": 700, "height": 900})  # A4 between margins
            page.emulate_media(media="print")
            wrong += [f"{declared.path}: {each}" for each in page.evaluate(_CUT)]
    assert not wrong, "\n".join(wrong)


_CUT = """() => [...document.querySelectorAll("main *")].filter((each) =>
  each.offsetParent && !each.closest(".hidden, select, .stage, svg, [class*=theirs]")
  && /auto|scroll|hidden/.test(getComputedStyle(each).overflow)
  && (each.scrollHeight > each.clientHeight + 2 || each.scrollWidth > each.clientWidth + 2))
  .map((each) => each.outerHTML.slice(0, 150))"""


def printed(page: Page) -> tuple[str, int]:
    sheet = pypdfium2.PdfDocument(io.BytesIO(page.pdf(format="A4")))
    texts = [each.get_textpage().get_text_bounded() for each in sheet]
    return " ".join(" ".join(texts).split()), len(texts)


def test_a_day_is_the_same_day_wherever_it_is_shown(desk: Desk) -> None:
    """mSupply mobile #4736, cwa-app-ios #2695: a date was a day off, by the zone of who looked."""
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):  # UTC+14, UTC-11
        with desk.page("halima", timezone_id=zone) as page:
            page.goto(f"{desk.url}{HOME}/members")
            shown = page.locator("td[data-label=Since] time").first
            at = str(shown.get_attribute("datetime"))
            day = datetime.fromisoformat(at).astimezone(ZoneInfo(zone)).day
            assert re.search(r"\d+", shown.inner_text())[0] == str(day), zone  # type: ignore[index]


@pytest.mark.parametrize(
    ("locale", "pattern"),
    [("en-GB", r"\d+ \w+ \d{4}, \d\d:\d\d"), ("en-US", r"\w+ \d+, \d{4}, .* [AP]M")],
)
def test_a_moment_is_written_as_in_the_reader_s_country(
    desk: Desk, locale: str, pattern: str
) -> None:
    """open-msupply #2600, hospitalrun-frontend #990: the server's way, month first, whoever read it."""
    with desk.page("halima", locale=locale) as page:
        page.goto(f"{desk.url}{HOME}/account/sessions")
        assert re.fullmatch(pattern, page.locator("time").first.inner_text())


def test_a_password_manager_fills_in_nothing_of_somebody_else_s(desk: Desk) -> None:
    """webtrees #3504, strapi #7666, LOVD3 #180: it put the admin's own name into another user's account."""
    wrong = []
    with desk.page("omari") as page:
        for where in (
            "users",
            "users/joseph",
            "account",
            "account/second-factor",
            "account/sessions",
        ):
            page.goto(f"{desk.url}{HOME}/{where}")
            wrong += [
                f"{where}: {each}"
                for each in page.evaluate(
                    """() => [...document.querySelectorAll("main form")].flatMap((form) => {
                      const fields = [...form.querySelectorAll("input")].filter((each) =>
                        !["hidden", "radio", "checkbox"].includes(each.type));
                      const secret = fields.some((each) => each.type === "password");
                      return fields.filter((each) => each.type === "password"
                          ? !["current-password", "new-password"].includes(each.autocomplete)
                          : secret && !each.autocomplete
                            || each.type === "search" && each.autocomplete !== "off")
                        .map((each) => each.outerHTML.slice(0, 120)); })"""
                )
            ]
    assert not wrong, "\n".join(wrong)
