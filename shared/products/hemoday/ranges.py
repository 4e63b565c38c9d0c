"""Which range a value is held against: the report's own, else the family's, else none.

A range of a book is never applied by itself: laboratories, ages and treatments differ, and a child who is
transfused has none of a healthy child's. `PUBLISHED` are offered to families, who may take one as theirs,
each with its source. What no public source that we could read says is left out: there are none here for
chemistry, hormones and vitamins, and none of children's blood counts but haemoglobin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

#: Years of an adult in these sources, in months.
_ADULT = 18 * 12

SOURCES = {
    "who-2024": "WHO: Guideline on haemoglobin cutoffs to define anaemia in individuals and populations "
    "(2024). At sea level, not smoking, not pregnant.",
    "who-2020": "WHO: Guideline on use of ferritin concentrations to assess iron status in individuals and "
    "populations (2020). Below it iron is lacking, in people who are otherwise healthy.",
    "merck": "Merck Manual, Consumer Version: Complete Blood Count, normal values of adults. "
    "https://www.merckmanuals.com/en-ca/home/multimedia/table/complete-blood-count-cbc",
    "tif-2021": "Thalassaemia International Federation: Guidelines for the management of "
    "transfusion-dependent thalassaemia, 4th edition (2021). The aim before a transfusion, not a healthy "
    "person's range.",
}


@dataclass(frozen=True, slots=True)
class PublishedRange:
    """A range of a source, in the analyte's own unit; None: open at this end. Ages in completed months."""

    loinc: str
    low: float | None
    high: float | None
    source: str
    sex: str | None = None  #: None: both
    from_months: int = 0
    to_months: int | None = None  #: the first month it does not hold for


PUBLISHED = (
    PublishedRange("718-7", 105, None, "who-2024", None, 6, 24),
    PublishedRange("718-7", 110, None, "who-2024", None, 24, 60),
    PublishedRange("718-7", 115, None, "who-2024", None, 60, 144),
    PublishedRange("718-7", 120, None, "who-2024", None, 144, 180),
    PublishedRange("718-7", 120, None, "who-2024", "female", 180),
    PublishedRange("718-7", 130, None, "who-2024", "male", 180),
    PublishedRange("718-7", 95, 105, "tif-2021"),
    PublishedRange("2276-4", 12, None, "who-2020", None, 0, 60),
    PublishedRange("2276-4", 15, None, "who-2020", None, 60),
    PublishedRange("4544-3", 41, 51, "merck", "male", _ADULT),
    PublishedRange("4544-3", 36, 47, "merck", "female", _ADULT),
    PublishedRange("789-8", 4.5, 5.9, "merck", "male", _ADULT),
    PublishedRange("789-8", 4.0, 5.2, "merck", "female", _ADULT),
    PublishedRange("787-2", 80, 100, "merck", None, _ADULT),
    PublishedRange("785-6", 28, 32, "merck", None, _ADULT),
    PublishedRange("786-4", 320, 360, "merck", None, _ADULT),
    PublishedRange("788-0", 11.5, 14.5, "merck", None, _ADULT),
    PublishedRange("6690-2", 4.5, 11, "merck", None, _ADULT),
    PublishedRange("751-8", 1.8, 7.7, "merck", None, _ADULT),
    PublishedRange("731-0", 1.0, 4.8, "merck", None, _ADULT),
    PublishedRange("777-3", 140, 450, "merck", None, _ADULT),
)


class AppliedRange(NamedTuple):
    """The range that decides, and whose it is: "report" or "family". None: open at this end."""

    low: float | None
    high: float | None
    whose: str

    def place(self, value: float) -> str:
        """Where a stored value lies: "low", "in" or "high". Never asked of a rounded one."""
        if self.low is not None and value < self.low:
            return "low"
        return "high" if self.high is not None and value > self.high else "in"


def offered(loinc: str, sex: str | None, age_months: int | None) -> list[PublishedRange]:
    """Published ranges for somebody of this sex and age; who says neither is offered what needs neither."""
    return [
        each
        for each in PUBLISHED
        if each.loinc == loinc
        and (each.sex is None or each.sex == sex)
        and (
            (each.from_months == 0 and each.to_months is None)
            if age_months is None
            else each.from_months <= age_months
            and (each.to_months is None or age_months < each.to_months)
        )
    ]


def applied(
    report: tuple[float | None, float | None], loinc: str | None, family: Mapping[str, Any]
) -> AppliedRange | None:
    """The range of a value: that of its own report, else the family's of this analyte, else none.

    All in one unit. `family` is `ranges` of the family's profile: LOINC code → `{low, high}`.
    """
    if report != (None, None):
        return AppliedRange(*report, "report")
    own = family.get(loinc) if loinc is not None else None
    if not isinstance(own, dict):
        return None
    low, high = own.get("low"), own.get("high")
    return None if low is None and high is None else AppliedRange(low, high, "family")
