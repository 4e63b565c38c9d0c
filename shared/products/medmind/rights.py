"""MedMind's roles: who may do what in a care circle, and how people come into one."""

from __future__ import annotations

from shared.access.rights import Action, Rights
from shared.accounts.policy import AccountPolicy

CAREGIVER, DOCTOR, PATIENT, DEVICE = "caregiver", "doctor", "patient", "device"

ROLES = (CAREGIVER, DOCTOR, PATIENT, DEVICE)

#: Who plans and looks after; all tables of plans are theirs to write (`Collection.writers`).
CARERS = frozenset({CAREGIVER, DOCTOR})

#: A patient reads, and says what became of a dose; so does the device on the table (`device.py`). Nobody
#: administers the accounts of others.
RIGHTS = Rights(
    ROLES,
    {
        Action.READ: frozenset(ROLES),
        Action.WRITE: frozenset(ROLES),
        Action.UNDELETE: CARERS,
        Action.EXPORT: CARERS,
        Action.INBOX: CARERS,
        Action.SUPERVISE: frozenset({CAREGIVER}),
        Action.JOB_HISTORY: frozenset({CAREGIVER}),
        Action.HOOKS: frozenset({CAREGIVER}),
        Action.TRAIL: CARERS,
        Action.ALERT: CARERS,
    },
)

#: Anybody may register and make a circle; only its caregivers let others in.
ACCOUNTS = AccountPolicy(
    registration="open",
    scope_makers=None,
    founder=CAREGIVER,
    newcomer=CAREGIVER,
    invitable={CAREGIVER: frozenset(ROLES), DOCTOR: frozenset()},
    founds=True,
    keepers=frozenset({CAREGIVER}),
    alone=frozenset({DEVICE}),
    aliases={"join-circle": "join"},
    words=("medmind", "circle", "medicine", "medication", "caregiver"),
)
