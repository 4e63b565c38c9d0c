"""Jobs, on both stores: nothing lost, nothing done twice, nothing stuck."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.adapters.scripted import Behaviour, busy, refuse, say
from shared.ai.model import ChatRequest
from shared.errors import ConfigurationFault, ModelMisconfigured, StoreUnavailable
from shared.jobs import job as jobs
from shared.jobs.job import Job, RetryPolicy
from shared.jobs.runner import Again, Finish, Runner, Task
from shared.jobs.sweep import revive
from shared.records import record
from shared.records.store import ABSENT, Key, Write, patch, put
from tests.jobs.conftest import LEASE_MS, Workplace
from tests.neutral.scripted import ScriptedModel, normal
from tests.stores import Interrupted


class Killed(BaseException):
    """The process ends here: no handler of ours runs."""


def writes_of(writes: Sequence[Write], state: str) -> bool:
    """Whether a commit takes a job to that state."""
    return any(
        w.key.collection == jobs.COLLECTION and w.fields.get("state") == state for w in writes
    )


def summaries(place: Workplace, name: str = "c1") -> Any:
    return place.fields("notes", name).get("summary")


def test_a_red_case_gets_its_analysis_and_the_phone_sees_it(place: Workplace) -> None:
    job_id = place.red_note()
    assert place.worker().run(job_id) == "done"
    summary = summaries(place)
    assert summary["status"] == "ok"
    assert summary["mark"] == "red"
    assert place.row() == ("done", 1)
    phone = place.phone()
    phone.sync()
    row = phone.row("notes", "c1")
    assert row is not None
    assert row["summary"]["status"] == "ok"
    assert row["status"] == "WAITING"  # the AI never signs
    states = [entry["state"] for entry in place.fields("jobs", job_id)["history"]]
    assert states == ["queued", "running", "done"]


def test_the_same_bell_three_times_makes_one_analysis(place: Workplace) -> None:
    job_id = place.red_note()
    place.worker().run(job_id)
    first = place.get("notes", "c1")
    assert [place.worker().run(job_id) for _ in range(2)] == ["done", "done"]
    assert place.get("notes", "c1") == first


def test_workers_at_once_make_one_analysis(place: Workplace) -> None:
    job_id = place.red_note()
    asked: list[str] = []

    def count(question: ChatRequest, timeout: float) -> str:
        asked.append(question.text)
        return normal(question, timeout)

    worker = place.worker(ScriptedModel([count] * 6))
    with ThreadPoolExecutor(6) as pool:
        states = list(pool.map(lambda _: worker.run(job_id), range(6)))
    assert states.count("done") >= 1
    assert set(states) <= {"done", "held"}
    assert place.fields("jobs", job_id)["attempts"] == 1
    assert len(asked) == 1


def test_a_busy_model_is_tried_again_later_not_now(place: Workplace) -> None:
    job_id = place.red_note()
    worker = place.worker(ScriptedModel([busy()]))
    assert worker.run(job_id) == "queued"
    assert place.row() == ("queued", 1)
    assert worker.run(job_id) == "held"  # not due yet
    due = place.fields("jobs", job_id)["due_at"]
    assert 10_000 <= due - place.time <= 20_000
    place.time = due
    assert [job.id for job in worker.due("summarise")] == [job_id]
    assert worker.run(job_id) == "done"
    assert place.row() == ("done", 2)


def test_a_job_that_never_works_is_parked_and_the_doctor_still_gets_the_case(
    place: Workplace,
) -> None:
    job_id = place.red_note()
    worker = place.worker(ScriptedModel([busy()] * 9), attempts=3)
    for expected in ("queued", "queued", "parked"):
        assert worker.run(job_id) == expected
        place.time += 4_000_000
    assert summaries(place)["status"] == "unavailable"
    assert summaries(place)["mark"] == "red"
    assert summaries(place)["needs_a_person"] is True
    assert place.row() == ("failed", 3)
    assert worker.due("summarise") == []
    assert place.fields("notes", "c1")["status"] == "WAITING"


def test_a_lasting_fault_fails_at_once_and_the_doctor_still_gets_the_case(
    place: Workplace,
) -> None:
    def absurd(_question: object, _timeout: float) -> str:
        raise ConfigurationFault("A setting is absurd.")

    job_id = place.red_note()
    assert place.worker(ScriptedModel([absurd])).run(job_id) == "failed"
    assert summaries(place)["status"] == "unavailable"
    assert place.row() == ("failed", 1)


@pytest.mark.parametrize(
    ("script", "states", "status"),
    [
        ([refuse()] * 2, ["queued", "parked"], "unavailable"),
        ([say(" ")] * 2, ["queued", "parked"], "unavailable"),
        ([say("I think it is fine."), say("Really.")] * 2, ["queued", "failed"], "unreadable"),
        ([say("?"), say("?"), normal], ["queued", "done"], "ok"),
        ([refuse(), normal], ["queued", "done"], "ok"),
    ],
    ids=["refused", "empty", "contract broken", "contract kept at last", "refused once"],
)
def test_only_a_contract_broken_again_on_the_last_attempt_fails_and_the_doctor_gets_the_case(
    place: Workplace, script: list[Behaviour], states: list[str], status: str
) -> None:
    job_id = place.red_note()
    worker = place.worker(ScriptedModel(script), attempts=2)
    for state in states:
        assert worker.run(job_id) == state
        assert summaries(place) is not None  # said at once
        place.time += 4_000_000
    assert summaries(place)["status"] == status
    assert place.row()[0] == ("done" if status == "ok" else "failed")


# --- a deployment at fault


def misconfigured(_question: object, _timeout: float) -> str:
    raise ModelMisconfigured("The model server answered 404.")


def test_a_deployment_at_fault_is_tried_for_hours_and_costs_no_attempt(place: Workplace) -> None:
    job_id = place.red_note()
    worker = place.worker(ScriptedModel([misconfigured] * 20), attempts=2)
    began, waits = place.time, []
    for _ in range(20):
        assert worker.run(job_id) == "queued"
        job = place.fields("jobs", job_id)
        assert job["attempts"] == 0
        waits.append(job["due_at"] - place.time)
        place.time = job["due_at"]
    # the waits grow to the cap, half of it at least
    assert waits[0] <= 20_000
    assert min(waits[10:]) >= 1_800_000
    assert place.time - began > 5 * 3_600_000
    assert summaries(place)["reason"] == "model_misconfigured"
    # a corrected setting heals it, without a redrive
    assert worker.run(job_id) == "done"
    assert summaries(place)["status"] == "ok"
    assert place.fields("jobs", job_id).get("outage_at") is None


def test_a_deployment_that_stays_at_fault_for_days_parks_its_jobs(place: Workplace) -> None:
    job_id = place.red_note()
    worker = place.worker(ScriptedModel([misconfigured] * 3))
    assert worker.run(job_id) == "queued"
    place.time += 71 * 3_600_000
    assert worker.run(job_id) == "queued"
    place.time += 2 * 3_600_000
    assert worker.run(job_id) == "parked"
    assert place.row() == ("failed", 0)
    # once somebody has redriven it, it waits as long again
    worker.redrive(job_id)
    assert place.worker(ScriptedModel([misconfigured])).run(job_id) == "queued"


def test_a_deployment_at_fault_is_an_alarm(
    place: Workplace, caplog: pytest.LogCaptureFixture
) -> None:
    place.worker(ScriptedModel([misconfigured])).run(place.red_note())
    assert [each.levelname for each in caplog.records if each.message == "deployment at fault"] == [
        "ERROR"
    ]


def test_a_task_that_crashes_counts_as_an_attempt(place: Workplace) -> None:
    job_id = place.red_note()

    def explode(_question: object, _timeout: float) -> str:
        raise ZeroDivisionError

    worker = place.worker(ScriptedModel([explode] * 9), attempts=2)
    assert worker.run(job_id) == "queued"
    place.time += 4_000_000
    assert worker.run(job_id) == "parked"
    assert place.fields("jobs", job_id)["history"][-1]["fault"] == "crashed"


# --- killed between any two steps


def kill_before(state: str) -> Any:
    def before(writes: Sequence[Write]) -> None:
        if writes_of(writes, state):
            raise Killed

    return before


@pytest.mark.parametrize("state", ["running", "done"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_around_any_commit_the_case_gets_exactly_one_analysis(
    place: Workplace, state: str, moment: str
) -> None:
    # given a worker that is killed around the commit that takes its job to a state
    job_id = place.red_note()
    doomed = place.worker(store=Interrupted(place.store, **{moment: kill_before(state)}))
    with pytest.raises(Killed):
        doomed.run(job_id)
    # when another worker comes by, again and again, also after the lease
    for _ in range(3):
        place.worker().run(job_id)
        place.time += LEASE_MS + 1
    # then the note has its summary, and the job is done
    assert place.state(job_id) == "done"
    assert summaries(place)["status"] == "ok"
    assert place.row()[0] == "done"
    states = [entry["state"] for entry in place.fields("jobs", job_id)["history"]]
    assert states.count("done") == 1


def test_killed_while_the_model_thinks_the_job_waits_for_its_lease(place: Workplace) -> None:
    job_id = place.red_note()

    def die(_question: object, _timeout: float) -> str:
        raise Killed

    with pytest.raises(Killed):
        place.worker(ScriptedModel([die])).run(job_id)
    assert place.row() == ("processing", 1)
    assert place.worker().run(job_id) == "held"
    place.time += LEASE_MS
    assert place.worker().run(job_id) == "done"
    assert place.row() == ("done", 2)


def test_a_worker_that_lost_its_lease_changes_nothing(place: Workplace) -> None:
    # given a slow worker whose lease runs out while the model thinks
    job_id = place.red_note()

    def overtaken(_question: object, _timeout: float) -> str:
        place.time += LEASE_MS
        assert place.worker().run(job_id) == "done"
        return "{}"

    slow = place.worker(ScriptedModel([overtaken, busy()]))
    # when it comes back
    assert slow.run(job_id) == "held"
    # then the other's result stands
    assert place.state(job_id) == "done"
    assert place.row() == ("done", 2)
    assert summaries(place)["status"] == "ok"


def test_a_job_that_kills_every_worker_is_parked(place: Workplace) -> None:
    job_id = place.red_note()

    def die(_question: object, _timeout: float) -> str:
        raise Killed

    for _ in range(3):
        with pytest.raises(Killed):
            place.worker(ScriptedModel([die]), attempts=3).run(job_id)
        place.time += LEASE_MS
    assert place.worker(attempts=3).run(job_id) == "parked"
    assert summaries(place)["status"] == "unavailable"


@pytest.mark.parametrize("state", ["running", "done", "queued"])
def test_a_lost_answer_of_any_commit_loses_no_lease(place: Workplace, state: str) -> None:
    job_id = place.red_note()
    lost: list[bool] = []

    def lose_one(writes: Sequence[Write]) -> None:
        if writes_of(writes, state) and not lost:
            lost.append(True)
            raise StoreUnavailable("the answer was lost")

    model = ScriptedModel([busy()] if state == "queued" else [])
    worker = place.worker(model, store=Interrupted(place.store, after=lose_one))
    if state == "queued":
        with pytest.raises(StoreUnavailable):
            worker.run(job_id)  # the bell rings again; the job itself is already back in the queue
        place.time += 30_000
    assert worker.run(job_id) == "done"
    assert lost
    assert place.state(job_id) == "done"
    states = [entry["state"] for entry in place.fields("jobs", job_id)["history"]]
    assert states.count("done") == 1


# --- a note that changes meanwhile


def test_a_case_that_changed_meanwhile_never_gets_the_stale_result(place: Workplace) -> None:
    job_id = place.red_note()

    def change(question: ChatRequest, timeout: float) -> str:
        phone = place.phone()
        phone.sync()
        phone.save("notes", "c1", at=2000, body={"site": "leg"})
        phone.sync()
        return normal(question, timeout)

    worker = place.worker(ScriptedModel([change]))
    assert worker.run(job_id) == "stale"
    assert summaries(place) is None
    (newer,) = (job for job in place.jobs() if job.state == "queued")
    assert place.row()[0] == "queued"
    assert worker.run(newer.id) == "done"
    assert summaries(place)["status"] == "ok"


def test_another_write_of_the_server_meanwhile_does_not_spoil_the_result(place: Workplace) -> None:
    job_id = place.red_note()
    done: list[bool] = []

    def touch(writes: Sequence[Write]) -> None:
        if writes_of(writes, "done") and not done:
            done.append(True)
            place.store.commit([patch(Key("notes", "c1"), {"picture_urls": ["u"]}, None)])

    assert place.worker(store=Interrupted(place.store, before=touch)).run(job_id) == "done"
    assert summaries(place)["status"] == "ok"
    assert place.fields("notes", "c1")["picture_urls"] == ["u"]


def test_a_case_deleted_meanwhile_makes_its_job_stale(place: Workplace) -> None:
    job_id = place.red_note()
    phone = place.phone()
    phone.sync()
    phone.delete("notes", "c1")
    phone.sync()
    assert place.worker().run(job_id) == "stale"
    assert summaries(place) is None


def test_a_stale_job_leaves_the_newer_jobs_row_alone(place: Workplace) -> None:
    first = place.red_note()
    phone = place.phone()
    phone.sync()
    phone.save("notes", "c1", at=2000, body={"site": "leg"})
    phone.sync()
    (newer,) = (job for job in place.jobs() if job.id != first)
    worker = place.worker()
    assert worker.run(newer.id) == "done"
    assert worker.run(first) == "stale"
    assert place.row() == ("done", 1)


def test_a_stale_job_brings_no_deleted_row_back(place: Workplace) -> None:
    job_id = place.red_note()
    phone = place.phone()
    phone.sync()
    phone.delete("notes", "c1")
    phone.sync()
    worker = place.worker()
    worker.run_due("cascade", 120)
    assert worker.run(job_id) == "stale"
    assert place.fields("summary_queue", "c1")["deleted_at"]


def test_an_edit_that_leaves_the_input_alone_makes_no_new_job(place: Workplace) -> None:
    place.red_note()
    phone = place.phone()
    phone.sync()
    phone.save("notes", "c1", at=2000, mark="high")  # another word for red
    phone.sync()
    assert len(place.jobs()) == 1


def test_input_that_goes_back_to_what_it_was_is_analysed_again(place: Workplace) -> None:
    place.red_note()
    phone = place.phone()
    phone.sync()
    for at, site in ((2000, "leg"), (3000, "arm")):
        phone.save("notes", "c1", at=at, body={"site": site})
        phone.sync()
    worker = place.worker()
    report = worker.run_due("summarise", 60)
    assert sorted(report.states.values()) == ["done", "stale"]
    assert summaries(place)["status"] == "ok"
    assert place.row()[0] == "done"


# --- many jobs


def test_what_is_due_is_drained_the_most_urgent_first(place: Workplace) -> None:
    for number in range(5):
        place.red_note(f"c{number}")
    late = place.jobs()[3]
    place.store.commit([patch(jobs.key(late.id), {"priority": 9}, late.version)])
    worker = place.worker()
    report = worker.run_due("summarise", 60)
    assert list(report.states.values()) == ["done"] * 5
    assert list(report.states)[-1] == late.id


def test_a_poison_job_parks_alone(place: Workplace) -> None:
    poison = place.red_note("poison", body={"site": "poison"})
    for number in range(3):
        place.red_note(f"c{number}")

    def choke(question: ChatRequest, timeout: float) -> str:
        if "poison" in question.text:
            raise ZeroDivisionError
        return normal(question, timeout)

    worker = place.worker(ScriptedModel([choke] * 20), attempts=2)
    for _ in range(3):
        worker.run_due("summarise", 60)
        place.time += 4_000_000
    states = {job.id: job.state for job in place.jobs()}
    assert states.pop(poison) == "parked"
    assert set(states.values()) == {"done"}


def test_an_unknown_job_is_said_to_be_unknown(place: Workplace) -> None:
    assert place.worker().run("summarise~nothing") == "unknown"


# --- dead letters


def test_a_dead_letter_makes_a_waiting_job_due_at_once(place: Workplace) -> None:
    job_id = place.red_note()
    worker = place.worker(ScriptedModel([busy()]))
    worker.run(job_id)
    assert worker.run(job_id) == "held"
    assert revive(place.store, job_id, place.now_ms) == "queued"
    assert worker.run(job_id) == "done"


def test_a_dead_letter_never_touches_a_live_lease(place: Workplace) -> None:
    job_id = place.red_note()

    def meanwhile(_question: object, _timeout: float) -> str:
        before = place.get("jobs", job_id)
        assert revive(place.store, job_id, place.now_ms) == "running"
        assert place.get("jobs", job_id) == before
        raise Killed

    with pytest.raises(Killed):
        place.worker(ScriptedModel([meanwhile])).run(job_id)


@pytest.mark.parametrize("state", ["done", "parked"])
def test_a_dead_letter_of_a_job_that_ended_changes_nothing(place: Workplace, state: str) -> None:
    job_id = place.red_note()
    model = ScriptedModel([busy()] if state == "parked" else [])
    place.worker(model, attempts=1).run(job_id)
    before = place.get("jobs", job_id)
    assert revive(place.store, job_id, place.now_ms) == state
    assert place.get("jobs", job_id) == before
    assert revive(place.store, "summarise~nothing", place.now_ms) == "unknown"


# --- retry policy


@pytest.mark.parametrize(
    ("attempt", "low", "high"), [(1, 10, 20), (2, 20, 40), (5, 160, 320), (9, 1800, 3600)]
)
def test_waits_double_with_jitter_up_to_the_cap(attempt: int, low: float, high: float) -> None:
    policy = RetryPolicy(10, 20.0, 3600.0)
    waits = [policy.wait_ms(attempt) / 1000 for _ in range(200)]
    assert low <= min(waits) <= max(waits) <= high
    assert max(waits) - min(waits) > (high - low) / 4


def test_a_wait_is_at_least_what_the_server_asked_for() -> None:
    policy = RetryPolicy(10, 20.0, 3600.0)
    assert policy.wait_ms(1, retry_after_s=120) == 120_000
    assert policy.wait_ms(1, retry_after_s=10**9) == 3_600_000


def test_a_move_is_guarded_by_the_version_that_was_read(place: Workplace) -> None:
    job_id = place.red_note()
    document = place.get("jobs", job_id)
    assert document is not None
    write = Job.of(document).move("parked", place.time)
    assert write.expect == document.version
    assert write.fields["due_at"] is None
    assert record.DELETED not in write.fields


def test_a_parked_job_that_is_redriven_starts_anew(place: Workplace) -> None:
    job_id = place.red_note()
    place.worker(ScriptedModel([busy()]), attempts=1).run(job_id)
    assert place.row() == ("failed", 1)
    worker = place.worker()
    assert worker.redrive("another") == []
    assert worker.redrive() == [job_id]
    assert place.row() == ("queued", 0)
    assert worker.run(job_id) == "done"
    assert summaries(place)["status"] == "ok"
    assert worker.redrive() == []


# --- what no other test would notice


def test_a_result_and_the_end_of_its_job_are_one_commit(place: Workplace) -> None:
    job_id = place.red_note()
    commits: list[tuple[bool, bool]] = []

    def look(writes: Sequence[Write]) -> None:
        result = any("summary" in write.fields for write in writes)
        commits.append((result, writes_of(writes, "done")))

    assert place.worker(store=Interrupted(place.store, before=look)).run(job_id) == "done"
    assert (True, True) in commits
    assert all(result == done for result, done in commits)


def test_a_claim_and_what_the_phone_sees_of_it_are_one_commit(place: Workplace) -> None:
    job_id = place.red_note()
    commits: list[tuple[bool, bool]] = []

    def look(writes: Sequence[Write]) -> None:
        seen = any(write.fields.get("status") == "processing" for write in writes)
        commits.append((seen, writes_of(writes, "running")))

    assert place.worker(store=Interrupted(place.store, before=look)).run(job_id) == "done"
    assert (True, True) in commits
    assert all(seen == claimed for seen, claimed in commits)


def test_a_case_that_changes_just_before_the_result_is_stored_never_gets_it(
    place: Workplace,
) -> None:
    job_id = place.red_note()
    changed: list[bool] = []

    def change(writes: Sequence[Write]) -> None:
        if writes_of(writes, "done") and not changed:
            changed.append(True)
            phone = place.phone()
            phone.sync()
            phone.save("notes", "c1", at=2000, body={"site": "leg"})
            phone.sync()

    assert place.worker(store=Interrupted(place.store, before=change)).run(job_id) == "stale"
    assert summaries(place) is None


def test_a_replay_is_told_that_its_record_was_deleted_with_its_parent(place: Workplace) -> None:
    # given a note whose push got no answer
    phone = place.phone()
    phone.save("notebooks", "p1", at=1000, cover={})
    phone.sync()
    note = {
        "notebook_id": "p1",
        "maker_id": "member1",
        "body": {},
        "mark": "green",
        "status": "KEPT",
    }
    phone.save("notes", "c1", at=1000, **note)
    body = phone.request()
    place.answer(body, phone)
    # when the note is deleted with its notebook, and the same push comes again
    other = place.phone("member1", "second-phone")
    other.sync()
    other.delete("notebooks", "p1")
    other.sync()
    place.worker().run_due("cascade", 120)
    # then the phone is told
    assert place.answer(body, phone)["deleted"]["notes"] == ["c1"]


def test_a_redriven_job_has_all_its_attempts_again(place: Workplace) -> None:
    job_id = place.red_note()
    worker = place.worker(ScriptedModel([busy()]), attempts=1)
    assert worker.run(job_id) == "parked"
    assert worker.redrive() == [job_id]
    assert worker.run(job_id) == "done"


class Rings(Task):
    """A job that is due again a minute after each time, thrice."""

    def __init__(self, times: list[int]) -> None:
        self.times = times

    def work(self, job: Job) -> Finish:
        def finish(now_ms: int) -> Again | list[Write]:
            rung = put(Key("rung", f"{now_ms}"), {"at": now_ms}, ABSENT)
            return [rung] if len(self.times) == 3 else Again(now_ms + 60_000, [rung])

        self.times.append(job.attempts)
        return finish


def test_a_job_that_is_due_again_begins_anew_in_the_commit_of_its_result(place: Workplace) -> None:
    times: list[int] = []
    runner = Runner(
        place.store,
        {"rings": Rings(times)},
        policy=RetryPolicy(attempts=2),
        lease_ms=600_000,
        clock=place.now_ms,
    )
    later = place.time + 60_000
    place.store.commit([jobs.create("r", "rings", "t", "s", "team1", place.time, due_ms=later)])
    assert place.fields("jobs", "r")["created_at"] == later  # until then nobody waits for it
    assert runner.run("r") == "held"
    place.time = later
    # more often than a job may be tried: each time is a first attempt
    assert [runner.run("r"), runner.run("r")] == ["queued", "held"]
    assert (place.fields("jobs", "r")["due_at"], "token" in place.fields("jobs", "r")) == (
        later + 60_000,
        False,
    )
    place.time += 60_000
    assert runner.run("r") == "queued"
    place.time += 60_000
    assert [runner.run("r"), runner.run("r")] == ["done", "done"]
    assert times == [1, 1, 1]
    assert len(place.all("rung")) == 3
