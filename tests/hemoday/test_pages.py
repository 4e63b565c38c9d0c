"""Pages for families: what they show, what they write, and who may; in a browser without script."""

from __future__ import annotations

import importlib
import io
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra import messages
from infra.cli.local import seed
from infra.local.phone import wall_ms
from shared import wiring
from shared.console.page import HOME
from shared.products.hemoday.pages.search import _pieces
from shared.products.hemoday.pages.words import INSTEAD
from tests.api.conftest import Api, StartApi
from tests.console.browser_in_process import Browser, Seen

PASSWORD = "a rather long pass phrase"

PAGES = (
    f"{HOME}/family",
    *(f"{HOME}/family?table={each}" for each in ("transfusions", "blood_tests", "documents")),
    *(f"{HOME}/family?table={each}" for each in ("reminders", "analysis_templates")),
    f"{HOME}/search",
    f"{HOME}/charts",
    f"{HOME}/charts?years=0",
    f"{HOME}/charts?indicator=ALT",
    f"{HOME}/charts?indicator=nothing",
    f"{HOME}/report",
    f"{HOME}/reminders/settings",
    f"{HOME}/child",
    *(
        f"{HOME}/records/{each}"
        for each in (
            "transfusions/demo-transfusion-1",
            "blood_tests/demo-test-1",
            "documents/demo-document-1",
            "reminders/demo-reminder-1",
            "transfusions/new",
            "blood_tests/new?template=demo-template-1",
            "documents/new",
            "reminders/new",
        )
    ),
)


@dataclass
class Home:
    """The example family and another one, with accounts."""

    api: Api
    browsers: dict[str, Browser] = field(default_factory=dict)

    def browser(self, user: str) -> Browser:
        """The browser of somebody who has logged in."""
        if user not in self.browsers:
            email = f"{user}@example.org"
            administration = wiring.accounts().administration
            administration.create(email, PASSWORD, wall_ms(), user_id=user, name=user)
            browser = Browser(importlib.import_module("functions.console").FRAME)
            browser.log_in(email, PASSWORD)
            self.browsers[user] = browser
        return self.browsers[user]

    def row(self, table: str, name: str) -> Any:
        """A record as the API shows it."""
        token = self.api.token("demo-mother")
        said = self.api.ask("GET", f"/api/v1/records/{table}/{name}", token=token)
        return (said.json or {}).get("record")


@pytest.fixture
def home(start_api: StartApi) -> Home:
    api = start_api(product="hemoday")
    seed("demo")
    api.join("carl", "carls", "owner")
    return Home(api)


@pytest.mark.parametrize("language", ["en", "ru", "ar", "hi"])
@pytest.mark.parametrize("user", ["demo-mother", "demo-granny"])
def test_every_page_is_shown_to_who_writes_and_to_who_reads(
    home: Home, user: str, language: str
) -> None:
    browser = home.browser(user)
    browser.open(f"{HOME}/family")
    browser.act("choose", language=language)
    for page in PAGES:
        seen = browser.open(page)
        assert seen.status == 200, (page, seen.text)
        assert f'<html lang="{language}"' in seen.html
        forms = {each.act for each in seen.forms()} - {"choose", "log-out"}
        assert bool(forms) is (
            (user == "demo-mother" and ("/child" in page or "/records/" in page))
            or any(each in page for each in ("/report", "/search", "/settings"))
        ), page


def test_a_stranger_sees_nothing_of_a_family(home: Home) -> None:
    browser = home.browser("carl")
    for page in PAGES:
        seen = browser.open(page)
        assert "demo" not in seen.text.replace("demo-template", ""), page
        assert "Mira" not in seen.text
    for page in ("family?scope=demo", "child?scope=demo", "records/transfusions/new?scope=demo"):
        assert browser.open(f"{HOME}/{page}").status == 404


def saved(home: Home, page: str, **fields: str) -> Seen:
    browser = home.browser("demo-mother")
    return browser.act("save", browser.open(f"{HOME}/records/{page}"), **fields)


def test_a_transfusion_is_added_and_one_column_of_it_changed(home: Home) -> None:
    fields = {"date": "2026-03-20", "volume_ml": "320", "weight_kg": "21,7"}
    before = {
        "indicators_before-0-name": "Hb",
        "indicators_before-0-value": "9,2",
        "indicators_before-0-unit": "g/dL",
    }
    seen = saved(home, "transfusions/new", **fields, **before)
    assert "It is kept." in seen.text, seen.text
    name = seen.where.rpartition("/")[2].partition("?")[0]
    row = home.row("transfusions", name)
    assert (row["volume_ml"], row["weight_kg"], row["made_by"]) == (320, 21.7, "demo-mother")
    assert row["indicators_before"] == [{"name": "Hb", "unit": "g/dL", "value": 9.2}]
    assert row["indicators"]["before"][0]["canonical_value"] == 92
    # another phone changes the volume while the form is open; the form changes the comment alone
    browser = home.browser("demo-mother")
    form = browser.open(f"{HOME}/records/transfusions/{name}")
    update = {
        "transfusions": {"created": [], "deleted": [], "updated": [{"id": name, "volume_ml": 330}]}
    }
    token = home.api.token("demo-mother")
    at = home.api.ask("GET", "/api/v1/sync?last_pulled_at=0", token=token).json
    assert at is not None
    path = f"/api/v1/sync?last_pulled_at={at['timestamp']}"
    assert home.api.ask("POST", path, update, token=token).status_code == 200
    browser.act("save", form, comment="slept well")
    row = home.row("transfusions", name)
    assert (row["volume_ml"], row["comment"]) == (330, "slept well")


def test_a_form_that_is_sent_twice_is_one_record(home: Home) -> None:
    browser = home.browser("demo-mother")
    form = browser.open(f"{HOME}/records/transfusions/new")
    for _ in range(2):
        browser.act("save", form, date="2026-03-20", volume_ml="1")
    seen = browser.open(f"{HOME}/family?table=transfusions")
    assert seen.html.count("<article") == 4


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"date": ""}, "date"),
        ({"date": "yesterday"}, "date"),
        ({"date": "2026-03-20", "volume_ml": "much"}, "volume_ml"),
        ({"date": "2026-03-20", "volume_ml": "1e12"}, "volume_ml"),
        ({"date": "2026-03-20", "weight_kg": "nan"}, "weight_kg"),
    ],
)
def test_what_cannot_be_read_is_said_and_what_was_typed_stays(
    home: Home, fields: dict[str, str], field: str
) -> None:
    seen = saved(home, "transfusions/new", comment="typed words", **fields)
    assert seen.status == 400
    assert field in seen.text
    assert "typed words" in seen.html


def test_a_blood_test_with_its_results(home: Home) -> None:
    browser = home.browser("demo-mother")
    form = browser.open(f"{HOME}/records/blood_tests/new?template=demo-template-1")
    fields = form.form("save").fields
    assert [fields[f"result-{n}-name"] for n in range(3)] == ["Ferritin", "ALT", "Creatinine"]
    values = {
        "date": "2026-03-21",
        "result-0-value": "> 1500",
        "result-0-unit": "ng/mL",
        "result-1-value": "41",
        "result-1-unit": "U/L",
    }
    seen = browser.act("save", form, **values)
    name = seen.where.rpartition("/")[2].partition("?")[0]
    token = home.api.token("demo-mother")
    said = home.api.ask("GET", f"/api/v1/records/blood_tests/{name}", token=token).json
    assert said is not None
    assert [(each["name"], each["value"], each["value_text"]) for each in said["results"]] == [
        ("ALT", 41, None),
        ("Ferritin", None, "> 1500"),
    ]
    # one is corrected, one is taken away
    browser.act("save", seen, **{"result-0-value": "", "result-1-value": "1600"})
    said = home.api.ask("GET", f"/api/v1/records/blood_tests/{name}", token=token).json
    assert said is not None
    assert [(each["name"], each["value"]) for each in said["results"]] == [("Ferritin", 1600)]


def test_an_odd_value_is_asked_about_and_answered(home: Home) -> None:
    browser = home.browser("demo-mother")
    seen = browser.open(f"{HOME}/records/blood_tests/demo-test-1")
    assert "Hardly anybody has this value" in seen.text
    seen = browser.act("confirm", seen)
    assert "Hardly anybody has this value" not in seen.text
    assert "Hardly anybody" not in browser.open(f"{HOME}/records/blood_tests/demo-test-1").text


def test_a_deleted_record_can_be_brought_back(home: Home) -> None:
    browser = home.browser("demo-mother")
    page = f"{HOME}/records/transfusions/demo-transfusion-1"
    browser.act("remove", browser.open(page))
    assert browser.open(page).status == 404
    assert "demo-transfusion-1" not in browser.open(f"{HOME}/family").html


def test_the_child_is_one_record_whose_id_is_the_familys(home: Home) -> None:
    browser = home.browser("demo-mother")
    browser.act("save", browser.open(f"{HOME}/child"), weight_kg="22,5")
    assert home.row("family_profiles", "demo")["weight_kg"] == 22.5
    other = home.browser("carl")
    other.act("save", other.open(f"{HOME}/child"), patient_name="Nils")
    assert "Nils" in other.open(f"{HOME}/family").text
    assert "Mira" in browser.open(f"{HOME}/family").text


def test_a_viewer_who_forges_a_form_writes_nothing(home: Home) -> None:
    mother, granny = home.browser("demo-mother"), home.browser("demo-granny")
    page = f"{HOME}/records/transfusions/demo-transfusion-1"
    fields = {**mother.open(page).form("save").fields, "volume_ml": "1"}
    fields["token"] = granny.open(f"{HOME}/family").form("choose").fields["token"]
    assert granny.post(page, fields).status == 403
    assert home.row("transfusions", "demo-transfusion-1")["volume_ml"] == 300


def find(browser: Browser, words: str) -> Seen:
    return browser.act("find", browser.open(f"{HOME}/search"), q=words)


def test_what_is_found_is_marked_and_opened(home: Home) -> None:
    browser = home.browser("demo-granny")
    seen = find(browser, "feritin")
    assert "<mark>Ferritin</mark>" in seen.html
    assert any("/records/blood_tests/demo-test-1" in each for each in seen.parsed.links)
    assert "feritin" not in seen.where  # an address is noted on the way
    assert "Nothing was found." in find(browser, "zzzzzz").text
    assert "Nothing was found." in find(home.browser("carl"), "ferritin").text
    assert list(_pieces("a😀bc", [{"start": 1, "end": 3}])) == [
        ("a", False),
        ("😀", True),
        ("bc", False),
    ]


def test_the_report_is_a_file_in_the_language_that_is_chosen(home: Home) -> None:
    browser = home.browser("demo-granny")
    form = browser.open(f"{HOME}/report")
    days = {"first_day": "2026-01-01", "last_day": "2026-04-01"}
    seen = browser.act("make", form, **days, language="ru")
    assert seen.response.data.startswith(b"%PDF-")
    assert seen.response.headers["Content-Type"] == "application/pdf"
    assert "hemoday-2026-01-01-2026-04-01.pdf" in seen.response.headers["Content-Disposition"]
    assert browser.act("make", form, **{**days, "last_day": "2025-01-01"}).status == 400
    assert home.browser("carl").open(f"{HOME}/report?scope=demo").status == 404


def test_the_frame_says_family_where_it_says_team_elsewhere(home: Home) -> None:
    known = {each.id for each in messages.gathered(next(messages.folders()))}
    assert set(INSTEAD) <= known
    browser = home.browser("demo-mother")
    for page in ("family", "members", "account", "records/transfusions/new"):
        seen = browser.open(f"{HOME}/{page}")
        assert "team" not in seen.text.casefold(), page


PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def sent(home: Home, page: str, content: bytes, file_name: str, /, **fields: str) -> Seen:
    """A form with a file, as a browser sends it."""
    browser = home.browser("demo-mother")
    form = browser.open(f"{HOME}/records/{page}")
    return browser.ask(
        form.where,
        "POST",
        {**form.form("save").fields, **fields, "file": (io.BytesIO(content), file_name)},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
    )


def test_a_document_of_two_pages_is_sent_from_a_browser(home: Home) -> None:
    seen = sent(home, "documents/new", PDF, "../mrt/Befund 1.pdf", name="MRI", category="imaging")
    assert seen.status == 303, seen.text
    name = seen.response.headers["Location"].rpartition("/")[2].partition("?")[0]
    row = home.row("documents", name)
    assert (row["name"], len(row["pages"]), len(row["file_urls"])) == ("MRI", 1, 1)
    assert sent(home, f"documents/{name}", PDF + b"\n", "2.pdf").status == 303
    row = home.row("documents", name)
    assert (len(row["pages"]), len(row["file_urls"])) == (2, 2)
    shown = home.browser("demo-mother").open(f"{HOME}/records/documents/{name}")
    links = [each for each in shown.parsed.links if "/api/v1/links/" in each or "/files/" in each]
    assert len(links) == 2, shown.parsed.links
    assert "2 pages" in home.browser("demo-granny").open(f"{HOME}/family").text


@pytest.mark.parametrize(
    ("content", "name", "status"),
    [
        (b"MZ\x90", "virus.exe", 400),
        (b"", "empty.pdf", 400),
        (PDF + b"x" * 12_000_000, "a.pdf", 413),
    ],
)
def test_a_file_that_is_not_taken_is_said(
    home: Home, content: bytes, name: str, status: int
) -> None:
    seen = sent(home, "documents/demo-document-1", content, name)
    assert seen.status == status
    assert 'role="alert"' in seen.html


def test_what_was_looked_at_is_in_the_trail(home: Home) -> None:
    granny = home.browser("demo-granny")
    granny.open(f"{HOME}/records/transfusions/demo-transfusion-1")
    assert "looked at a record" in granny.open(f"{HOME}/account/trail").text


def test_a_column_of_a_strange_shape_breaks_no_page(home: Home) -> None:
    token = home.api.token("demo-mother")
    strange = ['{"a":1}', '[1,"x",null,{"value":{}},{"name":[],"value":"9"}]', "[]", "[[[]]]"]
    rows = [
        {"id": f"s{at}", "date": 10**14 - at, "indicators_before": text, "volume_ml": -5}
        for at, text in enumerate(strange)
    ]
    templates = [
        {"id": f"t{at}", "name": "x", "indicators": text} for at, text in enumerate(strange)
    ]
    body = {
        "transfusions": {"created": rows, "updated": [], "deleted": []},
        "analysis_templates": {"created": templates, "updated": [], "deleted": []},
    }
    path = "/api/v1/sync?last_pulled_at=null"
    assert home.api.ask("POST", path, body, token=token).status_code == 200
    browser = home.browser("demo-mother")
    for page in (
        "family",
        "family?table=analysis_templates",
        *(f"records/transfusions/s{at}" for at in range(4)),
        *(f"records/blood_tests/new?template=t{at}" for at in range(4)),
    ):
        seen = browser.open(f"{HOME}/{page}")
        assert seen.status == 200, (page, seen.text)


CSV = "Date;Hb, g/dL;Ferritin\n03/04/2026;9,4;1200 ng/mL\n05/06/2026;abc;1100 ng/mL\n"


def brought(home: Home, act: str, fields: dict[str, str], content: bytes | None = None) -> Seen:
    """The page's form with a file, as a browser sends it."""
    browser = home.browser("demo-mother")
    token = browser.open(f"{HOME}/bring-in").form("preview").fields["token"]
    file = {} if content is None else {"file": (io.BytesIO(content), "lab.csv")}
    return browser.ask(
        f"{HOME}/bring-in",
        "POST",
        {"token": token, "act": act, **fields, **file},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
    )


def test_a_table_is_looked_at_and_then_brought_in_once(home: Home) -> None:
    seen = brought(home, "preview", {}, CSV.encode())
    assert seen.status == 200, seen.text
    if "Say above what 03/04 means" in seen.text:
        seen = brought(home, "preview", {"date_order": "day_first"}, CSV.encode())
    assert "9.4" in seen.html or "9,4" in seen.html
    fields = seen.form("take").fields
    assert fields["kept"]
    before = home.browser("demo-mother").open(f"{HOME}/family?table=blood_tests").html
    done = brought(home, "take", {n: v for n, v in fields.items() if n not in ("token", "act")})
    assert done.status == 303, done.text
    after = home.browser("demo-mother").open(f"{HOME}/family?table=blood_tests").html
    assert after.count("<article") == before.count("<article") + 2
    again = brought(home, "preview", {"date_order": "day_first"}, CSV.encode())
    assert "0 records would be added" in again.text
    assert brought(home, "preview", {}).status == 400
    assert home.browser("demo-granny").open(f"{HOME}/bring-in").status == 403


def test_how_one_is_reminded_is_chosen(home: Home) -> None:
    browser = home.browser("demo-granny")
    form = browser.open(f"{HOME}/reminders/settings")
    seen = browser.act("save", form, mail="1", language="hi", quiet_from="22:00", quiet_to="07:00")
    assert "It is kept." in seen.text
    said = home.api.ask("GET", "/api/v1/reminders/settings", token=home.api.token("demo-granny"))
    assert said.json is not None
    assert (said.json["mail"], said.json["language"]) == (True, "hi")
    assert said.json["quiet_hours"]["from"] == "22:00"
    assert browser.act("save", seen, quiet_from="22:00", quiet_to="").status == 400


def test_a_reminder_that_came_is_done_on_its_page(home: Home) -> None:
    token, now = home.api.token("demo-mother"), wall_ms()
    row: dict[str, Any] = {
        "id": "now",
        "title": "Drink",
        "remind_at": now - 1000,
        "time_zone": "UTC",
    }
    row["last_modified_at"] = now - 5000
    body = {"reminders": {"created": [row], "updated": [], "deleted": []}}
    path = "/api/v1/sync?last_pulled_at=null"
    assert home.api.ask("POST", path, body, token=token).status_code == 200
    wiring.sweeper().sweep()
    browser = home.browser("demo-mother")
    seen = browser.open(f"{HOME}/records/reminders/now")
    assert "It came:" in seen.text
    seen = browser.act("done", seen)
    assert "Noted: it is done." in seen.text
    assert "It came:" not in seen.text


def test_a_familys_ranges_are_chosen_beside_their_sources(home: Home) -> None:
    browser = home.browser("demo-mother")
    seen = browser.open(f"{HOME}/child")
    assert "Thalassaemia International Federation" in seen.text
    assert seen.form("save").fields["range-718-7-low"] == "95"
    browser.act("save", seen, **{"range-718-7-low": "", "range-2276-4-high": "1000,5"})
    ranges = home.row("family_profiles", "demo")["ranges"]
    assert ranges == {"718-7": {"high": 105}, "2276-4": {"high": 1000.5}}
    seen = browser.act("save", browser.open(f"{HOME}/child"), **{"range-718-7-low": "200"})
    assert (seen.status, "range-718-7-low" in seen.text) == (400, True)
