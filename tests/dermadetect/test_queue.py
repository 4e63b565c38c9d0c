"""The queue at its worst: bells three times and out of order, no queue at all, dead letters.

Nothing here depends on bells arriving once, in order, or at all.
"""

from __future__ import annotations

import random
import re
import socket
import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from string import ascii_lowercase

import pytest

from infra.local.stack import Stack
from infra.local.table import REPOSITORY
from infra.local.vertex import VertexServer, status
from shared.adapters.sqlite_queue import FILE_NAME, SqliteDoorbell
from shared.ai.model import ChatRequest
from shared.errors import StoreUnavailable
from shared.jobs import job as jobs
from shared.jobs.queue import REST_SECONDS
from shared.products.dermadetect.tables import ANALYSE
from shared.records.bell import Bell
from shared.records.store import Key, Query
from tests import stores
from tests.ai.workplace import Workplace
from tests.e2e.conftest import Deployment
from tests.patience import until
from tests.reliability.conftest import Ward
from tests.scripted import ScriptedModel, normal

#: Red cases that arrive at once.
CASES = [
    10,
    pytest.param(40, marks=pytest.mark.proof),
    pytest.param(200, marks=pytest.mark.soak),
]

#: The case that no model survives.
POISON = "poison"

#: How often each bell is delivered.
DELIVERIES = 3


# --- bells three times, out of order, to several workers


@pytest.fixture(params=stores.BOTH)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace with one team."""
    store = stores.fresh(request.param, request, tmp_path)
    made = Workplace(store)
    made.join("chw1")
    yield made
    store.close()


class SlowModel:
    """Takes 20 to 50 ms, counts its questions by case, and chokes on the poisonous one."""

    def __init__(self, dice: random.Random) -> None:
        self.asked: Counter[str] = Counter()
        self._dice, self._lock = dice, threading.Lock()

    def __call__(self, question: ChatRequest, timeout: float) -> str:
        (name,) = re.findall("site-([a-z]+)", question.text)
        with self._lock:
            self.asked[name] += 1
            seconds = self._dice.uniform(0.02, 0.05)
        threading.Event().wait(seconds)
        if name == POISON:
            raise ZeroDivisionError
        return normal(question, timeout)


@pytest.mark.parametrize("cases", CASES)
@pytest.mark.parametrize("workers", [1, 4])
def test_every_bell_three_times_in_any_order_makes_one_analysis_each(
    place: Workplace, workers: int, cases: int
) -> None:
    # given many red cases of one sync, one of which no model survives
    seed = random.randrange(10**9)
    dice = random.Random(seed)
    print(f"seed {seed}")
    phone = place.phone()
    phone.save("patients", "p1", at=1000, demographics={"age": 30})
    names = [f"{a}{b}{c}" for a in "abc" for b in ascii_lowercase for c in ascii_lowercase][:cases]
    for name in (*names, POISON):
        fields = {"risk_level": "red", "triage_data": {"site": f"site-{name}"}}
        phone.save("cases", name, at=1000, patient_id="p1", **fields)
    phone.sync()
    assert place.last is not None
    bells: list[Bell] = place.last.bells
    assert len(bells) == cases + 1

    # when every bell is delivered three times, shuffled, and the poison again whenever it is due
    deliveries = bells * DELIVERIES
    dice.shuffle(deliveries)
    line: SimpleQueue[Bell] = SimpleQueue()
    for bell in deliveries:
        line.put(bell)
    slow = SlowModel(dice)
    worker = place.worker(ScriptedModel([slow] * (cases * 4 + 40)))
    crashes: list[BaseException] = []

    def work() -> None:
        while True:
            try:
                bell = line.get_nowait()
            except Empty:
                return
            try:
                states = worker.answer(ANALYSE, bell.job_id).states
            except StoreUnavailable:
                line.put(bell)  # not acknowledged: it comes again
                continue
            except BaseException as error:
                crashes.append(error)
                raise
            for job_id, state in states.items():
                if state == jobs.QUEUED:
                    place.time += 100_000  # less than a lease in all
                    line.put(Bell(ANALYSE, job_id, POISON))

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # then the poison is parked alone, after its own attempts
    where = f"seed {seed}"
    assert crashes == [], where
    found = {job.subject_id: job for job in place.jobs()}
    poison = found.pop(POISON)
    assert (poison.state, poison.attempts) == (jobs.PARKED, 3), where
    assert slow.asked.pop(POISON) == 3
    assert place.fields("cases", POISON)["ai_analysis"]["status"] == "unavailable"
    # and every other case was asked about once, and is done
    assert slow.asked == dict.fromkeys(names, 1), where
    assert sorted(found) == names
    for name, job in found.items():
        assert (job.state, job.attempts, job.due_at) == (jobs.DONE, 1, None), (where, name)
        states = [entry["state"] for entry in job.history]
        assert states == [jobs.QUEUED, jobs.RUNNING, jobs.DONE], (where, name)
    done = [case.fields["ai_analysis"]["status"] for case in place.all("cases")]
    assert Counter(done) == {"ok": cases, "unavailable": 1}, where


# --- no queue


class Relay:
    """A TCP way to `upstream` that can be closed, or swallow everything without a word.

    `mode`: "open"; "silent" accepts, reads and never answers; "refusing" resets who is connected
    and listens no more.
    """

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.rpartition(":")
        self._upstream = (host, int(port))
        self._changed = threading.Condition()
        self._sockets: set[socket.socket] = set()
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.mode = "open"
        self._accept()

    def turn(self, mode: str) -> None:
        """Behave like this from now on. Connections that saw silence are cut when it ends."""
        with self._changed:
            before, self.mode = self.mode, mode
            self._changed.notify_all()
        if mode == "refusing":
            self._hang_up(self._listener)
        if mode == "refusing" or before == "silent":
            for each in list(self._sockets):
                self._hang_up(each)
        if before == "refusing" and mode != "refusing":
            self._listener = self._listen(self.port)
            self._accept()

    def close(self) -> None:
        """End everything."""
        self.turn("refusing")

    @staticmethod
    def _listen(port: int) -> socket.socket:
        return socket.create_server(("127.0.0.1", port), backlog=64, reuse_port=False)

    def _accept(self) -> None:
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def _hang_up(self, each: socket.socket) -> None:
        self._sockets.discard(each)
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(self._upstream)
            except OSError:
                return
            self._sockets |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                with self._changed:
                    while self.mode == "silent" and source in self._sockets:
                        self._changed.wait(0.1)
                sink.sendall(data)
        self._hang_up(source)
        self._hang_up(sink)


def red_cases(deployment: Deployment, count: int) -> list[str]:
    """Red cases synced by a new user."""
    stem = uuid.uuid4().hex[:6]
    deployment.join(f"chw-{stem}", f"team-{stem}")
    phone = deployment.phone(f"chw-{stem}")
    phone.save("patients", f"{stem}-p", demographics={"age": 50})
    names = [f"{stem}-{number}" for number in range(count)]
    for name in names:
        triage = {"site": name}
        phone.save("cases", name, patient_id=f"{stem}-p", risk_level="red", triage_data=triage)
    answer = phone.sync()
    assert sorted(answer["accepted"]["cases"]) == names
    assert answer["rejected"] == []
    return names


def jobs_of(deployment: Deployment, name: str) -> list[jobs.Job]:
    query = Query(jobs.COLLECTION, where=(("subject_id", "==", name),))
    return [jobs.Job.of(document) for document in deployment.store.query(query)]


def all_in(deployment: Deployment, names: list[str], *states: str) -> Callable[[], bool]:
    return lambda: all(
        [job.state in states for job in jobs_of(deployment, name)] == [True] for name in names
    )


def done_once(deployment: Deployment, names: list[str]) -> None:
    until(all_in(deployment, names, jobs.DONE), "the sweeper catches up")
    for name in names:
        (job,) = jobs_of(deployment, name)
        assert [entry["state"] for entry in job.history].count(jobs.DONE) == 1
        key = Key("cases", name)
        case = deployment.store.read([key]).documents[key]
        assert case.fields["ai_analysis"]["status"] == "ok"


@pytest.fixture(scope="module")
def behind_relay(
    firestore_emulator: str, pubsub_emulator: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Deployment, Relay]]:
    """The emulator profile with a way to Pub/Sub that can be cut."""
    relay = Relay(pubsub_emulator)
    stack = Stack(
        profile="emulator",
        data=tmp_path_factory.mktemp("relay"),
        sweep_seconds=1,
        min_backoff_seconds=1,
        environ={
            "GOOGLE_CLOUD_PROJECT": f"relay-{uuid.uuid4().hex[:8]}",
            "PUBSUB_EMULATOR_HOST": relay.address,
        },
    )
    try:
        deployment = Deployment(stack.start())
        yield deployment, relay
        deployment.store.close()
    finally:
        relay.turn("open")
        stack.stop()
        relay.close()


@pytest.mark.proof
@pytest.mark.parametrize(
    ("mode", "warm"), [("silent", False), ("silent", True), ("refusing", True)]
)
def test_without_pubsub_a_sync_succeeds_and_the_sweeper_catches_up(
    behind_relay: tuple[Deployment, Relay],
    mode: str,
    warm: bool,
) -> None:
    deployment, relay = behind_relay
    if warm:  # no ring fails at once any more, and the publisher holds a connection
        rested = time.monotonic() + REST_SECONDS
        until(lambda: time.monotonic() > rested, "the rest after another test's silence")
        names = red_cases(deployment, 1)
        done_once(deployment, names)
    # given a queue that cannot be reached
    relay.turn(mode)
    try:
        # when a phone syncs five red cases
        names = red_cases(deployment, 5)
        # then it is answered while the queue says nothing, and the jobs are stored and wait
        assert all_in(deployment, names, jobs.QUEUED)()
        # and so is another phone
        more = red_cases(deployment, 1)
    finally:
        relay.turn("open")
    # and once it can be reached, everything is done
    done_once(deployment, names + more)


def test_with_a_locked_doorbell_file_a_sync_succeeds_and_the_sweeper_catches_up(
    wards: Callable[[str], Ward],
) -> None:
    ward = wards("local")
    with closing(sqlite3.connect(ward.stack.data / FILE_NAME, isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        names = red_cases(ward, 5)
        assert all_in(ward, names, jobs.QUEUED)()
        file.execute("ROLLBACK")
    done_once(ward, names)


# --- dead letters

_BROKEN = """
import pathlib, sys
sys.path.insert(0, {repository!r})
import os
if os.environ["FUNCTION_TARGET"] == "analyse":
    from functions.analyse import analyse as whole

    def analyse(event):
        if pathlib.Path({flag!r}).exists():
            with open({count!r}, "a") as file:
                file.write("x")
            raise RuntimeError("a broken release")
        whole(event)
else:
    exec(compile(pathlib.Path({main!r}).read_text(), {main!r}, "exec"))
"""


def test_a_bell_that_dies_makes_its_job_due_and_it_is_done_after_healing(
    tmp_path: Path,
) -> None:
    # given a job whose first attempt met a busy model, so that it waits for half an hour or more
    flag, count = tmp_path / "broken", tmp_path / "refused"
    source = tmp_path / "main.py"
    source.write_text(
        _BROKEN.format(
            repository=str(REPOSITORY),
            main=str(REPOSITORY / "main.py"),
            flag=str(flag),
            count=str(count),
        )
    )
    with VertexServer() as vertex:
        vertex.faults.append(status(503))
        stack = Stack(
            profile="local",
            data=tmp_path / "data",
            sweep_seconds=0.5,
            min_backoff_seconds=0.05,
            source=source,
            environ={
                "GOOGLE_CLOUD_PROJECT": "dead-letters",
                "MODEL": "vertex",
                "VERTEX_ENDPOINT": "1234567890",
                "VERTEX_API_ENDPOINT": vertex.url,
                "VERTEX_CREDENTIALS": "anonymous",
                "REQUESTS_CA_BUNDLE": str(vertex.ca),
                "NO_PROXY": "localhost,127.0.0.1",
                "RETRY_BASE_SECONDS": "3600",
            },
        )
        with stack:
            deployment = Deployment(stack)
            names = red_cases(deployment, 1)

            def waits() -> bool:
                (job,) = jobs_of(deployment, names[0])
                return job.state == jobs.QUEUED and job.attempts == 1

            until(waits, "the first attempt is postponed")
            (job,) = jobs_of(deployment, names[0])
            assert job.due_at is not None
            assert job.due_at > time.time() * 1000 + 600_000
            # when a release breaks its subscriber, and its bell is rung
            flag.touch()
            bell = SqliteDoorbell(stack.data / FILE_NAME)
            bell.ring(Bell(ANALYSE, job.id, names[0]))
            bell.close()
            # then the bell is dead after its deliveries, and its job due, with no attempt spent
            until(lambda: len(jobs_of(deployment, names[0])[0].history) == 4, "a dead letter")
            (revived,) = jobs_of(deployment, names[0])
            assert revived.state == jobs.QUEUED
            assert revived.attempts == 1
            assert revived.due_at is not None
            assert revived.due_at <= time.time() * 1000
            assert len(count.read_text()) >= 5
            # and it is done as soon as the release is mended
            flag.unlink()
            done_once(deployment, names)
            (done,) = jobs_of(deployment, names[0])
            assert done.attempts == 2
            deployment.store.close()
