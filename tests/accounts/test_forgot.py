"""A forgotten password: a code by mail that is good once, and nothing that tells who has an account."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pyotp
import pytest

from shared.access.audit import COLLECTION as AUDIT
from shared.accounts import throttle
from shared.accounts.caller import Origin
from shared.accounts.forgotten import ACCOUNT_ASKS, ADDRESS_ASKS, GOOD_MS, PAGE, Letter
from shared.accounts.services import AccountServices
from shared.records.store import Key, Query, RecordStore, Snapshot, Write
from tests.accounts.conftest import (
    AWAY,
    HOME,
    NOON,
    PASSWORD,
    Office,
    code_of,
    together,
)

EMAIL = "amina@example.org"
OTHER = "another horse battery"
LATER = NOON + ACCOUNT_ASKS.span_ms


class Post:
    """Keeps letters, and how often it was asked to send one or none."""

    def __init__(self) -> None:
        self.asked: list[Letter | None] = []

    def __call__(self, letter: Letter | None) -> None:
        self.asked.append(letter)

    @property
    def letters(self) -> list[Letter]:
        return [each for each in self.asked if each is not None]

    def code(self) -> str:
        found = re.findall(r"^[\w-]{43}$", self.letters[-1].text, re.M)
        assert len(found) == 1
        return str(found[0])


class Counting:
    """A store that counts what is asked of it."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self.done: list[tuple[str, int]] = []

    def read(self, keys: Any, *more: Any, **named: Any) -> Snapshot:
        self.done.append(("read", len(keys)))
        return self._store.read(keys, *more, **named)

    def commit(self, writes: list[Write]) -> int:
        self.done.append(("commit", len(writes)))
        return self._store.commit(writes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.fixture
def post() -> Post:
    return Post()


def mailing(office: Office, post: Post) -> AccountServices:
    return office.on(office.store, post=post, address="https://care.example.org")


def test_a_code_sets_another_password_and_ends_every_session(office: Office, post: Post) -> None:
    # given somebody who is logged in, and forgot their password
    services = mailing(office, post)
    caller = office.caller(office.register(EMAIL))
    # when the code of the mail is shown
    services.forgotten.ask(f" {EMAIL.upper()} ", HOME, NOON)
    [letter] = post.letters
    assert letter.to == EMAIL
    assert f"https://care.example.org{PAGE}#{post.code()}" in letter.text
    user = services.forgotten.reset(post.code(), OTHER, HOME, NOON + 1)
    # then
    assert user == caller.user_id
    assert code_of(lambda: office.check(caller)) == "session_ended"
    log_in = services.login.log_in
    assert code_of(lambda: log_in(EMAIL, PASSWORD, HOME, NOON)) == "credentials_wrong"
    assert code_of(lambda: log_in(EMAIL, OTHER, HOME, NOON)) == "ok"
    actions = [each.fields["action"] for each in office.store.query(Query(AUDIT))]
    assert actions.count("recover-password") == 1


def test_only_the_hash_of_a_code_is_stored(quick: Office, post: Post) -> None:
    services = mailing(quick, post)
    quick.register(EMAIL)
    services.forgotten.ask(EMAIL, HOME, NOON)
    [stored] = quick.store.query(Query("resets"))
    assert stored.key == Key("resets", hashlib.sha256(post.code().encode()).hexdigest())
    assert post.code() not in str(stored.fields)


def test_a_code_is_good_once(office: Office, post: Post) -> None:
    services = mailing(office, post)
    office.register(EMAIL)
    services.forgotten.ask(EMAIL, HOME, NOON)
    services.forgotten.reset(post.code(), OTHER, HOME, NOON)
    again = lambda: services.forgotten.reset(post.code(), PASSWORD, HOME, NOON)  # noqa: E731
    assert code_of(again) == "reset_invalid"
    assert code_of(lambda: services.login.log_in(EMAIL, OTHER, HOME, NOON)) == "ok"


def test_of_two_resets_at_one_moment_one_counts(office: Office, post: Post) -> None:
    services = mailing(office, post)
    office.register(EMAIL)
    services.forgotten.ask(EMAIL, HOME, NOON)
    code, words = post.code(), (OTHER, "a third horse battery")
    said = together(
        *(lambda word=word: services.forgotten.reset(code, word, HOME, NOON) for word in words)
    )
    assert sorted(each == "reset_invalid" for each in said) == [False, True]
    kept = words[said.index("reset_invalid") ^ 1]
    assert code_of(lambda: services.login.log_in(EMAIL, kept, HOME, NOON)) == "ok"


@pytest.mark.parametrize(("after_ms", "said"), [(GOOD_MS - 1, "ok"), (GOOD_MS, "reset_invalid")])
def test_a_code_is_good_for_half_an_hour(
    quick: Office, post: Post, after_ms: int, said: str
) -> None:
    services = mailing(quick, post)
    quick.register(EMAIL)
    services.forgotten.ask(EMAIL, HOME, NOON)
    reset = services.forgotten.reset
    assert code_of(lambda: reset(post.code(), OTHER, HOME, NOON + after_ms)) == said


def test_another_password_makes_every_code_void(quick: Office, post: Post) -> None:
    services = mailing(quick, post)
    quick.register(EMAIL)
    services.forgotten.ask(EMAIL, HOME, NOON)
    first = post.code()
    services.forgotten.ask(EMAIL, HOME, LATER)
    assert post.code() != first
    services.forgotten.reset(post.code(), OTHER, HOME, LATER)
    reset = services.forgotten.reset
    assert code_of(lambda: reset(first, PASSWORD, HOME, LATER)) == "reset_invalid"


@pytest.mark.parametrize(
    "code", ["", "x", "x" * 43, "x" * 44, "ü" * 43, "../" * 15, "x" * 42 + "\n"]
)
def test_what_is_no_code_changes_nothing(quick: Office, post: Post, code: str) -> None:
    services = mailing(quick, post)
    quick.register(EMAIL)
    services.forgotten.ask(EMAIL, HOME, NOON)
    assert code_of(lambda: services.forgotten.reset(code, OTHER, HOME, NOON)) == "reset_invalid"
    assert quick.passwords.hashed == 1  # that of the registration: strangers cost no hash


def test_a_password_that_is_refused_leaves_the_code_good(quick: Office, post: Post) -> None:
    services = mailing(quick, post)
    quick.register(EMAIL)
    services.forgotten.ask(EMAIL, HOME, NOON)
    reset = services.forgotten.reset
    assert code_of(lambda: reset(post.code(), "short", HOME, NOON)) == "password_length"
    assert code_of(lambda: reset(post.code(), EMAIL, HOME, NOON)) == "password_guessable"
    assert code_of(lambda: reset(post.code(), OTHER, HOME, NOON)) == "ok"


def test_a_second_factor_stays(quick: Office, post: Post) -> None:
    services = mailing(quick, post)
    caller = quick.caller(quick.register(EMAIL))
    secret, _ = services.second_factor.begin(caller, PASSWORD, None, HOME, NOON)
    first = pyotp.TOTP(secret).at(NOON // 1000)
    services.second_factor.confirm(caller, first, HOME, NOON)
    services.forgotten.ask(EMAIL, HOME, NOON)
    services.forgotten.reset(post.code(), OTHER, HOME, NOON)
    log_in = services.login.log_in
    assert code_of(lambda: log_in(EMAIL, OTHER, HOME, NOON)) == "totp_required"


# --- nothing tells who has an account


def test_an_unknown_address_costs_as_much_and_is_answered_alike(quick: Office, post: Post) -> None:
    quick.register(EMAIL)
    done = []
    for email in (EMAIL, "nobody@example.org"):
        store = Counting(quick.store)
        services = quick.on(store, post=post, address="https://care.example.org")  # type: ignore[arg-type]
        services.forgotten.ask(email, HOME, NOON)
        done.append(store.done)
    assert done[0] == done[1]
    assert [each is not None for each in post.asked] == [True, False]


def test_an_account_gets_one_mail_in_five_minutes_and_the_answer_is_the_same(
    quick: Office, post: Post
) -> None:
    services = mailing(quick, post)
    quick.register(EMAIL)
    for at in (NOON, NOON + 1, LATER - 1, LATER):
        services.forgotten.ask(EMAIL, AWAY, at)
    assert [each is not None for each in post.asked] == [True, False, False, True]


def test_of_many_that_ask_at_one_moment_one_gets_a_mail(office: Office, post: Post) -> None:
    services = mailing(office, post)
    office.register(EMAIL)
    asks = [
        lambda n=n: services.forgotten.ask(EMAIL, Origin(f"192.0.2.{n}"), NOON) for n in range(4)
    ]
    said = together(*asks)
    assert set(said) <= {None, "busy"}
    assert len(post.letters) == 1


def test_an_address_may_ask_so_often(quick: Office, post: Post) -> None:
    services = mailing(quick, post)
    ask = services.forgotten.ask
    for number in range(ADDRESS_ASKS.most):
        ask(f"user{number}@example.org", AWAY, NOON)
    assert code_of(lambda: ask(EMAIL, AWAY, NOON)) == "too_many_tries"
    assert code_of(lambda: ask(EMAIL, HOME, NOON)) == "ok"
    assert code_of(lambda: ask(EMAIL, AWAY, NOON + ADDRESS_ASKS.span_ms)) == "ok"


def test_a_closed_account_gets_no_mail_and_its_code_is_refused(quick: Office, post: Post) -> None:
    services = mailing(quick, post)
    user = quick.caller(quick.register(EMAIL)).user_id
    services.forgotten.ask(EMAIL, HOME, NOON)
    services.administration.disable(user, NOON)
    reset = services.forgotten.reset
    assert code_of(lambda: reset(post.code(), OTHER, HOME, NOON)) == "reset_invalid"
    services.forgotten.ask(EMAIL, HOME, LATER)
    assert len(post.letters) == 1


def test_who_types_wrong_passwords_may_log_in_after_a_reset(quick: Office, post: Post) -> None:
    services = mailing(quick, post)
    quick.register(EMAIL)
    elsewhere = Origin("203.0.113.9")
    for _ in range(6):
        code_of(lambda: services.login.log_in(EMAIL, "wrong password", elsewhere, NOON))
    log_in = lambda: services.login.log_in(EMAIL, OTHER, elsewhere, NOON)  # noqa: E731
    assert code_of(log_in) == "too_many_tries"
    services.forgotten.ask(EMAIL, elsewhere, NOON)
    services.forgotten.reset(post.code(), OTHER, elsewhere, NOON)
    assert code_of(log_in) == "ok"


def test_without_mail_everything_is_refused_by_name(quick: Office) -> None:
    forgotten = quick.accounts.forgotten
    assert forgotten.is_on is False
    assert code_of(lambda: forgotten.ask(EMAIL, HOME, NOON)) == "mail_off"
    assert code_of(lambda: forgotten.reset("x" * 43, OTHER, HOME, NOON)) == "mail_off"


def test_gates_hold_no_address_in_the_clear(quick: Office, post: Post) -> None:
    mailing(quick, post).forgotten.ask(EMAIL, HOME, NOON)
    stored = str(list(quick.store.query(Query(throttle.COLLECTION))))
    assert "forgot-account~" in stored
    assert EMAIL not in stored
    assert HOME.address not in stored
