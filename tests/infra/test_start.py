"""What is deployed starts: the archive, in an environment made from requirements.txt alone.

The virtual environment is made once for a state of requirements.txt and kept in the user's cache;
making it takes half a minute. Every function is started as on Google Cloud: the same server,
the variables that Terraform sets, none of this machine's.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from infra.ci import lock
from infra.local.processes import free_port
from shared import settings
from shared.products.known import variables
from tests.conftest import absent
from tests.infra import deployed
from tests.infra.deployed import FUNCTIONS
from tests.infra.hcl import ENVIRONMENTS, read
from tests.patience import PATIENCE_SECONDS, until

ROOT = Path(__file__).resolve().parents[2]

#: Google's bounds are far away (100 MB of source); these are ours, bytes.
MOST_ARCHIVE_BYTES = 1_100_000
MOST_INSTALLED_BYTES = 300 * 2**20

#: How far docs/operations.md may be from the truth about sizes.
ABOUT = 0.2


@pytest.fixture(scope="session")
def clean_python() -> Path:
    """A Python that has requirements.txt installed, and nothing else."""
    try:
        return deployed.clean_python()
    except deployed.NotInstalled as error:
        absent(str(error))


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive, unpacked as the platform does it."""
    return deployed.unpack(tmp_path_factory.mktemp("deployed"))


def status_of(port: int, path: str) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


@pytest.mark.proof
def test_every_function_starts_with_the_deployed_environment_and_nothing_else(
    clean_python: Path, workspace: Path
) -> None:
    started = {}
    for name, function in FUNCTIONS.items():
        if "dermadetect" not in (function.products or ["dermadetect"]):
            continue  # not in the archive of this product
        port = free_port()
        log = workspace.parent / f"{name}.log"
        with log.open("wb") as out:
            child = subprocess.Popen(
                [clean_python, "-m", "functions_framework", "--target", name],
                cwd=workspace,
                env={"PATH": os.defpath, **deployed.environment(function, port)},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        started[name] = (child, port, log)
    try:
        for name, (child, port, log) in started.items():
            path = "/health" if name == "status" else "/no-such-path"
            answer = until(
                lambda port=port, path=path, child=child: (
                    status_of(port, path) or child.poll() is not None
                ),
                f"the start of {name}",
            )
            assert child.poll() is None, (name, log.read_text())
            # our own answer to a path that is none, or the framework's to what is no event
            expected = {"http": 404, "schedule": 404, "push": 405}[FUNCTIONS[name].trigger]
            assert answer == (200 if name == "status" else expected), (name, log.read_text())
    finally:
        for child, _, _ in started.values():
            child.terminate()
        for child, _, _ in started.values():
            child.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize("model", deployed.MODELS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_deployed_environment_makes_sense(name: str, model: str) -> None:
    environ = deployed.environment(FUNCTIONS[name], 8080, model=model)
    chosen = settings.load(environ)
    assert (chosen.record_store, chosen.job_queue) == ("firestore", "pubsub")
    assert chosen.model == model
    assert chosen.key_store == "secret_manager"
    known = set(variables()) | {"THREADS", "MALLOC_ARENA_MAX", *deployed.PLATFORM}
    assert set(environ) <= known


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_the_settings_of_each_environment_make_sense(path: Path) -> None:
    given = read(path / "terraform.tfvars")["settings"]
    for function in FUNCTIONS.values():
        settings.load({**deployed.environment(function, 8080), **given})


@pytest.mark.proof
def test_nothing_is_imported_that_is_not_installed_for_functions(
    clean_python: Path, workspace: Path
) -> None:
    """Every module of the archive can be imported, also those that are loaded late."""
    environ = {"PATH": os.defpath}
    for function in FUNCTIONS.values():  # each has secrets of its own
        environ |= deployed.environment(function, 8080)
    foreign = [
        name
        for name, row in FUNCTIONS.items()
        if row.products and "dermadetect" not in row.products
    ]
    code = (
        "import importlib, json, os, pathlib\n"
        "names = [str(p.with_suffix('')).replace('/', '.') for f in ('shared', 'functions')"
        " for p in sorted(pathlib.Path(f).rglob('*.py')) if p.name != '__init__.py'"
        f" and p.stem not in {foreign}]\n"
        "[importlib.import_module(name) for name in names]\n"
        "print(json.dumps(len(names)))"
    )
    done = subprocess.run(
        [clean_python, "-c", f"import sys; sys.path.insert(0, '.')\n{code}"],
        cwd=workspace,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) > 50


def test_nothing_is_installed_that_the_lock_does_not_name(clean_python: Path) -> None:
    code = (
        "from importlib.metadata import distributions\n"
        "print(*(f'{each.name}=={each.version}' for each in distributions()))"
    )
    done = subprocess.run(
        [clean_python, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    installed = {
        canonicalize_name(name): version
        for name, version in (each.split("==") for each in done.stdout.split())
    }
    makes_environments = {"pip", "setuptools"}  # there before; Google's builder brings its own
    assert {
        name: version for name, version in installed.items() if name not in makes_environments
    } == lock.pinned("requirements.txt")


def test_sizes_are_as_small_as_the_page_says(clean_python: Path, workspace: Path) -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    [(kilobytes, megabytes)] = re.findall(r"about (\d+) kB; what .* about (\d+) MB", page)
    archive = (workspace.parent / "source.zip").stat().st_size
    assert archive < MOST_ARCHIVE_BYTES
    assert archive / 1000 == pytest.approx(int(kilobytes), rel=ABOUT)
    installed = sum(
        path.stat().st_size
        for path in (clean_python.parents[1] / "lib").rglob("*")
        if path.is_file() and path.suffix != ".pyc" and "pip" not in path.parts
    )
    assert installed < MOST_INSTALLED_BYTES
    assert installed / 10**6 == pytest.approx(int(megabytes), rel=ABOUT)
