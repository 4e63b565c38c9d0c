"""DermaDetect's own settings, beside those of every deployment (`shared/settings.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from shared.settings import setting


@dataclass(frozen=True)
class DermaDetectSettings:
    """One field per environment variable; the variable's name is the field's in capitals."""

    claim_minutes: int = setting(
        30, "How long a doctor's claim of a case holds, minutes.", low=1, high=1440
    )
    unread_hours: int = setting(
        24,
        "After how long a diagnosis that no phone has fetched is listed, hours.",
        low=1,
        high=720,
    )
    triage_red_from: float = setting(
        0.0, "Score from which a second look is red, calibrated; 0: it says nothing.", low=0, high=1
    )
    triage_yellow_from: float = setting(
        0.0, "Score from which a second look is yellow; 0: it says nothing.", low=0, high=1
    )
