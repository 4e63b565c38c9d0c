"""Doses on a store: made ahead, moved, settled; nothing is lost or told twice, wherever a process dies."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shared.access.membership import Caller
from shared.adapters.sqlite import SqliteStore
from shared.jobs.job import RetryPolicy
from shared.jobs.runner import Runner
from shared.products.medmind.alert_tables import ALERT, ALERTS, MISSED_DOSE, alert_id
from shared.products.medmind.alerts import Alerting
from shared.products.medmind.doses import DoseEvent, state
from shared.products.medmind.dosing import AHEAD_DAYS, Dosing
from shared.products.medmind.stock import Stocktaking
from shared.products.medmind.tables import CATALOG, DOSES, DOSING, EVENTS, STOCK, item_of
from shared.records import record
from shared.records.wall_time import instant
from shared.support import ledger
from tests.medmind.alerting import parts_on
from tests.notify.post import Post
from tests.sync.clinic import Clinic
from tests.sync.test_watermelon import Melon

ZONE = ZoneInfo("Asia/Kolkata")
DAY = date(2026, 3, 2)
MINUTE = 60_000


def ms(day: date, hour: int, minute: int = 0) -> int:
    return instant(datetime.combine(day, time(hour, minute)), ZONE)


class Circle(Clinic):
    """The engine on MedMind's tables, with a clock of its own and the job of doses."""

    catalog = CATALOG
    member = "caregiver"

    def __init__(self, folder: Path) -> None:
        super().__init__(SqliteStore(folder / "records.db"))
        self.at = ms(DAY, 6)
        self.now_ms = lambda: self.at
        self.join("caregiver1")
        self.post = Post(clock=self.now_ms)
        parts = parts_on(self.store, self.post)
        self.runner = Runner(
            self.store,
            {
                DOSING: Dosing(self.store),
                STOCK: Stocktaking(self.store),
                ALERT: Alerting(self.store, parts),
            },
            policy=RetryPolicy(),
            lease_ms=60_000,
            clock=lambda: self.at,
        )

    def sweep(self) -> None:
        for kind in self.runner.kinds:
            self.runner.run_due(kind, 60)

    def go(self, until_ms: int) -> None:
        """Time passes, with a sweep each five minutes and at the end."""
        while self.at < until_ms:
            self.at = min(self.at + 5 * MINUTE, until_ms)
            self.sweep()

    def push(self, **tables: list[dict[str, Any]]) -> None:
        phone = Melon(self, "caregiver1")
        rows = {
            table: {
                "created": [],
                "updated": [{"last_modified_at": self.at, **each} for each in several],
                "deleted": [],
            }
            for table, several in tables.items()
        }
        phone.push(rows, phone.pull()["timestamp"])
        self.sweep()

    def delete(self, table: str, name: str) -> None:
        phone = Melon(self, "caregiver1")
        sets = {table: {"created": [], "updated": [], "deleted": [name]}}
        phone.push(sets, phone.pull()["timestamp"])
        self.sweep()

    def item(self, **more: Any) -> None:
        row = {"id": "i1", "plan_id": "p1", "starts_on": "2026-03-02", "times": ["08:00", "20:00"]}
        self.push(medication_plan_items=[{**row, "time_zone": ZONE.key, "amount": 1, **more}])

    def says(self, name: str, dose: str, kind: str, at_ms: int, **more: Any) -> None:
        self.push(dose_events=[{"id": name, "dose_id": dose, "kind": kind, "at": at_ms, **more}])

    @property
    def doses(self) -> dict[str, dict[str, Any]]:
        """The living doses."""
        return {
            each.key.id: dict(each.fields)
            for each in self.all(DOSES)
            if each.fields.get(record.DELETED) is None
        }


@pytest.fixture
def circle(tmp_path: Path) -> Iterator[Circle]:
    place = Circle(tmp_path)
    place.push(medications=[{"id": "m1", "name": "Metformin"}])
    place.push(medication_plans=[{"id": "p1", "medication_id": "m1"}])
    place.item()
    yield place
    place.store.close()


def test_doses_are_there_two_weeks_ahead(circle: Circle) -> None:
    assert len(circle.doses) == 2 * (AHEAD_DAYS + 1)
    first = circle.doses["i1_20260302_0"]
    assert (first["due_at"], first["state"], first["grace_minutes"]) == (ms(DAY, 8), "planned", 60)
    circle.go(ms(DAY + timedelta(days=1), 0, 10))
    assert len(circle.doses) == 2 * (AHEAD_DAYS + 2)


def test_a_dose_of_which_nobody_says_anything_is_missed_at_the_end_of_its_grace(
    circle: Circle,
) -> None:
    for at, name in ((7, "planned"), (8, "due"), (9, "due")):
        circle.go(ms(DAY, at))
        assert circle.doses["i1_20260302_0"]["state"] == name
    circle.go(ms(DAY, 9, 5))
    assert circle.doses["i1_20260302_0"]["state"] == "missed"
    assert circle.doses["i1_20260302_1"]["state"] == "planned"


def test_a_missed_dose_raises_one_alert_whatever_becomes_of_it_later(circle: Circle) -> None:
    circle.go(ms(DAY, 9))
    assert circle.all(ALERTS) == []
    circle.go(ms(DAY, 9, 5))
    [told] = circle.all(ALERTS)
    assert told.key.id == alert_id(MISSED_DOSE, "i1_20260302_0", "team1")
    assert (told.fields["subject"], told.fields["raised_at"]) == ("i1_20260302_0", ms(DAY, 9))
    assert (told.fields["severity"], told.fields["state"]) == ("urgent", "open")
    circle.says("e1", "i1_20260302_0", "taken", ms(DAY, 8, 10))
    [ended] = circle.all(ALERTS)
    assert (ended.fields["state"], ended.fields["ended_at"]) == ("ended", circle.at)
    circle.at += MINUTE
    circle.says("e2", "i1_20260302_0", "undone", circle.at, undoes="e1")
    circle.go(ms(DAY, 12))
    assert circle.doses["i1_20260302_0"]["state"] == "missed"
    assert [each.version for each in circle.all(ALERTS)] == [ended.version]


@pytest.mark.parametrize("second", [0, 1, 30, 59])
def test_a_missed_dose_is_told_once_within_a_minute_of_its_grace_s_end(
    circle: Circle, second: int
) -> None:
    caller = Caller("caregiver1", "", "phone")
    ledger.register(circle.store, caller, ["team1"], "caregiver1-phone", circle.at)
    circle.go(ms(DAY, 8, 50))
    circle.at += second * 1000
    for _ in range(40):
        circle.at += MINUTE
        circle.sweep()
    [(told, message)] = circle.post.sent
    assert (message.token, message.alert) == ("caregiver1-phone", True)
    assert 0 < told - ms(DAY, 9) <= MINUTE


def test_what_a_device_says_a_week_later_amends_it(circle: Circle) -> None:
    circle.go(ms(DAY + timedelta(days=1), 12))
    assert circle.doses["i1_20260302_0"]["state"] == "missed"
    circle.at = ms(DAY + timedelta(days=9), 12)
    circle.says("e1", "i1_20260302_0", "taken", ms(DAY, 8, 10))
    found = circle.doses["i1_20260302_0"]
    assert (found["state"], found["event_id"], found["amended_at"]) == ("on_time", "e1", circle.at)
    circle.says("e2", "i1_20260302_0", "undone", circle.at, undoes="e1")
    assert circle.doses["i1_20260302_0"]["state"] == "missed"


def test_a_new_time_moves_what_is_to_come_and_leaves_what_was(circle: Circle) -> None:
    circle.go(ms(DAY, 8, 30))
    circle.says("e1", "i1_20260302_0", "taken", circle.at)
    circle.item(times=["09:00", "21:00"])
    assert circle.doses["i1_20260302_0"]["due_at"] == ms(DAY, 8)
    assert circle.doses["i1_20260302_0"]["state"] == "on_time"
    assert circle.doses["i1_20260302_1"]["due_at"] == ms(DAY, 21)
    assert circle.doses["i1_20260303_0"]["due_at"] == ms(DAY + timedelta(days=1), 9)
    circle.item(times=["09:00"])
    assert "i1_20260302_1" not in circle.doses


def test_a_pause_and_a_deletion_take_back_what_is_to_come_and_nothing_that_was(
    circle: Circle,
) -> None:
    circle.go(ms(DAY, 12))
    circle.item(paused=True)
    assert set(circle.doses) == {"i1_20260302_0"}
    circle.at += MINUTE
    circle.item(paused=False)
    assert len(circle.doses) == 2 * (AHEAD_DAYS + 1)
    circle.delete("medication_plan_items", "i1")
    circle.go(ms(DAY + timedelta(days=2), 12))
    assert {name: each["state"] for name, each in circle.doses.items()} == {
        "i1_20260302_0": "missed"
    }


def test_what_cannot_be_read_has_no_doses_and_says_so(circle: Circle) -> None:
    circle.go(ms(DAY, 12))
    circle.item(times=["8 in the morning"], starts_on="tomorrow")
    row = circle.get("medication_plan_items", "i1")
    assert row is not None
    assert row.fields["unread"] == ["starts_on", "times"]
    assert set(circle.doses) == {"i1_20260302_0"}


@pytest.mark.parametrize("name", ["", "i1_2026-03-02_0", "_1_x", "i1_20260302_"])
def test_an_event_of_no_dose_is_kept_and_does_nothing(circle: Circle, name: str) -> None:
    assert item_of(name) == ""
    circle.says("e9", name or "-", "taken", circle.at)
    assert circle.get(EVENTS, "e9") is not None


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.proof) for n in range(1, 6))]
)
def test_for_any_order_and_delay_the_states_are_those_of_a_judge(circle: Circle, seed: int) -> None:
    rng = random.Random(seed)
    names = [f"i1_{DAY + timedelta(days=n):%Y%m%d}_{place}" for n in range(3) for place in (0, 1)]
    said: dict[str, list[DoseEvent]] = {name: [] for name in names}
    for number in range(25):
        circle.go(circle.at + rng.randrange(1, 300) * MINUTE)
        dose, kind = rng.choice(names), rng.choice(["taken", "taken", "skipped", "undone"])
        happened = circle.at - rng.randrange(0, 600) * MINUTE
        undoes = rng.choice([each.id for each in said[dose]] or [""])
        circle.says(f"e{number}", dose, kind, happened, undoes=undoes, reason="sick")
        said[dose].append(DoseEvent(f"e{number}", kind, happened, circle.at, "sick", undoes))
    circle.go(circle.at + 24 * 60 * MINUTE)
    for name in names:
        have = circle.doses[name]
        due = datetime.strptime(name[3:11], "%Y%m%d").date()
        wanted = state(
            ms(due, 8 if name.endswith("_0") else 20), 60 * MINUTE, said[name], circle.at
        )
        assert (have["state"], have.get("amended_at")) == (wanted.name, wanted.amended_ms), name
