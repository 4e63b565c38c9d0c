"""An absent emulator is seen: a skip at a desk, a failure in CI. A failure says how it is repeated."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.ci import check

REPOSITORY = Path(__file__).parents[2]

#: A pytest without the plugins that are installed: it starts in half the time.
BARE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

PROBE = """
import pytest
from tests.conftest import firestore_emulator, pubsub_emulator

@pytest.mark.parametrize("name", ["firestore_emulator", "pubsub_emulator"])
def test_it(name, request):
    request.getfixturevalue(name)
"""

FAILING = """
import pytest

@pytest.mark.parametrize("what", ["a b"])
def test_fails(what):
    assert not what

@pytest.fixture
def broken():
    raise OSError

def test_stops(broken):
    pass
"""


@pytest.mark.proof
@pytest.mark.parametrize(
    ("ci", "outcome"),
    [("true", "2 failed"), ("1", "2 failed"), ("", "2 skipped"), ("false", "2 skipped")],
)
def test_an_absent_emulator_skips_at_a_desk_and_fails_in_ci(
    ci: str, outcome: str, tmp_path: Path
) -> None:
    (tmp_path / "test_probe.py").write_text(PROBE)
    said = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "-rs", "--rootdir", tmp_path, tmp_path],
        cwd=REPOSITORY,
        # of this process the emulators may be running
        env={
            **{name: value for name, value in os.environ.items() if "EMULATOR_HOST" not in name},
            **BARE,
            "CI": ci,
            "GOOGLE_CLOUD_SDK": "/no/such/folder",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in said.stdout, said.stdout
    assert "/no/such/folder is not a folder" in said.stdout
    assert said.returncode == (1 if "failed" in outcome else 0)


@pytest.mark.proof
def test_a_run_that_failed_ends_with_how_to_repeat_what_failed(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_unconfigure\n")
    (tmp_path / "test_probe.py").write_text(FAILING)
    told = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(tmp_path)]
    told.append(str(tmp_path))
    environ = {**os.environ, **BARE, "TEST_SEED": "7"}
    said = subprocess.run(
        told, cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=False
    )
    assert said.returncode == 1
    start = "again: TEST_SEED=7 .venv/bin/python -m pytest -m '' "
    assert said.stdout.splitlines()[-2:] == [
        f"{start}'test_probe.py::test_fails[a b]'",
        f"{start}test_probe.py::test_stops",
    ], said.stdout


@pytest.mark.proof
def test_of_a_worker_that_crashed_the_test_is_named_that_it_was_at(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_unconfigure\n")
    (tmp_path / "test_probe.py").write_text("import os\n\ndef test_dies():\n    os.abort()\n")
    told = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(tmp_path)]
    told += ["-p", "xdist", "--numprocesses", "1", "--max-worker-restart", "0", str(tmp_path)]
    environ = {**os.environ, **BARE, "TEST_SEED": "7"}
    said = subprocess.run(
        told, cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=False
    )
    assert said.returncode == 1
    last = said.stdout.splitlines()[-1]
    assert last == "again: TEST_SEED=7 .venv/bin/python -m pytest -m '' test_probe.py::test_dies"


@pytest.mark.proof
def test_a_check_that_failed_ends_with_how_to_repeat_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "crooked name.py").write_text("import os\n")
    style = ("ruff", "check", "--isolated", str(tmp_path / "crooked name.py"))
    assert check.main([("style", style), ("version", ("ruff", "--version"))]) == 1
    assert capfd.readouterr().out.splitlines()[-2:] == [
        "failed: style",
        f"again: .venv/bin/python -m ruff check --isolated '{style[-1]}'",
    ]


@pytest.mark.proof
@pytest.mark.parametrize("clean", [True, False])
def test_a_stage_that_failed_ends_with_how_to_repeat_it(clean: bool, tmp_path: Path) -> None:
    # given a project whose tests fail, and then whose style does too
    (tmp_path / ".ci").mkdir()
    shutil.copy(REPOSITORY / ".ci" / "run", tmp_path / ".ci")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    rest = "true" if clean else "false"
    (tmp_path / "Makefile").write_text(f"test:\n\tfalse\ncheck:\n\t{rest}\nproof:\n")
    # when continuous integration runs
    said = subprocess.run(
        [tmp_path / ".ci" / "run"],
        env={**os.environ, "TEST_SEED": "7"},
        capture_output=True,
        text=True,
        check=False,
    )
    # then it ends there, and says which stage it was
    assert said.returncode == 1
    assert said.stdout.splitlines()[-1] == "again: CI=true TEST_SEED=7 make test"
