"""Members and scopes, on both stores."""

from __future__ import annotations

from shared.access import membership
from shared.access.membership import Caller
from shared.records.store import Query, delete
from tests.accounts.conftest import (
    HOME,
    NOON,
    PASSWORD,
    Office,
    code_of,
    invite,
    together,
)

EMAIL = "amina@example.org"


def test_members_are_listed_in_pages_and_leave_the_list(office: Office) -> None:
    boss = office.register(name="Boss")
    office.join(boss.user_id, "team1", "admin")
    office.join(boss.user_id, "team2", "admin")
    for number in range(4):
        office.join(f"person-{number}", "team1", "member")
    caller = office.caller(boss)
    first = office.accounts.members.listed(caller, "team1", None, 3)
    rest = office.accounts.members.listed(caller, "team1", first[-1].user_id, 3)
    assert [each.user_id for each in (*first, *rest)] == sorted(
        [boss.user_id, *(f"person-{number}" for number in range(4))]
    )
    [mine] = [each for each in (*first, *rest) if each.user_id == boss.user_id]
    assert (mine.name, mine.email, mine.role) == ("Boss", "amina@example.org", "admin")
    membership.revoke(office.store, "person-0", "team1", NOON)
    office.join("person-1", "team1", "doctor")
    roles = {
        each.user_id: each.role
        for each in office.accounts.members.listed(caller, "team1", None, 10)
    }
    assert roles == {
        boss.user_id: "admin",
        "person-1": "doctor",
        "person-2": "member",
        "person-3": "member",
    }


def test_the_list_heals_when_a_membership_is_granted_again(quick: Office) -> None:
    quick.join("person-1", "team1", "member")
    before = quick.store.read([membership.key("person-1")])
    quick.store.commit([delete(membership.member_key("team1", "person-1"))])
    assert membership.members(quick.store, "team1") == []
    quick.join("person-1", "team1", "member")
    assert [each[:2] for each in membership.members(quick.store, "team1")] == [
        ("person-1", "member")
    ]
    # and nothing changed for the phones
    after = quick.store.read([membership.key("person-1")])
    assert after.documents == before.documents


def test_leaving_ends_the_membership_and_may_be_repeated(office: Office) -> None:
    made = office.register()
    office.join(made.user_id, "team1", "member")
    for _ in range(2):
        assert (
            office.accounts.members.leave(office.caller(made), "team1", NOON).memberships.roles
            == {}
        )
    assert membership.members(office.store, "team1") == []


def test_a_scope_s_maker_is_its_first_admin_and_may_repeat_it(office: Office) -> None:
    made = office.register()
    caller = office.caller(made)
    for _ in range(2):
        scope, me = office.accounts.scopes.make(caller, "circle", "Our circle", NOON)
        assert (scope, me.memberships.roles) == ("circle", {"circle": "admin"})
    other = office.caller(office.register("bo@example.org"))
    take = office.accounts.scopes.make
    assert code_of(lambda: take(other, "circle", "Mine", NOON)) == "scope_taken"


def test_one_of_two_who_make_the_same_scope_gets_it(office: Office) -> None:
    callers = [office.caller(office.register(f"p{n}@example.org")) for n in range(2)]
    together(
        *(lambda c=c: office.accounts.scopes.make(c, "circle", "Ours", NOON) for c in callers)  # type: ignore[misc]
    )
    assert len(membership.members(office.store, "circle")) == 1


def test_a_scope_that_an_operator_made_is_not_taken_over(quick: Office) -> None:
    quick.join("person-1", "team1", "member")
    caller = quick.caller(quick.register())
    take = quick.accounts.scopes.make
    assert code_of(lambda: take(caller, "team1", "Mine", NOON)) == "scope_taken"


def test_somebody_with_a_token_and_no_account_joins_all_the_same(quick: Office) -> None:
    caller = Caller("o-123", "member", "unnamed")
    me = quick.accounts.invites.join(caller, invite(quick), HOME, NOON)
    assert me.memberships.roles == {"team1": "member"}
    [account] = quick.store.query(Query("accounts"))
    assert account.fields["outside"] is True
    # and nobody logs in to it with a password
    change = quick.accounts.login.change_password
    assert code_of(lambda: change(caller, "anything", PASSWORD, HOME, NOON)) == "credentials_wrong"
