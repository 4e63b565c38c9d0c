"""What comes over the wire from Google's services on their bad days, to functions started as deployed.

Firestore and Pub/Sub are the emulators; tests/infra/wire.py has what no emulator does. Times are
parameters: a line that Google cuts after two minutes is cut here after a second.
"""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from infra.local.phone import Json, Phone, ServerRefused, over_http, wall_ms
from shared.accounts import tokens
from shared.adapters.file_keys import FileKeys
from shared.adapters.firestore import FirestoreStore
from shared.adapters.pubsub import PubSubDoorbell, PushSubscription, create_subscriptions
from shared.records.bell import Bell
from shared.settings import load
from tests.ai.workplace import Workplace
from tests.infra import deployed
from tests.infra.hcl import of_kind
from tests.infra.wire import Door, Line, running
from tests.patience import PATIENCE_SECONDS, until
from tests.reliability.grpc_proxy import Fault, GrpcProxy

pytestmark = pytest.mark.proof

#: What Firestore says of a query without its index (cloud.google.com/firestore/docs/query-data/indexing).
NO_INDEX = (
    "The query requires an index. You can create it here: "
    "https://console.firebase.google.com/v1/r/project/clinic/firestore/indexes?create_composite=x"
)


class Site:
    """A project of the emulators with one team, and what its functions are told."""

    def __init__(self, folder: Path, firestore: str, pubsub: str) -> None:
        self.folder, self.project = folder, f"wire-{secrets.token_hex(6)}"
        self.place = Workplace(FirestoreStore(self.project))
        self.place.join("chw1")
        self.keys = FileKeys(folder / "keys")
        self.key = self.keys.current()
        self.environ = {
            "GOOGLE_CLOUD_PROJECT": self.project,
            "FIRESTORE_EMULATOR_HOST": firestore,
            "PUBSUB_EMULATOR_HOST": pubsub,
            "DATA_FOLDER": str(folder),
            "TOKEN_JWKS": (folder / "keys" / "jwks.json").read_text(),
        }

    def token(self) -> str:
        chosen = load(deployed.environment(deployed.FUNCTIONS["sync"], 8080))
        policy = tokens.TokenPolicy(chosen.token_issuer, chosen.token_audience, user_claim="chw_id")
        return tokens.issue(self.key, policy, user_id="chw1", role="chw", now_s=wall_ms() / 1000)

    def phone(self, url: str, device: str = "phone", **more: Any) -> Phone:
        return Phone(over_http(url, self.token()), "chw1", device, **more)


@pytest.fixture
def site(tmp_path: Path, firestore_emulator: str, pubsub_emulator: str) -> Iterator[Site]:
    made = Site(tmp_path, firestore_emulator, pubsub_emulator)
    yield made
    made.place.store.close()


def red_day(phone: Phone, name: str = "c1") -> None:
    phone.save("patients", f"p-{name}", demographics={"age": 30, "sex": "f"})
    fields: Json = {"triage_data": {"site": "arm"}, "risk_level": "red"}
    phone.save("cases", name, patient_id=f"p-{name}", **fields)


def lines(log: Path, message: str) -> list[Json]:
    """Log lines with this message."""
    found = (json.loads(line) for line in log.read_text().splitlines() if line.startswith("{"))
    return [line for line in found if line["message"] == message]


# --- Pub/Sub's push, with its token, and Cloud Run before the function

URI = "https://analyse-123456789012.europe-west1.run.app"
CALLER = "call-analyse@clinic.iam.gserviceaccount.com"


def planned(expression: str) -> str:
    """What an expression of terraform/jobs.tf or the function's module is for `analyse`."""
    known = {
        "module.function[each.value].uri": URI,
        "module.function[each.value].caller": CALLER,
        "google_service_account.caller[0].email": CALLER,
        "google_pubsub_topic.jobs[each.key].id": "projects/clinic/topics/analyse",
    }
    for name, value in known.items():
        expression = expression.replace(f"${{{name}}}", value)
    assert "${" not in expression, expression
    return expression


@pytest.fixture
def door() -> Iterator[Door]:
    """Cloud Run's door, with the subscription and the right to call that Terraform makes."""
    [push] = of_kind("google_pubsub_subscription")["jobs"]["push_config"]
    [oidc] = push["oidc_token"]
    made = Door(
        uri=URI,
        path=planned(push["push_endpoint"]).removeprefix(URI),
        audience=planned(oidc["audience"]),
        account=planned(oidc["service_account_email"]),
        invoker=planned(of_kind("google_cloud_run_service_iam_member")["caller"]["member"]),
    )
    yield made
    made.close()


def test_a_push_is_let_in_by_its_token_and_comes_again_after_429(site: Site, door: Door) -> None:
    # given a red case, and no instance free for two pushes
    job_id = site.place.red_case()
    door.busy = 2
    with running("analyse", site.folder, **site.environ) as analyse:
        door.function = analyse.url
        create_subscriptions(
            site.project,
            [
                PushSubscription(
                    "analyse", door.url, door.url, min_backoff_seconds=1, max_backoff_seconds=2
                )
            ],
            emulator=site.environ["PUBSUB_EMULATOR_HOST"],
        )
        # when the bell rings once
        doorbell = PubSubDoorbell(site.project)
        doorbell.ring(Bell("analyse", job_id, "c1"))
        until(lambda: site.place.state(job_id) == "done", "the red case is read")
        until(lambda: len(door.answers) == 3, "the push is acknowledged")
        doorbell.close()
    # then Pub/Sub brought it again, later, until it was let in; the model was asked once
    assert door.answers[:2] == [429, 429]
    assert door.answers[2] < 300
    assert door.times_s[2] - door.times_s[0] > 1
    [job] = site.place.jobs()
    assert job.attempts == 1
    assert site.place.fields("cases", "c1")["ai_analysis"]["status"] == "ok"


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({}, 200),
        ({"aud": f"{URI}/projects/clinic/topics/analyse"}, 403),
        ({"aud": "https://sync-123456789012.europe-west1.run.app"}, 403),
        ({"email": "call-sweeper@clinic.iam.gserviceaccount.com"}, 403),
        ({"iss": "https://accounts.example.org"}, 401),
        ({"signed_by_google": False}, 401),
        ({"lives_s": -60}, 401),
    ],
    ids=lambda value: "-".join(value) or "none" if isinstance(value, dict) else None,
)
def test_the_door_checks_audience_account_signature_and_time(
    door: Door, wrong: dict[str, Any], status: int
) -> None:
    assert door.judge(door.token(**wrong)) == status


def test_the_scheduler_brings_a_token_as_pubsub_does() -> None:
    [target] = of_kind("google_cloud_scheduler_job")["this"]["http_target"]
    [oidc] = target["oidc_token"]
    assert oidc["audience"] == "${module.function[each.key].uri}"
    assert oidc["service_account_email"] == "${module.function[each.key].caller}"
    assert target["uri"] == "${module.function[each.key].uri}/"


# --- accounts starts while sync wants its keys


def test_a_cold_accounts_costs_a_phone_seconds_not_a_minute(site: Site) -> None:
    environ = {**site.environ, "KEY_STORE": "files"}
    with (
        running("accounts", site.folder, **environ) as accounts,
        Line(accounts.url) as line,
    ):
        line.opens_after_s = 6.0  # a fetch waits for five
        url = f"http://{line.address}/.well-known/jwks.json"
        with running(
            "sync", site.folder, **environ | {"TOKEN_JWKS": "", "TOKEN_JWKS_URL": url}
        ) as sync:
            phone = site.phone(sync.url)
            red_day(phone)
            told: list[tuple[int, str]] = []
            until_s = time.monotonic() + PATIENCE_SECONDS
            while phone.dirty and time.monotonic() < until_s:
                try:
                    phone.sync()
                except ServerRefused as refused:  # wait as told, as an app does
                    told.append((refused.status, refused.code))
                    time.sleep(refused.retry_after_s or 60)
    # its token was never called bad, and nothing of the phone's is lost
    assert set(told) == {(503, "keys_unavailable")}
    assert site.place.get("cases", "c1") is not None


# --- Firestore on a bad day


@pytest.fixture
def proxy(firestore_emulator: str) -> Iterator[GrpcProxy]:
    with GrpcProxy(firestore_emulator) as made:
        yield made


def refuse(method: str, code: grpc.StatusCode, says: str = "") -> Fault:
    """Of the calls that are about cases; the emulator's turnstile is none of them."""
    return Fault(method, "refuse", code, lambda request: b"cases" in request, says=says)


@pytest.mark.parametrize(
    ("faults", "refusals"),
    [
        ([refuse("BatchGetDocuments", grpc.StatusCode.UNAVAILABLE)] * 2, []),
        ([refuse("RunQuery", grpc.StatusCode.UNAVAILABLE)], []),
        ([refuse("BatchGetDocuments", grpc.StatusCode.ABORTED)], []),
        ([refuse("Commit", grpc.StatusCode.ABORTED)] * 2, []),
        ([refuse("Commit", grpc.StatusCode.UNAVAILABLE)], []),
        (
            [refuse("RunQuery", grpc.StatusCode.FAILED_PRECONDITION, NO_INDEX)],
            [(503, "store_unavailable", 2.0)],
        ),
    ],
    ids=[
        "read-unavailable",
        "query-unavailable",
        "read-aborted",
        "aborted",
        "unavailable",
        "index",
    ],
)
def test_what_firestore_refuses_is_tried_again_or_said_and_never_lost(
    site: Site, proxy: GrpcProxy, faults: list[Fault], refusals: list[tuple[int, str, float]]
) -> None:
    environ = {**site.environ, "FIRESTORE_EMULATOR_HOST": proxy.address}
    with running("sync", site.folder, **environ) as sync:
        phone = site.phone(sync.url)
        phone.sync()
        red_day(phone)
        proxy.faults[:] = faults
        told = []
        for _ in range(3):
            try:
                phone.sync()
                break
            except ServerRefused as refused:
                told.append((refused.status, refused.code, refused.retry_after_s))
        assert told == refusals
        assert proxy.met == faults
        # whatever was said, the phone has nothing left to send, and the server has all of it, once
        assert (phone.dirty, phone.refused) == ({}, {})
        assert [job.subject_id for job in site.place.jobs()] == ["c1"]
        assert lines(sync.log, "request crashed") == []
        missing = lines(sync.log, "index missing")
    # an operator is told which query it was, and nothing of a patient
    assert len(missing) == len(refusals)
    for line in missing:
        assert (line["severity"], line["collection"]) == ("ERROR", "cases")
        assert line["fields"] == "scope_id,updated_at"


def test_a_line_that_died_while_nobody_used_it_costs_a_phone_nothing(
    site: Site, firestore_emulator: str
) -> None:
    with Line(firestore_emulator) as line:
        environ = {**site.environ, "FIRESTORE_EMULATOR_HOST": line.address}
        with running("sync", site.folder, **environ) as sync:
            phone = site.phone(sync.url)
            for number in range(3):
                red_day(phone, f"c{number}")
                phone.sync()
                assert phone.dirty == {}
                line.cut()


# --- no CPU between requests


def test_nothing_is_left_to_do_when_an_answer_has_gone_out(site: Site) -> None:
    # given an instance that gets no CPU from the last byte of an answer to the next request
    from google.pubsub_v1 import SubscriberClient

    emulator = site.environ["PUBSUB_EMULATOR_HOST"]
    create_subscriptions(
        site.project,
        [PushSubscription("analyse", "http://127.0.0.1:1/", "http://127.0.0.1:1/")],
        emulator=emulator,
    )
    subscriber = SubscriberClient()
    path = subscriber.subscription_path(site.project, "seen")
    subscriber.create_subscription(name=path, topic=f"projects/{site.project}/topics/analyse")
    with running("sync", site.folder, **site.environ) as sync:
        send = over_http(sync.url, site.token())

        def send_then_stop(body: Json, phone: Phone) -> Json:
            sync.give_cpu()
            answer = send(body, phone)
            sync.stop_cpu()
            return answer

        phone = Phone(send_then_stop, "chw1", "phone")
        red_day(phone)
        # when it answers, and is then taken away
        phone.sync()
        sync.kill()
        # then all that was promised is there: records, job, bell, receipt, audit, the ledger's line
        [job] = site.place.jobs()
        pulled = subscriber.pull(subscription=path, max_messages=10, timeout=PATIENCE_SECONDS)
        bells = [json.loads(each.message.data)["job_id"] for each in pulled.received_messages]
        assert bells == [job.id]
        assert len(site.place.all("receipts")) == 1
        assert {entry.fields["action"] for entry in site.place.all("audit")} >= {"push", "pull"}
        [device] = site.place.all("devices")
        assert device.fields["outcome"] == "ok"
    subscriber.transport.close()

    with running("analyse", site.folder, **site.environ) as analyse:
        status = push(analyse.url, {"kind": "analyse", "job_id": job.id, "subject_id": "c1"})
        analyse.kill()
    assert status < 300
    assert site.place.state(job.id) == "done"
    assert site.place.fields("cases", "c1")["ai_analysis"]["status"] == "ok"


def test_an_instance_goes_on_after_a_long_stop(site: Site, firestore_emulator: str) -> None:
    with Line(firestore_emulator) as line:
        environ = {**site.environ, "FIRESTORE_EMULATOR_HOST": line.address}
        with running("sync", site.folder, **environ) as sync:
            phone = site.phone(sync.url)
            for number in range(3):
                red_day(phone, f"c{number}")
                phone.sync()
                sync.stop_cpu()
                line.cut()  # Firestore ended the line meanwhile, and nobody was awake to see it
                time.sleep(1)
                sync.give_cpu()
            assert phone.dirty == {}
    assert len(site.place.jobs()) == 3


def push(url: str, bell: Json) -> int:
    """A push as Pub/Sub sends it; the status of the answer."""
    data = base64.b64encode(json.dumps(bell).encode()).decode()
    message = {"data": data, "messageId": "1", "publishTime": "2026-01-01T00:00:00Z"}
    body = json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"})
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/projects/p/topics/analyse", body.encode(), headers)
        return connection.getresponse().status
    finally:
        connection.close()


# --- a line that is cut after so many bytes

CASES = 300


def test_a_first_sync_comes_through_a_line_that_is_cut_again_and_again(site: Site) -> None:
    # given a team whose records are four times what a line carries before it is cut
    first = site.place.phone()
    first.save("patients", "p1", demographics={"age": 30, "sex": "f"})
    for number in range(CASES):
        fields: Json = {"triage_data": {"site": "arm", "notes": "x" * 300}, "risk_level": "green"}
        first.save("cases", f"c{number}", patient_id="p1", **fields)
    first.sync()
    with running("sync", site.folder, **site.environ) as sync, Line(sync.url) as line:
        url = f"http://{line.address}"
        whole = len(json.dumps(site.phone(sync.url, "other").sync()))
        line.lives_bytes = whole // 4
        # when a phone asks for everything at once, it is cut, and knows it: half an answer is no answer
        with pytest.raises((OSError, ValueError, http.client.HTTPException)):
            site.phone(url).sync()
        # then by pages that fit it gets everything
        phone = site.phone(url, limit=CASES // 10)
        phone.sync()
    assert sum(table == "cases" for table, _ in phone.rows) == CASES
