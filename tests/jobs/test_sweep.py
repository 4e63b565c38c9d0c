"""The sweeper: what nobody rang for is rung, what is its own is run, what expired goes."""

from __future__ import annotations

import threading
from functools import partial

from infra.cli.migrator import Migrator, known
from shared.errors import QueueUnavailable
from shared.jobs import job as jobs
from shared.jobs.cascade import KIND
from shared.jobs.job import Job, RetryPolicy
from shared.jobs.queue import Doorbell
from shared.jobs.runner import Finish, Runner, Task
from shared.jobs.sweep import Sweeper
from shared.records.bell import Bell
from shared.records.store import ABSENT, Key, put
from shared.sync import receipts
from tests.jobs.conftest import LEASE_MS, Workplace
from tests.neutral.tables import CATALOG, SUMMARISE


class Noted(Doorbell):
    """A doorbell that writes down who rang; `broken` makes it unreachable."""

    def __init__(self, *, broken: bool = False) -> None:
        self.rung: list[Bell] = []
        self.broken = broken

    def ring(self, bell: Bell) -> None:
        if self.broken:
            raise QueueUnavailable("nobody answers")
        self.rung.append(bell)

    def close(self) -> None:
        return


def sweeper(place: Workplace, doorbell: Doorbell) -> Sweeper:
    return Sweeper(
        place.store,
        place.worker(),
        doorbell,
        rung_kinds=(SUMMARISE,),
        own_kinds=(KIND,),
        clock=place.now_ms,
        rounds={"receipts": partial(receipts.remove_expired, place.store)},
    )


def test_due_jobs_are_rung_for_and_others_are_left_alone(place: Workplace) -> None:
    first, second = place.red_note("c1"), place.red_note("c2")
    place.worker().run(second)
    bells = Noted()
    swept = sweeper(place, bells).sweep()
    assert [(bell.kind, bell.job_id, bell.subject_id) for bell in bells.rung] == [
        ("summarise", first, "c1")
    ]
    assert swept.rung == 1


def test_a_lease_that_ran_out_is_rung_for(place: Workplace) -> None:
    job_id = place.red_note()
    document = place.get("jobs", job_id)
    assert document is not None
    from shared.jobs.job import Job

    claim = Job.of(document).move(
        "running", place.time, due_at=place.time + LEASE_MS, token="t", attempts=1
    )
    place.store.commit([claim])
    bells = Noted()
    sweeper(place, bells).sweep()
    assert bells.rung == []
    place.time += LEASE_MS
    sweeper(place, bells).sweep()
    assert [bell.job_id for bell in bells.rung] == [job_id]


def test_an_unreachable_queue_does_not_stop_the_rest(place: Workplace) -> None:
    place.red_note("c1")
    phone = place.phone()
    phone.sync()
    phone.delete("notebooks", "p1")
    phone.sync()
    swept = sweeper(place, Noted(broken=True)).sweep()
    assert swept.queue_down
    assert swept.ran >= 1
    assert place.fields("notes", "c1")["deleted_at"]


def test_receipts_go_when_they_expire_and_not_before(place: Workplace) -> None:
    place.red_note()
    assert sweeper(place, Noted()).sweep().rounds["receipts"] == 0
    place.time += 8 * 86_400_000
    swept = sweeper(place, Noted()).sweep()
    assert swept.rounds["receipts"] == 1
    assert place.all("receipts") == []


def test_receipts_of_an_earlier_release_go_once_they_are_migrated(place: Workplace) -> None:
    old = Key("receipts", "7f")
    place.store.commit([put(old, {"verdicts": "{}", "expires_at": place.time}, ABSENT)])
    assert sweeper(place, Noted()).sweep().rounds["receipts"] == 0
    Migrator(place.store, CATALOG, known(CATALOG)["shard-receipts"]).run()
    assert sweeper(place, Noted()).sweep().rounds["receipts"] == 1
    assert place.all("receipts") == []


def test_what_accounts_no_longer_need_goes_when_it_expires(place: Workplace) -> None:
    names = ("sessions", "invites", "throttles")
    for name in names:
        for when in (place.time, place.time + 1):
            place.store.commit([put(Key(name, f"at-{when}"), {"expires_at": when}, ABSENT)])
    assert sweeper(place, Noted()).sweep().expired == 3
    for name in names:
        assert [each.key.id for each in place.all(name)] == [f"at-{place.time + 1}"]


class Meets(Task):
    """Jobs that end only when three of them run at the same time."""

    side_by_side = 3

    def __init__(self) -> None:
        self.meeting, self.done = threading.Barrier(3, timeout=20), 0

    def work(self, job: Job) -> Finish:
        self.meeting.wait()
        self.done += 1
        return lambda _now: ()


def test_jobs_that_wait_for_others_run_side_by_side_each_once(place: Workplace) -> None:
    task = Meets()
    runner = Runner(
        place.store,
        {"meets": task},
        policy=RetryPolicy(),
        lease_ms=LEASE_MS,
        clock=place.now_ms,
    )
    names = [f"m{number}" for number in range(3)]
    place.store.commit([jobs.create(n, "meets", "t", n, "team1", place.time) for n in names])
    own = Sweeper(
        place.store, runner, Noted(), rung_kinds=(), own_kinds=("meets",), clock=place.now_ms
    )
    assert (own.sweep().ran, own.sweep().ran, task.done) == (3, 0, 3)
    assert {place.state(name) for name in names} == {jobs.DONE}
