"""Every route of the product × everybody who may ask: nobody, a stranger, a viewer, a member, an owner."""

from __future__ import annotations

import pytest

from shared import wiring
from shared.api.routes import Route
from shared.products.hemoday.product import HEMODAY
from tests.api.conftest import Api, StartApi
from tests.hemoday.family import changes

PEOPLE = {"anna": "owner", "boris": "member", "vera": "viewer"}

#: What is asked of a route beside the family, and whether it needs the right to write.
ASKED: dict[str, tuple[dict[str, object], bool]] = {
    "getTimeline": ({}, False),
    "listRecords": ({}, False),
    "getRecord": ({}, False),
    "search": ({"q": "Hb"}, False),
    "searchByBody": ({"q": "Hb"}, False),
    "getSeries": ({}, False),
    "getReport": ({}, False),
    "previewImport": ({"text": "Date,Hb\n2026-03-01,9.4 g/dL\n"}, True),
    "importFile": ({"text": "Date,Hb\n2026-03-01,9.4 g/dL\n"}, True),
    "getReminderSettings": ({}, False),
    "putReminderSettings": ({}, False),
}

#: Routes that are about the caller alone: no family is named.
OWN = ("getReminderSettings", "putReminderSettings")


@pytest.fixture
def api(start_api: StartApi) -> Api:
    api = start_api(product="hemoday")
    for user, role in PEOPLE.items():
        api.join(user, "f1", role)
    api.join("carl", "f2", "owner")
    sets = changes(transfusions=[{"id": "t1", "date": 1_772_323_200_000}])
    token = api.token("anna")
    assert api.ask("POST", "/api/v1/sync?last_pulled_at=null", sets, token=token).status_code == 200
    return api


def status(api: Api, route: Route, user: str | None) -> int:
    """What somebody is answered who names the family f1."""
    path = route.path.replace("{table}", "transfusions").replace("{id}", "t1")
    asked = {**ASKED[route.id][0], **({} if route.id in OWN else {"scope": "f1"})}
    token = None if user is None else api.token(user)
    if route.method == "GET":
        query = "&".join(f"{name}={value}" for name, value in asked.items())
        return api.ask("GET", f"{path}?{query}" if query else path, token=token).status_code
    if route.id == "importFile" and user in ("anna", "boris"):
        seen = api.ask("POST", "/api/v1/import/preview", asked, token=token).json
        assert seen is not None
        asked["token"] = seen["token"]
    return api.ask(route.method, path, asked, token=token).status_code


def test_who_may_ask_what(api: Api) -> None:
    routes = HEMODAY.routes(wiring.parts())
    assert {each.id for each in routes} == set(ASKED)
    for route in routes:
        writes, own = ASKED[route.id][1], route.id in OWN
        wanted = {
            None: 401,
            "carl": 200 if own else 404,  # a family of others is as one that there is not
            "vera": 404 if writes else 200,
            "boris": 200,
            "anna": 200,
        }
        assert {user: status(api, route, user) for user in wanted} == wanted, route.id
