"""What the report says: a family's records in one language, as the plain data that `report.typ` sets.

Nothing is left out without a word: where a list is longer than its bound, the report says how many there
are. Numbers are the stored ones; one with many digits is rounded for the eye, but never across the range
that it is held against. Means and scales leave out what is asked about, and say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from shared.console.page import N_
from shared.console.words import Words
from shared.export.letters import line, ltr, own
from shared.products.hemoday.analytes import ANALYTES
from shared.products.hemoday.household import Household
from shared.products.hemoday.indicators import BY_LOINC, number, plain
from shared.products.hemoday.ranges import PUBLISHED, SOURCES, AppliedRange
from shared.products.hemoday.report.charts import chart, days_of
from shared.products.hemoday.series import (
    Period,
    Series,
    SeriesPoint,
    cut,
    digits,
    entered,
    family_ranges,
    indicators,
    profile_of,
    question,
    standard,
    values_of,
)
from shared.products.hemoday.tables import (
    BLOOD_TESTS,
    DOCUMENTS,
    PROFILES,
    REMINDERS,
    RESULTS,
    TRANSFUSIONS,
)
from shared.products.hemoday.timeline import day_of, results_of
from shared.records.store import Document

#: Longest lists of one report: what is beyond is counted.
MOST_TRANSFUSIONS, MOST_TESTS, MOST_DOCUMENTS, MOST_ROWS = 300, 120, 200, 80
_MOST_QUESTIONS, _MOST_REMINDERS, _MOST_MEDICATIONS, _MOST_CONVERSIONS = 6, 6, 5, 60

#: Blood tests side by side.
_A_TABLE = 6

#: Digits of a number that nobody wants rounded, and of one that is.
_EXACT, _ROUNDED = 4, 3

#: Numbers beyond these are written with an exponent: somebody's slip, asked about elsewhere.
_SMALLEST, _LARGEST = Decimal("1e-6"), Decimal(10**9)

_SIGNS = {"<=": "≤", ">=": "≥"}

_UNITS = {"10*9": "10⁹", "10*12": "10¹²", "[IU]": "IU", "ug": "µg", "umol": "µmol"}

QUESTIONS: Mapping[str, str] = {
    "unlikely_value": N_("Hardly anybody has this number: a slip, or another unit?"),
    "unknown_unit": N_("The unit is not known for this indicator. It was not converted."),
    "unit_missing": N_("There is no unit. It was not converted."),
    "unreadable_value": N_("This is no number that can be read."),
    "unlikely_date": N_("The date is in the future, or long ago."),
    "unreadable_date": N_("This is no date."),
    "unlikely_volume": N_("The volume does not fit the weight."),
    "unknown_time_zone": N_("The time zone is not known."),
    "ends_before": N_("The end is before the beginning."),
}

_SEX = {"female": N_("female"), "male": N_("male")}

_CATEGORIES = {
    "blood_test": N_("Blood test"),
    "transfusion": N_("Transfusion"),
    "prescription": N_("Prescription"),
    "imaging": N_("Imaging"),
    "discharge": N_("Discharge letter"),
    "genetics": N_("Genetics"),
    "vaccination": N_("Vaccination"),
    "insurance": N_("Insurance"),
    "other": N_("Other"),
}

_FREQUENCIES = {
    "once": N_("once"),
    "daily": N_("every day"),
    "weekly": N_("every week"),
    "monthly": N_("every month"),
}

#: Series of `series.standard`, as the report calls them.
_TITLES = {
    "haemoglobin_before": N_("Haemoglobin before transfusion"),
    "ferritin": N_("Ferritin"),
    "volume_per_kg_rolling": N_("Volume per kg, of the 365 days before"),
    "interval": N_("Days between transfusions"),
}


@dataclass(frozen=True, slots=True)
class Content:
    """The report as data, and the records that it shows, by table."""

    data: dict[str, Any]
    touched: Mapping[str, Sequence[str]]


def content(household: Household, period: Period, words: Words, now_ms: int) -> Content:
    """All that the report says of a period."""
    return _Report(household, period, words, now_ms).made()


class _Report:
    def __init__(self, household: Household, period: Period, words: Words, now_ms: int) -> None:
        self._household, self._period, self._words, self._now = household, period, words, now_ms
        self._profile = profile_of(household)
        self._point = words.number(0.5)[1:2]
        found = [cut(each, period) for each in standard(household, period)]
        self._series = {each.kind: each for each in found}
        self._given = self._dated(TRANSFUSIONS)
        self._tests = self._dated(BLOOD_TESTS)
        self._documents = self._dated(DOCUMENTS)
        self._results = results_of(household)
        self._values = list(values_of(household))
        self._said = {(each.id, each.field): entered(each.said) for each in self._values}

    def made(self) -> Content:
        said = self._words.said
        data = {
            "language": self._words.language,
            "direction": self._words.direction,
            "title": said("Report for the doctor"),
            "name": own(self._profile.get("patient_name") or said("No name entered"), 80),
            "short_name": own(self._profile.get("patient_name") or said("No name entered"), 30),
            "subtitle": self._subtitle(),
            "facts": self._facts(),
            "page": said("Page"),
            "note": said("Made of what the family entered. Nobody has checked it."),
            "empty": None
            if self._given or self._tests or self._documents
            else said("There are no records of these days."),
            "cards": self._cards(),
            "lists": [self._medications(), self._questions(), self._reminders()],
            "charts_title": said("Charts"),
            "charts": self._charts(),
            "legend": self._legend(),
            "transfusions": self._transfusion_table(),
            "tests": self._test_tables(),
            "appendix_title": said("Appendix"),
            "appendix": [self._document_table(), self._range_table(), self._conversions()],
        }
        touched = {
            PROFILES: list(self._household.tables[PROFILES]),
            TRANSFUSIONS: [each.key.id for each in self._given],
            BLOOD_TESTS: [each.key.id for each in self._tests],
            RESULTS: [
                each.key.id for test in self._tests for each in self._results.get(test.key.id, ())
            ],
            DOCUMENTS: [each.key.id for each in self._documents],
            REMINDERS: list(self._household.tables[REMINDERS]),
        }
        return Content(data, {table: ids for table, ids in touched.items() if ids})

    # --- words and numbers

    def _dated(self, table: str) -> list[Document]:
        """Records of the period, the newest first."""
        found = [each for each in self._household.of(table) if self._period.holds(day_of(each))]
        return sorted(found, key=lambda each: (-day_of(each), each.key.id))

    def _day(self, at_ms: int) -> str:
        return self._words.day(at_ms)

    def _figure(self, value: Decimal) -> str:
        if value and not _SMALLEST <= abs(value) < _LARGEST:
            return f"{value:.2e}".replace(".", self._point)
        return digits(value).replace(".", self._point).replace("-", "\u2212")

    def _number(self, value: float, low: float | None = None, high: float | None = None) -> str:
        return self._figure(rounded(number(value), low, high))

    def _value(self, point: SeriesPoint) -> str:
        return _signed(point.comparator) + self._number(point.value, point.low, point.high)

    def _with_unit(self, value: str, unit: str) -> str:
        times = "× " if unit.startswith("10*") else ""
        return ltr(f"{value} {times}{printed(unit)}".strip())

    def _named(self, loinc: str | None, name: str) -> str:
        analyte = BY_LOINC.get(loinc or "")
        return line(analyte.called(self._words.language)) if analyte else own(name, 60)

    def _more(self, shown: int, there: int) -> str:
        if there <= shown:
            return ""
        return self._words.many(
            "%(num)s more is not shown.", "%(num)s more are not shown.", there - shown
        )

    # --- the first page

    def _subtitle(self) -> str:
        period, said = self._period, self._words.said
        first = period.first or min(map(self._date, self._given + self._tests), default=None)
        last = period.last or period.day(self._now)
        made = said("made on %(day)s", day=self._day(self._now))
        if first is None:
            return made
        span = said("%(first)s to %(last)s", first=self._on(first), last=self._on(last))
        return f"{span} · {made}"

    def _on(self, day: date) -> str:
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=self._period.zone)
        return self._day(round(noon.timestamp() * 1000))

    def _date(self, document: Document) -> date:
        return self._period.day(day_of(document))

    def _facts(self) -> list[list[str]]:
        said, of = self._words.said, self._profile.get
        facts = []
        if born := of("birth_date"):
            facts.append([said("Born"), self._born(str(born))])
        if isinstance(sex := of("sex"), str) and sex in _SEX:
            facts.append([said("Sex"), said(_SEX[sex])])
        if of("diagnosis"):
            facts.append([said("Diagnosis"), own(of("diagnosis"), 60)])
        if of("blood_group"):
            facts.append([said("Blood group"), own(of("blood_group"), 20)])
        return facts

    def _born(self, text: str) -> str:
        try:
            born = date.fromisoformat(text)
        except ValueError:
            return own(text, 20)
        today = self._period.day(self._now)
        years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
        if not 0 <= years <= 120:
            return self._on(born)
        age = self._words.many("%(num)s year old", "%(num)s years old", years)
        return f"{self._on(born)} ({age})"

    def _cards(self) -> list[dict[str, Any]]:
        return [
            self._haemoglobin_card(),
            self._ferritin_card(),
            self._volume_card(),
            self._interval_card(),
            self._count_card(),
            self._weight_card(),
        ]

    def _card(self, label: str, value: str, unit: str, lines: Iterable[str]) -> dict[str, Any]:
        return {
            "label": label,
            "value": value,
            "unit": unit,
            "lines": [one for one in lines if one],
        }

    def _last(self, series: Series) -> SeriesPoint | None:
        return next((each for each in reversed(series.points) if each.question is None), None)

    def _haemoglobin_card(self) -> dict[str, Any]:
        series, said = self._series["haemoglobin_before"], self._words.said
        last, sure = self._last(series), self._counted(series)
        lines = []
        if last:
            lines.append(said("last, on %(day)s", day=self._day(last.at)))
        if sure:
            mean = sum(map(number, sure), Decimal(0)) / len(sure)
            lines.append(
                self._words.many(
                    "mean %(mean)s of %(num)s value",
                    "mean %(mean)s of %(num)s values",
                    len(sure),
                    mean=ltr(self._figure(mean.quantize(Decimal("0.1"), ROUND_HALF_EVEN))),
                )
            )
            lines.append(self._spread(sure))
        lines.append(self._asked(series))
        return self._card(
            said("Haemoglobin before transfusion"),
            self._value(last) if last else "–",
            ltr(printed(series.unit)),
            lines,
        )

    def _counted(self, series: Series) -> list[float]:
        return [
            each.value for each in series.points if each.question is None and not each.comparator
        ]

    def _spread(self, values: Sequence[float]) -> str:
        low, high = self._number(min(values)), self._number(max(values))
        return ltr(f"{low} – {high}") if low != high else ""

    def _asked(self, series: Series) -> str:
        asked = sum(each.question is not None for each in series.points) + len(series.unplaced)
        return (
            self._words.many(
                "%(num)s value with a question is not counted",
                "%(num)s values with questions are not counted",
                asked,
            )
            if asked
            else ""
        )

    def _ferritin_card(self) -> dict[str, Any]:
        series, said = self._series["ferritin"], self._words.said
        last = self._last(series)
        first = next((each for each in series.points if each.question is None), None)
        lines = []
        if last:
            lines.append(said("last, on %(day)s", day=self._day(last.at)))
        if first and last and first is not last:
            lines.append(
                said(
                    "first: %(value)s, on %(day)s",
                    value=ltr(self._value(first)),
                    day=self._day(first.at),
                )
            )
        lines.append(self._asked(series))
        return self._card(
            said("Ferritin"), self._value(last) if last else "–", ltr(printed(series.unit)), lines
        )

    def _volume_card(self) -> dict[str, Any]:
        series, said, many = (
            self._series["volume_per_kg_rolling"],
            self._words.said,
            self._words.many,
        )
        last = series.points[-1] if series.points else None
        lines = []
        if last:
            lines.append(said("the 365 days up to %(day)s", day=self._day(last.at)))
            if last.partial:
                lines.append(said("the records do not reach over the whole year"))
            if last.question:
                lines.append(said("values that are asked about are in it"))
            if last.missing:
                lines.append(
                    many(
                        "%(num)s transfusion lacks its volume or weight",
                        "%(num)s transfusions lack their volume or weight",
                        last.missing,
                    )
                )
            if last.assumed:
                lines.append(
                    many(
                        "the profile's weight stands in for %(num)s transfusion",
                        "the profile's weight stands in for %(num)s transfusions",
                        last.assumed,
                    )
                )
        return self._card(
            said("Volume per kg and year"), self._value(last) if last else "–", ltr("mL/kg"), lines
        )

    def _interval_card(self) -> dict[str, Any]:
        series, said = self._series["interval"], self._words.said
        sure = self._counted(series)
        lines, value = [], "–"
        if sure:
            mean = sum(map(number, sure), Decimal(0)) / len(sure)
            value = self._figure(mean.quantize(Decimal("0.1"), ROUND_HALF_EVEN))
            lines = [said("mean"), self._spread(sure)]
        return self._card(said("Days between transfusions"), value, said("days"), lines)

    def _count_card(self) -> dict[str, Any]:
        said = self._words.said
        volumes = [
            number(each.fields["volume_ml"])
            for each in self._given
            if each.fields.get("volume_ml") and not question(each, "volume_ml")
        ]
        total = self._with_unit(self._figure(sum(volumes, Decimal(0))), "mL")
        lines = [said("together %(volume)s", volume=total)] if volumes else []
        if self._given:
            lines.append(said("last, on %(day)s", day=self._day(day_of(self._given[0]))))
        return self._card(said("Transfusions"), str(len(self._given)), "", lines)

    def _weight_card(self) -> dict[str, Any]:
        said = self._words.said
        weighed = next(
            (
                each
                for each in self._given
                if each.fields.get("weight_kg") and not question(each, "weight_kg")
            ),
            None,
        )
        if weighed:
            value = self._number(weighed.fields["weight_kg"])
            lines = [said("at the transfusion of %(day)s", day=self._day(day_of(weighed)))]
        elif self._profile.get("weight_kg"):
            value, lines = self._number(self._profile["weight_kg"]), [said("of the profile")]
        else:
            value, lines = "–", []
        return self._card(said("Weight"), value, "kg", lines)

    def _list(self, title: str, rows: list[list[str]], most: int, none: str) -> dict[str, Any]:
        more = self._more(most, len(rows))
        return {"title": title, "rows": rows[:most], "none": "" if rows else none, "more": more}

    def _medications(self) -> dict[str, Any]:
        said = self._words.said
        met: dict[str, tuple[str, list[str]]] = {}
        for each in self._given:
            if text := line(each.fields.get("medication") or "", 90):
                entry = [own(text, 90), said("last, on %(day)s", day=self._day(day_of(each)))]
                met.setdefault(plain(text), (text, entry))
        rows = [entry for _, entry in met.values()]
        return self._list(
            said("Chelation and medication"), rows, _MOST_MEDICATIONS, said("None entered.")
        )

    def _questions(self) -> dict[str, Any]:
        said = self._words.said
        rows = []
        for document, label in self._asked_records():
            for field, asked in (document.fields.get("questions") or {}).items():
                value = self._questioned(document, field)
                about = f"{label}: {own(value, 40)}" if value else label
                rows.append([about, said(QUESTIONS.get(asked["code"], asked["code"]))])
        return self._list(
            said("Open questions about entries"), rows, _MOST_QUESTIONS, said("None.")
        )

    def _asked_records(self) -> Iterable[tuple[Document, str]]:
        said = self._words.said
        profile, given, taken = said("Profile"), said("Transfusion"), said("Blood test")
        reminder = said("Reminder")
        for each in self._household.of(PROFILES):
            yield each, profile
        for each in self._given:
            yield each, f"{given}, {self._day(day_of(each))}"
        for test in self._tests:
            day = self._day(day_of(test))
            yield test, f"{taken}, {day}"
            for each in self._results.get(test.key.id, ()):
                name = self._named(each.fields.get("loinc"), str(each.fields["name"]))
                yield each, f"{name}, {day}"
        for each in self._household.of(REMINDERS):
            yield each, f"{reminder}: {own(each.fields.get('title'), 40)}"
        for each in self._documents:
            yield each, own(each.fields.get("name"), 40)

    def _questioned(self, document: Document, field: str) -> str:
        """The value that is asked about, as it was entered."""
        if (said := self._said.get((document.key.id, field))) is not None:
            return said
        value, unit = document.fields.get(field), {"volume_ml": "mL", "weight_kg": "kg"}.get(field)
        if unit is not None and isinstance(value, int | float):
            return f"{self._number(value)} {unit}"
        return value if isinstance(value, str) else ""

    def _reminders(self) -> dict[str, Any]:
        said, many = self._words.said, self._words.many
        rows = []
        for each in sorted(
            self._household.of(REMINDERS), key=lambda one: one.fields.get("remind_at") or 0
        ):
            ends = each.fields.get("ends_at")
            if each.fields.get("completed") or (ends is not None and ends < self._now):
                continue
            often = str(each.fields.get("frequency"))
            every = int(each.fields.get("every") or 1)
            when = (
                many("every %(num)s day", "every %(num)s days", every)
                if often == "every_n_days"
                else said(_FREQUENCIES.get(often, _FREQUENCIES["once"]))
            )
            rows.append([own(each.fields.get("title"), 80), when])
        return self._list(said("Reminders"), rows, _MOST_REMINDERS, said("None."))

    # --- charts

    def _charts(self) -> list[dict[str, Any]]:
        shown = [self._series[kind] for kind in _TITLES]
        days = days_of(shown, self._period)
        if days is None:
            return []
        labels = days.labels(self._words.month)
        return [
            {
                "title": self._words.said(_TITLES[series.kind]),
                "unit": "" if series.unit == "d" else ltr(printed(series.unit)),
                "days": labels,
                "said": self._aloud(series),
                **chart(series, days, self._period, self._figure, joined=series.kind != "interval"),
            }
            for series in shown
            if series.points
        ]

    def _aloud(self, series: Series) -> str:
        """What a chart shows, for who does not see it."""
        first, last = series.points[0], series.points[-1]
        values = [each.value for each in series.points]
        return self._words.many(
            "%(title)s: %(num)s value, from %(first)s to %(last)s, between %(low)s and %(high)s.",
            "%(title)s: %(num)s values, from %(first)s to %(last)s, between %(low)s and %(high)s.",
            len(values),
            title=self._words.said(_TITLES[series.kind]),
            first=self._day(first.at),
            last=self._day(last.at),
            low=self._number(min(values)),
            high=self._number(max(values)),
        )

    def _legend(self) -> list[list[Any]]:
        said = self._words.said
        return [
            ["circle", False, said("in its range, or without one")],
            ["up", False, said("above its range")],
            ["down", False, said("below its range")],
            ["circle", True, said("a bound, or not a whole year's")],
            ["cross", False, said("asked about")],
            ["band", False, said("range")],
        ]

    # --- tables

    def _transfusion_table(self) -> dict[str, Any]:
        said = self._words.said
        sides: dict[tuple[str, str], list[list[str]]] = {}
        for side in ("before", "after"):
            for point in self._series[f"haemoglobin_{side}"].points:
                cell = [ltr(self._value(point)), _mark(point.place, point.question)]
                sides.setdefault((point.id, side), []).append(cell)
            for left in self._series[f"haemoglobin_{side}"].unplaced:
                cell = [own(left.entered, 20), _mark(None, left.question)]
                sides.setdefault((left.id, side), []).append(cell)
        rows = []
        for each in self._given[:MOST_TRANSFUSIONS]:
            fields = each.fields
            volume, weight = fields.get("volume_ml"), fields.get("weight_kg")
            words = [fields.get("medication"), fields.get("comment")]
            rows.append(
                [
                    f"{self._day(day_of(each))} {_mark(None, question(each, 'date'))}",
                    self._cell(volume, question(each, "volume_ml")),
                    self._cell(weight, question(each, "weight_kg"), "0.1"),
                    self._per_kg(volume, weight),
                    sides.get((each.key.id, "before"), []),
                    sides.get((each.key.id, "after"), []),
                    own(" · ".join(line(one, 90) for one in words if one), 180)
                    if any(words)
                    else "",
                ]
            )
        head = [
            [said("Day"), ""],
            [said("Volume"), ltr("mL")],
            [said("Weight"), ltr("kg")],
            [said("per kg"), ltr("mL/kg")],
            [said("Hb before"), ltr("g/L")],
            [said("Hb after"), ltr("g/L")],
            [said("Medication, comment"), ""],
        ]
        more = self._more(MOST_TRANSFUSIONS, len(self._given))
        return {"title": said("Transfusions"), "head": head, "rows": rows, "more": more}

    def _cell(self, value: float | None, asked: str | None, least: str = "1") -> list[list[str]]:
        """A number with at least so many decimals, so that points stand below each other; its mark."""
        if value is None:
            return []
        exact, few = number(value), Decimal(least)
        same = exact < 10**9 and exact == exact.quantize(few)
        text = (
            self._point.join(str(exact.quantize(few)).split(".")) if same else self._number(value)
        )
        return [[ltr(text), _mark(None, asked)]]

    def _per_kg(self, volume: float | None, weight: float | None) -> list[list[str]]:
        if not volume or not weight or weight <= 0 or not 0 < volume / weight < 10**6:
            return []
        exact = number(volume) / number(weight)
        return self._cell(float(exact.quantize(Decimal("0.1"), ROUND_HALF_EVEN)), None, "0.1")

    def _test_tables(self) -> dict[str, Any]:
        """Blood tests, the newest first, some side by side; a row an indicator."""
        said = self._words.said
        order = {each.loinc: place for place, each in enumerate(ANALYTES)}
        cells = self._test_cells()
        there = [each for each in self._tests if self._results.get(each.key.id)]
        tables = []
        for at in range(0, min(len(there), MOST_TESTS), _A_TABLE):
            some = there[at : min(at + _A_TABLE, MOST_TESTS)]
            rows: dict[tuple[int, str, str], dict[str, list[list[str]]]] = {}
            for test in some:
                for name, unit, loinc, cell in cells.get(test.key.id, ()):
                    key = (order.get(loinc or "", len(order)), name, unit)
                    rows.setdefault(key, {}).setdefault(test.key.id, []).append(cell)
            table = [
                [name, unit, [row.get(each.key.id, []) for each in some]]
                for (_, name, unit), row in sorted(rows.items())
            ]
            heads = [
                [self._day(day_of(each)), own(each.fields.get("laboratory") or "", 24)]
                for each in some
            ]
            tables.append(
                {
                    "heads": heads,
                    "rows": table[:MOST_ROWS],
                    "more": self._more(MOST_ROWS, len(table)),
                }
            )
        return {
            "title": said("Blood tests"),
            "head": said("Indicator"),
            "tables": tables,
            "more": self._more(MOST_TESTS, len(there)),
            "legend": said("↑ above its range, ↓ below it, ? asked about."),
        }

    def _test_cells(self) -> dict[str, list[tuple[str, str, str | None, list[str]]]]:
        """By blood test: name, unit and LOINC code of an indicator, and its value."""
        found: dict[str, list[tuple[str, str, str | None, list[str]]]] = {}
        parents = {
            each.key.id: str(each.fields["blood_test_id"])
            for results in self._results.values()
            for each in results
        }
        values = [one for one in self._values if one.id in parents and self._period.holds(one.at)]
        for series in indicators(self._household, values):
            name = self._named(series.loinc, series.name)
            unit = ltr(printed(series.unit)) if series.loinc else own(series.unit, 20)
            cells = [
                (each.id, [ltr(self._value(each)), _mark(each.place, each.question)])
                for each in series.points
            ]
            cells += [
                (each.id, [own(each.entered, 24), _mark(None, each.question)])
                for each in series.unplaced
            ]
            for id, cell in cells:
                found.setdefault(parents[id], []).append((name, unit, series.loinc, cell))
        return found

    # --- appendix

    def _document_table(self) -> dict[str, Any]:
        said = self._words.said
        rows = [
            [
                self._day(day_of(each)),
                own(each.fields.get("name"), 100),
                said(_CATEGORIES.get(str(each.fields.get("category")), _CATEGORIES["other"])),
                str(len(each.fields.get("pages") or ())),
            ]
            for each in self._documents[:MOST_DOCUMENTS]
        ]
        return {
            "title": said("Documents"),
            "text": "" if rows else said("None."),
            "head": [said("Day"), said("Name"), said("Kind"), said("Pages")],
            "widths": [0, 1, 0, 0],
            "rows": rows,
            "more": self._more(MOST_DOCUMENTS, len(self._documents)),
        }

    def _range_table(self) -> dict[str, Any]:
        said = self._words.said
        rows = []
        for loinc, ends in sorted(family_ranges(self._household).items()):
            analyte = BY_LOINC.get(loinc)
            low, high = ends.get("low"), ends.get("high")
            source = next(
                (
                    SOURCES[each.source]
                    for each in PUBLISHED
                    if (each.loinc, each.low, each.high) == (loinc, low, high)
                ),
                None,
            )
            rows.append(
                [
                    self._named(loinc, loinc),
                    self._range(low, high, analyte.unit if analyte else ""),
                    said("set by the family; the same as %(source)s", source=own(source, 300))
                    if source
                    else said("set by the family"),
                ]
            )
        return {
            "title": said("Ranges"),
            "text": said(
                "A value is held against its own report's range, else the family's, else none."
            ),
            "head": [said("Indicator"), said("Range"), said("Source")],
            "widths": [0, 0, 1],
            "rows": rows[:MOST_ROWS],
            "more": self._more(MOST_ROWS, len(rows)),
        }

    def _range(self, low: float | None, high: float | None, unit: str) -> str:
        if low is not None and high is not None:
            text = f"{self._number(low)} – {self._number(high)}"
        elif low is not None:
            text = f"≥ {self._number(low)}"
        else:
            text = f"≤ {self._number(high or 0)}"
        return self._with_unit(text, unit)

    def _conversions(self) -> dict[str, Any]:
        """How entered units became the report's: an example of each."""
        said = self._words.said
        met: dict[tuple[str, str], list[str]] = {}
        for each in sorted(self._values, key=lambda one: (-one.at, one.id)):
            analyte, unit = BY_LOINC.get(each.found.get("loinc") or ""), each.said.get("unit")
            value = each.found.get("canonical_value")
            if analyte is None or value is None or not self._period.holds(each.at):
                continue
            text = self._with_unit(
                f"{_signed(each.found.get('comparator'))}{self._figure(number(value))}",
                analyte.unit,
            )
            if plain(str(unit or "")) == plain(analyte.unit):
                continue
            row = [self._named(analyte.loinc, ""), own(entered(each.said), 40), text]
            met.setdefault((analyte.loinc, plain(str(unit or ""))), row)
        rows = sorted(met.values())
        return {
            "title": said("How values were converted"),
            "text": said("Exactly, from the unit of the report; an example of each.")
            if rows
            else said("Nothing was converted."),
            "head": [said("Indicator"), said("Entered"), said("Here")],
            "widths": [1, 1, 1],
            "rows": rows[:_MOST_CONVERSIONS],
            "more": self._more(_MOST_CONVERSIONS, len(rows)),
        }


def rounded(value: Decimal, low: float | None, high: float | None) -> Decimal:
    """A number for the eye: exact if it is short, else of three digits, but at its side of a range."""
    short = value.normalize()
    if len(short.as_tuple().digits) <= _EXACT or not _SMALLEST <= abs(value) < _LARGEST:
        return short
    places = max(_ROUNDED - 1 - value.adjusted(), 0)
    found = value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    if low is None and high is None:
        return found
    range_ = AppliedRange(low, high, "")
    return found if range_.place(float(found)) == range_.place(float(value)) else short


def printed(unit: str) -> str:
    """A UCUM unit as laboratories print it."""
    for code, sign in _UNITS.items():
        unit = unit.replace(code, sign)
    return unit


def _signed(comparator: str | None) -> str:
    """A comparator in front of its number."""
    return f"{_SIGNS.get(comparator, comparator)} " if comparator else ""


def _mark(place: str | None, asked: str | None) -> str:
    """The signs behind a value."""
    return f"{'↑' if place == 'high' else '↓' if place == 'low' else ''}{'?' if asked else ''}"
