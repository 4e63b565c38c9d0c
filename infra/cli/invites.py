"""Invite codes, with which people join a scope by themselves."""

from __future__ import annotations

from typing import Any

import click

from infra.cli.command import Group, as_json, iso, show
from infra.cli.members import demand_role, role_option, role_or_newcomers
from shared import wiring
from shared.accounts import invite as codes
from shared.errors import InvalidRequest
from shared.records.record import valid_id


def open_invites(scope: str) -> list[dict[str, Any]]:
    """The codes of a scope that still admit somebody, the newest first. The codes are not stored."""
    now = wiring.clock_ms()
    found = [(each.key.id, codes.parse(each)) for each in codes.of_scope(wiring.store(), scope)]
    good = [(name, invite) for name, invite in found if invite.holds(now)]
    return [
        {
            "id": name,
            "role": invite.role,
            "left": invite.most_uses - invite.uses,
            "expires": iso(invite.expires_ms),
            "made_by": invite.made_by,
        }
        for name, invite in sorted(good, key=lambda each: each[1].made_ms, reverse=True)
    ]


@click.group("invites", cls=Group)
def group() -> None:
    """Invite codes."""


@group.command(
    "create", example="python -m infra.cli invites create kito-team --role {role} --days 2"
)
@click.argument("scope")
@role_option
@click.option("--days", type=float, default=7, show_default=True, help="How long it admits.")
@click.option("--uses", type=int, default=1, show_default=True, help="How many it admits.")
def create(scope: str, role: str | None, days: float, uses: int) -> None:
    """Make a code that admits people to SCOPE."""
    if not valid_id(scope):
        raise InvalidRequest("A scope is 1 to 128 of A-Z a-z 0-9 _ -.")
    if not (0 < days <= codes.MOST_DAYS and 1 <= uses <= codes.MOST_USES):
        raise InvalidRequest(f"At most {codes.MOST_DAYS} days and {codes.MOST_USES} uses.")
    role = role_or_newcomers(role)
    demand_role(role)
    code, invite = wiring.accounts().invites.make(
        wiring.operator(), scope, role, days, uses, wiring.clock_ms()
    )
    click.echo(f"{code} admits {invite.most_uses} as {invite.role} until {iso(invite.expires_ms)}")


@group.command("list", example="python -m infra.cli invites list kito-team")
@click.argument("scope")
@as_json
def list_invites(scope: str, as_json: bool) -> None:
    """List the codes of SCOPE that still admit somebody, without the codes."""
    line = "{id:<40} {role:<12} {left:>4}  {expires:<20}  {made_by}"
    show(open_invites(scope), line, "no invites", as_json)
