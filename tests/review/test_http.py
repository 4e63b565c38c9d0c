"""The doctors' side over HTTP: what the API's description says, who may, tags, codes, hostile bodies."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.test import TestResponse

from shared import wiring
from shared.errors import Contended
from shared.records.store import Key
from shared.sync.dialects import watermelon
from tests.api.conftest import Api, StartApi, api, start_api
from tests.api.test_openapi import case, keeps_its_word, patient, pushing

__all__ = ["StartApi", "api", "start_api"]

CASES = "/api/v1/review/cases"
GOOD = {"diagnosis_text": "Tinea corporis", "prescription": "Clotrimazole", "verdict": "agree"}


class Screen:
    """A user's screen: every answer is held against the description."""

    def __init__(self, api: Api, user: str) -> None:
        self.api, self.user = api, user

    @property
    def token(self) -> str:
        """Good at the server's time, wherever a test has moved it."""
        return self.api.token(self.user)

    def ask(self, method: str, path: str = "", body: Any = None, **headers: str) -> TestResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{CASES}{path}"
        response = self.api.ask(method, url, body, token=self.token, headers=sent)
        keeps_its_word(method, url.partition("?")[0], response)
        return response

    def get(self, path: str = "", **headers: str) -> Any:
        return self.ask("GET", path, **headers).get_json()

    def sign(self, name: str = "c1", key: str = "k1", **body: Any) -> TestResponse:
        seen = self.seen(name)
        sent = {**GOOD, **body}
        return self.ask("POST", f"/{name}/diagnosis", sent, Idempotency_Key=key, If_Match=seen)

    def seen(self, name: str = "c1") -> str:
        """What a screen names that has just shown the case."""
        found = wiring.store().read([Key("cases", name)]).documents.values()
        return next((f'"{case.version}"' for case in found), '"1"')

    def claim(self, name: str = "c1", **body: Any) -> TestResponse:
        return self.ask("POST", f"/{name}/claim", body or None)


@pytest.fixture
def clinic(api: Api) -> Api:
    """The API with a team and a red case c1 of it, analysed."""
    for user, role in (
        ("chw1", "chw"), ("doc1", "doctor"), ("doc2", "doctor"), ("boss", "supervisor"),
        ("head", "admin"), ("relative", "member"),
    ):  # fmt: skip
        api.join(user, role=role)
    sync(api, "chw1", patients=[patient("p1")], cases=[case("c1", risk_level="red")])
    api.run_jobs()
    return api


def sync(api: Api, user: str, since: float = 0, **changes: list[Any]) -> Any:
    body = {**pushing(**changes), "last_sync_timestamp": since, "device_id": f"{user}-phone"}
    response = api.ask("POST", "/api/sync", body, token=api.token(user))
    assert response.status_code == 200
    return response.get_json()


def melon(api: Api, user: str, last: object = "null") -> Any:
    path = f"/api/v1/sync?last_pulled_at={last}&device_id={user}-melon"
    response = api.ask("GET", path, token=api.token(user))
    assert response.status_code == 200
    return response.get_json()


def error_of(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]["code"]


# --- the story


def test_a_red_case_goes_from_phone_to_doctor_and_back_in_both_dialects(clinic: Api) -> None:
    # given phones of both dialects that know the case, and a doctor who sees it in the list
    batch, native = sync(clinic, "chw1"), melon(clinic, "chw1")
    doctor = Screen(clinic, "doc1")
    (entry,) = doctor.get()["cases"]
    assert (entry["id"], entry["rank"], entry["ai"]["status"]) == ("c1", 1, "ok")
    # when the doctor claims it, looks at it, and signs
    assert doctor.claim().status_code == 200
    assert doctor.get("/c1")["case"]["ai_analysis"]["differential"]
    signed = doctor.sign().get_json()
    # then it leaves the list
    assert doctor.get()["cases"] == []
    assert [item["id"] for item in doctor.get("?status=DIAGNOSED")["cases"]] == ["c1"]
    # and both kinds of phones get diagnosis and case, with the analysis that they may see now
    rows = sync(clinic, "chw1", batch["new_sync_timestamp"])["server_updates"]
    changes = melon(clinic, "chw1", native["timestamp"])["changes"]
    for found in (rows, {table: sets["updated"] for table, sets in changes.items()}):
        (diagnosis,), (row,) = found["diagnoses"], found["cases"]
        assert diagnosis["id"] == signed["id"]
        assert (diagnosis["diagnosis_text"], diagnosis["prescription"]) == (
            GOOD["diagnosis_text"],
            GOOD["prescription"],
        )
        assert row["status"] == "DIAGNOSED"
        analysis = row["ai_analysis"]
        assert "differential" in (json.loads(analysis) if isinstance(analysis, str) else analysis)


def test_a_doctor_sees_each_reading_with_its_date_and_model(clinic: Api) -> None:
    whole = Screen(clinic, "doc1").get("/c1")
    (reading,) = whole["readings"]
    assert reading["analysis"] == whole["case"]["ai_analysis"]
    assert reading["analysis"]["provenance"]["read_at"] == reading["at"] > 0
    assert reading["analysis"]["provenance"]["model"] == "scripted"
    assert reading["job_id"].startswith("analyse~c1~")
    # nor does what is shown change with the signature
    assert Screen(clinic, "doc1").sign().status_code == 200
    assert Screen(clinic, "boss").get("/c1")["readings"] == [reading]
    assert Screen(clinic, "chw1").ask("GET", "/c1").status_code == 403


def test_before_the_signature_no_dialect_shows_a_health_worker_the_whole_analysis(
    clinic: Api,
) -> None:
    (row,) = sync(clinic, "chw1")["server_updates"]["cases"]
    assert "differential" not in row["ai_analysis"]
    (row,) = melon(clinic, "chw1")["changes"]["cases"]["created"]
    assert "differential" not in json.loads(row["ai_analysis"])


def test_a_diagnosis_is_read_when_a_phone_of_the_health_worker_was_given_it(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [wiring.clock_ms()]
    monkeypatch.setattr(wiring, "clock_ms", lambda: now[0])
    api = start_api(page_rows=2)
    api.join("chw1")
    api.join("doc1", role="doctor")
    doctor = Screen(api, "doc1")

    def unread() -> list[str]:
        return [entry["id"] for entry in doctor.get("?unread=1")["cases"]]

    def signed(name: str) -> None:
        sync(api, "chw1", patients=[patient(f"p{name}")],
             cases=[case(name, f"p{name}", risk_level="red")])  # fmt: skip
        assert doctor.sign(name, key=name).status_code == 200
        now[0] += 25 * 3_600_000

    # given a diagnosis that is a day old
    signed("c1")
    assert unread() == ["c1"]
    # when another's phone, or the doctor's, fetches it, it is still unread
    sync(api, "doc1")
    assert unread() == ["c1"]
    # when the first of several pages comes it is still unread, after the last one it is not
    answer = sync(api, "chw1")
    assert answer["has_more"]
    assert unread() == ["c1"]
    body = {"device_id": "chw1-phone"}
    while answer["has_more"]:
        asked = {**body, "page": answer["next_page"]}
        answer = api.ask("POST", "/api/sync", asked, token=api.token("chw1")).get_json()
    assert unread() == []
    # and the same with the other dialect
    signed("c2")
    assert unread() == ["c2"]
    melon(api, "chw1")
    assert unread() == []


def test_a_pull_that_breaks_off_is_no_delivery(
    clinic: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    Screen(clinic, "doc1").sign()

    def broken(*_: Any) -> Iterator[bytes]:
        whole = b"".join(rendered(*_))
        yield whole[: len(whole) // 2]
        raise Contended("cut")

    rendered = watermelon.render_pull
    monkeypatch.setattr(watermelon, "render_pull", broken)
    client = clinic.client("sync")
    head = {"Authorization": f"Bearer {clinic.token('chw1')}"}
    with pytest.raises(Contended):
        _ = client.get("/api/v1/sync?last_pulled_at=null&device_id=m", headers=head).data
    found = wiring.store().read([Key("devices", "chw1~m")]).documents
    assert "cursor_ms" not in found[Key("devices", "chw1~m")].fields


# --- who may


#: The statuses of: list, case, claim, assign, release, diagnosis.
MATRIX = {
    "chw1": (403, 403, 403, 403, 403, 403),
    "relative": (403, 403, 403, 403, 403, 403),
    "doc1": (200, 200, 200, 403, 200, 200),
    "boss": (200, 200, 403, 200, 200, 403),
    "head": (200, 200, 403, 200, 200, 403),
    # doctor, supervisor and nobody of another team: the list is their own
    "doc9": (200, 404, 404, 404, 404, 404),
    "boss9": (200, 404, 404, 404, 404, 404),
    "nobody": (403, 404, 404, 404, 404, 404),
}


@pytest.mark.parametrize("user", MATRIX)
def test_who_may_do_what(clinic: Api, user: str) -> None:
    clinic.join("doc9", "team9", "doctor")
    clinic.join("boss9", "team9", "supervisor")
    screen = Screen(clinic, user)
    answers = [
        screen.ask("GET"),
        screen.ask("GET", "/c1"),
        screen.claim(),
        screen.claim(doctor_id="doc2"),
        screen.ask("POST", "/c1/release"),
        screen.sign(),
    ]
    assert tuple(answer.status_code for answer in answers) == MATRIX[user]
    if user in ("doc9", "boss9"):
        assert answers[0].get_json()["cases"] == []
    # what may not be seen and what is not there are one answer
    if MATRIX[user][1] == 404:
        other = screen.ask("GET", "/nothing").get_json()["error"]
        mine = answers[1].get_json()["error"]
        assert {**other, "request_id": ""} == {**mine, "request_id": ""}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/c1"), ("POST", "/c1/claim"), ("POST", "/c1/release"),
     ("POST", "/c1/diagnosis")],
)  # fmt: skip
def test_nobody_gets_in_without_a_token(clinic: Api, method: str, path: str) -> None:
    for token, code in ((None, "token_missing"), ("x.y.z", "token_invalid")):
        response = clinic.ask(method, f"{CASES}{path}", token=token)
        assert error_of(response) == (401, code)
        keeps_its_word(method, f"{CASES}{path}", response)


# --- codes


def test_a_second_doctor_is_told_who_and_when(clinic: Api) -> None:
    one, two = Screen(clinic, "doc1"), Screen(clinic, "doc2")
    until = one.claim().get_json()["claimed_until"]
    for response in (two.claim(), two.sign(), two.ask("POST", "/c1/release")):
        assert error_of(response) == (409, "claimed")
        said = response.get_json()
        assert (said["by"], said["until"]) == ("doc1", until)
    signed = one.sign().get_json()
    response = two.sign()
    assert error_of(response) == (409, "already_diagnosed")
    said = response.get_json()
    assert (said["by"], said["at"]) == ("doc1", signed["signed_at"])
    amended = two.sign(amends=said["diagnosis_id"])
    assert amended.status_code == 200
    assert len(two.get("/c1")["diagnoses"]) == 2


def test_a_key_says_whether_it_is_the_same_request(clinic: Api) -> None:
    doctor = Screen(clinic, "doc1")
    first = doctor.sign()
    again = doctor.sign()
    assert (again.status_code, again.get_json()) == (200, first.get_json())
    assert error_of(doctor.sign(prescription="Other")) == (409, "idempotency_key_reused")


def test_a_deleted_case_keeps_its_word(clinic: Api) -> None:
    sync(clinic, "chw1", cases=[{"id": "c1", "sync_status": "deleted"}])
    doctor = Screen(clinic, "doc1")
    assert error_of(doctor.sign()) == (409, "parent_deleted")
    assert error_of(doctor.claim()) == (409, "parent_deleted")
    # it stands in the list until somebody closes it with a word
    shown = doctor.get("/c1")
    assert (shown["reason"], shown["deleted_by"]) == ("deleted_while_waiting", "chw1")
    assert [entry["id"] for entry in doctor.get()["cases"]] == ["c1"]
    word = {"word": "registered twice"}
    assert error_of(doctor.ask("POST", "/c1/close", {"word": " "})) == (400, "invalid_request")
    assert error_of(doctor.ask("POST", "/c1/close", word)) == (428, "if_match_required")
    assert error_of(doctor.ask("POST", "/c1/close", word, If_Match='"1"')) == (412, "case_changed")
    seen = doctor.seen()
    assert doctor.ask("POST", "/c1/close", word, If_Match=seen).status_code == 200
    # and again, since the answer may have been lost
    assert doctor.ask("POST", "/c1/close", word, If_Match=seen).status_code == 200
    assert doctor.get()["cases"] == []
    assert error_of(doctor.ask("GET", "/c1")) == (404, "not_found")


def test_two_doctors_at_once_make_one_signature(clinic: Api) -> None:
    start = threading.Barrier(2)

    def sign(user: str) -> TestResponse:
        screen = Screen(clinic, user)
        start.wait()
        return screen.sign()

    clinic.client("review")
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(sign, ("doc1", "doc2")))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert len(Screen(clinic, "doc1").get("/c1")["diagnoses"]) == 1


# --- polling


def test_a_page_links_to_the_next(clinic: Api) -> None:
    sync(clinic, "chw1", cases=[case("c2", risk_level="red")])
    doctor = Screen(clinic, "doc1")
    whole = [entry["id"] for entry in doctor.get("?risk=red")["cases"]]
    first = doctor.ask("GET", "?risk=red&limit=1")
    link = re.fullmatch(r'<(/[^>]+)>; rel="next"', first.headers["Link"])
    assert link is not None
    second = clinic.ask("GET", link[1], token=doctor.token)
    assert [entry["id"] for at in (first, second) for entry in at.get_json()["cases"]] == whole
    assert len(whole) == 2
    assert "Link" not in second.headers


def test_a_screen_that_is_current_gets_no_body(clinic: Api) -> None:
    doctor = Screen(clinic, "doc1")
    for path in ("", "/c1", "?status=TRIAGED"):
        first = doctor.ask("GET", path)
        tag = first.headers["ETag"]
        again = doctor.ask("GET", path, If_None_Match=tag)
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
        assert doctor.ask("GET", path, If_None_Match='"other"').status_code == 200
    before = {path: doctor.ask("GET", path).headers["ETag"] for path in ("", "/c1")}
    Screen(clinic, "doc2").claim()
    for path, tag in before.items():
        assert doctor.ask("GET", path, If_None_Match=tag).status_code == 200


def test_an_answer_without_news_carries_no_tag(clinic: Api) -> None:
    doctor = Screen(clinic, "doc1")
    since = doctor.get()["timestamp"]
    response = doctor.ask("GET", f"?since={since}")
    assert response.get_json()["changed"] is False
    assert "ETag" not in response.headers


# --- hostile requests

#: Status, code, path, query or body.
PATHS = [
    "/__c1__", "/c1%00", "/c%201", "/..%2Fc1", "/" + "x" * 129, "/c1'--", "/%C3%BC", "/c1~", "/.",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_an_id_that_is_none_is_not_found(clinic: Api, path: str) -> None:
    doctor = Screen(clinic, "doc1")
    for response in (
        clinic.ask("GET", f"{CASES}{path}", token=doctor.token),
        clinic.ask("POST", f"{CASES}{path}/claim", token=doctor.token),
        clinic.ask("POST", f"{CASES}{path}/diagnosis", {**GOOD, "idempotency_key": "k"},
                   token=doctor.token),
    ):  # fmt: skip
        assert error_of(response) == (404, "not_found")


@pytest.mark.parametrize(
    ("query", "code"),
    [("page=AAAA", "invalid_cursor"), ("page=", "invalid_cursor"), ("since=x", "invalid_cursor"),
     ("since=1700000000", "time_in_seconds"), ("limit=0", "invalid_request"),
     ("limit=x", "invalid_request"), ("status=x", "invalid_request"), ("risk=high", "invalid_request"),
     ("unread=2", "invalid_request"), ("scope=a%20b", "invalid_request")],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_refused(clinic: Api, query: str, code: str) -> None:
    assert error_of(Screen(clinic, "doc1").ask("GET", f"?{query}")) == (400, code)


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/c1/claim", b"[]", "invalid_request"),
        ("/c1/claim", b'{"doctor_id": 1}', "invalid_request"),
        ("/c1/claim", b'{"doctor_id": ""}', "invalid_request"),
        ("/c1/claim", b'{"doctor_id": "__x__"}', "invalid_request"),
        ("/c1/claim", b'{"doctor": "doc2"}', "invalid_request"),
        ("/c1/claim", b"{", "invalid_json"),
        ("/c1/release", b'{"a": 1}', "invalid_request"),
        ("/c1/release", b"nonsense", "invalid_json"),
        ("/c1/diagnosis", b"", "invalid_json"),
        ("/c1/diagnosis", b"null", "invalid_request"),
        ("/c1/diagnosis", b'{"diagnosis_text": "\\ud800"}', "invalid_json"),
        ("/c1/diagnosis", b"[" * 30 + b"]" * 30, "invalid_json"),
        ("/c1/diagnosis", b'{"diagnosis_text": "x", "status": "TRIAGED"}', "invalid_request"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_body_that_is_not_as_documented_is_refused(
    clinic: Api, path: str, body: bytes, code: str
) -> None:
    doctor = Screen(clinic, "doc1")
    assert error_of(doctor.ask("POST", path, body, Idempotency_Key="k1")) == (400, code)
    shown = doctor.get("/c1")
    assert (shown["diagnoses"], shown["review"]["history"]) == ([], [])


def test_a_field_that_is_not_known_is_not_repeated(clinic: Api) -> None:
    doctor = Screen(clinic, "doc1")
    response = doctor.sign(**{"Amina has": "a rash"})
    assert response.status_code == 400
    assert "Amina" not in response.text


@pytest.mark.parametrize("key", ["", "a b", "k" * 129, "ä"])
def test_a_diagnosis_without_a_usable_key_is_refused(clinic: Api, key: str) -> None:
    response = Screen(clinic, "doc1").sign(key=key)
    assert error_of(response) == (400, "invalid_request")
    assert response.get_json()["error"]["field"] == "idempotency_key"


def test_other_methods_are_refused(clinic: Api) -> None:
    for method, path in (
        ("POST", ""),
        ("DELETE", "/c1"),
        ("GET", "/c1/claim"),
        ("PUT", "/c1/diagnosis"),
    ):
        assert error_of(Screen(clinic, "doc1").ask(method, path)) == (405, "method_not_allowed")
