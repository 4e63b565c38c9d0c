"""What a screen shows beside a case, over HTTP: whom to call, who it is, pictures; what is noted of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from shared import wiring
from shared.access import membership
from shared.access.membership import Caller
from shared.errors import FilesUnavailable, StoreUnavailable
from shared.files.links import small_links
from shared.products.dermadetect.review import Review
from shared.records.store import Key, Query, patch, put
from tests.api.conftest import Api, StartApi, api, start_api
from tests.api.test_openapi import case, keeps_its_word, patient
from tests.files.conftest import photo
from tests.review.test_http import Screen, clinic, error_of, melon, sync
from tests.stores import Asked, Interrupted

__all__ = ["StartApi", "api", "clinic", "start_api"]

BASE = "/api/v1/review"


class Desk(Screen):
    """A screen that asks for everything below the review."""

    def see(self, path: str, **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.api.ask("GET", f"{BASE}{path}", token=self.token, headers=sent)
        if response.status_code != 304:
            keeps_its_word("GET", f"{BASE}{path}".partition("?")[0], response)
        return response


@pytest.fixture
def ward(clinic: Api) -> Api:
    """The clinic with a patient who is somebody, a health worker who can be called, and two cases."""
    who = {
        "name": " Asha\nN. ",
        "age": "34 years",
        "sex": "F",
        "village": "Kito" * 100,
        "phone": "1",
    }
    sync(clinic, "chw1", patients=[{**patient("p2"), "demographics": who}],
         cases=[case("c2", "p2", risk_level="red"), case("c3", "p2", risk_level="red")])  # fmt: skip
    account = {
        "name": "Amina",
        "phone": "+254700000001",
        "password": "$argon2id$",
        "email": "a@b.org",
    }
    wiring.store().commit([put(Key("accounts", "chw1"), account, None)])
    return clinic


def send_photo(api: Api, case_id: str, seed: int = 1) -> str:
    """A photo of a case arrives and is ready: the id of its file."""
    data, token = photo(seed, (640, 480)), api.token("chw1")
    asked = {"table": "cases", "record_id": case_id, "key": f"{seed}.jpg", "type": "image/jpeg",
             "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}  # fmt: skip
    said = api.ask("POST", "/api/v1/files", {"files": [asked]}, token=token).get_json()
    (ticket,) = said["files"]
    span = {"Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}"}
    done = api.ask("PUT", ticket["upload"]["url"], data, token=token, headers=span)
    assert done.get_json()["state"] == "ready"
    return str(ticket["id"])


def noted(action: str) -> dict[str, list[str]]:
    """What the last entry of the trail of an action names."""
    found = [e.fields for e in wiring.store().query(Query("audit")) if e.fields["action"] == action]
    return dict(max(found, key=lambda have: have["at"])["ids"])


def test_a_row_says_whom_to_call_and_who_it_is(ward: Api) -> None:
    (row,) = [each for each in Desk(ward, "doc1").get()["cases"] if each["id"] == "c2"]
    assert row["worker"] == {"name": "Amina", "phone": "+254700000001"}
    assert row["patient"] == {
        "name": "Asha N.", "age": 34, "sex": "female", "village": ("Kito" * 100)[:200]
    }  # fmt: skip
    assert (row["thumbnail"], row["read_at"]) == (None, None)
    # the case itself says the same, and nothing else of the account
    whole = Desk(ward, "doc1").get("/c2")
    assert whole["worker"] == row["worker"]
    assert "argon2" not in json.dumps(whole) + json.dumps(row)


def test_what_is_shown_of_people_is_noted(ward: Api) -> None:
    Desk(ward, "doc1").get("?patient=p2")
    assert noted("list_cases") == {
        "cases": ["c2", "c3"], "patients": ["p2"], "accounts": ["chw1"]
    }  # fmt: skip
    Desk(ward, "doc1").sign("c3")
    Desk(ward, "doc1").get("/c2")
    ids = noted("read_case")
    (diagnosis,) = ids.pop("diagnoses")
    assert ids == {"cases": ["c2", "c3"], "patients": ["p2"], "accounts": ["chw1"]}
    Desk(ward, "boss").get("/c2/patient-cases")
    assert noted("list_patient_cases") == {"cases": ["c2", "c3"], "diagnoses": [diagnosis]}


def test_who_has_left_the_team_is_an_id_again(ward: Api) -> None:
    membership.revoke(wiring.store(), "chw1", "team1", wiring.clock_ms())
    membership.grant(wiring.store(), "chw1", "team2", "chw", wiring.clock_ms())
    rows = Desk(ward, "doc1").get()["cases"]
    assert [(row["worker"], row["chw_id"]) for row in rows] == [(None, "chw1")] * 3
    assert Desk(ward, "doc1").get("/c1")["worker"] is None
    assert "accounts" not in noted("read_case")


@pytest.mark.parametrize(
    "demographics",
    [
        {},
        [],
        {"name": 7, "age": True, "sex": [], "village": {}},
        {"first_name": " ", "age": "many"},
    ],
)
def test_what_cannot_be_read_of_a_patient_is_null(ward: Api, demographics: Any) -> None:
    text = json.dumps(demographics)
    wiring.store().commit([patch(Key("patients", "p2"), {"demographics": text}, None)])
    row = Desk(ward, "doc1").get("?patient=p2")["cases"][0]
    assert row["patient"] == {"name": None, "age": None, "sex": None, "village": None}


def test_a_name_in_two_parts_is_one(ward: Api) -> None:
    text = json.dumps({"first_name": "Juma", "last_name": "O."})
    wiring.store().commit([patch(Key("patients", "p2"), {"demographics": text}, None)])
    assert Desk(ward, "doc1").get("?patient=p2")["cases"][0]["patient"]["name"] == "Juma O."


def test_a_patient_on_the_way_to_another_team_is_not_shown(ward: Api) -> None:
    wiring.store().commit([patch(Key("patients", "p2"), {"scope_id": "team9"}, None)])
    rows = Desk(ward, "doc1").get("?patient=p2")["cases"]
    assert [row["patient"] for row in rows] == [None, None]


# --- thumbnails


def test_a_thumbnail_is_a_link_that_anybody_can_open_for_some_minutes(ward: Api) -> None:
    file = send_photo(ward, "c2")
    desk = Desk(ward, "doc1")
    plain = {row["id"]: row["thumbnail"] for row in desk.get()["cases"]}
    assert plain == {"c1": None, "c2": {"id": file, "url": None, "expires_at": None}, "c3": None}
    linked = {row["id"]: row["thumbnail"] for row in desk.get("?thumbnails=1")["cases"]}
    assert (linked["c1"], linked["c3"]) == (None, None)
    seconds = wiring.settings().link_seconds
    now_ms = wiring.clock_ms()
    assert now_ms < linked["c2"]["expires_at"] <= now_ms + seconds * 1000
    picture = ward.ask("GET", linked["c2"]["url"])
    assert (picture.status_code, picture.content_type) == (200, "image/jpeg")
    assert picture.data[:2] == b"\xff\xd8"
    assert noted("list_cases")["files"] == [file]
    # and beside another case of the patient
    (other,) = desk.get("/c3/patient-cases?thumbnails=1")["cases"]
    assert ward.ask("GET", other["thumbnail"]["url"]).status_code == 200
    assert other["image_urls"] == [f"/api/v1/files/{file}"]


def test_links_are_no_news(ward: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    send_photo(ward, "c2")
    first = Desk(ward, "doc1").ask("GET", "?thumbnails=1")
    later = wiring.clock_ms() + 60_000
    monkeypatch.setattr(wiring, "clock_ms", lambda: later)
    tag = first.headers["ETag"]
    assert Desk(ward, "doc1").ask("GET", "?thumbnails=1", If_None_Match=tag).status_code == 304
    again = Desk(ward, "doc1").ask("GET", "?thumbnails=1")
    assert again.headers["ETag"] == tag
    assert again.get_json() != first.get_json()


def test_a_file_of_another_team_gets_no_link(ward: Api) -> None:
    file = send_photo(ward, "c2")
    wiring.store().commit([patch(Key("files", file), {"scope_id": "team9"}, None)])
    rows = {row["id"]: row for row in Desk(ward, "doc1").get("?thumbnails=1")["cases"]}
    assert rows["c2"]["thumbnail"]["url"] is None
    assert "files" not in noted("list_cases")


@pytest.mark.parametrize("fault", [FilesUnavailable, StoreUnavailable])
def test_a_list_does_not_wait_for_its_pictures(
    ward: Api, monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    send_photo(ward, "c2")

    def down(*_: Any, **__: Any) -> dict[str, str]:
        raise fault("the key is not there")

    monkeypatch.setattr("shared.products.dermadetect.routes.small_links", down)
    rows = {row["id"]: row for row in Desk(ward, "doc1").get("?thumbnails=1")["cases"]}
    assert len(rows) == 3
    assert rows["c2"]["thumbnail"]["url"] is None


def test_a_page_of_thumbnails_takes_two_readings(ward: Api) -> None:
    wanted = {send_photo(ward, case_id, seed): "team1" for seed, case_id in enumerate(("c1", "c2"))}
    asked = Asked(wiring.store())
    found = small_links(asked, wiring.files, wanted, seconds=60, now_ms=wiring.clock_ms())
    assert set(found) == set(wanted)
    assert len(asked.keys) == 4
    # what nobody knows takes no file store at all
    assert small_links(asked, None, {"0" * 32: "team1"}, seconds=60, now_ms=1) == {}  # type: ignore[arg-type]


# --- read


@pytest.mark.parametrize("dialect", ["batch", "watermelon"])
def test_a_diagnosis_is_read_at_the_sync_that_brings_it(ward: Api, dialect: str) -> None:
    doctor = Desk(ward, "doc1")
    since = {
        "batch": sync(ward, "chw1")["new_sync_timestamp"],
        "watermelon": melon(ward, "chw1")["timestamp"],
    }
    sync(ward, "relative")
    first = doctor.sign("c2").get_json()["id"]

    def read_at() -> Any:
        (row,) = [r for r in doctor.get("?status=DIAGNOSED")["cases"] if r["id"] == "c2"]
        assert doctor.get("/c2")["review"]["read_at"] == row["read_at"]
        return row["read_at"]

    # the phones of others say nothing
    sync(ward, "relative")
    sync(ward, "doc1")
    assert read_at() is None
    before = wiring.clock_ms()
    if dialect == "batch":
        sync(ward, "chw1", since["batch"])
    else:
        melon(ward, "chw1", since["watermelon"])
    assert before <= read_at() <= wiring.clock_ms()
    # an amended one is unread again, and the old one that comes with it does not count
    assert doctor.sign("c2", key="k2", amends=first).status_code == 200
    assert read_at() is None
    sync(ward, "chw1", since["batch"])
    assert read_at() >= before


def test_a_delivery_that_cannot_be_noted_costs_no_sync(
    ward: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    Desk(ward, "doc1").sign("c2")

    def down(*_: Any) -> None:
        raise StoreUnavailable("not now")

    monkeypatch.setattr("shared.products.dermadetect.review.Review.delivered", down)
    rows = sync(ward, "chw1")["server_updates"]["diagnoses"]
    assert len(rows) == 1
    assert not {name for name in rows[0] if name.startswith("_")}


# --- totals and numbers over HTTP


def test_totals_and_numbers_are_told_with_tags(ward: Api) -> None:
    desk = Desk(ward, "doc1")
    desk.claim("c1")
    desk.sign("c2")
    for path in ("/totals", "/numbers", "/numbers?own=1&zone=Africa/Nairobi&scope=team1"):
        first = desk.see(path)
        assert first.status_code == 200, first.text
        assert desk.see(path, If_None_Match=first.headers["ETag"]).status_code == 304
    said = desk.see("/totals").get_json()
    assert (said["red"], said["waiting"], said["mine"]) == (2, 2, 1)
    whole = desk.see("/numbers").get_json()
    assert whole["weeks"][-1]["signed"]["red"] == whole["all"]["verdicts"]["agree"] == 1
    assert len(whole["weeks"]) == 12
    assert desk.see("/numbers?own=1").get_json()["all"]["arrived"] is None
    # a change of them is another tag
    tag = desk.see("/totals").headers["ETag"]
    desk.ask("POST", "/c1/release")
    assert desk.see("/totals", If_None_Match=tag).get_json()["mine"] == 0


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/numbers?zone=Mars/Base", (400, "invalid_request")),
        ("/numbers?first_day=yesterday", (400, "invalid_request")),
        ("/totals?scope=team9", (404, "not_found")),
        ("/cases/c2/patient-cases?page=eyJ4", (400, "invalid_cursor")),
        ("/cases/c2/patient-cases?limit=0", (400, "invalid_request")),
        ("/cases/nothing/patient-cases", (404, "not_found")),
    ],
)
def test_what_is_crooked_is_refused(ward: Api, path: str, code: tuple[int, str]) -> None:
    assert error_of(Desk(ward, "doc1").see(path)) == code


def test_too_much_to_count_has_a_code(ward: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    Desk(ward, "doc1").sign("c2")
    monkeypatch.setattr("shared.products.dermadetect.numbers.MOST_SIGNED", 0)
    assert error_of(Desk(ward, "doc1").see("/numbers")) == (400, "too_much_to_count")


def test_of_two_deliveries_that_meet_a_doctor_the_other_is_noted(ward: Api) -> None:
    doctor = Desk(ward, "doc1")
    for name in ("c2", "c3"):
        doctor.sign(name, key=name)
    store = wiring.store()
    met: list[int] = []

    def meanwhile(_writes: object) -> None:
        if not met:
            met.append(1)
            store.commit([patch(Key("reviews", "c2"), {"diagnosis_id": "another"}, None)])

    review = Review(Interrupted(store, before=meanwhile), wiring.catalog(), claim_ms=1)
    diagnoses = list(store.query(Query("diagnoses")))
    assert len(diagnoses) == 2
    review.delivered(Caller("chw1", "chw", "phone"), diagnoses, 5)
    found = store.read([Key("reviews", "c2"), Key("reviews", "c3")]).documents
    read = {key.id: have.fields.get("read_at") for key, have in found.items()}
    assert read == {"c2": None, "c3": 5}
