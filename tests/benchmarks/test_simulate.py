"""benchmarks/simulate.py against formulas: a model that is not validated predicts nothing."""

from __future__ import annotations

import random

import pytest

from benchmarks.simulate import (
    Clock,
    Demand,
    Service,
    Shared,
    closed,
    erlang_wait,
    events,
    fluid,
    mmc,
)

pytestmark = pytest.mark.proof


@pytest.mark.parametrize(("servers", "busy"), [(1, 0.5), (1, 0.8), (4, 0.8), (16, 0.8)])
def test_a_line_waits_as_erlang_says(servers: int, busy: float) -> None:
    service = 0.1
    arrivals = busy * servers / service
    found = mmc(arrivals, service, servers, 150_000, seed=11)
    assert found == pytest.approx(erlang_wait(arrivals, service, servers), rel=0.06)


def test_the_formula_gives_the_textbook_values() -> None:
    # M/M/1: offered / (1 - offered) · service; a line of a hundred at the same share waits hardly
    assert erlang_wait(5, 0.1, 1) == pytest.approx(0.1)
    assert erlang_wait(8, 0.1, 1) == pytest.approx(0.4)
    # Cooper, Introduction to Queueing Theory: C(2, 1) = 1/3
    assert erlang_wait(1, 1, 2) == pytest.approx(1 / 3)
    assert erlang_wait(20, 0.1, 2) == float("inf")


def test_a_shared_processor_takes_as_long_as_theory_says() -> None:
    # M/M/1 with processor sharing: the mean time in it is service / (1 - load)
    clock, dice = Clock(), random.Random(5)
    took: list[float] = []

    def arrive() -> None:
        if len(took) < 100_000:
            clock.after(dice.expovariate(7.0), arrive)
        came = clock.now
        processor.enter(dice.expovariate(10.0), lambda: took.append(clock.now - came))

    processor = Shared(clock, 1.0)
    arrive()
    clock.run()
    assert sum(took) / len(took) == pytest.approx(0.1 / 0.3, rel=0.05)


def test_nobody_is_faster_than_one_core() -> None:
    clock = Clock()
    processor, ends = Shared(clock, 2.0), list[float]()
    for seconds in (1.0, 1.0, 1.0):
        processor.enter(seconds, lambda: ends.append(clock.now))
    clock.run()
    assert ends == pytest.approx([1.5, 1.5, 1.5])


@pytest.mark.parametrize("one_writer", [False, True])
def test_a_closed_loop_is_as_fast_as_its_bottleneck(one_writer: bool) -> None:
    def draw(dice: random.Random) -> tuple[str, Demand]:
        return "sync", Demand(dice.expovariate(100), dice.expovariate(500), 0.050)

    rate, took = closed(
        clients=50,
        servers=1,
        slots=16,
        one_writer=one_writer,
        draw=draw,
        requests=20_000,
        seed=1,
    )
    assert rate == pytest.approx(100, rel=0.02)  # the processor's
    assert sum(took["sync"]) / 20_000 == pytest.approx(0.5, rel=0.03)  # 50 clients / 100 a second


def test_without_load_a_sync_takes_as_long_as_alone() -> None:
    demand = Demand(processor=0.02, waiting=0.1)
    course = events([10.0 * n for n in range(100)], Service(4, 16), demand, seed=1)
    assert sum(course.took) / 100 == pytest.approx(demand.alone, rel=0.15)
    assert course.refused == 0


def test_the_fluid_agrees_with_the_events_where_it_is_crowded() -> None:
    # 90 phones a second for five minutes, at most two instances that do 25 each
    service, demand = Service(2, 16), Demand(processor=0.04, waiting=0.1)
    dice = random.Random(3)
    at = sorted(dice.uniform(0, 300) for _ in range(27_000))
    one_by_one = events(at, service, demand, seed=4)
    together = fluid([90.0] * 300, service, demand)
    assert len(one_by_one.took) == 27_000
    # the fluid lets nobody overtake, so only its mean and its end are the same
    means = [sum(each.took) / len(each.took) for each in (together, one_by_one)]
    assert means[0] == pytest.approx(means[1], rel=0.1)
    assert len(together.done) == pytest.approx(len(one_by_one.instances) * 5, rel=0.1)
    assert sum(together.done) == pytest.approx(27_000, rel=0.001)


def test_a_store_that_takes_less_makes_phones_wait_longer() -> None:
    service, demand = Service(20, 16), Demand(processor=0.01)
    free = fluid([50.0] * 60, service, demand)
    bound = fluid([50.0] * 60, service, demand, bound=lambda _second: 25.0)
    assert bound.percentile(0.9) > free.percentile(0.9)
    assert max(bound.done) <= 25.0


def test_the_same_seed_gives_the_same_numbers() -> None:
    service, demand = Service(2, 4), Demand(processor=0.1)
    at = [0.05 * n for n in range(500)]
    first, again = (events(at, service, demand, seed=9) for _ in range(2))
    assert (first.took, first.refused) == (again.took, again.refused)
