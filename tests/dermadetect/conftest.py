"""The deployments and the HTTP client that the engine's suites use."""

from __future__ import annotations

from tests.api.conftest import api, start_api
from tests.reliability.conftest import ward, wards

__all__ = ["api", "start_api", "ward", "wards"]
