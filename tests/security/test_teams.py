"""What outlives somebody's rights, and must not: codes that they made, and ids of teams they may guess."""

from __future__ import annotations

from typing import Any

import pytest

from shared import wiring
from shared.access import audit, membership
from shared.access.audit import OPERATOR
from shared.records.store import Query
from tests.api.conftest import Api

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


def test_an_operators_code_holds_by_itself(api: Api) -> None:
    code, _ = wiring.desk().make_invite(OPERATOR, "team1", "admin", 1, 1, wiring.clock_ms())
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
