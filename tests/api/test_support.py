"""Digest, devices, inbox and undelete keep the word of the API's description, for everybody."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest
from werkzeug.test import TestResponse

from shared import wiring
from shared.jobs import cascade, restore, transfer
from shared.products.dermadetect.tables import CATALOG
from shared.records import record
from shared.records.collection import Type
from shared.records.store import Key
from shared.sync.retention import Purger
from tests.api.conftest import Api, StartApi
from tests.api.test_openapi import (
    Ask,
    Json,
    asker,
    case,
    keeps_its_word,
    melon,
    patient,
    pushing,
    raw,
    raws,
)
from tests.sync.clinic import pass_millisecond

DAY_MS = 86_400_000

DIGEST, DEVICES, INBOX, UNDELETE = (
    "/api/v1/sync/digest", "/api/v1/devices", "/api/v1/inbox", "/api/v1/undelete",
)  # fmt: skip

#: Who is there: user, team, role.
PEOPLE = [
    ("chw1", "team1", "chw"),
    ("doctor1", "team1", "doctor"),
    ("boss1", "team1", "supervisor"),
    ("chw2", "team2", "chw"),
    ("boss2", "team2", "supervisor"),
]


@pytest.fixture
def clinics(api: Api) -> Api:
    """Two teams. A stranger is in neither of them."""
    for user, team, role in PEOPLE:
        api.join(user, team, role)
    return api


def call(
    api: Api, user: str | None, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any]:
    """Status and body of an answer that is held against the document."""
    token = None if user is None else api.token(user)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = api.ask(method, path, body, token=token, headers=named)
    return response.status_code, keeps_its_word(method, path.partition("?")[0], response)


def code(answered: tuple[int, Any]) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answered[0], answered[1]["error"]["code"]


def get(api: Api, user: str, path: str) -> Any:
    status, body = call(api, user, "GET", path)
    assert status == 200
    return body


def move(record_id: str, to: str) -> None:
    key = Key("patients", record_id)
    transfer.move(wiring.store(), CATALOG, key, to, wiring.clock_ms())
    wiring.runner().run_due(transfer.KIND, 120)
    pass_millisecond()


# --- who may


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", DIGEST), ("GET", DEVICES), ("GET", INBOX), ("POST", f"{INBOX}/e1/close"),
     ("POST", UNDELETE)],
)  # fmt: skip
def test_nobody_is_answered_without_a_token(api: Api, method: str, path: str) -> None:
    assert code(call(api, None, method, path, {})) == (401, "token_missing")


def test_devices_and_inbox_are_for_those_who_supervise(clinics: Api) -> None:
    # user; whether devices and the inbox are answered
    rows = [
        ("chw1", False, False),
        ("doctor1", False, True),
        ("boss1", True, True),
        ("stranger", False, False),
    ]
    for user, may_see_devices, may_see_inbox in rows:
        for path, may in ((DEVICES, may_see_devices), (INBOX, may_see_inbox)):
            answered = call(clinics, user, "GET", path)
            assert answered[0] == 200 if may else code(answered) == (403, "forbidden"), user
        closed = call(clinics, user, "POST", f"{INBOX}/e1/close")
        assert code(closed) == ((404, "not_found") if may_see_inbox else (403, "forbidden")), user


# --- the digest


def digest_of(rows: dict[str, list[Json]], *, as_text: bool) -> Json:
    """What a phone computes from its rows; `as_text`: lists and objects are text in them."""
    found = {}
    for collection in CATALOG.collections:
        mixed = 0
        for row in rows[collection.name]:
            fields: Json = {}
            for name in collection.client_fields:
                value, kind = row[name], collection.by_name[name].type
                if value is None:
                    continue
                if as_text and kind in (Type.JSON, Type.STRINGS):
                    value = json.loads(value)
                fields[name] = canonical(value) if kind is Type.JSON else value
            content = {
                "deleted": False,
                "fields": fields,
                "id": row["id"],
                "scope": row["scope_id"],
            }
            mixed ^= int(hashlib.sha256(canonical(content).encode()).hexdigest(), 16)
        found[collection.name] = {"count": len(rows[collection.name]), "hash": f"{mixed:064x}"}
    return found


def canonical(value: Any) -> str:
    """RFC 8785 for what this test sends: whole numbers, names in ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_the_digest_is_what_phones_of_both_dialects_compute(clinics: Api) -> None:
    ask, phone = asker(clinics), melon(clinics)
    told = {"site": "foot", "days": 21, "note": "schlägt \"aus\""}  # fmt: skip
    red = case("c1", risk_level="high", triage_data=told, image_keys=["b", "a"])
    answer = ask(pushing(patients=[patient("p1", demographics={"b": [1], "a": None}), patient("p2")],
                         cases=[red, case("c2", "p2")]))  # fmt: skip
    both = answer["receipt"]["digest"]["cases"]
    ask(pushing(patients=[{"id": "p2", "sync_status": "deleted"}]))
    pass_millisecond()
    batch = ask({})
    held = digest_of(batch["server_updates"], as_text=False)
    assert {name: sets["count"] for name, sets in held.items()} == {
        "patients": 1, "cases": 1, "diagnoses": 0, "medgemma_queue": 1,
    }  # fmt: skip
    pulled = phone()
    rows = {name: sets["created"] for name, sets in pulled["changes"].items()}
    assert digest_of(rows, as_text=True) == held
    for since in (pulled["timestamp"], round(batch["new_sync_timestamp"] * 1000)):
        found = get(clinics, "chw1", f"{DIGEST}?last_pulled_at={since}")
        assert (found["current"], found["tables"]) == (True, held)
    # the receipt of the push that stored both cases told of both
    assert both["count"] == 2


def test_after_a_change_the_digest_asks_to_pull_first(clinics: Api) -> None:
    ask = asker(clinics)
    ask(pushing(patients=[patient("p1")]))
    pass_millisecond()
    since = round(ask({})["new_sync_timestamp"] * 1000)
    assert get(clinics, "chw1", f"{DIGEST}?last_pulled_at={since}")["current"]
    pass_millisecond()
    asker(clinics, "boss1")(pushing(patients=[patient("p2")]))
    found = get(clinics, "chw1", f"{DIGEST}?last_pulled_at={since}")
    assert (found["current"], found["tables"]) == (False, {})
    # without a cursor there is a digest whatever the phone has pulled
    for query in ("", "?last_pulled_at=null", "?last_pulled_at=0"):
        assert get(clinics, "chw1", DIGEST + query)["tables"]["patients"]["count"] == 2


def test_a_digest_holds_the_caller_s_own_teams_only(clinics: Api) -> None:
    asker(clinics)(pushing(patients=[patient("p1")]))
    for user, count in (("boss1", 1), ("boss2", 0), ("stranger", 0)):
        assert get(clinics, user, DIGEST)["tables"]["patients"]["count"] == count


def test_faults_of_the_digest_keep_their_word(clinics: Api) -> None:
    for since, said in (("yesterday", "invalid_cursor"), ("1700000000", "time_in_seconds")):
        answered = call(clinics, "chw1", "GET", f"{DIGEST}?last_pulled_at={since}")
        assert code(answered) == (400, said)


def test_a_receipt_says_what_the_server_holds_of_what_was_accepted(clinics: Api) -> None:
    ask, phone = asker(clinics), melon(clinics)
    edit = patient("p1", demographics={"n": 1}, last_modified_at=1_700_000_100)
    first = ask(pushing(patients=[edit]))["receipt"]["digest"]
    assert first == {"patients": digest_of_patients(("p1", {"n": 1}))}
    # the loser of a conflict counts with what won; what was deleted or refused does not count
    lost = patient("p1", demographics={"n": 0}, last_modified_at=1_700_000_000)
    body = pushing(patients=[lost, patient("p2"), patient("a b")])
    digest = ask(body)["receipt"]["digest"]
    assert digest["patients"] == digest_of_patients(("p1", {"n": 1}), ("p2", {}))
    assert ask(body)["receipt"]["digest"] == digest
    gone = ask(pushing(patients=[{"id": "p2", "sync_status": "deleted"}]))
    assert gone["receipt"]["digest"] == {}
    pushed = phone(raws(raw("p3")))["receipt"]
    assert (pushed["accepted"], pushed["digest"]["patients"]) == (1, digest_of_patients(("p3", {})))


def digest_of_patients(*held: tuple[str, Json]) -> Json:
    rows = [
        {"id": name, "scope_id": "team1", "demographics": demographics}
        for name, demographics in held
    ]
    tables = {item.name: [] for item in CATALOG.collections} | {"patients": rows}
    return digest_of(tables, as_text=False)["patients"]  # type: ignore[no-any-return]


# --- the devices


def test_a_supervisor_sees_phones_and_what_is_wrong_with_them(clinics: Api) -> None:
    # given a phone in order, one with a refused record, one that is answered 400, and WatermelonDB's
    ask, phone = asker(clinics), melon(clinics, "melon")
    ask({**pushing(patients=[patient("p1", colour="red")]), "device_id": "fine"},
        {"X-App-Version": "1.4.0", "X-Client-Time": "1"})  # fmt: skip
    ask({**pushing(cases=[case("c1", None)]), "device_id": "refused"})  # type: ignore[arg-type]
    token_device = asker(clinics, "doctor1", device="broken")
    token_device({"limit": 0})
    phone(raws(raw("p2")))
    phone()
    # when the supervisor looks
    listed = get(clinics, "boss1", DEVICES)["devices"]
    # then those with a problem come first
    found = {entry["device"]: entry for entry in listed}
    assert {name: bool(entry["problem"]) for name, entry in found.items()} == {
        "refused": True, "broken": True, "fine": True, "melon": False,
    }  # fmt: skip
    assert [bool(entry["problem"]) for entry in listed] == [True, True, True, False]
    assert "missing_field" in found["refused"]["problem"]
    assert found["refused"]["rejected"] == [
        {"table": "cases", "id": "c1", "code": "missing_field"}
    ]  # fmt: skip
    assert found["broken"]["outcome"] == "invalid_request"
    assert (found["broken"]["failures"], found["broken"]["ok_at"]) == (1, None)
    assert "patients.colour" in found["fine"]["problem"]
    assert found["fine"]["unknown_columns"] == {"patients": ["colour"]}
    assert (found["fine"]["app_version"], found["fine"]["dialect"]) == ("1.4.0", "batch")
    assert found["melon"]["dialect"] == "watermelon"
    assert found["melon"]["pushed"]["accepted"] == 1
    for failing, count in (("1", 3), ("true", 3), ("0", 4), ("yes", 4), ("", 4)):
        assert len(get(clinics, "boss1", f"{DEVICES}?failing={failing}")["devices"]) == count


def test_phones_come_in_pages(clinics: Api) -> None:
    for number in range(5):
        asker(clinics)({"device_id": f"fine{number}"})
        asker(clinics, device=f"broken{number}")({"limit": 0})
    whole = get(clinics, "boss1", DEVICES)
    assert whole["next_page"] is None
    assert [bool(entry["problem"]) for entry in whole["devices"]] == [True] * 5 + [False] * 5
    for asked, expected in (("", whole["devices"]), ("&failing=1", whole["devices"][:5])):
        found: list[Json] = []
        page = ""
        while True:
            answered = get(clinics, "boss1", f"{DEVICES}?limit=3{asked}{page}")
            assert len(answered["devices"]) <= 3
            found += answered["devices"]
            if answered["next_page"] is None:
                break
            page = f"&page={answered['next_page']}"
        assert found == expected
    for query, refused in (
        ("limit=0", "invalid_request"),
        ("limit=x", "invalid_request"),
        ("page=x", "invalid_cursor"),
    ):
        assert code(call(clinics, "boss1", "GET", f"{DEVICES}?{query}")) == (400, refused)


def linked(response: TestResponse) -> str | None:
    """The path of the next page, as a client reads it (RFC 8288)."""
    said = response.headers.get("Link")
    if said is None:
        return None
    found = re.fullmatch(r'<([^<>"\s]+)>; rel="next"', said)
    assert found is not None, said
    return found[1]


@pytest.mark.parametrize("path", [f"{DEVICES}?limit=2&failing=1", f"{INBOX}?limit=2"])
def test_every_page_links_to_the_next_and_the_last_to_none(clinics: Api, path: str) -> None:
    for number in range(5):
        red = case(f"c{number}", "nobody", risk_level="red")
        asker(clinics)({**pushing(cases=[red]), "device_id": f"phone{number}"})
    listed = path[8:].partition("?")[0].replace("inbox", "entries")
    whole = get(clinics, "boss1", path.partition("?")[0])[listed]
    found: list[Json] = []
    at: str | None = path
    while at is not None:
        response = clinics.ask("GET", at, token=clinics.token("boss1"))
        answered = keeps_its_word("GET", path.partition("?")[0], response)
        found += answered[listed]
        at = linked(response)
        assert (at is None) == (answered["next_page"] is None)
        assert at is None or at.startswith(f"{path}&page=")
    assert found == whole
    assert len(whole) == 5


def test_of_a_phone_in_two_teams_each_supervisor_sees_the_own_team(clinics: Api) -> None:
    clinics.join("chw1", "team2")
    asker(clinics)({"device_id": "both"})
    asker(clinics, "chw2")({"device_id": "other"})
    clinics.join("boss3", "team3", "supervisor")
    for user, seen in (
        ("boss1", {"both": ["team1"]}),
        ("boss2", {"both": ["team2"], "other": ["team2"]}),
        ("boss3", {}),
    ):
        listed = get(clinics, user, DEVICES)["devices"]
        assert {entry["device"]: entry["scopes"] for entry in listed} == seen


def test_a_pull_without_a_clock_does_not_hide_a_wrong_one(clinics: Api) -> None:
    phone = melon(clinics, "late")
    phone(raws(raw("p1")), X_Client_Time="1600000000000")
    asker(clinics, "boss1")(pushing(patients=[patient("p2")]))
    phone()
    [entry] = get(clinics, "boss1", f"{DEVICES}?failing=1")["devices"]
    assert entry["clock_offset_ms"] < 0


# --- the inbox


def late_edit(api: Api) -> tuple[Ask, Json]:
    """A patient moved from team1 to team2; a phone of team1 still sends an edit."""
    ask = asker(api)
    ask(pushing(patients=[patient("p1"), patient("p2")]))
    move("p1", "team2")
    edit = patient("p1", demographics={"village": "Kito"}, last_modified_at=1_700_000_200)
    answer = ask({**pushing(patients=[edit]), "device_id": "old-phone"})
    assert [item["code"] for item in answer["rejected"]] == ["moved"]
    return ask, edit


def test_a_late_edit_waits_for_the_team_that_cares_now(clinics: Api) -> None:
    # given
    ask, edit = late_edit(clinics)
    # then the new team sees it, and nobody else
    for user in ("boss1", "doctor1"):
        assert get(clinics, user, INBOX)["entries"] == []
    [entry] = get(clinics, "boss2", INBOX)["entries"]
    assert (entry["scope_id"], entry["code"], entry["late"]) == ("team2", "moved", True)
    assert (entry["user_id"], entry["device"]) == ("chw1", "old-phone")
    assert entry["sent"] == edit
    # and only the new team may close it
    path = f"{INBOX}/{entry['id']}/close"
    for user in ("boss1", "doctor1"):
        assert code(call(clinics, user, "POST", path)) == (404, "not_found")
    for user in ("chw1", "chw2", "stranger"):
        assert code(call(clinics, user, "POST", path)) == (403, "forbidden")
    for _ in range(2):
        assert call(clinics, "boss2", "POST", path) == (200, {"id": entry["id"], "open": False})
    # and it stays closed when the phone sends it again
    ask({**pushing(patients=[edit]), "device_id": "old-phone", "limit": 5})
    assert get(clinics, "boss2", INBOX)["entries"] == []


def test_a_refused_red_case_is_in_the_inbox_of_its_team(clinics: Api) -> None:
    asker(clinics)(pushing(cases=[case("c1", "nobody", risk_level="red"), case("c2", "nobody")]))
    for user in ("boss1", "doctor1"):
        [entry] = get(clinics, user, INBOX)["entries"]
        assert (entry["record_id"], entry["code"]) == ("c1", "unknown_parent")
        assert (entry["urgent"], entry["late"]) == (True, False)
    assert get(clinics, "boss2", INBOX)["entries"] == []


@pytest.mark.parametrize("entry_id", ["unknown", "__entry__", "a%20b", "x" * 200])
def test_an_entry_that_is_not_there_keeps_its_word(clinics: Api, entry_id: str) -> None:
    answered = call(clinics, "boss1", "POST", f"{INBOX}/{entry_id}/close")
    assert code(answered) == (404, "not_found")


def test_a_watermelon_phone_hears_of_a_move_after_its_push(clinics: Api) -> None:
    phone = melon(clinics)
    phone(raws(raw("p1"), raw("p2")))
    since = phone()["timestamp"]
    for _ in range(8):
        pass_millisecond()
    move("p1", "team2")
    first = phone(last=since)
    assert (first["changes"]["patients"]["deleted"], first["sync_again"]) == ([], True)
    edit = raw("p1", demographics='{"village":"Kito"}', _status="updated")
    pushed = phone(raws(edit, kind="updated"), first["timestamp"])
    assert [item["code"] for item in pushed["rejected"]] == ["moved"]
    second = first
    while second.get("sync_again"):
        second = phone(last=second["timestamp"])
    assert second["changes"]["patients"]["deleted"] == ["p1"]
    assert "sync_again" not in second
    [entry] = get(clinics, "boss2", INBOX)["entries"]
    assert entry["sent"]["demographics"] == '{"village":"Kito"}'


# --- undelete


def undelete(api: Api, user: str, record_id: str, table: str = "patients") -> tuple[int, Any]:
    return call(api, user, "POST", UNDELETE, {"table": table, "id": record_id})


def deleted_patient(api: Api) -> Ask:
    """A patient that is deleted, and the case that followed."""
    ask = asker(api)
    ask(pushing(patients=[patient("p1", demographics={"n": 1}), patient("p2")], cases=[case("c1")]))
    ask(pushing(patients=[{"id": "p1", "sync_status": "deleted"}]))
    wiring.runner().run_due(cascade.KIND, 120)
    return ask


def test_a_supervisor_brings_a_patient_back_with_its_cases(clinics: Api) -> None:
    ask = deleted_patient(clinics)
    before = ask({})
    assert before["server_updates"]["cases"] == []
    for _ in range(2):
        status, body = undelete(clinics, "boss1", "p1")
        assert (status, body) == (200, {"table": "patients", "id": "p1", "deleted": False})
    wiring.runner().run_due(restore.KIND, 120)
    rows = ask({"last_sync_timestamp": before["new_sync_timestamp"]})["server_updates"]
    assert [row["demographics"] for row in rows["patients"]] == [{"n": 1}]
    assert [row["id"] for row in rows["cases"]] == ["c1"]


def test_undelete_is_for_supervisors_of_the_team(clinics: Api) -> None:
    deleted_patient(clinics)
    for user in ("chw1", "doctor1"):
        assert code(undelete(clinics, user, "p1")) == (403, "forbidden")
    # others are not told that the record exists
    rows = [("boss2", "p1", "patients"), ("stranger", "p1", "patients"), ("boss1", "p9", "patients"),
            ("boss1", "../p1", "patients"), ("boss1", "p1", "visits"),
            ("boss1", "boss1", "memberships")]  # fmt: skip
    for user, record_id, table in rows:
        answered = undelete(clinics, user, record_id, table)
        assert code(answered) == (404, "not_found"), (user, record_id, table)


def test_a_case_needs_its_patient_first(clinics: Api) -> None:
    deleted_patient(clinics)
    assert code(undelete(clinics, "boss1", "c1", "cases")) == (409, "parent_deleted")


def test_what_was_purged_is_gone(clinics: Api) -> None:
    deleted_patient(clinics)
    keeper = Purger(wiring.store(), CATALOG, keep_days=1)
    assert keeper.purge(wiring.clock_ms() + 2 * DAY_MS) == 2
    assert code(undelete(clinics, "boss1", "p1")) == (410, "purged")
    have = wiring.store().read([Key("patients", "p1")]).documents[Key("patients", "p1")].fields
    assert "demographics" not in have
    assert have[record.DELETED]


def test_faults_of_an_undelete_keep_their_word(clinics: Api) -> None:
    rows: list[tuple[int, str, Any, dict[str, str]]] = [
        (400, "invalid_json", b"{", {}),
        (400, "invalid_request", [], {}),
        (400, "invalid_request", {}, {}),
        (400, "invalid_request", {"table": "patients", "id": 5}, {}),
        (400, "invalid_request", {"id": "p1"}, {}),
        (415, "unsupported_encoding", {}, {"Content_Encoding": "br"}),
    ]
    for status, said, body, headers in rows:
        answered = call(clinics, "boss1", "POST", UNDELETE, body, **headers)
        assert code(answered) == (status, said), body
        if isinstance(body, dict) and status == 400:
            assert answered[1]["error"]["field"] == "id", body


def test_an_undelete_over_the_cap_keeps_its_word(start_api: StartApi) -> None:
    api = start_api(max_body_bytes=1024)
    answered = call(api, "boss1", "POST", UNDELETE, {"table": "patients", "id": "x" * 2000})
    assert code(answered) == (413, "request_too_large")
