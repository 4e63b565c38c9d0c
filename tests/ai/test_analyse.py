"""The job `analyse` keeps what the engine asks of every job (tests/jobs/test_runner.py), on both stores."""

from __future__ import annotations

from typing import Any

from shared.ai.model import ChatRequest
from shared.records import record
from tests.ai.workplace import Clinic, Workplace
from tests.ai.workplace import clinic as clinic
from tests.ai.workplace import place as place
from tests.scripted import ScriptedModel, draft, normal


def analyses(place: Workplace, name: str = "c1") -> Any:
    return place.fields("cases", name).get("ai_analysis")


def test_a_red_case_gets_its_analysis_and_the_phone_sees_it(place: Workplace) -> None:
    job_id = place.red_case()
    assert place.worker().run(job_id) == "done"
    analysis = analyses(place)
    assert analysis["status"] == "ok"
    assert analysis["triage_final"] == "red"
    assert place.row() == ("done", 1)
    phone = place.phone()
    phone.sync()
    row = phone.row("cases", "c1")
    assert row is not None
    assert row["ai_analysis"]["status"] == "ok"
    assert row["status"] == "PENDING_DIAGNOSIS"  # the AI never diagnoses
    states = [entry["state"] for entry in place.fields("jobs", job_id)["history"]]
    assert states == ["queued", "running", "done"]


def test_a_case_that_changed_meanwhile_never_gets_the_stale_result(place: Workplace) -> None:
    job_id = place.red_case()

    def change(question: ChatRequest, timeout: float) -> str:
        phone = place.phone()
        phone.sync()
        phone.save("cases", "c1", at=2000, triage_data={"site": "leg"})
        phone.sync()
        return normal(question, timeout)

    worker = place.worker(ScriptedModel([change]))
    assert worker.run(job_id) == "stale"
    assert analyses(place) is None
    (newer,) = (job for job in place.jobs() if job.state == "queued")
    assert place.row()[0] == "queued"
    assert worker.run(newer.id) == "done"
    assert analyses(place)["status"] == "ok"


def test_a_case_deleted_meanwhile_makes_its_job_stale(place: Workplace) -> None:
    job_id = place.red_case()
    phone = place.phone()
    phone.sync()
    phone.delete("cases", "c1")
    phone.sync()
    assert place.worker().run(job_id) == "stale"
    assert analyses(place) is None


def test_a_stale_job_leaves_the_newer_jobs_row_alone(place: Workplace) -> None:
    first = place.red_case()
    phone = place.phone()
    phone.sync()
    phone.save("cases", "c1", at=2000, triage_data={"site": "leg"})
    phone.sync()
    (newer,) = (job for job in place.jobs() if job.id != first)
    worker = place.worker()
    assert worker.run(newer.id) == "done"
    assert worker.run(first) == "stale"
    assert place.row() == ("done", 1)


def test_a_stale_job_brings_no_deleted_row_back(place: Workplace) -> None:
    job_id = place.red_case()
    phone = place.phone()
    phone.sync()
    phone.delete("cases", "c1")
    phone.sync()
    worker = place.worker()
    worker.run_due("cascade", 120)
    assert worker.run(job_id) == "stale"
    assert place.fields("medgemma_queue", "c1")["deleted_at"]


def test_before_a_doctor_signed_a_health_worker_sees_a_part_of_the_analysis(
    clinic: Clinic,
) -> None:
    one, doctor = clinic.phone("chw1"), clinic.phone("doc")
    clinic.join("doc", "team1", "doctor")
    one.save("patients", "p1", demographics={})
    one.save("cases", "c1", patient_id="p1", triage_data={}, risk_level="red")
    one.sync()
    stored = clinic.get("cases", "c1")
    assert stored is not None
    analysis = {"status": "ok", "urgency": "urgent", "differential": [{"label": "x"}]}
    clinic.store.commit([record.server_patch(stored, {"ai_analysis": analysis})])
    one.sync()
    doctor.sync()
    row, whole = one.row("cases", "c1"), doctor.row("cases", "c1")
    assert row is not None
    assert whole is not None
    assert row["ai_analysis"] == {"status": "ok", "urgency": "urgent"}
    assert whole["ai_analysis"] == analysis
    stored = clinic.get("cases", "c1")
    assert stored is not None
    clinic.store.commit([record.server_patch(stored, {"status": "DIAGNOSED"})])
    one.sync()
    signed = one.row("cases", "c1")
    assert signed is not None
    assert signed["ai_analysis"] == analysis


def test_every_scripted_answer_says_that_it_has_no_clinical_value() -> None:
    for i in range(5):
        said = draft(ChatRequest("", f"Case {i}"))
        assert "clinical value" in said["uncertainty"]["note"]
        assert all("no clinical value" in entry["label"] for entry in said["differential"])
