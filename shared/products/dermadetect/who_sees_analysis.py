"""Before a doctor signed, only doctors, supervisors and admins see the AI's percentages and guesses.

A health worker's phone gets `VISIBLE_TO_CHW`, which comes from closed vocabularies: no likelihood, no
percentage, no name of a disease, no drug. With the signature the whole analysis goes to everybody who
reads the case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.products.dermadetect.rights import ReviewAction, may

#: What a health worker's phone gets of an analysis until a doctor has signed.
VISIBLE_TO_CHW = (
    "status",
    "urgency",
    "triage_final",
    "red_flags",
    "suggested_next_steps",
    "missing_information",
    "disclaimer",
    "requires_human_review",
)

#: The column as phones get it: whole, or what is seen before signature (`analysis/schema.py` has both).
SHAPE: dict[str, Any] = {
    "anyOf": [
        {"$ref": "#/components/schemas/AiAnalysis"},
        {"$ref": "#/components/schemas/AiAnalysisBeforeReview"},
    ]
}


def visible_to_chw(analysis: Mapping[str, Any]) -> dict[str, Any]:
    """What a health worker's phone gets before a doctor signed: `VISIBLE_TO_CHW`, as far as stored."""
    return {name: analysis[name] for name in VISIBLE_TO_CHW if name in analysis}


def as_seen_by(role: str, analysis: Mapping[str, Any] | None, *, signed: bool) -> Any:
    """An analysis as a role in the case's team sees it."""
    if analysis is None or signed or may(role, ReviewAction.SEE_UNSIGNED_ANALYSIS):
        return analysis
    return visible_to_chw(analysis)
