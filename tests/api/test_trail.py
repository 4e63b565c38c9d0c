"""Whoever reads records is named in the audit trail, whichever way they are read."""

from __future__ import annotations

from shared import wiring
from shared.records.store import Query
from tests.api.conftest import Api


def test_whoever_reads_records_is_named_in_the_trail(api: Api) -> None:
    for user, role in (("chw1", "chw"), ("chw2", "chw"), ("doc1", "doctor")):
        api.join(user, role=role)
    rows = {
        "patients": [{"id": "p1", "last_modified_at": 5}],
        "cases": [{"id": "c1", "patient_id": "p1", "last_modified_at": 5}],
    }
    api.ask("POST", "/api/sync", {"changes": rows}, token=api.token("chw1"))
    api.ask("POST", "/api/sync", {"changes": {}}, token=api.token("chw2"))
    doctor = api.token("doc1", "doctor")
    assert api.ask("GET", "/api/v1/review/cases/c1", token=doctor).status_code == 200
    noted = [each.fields for each in wiring.store().query(Query("audit"))]
    read = {(each["user_id"], record_id) for each in noted for record_id in each["ids"]["cases"]}
    assert read == {("chw1", "c1"), ("chw2", "c1"), ("doc1", "c1")}
    assert {each["action"] for each in noted if each["user_id"] == "chw2"} == {"pull"}
