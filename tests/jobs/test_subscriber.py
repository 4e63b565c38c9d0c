"""A bell is one attempt at a job; what waits unheard is rung for."""

from __future__ import annotations

import base64
import json
from collections import Counter
from contextlib import nullcontext
from typing import Any

import pytest

from shared.errors import StoreUnavailable
from shared.jobs import job as jobs
from shared.jobs.runner import Runner
from shared.jobs.subscriber import Subscriber
from shared.records.bell import Bell
from tests.jobs.conftest import Workplace
from tests.jobs.test_sweep import Noted
from tests.neutral.tables import SUMMARISE


def message(job_id: str) -> dict[str, Any]:
    said = {"kind": SUMMARISE, "job_id": job_id, "subject_id": "c1"}
    return {"message": {"data": base64.b64encode(json.dumps(said).encode()).decode()}}


def subscriber(place: Workplace, doorbell: Noted, worker: Runner | None = None) -> Subscriber:
    made = worker or place.worker()
    return Subscriber(
        lambda: place.store,
        lambda: made,
        place.now_ms,
        doorbell=lambda: doorbell,
        span=lambda *_: nullcontext(),
    )


def states(place: Workplace) -> Counter[str]:
    return Counter(job.state for job in place.jobs())


def test_a_bell_is_answered_after_its_own_job(place: Workplace) -> None:
    # given three red notes that just came in
    first, *_ = [place.red_note(f"c{number}") for number in range(3)]
    doorbell = Noted()

    # when the first one's bell is heard
    subscriber(place, doorbell).answer(SUMMARISE, "e1", message(first))

    # then the others wait for their own bells, which are on their way
    assert states(place) == {jobs.DONE: 1, jobs.QUEUED: 2}
    assert doorbell.rung == []


@pytest.mark.parametrize("named", ["one that is done", "one that nobody knows", "one in work"])
def test_a_bell_that_has_nothing_to_do_takes_another_job(place: Workplace, named: str) -> None:
    # given two red notes, one of them done or in work
    first, _ = place.red_note("c1"), place.red_note("c2")
    done = 0
    if named == "one that is done":
        place.worker().run(first)
        done = 1
    if named == "one in work":
        document = place.get("jobs", first)
        assert document is not None
        lease = place.time + 1000
        claim = jobs.Job.of(document).move(jobs.RUNNING, place.time, due_at=lease, token="t")
        place.store.commit([claim])
    if named == "one that nobody knows":
        first = "nobody"

    # when its bell comes again
    subscriber(place, Noted()).answer(SUMMARISE, "e1", message(first))

    # then the bell was not for nothing
    assert states(place)[jobs.DONE] == done + 1


def test_one_bell_leads_to_all_that_wait_unheard(place: Workplace) -> None:
    # given five red notes whose bells were lost a minute ago, and one that just came in
    lost = [place.red_note(f"c{number}") for number in range(5)]
    place.time += 60_000
    place.red_note("new")
    doorbell = Noted()
    answering = subscriber(place, doorbell)

    # when one bell is heard, and each that is rung for it
    answering.answer(SUMMARISE, "e1", message(lost[0]))
    heard = 1
    while doorbell.rung:
        bell: Bell = doorbell.rung.pop()
        answering.answer(SUMMARISE, f"e{heard}", message(bell.job_id))
        heard += 1

    # then one bell a job was enough, and the new one waits for its own
    assert heard == 5
    assert {job.subject_id: job.state for job in place.jobs()} == {
        **{f"c{number}": jobs.DONE for number in range(5)},
        "new": jobs.QUEUED,
    }


def test_a_queue_that_is_down_does_not_refuse_the_bell(place: Workplace) -> None:
    first, _ = place.red_note("c1"), place.red_note("c2")
    place.time += 60_000
    subscriber(place, Noted(broken=True)).answer(SUMMARISE, "e1", message(first))
    assert states(place) == {jobs.DONE: 1, jobs.QUEUED: 1}


def test_a_store_that_fails_after_the_job_does_not_refuse_the_bell(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = place.worker()
    job_id = place.red_note()

    def fail(*_: object, **__: object) -> list[jobs.Job]:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(worker, "due", fail)
    subscriber(place, Noted(), worker).answer(SUMMARISE, "e1", message(job_id))
    assert states(place) == {jobs.DONE: 1}


def test_a_bell_of_nobody_is_answered_and_asks_nothing(place: Workplace) -> None:
    place.red_note()
    subscriber(place, Noted()).answer(SUMMARISE, "e1", {"message": {"data": "?"}})
    assert states(place) == {jobs.QUEUED: 1}
