"""Who asks too often is told to wait; nobody waits for somebody else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from shared.accounts import rates
from shared.accounts.rates import AT_ONCE, RATES, Per, Rate, Rates, Standing
from shared.api import web
from shared.errors import ConfigurationFault, TooManyTries
from shared.settings import Settings, load
from tests.ai.workplace import Clinic
from tests.api.conftest import Api, StartApi
from tests.tables import table

ROOT = Path(__file__).parent.parent.parent
STRANGER, PHONE = "203.0.113.66", "198.51.100.7"

#: A rate with three tokens, one a second; and those of an account.
SMALL = {"strangers": (3, 3), "requests": (3, 3), "log-ins": (3, 3)}


class Watch:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def small(clock: Watch) -> Rates:
    return Rates(SMALL, clock)


def waits(take: Callable[[], object]) -> float:
    """How long to wait, seconds; 0 if it was let through."""
    try:
        take()
    except TooManyTries as fault:
        return fault.retry_after_s or -1.0
    return 0


# --- counting in the process


def test_a_bucket_fills_again_evenly() -> None:
    clock = Watch()
    found = small(clock)

    def take() -> float:
        return waits(lambda: found.take(Per.ADDRESS, STRANGER))

    assert [take() for _ in range(5)] == [0, 0, 0, 1, 1]
    clock.now += 1
    assert [take() for _ in range(2)] == [0, 1]
    clock.now += 1_000
    assert [take() for _ in range(4)] == [0, 0, 0, 1]
    clock.now -= 500  # a clock that is set back takes nothing away and gives nothing
    assert take() == 1


def test_one_address_or_account_is_not_anothers() -> None:
    found = small(Watch())
    for _ in range(4):
        waits(lambda: found.take(Per.ADDRESS, STRANGER))
    assert not waits(lambda: found.take(Per.ADDRESS, PHONE))
    assert not waits(lambda: found.take(Per.ACCOUNT, STRANGER))


def test_requests_and_log_ins_of_an_address_are_counted_apart() -> None:
    found = small(Watch())
    for _ in range(4):
        waits(lambda: found.take(Per.ADDRESS, PHONE, ("GET", "/health")))
    assert waits(lambda: found.take(Per.ADDRESS, PHONE, ("GET", "/health")))
    for route in ("login", "refresh"):
        path = f"/api/v1/auth/{route}"
        assert not waits(lambda path=path: found.take(Per.ADDRESS, PHONE, ("POST", path)))


def test_this_machine_is_not_counted() -> None:
    found = small(Watch())
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        for _ in range(10):
            assert found.take(Per.ADDRESS, address) == []


def test_a_rate_of_zero_is_no_limit() -> None:
    found = Rates({"strangers": (0, 60)}, Watch())
    for _ in range(5_000):
        found.take(Per.ADDRESS, STRANGER)


def test_an_account_works_at_so_much_at_once() -> None:
    found = Rates()
    for _ in range(AT_ONCE):
        found.enter("amina")
    assert waits(lambda: found.enter("amina")) == 1
    found.enter("joseph")
    found.leave("amina")
    found.enter("amina")


def test_many_addresses_take_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_MOST_BUCKETS", 10)
    found = Rates()
    for number in range(100):
        found.take(Per.ADDRESS, f"203.0.113.{number}")
    assert len(found._buckets) == 10


# --- the fields


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (51.0, {}),
        (
            50.0,
            {"RateLimit-Policy": '"requests";q=100;w=60', "RateLimit": '"requests";r=50;t=30'},
        ),
        (0.5, {"RateLimit-Policy": '"requests";q=100;w=60', "RateLimit": '"requests";r=0;t=60'}),
    ],
)
def test_fields_say_what_is_left_from_half_of_it_on(held: float, said: dict[str, str]) -> None:
    assert rates.fields([Standing(Rate("requests", Per.ACCOUNT, 100, 60, ""), held)]) == said


# --- first syncs, in the store


def test_first_syncs_are_counted_over_all_instances(clinic: Clinic) -> None:
    """By account and by team; a new process knows what the last one counted."""
    few = {"first-syncs": (2, 600), "team-first-syncs": (3, 600)}

    def first(account: str, team: str, now_ms: int = 1_000_000) -> float:
        return waits(lambda: Rates(few).first_sync(clinic.store, account, [team], now_ms))

    assert [first("amina", "kito") for _ in range(3)] == [0, 0, 600]
    assert [first("joseph", "kito") for _ in range(2)] == [0, 600]
    assert first("doctor", "other") == 0
    assert first("amina", "kito", 1_599_000) == 1
    assert first("amina", "kito", 1_600_000) == 0


# --- over HTTP


def ask(api: Api, address: str, method: str = "GET", path: str = "/nothing", **more: object) -> int:
    headers = {"X-Forwarded-For": address}
    return api.ask(method, path, headers=headers, **more).status_code  # type: ignore[arg-type]


@pytest.fixture
def tight(start_api: StartApi) -> Api:
    api = start_api(rate_limits="strangers=3/600, requests=5/600, log-ins=2/600, first-syncs=2/600")
    web.rates_of.cache_clear()
    api.join("chw1")
    api.join("chw2")
    return api


def test_a_stranger_is_refused_and_a_phone_behind_the_same_address_is_not(tight: Api) -> None:
    # given a stranger who has asked too often, without a token and with a forged one
    said = [ask(tight, STRANGER), ask(tight, STRANGER, "GET", "/api/v1/jobs/x", token="forged")]
    said += [ask(tight, STRANGER) for _ in range(2)]
    assert said == [404, 401, 404, 429]
    assert ask(tight, STRANGER, "GET", "/api/v1/jobs/x", token="forged") == 429
    # then a phone of the same address syncs, and another address is heard
    body = {"last_sync_timestamp": 0}
    assert ask(tight, STRANGER, "POST", "/api/sync", body=body, token=tight.token()) == 200
    assert ask(tight, PHONE) == 404


def test_forged_entries_make_no_other_address(start_api: StartApi) -> None:
    api = start_api(rate_limits="strangers=3/600", trusted_proxies=1)
    web.rates_of.cache_clear()
    said = [ask(api, f"10.0.0.{number}, {STRANGER}") for number in range(5)]
    assert said == [404, 404, 404, 429, 429]


def test_a_refusal_says_when_and_what(tight: Api) -> None:
    def sync() -> TestResponse:
        body = {"last_sync_timestamp": 1_700_000_000}
        return tight.ask("POST", "/api/sync", body, token=tight.token())

    for _ in range(5):
        assert sync().status_code == 200
    refused = sync()
    assert refused.status_code == 429
    assert refused.get_json()["error"]["code"] == "too_many_tries"
    wait = int(refused.headers["Retry-After"])
    assert 0 < wait <= 120
    assert refused.get_json()["error"]["retry_after_s"] == wait
    assert refused.headers["RateLimit-Policy"] == '"requests";q=5;w=600'
    assert re.fullmatch(r'"requests";r=0;t=\d+', refused.headers["RateLimit"])


def test_what_a_phone_sent_is_stored_also_when_it_asks_for_everything_too_often(tight: Api) -> None:
    def sync(record: str) -> TestResponse:
        row = {"id": record, "demographics": {}, "last_modified_at": 1_700_000_000}
        body = {"last_sync_timestamp": 0, "changes": {"patients": [row]}}
        return tight.ask("POST", "/api/sync", body, token=tight.token("chw1"))

    assert [sync(f"p{number}").status_code for number in range(3)] == [200, 200, 429]
    # and a colleague's first sync brings it
    found = tight.ask("POST", "/api/sync", {"last_sync_timestamp": 0}, token=tight.token("chw2"))
    rows = found.get_json()["server_updates"]["patients"]
    assert sorted(row["id"] for row in rows) == ["p0", "p1", "p2"]


def test_an_answer_that_has_ended_makes_room_for_the_next(api: Api) -> None:
    api.join("chw1")
    for _ in range(2 * AT_ONCE):
        found = api.ask("GET", "/api/v1/sync?last_pulled_at=null", token=api.token())
        assert found.status_code == 200
        assert found.get_data()


def test_a_path_that_is_too_long_is_refused(api: Api) -> None:
    assert api.ask("GET", "/" + "a" * 9_000).status_code == 404
    found = api.ask("GET", "/" + "a" * 20_000)
    assert (found.status_code, found.get_json()["error"]["code"]) == (414, "uri_too_long")


# --- the setting and the page


def test_the_setting_changes_what_it_names() -> None:
    settings = Settings(rate_limits="log-ins=300/60,first-syncs=0/600")
    found = {rate.name: (rate.amount, rate.seconds) for rate in web.rates_of(settings).rates}
    usual = {rate.name: (rate.amount, rate.seconds) for rate in RATES}
    assert found == {**usual, "log-ins": (300, 60), "first-syncs": (0, 600)}


@pytest.mark.parametrize(
    "text", ["log-ins", "log-ins=5", "log-ins=-1/60", "log-ins=1/0", "x y=1/1"]
)
def test_a_setting_that_makes_no_sense_stops_the_start(text: str) -> None:
    with pytest.raises(ConfigurationFault, match="RATE_LIMITS"):
        load({"RATE_LIMITS": text})


def test_a_rate_that_is_none_stops_the_start() -> None:
    with pytest.raises(ConfigurationFault, match="log-outs"):
        rates.demand_known("log-outs=1/60, strangers=1/60")
    rates.demand_known("")


def test_the_page_shows_the_table() -> None:
    shown = {row[0].strip("`"): row[1:] for row in table(ROOT / "docs" / "security.md", "rate")}
    assert shown.keys() == {rate.name for rate in RATES}
    for rate in RATES:
        per, most, counted, why = shown[rate.name]
        assert per == rate.per.value
        assert most == f"{rate.amount:,} in {rate.seconds} s"
        assert counted == ("in the store" if rate.kept else "in each process")
        assert why == rate.why
