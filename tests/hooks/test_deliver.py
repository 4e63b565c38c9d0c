"""Deliveries, on both stores: at least once, under one id, to those alone who asked for them."""

from __future__ import annotations

import hmac
import logging
from base64 import b64decode
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from statistics import mean

import orjson
import pytest

from shared.errors import StoreUnavailable
from shared.hooks import endpoint as endpoints
from shared.hooks.deliver import DISABLED_AFTER_MS, POLICY, REST_MS
from shared.hooks.fan_out import KIND
from shared.hooks.signature import signature
from shared.records.store import Query, Write
from tests.hooks.conftest import LEASE_MS, NOTE_RED, NOTE_SIGNED, Desk, Receiver, Seen
from tests.stores import Interrupted

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def is_signed(seen: Seen, secret: str) -> bool:
    """What a receiver does, in the words of the specification."""
    signed = (
        f"{seen.headers['webhook-id']}.{seen.headers['webhook-timestamp']}.".encode() + seen.body
    )
    key = b64decode(secret.removeprefix("whsec_"))
    made = hmac.digest(key, signed, sha256)
    given = [each.split(",") for each in seen.headers["webhook-signature"].split(" ")]
    return any(kind == "v1" and b64decode(text) == made for kind, text in given)


def test_the_specification_s_own_example_is_signed_alike() -> None:
    # libraries/python/tests/test_webhooks.py of standard-webhooks/standard-webhooks
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    made = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_event_reaches_the_endpoints_of_its_scope_that_want_it(
    desk: Desk, receiver: Receiver, other: Receiver
) -> None:
    # given an endpoint here, one that wants something else, and one of another team
    _, secret, _ = desk.endpoint(receiver.url)
    desk.endpoint(other.url, "note.signed")
    desk.endpoint(other.url, team="team2")
    # when it happens
    name = desk.happen("n1")
    assert list(desk.deliver().values()) == ["done"]
    # then one has heard of it, in so many words
    [seen] = receiver.seen
    assert (seen.path, other.seen) == ("/in?key=1", [])
    assert seen.headers["webhook-id"] == name
    assert seen.headers["webhook-timestamp"] == str(desk.time // 1000)
    assert seen.headers["content-type"] == "application/json"
    assert is_signed(seen, secret)
    assert orjson.loads(seen.body) == {
        "id": name,
        "type": "note.red",
        "timestamp": "2027-01-15T08:00:00.000Z",
        "data": {"scope_id": "team1", "note_id": "n1", "path": "/api/v1/notes/n1"},
    }
    assert [bell.kind for bell in desk.rung] == [KIND]


def test_an_event_of_a_scope_without_endpoints_leaves_nothing(desk: Desk) -> None:
    desk.happen("n1")
    assert desk.deliver() == {}
    assert (desk.events(), desk.jobs(), desk.rung) == ([], [], [])


def test_sweepers_and_workers_at_once_send_once(desk: Desk, receiver: Receiver) -> None:
    desk.endpoint(receiver.url)
    desk.happen("n1")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: desk.deliver(), range(4)))
    desk.deliver()
    assert len(receiver.seen) == 1


# --- failures


def test_it_is_tried_for_about_three_days_and_is_a_dead_letter_then(
    desk: Desk, receiver: Receiver
) -> None:
    place, _, access = desk.endpoint(receiver.url)
    receiver.status, began = 500, desk.time
    desk.happen("n1")
    desk.deliver()
    while desk.job().state == "queued":
        desk.until_due()
        desk.deliver()
    assert desk.job().state == "parked"
    assert len(receiver.seen) == POLICY.attempts
    assert 45 * HOUR_MS < desk.time - began < 91 * HOUR_MS
    [told] = desk.hooks.deliveries(access, place.endpoint.id)
    assert (told.state, told.attempts, told.last_status) == ("failed", POLICY.attempts, 500)
    # every attempt had the same id and body, and a signature and time of its own
    assert len({(each.headers["webhook-id"], each.body) for each in receiver.seen}) == 1
    assert len({each.headers["webhook-timestamp"] for each in receiver.seen}) == POLICY.attempts


def test_the_waits_are_three_days_on_the_average() -> None:
    days = [
        sum(POLICY.wait_ms(attempt) for attempt in range(1, POLICY.attempts)) / DAY_MS
        for _ in range(200)
    ]
    assert 2.7 < mean(days) < 3.3


def test_what_was_parked_is_delivered_when_it_is_redriven(desk: Desk, receiver: Receiver) -> None:
    _, secret, _ = desk.endpoint(receiver.url)
    receiver.status = 500
    name = desk.happen("n1")
    desk.deliver()
    while desk.job().state == "queued":
        desk.until_due()
        desk.deliver()
    receiver.status = 200
    desk.worker().redrive()
    assert list(desk.deliver().values()) == ["done"]
    assert receiver.seen[-1].headers["webhook-id"] == name
    assert is_signed(receiver.seen[-1], secret)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 409, 500])
def test_anything_but_success_is_tried_again(
    embedded: Desk, receiver: Receiver, other: Receiver, status: int
) -> None:
    place, _, access = embedded.endpoint(receiver.url)
    receiver.status, receiver.headers = status, {"Location": other.url}
    embedded.happen("n1")
    assert list(embedded.deliver().values()) == ["queued"]
    [told] = embedded.hooks.deliveries(access, place.endpoint.id)
    assert (told.state, told.attempts, told.last_status) == ("waiting", 1, status)
    assert other.seen == []
    assert 10_000 <= embedded.until_due() <= 20_000


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success(embedded: Desk, receiver: Receiver, status: int) -> None:
    embedded.endpoint(receiver.url)
    receiver.status = status
    embedded.happen("n1")
    assert list(embedded.deliver().values()) == ["done"]


@pytest.mark.parametrize(
    ("said", "least_s", "most_s"),
    [
        ("120", 120, 120),
        ("Fri, 15 Jan 2027 08:10:00 GMT", 600, 600),
        ("999999999", POLICY.cap_seconds, POLICY.cap_seconds),
        ("soon", 10, 20),
        ("-5", 10, 20),
        ("", 10, 20),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept(
    embedded: Desk, receiver: Receiver, said: str, least_s: float, most_s: float, status: int
) -> None:
    embedded.endpoint(receiver.url)
    receiver.status, receiver.headers = status, {"Retry-After": said}
    embedded.happen("n1")
    embedded.deliver()
    assert least_s * 1000 <= embedded.until_due() <= most_s * 1000


def test_410_disables_the_endpoint_at_once(
    desk: Desk, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    place, _, access = desk.endpoint(receiver.url)
    receiver.status = 410
    desk.happen("n1")
    with caplog.at_level(logging.ERROR):
        assert list(desk.deliver().values()) == ["failed"]
    assert [each.getMessage() for each in caplog.records] == ["hook disabled"]
    found = desk.hooks.find(access, place.endpoint.id).endpoint
    assert (found.disabled_at, found.disabled_for) == (desk.time, endpoints.GONE)
    # what happens now is not sent
    desk.happen("n2")
    desk.deliver()
    assert len(receiver.seen) == 1


def test_an_endpoint_without_success_for_five_days_is_disabled(
    desk: Desk, receiver: Receiver
) -> None:
    place, _, access = desk.endpoint(receiver.url)
    receiver.status, began = 500, desk.time

    def found() -> endpoints.Endpoint:
        return desk.hooks.find(access, place.endpoint.id).endpoint

    desk.happen("n1")
    desk.deliver()
    assert (found().failing_since, found().disabled_at) == (began, None)
    # four days later it still fails, and is still asked
    desk.time = began + DISABLED_AFTER_MS - 1
    desk.happen("n2")
    desk.deliver()
    assert found().disabled_at is None
    desk.time = began + DISABLED_AFTER_MS
    desk.happen("n3")
    desk.deliver()
    assert found().disabled_for == endpoints.FAILING
    # enabled again, all that it missed reaches it, what happened meanwhile too
    desk.happen("n4")
    desk.time += 8 * HOUR_MS
    assert set(desk.deliver().values()) == {"failed"}
    receiver.status = 200
    desk.hooks.change(access, place.endpoint.id, desk.time, enabled=True)
    assert found().failing_since is None
    asked = len(receiver.seen)
    bells = [
        bell
        for several in desk.hooks.again(access, place.endpoint.id, began, desk.time)
        for bell in several
    ]
    desk.deliver()
    heard = {orjson.loads(each.body)["data"]["note_id"] for each in receiver.seen[asked:]}
    assert heard == {"n1", "n2", "n3", "n4"}
    assert len(bells) == 4


def test_a_success_forgets_failures(desk: Desk, receiver: Receiver) -> None:
    place, _, access = desk.endpoint(receiver.url)
    receiver.status = 500
    desk.happen("n1")
    desk.deliver()
    receiver.status = 204
    desk.until_due()
    desk.deliver()
    assert desk.hooks.find(access, place.endpoint.id).endpoint.failing_since is None


def test_what_waits_for_a_removed_endpoint_is_dropped(desk: Desk, receiver: Receiver) -> None:
    place, _, access = desk.endpoint(receiver.url)
    desk.happen("n1")
    desk.fan_out()
    desk.hooks.remove(access, place.endpoint.id, desk.time)
    assert list(desk.deliver().values()) == ["stale"]
    assert receiver.seen == []


def test_a_dead_endpoint_is_not_stormed_and_holds_up_nobody(
    embedded: Desk, receiver: Receiver, other: Receiver
) -> None:
    """OneUptime, Nango: each waiting event hammered an endpoint that was down."""
    embedded.endpoint(receiver.url)
    embedded.endpoint(other.url)
    receiver.status = 503
    for number in range(20):
        embedded.happen(f"n{number}")
    embedded.fan_out()
    runner = embedded.worker()
    runner.run_due(KIND, 120)
    # one attempt found out; the others wait without having lost one
    assert (len(receiver.seen), len(other.seen)) == (1, 20)
    waiting = [job for job in embedded.jobs() if job.state == "queued"]
    assert sorted(job.attempts for job in waiting) == [0] * 19 + [1]
    # it is back: everything comes, each once
    receiver.status = 200
    embedded.time += 2 * REST_MS
    runner.run_due(KIND, 120)
    assert len(receiver.seen) == 21
    assert len({each.body for each in receiver.seen}) == 20


# --- secrets


def test_for_a_day_after_a_rotation_both_secrets_are_good(desk: Desk, receiver: Receiver) -> None:
    place, old, access = desk.endpoint(receiver.url)
    _, new = desk.hooks.rotate(access, place.endpoint.id, desk.time)
    assert new != old
    desk.happen("n1")
    desk.deliver()
    assert is_signed(receiver.seen[-1], old)
    assert is_signed(receiver.seen[-1], new)
    desk.time += endpoints.BOTH_MS
    desk.happen("n2")
    desk.deliver()
    assert not is_signed(receiver.seen[-1], old)
    assert is_signed(receiver.seen[-1], new)
    # twice: of three the two newest
    _, newer = desk.hooks.rotate(access, place.endpoint.id, desk.time)
    desk.happen("n3")
    desk.deliver()
    good = [is_signed(receiver.seen[-1], each) for each in (old, new, newer)]
    assert good == [False, True, True]


def test_a_delivery_that_waited_over_a_rotation_is_signed_anew(
    desk: Desk, receiver: Receiver
) -> None:
    """ay-framework: retries of what was signed before a rotation could never be verified."""
    place, _, access = desk.endpoint(receiver.url)
    receiver.status = 500
    desk.happen("n1")
    desk.deliver()
    _, new = desk.hooks.rotate(access, place.endpoint.id, desk.time)
    receiver.status = 200
    desk.time += 2 * DAY_MS
    desk.deliver()
    assert is_signed(receiver.seen[-1], new)
    assert receiver.seen[-1].headers["webhook-timestamp"] == str(desk.time // 1000)


def test_no_secret_and_nothing_of_a_record_is_stored(desk: Desk, receiver: Receiver) -> None:
    _, secret, _ = desk.endpoint(receiver.url)
    desk.happen("n1")
    desk.deliver()
    for collection in ("hooks", "hook_events", "jobs", "audit"):
        found = [each.fields for each in desk.store.query(Query(collection))]
        assert found
        assert secret.removeprefix("whsec_") not in repr(found)
    [job] = desk.store.query(Query("jobs"))
    assert set(job.fields["event"]) == {"type", "scope_id", "ids", "path", "at"}
    assert job.fields["event"]["ids"] == {"note_id": "n1"}


# --- kills between any two steps


class Killed(BaseException):
    """The process is no more."""


def _kill_at(step: int, when: str, desk: Desk) -> Interrupted:
    """A store whose process dies before or after its `step`-th commit."""
    count = 0

    def maybe(_: Sequence[Write], mine: str) -> None:
        nonlocal count
        count += mine == "before"
        if count == step and mine == when:
            raise Killed

    return Interrupted(
        desk.store,
        before=lambda writes: maybe(writes, "before"),
        after=lambda writes: maybe(writes, "after"),
    )


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_killed_between_any_two_steps_nothing_is_lost(
    desk: Desk, receiver: Receiver, step: int, when: str
) -> None:
    """Commits on the way: the fan-out, the claim, the end."""
    desk.endpoint(receiver.url)
    name = desk.happen("n1")
    with pytest.raises(Killed):
        desk.deliver(_kill_at(step, when, desk))
    for _ in range(3):
        desk.time += LEASE_MS + 1
        desk.deliver()
    assert desk.job().state == "done"
    # only a death between the answer and its record sends twice, under the same id
    twice = (step, when) == (3, "before")
    assert [each.headers["webhook-id"] for each in receiver.seen] == [name] * (1 + twice)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_lost_answer_of_the_store_sends_once(desk: Desk, receiver: Receiver, step: int) -> None:
    desk.endpoint(receiver.url)
    desk.happen("n1")
    count = 0

    def lose(_: Sequence[Write]) -> None:
        nonlocal count
        count += 1
        if count == step:
            raise StoreUnavailable("the answer was lost")

    flaky = Interrupted(desk.store, after=lose)
    attempts: list[Callable[[], object]] = [lambda: desk.deliver(flaky)] * 2
    for attempt in attempts:
        try:
            attempt()
        except StoreUnavailable:
            continue
    desk.time += LEASE_MS + 1
    desk.deliver()
    assert (desk.job().state, len(receiver.seen)) == ("done", 1)


def test_an_event_is_stored_exactly_if_its_change_is(desk: Desk) -> None:
    known = NOTE_RED.happened("team1", {"note_id": "n1"}, desk.time, once="1")
    again = NOTE_RED.happened("team1", {"note_id": "n1"}, desk.time, once="1")
    another = NOTE_RED.happened("team1", {"note_id": "n1"}, desk.time, once="2")
    signed = NOTE_SIGNED.happened("team1", {"note_id": "n1"}, desk.time, once="1")
    assert known == again
    assert len({known.key, another.key, signed.key}) == 3
    assert "." not in known.key.id
