"""What outlives somebody's rights, and must not: codes that they made, and ids of teams they may guess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from shared import wiring
from shared.access import audit, membership
from shared.access.audit import OPERATOR
from shared.records.store import Query, Write
from tests.api.conftest import Api
from tests.stores import Interrupted

AUTH = "/api/v1/auth"


def ask(api: Api, word: str, user: str, **body: Any) -> Any:
    answer = api.ask("POST", f"{AUTH}/{word}", body, token=api.token(user))
    said = answer.get_json()
    return said if answer.status_code == 200 else said["error"]["code"]


def code_of(api: Api, user: str, role: str = "chw") -> str:
    made = ask(api, "invites", user, scope_id="team1", role=role, max_uses=9)
    return str(made["invite_code"])


def join(api: Api, user: str, code: str) -> Any:
    said = ask(api, "join", user, invite_code=code)
    return said if isinstance(said, str) else [each["role"] for each in said["scopes"]]


def test_a_code_ends_with_the_rights_of_its_maker(api: Api) -> None:
    # given a supervisor who makes codes, one of them used
    api.join("boss", role="supervisor")
    chw, doctor = code_of(api, "boss"), code_of(api, "boss", "doctor")
    assert join(api, "one", chw) == ["chw"]
    # when the supervisor is put out, the codes admit nobody, not even the supervisor
    membership.revoke(wiring.store(), "boss", "team1", wiring.clock_ms())
    for user, code in (("two", chw), ("two", doctor), ("boss", doctor)):
        assert join(api, user, code) == "invite_invalid"
    who = {"email": "x@example.org", "password": "correct horse battery", "invite_code": chw}
    assert ask(api, "register", "two", **who) == "invite_invalid"
    # who came in by one before stays; and with the rights the codes are back
    assert join(api, "one", chw) == ["chw"]
    api.join("boss", role="admin")
    assert join(api, "two", doctor) == ["doctor"]
    # a maker who may no longer give a role away
    api.join("boss", role="doctor")
    assert join(api, "three", chw) == "invite_invalid"


def listed(api: Api, user: str, scope: str = "team1") -> Any:
    answer = api.ask("GET", f"{AUTH}/invites?scope_id={scope}", token=api.token(user))
    said = answer.get_json()
    return said["invites"] if answer.status_code == 200 else said["error"]["code"]


def test_codes_are_listed_and_made_void_by_those_who_manage_their_team(api: Api) -> None:
    # given two codes of a team, one of an operator, and one of another team
    api.join("boss", role="supervisor")
    api.join("other", "team2", "admin")
    code = code_of(api, "boss")
    spare, _ = wiring.accounts().invites.make(OPERATOR, "team1", "admin", 1, 1, wiring.clock_ms())
    theirs, _ = wiring.accounts().invites.make(OPERATOR, "team2", "chw", 1, 1, wiring.clock_ms())
    # then the list names them, and does not give them away
    found = listed(api, "boss")
    assert {(each["made_by"], each["role"], each["uses"]) for each in found} == {
        ("boss", "chw", 0),
        ("~operator", "admin", 0),
    }
    assert not [each for each in (code, spare, theirs) if each in str(found)]
    # and each is made void, also by repetition; it admits nobody any more
    for each in found:
        for _ in range(2):
            assert ask(api, f"invites/{each['id']}/void", "boss", scope_id="team1") == {}
    assert listed(api, "boss") == []
    assert [join(api, "one", each) for each in (code, spare)] == ["invite_invalid"] * 2
    # one of another team is none, by whichever team it is asked for
    [foreign] = listed(api, "other", "team2")
    for scope, verdict in (("team1", "not_found"), ("team2", "not_found")):
        said = ask(api, f"invites/{foreign['id']}/void", "boss", scope_id=scope)
        assert said == verdict
    assert join(api, "one", theirs) == ["chw"]


@pytest.mark.parametrize(
    ("by", "whom", "verdict"),
    [
        ("supervisor", "chw", {}),
        ("supervisor", "doctor", {}),
        ("supervisor", "supervisor", {}),
        ("supervisor", "admin", "forbidden"),
        ("admin", "admin", {}),
        ("chw", "chw", "forbidden"),
        ("doctor", "chw", "forbidden"),
    ],
)
def test_members_are_put_out_by_those_who_may_give_their_role_away(
    api: Api, by: str, whom: str, verdict: Any
) -> None:
    api.join("boss", role=by)
    api.join("amina", role=whom)
    for _ in range(2):  # a repetition whose answer was lost
        assert ask(api, "members/amina/remove", "boss", scope_id="team1") == verdict
    held = ask_me(api, "amina")
    assert bool(held) is (verdict == "forbidden")
    # a phone is told to drop what it has, as after any end of a membership
    response = api.ask("POST", "/api/sync", {}, token=api.token("amina"))
    assert response.status_code == 200


def ask_me(api: Api, user: str) -> list[str]:
    said = api.ask("GET", f"{AUTH}/me", token=api.token(user)).get_json()
    return [each["scope_id"] for each in said["scopes"]]


def test_nobody_puts_themselves_out_or_a_stranger(api: Api) -> None:
    api.join("boss", role="admin")
    assert ask(api, "members/boss/remove", "boss", scope_id="team1") == "forbidden"
    assert ask(api, "members/nobody/remove", "boss", scope_id="team1") == "not_found"
    assert ask(api, "members/boss/remove", "boss", scope_id="team2") == "not_found"
    assert ask_me(api, "boss") == ["team1"]


def test_two_who_put_each_other_out_leave_one(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each decision rests on the rights of who made it, at the moment of the commit."""
    api.join("one", role="admin")
    api.join("two", role="admin")

    def first(writes: Sequence[Write]) -> None:
        if not done and any(write.key == membership.key("two") for write in writes):
            done.append(True)
            membership.revoke(wiring.store(), "one", "team1", wiring.clock_ms())

    done: list[bool] = []
    services = wiring.accounts()
    members = replace(services.members, store=Interrupted(wiring.store(), before=first))
    monkeypatch.setattr(wiring, "accounts", lambda: replace(services, members=members))
    said = ask(api, "members/two/remove", "one", scope_id="team1")
    assert done
    assert said == "not_found"  # the caller is in no such team any more
    assert ask_me(api, "two") == ["team1"]


def test_an_operators_code_holds_by_itself(api: Api) -> None:
    code, _ = wiring.accounts().invites.make(OPERATOR, "team1", "admin", 1, 1, wiring.clock_ms())
    assert join(api, "one", code) == ["admin"]


@pytest.mark.parametrize("sealed", [False, True])
def test_nobody_takes_over_a_team_that_everybody_has_left(api: Api, sealed: bool) -> None:
    # given a team with a patient, whose people were all put out
    api.join("amina")
    patient = {"id": "p1", "last_modified_at": 1, "demographics": {"name": "Asha"}}
    pushed = {"changes": {"patients": [patient]}}
    assert api.ask("POST", "/api/sync", pushed, token=api.token("amina")).status_code == 200
    membership.revoke(wiring.store(), "amina", "team1", wiring.clock_ms())
    if sealed:
        assert audit.Sealer(wiring.store()).seal(wiring.clock_ms()) > 0
    # when the admin of another team asks for its id
    api.join("eve", "elsewhere", "admin")
    assert ask(api, "scopes", "eve", scope_id="team1", name="mine now") == "scope_taken"
    # then the patient is nobody's
    found = api.ask("POST", "/api/sync", {"last_sync_timestamp": 0}, token=api.token("eve"))
    assert "Asha" not in found.text
    assert [each.fields["scope_id"] for each in wiring.store().query(Query("patients"))] == [
        "team1"
    ]
    # an id that nobody ever used is free
    assert ask(api, "scopes", "eve", scope_id="fresh", name="mine")["role"] == "admin"
