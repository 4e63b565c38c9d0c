"""What operators do to accounts, and ids that nobody can have."""

from __future__ import annotations

import pytest

from shared.access import membership
from shared.access.audit import DEPLOYMENT, OPERATOR
from shared.accounts.account import NOBODY
from shared.errors import InvalidRequest
from shared.records import record
from tests.accounts.conftest import (
    HOME,
    NOON,
    PASSWORD,
    Office,
    code_of,
)

EMAIL = "amina@example.org"


def test_ids_that_mean_something_can_be_nobody_s() -> None:
    for special in (OPERATOR.user_id, DEPLOYMENT, record.UNFILED, NOBODY):
        assert not record.valid_id(special)


def test_a_user_called_nobody_is_not_whom_an_unknown_e_mail_logs_in_as(quick: Office) -> None:
    for named in ("nobody", "operator"):
        quick.accounts.administration.create(
            f"{named}@example.org", PASSWORD, NOON, user_id=named, name=None
        )
    log_in = quick.accounts.login.log_in
    assert (
        code_of(lambda: log_in("unknown@example.org", PASSWORD, HOME, NOON)) == "credentials_wrong"
    )
    assert (
        code_of(lambda: quick.accounts.administration.reset("unknown@example.org", PASSWORD, NOON))
        == "not_found"
    )
    assert code_of(lambda: log_in("nobody@example.org", PASSWORD, HOME, NOON)) == "ok"


def test_a_user_called_operator_gives_no_codes_that_outlive_their_rights(quick: Office) -> None:
    quick.accounts.administration.create(
        "op@example.org", PASSWORD, NOON, user_id="operator", name=None
    )
    quick.join("operator", "team1", "admin")
    caller = quick.caller(quick.accounts.login.log_in("op@example.org", PASSWORD, HOME, NOON))
    code, _ = quick.accounts.invites.make(caller, "team1", "member", 5, 1, NOON)
    membership.revoke(quick.store, "operator", "team1", NOON)
    joining = quick.caller(quick.register("other@example.org"))
    assert (
        code_of(lambda: quick.accounts.invites.join(joining, code, HOME, NOON)) == "invite_invalid"
    )


def test_operators_make_and_reset_accounts(office: Office) -> None:
    services = office.accounts
    user = services.administration.create(
        "Op@example.org", PASSWORD, NOON, user_id="amina", name=None
    )
    assert user == "amina"
    make = services.administration.create
    for email, named in (("op@example.org", None), ("x@example.org", "amina")):
        assert (
            code_of(lambda e=email, n=named: make(e, PASSWORD, NOON, user_id=n, name=None))
            == "email_taken"
        )
    session = services.login.log_in("op@example.org", PASSWORD, HOME, NOON)
    assert services.administration.reset("OP@example.org", "another good one", NOON) == "amina"
    assert code_of(lambda: services.sessions.refresh(session.refresh, NOON)) == "session_ended"
    services.login.log_in("op@example.org", "another good one", HOME, NOON)
    assert (
        code_of(lambda: services.administration.reset("no@example.org", PASSWORD, NOON))
        == "not_found"
    )
    with pytest.raises(InvalidRequest):
        services.administration.reset("op@example.org", "short", NOON)
