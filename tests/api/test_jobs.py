"""`GET /api/v1/jobs/{id}` and `POST /api/v1/devices/token` keep the word of the API's description."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from shared import wiring
from shared.records.store import Key
from shared.support import ledger
from tests.api.conftest import Api
from tests.api.test_openapi import asker, case, keeps_its_word, patient, pushing
from tests.api.test_support import call, clinics, code, get, move  # noqa: F401  a fixture

TOKEN = "/api/v1/devices/token"


@pytest.fixture
def job(clinics: Api) -> str:  # noqa: F811
    """The job of chw1's red case c1."""
    asker(clinics)(pushing(patients=[patient("p1")], cases=[case("c1", risk_level="red")]))
    key = Key("cases", "c1")
    return str(wiring.store().read([key]).documents[key].fields["_job"])


def test_a_job_is_seen_from_queued_to_done(clinics: Api, job: str) -> None:  # noqa: F811
    waiting = get(clinics, "chw1", f"/api/v1/jobs/{job}")
    assert (waiting["state"], waiting["final"], waiting["attempts"]) == ("queued", False, 0)
    assert waiting["next_attempt_at"] is not None
    clinics.run_jobs()
    done = get(clinics, "chw1", f"/api/v1/jobs/{job}")
    assert (done["state"], done["final"], done["attempts"]) == ("done", True, 1)
    assert (done["table"], done["record_id"]) == ("cases", "c1")


def test_a_job_that_stands_where_it_stood_is_not_sent_again(
    clinics: Api,  # noqa: F811
    job: str,
) -> None:
    path, token = f"/api/v1/jobs/{job}", clinics.token("chw1")

    def polled(tag: str) -> TestResponse:
        response = clinics.ask("GET", path, token=token, headers={"If-None-Match": tag})
        keeps_its_word("GET", path, response)
        return response

    tag = polled('"none"').headers["ETag"]
    again = polled(tag)
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    clinics.run_jobs()
    done = polled(tag)
    assert (done.status_code, done.get_json()["state"]) == (200, "done")
    assert polled(done.headers["ETag"]).status_code == 304
    # who may see the steps has another answer, and another tag
    boss = clinics.ask(
        "GET", path, token=clinics.token("boss1"), headers={"If-None-Match": done.headers["ETag"]}
    )
    assert boss.status_code == 200


def test_the_row_that_phones_have_names_the_job_too(clinics: Api, job: str) -> None:  # noqa: F811
    assert get(clinics, "chw1", "/api/v1/jobs/c1")["id"] == job


def test_only_who_may_see_an_unsigned_analysis_sees_the_steps(
    clinics: Api,  # noqa: F811
    job: str,
) -> None:
    assert get(clinics, "chw1", f"/api/v1/jobs/{job}")["history"] is None
    for user in ("doctor1", "boss1"):
        [step] = get(clinics, user, f"/api/v1/jobs/{job}")["history"]
        assert (step["state"], step["fault"]) == ("queued", None)


@pytest.mark.parametrize("user", ["chw2", "boss2", "stranger"])
@pytest.mark.parametrize(
    "name", ["{job}", "c1", "nobody-s", "__x__", "%2E%2E", "a%5D", "a b", "%C3%B6", "x" * 301]
)
def test_everybody_else_gets_the_same_answer_as_for_no_job(
    clinics: Api,  # noqa: F811
    job: str,
    user: str,
    name: str,
) -> None:
    answered = call(clinics, user, "GET", f"/api/v1/jobs/{name.format(job=job)}")
    assert code(answered) == (404, "not_found")


def test_a_record_that_moved_takes_its_job_along(clinics: Api, job: str) -> None:  # noqa: F811
    move("p1", "team2")
    assert get(clinics, "chw2", f"/api/v1/jobs/{job}")["record_id"] == "c1"
    assert call(clinics, "chw1", "GET", f"/api/v1/jobs/{job}")[0] == 404


def test_without_a_token_nothing_is_shown(clinics: Api, job: str) -> None:  # noqa: F811
    assert code(call(clinics, None, "GET", f"/api/v1/jobs/{job}")) == (401, "token_missing")
    assert code(call(clinics, None, "POST", TOKEN, {"token": "t"})) == (401, "token_missing")


# --- where a phone can be woken


def entry(user: str, device: str) -> Any:
    key = Key("devices", f"{user}~{device}")
    return wiring.store().read([key]).documents[key].fields


def register(api: Api, token: Any, user: str = "chw1", device: str = "phone-1") -> tuple[int, Any]:
    return call(api, user, "POST", f"{TOKEN}?device_id={device}", {"token": token})


def test_a_phone_says_where_it_can_be_woken_before_and_after_its_first_sync(
    clinics: Api,  # noqa: F811
) -> None:
    assert register(clinics, "t-1") == (200, {"device": "phone-1", "registered": True})
    assert entry("chw1", "phone-1")[ledger.PUSH_TOKEN] == "t-1"
    body = {**pushing(patients=[patient("p9")]), "device_id": "phone-1"}
    asker(clinics)(body)
    assert entry("chw1", "phone-1")[ledger.PUSH_TOKEN] == "t-1"
    assert entry("chw1", "phone-1")["scopes"] == ["team1"]
    assert register(clinics, "t-2")[0] == 200
    assert entry("chw1", "phone-1")[ledger.PUSH_TOKEN] == "t-2"


def test_null_forgets_it(clinics: Api) -> None:  # noqa: F811
    register(clinics, "t-1")
    assert register(clinics, None) == (200, {"device": "phone-1", "registered": False})
    assert ledger.PUSH_TOKEN not in entry("chw1", "phone-1")


def test_nobody_is_shown_a_token(clinics: Api) -> None:  # noqa: F811
    register(clinics, "very-secret-token")
    assert "very-secret-token" not in str(get(clinics, "boss1", "/api/v1/devices"))


@pytest.mark.parametrize("token", ["", "x" * 4097, "a\nb", 7, [], {}])
def test_what_is_no_token_is_refused(clinics: Api, token: Any) -> None:  # noqa: F811
    assert code(register(clinics, token)) == (400, "invalid_request")


def test_a_token_that_is_not_named_is_refused(clinics: Api) -> None:  # noqa: F811
    refused = call(clinics, "chw1", "POST", f"{TOKEN}?device_id=phone-1", {})
    assert code(refused) == (400, "invalid_request")
    assert refused[1]["error"]["field"] == "token"
