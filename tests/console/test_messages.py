"""Every page speaks every language: nothing is missing, and places for values are the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra import messages
from shared.console.words import LANGUAGES, SOURCE, spoken, words_of

_PLACE = re.compile(r"%\((\w+)\)s")
_FOLDERS = list(messages.folders())
_TRANSLATED = [(folder, language) for folder in _FOLDERS for language in messages.languages(folder)]
_NAMES = [f"{language}-{folder.parent.name}" for folder, language in _TRANSLATED]


@pytest.mark.parametrize(("folder", "language"), _TRANSLATED, ids=_NAMES)
def test_every_message_is_translated(folder: Path, language: str) -> None:
    catalog = messages.updated(folder, language)
    assert len(catalog) > 5
    assert messages.missing(catalog) == []
    written = (folder / "locales" / f"{language}.po").read_bytes()
    assert written == messages.text(catalog), "python -m infra.messages"


@pytest.mark.parametrize(("folder", "language"), _TRANSLATED, ids=_NAMES)
def test_translations_name_the_same_values(folder: Path, language: str) -> None:
    for message in messages.updated(folder, language):
        if not message.id:
            continue
        ids = [message.id] if isinstance(message.id, str) else [*message.id]
        strings = message.string or ""
        said = [strings] if isinstance(strings, str) else [*strings]
        wanted = {place for each in ids for place in _PLACE.findall(each)}
        for each in said:
            # a form for one or two may say the number in words
            assert wanted - {"num"} <= set(_PLACE.findall(each)) <= wanted, message.id
            assert each.count("%") == len(_PLACE.findall(each)) + 2 * each.count("%%"), each


@pytest.mark.parametrize("language", LANGUAGES)
def test_numbers_days_and_durations_are_said(language: str) -> None:
    words = words_of(language, tuple(_FOLDERS), "Africa/Nairobi")
    assert words.direction == ("rtl" if language == "ar" else "ltr")
    at_ms = 1_772_323_200_000  # 1 March 2026
    for said in (words.moment(at_ms), words.day(at_ms), words.duration(7_200_000)):
        assert said.strip()
    assert words.number(12345.5)
    assert words.percent(0.5)


def test_the_frame_speaks_every_language_and_a_product_some_of_them() -> None:
    frame, *products = _FOLDERS
    assert set(messages.languages(frame)) == set(LANGUAGES) - {SOURCE}
    for folder in products:
        assert SOURCE in spoken([frame, folder])
        assert set(spoken([frame, folder])) == {SOURCE, *messages.languages(folder)} & set(
            LANGUAGES
        )


def test_plurals_follow_the_language() -> None:
    words = words_of("ar", tuple(_FOLDERS), "UTC")
    assert words.translations.ungettext("%(num)s case", "%(num)s cases", 3)
