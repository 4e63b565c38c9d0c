"""Any day of three phones with the kit ends with the same records everywhere, and on the server."""

from __future__ import annotations

import json
import random

import pytest

from tests.e2e.conftest import Deployment
from tests.mobile import KitPhone, SyncFailed
from tests.mobile.conftest import Make, new, settle, stored

pytestmark = pytest.mark.proof

STEPS = 120


def step(dice: random.Random, one: KitPhone, known: dict[str, str], deleted: set[str]) -> None:
    """One thing that happens on a phone. `known`: patients that anybody made, each with its case."""
    here = {table: one.rows(table) for table in ("patients", "cases")}
    what = dice.choice(
        ["register", "register", "edit", "edit", "edit", "delete", "sync", "sync", "bad"]
    )
    patients = sorted(here["patients"])
    records = [(table, name) for table in here for name in sorted(here[table])]
    if what == "register" or not records:
        patient, case = new(), new("c")
        one.create("patients", patient, demographics=json.dumps({"n": dice.random()}))
        risk = dice.choice(["green", "yellow", "red"])
        one.create("cases", case, patient_id=patient, triage_data="{}", risk_level=risk)
        known[patient] = case
    elif what == "edit":
        table, name = dice.choice(records)
        column = {"patients": "demographics", "cases": "triage_data"}[table]
        one.update(table, name, **{column: json.dumps({"n": dice.random()})})
    elif what == "delete" and dice.random() < 0.3:
        name = dice.choice(patients)
        one.delete("patients", name)
        deleted.add(name)
    elif what == "bad":
        fault = dice.choice(["loseAnswers", "cutPulls", "airplane"])
        one.settings(**{fault: 1})
        one.call()
        one.settings(loseAnswers=0, cutPulls=0, airplane=0)
        if dice.random() < 0.5:
            one.restart()
    else:
        one.call()


@pytest.mark.parametrize("stage", ["loki", "sqlite", "emulator"])
@pytest.mark.parametrize("seed", [1, 18])
def test_three_phones_converge(phone: Make, deployment: Deployment, stage: str, seed: int) -> None:
    dice = random.Random(seed)
    phones = [phone("amina"), phone("joseph"), phone("amina", "second")]
    known: dict[str, str] = {}
    deleted: set[str] = set()
    for _ in range(STEPS):
        step(dice, dice.choice(phones), known, deleted)
    for _ in range(3):
        for each in phones:
            try:
                each.sync()
            except SyncFailed as error:
                raise AssertionError(f"seed {seed}: {error}") from error
            settle()
    one, *others = phones
    for table in ("patients", "cases"):
        mine = contents(one, table)
        alive = [pair for pair in known.items() if pair[0] not in deleted]
        assert set(mine) == {pair[table == "cases"] for pair in alive}
        for other in others:
            assert contents(other, table) == mine
        column = {"patients": "demographics", "cases": "triage_data"}[table]
        for name, row in mine.items():
            assert json.loads(row[column]) == json.loads(
                str(stored(deployment, table, name)[column])
            )
    for each in phones:
        assert not each.unsynced()
        assert each.verify() == "equal"


def contents(one: KitPhone, table: str) -> dict[str, dict[str, str]]:
    """What phones own of each record."""
    columns = {"patients": ["demographics"], "cases": ["patient_id", "triage_data", "risk_level"]}
    rows = one.rows(table)
    return {name: {column: row[column] for column in columns[table]} for name, row in rows.items()}
