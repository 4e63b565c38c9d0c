"""The API in this process, and a building site on it."""

from __future__ import annotations

import pytest

from tests.api.conftest import StartApi, start_api
from tests.buildtrace.site import Site

__all__ = ["site", "start_api"]


@pytest.fixture
def site(start_api: StartApi) -> Site:
    """The example project over HTTP, with its jobs run when they are asked for."""
    return Site(start_api(product="buildtrace"))
