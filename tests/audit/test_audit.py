"""The audit trail: complete, without clinical content, and sealed, on both stores and over HTTP."""

from __future__ import annotations

import json
import threading
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from infra.local.phone import Phone
from shared.access import audit
from shared.access.membership import Caller
from shared.errors import StoreUnavailable
from shared.records.store import Document, Key, Query, Write, delete, patch, put
from tests.ai.workplace import Clinic
from tests.e2e.conftest import Deployment
from tests.patience import PATIENCE_SECONDS, until
from tests.stores import Interrupted

CALLER = Caller("chw1", "chw", "phone")


def write(clinic: Clinic, count: int, scope: str = "team1", at: int = 1000) -> None:
    for number in range(count):
        clinic.store.commit(
            audit.entries(CALLER, "pull", scope, {"cases": [f"c{number}"]}, at + number)
        )


def seal(clinic: Clinic) -> int:
    return audit.Sealer(clinic.store).seal(9000)


def chain(clinic: Clinic, scope: str = "team1") -> list[Document]:
    query = Query(
        audit.COLLECTION,
        where=(("scope_id", "==", scope), ("number", ">", 0)),
        order=(("number", "asc"),),
    )
    return list(clinic.store.query(query))


def test_a_push_leaves_an_entry_in_its_own_commit(clinic: Clinic) -> None:
    phone = clinic.phone()
    phone.save("patients", "p1", demographics={"name": "Asha"})
    phone.save("cases", "c1", patient_id="p1", triage_data={"note": "secret"})
    seen: list[Sequence[Write]] = []
    phone.send = clinic.on(Interrupted(clinic.store, before=seen.append)).answer
    request = phone.request()
    phone.send(request, phone)
    (commit,) = seen
    (entry,) = [item for item in commit if item.key.collection == audit.COLLECTION]
    assert entry.fields["ids"] == {"patients": ["p1"], "cases": ["c1"]}
    assert (entry.fields["user_id"], entry.fields["action"]) == ("chw1", "push")
    assert "Asha" not in str(entry.fields)
    assert "secret" not in str(entry.fields)
    # sent again, nothing is written and nothing is noted twice
    phone.send(request, phone)
    assert len(clinic.all(audit.COLLECTION)) == 1


def test_entries_are_chained_scope_by_scope(clinic: Clinic) -> None:
    write(clinic, 3)
    write(clinic, 2, "team2")
    assert seal(clinic) == 5
    write(clinic, 2, at=2000)
    assert seal(clinic) == 2
    assert seal(clinic) == 0
    assert [document.fields["number"] for document in chain(clinic)] == [1, 2, 3, 4, 5]
    assert [document.fields["at"] for document in chain(clinic)] == [1000, 1001, 1002, 2000, 2001]
    assert audit.verify(clinic.store, "team1") == (5, 0, [])
    assert audit.verify(clinic.store, "team2") == (2, 0, [])
    assert audit.scopes(clinic.store) == ["team1", "team2"]
    write(clinic, 1, at=3000)
    assert audit.verify(clinic.store, "team1") == (5, 1, [])


def altered(clinic: Clinic, entries: list[Document]) -> None:
    clinic.store.commit([patch(entries[2].key, {"user_id": "somebody else"}, None)])


def removed(clinic: Clinic, entries: list[Document]) -> None:
    clinic.store.commit([delete(entries[2].key)])


def cut(clinic: Clinic, entries: list[Document]) -> None:
    clinic.store.commit([delete(entries[-1].key)])


def beheaded(clinic: Clinic, entries: list[Document]) -> None:
    clinic.store.commit([delete(entries[0].key)])


def slipped_in(clinic: Clinic, entries: list[Document]) -> None:
    fields = {**entries[2].fields, "user_id": "somebody else"}
    clinic.store.commit([put(Key(audit.COLLECTION, "forged"), fields, None)])


def replaced(clinic: Clinic, entries: list[Document]) -> None:
    """An altered entry whose own hash was made anew: the next one does not follow it."""
    have = {**entries[2].fields, "ids": {"cases": ["other"]}}
    have["hash"] = audit._link(entries[2].key.id, have, have["number"], have["before"])
    clinic.store.commit([put(entries[2].key, have, None)])


def renamed(clinic: Clinic, entries: list[Document]) -> None:
    clinic.store.commit(
        [delete(entries[2].key), put(Key(audit.COLLECTION, "other"), entries[2].fields, None)]
    )


@pytest.mark.parametrize("forge", [altered, removed, cut, beheaded, slipped_in, replaced, renamed])
def test_whoever_touches_an_entry_breaks_the_chain(
    clinic: Clinic, forge: Callable[[Clinic, list[Document]], None]
) -> None:
    write(clinic, 5)
    seal(clinic)
    forge(clinic, chain(clinic))
    assert audit.verify(clinic.store, "team1").faults


def test_two_sealers_at_once_make_one_chain(clinic: Clinic) -> None:
    for round_ in range(4):
        write(clinic, 5, at=1000 * (round_ + 1))
        workers = [threading.Thread(target=seal, args=(clinic,)) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    while seal(clinic):
        pass
    assert audit.verify(clinic.store, "team1") == (20, 0, [])


def test_a_round_goes_on_while_it_is_full(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    # given rounds of four entries, two a commit, and eleven entries of three teams
    monkeypatch.setattr(audit, "_A_ROUND", 4)
    monkeypatch.setattr(audit, "_A_COMMIT", 2)
    for scope, count in (("team1", 5), ("team2", 5), ("team3", 1)):
        write(clinic, count, scope)
    # when they are sealed once
    assert seal(clinic) == 11
    # then all are in their chains
    for scope, count in (("team1", 5), ("team2", 5), ("team3", 1)):
        assert audit.verify(clinic.store, scope) == (count, 0, [])
    # and rounds are bounded
    monkeypatch.setattr(audit, "_ROUNDS", 2)
    write(clinic, 20)
    assert seal(clinic) == 8


def test_a_scope_that_changes_meanwhile_keeps_no_other_waiting(clinic: Clinic) -> None:
    # given entries of three teams, and somebody who seals team2 before our commit
    for scope in ("team1", "team2", "team3"):
        write(clinic, 2, scope)
    kept: list[audit.Anchor] = []

    def interfere(writes: Sequence[Write]) -> None:
        if len({write.fields.get("scope_id") for write in writes} - {None}) == 3:
            audit.Sealer(clinic.store)._seal(
                [
                    each
                    for each in clinic.all(audit.COLLECTION)
                    if each.fields["scope_id"] == "team2"
                ],
                8000,
            )

    # when we seal all three
    store = Interrupted(clinic.store, before=interfere)
    assert audit.Sealer(store, kept.append).seal(9000) == 4
    # then the others are sealed, each once
    for scope in ("team1", "team2", "team3"):
        assert audit.verify(clinic.store, scope) == (2, 0, [])
    assert [(each.scope_id, each.number) for each in kept] == [("team1", 2), ("team3", 2)]


def test_a_seal_that_is_killed_is_made_again(clinic: Clinic) -> None:
    write(clinic, 3)

    class Killed(BaseException):
        pass

    def die(_writes: Sequence[Write]) -> None:
        raise Killed

    for moment in ({"before": die}, {"after": die}):
        with pytest.raises(Killed):
            audit.Sealer(Interrupted(clinic.store, **moment)).seal(9000)
        write(clinic, 1, at=5000)
    seal(clinic)
    assert audit.verify(clinic.store, "team1") == (5, 0, [])


def test_many_ids_make_several_entries_and_none_is_left_out(clinic: Clinic) -> None:
    ids = [f"c{number}" for number in range(audit.MOST_IDS * 2 + 5)]
    writes = audit.entries(CALLER, "pull", "team1", {"patients": ["p"], "cases": ids}, 1)
    assert len(writes) == 3
    assert [name for item in writes for name in item.fields["ids"].get("cases", [])] == ids
    assert all(sum(map(len, item.fields["ids"].values())) <= audit.MOST_IDS for item in writes)
    assert audit.entries(CALLER, "pull", "team1", {}, 1) == []


def test_what_cannot_be_stored_goes_to_the_log(
    clinic: Clinic, caplog: pytest.LogCaptureFixture
) -> None:
    def down(_writes: Sequence[Write]) -> None:
        raise StoreUnavailable("no answer")

    writes = audit.entries(CALLER, "pull", "team1", {"cases": ["c77"]}, 1)
    audit.note(Interrupted(clinic.store, before=down), writes)
    (line,) = [entry for entry in caplog.records if entry.message == "audit entries not stored"]
    assert line.__dict__["entries"][0]["ids"] == {"cases": ["c77"]}


# --- over HTTP


def trail(deployment: Deployment, team: str) -> list[dict[str, Any]]:
    """(action, user, device, ids) of a team's entries, the oldest first."""
    of_team = ("scope_id", "==", team)
    waiting = Query(audit.COLLECTION, where=(of_team, ("sealed", "==", False)))
    sealed = Query(
        audit.COLLECTION, where=(of_team, ("number", ">", 0)), order=(("number", "asc"),)
    )
    documents = {
        document.key: document.fields
        for query in (waiting, sealed)
        for document in deployment.store.query(query)
    }
    found = list(documents.values())
    return sorted(found, key=lambda entry: entry["at"])


def test_who_reads_and_who_writes_is_noted_and_an_idle_sync_is_not(deployment: Deployment) -> None:
    name = uuid.uuid4().hex[:8]
    team, writer, reader = f"team-{name}", f"one-{name}", f"two-{name}"
    for user in (writer, reader):
        deployment.join(user, team)
    one, two = deployment.phone(writer), deployment.phone(reader)
    one.save("patients", f"p-{name}", demographics={"name": "Asha"})
    for _ in range(2):  # a row of the cursor's own millisecond comes twice
        one.sync()
        two.sync()
    before = len(trail(deployment, team))
    for _ in range(2):
        two.sync()
        one.sync()
    noted = trail(deployment, team)
    assert len(noted) == before
    told = {(entry["user_id"], entry["action"]): entry for entry in noted}
    assert told[writer, "push"]["ids"] == {"patients": [f"p-{name}"]}
    assert told[reader, "pull"]["ids"] == {"patients": [f"p-{name}"]}
    assert told[reader, "pull"]["device"] == f"{reader}-phone"
    assert "Asha" not in str(noted)


def test_every_row_of_a_paged_sync_is_noted_once(deployment: Deployment) -> None:
    name = uuid.uuid4().hex[:8]
    team, writer, reader = f"team-{name}", f"one-{name}", f"two-{name}"
    for user in (writer, reader):
        deployment.join(user, team)
    one = deployment.phone(writer)
    for number in range(7):
        one.save("patients", f"p{number}-{name}", demographics={})
    one.sync()
    two: Phone = deployment.phone(reader)
    two.limit = 3
    two.sync()
    read = [
        record_id
        for entry in trail(deployment, team)
        if (entry["user_id"], entry["action"]) == (reader, "pull")
        for record_id in entry["ids"].get("patients", [])
    ]
    assert sorted(read) == [f"p{number}-{name}" for number in range(7)]


def test_what_doctors_read_and_sign_is_noted(deployment: Deployment) -> None:
    name = uuid.uuid4().hex[:8]
    team, chw, doctor = f"team-{name}", f"chw-{name}", f"doc-{name}"
    deployment.join(chw, team)
    deployment.join(doctor, team, "doctor")
    phone = deployment.phone(chw)
    case, patient = f"c-{name}", f"p-{name}"
    phone.save("patients", patient, demographics={"name": "Asha"})
    phone.save("cases", case, patient_id=patient, risk_level="red", triage_data={})
    phone.sync()
    key = Key("cases", case)
    until(lambda: "ai_analysis" in deployment.store.read([key]).documents[key].fields, "read")
    token = deployment.token(doctor, "doctor")

    def ask(method: str, path: str, body: dict[str, Any] | None = None, **headers: str) -> Any:
        request = urllib.request.Request(
            f"{deployment.stack.url}/api/v1/review/cases{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", **headers},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
            return json.loads(response.read())

    version = ask("GET", f"/{case}")["version"]
    ask("POST", f"/{case}/claim")
    signed = ask(
        "POST",
        f"/{case}/diagnosis",
        {"diagnosis_text": "Scabies", "verdict": "reject", "verdict_text": "No"},
        **{"Idempotency-Key": f"key-{name}", "If-Match": f'"{version}"'},
    )
    noted = [entry for entry in trail(deployment, team) if entry["user_id"] == doctor]
    assert [entry["action"] for entry in noted] == ["read_case", "claim", "diagnose"]
    assert noted[0]["ids"]["patients"] == [patient]
    assert noted[2]["ids"] == {"cases": [case], "diagnoses": [signed["id"]]}
    assert "Scabies" not in str(noted)
