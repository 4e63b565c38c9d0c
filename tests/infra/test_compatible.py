"""A change of the API that would break an app in the field is found."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.ci import compatible
from infra.ci.compatible import breaks

Json = dict[str, Any]

API: Json = {
    "paths": {
        "/a/{id}": {
            "post": {
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 9}},
                ],
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}
                },
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Out"}}
                        }
                    },
                    "404": {"content": {}},
                },
            }
        }
    },
    "components": {
        "schemas": {
            "In": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "maxLength": 10},
                    "level": {"type": ["string", "null"], "enum": ["red", "green"]},
                    "inner": {"type": "array", "items": {"$ref": "#/components/schemas/In"}},
                },
            },
            "Out": {
                "type": "object",
                "required": ["state"],
                "properties": {
                    "state": {"type": "string", "enum": ["on", "off"]},
                    "count": {"type": "integer"},
                },
            },
        }
    },
}

Change = Callable[[Json], object]


def post(api: Json) -> Json:
    found: Json = api["paths"]["/a/{id}"]["post"]
    return found


def sent(api: Json) -> Json:
    found: Json = api["components"]["schemas"]["In"]
    return found


def answered(api: Json) -> Json:
    found: Json = api["components"]["schemas"]["Out"]
    return found


BREAKING: dict[str, Change] = {
    "/a/{id}: the path is gone": lambda api: api["paths"].clear(),
    "the method is gone": lambda api: api["paths"]["/a/{id}"].pop("post"),
    "query limit is gone": lambda api: post(api)["parameters"].pop(),
    "query limit is required now": lambda api: post(api)["parameters"][1].update(required=True),
    "header new is required now": lambda api: post(api)["parameters"].append(
        {"name": "new", "in": "header", "required": True}
    ),
    "query limit: maximum is 5 now": lambda api: post(api)["parameters"][1]["schema"].update(
        maximum=5
    ),
    "a body is required now": lambda api: post(api)["requestBody"].update(required=True),
    "a body of application/json": lambda api: post(api)["requestBody"]["content"].clear(),
    "body.level: required now": lambda api: sent(api)["required"].append("level"),
    "body.inner: the property is gone": lambda api: sent(api)["properties"].pop("inner"),
    "body.name: maxLength is 5 now": lambda api: sent(api)["properties"]["name"].update(
        maxLength=5
    ),
    "body.name: another pattern": lambda api: sent(api)["properties"]["name"].update(pattern="a"),
    'body.level: "green" not taken': lambda api: sent(api)["properties"]["level"].update(
        enum=["red"]
    ),
    "body.level: type null, string became string": lambda api: sent(api)["properties"][
        "level"
    ].update(type="string"),
    "body: unknown properties are refused": lambda api: sent(api).update(
        additionalProperties=False
    ),
    "status 404 is gone": lambda api: post(api)["responses"].pop("404"),
    "200 is no longer application/json": lambda api: post(api)["responses"]["200"][
        "content"
    ].clear(),
    "200.count: the property is gone": lambda api: answered(api)["properties"].pop("count"),
    "200.state: no longer promised": lambda api: answered(api).update(required=[]),
    '200.state: "broken" may be answered': lambda api: answered(api)["properties"]["state"][
        "enum"
    ].append("broken"),
    "200.count: type integer became string": lambda api: answered(api)["properties"][
        "count"
    ].update(type="string"),
}

HARMLESS: dict[str, Change] = {
    "nothing": lambda api: None,
    "a new path": lambda api: api["paths"].update({"/b": {"get": {}}}),
    "a new method": lambda api: api["paths"]["/a/{id}"].update({"get": {}}),
    "a new optional parameter": lambda api: post(api)["parameters"].append(
        {"name": "new", "in": "query"}
    ),
    "a new optional property": lambda api: sent(api)["properties"].update({"new": {}}),
    "a wider enumeration of what is sent": lambda api: sent(api)["properties"]["level"][
        "enum"
    ].append("yellow"),
    "a wider bound": lambda api: sent(api)["properties"]["name"].update(maxLength=99),
    "nothing is required": lambda api: sent(api).update(required=[]),
    "a new answered property": lambda api: answered(api)["properties"].update({"new": {}}),
    "a narrower answer": lambda api: answered(api)["properties"]["state"].update(enum=["on"]),
    "a new status": lambda api: post(api)["responses"].update({"429": {}}),
    "another text": lambda api: sent(api).update(description="other"),
}


@pytest.mark.parametrize("expected", BREAKING)
def test_a_break_is_named(expected: str) -> None:
    after = copy.deepcopy(API)
    BREAKING[expected](after)
    assert any(expected in line for line in breaks(API, after)), breaks(API, after)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_breaks_nobody_is_left_alone(name: str) -> None:
    after = copy.deepcopy(API)
    HARMLESS[name](after)
    assert breaks(API, after) == []


def test_null_is_looked_at_wherever_it_stands() -> None:
    # given what is answered as an object or null, first written whole
    before, after = copy.deepcopy(API), copy.deepcopy(API)
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    answered(before)["properties"]["inner"] = {**inner, "type": ["object", "null"]}
    # when it has a name, null stands beside it
    named = {"anyOf": [{"$ref": "#/components/schemas/Inner"}, {"type": "null"}]}
    answered(after)["properties"]["inner"] = named
    after["components"]["schemas"]["Inner"] = inner
    # then it is the same, and a break in it is found
    assert breaks(before, after) == []
    inner["properties"] = {}
    assert breaks(before, after) == ["POST /a/{id}: 200.inner.a: the property is gone"]


def test_a_constant_is_a_list_of_one_value() -> None:
    before, after = copy.deepcopy(API), copy.deepcopy(API)
    answered(before)["properties"]["state"] = {"type": "string", "enum": ["on"]}
    answered(after)["properties"]["state"] = {"type": "string", "const": "on"}
    assert breaks(before, after) == []
    answered(after)["properties"]["state"]["const"] = "off"
    assert breaks(before, after) == ['POST /a/{id}: 200.state: "off" may be answered now']


def test_texts_do_not_count() -> None:
    loud = {"properties": {"description": {"type": "string", "description": "a text"}}}
    assert compatible.quiet(loud) == {"properties": {"description": {"type": "string"}}}


def test_nothing_breaks_an_app_of_the_last_release(capsys: pytest.CaptureFixture[str]) -> None:
    # If this is meant: a new path or MIN_APP_VERSION, a line in CHANGELOG.md, then
    # python -m infra.ci.compatible --release
    assert compatible.main([]) == 0, capsys.readouterr().out


def test_the_released_copy_is_a_description_of_ours() -> None:
    released = json.loads(compatible.RELEASED.read_text("utf-8"))
    current = json.loads(compatible.CURRENT.read_text("utf-8"))
    assert set(released["paths"]) <= set(current["paths"])
    assert compatible.quiet(released) == released
