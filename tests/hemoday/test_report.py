"""The doctor's report: right numbers, four languages, and no text of anybody's does harm to it."""

from __future__ import annotations

import io
import json
import random
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.console.words import words_of
from shared.export import letters
from shared.export.pdf import pdf
from shared.products.hemoday import report
from shared.products.hemoday.household import Household
from shared.products.hemoday.indicators import number
from shared.products.hemoday.ranges import AppliedRange
from shared.products.hemoday.report.content import MOST_TRANSFUSIONS, content, rounded
from shared.products.hemoday.report.routes import LANGUAGES, SOURCE
from shared.products.hemoday.series import Period
from tests.api.conftest import Api, StartApi
from tests.hemoday.at_home import DAY, NOW, Made, household, result, transfusion
from tests.hemoday.family import changes

FOLDER = Path(report.__file__).parent
TODAY = NOW // DAY
ZONE = ZoneInfo("Asia/Tbilisi")
YEAR = Period(date(2025, 9, 21), date(2026, 9, 21), ZONE)

#: Isolates, which every text stands in.
_ISOLATES = re.compile("[\u2066-\u2069]")


def story(name: str = "Mira", comment: str = "Fever in the evening") -> list[Made]:
    rng = random.Random(4)
    made: list[Made] = [
        (
            "family_profiles",
            "f1",
            {
                "patient_name": name,
                "birth_date": "2018-05-14",
                "sex": "female",
                "weight_kg": 21.5,
                "diagnosis": comment[:200],
                "ranges": {"718-7": {"low": 95, "high": 105}, "2276-4": {"high": 1000}},
            },
        )
    ]
    for at in range(17):
        given: dict[str, Any] = {
            "volume_ml": 300,
            "weight_kg": 20,
            "medication": f"Deferasirox {comment}"[:5000],
            "comment": comment,
        }
        made.append(transfusion(TODAY - 10 - 20 * at, round(rng.uniform(8.8, 10.9), 1), **given))
    for at in range(5):
        day = TODAY - 5 - 60 * at
        made += result(f"f{at}", "Ferritin", day, value=1450 - 90 * at, unit="ng/mL")
        made += result(f"o{at}", comment[:150] or "x", day, value=7, unit=comment[:50])
    made.append(("documents", "d1", {"name": name[:200] or "x", "date": NOW - DAY}))
    made.append(("reminders", "r1", {"title": name[:200] or "x", "remind_at": NOW}))
    return made


def said(home: Household, language: str = "en", period: Period = YEAR) -> dict[str, Any]:
    return content(home, period, words_of(language, (FOLDER,), ZONE.key), NOW).data


def read(made: bytes) -> tuple[int, str]:
    """Pages and text of a PDF."""
    document = pypdfium2.PdfDocument(io.BytesIO(made))
    return len(document), "\n".join(page.get_textpage().get_text_bounded() for page in document)


def bare(value: Any) -> str:
    return _ISOLATES.sub("", json.dumps(value, ensure_ascii=False))


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_a_tagged_document_in_every_language(language: str) -> None:
    data = said(household(*story()), language)
    made = pdf(SOURCE, data, NOW)
    pages, text = read(made)
    assert 2 <= pages <= 5
    assert "Mira" in text
    assert "1450" in text
    assert made == pdf(SOURCE, data, NOW)
    for part in (b"/MarkInfo", b"pdfuaid:part", f"/Lang({language})".encode()):
        assert part in made, part
    assert data["direction"] == ("rtl" if language == "ar" else "ltr")
    own = str(data).count("%(")
    assert own == 0  # nothing is said without its value


def test_letters_are_joined_and_can_be_copied() -> None:
    """FastReports#172, react-pdf#3007, pdfmake#315: Arabic came out letter by letter, or backwards."""
    for language, words in (("ar", "تقرير للطبيب"), ("hi", "रिपोर्ट"), ("ru", "Отчёт для врача")):
        _, text = read(pdf(SOURCE, said(household(*story()), language), NOW))
        assert words in text


def test_languages_differ_in_every_heading() -> None:
    home = household(*story())
    titles = [
        {data["title"], data["charts_title"], *(card["label"] for card in data["cards"])}
        for data in (said(home, language) for language in LANGUAGES)
    ]
    assert set.intersection(*titles) == set()
    assert all(one.isdisjoint(two) for one in titles for two in titles if one is not two)


def test_the_first_page_counts_what_is_not_asked_about() -> None:
    home = household(
        *story()[:1],
        transfusion(TODAY - 60, 9.0, volume_ml=300, weight_kg=20),
        transfusion(TODAY - 40, 9.5, volume_ml=300),
        transfusion(TODAY - 20, 96, "g/dL", volume_ml=300, weight_kg=20),
        ("reminders", "r1", {"title": "Old", "remind_at": 1000, "ends_at": 2000}),
        ("reminders", "r2", {"title": "Done", "remind_at": NOW, "completed": True}),
        (
            "reminders",
            "r3",
            {"title": "Scan", "remind_at": NOW, "frequency": "every_n_days", "every": 90},
        ),
    )
    data = said(home)
    haemoglobin, _, volume, interval, count, weight = data["cards"]
    assert (bare(haemoglobin["value"]), bare(haemoglobin["unit"])) == ('"95"', '"g/L"')
    assert "mean 92.5 of 2 values" in bare(haemoglobin["lines"])
    assert "1 value with a question is not counted" in haemoglobin["lines"]
    assert bare(volume["value"]) == '"44"'  # 15 + 300/21.5 + 15, of three digits at most
    assert "the profile's weight stands in for 1 transfusion" in volume["lines"]
    assert (interval["value"], count["value"], weight["value"]) == ("20", "3", "20")
    assert "together 900 mL" in bare(count["lines"])
    medication, questions, reminders = data["lists"]
    assert medication["none"] == "None entered."
    assert "96 g/dL" in bare(questions["rows"][0][0])
    assert bare(reminders["rows"]) == bare([["Scan", "every 90 days"]])


def test_an_empty_family_gets_a_report_that_says_so() -> None:
    for language in LANGUAGES:
        data = said(household(), language)
        assert data["empty"]
        pages, text = read(pdf(SOURCE, data, NOW))
        assert pages == 1
        assert "–" in text


def test_what_is_beyond_a_bound_is_counted() -> None:
    many = [transfusion(TODAY - 1 - at, 9.5) for at in range(MOST_TRANSFUSIONS + 20)]
    table = said(household(*many))["transfusions"]
    assert len(table["rows"]) == MOST_TRANSFUSIONS
    assert table["more"] == "20 more are not shown."
    results = [
        made for at in range(130) for made in result(f"r{at}", f"own {at}", TODAY - 1 - at, value=1)
    ]
    data = said(household(*results))
    assert sum(len(each["heads"]) for each in data["tests"]["tables"]) == 120
    assert data["tests"]["more"] == "10 more are not shown."


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ('#panic("x") *b* _i_ $x^2$ @ref <label> \\ ` // = h', 'panic("x") *b* _i_ $x^2$ @ref'),
        ("Mira\u202eevil\u2066\u2069 girl", "Miraevil girl"),
        ("a\x00b\r\nc\td", "a b c d"),
        ("Zo\u0308e 🙂 李", "Zöe □ □"),
    ],
)
def test_texts_of_people_are_texts(typed: str, text: str) -> None:
    _, found = read(pdf(SOURCE, said(household(*story(typed))), NOW))
    assert text in re.sub(r"\s+", " ", found.replace("\u200b", ""))


def test_a_text_of_5000_characters_is_cut_with_a_sign() -> None:
    for long in ("W" * 5000, "слово " * 800, "हीमोग्लोबिन" * 400, "ا" * 5000):
        data = said(household(*story(long[:200], long[:5000])))
        assert "…" in data["transfusions"]["rows"][0][-1]
        pages, _ = read(pdf(SOURCE, data, NOW))
        assert pages < 12


@settings(max_examples=60)
@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(LANGUAGES))
def test_any_text_can_be_set(name: str, comment: str, language: str) -> None:
    home = household(*story(name, comment))
    assert pdf(SOURCE, said(home, language), NOW).startswith(b"%PDF")


ANY = st.none() | st.floats(-1e9, 1e9) | st.sampled_from([0, 1e-300, -1e-9, 123456789.123, 1e9])
WILD = ANY | st.sampled_from([1e300, "> 1e9", True, [], {"a": 1}, "12,5"])


@settings(max_examples=60)
@given(
    volumes=st.lists(ANY, min_size=3, max_size=3),
    weights=st.lists(ANY, min_size=3, max_size=3),
    before=st.lists(WILD, min_size=3, max_size=3),
    results=st.lists(ANY, min_size=3, max_size=3),
    ends=st.tuples(WILD, WILD),
    days=st.lists(st.integers(TODAY - 400, TODAY + 5), min_size=3, max_size=3, unique=True),
    language=st.sampled_from(LANGUAGES),
)
def test_any_number_can_be_set(
    volumes: Any, weights: Any, before: Any, results: Any, ends: Any, days: Any, language: str
) -> None:
    ranges = {"718-7": dict(zip(("low", "high"), ends, strict=True))}
    home = household(
        ("family_profiles", "f1", {"weight_kg": weights[0], "ranges": ranges}),
        *(
            transfusion(day, value, volume_ml=volume, weight_kg=weight)
            for day, value, volume, weight in zip(days, before, volumes, weights, strict=True)
        ),
        *(
            made
            for day, value in zip(days, results, strict=True)
            for made in result(
                f"r{day}", "Ferritin", day, value=value, unit="mg/dL", range_low=results[0]
            )
        ),
    )
    assert pdf(SOURCE, said(home, language), NOW).startswith(b"%PDF")


@given(st.text(alphabet=st.characters(categories=["L", "M", "Cf", "Zs", "Nd", "S"]), max_size=40))
def test_a_line_has_only_letters_that_the_fonts_have(text: str) -> None:
    line = letters.line(text)
    assert all(ord(letter) in letters.covered() or letter in "\u200c\u200d" for letter in line)
    assert letters.line(line) == line


def test_a_letter_that_got_through_costs_the_promise_and_not_the_report(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = said(household(*story("Mira")))
    made = pdf(SOURCE, {**data, "name": "Mira 🙂"}, NOW)
    assert "Mira" in read(made)[1]
    assert b"pdfuaid:part" not in made
    assert caplog.messages == ["report is not PDF/UA"]


def test_letters_of_the_four_languages_are_there() -> None:
    for text in (
        "Haemoglobin ≥ 5 µg/L ↑↓ β",
        "Гемоглобин ё",
        "الهيموغلوبين أُعدّ ؟",
        "हीमोग्लोबिन क्षत्र",
    ):
        assert letters.line(text) == text


VALUES = st.decimals(Decimal("0.001"), Decimal(100_000), places=6).map(
    lambda each: number(float(each))
)


@given(VALUES, st.floats(0.01, 1000), st.floats(0.01, 1000))
def test_rounding_never_moves_a_value_across_its_range(
    value: Decimal, one: float, two: float
) -> None:
    low, high = min(one, two), max(one, two)
    range_ = AppliedRange(low, high, "report")
    shown = rounded(value, low, high)
    assert range_.place(float(shown)) == range_.place(float(value))
    assert abs(shown - value) <= abs(value) / 100


# --- the route


@pytest.fixture
def api(start_api: StartApi) -> Api:
    api = start_api(product="hemoday")
    for user, family, role in (
        ("anna", "f1", "owner"),
        ("vera", "f1", "viewer"),
        ("carl", "f2", "owner"),
    ):
        api.join(user, family, role)
    sets = changes(
        family_profiles=[{"id": "f1", "patient_name": "Mira-4711"}],
        transfusions=[{"id": "t1", "date": NOW, "volume_ml": 300}],
    )
    token = api.token("anna")
    assert api.ask("POST", "/api/v1/sync?last_pulled_at=null", sets, token=token).status_code == 200
    return api


def test_a_viewer_gets_it_and_the_trail_says_so(api: Api) -> None:
    day = datetime.fromtimestamp(NOW / 1000, UTC).date()
    path = f"/api/v1/report?last_day={day}&language=hi&time_zone=Asia/Kolkata"
    found = api.ask("GET", path, token=api.token("vera"))
    assert found.status_code == 200
    assert found.content_type == "application/pdf"
    assert found.headers["Content-Disposition"].endswith(f'-{day}.pdf"')
    assert "Mira-4711" in read(found.get_data())[1]
    trail = api.ask("GET", "/api/v1/trail", token=api.token("vera")).json
    assert trail is not None
    [entry] = [each for each in trail["entries"] if each["action"] == "read_report"]
    assert entry["records"] == {"family_profiles": 1, "transfusions": 1}


def test_another_family_gets_nothing_of_it(api: Api) -> None:
    found = api.ask("GET", "/api/v1/report", token=api.token("carl"))
    assert "Mira" not in read(found.get_data())[1]
    for query, status, field in (
        ("?scope=f1", 404, None),
        ("?language=xx", 400, "language"),
        ("?first_day=2026-13-01", 400, "first_day"),
        ("?first_day=2026-02-02&last_day=2026-02-01", 400, "last_day"),
    ):
        said = api.ask("GET", f"/api/v1/report{query}", token=api.token("carl"))
        assert said.status_code == status
        assert (said.json or {})["error"].get("field") == field
