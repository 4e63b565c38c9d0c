"""Each fault of `tests/reliability/faults.py` makes one of its tests fail.

Every run has a process of its own, forked from one that has imported the libraries and nothing of ours.
pytest's exit code must be 1, tests failed: 0 means that the fault survives, anything else that the run
itself is broken. Part of `make proof`; `make test` looks whether every fault finds its function.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
from functools import reduce
from pathlib import Path

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.reliability.faults import FAULTS, Fault, plant

REPOSITORY = Path(__file__).parents[2]

#: What an adapter needs, and where its address is told to `tests/conftest.py` of the run.
EMULATORS = {"firestore": ("firestore_emulator", "RUNNING_FIRESTORE_EMULATOR_HOST")}

#: Imported once, not for every run.
LIBRARIES = ["flask", "google.cloud.firestore", "hypothesis.strategies", "pytest", "requests"]

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(LIBRARIES)

ADAPTERS = tuple(dict.fromkeys(fault.on for fault in FAULTS))


def _run(nodes: list[str], on: str, log: Path, fault: int | None) -> None:
    """In the forked process: plant the fault, run the tests."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.chdir(REPOSITORY)
    # plugins of installed packages would be imported for each run, and none is needed
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    if fault is not None:
        plant(FAULTS[fault].target, FAULTS[fault].wrong)
    others = " or ".join({"sqlite", "folder", "firestore", "pubsub", "gcs", "emulator"} - {on})
    chosen = f"{on} or not ({others})"
    code = pytest.main(["-x", "-p", "no:cacheprovider", "-m", "not soak", "-k", chosen, *nodes])
    sys.stdout.flush()
    os._exit(code)


def _ended(
    nodes: list[str], on: str, folder: Path, request: pytest.FixtureRequest, fault: int | None
) -> tuple[int | None, str]:
    """Exit code and output of a run; None: it did not end."""
    if on in EMULATORS:
        fixture, variable = EMULATORS[on]
        os.environ[variable] = request.getfixturevalue(fixture)
    log = folder / "log"
    run = FORKS.Process(target=_run, args=(nodes, on, log, fault))
    run.start()
    run.join(PATIENCE_SECONDS)  # with a fault in place a loop may have no end
    run.kill()
    code = run.exitcode
    run.join()
    return code, log.read_text("utf-8", "replace") if log.exists() else ""


@pytest.mark.proof
@pytest.mark.parametrize("on", ADAPTERS)
def test_without_a_fault_all_of_them_pass(
    on: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    nodes = sorted({node for fault in FAULTS if fault.on == on for node in fault.nodes()})
    code, output = _ended(nodes, on, tmp_path, request, None)
    assert code == 0, output


@pytest.mark.proof
@pytest.mark.parametrize(
    "number", range(len(FAULTS)), ids=[f"{each.on}-{each.name}" for each in FAULTS]
)
def test_a_test_notices(number: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    fault = FAULTS[number]
    code, output = _ended(fault.nodes(), fault.on, tmp_path, request, number)
    assert code == 1, f"“{fault.name}” survives, or its run is broken:\n{output}"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.on}-{fault.name}")
def test_a_fault_finds_its_function_and_its_tests(fault: Fault) -> None:
    module, _, path = fault.target.partition(":")
    reduce(getattr, path.split("."), importlib.import_module(module))
    for node in fault.nodes():
        file, _, name = node.partition("::")
        assert f"\ndef {name}(" in (REPOSITORY / file).read_text()


def test_every_fault_has_a_name_of_its_own() -> None:
    assert len({(each.on, each.name) for each in FAULTS}) == len(FAULTS)
