"""Which of two readings of a case is shown: the one that tells most, and nothing is ever taken away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.ai.schema import problems
from shared.products.dermadetect.analysis.document import next_steps, write_flags
from shared.products.dermadetect.analysis.schema import SCHEMA
from shared.products.dermadetect.analysis.vocabulary import (
    NEXT_STEPS,
    TRIAGES,
    URGENCIES,
    URGENCY_OF_TRIAGE,
)

#: How much the reading of a status tells: a reading, one that saw too little, none at all.
_TELLING = {"ok": 3, "insufficient_image": 2, "not_skin": 2, "refused": 1}
#: Steps that ask for a photo: of an earlier reading they are out of date.
_PHOTO_STEPS = frozenset({"retake_photo", "add_close_up_photo", "add_overview_photo"})


def shown(earlier: Mapping[str, Any] | None, latest: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of a case whose earlier document is there when another reading comes.

    The reading that tells most, of equals the most urgent, then the one that saw more photos, then the
    latest; with the worst triage and urgency of both, every red flag and every next step. The colours
    of phone and rules are the latest ones. Nothing is ever taken away: the doctor decides.
    """
    if not earlier:
        return dict(latest)
    base = latest if _telling(latest) >= _telling(earlier) else earlier
    final = max(
        (each for each in (earlier.get("triage_final"), latest["triage_final"]) if each in TRIAGES),
        key=TRIAGES.index,
    )
    known = (earlier.get("urgency"), latest["urgency"], URGENCY_OF_TRIAGE[final])
    urgency = max((each for each in known if each in URGENCIES), key=URGENCIES.index)
    steps = [
        step
        for step in _strings(earlier, "suggested_next_steps")
        if step in NEXT_STEPS and not (base is latest and step in _PHOTO_STEPS)
    ] + latest["suggested_next_steps"]
    joined: dict[str, Any] = {
        "triage_device": latest["triage_device"],
        "triage_rules": latest["triage_rules"],
        "triage_final": final,
        "urgency": urgency,
    }
    write_flags(joined, _strings(earlier, "red_flags"), latest["red_flags"])
    joined["suggested_next_steps"] = next_steps(joined["urgency"], str(base.get("status")), steps)
    # A document of an older release lacks what came since.
    since: dict[str, Any] = {"image_files": [], "images_unread": 0, "read_at": None}
    origin = {**since, **(base.get("provenance") or {})}
    document = {**base, **joined, "provenance": origin}
    return document if not problems(document, SCHEMA) else {**latest, **joined}


def _telling(document: Mapping[str, Any]) -> tuple[int, int, int]:
    urgency = document.get("urgency")
    origin = document.get("provenance") or {}
    return (
        _TELLING.get(str(document.get("status")), 0),
        URGENCIES.index(urgency) if urgency in URGENCIES else -1,
        len(origin.get("image_sha256") or ()),
    )


def _strings(document: Mapping[str, Any], name: str) -> list[str]:
    found = document.get(name)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
