"""Five phones of a family, of both dialects, converge after any day over all of HemoDay's tables."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from infra import kit
from infra.local.phone import Phone
from shared.products.hemoday.tables import CATALOG
from shared.records import record
from tests.hemoday.family import Family
from tests.hemoday.stock import StockPhone
from tests.sync.clinic import pass_millisecond

#: Columns that are edited, by table, each with its values.
COLUMNS: dict[str, dict[str, tuple[Any, ...]]] = {
    "family_profiles": {"patient_name": ("Mira", "Mira P."), "weight_kg": (20, 21.5, 22)},
    "transfusions": {"volume_ml": (240, 300, 9000), "comment": ("", "fever", "well")},
    "blood_tests": {"laboratory": ("Invitro", "Lal"), "comment": ("", "fasting")},
    "blood_test_results": {"value": (7, 7.2, 91), "unit": ("g/dL", "г/л", "?"), "name": ("Hb",)},
    "analysis_templates": {"name": ("Iron", "Liver")},
    "reminders": {"title": ("Desferal", "Lab"), "completed": (True, False)},
    "reminder_actions": {"occurrence": ("2026-03-01T00:00",), "action": ("done", "snooze")},
    "documents": {"name": ("MRI", "ECG"), "category": ("imaging", "other")},
}

#: What else a new record needs, seconds in one dialect and milliseconds in the other.
TIMES = {"transfusions": "date", "blood_tests": "date", "reminders": "remind_at"}

#: Whom a new record refers to: column and table.
PARENTS = {
    "blood_test_results": ("blood_test_id", "blood_tests"),
    "reminder_actions": ("reminder_id", "reminders"),
}

PEOPLE = ("anna", "boris", "vera")


def fleet(family: Family) -> list[Phone | StockPhone]:
    for person in PEOPLE:
        family.join(person)
    phones: list[Phone | StockPhone] = [family.phone(person) for person in PEOPLE]
    stock = [family.melon("anna", "annas-tablet"), family.melon("boris", "boris-tablet")]
    return [*phones, *map(StockPhone, stock)]


def step(dice: random.Random, phone: Phone | StockPhone, number: int) -> None:
    """One thing that happens on a phone."""
    what = dice.choice(("create", "create", "edit", "edit", "edit", "delete", "sync", "sync"))
    table = dice.choice(tuple(COLUMNS))
    here = sorted(name for each, name in phone.rows if each == table)
    some = {
        name: dice.choice(values) for name, values in COLUMNS[table].items() if dice.random() < 0.6
    }
    if what == "create":
        columns = {name: dice.choice(values) for name, values in COLUMNS[table].items()}
        if table in TIMES:
            columns[TIMES[table]] = 1_772_323_200 * (1000 if isinstance(phone, StockPhone) else 1)
        if table in PARENTS:
            column, parent = PARENTS[table]
            known = sorted(name for each, name in phone.rows if each == parent)
            if not known:
                return
            columns[column] = dice.choice(known)
        phone.save(table, f"{table}-{number}", **columns)
    elif what == "edit" and here and some:
        phone.save(table, dice.choice(here), **some)
    elif what == "delete" and here and dice.random() < 0.4:
        phone.delete(table, dice.choice(here))
    elif what == "sync":
        phone.sync()
        pass_millisecond()


def contents(phone: Phone | StockPhone) -> dict[tuple[str, str], dict[str, Any]]:
    """What people entered, as a phone has it."""
    return {
        (table, name): {column: row.get(column) for column in COLUMNS[table]}
        for (table, name), row in phone.rows.items()
        if (table, name) not in phone.refused
    }


def live_through(family: Family, seed: int, steps: int) -> None:
    dice = random.Random(seed)
    phones = fleet(family)
    for number in range(steps):
        step(dice, dice.choice(phones), number)
    for _ in range(3):
        for phone in phones:
            phone.sync()
            pass_millisecond()
    stored = {
        (table, document.key.id): {name: document.fields.get(name) for name in COLUMNS[table]}
        for table in COLUMNS
        for document in family.all(table)
        if document.fields.get(record.DELETED) is None
    }
    assert stored
    for phone in phones:
        assert contents(phone) == stored, f"seed {seed}"
    # and every value that was entered is understood or asked about
    for document in family.all("blood_test_results"):
        if document.fields.get(record.DELETED) is None and document.fields["unit"] == "?":
            assert document.fields["questions"]["value"]["code"] == "unknown_unit"


@pytest.mark.parametrize("seed", [1, 2])
def test_five_phones_converge(family: Family, seed: int) -> None:
    live_through(family, seed, 80)


@pytest.mark.proof
def test_five_phones_converge_after_many_days(tmp_path: Path) -> None:
    from shared.adapters.sqlite import SqliteStore

    for seed in range(100, 106):
        place = Family(SqliteStore(tmp_path / f"{seed}.db"))
        live_through(place, seed, 250)
        place.store.close()


def test_the_kit_makes_models_of_every_table() -> None:
    columns, models = kit.modules(CATALOG).values()
    for item in CATALOG.collections:
        assert f"{item.name}" in columns
        assert f"static override table = '{item.name}'" in models
