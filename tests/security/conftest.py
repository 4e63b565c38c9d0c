"""The HTTP functions in this process, and a clinic on each store."""

from __future__ import annotations

from tests.api.conftest import api, start_api
from tests.sync.conftest import clinic

__all__ = ["api", "clinic", "start_api"]
