"""Errors as problem details (RFC 9457): for who prefers them, from every function, and nothing is lost."""

from __future__ import annotations

import pytest

from shared.api.problems import JSON, PROBLEM
from tests.api.conftest import Api, StartApi
from tests.api.test_openapi import MELON, NOW_MS, keeps_its_word, raw, raws


def test_every_function_answers_problem_details(api: Api) -> None:
    for function, routes in api.routes.items():
        if not routes or function == "console":  # events wake it, or it answers in pages
            continue
        path = routes[0].path
        client = api.client(function)
        response = client.delete(path, headers={"Accept": PROBLEM})
        plain = client.delete(path).get_json()["error"]
        assert (response.status_code, response.mimetype) == (405, PROBLEM)
        assert "Accept" in response.vary
        assert response.get_json() == {
            "type": "/docs#code-method_not_allowed",
            "title": "Method not allowed",
            "status": 405,
            "detail": plain["message"],
            "code": "method_not_allowed",
            "request_id": response.headers["X-Request-Id"],
        }


#: What a client accepts, and what it gets.
ACCEPTS = [
    (None, JSON),
    ("", JSON),
    ("*/*", JSON),
    ("application/*", JSON),
    ("application/json", JSON),
    ("text/html", JSON),
    ("application/json, application/problem+json", JSON),
    ("application/problem+json;q=0", JSON),
    ("application/problem+json;q=0.5, application/json", JSON),
    ("application/problem+json;q=x, ;;, /, application", JSON),
    ("application/problem+xml", JSON),
    (PROBLEM, PROBLEM),
    ("Application/Problem+JSON", PROBLEM),
    ("application/problem+json, */*;q=0.8", PROBLEM),
    ("application/json;q=0.9, application/problem+json", PROBLEM),
    ("text/html, application/problem+json;q=0.1", PROBLEM),
]


@pytest.mark.parametrize(("accept", "kind"), ACCEPTS)
def test_the_shape_is_the_one_that_is_preferred(api: Api, accept: str | None, kind: str) -> None:
    headers = {} if accept is None else {"Accept": accept}
    response = api.ask("POST", "/api/sync", {}, headers=headers)
    assert (response.status_code, response.mimetype) == (401, kind)
    assert response.headers["WWW-Authenticate"] == "Bearer"
    keeps_its_word("POST", "/api/sync", response)


def test_an_answer_is_the_same_whatever_shape_errors_have(api: Api) -> None:
    response = api.ask("GET", "/health", headers={"Accept": PROBLEM})
    assert (response.status_code, response.mimetype) == (200, JSON)


def test_a_field_is_named(api: Api) -> None:
    api.join("chw1")
    token = api.token("chw1")
    response = api.ask("POST", "/api/sync", {"limit": 0}, token=token, headers={"Accept": PROBLEM})
    said = keeps_its_word("POST", "/api/sync", response)
    assert (said["status"], said["code"], said["field"]) == (400, "invalid_request", "limit")


def test_what_stands_beside_an_error_stands_in_the_problem(api: Api) -> None:
    # given a push that is overtaken by another phone's
    api.join("chw1")
    token, changes = api.token("chw1"), raws(raw())
    path = f"{MELON}?device_id=one&last_pulled_at="
    assert api.ask("POST", f"{path}null", changes, token=token).status_code == 200
    # when it comes
    response = api.ask(
        "POST",
        f"{MELON}?device_id=two&last_pulled_at={NOW_MS}",
        raws(raw(demographics='{"n":1}'), kind="updated"),
        token=token,
        headers={"Accept": PROBLEM},
    )
    # then the problem names what it is about
    said = keeps_its_word("POST", MELON, response)
    assert (said["status"], said["code"]) == (409, "stale_push")
    assert said["conflicts"] == [{"table": "patients", "id": "p1"}]


def test_when_to_try_again_is_said_in_header_and_problem(start_api: StartApi) -> None:
    api = start_api()
    (api.folder / "records.db").write_text("this is not a database " * 100)
    response = api.ask("GET", "/ready", headers={"Accept": PROBLEM})
    said = keeps_its_word("GET", "/ready", response)
    assert (said["status"], said["code"]) == (503, "store_unavailable")
    assert int(response.headers["Retry-After"]) >= 1


def test_a_crash_is_a_problem_that_says_nothing_of_the_inside(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.wiring.demand_room", lambda: 1 / 0)
    response = api.ask("GET", "/ready", headers={"Accept": PROBLEM})
    said = keeps_its_word("GET", "/ready", response)
    assert (said["status"], said["code"], "field" in said) == (500, "internal", False)
    assert "division" not in response.get_data(as_text=True)
