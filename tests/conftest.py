"""Real parts for every test: the emulators, started once a session and ended with it.

An emulator that is not installed skips its tests visibly at a desk and fails them in CI
(`CI=true`), where a skipped test would be a promise nobody keeps.
"""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

from infra.local import emulators
from shared.products.known import variables
from tests import shapes

#: What else leads a client to somebody's project, or to an emulator that is not this session's.
_OF_THE_CALLER = (
    "CLOUDSDK_CORE_PROJECT",
    "FIRESTORE_EMULATOR_HOST",
    "GCLOUD_PROJECT",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_QUOTA_PROJECT",
    "PUBSUB_EMULATOR_HOST",
    "STORAGE_EMULATOR_HOST",
)


def forget_the_caller(environ: MutableMapping[str, str]) -> None:
    """Take out what a terminal is prepared for: no test reads it, none may reach a project with it.

    A terminal set up as infra/runbooks/README.md says has settings, and credentials that may write in
    the operator's project. Tests say themselves what they need.
    """
    for name in (*variables(), *_OF_THE_CALLER):
        environ.pop(name, None)
    # no credentials of a user either, and no question to a metadata server
    environ["CLOUDSDK_CONFIG"] = str(Path(__file__).parents[1] / ".pytest_cache" / "no-gcloud")
    environ["NO_GCE_CHECK"] = "true"


forget_the_caller(os.environ)

# How long an example takes, or to be drawn, says nothing of what is tested. A property gets some examples
# in `make test`, other ones each time, and as many as hypothesis thinks right in `make proof`.
hypothesis.settings.register_profile(
    "patient",
    hypothesis.settings.default,
    max_examples=int(os.environ.get("TEST_EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("patient")

#: Chosen anew for each session, the same in all of its processes; `TEST_SEED=… pytest …` repeats it.
SEED = int(os.environ.setdefault("TEST_SEED", str(secrets.randbelow(10**6))))


def in_ci() -> bool:
    """Whether this is a build machine: `CI` set to anything but no."""
    return os.environ.get("CI", "").strip().lower() not in ("", "0", "false", "no")


def absent(reason: str) -> NoReturn:
    """Skip at a desk, fail in CI."""
    if in_ci():
        pytest.fail(f"{reason} (needed in CI)", pytrace=False)
    pytest.skip(reason)


def _emulator(kind: emulators.EmulatorKind, variable: str, scheme: str = "") -> Iterator[str]:
    # A session within a session (tests/reliability/planting.py) shares the outer one's.
    address = os.environ.get(f"RUNNING_{variable}", "")
    emulator, missing = None, ""
    if not address:
        try:
            emulator = emulators.start(kind)
            address = scheme + emulator.address
        except emulators.EmulatorMissing as error:
            missing = str(error)
    if missing:
        absent(missing)
    before = os.environ.get(variable)
    os.environ[variable] = address
    try:
        yield address
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before
        if emulator is not None:
            emulator.child.kill()  # what it holds, nobody needs
            emulator.stop()


@pytest.fixture(scope="session")
def firestore_emulator() -> Iterator[str]:
    """ "127.0.0.1:port" of a Firestore emulator; `FIRESTORE_EMULATOR_HOST` says so too."""
    yield from _emulator(emulators.FIRESTORE, "FIRESTORE_EMULATOR_HOST")


@pytest.fixture(scope="session")
def pubsub_emulator() -> Iterator[str]:
    """ "127.0.0.1:port" of a Pub/Sub emulator; `PUBSUB_EMULATOR_HOST` says so too."""
    yield from _emulator(emulators.PUBSUB, "PUBSUB_EMULATOR_HOST")


@pytest.fixture(scope="session")
def storage_emulator() -> Iterator[str]:
    """ "http://127.0.0.1:port" of a Cloud Storage emulator; `FILES_ENDPOINT` says so too."""
    yield from _emulator(emulators.STORAGE, "FILES_ENDPOINT", "http://")


# --- every query shape that our code issues in this session must have its index

#: What was asked in this session, and by whom.
SHAPES = shapes.Recorder()


def pytest_configure() -> None:
    """Listen to both stores: the emulator and SQLite answer without an index, Firestore does not."""
    SHAPES.listen()


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last words are how to repeat what failed, alone and with its seed."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    failed = [each.nodeid for kind in ("failed", "error") for each in reporter.stats.get(kind, ())]
    for name in list(dict.fromkeys(failed))[:_MOST_NAMED]:
        reporter.write_line(
            f"again: TEST_SEED={SEED} .venv/bin/python -m pytest -m '' {shlex.quote(name)}"
        )


#: So many failed tests are named at the end.
_MOST_NAMED = 10

#: Files that take longest: they come first, so that no worker is left alone with one at the end.
_FIRST = (
    "infra/test_second_plan.py",
    "infra/test_plans.py",
    "reliability/test_faults.py",
    "dermadetect/test_kills.py",
    "dermadetect/test_queue.py",
    "mobile/test_stories.py",
    "local/test_stack.py",
    "reliability/test_races.py",
    "mobile/test_photos.py",
)


#: What `make test` plays on Firestore and on the emulators too: the contract of stores, and of a product
#: what reads past the engine, and its story. All other suites are about the engine: there Firestore's turn
#: is in `make proof`.
_ON_FIRESTORE_TOO = (
    *("tests/contracts/", "tests/infra/", "tests/benchmarks/"),
    *("tests/hemoday/test_household.py", "tests/hemoday/test_week.py"),
    *("tests/medmind/test_said_before.py", "tests/medmind/test_voice_field.py"),
    *("tests/medmind/test_on_both.py", "tests/buildtrace/test_killed.py"),
)

#: What is long by its size, or waits for deadlines of whole processes.
_LONG = (
    "contracts/test_store.py::test_a_polling_reader_misses_nothing_that_four_writers_commit[firestore]",
    "contracts/test_store.py::test_eight_writers_lose_no_increment[firestore]",
    "contracts/test_sqlite.py::test_processes_on_one_new_file_lose_no_increment",
    "contracts/test_queue.py::test_after_five_deliveries_a_bell_is_a_dead_letter[pubsub]",
    "contracts/test_queue.py::test_a_bell_whose_subscriber_outlasts_the_deadline_comes_again[sqlite]",
    "ai/test_analysis.py::test_a_hostile_answer_is_read_in_bounded_time",
    "benchmarks/test_triage_run.py::test_every_adapter_gives_the_report_that_its_model_deserves[vertex]",
    "contracts/test_queue.py::test_a_bell_whose_subscriber_outlasts_the_deadline_comes_again[pubsub]",
    "infra/test_plans.py::",
    "test_docs.py::test_every_module_can_be_called_like_this[infra.local.demo]",
    "infra/test_wire.py::test_a_cold_accounts_costs_a_phone_seconds_not_a_minute",
    "infra/test_wire.py::test_an_instance_goes_on_after_a_long_stop",
    "local/test_stack.py::test_a_signal_ends_everything[1-",
    "local/test_stack.py::test_a_signal_ends_everything[2-",
    "local/test_stack.py::test_a_signal_ends_everything[9-",
    "dermadetect/test_queue.py::test_a_bell_that_dies_makes_its_job_due_and_it_is_done_after_healing",
    "dermadetect/test_queue.py::test_with_a_locked_doorbell_file_a_sync_succeeds_and_the_sweeper_catches_up",
)


def _is_proof(item: pytest.Item) -> bool:
    """Long, or the engine's on Firestore, or a story through a whole back end on the emulators."""
    given = item.callspec.params.values() if hasattr(item, "callspec") else ()
    if any(name in item.nodeid for name in _LONG):
        return True
    on_google = "firestore" in given or "emulator" in given
    return on_google and not item.nodeid.startswith(_ON_FIRESTORE_TOO)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave those to `make proof`, and bring long files to the front."""
    for item in items:
        if _is_proof(item):
            item.add_marker(pytest.mark.proof)

    def place(item: pytest.Item) -> int:
        file = item.nodeid.partition("::")[0].removeprefix("tests/")
        return _FIRST.index(file) if file in _FIRST else len(_FIRST)

    items.sort(key=place)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the shapes that have none."""
    for line in SHAPES.faults():
        terminalreporter.write_line(f"NO INDEX in infra/firestore.indexes.json: {line}", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Such a session has failed, whatever its tests say."""
    if SHAPES.faults() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
