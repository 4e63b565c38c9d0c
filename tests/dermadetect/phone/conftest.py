"""Phones for a running back end, on both profiles. One back end a profile for all tests of this folder."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.access import membership
from shared.jobs import transfer
from shared.jobs.job import RetryPolicy
from shared.jobs.runner import Runner
from shared.products.dermadetect.tables import CATALOG
from shared.records import record
from shared.records.store import ABSENT, MAX_COMMIT_WRITES, Key, put
from tests.conftest import absent
from tests.dermadetect.phone import BatchPhone, NodePhone, install
from tests.dermadetect.phone.cutting import CuttingProxy
from tests.e2e.conftest import Deployment
from tests.e2e.conftest import deploy as deploy
from tests.e2e.conftest import deployment as deployment
from tests.node_packages import NodeMissing
from tests.sync.clinic import pass_millisecond, wall_ms

Make = Callable[..., NodePhone]
MakeBatch = Callable[..., BatchPhone]


def new(stem: str = "p") -> str:
    return f"{stem}-{uuid.uuid4().hex[:10]}"


def stored(deployment: Deployment, table: str, name: str) -> dict[str, object]:
    key = Key(table, name)
    document = deployment.store.read([key]).documents.get(key)
    return {} if document is None else document.fields


def settle() -> None:
    """Let some ms pass: what is taken away in the ms of a phone's cursor is dropped at once."""
    for _ in range(3):
        pass_millisecond()


def leave(deployment: Deployment, user: str, team: str) -> None:
    settle()
    membership.revoke(deployment.store, user, team, wall_ms())
    settle()


def move(deployment: Deployment, name: str, to: str) -> None:
    """Move a patient with all that hangs on it; at once, for sweeps are an hour apart."""
    settle()
    store = deployment.store
    transfer.move(store, CATALOG, Key("patients", name), to, wall_ms())
    tasks = {transfer.KIND: transfer.Transfer(store, CATALOG, wall_ms)}
    policy = RetryPolicy(3, 20.0, 3600.0)
    runner = Runner(store, tasks, policy=policy, lease_ms=600_000, clock=wall_ms)
    runner.answer(transfer.KIND, None, 120)
    settle()


def fill(deployment: Deployment, team: str, count: int) -> set[str]:
    """Patients with the fields that a push would write, put into the store directly."""
    names = [new() for _ in range(count)]
    now = wall_ms()
    for at in range(0, count, MAX_COMMIT_WRITES):
        writes = []
        for name in names[at : at + MAX_COMMIT_WRITES]:
            note = random.Random(name).randbytes(180).hex()  # a text that hardly packs
            fields = {
                "demographics": f'{{"age":34,"name":"N. N.","note":"{note}","sex":"female"}}',
                "chw_id": "somebody",
                record.SCOPE: team,
                record.AUTHOR: "somebody",
                record.MODIFIED: now,
                record.RAW_MODIFIED: now,
                record.CREATED: now,
                record.DEVICE: "somewhere",
            }
            fields[record.HASH] = content_hash(name, team, fields)
            writes.append(put(Key("patients", name), fields, ABSENT))
        deployment.store.commit(writes)
    settle()
    return set(names)


def content_hash(name: str, team: str, fields: dict[str, object]) -> str:
    columns = CATALOG.by_name["patients"].client_fields
    return record.content_hash(name, team, {each: fields[each] for each in columns})[0]


@pytest.fixture
def line(deployment: Deployment) -> Iterator[CuttingProxy]:
    """A network to the deployment that breaks as told."""
    made = CuttingProxy(("127.0.0.1", deployment.stack.port))
    yield made
    made.close()


@pytest.fixture(scope="session")
def folder() -> Path:
    try:
        return install()
    except NodeMissing as error:
        absent(str(error))


@pytest.fixture
def team() -> str:
    return f"team-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def phone(deployment: Deployment, folder: Path, team: str) -> Iterator[Make]:
    """WatermelonDB phones: phone("amina"), phone("amina", "second"), phone("ruth", team="other")."""
    made: list[NodePhone] = []

    def make(user: str, device: str = "phone", member: bool = True, **more: str) -> NodePhone:
        name = f"{user}-{team}"
        if member:
            deployment.join(name, more.pop("team", team))
        url, token = deployment.stack.url, deployment.token(name)
        made.append(NodePhone(folder, url, token, f"{user}-{device}", **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def batch(deployment: Deployment, folder: Path, team: str) -> Iterator[MakeBatch]:
    """Phones with the batch dialect, in the same way."""
    made: list[BatchPhone] = []

    def make(user: str, device: str = "phone", **more: object) -> BatchPhone:
        name = f"{user}-{team}"
        deployment.join(name, str(more.pop("team", team)))
        url, token = deployment.stack.url, deployment.token(name)
        made.append(BatchPhone(folder, url, token, f"{user}-{device}", **more))
        return made[-1]

    yield make
    for each in made:
        each.close()
