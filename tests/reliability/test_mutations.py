"""The suites fail when an adapter or the engine is deliberately wrong.

Each fault of `tests/reliability/mutations.py` is put into a copy of the tree, where the tests that
must notice it are run by pytest: its exit code must be 1, tests failed. Anything else means that
the fault survives (0), or that the run itself is broken (2 and up, or killed after a time).

They are part of `make proof`; `make test` looks whether the text of every fault is still there.

Importing the libraries takes longer than most of these tests. So each copy has one interpreter that
has imported them, but nothing of ours, and forks for each run.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.reliability.mutations import MUTATIONS, Mutation

REPOSITORY = Path(__file__).parents[2]

#: What the suites need of the tree.
TREE = ("benchmarks", "functions", "infra", "shared", "tests", "main.py", "pyproject.toml")

#: Copies at work side by side: the cores of a small build machine.
COPIES = 2

#: Longest run, seconds: with a fault in place a loop may have no end.
LONGEST_SECONDS = int(PATIENCE_SECONDS)

#: Forks for each line of its input, runs pytest in the child, answers with the exit code.
SERVER = """
import importlib, json, os, signal, sys

for name in ("flask", "hypothesis.strategies", "google.cloud.firestore", "orjson", "pytest",
             "requests", "rfc8785", "werkzeug.test"):
    importlib.import_module(name)
import pytest

sys.path.insert(0, os.getcwd())
sys.dont_write_bytecode = True
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream in (1, 2):
            os.dup2(os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        signal.alarm(asked["seconds"])
        os.environ.update(asked["environ"])
        code = 3
        try:
            code = int(pytest.main(asked["arguments"]))
        finally:
            sys.stdout.flush()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Ended(NamedTuple):
    """A run of pytest in a copy."""

    code: int
    output: str


class OutOfDate(Exception):
    """The text that a fault replaces is not there exactly once."""


class Copy:
    """A copy of the tree with an interpreter of its own that waits to be asked."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder / "tree"
        self.log = folder / "log"
        # plugins of installed packages would be imported for each run, and none is needed
        self.environ = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environ}
        self.folder.mkdir()
        for name in TREE:
            source = REPOSITORY / name
            if source.is_dir():
                # with the bytecode: it is known by the source's size and time, which are kept
                shutil.copytree(source, self.folder / name)
            else:
                shutil.copy2(source, self.folder / name)
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, mutation: Mutation | None, nodes: Sequence[str], on: str) -> Ended:
        """Run tests with a fault in place; afterwards the copy is whole again."""
        if mutation is None:
            return self._run(nodes, on)
        file = self.folder / mutation.file
        before, times = file.read_text("utf-8"), file.stat()
        count = before.count(mutation.old)
        if count != 1:
            raise OutOfDate(
                f"tests/reliability/mutations.py is out of date: the text of “{mutation.name}” "
                f"stands {count} times in {mutation.file}"
            )
        file.write_text(before.replace(mutation.old, mutation.new), "utf-8")
        os.utime(file, (1, 1))  # no bytecode is of that time
        try:
            return self._run(nodes, on)
        finally:
            file.write_text(before, "utf-8")
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    def _run(self, nodes: Sequence[str], on: str) -> Ended:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.log.write_bytes(b"")
        asked = {
            "arguments": ["-x", "-q", "-p", "no:cacheprovider", "-k", _only(on), *nodes],
            "environ": self.environ,
            "log": str(self.log),
            "seconds": LONGEST_SECONDS,
        }
        self.server.stdin.write(json.dumps(asked) + "\n")
        self.server.stdin.flush()
        code = int(self.server.stdout.readline())
        return Ended(code, self.log.read_text("utf-8", "replace"))

    def close(self) -> None:
        """End the interpreter."""
        if self.server.stdin is not None:
            self.server.stdin.close()
        self.server.wait(LONGEST_SECONDS)
        if self.server.stdout is not None:
            self.server.stdout.close()
        shutil.rmtree(self.folder)


class Case(NamedTuple):
    """A fault on one adapter; None: no fault, all the tests that the chosen faults name."""

    on: str
    mutation: Mutation | None


def _only(on: str) -> str:
    """Selects a test's copy for an adapter, and a test that has no copies."""
    others = {each for mutation in MUTATIONS for each in mutation.on} - {on, ""}
    return f"{on} or not ({' or '.join(sorted(others))})" if on else ""


class Campaign:
    """The runs of a session. Those of one adapter begin together, when the first is asked for."""

    def __init__(self, cases: Sequence[Case], factory: pytest.TempPathFactory) -> None:
        self._cases = cases
        self._factory = factory
        self._pool = ThreadPoolExecutor(COPIES)
        self._copies: list[Copy] = []
        self._idle: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        self._runs: dict[Case, Future[Ended]] = {}

    def result(self, case: Case, environ: Mapping[str, str]) -> Ended:
        """How the run of a case ended."""
        if case not in self._runs:
            while len(self._copies) < COPIES:
                self._copies.append(Copy(self._factory.mktemp("mutations"), environ))
                self._idle.put(self._copies[-1])
            for copy in self._copies:
                copy.environ.update(environ)
            for other in self._cases:
                if other.on == case.on and other not in self._runs:
                    self._runs[other] = self._pool.submit(self._run, other)
        return self._runs[case].result()

    def _run(self, case: Case) -> Ended:
        copy = self._idle.get()
        try:
            return copy.run(case.mutation, self._nodes(case), case.on)
        finally:
            self._idle.put(copy)

    def _nodes(self, case: Case) -> list[str]:
        named = (
            [case.mutation]
            if case.mutation
            else [other.mutation for other in self._cases if other.on == case.on and other.mutation]
        )
        return list(dict.fromkeys(node for mutation in named for node in mutation.tests))

    def close(self) -> None:
        """Begin no more runs, wait for those under way."""
        self._pool.shutdown(cancel_futures=True)
        for copy in self._copies:
            copy.close()


def _cases() -> Iterator[object]:
    for mutation in MUTATIONS:
        for on in mutation.on:
            name = f"{on or 'alone'}-{mutation.name.replace(' ', '-')}"
            yield pytest.param(Case(on, mutation), id=name)


#: Where the emulator that an adapter needs is told to `tests/conftest.py` of the copies.
EMULATORS = {
    "firestore": ("firestore_emulator", "RUNNING_FIRESTORE_EMULATOR_HOST"),
    "pubsub": ("pubsub_emulator", "RUNNING_PUBSUB_EMULATOR_HOST"),
}


@pytest.fixture(scope="module")
def campaign(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Campaign]:
    """The runs of all cases that this session has chosen."""
    chosen = [
        item.callspec.params["case"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.module is request.module
        and hasattr(item, "callspec")
        and "case" in item.callspec.params
    ]
    kinds = dict.fromkeys(case.on for case in chosen)
    whole = [Case(on, None) for on in kinds]
    campaign = Campaign([*whole, *dict.fromkeys(chosen)], tmp_path_factory)
    yield campaign
    campaign.close()


def _result(campaign: Campaign, case: Case, request: pytest.FixtureRequest) -> Ended:
    environ = {}
    if case.on in EMULATORS:
        fixture, variable = EMULATORS[case.on]
        environ[variable] = request.getfixturevalue(fixture)
    return campaign.result(case, environ)


@pytest.mark.proof
@pytest.mark.parametrize("case", list(_cases()))
def test_the_suite_notices(case: Case, campaign: Campaign, request: pytest.FixtureRequest) -> None:
    assert _result(campaign, Case(case.on, None), request).code == 0, (
        "the suites fail without any fault:\n"
        + _result(campaign, Case(case.on, None), request).output
    )
    ended = _result(campaign, case, request)
    assert case.mutation is not None
    assert ended.code == 1, f"{case.mutation} survives, or its run is broken:\n{ended.output}"


def test_every_fault_has_a_name_of_its_own() -> None:
    names = [(on, mutation.file, mutation.name) for mutation in MUTATIONS for on in mutation.on]
    assert len(names) == len(set(names))


def test_every_fault_finds_its_text_once() -> None:
    # Here, in every run: a fault whose text is gone says nothing.
    counts = {
        (mutation.file, mutation.name): (REPOSITORY / mutation.file).read_text().count(mutation.old)
        for mutation in MUTATIONS
    }
    assert {name: count for name, count in counts.items() if count != 1} == {}
