"""`python -m tests.infra.log_lines`: the log lines that metrics are made of, as functions write them.

The deployed functions run in one process, on SQLite, against servers on this machine: a model that
answers, breaks down and refuses, a Pub/Sub and an FCM that are not there. Before the lines of a function
stands a line `{"service": its name}`; every other line of JSON is one that Cloud Logging would get.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Seconds that the breaker rests here.
REST_SECONDS = 0.1

#: A cap that one cheap answer fits and one dear answer uses up, at one unit a million tokens answered.
CAP = 0.0025


class Server(ThreadingHTTPServer):
    """Every other service: answers POST with `status` and a completion of so many tokens."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.status, self.tokens, self.broken = 200, 100, False
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answers(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        from shared.ai.model import ChatRequest
        from tests.scripted import ScriptedModel

        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        text = ScriptedModel().ask(ChatRequest("", "", (), max_tokens=1024), 1).text
        text = "no JSON" if self.server.broken else text
        body = json.dumps(
            {
                "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 900, "completion_tokens": self.server.tokens},
            }
        ).encode()
        # Nobody but the model answers.
        status = self.server.status if self.path.endswith("/chat/completions") else 503
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Our lines only."""


def say(server: Server) -> None:
    """Make every function write what it writes, and everything that metrics count."""
    from functions_framework import create_app

    from infra.local.phone import wall_ms
    from shared import wiring
    from shared.access import membership
    from shared.access.audit import OPERATOR
    from shared.accounts import tokens
    from shared.adapters.file_keys import FileKeys
    from shared.ai.model import Image
    from shared.errors import StoreUnavailable
    from shared.hooks.deliver import Deliver, EndpointAnswer
    from shared.hooks.hooks import Access
    from shared.jobs import queue_down
    from shared.jobs.job import RetryPolicy
    from shared.jobs.runner import Runner
    from shared.notify.notice import Deliveries, LogNotifier
    from shared.records.bell import Bell
    from tests.files.conftest import photo

    def client(name: str, kind: str) -> Any:
        print(json.dumps({"service": name.replace("_", "-")}), flush=True)
        return create_app(name, f"functions/{name}.py", kind).test_client()

    def rung(client: Any, content: Mapping[str, Any] | str) -> int:
        data = base64.b64encode(json.dumps(content).encode()).decode()
        message = {"data": data, "messageId": "1", "publishTime": "2026-01-01T00:00:00Z"}
        body = {"message": message, "subscription": "projects/p/subscriptions/s"}
        status: int = client.post("/projects/p/topics/analyse", json=body).status_code
        return status

    store = wiring.store()
    keys = FileKeys(wiring.settings().data_path / "keys")
    membership.grant(store, "amina", "team1", "chw", wall_ms())
    token = tokens.issue(
        keys.current(), wiring.token_policy(), user_id="amina", role="chw", now_s=wall_ms() / 1000
    )
    authorised = {"Authorization": f"Bearer {token}"}

    def red(name: str, **more: Any) -> dict[str, Any]:
        made = {"id": name, "patient_id": "p1", "risk_level": "red", "triage_data": {}}
        changed = {"sync_status": "new", "last_modified_at": wall_ms() // 1000}
        return made | changed | more

    # --- sync
    sync = client("sync", "http")
    cases = [red(f"c{number}") for number in range(6)]
    patient: dict[str, Any] = {"id": "p1", "demographics": {"age": 30}, "sync_status": "new"}
    patient["last_modified_at"] = wall_ms() // 1000
    body = {"last_sync_timestamp": 0, "device_id": "phone", "changes": {}}
    body["changes"] = {"patients": [patient], "cases": [*cases, red("c9", patient_id="nobody")]}
    assert sync.post("/api/sync", json=body, headers=authorised).status_code == 200
    assert sync.post("/api/sync", json=body).status_code == 401
    with _instead(queue_down, "RING_TIMEOUT_SECONDS", -1.0):
        wiring.ring([Bell("analyse", "j", "c0")])
    with _instead(wiring, "session", lambda: 1 / 0):
        assert sync.post("/api/sync", json=body, headers=authorised).status_code == 500

    # --- support
    own = {"device_id": "phone", "token": "t" * 20}
    said = client("support", "http").post("/api/v1/devices/token", json=own, headers=authorised)
    assert said.status_code == 200, said.text

    # --- analyse: a reading, a breakdown, no JSON, a wrong address, a dear answer, and one too many
    analyse = client("analyse", "cloudevent")
    jobs = [job.id for job in wiring.runner().due("analyse", 10)]
    assert len(jobs) == 6, jobs
    reached = []
    for job, (status, price) in zip(
        jobs, [(200, 100), (503, 0), (200, 0), (404, 0), (200, 1000), (200, 100)], strict=True
    ):
        server.status, server.tokens, server.broken = status, price, price == 0
        reached.append(wiring.runner().run(job))
        time.sleep(REST_SECONDS * 2)  # a breaker's rest is real time
    assert reached == ["done", "parked", "failed", "queued", "done", "queued"], reached
    assert rung(analyse, {"kind": "analyse", "job_id": jobs[0], "subject_id": "c0"}) == 200
    assert rung(analyse, "no bell") == 200
    from shared.products.dermadetect.product import second_look

    look = second_look(wiring.parts()).look(False, [Image("data:image/jpeg;base64,/9g=", "0" * 64)])
    assert look.status == "failed", look
    away: Any = _Away()
    Deliveries(away, wiring.catalog(), LogNotifier(), wall_ms).deliver_soon()

    # --- photos: one that is what it says, one that is not, and a file store that does not answer
    files = client("files", "http")
    good, bad = photo(1, (320, 240)), b"no photo at all" * 100
    asks = [
        {
            "table": "cases",
            "record_id": name,
            "key": key,
            "type": "image/jpeg",
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        for name, key, data in (("c0", "a", good), ("c0", "b", bad), ("c9", "a", good))
    ]
    for _ in range(2):  # the second time they are here
        said = files.post("/api/v1/files", json={"files": asks}, headers=authorised)
        assert said.status_code == 200, said.text
        for ticket, data in zip(said.json["files"], (good, bad), strict=False):
            if ticket["state"] == "upload":
                files.put(ticket["upload"]["url"], data=data, headers=authorised)
    states = [each.get("state") for each in said.json["files"]]
    assert states == ["ready", "refused", None], said.text
    images = client("images", "cloudevent")
    assert rung(images, {"kind": "images", "job_id": "unknown", "subject_id": "b"}) == 200
    assert rung(images, "no bell") == 200
    print(json.dumps({"service": "sweeper"}), flush=True)
    with _instead(wiring, "files", lambda: _NoFiles()):
        wiring.cleaner.__wrapped__().clean(wiring.clock_ms())

    # --- an endpoint of another system that is gone
    hooks = client("hooks", "cloudevent")
    access = Access(OPERATOR, ["team1"])
    place, _ = wiring.hooks().add(access, None, "https://his.example.org", ["case.red"], wall_ms())
    _, bell = wiring.hooks().test(access, place.endpoint.id, wall_ms())
    gone = Deliver(
        store, wiring.hooks_secret, lambda: lambda *_: EndpointAnswer(410), wiring.clock_ms
    )
    policy = RetryPolicy()
    runner = Runner(store, {"hooks": gone}, policy=policy, lease_ms=60_000, clock=wiring.clock_ms)
    assert runner.run(bell.job_id) == "failed"
    assert rung(hooks, bell.content()) == 200
    assert rung(hooks, "no bell") == 200

    # --- a query whose index is not there
    from shared.adapters.firestore import FirestoreStore
    from shared.records.store import Query

    firestore = FirestoreStore("clinic")
    with _instead(firestore, "_api", _NoIndex()), suppress(StoreUnavailable):
        list(firestore.query(Query("cases", (("status", "==", "DONE"),))))

    # --- dead letters
    dead = client("dead_letters", "cloudevent")
    assert rung(dead, {"kind": "analyse", "job_id": jobs[4], "subject_id": "c4"}) == 200
    assert rung(dead, "no bell") == 200

    # --- the minute's round
    sweeper = client("sweeper", "http")
    assert sweeper.post("/").status_code == 200


class _NoFiles:
    """A file store that does not answer."""

    def list(self, *_: Any, **__: Any) -> Any:
        from shared.errors import FilesUnavailable

        raise FilesUnavailable("The file store does not answer.")


class _NoIndex:
    """A Firestore without an index: the emulator answers without one."""

    def run_query(self, **_: Any) -> Any:
        from google.api_core.exceptions import FailedPrecondition

        raise FailedPrecondition("The query requires an index.")


class _Away:
    """A store that does not answer."""

    def query(self, _query: object) -> None:
        from shared.errors import StoreUnavailable

        raise StoreUnavailable("The store does not answer.")


@contextmanager
def _instead(module: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = Server()
        os.environ.update(
            DATA_FOLDER=folder,
            FIRESTORE_EMULATOR_HOST="127.0.0.1:1",
            FUNCTION_TARGET="sync",
            GOOGLE_CLOUD_PROJECT="clinic",
            JOB_QUEUE="pubsub",
            PUBSUB_EMULATOR_HOST="127.0.0.1:1",
            MODEL="openai_compatible",
            MODEL_URL=f"{made.url}/v1",
            MODEL_NAME="medgemma",
            MODEL_FAILURES="1",
            MODEL_REST_SECONDS=str(REST_SECONDS),
            JOB_ATTEMPTS="1",
            DAILY_COST_CAP=str(CAP),
            PRICE_ANSWERED="1",
            NOTIFIER="fcm",
            FCM_URL=made.url,
            FCM_CREDENTIALS="anonymous",
            SIGLIP_ENDPOINT="7",
            VERTEX_API_ENDPOINT=made.url,
            VERTEX_CREDENTIALS="anonymous",
        )
        say(made)
