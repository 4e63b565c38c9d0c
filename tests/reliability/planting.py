"""Runs of pytest with one fault planted, each in a process of its own.

A process is forked from one that has imported the libraries and nothing of ours. pytest's exit code says
what came of it: 1, tests failed; 0, the fault survives; anything else, the run itself is broken.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
from collections.abc import Sequence
from functools import reduce
from pathlib import Path

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.reliability.faults import Fault, plant

REPOSITORY = Path(__file__).parents[2]

#: What an adapter needs, and where its address is told to `tests/conftest.py` of the run.
EMULATORS = {"firestore": ("firestore_emulator", "RUNNING_FIRESTORE_EMULATOR_HOST")}

#: Imported once, not for every run.
LIBRARIES = ["flask", "google.cloud.firestore", "hypothesis.strategies", "pytest", "requests"]

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(LIBRARIES)


class Planter:
    """Plants the faults of one module, its `FAULTS`, and says whether tests notice."""

    def __init__(self, module: str, folder: Path, request: pytest.FixtureRequest) -> None:
        self._module, self._folder, self._request = module, folder, request

    def without(self, on: str) -> tuple[int | None, str]:
        """All tests that are named, with no fault: exit code and output."""
        faults = faults_of(self._module)
        nodes = sorted({node for fault in faults if fault.on == on for node in fault.nodes()})
        return self._ended(nodes, on, None)

    def with_fault(self, number: int) -> tuple[int | None, str]:
        """The tests of a fault, with it: exit code and output."""
        fault = faults_of(self._module)[number]
        return self._ended(fault.nodes(), fault.on, number)

    def _ended(self, nodes: list[str], on: str, number: int | None) -> tuple[int | None, str]:
        """Exit code and output of a run; None: it did not end."""
        if on in EMULATORS:
            fixture, variable = EMULATORS[on]
            os.environ[variable] = self._request.getfixturevalue(fixture)
        log = self._folder / "log"
        run = FORKS.Process(target=_run, args=(nodes, on, log, self._module, number))
        run.start()
        run.join(PATIENCE_SECONDS)  # with a fault in place a loop may have no end
        run.kill()
        code = run.exitcode
        run.join()
        return code, log.read_text("utf-8", "replace") if log.exists() else ""


def faults_of(module: str) -> Sequence[Fault]:
    """The faults that a module declares."""
    found: Sequence[Fault] = importlib.import_module(module).FAULTS
    return found


def find(fault: Fault) -> None:
    """Look whether a fault's function and its tests are still there."""
    module, _, path = fault.target.partition(":")
    reduce(getattr, path.split("."), importlib.import_module(module))
    for node in fault.nodes():
        file, _, name = node.partition("::")
        assert f"\ndef {name}(" in (REPOSITORY / file).read_text()


def _run(nodes: list[str], on: str, log: Path, module: str, number: int | None) -> None:
    """In the forked process: plant the fault, run the tests."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.chdir(REPOSITORY)
    # plugins of installed packages would be imported for each run, and none is needed
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    if number is not None:
        fault = faults_of(module)[number]
        plant(fault.target, fault.wrong)
    others = " or ".join({"sqlite", "folder", "firestore", "pubsub", "gcs", "emulator"} - {on})
    chosen = f"{on} or not ({others})"
    code = pytest.main(["-x", "-p", "no:cacheprovider", "-m", "not soak", "-k", chosen, *nodes])
    sys.stdout.flush()
    os._exit(code)
