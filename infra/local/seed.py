"""Example data: a team with two health workers, a doctor, and a few patients with their cases.

Names and findings are invented. Ids are fixed for a scope, so that seeding twice changes nothing.
"""

from __future__ import annotations

from typing import Any

from shared.records.collection import Catalog
from shared.sync.exchange import Entry

#: When the example records were written: 1 March 2026, ms.
_WRITTEN_MS = 1_772_323_200_000

_PATIENTS = (
    ("patient-1", {"name": "Asha N.", "age": 34, "sex": "female", "village": "Kito"}),
    ("patient-2", {"name": "Juma O.", "age": 8, "sex": "male", "village": "Kito"}),
    ("patient-3", {"name": "Rehema S.", "age": 61, "sex": "female", "village": "Pande"}),
)

_CASES = (
    ("case-1", "patient-1", "green", {"site": "forearm", "duration_days": 5}),
    ("case-2", "patient-2", "yellow", {"site": "scalp", "duration_days": 21}),
    ("case-3", "patient-3", "green", {"site": "foot", "duration_days": 90}),
)


def members(scope: str) -> tuple[tuple[str, str], ...]:
    """Users of the example team and their roles."""
    return ((f"{scope}-chw-1", "chw"), (f"{scope}-chw-2", "chw"), (f"{scope}-doctor", "doctor"))


def records(catalog: Catalog, scope: str) -> list[Entry]:
    """The example records of a scope as entries of a push."""
    rows: list[tuple[str, str, dict[str, Any]]] = [
        ("patients", f"{scope}-{name}", {"demographics": about}) for name, about in _PATIENTS
    ]
    rows += [
        (
            "cases",
            f"{scope}-{name}",
            {"patient_id": f"{scope}-{patient}", "risk_level": risk, "triage_data": triage},
        )
        for name, patient, risk, triage in _CASES
    ]
    return [
        Entry(
            catalog.by_name[table],
            name,
            fields,
            coerced=catalog.by_name[table].coerce(fields),
            raw_ms=_WRITTEN_MS,
        )
        for table, name, fields in rows
    ]
