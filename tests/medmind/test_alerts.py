"""An alert: one whatever is repeated, acknowledged by whom it is for, ended by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.sqlite import SqliteStore
from shared.jobs.job import RetryPolicy
from shared.jobs.runner import Runner
from shared.products.medmind import alerts
from shared.products.medmind.alert_tables import ALERT, ALERTS, EMERGENCY, NOTICE, alert_id
from shared.products.medmind.tables import CATALOG
from tests.sync.clinic import Clinic
from tests.sync.test_watermelon import Melon

MINUTE = 60_000


class Circle(Clinic):
    """A daughter, a doctor and a grandmother, and the job of alerts."""

    catalog = CATALOG
    member = "caregiver"

    def __init__(self, folder: Path) -> None:
        super().__init__(SqliteStore(folder / "records.db"))
        self.at = 1_772_400_000_000
        self.now_ms = lambda: self.at
        for user, role in (("anna", "caregiver"), ("rao", "doctor"), ("kamala", "patient")):
            self.join(user, role=role)
        self.runner = Runner(
            self.store,
            {ALERT: alerts.Alerting(self.store)},
            policy=RetryPolicy(),
            lease_ms=60_000,
            clock=lambda: self.at,
        )

    def sweep(self) -> None:
        self.runner.answer(ALERT, None, 60)

    def raises(self, kind: str = "low_stock", subject: str = "m1", severity: str = NOTICE) -> str:
        self.store.commit(alerts.raised(kind, subject, "team1", self.at, severity))
        return alert_id(kind, subject, "team1")

    def act(self, user: str, name: str, alert: str, at_ms: int, **more: Any) -> Any:
        phone = Melon(self, user)
        row = {"id": name, "alert_id": alert, "at": at_ms, "last_modified_at": at_ms, **more}
        sets = {"alert_actions": {"created": [], "updated": [row], "deleted": []}}
        return phone.push(sets, phone.pull()["timestamp"])

    def row(self, alert: str) -> dict[str, Any]:
        found = self.get(ALERTS, alert)
        return {} if found is None else dict(found.fields)


@pytest.fixture
def circle(tmp_path: Path) -> Iterator[Circle]:
    place = Circle(tmp_path)
    yield place
    place.store.close()


def test_raised_twice_it_is_one_alert_and_never_less_severe(circle: Circle) -> None:
    alert = circle.raises()
    circle.sweep()
    circle.at += MINUTE
    for severity in (EMERGENCY, NOTICE):
        assert circle.raises(severity=severity) == alert
        circle.sweep()
    [row] = circle.all(ALERTS)
    assert row.fields["severity"] == EMERGENCY
    assert row.fields["raised_at"] == circle.at - MINUTE
    assert circle.all("alert_news") == []


def test_the_earliest_acknowledgement_counts_in_any_order(circle: Circle) -> None:
    alert = circle.raises()
    circle.sweep()
    raised = circle.at
    circle.at += 60 * MINUTE
    circle.act("rao", "a1", alert, raised + 40 * MINUTE, note="called her")
    circle.sweep()
    assert circle.row(alert)["acknowledged_by"] == "rao"
    circle.act("anna", "a2", alert, raised + 20 * MINUTE, note="went there")
    circle.act("anna", "a3", alert, raised + 50 * MINUTE)
    circle.sweep()
    row = circle.row(alert)
    assert (row["state"], row["acknowledged_by"], row["note"]) == (
        "acknowledged",
        "anna",
        "went there",
    )
    assert row["acknowledged_at"] == raised + 20 * MINUTE
    circle.raises(severity=EMERGENCY)
    circle.sweep()
    assert circle.row(alert)["state"] == "acknowledged"


def test_the_patient_s_own_word_leaves_it_open(circle: Circle) -> None:
    alert = circle.raises("call_for_help", "h1", EMERGENCY)
    circle.sweep()
    circle.act("kamala", "a1", alert, circle.at)
    circle.act("anna", "a2", alert, circle.at, action="looked at it")
    circle.sweep()
    assert circle.row(alert)["state"] == "open"


def test_what_was_never_raised_cannot_end(circle: Circle) -> None:
    circle.store.commit(alerts.ended("missed_dose", "d1", "team1", circle.at))
    circle.sweep()
    assert circle.all(ALERTS) == []
    assert circle.all("alert_news") == []
