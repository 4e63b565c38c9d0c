"""What MedMind asks of a store beyond the engine, on both of them: a day of a circle ends the same."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from shared.adapters.scripted import ScriptedModel
from shared.ai.conversation import Terms
from shared.jobs.job import RetryPolicy
from shared.jobs.runner import Runner
from shared.products.medmind.alert_tables import ALERTS
from shared.products.medmind.dosing import Dosing
from shared.products.medmind.report import told
from shared.products.medmind.stock import Stocktaking
from shared.products.medmind.summarising import Summarise
from shared.products.medmind.summary_tables import DAILY, SUMMARIES, WEEKLY
from shared.products.medmind.tables import DOSES, DOSING, STOCK
from shared.records import record
from shared.records.store import RecordStore
from tests.medmind.test_dosing import DAY, Circle, ms
from tests.stores import BOTH, fresh


class OnAny(Circle):
    """A circle on a store that is given."""

    def __init__(self, folder: Path, store: RecordStore) -> None:
        super().__init__(folder)
        self.store.close()
        self._serve(store)
        self.join("caregiver1")
        tasks = {DOSING: Dosing(store), STOCK: Stocktaking(store)}
        self.runner = Runner(
            store, tasks, policy=RetryPolicy(), lease_ms=60_000, clock=lambda: self.at
        )


@pytest.mark.parametrize("kind", BOTH)
def test_a_day_of_a_circle_ends_the_same(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    its = tmp_path / "its"
    its.mkdir()
    store = fresh(kind, request, its)
    circle = OnAny(tmp_path, store)
    circle.push(medications=[{"id": "m1", "name": "Metformin", "stock": 30}])
    circle.push(medication_plans=[{"id": "p1", "medication_id": "m1"}])
    circle.item(id="i1", times=["08:00", "20:00"], amount=1.5)
    circle.item(id="i2", times=["09:00"], frequency="every_n_hours", every=8)
    circle.item(id="i3", times=[], frequency="as_needed", most_a_day=1)
    # taken, told twice, beside the plan, once too often, and one that nobody speaks of
    circle.at = ms(DAY, 8, 10)
    for name in ("e1", "e2"):
        circle.says(name, "i1_20260302_0", "taken", circle.at)
    for name in ("n1", "n2"):
        circle.says(name, "i3", "taken", circle.at, amount=2)
    circle.at = ms(DAY, 10, 1)
    circle.sweep()
    # paused, and on the way to another clock
    circle.item(id="i1", times=["08:00", "20:00"], amount=1.5, paused=True)
    circle.item(id="i2", times=["09:00"], frequency="every_n_hours", every=12)
    living = {
        each.key.id: each.fields
        for each in circle.all(DOSES)
        if not each.fields.get(record.DELETED)
    }
    assert {name: each["state"] for name, each in living.items() if name[:2] == "i1"} == {
        "i1_20260302_0": "on_time"
    }
    hours = sorted(each["due_at"] for name, each in living.items() if name[:2] == "i2")
    assert hours[:3] == [ms(DAY, 9), ms(DAY, 21), ms(DAY.replace(day=3), 9)]
    states = [each["state"] for _, each in sorted(living.items()) if each["due_at"] == ms(DAY, 9)]
    assert states == ["missed"]
    assert circle.fields("medications", "m1")["left"] == 30 - 1.5 - 2 - 2
    kinds = {each.fields["kind"] for each in circle.all("alert_news")}
    assert kinds == {"too_many_doses", "missed_dose", "low_stock"}
    assert circle.all(ALERTS) == []  # their job is another one
    store.close()


@pytest.mark.parametrize("kind", BOTH)
def test_days_and_a_week_are_summed_up_the_same(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    its = tmp_path / "its"
    its.mkdir()
    circle = OnAny(tmp_path, fresh(kind, request, its))
    terms = Terms(ScriptedModel(lambda asked: told.draft(asked.text)), 1024, 30)
    tasks = {DOSING: Dosing(circle.store), SUMMARIES: Summarise(circle.store, lambda: terms)}
    runner = Runner(
        circle.store, tasks, policy=RetryPolicy(), lease_ms=60_000, clock=lambda: circle.at
    )

    def sweep() -> None:
        for each in tasks:
            runner.run_due(each, 60)

    def numbers(table: str) -> list[tuple[int, int, str]]:
        rows = (each.fields for each in circle.all(table))
        return sorted((row["missed"], row["on_time"], row["told_by"]) for row in rows)

    circle.push(patients=[{"id": "team1", "time_zone": "Asia/Kolkata"}])
    circle.push(medications=[{"id": "m1", "name": "Metformin"}])
    circle.push(medication_plans=[{"id": "p1", "medication_id": "m1"}])
    circle.item(times=["08:00"], ends_on="2026-03-03")
    for days in (1, 2, 7):  # a Monday's night, the next, and a week's
        circle.at = ms(DAY + timedelta(days), 0, 1)
        sweep()
    assert [row[:2] for row in numbers(WEEKLY)] == [(2, 0)]
    circle.says("e1", "i1_20260302_0", "taken", ms(DAY, 8, 5))
    for _ in range(2):
        sweep()
    assert [row[:2] for row in numbers(WEEKLY)] == [(1, 1)]
    assert [row[:2] for row in numbers(DAILY)] == [(0, 0)] * 5 + [(0, 1), (1, 0)]
    assert {row[2] for row in numbers(WEEKLY)} == {"model"}
