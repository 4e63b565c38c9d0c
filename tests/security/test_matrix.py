"""Who may do what: every operation × every role × whose data it is, asked over HTTP.

The expectation comes from the access table, and is held against a list written by hand (`refused.py`).
"""

from __future__ import annotations

import pytest
from werkzeug.test import TestResponse

from shared import wiring
from shared.access import membership
from shared.access.rights import Action, Right, Rights
from shared.products.dermadetect.rights import ROLES, may
from tests.api.conftest import Api
from tests.api.test_openapi import DOCUMENT
from tests.security.operations import (
    ADMINISTERS,
    ANYONE,
    AWAY,
    FOUNDS,
    HIDDEN,
    HOME,
    MANAGES,
    MARK,
    OPERATIONS,
    TOKEN,
    Line,
    World,
)
from tests.security.refused import REFUSED

PEOPLE = (
    "none",
    "expired",
    *(f"{team}-{role}" for team in (HOME, AWAY) for role in ROLES),
    "nobody",
    "left",
    "disabled",
)

#: Who is answered 401.
UNKNOWN = ("none", "expired", "disabled")

NAMES = {line.name for line in OPERATIONS}


def documented() -> set[str]:
    return {
        f"{method.upper()} {path}"
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
    }


def role_at_home(person: str) -> str | None:
    """The person's role in the owning team; None: not a member, or nobody we know."""
    team, _, role = person.partition("-")
    return role if team == HOME else None


def may_by_the_table(line: Line, person: str) -> bool:
    if line.needs == ANYONE:
        return True
    if person in UNKNOWN:
        return False
    role = role_at_home(person)
    if isinstance(line.needs, Right):
        return may(role, line.needs)
    policy = wiring.account_policy()
    if line.needs == FOUNDS:
        assert policy.scope_makers is not None
        return person.partition("-")[2] in policy.scope_makers
    if line.needs == ADMINISTERS:
        return may(person.partition("-")[2] or None, Action.ADMINISTER)
    return {TOKEN: True, MANAGES: policy.may_manage(role)}[str(line.needs)]


# --- the table is complete


def test_every_operation_has_a_line() -> None:
    missing = documented() - {line.operation for line in OPERATIONS}
    assert not missing, (
        f"{sorted(missing)}: add a line to tests/security/operations.py saying what it needs and how to "
        "ask, and to tests/security/refused.py who must be refused"
    )


def test_no_line_is_left_of_an_operation_that_is_gone() -> None:
    assert {line.operation for line in OPERATIONS} <= documented()
    assert len(NAMES) == len(OPERATIONS)


def test_the_list_by_hand_names_the_same_operations_and_people() -> None:
    assert set(REFUSED) == NAMES
    assert set().union(*REFUSED.values()) <= set(PEOPLE)


@pytest.mark.parametrize("line", OPERATIONS, ids=lambda line: line.name)
def test_the_access_table_agrees_with_the_list_by_hand(line: Line) -> None:
    by_table = {person for person in PEOPLE if not may_by_the_table(line, person)}
    assert by_table == REFUSED[line.name]


def test_a_public_operation_is_public_in_the_document_too() -> None:
    for line in OPERATIONS:
        method, path = line.operation.split(" ")
        said = DOCUMENT["paths"][path][method.lower()]
        assert (said.get("security") == []) == (line.needs == ANYONE), line.name


# --- and true


def token_of(api: Api, person: str, user: str) -> str | None:
    """A token of a new user who is that person."""
    team, _, role = person.partition("-")
    if person == "none":
        return None
    if person == "expired":
        api.join(user, HOME, "admin")
        return api.token(user, "admin", seconds=-3600)
    if person == "left":
        api.join(user, HOME, "admin")
        membership.revoke(wiring.store(), user, HOME, wiring.clock_ms())
        return api.token(user, "admin")
    if person == "disabled":
        api.join(user, HOME, "admin")
        wiring.accounts().administration.disable(user, wiring.clock_ms())
        return api.token(user, "admin")
    if person == "nobody":
        return api.token(user, "admin")  # what a token says of roles means nothing
    api.join(user, team, role)
    return api.token(user, "admin")


def ask(api: Api, world: World, line: Line, user: str, token: str | None) -> TestResponse:
    method, template = line.operation.split(" ")
    asked = line.ask(world, user)
    parts = asked if isinstance(asked, tuple) else (asked, None)
    path, body, headers = parts if len(parts) == 3 else (*parts, {})
    response = api.ask(method, path, body, token=token, headers=headers)
    assert str(response.status_code) in DOCUMENT["paths"][template][method.lower()]["responses"]
    return response


@pytest.mark.parametrize("line", OPERATIONS, ids=lambda line: line.name)
def test_everybody_gets_what_the_table_says_and_no_more(api: Api, line: Line) -> None:
    world = World(api)
    refused, told = set(), {}
    for number, person in enumerate(PEOPLE):
        user = f"user-{number}"
        token = token_of(api, person, user)
        before = world.kept()
        response = ask(api, world, line, user, token)
        told[person] = f"{response.status_code} {response.text[:300]}"
        granted = response.status_code == 200 if line.granted is None else line.granted(response)
        if not granted:
            refused.add(person)
            assert set(before) <= set(world.kept()), (person, "changed what it may not")
            status = {401} if person in UNKNOWN else {200, 403, 404}
            assert response.status_code in status, (person, told[person])
        own = role_at_home(person)
        if own is None and line.needs != ANYONE:
            kept = response.text
            for sent in (f'"{MARK}"',) if line.act in ("edit", "add") else ():
                kept = kept.replace(sent, "")  # the id that the request names
            # who was in the team is told to drop its records, by id; and nothing else
            content = f'"name":"{MARK}"', f'\\"name\\":\\"{MARK}\\"', HIDDEN
            marks = content if person == "left" else (MARK, HIDDEN)
            assert not [mark for mark in marks if mark in kept], (person, told[person])
    assert refused == REFUSED[line.name], told


def test_what_a_product_does_not_declare_is_allowed_to_nobody() -> None:
    rights = Rights(("chw",), {Action.READ: frozenset({"chw"})})
    assert rights.may("chw", Action.READ) is True
    assert rights.may("chw", Action.WRITE) is False
    assert rights.may(None, Action.READ) is False
