"""A clinic on each store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import stores
from tests.sync.clinic import Clinic


@pytest.fixture(params=stores.BOTH)
def clinic(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Clinic]:
    """A clinic with one team, team1, and one member in it, member1."""
    store = stores.fresh(request.param, request, tmp_path)
    place = Clinic(store)
    place.join("member1")
    yield place
    store.close()
