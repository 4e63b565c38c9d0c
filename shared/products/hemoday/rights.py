"""HemoDay's roles: who may do what in a family, and how people come into one."""

from __future__ import annotations

from shared.access.rights import Action, Rights
from shared.accounts.policy import AccountPolicy

OWNER, MEMBER, VIEWER = "owner", "member", "viewer"

ROLES = (OWNER, MEMBER, VIEWER)

_WRITERS = frozenset({OWNER, MEMBER})

#: A viewer reads. Who writes sees what was done. Nobody administers the accounts of others: a family's
#: people are equals.
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
        Action.JOB_HISTORY: frozenset({OWNER}),
        Action.HOOKS: frozenset({OWNER}),
        Action.TRAIL: _WRITERS,
        Action.ALERT: frozenset(ROLES),
    },
)

#: Anybody may register and make a family; only its owners let others in.
ACCOUNTS = AccountPolicy(
    registration="open",
    scope_makers=None,
    founder=OWNER,
    newcomer=MEMBER,
    invitable={OWNER: frozenset(ROLES), MEMBER: frozenset()},
    founds=True,
    keepers=frozenset({OWNER}),
    aliases={"join-family": "join"},
    words=("hemoday", "hemo", "family", "transfusion", "thalassaemia", "thalassemia"),
)
