"""The timeline: everything once, the newest first, page by page; nothing of another family."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Api, StartApi
from tests.hemoday.family import changes

DAY = 86_400_000


@pytest.fixture
def api(start_api: StartApi) -> Api:
    api = start_api(product="hemoday")
    for user, family, role in (
        ("anna", "f1", "owner"),
        ("vera", "f1", "viewer"),
        ("carl", "f2", "owner"),
        ("both", "f1", "member"),
        ("both", "f2", "member"),
    ):
        api.join(user, family, role)
    sets = changes(
        transfusions=[{"id": f"t{n}", "date": n * DAY, "volume_ml": 300} for n in range(1, 60)],
        blood_tests=[{"id": "b1", "date": 5 * DAY}],
        blood_test_results=[
            {"id": "r2", "blood_test_id": "b1", "name": "Hb", "value": 95, "unit": "g/L"},
            {"id": "r1", "blood_test_id": "b1", "name": "Ferritin", "value": 900, "unit": "ng/ml"},
        ],
        documents=[{"id": "d1", "name": "Report", "date": 61 * DAY, "pages": "[]"}],
    )
    token = api.token("anna")
    assert api.ask("POST", "/api/v1/sync?last_pulled_at=null", sets, token=token).status_code == 200
    return api


def ask(api: Api, user: str, query: str = "") -> Any:
    answer = api.ask("GET", f"/api/v1/timeline{query}", token=api.token(user))
    return {"status": answer.status_code, **(answer.json or {})}


def test_everything_comes_once_the_newest_first(api: Api) -> None:
    first = ask(api, "vera")
    assert first["entries"][0]["id"] == "d1"
    second = ask(api, "vera", f"?page={first['next_page']}")
    entries = [*first["entries"], *second["entries"]]
    assert second["next_page"] is None
    assert len({(each["table"], each["id"]) for each in entries}) == len(entries) == 61
    days = [each["date"] for each in entries]
    assert days == sorted(days, reverse=True)
    [test] = [each for each in entries if each["table"] == "blood_tests"]
    assert [each["name"] for each in test["results"]] == ["Ferritin", "Hb"]
    assert [each["canonical_unit"] for each in test["results"]] == ["ug/L", "g/L"]


def test_one_table_alone_and_few_at_a_time(api: Api) -> None:
    found = ask(api, "anna", "?table=transfusions&limit=2")
    assert [each["id"] for each in found["entries"]] == ["t59", "t58"]
    more = ask(api, "anna", f"?table=transfusions&limit=2&page={found['next_page']}")
    assert [each["id"] for each in more["entries"]] == ["t57", "t56"]


@pytest.mark.parametrize(
    ("user", "query", "status", "code", "field"),
    [
        ("carl", "?scope=f1", 404, "not_found", None),  # as a family that there is not
        ("carl", "?scope=f9", 404, "not_found", None),
        ("nobody", "", 404, "not_found", None),
        ("both", "", 400, "invalid_request", "scope"),
        ("anna", "?table=reminders", 400, "invalid_request", "table"),
        ("anna", "?page=x", 400, "invalid_cursor", "page"),
        ("anna", "?limit=0", 400, "invalid_request", "limit"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(
    api: Api, user: str, query: str, status: int, code: str, field: str | None
) -> None:
    said = ask(api, user, query)
    assert (said["status"], said["error"]["code"], said["error"].get("field")) == (
        status,
        code,
        field,
    )


def test_the_other_family_sees_its_own_and_what_was_shown_is_in_the_trail(api: Api) -> None:
    assert ask(api, "carl")["entries"] == []
    assert len(ask(api, "both", "?scope=f1&limit=1")["entries"]) == 1
    assert ask(api, "both", "?scope=f2")["entries"] == []
    said = api.ask("GET", "/api/v1/trail", token=api.token("both")).json
    assert said is not None
    assert "read_timeline" in {each["action"] for each in said["entries"]}
