"""MedMind's own settings, beside those of every deployment (`shared/settings.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from shared.settings import setting


@dataclass(frozen=True)
class MedMindSettings:
    """One field per environment variable; the variable's name is the field's in capitals."""

    voice_audio_hours: int = setting(
        0,
        "How long a recording is kept after it was understood, hours; 0: it goes at once.",
        low=0,
        high=40,
        shown=True,
    )
    voice_text_days: int = setting(
        0,
        "How long what was understood is kept as text, days; 0: until the patient's data is erased.",
        low=0,
        high=3650,
        shown=True,
    )
