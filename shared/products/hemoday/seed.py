"""Example data: a family with two parents and a grandmother, and a spring of its child.

Names and numbers are invented. Ids are fixed for a scope, so that seeding twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.products.hemoday.rights import MEMBER, OWNER, VIEWER
from shared.products.product import Seed

_DAY_MS = 86_400_000

#: 2 February 2026, ms.
_FIRST_MS = 1_769_990_400_000

#: Days after the first, ml, kg, haemoglobin before and after (g/dL).
_TRANSFUSIONS = (
    (0, 300, 21.0, 9.4, 12.8),
    (21, 310, 21.2, 9.1, 12.6),
    (42, 310, 21.5, 9.6, 13.0),
)

#: As a report prints them; the last one is in the wrong unit, and is asked about.
_RESULTS = (
    ("Ferritin", 1450, "ng/mL"),
    ("ALT", 38, "U/L"),
    ("Bilirubin total", 1.9, "mg/dL"),
    ("Platelets", 2.6, "lakh/cumm"),
    ("Haemoglobin", 96, "g/dL"),
)


def _haemoglobin(value: float) -> list[dict[str, Any]]:
    return [{"name": "Hb", "value": value, "unit": "g/dL"}]


def seed(scope: str) -> Seed:
    """The example family."""
    rows: list[tuple[str, str, Mapping[str, Any]]] = [
        (
            "family_profiles",
            scope,
            {
                "patient_name": "Mira",
                "sex": "female",
                "birth_date": "2018-05-14",
                "weight_kg": 21.5,
                "ranges": {"718-7": {"low": 95, "high": 105}},
            },
        )
    ]
    for number, (days, volume, weight, before, after) in enumerate(_TRANSFUSIONS, 1):
        given = {
            "date": _FIRST_MS + days * _DAY_MS,
            "volume_ml": volume,
            "weight_kg": weight,
            "indicators_before": _haemoglobin(before),
            "indicators_after": _haemoglobin(after),
        }
        rows.append(("transfusions", f"{scope}-transfusion-{number}", given))
    test = f"{scope}-test-1"
    rows.append(("blood_tests", test, {"date": _FIRST_MS, "laboratory": "City laboratory"}))
    for number, (name, value, unit) in enumerate(_RESULTS, 1):
        said = {"blood_test_id": test, "name": name, "value": value, "unit": unit}
        rows.append(("blood_test_results", f"{scope}-result-{number}", said))
    rows += [
        (
            "analysis_templates",
            f"{scope}-template-1",
            {"name": "Every three months", "indicators": ["Ferritin", "ALT", "Creatinine"]},
        ),
        (
            "reminders",
            f"{scope}-reminder-1",
            {
                "title": "Deferasirox with breakfast",
                "remind_at": _FIRST_MS,
                "time_zone": "Asia/Tbilisi",
                "frequency": "daily",
            },
        ),
        ("documents", f"{scope}-document-1", {"name": "Discharge letter", "category": "discharge"}),
    ]
    people = ((f"{scope}-mother", OWNER), (f"{scope}-father", MEMBER), (f"{scope}-granny", VIEWER))
    return Seed(people, tuple(rows))
