"""The life of a device: let in by a code, its password changed, lost, replaced, put out at noon."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from shared import wiring
from shared.products.medmind.product import MEDMIND
from shared.products.medmind.tables import EVENTS
from shared.records.store import Query
from tests.medmind.asking import request_of
from tests.medmind.test_device import HOUR, PASSWORD, Table, table

__all__ = ["table"]

AUTH = "/api/v1/auth"


def put_out(table: Table) -> None:
    body = {"scope_id": "demo"}
    table.ask("POST", f"{AUTH}/members/{table.device}/remove", body, table.daughter)


def code_for(table: Table, token: str, scope: str = "demo", role: str = "device") -> str:
    asked = {"scope_id": scope, "role": role}
    made: Any = table.ask("POST", f"{AUTH}/invites", asked, token)
    return str(made["invite_code"])


def log_in(table: Table, password: str = PASSWORD) -> Any:
    body = {"email": "table-1@devices.example", "password": password}
    return table.ask("POST", f"{AUTH}/login", body)


def test_a_device_revoked_at_noon_knows_nothing_at_one(table: Table) -> None:
    # given a device that synced, with tokens of an hour ago
    tokens = log_in(table)
    pulled: Any = table.ask("GET", "/api/v1/sync?last_pulled_at=0", None, table.token)
    assert pulled["changes"]["medications"]["updated"] + pulled["changes"]["medications"]["created"]
    routes = [
        each for each in MEDMIND.routes(wiring.parts()) if each.path.startswith("/devices/{id}")
    ]
    assert {"sendHeartbeat", "getSchedule"} < {each.id for each in routes}
    # when it is put out
    put_out(table)
    # then none of them gives it anything, nor a new log-in
    fresh = table.ask("POST", f"{AUTH}/refresh", {"refresh_token": tokens["refresh_token"]})
    for token in (table.token, fresh["access_token"], log_in(table)["access_token"]):
        assert table.schedule(token) == 404
        event = {"id": "x1", "dose_id": table.dose(0), "kind": "taken", "at": 1}
        sent = {"now": 1, "events": [event]}
        assert table.ask("POST", f"/devices/{table.device}/events", sent, token) == 404
        for route in routes:
            path, body = request_of(route, "demo", table.device)
            status = table.api.ask(route.method, path, body, token=token).status_code
            assert status in (404, 400), route.id  # 400: the body is of no use, whoever sends it
        for cursor in ("0", "null", str(pulled["timestamp"])):
            said: Any = table.ask("GET", f"/api/v1/sync?last_pulled_at={cursor}", None, token)
            while said.get("sync_again"):
                after = f"/api/v1/sync?last_pulled_at={said['timestamp']}"
                said = table.ask("GET", after, None, token)
            for sets in said["changes"].values():
                assert sets["created"] == sets["updated"] == []
        batch: Any = table.ask("POST", "/api/sync", {"changes": {}}, token)
        assert not any(batch["server_updates"].values())
        rows = {"dose_events": {"created": [], "updated": [event], "deleted": []}}
        pushed: Any = table.ask("POST", "/api/v1/sync?last_pulled_at=0", {"changes": rows}, token)
        assert pushed["rejected"]
    assert list(wiring.store().query(Query(EVENTS))) == []


def test_a_lost_device_is_replaced_and_only_the_new_one_speaks(table: Table) -> None:
    put_out(table)
    code = code_for(table, table.daughter)
    body = {"email": "table-2@devices.example", "password": PASSWORD, "invite_code": code}
    new: Any = table.ask("POST", f"{AUTH}/register", body)
    path = f"/devices/{new['user_id']}/schedule"
    assert table.ask("GET", path, None, new["access_token"])["doses"]
    assert table.schedule() == 404
    assert table.ask("GET", path, None, table.token) == 404
    assert table.ask("POST", f"{AUTH}/register", body | {"email": "t3@devices.example"}) == 403


def test_a_device_changes_its_password_and_its_other_sessions_end(table: Table) -> None:
    stolen = log_in(table)
    body = {"old_password": PASSWORD, "new_password": "another long pass phrase"}
    assert table.ask("POST", f"{AUTH}/password", body, table.token) == {}
    assert log_in(table) == 401
    assert log_in(table, "another long pass phrase")["access_token"]
    body = {"refresh_token": stolen["refresh_token"]}
    assert table.ask("POST", f"{AUTH}/refresh", body) == 401
    assert table.schedule()["doses"]


def test_a_device_is_in_one_circle_at_a_time(table: Table) -> None:
    other = code_for(table, table.api.token("carl"), "others")
    join = {"invite_code": other}
    assert table.ask("POST", f"{AUTH}/join", join, table.token) == 403
    made = table.ask("POST", f"{AUTH}/scopes", {"name": "own"}, table.token)
    assert made == 403
    assert table.schedule()["doses"]
    put_out(table)
    assert table.ask("POST", f"{AUTH}/join", join, table.token)["scopes"]
    assert table.schedule()["doses"] == []  # the other circle has none


def test_only_a_caregiver_lets_a_device_in(table: Table) -> None:
    for user in ("demo-doctor", "demo-grandmother"):
        asked = {"scope_id": "demo", "role": "device"}
        said = table.ask("POST", f"{AUTH}/invites", asked, table.api.token(user))
        assert said == 403
    assert table.ask("POST", f"{AUTH}/invites", asked, table.token) == 403


def test_a_device_s_own_words_about_doses_are_all_that_it_may_write(table: Table) -> None:
    row = {"id": "demo-metformin", "name": "Poison"}
    sets = {"medications": {"created": [], "updated": [row], "deleted": []}}
    pulled: Any = table.ask("GET", "/api/v1/sync?last_pulled_at=0", None, table.token)
    path = f"/api/v1/sync?last_pulled_at={pulled['timestamp']}"
    said: Any = table.ask("POST", path, {"changes": sets}, table.token)
    assert [each["code"] for each in said["rejected"]] == ["not_allowed"]


# --- what it shows, and tells


@pytest.fixture
def full(table: Table) -> Table:
    """Four medicines at two to four times a day, and one as needed."""
    times = [
        ["08:00"],
        ["08:00", "20:00"],
        ["08:00", "14:00", "20:00"],
        ["06:00", "12:00", "18:00"],
    ]
    rows: dict[str, list[dict[str, Any]]] = {
        "medications": [
            {"id": f"m{n}", "name": f"Medicine {n}", "strength": f"{n}0 mg"} for n in range(5)
        ],
        "medication_plans": [{"id": f"p{n}", "medication_id": f"m{n}"} for n in range(5)],
        "medication_plan_items": [
            {
                "id": f"item{n}",
                "plan_id": f"p{n}",
                "starts_on": "2026-03-02",
                "time_zone": "Asia/Kolkata",
                "amount": 1,
                "unit": "tablet",
                "with_meal": "after",
                **(
                    {"times": times[n]}
                    if n < 4
                    else {"frequency": "as_needed", "most_a_day": 3, "times": []}
                ),
            }
            for n in range(5)
        ],
    }
    say(table, rows)
    return table


def say(table: Table, rows: dict[str, list[dict[str, Any]]]) -> None:
    """The daughter's phone pushes rows, and the jobs run."""
    pulled: Any = table.ask("GET", "/api/v1/sync?last_pulled_at=0", None, table.daughter)
    sets = {
        name: {"created": [], "updated": several, "deleted": []} for name, several in rows.items()
    }
    path = f"/api/v1/sync?last_pulled_at={pulled['timestamp']}"
    said: Any = table.ask("POST", path, {"changes": sets}, table.daughter)
    assert "rejected" not in said
    table.run()


def test_a_week_of_four_medicines_is_a_few_kilobytes(full: Table) -> None:
    said = full.api.ask("GET", f"/devices/{full.device}/schedule", token=full.token)
    assert len(said.json["doses"]) >= 60  # type: ignore[index]
    assert len(gzip.compress(said.data)) < 2_500
    assert len(said.data) < 20_000


def test_what_is_shown_changes_with_the_amount_and_so_does_its_tag(full: Table) -> None:
    """A device must not go on saying an old dose because times and states stayed."""
    path = f"/devices/{full.device}/schedule"
    tag = full.api.ask("GET", path, token=full.token).headers["ETag"]
    say(full, {"medication_plan_items": [{"id": "item0", "amount": 2}]})
    said = full.api.ask("GET", path, token=full.token, headers={"If-None-Match": tag})
    assert said.status_code == 200
    doses: Any = said.json
    now = wiring.clock_ms()
    amounts = {
        each["amount"]
        for each in doses["doses"]
        if each["id"].startswith("item0") and each["due_at"] > now
    }
    assert amounts == {2}


def of_item4(full: Table) -> Any:
    """What is said of the item that is taken as needed."""
    [found] = [each for each in full.schedule()["as_needed"] if each["item_id"] == "item4"]
    return found


def test_the_device_says_how_many_are_left_today(full: Table) -> None:
    needed = of_item4(full)
    assert (needed["item_id"], needed["most_a_day"], needed["left_today"]) == ("item4", 3, 3)
    now = wiring.clock_ms()
    for number in range(4):
        full.tell({"id": f"n{number}", "dose_id": "item4", "kind": "taken", "at": now - number})
        full.run()
        needed = of_item4(full)
        assert needed["left_today"] == max(0, 2 - number)
    assert len(needed["taken_at"]) == 4  # the fourth is kept, too
    say(full, {"medication_plan_items": [{"id": "item4", "paused": True}]})
    assert "item4" not in {each["item_id"] for each in full.schedule()["as_needed"]}


def test_where_the_patient_travels_the_device_asks_and_nothing_moves(full: Table) -> None:
    before = {each["id"]: each["due_at"] for each in full.schedule()["doses"]}
    assert full.schedule()["other_clocks"] == []
    say(full, {"patients": [{"id": "demo", "time_zone": "Asia/Tokyo"}]})
    found = full.schedule()
    assert "item0" in {each["item_id"] for each in found["other_clocks"]}
    assert {each["id"]: each["due_at"] for each in found["doses"]} == before
    say(full, {"medication_plan_items": [{"id": "item0", "time_zone": "Asia/Tokyo"}]})
    assert "item0" not in {each["item_id"] for each in full.schedule()["other_clocks"]}


def test_a_dose_of_a_medicine_that_has_just_gone_is_not_shown(full: Table) -> None:
    pulled: Any = full.ask("GET", "/api/v1/sync?last_pulled_at=0", None, full.daughter)
    sets = {"medications": {"created": [], "updated": [], "deleted": ["m0"]}}
    path = f"/api/v1/sync?last_pulled_at={pulled['timestamp']}"
    full.ask("POST", path, {"changes": sets}, full.daughter)
    now = wiring.clock_ms()
    shown = [each for each in full.schedule()["doses"] if each["due_at"] > now]
    assert not [each for each in shown if each["id"].startswith("item0")]


def test_an_event_sent_again_with_another_clock_is_taken_still(table: Table) -> None:
    """Its time is corrected anew, by another difference: the first correction counts."""
    event = {"id": "e1", "dose_id": table.dose(0), "kind": "taken", "at": wiring.clock_ms()}
    for ahead in (0, 70_000, -50_000):
        said = table.tell(event, now_ms=wiring.clock_ms() + ahead)
        assert (said["taken"], said["refused"]) == (["e1"], [])
    other = {**event, "kind": "skipped"}
    said = table.tell(other)
    assert [each["code"] for each in said["refused"]] == ["not_allowed"]


def test_a_device_offline_for_a_month_tells_all_and_one_bad_event_stops_none(table: Table) -> None:
    now = wiring.clock_ms()
    events: list[dict[str, Any]] = [
        {"id": f"e{n}", "dose_id": table.dose(-n), "kind": "taken", "at": now - n * 24 * HOUR}
        for n in range(30)
    ]
    events[7]["kind"] = "eaten"
    wrong = now + 72 * HOUR  # the clock is three days ahead, and so are the times it noted
    for each in events:
        each["at"] += 72 * HOUR
    said = table.tell(*events, now_ms=wrong)
    assert len(said["taken"]) == 29
    assert [each["id"] for each in said["refused"]] == ["e7"]
    stored = {each.key.id: each.fields["at"] for each in wiring.store().query(Query(EVENTS))}
    assert all(abs(at - (now - int(name[1:]) * 24 * HOUR)) < HOUR for name, at in stored.items())


def test_old_heartbeats_block_nothing(table: Table) -> None:
    """wakapi #939: one heartbeat that was too old kept all others from being sent."""
    path = f"/devices/{table.device}/heartbeats"
    for now in (0, 1, wiring.clock_ms() - 400 * 24 * HOUR, wiring.clock_ms() + 400 * 24 * HOUR):
        assert abs(table.ask("POST", path, {"now": now}, table.token)["now"] - now) > HOUR
    event = {"id": "e1", "dose_id": table.dose(0), "kind": "taken", "at": 1}
    assert table.tell(event, now_ms=1)["taken"] == ["e1"]


def test_events_keep_when_they_happened_and_when_they_were_heard(table: Table) -> None:
    """crosswithfriends #602: everything got the time at which the server heard of it."""
    now = wiring.clock_ms()
    event = {"id": "e1", "dose_id": table.dose(-1), "kind": "taken", "at": now - 30 * HOUR}
    table.tell(event)
    [stored] = wiring.store().query(Query(EVENTS))
    assert abs(stored.fields["at"] - (now - 30 * HOUR)) < HOUR / 60
    assert stored.fields["heard_at"] >= now
