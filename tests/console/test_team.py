"""Supervisors' pages: filled by what phones, doctors and others did; each form does what it says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from shared import wiring
from shared.access import audit
from shared.api.codes import every_code
from shared.api.record_codes import RECORD_CODES
from shared.console.flat import flat
from shared.console.page import HOME
from shared.console.pages.devices import OUTCOMES
from shared.console.pages.team import RECORD_REASONS
from shared.jobs import transfer
from shared.records import record
from shared.records.store import Key, Query, put
from tests.console.browser_in_process import Browser
from tests.console.clinic import OTHER, OWN, Clinic

HOSTILE = "<script>alert(1)</script>\"'><b>\u202e" + "W" * 300


@pytest.fixture
def boss(clinic: Clinic) -> Browser:
    """The supervisor of one of two teams."""
    return clinic.logged_in("supervisor")


def trail(action: str) -> list[dict[str, Any]]:
    found = wiring.store().query(Query(audit.COLLECTION))
    return [each.fields for each in found if each.fields["action"] == action]


def stored(table: str, name: str) -> dict[str, Any]:
    key = Key(table, name)
    return wiring.store().read([key]).documents[key].fields


# --- phones


def device(user: str, name: str, **fields: Any) -> None:
    now_ms = wiring.clock_ms()
    usual = {
        "user_id": user,
        "device": name,
        "scopes": [OWN],
        "attempt_at": now_ms,
        "ok_at": now_ms,
        "failures": 0,
        "outcome": "ok",
        "dialect": "batch",
        "rejected": [],
        "app_version": "2.3.1",
        "clock_offset_ms": 0,
        "bytes_in": 0,
        "bytes_out": 0,
        "pulled": {},
        "pushed": {},
        "expires_at": now_ms + 10**10,
    }
    wiring.store().commit([put(Key("devices", f"{user}~{name}"), {**usual, **fields}, None)])


DAYS_MS = 86_400_000


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"outcome": "app_too_old", "failures": 3, "ok_at": None},
         ["The app is too old. (3 times)", "Update the app", "app_too_old", "Never yet"]),
        ({"outcome": "invalid_json", "failures": 1}, ["does not understand the app", "(1 time)"]),
        ({"outcome": "of_tomorrow", "failures": 1}, ["The last sync failed.", "of_tomorrow"]),
        ({"attempt_at": -9 * DAYS_MS}, ["Not heard of for 9 days.", "Call the user"]),
        ({"rejected": [{"table": "cases", "id": "c1", "code": "too_long"}] * 2},
         ["2 records were not taken.", "A text is too long", "cases c1"]),
        ({"rejected": [{"table": "cases", "id": "c1", "code": "of_tomorrow"}]}, ["of_tomorrow"]),
        ({"unknown_columns": {"patients": ["shoe"]}}, ["patients.shoe", "some values were left out"]),
        ({"clock_offset_ms": 3 * 3_600_000}, ["clock is 3 hours ahead", "set date and time by itself"]),
        ({"clock_offset_ms": -3 * 3_600_000}, ["clock is 3 hours behind", "3 hours behind"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_what_is_wrong_with_a_phone_is_said_in_words(
    clinic: Clinic, boss: Browser, fields: dict[str, Any], said: list[str]
) -> None:
    now_ms = wiring.clock_ms()
    user = clinic.person("chw").user
    if "attempt_at" in fields:
        fields = {
            "attempt_at": now_ms + fields["attempt_at"],
            "ok_at": now_ms + fields["attempt_at"],
        }
    device(user, "the-phone", **fields)
    text = boss.open(f"{HOME}/devices?failing=1").text
    assert "the-phone" in text
    assert f"{user} N." in text
    for words in said:
        assert words in text, words


def test_phones_in_order_are_listed_behind_and_can_be_left_out(
    clinic: Clinic, boss: Browser
) -> None:
    device("zed", "fine")
    device("zed", "broken", outcome="interrupted", failures=2)
    text = boss.open(f"{HOME}/devices").text
    assert text.index("broken") < text.index("fine")
    assert "fine" not in boss.open(f"{HOME}/devices?failing=1").text
    assert boss.open(f"{HOME}/devices?page=nonsense").status == 400


def test_phones_come_in_pages(clinic: Clinic, boss: Browser) -> None:
    for number in range(60):
        device("zed", f"phone-{number:02}")
    seen = boss.open(f"{HOME}/devices")
    [more] = [each for each in seen.parsed.links if "page=" in each]
    both = seen.text + boss.open(more).text
    assert all(f"phone-{number:02}" in both for number in range(60))


def test_every_code_of_a_record_has_its_sentence_and_no_other() -> None:
    of_conflicts = {"older", "equal", "merged", "unseen_overwrite"}
    assert set(RECORD_REASONS) == set(RECORD_CODES) | of_conflicts
    known = {code for codes in every_code().values() for code in codes}
    assert set(OUTCOMES) <= {*known, "interrupted"}


# --- the inbox


def test_an_entry_is_shown_as_a_table_and_taken_off_by_one_click(
    clinic: Clinic, boss: Browser
) -> None:
    seen = boss.open(f"{HOME}/inbox")
    assert f"{OWN}-lost" in seen.text
    assert "never arrived" in seen.text
    assert OTHER not in seen.html
    before = len(seen.forms("close"))
    entry = seen.form("close").fields["id"]
    seen = boss.act("close")
    assert "off the list" in seen.text
    assert len(seen.forms("close")) == before - 5  # four ready words, one of one's own
    have = stored("quarantine", entry)
    assert (have["word"], have["closed_by"]) == ("Told the sender", f"{OWN}-supervisor")


def test_an_entry_is_taken_off_in_own_words(clinic: Clinic, boss: Browser) -> None:
    seen = boss.open(f"{HOME}/inbox")
    entry = seen.form("close").fields["id"]
    boss.post(f"{HOME}/inbox", {**seen.form("close").fields, "word": HOSTILE})
    assert stored("quarantine", entry)["word"] == HOSTILE


def test_what_is_no_entry_closes_nothing(clinic: Clinic, boss: Browser) -> None:
    fields = boss.open(f"{HOME}/inbox").form("close").fields
    theirs = next(
        each.key.id
        for each in wiring.store().query(Query("quarantine"))
        if each.fields[record.SCOPE] == OTHER
    )
    for entry in ("nothing", "../x", "a?b=c", "", theirs):
        assert boss.post(f"{HOME}/inbox", {**fields, "id": entry}).status in (400, 404)
    assert stored("quarantine", theirs)["open"]


def test_whatever_a_phone_sent_breaks_no_page(clinic: Clinic, boss: Browser) -> None:
    phone = clinic.phone(clinic.person("chw").user)
    answers = {HOSTILE: HOSTILE, "list": [HOSTILE] * 300, "deep": [{"a": {"b": [None, True]}}]}
    phone.save("cases", "hostile", patient_id="nobody", risk_level="red", triage_data=answers)
    phone.save("patients", "hostile-p", demographics={"name": HOSTILE})
    phone.sync()
    phone.delete("patients", "hostile-p")
    phone.sync()
    for page in ("inbox", "devices", "deleted", "conflicts"):
        seen = boss.open(f"{HOME}/{page}")
        assert seen.status == 200
        assert "<script>alert" not in seen.html
        assert "style=" not in seen.html


# --- conflicts


def test_a_conflict_shows_what_was_kept_and_what_was_not(boss: Browser) -> None:
    seen = boss.open(f"{HOME}/conflicts")
    assert f"{OWN}-green" in seen.text
    assert "A newer edit was there already" in seen.text
    assert OTHER not in seen.html
    rows = [tag for tag, _ in seen.parsed.tags if tag == "td"]
    assert rows
    assert "pain 7 2" in seen.text  # answer, kept, not kept
    assert boss.open(f"{HOME}/conflicts?scope={OTHER}").status == 404


# --- deleted records


def test_a_deleted_patient_comes_back(clinic: Clinic, boss: Browser) -> None:
    seen = boss.open(f"{HOME}/deleted")
    assert f"{OWN} note" in seen.text  # the patient's name
    assert OTHER not in seen.html
    seen = boss.act("undelete")
    assert "It is back." in seen.text
    assert seen.forms("undelete") == []
    assert stored("patients", f"{OWN}-gone").get(record.DELETED) is None
    assert trail("undelete")[0]["user_id"] == f"{OWN}-supervisor"


def test_a_case_that_went_with_its_patient_points_to_the_patient(
    clinic: Clinic, boss: Browser
) -> None:
    phone = clinic.phone(clinic.person("chw").user, "again")
    phone.sync()
    phone.delete("patients", f"{OWN}-p3")
    phone.sync()
    clinic.api.run_jobs()
    seen = boss.open(f"{HOME}/deleted?table=cases")
    assert f"patients/{OWN}-p3" in seen.text
    assert seen.forms("undelete") == []
    assert boss.open(f"{HOME}/deleted?table=accounts").status == 400


def test_another_teams_record_does_not_come_back(boss: Browser) -> None:
    fields = boss.open(f"{HOME}/deleted").form("undelete").fields
    seen = boss.post(f"{HOME}/deleted", {**fields, "id": f"{OTHER}-gone"})
    assert seen.status == 404
    assert stored("patients", f"{OTHER}-gone")[record.DELETED]


# --- moves


def test_a_move_is_counted_first_and_done_then(clinic: Clinic, boss: Browser) -> None:
    assert "You supervise one." in boss.open(f"{HOME}/moves").text
    clinic.api.join(f"{OWN}-supervisor", OTHER, "supervisor")
    query = f"id={OWN}-p1&source={OWN}&to={OTHER}"
    seen = boss.open(f"{HOME}/moves?{query}")
    assert "patients 1" in seen.text
    assert "cases 2" in seen.text
    assert stored("patients", f"{OWN}-p1")[record.SCOPE] == OWN
    seen = boss.act("move")
    assert "It has moved." in seen.text
    wiring.runner().run_due(transfer.KIND, 120)
    assert stored("cases", f"{OWN}-signed")[record.SCOPE] == OTHER
    assert {each["user_id"] for each in trail("move")} == {f"{OWN}-supervisor"}
    # again there is nothing to move, and from the wrong team it is said
    assert "in that team already" in boss.open(f"{HOME}/moves?{query}").text
    wrong = boss.open(f"{HOME}/moves?id={OWN}-p2&source={OTHER}&to={OTHER}")
    assert (
        "in another team than you chose"
        in boss.open(f"{HOME}/moves?id={OTHER}-p1&source={OWN}&to={OWN}").text
    )
    assert wrong.forms("move") == []


@pytest.mark.parametrize(
    "query", ["id=nobody&to={other}", "id=a%20b&to={other}", "id={own}-p1&to=x"]
)
def test_what_cannot_be_moved_is_said(clinic: Clinic, boss: Browser, query: str) -> None:
    clinic.api.join(f"{OWN}-supervisor", OTHER, "supervisor")
    seen = boss.open(f"{HOME}/moves?{query.format(own=OWN, other=OTHER)}")
    assert seen.status == 404
    assert "nothing that you may see" in seen.text
    assert seen.forms("move") == []


# --- members


def test_a_code_is_shown_once_with_its_picture_and_lets_somebody_in(
    clinic: Clinic, boss: Browser
) -> None:
    boss.open(f"{HOME}/members")
    seen = boss.act("invite", role="doctor", uses="2", days="3")
    assert "shown only now" in seen.text
    assert 'class="qr"' in seen.html
    assert "style=" not in seen.html
    code = seen.html.partition('<bdi dir="ltr">')[2].partition("<")[0]
    again = boss.open(f"{HOME}/members")
    assert code not in again.html
    assert "0 of 2 used" in again.text
    said = clinic.api.ask(
        "POST", "/api/v1/auth/join", {"invite_code": code}, token=clinic.token("newcomer")
    )
    assert said.status_code == 200
    assert "1 of 2 used" in boss.open(f"{HOME}/members").text
    # void, it admits nobody
    assert "admits nobody any more" in boss.act("void").text
    said = clinic.api.ask(
        "POST", "/api/v1/auth/join", {"invite_code": code}, token=clinic.token("another")
    )
    assert said.get_json()["error"]["code"] == "invite_invalid"


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"role": "admin"}, 403), ({"role": "chw", "uses": "0"}, 400),
     ({"role": "chw", "days": "many"}, 400), ({"role": "king"}, 400)],
)  # fmt: skip
def test_nobody_gives_away_more_than_they_may(
    boss: Browser, fields: dict[str, str], status: int
) -> None:
    seen = boss.open(f"{HOME}/members")
    assert "Admin" not in seen.html.partition('id="f-role"')[2].partition("</select>")[0]
    seen = boss.post(f"{HOME}/members", {**seen.form("invite").fields, **fields})
    assert seen.status == status
    assert "shown only now" not in seen.text


def test_a_member_is_put_out(clinic: Clinic, boss: Browser) -> None:
    seen = boss.open(f"{HOME}/members")
    offered = {form.fields["id"] for form in seen.forms("put-out")}
    assert f"{OWN}-mate" in offered
    assert not offered & {f"{OWN}-supervisor", f"{OWN}-admin"}
    fields = seen.form("put-out").fields
    seen = boss.post(f"{HOME}/members", {**fields, "id": f"{OWN}-mate"})
    assert "They are out." in seen.text
    assert f"{OWN}-mate" not in {form.fields["id"] for form in seen.forms("put-out")}
    for whom, status in ((f"{OWN}-admin", 403), (f"{OTHER}-mate", 404), ("a/b", 404)):
        assert boss.post(f"{HOME}/members", {**fields, "id": whom}).status == status


def test_a_member_gets_another_role(clinic: Clinic, boss: Browser) -> None:
    seen = boss.open(f"{HOME}/members")
    form = next(f for f in seen.forms("change-role") if f.fields["id"] == f"{OWN}-mate")
    assert form.fields["role"] == "chw"  # what they are is chosen already
    seen = boss.post(f"{HOME}/members", {**form.fields, "role": "doctor"})
    assert "The role is changed." in seen.text
    form = next(f for f in seen.forms("change-role") if f.fields["id"] == f"{OWN}-mate")
    assert form.fields["role"] == "doctor"
    assert trail("change-role")[0]["user_id"] == f"{OWN}-supervisor"
    for whom, role, status in (
        (f"{OWN}-mate", "admin", 403),
        (f"{OWN}-mate", "king", 400),
        (f"{OWN}-admin", "chw", 403),
        (f"{OTHER}-mate", "doctor", 404),
        ("a/b", "doctor", 404),
    ):
        sent = {**form.fields, "id": whom, "role": role}
        assert boss.post(f"{HOME}/members", sent).status == status, (whom, role)


# --- exports


def lines(browser: Browser, query: str) -> list[dict[str, str]]:
    seen = browser.open(f"{HOME}/exports?scope={OWN}&format=csv&{query}")
    assert seen.response.mimetype == "text/csv"
    return list(csv.DictReader(io.StringIO(seen.response.get_data().decode("utf-8-sig"))))


def test_a_file_holds_the_team_and_each_record_is_in_the_trail(boss: Browser) -> None:
    seen = boss.open(f"{HOME}/exports")
    for words in ("Excel", "CSV", "Parquet", "FHIR R4"):
        assert words in seen.text
    rows = lines(boss, "table=patients")
    assert {row["id"] for row in rows} == {f"{OWN}-p{number}" for number in (1, 2, 3)}
    [noted] = trail("export")
    assert noted["user_id"] == f"{OWN}-supervisor"
    assert set(noted["ids"]["patients"]) == {row["id"] for row in rows}
    assert lines(boss, "table=patients&last_day=2020-01-01") == []
    assert lines(boss, "table=patients&first_day=2020-01-01") == rows


def test_excel_and_fhir_are_files_with_a_name(boss: Browser) -> None:
    ends: list[tuple[str, str, Callable[[bytes], Any]]] = [
        ("xlsx", ".xlsx", lambda data: data[:2] == b"PK"),
        ("parquet&table=cases", ".parquet", lambda data: data[:4] == b"PAR1"),
        ("fhir", ".ndjson", lambda data: json.loads(data.splitlines()[0])["resourceType"]),
    ]
    for kind, end, sound in ends:
        seen = boss.open(f"{HOME}/exports?scope={OWN}&format={kind}")
        assert seen.status == 200
        assert seen.response.headers["Content-Disposition"].endswith(end)
        assert seen.response.headers["Cache-Control"] == "no-store"
        assert sound(seen.response.get_data())


@pytest.mark.parametrize(
    ("query", "status"),
    [(f"scope={OTHER}&format=csv&table=cases", 404), (f"scope={OWN}&format=csv", 400),
     (f"scope={OWN}&format=pdf", 400), (f"scope={OWN}&format=csv&table=accounts", 400),
     (f"scope={OWN}&format=csv&table=cases&first_day=yesterday", 400),
     (f"scope={OWN}&format=csv&table=cases&last_day=9999-12-31", 400), ("format=csv", 400)],
)  # fmt: skip
def test_what_cannot_be_exported_shows_the_form_again(
    boss: Browser, query: str, status: int
) -> None:
    seen = boss.open(f"{HOME}/exports?{query}")
    assert seen.status == status
    assert 'name="first_day"' in seen.html
    assert trail("export") == []


def test_a_doctor_exports_nothing(clinic: Clinic) -> None:
    doctor = clinic.logged_in("doctor")
    assert doctor.open(f"{HOME}/exports").status == 403
    assert doctor.open(f"{HOME}/exports?scope={OWN}&format=xlsx").status == 403


# --- records as tables


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        ({"a": 1, "b": None}, [("a", "1"), ("b", "–")]),
        ({"a": '{"b":[1,"x"]}'}, [("a › b", "1, x")]),
        ({"a": [{"b": True}, {"b": False}]}, [("a › 1 › b", "✓"), ("a › 2 › b", "✗")]),
        ({"a": "{broken"}, [("a", "{broken")]),
        ({"a": []}, [("a", "–")]),
        ("text", [("", "text")]),
        (None, [("", "–")]),
    ],
)
def test_a_record_is_rows_of_names_and_texts(value: Any, rows: list[tuple[str, str]]) -> None:
    assert flat(value) == rows


def test_a_record_without_end_is_cut() -> None:
    found = flat({str(number): "x" * 9999 for number in range(999)})
    assert len(found) < 100
    assert found[-1] == ("…", "…")
    assert all(len(text) < 1000 for _, text in found)
