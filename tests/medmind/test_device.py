"""A device over HTTP: provisioned by a code, offline for a week, with a wrong clock, put out at noon."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from infra.cli.local import seed
from shared import wiring
from shared.jobs.job import RetryPolicy
from shared.jobs.runner import Runner
from shared.products.medmind.alert_tables import ALERT, ALERTS
from shared.products.medmind.items import today
from shared.products.medmind.product import MEDMIND
from shared.products.medmind.tables import DOSING
from shared.records.store import Query
from tests.api.conftest import Api, StartApi

PASSWORD = "a rather long pass phrase"
ITEM = "demo-metformin-plan-item"
HOUR = 3_600_000


class Table:
    """The example circle, and a device that a caregiver's code let in."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.daughter = api.token("demo-daughter")
        asked = {"scope_id": "demo", "role": "device"}
        code = self.ask("POST", "/api/v1/auth/invites", asked, self.daughter)["invite_code"]
        body = {"email": "table-1@devices.example", "password": PASSWORD, "invite_code": code}
        made = self.ask("POST", "/api/v1/auth/register", body)
        self.device, self.token = made["user_id"], made["access_token"]

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        said = self.api.ask(method, path, body, token=token or None)
        return said.json if said.status_code < 300 else said.status_code

    def schedule(self, token: str | None = None, query: str = "") -> Any:
        return self.ask("GET", f"/devices/{self.device}/schedule{query}", None, token or self.token)

    def tell(self, *events: dict[str, Any], now_ms: int | None = None) -> Any:
        now = wiring.clock_ms() if now_ms is None else now_ms
        body = {"now": now, "events": list(events)}
        return self.ask("POST", f"/devices/{self.device}/events", body, self.token)

    def run(self) -> None:
        runner: Runner = wiring.runner()
        runner.run_due(DOSING, 60)

    def dose(self, days: int) -> str:
        day = today(wiring.clock_ms(), ZoneInfo("Asia/Kolkata")) + timedelta(days=days)
        return f"{ITEM}_{day:%Y%m%d}_0"


def run_alerts(now_ms: int) -> None:
    """The job of each alert, at a time that has not come."""
    tasks = {ALERT: MEDMIND.tasks(wiring.parts())[ALERT]}
    policy = RetryPolicy()
    Runner(wiring.store(), tasks, policy=policy, lease_ms=1, clock=lambda: now_ms).run_due(
        ALERT, 60
    )


@pytest.fixture
def table(start_api: StartApi) -> Table:
    api = start_api(product="medmind")
    seed("demo")
    api.join("carl", "others", "caregiver")
    made = Table(api)
    made.run()
    return made


def test_the_schedule_is_small_and_the_same_until_something_changes(table: Table) -> None:
    found = table.schedule()
    assert (found["patient"], found["time_zone"]) == ("Kamala", "Asia/Kolkata")
    assert 14 <= len(found["doses"]) <= 20
    first = next(each for each in found["doses"] if each["id"].startswith(ITEM))
    assert (first["medicine"], first["strength"], first["amount"]) == ("Metformin", "500 mg", 1)
    assert first["until"] - first["due_at"] == HOUR
    said = table.api.ask("GET", f"/devices/{table.device}/schedule", token=table.token)
    tag = said.headers["ETag"]
    assert len(said.data) < 6_000
    headers = {"If-None-Match": tag}
    path = f"/devices/{table.device}/schedule"
    assert table.api.ask("GET", path, token=table.token, headers=headers).status_code == 304
    assert len(table.schedule(query="?days=14")["doses"]) > len(found["doses"])


def test_events_are_taken_once_and_a_bad_one_stops_no_other(table: Table) -> None:
    now = wiring.clock_ms()
    good = {"id": "e1", "dose_id": table.dose(-1), "kind": "taken", "at": now - 24 * HOUR}
    bad: list[dict[str, Any]] = [
        {"id": "e2", "dose_id": table.dose(0), "kind": "eaten", "at": now},
        {"id": "../e3", "dose_id": table.dose(0), "kind": "taken", "at": now},
        {"id": "e4", "dose_id": table.dose(0), "kind": "taken"},
        {"id": "e5", "dose_id": table.dose(0), "kind": "taken", "at": "noon"},
    ]
    last = {"id": "e6", "dose_id": table.dose(1), "kind": "skipped", "at": now, "reason": "sick"}
    for _ in range(2):
        said = table.tell(good, *bad, last)
        assert said["taken"] == ["e1", "e6"]
        codes = {each["id"]: each["code"] for each in said["refused"]}
        assert codes == {
            "e2": "invalid_choice",
            "../e3": "invalid_id",
            "e4": "missing_field",
            "e5": "wrong_type",
        }
    table.run()
    states = {each["id"]: each["state"] for each in table.schedule()["doses"]}
    assert states.get(table.dose(1)) == "skipped"  # said beforehand


def test_a_wrong_clock_is_corrected(table: Table) -> None:
    now, wrong = wiring.clock_ms(), wiring.clock_ms() + 72 * HOUR
    event = {"id": "e1", "dose_id": table.dose(0), "kind": "taken", "at": wrong - HOUR}
    said = table.tell(event, now_ms=wrong)
    assert abs(said["clock_offset_ms"] - 72 * HOUR) < HOUR
    pulled: Any = table.ask("GET", "/api/v1/sync?last_pulled_at=0", None, table.daughter)
    rows: Any = pulled["changes"]["dose_events"]
    [row] = [each for each in rows["created"] + rows["updated"] if each["id"] == "e1"]
    assert abs(row["at"] - (now - HOUR)) < HOUR / 2


def test_a_device_that_is_put_out_knows_nothing_any_more(table: Table) -> None:
    assert table.schedule()["doses"]
    path = f"/api/v1/auth/members/{table.device}/remove"
    assert table.ask("POST", path, {"scope_id": "demo"}, table.daughter) != 404
    assert table.schedule() == 404
    assert table.tell({"id": "e1", "dose_id": table.dose(0), "kind": "taken", "at": 1}) == 404
    assert table.ask("POST", f"/devices/{table.device}/heartbeats", {"now": 1}, table.token) == 404


def test_only_the_device_tells_and_only_its_circle_looks(table: Table) -> None:
    stranger = table.api.token("carl")
    assert table.schedule(stranger) == 404
    assert table.schedule(table.daughter)["doses"]
    body = {"now": wiring.clock_ms(), "events": []}
    for path in ("events", "heartbeats"):
        for token in (table.daughter, stranger):
            assert table.ask("POST", f"/devices/{table.device}/{path}", body, token) == 404
    assert table.ask("GET", "/devices/demo-daughter/schedule", None, table.daughter) == 404


def test_a_heartbeat_is_answered_with_the_time(table: Table) -> None:
    body = {"now": 5, "battery_percent": 80, "firmware": "1.2"}
    said = table.ask("POST", f"/devices/{table.device}/heartbeats", body, table.token)
    assert abs(said["now"] - wiring.clock_ms()) < HOUR
    for wrong in ({"now": -1}, {}, {"now": 1, "battery_percent": 101}):
        path = f"/devices/{table.device}/heartbeats"
        assert table.ask("POST", path, wrong, table.token) == 400


def test_a_device_that_falls_silent_is_told_of_once_a_silence(table: Table) -> None:
    silent = MEDMIND.rounds(wiring.parts())["silent_devices"]
    path = f"/devices/{table.device}/heartbeats"
    assert silent(wiring.clock_ms() + 2 * HOUR) == 0  # nobody has ever heard of it
    for _ in range(2):
        table.ask("POST", path, {"now": 1}, table.token)
        now = wiring.clock_ms()
        assert [silent(now + minutes * 60_000) for minutes in (29, 31, 32)] == [0, 1, 0]
        run_alerts(wiring.clock_ms() + HOUR)
    raised = [each.fields for each in wiring.store().query(Query(ALERTS))]
    assert [each["kind"] for each in raised] == ["silent_device"] * 2
    assert sorted(each["state"] for each in raised) == ["ended", "open"]
    table.ask("POST", path, {"now": 1}, table.token)
    run_alerts(wiring.clock_ms() + HOUR)
    assert {each.fields["state"] for each in wiring.store().query(Query(ALERTS))} == {"ended"}
    away = f"/api/v1/auth/members/{table.device}/remove"
    table.ask("POST", away, {"scope_id": "demo"}, table.daughter)
    assert silent(wiring.clock_ms() + 2 * HOUR) == 0
    assert list(wiring.store().query(Query("device_heartbeats"))) == []
