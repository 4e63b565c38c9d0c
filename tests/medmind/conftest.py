"""The API in this process."""

from __future__ import annotations

from tests.api.conftest import start_api

__all__ = ["start_api"]
