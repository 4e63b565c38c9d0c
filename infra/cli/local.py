"""The back end on this machine: run it, get a token for it, put example data in.

`python -m infra.local` and `python -m infra.local token` are the first two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from infra.cli.command import OperatorCommand, folder_of
from infra.cli.members import demand_role, grant, role_option, role_or_newcomers
from infra.local.token import token_for
from shared import wiring
from shared.access.membership import Caller
from shared.errors import Fault
from shared.sync.exchange import Entry, Push

#: When the example records were written: 1 March 2026, ms.
_WRITTEN_MS = 1_772_323_200_000


def seed(scope: str, *, lived: bool = False) -> list[str]:
    """Members and records of the product to try things with; returns the users, none if it has none.

    `lived`: the records are as old as the example says, and what happened since then is in, too.
    """
    example = wiring.product().seed(scope)
    members = example.members
    if not members:
        return []
    for user, role in members:
        grant(user, scope, role)
    roles, now_ms = dict(members), wiring.clock_ms()
    entries = [_entry(scope, *each, _WRITTEN_MS) for each in example.records]
    ago_ms, since = (example.ago_ms, example.since(now_ms)) if lived else (0, ())
    _push(members[0], entries, f"seed of {scope}", now_ms - ago_ms)
    for at_ms, user, table, name, fields in since:
        author, entry = (user, roles[user]), _entry(scope, table, name, fields, at_ms)
        _push(author, [entry], f"seed of {scope}: {table}/{name}", at_ms)
    return [user for user, _ in members]


def _entry(scope: str, table: str, name: str, fields: Mapping[str, Any], at_ms: int) -> Entry:
    declared = wiring.catalog().by_name[table]
    coerced = declared.coerce(fields)
    return Entry(declared, name, dict(fields), coerced=coerced, raw_ms=at_ms, scope_id=scope)


def _push(author: tuple[str, str], entries: Sequence[Entry], mark: str, at_ms: int) -> None:
    """As the author's phone sends them at a moment. Raises `Fault` if one is refused."""
    push = Push(entries, (), 0, mark)
    outcome = wiring.pusher().push(Caller(*author, "seed"), push, at_ms)
    if outcome.rejected:
        first = outcome.rejected[0]
        raise Fault(
            f"{len(outcome.rejected)} example records were refused: {first.message}",
            code=first.code,
        )


@click.command(
    "run",
    cls=OperatorCommand,
    stored=False,
    example="python -m infra.cli run --port 8080 --data .data --seed",
)
@click.option(
    "--profile",
    type=click.Choice(("local", "emulator")),
    default="local",
    show_default=True,
    help="Embedded stores, or emulators of Google's.",
)
@click.option("--port", type=int, default=8080, show_default=True, help="0: any free port.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="0.0.0.0 serves other machines too."
)
@click.option(
    "--sweep-seconds", type=float, default=60.0, show_default=True, help="Between two sweeps."
)
@click.option("--workers", type=int, help="Processes of the local profile's server.")
@click.option("--seed", is_flag=True, help="Put example data in, print a token.")
@click.option("--quiet", is_flag=True, help="Leave the logs in their files.")
@click.pass_context
def run(
    ctx: click.Context,
    profile: str,
    port: int,
    host: str,
    sweep_seconds: float,
    workers: int | None,
    seed: bool,
    quiet: bool,
) -> None:
    """Run the whole back end on this machine.

    The data folder is made if it is not there: `--data`, else DATA_FOLDER.

    Prints `ready: http://127.0.0.1:PORT` once everything serves, then the logs of all processes on
    standard error. Ctrl-C or SIGTERM ends everything. Exit code 2: it cannot start like this, and one
    sentence says why; 1: a process failed.
    """
    from infra.local.__main__ import StackOptions, serve  # loads the server

    ctx.exit(
        serve(
            StackOptions(profile, port, host, folder_of(ctx), sweep_seconds, workers, seed, quiet)
        )
    )


@click.command(
    "token",
    cls=OperatorCommand,
    example="python -m infra.cli token --user amina --scope kito-team --data .data",
)
@click.option("--user", "--chw", "user", required=True, metavar="USER", help="User id.")
@role_option
@click.option("--scope", help="Also make the user a member of this team.")
@click.option("--device", help="The phone's id.")
def token(user: str, role: str | None, scope: str | None, device: str | None) -> None:
    """Print an access token for the running stack, and nothing else.

    It is signed with the stack's own key, which no other deployment trusts.
    """
    role = role_or_newcomers(role)
    demand_role(role)
    if scope is not None:
        grant(user, scope, role)
    click.echo(token_for(user, role=role, device=device))


@click.command("seed", cls=OperatorCommand, example="python -m infra.cli --data .data seed")
@click.option("--scope", default="demo", show_default=True, help="The team that gets it.")
def seed_command(scope: str) -> None:
    """Put example data in: members of each kind and a few records."""
    click.echo(
        f"seeded {scope}: {', '.join(seed(scope, lived=True)) or 'the product has no example data'}"
    )
