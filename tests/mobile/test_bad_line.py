"""A first sync on a bad line ends, and holds up no red case: both dialects, on both profiles.

People of apps on WatermelonDB ask for this since years: a first answer of 50 MB that comes whole or not at
all (github.com/Nozbe/WatermelonDB/issues/650, 989, 1183).

A phone in a village: 100 kbit/s, and the line breaks every 300 kB, which is every half minute. What a
test can hold on to is bytes, not seconds: the line is cut by what has passed.
"""

from __future__ import annotations

import re

import pytest

from tests.e2e.conftest import Deployment
from tests.mobile import KitPhone, Phone, SyncFailed
from tests.mobile.conftest import Make, MakeBatch, fill, new, settle, stored
from tests.mobile.cutting import CuttingProxy
from tests.mobile.test_readme import README

RECORDS = 10_000
CUT_EVERY = 300_000

#: How many times the app calls again at most.
MOST_CALLS = 60

pytestmark = pytest.mark.proof

#: Where phones keep their records, or what the server is; and their dialect.
STAGES = (
    "loki",
    "loki batch",
    *(
        pytest.param(each, marks=pytest.mark.soak)
        for each in ("sqlite", "emulator", "emulator batch")
    ),
)


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest) -> str:
    return str(request.param).partition(" ")[0]


@pytest.fixture
def make(request: pytest.FixtureRequest, phone: Make, batch: MakeBatch) -> Make | MakeBatch:
    """A maker of phones of each dialect."""
    return batch if "batch" in request.node.callspec.params["stage"] else phone


def held(phone: Phone) -> set[str]:
    if isinstance(phone, KitPhone):
        return set(phone.rows("patients"))
    return {key.split("/")[2] for key in phone.kept("row/patients/")}


def register(phone: Phone, risk: str) -> str:
    """A new patient with a case, saved without a network; returns the case's id."""
    patient, case = new(), new("c")
    if isinstance(phone, KitPhone):
        phone.create("patients", patient, demographics="{}")
        phone.create("cases", case, patient_id=patient, triage_data="{}", risk_level=risk)
    else:
        phone.save("patients", patient, demographics={})
        phone.save("cases", case, patient_id=patient, triage_data={}, risk_level=risk)
    return case


def sync(phone: Phone, calls: int = MOST_CALLS) -> int:
    """The app calls until it may rest, and is started anew in between. How many calls it took."""
    for call in range(1, calls + 1):
        said = phone.call()
        if said["next"] == "rest":
            return call
        assert said["next"] == "retry", said
        phone.restart()
    raise AssertionError(f"not synced after {calls} calls: {said}")


def test_ten_thousand_records_arrive_over_a_line_that_breaks_all_the_time(
    make: Make | MakeBatch, deployment: Deployment, line: CuttingProxy, team: str
) -> None:
    names = fill(deployment, team, RECORDS)
    whole = make("ruth")
    whole.settings(url=line.url)
    sync(whole)
    size = line.answer_bytes
    assert size > 4 * CUT_EVERY
    # what the README promises is counted, not waited for
    [seconds] = re.findall(r"(\d+) seconds at 100 kbit/s", README)
    assert size * 8 / 100_000 == pytest.approx(float(seconds), rel=0.15)
    line.cut_answers_every = CUT_EVERY
    line.answer_bytes = 0
    one = make("amina")
    one.settings(url=line.url)
    sync(one)
    assert held(one) == names
    assert line.breaks >= 4
    # What broke off came again, with its page; nothing began anew.
    assert line.answer_bytes < 1.5 * size
    line.cut_answers_every = None
    sync(one)
    assert one.check() == "equal"


def test_a_red_case_does_not_wait_for_the_end_of_a_first_sync(
    make: Make | MakeBatch, deployment: Deployment, line: CuttingProxy, team: str
) -> None:
    names = fill(deployment, team, 2_000)
    one = make("amina")
    one.settings(url=line.url)
    # given a first sync that broke off in its middle, on a phone that was off since
    line.brings = 250_000
    assert one.call()["next"] == "retry"
    assert held(one) != names
    one.restart()
    # when a red case is registered, and the line is there for a moment, too short for a page
    case = register(one, "red")
    line.brings, line.down = 20_000, False
    assert one.call()["next"] == "retry"
    # then the case is on its way to a doctor
    assert stored(deployment, "cases", case)["status"] == "PENDING_DIAGNOSIS"
    assert held(one) != names
    # and the rest follows
    line.brings, line.down = None, False
    before = line.answer_bytes
    sync(one)
    assert line.answer_bytes - before < 350_000  # of 500,000
    settle()
    sync(one)
    assert held(one) > names
    assert one.check() == "equal"


def test_a_first_sync_in_one_go_that_breaks_off_comes_in_pages(
    phone: Make, deployment: Deployment, line: CuttingProxy, team: str
) -> None:
    names = fill(deployment, team, 2_000)
    one = phone("amina")
    one.settings(url=line.url, turbo=True)
    line.cut_answers_every = 150_000  # of 500,000
    sync(one)
    assert held(one) == names
    assert line.breaks >= 2
    line.cut_answers_every = None
    sync(one)
    assert one.check() == "equal"
    assert one.logged() == []


def test_a_repair_on_a_bad_line_ends(
    make: Make | MakeBatch, deployment: Deployment, line: CuttingProxy, team: str
) -> None:
    names = fill(deployment, team, 2_000)
    one = make("amina")
    one.settings(url=line.url)
    sync(one)
    # given a phone that holds another value, and a record that the server never had
    wrong, much = min(names), new()
    if isinstance(one, KitPhone):
        one.tamper("patients", wrong, demographics="{}")
    else:
        row = one.row("patients", wrong)
        assert row is not None
        one.put(**{f"row/patients/{wrong}": {**row, "demographics": {}}})
        one.put(**{f"row/patients/{much}": {"id": much, "scope_id": team}})
    # when it finds out on a line that breaks, and the app is started anew each time
    line.cut_answers_every = 150_000  # of 500,000
    for _ in range(MOST_CALLS):
        try:
            if one.verify() == "equal":
                break
        except SyncFailed:
            one.restart()
        assert held(one) >= names
    # then it holds what the server holds: no less at any time, and no more in the end
    assert held(one) == names
    assert one.check() == "equal"
    assert line.breaks >= 2
