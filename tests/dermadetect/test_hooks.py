"""A ministry's system hears of a red case, its analysis and its diagnosis; another team's hears nothing.

Over HTTP as deployed, with a receiver that verifies as docs/webhooks.md shows.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from shared import wiring
from shared.hooks import fan_out
from shared.hooks.event import COLLECTION
from shared.products.dermadetect import events
from shared.products.dermadetect.signal import RANKS
from shared.records.store import Key, Query
from tests.api.conftest import Api, StartApi, start_api
from tests.api.test_openapi import case, keeps_its_word, patient, pushing
from tests.hooks.conftest import Receiver
from tests.hooks.test_deliver import is_signed

__all__ = ["start_api"]

ALL = [event.name for event in events.EVENTS]
NAME = "Asha-of-Kito"


@pytest.fixture
def api(start_api: StartApi) -> Api:
    made = start_api(hook_networks="127.0.0.0/8")
    for user, role in (("chw1", "chw"), ("doc1", "doctor"), ("head", "admin")):
        made.join(user, role=role)
    made.join("head2", "team2", "admin")
    return made


@pytest.fixture
def ministry() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def stranger() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def ask(api: Api, method: str, path: str, body: Any = None, user: str = "head") -> Any:
    """An answer of 200 that keeps the description's word."""
    answer = api.ask(method, f"/api/v1/hooks{path}", body, token=api.token(user))
    keeps_its_word(method, f"/api/v1/hooks{path}", answer)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def register(api: Api, receiver: Receiver, user: str = "head") -> Any:
    return ask(api, "POST", "", {"url": receiver.url, "events": ALL}, user)


def sync(api: Api, *cases: Any, patients: tuple[str, ...] = ("p1",)) -> None:
    people = [patient(name, demographics={"name": NAME}) for name in patients]
    body = {**pushing(patients=people, cases=list(cases)), "device_id": "phone"}
    said = api.ask("POST", "/api/sync", body, token=api.token("chw1"))
    assert said.get_json()["rejected"] == []


def sign(api: Api, name: str = "c1") -> str:
    version = wiring.store().read([Key("cases", name)]).documents[Key("cases", name)].version
    said = api.ask(
        "POST",
        f"/api/v1/review/cases/{name}/diagnosis",
        {"diagnosis_text": "Scabies", "idempotency_key": "k1"},
        token=api.token("doc1"),
        headers={"If-Match": f'"{version}"'},
    )
    return str(said.get_json()["id"])


def sweep() -> None:
    """What the sweeper and the function `hooks` do."""
    wiring.fan_out().run(wiring.clock_ms())
    wiring.runner().run_due(fan_out.KIND, 120)


def heard(receiver: Receiver) -> list[tuple[str, dict[str, str]]]:
    said = [orjson.loads(each.body) for each in receiver.seen]
    return [(each["type"], each["data"]) for each in said]


def test_a_ministry_hears_of_a_red_case_its_analysis_and_its_diagnosis(
    api: Api, ministry: Receiver, stranger: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    # given an endpoint of this team and one of another
    secret = register(api, ministry)["secret"]
    register(api, stranger, "head2")
    # when a red case comes, is analysed and diagnosed
    sync(api, case("c1", risk_level="red"), case("c2", risk_level="green"))
    sweep()
    of_c1 = {"scope_id": "team1", "case_id": "c1", "path": "/api/v1/review/cases/c1"}
    assert heard(ministry) == [("case.red", of_c1)]
    api.run_jobs()
    sweep()
    diagnosis = sign(api)
    sweep()
    sweep()
    # then it has heard so, each once and signed, with ids alone
    assert heard(ministry)[1:] == [
        ("analysis.ready", of_c1),
        ("diagnosis.ready", {**of_c1, "diagnosis_id": diagnosis}),
    ]
    assert all(is_signed(seen, secret) for seen in ministry.seen)
    assert NAME not in repr(ministry.seen)
    assert "Scabies" not in repr(ministry.seen)
    assert stranger.seen == []
    # and the link leads to the case, for whom it is meant
    path = heard(ministry)[0][1]["path"]
    assert api.ask("GET", path, token=api.token("doc1")).status_code == 200
    # no log says the address, whose path may be a secret, nor the secret
    lines = "\n".join(f"{each.getMessage()} {vars(each)}" for each in caplog.records)
    assert ministry.url not in lines
    assert "key=1" not in lines
    assert secret not in lines


def test_an_edit_of_a_red_case_is_no_second_event_and_one_that_becomes_red_is(
    api: Api, ministry: Receiver
) -> None:
    register(api, ministry)
    sync(api, case("c1", risk_level="red"), case("c2", risk_level="yellow"))
    sync(api, case("c1", risk_level="red", triage_data={"site": "leg"}), patients=())
    sync(api, case("c2", risk_level="red", last_modified_at=2_000_000_000), patients=())
    sweep()
    # in any order: none is promised
    assert sorted((kind, data["case_id"]) for kind, data in heard(ministry)) == [
        ("case.red", "c1"),
        ("case.red", "c2"),
    ]


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (None, "emergency", True),
        (None, "red", True),
        ("green", "red", True),
        ("look", "red", True),
        ("yellow", "emergency", True),
        ("red", "emergency", False),
        ("red", "red", False),
        ("emergency", "emergency", False),
        (None, "look", False),
        (None, "green", False),
        ("green", "yellow", False),
    ],
)
def test_red_is_told_of_where_a_rank_first_reaches_it(
    before: str | None, now: str, told: bool
) -> None:
    was = None if before is None else RANKS[before]
    assert bool(events.became_red("c1", "team1", was, RANKS[now], 0)) is told


def test_the_same_push_sent_again_makes_no_second_event(api: Api, ministry: Receiver) -> None:
    register(api, ministry)
    for _ in range(3):
        sync(api, case("c1", risk_level="red"))
    assert len(list(wiring.store().query(Query(COLLECTION)))) == 1


def test_a_team_without_endpoints_keeps_no_events(api: Api) -> None:
    sync(api, case("c1", risk_level="red"))
    api.run_jobs()
    sweep()
    assert list(wiring.store().query(Query(COLLECTION))) == []


def test_an_administrator_manages_endpoints_over_http(api: Api, ministry: Receiver) -> None:
    made = register(api, ministry)
    name = made["hook"]["id"]
    listed = ask(api, "GET", "")
    assert listed == {"hooks": [made["hook"]], "events": ALL}
    assert made["secret"] not in json.dumps(listed)
    # a test arrives, and is seen among the deliveries
    event = ask(api, "POST", f"/{name}/test", {})["event_id"]
    sweep()
    assert [each.headers["webhook-id"] for each in ministry.seen] == [event]
    [told] = ask(api, "GET", f"/{name}/deliveries")["deliveries"]
    assert (told["event_id"], told["type"], told["state"]) == (event, "hooks.test", "delivered")
    # the secret is another one from now on, and the old one signs along
    rotated = ask(api, "POST", f"/{name}/rotate")
    assert rotated["secret"] != made["secret"]
    assert rotated["hook"]["previous_secret_until"] > wiring.clock_ms()
    off = ask(api, "PATCH", f"/{name}", {"enabled": False})
    assert (off["enabled"], off["disabled_for"]) == (False, "switched_off")
    assert ask(api, "PATCH", f"/{name}", {"enabled": True, "events": ["case.red"]})["enabled"]
    assert ask(api, "DELETE", f"/{name}") == {"id": name, "removed": True}
    assert ask(api, "GET", "")["hooks"] == []


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"events": ["case.red"]}, "invalid_request", "url"),
        ({"url": 5, "events": ["case.red"]}, "invalid_request", "url"),
        ({"url": "https://a.example.org"}, "invalid_request", "events"),
        ({"url": "https://a.example.org", "events": []}, "invalid_request", "events"),
        ({"url": "https://a.example.org", "events": "case.red"}, "invalid_request", "events"),
        ({"url": "https://a.example.org", "events": ["*"]}, "invalid_request", "events"),
        ({"url": "http://a.example.org", "events": ["case.red"]}, "hook_address", "url"),
        ({"url": "https://10.0.0.1", "events": ["case.red"]}, "hook_address", "url"),
        ({"url": "https://a.example.org/\n", "events": ["case.red"]}, "hook_address", "url"),
        (
            {"url": "https://a.example.org", "events": ["case.red"], "scope_id": "a b"},
            "invalid_request",
            "scope_id",
        ),
    ],
)
def test_what_cannot_be_an_endpoint_is_refused_by_code_and_field(
    api: Api, body: Any, code: str, field: str
) -> None:
    answer = api.ask("POST", "/api/v1/hooks", body, token=api.token("head"))
    keeps_its_word("POST", "/api/v1/hooks", answer)
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (400, code, field)


def test_by_default_no_endpoint_is_at_this_machine(start_api: StartApi, ministry: Receiver) -> None:
    api = start_api()
    api.join("head", role="admin")
    body = {"url": ministry.url, "events": ALL}
    answer = api.ask("POST", "/api/v1/hooks", body, token=api.token("head"))
    assert answer.get_json()["error"]["code"] == "hook_address"
