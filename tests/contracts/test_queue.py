"""The queue port's promises, kept by Pub/Sub (its emulator) and by SQLite with its dispatcher.

Both push into the same small HTTP server, whose answers each test scripts by job id. Nothing here
measures speed: waits are generous, and a test ends as soon as it has seen what it waits for.
"""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from shared.adapters.pubsub import PubSubDoorbell, PushSubscription, create_subscriptions
from shared.adapters.sqlite_queue import Dispatcher, SqliteDoorbell
from shared.errors import QueueUnavailable
from shared.jobs.queue import Doorbell
from shared.records.bell import Bell
from tests.patience import LATE_SECONDS, PATIENCE_SECONDS

#: The shortest deadline Pub/Sub knows.
PUBSUB_ACK_DEADLINE_SECONDS = 10

#: Long enough for an answer on a busy machine: what is answered in time does not come again.
SQLITE_ACK_DEADLINE_SECONDS = 5.0


class Arrival(NamedTuple):
    """A push request as the subscriber saw it."""

    path: str
    bell: dict[str, str]
    message: dict[str, Any]
    body: dict[str, Any]


class Subscriber:
    """An HTTP server that writes down what comes and answers as told.

    `answers[job_id]` is called with the number of the delivery (from 1) and returns the status;
    without one it is 204.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[int], int]] = {}
        self.wake = threading.Event()
        self._arrivals: list[Arrival] = []
        self._changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(outer._arrive(self.path, body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                pass  # a pusher that hung up at its deadline

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _arrive(self, path: str, body: dict[str, Any]) -> int:
        bell = json.loads(base64.b64decode(body["message"]["data"]))
        with self._changed:
            self._arrivals.append(Arrival(path, bell, body["message"], body))
            count = len(self.of(bell["job_id"], path))
            self._changed.notify_all()
        answer = self.answers.get(bell["job_id"])
        return answer(count) if answer and path == "/bells" else 204

    def sleep(self) -> int:
        """An answer that does not come until `wake` is set."""
        self.wake.wait(2 * PATIENCE_SECONDS)
        return 200

    def forget(self) -> None:
        """Begin anew for another adapter."""
        self._arrivals = []
        self.answers = {}
        self.wake = threading.Event()

    def of(self, job_id: str, path: str = "/bells") -> list[Arrival]:
        """What has come for one job."""
        return [a for a in self._arrivals if a.bell["job_id"] == job_id and a.path == path]

    def wait(self, job_id: str, count: int = 1, path: str = "/bells") -> list[Arrival]:
        """Wait for `count` arrivals of a job."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: len(self.of(job_id, path)) >= count, PATIENCE_SECONDS
            ), f"{job_id}: {len(self.of(job_id, path))} of {count} at {path}"
            return self.of(job_id, path)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Queue(NamedTuple):
    """An adapter with its subscriber."""

    doorbell: Doorbell
    subscriber: Subscriber

    def ring(self, job_id: str) -> None:
        self.doorbell.ring(Bell("analyse", job_id, f"case-of-{job_id}"))


@pytest.fixture(scope="module")
def subscriber() -> Iterator[Subscriber]:
    subscriber = Subscriber()
    yield subscriber
    subscriber.close()


@pytest.fixture(scope="module", params=["sqlite", "pubsub"])
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def sqlite_queue(subscriber: Subscriber, folder: Path) -> Iterator[Doorbell]:
    file = folder / "new folder" / "doorbells.db"
    dispatcher = Dispatcher(
        file,
        {"analyse": f"{subscriber.url}/bells"},
        f"{subscriber.url}/dead",
        ack_deadline_seconds=SQLITE_ACK_DEADLINE_SECONDS,
        min_backoff_seconds=0.1,
        max_backoff_seconds=0.3,
    )
    dispatcher.start()
    yield SqliteDoorbell(file)
    dispatcher.stop()


@contextmanager
def pubsub_queue(subscriber: Subscriber, emulator: str) -> Iterator[Doorbell]:
    project = f"test-{uuid.uuid4().hex[:12]}"
    push = PushSubscription(
        "analyse",
        f"{subscriber.url}/bells",
        f"{subscriber.url}/dead",
        ack_deadline_seconds=PUBSUB_ACK_DEADLINE_SECONDS,
        min_backoff_seconds=0.1,
        max_backoff_seconds=0.3,
    )
    # the second call finds everything there and only redirects it
    for each in (push._replace(endpoint="http://127.0.0.1:9/"), push):
        create_subscriptions(project, [each], topic_prefix="t-", emulator=emulator)
    yield PubSubDoorbell(project, topic_prefix="t-")


@pytest.fixture(scope="module")
def queue(
    adapter: str,
    subscriber: Subscriber,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Queue]:
    """An adapter with its subscriber. The two bells that take longest are rung at once."""
    subscriber.forget()
    if adapter == "pubsub":
        running = pubsub_queue(subscriber, request.getfixturevalue("pubsub_emulator"))
    else:
        running = sqlite_queue(subscriber, tmp_path_factory.mktemp("queue"))
    with running as doorbell:
        queue = Queue(doorbell, subscriber)
        subscriber.answers["hopeless"] = lambda _: 503
        subscriber.answers["slow"] = lambda count: subscriber.sleep() if count == 1 else 200
        queue.ring("hopeless")
        queue.ring("slow")
        yield queue
        subscriber.wake.set()
        doorbell.close()


def test_a_bell_arrives_with_its_ids(queue: Queue) -> None:
    queue.ring("j1")
    (arrival,) = queue.subscriber.wait("j1")
    assert arrival.bell == {"kind": "analyse", "job_id": "j1", "subject_id": "case-of-j1"}
    assert arrival.message["attributes"] == {"kind": "analyse"}
    assert arrival.message["messageId"]
    assert arrival.message["publishTime"].endswith("Z")
    assert arrival.body["subscription"].startswith("projects/")


def test_a_traced_bell_arrives_with_its_trace(queue: Queue) -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    queue.doorbell.ring(Bell("analyse", "traced", "case-of-traced", trace))
    (arrival,) = queue.subscriber.wait("traced")
    assert arrival.bell["trace"] == trace


def test_a_refused_bell_comes_again_and_an_acknowledged_one_does_not(queue: Queue) -> None:
    queue.subscriber.answers["refused"] = lambda count: 500 if count < 3 else 200
    queue.ring("acknowledged")
    queue.subscriber.wait("acknowledged")
    queue.ring("refused")
    three = queue.subscriber.wait("refused", 3)
    assert len({arrival.message["messageId"] for arrival in three}) == 1
    # another bell went round three times meanwhile, the acknowledged one did not come back
    assert len(queue.subscriber.of("acknowledged")) == 1


def test_fifty_bells_rung_from_many_threads_all_arrive(queue: Queue) -> None:
    threads = [
        threading.Thread(target=lambda n=n: [queue.ring(f"j{n}-{i}") for i in range(5)])
        for n in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(10):
        for i in range(5):
            queue.subscriber.wait(f"j{n}-{i}")


def test_a_bell_whose_subscriber_outlasts_the_deadline_comes_again(queue: Queue) -> None:
    queue.subscriber.wait("slow", 2)
    assert not queue.subscriber.wake.is_set()  # while the first delivery still ran
    queue.subscriber.wake.set()


def test_after_five_deliveries_a_bell_is_a_dead_letter(queue: Queue) -> None:
    (dead,) = queue.subscriber.wait("hopeless", path="/dead")
    assert dead.bell == {
        "kind": "analyse",
        "job_id": "hopeless",
        "subject_id": "case-of-hopeless",
    }
    attributes = dead.message["attributes"]
    assert attributes["kind"] == "analyse"
    assert attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert attributes["CloudPubSubDeadLetterSourceSubscription"].endswith("analyse")
    assert len(queue.subscriber.of("hopeless")) == 5


def unreachable(
    adapter: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Doorbell:
    """A doorbell whose queue refuses connections, or takes them and never answers."""
    if adapter == "pubsub":
        silent = socket.create_server(("127.0.0.1", 0))
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{silent.getsockname()[1]}")
        if how == "absent":
            silent.close()
        doorbell = PubSubDoorbell("test-unreachable")
        doorbell._keep_open = silent  # type: ignore[attr-defined]
        return doorbell
    file = tmp_path / "doorbells.db"
    if how == "absent":
        file.mkdir()
    else:
        import sqlite3

        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("PRAGMA journal_mode = WAL")
        holder.execute("BEGIN IMMEDIATE")
        holder.execute("CREATE TABLE held (x)")
        locked = SqliteDoorbell(file)
        locked._keep_open = holder  # type: ignore[attr-defined]
        return locked
    return SqliteDoorbell(file)


@pytest.mark.parametrize("how", ["absent", "silent"])
def test_an_unreachable_queue_is_said_and_does_not_hold_the_caller(
    adapter: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doorbell = unreachable(adapter, how, tmp_path, monkeypatch)
    began = time.monotonic()
    with pytest.raises(QueueUnavailable, match="did not take"):
        doorbell.ring(Bell("analyse", "j", "c"))
    # without a deadline a client library goes on for a minute
    assert time.monotonic() - began < LATE_SECONDS
    # and of a sync with many red cases the next one does not ask, and wait, again
    with pytest.raises(QueueUnavailable, match="a moment ago"):
        doorbell.ring(Bell("analyse", "j", "c"))
    doorbell.close()


def test_importing_the_adapters_imports_no_google() -> None:
    code = (
        "import sys, shared.adapters.pubsub, shared.adapters.sqlite_queue\n"
        # namespace packages that a .pth file of site-packages makes are empty shells
        "roots = ('google', 'grpc')\n"
        "shells = ('google', 'google.cloud', 'google.logging')\n"
        "print([n for n in sys.modules if n.split('.')[0] in roots and n not in shells])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert said.stdout.strip() == "[]"
