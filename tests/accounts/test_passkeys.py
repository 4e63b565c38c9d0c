"""Passkeys: who has one logs in with it, and nothing but an answer to us gets anybody in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.access.membership import Caller
from shared.accounts import account, passkeys
from shared.accounts.credentials import ACCOUNT_TRIES
from shared.accounts.login import Begun, HalfBegun
from shared.accounts.passkeys import GOOD_MS, PasskeyHost
from shared.accounts.services import AccountServices
from shared.privacy.export import export
from shared.records.store import Query
from tests.accounts.authenticator import PRESENT, Authenticator, decoded, encoded
from tests.accounts.conftest import AWAY, HOME, MINUTE, NOON, PASSWORD, Office, code_of, together
from tests.accounts.test_totp import EMAIL, code, with_factor
from tests.neutral.tables import CATALOG

ORIGIN = "https://care.example.org"
HOST = PasskeyHost("care.example.org", ORIGIN, "Care")
LATER = NOON + 10 * MINUTE


class Owner:
    """Somebody with an authenticator app and a passkey."""

    def __init__(self, office: Office, email: str = EMAIL) -> None:
        self.office = office
        self.services: AccountServices = office.on(office.store, host=HOST)
        self.secret, self.recovery, made = with_factor(office, email=email)
        self.email, self.caller = email, office.caller(made)
        self.key = Authenticator(ORIGIN)

    def ask(self, otp: str | None = None) -> tuple[str, str]:
        otp = otp or self.recovery.pop()
        return self.services.second_factor.ask_passkey(self.caller, PASSWORD, otp, HOME, LATER)

    def add(self, key: Authenticator | None = None, **wrong: Any) -> str:
        """The verdict on a new key."""
        challenge, options = self.ask()
        answer = (key or self.key).make(options, **wrong)
        return self.adds(challenge, answer)

    def adds(self, challenge: str, answer: str, now_ms: int = LATER) -> str:
        add = self.services.second_factor.add_passkey
        return code_of(lambda: add(self.caller, challenge, answer, " my  laptop ", now_ms))

    def half(self, now_ms: int = LATER) -> HalfBegun:
        half = self.services.login.begin_in_steps(self.email, PASSWORD, HOME, now_ms)
        assert isinstance(half, HalfBegun)
        return half

    def ends(self, half: HalfBegun, answer: str, now_ms: int = LATER, where: Any = HOME) -> str:
        return code_of(
            lambda: self.services.login.finish(half.ticket, where, now_ms, answer=answer)
        )

    @property
    def stored(self) -> account.Account:
        return account.of(
            self.office.store.read([account.key(self.caller.user_id)]), self.caller.user_id
        )


def test_a_passkey_stands_in_for_a_code(office: Office) -> None:
    owner = Owner(office)
    assert owner.half().asks == ""
    assert owner.add() == "ok"
    [kept] = owner.stored.passkeys
    assert (kept.name, kept.key_id) == ("my laptop", encoded(owner.key.key_id))
    half = owner.half()
    assert json.loads(half.asks)["userVerification"] == "required"
    owner.key.count = 5
    begun = owner.services.login.finish(half.ticket, HOME, LATER, answer=owner.key.show(half.asks))
    assert isinstance(begun, Begun)
    assert begun.session.factor
    [kept] = owner.stored.passkeys
    assert (kept.count, kept.used_ms) == (5, LATER)
    assert owner.stored.asked is None
    # codes go on being good, here and on phones
    now = LATER + MINUTE
    otp = code(owner.secret, now)
    assert code_of(lambda: owner.services.login.log_in(EMAIL, PASSWORD, HOME, now, otp)) == "ok"
    actions = [each.fields["action"] for each in office.store.query(Query("audit"))]
    assert (actions.count("add-passkey"), actions.count("log-in")) == (1, 2)


def test_the_second_step_takes_a_code_as_well_and_a_wrong_one_leaves_it_open(
    office: Office,
) -> None:
    owner = Owner(office)
    half, finish = owner.half(), owner.services.login.finish
    assert code_of(lambda: finish(half.ticket, HOME, LATER, otp="000000")) == "totp_wrong"
    otp = code(owner.secret, LATER)
    assert code_of(lambda: finish(half.ticket, HOME, LATER, otp=otp)) == "ok"
    # and it is good once
    assert code_of(lambda: finish(half.ticket, HOME, LATER, otp=owner.recovery[0])) == "login_late"


#: What is wrong → how the authenticator, or its browser, comes to say it.
WRONG: dict[str, Callable[[Authenticator, str], str]] = {
    "another origin": lambda key, asks: replace(key, origin="https://care.example.com").show(asks),
    "a page above ours": lambda key, asks: replace(key, origin="https://example.org").show(asks),
    "without TLS": lambda key, asks: replace(key, origin="http://care.example.org").show(asks),
    "another host": lambda key, asks: key.show(json.dumps(json.loads(asks) | {"rpId": "x.org"})),
    "another challenge": lambda key, asks: key.show(asks, challenge=encoded(b"x" * 43)),
    "no challenge": lambda key, asks: key.show(asks, challenge=""),
    "an answer to another question": lambda key, asks: key.show(asks, type="webauthn.create"),
    "nobody there": lambda key, asks: replace(key, flags=0).show(asks),
    "nobody verified": lambda key, asks: replace(key, flags=PRESENT).show(asks),
    "a counter that goes back": lambda key, asks: replace(key, count=3).show(asks),
    "a counter that stands": lambda key, asks: replace(key, count=4).show(asks),
    "another key of this name": lambda key, asks: Authenticator(
        ORIGIN, count=9, key_id=key.key_id
    ).show(asks),
    "another key": lambda key, asks: Authenticator(ORIGIN, count=9).show(asks),
    "signed by nobody": lambda key, asks: _with(key.show(asks), signature=encoded(b"0" * 70)),
    "data that breaks off": lambda key, asks: _with(key.show(asks), authenticatorData="AAAA"),
    "no JSON": lambda _key, _asks: "{",
    "a list": lambda _key, _asks: "[]",
    "deep": lambda _key, _asks: "[" * 19_000,
    "half a sign": lambda _key, _asks: '{"id":"\\ud800","rawId":"\\ud800"}',
    "numbers": lambda _key, _asks: '{"id":1,"rawId":1,"type":1,"response":1}',
}


def _with(answer: str, **parts: str) -> str:
    said = json.loads(answer)
    said["response"] |= parts
    return json.dumps(said)


@pytest.mark.parametrize("wrong", WRONG)
def test_nothing_but_an_answer_to_us_is_taken(quick: Office, wrong: str) -> None:
    owner = Owner(quick)
    owner.key.count = 4
    assert owner.add() == "ok"
    half = owner.half()
    assert owner.ends(half, WRONG[wrong](owner.key, half.asks)) == "passkey_wrong"
    # its challenge is used up, also for the right answer
    owner.key.count = 10
    assert owner.ends(half, owner.key.show(half.asks)) == "login_late"
    [kept] = owner.stored.passkeys
    assert (kept.count, kept.used_ms) == (4, 0)
    # and who has the key still gets in
    half = owner.half()
    assert owner.ends(half, owner.key.show(half.asks)) == "ok"


#: Of new keys: what is wrong → how it is said.
WRONG_KEYS: dict[str, Callable[[Authenticator, str], str]] = {
    "another origin": lambda key, asks: replace(key, origin="https://evil.example").make(asks),
    "another host": lambda key, asks: key.make(json.dumps(json.loads(asks) | {"rp": {"id": "x"}})),
    "another challenge": lambda key, asks: key.make(asks, challenge=encoded(b"x" * 43)),
    "a log-in": lambda key, asks: key.make(asks, type="webauthn.get"),
    "nobody verified": lambda key, asks: replace(key, flags=PRESENT).make(asks),
    "no key": lambda key, asks: _with(key.make(asks), attestationObject="oA"),
    "no CBOR": lambda key, asks: _with(key.make(asks), attestationObject="____"),
    "no JSON": lambda _key, _asks: "null",
}


@pytest.mark.parametrize("wrong", WRONG_KEYS)
def test_no_other_key_is_added(quick: Office, wrong: str) -> None:
    owner = Owner(quick)
    challenge, options = owner.ask()
    assert owner.adds(challenge, WRONG_KEYS[wrong](owner.key, options)) == "passkey_wrong"
    assert owner.adds(challenge, owner.key.make(options)) == "passkey_wrong"
    assert not owner.stored.passkeys


def test_a_challenge_is_good_once_and_not_for_long(office: Office) -> None:
    owner = Owner(office)
    challenge, options = owner.ask()
    late = LATER + GOOD_MS
    assert owner.adds(challenge, owner.key.make(options), late) == "passkey_wrong"
    assert owner.adds(challenge, owner.key.make(options), late - 1) == "ok"
    assert owner.adds(challenge, Authenticator(ORIGIN).make(options)) == "passkey_wrong"
    # the same key does not come twice
    assert owner.add() == "passkey_wrong"
    # of one answer that is sent twice at one moment one gets in
    half = owner.half()
    answer = owner.key.show(half.asks)
    said = together(
        *[lambda: owner.services.login.finish(half.ticket, HOME, LATER, answer=answer)] * 2
    )
    assert sorted(isinstance(each, Begun) for each in said) == [False, True]
    half = owner.half()
    assert owner.ends(half, owner.key.show(half.asks), late) == "login_late"


def test_a_challenge_of_one_kind_is_none_of_the_other(quick: Office) -> None:
    owner = Owner(quick)
    assert owner.add() == "ok"
    challenge, options = owner.ask()
    asks = json.dumps({"challenge": json.loads(options)["challenge"], "rpId": HOST.host})
    half = HalfBegun(f"{owner.caller.user_id}.{challenge}", asks)
    assert owner.ends(half, owner.key.show(asks)) == "login_late"
    half = owner.half()
    challenge = half.ticket.rpartition(".")[2]
    asked = {"challenge": encoded(challenge.encode()), "rp": {"id": HOST.host}}
    assert owner.adds(challenge, Authenticator(ORIGIN).make(json.dumps(asked))) == "passkey_wrong"


def test_a_key_of_somebody_else_opens_nothing(quick: Office) -> None:
    owner, stranger = Owner(quick), Owner(quick, "juma@example.org")
    assert (owner.add(), stranger.add()) == ("ok", "ok")
    half = owner.half()
    assert owner.ends(half, stranger.key.show(half.asks)) == "passkey_wrong"
    # a ticket of one's own with another's name on it
    mine = stranger.half()
    theirs = HalfBegun(f"{owner.caller.user_id}.{mine.ticket.rpartition('.')[2]}", mine.asks)
    assert stranger.ends(theirs, owner.key.show(mine.asks)) == "login_late"


@pytest.mark.parametrize("ticket", ["", ".", "x", "u-nobody.x", "__x__.y", "é.x", "a" * 200 + ".x"])
def test_a_crooked_ticket_is_too_late(quick: Office, ticket: str) -> None:
    owner = Owner(quick)
    assert owner.ends(HalfBegun(ticket, ""), "{}") == "login_late"


def test_another_password_ends_what_is_half_done(quick: Office) -> None:
    owner = Owner(quick)
    assert owner.add() == "ok"
    half = owner.half()
    change = owner.services.login.change_password
    change(owner.caller, PASSWORD, PASSWORD[::-1], HOME, LATER)
    assert owner.ends(half, owner.key.show(half.asks)) == "login_late"


def test_wrong_answers_wait_as_wrong_passwords_do(quick: Office) -> None:
    owner = Owner(quick)
    assert owner.add() == "ok"
    said = []
    for _ in range(ACCOUNT_TRIES.free):
        half = owner.half()
        said.append(owner.ends(half, "{}", where=AWAY))
    assert said == ["passkey_wrong"] * ACCOUNT_TRIES.free
    half = owner.half()
    assert owner.ends(half, owner.key.show(half.asks), where=AWAY) == "too_many_tries"
    assert owner.ends(half, owner.key.show(half.asks)) == "ok"


def test_keys_are_added_and_removed_only_by_who_has_the_factor(quick: Office) -> None:
    owner = Owner(quick)
    assert owner.add() == "ok"
    second, key_id = owner.services.second_factor, encoded(owner.key.key_id)
    ask = lambda password, otp: code_of(  # noqa: E731
        lambda: second.ask_passkey(owner.caller, password, otp, HOME, LATER)
    )
    assert ask("wrong", owner.recovery[0]) == "credentials_wrong"
    assert ask(PASSWORD, None) == "totp_required"
    assert ask(PASSWORD, "000000") == "totp_wrong"
    take = lambda name, otp: code_of(  # noqa: E731
        lambda: second.remove_passkey(owner.caller, name, PASSWORD, otp, HOME, LATER)
    )
    assert take(key_id, None) == "totp_required"
    assert take("another", owner.recovery.pop()) == "ok"
    assert len(owner.stored.passkeys) == 1
    assert take(key_id, owner.recovery.pop()) == "ok"
    assert not owner.stored.passkeys


def test_who_goes_back_to_the_password_has_none(quick: Office) -> None:
    owner = Owner(quick)
    assert owner.add() == "ok"
    second = owner.services.second_factor
    second.remove(owner.caller, PASSWORD, owner.recovery.pop(), HOME, LATER)
    assert not owner.stored.passkeys
    ask = lambda: second.ask_passkey(owner.caller, PASSWORD, None, HOME, LATER)  # noqa: E731
    assert code_of(ask) == "factor_needed"


def test_an_operator_takes_them_off_with_the_factor(quick: Office) -> None:
    owner = Owner(quick)
    assert owner.add() == "ok"
    owner.services.administration.take_factor(EMAIL, LATER)
    assert owner.stored.factor is None
    assert not owner.stored.passkeys


def test_what_is_given_out_about_somebody_names_their_keys(quick: Office) -> None:
    owner = Owner(quick)
    assert owner.add() == "ok"
    said = export(quick.store, CATALOG, owner.caller.user_id, LATER)
    assert said["user"]["passkeys"] == [{"name": "my laptop", "added_at": LATER, "used_at": 0}]
    assert owner.stored.passkeys[0].public not in str(said)


def test_nobody_has_more_than_enough(quick: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passkeys, "MOST", 2)
    owner = Owner(quick)
    assert [owner.add(Authenticator(ORIGIN)) for _ in range(2)] == ["ok", "ok"]
    assert code_of(owner.ask) == "passkeys_full"


def test_without_a_host_nobody_is_asked_for_one(quick: Office) -> None:
    owner = Owner(quick)
    assert owner.add() == "ok"
    asks = owner.half().asks
    owner.services = quick.on(quick.store)
    half = owner.half()
    assert half.asks == ""
    assert owner.services.login.asked(half.ticket) == ""
    challenge = encoded(half.ticket.rpartition(".")[2].encode())
    asks = json.dumps(json.loads(asks) | {"challenge": challenge})
    assert owner.ends(half, owner.key.show(asks)) == "passkey_wrong"
    assert code_of(owner.ask) == "passkeys_off"


def test_a_session_that_is_over_adds_nothing(quick: Office) -> None:
    owner = Owner(quick)
    challenge, options = owner.ask()
    over: Caller = replace(owner.caller, session="0" * 32)
    add = owner.services.second_factor.add_passkey
    answer = owner.key.make(options)
    assert code_of(lambda: add(over, challenge, answer, "", LATER)) == "session_ended"


def test_nothing_of_a_key_s_maker_is_asked(quick: Office) -> None:
    owner = Owner(quick)
    _, options = owner.ask()
    said = json.loads(options)
    assert said["attestation"] == "none"
    assert decoded(said["user"]["id"]).decode() == owner.caller.user_id
    assert said["authenticatorSelection"]["userVerification"] == "required"
