"""Deleted records, conflicts, moves and exports, as supervisors ask for them."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree
from zipfile import ZipFile

import pyarrow.parquet
import pytest

from shared import wiring
from shared.access import audit
from shared.export import stream
from shared.jobs import cascade, transfer
from shared.records import record
from shared.records.store import Key, Query, put
from shared.sync.retention import Purger
from tests.api.conftest import Api
from tests.api.test_openapi import Json, asker, case, patient, pushing
from tests.api.test_support import PEOPLE, call, code, get
from tests.sync.clinic import pass_millisecond

DELETED, CONFLICTS, MOVES = "/api/v1/deleted", "/api/v1/conflicts", "/api/v1/moves"
EXPORTS, FILE = "/api/v1/exports", "/api/v1/exports/file"
DAY_MS = 86_400_000


@pytest.fixture
def clinics(api: Api) -> Api:
    """Two teams; somebody supervises both."""
    for user, team, role in PEOPLE:
        api.join(user, team, role)
    for team in ("team1", "team2"):
        api.join("both", team, "supervisor")
    return api


def delete(api: Api, table: str, *ids: str) -> None:
    asker(api)(pushing(**{table: [{"id": name, "sync_status": "deleted"} for name in ids]}))
    wiring.runner().run_due(cascade.KIND, 120)
    pass_millisecond()


# --- deleted records


def test_what_was_deleted_is_listed_by_name_until_it_is_purged(clinics: Api) -> None:
    # given a patient with a case, deleted, and one who lives
    named = patient("p1", demographics={"name": "Asha\nJuma"})
    asker(clinics)(pushing(patients=[named, patient("p2")], cases=[case("c1", "p1")]))
    delete(clinics, "patients", "p1")
    # then the supervisor finds the patient by her name, and the case with what it was deleted with
    found = get(clinics, "boss1", f"{DELETED}?scope=team1")
    assert (found["table"], "cases" in found["tables"]) == ("patients", True)
    [gone] = found["records"]
    assert (gone["id"], gone["label"], gone["deleted_by"]) == ("p1", "Asha Juma", "chw1")
    assert gone["deleted_with"] is None
    [with_her] = get(clinics, "boss1", f"{DELETED}?scope=team1&table=cases")["records"]
    assert (with_her["id"], with_her["deleted_with"]) == ("c1", "patients/p1")
    # the trail says who has seen the list
    trail = wiring.store().query(Query(audit.COLLECTION))
    assert any(
        each.fields["action"] == "deleted" and each.fields["ids"] == {"patients": ["p1"]}
        for each in trail
    )
    # who brought back is not listed any more, nor who is purged
    assert call(clinics, "boss1", "POST", "/api/v1/undelete", {"table": "patients", "id": "p1"})
    assert get(clinics, "boss1", f"{DELETED}?scope=team1")["records"] == []
    delete(clinics, "patients", "p2")
    assert get(clinics, "boss1", f"{DELETED}?scope=team1")["records"]
    purger = Purger(wiring.store(), wiring.catalog(), keep_days=1)
    assert purger.purge(wiring.clock_ms() + 2 * DAY_MS)
    assert get(clinics, "boss1", f"{DELETED}?scope=team1")["records"] == []


def test_deleted_records_come_in_pages_the_newest_first(clinics: Api) -> None:
    names = [f"p{number}" for number in range(5)]
    asker(clinics)(pushing(patients=[patient(name) for name in names]))
    for name in names:
        delete(clinics, "patients", name)
    found: list[str] = []
    page = ""
    while True:
        answered = get(clinics, "boss1", f"{DELETED}?scope=team1&limit=2{page}")
        found += [each["id"] for each in answered["records"]]
        if answered["next_page"] is None:
            break
        page = f"&page={answered['next_page']}"
    assert found == names[::-1]


@pytest.mark.parametrize(
    ("user", "query", "said"),
    [
        ("chw1", "scope=team1", (403, "forbidden")),
        ("boss2", "scope=team1", (404, "not_found")),
        ("boss1", "scope=team2", (404, "not_found")),
        ("boss1", "", (400, "invalid_request")),
        ("boss1", "scope=a%20b", (400, "invalid_request")),
        ("boss1", "scope=team1&table=accounts", (400, "invalid_request")),
        ("boss1", "scope=team1&page=x", (400, "invalid_cursor")),
        ("boss1", "scope=team1&limit=0", (400, "invalid_request")),
    ],
)
def test_a_list_of_deleted_records_that_cannot_be_given(
    clinics: Api, user: str, query: str, said: tuple[int, str]
) -> None:
    assert code(call(clinics, user, "GET", f"{DELETED}?{query}")) == said


# --- conflicts


def edit(api: Api, name: str, at: int, user: str = "chw1") -> None:
    changed = patient("p1", demographics={"name": name}, last_modified_at=1_700_000_000 + at)
    asker(api, user)(pushing(patients=[changed]))
    pass_millisecond()


def test_both_sides_of_a_conflict_are_shown_the_newest_first(clinics: Api) -> None:
    for name, at in (("first", 0), ("second", 200), ("late", 100), ("later", 150)):
        edit(clinics, name, at)
    listed = get(clinics, "doctor1", f"{CONFLICTS}?scope=team1")["conflicts"]
    # then late edits lost against the second, which had overwritten the first unseen
    lost = [json.loads(each["lost"]["demographics"])["name"] for each in listed]
    won = [json.loads(each["won"]["demographics"])["name"] for each in listed]
    assert (lost, won) == (["later", "late", "first"], ["second", "second", "second"])
    assert [each["winner"] for each in listed] == ["server", "server", "client"]
    assert {(each["record_id"], each["user_id"]) for each in listed} == {("p1", "chw1")}
    first = get(clinics, "doctor1", f"{CONFLICTS}?scope=team1&limit=1")
    rest = get(clinics, "doctor1", f"{CONFLICTS}?scope=team1&page={first['next_page']}")
    assert [*first["conflicts"], *rest["conflicts"]] == listed
    assert rest["next_page"] is None


@pytest.mark.parametrize(
    ("user", "said"), [("chw1", (403, "forbidden")), ("boss2", (404, "not_found"))]
)
def test_conflicts_are_for_those_who_see_the_inbox(
    clinics: Api, user: str, said: tuple[int, str]
) -> None:
    assert code(call(clinics, user, "GET", f"{CONFLICTS}?scope=team1")) == said


# --- moves


def scope_of(table: str, name: str) -> Any:
    key = Key(table, name)
    return wiring.store().read([key]).documents[key].fields[record.SCOPE]


def test_a_dry_run_counts_and_a_move_takes_everything_along(clinics: Api) -> None:
    # given a patient with two cases, one of them deleted
    cases = [case("c1", "p1", risk_level="green"), case("c2", "p1", risk_level="green")]
    asker(clinics)(pushing(patients=[patient("p1"), patient("p2")], cases=cases))
    delete(clinics, "cases", "c2")
    wanted = {"table": "patients", "id": "p1", "to_scope_id": "team2"}
    # when the supervisor of both teams asks what would move, nothing does
    status, told = call(clinics, "both", "POST", MOVES, {**wanted, "dry_run": True})
    assert (status, told["moved"], told["from_scope_id"]) == (200, False, "team1")
    assert told["counts"] == {"patients": 1, "cases": 1}
    assert scope_of("patients", "p1") == "team1"
    # when she moves it, the case follows, and again changes nothing
    for moved in (True, False):
        status, told = call(clinics, "both", "POST", MOVES, wanted)
        assert (status, told["moved"], told["at_least"]) == (200, moved, False)
    wiring.runner().run_due(transfer.KIND, 120)
    moved_to = {scope_of("patients", "p1"), scope_of("cases", "c1"), scope_of("cases", "c2")}
    assert moved_to == {"team2"}
    assert scope_of("patients", "p2") == "team1"
    trail = wiring.store().query(Query(audit.COLLECTION))
    seen = {
        (each.fields[record.SCOPE], each.fields["user_id"])
        for each in trail
        if each.fields["action"] == "move"
    }
    assert seen == {("team1", "both"), ("team2", "both")}


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    ("user", "change", "said"),
    [
        ("boss1", {}, (404, "not_found")),
        ("chw1", {}, (404, "not_found")),
        ("halfway", {}, (403, "forbidden")),
        ("boss2", {}, (404, "not_found")),
        ("both", {"id": "nobody"}, (404, "not_found")),
        ("both", {"id": "a b"}, (404, "not_found")),
        ("both", {"table": "cases", "id": "c1"}, (400, "invalid_request")),
        ("both", {"table": "accounts"}, (400, "invalid_request")),
        ("both", {"to_scope_id": "team3"}, (404, "not_found")),
        ("both", {"to_scope_id": "a b"}, (400, "invalid_request")),
        ("both", {"id": "gone"}, (404, "not_found")),
    ],
)
def test_a_move_that_is_refused_changes_nothing(
    clinics: Api, dry_run: bool, user: str, change: Json, said: tuple[int, str]
) -> None:
    clinics.join("halfway", "team1", "chw")
    clinics.join("halfway", "team2", "supervisor")
    people = [patient("p1"), patient("gone")]
    asker(clinics)(pushing(patients=people, cases=[case("c1", "p1")]))
    delete(clinics, "patients", "gone")
    wanted = {"table": "patients", "id": "p1", "to_scope_id": "team2", "dry_run": dry_run}
    assert code(call(clinics, user, "POST", MOVES, {**wanted, **change})) == said
    assert scope_of("patients", "p1") == "team1"


# --- exports


def fetch(api: Api, user: str, **query: object) -> bytes:
    asked = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
    response = api.ask("GET", f"{FILE}?{asked}", token=api.token(user))
    assert response.status_code == 200, response.text
    assert response.headers["Content-Disposition"].startswith('attachment; filename="team1-')
    return response.data


@pytest.fixture
def told(clinics: Api) -> Api:
    """A team with two patients, one of them a formula, and a case."""
    people = [patient("p1", demographics={"name": "Asha"}), patient("p2")]
    asker(clinics)(pushing(patients=people, cases=[case("c1", "p1", risk_level="green")]))
    own = {"scope_id": "team1", "diagnosis_text": '=HYPERLINK("x")', "case_id": "c1"}
    wiring.store().commit([put(Key("diagnoses", "d1"), {**own, "created_at": 5 * DAY_MS}, None)])
    other = patient("other", demographics={"name": "Of another team"})
    asker(clinics, "chw2")(pushing(patients=[other]))
    return clinics


def test_what_can_be_exported_is_told_to_those_who_may(told: Api) -> None:
    found = get(told, "both", EXPORTS)
    assert found["scopes"] == ["team1", "team2"]
    assert found["formats"] == ["csv", "csv-semicolon", "xlsx", "parquet", "fhir"]
    assert [each["name"] for each in found["tables"]][:2] == ["patients", "cases"]
    for user in ("chw1", "doctor1", "stranger"):
        assert code(call(told, user, "GET", EXPORTS)) == (403, "forbidden")


def test_csv_and_parquet_are_one_table_of_the_team_and_each_row_is_in_the_trail(told: Api) -> None:
    text = fetch(told, "boss1", scope="team1", format="csv", table="patients").decode("utf-8-sig")
    assert sorted(row["id"] for row in csv.DictReader(io.StringIO(text))) == ["p1", "p2"]
    data = fetch(told, "boss1", scope="team1", format="parquet", table="patients")
    table = pyarrow.parquet.read_table(io.BytesIO(data))
    assert sorted(table.column("id").to_pylist()) == ["p1", "p2"]
    trail = wiring.store().query(Query(audit.COLLECTION))
    noted = [each.fields for each in trail if each.fields["action"] == "export"]
    assert len(noted) == 2
    for each in noted:
        assert (each["user_id"], each[record.SCOPE]) == ("boss1", "team1")
        assert sorted(each["ids"]["patients"]) == ["p1", "p2"]


def test_no_file_has_a_formula(told: Api) -> None:
    text = fetch(told, "boss1", scope="team1", format="csv", table="diagnoses").decode("utf-8-sig")
    [row] = csv.DictReader(io.StringIO(text))
    assert row["diagnosis_text"] == '\'=HYPERLINK("x")'
    with ZipFile(io.BytesIO(fetch(told, "boss1", scope="team1", format="xlsx"))) as book:
        names = book.namelist()
        sheets = [book.read(name).decode() for name in names if "worksheets/sheet" in name]
        workbook, styles = (
            book.read("xl/workbook.xml").decode(),
            book.read("xl/styles.xml").decode(),
        )
    assert not any("<f>" in sheet or "hyperlink " in sheet for sheet in sheets)
    assert any("=HYPERLINK(" in sheet for sheet in sheets)
    assert 'quotePrefix="1"' in styles
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    found = [each.get("name") for each in ElementTree.fromstring(workbook).iter(f"{space}sheet")]
    assert found == ["patients", "cases", "diagnoses", "medgemma_queue"]


def test_fhir_has_a_resource_a_line_and_of_some_days_what_they_hang_on(told: Api) -> None:
    def kinds(**query: object) -> list[str]:
        data = fetch(told, "boss1", scope="team1", format="fhir", **query)
        return [json.loads(line)["resourceType"] for line in data.splitlines()]

    whole = kinds()
    assert (whole.count("Patient"), whole.count("Condition")) == (2, 1)
    # the diagnosis alone was made on that day: its case and patient come along, the other does not
    some = kinds(since=4 * DAY_MS, until=6 * DAY_MS)
    assert (some.count("Patient"), some.count("Condition")) == (1, 1)
    assert "DiagnosticReport" in some
    assert kinds(until=DAY_MS) == []


def test_only_records_of_the_days_that_were_asked_for(told: Api) -> None:
    def count(**query: object) -> int:
        data = fetch(told, "boss1", scope="team1", format="csv", table="diagnoses", **query)
        return len(data.decode("utf-8-sig").splitlines()) - 1

    at = 5 * DAY_MS
    rows = [({}, 1), ({"since": at}, 1), ({"since": at + 1}, 0), ({"until": at}, 0)]
    for query, expected in rows:
        assert count(**query) == expected, query


def test_an_excel_file_that_would_be_too_long_is_refused(
    told: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MOST_EXCEL_ROWS", 2)
    path = f"{FILE}?scope=team1&format=xlsx"
    assert code(call(told, "boss1", "GET", path)) == (400, "invalid_request")
    assert fetch(told, "boss1", scope="team1", format="xlsx", table="patients")


@pytest.mark.parametrize(
    ("user", "query", "said"),
    [
        ("chw1", "scope=team1&format=csv&table=cases", (403, "forbidden")),
        ("doctor1", "scope=team1&format=csv&table=cases", (403, "forbidden")),
        ("boss2", "scope=team1&format=csv&table=cases", (404, "not_found")),
        ("boss1", "scope=team1&format=csv", (400, "invalid_request")),
        ("boss1", "scope=team1&format=parquet", (400, "invalid_request")),
        ("boss1", "scope=team1&format=csv&table=accounts", (400, "invalid_request")),
        ("boss1", "scope=team1&format=pdf", (400, "invalid_request")),
        ("boss1", "format=csv", (400, "invalid_request")),
        ("boss1", "scope=team1&format=csv&table=cases&since=yesterday", (400, "invalid_request")),
    ],
)
def test_a_file_that_cannot_be_given(
    clinics: Api, user: str, query: str, said: tuple[int, str]
) -> None:
    assert code(call(clinics, user, "GET", f"{FILE}?{query}")) == said


def test_without_pyarrow_parquet_is_not_offered_and_refused(
    told: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "installed", lambda _name: False)
    assert get(told, "boss1", EXPORTS)["formats"] == ["csv", "csv-semicolon", "xlsx", "fhir"]
    path = f"{FILE}?scope=team1&format=parquet&table=cases"
    assert code(call(told, "boss1", "GET", path)) == (400, "invalid_request")
