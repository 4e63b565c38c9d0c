"""Doorbells in an SQLite file, and the dispatcher that pushes them like Pub/Sub.

`SqliteDoorbell` inserts a row. A `Dispatcher`, one per machine, takes rows that are due, posts each
as a Pub/Sub push request to the subscriber of its kind, and deletes it after a 2xx answer.

A row is always in one of three places, told by `ring_at` alone:

- due or waiting: `ring_at` says when it is delivered (again);
- in delivery: taking it moved `ring_at` behind the ack deadline *before* the request is sent, so a
  dispatcher killed at any step leaves a row that is delivered again after the deadline;
- gone: acknowledged. A crash between the subscriber's answer and the delete costs one repetition.

`dead` is 0 on the way to the subscriber; after the last attempt it is the count of deliveries that
failed, and the row goes to the dead-letter subscriber until that one takes it. Rows older than
`RETENTION_SECONDS` are dropped, as Pub/Sub does. Each delivery is known by its `attempts`: an
answer that comes after the row was taken again changes nothing.

Times are wall-clock milliseconds, since they outlive the process. A clock set back delays bells;
the sweeper rings again.
"""

from __future__ import annotations

import base64
import http.client
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from shared.errors import QueueUnavailable
from shared.jobs.queue import REST_SECONDS, RING_TIMEOUT_SECONDS
from shared.records.bell import Bell

log = logging.getLogger(__name__)

#: The file's name in the data folder. Not the records' file: a ring must not wait for a push.
FILE_NAME = "queue.db"

#: How often the dispatcher looks for new rows, seconds. A look takes 0.05 ms.
POLL_SECONDS = 0.05

#: How long an undeliverable bell is kept: Pub/Sub's default retention, 7 days.
RETENTION_SECONDS = 7 * 86_400

_SCHEMA = """
CREATE TABLE IF NOT EXISTS doorbells (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    rung_at INTEGER NOT NULL,
    ring_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS doorbells_due ON doorbells (ring_at);
"""

_DROP = "DELETE FROM doorbells WHERE ring_at <= :now AND rung_at < :oldest"

# One statement, so that of two dispatchers on a file one takes a row. All right-hand sides see the
# row as it was.
_TAKE = """
UPDATE doorbells SET
    attempts = CASE WHEN dead = 0 AND attempts >= :last THEN 1 ELSE attempts + 1 END,
    dead = CASE WHEN dead = 0 AND attempts >= :last THEN attempts ELSE dead END,
    ring_at = :deadline
WHERE id IN (SELECT id FROM doorbells WHERE ring_at <= :now ORDER BY ring_at, id LIMIT :limit)
RETURNING id, kind, payload, rung_at, attempts, dead
"""


def _open(path: Path, timeout_seconds: float) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(
        path, timeout=timeout_seconds, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # No fsync a ring: after a power cut the last bells may be missing, and the sweeper rings.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def _now_ms(clock: Callable[[], float]) -> int:
    return int(clock() * 1000)


class SqliteDoorbell:
    """Inserts bells for a `Dispatcher` on the same machine. Safe to use from several threads.

    Opens the file at the first ring: fork before it. `clock` gives seconds since 1970.
    """

    def __init__(self, path: Path | str, *, clock: Callable[[], float] = time.time) -> None:
        self._path = Path(path)
        self._clock = clock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._resting_until = 0

    def ring(self, bell: Bell) -> None:
        """Insert the bell. Raises `QueueUnavailable` when the file stays locked or is unusable."""
        now = _now_ms(self._clock)
        # the upper bound is for a clock that was set back
        if now < self._resting_until <= now + REST_SECONDS * 1000:
            raise QueueUnavailable(
                "the doorbell file was locked a moment ago; the job is stored and is rung for later"
            )
        try:
            with self._lock:
                if self._connection is None:
                    self._connection = _open(self._path, RING_TIMEOUT_SECONDS)
                self._connection.execute(
                    "INSERT INTO doorbells (kind, payload, rung_at, ring_at) VALUES (?, ?, ?, ?)",
                    (bell.kind, json.dumps(bell.content()), now, now),
                )
        except (sqlite3.Error, OSError) as error:
            self._resting_until = _now_ms(self._clock) + int(REST_SECONDS * 1000)
            raise QueueUnavailable(
                f"the doorbell file did not take the bell ({type(error).__name__}); "
                "the job is stored and is rung for later"
            ) from error

    def close(self) -> None:
        """Close the file; a later ring opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class Delivery(NamedTuple):
    """One attempt to hand over one bell."""

    id: int
    kind: str
    payload: str
    rung_at: int  #: ms
    attempt: int  #: 1 for the first delivery to this subscriber
    dead: int  #: 0, or how many deliveries to the kind's own subscriber failed


class Policy(NamedTuple):
    """How a subscription delivers; the same meanings and bounds as Pub/Sub's."""

    ack_deadline_seconds: float = 600.0
    min_backoff_seconds: float = 10.0
    max_backoff_seconds: float = 600.0
    max_delivery_attempts: int = 5

    def backoff_seconds(self, attempt: int) -> float:
        """The wait after the failed delivery number `attempt`: doubling, bounded."""
        return min(self.max_backoff_seconds, self.min_backoff_seconds * 2.0 ** min(attempt - 1, 40))


class Bells:
    """The rows and what may happen to them. Methods are atomic; time is a parameter."""

    def __init__(self, path: Path | str, policy: Policy) -> None:
        self._policy = policy
        self._connection = _open(Path(path), timeout_seconds=10.0)
        self._lock = threading.Lock()

    def take(self, now_ms: int, limit: int) -> list[Delivery]:
        """Up to `limit` of the rows longest due, from now on in delivery until the ack deadline.

        A row whose last delivery was never answered has used up its attempts like one that was
        refused, and comes as a dead letter.
        """
        parameters = {
            "now": now_ms,
            "limit": limit,
            "deadline": now_ms + int(self._policy.ack_deadline_seconds * 1000),
            "oldest": now_ms - RETENTION_SECONDS * 1000,
            "last": self._policy.max_delivery_attempts,
        }
        with self._lock:
            (next_at,) = self._connection.execute("SELECT min(ring_at) FROM doorbells").fetchone()
            if next_at is None or next_at > now_ms:
                return []  # no write lock 20 times a second for nothing
            dropped = self._connection.execute(_DROP, parameters).rowcount
            taken = self._connection.execute(_TAKE, parameters).fetchall()
        if dropped:
            log.warning("dropped %d doorbells that nobody took in 7 days", dropped)
        return sorted((Delivery(*row) for row in taken), key=lambda delivery: delivery.id)

    def acknowledge(self, delivery: Delivery) -> None:
        """The subscriber took it: forget it."""
        with self._lock:
            self._connection.execute(
                "DELETE FROM doorbells WHERE id = ? AND attempts = ? AND dead = ?",
                (delivery.id, delivery.attempt, delivery.dead),
            )

    def refuse(self, delivery: Delivery, now_ms: int) -> None:
        """The subscriber did not take it: deliver again after backoff; the last time, elsewhere."""
        spent = not delivery.dead and delivery.attempt >= self._policy.max_delivery_attempts
        wait = 0.0 if spent else self._policy.backoff_seconds(delivery.attempt)
        with self._lock:
            self._connection.execute(
                "UPDATE doorbells SET ring_at = ? WHERE id = ? AND attempts = ? AND dead = ?",
                (now_ms + int(wait * 1000), delivery.id, delivery.attempt, delivery.dead),
            )

    def waiting(self) -> int:
        """How many bells are not acknowledged."""
        with self._lock:
            (count,) = self._connection.execute("SELECT count(*) FROM doorbells").fetchone()
        return int(count)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def envelope(delivery: Delivery) -> dict[str, Any]:
    """The push request's body, as Pub/Sub sends it (cloud.google.com/pubsub/docs/push)."""
    published = datetime.fromtimestamp(delivery.rung_at / 1000, UTC).isoformat(
        timespec="milliseconds"
    )
    published = published.replace("+00:00", "Z")
    attributes = {"kind": delivery.kind}
    subscription = delivery.kind
    if delivery.dead:
        subscription = f"{delivery.kind}-dead"
        attributes |= {
            "CloudPubSubDeadLetterSourceDeliveryCount": str(delivery.dead),
            "CloudPubSubDeadLetterSourceSubscription": delivery.kind,
            "CloudPubSubDeadLetterSourceSubscriptionProject": "local",
            "CloudPubSubDeadLetterSourceTopicPublishTime": published,
        }
    identity = str(delivery.id)
    return {
        "message": {
            "data": base64.b64encode(delivery.payload.encode()).decode(),
            "attributes": attributes,
            "messageId": identity,
            "message_id": identity,
            "publishTime": published,
            "publish_time": published,
        },
        "subscription": f"projects/local/subscriptions/{subscription}",
        "deliveryAttempt": delivery.attempt,
    }


def post(
    url: str, body: Mapping[str, Any], timeout_seconds: float, headers: Mapping[str, str]
) -> int | None:
    """POST JSON; the status, or None when there was no answer in time."""
    parts = urlsplit(url)
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    with closing(make(parts.hostname or "", parts.port, timeout=timeout_seconds)) as connection:
        try:
            path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
            connection.request(
                "POST",
                path,
                json.dumps(body).encode(),
                {"Content-Type": "application/json", "User-Agent": "CloudPubSub-Google", **headers},
            )
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None


class Dispatcher:
    """Pushes due bells to their subscribers, up to `concurrency` side by side, until stopped.

    `subscribers` maps a kind to its URL; a bell of another kind is refused like by a subscriber
    that is down, and ends as a dead letter. Several dispatchers may share a file. `headers` show
    subscribers who we are.
    """

    def __init__(
        self,
        path: Path | str,
        subscribers: Mapping[str, str],
        dead_letters: str,
        *,
        ack_deadline_seconds: float = 600.0,
        min_backoff_seconds: float = 10.0,
        max_backoff_seconds: float = 600.0,
        max_delivery_attempts: int = 5,
        concurrency: int = 16,
        headers: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._policy = Policy(
            ack_deadline_seconds, min_backoff_seconds, max_backoff_seconds, max_delivery_attempts
        )
        self._bells = Bells(path, self._policy)
        self._subscribers = dict(subscribers)
        self._dead_letters = dead_letters
        self._concurrency = concurrency
        self._headers = dict(headers or {})
        self._clock = clock
        self._slots = threading.Semaphore(concurrency)
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Run in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name="dispatcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more bells. Deliveries under way are left alone: they come again if need be."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def run(self) -> None:
        """Deliver until `stop`. A file that cannot be read for a while is tried again."""
        while not self._stopped.is_set():
            try:
                busy = self.deliver_due()
            except sqlite3.Error:
                log.exception("the doorbell file cannot be read; trying again")
                busy = False
            if not busy:
                self._stopped.wait(POLL_SECONDS)

    def deliver_due(self) -> bool:
        """Begin the deliveries that are due and fit; whether there may be more at once."""
        free = 0
        while free < self._concurrency and self._slots.acquire(blocking=False):
            free += 1
        taken: list[Delivery] = []
        try:
            if free:
                taken = self._bells.take(_now_ms(self._clock), free)
        finally:
            for _ in range(free - len(taken)):
                self._slots.release()
        for delivery in taken:
            # daemon threads: a delivery of ten minutes must not hold up the end of the process
            threading.Thread(target=self._deliver, args=(delivery,), daemon=True).start()
        return bool(taken)

    def _deliver(self, delivery: Delivery) -> None:
        try:
            url = self._dead_letters if delivery.dead else self._subscribers.get(delivery.kind)
            status = None
            if url is not None:
                deadline = self._policy.ack_deadline_seconds
                status = post(url, envelope(delivery), deadline, self._headers)
            if status is not None and 200 <= status < 300:
                self._bells.acknowledge(delivery)
            else:
                self._bells.refuse(delivery, _now_ms(self._clock))
        except sqlite3.Error:  # it comes again after the ack deadline
            log.exception("the doorbell file cannot be written")
        finally:
            self._slots.release()
