"""Each fault that a `faults.py` of a folder of tests plants makes one of its tests fail.

Part of `make proof`; `make test` looks whether every fault finds its function.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability.faults import Fault
from tests.reliability.planting import REPOSITORY, Planter, faults_of, find

#: `tests.reliability.faults` and those of products.
MODULES = sorted(
    f"tests.{path.parent.name}.faults" for path in REPOSITORY.glob("tests/*/faults.py")
)

#: Every fault: its module, its number there, itself.
FAULTS = [(name, *numbered) for name in MODULES for numbered in enumerate(faults_of(name))]

NAMES = [f"{fault.on}-{fault.name}" for _, _, fault in FAULTS]

ADAPTERS = list(dict.fromkeys((module, fault.on) for module, _, fault in FAULTS))


@pytest.mark.proof
@pytest.mark.parametrize(("module", "on"), ADAPTERS)
def test_without_a_fault_all_of_them_pass(
    module: str, on: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    code, output = Planter(module, tmp_path, request).without(on)
    assert code == 0, output


@pytest.mark.proof
@pytest.mark.parametrize(("module", "number", "fault"), FAULTS, ids=NAMES)
def test_a_test_notices(
    module: str, number: int, fault: Fault, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    code, output = Planter(module, tmp_path, request).with_fault(number)
    assert code == 1, f"“{fault.name}” survives, or its run is broken:\n{output}"


@pytest.mark.parametrize("fault", [fault for _, _, fault in FAULTS], ids=NAMES)
def test_a_fault_finds_its_function_and_its_tests(fault: Fault) -> None:
    find(fault)


def test_every_fault_has_a_name_of_its_own() -> None:
    assert len(set(NAMES)) == len(FAULTS)


def test_faults_of_every_folder_are_found() -> None:
    assert {"tests.reliability.faults", "tests.dermadetect.faults"} <= set(MODULES)
