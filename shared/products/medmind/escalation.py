"""Who is told of an alert, and when: the table of steps.

A step is begun at its time, once. It is begun at once if the step before reached nobody: there is no such
person, none of them has a way that works, or all of their ways failed. So a chain without a second
caregiver, or without a doctor, goes on with whoever there is.

The sweeper looks once a minute: a step that is due within half a minute is begun now, so that none is
begun more than half a minute before or after its time. The first look is within a minute of the alert.

    quiet hours    an emergency breaks them; an urgent alert waits for their end, but no longer than
                   `quiet_ms`, while the chain goes on with those who are awake; a notice waits
    digest         notices of those who want one wait for their hour, and come as one message
    ways           an emergency takes all ways of a person at the same time; else the next way is taken
                   when the one before has failed
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from shared.notify.choice import Quiet, quiet_until
from shared.products.medmind.alert_tables import (
    DOCTOR_STEP,
    EMERGENCY,
    FIRST_STEP,
    NOTICE,
    OTHERS_STEP,
    PATIENT_STEP,
    STEPS,
    URGENT,
)
from shared.products.medmind.rights import CAREGIVER, DOCTOR, PATIENT

_MINUTE, _HOUR = 60_000, 3_600_000


class Escalation(NamedTuple):
    """What holds for a severity. Times in ms from the alert."""

    after_ms: Mapping[str, int]  #: when each step is begun
    quiet_ms: int | None  #: how long quiet hours may hold it up; None: until their end
    at_once: bool = False  #: by all ways of a person at the same time
    digest: bool = False  #: may wait for a digest


#: EMERGENCY: a call for help, danger words. The patient and the first caregiver at once; two minutes are
#: enough to see a message and open the app, five are what a nurse call is usually given to be answered
#: before it goes further. URGENT: a missed dose. Its grace was the patient's time to take it, so the
#: caregiver is told at once; half an hour is time to telephone or to go there, and within four hours most
#: doses can still be taken or left out, which is for a doctor to say. NOTICE: low stock, a silent device.
#: A day is time to fetch a box; what nobody looks after for three, the doctor should know.
TABLE: Mapping[str, Escalation] = {
    EMERGENCY: Escalation(
        {PATIENT_STEP: 0, FIRST_STEP: 0, OTHERS_STEP: 2 * _MINUTE, DOCTOR_STEP: 5 * _MINUTE},
        quiet_ms=0,
        at_once=True,
    ),
    URGENT: Escalation(
        {PATIENT_STEP: 0, FIRST_STEP: 0, OTHERS_STEP: 30 * _MINUTE, DOCTOR_STEP: 4 * _HOUR},
        quiet_ms=2 * _HOUR,
    ),
    NOTICE: Escalation(
        {PATIENT_STEP: 0, FIRST_STEP: 0, OTHERS_STEP: 24 * _HOUR, DOCTOR_STEP: 72 * _HOUR},
        quiet_ms=None,
        digest=True,
    ),
}

#: A step that is due within this is begun now, ms: half of what lies between two looks of the sweeper.
LEAD_MS = 30_000

#: An alert that is heard of later than this begins its steps from then on, ms.
PROMPT_MS = 2 * _MINUTE

#: One that is no emergency and is heard of later than this is shown, and nobody is told, ms.
OLDEST_MS = 12 * _HOUR

#: So long a chain goes on after it was begun, ms: a day longer than its last step.
LIFE_MS = 96 * _HOUR

#: When it is tried again whom an alert can reach that has reached nobody, ms.
NOBODY_MS = 5 * _MINUTE


class CircleMember(NamedTuple):
    """Somebody in a circle."""

    user_id: str
    role: str
    since_ms: int
    turn: int | None = None  #: of caregivers: who is told first; None: after those who say


def begins_ms(raised_ms: int, now_ms: int) -> int:
    """From when the steps of an alert count that is first heard of now, Unix ms."""
    return raised_ms if now_ms - raised_ms <= PROMPT_MS else now_ms


def people(members: Sequence[CircleMember], step: str, reached: Collection[str] = ()) -> list[str]:
    """Users of a step, in their order; the other caregivers are all that were not `reached` yet."""
    carers = sorted(
        (each for each in members if each.role == CAREGIVER),
        key=lambda each: (each.turn or 99, each.since_ms, each.user_id),
    )
    if step == FIRST_STEP:
        return [each.user_id for each in carers[:1]]
    if step == OTHERS_STEP:
        return [each.user_id for each in carers if each.user_id not in reached]
    role = PATIENT if step == PATIENT_STEP else DOCTOR
    return sorted(each.user_id for each in members if each.role == role)


def due_ms(severity: str, step: str, base_ms: int) -> int:
    """When a step may be begun, Unix ms."""
    return base_ms + max(TABLE[severity].after_ms[step] - LEAD_MS, 0)


def following(begun: Mapping[str, int]) -> str | None:
    """The first step that was not begun; None: all were."""
    return next((each for each in STEPS if each not in begun), None)


def awake_ms(severity: str, quiet: Quiet | None, due_at_ms: int) -> int:
    """When somebody may be told what is due at a moment, Unix ms."""
    longest = TABLE[severity].quiet_ms
    ends = quiet_until(quiet, due_at_ms)
    return ends if longest is None else min(ends, due_at_ms + longest)


def punctual(severity: str, quiet: Quiet | None, due_at_ms: int, now_ms: int) -> bool:
    """Whether what was due at a moment is told now, though it may be quiet by now.

    What was due just before quiet hours is told though nobody looked until just after they began; an
    emergency, and an urgent alert that has waited, always.
    """
    if TABLE[severity].quiet_ms is not None:
        return True
    return now_ms - due_at_ms <= PROMPT_MS and quiet_until(quiet, due_at_ms) == due_at_ms
