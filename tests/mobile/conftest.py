"""The kit, compiled once, and phones with it for running back ends: one a profile for all tests."""

from __future__ import annotations

import fcntl
import hashlib
import json
import random
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.access import membership
from shared.jobs import transfer
from shared.jobs.job import RetryPolicy
from shared.jobs.runner import Runner
from shared.products.dermadetect.tables import CATALOG
from shared.records import record
from shared.records.store import ABSENT, MAX_COMMIT_WRITES, Key, put
from tests import node_packages
from tests.conftest import absent
from tests.e2e.conftest import Deployment
from tests.e2e.conftest import deploy as deploy
from tests.mobile import BatchPhone, KitPhone
from tests.mobile.cutting import CuttingProxy
from tests.sync.clinic import pass_millisecond, wall_ms

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MOBILE = ROOT / "mobile"
BUILT = ROOT / ".build" / "care-kit"

Make = Callable[..., KitPhone]
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
    runner.run_due(transfer.KIND, 120)
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
def kit() -> Path:
    """A folder with the compiled kit in `dist`, its packages in `node_modules`, and the phones' scripts."""
    try:
        packages = node_packages.install(MOBILE, "care-kit")
    except node_packages.NodeMissing as error:
        absent(str(error))
    BUILT.mkdir(parents=True, exist_ok=True)
    with (BUILT / "lock").open("w") as alone:  # of many test processes one compiles
        fcntl.flock(alone, fcntl.LOCK_EX)
        _compile(packages)
    return BUILT


def _compile(packages: Path) -> None:
    """Does nothing if the sources are those that were compiled before."""
    files = [file for part in ("src", "test") for file in (MOBILE / part).rglob("*.ts*")]
    files += [MOBILE / name for name in ("README.md", "package.json", "tsconfig.json")]
    texts = {str(file.relative_to(MOBILE)): file.read_text("utf-8") for file in sorted(files)}
    texts |= {file.name: file.read_text("utf-8") for file in sorted(HERE.glob("*.mjs"))}
    stamp, now = (
        BUILT / "stamp",
        hashlib.sha256(json.dumps([packages.name, texts]).encode()).hexdigest(),
    )
    if stamp.exists() and stamp.read_text("utf-8") == now:
        return
    for part in ("src", "test", "dist"):
        shutil.rmtree(BUILT / part, ignore_errors=True)
    for name, text in texts.items():
        (BUILT / name).parent.mkdir(parents=True, exist_ok=True)
        (BUILT / name).write_text(text, "utf-8")
    modules = BUILT / "node_modules"
    modules.unlink(missing_ok=True)
    modules.symlink_to(packages / "node_modules")
    subprocess.run(["node", "node_modules/typescript/bin/tsc"], cwd=BUILT, check=True)
    stamp.write_text(now, "utf-8")


@pytest.fixture(scope="session")
def sqlite_kit(kit: Path) -> Path:
    """The same, with the SQLite adapter's native module, which is built on first use: a minute."""
    packages = (kit / "node_modules").resolve().parent
    module = packages / "node_modules" / "better-sqlite3"
    version = json.loads((module / "package.json").read_text("utf-8"))["version"]
    kept = Path(sys.prefix) / f"better_sqlite3-{version}.node"  # also for other lock files
    made = module / "build" / "Release" / "better_sqlite3.node"
    with (Path(sys.prefix) / "better_sqlite3.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not kept.exists():
            subprocess.run(["npm", "rebuild", "better-sqlite3"], cwd=packages, check=True)
            shutil.copy(made, kept)
        if not made.exists():
            made.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(kept, made)
    return kit


@pytest.fixture
def stage() -> str:
    """Where phones keep their records, and what the server is: one pair, unless a test says otherwise."""
    return "loki"


@pytest.fixture
def deployment(deploy: Callable[[str], Deployment], stage: str) -> Deployment:
    """The running back end: on the emulators if the stage says so."""
    return deploy("emulator" if stage == "emulator" else "local")


@pytest.fixture
def team() -> str:
    return f"team-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def phone(
    deployment: Deployment, request: pytest.FixtureRequest, stage: str, team: str, tmp_path: Path
) -> Iterator[Make]:
    """Phones on WatermelonDB: phone("amina"), phone("amina", "second"), phone("ruth", team="other")."""
    made: list[KitPhone] = []
    sqlite = stage == "sqlite"
    folder = request.getfixturevalue("sqlite_kit" if sqlite else "kit")

    def make(user: str, device: str = "phone", member: bool = True, **more: Any) -> KitPhone:
        name = f"{user}-{team}"
        if member:
            deployment.join(name, more.pop("team", team))
        more.setdefault("file", str(tmp_path / f"{user}-{device}.db"))
        url, token = deployment.stack.url, deployment.token(name)
        adapter = "sqlite" if sqlite else "loki"
        made.append(KitPhone(folder, url, token, f"{user}-{device}", adapter=adapter, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def batch(deployment: Deployment, kit: Path, team: str) -> Iterator[MakeBatch]:
    """Phones with the batch dialect, in the same way."""
    made: list[BatchPhone] = []

    def make(user: str, device: str = "phone", **more: object) -> BatchPhone:
        name = f"{user}-{team}"
        deployment.join(name, str(more.pop("team", team)))
        url, token = deployment.stack.url, deployment.token(name)
        made.append(BatchPhone(kit, url, token, f"{user}-{device}", **more))
        return made[-1]

    yield make
    for each in made:
        each.close()
