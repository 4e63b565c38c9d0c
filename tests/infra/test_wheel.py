"""`pip install .` from nothing: the package alone, in a folder elsewhere, is a clinic's whole server.

From a clean copy into a fresh environment, with packages from the index: half a minute.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.phone import Phone, over_http
from infra.local.processes import Child
from infra.local.table import REPOSITORY
from shared.settings import VERSION
from tests.conftest import absent
from tests.patience import PATIENCE_SECONDS, until

pytestmark = pytest.mark.proof

#: What belongs to the package, as pyproject.toml says.
SOURCES = ("pyproject.toml", "README.md", "main.py", "functions", "infra", "shared")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment into which the package was installed."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "copy"
    copy.mkdir()
    for name in SOURCES:
        if (REPOSITORY / name).is_dir():
            cached = shutil.ignore_patterns("__pycache__")
            shutil.copytree(REPOSITORY / name, copy / name, ignore=cached)
        else:
            shutil.copy(REPOSITORY / name, copy / name)
    venv.create(folder / "venv", with_pip=True)
    commands = folder / "venv" / "bin"
    done = subprocess.run(
        [commands / "python", "-m", "pip", "install", "--quiet", copy],
        capture_output=True,
        text=True,
        check=False,
    )
    if "No matching distribution" in done.stderr:
        absent(f"there is no index of packages: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(copy)  # nothing may lean on it
    return commands


def environ(**settings: str) -> dict[str, str]:
    return {"PATH": os.defpath, "HOME": os.environ.get("HOME", "/"), **settings}


def run(
    command: Path, *words: str, folder: Path, **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command, *words],
        cwd=folder,
        env=environ(**settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def lines(command: Path, *words: str, folder: Path) -> list[str]:
    done = run(command, *words, folder=folder)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout.splitlines()


@pytest.fixture
def server(installed: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a server that was started from an empty folder, with `data` in it."""
    command = [str(installed / "care-server"), "run", "--port", "0", "--data", "data", "--quiet"]
    log = tmp_path / "log"
    with Child("server", command, log=log, environ=environ(), cwd=tmp_path) as child:
        child.wait_ready(lambda: "ready: " in child.tail(50), PATIENCE_SECONDS)
        [ready] = [line for line in child.tail(50).splitlines() if line.startswith("ready: ")]
        yield ready.removeprefix("ready: ")


def test_nothing_of_google_s_and_no_extra_is_installed(installed: Path, tmp_path: Path) -> None:
    code = "from importlib.metadata import distributions as d; print(*(e.name for e in d()))"
    [said] = lines(installed / "python", "-I", "-c", code, folder=tmp_path)
    names = {name.lower().replace("_", "-") for name in said.split()}
    assert {"dermadetect-cloud", "functions-framework", "waitress"} <= names
    of_extras = ("google", "grpc", "proto", "opentelemetry", "pyarrow", "pytest")
    assert not [name for name in names if name.startswith(of_extras)]


def test_every_module_can_be_imported_but_adapters_of_what_is_not_installed(
    installed: Path, tmp_path: Path
) -> None:
    code = (
        "import importlib, pkgutil, functions, infra, shared\n"
        "for package in functions, infra, shared:\n"
        "    for each in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not each.name.endswith('__main__'):\n"
        "            try: importlib.import_module(each.name)\n"
        "            except ModuleNotFoundError as error: print(each.name, error.name)\n"
    )
    failed = dict(
        line.split() for line in lines(installed / "python", "-I", "-c", code, folder=tmp_path)
    )
    adapters = ("firestore", "gcs", "secret_manager_keys", "traces")
    assert set(failed) == {f"shared.adapters.{name}" for name in adapters}, failed
    assert {name.partition(".")[0] for name in failed.values()} == {"google", "opentelemetry"}


def test_a_phone_syncs_and_the_folder_is_backed_up_and_restored(
    installed: Path, server: str, tmp_path: Path
) -> None:
    care = installed / "care-server"

    def phone(user: str) -> Phone:
        words = ("token", "--chw", user, "--scope", "team1", "--data", "data")
        [token] = lines(care, *words, folder=tmp_path)
        return Phone(over_http(server, token), user, f"{user}-phone")

    # given a record that came over HTTP, and its analysis
    amina = phone("amina")
    amina.save("patients", "p1", demographics={"age": 30})
    amina.save("cases", "c1", patient_id="p1", risk_level="red", triage_data={}, image_keys=[])
    amina.sync()

    def analysed() -> object:
        amina.sync()
        return amina.rows["cases", "c1"].get("ai_analysis")

    until(analysed, "the analysis")

    # when the folder is copied and the copy restored
    made = run(care, "backup", "key", folder=tmp_path)
    (tmp_path / "key.txt").write_text(made.stdout)
    recipient = made.stderr.split()[-1]
    create = ("--data", "data", "backup", "create", "backups", "--recipient", recipient)
    lines(care, *create, folder=tmp_path)
    [archive] = (tmp_path / "backups").iterdir()
    back = ("--data", "again", "backup", "restore", str(archive), "--identity", "key.txt")
    lines(care, *back, folder=tmp_path)

    # then the record is in it, and on a colleague's phone
    lines(care, "--data", "again", "backup", "export", "copy.jsonl", folder=tmp_path)
    assert '"patients", "p1"' in (tmp_path / "copy.jsonl").read_text("utf-8")
    joseph = phone("joseph")
    joseph.sync()
    assert joseph.rows["patients", "p1"]["demographics"] == {"age": 30}


def test_the_demo_plays(installed: Path, tmp_path: Path) -> None:
    said = lines(installed / "python", "-m", "infra.local.demo", folder=tmp_path)
    assert said[-1] == "Everything arrived, once. The day is over."


def test_the_command_says_its_own_name_and_the_version(installed: Path, tmp_path: Path) -> None:
    care = installed / "care-server"
    help_text = "\n".join(lines(care, "jobs", "list", "--help", folder=tmp_path))
    assert help_text.startswith("Usage: care-server jobs list")
    assert "\n  care-server jobs list --state parked" in help_text
    assert lines(care, "--version", folder=tmp_path) == [f"care-server {VERSION}"]


def test_a_setting_of_google_s_is_refused_with_what_to_install(
    installed: Path, tmp_path: Path
) -> None:
    google = {"RECORD_STORE": "firestore", "GOOGLE_CLOUD_PROJECT": "p"}
    for words in (("run", "--data", "data"), ("members", "team1")):
        done = run(installed / "care-server", *words, folder=tmp_path, **google)
        assert done.returncode in (1, 2)
        assert "RECORD_STORE=firestore needs packages" in done.stderr
        assert "pip install '.[gcp]'" in done.stderr
