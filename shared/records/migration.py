"""A change of stored documents to a new form, as a product or the engine declares it.

`python -m infra.cli migrate` runs it while everything runs (`infra/cli/migrator.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.records.store import Document

#: A document in, the fields to set out (None removes one); None: it is in the new form already.
Change = Callable[[Document], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Migration:
    """What is changed in one collection. `repeat`: whether passes go on until nothing changes."""

    name: str
    doc: str
    collection: str
    change: Change
    repeat: bool = True
