"""Who may do what: a product declares its roles and what each of them may do, the engine asks.

A role holds within a scope (`Memberships.roles`); somebody who is not in a scope may do nothing in
it, and is not told that it exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Right(Enum):
    """Something that a role may be allowed to do. Products have enums of their own beside `Action`."""

    # By identity, which is what equality of members is: Enum's own is Python code, asked for each record.
    __hash__ = object.__hash__


class Action(Right):
    """What the engine asks about the records of a scope."""

    READ = "read"
    WRITE = "write"  #: create, change or delete client-owned fields, add files
    UNDELETE = "undelete"  #: see what was deleted, and bring it back
    MOVE = "move"  #: give a record to another scope, in which one may do this as well
    EXPORT = "export"  #: take all that is stored of a scope away as a file
    SUPERVISE = "supervise"  #: see the phones of a scope
    INBOX = "inbox"  #: see what phones could not deliver
    UNFILED = "unfiled"  #: see urgent records of people who are in no scope
    JOB_HISTORY = "job_history"  #: see each step of a job, and why it failed
    HOOKS = "hooks"  #: say which other systems hear of the events of a scope
    TRAIL = "trail"  #: see what everybody did in a scope, and whether its trail is whole
    ADMINISTER = "administer"  #: see a scope's stuck jobs and accounts, and act on them
    ALERT = "alert"  #: be told with words on the screen that a result waits; others' phones sync silently


@dataclass(frozen=True, slots=True)
class Rights:
    """A product's roles, and who of them is allowed what. What is not declared is allowed to nobody."""

    roles: tuple[str, ...]
    allowed: Mapping[Enum, frozenset[str]]

    def may(self, role: str | None, right: Enum) -> bool:
        """Whether a role in a scope (None: not a member) allows something there."""
        return role in self.allowed.get(right, frozenset())
