"""The console as it is deployed, in this process: `house` is empty, `clinic` has two teams and their data.

Both on SQLite; `clinics` on each store, for what is about rights.
"""

from __future__ import annotations

import shutil
import uuid
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import StartApi, start_api
from tests.console.clinic import OTHER, OWN, Clinic
from tests.stores import BOTH

__all__ = ["start_api"]


@pytest.fixture
def house(start_api: StartApi) -> Clinic:
    """Nobody and nothing yet."""
    return Clinic(start_api())


@pytest.fixture(scope="session")
def day() -> dict[str, Any]:
    """What the teams of the first `clinic` of a session had done, for the others."""
    return {}


@pytest.fixture
def clinic(
    start_api: StartApi,
    day: dict[str, Any],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Clinic:
    """Two teams with their data."""
    if day:
        shutil.copytree(day["folder"], tmp_path, dirs_exist_ok=True)
        return Clinic(start_api(), deepcopy(day["known"]))
    made = _filled(Clinic(start_api()))
    day["folder"] = shutil.copytree(tmp_path, tmp_path_factory.mktemp("day") / "data")
    day["known"] = deepcopy(made.known)
    return made


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
