"""The PDF of a comparison: numbers are those of the changes, any text can be set, others find nothing."""

from __future__ import annotations

import io
from typing import Any

import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.console.words import words_of
from shared.export.pdf import pdf
from shared.products.buildtrace.report.content import MOST_CHANGES, TRADE_NAMES, Compared, content
from shared.products.buildtrace.report.routes import LANGUAGES, SOURCE, SPOKEN
from tests.api.conftest import StartApi
from tests.buildtrace.site import AFTER, BEFORE, Site

NOW = 1_793_000_000_000


def pair(name: str, place: int, number: str | None, outcome: str = "changed", **more: Any) -> Any:
    have = {
        "id": name,
        "place": place,
        "number": number,
        "title": "GROUND FLOOR",
        "outcome": outcome,
    }
    return {**have, "counts": {}, "renamed": False, **more}


def change(name: str, place: int, kind: str = "added", of: str = "p1", **more: Any) -> Any:
    at = {"x_mm": 10.0 * place, "y_mm": 8.0 * place, "width_mm": 12.0, "height_mm": 4.0}
    have = {"id": name, "place": place, "kind": kind, "pair_id": of, "region": "drawing", **at}
    return {**have, "part": "top left", "old_text": None, "new_text": None, **more}


STORY: dict[str, Any] = {
    "drawing": "Ground floor",
    "old": ("C1", "2026-10-05"),
    "new": ("C2", "2026-11-16"),
    "comparison": {"state": "done", "ended_at": NOW},
    "pairs": [
        pair("p1", 1, "A-101", counts={"added": 1, "moved": 1, "dimension_changed": 1}),
        pair("p2", 2, "E-101", counts={"text_changed": 1}, renamed=True),
        pair("p3", 3, None, "added"),
    ],
    "papers": {"p1": (420.0, 297.0), "p2": (420.0, 297.0)},
    "changes": [
        change("c1", 1),
        change("c2", 2, "dimension_changed", old_text="3600", new_text="3650"),
        change("c3", 3, "moved", moved_mm=25.04),
        change("c4", 1, "text_changed", "p2", region="title_block", new_text="REV: C2"),
    ],
    "remarks": {
        "c2": [{"checked": True}, {"comment": "Ask the surveyor"}],
        "c1": [{"checked": False, "comment": "later"}],
    },
    "paragraphs": {"A-101": "A wall was added."},
    "pictures": {},
}


def told(language: str = "en", **more: Any) -> dict[str, Any]:
    return content(Compared(**{**STORY, **more}), words_of(language, SPOKEN, "UTC"), NOW)


def read(made: bytes) -> str:
    return " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(made)).pages)


def bare(text: str) -> str:
    return text.translate(dict.fromkeys(map(ord, "\u2066\u2068\u2069"))).replace("\u00a0", " ")


def test_its_numbers_are_those_of_the_changes() -> None:
    data = told()
    sheets, changes, checked = data["cards"]
    assert [each["value"] for each in data["cards"]] == ["3", "4", "1"]
    assert [bare(each) for each in sheets["lines"]] == ["2 changed · 1 new"]
    assert bare(changes["lines"][0]) == "1 added · 1 moved · 1 text changed · 1 dimension changed"
    assert checked["lines"] == ["of 4"]
    trades, listed = data["overview"]
    assert [[bare(each) for each in row] for row in trades["rows"]] == [
        ["Architecture", "A-101", "1 added · 1 moved · 1 dimension changed"],
        ["Electrical", "E-101", "1 text changed"],
        ["General", "3", "nothing changed"],
    ]
    assert bare(listed["rows"][1][2]) == "changed · had another number or title"
    first, second = data["details"]
    rows = [[bare(each) for each in row] for row in first["rows"]]
    assert rows[0] == ["1", "added", "top left · 12 × 4 mm", "", "", "later"]
    assert rows[1][3:] == ["3600", "3650", "checked · Ask the surveyor"]
    assert rows[2][1] == "moved by 25 mm on paper"
    assert [each["number"] for each in first["map"]["clouds"]] == ["1", "2", "3"]
    assert bare(second["rows"][0][2]) == "top left · title block · 12 × 4 mm"
    assert (bare(first["written"]), second["written"]) == ("A wall was added.", "")


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_pdf_ua_in_every_language(language: str) -> None:
    data = told(language)
    made = pdf(SOURCE, data, NOW)
    assert b"pdfuaid:part" in made
    for words in ("Ground floor", "3650", "A-101"):
        assert words in read(made)
    assert ("What changed" in read(made)) == (language == "en")
    if language != "en":
        known = words_of(language, SPOKEN, "UTC")
        assert all(known.said(each) != each for each in TRADE_NAMES.values())


def test_what_is_beyond_a_bound_is_counted_and_what_is_not_finished_is_said() -> None:
    many = [change(f"c{at}", at, x_mm=5.0, y_mm=5.0) for at in range(1, MOST_CHANGES + 4)]
    data = told(changes=many)
    assert data["more"] == "3 more are not shown."
    assert sum(len(each["rows"]) for each in data["details"]) == MOST_CHANGES
    early = told(comparison={"state": "running"}, pairs=[], changes=[], papers={}, remarks={})
    assert early["empty"]
    assert pdf(SOURCE, early, NOW).startswith(b"%PDF")


#: Markup of Typst, signs that turn lines about, and a name as long as a file has.
HOSTILE = (
    '#panic("x") *_`$[](){}\\@<label> = // /* \u202e\u2067 #include "/export/frame.typ" '
    + "W" * 4000
)


def test_hostile_texts_are_set_as_they_are() -> None:
    data = told(
        drawing=HOSTILE,
        old=(HOSTILE, HOSTILE),
        pairs=[pair("p1", 1, HOSTILE, title=HOSTILE)],
        changes=[
            change(
                "c1",
                1,
                "text_changed",
                old_text=HOSTILE,
                new_text=HOSTILE,
                outline={"mm": [-1e9, 5, 1e9]},
            )
        ],
        remarks={"c1": [{"comment": HOSTILE}]},
        paragraphs={HOSTILE: HOSTILE},
    )
    made = pdf(SOURCE, data, NOW)
    assert b"pdfuaid:part" in made
    assert '#panic("x")' in read(made)
    assert "\u202e" not in read(made)


@settings(max_examples=15)
@given(
    st.text(max_size=200), st.lists(st.floats(-1e6, 1e6), max_size=8), st.sampled_from(LANGUAGES)
)
def test_any_text_and_any_outline_can_be_set(text: str, flat: list[float], language: str) -> None:
    found = told(
        language,
        drawing=text,
        pairs=[pair("p1", 1, text, title=text)],
        changes=[change("c1", 1, old_text=text, new_text=text, outline={"mm": flat})],
        remarks={"c1": [{"comment": text}]},
    )
    assert b"pdfuaid:part" in pdf(SOURCE, found, NOW)


def test_it_is_had_by_the_project_alone(start_api: StartApi) -> None:
    api = start_api(product="buildtrace")
    site = Site(api)
    api.join("carl", "others", "owner")
    for revision, data in ((site.old, BEFORE), (site.new, AFTER)):
        site.upload(revision, data)
    name = site.compare()["record"]["id"]
    site.run()
    path = f"/api/v1/comparisons/{name}/summary.pdf"
    said = api.ask("GET", f"{path}?language=ar", token=site.viewer)
    assert said.status_code == 200
    assert "REV: C2" in bare(read(said.data))
    changes = site.ask("GET", f"/api/v1/comparisons/{name}/changes")["changes"]
    assert len(changes) > 3
    english = read(api.ask("GET", path, token=site.viewer).data)
    assert f"Changes {len(changes)}" in " ".join(english.split())
    assert all(each["new_text"] in bare(english) for each in changes if each["new_text"])
    assert api.ask("GET", path, token=api.token("carl")).status_code == 404
    assert api.ask("GET", f"{path}?language=xx", token=site.viewer).status_code == 400
