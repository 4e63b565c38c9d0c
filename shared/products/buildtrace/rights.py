"""BuildTrace's roles: who may do what in a project, and how people come into one."""

from __future__ import annotations

from shared.access.rights import Action, Rights
from shared.accounts.policy import AccountPolicy

OWNER, MEMBER, VIEWER = "owner", "member", "viewer"

ROLES = (OWNER, MEMBER, VIEWER)

_WRITERS = frozenset({OWNER, MEMBER})

#: A viewer reads drawings and what changed. Members upload, compare, check and comment.
RIGHTS = Rights(
    ROLES,
    {
        Action.READ: frozenset(ROLES),
        Action.WRITE: _WRITERS,
        Action.UNDELETE: _WRITERS,
        Action.EXPORT: _WRITERS,
        Action.INBOX: _WRITERS,
        Action.MOVE: frozenset({OWNER}),
        Action.SUPERVISE: frozenset({OWNER}),
        Action.JOB_HISTORY: _WRITERS,
        Action.HOOKS: frozenset({OWNER}),
        Action.TRAIL: frozenset({OWNER}),
        Action.ALERT: _WRITERS,
    },
)

#: Anybody may register and make a project; only its owners let others in.
ACCOUNTS = AccountPolicy(
    registration="open",
    scope_makers=None,
    founder=OWNER,
    newcomer=MEMBER,
    invitable={OWNER: frozenset(ROLES), MEMBER: frozenset()},
    founds=True,
    keepers=frozenset({OWNER}),
    aliases={"join-project": "join"},
    words=("buildtrace", "drawing", "revision", "project"),
)
