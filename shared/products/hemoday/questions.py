"""What is asked about values that look odd: they are stored as they were entered, and a person is asked.

`questions` of a record is a map: field → what is asked (`SHAPE`). Each has a code, a sentence that says why
and what to do, and the text with which a person says "it is right as it is": put into the record's
`confirmed`, it ends the question, until the value is another one. An answer is never needed for anything to
be stored, shown or exported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from shared.products.hemoday.analytes import Analyte
from shared.products.hemoday.indicators import (
    PRINTED,
    Reading,
    canonical,
    in_unit,
    named,
    number,
    reading,
    taken,
)
from shared.products.hemoday.recurrence import is_occurrence
from shared.products.hemoday.units import ucum
from shared.records.wall_time import known_zone

Values = Mapping[str, Any]

#: Why something is asked.
CODES = {
    "unlikely_value": "The number is one that hardly anybody has: a slip, or another unit.",
    "unknown_unit": "The unit is not known for this indicator: the value is kept and not converted.",
    "unit_missing": "There is no unit: the value is kept and not converted.",
    "unreadable_value": "The text is no number that can be read: it is kept as it is.",
    "unlikely_date": "The date is in the future, or long ago.",
    "unreadable_date": "The text is no date of the form YYYY-MM-DD.",
    "unlikely_volume": "The volume does not fit the weight.",
    "unknown_time_zone": "The time zone is not one of the IANA database.",
    "ends_before": "The end is before the beginning.",
    "unknown_occurrence": "The reminder has no time that is called so: the action does nothing.",
    "until_missing": "It is not said when to remind again: the action does nothing.",
}

SHAPE = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["code", "message", "confirm"],
        "properties": {
            "code": {"type": "string", "enum": list(CODES)},
            "message": {"type": "string"},
            "confirm": {
                "type": "string",
                "description": "Put this into `confirmed`: the value is right.",
            },
            "units": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Units (UCUM) in which the number would be usual; never taken unasked.",
            },
        },
    },
}

#: Dates before this are asked about, ms: 1 January 1950.
_EARLIEST_MS = -631_152_000_000

_DAY_MS = 86_400_000

#: Usual numbers of a transfusion and of a child's or adult's body; outside somebody is asked. They say
#: nothing about what is right for anybody.
_WEIGHT_KG = (1.5, 200)
_VOLUME_ML = (20, 2000)
_VOLUME_ML_PER_KG = (2, 40)

#: Beyond this a value is asked about and not converted: phones have no such whole numbers (2^53 − 1).
LARGEST = Decimal(10**15)

#: Indicators of one side of a transfusion that are looked at.
_MOST_INDICATORS = 60


class Questions:
    """Collects the questions about one record; what a person has confirmed is not asked."""

    def __init__(self, values: Values) -> None:
        self._confirmed = frozenset(values.get("confirmed") or ())
        self._found: dict[str, dict[str, Any]] = {}

    def ask(
        self, field: str, value: object, code: str, message: str, units: list[str] | None = None
    ) -> None:
        """Ask about a field, once: the first question about it stays."""
        confirm = f"{field}={value}"[:200]
        if field not in self._found and confirm not in self._confirmed:
            said = {"code": code, "message": message, "confirm": confirm}
            self._found[field] = said | ({"units": units} if units else {})

    def stored(self) -> dict[str, Any] | None:
        """As the record has it; None: nothing is asked."""
        return self._found or None


def of_profile(values: Values, now_ms: int) -> Questions:
    """About a family's profile."""
    asked = Questions(values)
    _number(asked, values, "weight_kg", _WEIGHT_KG, "kg")
    born = values.get("birth_date")
    if born is not None:
        day = _date(born)
        if day is None:
            asked.ask("birth_date", born, "unreadable_date", "Write the date as YYYY-MM-DD.")
        elif not 0 <= (_today(now_ms) - day).days <= 120 * 366:
            asked.ask("birth_date", born, "unlikely_date", "Is this the date of birth?")
    return asked


def of_transfusion(values: Values, now_ms: int) -> Questions:
    """About a transfusion, its indicators included."""
    asked = Questions(values)
    _moment(asked, values, "date", now_ms)
    _number(asked, values, "weight_kg", _WEIGHT_KG, "kg")
    _number(asked, values, "volume_ml", _VOLUME_ML, "ml")
    volume, weight = values.get("volume_ml"), values.get("weight_kg")
    if volume and weight and weight > 0:
        low, high = _VOLUME_ML_PER_KG
        if not low <= volume / weight <= high:
            message = f"{volume} ml for {weight} kg is unusual. Look at both numbers."
            asked.ask("volume_ml", f"{volume}/{weight}", "unlikely_volume", message)
    return asked


def of_dated(values: Values, now_ms: int) -> Questions:
    """About a record of which only the date can be odd."""
    asked = Questions(values)
    _moment(asked, values, "date", now_ms)
    return asked


def of_reminder(values: Values) -> Questions:
    """About a reminder."""
    asked = Questions(values)
    zone = values.get("time_zone")
    if zone is not None and not known_zone(zone):
        message = "Choose a time zone such as Asia/Kolkata. Until then the reminder goes by UTC."
        asked.ask("time_zone", zone, "unknown_time_zone", message)
    begins, ends = values.get("remind_at"), values.get("ends_at")
    if begins is not None and ends is not None and ends < begins:
        asked.ask("ends_at", ends, "ends_before", "The reminder ends before its first time.")
    return asked


def of_action(values: Values) -> Questions:
    """About what somebody did with a reminder."""
    asked = Questions(values)
    name = values.get("occurrence")
    if not is_occurrence(name):
        message = "Send the `occurrence` of the message, or of the reminder's `next_occurrence`."
        asked.ask("occurrence", name, "unknown_occurrence", message)
    if values.get("action") == "snooze" and values.get("until") is None:
        asked.ask("until", None, "until_missing", "Say when to remind again.")
    return asked


def indicator(asked: Questions, field: str, entered: Values) -> dict[str, Any]:
    """What an indicator (`name`, `value` or `value_text`, `unit`) is in its analyte's own unit.

    `loinc`, `canonical_value`, `canonical_unit` and `comparator`, None where it is not known. What is odd
    is asked about under `field`.
    """
    said = _said(asked, field, entered)
    analyte = named(str(entered.get("name") or ""))
    found: dict[str, Any] = {
        "loinc": analyte.loinc if analyte else None,
        "canonical_value": None,
        "canonical_unit": None,
        "comparator": said.comparator or None if said else None,
    }
    if analyte is None or said is None:
        return found
    unit = entered.get("unit") if isinstance(entered.get("unit"), str) else None
    value = canonical(analyte, said.value, unit)
    if value is None:
        _ask_unit(asked, field, analyte, said.value, unit)
        return found
    if abs(value) <= LARGEST:
        found |= {"canonical_value": _json(value), "canonical_unit": analyte.unit or None}
    low, high = map(Decimal, analyte.asked)
    if not low <= value <= high:
        typed = ucum(unit or "") or ""
        units = [
            each
            for each in taken(analyte, said.value, PRINTED)
            if in_unit(analyte, said.value, each, typed) != said.value
        ]
        message = f"{analyte.name} is hardly ever {said.value} {unit or ''}".strip()
        asked.ask(
            field,
            _about(said.value, unit),
            "unlikely_value",
            f"{message}. Look at the number and its unit.",
            units,
        )
    return found


def indicators(asked: Questions, field: str, text: str | None) -> list[dict[str, Any]] | None:
    """The same for each indicator of a JSON column, a list of `{name, value, unit}`; None: there are none.

    Questions are asked under `field[0]`, `field[1]` ….
    """
    listed = json.loads(text) if text else []
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        asked.ask(field, "list", "unreadable_value", "Send a list of {name, value, unit}.")
        return None
    return [
        {"name": str(each.get("name") or "")[:200]} | indicator(asked, f"{field}[{place}]", each)
        for place, each in enumerate(listed[:_MOST_INDICATORS])
    ] or None


def _said(asked: Questions, field: str, entered: Values) -> Reading | None:
    value, text = entered.get("value"), entered.get("value_text")
    if isinstance(value, str):  # a form that keeps what was typed
        value, text = None, value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Reading("", number(value))
    if not isinstance(text, str) or not text.strip():
        return None
    found = reading(text)
    if found is None and named(str(entered.get("name") or "")) and any(map(str.isdigit, text)):
        message = "Write the number alone, with a comma or a point before decimals."
        asked.ask(field, text, "unreadable_value", message)
    return found


def _ask_unit(
    asked: Questions, field: str, analyte: Analyte, value: Decimal, unit: str | None
) -> None:
    code = "unknown_unit" if (unit or "").strip() else "unit_missing"
    message = f"In which unit is {analyte.name}? The report says it beside the number."
    if not analyte.unit:
        message = f"{analyte.name} has no unit. Leave it empty, or give the indicator another name."
    units = taken(analyte, value, PRINTED)
    asked.ask(field, _about(value, unit), code, message, units)


def _about(value: Decimal, unit: str | None) -> str:
    return f"{value} {unit or ''}".strip()


def _json(value: Decimal) -> int | float:
    """A decimal as JSON has it: the double next to it, which is written as the same digits."""
    return int(value) if value == value.to_integral_value() else float(value)


def _number(
    asked: Questions, values: Values, field: str, usual: tuple[float, float], unit: str
) -> None:
    value = values.get(field)
    if value is not None and not usual[0] <= value <= usual[1]:
        asked.ask(field, value, "unlikely_value", f"{value} {unit} is unusual. Look at the number.")


def _moment(asked: Questions, values: Values, field: str, now_ms: int) -> None:
    at = values.get(field)
    if at is not None and not _EARLIEST_MS <= at <= now_ms + 2 * _DAY_MS:
        asked.ask(field, at, "unlikely_date", "The date is in the future, or long ago. Look at it.")


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == len("2020-01-31") else None
    except ValueError:
        return None


def _today(now_ms: int) -> date:
    return datetime.fromtimestamp(now_ms / 1000, UTC).date()
