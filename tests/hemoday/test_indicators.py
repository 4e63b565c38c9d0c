"""Indicators: names and units as people type them, and arithmetic that is exact."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.products.hemoday.analytes import ANALYTES, Analyte
from shared.products.hemoday.indicators import (
    BY_LOINC,
    PRINTED,
    Reading,
    canonical,
    decimal,
    in_unit,
    named,
    plain,
    reading,
)
from shared.products.hemoday.ranges import PUBLISHED, SOURCES, AppliedRange, applied, offered
from shared.products.hemoday.units import scale, ucum

#: One of a unit in another, computed by hand from molar masses of textbooks, not from our formulas.
FACTORS = (
    ("718-7", "g/dL", "g/L", "10"),
    ("718-7", "mmol/L", "g/L", "16.1145"),
    ("14631-6", "mg/dL", "umol/L", "17.104"),
    ("14682-9", "mg/dL", "umol/L", "88.42"),
    ("22664-7", "mg/dL", "mmol/L", "0.1665"),
    ("3094-0", "mmol/L", "mg/dL", "2.8014"),
    ("14933-6", "mg/dL", "umol/L", "59.48"),
    ("14749-6", "mg/dL", "mmol/L", "0.05551"),
    ("2000-8", "mg/dL", "mmol/L", "0.2495"),
    ("2000-8", "meq/L", "mmol/L", "0.5"),
    ("2601-3", "mg/dL", "mmol/L", "0.4114"),
    ("14879-1", "mg/dL", "mmol/L", "0.3229"),
    ("2951-2", "meq/L", "mmol/L", "1"),
    ("14798-3", "ug/dL", "umol/L", "0.17907"),
    ("14800-7", "ug/dL", "umol/L", "0.17907"),
    ("14920-3", "ng/dL", "pmol/L", "12.872"),
    ("62292-8", "nmol/L", "ug/L", "0.40064"),
    ("2132-9", "pmol/L", "ng/L", "1.3554"),
    ("2284-8", "nmol/L", "ug/L", "0.44140"),
    ("2731-8", "pmol/L", "ng/L", "9.4247"),
    ("5763-8", "umol/L", "ug/L", "65.38"),
    ("2276-4", "ng/mL", "ug/L", "1"),
    ("777-3", "10*5/uL", "10*9/L", "100"),
    ("6690-2", "/uL", "10*9/L", "0.001"),
    ("789-8", "10*6/uL", "10*12/L", "1"),
    ("4544-3", "L/L", "%", "100"),
    ("1742-6", "ukat/L", "U/L", "60"),
    ("1742-6", "[IU]/L", "U/L", "1"),
    ("3016-3", "u[IU]/mL", "m[IU]/L", "1"),
)

#: A unit as somebody typed it → UCUM.
TYPED = {
    "г/л": "g/L",
    "G/DL": "g/dL",
    "g / l": "g/L",
    "gm/dl": "g/dL",
    "x10^9/L": "10*9/L",
    "×10⁹/л": "10*9/L",
    "10^9 cells/L": "10*9/L",
    "х10^12/л": "10*12/L",
    "тыс/мкл": "10*3/uL",
    "thou/mm3": "10*3/uL",
    "million/mm³": "10*6/uL",
    "lakh/cumm": "10*5/uL",
    "cells/uL": "/uL",
    "/µL": "/uL",
    "mcg/L": "ug/L",
    "μg/dL": "ug/dL",
    "мкмоль/л": "umol/L",
    "mEq/L": "meq/L",
    "غ/دل": "g/dL",
    "جم/ديسيلتر": "g/dL",
    "نانوغرام/مل": "ng/mL",
    "ग्राम/डेसीलीटर": "g/dL",
    "ग्राम प्रति डेसीलीटर": "g/dL",
    "U/L": "U/L",
    "IU/L": "[IU]/L",
    "мМЕ/л": "m[IU]/L",
    "µIU/mL": "u[IU]/mL",
    "mm/hr": "mm/h",
    "%": "%",
    "fl": "fL",
    "stone": None,
    "g/": None,
    "10": None,
    "": None,
    "g/L/L": None,
}


def test_codes_are_loinc_s_by_their_check_digit_and_names_mean_one_analyte() -> None:
    for analyte in ANALYTES:
        body, check = analyte.loinc.split("-")
        doubled = "".join(str(int(d) * (2 - i % 2)) for i, d in enumerate(reversed(body)))
        assert (10 - sum(map(int, doubled)) % 10) % 10 == int(check), analyte.loinc
    names = Counter(plain(name) for each in ANALYTES for name in each.names.split(";"))
    assert [name for name, count in names.items() if count > 1] == []
    assert len(BY_LOINC) == len(ANALYTES) >= 40


@pytest.mark.parametrize(("loinc", "given_in", "to", "factor"), FACTORS)
def test_conversions_are_those_of_textbooks(
    loinc: str, given_in: str, to: str, factor: str
) -> None:
    analyte = BY_LOINC[loinc]
    assert analyte.unit == to
    found = in_unit(analyte, Decimal(1), given_in, to)
    assert found is not None
    assert abs(found / Fraction(factor) - 1) < Fraction(1, 2000)


@pytest.mark.parametrize(("typed", "meant"), TYPED.items())
def test_a_unit_is_read_as_people_type_it(typed: str, meant: str | None) -> None:
    assert ucum(typed) == meant


@given(
    st.sampled_from(ANALYTES),
    st.sampled_from(PRINTED),
    st.decimals(min_value=0, max_value=10**6, places=3),
)
def test_there_and_back_is_the_same_number(analyte: Analyte, unit: str, value: Decimal) -> None:
    there = in_unit(analyte, value, unit, analyte.unit)
    if there is not None:
        assert in_unit(analyte, there, analyte.unit, unit) == Fraction(value)
        # what is stored has twelve digits, more than anybody's report
        stored = Fraction(decimal(there))
        assert abs(stored - there) <= abs(there) / 10**11


def test_what_measures_something_else_is_never_converted() -> None:
    ferritin, haemoglobin, iron = (named(name) for name in ("ferritin", "Hb", "железо"))
    assert ferritin is not None
    assert haemoglobin is not None
    assert iron is not None
    assert canonical(ferritin, Decimal(100), "pmol/L") is None  # no molar mass is agreed on
    assert canonical(haemoglobin, Decimal(11), "g") is None
    assert canonical(haemoglobin, Decimal(11), "U/L") is None
    assert canonical(haemoglobin, Decimal(11), "") is None
    assert canonical(iron, Decimal(100), "mcg/dL") == Decimal("17.9067060614")
    assert {scale(unit).kind for unit in PRINTED} >= {
        scale(each.unit).kind for each in ANALYTES if each.unit
    }


@pytest.mark.parametrize(
    ("typed", "loinc"),
    [
        ("Haemoglobin (Hb)", "718-7"),
        ("ГЕМОГЛОБИН", "718-7"),
        ("هِيموغلوبين", "718-7"),
        ("हीमोग्लोबिन", "718-7"),
        ("S. Ferritin", "2276-4"),
        ("SGPT", "1742-6"),
        ("Средний объём эритроцита", "787-2"),
        ("718-7", "718-7"),
        ("How the child slept", None),
    ],
)
def test_a_name_is_known_in_four_languages(typed: str, loinc: str | None) -> None:
    found = named(typed)
    assert (found.loinc if found else None) == loinc


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("7,2", Reading("", Decimal("7.2"))),
        (" > 59", Reading(">", Decimal(59))),
        ("≤0.05", Reading("<=", Decimal("0.05"))),
        ("٧٫٢", Reading("", Decimal("7.2"))),
        ("७.२", Reading("", Decimal("7.2"))),
        ("1,200", None),  # twelve hundred, or a little more than one
        ("0,125", Reading("", Decimal("0.125"))),
        ("negative", None),
        ("7.2.1", None),
    ],
)
def test_a_number_is_read_as_reports_print_it(text: str, meant: Reading | None) -> None:
    assert reading(text) == meant


def test_every_published_range_has_a_source_and_an_analyte() -> None:
    assert {each.source for each in PUBLISHED} == set(SOURCES)
    for each in PUBLISHED:
        assert each.loinc in BY_LOINC
        assert each.low is not None or each.high is not None
        assert each.low is None or each.high is None or each.low < each.high


def test_a_range_is_offered_by_age_and_sex() -> None:
    def lows(sex: str | None, months: int | None) -> list[float | None]:
        found = offered("718-7", sex, months)
        return [each.low for each in found if each.source == "who-2024"]

    assert [lows("male", months) for months in (5, 6, 23, 24, 60, 144, 179)] == [
        *([], [105], [105], [110], [115], [120], [120])
    ]
    assert (lows("male", 180), lows("female", 180), lows(None, 180)) == ([130], [120], [])
    assert [each.source for each in offered("718-7", None, None)] == ["tif-2021"]


def test_the_report_s_own_range_comes_before_the_family_s_and_no_book_is_applied() -> None:
    family = {"718-7": {"low": 95, "high": 105}}
    assert applied((110, None), "718-7", family) == AppliedRange(110, None, "report")
    assert applied((None, None), "718-7", family) == AppliedRange(95, 105, "family")
    assert applied((None, None), "2276-4", family) is None
    assert applied((None, None), None, family) is None
    places = [AppliedRange(95, 105, "family").place(value) for value in (94.9, 95, 105, 105.1)]
    assert places == ["low", "in", "in", "high"]
