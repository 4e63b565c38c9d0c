"""Who may do what: the one table that every function asks.

A role holds within a scope (`Memberships.roles`); somebody who is not in a scope may do nothing in
it, and is not told that it exists.
"""

from __future__ import annotations

from enum import Enum


class Action(Enum):
    """What a request wants to do with the records of a scope."""

    # By identity, which is what equality of members is: Enum's own is Python code, asked for each record.
    __hash__ = object.__hash__

    READ = "read"
    WRITE = "write"  #: create, change or delete client-owned fields
    UNDELETE = "undelete"  #: bring a deleted record back
    SUPERVISE = "supervise"  #: see the phones of a scope
    INBOX = "inbox"  #: see what phones could not deliver
    UNFILED = "unfiled"  #: see urgent records of people who are in no scope
    REVIEW = "review"  #: see the work list and everything about a case
    DIAGNOSE = "diagnose"  #: claim a case and sign its diagnosis
    ASSIGN = "assign"  #: give a case to a doctor, or take it away
    SEE_UNSIGNED_ANALYSIS = "see_unsigned_analysis"  #: the AI's whole answer before a doctor signed


_ALLOWED: dict[Action, frozenset[str]] = {
    Action.READ: frozenset({"chw", "doctor", "supervisor", "admin", "member"}),
    Action.WRITE: frozenset({"chw", "supervisor", "admin", "member"}),
    Action.UNDELETE: frozenset({"supervisor", "admin"}),
    Action.SUPERVISE: frozenset({"supervisor", "admin"}),
    Action.INBOX: frozenset({"doctor", "supervisor", "admin"}),
    Action.UNFILED: frozenset({"admin"}),
    Action.REVIEW: frozenset({"doctor", "supervisor", "admin"}),
    Action.DIAGNOSE: frozenset({"doctor"}),
    Action.ASSIGN: frozenset({"supervisor", "admin"}),
    Action.SEE_UNSIGNED_ANALYSIS: frozenset({"doctor", "supervisor", "admin"}),
}

ROLES = ("chw", "doctor", "supervisor", "admin", "member")


def may(role: str | None, action: Action) -> bool:
    """Whether a role in a scope (None: not a member) allows an action on its records."""
    return role is not None and role in _ALLOWED[action]
