"""How somebody is told of alerts, and calling for help, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from infra.cli.local import seed
from shared import wiring
from shared.privacy.export import export
from shared.products.medmind.alert_tables import ALERTS, CHANNELS
from shared.records.store import Key, Query
from tests.api.conftest import Api, StartApi
from tests.medmind.test_device import HOUR, Table, run_alerts

PATH = "/api/v1/notifications/settings"
NIGHT = {"from": "22:00", "to": "07:00", "time_zone": "Asia/Kolkata"}


@pytest.fixture
def api(start_api: StartApi) -> Api:
    api = start_api(product="medmind", hook_networks="127.0.0.0/8")
    seed("demo")
    api.join("carl", "others", "caregiver")
    return api


def put(api: Api, body: dict[str, Any], user: str = "carl") -> Any:
    return api.ask("PUT", PATH, body, token=api.token(user)).json


def test_a_choice_is_kept_for_its_owner_alone_and_ends_with_the_account(api: Api) -> None:
    token = api.token("carl", device="carls-phone")
    body = {"token": "push-token-of-carl"}
    assert api.ask("POST", "/api/v1/devices/token", body, token=token).status_code == 200
    before = api.ask("GET", PATH, token=token).json
    assert before is not None
    [phone] = before.pop("phones")
    assert (phone["device"], phone["reachable"]) == ("carls-phone", True)
    assert before == {
        "ways": ["phone", "mail"],
        "devices": None,
        "webhook": None,
        "quiet_hours": None,
        "digest": None,
        "language": "en",
        "turn": None,
        "webhook_secret": None,
        "mail_is_sent": False,
    }
    digest = {"at": "18:30", "time_zone": "Asia/Kolkata"}
    said = {"ways": ["mail"], "quiet_hours": NIGHT, "language": "hi", "digest": digest, "turn": 2}
    for answer in (put(api, said), api.ask("GET", PATH, token=token).json):
        assert answer is not None
        assert {name: answer[name] for name in said} == said
    other = api.ask("GET", PATH, token=api.token("demo-daughter")).json
    assert other is not None
    assert (other["quiet_hours"], other["phones"]) == (None, [])
    store, catalog = wiring.store(), wiring.catalog()
    assert export(store, catalog, "carl", wiring.clock_ms())["user"][CHANNELS]["language"] == "hi"
    wiring.accounts().deletion.delete("carl", wiring.clock_ms())
    assert not store.read([Key(CHANNELS, "carl")]).documents


def test_the_secret_of_a_webhook_is_shown_once(api: Api) -> None:
    hook = {"url": "https://sms.example/send", "to": "+91 1"}
    first = put(api, {"ways": ["webhook"], "webhook": hook})["webhook_secret"]
    assert first.startswith("whsec_")
    shown = api.ask("GET", PATH, token=api.token("carl"))
    assert shown.json is not None
    assert shown.json["webhook"] == {**hook, "renew": False}
    assert shown.json["webhook_secret"] is None
    again = put(api, {"ways": ["webhook"], "webhook": hook})
    assert again["webhook_secret"] is None
    renewed = put(api, {"webhook": {**hook, "renew": True}})["webhook_secret"]
    elsewhere = put(api, {"webhook": {**hook, "url": "https://sms.example/2"}})["webhook_secret"]
    assert len({first, renewed, elsewhere}) == 3
    stored = repr(wiring.store().read([Key(CHANNELS, "carl")]).documents)
    assert first[6:] not in stored


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"language": "xx"}, "invalid_request", "language"),
        ({"ways": ["pigeon"]}, "invalid_request", "ways"),
        ({"ways": ["mail", "mail"]}, "invalid_request", "ways"),
        ({"ways": ["webhook"]}, "invalid_request", "webhook"),
        ({"devices": ["x"] * 51}, "invalid_request", "devices"),
        ({"turn": 0}, "invalid_request", "turn"),
        ({"quiet_hours": {**NIGHT, "to": "21:59"}}, "invalid_request", "quiet_hours"),
        ({"digest": {"at": "25:00", "time_zone": "UTC"}}, "invalid_request", "digest"),
        ({"digest": {"at": "18:00", "time_zone": "Mars/Base"}}, "invalid_request", "digest"),
        ({"webhook": {"url": "http://sms.example/"}}, "hook_address", "webhook.url"),
        ({"webhook": {"url": "https://10.0.0.1/"}}, "hook_address", "webhook.url"),
        ({"webhook": {"url": "https://169.254.169.254/"}}, "hook_address", "webhook.url"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_by_its_field(
    api: Api, body: dict[str, Any], code: str, field: str
) -> None:
    answer = api.ask("PUT", PATH, body, token=api.token("carl"))
    assert answer.json is not None
    error = answer.json["error"]
    assert (answer.status_code, error["code"]) == (400, code)
    assert error["field"].startswith(field)
    assert not wiring.store().read([Key(CHANNELS, "carl")]).documents


def test_a_call_for_help_is_one_whatever_is_repeated(api: Api) -> None:
    table = Table(api)
    path, now = f"/devices/{table.device}/help", wiring.clock_ms()
    body = {"id": "h1", "now": now + 72 * HOUR, "at": now + 71 * HOUR}
    alerts = {table.ask("POST", path, body, table.token)["alert_id"] for _ in range(2)}
    assert len(alerts) == 1
    run_alerts(wiring.clock_ms())
    [row] = wiring.store().query(Query(ALERTS))
    assert (row.fields["kind"], row.fields["severity"]) == ("call_for_help", "emergency")
    assert abs(row.fields["raised_at"] - (now - HOUR)) < HOUR / 2
    act = {"id": "a1", "alert_id": row.key.id, "at": now, "last_modified_at": now}
    changes = {"alert_actions": {"created": [act], "updated": [], "deleted": []}}
    pulled: Any = table.ask("GET", "/api/v1/sync?last_pulled_at=0", None, table.daughter)
    asked = f"/api/v1/sync?last_pulled_at={pulled['timestamp']}"
    table.ask("POST", asked, {"changes": changes}, table.daughter)
    run_alerts(wiring.clock_ms())
    said = table.ask("POST", path, body, table.token)
    assert (said["state"], said["acknowledged_by"]) == ("acknowledged", "demo-daughter")
    assert table.ask("POST", path, {**body, "id": "h2"}, table.token)["alert_id"] not in alerts


def test_only_the_device_calls_for_help(api: Api) -> None:
    table = Table(api)
    body = {"id": "h1", "now": wiring.clock_ms()}
    for token in (table.daughter, api.token("carl")):
        assert table.ask("POST", f"/devices/{table.device}/help", body, token) == 404
    assert list(wiring.store().query(Query(ALERTS))) == []
    bad: tuple[dict[str, Any], ...] = ({}, {"id": "../x", "now": 1}, {"id": "h", "now": "noon"})
    for wrong in bad:
        assert table.ask("POST", f"/devices/{table.device}/help", wrong, table.token) == 400
