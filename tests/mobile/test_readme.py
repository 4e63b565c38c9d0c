"""The README of the kit is true: as it is published, in a fresh project, it syncs with the lines shown."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import requests

from shared.records.store import Query
from tests.e2e.conftest import Deployment
from tests.mobile.conftest import HERE, MOBILE
from tests.patience import PATIENCE_SECONDS

README = (MOBILE / "README.md").read_text("utf-8")
PINNED = json.loads((MOBILE / "package.json").read_text("utf-8"))["devDependencies"]
APP = re.findall(r"^```js\n(.*?)^```", README, re.M | re.S)[0]


def test_the_app_of_the_readme_has_twenty_lines() -> None:
    assert len([line for line in APP.splitlines() if line.strip()]) <= 20


@pytest.fixture(scope="module")
def project(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh project into which the kit's package was installed, and what the app has beside it."""
    folder = tmp_path_factory.mktemp("fresh")
    shutil.copytree(HERE / "fresh", folder, dirs_exist_ok=True)
    pack = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(folder)]
    package = subprocess.run(
        pack, cwd=kit, check=True, capture_output=True, text=True
    ).stdout.strip()
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefer-offline"]
    beside = [f"{name}@{PINNED[name]}" for name in ("@nozbe/watermelondb", "typescript")]
    subprocess.run(["npm", "install", *quiet, f"./{package}", *beside], cwd=folder, check=True)
    return folder


@pytest.mark.proof
def test_the_app_of_the_readme_syncs(project: Path, deployment: Deployment) -> None:
    url, team = deployment.stack.url, "readme"
    deployment.join("boss", team, "supervisor")
    auth = {"Authorization": f"Bearer {deployment.token('boss', 'supervisor')}"}

    def ask(path: str, body: dict[str, str]) -> dict[str, str]:
        where = f"{url}/api/v1/auth/{path}"
        answer = requests.post(where, json=body, headers=auth, timeout=PATIENCE_SECONDS)
        assert answer.ok, answer.text
        said: dict[str, str] = answer.json()
        return said

    code = ask("invites", {"scope_id": team, "role": "chw"})["invite_code"]
    who = {"email": "amina@example.org", "password": "correct horse battery"}
    ask("register", {**who, "invite_code": code})
    app = APP.replace("http://localhost:8080", url)
    app = app.replace("useIncrementalIndexedDB: true", "useIncrementalIndexedDB: false")
    (project / "app.mjs").write_text(f"{app}\nstop()\nprocess.exit()\n", "utf-8")
    done = subprocess.run(
        ["node", "app.mjs"], cwd=project, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^rest \[", done.stdout, re.M), done.stdout
    found = deployment.store.query(Query("cases", where=(("scope_id", "==", team),)))
    assert [case.fields["risk_level"] for case in found] == ["red"]


@pytest.mark.proof
def test_the_package_installs_into_a_fresh_project_and_its_types_hold(project: Path) -> None:
    modules = project / "node_modules"
    package = {path.name for path in (modules / "@dermadetect" / "care-kit").iterdir()}
    assert package == {"README.md", "dist", "package.json"}
    assert not any((modules / peer).exists() for peer in ("react", "@tensorflow"))

    def node(*words: str) -> str:
        done = subprocess.run(
            ["node", *words], cwd=project, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    node("node_modules/typescript/bin/tsc")
    assert node("out/app.js") == "log_in 1 4 1\n"


def test_every_exported_thing_says_what_it_is() -> None:
    silent = []
    for module in sorted((MOBILE / "src").rglob("*.ts*")):
        lines = module.read_text("utf-8").splitlines()
        silent += [
            f"{module.name}: {line}"
            for before, line in pairwise(["", *lines])
            if re.match(r"export (abstract )?(async )?(class|const|function|interface|type) ", line)
            and not before.endswith("*/")
        ]
    assert silent == []
