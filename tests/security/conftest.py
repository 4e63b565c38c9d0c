"""The HTTP functions in this process, and a clinic on each store."""

from __future__ import annotations

from tests.ai.workplace import clinic
from tests.api.conftest import api, start_api

__all__ = ["api", "clinic", "start_api"]
