"""The rows behind SQLite's doorbells: step by step with time as a parameter, and killed midway."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shared.adapters.sqlite_queue import (
    RETENTION_SECONDS,
    Bells,
    Delivery,
    Dispatcher,
    Policy,
    SqliteDoorbell,
    envelope,
)
from shared.errors import QueueUnavailable
from shared.records.bell import Bell
from tests.patience import PATIENCE_SECONDS, until

POLICY = Policy(
    ack_deadline_seconds=600,
    min_backoff_seconds=10,
    max_backoff_seconds=60,
    max_delivery_attempts=3,
)
SECOND = 1000


class Clock:
    """Seconds that pass when told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "doorbells.db"


@pytest.fixture
def bells(file: Path) -> Iterator[Bells]:
    bells = Bells(file, POLICY)
    yield bells
    bells.close()


@pytest.fixture
def ring(file: Path, clock: Clock) -> Iterator[SqliteDoorbell]:
    doorbell = SqliteDoorbell(file, clock=clock)
    yield doorbell
    doorbell.close()


def take_one(bells: Bells, now: int) -> Delivery:
    (delivery,) = bells.take(now, 10)
    return delivery


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 10), (2, 20), (3, 40), (4, 60), (5, 60), (10_000, 60)]
)
def test_backoff_doubles_up_to_its_bound(attempt: int, seconds: float) -> None:
    assert POLICY.backoff_seconds(attempt) == seconds


def test_a_bell_in_delivery_is_not_taken_again_before_the_deadline(
    bells: Bells, ring: SqliteDoorbell
) -> None:
    ring.ring(Bell("analyse", "j", "c"))
    first = take_one(bells, 1_000 * SECOND)
    assert first.attempt == 1
    assert bells.take(1_600 * SECOND - 1, 10) == []
    assert take_one(bells, 1_600 * SECOND).attempt == 2


def test_an_answer_that_comes_after_the_deadline_changes_nothing(
    bells: Bells, ring: SqliteDoorbell
) -> None:
    ring.ring(Bell("analyse", "j", "c"))
    first = take_one(bells, 1_000 * SECOND)
    second = take_one(bells, 1_600 * SECOND)
    bells.acknowledge(first)
    bells.refuse(first, 1_601 * SECOND)
    assert bells.waiting() == 1
    assert bells.take(2_199 * SECOND, 10) == []
    bells.acknowledge(second)
    assert bells.waiting() == 0


@pytest.mark.parametrize("ending", ["refused", "never answered"])
def test_the_last_attempt_is_followed_by_dead_letters_until_one_is_taken(
    ending: str, bells: Bells, ring: SqliteDoorbell
) -> None:
    ring.ring(Bell("analyse", "j", "c"))
    now = 1_000 * SECOND
    for attempt in (1, 2, 3):
        delivery = take_one(bells, now)
        assert (delivery.attempt, delivery.dead) == (attempt, 0)
        if ending == "refused":
            bells.refuse(delivery, now)
        now += 601 * SECOND
    for attempt in (1, 2, 3, 4):
        delivery = take_one(bells, now)
        assert (delivery.attempt, delivery.dead) == (attempt, 3)
        bells.refuse(delivery, now)
        now += 601 * SECOND
    bells.acknowledge(take_one(bells, now))
    assert bells.waiting() == 0


def test_a_refused_bell_waits_and_a_spent_one_goes_on_at_once(
    bells: Bells, ring: SqliteDoorbell
) -> None:
    ring.ring(Bell("analyse", "j", "c"))
    now = 1_000 * SECOND
    for wait in (10, 20, 0):
        bells.refuse(take_one(bells, now), now)
        assert wait == 0 or bells.take(now + wait * SECOND - 1, 10) == []
        now += wait * SECOND
    assert take_one(bells, now).dead == 3


def test_the_longest_due_come_first_and_no_more_than_fit(
    bells: Bells, ring: SqliteDoorbell, clock: Clock
) -> None:
    for number in range(5):
        ring.ring(Bell("analyse", f"j{number}", "c"))
        clock.now += 1
    taken = bells.take(2_000 * SECOND, 2) + bells.take(2_000 * SECOND, 9)
    assert [json.loads(each.payload)["job_id"] for each in taken] == ["j0", "j1", "j2", "j3", "j4"]


def test_a_bell_nobody_takes_for_a_week_is_dropped(bells: Bells, ring: SqliteDoorbell) -> None:
    ring.ring(Bell("analyse", "j", "c"))
    week = 1_000 * SECOND + RETENTION_SECONDS * SECOND
    assert take_one(bells, week).attempt == 1
    assert bells.take(week + 601 * SECOND, 10) == []
    assert bells.waiting() == 0


def test_a_doorbell_that_rests_rings_again_though_its_clock_was_set_back(
    file: Path, clock: Clock
) -> None:
    bell = Bell("analyse", "j", "c")
    file.mkdir()  # so it cannot be opened
    ring = SqliteDoorbell(file, clock=clock)
    with pytest.raises(QueueUnavailable):
        ring.ring(bell)
    file.rmdir()
    with pytest.raises(QueueUnavailable, match="a moment ago"):
        ring.ring(bell)
    clock.now -= 86_400
    ring.ring(bell)
    ring.close()


def test_two_dispatchers_on_one_file_never_take_the_same_bell(
    bells: Bells, ring: SqliteDoorbell, file: Path
) -> None:
    for number in range(200):
        ring.ring(Bell("analyse", f"j{number}", "c"))
    other = Bells(file, POLICY)
    taken: list[int] = []

    def work(mine: Bells) -> None:
        while got := mine.take(1_000 * SECOND, 7):
            taken.extend(each.id for each in got)

    threads = [threading.Thread(target=work, args=(each,)) for each in (bells, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert sorted(taken) == sorted(set(taken))
    assert len(taken) == 200


def test_the_body_is_a_push_request() -> None:
    body = envelope(Delivery(7, "analyse", '{"a":1}', 1_700_000_000_123, 2, 0))
    assert body == {
        "message": {
            "data": "eyJhIjoxfQ==",
            "attributes": {"kind": "analyse"},
            "messageId": "7",
            "message_id": "7",
            "publishTime": "2023-11-14T22:13:20.123Z",
            "publish_time": "2023-11-14T22:13:20.123Z",
        },
        "subscription": "projects/local/subscriptions/analyse",
        "deliveryAttempt": 2,
    }


class Recorder:
    """A subscriber that notes paths and job ids, and is slow until told otherwise."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.changed = threading.Condition()
        self.let_go = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.changed:
                    outer.seen.append((self.path, body["message"]["messageId"]))
                    outer.changed.notify_all()
                if self.path == "/slow":
                    outer.let_go.wait(PATIENCE_SECONDS)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def wait(self, path: str, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(
                lambda: len([p for p, _ in self.seen if p == path]) >= count, PATIENCE_SECONDS
            ), self.seen


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.let_go.set()
    recorder.server.shutdown()
    recorder.server.server_close()


def test_a_bell_of_an_unknown_kind_ends_as_a_dead_letter(file: Path, recorder: Recorder) -> None:
    dispatcher = Dispatcher(
        file, {}, f"{recorder.url}/dead", min_backoff_seconds=0, max_delivery_attempts=2
    )
    dispatcher.start()
    doorbell = SqliteDoorbell(file)
    doorbell.ring(Bell("nonesuch", "j", "c"))
    recorder.wait("/dead", 1)
    doorbell.close()
    dispatcher.stop()


DISPATCH = """
import sys
from shared.adapters.sqlite_queue import Dispatcher
file, url, deadline = sys.argv[1:]
Dispatcher(file, {"analyse": url + sys.stdin.readline().strip()}, url + "/dead",
           ack_deadline_seconds=float(deadline), min_backoff_seconds=0.1).run()
"""


@pytest.mark.proof
def test_bells_in_delivery_by_a_killed_dispatcher_are_delivered_by_the_next(
    file: Path, recorder: Recorder
) -> None:
    def dispatcher(path: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", DISPATCH, str(file), recorder.url, "1.0"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            text=True,
        )
        assert process.stdin
        process.stdin.write(f"{path}\n")
        process.stdin.close()
        return process

    # given ten bells in the hands of a dispatcher that is killed
    doorbell = SqliteDoorbell(file)
    for number in range(10):
        doorbell.ring(Bell("analyse", f"j{number}", "c"))
    first = dispatcher("/slow")
    recorder.wait("/slow", 10)
    first.kill()
    first.wait()
    # when another one starts
    second = dispatcher("/quick")
    # then all ten come again, once the deadline has passed, and are gone
    recorder.wait("/quick", 10)
    counting = sqlite3.connect(file)
    left = "SELECT count(*) FROM doorbells"
    until(lambda: counting.execute(left).fetchone() == (0,), "no bell is left")
    counting.close()
    second.kill()
    second.wait()
    doorbell.close()
    assert len({identity for path, identity in recorder.seen if path == "/quick"}) == 10
