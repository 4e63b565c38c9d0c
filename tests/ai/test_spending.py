"""The day's cap, on both stores: never passed however many ask, and nobody is turned away for good."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.ai.spending import CAP_REACHED, MICRO, Prices, SpendingCap
from shared.errors import Contended, ModelPaused
from shared.records.store import RecordStore
from tests import stores

NOON = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture(params=stores.BOTH)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordStore]:
    made = stores.fresh(request.param, request, tmp_path)
    yield made
    made.close()


def spent(store: RecordStore, spending_cap: SpendingCap) -> int:
    key = spending_cap.take(0)
    return int(store.read([key]).documents[key].fields["micros"])


def test_what_does_not_fit_waits_until_the_next_day(store: RecordStore) -> None:
    now = [NOON]
    spending_cap = SpendingCap(store, 1.0, lambda: now[0])
    spending_cap.take(600_000)
    with pytest.raises(ModelPaused) as caught:
        spending_cap.take(600_000)
    assert caught.value.code == CAP_REACHED
    assert not caught.value.attempted
    assert caught.value.retry_after_s == 12 * 3600
    now[0] += 12 * 3_600_000
    spending_cap.take(600_000)


def test_what_was_not_used_is_given_back(store: RecordStore) -> None:
    spending_cap = SpendingCap(store, 1.0, lambda: NOON)
    spending_cap.settle(spending_cap.take(900_000), 900_000, 100_000)
    assert spent(store, spending_cap) == 100_000
    spending_cap.take(900_000)


def test_a_raised_cap_lets_go_on_at_once(store: RecordStore) -> None:
    SpendingCap(store, 1.0, lambda: NOON).take(MICRO)
    SpendingCap(store, 2.0, lambda: NOON).take(MICRO)


def test_an_analysis_dearer_than_the_cap_runs_once_a_day(store: RecordStore) -> None:
    spending_cap = SpendingCap(store, 0.1, lambda: NOON)
    spending_cap.take(MICRO)
    with pytest.raises(ModelPaused):
        spending_cap.take(1)


def test_however_many_ask_at_once_the_cap_holds(store: RecordStore) -> None:
    spending_cap = SpendingCap(store, 1.0, lambda: NOON)

    def take(_: int) -> str:
        try:
            spending_cap.take(200_000)
        except (ModelPaused, Contended) as fault:
            return fault.code
        return "taken"

    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(take, range(10)))
    assert said.count("taken") <= 5
    assert spent(store, spending_cap) == said.count("taken") * 200_000
    assert CAP_REACHED in said


def test_prices_by_tokens_and_by_the_hour() -> None:
    prices = Prices(asked=0.5, answered=2.0, hour=3.6)
    assert prices.micros(1000, 100, 2000) == 500 + 200 + 2000
    assert prices.micros(None, None, -5) == 0
    assert prices.most(2, 1000, 20) > 2 * 1000 * 2 + 20_000
