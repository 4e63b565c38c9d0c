"""DermaDetect's roles: who may do what in a team."""

from __future__ import annotations

from shared.access.rights import Action, Right, Rights


class ReviewAction(Right):
    """What is asked about the cases of a team, beside what the engine asks."""

    REVIEW = "review"  #: see the work list and everything about a case
    DIAGNOSE = "diagnose"  #: claim a case and sign its diagnosis
    ASSIGN = "assign"  #: give a case to a doctor, or take it away
    NUMBERS = "numbers"  #: see a team's numbers by week
    SEE_UNSIGNED_ANALYSIS = "see_unsigned_analysis"  #: the AI's whole answer before a doctor signed


ROLES = ("chw", "doctor", "supervisor", "admin", "member")

RIGHTS = Rights(
    ROLES,
    {
        Action.READ: frozenset(ROLES),
        Action.WRITE: frozenset({"chw", "supervisor", "admin", "member"}),
        Action.UNDELETE: frozenset({"supervisor", "admin"}),
        Action.MOVE: frozenset({"supervisor", "admin"}),
        Action.EXPORT: frozenset({"supervisor", "admin"}),
        Action.SUPERVISE: frozenset({"supervisor", "admin"}),
        Action.INBOX: frozenset({"doctor", "supervisor", "admin"}),
        Action.UNFILED: frozenset({"admin"}),
        Action.JOB_HISTORY: frozenset({"doctor", "supervisor", "admin"}),
        Action.HOOKS: frozenset({"admin"}),
        Action.TRAIL: frozenset({"admin"}),
        Action.ADMINISTER: frozenset({"admin"}),
        Action.ALERT: frozenset({"doctor", "supervisor", "admin"}),
        ReviewAction.REVIEW: frozenset({"doctor", "supervisor", "admin"}),
        ReviewAction.DIAGNOSE: frozenset({"doctor"}),
        ReviewAction.ASSIGN: frozenset({"supervisor", "admin"}),
        ReviewAction.NUMBERS: frozenset({"doctor", "supervisor", "admin"}),
        ReviewAction.SEE_UNSIGNED_ANALYSIS: frozenset({"doctor", "supervisor", "admin"}),
    },
)

may = RIGHTS.may
