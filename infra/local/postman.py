"""What Pub/Sub and Cloud Scheduler do in the cloud: delivers doorbells, calls the sweeper.

    python -m infra.local.postman --sweeper http://127.0.0.1:8080/_tasks/sweeper --sweep-seconds 60
        --doorbells .data/queue.db --dead-letters http://… --subscriber analyse=http://…

A process of its own: killing it and starting another one loses no bell. It shows the secret of the data
folder (`DATA_FOLDER`) to those it calls.
"""

from __future__ import annotations

import argparse
import logging
import signal
import threading
from collections.abc import Mapping

from infra.local import private
from shared.adapters.sqlite_queue import Dispatcher, post
from shared.settings import current

log = logging.getLogger("postman")

#: Longest wait for a sweep, seconds: the sweeper's own timeout.
SWEEP_TIMEOUT_SECONDS = 180.0


def sweep_regularly(
    url: str, seconds: float, ended: threading.Event, headers: Mapping[str, str]
) -> None:
    """Call the sweeper now and every `seconds`, never twice at a time."""
    while not ended.is_set():
        status = post(url, {}, SWEEP_TIMEOUT_SECONDS, headers)
        if (status is None or status >= 300) and not ended.is_set():
            log.warning("the sweeper answered %s", status or "nothing")
        ended.wait(seconds)


def main(arguments: list[str] | None = None) -> None:
    """Deliver until terminated."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.postman")
    parser.add_argument("--doorbells", help="the file; without it Pub/Sub delivers")
    parser.add_argument("--subscriber", action="append", default=[], help="KIND=URL")
    parser.add_argument("--dead-letters", default="", help="URL")
    parser.add_argument("--ack-deadline-seconds", type=float, default=600)
    parser.add_argument("--min-backoff-seconds", type=float, default=10)
    parser.add_argument("--max-backoff-seconds", type=float, default=600)
    parser.add_argument("--max-delivery-attempts", type=int, default=5)
    parser.add_argument("--sweeper", help="URL")
    parser.add_argument("--sweep-seconds", type=float, default=60)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    headers = {private.HEADER: private.secret(current().data_path)}
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    if chosen.doorbells:
        Dispatcher(
            chosen.doorbells,
            dict(word.split("=", 1) for word in chosen.subscriber),
            chosen.dead_letters,
            ack_deadline_seconds=chosen.ack_deadline_seconds,
            min_backoff_seconds=chosen.min_backoff_seconds,
            max_backoff_seconds=chosen.max_backoff_seconds,
            max_delivery_attempts=chosen.max_delivery_attempts,
            headers=headers,
        ).start()
    if chosen.sweeper:
        threading.Thread(
            target=sweep_regularly,
            args=(chosen.sweeper, chosen.sweep_seconds, ended, headers),
            daemon=True,
        ).start()
    print("ready: delivering", flush=True)
    ended.wait()


if __name__ == "__main__":
    main()
