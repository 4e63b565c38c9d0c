"""The name by which scripts outside know `infra.cli`, with the words of earlier releases:
`python -m infra.admin --data D grant …`; `admin.use_stack(folder)`; `admin.grant(user, scope, role)`."""

import sys

from infra.cli import invites, jobs, records, root, users
from infra.cli.members import grant as grant
from infra.cli.members import revoke as revoke
from infra.local.environment import use_stack as use_stack

_OLD = {"user": users.group, "invite": invites.create, "jobs": jobs.list_jobs, "redrive": jobs.redrive,
        "move": records.move_command, "undelete": records.undelete_command}  # fmt: skip

if __name__ == "__main__":
    old = root.Sectioned(params=root.cli.params, commands={**root.cli.commands, **_OLD})
    sys.exit(root.main(command=old))
