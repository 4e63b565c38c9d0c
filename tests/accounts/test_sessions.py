"""Sessions: a lost answer costs nothing, a stolen token ends the family, and a long absence is fine."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from shared.access.membership import Caller
from shared.accounts import session as sessions
from shared.accounts.token_issuer import Tokens
from shared.errors import Fault, StoreUnavailable, Unauthenticated
from shared.records.store import Query, Write, put
from tests.accounts.conftest import (
    ACCOUNTS,
    AWAY,
    DAY,
    HOME,
    LIFE,
    MINUTE,
    NOON,
    OPEN,
    PASSWORD,
    YEAR,
    Office,
    code_of,
    together,
)
from tests.stores import Interrupted


def refresh(office: Office, made: Tokens | str, now_ms: int = NOON) -> Tokens:
    token = made if isinstance(made, str) else made.refresh
    return office.accounts.sessions.refresh(token, now_ms)


def test_each_refresh_replaces_the_token_and_keeps_the_session(office: Office) -> None:
    first = office.register()
    second = refresh(office, first)
    third = refresh(office, second)
    assert len({first.refresh, second.refresh, third.refresh}) == 3
    assert {office.caller(each).session for each in (first, second, third)} == {
        office.caller(first).session
    }


def test_a_refresh_whose_answer_was_lost_gives_the_same_successor_again(office: Office) -> None:
    first = office.register()
    lost = refresh(office, first)
    # when the phone asks again, twice, an hour apart, then the same comes back, and it works
    assert refresh(office, first, NOON + 60 * MINUTE).refresh == lost.refresh
    assert refresh(office, first, NOON + 120 * MINUTE).refresh == lost.refresh
    assert code_of(lambda: refresh(office, lost)) == "ok"


def test_an_old_token_after_its_successor_was_used_is_theft_and_ends_the_family(
    office: Office,
) -> None:
    first = office.register()
    second = refresh(office, first)
    third = refresh(office, second)
    assert code_of(lambda: refresh(office, first)) == "refresh_reused"
    # then nobody of the family gets on, and everybody learns why
    for each in (first, second, third):
        assert code_of(lambda each=each: refresh(office, each)) == "refresh_reused"
    assert code_of(lambda: office.check(office.caller(third))) == "refresh_reused"
    # and another session of the same user is untouched
    other = office.accounts.login.log_in("amina@example.org", PASSWORD, AWAY, NOON)
    assert code_of(lambda: refresh(office, other)) == "ok"


def test_knowing_a_session_s_id_ends_nothing(office: Office) -> None:
    made = office.register()
    sid = office.caller(made).session
    built = base64.urlsafe_b64encode(bytes.fromhex(sid)[:16] + b"x" * 32).decode()
    for guess in (sid, sid.ljust(64, "0"), sid.upper().ljust(64, "A"), "A" * 64, built):
        assert code_of(lambda guess=guess: refresh(office, guess)) == "refresh_invalid"
        office.accounts.sessions.logout(guess, NOON)
    assert code_of(lambda: refresh(office, made)) == "ok"


@pytest.mark.parametrize(
    "token",
    ["", "x", "A" * 63, "A" * 65, "Ä" * 64, "a b" * 20, "=" * 64, "A" * 63 + "\n", "\x00" * 64,
     "../../sessions", "A" * 5000],
)  # fmt: skip
def test_what_is_no_refresh_token_gets_a_clear_answer(quick: Office, token: str) -> None:
    assert code_of(lambda: refresh(quick, token)) == "refresh_invalid"
    quick.accounts.sessions.logout(token, NOON)


def test_refreshes_side_by_side_agree_on_one_successor(office: Office) -> None:
    first = office.register()
    answers = together(*[lambda: refresh(office, first)] * 6)
    assert len({each.refresh for each in answers}) == 1
    assert code_of(lambda: refresh(office, answers[0])) == "ok"


def test_old_and_new_token_side_by_side_end_in_one_of_two_ways(office: Office) -> None:
    # the phone uses its new token while a thief repeats the old one: either came first
    first = office.register()
    second = refresh(office, first)
    old, new = together(lambda: refresh(office, first), lambda: refresh(office, second))
    if isinstance(old, Tokens):
        assert old.refresh == second.refresh
        assert isinstance(new, Tokens)
    else:
        assert old == "refresh_reused"
        # the new one was first, or it found the family ended
        assert isinstance(new, Tokens) or new == "refresh_reused"
        assert code_of(lambda: refresh(office, second)) == "refresh_reused"


def test_a_phone_that_comes_back_after_three_weeks_just_refreshes(office: Office) -> None:
    made = office.register()
    later = NOON + 21 * DAY
    back = refresh(office, made, later)
    assert office.caller(back, later).user_id == made.user_id
    # and its ninety days begin again
    assert back.refresh_ends_ms == later + LIFE


def test_a_phone_that_stays_away_too_long_logs_in_again(quick: Office) -> None:
    made = quick.register()
    assert code_of(lambda: refresh(quick, made, NOON + LIFE)) == "refresh_invalid"
    assert code_of(lambda: refresh(quick, made, NOON + LIFE - 1)) == "ok"


def test_logging_out_ends_one_session_whichever_of_its_tokens_is_shown(office: Office) -> None:
    first, other = (
        office.register(),
        office.accounts.login.log_in("amina@example.org", PASSWORD, HOME, NOON),
    )
    second = refresh(office, first)
    office.accounts.sessions.logout(first.refresh, NOON)
    office.accounts.sessions.logout(first.refresh, NOON)
    assert code_of(lambda: refresh(office, second)) == "session_ended"
    assert code_of(lambda: office.check(office.caller(second))) == "session_ended"
    assert code_of(lambda: refresh(office, other)) == "ok"


def test_a_new_password_ends_all_other_sessions_and_keeps_this_one(office: Office) -> None:
    mine = office.register()
    others = [
        office.accounts.login.log_in("amina@example.org", PASSWORD, AWAY, NOON) for _ in range(2)
    ]
    office.accounts.login.change_password(
        office.caller(mine), PASSWORD, "another good one", HOME, NOON
    )
    for each in others:
        assert code_of(lambda each=each: refresh(office, each)) == "session_ended"
        assert code_of(lambda each=each: office.check(office.caller(each))) == "session_ended"
    assert code_of(lambda: refresh(office, mine)) == "ok"
    login = office.accounts.login.log_in
    assert code_of(lambda: login("amina@example.org", PASSWORD, HOME, NOON)) == "credentials_wrong"
    assert code_of(lambda: login("amina@example.org", "another good one", HOME, NOON)) == "ok"


def test_a_refresh_that_meets_a_new_password_is_over(office: Office) -> None:
    # given a thief's refresh that has read, and is about to commit, when the password changes
    mine = office.register()
    stolen = office.accounts.login.log_in("amina@example.org", PASSWORD, AWAY, NOON)
    once = [
        lambda: office.accounts.administration.reset("amina@example.org", "another good one", NOON)
    ]

    def change(_: Sequence[Write]) -> None:
        if once:
            once.pop()()

    thief = office.on(Interrupted(office.store, before=change))
    assert code_of(lambda: thief.sessions.refresh(stolen.refresh, NOON)) == "session_ended"
    assert code_of(lambda: refresh(office, mine)) == "session_ended"


def test_a_kill_around_the_commit_of_a_refresh_loses_nothing(office: Office) -> None:
    made = office.register()

    def die(_: Sequence[Write]) -> None:
        raise StoreUnavailable("the connection broke")

    # nothing was applied, then everything was: in both the same request goes through afterwards
    for broken in (
        Interrupted(office.store, before=die),
        Interrupted(office.store, after=die),
    ):
        services = office.on(broken)
        assert (
            code_of(lambda services=services: services.sessions.refresh(made.refresh, NOON))
            == "store_unavailable"
        )
    after = refresh(office, made)
    assert code_of(lambda: refresh(office, after)) == "ok"


def test_the_store_holds_no_token_nor_password_nor_address(quick: Office) -> None:
    first = quick.register(name="Amina")
    second = refresh(quick, first)
    with pytest.raises(Unauthenticated):
        quick.accounts.login.log_in("amina@example.org", "wrong password", AWAY, NOON)
    kept = json.dumps(
        [
            [each.key, each.fields]
            for name in ("sessions", "accounts", "logins", "throttles", "memberships")
            for each in quick.store.query(Query(name))
        ]
    )
    assert "argon2id" in kept
    for secret in (first.refresh, second.refresh, PASSWORD, HOME.address, AWAY.address, "phone-1x"):
        assert secret not in kept
    assert len(list(quick.store.query(Query("throttles")))) >= 3  # else the addresses prove nothing


def test_a_database_alone_does_not_give_the_successor(quick: Office) -> None:
    # an old token, the salt and every hash are known, the server's secret is not
    first = quick.register()
    second = refresh(quick, first)
    [document] = quick.store.query(Query("sessions"))
    session = sessions.parse(document)
    for secret in (b"", b"x" * 32):
        _, guessed = sessions.refreshed(session, first.refresh, secret, NOON, YEAR)
        assert guessed != second.refresh
    # the same with the secret is the very successor, or the test above proves nothing
    _, known = sessions.refreshed(session, first.refresh, b"s" * 32, NOON, YEAR)
    assert known == second.refresh


def test_a_successor_takes_the_token_the_salt_and_the_secret() -> None:
    session, token = sessions.begin("u", None, 0, NOON, YEAR)
    salt, secret = "00" * 16, b"s" * 32
    one = sessions._successor(token, salt, secret)
    other_token = token[:32] + ("A" * 32 if token[32:] != "A" * 32 else "B" * 32)
    assert sessions.sid_of(other_token) == sessions.sid_of(token) == session.sid
    others = {
        sessions._successor(other_token, salt, secret),
        sessions._successor(token, "01" * 16, secret),
        sessions._successor(token, salt, b"t" * 32),
    }
    assert len({one, *others}) == 4
    assert {sessions.sid_of(each) for each in (one, *others)} == {session.sid}


def test_another_server_secret_asks_to_log_in_and_accuses_nobody(quick: Office) -> None:
    first = quick.register()
    second = refresh(quick, first)
    services = quick.on(quick.store, secret=b"t" * 32)
    assert code_of(lambda: services.sessions.refresh(first.refresh, NOON)) == "refresh_invalid"
    assert code_of(lambda: services.sessions.refresh(second.refresh, NOON)) == "ok"


def test_access_tokens_name_session_device_and_scopes(quick: Office) -> None:
    made = quick.register()
    quick.join(made.user_id, "team1", "supervisor")
    caller = quick.caller(refresh(quick, made))
    assert caller == Caller(made.user_id, "supervisor", "phone-1", caller.session)
    assert caller.session
    assert quick.check(caller).memberships.scopes == ("team1",)


def test_a_token_of_another_s_session_is_no_session(quick: Office) -> None:
    one, two = quick.register(), quick.register("bo@example.org")
    forged = replace(quick.caller(one), session=quick.caller(two).session)
    with pytest.raises(Fault) as caught:
        quick.check(forged)
    assert caught.value.code == "session_ended"


# --- how long, how many, and who ends them


def sids(office: Office, made: Tokens, now_ms: int = NOON) -> list[str]:
    return [each.sid for each in office.accounts.sessions.live(office.caller(made), now_ms)]


def test_a_session_ends_however_often_it_is_used(quick: Office) -> None:
    made, at = quick.register(), NOON
    while at < NOON + 365 * DAY - 60 * DAY:
        at += 60 * DAY
        made = quick.accounts.sessions.refresh(made.refresh, at)
    assert made.refresh_ends_ms == NOON + 365 * DAY
    assert (
        code_of(lambda: quick.accounts.sessions.refresh(made.refresh, NOON + 365 * DAY - 1)) == "ok"
    )
    made = quick.accounts.sessions.refresh(made.refresh, NOON + 365 * DAY - 1)
    assert (
        code_of(lambda: quick.accounts.sessions.refresh(made.refresh, NOON + 365 * DAY))
        == "refresh_invalid"
    )


@pytest.mark.parametrize(
    ("roles", "days"),
    [
        ((), 90),
        (("member",), 90),
        (("doctor",), 90),
        (("member", "supervisor"), 30),
        (("admin",), 30),
    ],
)
def test_roles_that_read_much_must_log_in_again_sooner(
    quick: Office, roles: tuple[str, ...], days: int
) -> None:
    policy = replace(OPEN, idle_days=ACCOUNTS.idle_days)
    services = quick.on(quick.store, policy=policy)
    made = services.registration.register("a@example.org", PASSWORD, HOME, NOON)
    for role in roles:
        quick.join(made.user_id, f"team-{role}", role)
    for got in (
        services.sessions.refresh(made.refresh, NOON),
        services.login.log_in("a@example.org", PASSWORD, HOME, NOON),
    ):
        assert got.refresh_ends_ms == NOON + days * DAY


def test_a_flood_of_log_ins_does_not_end_the_session_of_a_phone_in_use(office: Office) -> None:
    # given a phone that has refreshed once, weeks ago
    phone = refresh(office, office.register(), NOON + 1)
    # when somebody logs in again and again
    for number in range(2 * sessions.MOST):
        office.accounts.login.log_in("amina@example.org", PASSWORD, AWAY, NOON + 2 + number)
    # then there are as many as may be, and the phone's is among them
    caller = office.caller(phone)
    found = office.accounts.sessions.live(caller, NOON + DAY)
    assert len(found) == sessions.MOST
    assert caller.session in {each.sid for each in found}
    assert code_of(lambda: office.accounts.sessions.refresh(phone.refresh, NOON + DAY)) == "ok"


def test_the_session_that_was_not_used_for_longest_makes_room(quick: Office) -> None:
    made = [quick.register()]
    for number in range(1, sessions.MOST):
        made.append(quick.accounts.login.log_in("amina@example.org", PASSWORD, HOME, NOON + number))
    made = [refresh(quick, each, NOON + MINUTE + at) for at, each in enumerate(made)]
    first = refresh(quick, made[0], NOON + 2 * MINUTE)
    quick.accounts.login.log_in("amina@example.org", PASSWORD, HOME, NOON + 3 * MINUTE)
    assert (
        code_of(lambda: quick.accounts.sessions.refresh(first.refresh, NOON + 4 * MINUTE)) == "ok"
    )
    verdicts = [
        code_of(lambda it=it: quick.accounts.sessions.refresh(it.refresh, NOON + 4 * MINUTE))
        for it in made
    ]  # type: ignore[misc]
    assert verdicts[1:] == ["session_ended", *["ok"] * (sessions.MOST - 2)]


def test_sessions_are_listed_and_ended_one_by_one_and_all_at_once(office: Office) -> None:
    mine = office.register()
    other = office.accounts.login.log_in("amina@example.org", PASSWORD, AWAY, NOON + MINUTE)
    caller, theirs = office.caller(mine), office.caller(other, NOON + MINUTE)
    found = office.accounts.sessions.live(caller, NOON + MINUTE)
    assert [(each.sid, each.device) for each in found] == [
        (theirs.session, "elsewhere"),
        (caller.session, "phone-1"),
    ]
    # not with the token alone
    wrong = lambda: office.accounts.sessions.end(caller, theirs.session, "wrong word", HOME, NOON)  # noqa: E731
    assert code_of(wrong) == "credentials_wrong"
    for _ in range(2):  # a repetition whose answer was lost
        office.accounts.sessions.end(caller, theirs.session, PASSWORD, HOME, NOON + MINUTE)
    assert sids(office, mine) == [caller.session]
    assert (
        code_of(lambda: office.accounts.sessions.refresh(other.refresh, NOON + MINUTE))
        == "session_ended"
    )
    assert code_of(lambda: office.accounts.sessions.refresh(mine.refresh, NOON + MINUTE)) == "ok"
    office.accounts.login.log_in("amina@example.org", PASSWORD, AWAY, NOON + 2 * MINUTE)
    office.accounts.sessions.end_all(caller, PASSWORD, HOME, NOON + 3 * MINUTE)
    assert code_of(lambda: office.check(caller)) == "session_ended"
    again = office.accounts.login.log_in("amina@example.org", PASSWORD, HOME, NOON + 4 * MINUTE)
    caller = office.caller(again, NOON + 4 * MINUTE)
    assert [each.sid for each in office.accounts.sessions.live(caller, NOON + 4 * MINUTE)] == [
        caller.session
    ]


def test_nobody_ends_another_s_session(quick: Office) -> None:
    one, two = quick.register(), quick.register("bo@example.org")
    theirs = quick.caller(two).session
    for sid in (theirs, "nothing"):
        end = lambda sid=sid: quick.accounts.sessions.end(  # noqa: E731
            quick.caller(one), sid, PASSWORD, HOME, NOON
        )
        assert code_of(end) == "not_found"
    assert code_of(lambda: quick.check(quick.caller(two))) == "ok"


def test_a_session_from_before_sessions_were_listed_goes_on_and_is_listed_once_refreshed(
    quick: Office,
) -> None:
    made = quick.register()
    key = sessions.key(quick.caller(made).session)
    document = quick.store.read([key]).documents[key]
    older = {n: v for n, v in document.fields.items() if n not in ("live_of", "used_at")}
    quick.store.commit([put(key, older, document.version)])
    assert sids(quick, made) == []
    refresh(quick, made, NOON + 1)
    assert sids(quick, made) == [quick.caller(made).session]


def test_what_has_ended_keeps_no_device(quick: Office) -> None:
    made = quick.register()
    key = sessions.key(quick.caller(made).session)
    quick.accounts.sessions.logout(made.refresh, NOON)
    assert "phone-1" not in str(quick.store.read([key]).documents[key].fields)
