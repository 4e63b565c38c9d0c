"""Names and telephone numbers: written by their people, seen by members of the same scope alone."""

from __future__ import annotations

import pytest

from shared import wiring
from shared.access import membership
from shared.accounts import people
from shared.errors import InvalidRequest
from tests.accounts.conftest import PASSWORD
from tests.accounts.test_http import Client, ask

__all__ = ["ask"]


def test_people_say_their_name_and_number_and_take_them_back(ask: Client) -> None:
    mine = ask.register()
    token = mine["access_token"]
    assert ask("me", token=token)["phone"] is None
    said = ask("profile", {"name": " Amina W. ", "phone": "+254 (700) 123-456"}, token)
    assert (said["name"], said["phone"]) == ("Amina W.", "+254700123456")
    # what is not named stays, null removes
    assert ask("profile", {}, token)["phone"] == "+254700123456"
    assert ask("profile", {"phone": None}, token)["phone"] is None
    assert ask("me", token=token)["name"] == "Amina W."


def test_a_number_outlives_another_password(ask: Client) -> None:
    mine = ask.register()
    ask("profile", {"phone": "0700 123456"}, mine["access_token"])
    body = {"old_password": PASSWORD, "new_password": f"{PASSWORD} two"}
    assert ask("password", body, mine["access_token"]) == {}
    assert ask("me", token=mine["access_token"])["phone"] == "0700123456"


@pytest.mark.parametrize(
    "text", ["", "12", "call me", "+", "1" * 16, "+25470012345x", "٠٧٠٠١٢٣٤٥٦"]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        people.normal_phone(text)
    assert refused.value.field == "phone"


def test_members_of_the_scope_know_each_other_and_nobody_else(ask: Client) -> None:
    mine = ask.register()
    user, token = mine["user_id"], mine["access_token"]
    ask("profile", {"phone": "+254700123456"}, token)

    def seen(scope: str) -> people.Person | None:
        reading = wiring.store().read(people.keys([user, user, "", "~nobody"]), people.FIELDS)
        return people.in_scope(reading, user, scope)

    assert seen("team1") == people.Person("Amina", "+254700123456")
    assert seen("team2") is None
    wiring.accounts().administration.disable(user, wiring.clock_ms(), wiring.operator())
    assert seen("team1") is None
    wiring.accounts().administration.enable(user, wiring.clock_ms(), wiring.operator())
    membership.revoke(wiring.store(), user, "team1", wiring.clock_ms())
    assert seen("team1") is None
    assert people.in_scope(wiring.store().read(()), "no id!", "team1") is None
