"""SIGKILL of the real process at every named point, on both profiles.

The phone does what a phone does: it sends the same again. Afterwards everything is there once: the
records, one job for the red case, one analysis, no child of a deleted parent.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from infra.local import photos
from infra.local.phone import Phone, wall_ms
from infra.local.vertex import status
from shared.jobs import job as jobs
from shared.jobs import transfer
from shared.products.dermadetect.tables import ANALYSE, CATALOG
from shared.records import record
from shared.records.bell import Bell
from shared.records.killpoints import POINTS, aim
from shared.records.store import Key, Query, patch
from shared.support.undelete import undelete
from tests.patience import until
from tests.reliability.conftest import Ward, insist

#: More than one commit holds, so that a push has a middle.
_MANY = 620


def fields(ward: Ward, table: str, name: str) -> dict[str, Any]:
    key = Key(table, name)
    document = ward.store.read([key]).documents.get(key)
    return {} if document is None else document.fields


def red_day(phone: Phone, stem: str, more: int) -> str:
    phone.save("patients", f"{stem}-p", demographics={"age": 50})
    phone.save("patients", f"{stem}-q", demographics={"age": 5})
    red = f"{stem}-red"
    phone.save("cases", red, patient_id=f"{stem}-p", risk_level="red", triage_data={"site": "arm"})
    for number in range(more):
        name = f"{stem}-{number}"
        phone.save("cases", name, patient_id=f"{stem}-q", risk_level="green", triage_data={})
    return red


#: Points that a red case does not pass.
_FOLLOWING = ("transfer.batch", "restore.batch", "cascade.batch")
_PHOTOS = ("upload.piece", "upload.added", "check.derived", "check.sealed")
_DELIVERIES = ("delivery.taken", "delivery.sent")
_ASIDE = (*_FOLLOWING, *_PHOTOS, *_DELIVERIES)

#: Where every `make test` kills, on one profile: around the commit of a push, and in what follows it.
#: The other points, photos and the emulators are part of `make proof`.
_ALWAYS = ("push.committed", "cascade.batch")


def each(points: Iterable[str]) -> pytest.MarkDecorator:
    """A test for each of these points."""
    return pytest.mark.parametrize(
        "point",
        [
            pytest.param(point, marks=() if point in _ALWAYS else pytest.mark.proof)
            for point in points
        ],
    )


@each(point for point in POINTS if point not in _ASIDE)
def test_killed_at_any_point_everything_happens_exactly_once(ward: Ward, point: str) -> None:
    # given a phone with a red case, and a process that will die at this point
    user, team = ward.team()
    stem = uuid.uuid4().hex[:6]
    phone = ward.phone(user)
    more = _MANY if point == "push.committed_part" else 3
    red = red_day(phone, stem, more)
    died_before = ward.died(point)
    asked_before = len(ward.vertex.requests)
    if point == "job.postponed":
        ward.vertex.faults.append(status(503))
    if point == "sweep.rung":
        # nobody answers the bell of the push: the job is left to the sweeper
        ward.vertex.faults.append(status(503))
    aim(ward.kill_folder, point)

    # when it syncs, again and again until there is an answer, and later deletes the other patient
    answer = insist(phone, phone.request())
    phone.apply(answer)
    assert answer["rejected"] == []
    assert len(answer["accepted"]["cases"]) == more + 1
    phone.delete("patients", f"{stem}-q")
    phone.apply(insist(phone, phone.request()))
    # and the bell comes three times; but for what is left to the sweeper, which may be slower than a bell
    job_id = fields(ward, "cases", red)["_job"]
    ward.ring(Bell(ANALYSE, job_id, red), 0 if point == "sweep.rung" else 2)

    # then the process has died, and everything is there all the same
    until(lambda: ward.died(point) == died_before + 1, f"nobody died at {point}")
    until(lambda: "ai_analysis" in fields(ward, "cases", red), "the analysis")
    until(lambda: fields(ward, "medgemma_queue", red).get("status") == "done", "the queue's row")
    children = Query("cases", where=(("patient_id", "==", f"{stem}-q"),))
    until(
        lambda: all(child.fields.get(record.DELETED) for child in ward.store.query(children)),
        "a child of the deleted patient lives",
    )
    assert len(list(ward.store.query(children))) == more

    # once
    job = fields(ward, "jobs", fields(ward, "cases", red)["_job"])
    assert job["state"] == jobs.DONE
    assert [entry["state"] for entry in job["history"]].count(jobs.DONE) == 1
    assert fields(ward, "cases", red)["ai_analysis"]["status"] == "ok"
    own = Query(jobs.COLLECTION, where=(("subject_id", "==", red),))
    assert len(list(ward.store.query(own))) == 1
    notices = Query("notices", where=(("record_id", "==", red),))
    until(
        lambda: all("taken_at" in each.fields for each in ward.store.query(notices)), "the notice"
    )
    assert [each.key.id for each in ward.store.query(notices)] == [job_id]
    conflicts = Query("conflicts", where=((record.SCOPE, "==", team),))
    assert list(ward.store.query(conflicts)) == []
    asked = len(ward.vertex.requests) - asked_before
    assert asked <= 3  # once, and once more for each worker that died with the answer

    # and the phone holds what the server holds
    for _ in range(2):
        phone.cursor = 0
        phone.rows = {}
        answer = insist(phone, phone.request())
        phone.apply(answer)
    held = {name for table, name in phone.rows if table == "cases"}
    assert held == {red}


@each(_FOLLOWING)
def test_killed_while_children_follow_all_of_them_do(ward: Ward, point: str) -> None:
    # given a patient with cases, that is to move to another team, to come back from deletion, or to
    # be deleted while a case arrives that the push which deletes it has not seen
    user, team = ward.team()
    _, other = ward.team()
    stem = uuid.uuid4().hex[:6]
    phone = ward.phone(user)
    patient = Key("patients", f"{stem}-q")
    red_day(phone, stem, 5)
    phone.apply(insist(phone, phone.request()))
    children = Query("cases", where=(("patient_id", "==", patient.id),))

    def all_of(holds: Callable[[dict[str, Any]], bool]) -> bool:
        found = list(ward.store.query(children))
        return len(found) == 5 and all(holds(child.fields) for child in found)

    if point == "restore.batch":
        phone.delete(*patient)
        phone.apply(insist(phone, phone.request()))
        until(lambda: all_of(lambda have: bool(have.get(record.DELETED))), "the cascade")

    # when the process that does it is killed half way
    died_before = ward.died(point)
    aim(ward.kill_folder, point)
    if point == "restore.batch":
        undelete(ward.store, CATALOG, None, patient, wall_ms())
    elif point == "cascade.batch":
        job = CATALOG.cascade(patient.collection, patient.id, team, wall_ms())
        ward.store.commit([patch(patient, {record.DELETED: wall_ms()}, None), job])
    else:
        transfer.move(ward.store, CATALOG, patient, other, wall_ms())

    # then another one ends it
    until(lambda: ward.died(point) == died_before + 1, f"nobody died at {point}")
    if point == "restore.batch":
        until(lambda: all_of(lambda have: have.get(record.DELETED) is None), "the undelete")
    elif point == "cascade.batch":
        until(lambda: all_of(lambda have: bool(have.get(record.DELETED))), "the cascade")
    else:
        until(lambda: all_of(lambda have: have[record.SCOPE] == other), "the move")
    assert fields(ward, "cases", f"{stem}-red")[record.SCOPE] == team


@each(_PHOTOS)
def test_killed_while_a_photo_arrives_it_is_there_once_and_the_case_is_read(
    ward: Ward, point: str
) -> None:
    # given a red case with a photo, and a process that will die at this point
    user, _ = ward.team()
    stem = uuid.uuid4().hex[:6]
    phone = ward.phone(user)
    phone.save("patients", f"{stem}-p", demographics={"age": 50})
    red, key = f"{stem}-red", f"{stem}.jpg"
    phone.save(
        "cases",
        red,
        patient_id=f"{stem}-p",
        risk_level="red",
        triage_data={"site": "arm"},
        image_keys=[key],
    )
    data = photos.generated(int(stem, 16) % 10_000, (800, 600))
    phone.photos = [photos.announced("cases", red, key, data)]
    phone.apply(insist(phone, phone.request()))
    ticket = phone.tickets[key]
    died_before = ward.died(point)
    aim(ward.kill_folder, point)

    # when the phone sends it, again and again until it is told what became of it
    found, _sent = photos.send(ward.stack.url, ward.token(user), ticket, data, breaks_every=60_000)

    # then the process has died, the photo is there once, and the case is read with it
    until(lambda: ward.died(point) == died_before + 1, f"nobody died at {point}")

    def state() -> str:
        return str(photos.look(ward.stack.url, ward.token(user), ticket["id"])["state"])

    assert found["state"] in ("ready", "checking")
    until(lambda: state() == "ready", "the photo")
    until(lambda: "ai_analysis" in fields(ward, "cases", red), "the analysis")
    until(
        lambda: fields(ward, "cases", red)["ai_analysis"]["provenance"]["image_sha256"] != [],
        "the analysis with its photo",
    )
    shown = photos.look(ward.stack.url, ward.token(user), ticket["id"])
    assert photos.fetch(ward.stack.url, shown["links"]["original"]) == data
    blob = fields(ward, "files", ticket["id"])["blob"]
    checks = Query(jobs.COLLECTION, where=(("subject_id", "==", blob),))
    assert [each.fields["state"] for each in ward.store.query(checks)] == [jobs.DONE]


@pytest.mark.proof
def test_a_power_cut_of_everything_loses_nothing(ward: Ward) -> None:
    # given a red case that was just stored
    user, _ = ward.team()
    stem = uuid.uuid4().hex[:6]
    phone = ward.phone(user)
    red = red_day(phone, stem, 3)
    answer = insist(phone, phone.request())
    # when everything that serves is killed at once, and started again
    ward.stack.kill()
    ward.stack.start()
    # then the same request gets the same verdicts, and the analysis arrives
    again = insist(phone, phone.request())
    assert again["receipt"] == answer["receipt"]
    assert again["accepted"] == answer["accepted"]
    phone.apply(again)

    def analysed() -> bool:
        phone.apply(insist(phone, phone.request()))
        row = phone.row("cases", red)
        return row is not None and bool(row.get("ai_analysis"))

    until(analysed, "the analysis after the power cut", 0.2)
