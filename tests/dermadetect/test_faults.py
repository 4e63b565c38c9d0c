"""Each fault of `tests/dermadetect/faults.py` makes one of its tests fail.

Part of `make proof`; `make test` looks whether every fault finds its function.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dermadetect.faults import FAULTS
from tests.reliability.faults import Fault
from tests.reliability.planting import Planter, find

ADAPTERS = tuple(dict.fromkeys(fault.on for fault in FAULTS))


@pytest.fixture
def planter(tmp_path: Path, request: pytest.FixtureRequest) -> Planter:
    return Planter("tests.dermadetect.faults", tmp_path, request)


@pytest.mark.proof
@pytest.mark.parametrize("on", ADAPTERS)
def test_without_a_fault_all_of_them_pass(on: str, planter: Planter) -> None:
    code, output = planter.without(on)
    assert code == 0, output


@pytest.mark.proof
@pytest.mark.parametrize(
    "number", range(len(FAULTS)), ids=[f"{each.on}-{each.name}" for each in FAULTS]
)
def test_a_test_notices(number: int, planter: Planter) -> None:
    code, output = planter.with_fault(number)
    assert code == 1, f"“{FAULTS[number].name}” survives, or its run is broken:\n{output}"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.on}-{fault.name}")
def test_a_fault_finds_its_function_and_its_tests(fault: Fault) -> None:
    find(fault)


def test_every_fault_has_a_name_of_its_own() -> None:
    assert len({(each.on, each.name) for each in FAULTS}) == len(FAULTS)
