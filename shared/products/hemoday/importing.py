"""What the rows of a CSV file mean as a family's records; nothing is stored here.

    our own export    a row a record, all columns that people fill in, ids and times kept
    wide              a day a row, an indicator a column; the unit in the header or in a row below it
    long              an indicator a row: day, indicator, value, unit, range
    transfusions      a row each: day, volume, weight, medication, indicators before and after

Headers are understood in English, Russian, Arabic and Hindi. A header that is none of ours is a family's
own indicator. Ids are hashes of the family and of what a record says, so the same row gives the same
record; of an export of this family they are its own. What cannot be taken is given back with its line and
column.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from shared.errors import InvalidRequest
from shared.export.formats import FORMULA
from shared.export.rows import columns_of
from shared.products.hemoday.indicators import named, plain, reading
from shared.products.hemoday.sheet import Sheet
from shared.products.hemoday.tables import BLOOD_TESTS, CATALOG, PROFILES, RESULTS, TRANSFUSIONS
from shared.products.hemoday.units import ucum
from shared.records import record
from shared.records.collection import Collection, Field, Owner, RecordFault, Type

#: Records of one file.
MOST_RECORDS = 5_000

#: How people write a column's name; `plain` of a header is looked for.
_WORDS: Mapping[str, str] = {
    "date": "date; day; test date; collected; дата; день; дата анализа; التاريخ; تاريخ; اليوم; दिनांक; तारीख; "
    "तारीख़; दिन",
    "name": "indicator; test; test name; analyte; parameter; показатель; анализ; исследование; المؤشر; "
    "التحليل; الفحص; اسم الفحص; संकेतक; जाँच; जांच; परीक्षण",
    "value": "value; result; значение; результат; القيمة; النتيجة; मान; परिणाम",
    "unit": "unit; units; единица; единицы; ед; ед изм; единица измерения; الوحدة; وحدة; इकाई",
    "range_low": "low; lower limit; range low; min; нижняя граница; от; الحد الأدنى; न्यूनतम",
    "range_high": "high; upper limit; range high; max; верхняя граница; до; الحد الأعلى; अधिकतम",
    "laboratory": "laboratory; lab; лаборатория; المختبر; مختبر; प्रयोगशाला; लैब",
    "comment": "comment; comments; note; notes; remark; комментарий; примечание; ملاحظة; ملاحظات; تعليق; टिप्पणी",
    "volume_ml": "volume; volume ml; blood volume; объем; объем мл; объем крови; الحجم; حجم الدم; मात्रा; आयतन",
    "weight_kg": "weight; weight kg; body weight; вес; масса; масса тела; الوزن; वज़न; वजन; भार",
    "medication": "medication; medicine; drug; chelation; лекарство; лекарства; препарат; хелаторы; الدواء; "
    "الأدوية; दवा; दवाएँ; दवाएं",
}
_FIELDS = {plain(word): name for name, words in _WORDS.items() for word in words.split(";")}
_SIDES = {
    plain(word): side
    for side, words in {
        "before": "before; pre; before transfusion; до; до трансфузии; перед трансфузией; قبل; قبل نقل الدم; पहले",
        "after": "after; post; after transfusion; после; после трансфузии; بعد; بعد نقل الدم; बाद",
    }.items()
    for word in words.split(";")
}

#: Units that the columns of a transfusion may name.
_OWN_UNITS = {
    "volume_ml": frozenset(["ml", "мл", "مل", "मिली", "cc"]),
    "weight_kg": frozenset(["kg", "кг", "كغ", "كجم", "किग्रा"]),
}

_UNIT = re.compile(r"(.*?)\s*[(\[,;]\s*([^()\[\]]+?)\s*[)\]]?")
_DATE = re.compile(
    r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})(?:[T ]+(\d{1,2}):(\d\d)(?::\d\d(?:\.\d+)?)?)?"
)
#: The largest number that a table takes; a larger one is kept as its text, and asked about.
_LARGEST = 10**9

#: A whole number of so many digits is none that a phone counts.
_LONG = 18

_TRUTH = {"true": True, "false": False}
_PLAIN_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")

_TEST = frozenset({"date", "laboratory", "comment"})

#: Columns that a kind of file has.
_KINDS: Mapping[str, frozenset[str]] = {
    "wide": _TEST,
    "long": _TEST | {"name", "value", "unit", "range_low", "range_high"},
    "transfusions": frozenset({"date", "volume_ml", "weight_kg", "medication", "comment"}),
}


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person says about a file: days of "03/04/2026", units by the number of a column."""

    zone: ZoneInfo
    date_order: str | None = None  #: "day_first" or "month_first"
    units: Mapping[str, str] = field(default_factory=dict)


class SheetColumn(NamedTuple):
    """What a column of the file means; `means` is a column of ours, or the name of an indicator."""

    number: int  #: from 1
    header: str
    means: str
    unit: str
    side: str = ""  #: of a transfusion's indicator


class FileRecord(NamedTuple):
    """A record that the file has; `created_ms` and `modified_ms` of an own export."""

    table: str
    id: str
    line: int
    values: dict[str, Any]  #: as a phone sends it: JSON opened, times in ms
    own_id: bool = False
    created_ms: int | None = None
    modified_ms: int | None = None


class GivenBack(NamedTuple):
    """What was not taken."""

    line: int
    column: int | None
    header: str
    code: str
    message: str


@dataclass(slots=True)
class Plan:
    """What would be stored of a file. With an `ask`, nothing: a person says which it is first."""

    kind: str
    columns: list[SheetColumn]
    taken: dict[tuple[str, str], FileRecord] = field(default_factory=dict)
    given_back: list[GivenBack] = field(default_factory=list)
    ask: str | None = None  #: "date_order"

    def give_back(self, line: int, column: SheetColumn | None, code: str, message: str) -> None:
        """Note what is not taken."""
        number, header = (None, "") if column is None else (column.number, column.header[:100])
        self.given_back.append(GivenBack(line, number, header, code, message))

    def take(self, one: FileRecord) -> None:
        """Take a record, once. Raises `InvalidRequest` for one too many."""
        earlier = self.taken.get((one.table, one.id))
        if earlier is not None:
            if one.table != BLOOD_TESTS or one.own_id:
                self.give_back(one.line, None, "twice", f"The same as line {earlier.line}.")
        elif len(self.taken) >= MOST_RECORDS:
            raise InvalidRequest(
                f"The file holds more than {MOST_RECORDS} records. Take it in parts.", field="text"
            )
        else:
            self.taken[one.table, one.id] = one

    def token(self, scope: str) -> str:
        """A hash of all that would be stored, and of what would not."""
        said = [scope, *self.taken.values(), *self.given_back]
        return hashlib.sha256(orjson.dumps(said, default=list)).hexdigest()


def planned(sheet: Sheet, scope: str, answers: Answers) -> Plan:
    """What the rows mean for a family. Raises `InvalidRequest` if they are too many."""
    (_, header), *rows = sheet.rows
    header = [cell.strip() for cell in header]
    table = _exported(header)
    if table is not None:
        return _of_export(table, header, rows, scope)
    columns = [_column(at, cell, answers) for at, cell in enumerate(header, 1)]
    means = {each.means for each in columns}
    kind = "wide"
    if {"name", "value"} <= means:
        kind = "long"
    elif means & {"volume_ml", "weight_kg"} or any(each.side for each in columns):
        kind = "transfusions"
    columns, rows = _with_units(columns, rows, kind)
    plan = Plan(kind, [])
    plan.columns = list(_used(plan, columns, sheet.rows))
    days = next((each for each in columns if each.means == "date"), None)
    if days is None:
        plan.give_back(
            sheet.rows[0][0], None, "no_date", "No column is called date, дата, التاريخ or दिनांक."
        )
        return plan
    order = answers.date_order or _order(_cell(row, days) for _, row in rows)
    if order is None:
        plan.ask = "date_order"
        return plan
    _Rows(plan, scope, answers.zone, order, len(header)).read(rows)
    return plan


def _used(
    plan: Plan, columns: Sequence[SheetColumn], rows: Sequence[tuple[int, list[str]]]
) -> Iterator[SheetColumn]:
    """The columns that this kind of file has; others with something in them are given back."""
    line, met = rows[0][0], set()
    for each in columns:
        own = each.means in _KINDS[plan.kind] and not each.side
        if plan.kind == "wide" and not own:
            each = each._replace(means=each.means if each.means not in _WORDS else each.header)
        if own and each.means in met:
            code, message = "twice", "There is another column of this meaning. It is not read."
        elif own or each.side or (plan.kind == "wide" and each.means):
            met.add(each.means)
            yield each
            continue
        elif not each.header:
            code, message = "no_header", "The column has no header."
        else:
            code, message = (
                "unknown_column",
                "This kind of file has no such column. It is not read.",
            )
        if any(_cell(row, each) for _, row in rows[1:]):
            plan.give_back(line, each, code, message)


# --- headers


def _column(number: int, header: str, answers: Answers) -> SheetColumn:
    """What a header means."""
    given = answers.units.get(str(number), "")
    name, unit = header, ""
    split = _UNIT.fullmatch(header)
    if split and (ucum(split[2]) or plain(split[2]) in set().union(*_OWN_UNITS.values())):
        name, unit = split[1], split[2]
    means = _FIELDS.get(plain(name)) or _FIELDS.get(plain(header))
    if means:
        return SheetColumn(number, header, means, given or unit)
    words = name.split()
    for length in range(len(words) - 1, 0, -1):
        for side, rest in (
            (_SIDES.get(plain(" ".join(words[-length:]))), words[:-length]),
            (_SIDES.get(plain(" ".join(words[:length]))), words[length:]),
        ):
            if side and named(" ".join(rest)):
                return SheetColumn(number, header, " ".join(rest), given or unit, side)
    return SheetColumn(number, header, name.strip()[:200], given or unit)


def _with_units(
    columns: list[SheetColumn], rows: list[tuple[int, list[str]]], kind: str
) -> tuple[list[SheetColumn], list[tuple[int, list[str]]]]:
    """Units of a row below the header, if there is one: no day in it, and units of others."""
    days = next((each for each in columns if each.means == "date"), None)
    if kind == "long" or days is None or not rows:
        return columns, rows
    _, row = rows[0]
    first = _cell(row, days)
    others = [_cell(row, each) for each in columns if each is not days]
    if (first and _FIELDS.get(plain(first)) != "unit") or not any(map(ucum, filter(None, others))):
        return columns, rows
    return [each._replace(unit=each.unit or _cell(row, each)) for each in columns], rows[1:]


def _cell(row: Sequence[str], column: SheetColumn) -> str:
    """A cell as somebody typed it, without the blanks around it."""
    return _unquoted(row[column.number - 1].strip()) if column.number <= len(row) else ""


def _unquoted(text: str) -> str:
    """A text without the apostrophe that our exports put before what looks like a formula."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(FORMULA) else text


# --- days


def _order(days: Iterator[str]) -> str | None:
    """Whether days come before months: as some of them tell; None: they tell nothing, or both."""
    seen = set()
    for text in days:
        found = _DATE.fullmatch(text)
        if found is None or len(found[1]) == 4:
            continue
        if found[2] == ".":  # nobody writes months first with points
            seen.add("day_first")
            continue
        first, second = int(found[1]), int(found[3])
        seen.add("day_first" if first > 12 else "month_first" if second > 12 else "either")
    told = seen - {"either"}
    if len(told) == 1:
        return told.pop()
    return None if seen else "day_first"


def _moment(text: str, order: str, zone: ZoneInfo) -> int | None:
    """A day as Unix ms, at noon if no time is said; None: it is none."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    first, second, third = int(found[1]), int(found[3]), int(found[4])
    if len(found[1]) == 4:
        year, month, day = first, second, third
    else:
        day, month = (first, second) if order == "day_first" or found[2] == "." else (second, first)
        year = third + 2000 if len(found[4]) == 2 else third
    hour, minute = (int(found[5]), int(found[6])) if found[5] else (12, 0)
    try:
        when = datetime.combine(date(year, month, day), time(hour, minute), zone)
        at = round(when.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return at if at >= 0 else None


# --- rows of laboratories and of people


class _Rows:
    """Reads rows whose columns are known."""

    def __init__(self, plan: Plan, scope: str, zone: ZoneInfo, order: str, width: int) -> None:
        self._plan, self._scope, self._zone, self._order = plan, scope, zone, order
        self._width = width  #: of the header
        self._by = {each.means: each for each in plan.columns if not each.side}

    def read(self, rows: Sequence[tuple[int, list[str]]]) -> None:
        """Take each row."""
        how = {"wide": self._wide, "long": self._long, "transfusions": self._transfusion}
        for line, row in rows:
            at = _moment(self._text(row, "date"), self._order, self._zone)
            extra = len(row) - self._width
            if any("\0" in cell for cell in row):
                message = "The row has a zero byte: it is broken."
                self._plan.give_back(line, None, "unreadable_text", message)
            elif at is None:
                message = "Write the day as 2026-03-31 or 31.03.2026."
                self._plan.give_back(line, self._by["date"], "unreadable_date", message)
            elif extra > 0 and any(map(str.strip, row[-extra:])):
                message = "The row has more cells than the header: is a comma inside a number?"
                self._plan.give_back(line, None, "too_many_cells", message)
            else:
                how[self._plan.kind](line, row, at)

    def _text(self, row: Sequence[str], name: str) -> str:
        column = self._by.get(name)
        return "" if column is None else _cell(row, column)

    def _test(self, line: int, row: Sequence[str], at: int) -> str:
        values = {"date": at, **self._texts(row, "laboratory", "comment")}
        id = self._id(BLOOD_TESTS, values)
        self._plan.take(FileRecord(BLOOD_TESTS, id, line, values))
        return id

    def _texts(self, row: Sequence[str], *names: str) -> dict[str, Any]:
        return {name: text for name in names if (text := self._text(row, name))}

    def _id(self, table: str, values: Mapping[str, Any]) -> str:
        return _hashed(self._scope, table, values)

    def _wide(self, line: int, row: Sequence[str], at: int) -> None:
        there = [
            (each, text)
            for each in self._plan.columns
            if each.means not in _TEST and (text := _cell(row, each))
        ]
        if not there:
            self._plan.give_back(line, None, "empty", "The row has a day and no value.")
            return
        test = ""
        for column, text in there:
            if fits := self._indicator(line, column, text):
                test = test or self._test(line, row, at)
                self._result(line, test, {"name": column.means, **fits}, column.unit)

    def _indicator(self, line: int, column: SheetColumn, text: str) -> dict[str, Any] | None:
        """A value as a number, or as its text where it is no plain one."""
        if len(text) > 200:
            self._plan.give_back(line, column, "too_long", "A value may have 200 characters.")
            return None
        found = reading(text)
        if found is None or found.comparator or abs(found.value) > _LARGEST:
            return {"value_text": text}
        whole = found.value == found.value.to_integral_value()
        return {"value": int(found.value) if whole else float(found.value)}

    def _result(self, line: int, test: str, values: dict[str, Any], unit: str) -> None:
        whole = {"blood_test_id": test, **values, **({"unit": unit} if unit else {})}
        self._plan.take(FileRecord(RESULTS, self._id(RESULTS, whole), line, whole))

    def _long(self, line: int, row: Sequence[str], at: int) -> None:
        name, text = self._text(row, "name"), self._text(row, "value")
        column = self._by["value"]
        if not name or not text:
            missing = column if name else self._by["name"]
            self._plan.give_back(
                line, missing, "empty", "The row lacks its indicator or its value."
            )
            return
        ends = {}
        for end in ("range_low", "range_high"):
            if said := self._text(row, end):
                found = reading(said)
                if found is None or found.comparator:
                    message = "This end of the range is no number."
                    self._plan.give_back(line, self._by[end], "unreadable_value", message)
                    return
                ends[end] = float(found.value)
        if fits := self._indicator(line, column, text):
            unit = self._text(row, "unit") or column.unit
            self._result(line, self._test(line, row, at), {"name": name, **fits, **ends}, unit)

    def _transfusion(self, line: int, row: Sequence[str], at: int) -> None:
        values: dict[str, Any] = {"date": at, **self._texts(row, "medication", "comment")}
        for name in ("volume_ml", "weight_kg"):
            text, column = self._text(row, name), self._by.get(name)
            if not text or column is None:
                continue
            found = reading(text)
            if found is None or found.comparator or not _own_unit(column):
                message = "Write a number alone: volumes in ml, weights in kg."
                self._plan.give_back(line, column, "unreadable_value", message)
                return
            values[name] = float(found.value)
        for column in self._plan.columns:
            text = _cell(row, column) if column.side else ""
            if text and (fits := self._indicator(line, column, text)):
                unit = {"unit": column.unit} if column.unit else {}
                side = values.setdefault(f"indicators_{column.side}", [])
                side.append({"name": column.means, **fits, **unit})
        self._plan.take(FileRecord(TRANSFUSIONS, self._id(TRANSFUSIONS, values), line, values))


def _own_unit(column: SheetColumn) -> bool:
    return not column.unit or plain(column.unit) in _OWN_UNITS[column.means]


def _hashed(scope: str, table: str, said: Any) -> str:
    text = orjson.dumps([scope, table, said], option=orjson.OPT_SORT_KEYS)
    return f"csv-{hashlib.sha256(text).hexdigest()[:40]}"


# --- our own exports


def _exported(header: Sequence[str]) -> Collection | None:
    """The table whose export this is."""
    there = set(header)
    if not {"id", record.SCOPE, record.CREATED} <= there:
        return None
    found = [
        each for each in CATALOG.collections if there <= {one.name for one in columns_of(each)}
    ]
    return found[0] if len(found) == 1 else None


def _of_export(
    table: Collection, header: Sequence[str], rows: Sequence[tuple[int, list[str]]], scope: str
) -> Plan:
    columns = [SheetColumn(at, name, name, "") for at, name in enumerate(header, 1)]
    plan = Plan("export", columns)
    for line, row in rows:
        cells = dict(zip(header, [*row, *[""] * (len(header) - len(row))], strict=False))
        if cells.get(record.DELETED, "").strip():
            plan.give_back(line, None, "deleted", "The record was deleted when it was exported.")
            continue
        values: dict[str, Any] = {}
        reads = record.CREATED
        try:
            created = _time(cells[record.CREATED])
            changed = _time(cells.get(record.MODIFIED, ""))
            for spec in table.fields:
                reads = spec.name
                if spec.owner is Owner.CLIENT and (text := cells.get(spec.name, "")):
                    values[spec.name] = _stored(spec, text)
        except (ValueError, OverflowError, KeyError):
            at = next(each for each in columns if each.means == reads)
            plan.give_back(line, at, "unreadable_value", "This is not as an export of ours has it.")
            continue
        mine = cells[record.SCOPE] == scope
        id = _kept(scope, table.name, cells["id"], mine)
        if table.parent is not None and table.parent.name in values:
            of = str(table.parent.references)
            values[table.parent.name] = _kept(scope, of, values[table.parent.name], mine)
        plan.take(FileRecord(table.name, id, line, values, True, created, changed))
    return plan


def _kept(scope: str, table: str, id: str, mine: bool) -> str:
    """The id of a record of an export: its own in its family, else one that follows from it."""
    if table == PROFILES:
        return scope
    return id if mine and record.valid_id(id) else _hashed(scope, table, id)


def _stored(spec: Field, text: str) -> Any:
    """A cell of an export as a phone would send it. Raises `ValueError`."""
    match spec.type:
        case Type.STRING:
            return _unquoted(text)
        case Type.TIME:
            return _time(text)
        case Type.BOOLEAN:
            return _TRUTH[text.strip().lower()]
        case Type.NUMBER | Type.INTEGER:
            said = unicodedata.normalize("NFKC", text.strip()).replace(",", ".")
            if not _PLAIN_NUMBER.fullmatch(said):
                raise ValueError(spec.name)
            return int(said) if len(said) < _LONG and said.lstrip("-").isdigit() else float(said)
        case _:
            return orjson.loads(_unquoted(text))


def _time(text: str) -> int | None:
    """A time as exports have it, Unix ms; None: empty. Raises `ValueError`."""
    if not text.strip():
        return None
    return round(datetime.fromisoformat(text.strip()).timestamp() * 1000)


def checked(one: FileRecord) -> dict[str, Any]:
    """The columns of a record as they would be stored. Raises `RecordFault`."""
    table = CATALOG.by_name[one.table]
    values = table.coerce(one.values).values
    table.check_complete(values)
    if not record.valid_id(one.id):
        raise RecordFault("id", "invalid_id", "The id is none.")
    return values
