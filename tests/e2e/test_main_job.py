"""The main job, with real parts only: a phone syncs a red case over HTTP and gets its analysis back.

On the `emulator` profile that is: HTTP → sync function → Firestore → Pub/Sub → push subscription →
analyse function → the real Vertex AI client → a server speaking Vertex's wire format → Firestore →
the next sync.
"""

from __future__ import annotations

import hashlib
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.local import photos
from infra.local.phone import Json, Phone
from shared.records.store import Key
from tests.e2e.conftest import Deployment
from tests.patience import until


def until_analysed(phone: Phone, name: str) -> Json:
    def look() -> Json | None:
        phone.sync()
        row = phone.row("cases", name)
        return row if row is not None and row.get("ai_analysis") is not None else None

    return until(look, "the analysis") or {}


def red_day(phone: Phone, stem: str, cases: int = 1, photo: bytes | None = None) -> list[str]:
    phone.save("patients", f"{stem}-p", demographics={"age": 41, "sex": "female", "name": "N. N."})
    names = [f"{stem}-c{number}" for number in range(cases)]
    for name in names:
        phone.save(
            "cases",
            name,
            patient_id=f"{stem}-p",
            risk_level="red",
            triage_data={"site": "foot", "duration_days": 60},
            image_keys=[f"{name}-1"] if photo else [],
        )
        if photo is not None:
            phone.photos.append(photos.announced("cases", name, f"{name}-1", photo))
    return names


def test_a_red_case_comes_back_with_its_analysis(deployment: Deployment) -> None:
    # given a health worker and a doctor of one team
    team, stem = f"team-{uuid.uuid4().hex[:6]}", uuid.uuid4().hex[:6]
    deployment.join("e2e-chw", team)
    deployment.join("e2e-doc", team, "doctor")
    phone = deployment.phone("e2e-chw", f"phone-{stem}")
    photo = photos.generated(hash(stem) % 1000)
    (name,) = red_day(phone, stem, photo=photo)
    # when the phone syncs a red case
    answer = phone.sync()
    # then it is stored and on its way in the same answer
    assert answer["accepted"]["cases"] == [name]
    row = phone.row("cases", name)
    assert row is not None
    assert row["status"] == "PENDING_DIAGNOSIS"
    # when its photo has come, over connections that break every 100 kB
    (ticket,) = phone.tickets.values()
    url, token = deployment.stack.url, deployment.token("e2e-chw")
    found, sent = photos.send(url, token, ticket, photo, breaks_every=100_000)
    assert (found["state"], found["sha256"]) == ("ready", ticket["sha256"])
    assert sent <= 1.1 * len(photo)
    # then the next syncs bring the analysis, as far as a health worker may see it
    row = until_analysed(phone, name)
    assert row["ai_analysis"]["triage_final"] == "red"
    assert row["ai_analysis"]["requires_human_review"] is True
    assert "differential" not in row["ai_analysis"]
    queue = phone.row("medgemma_queue", name)
    assert queue is not None
    assert (queue["status"], queue["attempts"]) == ("done", 1)
    # and the doctor, also at a first sync, sees all of it
    doctor = deployment.phone("e2e-doc", f"screen-{stem}")
    doctor.sync()
    whole = doctor.row("cases", name)
    assert whole is not None
    assert whole["ai_analysis"]["differential"]
    origin = whole["ai_analysis"]["provenance"]
    assert (origin["attempts"], origin["images_missing"]) == (1, 0)
    # who sees the photo that the model saw, and the original by a link
    shown = photos.look(url, deployment.token("e2e-doc"), whole["image_urls"][0].rpartition("/")[2])
    assert photos.fetch(url, shown["links"]["original"]) == photo
    small = photos.fetch(url, shown["links"]["896"])
    assert origin["image_sha256"] == [hashlib.sha256(small).hexdigest()]
    # and the store holds one finished job
    key = Key("cases", name)
    job = Key("jobs", deployment.store.read([key]).documents[key].fields["_job"])
    fields = deployment.store.read([job]).documents[job].fields
    states = [entry["state"] for entry in fields["history"]]
    assert states == ["awaiting_files", "queued", "running", "done"]


def test_a_case_that_only_a_rule_calls_red_is_analysed_too(deployment: Deployment) -> None:
    team, stem = f"team-{uuid.uuid4().hex[:6]}", uuid.uuid4().hex[:6]
    user = f"chw-{stem}"
    deployment.join(user, team)
    phone = deployment.phone(user)
    phone.save("patients", f"{stem}-p", demographics={"age_months": 4})
    name = f"{stem}-c"
    answers = {"site": "trunk", "blisters": True, "duration_days": 2}
    phone.save("cases", name, patient_id=f"{stem}-p", risk_level="green", triage_data=answers)
    phone.sync()
    row = phone.row("cases", name)
    assert row is not None
    assert (row["status"], row["risk_level"]) == ("PENDING_DIAGNOSIS", "green")
    assert row["rules"]["flags"] == ["blistering", "infant"]
    row = until_analysed(phone, name)
    assert row["ai_analysis"]["triage_final"] == "red"
    assert set(row["ai_analysis"]["red_flags"]) >= {"blistering", "infant"}


def test_the_same_red_batch_five_times_at_once_makes_one_analysis(deployment: Deployment) -> None:
    team, stem = f"team-{uuid.uuid4().hex[:6]}", uuid.uuid4().hex[:6]
    user = f"chw-{stem}"
    deployment.join(user, team)
    phone = deployment.phone(user)
    (name,) = red_day(phone, stem)
    body = phone.request()
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: phone.send(body, phone), range(5)))
    for part in ("accepted", "conflicts", "rejected", "receipt"):
        assert all(answer[part] == answers[0][part] for answer in answers)
    until_analysed(phone, name)
    key = Key("cases", name)
    job = Key("jobs", deployment.store.read([key]).documents[key].fields["_job"])
    assert deployment.store.read([job]).documents[job].fields["attempts"] == 1


def test_a_burst_of_red_cases_is_drained(deployment: Deployment) -> None:
    team, stem = f"team-{uuid.uuid4().hex[:6]}", uuid.uuid4().hex[:6]
    user = f"chw-{stem}"
    deployment.join(user, team)
    phone = deployment.phone(user)
    names = red_day(phone, stem, cases=12)
    assert len(phone.sync()["accepted"]["cases"]) == 12
    for name in names:
        until_analysed(phone, name)
    states = {name: phone.row("medgemma_queue", name) for name in names}
    assert all(row is not None and row["status"] == "done" for row in states.values())


@pytest.mark.parametrize("path", ["/health", "/ready", "/version", "/openapi.json", "/docs"])
def test_status_paths_answer_without_a_token(deployment: Deployment, path: str) -> None:
    import urllib.request

    with urllib.request.urlopen(deployment.stack.url + path) as response:
        assert response.status == 200
        assert response.headers["X-Request-Id"]
