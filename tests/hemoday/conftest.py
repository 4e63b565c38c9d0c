"""A family on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.adapters.sqlite import SqliteStore
from tests.api.conftest import start_api
from tests.hemoday.family import Family
from tests.stores import BOTH, fresh

__all__ = ["start_api"]


@pytest.fixture(params=BOTH)
def families(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Family]:
    """The same on each store."""
    place = Family(fresh(request.param, request, tmp_path))
    place.join("member1")
    yield place
    place.store.close()


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    """One family, team1, with a member in it, member1."""
    place = Family(SqliteStore(tmp_path / "records.db"))
    place.join("member1")
    yield place
    place.store.close()
