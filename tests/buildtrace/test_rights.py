"""Every route of the product × everybody who may ask: nobody, a stranger, a viewer, a member, an owner."""

from __future__ import annotations

from typing import Any

import pytest

from shared import wiring
from shared.products.buildtrace.product import BUILDTRACE
from shared.products.buildtrace.tables import CHANGES, COMPARISONS, PAIRS, begin, begun
from shared.records.store import Key, put
from tests.api.conftest import StartApi
from tests.buildtrace.site import Site

PEOPLE = (None, "stranger", "demo-client", "demo-foreman", "demo-architect")

#: What is sent, and what the five are answered.
READ = (401, 404, 200, 200, 200)
WRITE = (401, 404, 403, 200, 200)
ASKED: dict[str, tuple[Any, tuple[int, ...]]] = {
    "listDrawings": (None, READ),
    "createDrawing": ({"name": "Roof", "scope": "demo"}, (401, 404, 404, 200, 200)),
    "createRevision": ({"label": "C3"}, WRITE),
    "getRevision": (None, READ),
    "createComparison": ({"drawing_id": Site.drawing}, WRITE),
    "getComparison": (None, READ),
    "listChanges": (None, READ),
    "exportChanges": (None, READ),
    "exportSummary": (None, READ),
    "cancelComparison": ({}, WRITE),
    "retryComparison": ({}, (401, 404, 403, 400, 400)),  # it neither failed nor was stopped
    "getTile": (None, (401, 404, 404, 404, 404)),  # a pair without an overlay
}


@pytest.fixture
def site(start_api: StartApi) -> Site:
    site = Site(start_api(product="buildtrace"))
    site.api.join("stranger", "elsewhere", "owner")
    sides = {"drawing_id": site.drawing, "old_revision_id": site.old, "new_revision_id": site.new}
    rows = {
        Key(COMPARISONS, "k1"): {**sides, **begun("k1", "ocr")},
        Key(PAIRS, "p1"): {"comparison_id": "k1", "place": 1, "outcome": "changed"},
        Key(CHANGES, "c1"): {"comparison_id": "k1", "pair_id": "p1", "place": 1, "kind": "added"},
    }
    made = [put(key, {**fields, "scope_id": "demo"}, None) for key, fields in rows.items()]
    wiring.store().commit([*made, *begin("k1", "demo", wiring.clock_ms())])
    return site


@pytest.mark.parametrize(
    "route", BUILDTRACE.routes(wiring.parts()), ids=lambda route: str(route.id)
)
def test_everybody_gets_what_is_theirs(site: Site, route: Any) -> None:
    body, expected = ASKED[route.id]
    of = {"drawings": site.drawing, "revisions": site.old, "comparisons": "k1", "pairs": "p1"}
    path = route.path.replace("{id}", of[route.path.split("/")[3]])
    path = path.replace("{name}", "overlay-0-0-0")
    if route.id == "listDrawings":
        path += "?scope=demo"
    found = []
    for user in PEOPLE:
        token = None if user is None else site.api.token(user)
        found.append(site.api.ask(route.method, path, body, token=token).status_code)
    assert tuple(found) == expected


def test_every_route_is_asked_here() -> None:
    assert {route.id for route in BUILDTRACE.routes(wiring.parts())} == set(ASKED)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"drawing_id": Site.drawing, "old_revision_id": Site.old}, "old_revision_id"),
        (
            {
                "drawing_id": Site.drawing,
                "old_revision_id": Site.old,
                "new_revision_id": Site.old,
            },
            "new_revision_id",
        ),
        ({"drawing_id": "../x"}, "drawing_id"),
        ({}, "drawing_id"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(site: Site, body: Any, field: str) -> None:
    said = site.api.ask("POST", "/api/v1/comparisons", body, token=site.member)
    assert said.status_code == 400
    assert said.json is not None
    assert said.json["error"]["field"] == field


def test_a_revision_of_another_project_is_as_one_that_there_is_not(site: Site) -> None:
    other = {"drawing_id": "w9", "scope_id": "elsewhere", "state": "read"}
    wiring.store().commit([put(Key("revisions", "theirs"), other, None)])
    body = {"drawing_id": site.drawing, "old_revision_id": "theirs", "new_revision_id": site.new}
    assert site.ask("POST", "/api/v1/comparisons", body) == 404
    assert site.ask("GET", "/api/v1/revisions/theirs") == 404
