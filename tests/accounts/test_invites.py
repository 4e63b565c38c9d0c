"""Invite codes: who makes them, whom they admit, how often; on both stores."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.access import membership
from shared.access.audit import OPERATOR
from shared.accounts import invite as invites
from shared.accounts.caller import Origin
from shared.records.store import Query
from tests.accounts.conftest import (
    ACCOUNTS,
    DAY,
    HOME,
    MINUTE,
    NOON,
    OPEN,
    Office,
    code_of,
    invite,
    register,
    together,
)

EMAIL = "amina@example.org"


def test_where_registration_is_by_invitation_a_code_makes_the_member(office: Office) -> None:
    services = office.on(office.store, policy=ACCOUNTS)
    assert code_of(register(services, "a@example.org", None)) == "invite_needed"
    assert code_of(register(services, "a@example.org", "WRONG2")) == "invite_invalid"
    assert list(office.store.query(Query("accounts"))) == []
    assert office.passwords.hashed == 0  # nobody without a code makes the server work
    made = register(services, "a@example.org", invite(office, "doctor"))()
    assert office.check(office.caller(made)).memberships.roles == {"team1": "doctor"}
    assert [each[:2] for each in membership.members(office.store, "team1")] == [
        (made.user_id, "doctor")
    ]


@pytest.mark.parametrize("dress", [str.lower, " {} ".format, lambda c: f"{c[:3]}-{c[3:]}"])
def test_a_code_may_be_typed_as_people_type(quick: Office, dress) -> None:  # type: ignore[no-untyped-def]
    made = quick.register()
    me = quick.accounts.invites.join(quick.caller(made), dress(invite(quick)), HOME, NOON)
    assert me.memberships.roles == {"team1": "member"}


def test_codes_have_no_look_alikes_and_are_not_kept(quick: Office) -> None:
    code = invite(quick)
    assert len(code) == 6
    assert not set(code) & set("0O1IL")
    [kept] = quick.store.query(Query("invites"))
    assert code not in kept.key.id + str(kept.fields)


def test_a_code_for_one_admits_one_however_many_come_at_once(office: Office) -> None:
    code = invite(office)
    emails = [f"p{number}@example.org" for number in range(5)]
    origins = [Origin(f"192.0.2.{number}") for number in range(5)]
    answers = together(
        *(
            register(office.accounts, email, code, origin)
            for email, origin in zip(emails, origins, strict=True)
        )
    )
    assert sorted(str(each) for each in answers)[-4:] == ["invite_invalid"] * 4
    assert len(membership.members(office.store, "team1")) == 1


def test_a_code_for_three_admits_three_members_of_whom_each_uses_it_once(office: Office) -> None:
    code = invite(office, uses=3)
    callers = [office.caller(office.register(f"p{n}@example.org")) for n in range(4)]
    for caller in callers[:3]:
        for _ in range(2):  # the second time the answer was lost
            office.accounts.invites.join(caller, code, HOME, NOON)
    assert (
        code_of(lambda: office.accounts.invites.join(callers[3], code, HOME, NOON))
        == "invite_invalid"
    )
    assert code_of(lambda: office.accounts.invites.join(callers[0], code, HOME, NOON)) == "ok"


def test_a_code_ends(quick: Office) -> None:
    caller = quick.caller(quick.register())
    code = invite(quick, days=1)
    join = quick.accounts.invites.join
    assert code_of(lambda: join(caller, code, HOME, NOON + DAY)) == "invite_invalid"
    assert code_of(lambda: join(caller, code, HOME, NOON + DAY - 1)) == "ok"


def test_a_member_stays_what_they_are(quick: Office) -> None:
    made = quick.register()
    quick.join(made.user_id, "team1", "admin")
    me = quick.accounts.invites.join(quick.caller(made), invite(quick, "member"), HOME, NOON)
    assert me.memberships.roles == {"team1": "admin"}


@pytest.mark.parametrize("by", ["account", "address"])
def test_five_wrong_codes_in_a_quarter_of_an_hour(office: Office, by: str) -> None:
    good = invite(office, uses=20)
    callers = [office.caller(office.register(f"p{n}@example.org")) for n in range(6)]

    def attempt(number: int, code: str, now_ms: int) -> str:
        caller = callers[0] if by == "account" else callers[number]
        where = HOME if by == "address" else Origin(f"203.0.113.{number}")
        return code_of(lambda: office.accounts.invites.join(caller, code, where, now_ms))

    assert [attempt(n, "WRONG2", NOON + n) for n in range(5)] == ["invite_invalid"] * 5
    assert attempt(5, good, NOON + 5) == "too_many_tries"
    assert attempt(5, good, NOON + 15 * MINUTE - 1) == "too_many_tries"
    assert attempt(5, good, NOON + 15 * MINUTE) == "ok"


def test_wrong_codes_side_by_side_are_counted_one_by_one(office: Office) -> None:
    caller = office.caller(office.register())
    answers = together(*[lambda: office.accounts.invites.join(caller, "WRONG2", HOME, NOON)] * 8)
    assert sorted(answers) == ["invite_invalid"] * 5 + ["too_many_tries"] * 3


@pytest.mark.parametrize("code", ["", " ", "ABCDE", "ABCDEFG", "ABCDE0", "../../", "ABCDÉF", "\x00" * 6,
                                  "A" * 2000, "ｗｒｏｎｇ２"])  # fmt: skip
def test_what_is_no_code_counts_as_a_wrong_one(quick: Office, code: str) -> None:
    caller = quick.caller(quick.register())
    assert (
        code_of(lambda: quick.accounts.invites.join(caller, code, HOME, NOON)) == "invite_invalid"
    )
    assert invites.normal_code(code) is None


#: role of who invites, role given away, verdict. Every pair of roles that exist here.
GIVING = [
    *(("admin", role, "ok") for role in ("member", "supervisor", "admin")),
    *(("supervisor", role, "ok") for role in ("member", "supervisor")),
    ("supervisor", "admin", "forbidden"),
    *((role, "doctor", "forbidden") for role in ("admin", "supervisor")),
    *((role, "member", "forbidden") for role in ("member", "doctor")),
    (None, "member", "not_found"),
]


@pytest.mark.parametrize(("role", "given", "verdict"), GIVING)
def test_nobody_gives_away_more_than_they_hold(
    quick: Office, role: str | None, given: str, verdict: str
) -> None:
    made = quick.register()
    quick.join(made.user_id, "elsewhere", "admin")  # which counts for nothing here
    if role:
        quick.join(made.user_id, "team1", role)
    act = quick.accounts.invites.give
    assert code_of(lambda: act(quick.caller(made), "team1", given, 1, 1, NOON)) == verdict
    listing = "ok" if role in ("admin", "supervisor") else "forbidden" if role else "not_found"
    members = quick.accounts.members.listed
    assert code_of(lambda: members(quick.caller(made), "team1", None, 10)) == listing


def test_a_role_that_is_alone_is_in_one_scope_at_a_time(office: Office) -> None:
    services = office.on(office.store, policy=replace(OPEN, alone=frozenset({"doctor"})))
    made = office.register()
    who = office.caller(made)
    join, leave = services.invites.join, services.members.leave
    join(who, invite(office, "doctor"), HOME, NOON)
    of_other = office.accounts.invites.make(OPERATOR, "team2", "member", 7, 5, NOON)[0]
    assert code_of(lambda: join(who, of_other, HOME, NOON)) == "invite_invalid"
    assert code_of(lambda: services.scopes.make(who, "own", "Own", NOON)) == "forbidden"
    assert office.check(who).memberships.roles == {"team1": "doctor"}
    # and who is somewhere else does not become one beside that
    leave(who, "team1", NOON)
    join(who, of_other, HOME, NOON)
    code = invite(office, "doctor")
    assert code_of(lambda: join(who, code, HOME, NOON)) == "invite_invalid"
    leave(who, "team2", NOON)
    assert join(who, code, HOME, NOON).memberships.roles == {"team1": "doctor"}  # it is not used up
