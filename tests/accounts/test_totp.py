"""The second factor: codes are good once, wrong ones are throttled, and some roles cannot do without."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pyotp
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared import wiring
from shared.access import membership
from shared.accounts import account, tokens, totp
from shared.accounts.credentials import ACCOUNT_TRIES
from shared.accounts.services import AccountServices
from shared.accounts.token_issuer import Tokens
from shared.errors import Unauthenticated
from shared.records.store import Query
from tests.accounts.conftest import AWAY, HOME, MINUTE, NOON, PASSWORD, Office, code_of, together
from tests.accounts.test_http import Client
from tests.api.conftest import StartApi

EMAIL = "amina@example.org"
STEP = 30_000

#: RFC 6238, appendix B: its secret for SHA-1, and codes (the last six digits) by Unix seconds.
RFC = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
VECTORS = [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]


def code(secret: str, now_ms: int) -> str:
    return pyotp.TOTP(secret).at(now_ms // 1000)


def with_factor(
    office: Office, now_ms: int = NOON, email: str = EMAIL
) -> tuple[str, list[str], Tokens]:
    """An account with a factor: its secret, its recovery codes, and the session that set it up."""
    made = office.register(email)
    caller = office.caller(made)
    secret, _ = office.accounts.second_factor.begin(caller, PASSWORD, None, HOME, now_ms)
    codes = office.accounts.second_factor.confirm(caller, code(secret, now_ms), HOME, now_ms)
    return secret, codes, made


def log_in(services: AccountServices, otp: str | None, now_ms: int, where: Any = HOME) -> str:
    return code_of(lambda: services.login.log_in(EMAIL, PASSWORD, where, now_ms, otp))


@pytest.mark.parametrize(("seconds", "digits"), VECTORS)
def test_codes_are_those_of_the_standard(seconds: int, digits: str) -> None:
    key = totp.sealing_key(b"s" * 32)
    factor, _ = totp.begun("u", key, 0)
    sealed = AESGCM(key).encrypt(b"n" * 12, RFC.encode(), b"u")
    factor = replace(factor, sealed=base64.b64encode(b"n" * 12 + sealed).decode())
    assert totp.used(factor, digits, "u", key, seconds * 1000) is not None


def test_a_log_in_takes_a_code_once_a_factor_is_set_up(office: Office) -> None:
    secret, recovery, made = with_factor(office)
    assert len(set(recovery)) == totp.RECOVERIES
    later = NOON + 2 * STEP
    assert log_in(office.accounts, None, later) == "totp_required"
    assert log_in(office.accounts, "000000", later) == "totp_wrong"
    assert log_in(office.accounts, code(secret, later), later) == "ok"
    # the session that set it up goes on
    assert code_of(lambda: office.accounts.sessions.refresh(made.refresh, later)) == "ok"


def test_without_a_first_code_nothing_changes(quick: Office) -> None:
    caller = quick.caller(quick.register())
    secret, uri = quick.accounts.second_factor.begin(caller, PASSWORD, None, HOME, NOON)
    assert pyotp.parse_uri(uri).secret == secret
    assert log_in(quick.accounts, None, NOON) == "ok"
    act = quick.accounts.second_factor.confirm
    confirm = lambda otp, at: code_of(lambda: act(caller, otp, HOME, at))  # noqa: E731
    assert confirm("123456", NOON) == "totp_wrong"
    late = NOON + totp.SET_UP_MS
    assert confirm(code(secret, late), late) == "totp_wrong"
    assert log_in(quick.accounts, None, late) == "ok"
    assert confirm(code(secret, late - STEP), late - STEP) == "ok"


def test_other_sessions_end_when_a_factor_is_set_up(quick: Office) -> None:
    made = quick.register()
    other = quick.accounts.login.log_in(EMAIL, PASSWORD, AWAY, NOON)
    caller = quick.caller(made)
    secret, _ = quick.accounts.second_factor.begin(caller, PASSWORD, None, HOME, NOON)
    quick.accounts.second_factor.confirm(caller, code(secret, NOON), HOME, NOON)
    assert code_of(lambda: quick.accounts.sessions.refresh(other.refresh, NOON)) == "session_ended"
    assert code_of(lambda: quick.accounts.sessions.refresh(made.refresh, NOON)) == "ok"


@pytest.mark.parametrize(("steps", "verdict"), [(-2, "totp_wrong"), (-1, "ok"), (0, "ok"), (1, "ok"),
                                                (2, "totp_wrong")])  # fmt: skip
def test_a_phone_s_clock_may_be_off_by_one_step(quick: Office, steps: int, verdict: str) -> None:
    secret, _, _ = with_factor(quick)
    later = NOON + 10 * MINUTE
    assert log_in(quick.accounts, code(secret, later + steps * STEP), later) == verdict


def test_a_code_is_good_once_and_no_earlier_one_after_it(office: Office) -> None:
    secret, _, _ = with_factor(office)
    later = NOON + 10 * MINUTE
    assert (
        log_in(office.accounts, code(secret, NOON), NOON) == "totp_wrong"
    )  # it confirmed the set-up
    assert log_in(office.accounts, code(secret, later), later) == "ok"
    assert log_in(office.accounts, code(secret, later), later) == "totp_wrong"
    assert log_in(office.accounts, code(secret, later - STEP), later) == "totp_wrong"
    assert log_in(office.accounts, code(secret, later + STEP), later) == "ok"


def test_of_log_ins_with_one_code_at_one_moment_one_gets_in(office: Office) -> None:
    secret, _, _ = with_factor(office)
    later = NOON + 10 * MINUTE
    otp = code(secret, later)
    said = together(*[lambda: office.accounts.login.log_in(EMAIL, PASSWORD, HOME, later, otp)] * 3)
    assert sorted(isinstance(each, Tokens) for each in said) == [False, False, True]


def test_a_recovery_code_is_good_once(office: Office) -> None:
    _, recovery, _ = with_factor(office)
    assert log_in(office.accounts, recovery[3].lower().replace("-", " "), NOON) == "ok"
    assert log_in(office.accounts, recovery[3], NOON) == "totp_wrong"
    assert log_in(office.accounts, recovery[4], NOON) == "ok"


def test_wrong_codes_wait_as_wrong_passwords_do(quick: Office) -> None:
    secret, _, _ = with_factor(quick)
    later = NOON + 10 * MINUTE
    said = [log_in(quick.accounts, "000000", later, AWAY) for _ in range(ACCOUNT_TRIES.free + 1)]
    assert said == [*["totp_wrong"] * ACCOUNT_TRIES.free, "too_many_tries"]
    assert log_in(quick.accounts, code(secret, later), later, AWAY) == "too_many_tries"
    # the owner's phone, which logged in before, gets through
    assert log_in(quick.accounts, code(secret, later), later) == "ok"


@pytest.mark.parametrize("otp", ["", " ", "0", "12345", "1234567", "१२३४५६", "\ud800" * 6, "é" * 16,
                                 "A" * 16, "x" * 2000, "-" * 20])  # fmt: skip
def test_a_crooked_code_is_wrong_and_no_more(quick: Office, otp: str) -> None:
    with_factor(quick)
    assert log_in(quick.accounts, otp, NOON + MINUTE) == "totp_wrong"


def test_a_factor_is_changed_and_removed_only_by_who_has_it(quick: Office) -> None:
    secret, recovery, made = with_factor(quick)
    caller, later = quick.caller(made), NOON + 10 * MINUTE
    for act in (quick.accounts.second_factor.begin, quick.accounts.second_factor.remove):
        assert code_of(lambda act=act: act(caller, PASSWORD, None, HOME, later)) == "totp_required"  # type: ignore[misc]
        assert code_of(lambda act=act: act(caller, PASSWORD, "000000", HOME, later)) == "totp_wrong"  # type: ignore[misc]
        assert code_of(lambda act=act: act(caller, "wrong word", recovery[0], HOME, later)) == (  # type: ignore[misc]
            "credentials_wrong"
        )
    # a new one: until it is confirmed the old one holds
    newer, _ = quick.accounts.second_factor.begin(caller, PASSWORD, recovery[1], HOME, later)
    assert log_in(quick.accounts, code(secret, later), later) == "ok"
    quick.accounts.second_factor.confirm(caller, code(newer, later), HOME, later)
    assert log_in(quick.accounts, code(secret, later + STEP), later + STEP) == "totp_wrong"
    quick.accounts.second_factor.remove(
        caller, PASSWORD, code(newer, later + STEP), HOME, later + STEP
    )
    assert log_in(quick.accounts, None, later + STEP) == "ok"


def test_a_database_alone_gives_no_codes(quick: Office) -> None:
    secret, recovery, made = with_factor(quick)
    stored = str([each.fields for each in quick.store.query(Query("accounts"))])
    assert secret not in stored
    assert not [each for each in recovery if each.replace("-", "") in stored]
    # another accounts secret opens nothing, and recovery codes outlive it
    other = quick.on(quick.store, secret=b"t" * 32)
    later = NOON + 10 * MINUTE
    assert log_in(other, code(secret, later), later) == "totp_wrong"
    assert log_in(other, recovery[0], later) == "ok"
    # and a secret copied to another account is of no use there
    key = account.key(made.user_id)
    factor = account.parse(made.user_id, quick.store.read([key]).documents[key]).factor
    assert factor is not None
    seal = totp.sealing_key(b"s" * 32)
    assert totp.used(factor, code(secret, later), made.user_id, seal, later) is not None
    assert totp.used(factor, code(secret, later), "somebody-else", seal, later) is None


def test_an_operator_takes_a_factor_off(quick: Office) -> None:
    _, _, made = with_factor(quick)
    for _ in range(2):
        assert quick.accounts.administration.take_factor(EMAIL, NOON + MINUTE) == made.user_id
    assert (
        code_of(lambda: quick.accounts.sessions.refresh(made.refresh, NOON + MINUTE))
        == "session_ended"
    )
    assert log_in(quick.accounts, None, NOON + MINUTE) == "ok"


# --- roles that cannot do without


@pytest.mark.parametrize(
    ("role", "needed"),
    [("member", False), ("admin", False), ("doctor", True), ("supervisor", True)],
)
def test_the_role_says_who_must_set_up_a_factor(quick: Office, role: str, needed: bool) -> None:
    services = quick.on(quick.store, factor_roles=frozenset({"doctor", "supervisor"}))
    made = services.registration.register(EMAIL, PASSWORD, HOME, NOON)
    assert not made.set_up_needed
    quick.join(made.user_id, "team1", role)
    for got in (
        services.sessions.refresh(made.refresh, NOON),
        services.login.log_in(EMAIL, PASSWORD, HOME, NOON),
    ):
        assert got.set_up_needed is needed
        if not needed:
            assert quick.caller(got).user_id == made.user_id
            continue
        # such a token is good for the set-up alone
        with pytest.raises(Unauthenticated) as caught:
            quick.caller(got)
        assert caught.value.code == "totp_setup_required"
    if not needed:
        return
    mine = services.login.log_in(EMAIL, PASSWORD, HOME, NOON)
    caller = tokens.verify(mine.access, quick.keys, quick.policy, NOON / 1000, only=tokens.SET_UP)
    secret, _ = services.second_factor.begin(caller, PASSWORD, None, HOME, NOON)
    services.second_factor.confirm(caller, code(secret, NOON), HOME, NOON)
    # the same session is let in from its next refresh on, and so is a log-in with a code
    assert not services.sessions.refresh(mine.refresh, NOON).set_up_needed
    later = NOON + MINUTE
    assert not services.login.log_in(
        EMAIL, PASSWORD, HOME, later, code(secret, later)
    ).set_up_needed
    # until the factor is taken off
    services.administration.take_factor(EMAIL, later)
    assert services.login.log_in(EMAIL, PASSWORD, HOME, later).set_up_needed


def test_a_token_for_one_thing_is_good_for_no_other(quick: Office) -> None:
    key, policy = quick.keys.current(), quick.policy
    made = tokens.issue(key, policy, user_id="u", role="member", now_s=NOON / 1000, only="else")
    for only in ("", tokens.SET_UP):
        with pytest.raises(Unauthenticated):
            tokens.verify(made, quick.keys, policy, NOON / 1000, only=only)


def test_over_http_a_supervisor_sets_up_a_factor_before_anything_else(start_api: StartApi) -> None:
    api = start_api(totp_roles="doctor, supervisor")
    ask = Client(api)
    services, now = wiring.accounts(), wiring.clock_ms()
    user = services.administration.create(EMAIL, PASSWORD, now, user_id=None, name="Amina")
    membership.grant(wiring.store(), user, "team1", "supervisor", now)
    who = {"email": EMAIL, "password": PASSWORD}
    made = ask("login", who)
    assert made["totp_setup_required"] is True
    token = made["access_token"]
    # nothing of the team is shown
    for method, path, body in (
        ("POST", "/api/sync", {}),
        ("GET", "/api/v1/devices", None),
        ("GET", "/api/v1/auth/members?scope_id=team1", None),
        ("POST", "/api/v1/auth/invites", {"scope_id": "team1", "role": "member"}),
    ):
        response = api.ask(method, path, body, token=token)
        said = response.get_json()["error"]["code"]
        assert (response.status_code, said) == (401, "totp_setup_required"), path
    assert ask("me", token=token)["totp"] is False
    secret = ask("totp", {"password": PASSWORD}, token)["secret"]
    digits = pyotp.TOTP(secret).now()
    assert len(ask("totp/confirm", {"otp": digits}, token)["recovery_codes"]) == totp.RECOVERIES
    fresh = ask("refresh", {"refresh_token": made["refresh_token"]})
    assert fresh["totp_setup_required"] is False
    token = fresh["access_token"]
    assert api.ask("POST", "/api/sync", {}, token=token).status_code == 200
    assert ask("me", token=token)["totp"] is True
    assert ask("login", who) == "totp_required"
    assert ask("login", {**who, "otp": digits}) == "totp_wrong"
