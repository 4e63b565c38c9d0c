"""benchmarks/scale.py: its sums, apart from the models (test_simulate.py)."""

from __future__ import annotations

import pytest

from benchmarks import scale
from benchmarks.load import FIRESTORE
from benchmarks.load_client import KINDS
from benchmarks.measure import Report


def test_every_phone_comes_online_within_the_hour() -> None:
    seconds = range(-60, scale.HOUR + 60)
    assert sum(map(scale.density, seconds)) == pytest.approx(1)
    assert max(seconds, key=scale.density) == pytest.approx(12 * 60, abs=1)


def test_the_ramp_is_500_then_half_more_each_five_minutes() -> None:
    assert [scale.ramp(second) for second in (0, 299, 300, 600)] == [500, 500, 750, 1125]


def test_a_backlog_drains_when_less_comes_than_is_done() -> None:
    assert scale.backlog([3, 3, 0, 0, 0], 2) == [1, 2, 0, 0, 0]
    assert scale.drained_after([3, 3, 0, 0, 0], 2) == 3
    # what is left after the last arrival takes its time
    assert scale.drained_after([10, 10], 2) == 2 + 16 / 2
    assert scale.drained_after([0, 0], 2) == 0


def test_the_time_of_a_sync_is_what_was_measured_where_something_was() -> None:
    default = scale.sync_demand({})
    row = f"{FIRESTORE}: idle sync alone, processor"
    idle = scale.DEFAULT_MS["idle"]
    same = scale.sync_demand({row: {"values": [idle]}})
    slower = scale.sync_demand({row: {"values": [idle + 10]}})
    assert default == same
    # 10 ms more for the sync, and 0.1 ms less for each of its fifty records
    assert slower.processor - default.processor == pytest.approx(0.010 - 50 * 0.0001)
    assert scale.DEFAULT_MS.keys() == KINDS.keys()


def test_a_hot_spot_is_named_where_a_bound_is_passed() -> None:
    goals = []
    for phones in (100, 1_000_000):
        report = Report("hot")
        scale._hot_spots(report, phones)
        goals += report.goals
    assert [goal.held for goal in goals] == [True, False]
    assert "4.0 × at document spending/<day>" in goals[1].found
