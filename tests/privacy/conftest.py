"""A club with workers on each store."""

from __future__ import annotations

from tests.jobs.conftest import place

__all__ = ["place"]
