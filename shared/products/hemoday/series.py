"""What charts show of a family: values by day in one unit each, with the range that each is held against.

    haemoglobin_before, haemoglobin_after   718-7 of a transfusion's indicators, g/L
    ferritin                                2276-4, ug/L
    volume_per_kg_rolling                   ml/kg of the 365 days up to each transfusion
    volume_per_kg_year                      ml/kg of each calendar year
    interval                                days since the transfusion before
    indicator                               any other, by LOINC code or name: all that a family has of it

Arithmetic is exact. A point's `value` is the stored number, or one that was rounded once, and `text` is
that number in digits: points with the same text have the same value, and lie at the same side of a range.
What was asked about and not answered is marked with the question's code, never left out; what has no value
in the series' unit stands in `unplaced`, as it was entered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from shared.access import audit
from shared.api.fields import must, says
from shared.api.routes import Route
from shared.api.web import Call, Response, answer
from shared.errors import InvalidRequest, NotFound, StoreUnavailable
from shared.products.hemoday.asked import Scope, family_of
from shared.products.hemoday.household import Household, Households
from shared.products.hemoday.indicators import BY_LOINC, canonical, named, number, plain
from shared.products.hemoday.questions import LARGEST
from shared.products.hemoday.ranges import AppliedRange, applied
from shared.products.hemoday.tables import BLOOD_TESTS, PROFILES, RESULTS, TRANSFUSIONS
from shared.products.hemoday.timeline import day_of
from shared.products.hemoday.units import ucum
from shared.products.product import Parts
from shared.records.store import Document

HAEMOGLOBIN, FERRITIN = "718-7", "2276-4"

#: Points of one series in an answer, the newest.
MOST_POINTS = 5000

#: Whose weight is below this, kg, has none: nothing is divided by a slip.
_LEAST_KG = 0.1

#: Years of days that may be asked for.
_FIRST_YEAR, _LAST_YEAR = 1900, 2199

#: The days of "a year" that ends with a transfusion.
_YEAR = timedelta(days=365)

Day = Annotated[str, must("a day, as 2026-03-31", pattern=r"^\d{4}-\d\d-\d\d\Z")]
Zone = Annotated[str, Meta(max_length=64), says("Of the clock that days go by, as Asia/Tbilisi.")]


class Period(NamedTuple):
    """Days, both inclusive, in a time zone; None: no bound."""

    first: date | None
    last: date | None
    zone: ZoneInfo

    def day(self, at_ms: int) -> date:
        """The day of a moment (Unix ms)."""
        return datetime.fromtimestamp(at_ms / 1000, self.zone).date()

    def holds(self, at_ms: int) -> bool:
        """Whether a moment is in it."""
        day = self.day(at_ms)
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)

    @classmethod
    def of(
        cls, first: str | UnsetType, last: str | UnsetType, zone: str | UnsetType = UNSET
    ) -> Period:
        """The days that a request names. Raises `InvalidRequest`."""
        days = (_day(first, "first_day"), _day(last, "last_day"))
        if days[0] and days[1] and days[0] > days[1]:
            raise InvalidRequest("The last day is before the first.", field="last_day")
        try:
            return cls(*days, ZoneInfo(zone) if isinstance(zone, str) else ZoneInfo("UTC"))
        except (KeyError, ValueError, OSError):
            raise InvalidRequest(
                "time_zone must be one of the IANA database, as Asia/Tbilisi.", field="time_zone"
            ) from None


class SeriesAsked(Struct):
    """Of which family, which days, and which indicator instead of the usual series."""

    scope: Scope = UNSET
    first_day: Annotated[Day | UnsetType, says("The first day; absent: from the beginning.")] = (
        UNSET
    )
    last_day: Annotated[Day | UnsetType, says("The last day, inclusive.")] = UNSET
    time_zone: Annotated[Zone | UnsetType, says("Absent: UTC.")] = UNSET
    indicator: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType,
        says("A LOINC code, or a name as people type it."),
    ] = UNSET


class SeriesPoint(Struct):
    """One value on its day."""

    at: Annotated[int, says("Unix ms.")]
    value: Annotated[float, says("In the series' unit.")]
    text: Annotated[str, says("The same in digits.")]
    table: Annotated[str, says("Of the record that it comes from.")]
    id: Annotated[str, says("Of the record that it comes from.")]
    comparator: Annotated[
        str, says("`<`, `<=`, `>` or `>=`: the value is a bound; empty: it is the value.")
    ] = ""
    low: Annotated[float | None, says("The range that decides for it; null: open.")] = None
    high: Annotated[float | None, says("The range that decides for it; null: open.")] = None
    whose: Annotated[
        str | None, says("Whose range: `report` or `family`; null: there is none.")
    ] = None
    place: Annotated[
        str | None,
        says("`low`, `in` or `high`; null: no range, or a bound that does not tell."),
    ] = None
    entered: Annotated[str, says("As it was entered; empty: it was computed.")] = ""
    question: Annotated[str | None, says("Code of what is asked about it and not answered.")] = None
    assumed: Annotated[
        int, says("Of volume per kg: transfusions for which the profile's weight stands in.")
    ] = 0
    missing: Annotated[
        int,
        says("Of volume per kg: transfusions without a volume or a weight. The sum lacks them."),
    ] = 0
    partial: Annotated[
        bool, says("Of volume per kg: the records do not reach over the whole year.")
    ] = False


class Unplaced(Struct):
    """A value that has no number in the series' unit."""

    at: Annotated[int, says("Unix ms.")]
    entered: str
    table: str
    id: str
    question: Annotated[str | None, says("Code of what is asked about it; null: nothing is.")] = (
        None
    )


class Series(Struct):
    """Values of one kind, the oldest first."""

    kind: str
    name: Annotated[str, says("In English, or as the family calls its own indicator.")]
    loinc: str | None
    unit: Annotated[str, says("UCUM; of a family's own indicator as it is written; empty: none.")]
    points: list[SeriesPoint]
    unplaced: list[Unplaced]
    left_off: Annotated[int, says(f"Older points beyond {MOST_POINTS}.")] = 0


class SeriesFound(Struct):
    """The series of a family."""

    scope_id: str
    series: list[Series]


def profile_of(household: Household) -> Mapping[str, Any]:
    """The family's profile; empty if there is none."""
    found = household.tables[PROFILES]
    document = found.get(household.scope_id) or next(iter(found.values()), None)
    return {} if document is None else document.fields


def opened(text: Any) -> Any:
    """A JSON column; None if it is empty."""
    return orjson.loads(text) if isinstance(text, str) and text else None


def family_ranges(household: Household) -> dict[str, dict[str, float]]:
    """The family's own ranges, by LOINC code."""
    return ranges_of(profile_of(household))


def ranges_of(profile: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The ranges of a profile, without what is no number."""
    stored = opened(profile.get("ranges"))
    found = {}
    for code, ends in (stored if isinstance(stored, dict) else {}).items():
        kept = {
            end: value
            for end in ("low", "high")
            if isinstance(ends, dict) and (value := number_of(ends.get(end))) is not None
        }
        if kept:
            found[code] = kept
    return found


class IndicatorValue(NamedTuple):
    """One indicator as a record has it, with what the server knows of it."""

    at: int
    table: str
    id: str
    name: str
    said: Mapping[str, Any]  #: as entered: value, value_text, unit, and the report's own range
    found: Mapping[str, Any]  #: loinc, canonical_value, canonical_unit, comparator
    question: str | None
    side: str = ""  #: of a transfusion: "before" or "after"
    field: str = "value"  #: under which it is asked about


def values_of(household: Household) -> Iterator[IndicatorValue]:
    """Every indicator that a family has, of blood tests and of transfusions; in no order."""
    tests = household.tables[BLOOD_TESTS]
    for result in household.of(RESULTS):
        test = tests.get(str(result.fields["blood_test_id"]))
        if test is not None:
            yield value_of_result(result, test)
    for given in household.of(TRANSFUSIONS):
        yield from values_of_transfusion(given)


def value_of_result(result: Document, test: Document) -> IndicatorValue:
    """The indicator of one result of a blood test."""
    fields, code = result.fields, question(result, "value") or question(test, "date")
    name = str(fields["name"])
    return IndicatorValue(day_of(test), RESULTS, result.key.id, name, fields, fields, code)


def values_of_transfusion(given: Document) -> Iterator[IndicatorValue]:
    """The indicators before and after a transfusion, in their order."""
    for side, found in (given.fields.get("indicators") or {}).items():
        entered = opened(given.fields.get(f"indicators_{side}")) or []
        for place, (said, known) in enumerate(zip(entered, found, strict=False)):
            field, name = f"indicators_{side}[{place}]", str(known.get("name") or "")
            code = question(given, field) or question(given, "date")
            at = day_of(given)
            yield IndicatorValue(
                at, TRANSFUSIONS, given.key.id, name, said, known, code, side, field
            )


def question(document: Document, field: str) -> str | None:
    """The code of what is asked about a field of a record."""
    asked = (document.fields.get("questions") or {}).get(field)
    return asked["code"] if asked else None


def entered(said: Mapping[str, Any]) -> str:
    """An indicator as somebody entered it: "9.4 g/dL"."""
    value, unit = said.get("value"), said.get("unit")
    if (plain_number := number_of(value)) is not None:
        value = digits(number(plain_number))
    elif not isinstance(value, str):
        value = said.get("value_text")
    return " ".join(str(part).strip() for part in (value, unit) if part)[:200]


def digits(value: Decimal) -> str:
    """A decimal without an exponent and without zeros at its end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


# --- indicators


def indicator(household: Household, which: str) -> list[Series]:
    """All that a family has of an indicator: one series, of a family's own one a unit."""
    analyte = named(which)
    if analyte is not None:
        mine = [one for one in values_of(household) if one.found.get("loinc") == analyte.loinc]
        return [_known(household, "indicator", analyte.loinc, mine)]
    return list(indicators(household, (one for one in values_of(household) if _is_own(one, which))))


def _is_own(value: IndicatorValue, which: str) -> bool:
    return value.found.get("loinc") is None and plain(value.name) == plain(which)


def indicators(household: Household, values: Iterable[IndicatorValue]) -> Iterator[Series]:
    """Some values of a family as series, one an indicator, of its own ones one a unit."""
    groups: dict[tuple[str | None, str, str], list[IndicatorValue]] = {}
    for each in values:
        loinc, unit = each.found.get("loinc"), str(each.said.get("unit") or "").strip()
        key = (None, plain(each.name), ucum(unit) or unit) if loinc is None else (loinc, "", "")
        groups.setdefault(key, []).append(each)
    for (loinc, _, unit), some in sorted(
        groups.items(), key=lambda one: (one[0][0] or "~", *one[0][1:])
    ):
        if loinc is not None:
            yield _known(household, "indicator", loinc, some)
        else:
            yield _own(some[-1].name, unit, some)


def _known(household: Household, kind: str, loinc: str, values: Iterable[IndicatorValue]) -> Series:
    analyte = BY_LOINC[loinc]
    # what a family wants before a transfusion says nothing of the hours after it
    family = {} if kind == "haemoglobin_after" else family_ranges(household)
    points, unplaced = [], []
    for each in values:
        value = each.found.get("canonical_value")
        if value is None:
            unplaced.append(_unplaced(each))
            continue
        points.append(_point(each, value, range_of(each, family)))
    return _series(kind, analyte.name, loinc, analyte.unit, points, unplaced)


def _own(name: str, unit: str, values: Iterable[IndicatorValue]) -> Series:
    points, unplaced = [], []
    for each in values:
        value = number_of(each.said.get("value"))
        if value is None:
            unplaced.append(_unplaced(each))
            continue
        report = (number_of(each.said.get("range_low")), number_of(each.said.get("range_high")))
        points.append(_point(each, value, applied(report, None, {})))
    return _series("indicator", name, None, unit, points, unplaced)


def range_of(value: IndicatorValue, family: Mapping[str, Any]) -> AppliedRange | None:
    """The range of an indicator that is known, in its analyte's unit."""
    loinc = value.found["loinc"]
    ends = [_end(value.said, end, loinc) for end in ("range_low", "range_high")]
    own = {} if value.side == "after" else family  # a family's aim is one before transfusions
    return applied((ends[0], ends[1]), loinc, own)


def _end(said: Mapping[str, Any], end: str, loinc: str) -> float | None:
    """An end of the report's own range, in the analyte's unit."""
    value, unit = number_of(said.get(end)), said.get("unit")
    if value is None:
        return None
    found = canonical(BY_LOINC[loinc], number(value), unit if isinstance(unit, str) else None)
    return None if found is None or abs(found) > LARGEST else float(found)


def number_of(value: Any) -> float | None:
    """A number of a JSON column; None: it is none, or one that nothing is counted with."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= LARGEST else None


def _point(each: IndicatorValue, value: float, range_: AppliedRange | None) -> SeriesPoint:
    sign = each.found.get("comparator") or ""
    return SeriesPoint(
        each.at,
        value,
        digits(number(value)),
        each.table,
        each.id,
        sign,
        range_.low if range_ else None,
        range_.high if range_ else None,
        range_.whose if range_ else None,
        placed(range_, sign, value) if range_ else None,
        entered(each.said),
        each.question,
    )


def placed(range_: AppliedRange, sign: str, value: float) -> str | None:
    """Where a value lies; of a bound only what is certain.

    value   5      < 5     < 100            > 59
    range   10-40  10-40   10-40            10-40
    place   low    low     None: may be 20  high
    """
    here = range_.place(value)
    if not sign:
        return here
    beyond, end, other = (
        ("low", range_.low, range_.high)
        if sign.startswith("<")
        else ("high", range_.high, range_.low)
    )
    if here == beyond or (value == end and len(sign) == 1):
        return beyond
    return "in" if here == "in" and end is None and other is not None else None


def _unplaced(each: IndicatorValue) -> Unplaced:
    return Unplaced(each.at, entered(each.said), each.table, each.id, each.question)


def _series(
    kind: str,
    name: str,
    loinc: str | None,
    unit: str,
    points: list[SeriesPoint],
    unplaced: list[Unplaced],
) -> Series:
    points.sort(key=lambda each: (each.at, each.id, each.text))
    unplaced.sort(key=lambda each: (each.at, each.id))
    return Series(kind, name, loinc, unit, points, unplaced)


# --- transfusions


def standard(household: Household, period: Period) -> list[Series]:
    """The series that every family is shown. Days go by the period's zone; nothing is cut."""
    values = list(values_of(household))
    haemoglobin = [each for each in values if each.found.get("loinc") == HAEMOGLOBIN]
    ferritin = [each for each in values if each.found.get("loinc") == FERRITIN]
    sides = [
        _known(
            household,
            f"haemoglobin_{side}",
            HAEMOGLOBIN,
            [each for each in haemoglobin if each.side == side],
        )
        for side in ("before", "after")
    ]
    given = sorted(household.of(TRANSFUSIONS), key=lambda each: (day_of(each), each.key.id))
    doses = [_dose(each, profile_of(household).get("weight_kg")) for each in given]
    return [
        *sides,
        _known(household, "ferritin", FERRITIN, ferritin),
        _rolling(doses, period),
        _yearly(doses, period),
        _intervals(given, period),
    ]


class _Dose(NamedTuple):
    """What a transfusion gave, in ml a kg; None: its volume or weight is missing."""

    document: Document
    per_kg: Fraction | None
    assumed: bool  #: the weight is the profile's
    question: str | None


def _dose(given: Document, profile_kg: float | None) -> _Dose:
    volume, own = given.fields.get("volume_ml"), given.fields.get("weight_kg")
    weight = own or profile_kg
    asked = question(given, "volume_ml") or question(given, "weight_kg") or question(given, "date")
    if volume is None or volume < 0 or not weight or weight < _LEAST_KG:
        return _Dose(given, None, False, asked)
    return _Dose(given, Fraction(number(volume)) / Fraction(number(weight)), not own, asked)


def _rolling(doses: list[_Dose], period: Period) -> Series:
    """The year up to each transfusion, its day included."""
    days = [period.day(day_of(each.document)) for each in doses]
    points, start = [], 0
    for place, dose in enumerate(doses):
        while days[start] <= days[place] - _YEAR:
            start += 1
        partial = days[0] > days[place] - _YEAR
        points.append(_sum(dose.document, doses[start : place + 1], partial))
    return _series("volume_per_kg_rolling", "Volume per kg, 365 days", None, "mL/kg", points, [])


def _yearly(doses: list[_Dose], period: Period) -> Series:
    years: dict[int, list[_Dose]] = {}
    for dose in doses:
        years.setdefault(period.day(day_of(dose.document)).year, []).append(dose)
    first, last = min(years, default=0), max(years, default=0)
    points = [
        _sum(some[-1].document, some, year in (first, last)) for year, some in sorted(years.items())
    ]
    return _series("volume_per_kg_year", "Volume per kg, calendar year", None, "mL/kg", points, [])


def _sum(last: Document, doses: list[_Dose], partial: bool) -> SeriesPoint:
    total = sum((each.per_kg for each in doses if each.per_kg is not None), Fraction(0))
    rounded = Decimal(f"{Decimal(round(total * 10)) / 10:f}")
    missing = sum(each.per_kg is None for each in doses)
    return SeriesPoint(
        day_of(last),
        float(rounded),
        digits(rounded),
        TRANSFUSIONS,
        last.key.id,
        ">=" if missing else "",
        question=next((each.question for each in reversed(doses) if each.question), None),
        assumed=sum(each.assumed for each in doses),
        missing=missing,
        partial=partial,
    )


def _intervals(given: list[Document], period: Period) -> Series:
    """Days between one day with a transfusion and the next."""
    points, before = [], None
    for each in given:
        day = period.day(day_of(each))
        if before is not None and day != before[0]:
            days = (day - before[0]).days
            asked = question(each, "date") or question(before[1], "date")
            points.append(
                SeriesPoint(
                    day_of(each), days, str(days), TRANSFUSIONS, each.key.id, question=asked
                )
            )
        before = (day, each)
    return _series("interval", "Days since the transfusion before", None, "d", points, [])


def cut(series: Series, period: Period) -> Series:
    """What lies in a period, and of that the newest points."""
    points = [each for each in series.points if period.holds(each.at)]
    return structs.replace(
        series,
        points=points[-MOST_POINTS:],
        unplaced=[each for each in series.unplaced if period.holds(each.at)][-MOST_POINTS:],
        left_off=max(0, len(points) - MOST_POINTS),
    )


def touched(series: Iterable[Series]) -> dict[str, list[str]]:
    """Ids of the records that some series show, by table."""
    found: dict[str, dict[str, None]] = {}
    for each in series:
        rows = [(one.table, one.id) for one in each.points]
        for table, id in [*rows, *((one.table, one.id) for one in each.unplaced)]:
            found.setdefault(table, {})[id] = None
    return {table: list(ids) for table, ids in found.items()}


def _day(text: str | UnsetType, field: str) -> date | None:
    if not isinstance(text, str):
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest("There is no such day.", field=field) from None
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise InvalidRequest(f"Days are of the years {_FIRST_YEAR} to {_LAST_YEAR}.", field=field)
    return day


def routes(parts: Parts, households: Households) -> tuple[Route, ...]:
    """The route of charts."""

    def show_series(call: Call, asked: SeriesAsked) -> Response:
        """What charts show.

        Haemoglobin before and after transfusions, ferritin, volume per kg and year, days between
        transfusions; or one indicator. Each value with the range that it is held against: that of its own
        report, else the family's, else none.
        """
        scope = family_of(parts.store(), call.caller, asked.scope)
        period = Period.of(asked.first_day, asked.last_day, asked.time_zone)
        household = households.of(scope)
        found = (
            indicator(household, asked.indicator)
            if isinstance(asked.indicator, str)
            else standard(household, period)
        )
        shown = [cut(each, period) for each in found]
        audit.reading(
            parts.store(), call.caller, "read_series", {scope: touched(shown)}, parts.clock_ms()
        )
        call.notes["points"] = sum(len(each.points) for each in shown)
        return answer(SeriesFound(scope, shown), call=call)

    return (
        Route(
            "GET",
            "/api/v1/series",
            show_series,
            name="getSeries",
            asks=SeriesAsked,
            gives=SeriesFound,
            names=(Series, SeriesPoint, Unplaced),
            faults=("invalid_request", NotFound, StoreUnavailable),
        ),
    )
