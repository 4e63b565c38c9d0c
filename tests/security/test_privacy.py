"""People who ask about their data: what is given out is everything, what is erased is gone. Both stores."""

from __future__ import annotations

import io
import json
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from infra.cli import backup
from infra.cli.root import main
from infra.local.phone import Phone
from shared.access import audit
from shared.access.membership import Caller
from shared.adapters.sqlite import SqliteStore
from shared.errors import NotFound, Purged
from shared.jobs.cascade import Cascade
from shared.jobs.job import RetryPolicy
from shared.jobs.runner import Runner
from shared.notify import notice
from shared.privacy import erasure
from shared.privacy.export import export as export_of
from shared.products.dermadetect.tables import CATALOG
from shared.records import record
from shared.records.collection import Collection
from shared.records.store import Document, Key, Query, RecordStore, Write, put
from shared.support import ledger
from shared.support.ledger import Attempt
from shared.support.undelete import undelete
from shared.sync.exchange import Refusal
from tests.ai.workplace import Clinic
from tests.stores import Interrupted
from tests.sync.clinic import pass_millisecond

SECRET = "Amina-of-Kito"
OTHER = "Binta-of-Kito"

#: Everything that the store holds of a product.
LOGS = (
    "conflicts", "quarantine", "readings", "reviews", "receipts", "jobs", "audit", "devices",
    "revocations", "notices",
)  # fmt: skip


def everything(clinic: Clinic) -> str:
    tables = [item.name for item in CATALOG.collections]
    return "\n".join(
        orjson.dumps([name, each.key.id, each.fields]).decode()
        for name in (*tables, *LOGS)
        for each in clinic.all(name)
    )


def story(clinic: Clinic) -> tuple[Phone, Phone]:
    """Two phones, two patients; conflicts, refusals, a job, a diagnosis of each."""
    one, two = clinic.phone(device="one"), clinic.phone(device="two")
    for patient, name in (("p1", SECRET), ("p2", OTHER)):
        one.save("patients", patient, demographics={"name": name})
        one.save("cases", f"{patient}-c", patient_id=patient, risk_level="red",
                 triage_data={"note": name})  # fmt: skip
    one.sync()
    two.sync()
    for phone in (one, two):  # both edit: what loses is kept in logs and receipts
        for patient, name in (("p1", SECRET), ("p2", OTHER)):
            phone.save("patients", patient, demographics={"name": f"{name} {phone.device}"})
            phone.save("cases", f"{patient}-c", triage_data={"note": f"{name} {phone.device}"})
        phone.sync()
    for patient, name in (("p1", SECRET), ("p2", OTHER)):
        bad: dict[str, Any] = {"image_keys": ["k"] * 101, "triage_data": {"note": name}}
        one.save("cases", f"{patient}-bad", patient_id=patient, **bad)
        own = {record.SCOPE: "team1", "case_id": f"{patient}-c", "diagnosis_text": name}
        read = {"table": "cases", "record_id": f"{patient}-c", record.SCOPE: "team1", "at": 1}
        done = {
            "table": "cases",
            "record_id": f"{patient}-c",
            record.SCOPE: "team1",
            "verdict": name,
        }
        read |= {"job_id": "j", "analysis": json.dumps({"uncertainty": {"note": name}})}
        clinic.store.commit(
            [
                put(Key("diagnoses", f"{patient}-d"), own, None),
                put(Key("readings", f"{patient}-r"), read, None),
                put(Key("reviews", f"{patient}-c"), done, None),
            ]
        )
    one.sync()
    return one, two


def erase(clinic: Clinic, store: RecordStore | None = None, patient: str = "p1") -> dict[str, int]:
    store = store or clinic.store
    tasks = {"cascade": Cascade(store, CATALOG, clinic.now_ms)}
    runner = Runner(store, tasks, policy=RetryPolicy(), lease_ms=1, clock=clinic.now_ms)  # type: ignore[arg-type]
    follow = lambda: runner.run_due("cascade", 120)  # noqa: E731
    return erasure.erase(store, CATALOG, patient, clinic.now_ms(), follow)


def export(clinic: Clinic, name: str) -> dict[str, Any]:
    return export_of(clinic.store, CATALOG, name, clinic.now_ms())


def test_an_export_holds_everything_about_a_patient_and_nothing_about_others(
    clinic: Clinic,
) -> None:
    story(clinic)
    found = export(clinic, "p1")
    assert {table: [row["id"] for row in rows] for table, rows in found["records"].items()} == {
        "patients": ["p1"],
        "cases": ["p1-c"],
        "diagnoses": ["p1-d"],
        "medgemma_queue": ["p1-c"],
    }
    assert found["records"]["patients"][0]["demographics"] == {"name": f"{SECRET} two"}
    assert {entry["record_id"] for entry in found["conflicts"]} == {"p1", "p1-c"}
    assert [entry["record_id"] for entry in found["quarantine"]] == ["p1-bad"]
    assert [entry["analysis"] for entry in found["readings"]] == [{"uncertainty": {"note": SECRET}}]
    assert [entry["verdict"] for entry in found["reviews"]] == [SECRET]
    assert {entry["action"] for entry in found["audit"]} == {"push"}
    text = json.dumps(found)
    assert OTHER not in text
    assert text.count(SECRET) >= 6
    # and the reading itself is in the trail
    assert "export" in {entry.fields["action"] for entry in clinic.all("audit")}
    assert export(clinic, "nobody") == {}


def test_an_export_of_a_user_holds_no_hash_and_nothing_to_log_in_with(clinic: Clinic) -> None:
    story(clinic)
    held = {
        "password": "$argon2id$hash",
        "email": "c@example.org",
        "phone": "+254700000001",
        "generation": 0,
        "created_at": 5,
    }
    session = {"user_id": "chw1", "current": "hash1", "previous": "hash2", "salt": "salt"}
    clinic.store.commit(
        [
            put(Key("accounts", "chw1"), held, None),
            put(Key("sessions", "s1"), {**session, "device": "one", "began_at": 1, "expires_at": 2}, None),
            put(Key("sessions", "s2"), {**session, "user_id": "other", "device": "alien"}, None),
        ]
    )  # fmt: skip
    found = export(clinic, "chw1")["user"]
    assert found["account"] == {
        "email": "c@example.org", "phone": "+254700000001", "created_at": 5
    }  # fmt: skip
    assert found["memberships"]["scopes"]["team1"]["role"] == "chw"
    assert found["sessions"] == [{"device": "one", "began_at": 1, "expires_at": 2}]
    assert sorted(found["wrote"]["patients"]) == ["p1", "p2"]
    assert {entry["user_id"] for entry in found["audit"]} == {"chw1"}
    assert not [each for each in ("argon2", "hash", "salt", "alien") if each in json.dumps(found)]


def test_what_is_erased_is_gone_everywhere_and_the_others_stay(clinic: Clinic) -> None:
    one, two = story(clinic)
    assert everything(clinic).count(SECRET) >= 6
    others = everything(clinic).count(OTHER)
    told = erase(clinic)
    assert told == {
        "log entries": 6, "receipts": 1, "jobs": told["jobs"], "phones": 0, "files": 0, "records": 4,
    }  # fmt: skip
    assert SECRET not in everything(clinic)
    # a receipt may have named both: what lost of the other is still in the conflict log
    assert everything(clinic).count(OTHER) >= others - 4
    assert "p2-bad" in everything(clinic)
    # what is left are ids, and who erased them
    for table, name in (("patients", "p1"), ("cases", "p1-c"), ("diagnoses", "p1-d")):
        left = set(clinic.fields(table, name)) - {"_edited"}
        assert left <= {"scope_id", "deleted_at", "updated_at", "last_modified_at", "_hash"}, left
    [entry] = [e.fields for e in clinic.all("audit") if e.fields["action"] == "erase"]
    assert entry["ids"]["patients"] == ["p1"]
    assert entry["user_id"] == audit.OPERATOR.user_id
    # phones that come back are told to drop it, also one that was never away
    for phone in (one, two):
        phone.sync()
        assert ("patients", "p1") not in phone.rows
        assert ("cases", "p1-c") not in phone.rows
        assert ("patients", "p2") in phone.rows
    # and nothing brings it back
    with pytest.raises(Purged):
        undelete(clinic.store, CATALOG, None, Key("patients", "p1"), clinic.now_ms())
    with pytest.raises(NotFound):
        undelete(clinic.store, CATALOG, None, Key("patients", "p0"), clinic.now_ms())


def test_what_a_phone_sends_afterwards_is_gone_when_it_is_erased_again(clinic: Clinic) -> None:
    _, two = story(clinic)
    erase(clinic)
    for table, name in (("patients", "p1"), ("cases", "p1-c")):
        fields: dict[str, Any] = {"demographics": {"name": SECRET}}
        if table == "cases":
            fields = {"triage_data": {"note": SECRET}, "patient_id": "p1"}
        two.save(table, name, **fields)
    two.save("cases", "late", patient_id="p1", triage_data={"note": SECRET})
    two.sync()
    odd = clinic.phone(device="odd")  # an app that sends what changed alone, not whose case it is
    odd.save("cases", "p1-c", triage_data={"note": SECRET})
    odd.sync()
    assert SECRET in everything(clinic)
    assert erase(clinic)["log entries"] >= 3
    assert SECRET not in everything(clinic)
    assert set(erase(clinic).values()) == {0}


#: Refused records of p1, each hard to find in its own way: (table, row). Rows hold the secret.
ODD: tuple[tuple[str, dict[str, Any]], ...] = (
    ("patient", {"id": "p1", "demographics": {"name": SECRET}}),
    ("Patients", {"id": "p1", "name": SECRET}),
    ("case", {"id": "odd-1", "patient_id": "p1", "note": SECRET}),
    (f"of {SECRET}", {"id": "p1", "note": SECRET}),
    ("visits", {"id": "odd-2", "about": {"people": ["p1"]}, "note": SECRET}),
    ("visits", {"note": SECRET, "case_id": "p1-c"}),
    ("cases", {"patient_id": "p1", "triage_data": {"note": SECRET}}),
    ("cases", {"id": 7, "patient_id": "p1", "triage_data": {"note": SECRET}}),
    ("cases", {"id": f"of {SECRET}", "patient_id": "p1", "triage_data": {}}),
    ("diagnoses", {"id": "odd-3", "case_id": "p1-c", "diagnosis_text": SECRET}),
)


def refuse(clinic: Clinic, table: str, row: dict[str, Any]) -> None:
    phone = clinic.phone(device="odd")
    body = {"last_sync_timestamp": 0, "device_id": "odd", "changes": {table: [row]}}
    assert clinic.answer(body, phone)["rejected"]


@pytest.mark.parametrize(("table", "row"), ODD)
def test_what_was_refused_is_erased_and_given_out_whatever_its_table_or_id_says(
    clinic: Clinic, table: str, row: dict[str, Any]
) -> None:
    # given what was refused of the patient, and the like of another
    story(clinic)
    refuse(clinic, table, row)
    other = json.loads(json.dumps(row).replace("p1", "p2").replace(SECRET, OTHER))
    refuse(clinic, table.replace(SECRET, OTHER), other)
    held = [e for e in clinic.all("quarantine") if OTHER in json.dumps(e.fields)]
    # when it is given out and erased
    given = json.dumps(export(clinic, "p1")["quarantine"])
    assert SECRET in given
    assert OTHER not in given
    erase(clinic)
    # then nothing is left, but what the ledger of phones says of an id that is a name
    erase(clinic, patient=f"of {SECRET}")
    assert SECRET not in everything(clinic)
    assert [e for e in clinic.all("quarantine") if OTHER in json.dumps(e.fields)] == held


def test_what_has_no_id_at_all_is_erased_by_that_of_its_entry(clinic: Clinic) -> None:
    clinic.join("chw1")
    refuse(clinic, "patients", {"id": f"the {SECRET}", "demographics": {"name": SECRET}})
    refuse(clinic, "patients", {"demographics": {"name": SECRET}})
    refuse(clinic, "patients", {"demographics": {"name": OTHER}})
    assert erase(clinic, patient=f"the {SECRET}")["log entries"] == 1
    [entry] = [e for e in clinic.all("quarantine") if SECRET in json.dumps(e.fields)]
    assert erase(clinic, patient=entry.key.id)["log entries"] == 1
    assert SECRET not in everything(clinic)
    assert len(clinic.all("quarantine")) == 1
    # and each leaves an entry in the trail, by ids that are ids
    erased = [e.fields["ids"] for e in clinic.all("audit") if e.fields["action"] == "erase"]
    assert {"quarantine": [entry.key.id]} in erased
    assert len(erased) == 2


def test_notices_and_what_phones_could_not_deliver_are_erased(clinic: Clinic) -> None:
    story(clinic)
    refused = [
        Refusal("cases", name, None, "wrong_type", "", {}) for name in ("p1-c", "p1", "p2-bad")
    ]
    attempt = Attempt(Caller("chw1", "chw", "one"), "batch", 5, ["team1"])
    attempt.pushed, attempt.rejected = {"rejected": 3}, refused
    attempt.unknown = {"patients": [SECRET]}  # a column
    ledger.note(clinic.store, attempt)
    old = notice.due("j0", "p1-c", "team1", 5)  # as the release before wrote it
    fields = {**old.fields, "case_id": "p1-c"}
    del fields["record_id"]
    clinic.store.commit(
        [
            notice.due("j1", "p1-c", "team1", 5),
            notice.due("j2", "p2-c", "team1", 5),
            old._replace(fields=fields),
        ]
    )
    noticed = export(clinic, "p1")["notices"]
    assert {e.get("record_id") or e["case_id"] for e in noticed} == {"p1-c"}
    assert len(noticed) == 2
    assert erase(clinic)["phones"] == 1
    assert [e.fields["record_id"] for e in clinic.all("notices")] == ["p2-c"]
    told = [each["id"] for e in clinic.all("devices") for each in e.fields.get("rejected", [])]
    assert set(told) == {"p2-bad"}
    assert SECRET not in everything(clinic)


def test_no_document_of_any_collection_and_no_file_keeps_a_word_of_it(
    clinic: Clinic, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    # given a store that is in use, and all that a patient leaves in it
    story(clinic)
    for table, row in ODD:
        refuse(clinic, table, row)
    seen = io.StringIO()
    backup.export(clinic.store, seen)
    assert SECRET in seen.getvalue()
    # when
    erase(clinic)
    erase(clinic, patient=f"of {SECRET}")
    # then
    seen = io.StringIO()
    backup.export(clinic.store, seen)
    assert SECRET not in seen.getvalue()
    assert OTHER in seen.getvalue()
    files = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert bool(files) == isinstance(clinic.store, SqliteStore)
    assert [file for file, data in files.items() if SECRET.encode() in data] == []
    assert not files or any(OTHER.encode() in data for data in files.values())


class Killed(BaseException):
    pass


def killed(clinic: Clinic, commits: int) -> bool:
    """An erasure that is killed before the commit after so many; whether it came to an end before."""
    left = commits

    def before(_: Sequence[Write]) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    try:
        erase(clinic, Interrupted(clinic.store, before=before))
    except Killed:
        for _ in range(2):  # the killed job's lease of a millisecond ends
            pass_millisecond()
        return False
    return True


def test_erasing_may_be_killed_at_any_commit_and_begun_again(clinic: Clinic) -> None:
    story(clinic)
    # while it deletes, each time a commit further
    runs = 0
    while not all(each.fields.get(record.DELETED) for each in family(clinic)):
        killed(clinic, runs)
        runs += 1
        assert runs < 40
    # while it blanks, at every single commit
    while not killed(clinic, 1):
        runs += 1
        assert runs < 60
    assert runs > 10
    assert SECRET not in everything(clinic)
    assert OTHER in everything(clinic)


def family(clinic: Clinic) -> list[Document]:
    found = [clinic.get("patients", "p1"), clinic.get("cases", "p1-c")]
    found += [clinic.get("diagnoses", "p1-d"), clinic.get("medgemma_queue", "p1-c")]
    return [each for each in found if each is not None]


def test_the_commands_write_a_file_for_their_maker_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given the stack of a folder with example data
    from shared import settings, wiring

    def fresh() -> None:
        settings.current.cache_clear()
        for value in vars(wiring).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()

    monkeypatch.setenv("DATA_FOLDER", str(tmp_path))
    fresh()
    file = tmp_path / "out.json"
    file.write_text("older")
    file.chmod(0o644)
    try:
        assert main(["seed"]) == 0
        store = SqliteStore(tmp_path / "records.db")
        patient = next(store.query(Query("patients"))).key.id
        # when, then
        assert main(["export", patient, "--to", str(file)]) == 0
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert json.loads(file.read_text())["records"]["patients"][0]["id"] == patient
        assert main(["erase", patient]) == 0
        assert main(["erase", patient]) == 0
        assert main(["export", "nobody"]) == 0
        assert main(["export", "no/body"]) == 1
        assert main(["erase", "no/body"]) == 0
        said = capsys.readouterr().out
        assert "demographics" not in said
        assert "nothing is stored about nobody" in said
        assert store.read([Key("patients", patient)]).documents[
            Key("patients", patient)
        ].fields.get(record.KEPT) is None  # fmt: skip
        store.close()
    finally:
        wiring.store().close()
        fresh()


def test_every_table_hangs_on_a_patient() -> None:
    """What no patient leads to would not be found: a new table must be looked at here."""
    reached, waiting = {"patients"}, ["patients"]
    while waiting:
        below: list[Collection] = [item for item, _ in CATALOG.children(waiting.pop())]
        waiting += [item.name for item in below if item.name not in reached]
        reached |= {item.name for item in below}
    assert reached == {item.name for item in CATALOG.collections}
