"""Who registers, invites and makes teams in DermaDetect, and for how long they stay logged in."""

from __future__ import annotations

import pytest

from shared import wiring
from shared.access import membership
from shared.products.dermadetect.rights import ROLES
from shared.products.dermadetect.tables import ACCOUNTS
from shared.settings import load
from tests.accounts.conftest import HOME, NOON, PASSWORD, Office, code_of
from tests.accounts.conftest import quick as quick
from tests.api.conftest import StartApi


@pytest.mark.parametrize(
    ("role", "verdict"),
    [(None, "forbidden"), ("chw", "forbidden"), ("supervisor", "forbidden"), ("admin", "ok")],
)
def test_in_dermadetect_an_admin_makes_teams(quick: Office, role: str | None, verdict: str) -> None:
    caller = quick.caller(quick.register())
    if role:
        quick.join(caller.user_id, "team1", role)
    services = quick.on(quick.store, policy=ACCOUNTS)
    assert code_of(lambda: services.scopes.make(caller, None, "Another", NOON)) == verdict


#: The roles that each role may give away.
GIVEN_AWAY = {
    "admin": ("chw", "doctor", "supervisor", "admin"),
    "supervisor": ("chw", "doctor", "supervisor"),
}


@pytest.mark.parametrize("role", [*ROLES, None])
def test_in_dermadetect_nobody_gives_away_more_than_they_hold(role: str | None) -> None:
    given = {each for each in ROLES if ACCOUNTS.may_invite(role, each)}
    assert given == set(GIVEN_AWAY.get(str(role), ()))
    assert ACCOUNTS.may_manage(role) == (role in GIVEN_AWAY)


def test_in_dermadetect_roles_that_read_much_must_log_in_again_sooner() -> None:
    assert ACCOUNTS.idle_days == {"doctor": 30, "supervisor": 30, "admin": 30}


@pytest.mark.parametrize("password", ["DermaDetect2026", "dermadetect"])
def test_the_name_of_the_product_is_no_password(quick: Office, password: str) -> None:
    services = quick.on(quick.store, policy=ACCOUNTS)
    create = services.administration.create
    made = code_of(lambda: create("a@example.org", password, NOON, user_id=None, name="Amina"))
    assert made == "password_guessable"


def test_who_has_yet_to_set_up_a_factor_sees_no_work_list(start_api: StartApi) -> None:
    api = start_api(totp_roles="doctor, supervisor")
    services, now = wiring.accounts(), wiring.clock_ms()
    create = services.administration.create
    user = create("a@example.org", PASSWORD, now, user_id=None, name="Amina")
    membership.grant(wiring.store(), user, "team1", "supervisor", now)
    made = services.login.log_in("a@example.org", PASSWORD, HOME, now)
    response = api.ask("GET", "/api/v1/review/cases", token=made.access)
    said = response.get_json()["error"]["code"]
    assert (response.status_code, said) == (401, "totp_setup_required")


@pytest.mark.parametrize("roles", ["chw", "doctor,member", "nurse", "doctor;admin"])
def test_health_workers_are_never_asked_for_a_factor(roles: str) -> None:
    with pytest.raises(Exception, match="TOTP_ROLES"):
        ACCOUNTS.demand_factor_roles(load({"TOTP_ROLES": roles}).factor_roles)
