"""Forms of records: what stands in them, and what was typed as a phone would send it.

A form carries what its record held when it was shown (`was`). Only what somebody changed is sent, so that
what another phone changed meanwhile stays. A number may have a decimal comma; a day is a day of the
console's time zone and is kept as its noon.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo

from shared.console.page import N_
from shared.console.words import Words
from shared.errors import InvalidRequest
from shared.products.hemoday.pages.words import CATEGORIES, FREQUENCIES, SEXES

Values = Mapping[str, Any]

#: Rows for indicators that are empty, after those that are there.
_EMPTY_ROWS = 3


@dataclass(frozen=True, slots=True)
class Input:
    """One field of a form."""

    name: str
    label: str
    kind: str = "text"  #: text, area, number, day, moment, choice, check, indicators
    choices: Mapping[str, str] | None = None
    required: bool = False
    help: str = ""


FORMS: Mapping[str, tuple[Input, ...]] = {
    "transfusions": (
        Input("date", N_("Day"), "day", required=True),
        Input("volume_ml", N_("Volume, ml"), "number"),
        Input("weight_kg", N_("Weight that day, kg"), "number"),
        Input("indicators_before", N_("Before it"), "indicators"),
        Input("indicators_after", N_("After it"), "indicators"),
        Input("medication", N_("Medication given along"), "area"),
        Input("comment", N_("Comment"), "area"),
    ),
    "blood_tests": (
        Input("date", N_("Day"), "day", required=True),
        Input("laboratory", N_("Laboratory")),
        Input("comment", N_("Comment"), "area"),
    ),
    "documents": (
        Input("name", N_("Name"), required=True),
        Input("category", N_("Kind"), "choice", CATEGORIES),
        Input("date", N_("Day"), "day"),
    ),
    "reminders": (
        Input("title", N_("What to do"), required=True),
        Input("remind_at", N_("First time"), "moment", required=True),
        Input("frequency", N_("How often"), "choice", FREQUENCIES),
        Input(
            "every", N_("Days between two times"), "number", help=N_("For “every so many days”.")
        ),
        Input("ends_at", N_("Last day"), "day"),
        Input("completed", N_("Done for good"), "check"),
    ),
    "family_profiles": (
        Input("patient_name", N_("Name")),
        Input("sex", N_("Sex"), "choice", SEXES, help=N_("For ranges.")),
        Input("birth_date", N_("Birth date"), "birth"),
        Input("weight_kg", N_("Weight, kg"), "number"),
        Input("diagnosis", N_("Diagnosis")),
        Input("blood_group", N_("Blood group")),
    ),
}


def shown(inputs: Sequence[Input], record: Values, zone: ZoneInfo) -> dict[str, str]:
    """What a form's fields say of a record."""
    return {each.name: _said(each, record.get(each.name), zone) for each in inputs}


def rows(entered: object) -> list[dict[str, str]]:
    """Indicators as rows of a form, with some empty ones behind."""
    have = [each for each in entered if isinstance(each, dict)] if isinstance(entered, list) else []
    said = [
        {
            "name": str(each.get("name") or ""),
            "value": _value(each),
            "unit": str(each.get("unit") or ""),
        }
        for each in have
    ]
    return [*said, *({"name": "", "value": "", "unit": ""} for _ in range(_EMPTY_ROWS))]


def typed(
    inputs: Sequence[Input], sent: Mapping[str, str], was: Mapping[str, str], zone: ZoneInfo
) -> dict[str, Any]:
    """What somebody changed, by column, as it is stored: what they left alone is not in it.

    Raises `InvalidRequest` for what cannot be read, by its field.
    """
    changed: dict[str, Any] = {}
    for each in inputs:
        if each.kind == "indicators":
            entered = indicators(sent, each.name)
            if json.dumps(entered, sort_keys=True) != was.get(each.name, "[]"):
                changed[each.name] = entered
            continue
        text = sent.get(each.name, "").strip()
        if text == was.get(each.name, ""):
            continue
        if each.required and not text:
            raise InvalidRequest(N_("This must be filled in."), field=each.name)
        changed[each.name] = _READ[each.kind](each, text, zone) if text else _nothing(each)
    return changed


def indicators(sent: Mapping[str, str], name: str) -> list[dict[str, Any]]:
    """The rows of a form that say something."""
    return [
        {"name": row["name"], **_entered(row), "unit": row["unit"] or None}
        for row in rows_of(sent, name)
        if row["name"] and row["value"]
    ]


def rows_of(sent: Mapping[str, str], name: str) -> Iterator[dict[str, str]]:
    """The rows `NAME-0-name`, `NAME-0-value`, `NAME-0-unit`, … and further columns, in their order."""
    found: dict[int, dict[str, str]] = {}
    for key, value in sent.items():
        begin, _, rest = key.partition("-")
        place, _, column = rest.partition("-")
        if begin == name and place.isdecimal() and len(place) < 4:
            row = found.setdefault(int(place), {"name": "", "value": "", "unit": ""})
            row[column] = value.strip()
    yield from (found[place] for place in sorted(found))


def _entered(row: Mapping[str, str]) -> dict[str, Any]:
    """A value as a number, or as the text that a report prints."""
    found = _number_in(row["value"])
    return {"value_text": row["value"]} if found is None else {"value": found}


def result(row: Mapping[str, str]) -> dict[str, Any]:
    """A row as columns of a result: a number, or the text that a report prints."""
    found = _number_in(row["value"])
    return {
        "name": row["name"],
        "value": found,
        "value_text": None if found is not None else row["value"],
        "unit": row["unit"] or None,
    }


def amount(words: Words, each: object) -> str:
    """A value with its unit as it was entered, whatever a phone stored: a number as it is written here."""
    have = each if isinstance(each, dict) else {}
    value = have.get("value")
    said = words.number(value) if is_number(value) else str(value or have.get("value_text") or "–")
    return f"{said} {have['unit']}" if have.get("unit") else said


def named(each: object) -> str:
    """The name of an indicator, whatever a phone stored."""
    return str(each.get("name") or "–") if isinstance(each, dict) else "–"


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value of a JSON column is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(each: Values) -> str:
    value = each.get("value")
    return plain(value) if is_number(value) else str(value or each.get("value_text") or "")


def plain(value: float) -> str:
    """A number in digits, as a form's field holds it."""
    return f"{value:.12g}"


def day(at_ms: float, zone: ZoneInfo) -> str:
    """The day of a moment, as forms and queries name it."""
    return datetime.fromtimestamp(at_ms / 1000, zone).date().isoformat()


def _said(each: Input, value: Any, zone: ZoneInfo) -> str:
    if each.kind == "indicators":
        entered = value if isinstance(value, list) else []
        return json.dumps(
            indicators(
                {
                    f"{each.name}-{at}-{column}": text
                    for at, row in enumerate(rows(entered))
                    for column, text in row.items()
                },
                each.name,
            ),
            sort_keys=True,
        )
    if each.kind == "check":
        return "1" if value else ""
    if value is None:
        return ""
    if each.kind == "day":
        return day(value, zone)
    if each.kind == "moment":
        moment = datetime.fromtimestamp(value / 1000, zone)
        return moment.replace(tzinfo=None).isoformat(timespec="minutes")
    return plain(value) if each.kind == "number" else str(value)


def _nothing(each: Input) -> Any:
    return False if each.kind == "check" else None


def _number_in(text: str) -> float | int | None:
    try:
        read = float(text.replace(",", ".").replace("\u00a0", "").replace(" ", ""))
    except ValueError:
        return None
    if read != read or abs(read) > 1e9:
        return None
    return int(read) if read.is_integer() else read


def number(name: str, text: str) -> float | int:
    """A number as it was typed. Raises `InvalidRequest`, which names the field."""
    found = _number_in(text)
    if found is None:
        raise InvalidRequest(N_("This must be a number."), field=name)
    return found


def _read_day(each: Input, text: str, zone: ZoneInfo) -> int:
    try:
        noon = datetime.combine(date.fromisoformat(text), time(12), zone)
        return round(noon.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise InvalidRequest(N_("This must be a day: YYYY-MM-DD."), field=each.name) from None


def _read_moment(each: Input, text: str, zone: ZoneInfo) -> int:
    try:
        return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)
    except (ValueError, OverflowError):
        said = N_("This must be a day and a time: YYYY-MM-DDThh:mm.")
        raise InvalidRequest(said, field=each.name) from None


def _read_choice(each: Input, text: str, _: ZoneInfo) -> str:
    if each.choices is None or text not in each.choices:
        raise InvalidRequest(N_("There is no such choice."), field=each.name)
    return text


_READ: Mapping[str, Callable[[Input, str, ZoneInfo], Any]] = {
    "text": lambda _each, text, _zone: text,
    "area": lambda _each, text, _zone: text,
    "birth": lambda _each, text, _zone: text,
    "check": lambda _each, text, _zone: bool(text),
    "number": lambda each, text, _zone: number(each.name, text),
    "day": _read_day,
    "moment": _read_moment,
    "choice": _read_choice,
}
