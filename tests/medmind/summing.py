"""A circle whose days are summed up; and a judge that reads the same numbers another way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from shared.adapters.scripted import ScriptedModel
from shared.ai.conversation import Terms
from shared.jobs.job import RetryPolicy
from shared.jobs.runner import Runner
from shared.products.medmind.dosing import Dosing
from shared.products.medmind.report import told
from shared.products.medmind.summarising import Summarise
from shared.products.medmind.summary_tables import DAILY, SUMMARIES, WEEKLY
from shared.products.medmind.tables import DOSES, DOSING, EVENTS, ITEMS, as_needed
from shared.records import record
from shared.records.store import RecordStore
from tests.medmind.test_dosing import Circle

NUMBERS = ("due", "on_time", "late", "missed", "skipped", "open", "percent_taken", "as_needed")


class Summed(Circle):
    """Doses are settled, then days are summed up, as the sweeper does."""

    def __init__(self, folder: Path, zone: str = "Asia/Kolkata") -> None:
        super().__init__(folder)
        self.terms = Terms(ScriptedModel(lambda asked: told.draft(asked.text)), 1024, 30)
        self.runner = self.runner_on(self.store)
        self.push(patients=[{"id": "team1", "name": "Kamala", "time_zone": zone}])
        self.push(medications=[{"id": "m1", "name": "Metformin"}])
        self.push(medication_plans=[{"id": "p1", "medication_id": "m1"}])

    def runner_on(self, store: RecordStore) -> Runner:
        tasks = {DOSING: Dosing(store), SUMMARIES: Summarise(store, lambda: self.terms)}
        policy = RetryPolicy()
        return Runner(store, tasks, policy=policy, lease_ms=60_000, clock=lambda: self.at)

    def sweep(self) -> None:
        for kind in self.runner.kinds:
            self.runner.run_due(kind, 60)

    def hour(self, until_ms: int, minutes: int = 60) -> None:
        """Time passes, with a sweep each hour."""
        while self.at < until_ms:
            self.at = min(self.at + minutes * 60_000, until_ms)
            self.sweep()

    @property
    def days(self) -> dict[str, dict[str, Any]]:
        """Rows of days."""
        return {each.fields["day"]: dict(each.fields) for each in self.all(DAILY)}

    @property
    def weeks(self) -> dict[str, dict[str, Any]]:
        """Rows of weeks."""
        return {each.fields["week"]: dict(each.fields) for each in self.all(WEEKLY)}

    def numbers(self, day: str) -> list[Any]:
        """Those of a day: due, on time, late, missed, skipped, open, percent, as needed."""
        return [self.days[day].get(name) for name in NUMBERS]


def judged(circle: Summed, moves: Sequence[tuple[int, str]]) -> dict[str, dict[str, Any]]:
    """The numbers of each day, minute by minute of the patient's clock: `moves` are since when and where.

    The day of a moment is the latest that a clock on the wrist has ever shown until then. No bounds
    of days are worked out, and states are counted dose by dose.
    """
    doses = [
        each
        for each in circle.all(DOSES)
        if not each.fields.get(record.DELETED) and not as_needed(each.key.id)
    ]
    events = {each.key.id: each.fields for each in circle.all(EVENTS)}
    undone = {each.get("undoes") for each in events.values() if each["kind"] == "undone"}
    needed = {each.key.id for each in circle.all(ITEMS) if each.fields["frequency"] == "as_needed"}
    found: dict[str, dict[str, Any]] = {}

    def of(at_ms: int) -> dict[str, Any]:
        day = date.min
        for at, (since_ms, name) in enumerate(moves):
            until_ms = moves[at + 1][0] if at + 1 < len(moves) else at_ms + 1
            for wrist_ms in (
                since_ms,
                min(until_ms - 1, at_ms),
                min(until_ms - 1, at_ms) - 3_600_000,
            ):
                if (since_ms if at else 0) <= wrist_ms <= at_ms:
                    shown = datetime.fromtimestamp(wrist_ms / 1000, ZoneInfo(name)).date()
                    day = max(day, shown)
        return found.setdefault(day.isoformat(), {"counts": [], "delays": [], "as_needed": 0})

    for each in doses:
        have = each.fields
        if have["due_at"] <= circle.at:
            row = of(have["due_at"])
            row["counts"].append(have["state"])
            if have["state"] in ("on_time", "late"):
                row["delays"].append((events[have["event_id"]]["at"] - have["due_at"]) // 60_000)
    for name, event in events.items():
        if event["kind"] == "taken" and event["item_id"] in needed and name not in undone:
            of(event["at"])["as_needed"] += 1
    return found


def tomorrow(day: str, days: int = 1) -> str:
    """The day so many days after another."""
    return (date.fromisoformat(day) + timedelta(days)).isoformat()
