"""An analyst's file: numbers worked out by hand, and nothing in it that is not declared."""

from __future__ import annotations

import io
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.cli.root import main
from infra.local import views
from shared import wiring
from shared.access.audit import OPERATOR
from shared.adapters.sqlite import SqliteStore
from shared.errors import InvalidRequest
from shared.products.dermadetect.views import VIEWS
from shared.records.store import Key, Query, RecordStore, put
from tests.api.conftest import Api, StartApi, api, start_api
from tests.dermadetect.test_files import PHOTO, Amina, announced, day

__all__ = ["StartApi", "api", "start_api"]

HOUR = 3_600_000
#: The Monday of the first week.
MONDAY = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp() * 1000)

NAME = "Asha-of-Kito"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RecordStore]:
    made = SqliteStore(tmp_path / "records.db")
    yield made
    made.close()


@pytest.fixture
def year(store: RecordStore) -> RecordStore:
    """Two weeks of kito, and a case of moshi.

    case  made     phone    rules  model   diagnosed after (hours)     the doctor says
    a     Mon 0 h  red      -      yellow  2                           agree
    b     Mon 0 h  green    red    -       4, corrected after 30       edit, then reject
    c     Sun 23 h red      -      red     10                          nothing
    d     Mon +1   yellow   -      green   waits
    e     Mon +1   unknown  -      -
    f     Mon +1   green    -      -
    gone  Mon 0 h  red             deleted, with a signature and a photo
    m     Mon 0 h  red             of moshi
    """

    def case(name: str, at: int, phone: str, status: str, scope: str = "kito", **more: Any) -> None:
        fields = {
            "scope_id": scope, "patient_id": "p", "chw_id": "amina", "risk_level": phone,
            "status": status, "created_at": at, "received_at": at + HOUR,
            "triage_data": f'{{"note": "{NAME}"}}', **more,
        }  # fmt: skip
        store.commit([put(Key("cases", name), fields, None)])

    def signed(name: str, case: str, at: int, **more: Any) -> None:
        fields = {"scope_id": "kito", "case_id": case, "doctor_id": "doc", "created_at": at}
        said = {"diagnosis_text": NAME, "prescription": NAME}
        store.commit([put(Key("diagnoses", name), {**fields, **said, **more}, None)])

    def photo(key: str, case: str, at: int, blob: str, *reasons: str, checked: bool = True) -> None:
        file: dict[str, Any] = {
            "scope_id": "kito",
            "table": "cases",
            "record_id": case,
            "key": f"{NAME}.jpg",
        }
        file |= {"state": "ready", "blob": blob, "at": at}
        bytes_: dict[str, Any] = {"scope_id": "kito"}
        if checked:
            verdict = "retake" if reasons else "good"
            bytes_["quality"] = {"verdict": verdict, "reasons": list(reasons)}
        store.commit([put(Key("files", key), file, None), put(Key("blobs", blob), bytes_, None)])

    red: dict[str, Any] = {"rules": {"triage": "red", "flags": ["bleeding"]}}
    sunday = MONDAY + 167 * HOUR
    later = MONDAY + 168 * HOUR
    case("a", MONDAY, "red", "DIAGNOSED", ai_analysis={"status": "ok", "triage_ai": "yellow"})
    case("b", MONDAY, "green", "DIAGNOSED", **red)
    case("c", sunday, "red", "DIAGNOSED", ai_analysis={"status": "ok", "triage_ai": "red"})
    case("d", later, "yellow", "PENDING_DIAGNOSIS", ai_analysis={"triage_ai": "green"})
    case("e", later, "unknown", "TRIAGED", ai_analysis={"status": "unavailable"})
    case("f", later, "green", "TRIAGED")
    case("gone", MONDAY, "red", "DIAGNOSED", deleted_at=later)
    case("m", MONDAY, "red", "TRIAGED", scope="moshi")
    signed("da", "a", MONDAY + 2 * HOUR, _verdict="agree")
    signed("db", "b", MONDAY + 4 * HOUR, _verdict="edit", amended_by="db2")
    signed("db2", "b", MONDAY + 30 * HOUR, _verdict="reject", amends="db")
    signed("dc", "c", sunday + 10 * HOUR)
    signed("dg", "gone", MONDAY + HOUR, _verdict="agree")
    photo("1", "a", MONDAY, "x1", "blurred", "too_dark")
    photo("2", "a", MONDAY + HOUR, "x2")
    photo("3", "b", MONDAY, "x3", "blurred")
    photo("4", "c", sunday, "x4")
    photo("5", "d", later, "x5", checked=False)
    photo("6", "gone", MONDAY, "x6", "glare")
    store.commit([put(Key("patients", "p"), {"scope_id": "kito", "demographics": NAME}, None)])
    store.commit([put(Key("accounts", "u"), {"email": f"{NAME}@example.org"}, None)])
    return store


def made(folder: Path, *scopes: str) -> sqlite3.Connection:
    """The file of a data folder's scopes, opened."""
    to = io.BytesIO()
    views.write(folder, to, VIEWS, scopes or None, OPERATOR, MONDAY)
    db = sqlite3.connect(":memory:")
    db.deserialize(to.getvalue())
    db.row_factory = sqlite3.Row
    return db


def asked(db: sqlite3.Connection, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in db.execute(sql)]


@pytest.mark.usefixtures("year")
def test_the_views_say_what_was_worked_out_by_hand(tmp_path: Path) -> None:
    with closing(made(tmp_path, "kito")) as db:
        assert asked(db, "SELECT * FROM cases_by_week_and_risk ORDER BY week, risk") == [
            # week, team, colour, cases, waiting, diagnosed, the phone said less
            ("2026-03-02", "kito", "red", 3, 0, 3, 1),
            ("2026-03-09", "kito", "green", 1, 0, 0, 0),
            ("2026-03-09", "kito", "unknown", 1, 0, 0, 0),
            ("2026-03-09", "kito", "yellow", 1, 1, 0, 0),
        ]
        hours = (
            "SELECT case_id, hours, hours_since_received FROM time_to_diagnosis ORDER BY case_id"
        )
        assert asked(db, hours) == [("a", 2.0, 1.0), ("b", 4.0, 3.0), ("c", 10.0, 9.0)]
        assert asked(db, "SELECT * FROM time_to_diagnosis_by_week") == [
            ("2026-03-02", "kito", "red", 3, 4.0, 10.0, 10.0)
        ]
        assert asked(db, "SELECT * FROM agreement ORDER BY week") == [
            # week, team, diagnoses, agree, edit, reject, not said, share: the correction of b counts
            ("2026-03-02", "kito", 2, 1, 0, 1, 0, 0.5),
            ("2026-03-09", "kito", 1, 0, 0, 0, 1, None),  # signed on Monday at 9
        ]
        assert asked(db, "SELECT * FROM photo_retakes") == [
            # week, team, photos that were checked, to take again, taken again, share
            ("2026-03-02", "kito", 4, 2, 1, 0.5)
        ]
        # team, photos to take again; incomplete, blurred, dark, bright, glare, resolution, framing
        assert asked(db, "SELECT * FROM photo_retake_reasons") == [("kito", 2, 0, 2, 1, 0, 0, 0, 0)]


@pytest.mark.usefixtures("year")
def test_nothing_of_people_is_in_the_file_and_nothing_of_what_was_deleted(tmp_path: Path) -> None:
    with closing(made(tmp_path)) as db:
        assert NAME.encode() not in db.serialize()
        assert asked(db, "SELECT id FROM cases ORDER BY id") == [(each,) for each in "abcdefm"]
        assert asked(db, "SELECT count(*) FROM diagnoses WHERE case_id = 'gone'") == [(0,)]
        assert asked(db, "SELECT count(*) FROM photos WHERE case_id = 'gone'") == [(0,)]
        assert asked(db, "SELECT count(*) FROM photo_quality WHERE id = 'x6'") == [(0,)]
        tables = {
            name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE sql IS NOT NULL")
        }
        named = {*(each.name for each in VIEWS.tables), *(each.name for each in VIEWS.views)}
        assert tables == {"dictionary", *named}
        for table in VIEWS.tables:
            columns = [row["name"] for row in db.execute(f"PRAGMA table_info({table.name})")]
            assert columns == ["id", "scope_id", *table.columns]
            for column in columns[2:]:
                [(said,)] = asked(
                    db, "SELECT description FROM dictionary WHERE name = "
                    f"'{table.name}' AND column_name = '{column}'")  # fmt: skip
                assert said


def test_the_trail_knows_each_row_and_the_store_is_left_as_it_was(
    year: RecordStore, tmp_path: Path
) -> None:
    with closing(made(tmp_path)) as db:
        given = {each.collection: asked(db, f"SELECT id, scope_id FROM {each.name}")
                 for each in VIEWS.tables}  # fmt: skip
    noted: dict[str, list[tuple[str, str]]] = {}
    for entry in year.query(Query("audit")):
        assert (entry.fields["action"], entry.fields["user_id"]) == ("export", OPERATOR.user_id)
        for table, ids in entry.fields["ids"].items():
            noted.setdefault(table, []).extend((each, entry.fields["scope_id"]) for each in ids)
    assert {name: sorted(rows) for name, rows in noted.items()} == {
        name: sorted(rows) for name, rows in given.items()
    }
    assert not list(tmp_path.glob(".views-*"))


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        views.write(tmp_path, io.BytesIO(), VIEWS, None, OPERATOR, MONDAY)
    assert list(tmp_path.iterdir()) == []


def test_what_phones_and_doctors_really_write_is_found_under_the_declared_paths(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    amina = Amina(api)
    (ticket,) = amina.sync(changes=day("a.jpg"), files=[announced()])["files"]
    assert amina.put(ticket["id"], PHOTO).status_code == 200
    api.run_jobs()
    api.join("doc1", role="doctor")
    [case] = wiring.store().read([Key("cases", "c1")]).documents.values()
    signature = {"diagnosis_text": "Tinea", "verdict": "agree"}
    signed = api.ask(
        "POST", "/api/v1/review/cases/c1/diagnosis", signature, token=api.token("doc1"),
        headers={"Idempotency-Key": "k1", "If-Match": f'"{case.version}"'})  # fmt: skip
    assert signed.status_code == 200, signed.text
    to = tmp_path / "numbers.db"
    assert main(["records", "views", "team1", "--to", str(to)]) == 0
    assert capsys.readouterr().out == "4 rows\n"
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    with closing(sqlite3.connect(f"file:{to}?mode=ro", uri=True)) as db:
        # a red case may have no rule, no corrected diagnosis and no refused photo
        left_empty = {"rules_said", "ai_said", "amends", "amended_by", "refusal"}
        for table in VIEWS.tables:
            for fact in table.facts:
                [(found,)] = asked(db, f"SELECT count({fact.name}) FROM {table.name}")
                assert (found == 1) or fact.name in left_empty, fact
        [(week, _, risk, *counts)] = asked(db, "SELECT * FROM cases_by_week_and_risk")
        assert (risk, counts) == ("red", [1, 0, 1, 0])
        assert datetime.fromisoformat(week).weekday() == 0
        assert asked(db, "SELECT agree, agreed FROM agreement") == [(1, 1.0)]
        assert asked(db, "SELECT photos FROM photo_retakes") == [(1,)]
    # and a file that is there is not written over
    assert main(["records", "views", "--to", str(to)]) == 1
