"""The kit, compiled once for all tests of this folder, with the packages of its lock file."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import node_packages
from tests.conftest import absent

ROOT = Path(__file__).parent.parent.parent
MOBILE = ROOT / "mobile"


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
    for name in ("package.json", "tsconfig.json"):
        shutil.copy(MOBILE / name, folder / name)
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
