"""Example data: a team with two health workers, a doctor, and a few patients with their cases.

Names and findings are invented. Ids are fixed for a scope, so that seeding twice changes nothing.
"""

from __future__ import annotations

from shared.products.product import Seed

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


def seed(scope: str) -> Seed:
    """The example team."""
    return Seed(
        ((f"{scope}-chw-1", "chw"), (f"{scope}-chw-2", "chw"), (f"{scope}-doctor", "doctor")),
        (
            *(
                ("patients", f"{scope}-{name}", {"demographics": about})
                for name, about in _PATIENTS
            ),
            *(
                (
                    "cases",
                    f"{scope}-{name}",
                    {
                        "patient_id": f"{scope}-{patient}",
                        "risk_level": risk,
                        "triage_data": triage,
                    },
                )
                for name, patient, risk, triage in _CASES
            ),
        ),
    )
