"""BuildTrace's own settings, beside those of every deployment (`shared/settings.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from shared.settings import setting


@dataclass(frozen=True)
class BuildTraceSettings:
    """One field per environment variable; the variable's name is the field's in capitals."""

    drawing_bytes: int = setting(
        100 * 2**20,
        "Largest file of a revision, bytes; above 31 MiB it is sent in pieces.",
        low=1024,
        high=128 * 2**20,
        shown=True,
    )
