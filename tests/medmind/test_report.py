"""The doctor's report of a circle: numbers of the doses, four languages, PDF/UA, one's own circle alone."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.cli.local import seed
from shared import wiring
from shared.export.pdf import pdf
from shared.products.medmind import insights
from shared.products.medmind.items import today
from shared.products.medmind.patient_days import PatientClock, ZoneSince
from shared.products.medmind.report.content import (
    MOST_ROWS,
    Reported,
    ReportedDose,
    ReportedSymptom,
    content,
)
from shared.products.medmind.report.routes import SOURCE
from shared.products.medmind.report.sentences import LANGUAGES, words_in
from shared.products.medmind.summary import DoseFact
from shared.products.medmind.summary_tables import SUMMARIES
from shared.products.medmind.tables import DOSING
from tests.api.conftest import Api, StartApi

ZONE = ZoneInfo("Asia/Kolkata")
CLOCK = PatientClock([ZoneSince(0, ZONE)])
NOW = 1_772_323_200_000
DAY_MS = 86_400_000


def dose(days: int, state: str, medicine: str = "Metformin", **more: Any) -> ReportedDose:
    due = NOW - days * DAY_MS
    taken = due + 600_000 if state in ("on_time", "late") else None
    fact = DoseFact(f"d{days}{medicine}", due, state, taken, more.get("reason", ""))
    return ReportedDose(fact, medicine, more.get("needed", False))


def reported(*doses: ReportedDose, **more: Any) -> Reported:
    last = CLOCK.day_of(NOW)
    asked = insights.SpanQuestion("more_missed", None, 8, 14, 3, 28)
    change = {**insights.columns(asked, 0.0025, 4), "found_on": "2026-02-20"}
    plan = ("Metformin 500 mg", "1 tablet", "08:00", "paused")
    have: dict[str, Any] = {
        "patient": "Kamala",
        "symptoms": [ReportedSymptom(NOW, "सिर दर्द", "strong")],
        "insights": [change],
        "plans": [plan],
    }
    return Reported(
        **{**have, **more}, first=last - timedelta(30), last=last, clock=CLOCK, doses=doses
    )


def read(made: bytes) -> str:
    return " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(made)).pages)


STORY = (
    *(dose(1, "on_time"), dose(2, "missed"), dose(3, "late"), dose(9, "skipped", reason="nausea")),
    *(dose(1, "on_time", "Aspirin"), dose(4, "on_time", "Paracetamol", needed=True)),
)


def test_its_numbers_are_those_of_the_doses() -> None:
    data = content(reported(*STORY), words_in("en"), NOW)
    taken, missed, skipped, late, delay, needed = data["cards"]
    assert (taken["value"], taken["lines"]) == ("60%", ["3 of 5 doses"])
    assert [each["value"] for each in (missed, skipped, late, needed)] == ["1", "1", "1", "1"]
    assert "10" in delay["value"]
    medicines, weeks, skips, symptoms = data["tables"]
    rows = {row[0].strip("\u2068\u2069"): row[1:] for row in medicines["rows"]}
    assert rows["Metformin"] == ["4", "2", "1", "1", "1", "0"]
    assert rows["Paracetamol"] == ["0", "0", "0", "0", "0", "1"]
    for column in range(1, 7):
        total = sum(int(row[column]) for row in medicines["rows"])
        assert total == sum(int(row[column]) for row in weeks["rows"])
    assert "nausea" in skips["rows"][0][2]
    assert symptoms["rows"][0][1] == "headache"


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_pdf_ua_in_every_language(language: str) -> None:
    made = pdf(SOURCE, content(reported(*STORY), words_in(language, ZONE.key), NOW), NOW)
    assert b"pdfuaid:part" in made
    assert "Kamala" in read(made)
    assert ("Report for the doctor" in read(made)) == (language == "en")


def test_what_is_beyond_a_bound_is_counted_and_nothing_is_said_to_be_nothing() -> None:
    many = [ReportedSymptom(NOW, "cough", "")] * (MOST_ROWS + 3)
    data = content(reported(symptoms=many), words_in("en"), NOW)
    assert data["tables"][3]["more"] == "3 more are not shown."
    empty = content(reported(symptoms=[], insights=[], plans=[]), words_in("en"), NOW)
    assert empty["empty"]
    assert [each["text"] for each in empty["tables"]] == ["None."] * 4
    assert pdf(SOURCE, empty, NOW).startswith(b"%PDF")


@settings(max_examples=25)
@given(st.text(max_size=60), st.text(max_size=300), st.sampled_from(LANGUAGES))
def test_any_text_can_be_set(name: str, text: str, language: str) -> None:
    found = reported(
        dose(2, "skipped", name, reason=text),
        patient=name,
        symptoms=[ReportedSymptom(NOW, text, name)],
        plans=[(name, text, text, "")],
    )
    assert b"pdfuaid:part" in pdf(SOURCE, content(found, words_in(language), NOW), NOW)


# --- the routes


@pytest.fixture
def api(start_api: StartApi, tmp_path: Path) -> Api:
    clock = tmp_path / "clock"
    clock.write_text("0")
    made = start_api(product="medmind", clock_file=str(clock))
    seed("demo")
    made.join("carl", "others", "caregiver")
    for days in range(3):
        clock.write_text(str(days * DAY_MS))
        for kind in (DOSING, SUMMARIES):
            wiring.runner().run_due(kind, 60)
    return made


def ask(api: Api, method: str, path: str, user: str, body: Any = None) -> Any:
    return api.ask(method, f"/api/v1/{path}", body, token=api.token(user))


def test_a_report_is_kept_with_its_range_and_read_by_its_circle(api: Api) -> None:
    last = today(wiring.clock_ms(), ZONE)
    wanted = {"first_day": f"{last - timedelta(30)}", "last_day": f"{last}", "language": "hi"}
    made = ask(api, "POST", "reports", "demo-daughter", wanted).json
    assert made is not None
    assert (made["first_day"], made["language"]) == (wanted["first_day"], "hi")
    listed = ask(api, "GET", "reports", "demo-grandmother").json
    assert listed == {"reports": [made]}
    for user in ("demo-daughter", "demo-grandmother"):
        said = ask(api, "GET", f"reports/{made['id']}", user)
        assert (said.status_code, said.content_type) == (200, "application/pdf")
        assert "Metformin" in read(said.get_data())
    trail = ask(api, "GET", "trail", "demo-daughter").json
    assert {"ask_report", "read_report"} <= {each["action"] for each in (trail or {})["entries"]}


def test_others_and_nonsense_get_a_clear_no(api: Api) -> None:
    wanted = {"first_day": "2026-03-01", "last_day": "2026-03-02"}
    made = ask(api, "POST", "reports", "demo-daughter", wanted).json
    assert made is not None
    assert ask(api, "GET", f"reports/{made['id']}", "carl").status_code == 404
    assert ask(api, "GET", "reports/none", "demo-daughter").status_code == 404
    assert ask(api, "GET", "reports", "carl").json == {"reports": []}
    assert ask(api, "POST", "reports", "carl", {**wanted, "scope": "demo"}).status_code == 404
    assert ask(api, "POST", "reports", "demo-grandmother", wanted).status_code == 404
    for wrong in (
        {"last_day": "2026-02-28"},
        {"last_day": "2027-03-02"},
        {"first_day": "2026-02-30"},
        {"first_day": "soon"},
        {"language": "xx"},
    ):
        said = ask(api, "POST", "reports", "demo-daughter", {**wanted, **wrong})
        assert said.status_code == 400, wrong
