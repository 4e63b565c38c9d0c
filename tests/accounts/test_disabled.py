"""Accounts that are disabled, enabled again, deleted: who is refused what, and what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from shared.access import audit, membership
from shared.accounts import session as sessions
from shared.errors import Fault
from shared.records.store import Query, put
from tests.accounts.conftest import AWAY, HOME, MINUTE, NOON, PASSWORD, Office, code_of
from tests.stores import Interrupted
from tests.sync.clinic import Clinic, pass_millisecond

EMAIL = "amina@example.org"


def actions(office: Office) -> Sequence[str]:
    found = office.store.query(Query(audit.COLLECTION))
    return [each.fields["action"] for each in sorted(found, key=lambda each: each.fields["at"])]


@pytest.mark.parametrize("who", [" Amina@Example.org", "the id"])
def test_a_disabled_account_is_refused_everywhere(office: Office, who: str) -> None:
    # given somebody with two sessions, in a team
    made = office.register()
    other = office.accounts.login.log_in(EMAIL, PASSWORD, AWAY, NOON)
    office.join(made.user_id, "team1", "supervisor")
    code, _ = office.accounts.invites.give(office.caller(made), "team1", "member", 7, 5, NOON)
    # when an operator disables the account
    named = made.user_id if who == "the id" else who
    assert office.accounts.administration.disable(named, NOON + MINUTE) == made.user_id
    # then no way in is left
    later = NOON + 2 * MINUTE
    for tokens in (made, other):
        assert code_of(
            lambda tokens=tokens: office.accounts.sessions.refresh(tokens.refresh, later)
        ) == (  # type: ignore[misc]
            "account_disabled"
        )
    caller = office.caller(made)
    assert code_of(lambda: office.check(caller)) == "account_disabled"
    assert (
        code_of(lambda: office.accounts.login.log_in(EMAIL, PASSWORD, HOME, later))
        == "account_disabled"
    )
    # not even by a code; and who does not know the password learns nothing
    assert code_of(
        lambda: office.accounts.invites.join(office.caller(made), code, HOME, later)
    ) == ("account_disabled")
    assert code_of(lambda: office.accounts.login.log_in(EMAIL, "wrong word", HOME, later)) == (
        "credentials_wrong"
    )
    # and codes that it made admit nobody
    assert code_of(
        lambda: office.accounts.registration.register(
            "b@example.org", PASSWORD, AWAY, later, code=code
        )
    ) == ("invite_invalid")


def test_an_enabled_account_logs_in_with_its_memberships_and_no_session_from_before(
    office: Office,
) -> None:
    made = office.register()
    office.join(made.user_id, "team1", "member")
    before = office.check(office.caller(made)).memberships
    office.accounts.administration.disable(EMAIL, NOON)
    assert office.accounts.administration.enable(EMAIL, NOON + MINUTE) == made.user_id
    assert (
        code_of(lambda: office.accounts.sessions.refresh(made.refresh, NOON + 2 * MINUTE))
        == "session_ended"
    )
    again = office.accounts.login.log_in(EMAIL, PASSWORD, HOME, NOON + 2 * MINUTE)
    me = office.check(office.caller(again, NOON + 2 * MINUTE))
    assert me.memberships == replace(before, version=me.memberships.version)


def test_disabling_twice_changes_nothing_the_second_time(quick: Office) -> None:
    quick.register()
    for _ in range(2):
        quick.accounts.administration.disable(EMAIL, NOON)
    for _ in range(2):
        quick.accounts.administration.enable(EMAIL, NOON)
    assert sorted(actions(quick)) == ["disable-user", "enable-user", "register"]


def test_a_grant_or_a_revocation_leaves_a_disabled_account_disabled(office: Office) -> None:
    made = office.register()
    office.join(made.user_id, "team1", "member")
    office.accounts.administration.disable(EMAIL, NOON)
    office.join(made.user_id, "team2", "doctor")
    membership.revoke(office.store, made.user_id, "team1", NOON)
    key = membership.key(made.user_id)
    document = office.store.read([key]).documents[key]
    assert membership.role_of(made.user_id, document, "team2") is None
    assert dict(membership.known(made.user_id, document).roles) == {"team2": "doctor"}
    with pytest.raises(Fault) as caught:
        membership.parse(made.user_id, document)
    assert (caught.value.code, caught.value.status) == ("account_disabled", 401)


def test_somebody_of_an_outside_issuer_is_disabled_by_id(quick: Office) -> None:
    quick.join("o-abc", "team1", "member")
    assert quick.accounts.administration.disable("o-abc", NOON) == "o-abc"
    key = membership.key("o-abc")
    assert membership.role_of("o-abc", quick.store.read([key]).documents[key], "team1") is None
    for unknown in ("o-abd", "nobody@example.org", "a/b", ""):
        assert (
            code_of(lambda it=unknown: quick.accounts.administration.disable(it, NOON))
            == "not_found"
        )  # type: ignore[misc]


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_push_is_refused_also_if_the_account_is_disabled_while_it_is_under_way(
    office: Office, when: str
) -> None:
    made = office.register()
    office.join(made.user_id, "team1", "member")
    pass_millisecond()

    def disable(_writes: object) -> None:
        office.accounts.administration.disable(EMAIL, NOON)

    store = office.store
    if when == "before":
        disable(None)
    else:
        store = Interrupted(office.store, before=disable)
    row = {"id": "p1", "last_modified_at": 1, "demographics": {"name": "Asha"}}
    body = {"last_sync_timestamp": 0, "changes": {"patients": [row]}}
    phone = Clinic(office.store).phone(made.user_id)
    assert code_of(lambda: Clinic(store).answer(body, phone)) == "account_disabled"
    assert not list(office.store.query(Query("patients")))


@pytest.mark.parametrize("by", ["operator", "user"])
def test_of_a_deleted_account_the_id_and_the_trail_stay(office: Office, by: str) -> None:
    # given somebody with two sessions in two teams, who has made a code
    made = office.register(name="Amina Kito")
    office.accounts.login.log_in(EMAIL, PASSWORD, AWAY, NOON)
    office.join(made.user_id, "team1", "supervisor")
    office.join(made.user_id, "team2", "member")
    caller = office.caller(made)
    code, _ = office.accounts.invites.give(caller, "team1", "member", 7, 5, NOON)
    # when the account is deleted
    if by == "user":
        wrong = lambda: office.accounts.deletion.delete_own(caller, "wrong word", HOME, NOON)  # noqa: E731
        assert code_of(wrong) == "credentials_wrong"
        office.accounts.deletion.delete_own(caller, PASSWORD, HOME, NOON + MINUTE)
    else:
        assert office.accounts.deletion.delete(EMAIL, NOON + MINUTE) == made.user_id
    # then nothing of the person is left but in entries from before
    for collection in ("accounts", "logins", "sessions", "scope_members"):
        assert not list(office.store.query(Query(collection))), collection
    held = membership.known(made.user_id, office.store.read([membership.key(made.user_id)]).documents[
        membership.key(made.user_id)])  # fmt: skip
    assert (held.scopes, set(held.left_ms)) == ((), {"team1", "team2"})
    entries = [each.fields for each in office.store.query(Query(audit.COLLECTION))]
    last = [each for each in entries if each["at"] == NOON + MINUTE]
    assert sorted((each["action"], each["scope_id"]) for each in last) == sorted(
        [("delete-account", audit.DEPLOYMENT), ("leave", "team1"), ("leave", "team2")]
        if by == "user"
        else [("delete-user", audit.DEPLOYMENT), ("revoke", "team1"), ("revoke", "team2")]
    )
    assert all(each["ids"] == {"accounts": [made.user_id]} for each in last)
    assert "Amina" not in str(last)
    assert EMAIL not in str(last)
    # nobody acts as the user, or by what the user made
    later = NOON + 2 * MINUTE
    assert code_of(lambda: office.check(caller)) == "account_disabled"
    assert (
        code_of(lambda: office.accounts.sessions.refresh(made.refresh, later)) == "refresh_invalid"
    )
    assert (
        code_of(lambda: office.accounts.login.log_in(EMAIL, PASSWORD, HOME, later))
        == "credentials_wrong"
    )
    assert code_of(
        lambda: office.accounts.registration.register(
            "b@example.org", PASSWORD, AWAY, later, code=code
        )
    ) == ("invite_invalid")
    # and the same address registers as somebody else
    again = office.accounts.registration.register(EMAIL, PASSWORD, HOME, later)
    assert again.user_id != made.user_id
    assert office.check(office.caller(again, later)).memberships.scopes == ()


def test_a_session_that_outlived_its_account_is_over(quick: Office) -> None:
    """One that was stored before sessions were found by their user."""
    made = quick.register()
    key = sessions.key(quick.caller(made).session)
    document = quick.store.read([key]).documents[key]
    older = {n: v for n, v in document.fields.items() if n != "live_of"}
    quick.store.commit([put(key, older, document.version)])
    quick.accounts.deletion.delete(EMAIL, NOON)
    quick.accounts.administration.enable(made.user_id, NOON)
    assert code_of(lambda: quick.accounts.sessions.refresh(made.refresh, NOON)) == "session_ended"
