"""Notices, on both stores: each at most once, to those who may read, with no word about the record."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.access import membership
from shared.access.membership import Caller
from shared.errors import NotifyFault
from shared.jobs import job as jobs
from shared.notify.notice import Deliveries, Message
from shared.support import ledger
from tests.jobs.conftest import Phones, Workplace, place  # noqa: F401  a fixture
from tests.neutral.tables import CATALOG
from tests.stores import Interrupted

HOUR_MS = 3_600_000


def reachable(place: Workplace, user: str, team: str = "team1", role: str = "member") -> None:  # noqa: F811
    place.join(user, team, role)
    ledger.register(
        place.store, Caller(user, role, f"{user}-phone"), [team], f"token-{user}", place.time
    )


@pytest.fixture
def clinic(place: Workplace) -> Workplace:  # noqa: F811
    """A finished summary; phones of its team, and one of another."""
    for user, team, role in (
        ("member1", "team1", "member"),
        ("doc1", "team1", "doctor"),
        ("member9", "team9", "member"),
    ):
        reachable(place, user, team, role)
    place.worker().run(place.red_note())
    return place


def test_a_result_pokes_phones_and_notifies_doctors_of_its_team_once(clinic: Workplace) -> None:
    phones = Phones()
    deliveries = Deliveries(clinic.store, CATALOG, phones, clinic.now_ms)
    assert [deliveries.deliver(), deliveries.deliver()] == [1, 0]
    assert sorted(phones.sent, key=lambda m: m.token) == [
        Message("token-doc1", "c1", alert=True),
        Message("token-member1", "c1", alert=False),
    ]


def test_couriers_at_once_tell_once(clinic: Workplace) -> None:
    phones = Phones()
    with ThreadPoolExecutor(6) as pool:
        taken = list(
            pool.map(
                lambda _: Deliveries(clinic.store, CATALOG, phones, clinic.now_ms).deliver(),
                range(6),
            )
        )
    assert sum(taken) == 1
    assert len(phones.sent) == 2


def test_killed_between_taking_and_telling_nobody_is_told_twice(clinic: Workplace) -> None:
    phones = Phones()

    class Killed(BaseException):
        pass

    def die(_writes: object) -> None:
        raise Killed

    with pytest.raises(Killed):
        Deliveries(Interrupted(clinic.store, after=die), CATALOG, phones, clinic.now_ms).deliver()
    assert Deliveries(clinic.store, CATALOG, phones, clinic.now_ms).deliver() == 0
    assert phones.sent == []


def test_who_left_the_team_is_not_told_whatever_the_ledger_says(clinic: Workplace) -> None:
    clinic.leave("doc1")
    phones = Phones()
    Deliveries(clinic.store, CATALOG, phones, clinic.now_ms).deliver()
    assert [message.token for message in phones.sent] == ["token-member1"]


def test_who_is_disabled_is_not_told(clinic: Workplace) -> None:
    key = membership.key("doc1")
    held = membership.known("doc1", clinic.store.read([key]).documents[key])
    clinic.store.commit([membership.disabling(held, clinic.now_ms())])
    phones = Phones()
    Deliveries(clinic.store, CATALOG, phones, clinic.now_ms).deliver()
    assert [message.token for message in phones.sent] == ["token-member1"]


def test_a_phone_that_fails_is_not_tried_again_and_others_are_told(clinic: Workplace) -> None:
    class Failing(Phones):
        def send(self, message: Message) -> bool:
            super().send(message)
            if not message.alert:
                raise NotifyFault("down")
            return True

    phones = Failing()
    deliveries = Deliveries(clinic.store, CATALOG, phones, clinic.now_ms)
    assert [deliveries.deliver(), deliveries.deliver()] == [1, 0]
    assert len(phones.sent) == 2


def test_a_dead_token_is_forgotten_and_the_rest_of_the_entry_stays(clinic: Workplace) -> None:
    class Dead(Phones):
        def send(self, message: Message) -> bool:
            return False

    Deliveries(clinic.store, CATALOG, Dead(), clinic.now_ms).deliver()
    entry = clinic.fields("devices", "member1~member1-phone")
    assert ledger.PUSH_TOKEN not in entry
    assert entry["user_id"] == "member1"


def test_old_news_are_not_sent(clinic: Workplace) -> None:
    phones = Phones()
    later = clinic.time + HOUR_MS + 1
    assert Deliveries(clinic.store, CATALOG, phones, clinic.now_ms).deliver(later) == 1
    assert phones.sent == []


def test_a_postponed_or_stale_job_tells_nobody(place: Workplace) -> None:  # noqa: F811
    reachable(place, "member1")
    job_id = place.red_note()
    phone = place.phone()
    phone.sync()
    phone.save("notes", "c1", at=9000, body={"site": "leg"})
    phone.sync()
    assert place.worker().run(job_id) == jobs.STALE
    assert place.all("notices") == []


def test_a_sync_keeps_the_token_that_came_meanwhile(place: Workplace) -> None:  # noqa: F811
    caller = Caller("member1", "member", "phone-1")
    store = place.store
    ledger.note(
        store, ledger.Attempt(caller, "batch", place.time, ["team1"], pushed={"written": 1})
    )
    before = place.get("devices", "member1~phone-1")
    # given an attempt that has read the entry, and a token that comes before it is written
    later = ledger.Attempt(caller, "batch", place.time + 1, ["team1"], pushed={"written": 2})
    later.before = before
    ledger.register(store, caller, ["team1"], "token-1", place.time)
    ledger.note(store, later)
    entry = place.fields("devices", "member1~phone-1")
    assert entry[ledger.PUSH_TOKEN] == "token-1"
    assert entry["pushed"] == {"written": 2}
    ledger.register(store, caller, ["team1"], None, place.time)
    assert ledger.PUSH_TOKEN not in place.fields("devices", "member1~phone-1")


def test_phones_of_others_never_take_the_place_of_a_doctor_s(place: Workplace) -> None:  # noqa: F811
    """A team with more phones than are told of one result, each heard of after the doctors'."""
    # given two doctors, one with many phones; then a crowd, and people who have left
    for at in range(40):
        registered(place, "doc1", f"d{at}", "doctor", at)
    registered(place, "doc2", "only", "doctor", 0)
    for at in range(220):
        registered(place, f"member{at % 110}", f"c{at}", "member", 100 + at)
        if at % 10 == 0:
            registered(place, f"ex{at}", "gone", None, 1000 + at)
    place.join("member1")
    place.worker().run(place.red_note())
    # when
    phones = Phones()
    Deliveries(place.store, CATALOG, phones, place.now_ms).deliver()
    # then every doctor's phone is told, each doctor's newest first; then somebody's first before a second
    told = [message.token for message in phones.sent]
    assert told[:2] == ["doc1~d39", "doc2~only"]
    assert {token for token in told if token.startswith("doc")} == {
        "doc2~only", *(f"doc1~d{at}" for at in range(40)),
    }  # fmt: skip
    assert [message.alert for message in phones.sent] == [True] * 41 + [False] * 159
    first = [token.partition("~")[0] for token in told[41:151]]
    assert len(set(first)) == 110
    assert not [token for token in told if token.startswith("ex")]


def registered(place: Workplace, user: str, device: str, role: str | None, after_ms: int) -> None:  # noqa: F811
    if role is not None:
        place.join(user, "team1", role)
    ledger.register(
        place.store,
        Caller(user, role or "member", device),
        ["team1"],
        f"{user}~{device}",
        place.time + after_ms,
    )
