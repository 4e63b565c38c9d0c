"""The family's own ranges on the child's page, beside those that public sources name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from shared.console.page import N_
from shared.errors import InvalidRequest
from shared.products.hemoday.indicators import BY_LOINC
from shared.products.hemoday.pages import forms
from shared.products.hemoday.ranges import PUBLISHED, SOURCES, PublishedRange, offered

#: The fields of a range in the form: `range-LOINC-low`, `range-LOINC-high`.
_FIELD = "range-{}-{}"
ENDS = ("low", "high")


def rows(profile: Mapping[str, Any], now_ms: int) -> list[dict[str, Any]]:
    """A row an indicator: those of which the family has a range, and those of which a source has one."""
    own = owned(profile)
    sex, age = profile.get("sex"), months(profile.get("birth_date"), now_ms)
    known = dict.fromkeys((*own, *(each.loinc for each in PUBLISHED)))
    return [
        {
            "loinc": loinc,
            "name": BY_LOINC[loinc].name,
            "unit": BY_LOINC[loinc].unit,
            "fields": {end: (_FIELD.format(loinc, end), _text(own, loinc, end)) for end in ENDS},
            "offered": [(_said(each), SOURCES[each.source]) for each in offered(loinc, sex, age)],
        }
        for loinc in known
        if loinc in BY_LOINC and (loinc in own or offered(loinc, sex, age))
    ]


def owned(profile: Mapping[str, Any]) -> dict[str, Any]:
    """The family's own ranges, whatever a phone stored."""
    stored = profile.get("ranges")
    found = stored if isinstance(stored, dict) else {}
    return {loinc: ends for loinc, ends in found.items() if isinstance(ends, dict)}


def sent(fields: Mapping[str, str], profile: Mapping[str, Any]) -> dict[str, Any] | None:
    """The ranges as they are after a form; None: it changed none. Raises `InvalidRequest`."""
    own = owned(profile)
    after = {loinc: dict(ends) for loinc, ends in own.items()}
    for loinc in BY_LOINC:
        for end in ENDS:
            name = _FIELD.format(loinc, end)
            text = fields.get(name)
            if text is None or text.strip() == _text(own, loinc, end):
                continue
            if text.strip():
                after.setdefault(loinc, {})[end] = forms.number(name, text)
            else:
                after.get(loinc, {}).pop(end, None)
        ends = after.get(loinc, {})
        if not ends:
            after.pop(loinc, None)
        elif len(ends) == len(ENDS) and ends["low"] > ends["high"]:
            said = N_("The low end of a range is above its high end.")
            raise InvalidRequest(said, field=_FIELD.format(loinc, "low"))
    return None if after == own else after


def months(birth: object, now_ms: int) -> int | None:
    """Age in completed months; None: no birth date that can be read."""
    try:
        born = date.fromisoformat(str(birth))
    except ValueError:
        return None
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    passed = (today.year - born.year) * 12 + today.month - born.month
    return max(0, passed - (today.day < born.day))


def _text(own: Mapping[str, Any], loinc: str, end: str) -> str:
    value = own.get(loinc, {}).get(end)
    return forms.plain(value) if forms.is_number(value) else ""


def _said(each: PublishedRange) -> str:
    low, high = (None if end is None else forms.plain(end) for end in (each.low, each.high))
    if low is None or high is None:
        return f"≥ {low}" if high is None else f"≤ {high}"
    return f"{low}–{high}"
