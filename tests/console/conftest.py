"""The console as it is deployed, in this process: `house` is empty, `clinic` has two teams and their data.

Both on SQLite; `clinics` on each store, for what is about rights.
"""

from __future__ import annotations

import uuid

import pytest

from tests.api.conftest import StartApi, start_api
from tests.console.clinic import OTHER, OWN, Clinic
from tests.stores import BOTH

__all__ = ["start_api"]


@pytest.fixture
def house(start_api: StartApi) -> Clinic:
    """Nobody and nothing yet."""
    return Clinic(start_api())


@pytest.fixture
def clinic(start_api: StartApi) -> Clinic:
    """Two teams with their data."""
    return _filled(Clinic(start_api()))


@pytest.fixture(params=BOTH)
def clinics(request: pytest.FixtureRequest, start_api: StartApi) -> Clinic:
    """The same on each store."""
    chosen: dict[str, object] = {}
    if request.param == "firestore":
        request.getfixturevalue("firestore_emulator")
        chosen |= {"record_store": "firestore"}
        chosen |= {"google_cloud_project": f"test-{uuid.uuid4().hex[:12]}"}
    return _filled(Clinic(start_api(**chosen)))


def _filled(made: Clinic) -> Clinic:
    for team in (OWN, OTHER):
        made.fill(team)
    return made
