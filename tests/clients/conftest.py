"""Tools that read the API's description, and a back end for the clients that they make."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.ci.compatible import CURRENT as OPENAPI
from tests import node_packages
from tests.conftest import absent
from tests.e2e.conftest import Deployment
from tests.e2e.conftest import deploy as deploy

HERE = Path(__file__).parent

Json = dict[str, Any]


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder with the tools of npm."""
    try:
        return node_packages.install(HERE, "api-clients")
    except node_packages.NodeMissing as error:
        absent(str(error))


@pytest.fixture(scope="session")
def document() -> Json:
    """The description that is published."""
    found: Json = json.loads(OPENAPI.read_text("utf-8"))
    return found


@dataclass(frozen=True)
class Clinic:
    """A team of a running back end."""

    url: str
    chw: str  #: access token
    doctor: str  #: access token


@pytest.fixture
def clinic(deploy: Callable[[str], Deployment]) -> Clinic:
    """A team of its own."""
    running, team = deploy("local"), uuid.uuid4().hex
    tokens = {}
    for role in ("chw", "doctor"):
        running.join(f"{role}-{team}", team, role)
        tokens[role] = running.token(f"{role}-{team}", role)
    return Clinic(running.stack.url, **tokens)
