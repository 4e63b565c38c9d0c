"""Every route of the product × everybody: nobody, a stranger, and each role of the circle.

Nobody and strangers are turned away by every route that there is, later ones included; what a role may
is written down.
"""

from __future__ import annotations

from typing import Any

import pytest

from shared import wiring
from shared.api.routes import Route
from shared.products.medmind.product import MEDMIND
from shared.products.medmind.rights import ROLES
from tests.api.conftest import Api, StartApi
from tests.medmind.asking import NOW, request_of

SCOPE, DEVICE = "f1-circle", "f1-device"

#: Who of a circle is answered, by route; all others are as strangers. (`f1-device` is asked about.)
ANSWERED: dict[str, tuple[str, ...]] = {
    "getSchedule": ("caregiver", "doctor", "device"),
    "sendDeviceEvents": ("device",),
    "sendHeartbeat": ("device",),
    "listDoses": ("caregiver", "doctor", "patient"),
    "getPlan": ("caregiver", "doctor", "patient"),
    "listCircleDevices": ("caregiver", "doctor", "patient"),
}

#: Bodies that a route takes as they are; others are made of its declaration.
BODIES: dict[str, Any] = {"sendDeviceEvents": {"now": NOW, "events": []}}


@pytest.fixture
def api(start_api: StartApi) -> Api:
    api = start_api(product="medmind")
    for circle in ("f1", "f2"):
        for role in ROLES:
            api.join(f"{circle}-{role}", f"{circle}-circle", role)
    return api


def status(api: Api, route: Route, user: str | None) -> int:
    """What somebody is answered who names the circle f1 and its device."""
    path, body = request_of(route, SCOPE, DEVICE)
    token = None if user is None else api.token(user)
    body = BODIES.get(route.id, body)
    return api.ask(route.method, path, body, token=token).status_code


def is_own(route: Route) -> bool:
    """Whether it is about the caller alone: neither a circle nor a record is named."""
    path, body = request_of(route, SCOPE, DEVICE)
    return SCOPE not in f"{path} {body}" and DEVICE not in f"{path} {body}"


def test_nobody_and_strangers_are_turned_away_by_every_route(api: Api) -> None:
    routes = MEDMIND.routes(wiring.parts())
    assert len(routes) >= len(ANSWERED)
    for route in routes:
        assert status(api, route, None) == 401, route.id
        for role in ROLES:
            said = status(api, route, f"f2-{role}")
            if is_own(route):
                continue
            # 404: as if there were none; 400: the body is of no use, whoever sends it
            assert said in (404, 400), (route.id, role, said)
            if said == 400:
                assert status(api, route, f"f1-{role}") in (400, 404), (route.id, role)


def test_who_of_a_circle_is_answered(api: Api) -> None:
    for route in MEDMIND.routes(wiring.parts()):
        if route.id in ANSWERED:
            wanted = {role: 200 if role in ANSWERED[route.id] else 404 for role in ROLES}
            found = {role: status(api, route, f"f1-{role}") for role in ROLES}
            assert found == wanted, route.id


def test_a_device_speaks_for_itself_alone(api: Api) -> None:
    api.join("f1-device-2", SCOPE, "device")
    routes = {each.id: each for each in MEDMIND.routes(wiring.parts())}
    for name in ("getSchedule", "sendDeviceEvents", "sendHeartbeat"):
        assert status(api, routes[name], "f1-device-2") == 404
