"""Answers are read in every form in which phones in the field write them, or said not to be.

From public reports: a decimal comma (getodk/getodk#367, enketo/enketo#588), Arabic digits
(getodk/getodk#1181, dimagi/commcare-android#2079), `select_multiple` as one text (pyxform#8,
SEL-Columbia/formhub#189) and as a column a choice (getodk/briefcase#577, kobotoolbox/kpi#2044).
"""
# ruff: noqa: E501  (rows of tables)

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.ci import words as tables
from shared.products.dermadetect import forms
from shared.products.dermadetect.answers import ages, measures, sign_lists, times, yes_no
from shared.products.dermadetect.answers.wording import MUCH, NO, OPEN, UNCLEAR, UNSURE, YES
from tests.ai import strategies

TODAY = date(2026, 11, 21)
NAMES = ("open", "no", "unsure", "unclear", "yes", "much")

# --- yes and no

#: What an answer to "is it bleeding?" says.
REPLIES: dict[int, list[Any]] = {
    YES: [
        True, 1, 1.0, "1", "1.0", "yes", "Yes ", "YES!", "y", "on", "OK", "true", "t", "x", "✓", "☑", "👍", "+",
        "+ve", "pos", "present", "moderate", "mild", "a little", "sometimes", "spotting", "still", "3 days",
        "since 2 weeks", "bleeding since yesterday", "the wound bleeds", "yes, but less than yesterday",
        "oui", "Oui.", "o", "présent", "un peu", "ndiyo", "ndio", "kidogo", "हाँ", "हां", "जी हाँ", "haan", "है", "थोड़ा",
        "खून बह रहा है", "sim", "SIM", "sí", "Si", "hay", "نعم", "أيوا", "يوجد", "قليلا", "١", "१", "yego", "হ্যাঁ",
        ["yes"], ["no", "yes"], {"value": "yes"}, {"present": True}, {"yes": True, "no": False},
        {"code": "1", "display": "Yes"}, [{"valueBoolean": True}], {"valueCoding": {"display": "Yes"}},
        {"selected": "1"}, ["mild"],
    ],
    MUCH: [
        "heavy", "yes, a lot", "severe", "very much", "profuse", "beaucoup", "très abondant", "ndiyo sana", "बहुत",
        "si, mucho", "muito", "نعم، كثير", "شديد", {"present": True, "severity": "severe"},
    ],
    NO: [
        False, 0, 0.0, "0", "0.0", "no", "No.", "NO", "n", "none", "None", "nil", "false", "f", "off", "-ve", "neg",
        "absent", "never", "n/a", "N/A", "not seen", "none observed", "no bleeding", "No bleeding.", "without bleeding",
        "bleeding: none", "not bleeding", "stopped", "no longer", "denies", "no no", "✗", "❌",
        "non", "aucun", "aucune", "pas de saignement", "jamais", "hapana", "Hakuna", "hakuna damu", "la",
        "नहीं", "नही", "नहीं है", "खून नहीं", "खून नहीं है", "nahi", "não", "nao", "nenhuma", "sem sangramento", "ninguno",
        "sin sangrado", "no hay", "لا", "لا يوجد", "لا يوجد نزيف", "كلا", "٠", "०", "oya", "না",
        ["no"], ["none"], {"value": "no"}, {"value": "no", "label": "Bleeding"}, {"present": False},
        {"yes": False, "no": True},
    ],
    OPEN: [None, "", "  ", "-", "...", "null", "not asked", [], {}, [None], {"value": None}, {"yes": False, "no": False}],
    UNSURE: ["unknown", "don't know", "dont know", "not sure", "?", "refused", "nsp", "je ne sais pas", "sijui", "पता नहीं",
             "pata nahi", "não sei", "no sé", "no sabe", "لا أعرف", "غير معروف"],
    UNCLEAR: [
        2, 99, "99", "-9", "zzz", "no, but a little", "no but it bled before", "not stopped", "the leg was hit",
        math.nan, math.inf, "gums nose", {"odd": 7}, ["zzz"], {"value": "zzz"}, 1 << 70, "no" + " x" * 400,
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "says"),
    [(answer, says) for says, given_ in REPLIES.items() for answer in given_],
    ids=lambda v: str(v)[:30],
)
def test_yes_and_no_are_read_in_every_form(answer: Any, says: int) -> None:
    assert NAMES[yes_no.reply(answer, "bleeding")] == NAMES[says]


#: One language's no is another's article or "and": what says no by itself and not in a sentence.
ARTICLES = {
    YES: [
        "na damu",
        "la hemorragia",
        "la plaie saigne",
        "ni damu",
        "o sangramento",
        "homa na damu",
    ],
    NO: ["na", "la", "n", "f", "la hapana", "no more bleeding", "bleeding has stopped"],
    UNCLEAR: [
        "non stop",
        "sans arrêt",
        "sin parar",
        "not controlled",
        "never stops",
        "no fever, bleeding",
        "no improvement",
    ],
}


@pytest.mark.parametrize(
    ("answer", "says"), [(answer, says) for says, given_ in ARTICLES.items() for answer in given_]
)
def test_a_no_of_one_language_is_none_in_a_sentence_of_another(answer: str, says: int) -> None:
    assert NAMES[yes_no.reply(answer, "bleeding")] == NAMES[says]


def test_every_word_of_the_table_says_what_its_row_says() -> None:
    means = {"yes": YES, "there": YES, "some": YES, "much": MUCH, "no": NO, "over": NO}
    means |= {"unsure": UNSURE, "open": OPEN}
    for row, languages in forms.REPLIES.items():
        for language, phrases in languages.items():
            for phrase in phrases.split(",") if row in means else ():
                said = yes_no.reply(phrase.strip())
                # A word of two languages says the worse of its meanings: never a no for a yes.
                assert said == means[row] or said > max(means[row], NO), (language, phrase, said)


def test_a_word_that_means_no_in_one_language_and_yes_in_another_counts_as_yes() -> None:
    assert yes_no.reply("o") == YES  # French oui; a letter for a zero elsewhere
    assert yes_no.reply("na") == NO  # Hindi, and "not applicable"
    assert yes_no.reply("la") == NO  # Swahili and Arabic


@strategies.unhurried
@given(strategies.json_values)
def test_whatever_is_answered_is_read_as_one_of_six(answer: Any) -> None:
    assert yes_no.reply(answer, "fever") in range(6)
    for read in (measures.temperature, measures.pain, measures.millimetres):
        reading = read(answer)
        assert reading.says in range(6)
        assert reading.amount is None or not math.isnan(reading.amount)
    assert times.days(answer, "", TODAY).says in range(6)
    assert ages.age(answer, "", TODAY).says in range(6)
    assert ages.born(answer, TODAY).says in range(6)


@strategies.unhurried
@given(st.lists(strategies.scalars | st.sampled_from(strategies.REPLY_WORDS), max_size=5))
def test_of_several_answers_the_worst_counts(several: list[Any]) -> None:
    each = [yes_no.reply(answer) for answer in several]
    assert yes_no.reply(several) == max(each, default=OPEN)


@strategies.unhurried
@given(st.sampled_from(strategies.REPLY_WORDS), st.sampled_from(["", " ", "!", ".", "  \n"]))
def test_case_space_and_full_stops_do_not_matter(word: str, end: str) -> None:
    if any(sign.isalpha() for sign in word) and not set(word) & set("+-?"):
        assert yes_no.reply(f" {word.upper()}{end}") == yes_no.reply(word)


def test_a_text_without_end_is_read_in_no_time() -> None:
    for text in ("no " * 200_000, "3 " * 200_000, "9/" * 200_000, "<" * 100_000, "१" * 100_000):
        assert yes_no.reply(text) in (UNCLEAR, YES)
        measures.temperature(text), measures.pain(text), times.days(text, "", TODAY)


# --- numbers

TEMPERATURES: list[tuple[Any, float | None]] = [
    (39.5, 39.5), ("39.5", 39.5), ("39,5", 39.5), ("39.50000", 39.5), ("39,50000", 39.5), ("٣٩٫٥", 39.5), ("٣٩,٥", 39.5),
    ("३९.५", 39.5), ("৩৯.৫", 39.5), ("３９．５", 39.5), ("39.5 C", 39.5), ("39.5°C", 39.5), ("39,5ºC", 39.5), ("39.5℃", 39.5),
    ("39°5", 39.5), ("39·5", 39.5), (" 39.5 degrees celsius", 39.5), ("T: 39.5 axillary", 39.5), ("39.5 at 10:45", 39.5),
    (103.1, 39.5), ("103.1 F", 39.5), ("103,1°F", 39.5), ({"value": 103.1, "unit": "F"}, 39.5), ("103.1 C", 39.5),
    ({"value": "39,5", "unit": "°C"}, 39.5), ({"valueQuantity": {"value": 39.5, "unit": "Cel"}}, 39.5),
    (395, 39.5), ("395", 39.5), (3950, 39.5), (1031, 39.5), ("312.65 K", 39.5), ([37.2, 39.5], 39.5), ("37.2 / 39.5", 39.5),
    ("38.5-39.5", 39.5), (">39.5", 39.5), ([{"value": 37}, {"value": "39,5"}], 39.5), ("<38", 37.9), ("36.6", 36.6),
    ("98.6F", 37.0), ("37.2 morning, 36.9 evening", 37.2), (0, None), ("0", None), (312, None), (12, None), (999, None),
    ("abc", None), (True, None), (None, None), ("", None), (math.nan, None), ("10:45", None),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "degrees"), TEMPERATURES, ids=lambda v: str(v)[:30])
def test_a_temperature_is_read_in_every_form(answer: Any, degrees: float | None) -> None:
    read = measures.temperature(answer).amount
    assert read == (None if degrees is None else pytest.approx(degrees, abs=0.01))


def test_a_temperature_that_is_none_is_open_or_not_understood() -> None:
    for answer in (0, "0", None, "", "not measured", "no thermometer", "non mesurée"):
        assert measures.temperature(answer).says == OPEN, answer
    for answer in (12, 999, "abc", "warm", 312):
        assert measures.temperature(answer).says >= UNCLEAR, answer
    assert measures.temperature("normal").says == NO
    assert measures.temperature("high").says == MUCH


@strategies.unhurried
@given(
    st.decimals(34, 43, places=1), st.sampled_from(["{}", "{} C", "{}°C", "T {}", "{} ", "[{}]"])
)
def test_digits_and_the_sign_of_the_point_do_not_matter(degrees: Any, shape: str) -> None:
    plain = f"{degrees:.1f}"
    expected = pytest.approx(float(plain))
    for zero, point in (
        (0x30, ","),
        (0x660, "٫"),
        (0x6F0, "٫"),
        (0x966, "."),
        (0x9E6, ","),
        (0xFF10, "．"),
    ):
        written = "".join(point if c == "." else chr(zero + int(c)) for c in plain)
        assert measures.temperature(shape.format(written)).amount == expected, written


PAINS: list[tuple[Any, float | None]] = [
    (9, 9), ("9", 9), ("9/10", 9), ("٩/١٠", 9), ("9 out of 10", 9), ("9 sur 10", 9), ("9 de 10", 9), ("90%", 9), ("8-9", 9),
    ({"value": 9, "max": 10}, 9), ({"value": 90, "max": 100}, 9), ({"score": 9}, 9), ("4/5", 8), ([2, 9], 9), ("9,0", 9),
    (0, 0), ("0", 0), ("2/10", 2), ("severe", None), ("at night", None), (-1, None), (999, None), ("2 days", None),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "score"), PAINS, ids=lambda v: str(v)[:30])
def test_pain_is_read_in_every_form(answer: Any, score: float | None) -> None:
    assert measures.pain(answer).amount == score


def test_pain_in_words() -> None:
    for answer in (
        "severe",
        "very painful",
        "unbearable",
        "intense",
        "kali sana",
        "बहुत दर्द",
        "شديد",
        "forte",
        "fuerte",
    ):
        assert measures.pain(answer).says == MUCH, answer
    for answer in ("mild", "very mild", "moderate", "yes", "burning", "leve", "kidogo", "2 days"):
        assert measures.pain(answer).says == YES, answer
    assert measures.pain("at night").says == UNCLEAR


def test_a_length_needs_its_unit() -> None:
    for answer, unit in (
        ("7 mm", ""),
        ("0.7cm", ""),
        ("0,7 cm", ""),
        (7, "mm"),
        (0.7, "cm"),
        ("7x5 mm", ""),
        ("5 x 7", "mm"),
    ):
        assert measures.millimetres(answer, unit).amount == pytest.approx(7), answer
    assert measures.millimetres(7) == (None, UNCLEAR)


# --- times

DAYS: list[tuple[Any, str, float | None]] = [
    ("28 days", "", 28), ("6weeks", "", 42), ("6 wks", "", 42), ("6w", "", 42), (">4 weeks", "", 28), ("4+ weeks", "", 28),
    ("more than a month", "", 30), ("over 1 month", "", 30), ("two months", "", 60), ("3-4 weeks", "", 28), ("3 to 4 weeks", "", 28),
    ("1 month 2 weeks", "", 44), ("half a year", "", 182.5), ("1½ months", "", 45), ("6/52", "", 42), ("2/12", "", 60), ("5/7", "", 5),
    ("P6W", "", 42), ("P1M", "", 30), ("since birth", "", 3650), ("years", "", 1095), ("months", "", 90), ("several months", "", 3650),
    ("yesterday", "", 2), ("today", "", 2), ("a few days", "", 2), ("<4 weeks", "", 25.2), ("less than a month", "", 27),
    ("3 semaines", "", 21), ("un mois", "", 30), ("plus de 2 mois", "", 60), ("wiki 3", "", 21), ("miezi 2", "", 60), ("mwezi mmoja", "", 30),
    ("miezi miwili", "", 60), ("2 महीने", "", 60), ("तीन हफ्ते", "", 21), ("२ महीने से", "", 60), ("3 semanas", "", 21), ("dos meses", "", 60),
    ("hace un mes", "", 30), ("شهر", "", 30), ("شهرين", "", 60), ("٣ أسابيع", "", 21), ("أسبوعين", "", 14), ("2026-10-24", "", 28),
    ("since 24/10/2026", "", 28), ("since October 2026", "", 51), (6, "week", 42), ("6", "week", 42), (0, "day", 0),
    ({"value": 6, "unit": "weeks"}, "", 42), (["1 week", "6 weeks"], "", 42),
    (6, "", None), ("weeks", "", None), ("a while", "", None), ("long ago?", "", 3650), (True, "", None), (-3, "day", None),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "unit", "days"), DAYS, ids=lambda v: str(v)[:30])
def test_a_time_is_read_in_every_form(answer: Any, unit: str, days: float | None) -> None:
    assert times.days(answer, unit, TODAY).amount == (None if days is None else pytest.approx(days))


AGES: list[tuple[Any, str, float | None]] = [
    (34, "", 34), ("34", "", 34), ("٣٤", "", 34), ("34 years", "", 34), ("34 ans", "", 34), ("miaka 34", "", 34), ("३४ साल", "", 34),
    ("6 months", "", 0.5), ("6m", "", 0.5), ("6 mo", "", 0.5), ("6/12", "", 0.5), (6, "month", 0.5), ("miezi 6", "", 0.5), ("ستة أشهر", "", 0.5),
    ({"value": 6, "unit": "months"}, "", 0.5), ("1y 6m", "", 1.5), ("18 mois", "", 1.5), ("12 months", "", 1), ("newborn", "", 0),
    ("नवजात", "", 0), ("baby", "", 0.5), ("less than 1 year", "", 0.5), ("73 days", "", 0.2), (2020, "", 6),
    ("under five", "", None), ("old", "", None), (131, "", None), (-1, "", None), (True, "", None), (math.nan, "", None),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "unit", "years"), AGES, ids=lambda v: str(v)[:30])
def test_an_age_is_read_in_every_form(answer: Any, unit: str, years: float | None) -> None:
    read = ages.age(answer, unit, TODAY).amount
    assert read == (None if years is None else pytest.approx(years, abs=0.01))


BIRTHDAYS: list[tuple[str, date | None]] = [
    ("2026-08-01", date(2026, 8, 1)), ("2026-08-01T00:00:00.000Z", date(2026, 8, 1)), ("2026/8/1", date(2026, 8, 1)),
    ("01/08/2026", date(2026, 8, 1)), ("08/01/2026", date(2026, 8, 1)), ("1.8.2026", date(2026, 8, 1)), ("01-08-26", date(2026, 8, 1)),
    ("٢٠٢٦-٠٨-٠١", date(2026, 8, 1)), ("20260801", date(2026, 8, 1)), ("1 Aug 2026", date(2026, 8, 1)), ("Aug 1, 2026", date(2026, 8, 1)),
    ("1 août 2026", date(2026, 8, 1)), ("1 de agosto de 2026", date(2026, 8, 1)), ("2026-08", date(2026, 8, 1)),
    ("01/12/2026", date(2026, 1, 12)), ("2569-08-01", None), ("2026-13-01", None), ("31/02/2026", None), ("tomorrow", None), ("", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "day"), BIRTHDAYS)
def test_a_day_is_read_in_every_form_and_never_makes_a_child_older(
    text: str, day: date | None
) -> None:
    assert times.date_of(text, TODAY) == day


# --- lists

LISTS: list[tuple[str, set[str]]] = [
    ("bleeding fever", {"bleeding", "fever"}), ("bleeding, fever", {"bleeding", "fever"}), ("bleeding|fever", {"bleeding", "fever"}),
    ("skin_detachment breathing_difficulty", {"skin_detachment", "breathing_difficulty"}), ("severe pain", {"severe_pain"}),
    ("fever and bleeding", {"fever", "bleeding"}), ("fièvre; saignement", {"fever", "bleeding"}), ("homa damu", {"fever", "bleeding"}),
    ("बुखार, खून बहना", {"fever", "bleeding"}), ("حمى، نزيف", {"fever", "bleeding"}), ("Fiebre\nSangrado", {"fever", "bleeding"}),
    ("febre/sangramento", {"fever", "bleeding"}), ("no_fever bleeding", {"bleeding"}), ("no fever but bleeding", {"bleeding"}),
    ("fever, no bleeding", {"fever"}), ("fever no bleeding", {"fever"}), ("itch rash", set()), ("none", set()), ("no fever", set()),
    ("fever: no", set()), ("no fever or bleeding", set()), ("neither fever nor bleeding", set()), ("ni fièvre ni saignement", set()),
    ("no signs of fever", set()),
    ("homa na damu", {"fever", "bleeding"}),
    ("ni homa", {"fever"}),
    ("no fever ni bleeding", set()), ("बुखार नहीं", set()), ("hakuna homa", set()), ("sin fiebre", set()), ("", set()),
]  # fmt: skip


@pytest.mark.parametrize(("text", "signs"), LISTS)
def test_a_list_names_its_signs_and_not_those_it_denies(text: str, signs: set[str]) -> None:
    assert sign_lists.listed(text).signs == signs


def test_every_sign_of_the_table_is_found_in_a_list_and_under_its_key() -> None:
    for name, languages in {**forms.SIGNS, **forms.OTHERS}.items():
        for language, phrases in languages.items():
            for phrase in phrases.split(","):
                found = sign_lists.listed(phrase.strip()).signs
                assert found, (name, language, phrase)


# --- the documents


def test_the_documents_show_the_tables_that_are_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert tables.main([]) == 0, capsys.readouterr().out


def test_the_documents_hold_every_word_of_every_language() -> None:
    whole = tables.every_word()
    written = [
        value for name, value in vars(forms).items() if name.isupper() and isinstance(value, dict)
    ]
    assert len(written) == len(tables.TABLES)
    for table in written:
        for languages in table.values():
            assert set(languages) <= set(tables.LANGUAGES)
            assert all(phrases.replace("<", "&lt;") in whole for phrases in languages.values())


def test_every_language_can_say_yes_and_no_and_each_red_flag() -> None:
    for language in ("en", "fr", "sw", "hi", "pt", "es", "ar"):
        for row in ("yes", "no", "some", "much", "unsure"):
            assert forms.REPLIES[row][language], (language, row)
        missing = {sign for sign, languages in forms.SIGNS.items() if language not in languages}
        assert missing <= {"crepitus", "suspicious_pigmented_lesion"}, (language, missing)
