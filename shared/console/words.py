"""The languages of the console: messages (gettext), numbers, dates and durations (Babel).

Messages are English in code and templates. `locales/LANGUAGE.po` of each package translates them and is
read as it is, at the first request in that language; `python -m infra.messages` gathers them.
"""

from __future__ import annotations

import io
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale, dates, negotiate_locale, numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

#: What the console's own pages speak: the language's code and its own name for itself.
LANGUAGES: Final = {
    "en": "English",
    "ru": "Русский",
    "fr": "Français",
    "sw": "Kiswahili",
    "hi": "हिन्दी",
    "ar": "العربية",
}

SOURCE: Final = "en"


@dataclass(frozen=True)
class Words:
    """How things are said in one language, of one deployment's time zone."""

    language: str
    translations: NullTranslations
    zone: ZoneInfo
    instead: Mapping[str, str] = field(default_factory=dict)  #: messages that a product words anew

    @property
    def locale(self) -> Locale:
        """The language's rules."""
        return Locale.parse(self.language)

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`."""
        return self.locale.text_direction

    def text(self, message: str) -> str:
        """A message in this language, as it is."""
        worded = self.instead.get(message, message)
        return str(self.translations.ugettext(worded)) if message else ""

    def said(self, message: str, **values: object) -> str:
        """A message in this language, with values in the places of their names (`%(name)s`)."""
        text = self.text(message)
        return text % values if values else text

    def many(self, one: str, more: str, count: int, **values: object) -> str:
        """A message that depends on a number, which it may name as `%(num)s`."""
        text = self.translations.ungettext(one, more, count)
        return text % {"num": self.number(count), **values}

    def number(self, value: float) -> str:
        """A number as it is written here."""
        return numbers.format_decimal(value, locale=self.locale)

    def percent(self, part: float) -> str:
        """A share (0 to 1) as a percentage."""
        return numbers.format_percent(part, locale=self.locale)

    def moment(self, at_ms: int) -> str:
        """A day and a time."""
        return dates.format_datetime(self._local(at_ms), "medium", locale=self.locale)

    def day(self, at_ms: int) -> str:
        """A day."""
        return dates.format_date(self._local(at_ms), "medium", locale=self.locale)

    def time(self, at_ms: int) -> str:
        """The time of the day."""
        return dates.format_time(self._local(at_ms), "short", locale=self.locale)

    def year(self, at_ms: int) -> str:
        """The year of a moment."""
        return dates.format_skeleton("y", self._local(at_ms), locale=self.locale)

    def short_day(self, day: date) -> str:
        """A day without its year, for tables and charts."""
        return dates.format_skeleton("MMMd", day, locale=self.locale)

    def week_day(self, day: date) -> str:
        """A day with the short name of its day of the week."""
        return dates.format_skeleton("EdMMM", day, locale=self.locale)

    def long_day(self, day: date) -> str:
        """A day with its name."""
        return dates.format_skeleton("EEEEdMMMM", day, locale=self.locale)

    def whole_day(self, day: date) -> str:
        """A day with its year."""
        return dates.format_date(day, "medium", locale=self.locale)

    def weekday(self, number: int) -> str:
        """The name of a day of the week; 0 is Monday."""
        return str(dates.get_day_names("wide", "stand-alone", self.locale)[number])

    def month(self, day: date) -> str:
        """A month with its year."""
        return dates.format_skeleton("yMMM", day, locale=self.locale)

    def duration(self, span_ms: float) -> str:
        """How long something takes, roughly: two hours, three days."""
        span = timedelta(milliseconds=max(0.0, span_ms))
        return dates.format_timedelta(span, threshold=1.5, locale=self.locale)

    def _local(self, at_ms: int) -> datetime:
        return datetime.fromtimestamp(at_ms / 1000, self.zone)


def spoken(folders: Iterable[Path]) -> dict[str, str]:
    """The languages in which every one of some packages speaks, with their names."""
    return {
        code: name
        for code, name in LANGUAGES.items()
        if code == SOURCE or all((each / "locales" / f"{code}.po").exists() for each in folders)
    }


def chosen(wanted: str | None, accepted: str, languages: Container[str] = LANGUAGES) -> str:
    """The language of a request: the one that was chosen, else the best of `Accept-Language`."""
    if wanted in languages:
        return str(wanted)
    preferred = [name for name, _ in parse_accept_header(accepted[:200], LanguageAccept)]
    known = [each for each in LANGUAGES if each in languages]
    return negotiate_locale(preferred, known, sep="-") or SOURCE


@cache
def words_of(
    language: str,
    folders: tuple[Path, ...],
    zone: str,
    instead: tuple[tuple[str, str], ...] = (),
) -> Words:
    """A language with the messages of some packages; what two of them say, the first says.

    `instead`: messages of the frame, each with the product's own.
    """
    whole = NullTranslations()
    for folder in reversed(folders):
        file = folder / "locales" / f"{language}.po"
        if language != SOURCE and file.exists():
            found = _read(file, language)
            whole = whole.merge(found) if isinstance(whole, Translations) else found
    return Words(language, whole, ZoneInfo(zone), dict(instead))


def _read(file: Path, language: str) -> Translations:
    with file.open("rb") as source:
        catalog = read_po(source, locale=language)
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Translations(compiled)
