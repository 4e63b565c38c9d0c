"""What people reported of other tools for drawings and for uploads, each tried here; the names say where.

Many are the same report of several tools: an upload that begins anew, a state that never changes, an order
of revisions that is none, letters that arrive as others.
"""

from __future__ import annotations

import io
import unicodedata
from typing import Any

import pytest
from PIL import Image, ImageDraw

from shared import wiring
from shared.export.pdf import pdf
from shared.files.file import CHECK
from shared.products.buildtrace.example import house, sheets
from shared.products.buildtrace.looking import issue_order
from shared.products.buildtrace.report.routes import SOURCE
from tests.api.conftest import StartApi
from tests.buildtrace.site import Site
from tests.buildtrace.test_pages import AFTER, DRAWING, PASSWORD, Office, posted, sent
from tests.buildtrace.test_pages import told as told_of
from tests.buildtrace.test_summary import bare, change, read, told

#: A set of several megabytes, whatever is in it.
LARGE = AFTER + b"%" + b"x" * 3_500_000 + b"\n%%EOF\n"

DAY_MS = 86_400_000


@pytest.fixture
def office(start_api: StartApi) -> Office:
    return Office(Site(start_api(product="buildtrace")))


def row(office: Office, revision: str = "") -> Any:
    return office.site.ask("GET", f"/api/v1/revisions/{revision or office.site.new}")["record"]


def test_gcs_browser_upload_29_a_third_try_goes_on_too(office: Office) -> None:
    first = 0
    for size in (20_000, 30_000, 40_000):
        to = told_of(office, LARGE)
        assert to["offset"] == first
        first = sent(office, to, LARGE, first, size)["offset"]
    assert first == 90_000


def test_tus_protocol_139_and_onedrive_3861_a_file_that_was_changed_begins_anew(
    office: Office,
) -> None:
    other = LARGE[:-9] + b"y\n%%EOF\n\n"
    assert len(other) == len(LARGE)
    to = told_of(office, LARGE)
    sent(office, to, LARGE, 0, 50_000)
    assert told_of(office, other)["offset"] == 0
    # back to the first one: what was sent of it is here still
    assert told_of(office, LARGE)["offset"] == 50_000


def test_resumable_js_175_two_halves_of_two_files_are_none_and_may_be_sent_again(
    office: Office,
) -> None:
    mixed = AFTER[:2000] + bytes(len(AFTER) - 2000)
    to = told_of(office, AFTER)
    found = sent(office, to, mixed)
    assert (found["state"], "changed meanwhile" in found["words"]) == ("refused", True)
    assert "changed meanwhile" in office.open(DRAWING).text
    assert told_of(office, AFTER)["offset"] == 0
    assert sent(office, to, AFTER)["state"] == "ready"


def test_tusd_234_two_tabs_that_send_one_file_lose_nothing_of_it(office: Office) -> None:
    office.browser("demo-architect")
    first = {"demo-foreman": 0, "demo-architect": 0}
    to = told_of(office, LARGE)
    for _ in range(12):
        for user, at in first.items():
            found = sent(office, to, LARGE, at, 400_000, user=user)
            first[user] = found["offset"] or len(LARGE)
    assert told_of(office, LARGE)["state"] in ("checking", "ready")


def test_filesender_156_and_breeze_2951_a_session_that_ends_loses_no_byte(office: Office) -> None:
    to = told_of(office, LARGE)
    sent(office, to, LARGE, 0, 60_000)
    page = office.open(DRAWING)
    office.act("log-out", page)
    # a piece of the page that is still open leads to the log-in, and is not kept
    fields = {"act": "piece", "of": to["id"], "first": "60000", "total": str(len(LARGE))}
    file = (io.BytesIO(LARGE[60_000:90_000]), "piece")
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
    fields["token"] = page.form("upload").fields["token"]
    seen = office.browser().ask(DRAWING, "POST", {**fields, "file": file}, headers)
    assert seen.status in (303, 401)
    # who logs in again finds it where it was
    office.browser().log_in("demo-foreman@example.org", PASSWORD)
    assert "is here. Choose the file again" in office.open(DRAWING).text
    assert told_of(office, LARGE)["offset"] == 60_000


def test_uwazi_528_and_nuclia_2_a_file_that_is_checked_says_so_and_ends(office: Office) -> None:
    assert office.send("upload", office.open(DRAWING), LARGE).status == 303
    seen = office.open(DRAWING)
    assert "its file is being checked" in seen.text
    assert 'hx-trigger="every 3s"' in seen.html
    assert row(office)["state"] == "no_file"
    wiring.runner().run_due(CHECK, 600)
    seen = office.open(DRAWING)
    assert "its file is being checked" not in seen.text
    assert "is being read" in seen.text


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_filerise_19_and_paperless_ng_838_names_in_any_letters_are_taken(
    office: Office, form: Any
) -> None:
    name = unicodedata.normalize(form, "Größe – Übersicht 1.OG №7 план ‮fdp.pdf")
    assert office.send("upload", office.open(DRAWING), AFTER, name).status == 303
    assert row(office)["state"] == "reading"
    assert office.site.ask("GET", row(office)["file_url"])["name"] == name


@pytest.mark.parametrize(
    ("issued", "order"),
    [
        # an older drawing that is uploaded later is older
        ({"C2": "2026-03-01", "C1": "2026-02-01"}, ["C1", "C2"]),
        # numbers of more digits are no matter of letters
        ({"9": "2026-02-01", "10": "2026-03-01", "B": "2026-04-01"}, ["9", "10", "B"]),
        # without a day it is as new as its row, and so it is with one that nobody can read
        ({"C1": "2026-01-01", "C2": None}, ["C1", "C2"]),
        ({"C1": "2026-01-01", "C2": "05.10.2025", "C3": "soon"}, ["C1", "C2", "C3"]),
        # several of one day, in the order of their rows
        ({"C1": "2026-02-01", "C2": "2026-02-01"}, ["C1", "C2"]),
    ],
)
def test_redmine_dmsf_611_and_3drepo_4509_the_latest_revision_is_the_latest(
    issued: dict[str, str | None], order: list[str]
) -> None:
    made_ms = 1_772_323_200_000  # 2026-03-01
    rows = [
        {"label": label, "issued_on": day, "created_at": made_ms + at * DAY_MS}
        for at, (label, day) in enumerate(issued.items())
    ]
    assert [each["label"] for each in sorted(rows, key=issue_order)] == order


def test_an_undated_revision_is_compared_as_the_new_one(office: Office) -> None:
    site = office.site
    made = site.ask("POST", f"/api/v1/drawings/{site.drawing}/revisions", {"label": "C3"})
    found = site.compare()["record"]
    assert (found["old_revision_id"], found["new_revision_id"]) == (site.new, made["record"]["id"])
    text = office.open(DRAWING).text
    assert text.index("C3 ") < text.index("C2 ")


def test_glpi_24086_and_track_web_91_a_spreadsheet_reads_every_letter(office: Office) -> None:
    plan = house("C1")[0]
    [before, after] = [
        sheets([plan.__class__("A-101", "DETAIL", label, "", plan.walls, words=words)])
        for label, words in (("C1", ((60.0, 210.0, "Ø 16"),)), ("C2", ((60.0, 210.0, "Ø 20"),)))
    ]
    page, _ = office.compared(before, after)
    table = office.browser().ask(f"{page}/changes.csv").response.get_data()
    assert table.startswith(b"\xef\xbb\xbf")
    assert "Ø 16,Ø 20" in table.decode("utf-8-sig")


def test_pyrevit_881_the_report_has_each_cloud_of_a_sheet_with_its_comments() -> None:
    found = told(
        changes=[change("c1", 1, "text_changed", old_text="⌀16", new_text="∅20")],
        remarks={"c1": [{"comment": "ask"}, {"comment": "done", "checked": True}]},
    )
    text = bare(read(pdf(SOURCE, found, 1_793_000_000_000)))
    for words in ("Ø16", "Ø20", "checked · ask · done"):
        assert words in " ".join(text.split())


def test_drawdiff_page_by_page_sheets_are_no_pages(office: Office) -> None:
    plans = house("C1")
    _, pairs = office.compared(sheets(plans[:1]), sheets([plans[2], plans[0]]))
    outcomes = {number: pair["outcome"] for number, pair in pairs.items()}
    assert outcomes == {"A-101": "same", "E-101": "added"}


def test_webodm_1873_what_nobody_waits_for_is_finished_too(office: Office) -> None:
    to = told_of(office, LARGE)
    first = 0
    while first < len(LARGE):
        found = sent(office, to, LARGE, first, 1_000_000)
        first = found["offset"] or len(LARGE)
    # the tab is closed before it says `came`
    wiring.runner().run_due(CHECK, 600)
    office.site.run()
    assert row(office)["state"] in ("read", "refused")
    assert posted(office, {"act": "came"}).status == 303


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_paperless_ngx_416_and_realesrgan_34_a_scan_of_a_large_sheet_is_no_bomb(
    office: Office, kind: str
) -> None:
    scan, held = Image.new("L", (9933, 7016), "white"), io.BytesIO()
    ImageDraw.Draw(scan).rectangle((900, 900, 9000, 6000), outline=0, width=12)
    scan.save(held, kind, dpi=(300, 300))
    site = office.site
    site.upload(site.new, held.getvalue(), f"image/{kind.lower()}")
    wiring.runner().run_due(CHECK, 600)
    site.run()
    found = site.ask("GET", f"/api/v1/revisions/{site.new}")
    assert found["record"]["state"] == "read"
    [sheet] = found["parts"]["sheets"]
    assert (sheet["width_mm"], sheet["height_mm"], sheet["fault"]) == (841.0, 594.0, None)
