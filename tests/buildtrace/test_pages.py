"""Pages for a building site: what they show, what they write, and who may; in a browser without script."""

from __future__ import annotations

import hashlib
import importlib
import io
from dataclasses import dataclass, field
from typing import Any

import pytest
from PIL import Image

from infra import messages
from infra.local.phone import wall_ms
from shared import wiring
from shared.console.page import HOME
from shared.products.buildtrace.example import house, sheets
from shared.products.buildtrace.pages.words import INSTEAD
from tests.api.conftest import StartApi
from tests.buildtrace.site import Site
from tests.console.browser_in_process import Browser, Seen

PASSWORD = "a rather long pass phrase"

#: One sheet before; after, it and a new one.
BEFORE = sheets(house("C1")[:1])
AFTER = sheets([house("C2")[0], house("C2")[3]])


def _scan() -> bytes:
    out = io.BytesIO()
    Image.new("L", (300, 200), 255).save(out, "TIFF")
    return out.getvalue()


#: An empty sheet, as a scanner sends it.
SCAN = _scan()

DRAWING = f"{HOME}/drawings/demo-ground-floor?scope=demo"


@dataclass
class Office:
    """The example project, another one, and browsers of their people."""

    site: Site
    browsers: dict[str, Browser] = field(default_factory=dict)

    def browser(self, user: str = "demo-foreman") -> Browser:
        """Of somebody who has logged in."""
        if user not in self.browsers:
            email = f"{user}@example.org"
            administration = wiring.accounts().administration
            administration.create(email, PASSWORD, wall_ms(), user_id=user, name=user)
            browser = Browser(importlib.import_module("functions.console").FRAME)
            browser.log_in(email, PASSWORD)
            self.browsers[user] = browser
        return self.browsers[user]

    def open(self, page: str, user: str = "demo-foreman") -> Seen:
        return self.browser(user).open(page if page.startswith(HOME) else f"{HOME}/{page}")

    def act(self, act: str, page: Seen, **fields: str) -> Seen:
        return self.browser().act(act, page, **fields)

    def send(
        self, act: str, page: Seen, data: bytes, name: str = "set.pdf", kind: str = "", **more: str
    ) -> Seen:
        """A form with a file, as a browser sends it."""
        file = (io.BytesIO(data), name, *([kind] if kind else []))
        fields = {**page.form(act).fields, **more, "file": file}
        headers = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
        return self.browser().ask(page.where, "POST", fields, headers)

    def compared(self, before: bytes = BEFORE, after: bytes = AFTER) -> tuple[str, dict[str, Any]]:
        """The page of a comparison that is done, and its pairs by number."""
        self.site.upload(self.site.old, before)
        self.site.upload(self.site.new, after)
        name = self.site.compare()["record"]["id"]
        self.site.run()
        pairs = self.site.comparison(name)["parts"]["sheet_pairs"]
        return f"{HOME}/comparisons/{name}", {each["number"]: each for each in pairs}


@pytest.fixture
def office(start_api: StartApi) -> Office:
    api = start_api(product="buildtrace")
    made = Office(Site(api))
    api.join("carl", "others", "owner")
    return made


def test_a_drawing_is_made_gets_two_revisions_and_is_compared(office: Office) -> None:
    seen = office.act("new", office.open("drawings"), name="House", discipline="Architecture")
    assert "Now add its revisions." in seen.text
    page = seen.where
    for label, day, data in (("C1", "2026-10-05", BEFORE), ("C2", "2026-11-16", AFTER)):
        sent = office.send("revise", office.open(page), data, label=label, issued_on=day)
        assert sent.status == 303, sent.text
    seen = office.open(page)
    assert "is being read" in seen.text
    assert f"{page.partition('?')[0]}/now?scope=demo" in seen.html
    seen = office.act("compare", office.open(page))
    assert "C1 → C2" in seen.text
    assert 'hx-trigger="every 2s"' in seen.html
    office.site.run()
    seen = office.open(f"{seen.where}/now")
    assert "hx-get" not in seen.html
    for words in ("Read the sheets", "3 of 3", "A-103", "new", "11 050"):
        assert words in seen.text, words
    assert "read" in office.open(page).text
    assert office.open("drawings").text.count("House") == 1


def test_two_others_can_be_chosen_and_the_same_twice_is_refused(office: Office) -> None:
    page = office.open(DRAWING)
    form = page.forms("compare")[-1]
    assert (form.fields["old"], form.fields["new"]) == (office.site.old, office.site.new)
    fields = {**form.fields, "old": office.site.new}
    seen = office.browser().post(DRAWING, fields)
    assert (seen.status, "These are the same revision." in seen.text) == (400, True)
    seen = office.browser().post(DRAWING, form.fields)
    assert "A revision's file has not come yet" in seen.text or "waits" in seen.text


def test_it_is_stopped_and_tried_again(office: Office) -> None:
    seen = office.act("compare", office.open(DRAWING))
    seen = office.act("cancel", seen)
    assert "stopped" in seen.text
    assert "hx-get" not in seen.html
    seen = office.act("retry", seen)
    assert "It is tried again." in seen.text
    office.site.run()
    seen = office.open(seen.where)
    assert "A revision's file has not come yet. Upload it; this goes on by itself." in seen.text
    assert 'hx-trigger="every 30s"' in seen.html


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (b"MZ\x90", "virus.exe", "alert"),
        (b"", "empty.pdf", "alert"),
        (b"%PDF-1.4\n" + b"x" * 33_000_000, "large.pdf", "A file may have"),
    ],
)
def test_a_file_that_is_not_taken_is_said(
    office: Office, data: bytes, name: str, words: str
) -> None:
    seen = office.send("upload", office.open(DRAWING), data, name)
    assert seen.status in (400, 413), seen.text
    assert words in seen.html
    row = office.site.ask("GET", f"/api/v1/revisions/{office.site.old}")["record"]
    assert row["state"] == "no_file"


def test_a_wrong_file_makes_room_for_the_right_one(office: Office) -> None:
    for data, name, kind, status in (
        (b"PK\3\4", "plan.dwg", "", 400),
        (b"no picture", "plan.png", "", 400),
        # Windows knows no type for .tif: its browsers send none
        (SCAN, "plan.tif", "application/octet-stream", 303),
    ):
        seen = office.send("upload", office.open(DRAWING), data, name, kind)
        assert seen.status == status, (name, seen.text)
    row = office.site.ask("GET", f"/api/v1/revisions/{office.site.new}")["record"]
    assert row["file_url"]


def test_what_cannot_be_read_is_said_in_words(office: Office) -> None:
    page, _ = office.compared(after=b"%PDF-1.7\nnothing that one could read\n%%EOF\n")
    seen = office.open(page)
    assert "did not work" in seen.text
    assert "damaged" in seen.text
    assert "cannot be read" in office.open(DRAWING).text


def test_a_sheet_is_looked_at_checked_and_talked_about(office: Office) -> None:
    page, pairs = office.compared()
    sheet = f"{page}/sheets/{pairs['A-101']['id']}"
    seen = office.open(sheet)
    assert seen.html.count("<polygon") == len(seen.forms("check")) >= 4
    assert "11 000" in seen.text
    tile = next(
        str(said["href"]) for tag, said in seen.parsed.tags if tag == "image" and said.get("href")
    )
    said = office.browser().ask(tile)
    assert (said.status, said.response.content_type) == (200, "image/png")
    assert said.response.data.startswith(b"\x89PNG")
    assert "Content-Security-Policy" in said.response.headers
    # checked, talked about, and to be looked at again
    seen = office.act("check", seen)
    assert f"1 of {len(seen.forms('check'))} checked" in seen.text
    form = seen.form("remark")
    for _ in range(2):
        seen = office.browser().post(sheet, {**form.fields, "comment": "Ask the surveyor"})
    assert seen.text.count("Ask the surveyor") == 1
    assert "Ask the surveyor" in office.open(sheet, "demo-client").text
    seen = office.act("check", office.open(sheet))
    assert f"0 of {len(seen.forms('check'))} checked" in seen.text
    assert office.act("remark", seen, comment=" ").status == 400
    # which change is looked at stands in the address
    change = seen.form("check").fields["change"]
    assert 'class="cloud current"' in office.open(f"{sheet}?change={change}").html
    # what is new has nothing to be laid on
    alone = office.open(f"{page}/sheets/{pairs['A-103']['id']}")
    assert "This sheet is new" in alone.text
    table = office.browser().ask(f"{page}/changes.csv")
    assert table.response.mimetype == "text/csv"
    assert "11 050" in table.response.get_data(as_text=True)
    pdf = office.browser().ask(f"{sheet}/overlay.pdf")
    assert (pdf.status, "/api/v1/" in pdf.response.headers["Location"]) == (303, True)


def test_a_viewer_forges_in_vain_and_a_stranger_finds_nothing(office: Office) -> None:
    page, pairs = office.compared()
    pair = pairs["A-101"]["id"]
    sheet = f"{page}/sheets/{pair}"
    viewer = office.browser("demo-client")
    token = viewer.open(f"{HOME}/drawings").form("choose").fields["token"]
    forms = {
        f"{HOME}/drawings": office.open("drawings").form("new").fields | {"name": "Mine"},
        DRAWING: office.open(DRAWING).form("compare").fields,
        sheet: office.open(sheet).form("check").fields,
        page: {"act": "cancel"},
    }
    for where, fields in forms.items():
        seen = viewer.open(where)
        assert [each.act for each in seen.forms()] == ["choose", "log-out"], where
        refused = viewer.post(where, {**fields, "token": token})
        assert refused.status in (403, 404), (where, refused.text)
    assert "0 of" in viewer.open(sheet).text
    assert "Mine" not in viewer.open(f"{HOME}/drawings").text
    # a stranger
    for where in (
        *(DRAWING, f"{HOME}/drawings?scope=demo", page, f"{page}/now", f"{page}/changes.csv"),
        *(sheet, f"{sheet}/overlay.pdf", f"{page}/sheets/none"),
        f"{HOME}/revisions/{office.site.old}/file",
        *(f"{HOME}/pairs/{pair}/tiles/{each}" for each in ("overlay-0-0-0", "new-1-0-0")),
    ):
        seen = office.open(where, "carl")
        assert seen.status == 404, where
        assert "A-101" not in seen.text
    assert office.open(f"{HOME}/pairs/{pair}/tiles/overlay-9-9-9").status == 404
    assert office.open(f"{HOME}/pairs/{pair}/tiles/..%2f..%2fx").status in (400, 404)


HOSTILE = "<script>alert(1)</script>"


def test_what_stands_on_a_drawing_is_text(office: Office) -> None:
    plan = house("C1")[0]
    [before, after] = [
        sheets([plan.__class__("A-101", HOSTILE, label, "", plan.walls, words=words)])
        for label, words in (("C1", ()), ("C2", ((60.0, 210.0, '"><img src=x onerror=1>'),)))
    ]
    page, pairs = office.compared(before, after)
    [pair] = pairs.values()
    for where in (page, f"{page}/sheets/{pair['id']}"):
        html = office.open(where).html
        assert "<script>alert" not in html, where
        assert "<img src=x" not in html, where
    seen = office.open(f"{page}/sheets/{pair['id']}")
    seen = office.act("remark", seen, comment=HOSTILE)
    assert HOSTILE in seen.text


def test_the_frame_says_project_where_it_says_team_elsewhere(office: Office) -> None:
    known = {each.id for each in messages.gathered(next(messages.folders()))}
    assert set(INSTEAD) <= known
    for page in ("drawings", "members", "account"):
        assert "team" not in office.open(page, "demo-architect").text.casefold(), page


# --- files in pieces, as the script of the page sends them


def posted(office: Office, fields: dict[str, Any], user: str = "demo-foreman") -> Any:
    """A form of the drawing's page as its script sends it: the answer as JSON, or a page."""
    browser = office.browser(user)
    token = browser.open(f"{HOME}/account").forms()[0].fields["token"]
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
    seen = browser.ask(DRAWING, "POST", {"token": token, **fields}, headers)
    return seen.response.get_json() if seen.response.is_json else seen


def told(office: Office, data: bytes, user: str = "demo-foreman", **more: str) -> Any:
    """Say what a file is."""
    form = {
        "act": "tell",
        "revision": office.site.new,
        "name": "set.pdf",
        "type": "application/pdf",
        "bytes": str(len(data)),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return posted(office, {**form, **more}, user)


def sent(
    office: Office,
    to: Any,
    data: bytes,
    first: int = 0,
    size: int = 10**9,
    whole: int = 0,
    user: str = "demo-foreman",
) -> Any:
    """Send a piece of a file."""
    fields = {"act": "piece", "of": to["id"], "first": str(first), "total": str(whole or len(data))}
    piece = io.BytesIO(data[first : first + size])
    return posted(office, {**fields, "file": (piece, "piece")}, user)


def test_a_file_comes_in_pieces_and_goes_on_where_it_broke_off(office: Office) -> None:
    data = AFTER + b"\n" * 40_000 + b"%%EOF\n"
    to = told(office, data)
    assert (to["state"], to["offset"]) == ("upload", 0)
    assert sent(office, to, data, 0, 20_000)["offset"] == 20_000
    # the same piece again, one that leaves a gap, and a page that knows nothing of the first try
    assert sent(office, to, data, 0, 20_000)["offset"] == 20_000
    assert sent(office, to, data, 30_000, 9_000)["offset"] == 20_000
    again = told(office, data)
    assert (again["id"], again["offset"]) == (to["id"], 20_000)
    assert sent(office, to, data, 20_000, len(data))["state"] == "ready"
    assert told(office, data)["state"] == "ready"
    assert posted(office, {"act": "came"}).status == 303
    assert "The file is here, and is being read." in office.open(DRAWING).text
    office.site.run()
    row = office.site.ask("GET", f"/api/v1/revisions/{office.site.new}")["record"]
    assert (row["state"], row["sheet_count"]) == ("read", 2)


def test_what_pieces_cannot_be_is_said(office: Office) -> None:
    # neither its type, nor its size, nor the revision is one that may be
    large = str(104_857_601)
    for more in ({"name": "plan.dwg", "type": ""}, {"bytes": large}, {"revision": "none"}):
        seen = told(office, AFTER, **more)
        assert (seen.status, "alert" in seen.html) == (400, True), more
    assert told(office, AFTER, sha256="x").status == 400
    # a file that is as large as may be is waited for
    assert told(office, AFTER, bytes="104857600")["state"] == "upload"
    # bytes that are no PDF
    wrong = told(office, b"no drawing")
    found = sent(office, wrong, b"no drawing", 0, 99)
    assert (found["state"], "Export or scan it again" in found["words"]) == ("refused", True)
    # a piece of nothing, of another size than was said, of a file that nobody told of
    to = told(office, AFTER)
    assert sent(office, to, AFTER, 0, 0)["offset"] == 0
    assert sent(office, to, AFTER, 0, 9_000, whole=10**6).status == 400
    assert sent(office, {"id": "0" * 32}, AFTER, 0, 9_000).status == 404
    assert sent(office, {"id": "../x"}, AFTER, 0, 9_000).status == 400


def test_pieces_of_a_stranger_or_viewer_are_not_taken(office: Office) -> None:
    to = told(office, AFTER)
    for user in ("demo-client", "carl"):
        assert told(office, AFTER, user).status in (400, 403, 404), user
        assert sent(office, to, AFTER, user=user).status in (403, 404), user
    assert told(office, AFTER)["offset"] == 0
