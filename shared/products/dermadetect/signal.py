"""The signal of a case: how urgent it is for people, and what of it changed since somebody signed.

The doctors' list is ordered by `RANK`, the worst that phone, rules and readings ever said of a case. It
never falls while the case is there. What cannot be read ranks as `look`: a person has to.

A signature judges what was there (`SIGNED`). Whatever comes after it and says more (a worse colour, a new
rule, another answer, another photo) puts the case into the list again and is named there (`CHANGED`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.files.file import plain_key
from shared.products.dermadetect.emergency import urgency_of
from shared.products.dermadetect.rules import Verdict
from shared.records import record
from shared.sync.conflict import digest_of

#: How urgent a case is for doctors. Never sent to phones.
RANK = "_rank"
RANKS = {"emergency": 0, "red": 1, "look": 2, "yellow": 3, "green": 4}
LOOK = RANKS["look"]

#: What the signature that counts has judged, and what has changed since. Never sent to phones.
SIGNED = "_signed"
CHANGED = "_changed_since"

#: The colour of a case whose own cannot be read, or is missing.
UNKNOWN = "unknown"

#: From the least to the most: of two unseen edits the higher stays.
RISKS = ("green", "yellow", UNKNOWN, "red")

#: Other words for the colours, in lower case. To be read by a clinician; generous for red alone.
RISK_WORDS = {
    **dict.fromkeys(
        (
            "high", "very high", "highest", "urgent", "very urgent", "emergency", "critical",
            "severe", "danger", "refer", "refer now",
            "rouge", "urgence", "nyekundu", "hatari", "लाल", "vermelho", "vermelha", "rojo", "roja",
            "urgente", "emergencia", "emergência", "أحمر", "حمراء", "طارئ",
        ),
        "red",
    ),
    **dict.fromkeys(
        (
            "medium", "moderate", "amber", "orange",
            "jaune", "moyen", "njano", "manjano", "पीला", "amarelo", "amarela", "amarillo", "amarilla",
            "أصفر", "صفراء",
        ),
        "yellow",
    ),
    **dict.fromkeys(
        ("low", "vert", "kijani", "हरा", "verde", "أخضر", "خضراء"),
        "green",
    ),
}  # fmt: skip


def rank_of(colour: object, said: Verdict) -> int:
    """How urgent colour and rules make a case."""
    ranks = [RANKS.get(str(colour), LOOK)]
    if said.triage is not None:
        ranks.append(RANKS[said.triage])
    if said.look:
        ranks.append(LOOK)
    if urgency_of(said.flags).urgency is not None:
        ranks.append(RANKS["emergency"])
    return min(ranks)


def rank_of_reading(reading: Mapping[str, Any]) -> int:
    """How urgent a reading makes a case; one that says nothing makes it no more so."""
    if reading.get("urgency") == "emergency":
        return RANKS["emergency"]
    return RANKS.get(str(reading.get("triage_final")), RANKS["green"])


def raised(stored: object, rank: int) -> int:
    """The more urgent of a stored rank (None: none yet) and another one."""
    return min(rank, stored) if isinstance(stored, int) else rank


def judged(case: Mapping[str, Any], photos: Mapping[str, str]) -> dict[str, Any]:
    """What a signature judges of a case: enough to tell later what is new."""
    said = case.get("rules") or {}
    return {
        "colour": RANKS.get(str(case.get("risk_level")), LOOK),
        "rules": sorted({*said.get("flags", ()), *said.get("look", ())}),
        "answers": digest_of(case.get("triage_data")),
        "photos": sorted({plain_key(key) for key in case.get("image_keys") or ()}),
        "files": sorted(file for file in photos.values() if file),
    }


def news(signed: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The columns that say more than what was signed; empty if nothing does.

    A colour that cannot be read says more than any that could.
    """
    unreadable = now["colour"] == LOOK != signed["colour"]
    worse = {
        "risk_level": now["colour"] < signed["colour"] or unreadable,
        "rules": not set(now["rules"]) <= set(signed["rules"]),
        "triage_data": now["answers"] != signed["answers"],
        "image_keys": not set(now["photos"]) <= set(signed["photos"]),
        "image_urls": not set(now["files"]) <= set(signed["files"]),
    }
    return [name for name, is_news in worse.items() if is_news]


def listed_again(case: Mapping[str, Any], columns: list[str]) -> dict[str, Any]:
    """The fields that put a signed case into the list again, naming what changed."""
    known = case.get(CHANGED) or ()
    return {CHANGED: sorted({*known, *columns}), record.WAITS: True}
