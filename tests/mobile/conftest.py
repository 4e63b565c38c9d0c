"""The kit, compiled once for all tests of this folder, with the packages of its lock file."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import node_packages
from tests.conftest import absent
from tests.dermadetect.phone import Json, NodePhone
from tests.dermadetect.phone.conftest import Make
from tests.dermadetect.phone.conftest import line as line
from tests.dermadetect.phone.conftest import team as team
from tests.e2e.conftest import Deployment
from tests.e2e.conftest import deploy as deploy

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MOBILE = ROOT / "mobile"
LINES = ROOT / "tests" / "dermadetect" / "phone" / "lines.cjs"


class KitPhone(NodePhone):
    """A phone with the kit. What it can do more than the guide's: `phone.mjs`."""

    def __init__(self, kit: Path, url: str, token: str, device: str, **more: Any) -> None:
        self.script = str(kit / "phone.mjs")
        os.environ["KIT_LINES"] = str(LINES)
        super().__init__(kit, url, token, device, **more)

    def status(self) -> Json:
        value: Json = self.do("status")
        return value

    def conflicts(self) -> list[Json]:
        value: list[Json] = self.do("conflicts")
        return value


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the compiled kit in `dist` and its packages in `node_modules`."""
    try:
        packages = node_packages.install(MOBILE, "care-kit")
    except node_packages.NodeMissing as error:
        absent(str(error))
    folder = tmp_path_factory.mktemp("kit")
    for name in ("src", "test"):
        shutil.copytree(MOBILE / name, folder / name)
    for name in ("README.md", "package.json", "tsconfig.json"):
        shutil.copy(MOBILE / name, folder / name)
    shutil.copy(HERE / "phone.mjs", folder / "phone.mjs")
    (folder / "node_modules").symlink_to(packages / "node_modules")
    subprocess.run(
        ["node", "node_modules/typescript/bin/tsc", "--project", "tsconfig.json"],
        cwd=folder,
        check=True,
    )
    return folder


@pytest.fixture(scope="session")
def sqlite_kit(kit: Path) -> Path:
    """The same, with the SQLite adapter's native module, which is built on first use: a minute."""
    packages = (kit / "node_modules").resolve().parent
    with (packages / "lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not list((packages / "node_modules/better-sqlite3").glob("build/Release/*.node")):
            subprocess.run(["npm", "rebuild", "better-sqlite3"], cwd=packages, check=True)
    return kit


@pytest.fixture
def deployment(deploy: Callable[[str], Deployment]) -> Deployment:
    """The running back end; on one profile, unless a module says otherwise."""
    return deploy("local")


@pytest.fixture
def adapter() -> str:
    """Where phones keep their records: in memory, unless a test says otherwise."""
    return "loki"


@pytest.fixture
def phone(
    deployment: Deployment, request: pytest.FixtureRequest, adapter: str, team: str, tmp_path: Path
) -> Iterator[Make]:
    """Phones with the kit: phone("amina"), phone("amina", "second"), phone("ruth", team="other")."""
    made: list[KitPhone] = []
    folder = request.getfixturevalue("sqlite_kit" if adapter == "sqlite" else "kit")

    def make(user: str, device: str = "phone", member: bool = True, **more: str) -> KitPhone:
        name = f"{user}-{team}"
        if member:
            deployment.join(name, more.pop("team", team))
        more.setdefault("file", str(tmp_path / f"{user}-{device}.db"))
        url, token = deployment.stack.url, deployment.token(name)
        made.append(KitPhone(folder, url, token, f"{user}-{device}", adapter=adapter, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()
