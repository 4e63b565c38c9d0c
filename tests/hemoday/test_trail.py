"""What a family sees of what was done in it: who writes sees it, with names; nobody else does."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from shared import wiring
from tests.api.conftest import Api, StartApi
from tests.console.browser_in_process import Browser
from tests.hemoday.family import changes

NAMES = {"anna": "Anna Owner", "max": "Max Member", "vera": "Vera Viewer", "carl": "Carl Stranger"}

PASSWORD = "a rather long pass phrase"


@pytest.fixture
def api(start_api: StartApi) -> Api:
    api = start_api(product="hemoday")
    for user, family, role in (
        ("anna", "f1", "owner"),
        ("max", "f1", "member"),
        ("vera", "f1", "viewer"),
        ("carl", "f2", "owner"),
    ):
        administration, now_ms = wiring.accounts().administration, wiring.clock_ms()
        administration.create(
            f"{user}@example.org", PASSWORD, now_ms, user_id=user, name=NAMES[user]
        )
        api.join(user, family, role)
    for user in ("max", "carl"):
        sets = changes(transfusions=[{"id": f"{user}-t", "date": 1}])
        token = api.token(user)
        assert (
            api.ask("POST", "/api/v1/sync?last_pulled_at=0", sets, token=token).status_code == 200
        )
    return api


def trail(api: Api, user: str, way: str = "", family: str = "f1") -> Any:
    answer = api.ask("GET", f"/api/v1/trail{way}?scope_id={family}", token=api.token(user))
    return {"status": answer.status_code, **(answer.json or {})}


@pytest.mark.parametrize(
    ("user", "status"), [("anna", 200), ("max", 200), ("vera", 403), ("carl", 404), ("nobody", 404)]
)
@pytest.mark.parametrize("way", ["", "/check"])
def test_who_writes_in_a_family_sees_its_trail(api: Api, user: str, status: int, way: str) -> None:
    assert trail(api, user, way)["status"] == status


def test_entries_name_the_people_of_the_family(api: Api) -> None:
    said = trail(api, "anna")
    [push] = [each for each in said["entries"] if each["action"] == "push"]
    assert (push["user_id"], push["name"]) == ("max", NAMES["max"])
    assert push["records"] == {"transfusions": 1}
    assert "carl" not in str(said).lower()


def test_who_left_is_an_id_again(api: Api) -> None:
    left = api.ask("POST", "/api/v1/auth/leave", {"scope_id": "f1"}, token=api.token("max"))
    assert left.status_code == 200
    said = trail(api, "anna")
    assert said["names"] == {}
    assert {each["name"] for each in said["entries"] if each["action"] == "push"} == {None}


def test_somebody_whose_role_changed_is_named(api: Api) -> None:
    way = "/api/v1/auth/members/vera/role"
    body = {"scope_id": "f1", "role": "member"}
    assert api.ask("POST", way, body, token=api.token("anna")).status_code == 200
    said = trail(api, "vera")  # as a member she sees it from now on
    [changed] = [each for each in said["entries"] if each["action"] == "change-role"]
    assert (changed["name"], changed["of"]) == (NAMES["anna"], ["vera"])
    assert said["names"]["vera"] == NAMES["vera"]


@pytest.mark.parametrize(
    ("user", "status"), [("anna", 200), ("max", 200), ("vera", 403), ("carl", 404)]
)
def test_the_console_s_page_opens_for_who_may_see_it(api: Api, user: str, status: int) -> None:
    browser = Browser(importlib.import_module("functions.console").FRAME)
    browser.log_in(f"{user}@example.org", PASSWORD)
    seen = browser.open("/console/audit?scope=f1")
    assert seen.status == status
    assert (NAMES["max"] in seen.text) == (status == 200)
    if status == 200:
        assert "The trail is whole" in browser.act("check").text
