"""Accounts: who may log in. WHO is an e-mail address or a user id."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import click

from infra.cli.command import Group, as_json, given_line, show
from infra.cli.members import grant, role_option, role_or_newcomers
from shared import wiring
from shared.access import membership
from shared.accounts import account
from shared.accounts.oidc import OUTSIDE
from shared.errors import InvalidRequest
from shared.records.record import valid_id
from shared.records.store import Query

#: Bytes of a password that is made here: 96 bits.
_PASSWORD_BYTES = 12


def users() -> Iterator[dict[str, Any]]:
    """Every account: id, e-mail, scopes with roles, whether it is disabled."""
    for document in wiring.store().query(Query("accounts")):
        known = account.parse(document.key.id, document)
        where = membership.key(known.user_id)
        held = membership.known(known.user_id, wiring.store().read([where]).documents.get(where))
        yield {
            "id": known.user_id,
            "email": known.email,
            "scopes": dict(sorted(held.roles.items())),
            "disabled": held.disabled_ms is not None,
        }


@click.group("users", cls=Group)
def group() -> None:
    """Accounts: make, disable, delete, help out.

    WHO is an e-mail address or a user id. A password is read from standard input if one is piped there,
    else made and printed once.
    """


@group.command(
    "create",
    example="python -m infra.cli users create amina@example.org --id amina --scope kito-team",
)
@click.argument("email")
@click.option("--id", "user_id", metavar="ID", help="The user's id; else one is made.")
@click.option("--name", help="What others in the scope see.")
@click.option("--phone", help="Where others in the scope can call.")
@click.option("--scope", help="Also make the user a member of it.")
@role_option
def create(
    email: str,
    user_id: str | None,
    name: str | None,
    phone: str | None,
    scope: str | None,
    role: str | None,
) -> None:
    """Make an account for EMAIL."""
    if user_id is not None and (not valid_id(user_id) or user_id.startswith(OUTSIDE)):
        raise InvalidRequest("An id is 1 to 128 of A-Z a-z 0-9 _ - and does not begin with o-.")
    password, said = _password()
    user = wiring.accounts().administration.create(
        email,
        password,
        wiring.clock_ms(),
        user_id=user_id,
        name=name,
        phone=phone,
        by=wiring.operator(),
    )
    if scope is not None:
        grant(user, scope, role_or_newcomers(role))
    click.echo(f"made {user}{said}")


@group.command("reset", example="python -m infra.cli users reset amina@example.org")
@click.argument("email")
def reset(email: str) -> None:
    """Set another password; all sessions end."""
    password, said = _password()
    user = wiring.accounts().administration.reset(
        email, password, wiring.clock_ms(), wiring.operator()
    )
    click.echo(f"reset {user}; all its sessions are over{said}")


@group.command("disable", example="python -m infra.cli users disable amina@example.org")
@click.argument("who")
def disable(who: str) -> None:
    """Let nobody act as WHO; all sessions end."""
    user = wiring.accounts().administration.disable(who, wiring.clock_ms(), wiring.operator())
    click.echo(f"{user} is disabled; all its sessions are over")


@group.command("enable", example="python -m infra.cli users enable amina@example.org")
@click.argument("who")
def enable(who: str) -> None:
    """Let WHO log in again, with the memberships from before."""
    user = wiring.accounts().administration.enable(who, wiring.clock_ms(), wiring.operator())
    click.echo(f"{user} may log in again")


@group.command("take-factor", example="python -m infra.cli users take-factor amina@example.org")
@click.argument("who")
def take_factor(who: str) -> None:
    """Take the second factor off WHO, who lost it; all sessions end."""
    user = wiring.accounts().administration.take_factor(who, wiring.clock_ms(), wiring.operator())
    click.echo(f"{user} logs in by password alone; all sessions are over")


@group.command("delete", example="python -m infra.cli users delete amina@example.org")
@click.argument("who")
def delete(who: str) -> None:
    """Delete the account of WHO for good.

    E-mail, name, password and sessions go, memberships end. What was written stays under the id.
    """
    user = wiring.accounts().deletion.delete(who, wiring.clock_ms(), wiring.operator())
    click.echo(f"{user} is deleted: e-mail, name, password, sessions; all memberships are over")


@group.command("list", example="python -m infra.cli users list --json")
@as_json
def list_users(as_json: bool) -> None:
    """List accounts: id, e-mail, scopes."""
    rows = list(users())
    if not as_json:
        rows = [{**row, "state": "disabled" if row["disabled"] else "active"} for row in rows]
    show(rows, "{id:<28} {email:<32} {state:<8} {scopes}", "no accounts", as_json)


def _password() -> tuple[str, str]:
    """A password, and what to say about it."""
    if given := given_line():
        return given, ""
    made = secrets.token_urlsafe(_PASSWORD_BYTES)
    return made, f"; its password, shown only here: {made}"
