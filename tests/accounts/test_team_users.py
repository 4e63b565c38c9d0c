"""What admins of teams may do about accounts, and to whom; each on both stores where it commits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyotp
import pytest

from shared.access import membership
from shared.access.audit import COLLECTION as AUDIT
from shared.access.membership import Caller
from shared.accounts.services import AccountServices
from shared.accounts.team_users import ABOVE, ELSEWHERE, YOURSELF
from shared.errors import Fault
from shared.records.store import Query
from tests.accounts.conftest import AWAY, HOME, NOON, PASSWORD, Office, code_of, together

ADMINS = frozenset({"admin"})
DEEDS = ("disable", "enable", "end_sessions", "reset")


class Team:
    """A team with an admin, and the services for admins."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.services: AccountServices = office.on(office.store, administrators=ADMINS)
        self.boss = self.person("boss", "admin")
        self.amina = self.person("amina", "member")

    def person(self, name: str, role: str, team: str = "team1") -> Caller:
        caller = self.office.caller(self.office.register(f"{name}@example.org"))
        self.office.join(caller.user_id, team, role)
        return caller

    def act(self, deed: str, by: Caller, user: str, password: str = PASSWORD) -> Any:
        acts: dict[str, Callable[..., Any]] = {
            name: getattr(self.services.team_users, name) for name in DEEDS
        }
        return acts[deed](by, user, password, HOME, NOON)

    def log_in(self, password: str = PASSWORD) -> str:
        log_in = self.services.login.log_in
        return code_of(lambda: log_in("amina@example.org", password, AWAY, NOON))


@pytest.fixture
def team(office: Office) -> Team:
    return Team(office)


@pytest.fixture
def quick_team(quick: Office) -> Team:
    return Team(quick)


def test_an_account_is_closed_at_once_and_opened_again(team: Team) -> None:
    team.act("disable", team.boss, team.amina.user_id)
    assert code_of(lambda: team.office.check(team.amina)) == "account_disabled"
    assert team.log_in() == "account_disabled"
    team.act("disable", team.boss, team.amina.user_id)  # harmless
    team.act("enable", team.boss, team.amina.user_id)
    assert team.log_in() == "ok"


def test_another_password_is_made_and_ends_sessions(team: Team) -> None:
    made = team.act("reset", team.boss, team.amina.user_id)
    assert len(made) == 16
    assert code_of(lambda: team.office.check(team.amina)) == "session_ended"
    assert (team.log_in(), team.log_in(made)) == ("credentials_wrong", "ok")


def test_sessions_end_and_the_password_stays(team: Team) -> None:
    team.act("end_sessions", team.boss, team.amina.user_id)
    assert code_of(lambda: team.office.check(team.amina)) == "session_ended"
    assert team.log_in() == "ok"


@pytest.mark.parametrize("deed", DEEDS)
def test_each_deed_needs_the_admins_own_password(quick_team: Team, deed: str) -> None:
    team = quick_team
    assert code_of(lambda: team.act(deed, team.boss, team.amina.user_id, "x")) == (
        "credentials_wrong"
    )
    assert team.log_in() == "ok"


@pytest.mark.parametrize("deed", DEEDS)
def test_each_deed_stands_in_the_trail_of_every_team_of_the_user(
    quick_team: Team, deed: str
) -> None:
    team = quick_team
    for user in (team.boss.user_id, team.amina.user_id):
        team.office.join(user, "team2", "admin" if user == team.boss.user_id else "member")
    if deed == "enable":
        team.act("disable", team.boss, team.amina.user_id)
    before = {each.key for each in team.office.store.query(Query(AUDIT))}
    team.act(deed, team.boss, team.amina.user_id)
    new = [each for each in team.office.store.query(Query(AUDIT)) if each.key not in before]
    assert sorted(each.fields["scope_id"] for each in new) == ["team1", "team2"]
    assert {each.fields["user_id"] for each in new} == {team.boss.user_id}
    assert {str(each.fields["ids"]) for each in new} == {str({"accounts": [team.amina.user_id]})}


#: Who is acted on, and what comes of it: every way in which the teams of two people can meet.
WHOM = [
    ("amina", {"team1": "member"}, None, "ok"),
    ("an admin", {"team1": "admin"}, None, "ok"),
    ("of two teams", {"team1": "member", "team2": "member"}, ELSEWHERE, "forbidden"),
    ("of another team", {"team2": "member"}, None, "not_found"),
    ("of no team", {}, None, "not_found"),
]


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize(("name", "roles", "hindered", "said"), WHOM)
def test_an_admin_acts_on_whom_only_their_teams_have(
    quick_team: Team, deed: str, name: str, roles: dict[str, str], hindered: str, said: str
) -> None:
    team = quick_team
    caller = team.office.caller(team.office.register("other@example.org"))
    for scope, role in roles.items():
        team.office.join(caller.user_id, scope, role)
    assert code_of(lambda: team.act(deed, team.boss, caller.user_id)) == said, name
    if said != "not_found":
        assert team.services.team_users.one(team.boss, caller.user_id).hindered == hindered


@pytest.mark.parametrize("deed", DEEDS)
def test_nobody_acts_on_themselves_or_without_the_right(quick_team: Team, deed: str) -> None:
    team = quick_team
    assert code_of(lambda: team.act(deed, team.boss, team.boss.user_id)) == "forbidden"
    assert team.services.team_users.one(team.boss, team.boss.user_id).hindered == YOURSELF
    lesser = team.person("lesser", "supervisor")
    assert code_of(lambda: team.act(deed, lesser, team.amina.user_id)) == "forbidden"
    assert code_of(lambda: team.act(deed, team.boss, "nobody")) == "not_found"


def test_a_role_that_may_not_be_given_away_is_above(quick: Office) -> None:
    team = Team(quick)
    team.services = quick.on(quick.store, administrators=frozenset({"admin", "supervisor"}))
    lesser = team.person("lesser", "supervisor")
    assert team.services.team_users.one(lesser, team.boss.user_id).hindered == ABOVE
    assert code_of(lambda: team.act("disable", lesser, team.boss.user_id)) == "forbidden"
    assert code_of(lambda: team.act("disable", lesser, team.amina.user_id)) == "ok"


def test_who_comes_into_another_team_at_this_moment_is_left_alone(team: Team) -> None:
    """Whichever comes first: never is somebody closed who was in another team before it."""
    user = team.amina.user_id

    def join() -> str:
        for _ in range(20):
            try:
                membership.grant(team.office.store, user, "team2", "member", NOON)
            except Fault:
                continue
            return "joined"
        return "never"

    said = together(join, lambda: team.act("end_sessions", team.boss, user))
    assert said[0] == "joined"
    assert said[1] in (None, "forbidden", "busy")
    assert code_of(lambda: team.act("disable", team.boss, user)) == "forbidden"


def test_who_is_put_out_as_admin_acts_no_more(quick_team: Team) -> None:
    team = quick_team
    membership.revoke(team.office.store, team.boss.user_id, "team1", NOON)
    assert code_of(lambda: team.act("disable", team.boss, team.amina.user_id)) == "forbidden"


def test_who_logs_in_elsewhere_gets_no_password_here(quick_team: Team) -> None:
    team = quick_team
    team.office.join("o-outside", "team1", "member")
    assert code_of(lambda: team.act("reset", team.boss, "o-outside")) == "forbidden"
    assert code_of(lambda: team.act("disable", team.boss, "o-outside")) == "ok"


def test_a_team_is_listed_in_pages_and_searched(team: Team) -> None:
    for number in range(7):
        team.person(f"user{number}", "member")
    users = team.services.team_users
    found: list[str] = []
    after = None
    for _ in range(5):
        page, after = users.listed(team.boss, "team1", "", after, 4)
        found += [each.account.user_id for each in page]
        if after is None:
            break
    assert len(found) == len(set(found)) == 9
    [one], _ = users.listed(team.boss, "team1", " USER3@ ", None, 4)
    assert one.account.email == "user3@example.org"
    assert one.roles == {"team1": "member"}
    assert code_of(lambda: users.listed(team.amina, "team1", "", None, 4)) == "forbidden"
    assert code_of(lambda: users.listed(team.boss, "team2", "", None, 4)) == "not_found"


def test_a_second_factor_stays_through_a_reset(quick_team: Team) -> None:
    team = quick_team
    secret, _ = team.services.second_factor.begin(team.amina, PASSWORD, None, HOME, NOON)
    team.services.second_factor.confirm(team.amina, pyotp.TOTP(secret).at(NOON // 1000), HOME, NOON)
    made = team.act("reset", team.boss, team.amina.user_id)
    assert team.log_in(made) == "totp_required"
