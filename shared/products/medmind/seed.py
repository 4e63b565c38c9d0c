"""Example data: a grandmother, her daughter and her doctor, and two medicines.

Names are invented. Ids are fixed for a scope, so that seeding twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.products.medmind.rights import CAREGIVER, DOCTOR, PATIENT
from shared.products.product import Seed

#: Id, medicine, strength, amount, times, days.
_MEDICINES: tuple[tuple[str, str, str, float, list[str], dict[str, str]], ...] = (
    ("metformin", "Metformin", "500 mg", 1, ["08:00", "20:00"], {}),
    ("vitamin-d", "Vitamin D", "1000 IU", 2, ["08:00"], {"frequency": "weekly"}),
)


def seed(scope: str) -> Seed:
    """The example circle."""
    rows: list[tuple[str, str, Mapping[str, Any]]] = [
        (
            "patients",
            scope,
            {"name": "Kamala", "birth_date": "1944-08-15", "time_zone": "Asia/Kolkata"},
        )
    ]
    for id, name, strength, amount, times, more in _MEDICINES:
        medicine, plan = f"{scope}-{id}", f"{scope}-{id}-plan"
        rows += [
            ("medications", medicine, {"name": name, "strength": strength, "form": "tablet"}),
            ("medication_plans", plan, {"medication_id": medicine, "prescribed_by": "Dr Rao"}),
            (
                "medication_plan_items",
                f"{plan}-item",
                {
                    "plan_id": plan,
                    "amount": amount,
                    "unit": "tablet",
                    "starts_on": "2026-03-02",
                    "times": times,
                    "time_zone": "Asia/Kolkata",
                    **more,
                },
            ),
        ]
    people = (
        (f"{scope}-daughter", CAREGIVER),
        (f"{scope}-doctor", DOCTOR),
        (f"{scope}-grandmother", PATIENT),
    )
    return Seed(people, tuple(rows))
