"""Photos over HTTP, as deployed: tickets in a sync, pieces, answers, links."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from werkzeug.test import TestResponse

from shared import wiring
from shared.errors import FilesUnavailable
from tests.api.conftest import Api, StartApi
from tests.api.test_openapi import keeps_its_word
from tests.files.conftest import Json, photo

PHOTO = photo(21)


def announced(data: bytes = PHOTO, key: str = "a.jpg", **more: Any) -> Json:
    return {
        "table": "cases",
        "record_id": "c1",
        "key": key,
        "type": "image/jpeg",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        **more,
    }


def day(*keys: str) -> Json:
    """A red case with photos, as a phone pushes it."""
    case = {
        "id": "c1",
        "patient_id": "p1",
        "last_modified_at": 1,
        "risk_level": "red",
        "triage_data": {},
        "image_keys": list(keys),
    }
    return {"patients": [{"id": "p1", "last_modified_at": 1}], "cases": [case]}


class Amina:
    """A health worker's phone, by HTTP."""

    def __init__(self, api: Api, user: str = "chw1", role: str = "chw") -> None:
        api.join(user, role=role)
        self.api, self.token = api, api.token(user)

    def sync(self, **body: Any) -> Json:
        response = self.api.ask("POST", "/api/sync", body, token=self.token)
        assert response.status_code == 200, response.text
        return dict(response.get_json())

    def ask(self, *files: Any, **more: Any) -> TestResponse:
        body = {"files": list(files), **more}
        return self.api.ask("POST", "/api/v1/files", body, token=self.token)

    def put(
        self, file_id: str, body: bytes, span: str | None = None, **headers: str
    ) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if span is not None:
            named["Content-Range"] = span
        path = f"/api/v1/files/{file_id}/content"
        return self.api.ask("PUT", path, body, token=self.token, headers=named)

    def look(self, file_id: str) -> TestResponse:
        return self.api.ask("GET", f"/api/v1/files/{file_id}", token=self.token)


@pytest.fixture
def amina(api: Api) -> Amina:
    return Amina(api)


def code(response: TestResponse) -> str:
    return str(response.get_json()["error"]["code"])


def test_tickets_come_with_the_sync_that_brings_the_record(amina: Amina) -> None:
    answer = amina.sync(changes=day("a.jpg"), files=[announced(), announced(key="")])
    ticket, refused = answer["files"]
    assert ticket["state"] == "upload"
    assert ticket["upload"]["url"] == f"/api/v1/files/{ticket['id']}/content"
    assert refused["error"]["code"] == "wrong_type"
    # a replay of the sync answers the same, and says how far the upload is
    amina.put(ticket["id"], PHOTO[:9000], f"bytes 0-8999/{len(PHOTO)}")
    again = amina.sync(changes=day("a.jpg"), files=[announced()])
    assert (again["files"][0]["id"], again["files"][0]["upload"]["offset"]) == (ticket["id"], 9000)


def test_a_sync_without_photos_says_nothing_of_them(amina: Amina) -> None:
    assert "files" not in amina.sync(changes=day())
    assert amina.sync(files=[])["files"] == []


@pytest.mark.parametrize("files", [{}, "x", 5, [{}] * 51])
def test_a_crooked_list_holds_up_no_record(amina: Amina, files: Any) -> None:
    body = {"changes": day(), "files": files}
    response = amina.api.ask("POST", "/api/sync", body, token=amina.token)
    assert response.status_code == 200
    assert len(amina.sync()["server_updates"]["cases"]) == 1
    answer = response.get_json()
    left_out = [item["field"] for item in answer.get("ignored", ())]
    assert left_out == ["files"] or all("error" in item for item in answer["files"])


def test_pieces_are_answered_with_how_far_it_is_and_the_end_with_the_verdict(amina: Amina) -> None:
    amina.sync(changes=day("a.jpg"))
    (ticket,) = amina.ask(announced()).get_json()["files"]
    total = len(PHOTO)
    asked = amina.put(ticket["id"], b"", f"bytes */{total}")
    assert (asked.status_code, asked.headers.get("Range")) == (308, None)
    first = amina.put(ticket["id"], PHOTO[:20_000], f"bytes 0-19999/{total}")
    assert (first.status_code, first.headers["Range"]) == (308, "bytes=0-19999")
    assert "Location" not in first.headers
    early = amina.put(ticket["id"], PHOTO[30_000:], f"bytes 30000-{total - 1}/{total}")
    assert (early.status_code, early.get_json()["upload"]["offset"]) == (308, 20_000)
    last = amina.put(ticket["id"], PHOTO[20_000:], f"bytes 20000-{total - 1}/{total}")
    assert last.status_code == 200
    found = last.get_json()
    assert found["state"] == "ready"
    assert found["quality"]["verdict"] in ("good", "retake")
    # and the case waits no longer
    amina.api.run_jobs()
    (case,) = amina.sync()["server_updates"]["cases"]
    assert case["image_urls"] == [f"/api/v1/files/{ticket['id']}"]
    assert case["ai_analysis"]["status"] == "ok"


def test_a_whole_photo_needs_no_range(amina: Amina) -> None:
    amina.sync(changes=day("a.jpg"))
    (ticket,) = amina.ask(announced()).get_json()["files"]
    assert amina.put(ticket["id"], PHOTO).get_json()["state"] == "ready"


def test_a_large_photo_is_checked_by_a_job(start_api: StartApi) -> None:
    amina = Amina(start_api(check_inline_bytes=1000))
    amina.sync(changes=day("a.jpg"))
    (ticket,) = amina.ask(announced()).get_json()["files"]
    assert amina.put(ticket["id"], PHOTO).get_json()["state"] == "checking"
    assert amina.look(ticket["id"]).get_json()["state"] == "checking"
    wiring.runner().run_due("images", 120)
    assert amina.look(ticket["id"]).get_json()["state"] == "ready"


def test_only_one_photo_is_checked_at_a_time_and_the_others_are_left_to_a_job(
    amina: Amina, monkeypatch: pytest.MonkeyPatch
) -> None:
    import functions.files as function

    amina.sync(changes=day("a.jpg"))
    (ticket,) = amina.ask(announced()).get_json()["files"]
    monkeypatch.setattr(function, "_LONGEST_WAIT_SECONDS", 0.01)
    with function._ONE:  # another one is being checked
        assert amina.put(ticket["id"], PHOTO).get_json()["state"] == "checking"
    wiring.runner().run_due("images", 120)
    assert amina.look(ticket["id"]).get_json()["state"] == "ready"


def test_links_show_the_photo_to_whoever_has_them_and_nobody_else(amina: Amina) -> None:
    amina.sync(changes=day("a.jpg"))
    (ticket,) = amina.ask(announced()).get_json()["files"]
    amina.put(ticket["id"], PHOTO)
    found = amina.look(ticket["id"]).get_json()
    assert set(found["links"]) == {"original", "896", "448"}
    got = amina.api.ask("GET", found["links"]["original"])
    assert got.data == PHOTO
    assert got.headers["Content-Type"] == "image/jpeg"
    assert got.headers["Content-Disposition"].startswith("attachment")
    assert got.headers["Cache-Control"] == "no-store"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    small = amina.api.ask("GET", found["links"]["448"]).data
    assert b"Amina" not in small
    spoiled = found["links"]["448"][:-2] + "xx"
    assert code(amina.api.ask("GET", spoiled)) == "link_invalid"
    assert found["links"]["448"] != amina.look(ticket["id"]).get_json()["links"]["896"]


def test_a_link_ends(start_api: StartApi, monkeypatch: pytest.MonkeyPatch) -> None:
    amina = Amina(start_api())
    amina.sync(changes=day("a.jpg"))
    (ticket,) = amina.ask(announced()).get_json()["files"]
    amina.put(ticket["id"], PHOTO)
    link = amina.look(ticket["id"]).get_json()["links"]["448"]
    later = wiring.clock_ms() + 901_000
    monkeypatch.setattr(wiring, "clock_ms", lambda: later)
    assert code(amina.api.ask("GET", link)) == "link_expired"


@pytest.mark.parametrize(
    ("body", "span", "headers", "status", "said"),
    [
        (b"", None, {}, 400, "invalid_range"),
        (b"x", "bytes 5-4/9", {}, 400, "invalid_range"),
        (b"x", "pages 0-1/2", {}, 400, "invalid_range"),
        (b"x", "bytes 0-0/5", {}, 400, "wrong_size"),
        (b"x", f"bytes 0-0/{11 * 2**20}", {}, 413, "request_too_large"),
        (b"x", None, {"Content_Encoding": "gzip"}, 415, "unsupported_encoding"),
    ],
)
def test_a_crooked_piece_is_refused_by_name(
    amina: Amina, body: bytes, span: str | None, headers: dict[str, str], status: int, said: str
) -> None:
    amina.sync(changes=day("a.jpg"))
    (ticket,) = amina.ask(announced()).get_json()["files"]
    response = amina.put(ticket["id"], body, span, **headers)
    assert (response.status_code, code(response)) == (status, said)


def test_nobody_else_learns_whether_a_photo_exists(amina: Amina) -> None:
    amina.sync(changes=day("a.jpg"))
    (ticket,) = amina.ask(announced()).get_json()["files"]
    stranger = Amina(amina.api, "chw9")
    amina.api.join("chw9", "team9")
    from shared.access import membership

    membership.revoke(wiring.store(), "chw9", "team1", wiring.clock_ms())
    for name in (ticket["id"], "0" * 32):
        assert stranger.look(name).status_code == 404
        assert stranger.put(name, PHOTO).status_code == 404
    assert amina.api.ask("GET", f"/api/v1/files/{ticket['id']}").status_code == 401


def test_a_folder_has_no_sessions_of_its_own(amina: Amina) -> None:
    amina.sync(changes=day("a.jpg"))
    (ticket,) = amina.ask(announced(), direct=True).get_json()["files"]
    assert ticket["upload"]["direct_url"] is None
    assert code(amina.ask(announced(), direct="yes")) == "invalid_request"


def test_what_is_not_whole_cannot_be_completed(amina: Amina) -> None:
    amina.sync(changes=day("a.jpg"))
    (ticket,) = amina.ask(announced()).get_json()["files"]
    path = f"/api/v1/files/{ticket['id']}/complete"
    response = amina.api.ask("POST", path, token=amina.token)
    assert (response.status_code, response.get_json()["offset"]) == (409, 0)
    amina.put(ticket["id"], PHOTO)
    response = amina.api.ask("POST", path, token=amina.token)
    assert response.get_json()["state"] == "ready"


def test_a_file_store_that_is_down_is_said_so_and_the_upload_goes_on_after_it(
    amina: Amina, monkeypatch: pytest.MonkeyPatch
) -> None:
    amina.sync(changes=day("a.jpg"))
    (ticket,) = amina.ask(announced()).get_json()["files"]

    def down(*_: object, **__: object) -> None:
        raise FilesUnavailable("The file store does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(wiring.files(), "put", down)
        response = amina.put(ticket["id"], PHOTO)
        assert (response.status_code, code(response)) == (503, "files_unavailable")
        assert int(response.headers["Retry-After"]) >= 1
    assert amina.put(ticket["id"], PHOTO).get_json()["state"] == "ready"


def test_a_doctor_sees_every_photo_and_what_became_of_it(amina: Amina) -> None:
    doctor = Amina(amina.api, "doc", "doctor")

    def case() -> Json:
        response = amina.api.ask("GET", "/api/v1/review/cases/c1", token=doctor.token)
        assert response.status_code == 200, response.text
        return dict(response.get_json())

    # given a case with two photos that are ready, one that breaks off, one under way, two refused
    amina.sync(changes=day("a.jpg"))
    assert case()["photos"] == []
    half, other = PHOTO[: len(PHOTO) // 2], b"PK" * 4000
    data = {"a.jpg": PHOTO, "b.jpg": half, "late.jpg": photo(22), "c.jpg": other}
    asked = [announced(content, key) for key, content in data.items()]
    asked += [announced(photo(23), "way.jpg"), announced(b"", "e.jpg", name="Wunde links")]
    answers = amina.ask(*asked).get_json()["files"]
    for ticket, content in zip(answers, data.values(), strict=False):
        assert amina.put(ticket["id"], content).status_code == 200
    # then the doctor sees them all: the ready ones first, those that the row names before the others
    seen = case()
    photos = seen["photos"]
    assert [(each["key"], each["state"], each["named"]) for each in photos] == [
        ("a.jpg", "ready", True),
        ("b.jpg", "ready", False),
        ("late.jpg", "ready", False),
        ("c.jpg", "refused", False),
        ("e.jpg", "refused", False),
        ("way.jpg", "upload", False),
    ]
    assert [each["url"] for each in photos[:3]] == seen["case"]["image_urls"]
    assert [each["incomplete"] for each in photos] == [False, True, False, None, None, None]
    told = [(each["code"], each["name"], bool(each["message"])) for each in photos[3:]]
    assert told == [
        ("wrong_type", None, True),
        ("empty_file", "Wunde links", True),
        (None, None, False),
    ]
    assert {each["user_id"] for each in photos} == {"chw1"}
    # and the phone finds the same reason where it looks
    for each in photos[3:5]:
        found = amina.look(each["id"]).get_json()
        assert (found["state"], found["code"], found["key"]) == (
            "refused",
            each["code"],
            each["key"],
        )
    listed = amina.api.ask("GET", "/api/v1/review/cases", token=doctor.token).get_json()["cases"]
    assert [entry["images"] for entry in listed] == [3]


def test_reading_a_photo_is_in_the_audit_trail(amina: Amina) -> None:
    from shared.records.store import Query

    amina.sync(changes=day("a.jpg"))
    (ticket,) = amina.ask(announced()).get_json()["files"]
    amina.put(ticket["id"], PHOTO)
    amina.look(ticket["id"])
    noted = [
        each.fields["ids"]
        for each in wiring.store().query(Query("audit"))
        if each.fields["action"] == "read_file"
    ]
    assert noted == [{"files": [ticket["id"]]}]


def test_a_browser_may_send_photos_from_a_named_origin(start_api: StartApi) -> None:
    api = start_api(cors_origins="https://app.example.org")
    response = api.ask(
        "OPTIONS",
        f"/api/v1/files/{'0' * 32}/content",
        headers={"Origin": "https://app.example.org", "Access-Control-Request-Method": "PUT"},
    )
    assert response.status_code == 204
    assert "PUT" in response.headers["Access-Control-Allow-Methods"]
    assert "Content-Range" in response.headers["Access-Control-Allow-Headers"]


def test_a_photo_is_polled_until_it_has_links(amina: Amina) -> None:
    amina.sync(changes=day("a.jpg"))
    [ticket] = amina.ask(announced(PHOTO)).get_json()["files"]
    path = f"/api/v1/files/{ticket['id']}"

    def polled(tag: str) -> TestResponse:
        head = {"If-None-Match": tag}
        response = amina.api.ask("GET", path, token=amina.token, headers=head)
        keeps_its_word("GET", path, response)
        return response

    tag = polled('"none"').headers["ETag"]
    assert polled(tag).status_code == 304
    amina.put(ticket["id"], PHOTO)
    for _ in range(2):  # links are other ones each time: what the caller has soon expires
        ready = polled(tag)
        assert (ready.status_code, ready.get_json()["state"]) == (200, "ready")
        assert "ETag" not in ready.headers
