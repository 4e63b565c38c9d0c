"""Example data: a grandmother, her daughter, her doctor and her device; two medicines, and two days.

Of the two days before now some doses were on time, late, skipped and missed. The jobs make alerts,
summaries and what is left of that. Names are invented. Ids are fixed for a scope and a day, so that seeding
twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from shared.products.medmind.items import today
from shared.products.medmind.rights import CAREGIVER, DEVICE, DOCTOR, PATIENT
from shared.products.product import Seed
from shared.records.wall_time import instant

_ZONE = ZoneInfo("Asia/Kolkata")

_DAY_MS = 86_400_000

#: Id, medicine, strength, how many there were, amount, times, days.
_MEDICINES: tuple[tuple[str, str, str, int | None, float, list[str], dict[str, Any]], ...] = (
    ("metformin", "Metformin", "500 mg", 40, 1, ["08:00", "20:00"], {"with_meal": "with"}),
    ("vitamin-d", "Vitamin D", "1000 IU", None, 2, ["08:00"], {"frequency": "weekly"}),
)

#: Added later.
_PAINKILLER: tuple[str, str, str, int | None, float, list[str], dict[str, Any]] = (
    *("paracetamol", "Paracetamol", "500 mg", None, 1.0, []),
    {"frequency": "as_needed", "most_a_day": 3},
)

#: Of metformin: days before now, place among the times, minutes after them; what the device says of it.
_SAID: tuple[tuple[int, int, int, Mapping[str, str]], ...] = (
    (2, 0, 4, {"kind": "taken"}),
    (2, 1, 95, {"kind": "taken"}),
    (1, 0, 12, {"kind": "skipped", "reason": "I feel sick"}),
)


def seed(scope: str) -> Seed:
    """The example circle."""
    about = {"name": "Kamala", "birth_date": "1944-08-15", "time_zone": _ZONE.key}
    rows: list[tuple[str, str, Mapping[str, Any]]] = [("patients", scope, about)]
    for medicine in _MEDICINES:
        rows += _rows(scope, *medicine)
    people = (
        (f"{scope}-daughter", CAREGIVER),
        (f"{scope}-doctor", DOCTOR),
        (f"{scope}-grandmother", PATIENT),
        (f"{scope}-device", DEVICE),
    )
    return Seed(people, tuple(rows), 3 * _DAY_MS, partial(_since, scope))


def _rows(
    scope: str,
    id: str,
    name: str,
    strength: str,
    stock: int | None,
    amount: float,
    times: list[str],
    more: Mapping[str, Any],
) -> list[tuple[str, str, Mapping[str, Any]]]:
    """A medicine, its plan and the plan's item."""
    medicine, plan = f"{scope}-{id}", f"{scope}-{id}-plan"
    box = {"name": name, "strength": strength, "form": "tablet", "stock": stock}
    item = {
        "plan_id": plan,
        "amount": amount,
        "unit": "tablet",
        "starts_on": "2026-03-02",
        "times": times,
        "time_zone": _ZONE.key,
        **more,
    }
    return [
        ("medications", medicine, box),
        ("medication_plans", plan, {"medication_id": medicine, "prescribed_by": "Dr Rao"}),
        ("medication_plan_items", f"{plan}-item", item),
    ]


def _since(scope: str, now_ms: int) -> Sequence[tuple[int, str, str, str, Mapping[str, Any]]]:
    """A painkiller is added, and the device says something of doses of the two days before now."""
    added_ms, daughter = now_ms - 3 * _DAY_MS, f"{scope}-daughter"
    found = [(added_ms, daughter, *row) for row in _rows(scope, *_PAINKILLER)]
    for days, place, minutes, said in _SAID:
        day = today(now_ms, _ZONE) - timedelta(days)
        wall = time.fromisoformat(_MEDICINES[0][5][place])
        at_ms = instant(datetime.combine(day, wall), _ZONE) + minutes * 60_000
        name = f"{day:%Y%m%d}_{place}"
        event = {"dose_id": f"{scope}-metformin-plan-item_{name}", "at": at_ms, **said}
        row = (at_ms, f"{scope}-device", "dose_events", f"{scope}-said-{name}", event)
        found.append(row)
    return found
