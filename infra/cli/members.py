"""Who is in which scope, and in what role."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import click

from infra.cli.command import OperatorCommand, as_json, iso, show
from shared import wiring
from shared.access import audit, membership
from shared.errors import InvalidRequest
from shared.records.insist import insist
from shared.records.record import valid_id
from shared.records.store import Query

#: How often a command is tried when others write at the same moment.
_ATTEMPTS = 5


role_option = click.option(
    "--role",
    help="Role in the scope; else that of newcomers.",
)


def role_or_newcomers(role: str | None) -> str:
    """The role that was asked for, else the product's role of newcomers; the store is chosen before."""
    return role or wiring.product().accounts.newcomer


def demand_role(role: str) -> None:
    """Raises `InvalidRequest` for what is none of the product's roles."""
    roles = wiring.catalog().roles
    if role not in roles:
        raise InvalidRequest(f"--role must be one of {', '.join(roles)}.")


def grant(user: str, scope: str, role: str) -> None:
    """Make a user a member of a scope in a role. Raises `InvalidRequest` for what is no id."""
    if not (valid_id(user) and valid_id(scope)):
        raise InvalidRequest("Ids of users and scopes are 1 to 128 of A-Z a-z 0-9 _ -.")
    demand_role(role)
    now = wiring.clock_ms()
    entry = audit.right(wiring.operator(), "grant", now, scope, of=user, role=role)
    insist(lambda: membership.grant(wiring.store(), user, scope, role, now, [entry]), _ATTEMPTS)


def revoke(user: str, scope: str) -> None:
    """End a membership."""
    now = wiring.clock_ms()
    entry = audit.right(wiring.operator(), "revoke", now, scope, of=user)
    insist(lambda: membership.revoke(wiring.store(), user, scope, now, [entry]), _ATTEMPTS)


def members_of(scope: str) -> Iterator[dict[str, Any]]:
    """The members of a scope, by user."""
    for user, role, since_ms in membership.everybody(wiring.store(), scope):
        yield {"user": user, "role": role, "since": iso(since_ms)}


def scopes() -> list[dict[str, Any]]:
    """Every scope that has a member or was founded: name, members, and how many in each role."""
    store = wiring.store()
    roles: dict[str, Counter[str]] = {}
    for each in store.query(Query("scope_members", fields=("scope_id", "role"))):
        roles.setdefault(each.fields["scope_id"], Counter())[each.fields["role"]] += 1
    names = {each.key.id: each.fields.get("name") for each in store.query(Query("scopes"))}
    return [
        {
            "scope": scope,
            "name": names.get(scope),
            "members": roles.get(scope, Counter()).total(),
            "roles": dict(sorted(roles.get(scope, Counter()).items())),
        }
        for scope in sorted({*roles, *names})
    ]


@click.command(
    "grant", cls=OperatorCommand, example="python -m infra.cli grant amina kito-team --role {role}"
)
@click.argument("user")
@click.argument("scope")
@role_option
def grant_command(user: str, scope: str, role: str | None) -> None:
    """Make USER a member of SCOPE, or give another role in it."""
    role = role_or_newcomers(role)
    grant(user, scope, role)
    click.echo(f"{user} is {role} in {scope}")


@click.command("revoke", cls=OperatorCommand, example="python -m infra.cli revoke amina kito-team")
@click.argument("user")
@click.argument("scope")
def revoke_command(user: str, scope: str) -> None:
    """End a membership.

    The user's phones drop the scope's records with their next sync.
    """
    revoke(user, scope)
    click.echo(f"{user} is no longer in {scope}")


@click.command("members", cls=OperatorCommand, example="python -m infra.cli members kito-team")
@click.argument("scope")
@as_json
def members_command(scope: str, as_json: bool) -> None:
    """List the members of SCOPE."""
    show(members_of(scope), "{user:<28} {role:<12} {since}", "no members", as_json)


@click.command("scopes", cls=OperatorCommand, example="python -m infra.cli scopes --json")
@as_json
def scopes_command(as_json: bool) -> None:
    """List scopes, and how many members they have."""
    show(scopes(), "{scope:<28} {members:>7}  {name:<20} {roles}", "no scopes", as_json)
