"""Wrong passwords get slower and slower, and nobody can be locked out by somebody else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access.audit import OPERATOR
from shared.accounts.caller import Origin
from shared.accounts.services import AccountServices
from shared.accounts.throttle import Backoff, Tally, Window, client_address
from shared.errors import TooManyTries
from shared.records.store import Query, Write
from tests.accounts.conftest import (
    AWAY,
    DAY,
    HOME,
    MINUTE,
    NOON,
    PASSWORD,
    Office,
    code_of,
    together,
)
from tests.stores import Interrupted

EMAIL = "amina@example.org"
RULE = Backoff(free=3, first_ms=1000, longest_ms=60_000, forget_ms=DAY)


def attempt(office: Office, password: str, origin: Origin, now_ms: int, email: str = EMAIL) -> str:
    return code_of(lambda: office.accounts.login.log_in(email, password, origin, now_ms))


def attack(office: Office, origin: Origin, now_ms: int, tries: int = 12) -> int:
    """Wrong passwords as fast as the gate lets them through; the time of the last one."""
    for _ in range(tries):
        while attempt(office, "wrong password", origin, now_ms) == "too_many_tries":
            with pytest.raises(TooManyTries) as caught:
                office.accounts.login.log_in(EMAIL, "wrong password", origin, now_ms)
            assert caught.value.retry_after_s
            now_ms += int(caught.value.retry_after_s * 1000)
    return now_ms


# --- the rules


@pytest.mark.parametrize(
    ("wrong", "wait"),
    [(0, 0), (2, 0), (3, 1000), (4, 2000), (5, 4000), (8, 32_000), (9, 60_000), (10**6, 60_000)],
)
def test_waits_double_up_to_the_longest(wrong: int, wait: int) -> None:
    assert RULE.wait_ms(Tally(wrong, 0, NOON), NOON) == wait


@given(wrong=st.integers(0, 10**9), past=st.integers(-(10**12), 10**12))
def test_no_clock_and_no_count_makes_a_wait_longer_than_the_longest(wrong: int, past: int) -> None:
    wait = RULE.wait_ms(Tally(wrong, NOON, NOON), NOON + past)
    assert 0 <= wait <= RULE.longest_ms
    # and who waits as long as is asked may try
    assert RULE.wait_ms(Tally(wrong, NOON, NOON), max(NOON, NOON + past) + wait) == 0


@given(wrong=st.integers(0, 10), since=st.integers(-DAY, DAY))
def test_a_window_never_asks_for_more_than_its_span(wrong: int, since: int) -> None:
    rule = Window(most=5, span_ms=900_000)
    wait = rule.wait_ms(Tally(wrong, NOON + since, NOON), NOON)
    assert 0 <= wait <= 900_000
    assert (wait > 0) is (wrong >= 5 and since > -900_000)


def test_all_is_forgotten_after_a_day() -> None:
    tally = Tally(50, NOON, NOON)
    assert RULE.counted(tally, NOON + DAY).wrong == 1
    assert RULE.counted(tally, NOON + DAY - 1).wrong == 51


# --- at log-in


def test_five_tries_are_free_then_even_the_right_password_waits(office: Office) -> None:
    office.register()
    thief = Origin("203.0.113.5")
    said = [attempt(office, "wrong password", thief, NOON) for _ in range(6)]
    assert said == ["credentials_wrong"] * 5 + ["too_many_tries"]
    assert attempt(office, PASSWORD, thief, NOON) == "too_many_tries"
    assert attempt(office, PASSWORD, thief, NOON + 1_999) == "too_many_tries"
    assert attempt(office, PASSWORD, thief, NOON + 2_000) == "ok"
    # a right password clears the account's tally
    assert attempt(office, "wrong password", AWAY, NOON + 2_000) == "credentials_wrong"
    assert attempt(office, PASSWORD, AWAY, NOON + 2_000) == "ok"


def test_waiting_costs_no_hash_and_unknown_accounts_wait_alike(office: Office) -> None:
    for email in (EMAIL, "nobody@example.org"):
        if email == EMAIL:
            office.register()
        where = Origin(f"203.0.113.{len(email)}")
        said = [attempt(office, "wrong password", where, NOON, email) for _ in range(5)]
        assert said == ["credentials_wrong"] * 5
        office.passwords.verified = 0
        assert attempt(office, "wrong password", where, NOON, email) == "too_many_tries"
        assert office.passwords.verified == 0


def test_tallies_survive_a_restart_and_hold_over_instances(office: Office) -> None:
    office.register()
    for _ in range(5):
        services = office.on(office.store)
        code_of(
            lambda services=services: services.login.log_in(EMAIL, "wrong password", AWAY, NOON)
        )
    fresh = office.on(office.store)
    assert code_of(lambda: fresh.login.log_in(EMAIL, PASSWORD, AWAY, NOON)) == "too_many_tries"


def test_tries_side_by_side_are_counted_one_by_one(office: Office) -> None:
    office.register()
    places = [Origin(f"203.0.113.{number}") for number in range(10)]
    said = together(
        *(
            lambda p=place: office.accounts.login.log_in(EMAIL, "wrong password", p, NOON)
            for place in places
        )  # type: ignore[misc]
    )
    assert sorted(said) == ["credentials_wrong"] * 5 + ["too_many_tries"] * 5


@pytest.mark.parametrize(
    "place",
    [Origin("203.0.113.200", HOME.device), Origin(HOME.address, None), HOME],
    ids=["device elsewhere", "address without device", "both"],
)
def test_a_known_place_gets_through_while_an_account_is_attacked(
    office: Office, place: Origin
) -> None:
    office.register()  # from HOME
    now = NOON
    for round_number in range(3):  # for as long as it lasts
        now = attack(office, Origin(f"198.51.100.{round_number}", "thief"), now)
        assert attempt(office, PASSWORD, AWAY, now) == "too_many_tries"
        assert attempt(office, PASSWORD, place, now) == "ok"
        now += 15 * MINUTE


def test_a_known_device_gets_through_while_its_address_is_attacked(office: Office) -> None:
    office.register()
    for number in range(30):  # somebody behind the same address tries other accounts
        attempt(office, "wrong password", Origin(HOME.address), NOON, f"p{number}@example.org")
    assert attempt(office, PASSWORD, Origin(HOME.address), NOON) == "too_many_tries"
    assert attempt(office, PASSWORD, HOME, NOON) == "ok"


def test_a_known_place_is_no_way_in_for_who_guesses_there(office: Office) -> None:
    office.register()
    now = attack(office, AWAY, NOON)
    said = [attempt(office, "wrong password", HOME, now) for _ in range(6)]
    # five by the device; the address beside it has a tally of its own
    assert said == ["credentials_wrong"] * 6
    said = [attempt(office, "wrong password", HOME, now) for _ in range(5)]
    assert said == ["credentials_wrong"] * 4 + ["too_many_tries"]


def test_one_address_cannot_try_many_accounts_fast(office: Office) -> None:
    thief = Origin("203.0.113.77")
    said = [
        attempt(office, "wrong password", thief, NOON, f"p{number}@example.org")
        for number in range(21)
    ]
    assert said == ["credentials_wrong"] * 20 + ["too_many_tries"]


def test_a_good_account_of_the_attacker_s_clears_nothing_at_the_address(quick: Office) -> None:
    quick.accounts.registration.register("thief@example.org", PASSWORD, Origin("203.0.113.1"), NOON)
    thief = Origin("203.0.113.77")
    for number in range(20):
        attempt(quick, "wrong password", thief, NOON, f"p{number}@example.org")
        if number % 5 == 0:
            assert attempt(quick, PASSWORD, thief, NOON, "thief@example.org") == "ok"
    assert attempt(quick, "wrong password", thief, NOON, "q@example.org") == "too_many_tries"


def test_an_attack_gets_about_a_hundred_tries_a_day(quick: Office) -> None:
    quick.register()
    end = attack(quick, Origin("203.0.113.5"), NOON, tries=100)
    assert end - NOON > 0.85 * DAY


def test_wrong_old_passwords_are_counted_like_log_ins(office: Office) -> None:
    made = office.register()
    caller = office.caller(made)
    change = office.accounts.login.change_password
    said = [
        code_of(lambda: change(caller, "wrong password", "another good one", AWAY, NOON))
        for _ in range(6)
    ]
    assert said == ["credentials_wrong"] * 5 + ["too_many_tries"]
    # a stolen phone cannot go on by logging in from there either
    assert attempt(office, PASSWORD, AWAY, NOON) == "too_many_tries"


def test_many_registrations_of_one_address_wait(quick: Office) -> None:
    def register(number: int, now_ms: int) -> str:
        act = quick.accounts.registration.register
        return code_of(lambda: act(f"p{number}@example.org", PASSWORD, HOME, now_ms))

    assert {register(number, NOON) for number in range(30)} == {"ok"}
    assert register(30, NOON) == "too_many_tries"
    assert register(30, NOON + 60 * MINUTE) == "ok"


def test_asking_which_addresses_are_registered_waits_too(quick: Office) -> None:
    quick.register()
    where, act = Origin("203.0.113.9"), quick.accounts.registration.register
    said = [code_of(lambda: act(EMAIL, PASSWORD, where, NOON)) for _ in range(31)]
    assert said == ["email_taken"] * 30 + ["too_many_tries"]


def test_tallies_end_some_day(quick: Office) -> None:
    quick.register()
    attempt(quick, "wrong password", AWAY, NOON)
    for document in quick.store.query(Query("throttles")):
        assert document.fields["expires_at"] > NOON + DAY


@pytest.mark.parametrize("what", ["log-in", "join", "register", "password"])
def test_a_right_try_among_wrong_ones_is_judged_after_them(office: Office, what: str) -> None:
    """Else many side by side would all be heard: each right before the others are counted."""
    made = office.register()
    caller, thief = office.caller(made), Origin("203.0.113.5")
    code = office.accounts.invites.make(OPERATOR, "team1", "member", 1, 5, NOON)[0]

    def on(services: AccountServices, word: str, code: str) -> str:
        acts = {
            "log-in": lambda: services.login.log_in(EMAIL, word, thief, NOON),
            "join": lambda: services.invites.join(caller, code, thief, NOON),
            "register": lambda: services.registration.register(
                "b@example.org", PASSWORD, thief, NOON, code=code
            ),
            "password": lambda: services.login.change_password(
                caller, word, "another good one", thief, NOON
            ),
        }
        return code_of(acts[what])

    waiting = [5]

    def others(_: Sequence[Write]) -> None:
        while waiting[0]:
            waiting[0] -= 1
            assert on(office.accounts, "wrong password", "WRONG2") != "ok"

    slow = office.on(Interrupted(office.store, before=others))
    assert on(slow, PASSWORD, code) == "too_many_tries"
    assert waiting == [0]


# --- addresses

FORWARDED = [
    # remote, header, our proxies, who it is
    ("192.0.2.1", "", 0, "192.0.2.1"),
    ("192.0.2.1", "203.0.113.9", 0, "192.0.2.1"),  # nobody's word counts
    ("10.0.0.1", "203.0.113.9", 1, "203.0.113.9"),
    ("10.0.0.1", "6.6.6.6, 203.0.113.9", 1, "203.0.113.9"),
    ("10.0.0.1", "6.6.6.6, 203.0.113.9, 35.0.0.1", 2, "203.0.113.9"),
    ("10.0.0.1", "203.0.113.9,35.0.0.1", 2, "203.0.113.9"),
    ("10.0.0.1", "203.0.113.9", 2, "10.0.0.1"),  # it did not come through the balancer
    ("10.0.0.1", "", 2, "10.0.0.1"),
    ("10.0.0.1", "drop table, 35.0.0.1", 2, "unknown"),
    ("127.0.0.1", "6.6.6.6, 203.0.113.9", 0, "203.0.113.9"),  # a proxy on this machine
    ("::ffff:127.0.0.1", "203.0.113.9", 0, "203.0.113.9"),
    ("::1", "203.0.113.9", 0, "203.0.113.9"),
    ("127.0.0.1", "", 0, "127.0.0.1"),
    ("128.0.0.1", "203.0.113.9", 0, "128.0.0.1"),
    (None, "203.0.113.9", 0, "unknown"),
    (None, "", 0, "unknown"),
    ("::1", "2001:db8:1:2:3:4:5:6", 1, "2001:db8:1:2::"),
    ("::1", "2001:db8:1:2:ffff::1", 1, "2001:db8:1:2::"),
    ("::1", "::ffff:192.0.2.7", 1, "192.0.2.7"),
]


@pytest.mark.parametrize(("remote", "header", "proxies", "who"), FORWARDED)
def test_an_address_is_what_our_own_proxy_wrote(
    remote: str | None, header: str, proxies: int, who: str
) -> None:
    assert client_address(remote, header, proxies) == who
