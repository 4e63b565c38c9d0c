"""Long campaigns of races, for `make soak`: the same promises as in the slices, with many versions.

By hand, with a chosen seed: `python -m tests.reliability.campaigns --store firestore --seed 7`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.records.store import RecordStore
from tests import stores
from tests.reliability import campaigns
from tests.reliability.campaigns import Report

pytestmark = pytest.mark.soak

SEEDS = (7, secrets.randbelow(10**6))

#: Versions of the main campaign. The emulator looks through a whole collection for each query.
VERSIONS = {"sqlite": 10_000, "firestore": 10_000}

Campaign = Callable[[RecordStore, int, int], Report]

CAMPAIGNS: dict[str, Campaign] = {
    "nothing missed": campaigns.nothing_missed,
    "many teams": lambda store, seed, size: campaigns.nothing_missed(
        store, seed, size // 10, teams=33
    ),
    "a new epoch": lambda store, seed, size: campaigns.nothing_missed(
        store, seed, size // 10, new_epoch=True
    ),
    "moves": lambda store, seed, size: campaigns.moved_about(store, seed, size // 30),
    "writers at once": lambda store, seed, size: campaigns.writers_at_once(
        store, seed, size // 100
    ),
}


@pytest.fixture(params=stores.BOTH)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordStore]:
    made = stores.fresh(kind, request, tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_a_long_campaign_finds_nothing(
    store: RecordStore, kind: str, campaign: str, seed: int
) -> None:
    print(CAMPAIGNS[campaign](store, seed, VERSIONS[kind]))
