"""A family's people, by the addresses that its apps know: register, join, hand over, leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from shared.access import membership
from shared.products.hemoday.rights import ACCOUNTS, ROLES
from shared.records import record
from shared.records.store import Key, Write, put
from tests.accounts.conftest import HOME, NOON, PASSWORD, Office, code_of, together
from tests.accounts.conftest import quick as quick
from tests.api.conftest import Api, StartApi
from tests.stores import Interrupted

AUTH = "/api/v1/auth/"
SYNC = "/api/v1/sync"


@pytest.fixture
def api(start_api: StartApi) -> Api:
    return start_api(product="hemoday")


@pytest.fixture
def office(quick: Office) -> Office:
    """The services of accounts, whose tokens know a family's roles."""
    quick.policy = replace(quick.policy, roles=ROLES)
    return quick


class Person:
    """Somebody with a phone, over HTTP."""

    def __init__(self, api: Api, name: str, **more: Any) -> None:
        self.api, self.name = api, name
        made = self.post(
            "register", email=f"{name}@example.org", password=PASSWORD, name=name, **more
        )
        self.token, self.user_id = made["access_token"], made["user_id"]

    def post(self, word: str, **body: Any) -> Any:
        said = self.api.ask("POST", AUTH + word, body, token=getattr(self, "token", None)).json
        return said["error"]["code"] if said and "error" in said else said

    @property
    def families(self) -> dict[str, str]:
        said = self.api.ask("GET", f"{AUTH}me", token=self.token).json
        assert said is not None
        return {each["scope_id"]: each["role"] for each in said["scopes"]}

    def invite(self, family: str, role: str = "member") -> str:
        return str(self.post("invites", scope_id=family, role=role)["invite_code"])

    def pull(self, since: object = "null") -> Any:
        return self.api.ask("GET", f"{SYNC}?last_pulled_at={since}", token=self.token).json

    def push(self, **tables: list[dict[str, Any]]) -> Any:
        sets = {
            name: {"created": rows, "updated": [], "deleted": []} for name, rows in tables.items()
        }
        return self.api.ask("POST", f"{SYNC}?last_pulled_at=null", sets, token=self.token)


def test_who_registers_has_a_family_and_a_second_phone_joins_it_by_a_code(api: Api) -> None:
    anna = Person(api, "anna", scope_name="The Petrovs")
    [(family, role)] = anna.families.items()
    assert role == "owner"
    assert anna.push(transfusions=[{"id": "x1", "date": 1_772_323_200_000}]).status_code == 200
    # the father registered by himself; his empty family ends when he joins hers
    boris = Person(api, "boris")
    assert list(boris.families.values()) == ["owner"]
    boris.post("join-family", invite_code=anna.invite(family))
    assert boris.families == {family: "member"}
    [seen] = boris.pull()["changes"]["transfusions"]["created"]
    assert (seen["id"], seen["scope_id"]) == ("x1", family)
    # the grandmother registers with a code, reads, and writes nothing
    vera = Person(api, "vera", invite_code=anna.invite(family, "viewer"))
    assert vera.families == {family: "viewer"}
    assert len(vera.pull()["changes"]["transfusions"]["created"]) == 1
    said = vera.push(transfusions=[{"id": "x2", "date": 1}])
    assert "x2" in str(said.json["experimentalRejectedIds"])


def test_who_wrote_in_a_family_of_their_own_keeps_it_when_they_join_another(api: Api) -> None:
    anna, boris = Person(api, "anna"), Person(api, "boris")
    boris.push(transfusions=[{"id": "x1", "date": 1_772_323_200_000}])
    [own], [other] = boris.families, anna.families
    boris.post("join-family", invite_code=anna.invite(other))
    assert boris.families == {own: "owner", other: "member"}


def test_who_leaves_loses_the_records_at_the_next_pull(api: Api) -> None:
    anna = Person(api, "anna")
    [family] = anna.families
    anna.push(transfusions=[{"id": "x1", "date": 1_772_323_200_000}])
    boris = Person(api, "boris", invite_code=anna.invite(family))
    since = boris.pull()["timestamp"]
    assert boris.post("leave", scope_id=family)["scopes"] == []
    # a push of what was not sent yet may come first; then the records go
    pulled = boris.pull(since)
    while pulled.get("sync_again"):
        pulled = boris.pull(pulled["timestamp"])
    assert pulled["changes"]["transfusions"]["deleted"] == ["x1"]


def test_the_last_owner_hands_over_before_they_go(api: Api) -> None:
    anna = Person(api, "anna")
    [family] = anna.families
    boris = Person(api, "boris", invite_code=anna.invite(family))
    assert anna.post("leave", scope_id=family) == "hand_over_first"
    assert anna.post("delete", password=PASSWORD) == "hand_over_first"
    own = f"members/{anna.user_id}/role"
    assert anna.post(own, scope_id=family, role="viewer") == "hand_over_first"
    assert boris.post(own, scope_id=family, role="viewer") == "forbidden"
    assert anna.post(f"members/{boris.user_id}/role", scope_id=family, role="owner") == {}
    assert anna.post(own, scope_id=family, role="viewer") == {}
    assert anna.families == {family: "viewer"}
    assert anna.post("leave", scope_id=family)["scopes"] == []
    assert boris.post("delete", password=PASSWORD) == {}  # the last in it takes nobody's away


def test_of_two_owners_who_leave_at_once_one_stays(office: Office) -> None:
    services = office.on(office.store, policy=ACCOUNTS)
    register = services.registration.register
    made = [register(f"{name}@example.org", PASSWORD, HOME, NOON) for name in ("anna", "boris")]
    callers = [office.caller(each) for each in made]
    for caller in callers:
        office.join(caller.user_id, "family", "owner")
    leave = services.members.leave
    codes = together(*(partial(code_of, partial(leave, each, "family", NOON)) for each in callers))
    assert sorted(codes) == ["hand_over_first", "ok"]


def test_the_last_owner_is_not_put_out_and_nobody_else_puts_out(office: Office) -> None:
    services = office.on(office.store, policy=ACCOUNTS)
    made = services.registration.register("anna@example.org", PASSWORD, HOME, NOON)
    anna = office.caller(made)
    [family] = office.check(anna).memberships.scopes
    office.join("boris", family, "member")
    office.join("vera", family, "viewer")
    boris = type(anna)("boris", "member", "phone")
    assert (
        code_of(lambda: services.members.put_out(boris, family, anna.user_id, NOON)) == "forbidden"
    )
    assert code_of(lambda: services.members.put_out(boris, family, "vera", NOON)) == "forbidden"
    assert [each.role for each in services.members.listed(boris, family, None, 9)].count(
        "owner"
    ) == 1
    assert code_of(lambda: services.members.put_out(anna, family, "vera", NOON)) == "ok"


def test_a_record_that_was_written_meanwhile_keeps_its_family(office: Office) -> None:
    """A push gets through just before its writer's family would end as unused."""
    services = office.on(office.store, policy=ACCOUNTS)
    anna, boris = (
        office.caller(services.registration.register(f"{name}@example.org", PASSWORD, HOME, NOON))
        for name in ("anna", "boris")
    )
    [family], [own] = (office.check(each).memberships.scopes for each in (anna, boris))
    code, _ = services.invites.give(anna, family, "member", 7, 1, NOON)

    def write(writes: Sequence[Write]) -> None:
        if any(each.key == membership.key(boris.user_id) for each in writes):
            office.store.commit([put(Key("transfusions", "x1"), {record.SCOPE: own}, None)])

    busy = office.on(
        Interrupted(office.store, before=write), policy=ACCOUNTS, tables=("transfusions",)
    )
    joined = busy.invites.join(boris, code, HOME, NOON)
    assert joined.memberships.roles == {family: "member", own: "owner"}
