"""What other systems hear of a team's cases: that something is there to be read, and its ids."""

from __future__ import annotations

from shared.hooks.event import Event
from shared.products.dermadetect.signal import RANKS
from shared.records.store import Write

_CASE = "/api/v1/review/cases/{case_id}"

CASE_RED = Event(
    "case.red",
    "A case became red: by the phone, by a rule or by an analysis. Once a case.",
    "cases",
    ("case_id",),
    _CASE,
)
ANALYSIS_READY = Event(
    "analysis.ready",
    "The analysis of a case has ended: the case shows a reading, or why there is none.",
    "cases",
    ("case_id",),
    _CASE,
)
DIAGNOSIS_READY = Event(
    "diagnosis.ready",
    "A diagnosis was signed, or one that corrects another.",
    "cases",
    ("case_id", "diagnosis_id"),
    _CASE,
)
DIAGNOSIS_WITHDRAWN = Event(
    "diagnosis.withdrawn",
    "A diagnosis was taken back by whoever signed it, within seconds: drop it. `diagnosis.ready` may come "
    "after this.",
    "cases",
    ("case_id", "diagnosis_id"),
    _CASE,
)

EVENTS = (CASE_RED, ANALYSIS_READY, DIAGNOSIS_READY, DIAGNOSIS_WITHDRAWN)


def became_red(
    case_id: str, scope_id: str, before: object, rank: int, now_ms: int
) -> tuple[Write, ...]:
    """What a new rank of a case makes known: that it is red from now on. `before` None: it had none."""
    was = before if isinstance(before, int) else RANKS["green"]
    if rank > RANKS["red"] or was <= RANKS["red"]:
        return ()
    return (CASE_RED.happened(scope_id, {"case_id": case_id}, now_ms, once=str(now_ms)),)
