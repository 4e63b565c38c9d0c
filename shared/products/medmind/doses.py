"""What became of a dose: a function of its events, whatever their order, and of the time.

    planned   not due yet
    due       due, and nobody has said anything
    on_time   taken until the end of its grace, or before
    late      taken after that
    skipped   not taken, and somebody said why
    missed    the grace is over, and nobody has said anything

Events come late, twice and in any order: a device that was offline for a week says today what happened
on Monday. They are ordered by when they happened, then by id. `taken` goes before `skipped`, whoever said
which first: the pill is swallowed. An event that is `undone` never happened. A proof that arrives after the
dose was missed makes it late or on time, and `amended_ms` says when that became known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

TAKEN, SKIPPED, UNDONE = "taken", "skipped", "undone"
KINDS = (TAKEN, SKIPPED, UNDONE)

PLANNED, DUE, ON_TIME, LATE, MISSED = "planned", "due", "on_time", "late", "missed"
STATES = (PLANNED, DUE, ON_TIME, LATE, SKIPPED, MISSED)


@dataclass(frozen=True, slots=True)
class DoseEvent:
    """What somebody or a device said of a dose."""

    id: str
    kind: str
    at_ms: int  #: when it happened, by the corrected clock
    received_ms: int  #: when the server first heard of it
    reason: str = ""
    undoes: str = ""  #: the id of the event that never happened
    amount: float | None = None  #: how much was taken; None: what the plan says


@dataclass(frozen=True, slots=True)
class DoseState:
    """What became of it."""

    name: str
    event: DoseEvent | None = None  #: the one that decides
    amended_ms: int | None = (
        None  #: when a missed dose turned out not to be; None: it never was missed
    )


def state(due_ms: int, grace_ms: int, events: Iterable[DoseEvent], now_ms: int) -> DoseState:
    """The state of a dose that is due at `due_ms`, as it is known at `now_ms` (both Unix ms).

    Events that the server hears of later than `now_ms` are not known yet. Of several with one id the first
    that was heard of counts.
    """
    known = _once(each for each in events if each.received_ms <= now_ms)
    gone = {each.undoes for each in known if each.kind == UNDONE}
    happened = sorted(
        (each for each in known if each.id not in gone and each.kind != UNDONE),
        key=lambda each: (each.at_ms, each.id),
    )
    over_ms = due_ms + grace_ms
    for kind in (TAKEN, SKIPPED):
        decides = next((each for each in happened if each.kind == kind), None)
        if decides is not None:
            name = SKIPPED
            if kind == TAKEN:
                name = ON_TIME if decides.at_ms <= over_ms else LATE
            heard_ms = min(each.received_ms for each in happened)
            return DoseState(name, decides, heard_ms if heard_ms > over_ms else None)
    if now_ms > over_ms:
        return DoseState(MISSED)
    return DoseState(DUE if now_ms >= due_ms else PLANNED)


def _once(events: Iterable[DoseEvent]) -> list[DoseEvent]:
    found: dict[str, DoseEvent] = {}
    for each in events:
        before = found.get(each.id)
        if before is None or (each.received_ms, each.kind) < (before.received_ms, before.kind):
            found[each.id] = each
    return list(found.values())
