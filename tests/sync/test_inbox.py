"""What phones could not deliver waits for people, once, until somebody has looked, on both stores."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.counts import Port
from infra.local.phone import wall_ms
from shared.access.membership import Caller
from shared.errors import InvalidCursor, NotFound
from shared.jobs.job import RetryPolicy
from shared.jobs.queue import Doorbell
from shared.jobs.runner import Runner
from shared.jobs.sweep import Sweeper
from shared.records import record
from shared.records.bell import Bell
from shared.records.store import Write
from shared.support import inbox
from shared.sync import paging
from shared.sync.journal import KEPT_MS
from shared.sync.quota import MOST_OF_A_MEMBER, MOST_OF_OTHERS, MOST_OF_OTHERS_IN_A_SCOPE
from tests.stores import Interrupted
from tests.sync.clinic import Clinic

DAY_MS = 86_400_000

BOSS = Caller("boss", "supervisor", "desk")


class Silent(Doorbell):
    """A doorbell for a sweeper that has nothing to ring for."""

    def ring(self, bell: Bell) -> None:
        raise AssertionError(bell)

    def close(self) -> None:
        return


def refused(clinic: Clinic, team: str = "team1") -> list[str]:
    return [entry.fields["record_id"] for entry in inbox.entries(clinic.store, [team])]


def sweep(clinic: Clinic, now_ms: int) -> None:
    runner = Runner(clinic.store, {}, policy=RetryPolicy(), lease_ms=1, clock=lambda: now_ms)
    bells = Silent()
    Sweeper(clinic.store, runner, bells, rung_kinds=(), own_kinds=(), clock=lambda: now_ms).sweep()


def test_a_red_case_that_is_refused_waits_for_somebody(clinic: Clinic) -> None:
    phone = clinic.phone()
    phone.save("notes", "red", notebook_id="nobody", mark="red")
    phone.save("notes", "green", notebook_id="nobody", mark="green")
    phone.sync()
    assert refused(clinic) == ["red"]
    assert refused(clinic, "team2") == []


def test_what_was_looked_at_stays_off_the_list_however_often_it_is_sent(clinic: Clinic) -> None:
    phone = clinic.phone()
    phone.save("notes", "red", notebook_id="nobody", mark="red")
    request = phone.request()
    phone.send(request, phone)
    (entry,) = inbox.entries(clinic.store, ["team1"])
    inbox.close(clinic.store, entry, BOSS, 1000)
    inbox.close(clinic.store, inbox.read(clinic.store, entry.key.id), BOSS, 2000)
    again = phone.send({**request, "last_sync_timestamp": 1}, phone)
    assert [item["code"] for item in again["rejected"]] == ["unknown_parent"]
    assert refused(clinic) == []
    (kept,) = clinic.all("quarantine")
    assert (kept.fields["closed_by"], kept.fields["closed_at"]) == ("boss", 1000)
    assert "nobody" in kept.fields["raw"]


def test_another_edit_of_it_is_another_entry(clinic: Clinic) -> None:
    phone = clinic.phone()
    for note in ("one", "two"):
        phone.save("notes", "red", notebook_id="nobody", mark="red", body={"n": note})
        phone.send(phone.request(), phone)
    assert refused(clinic) == ["red", "red"]


def test_an_unknown_entry_is_said_to_be_unknown(clinic: Clinic) -> None:
    with pytest.raises(NotFound):
        inbox.read(clinic.store, "nothing")


# --- people who are in no team


def flood(clinic: Clinic, user: str, count: int, risk: str = "red", stem: str = "") -> list[str]:
    """So many notes of notebooks that nobody knows, in one push; the codes with which they are refused."""
    phone = clinic.phone(user)
    for at in range(count):
        name = f"{user}{stem}-{risk}-{at}"
        phone.save("notes", name, notebook_id="nobody", mark=risk)
    answer = phone.send(phone.request(), phone)
    assert len(answer["rejected"]) == count
    return [item["code"] for item in answer["rejected"]]


def test_of_a_stranger_only_what_carries_a_signal_is_kept(clinic: Clinic) -> None:
    assert set(flood(clinic, "stranger", 5, "green")) == {"unknown_parent"}
    assert clinic.all("quarantine") == []
    flood(clinic, "stranger", 2)
    assert len(refused(clinic, record.UNFILED)) == 2
    assert len(clinic.all("quarantine")) == 2


@pytest.mark.parametrize("left", [False, True])
def test_of_a_person_in_no_team_so_many_entries_are_kept_a_day(clinic: Clinic, left: bool) -> None:
    if left:
        clinic.join("ex")
        clinic.leave("ex")
    place = "team1" if left else record.UNFILED
    noon = wall_ms() // DAY_MS * DAY_MS + DAY_MS // 2
    clinic.now_ms = lambda: noon
    # the rest is refused without the word that it is kept: the phone would drop it
    kept = ["moved" if left else "unknown_parent"] * MOST_OF_OTHERS
    assert flood(clinic, "ex", MOST_OF_OTHERS + 10) == kept + ["unknown_parent"] * 10
    assert len(refused(clinic, place)) == MOST_OF_OTHERS
    assert set(flood(clinic, "ex", 5, stem="more")) == {"unknown_parent"}
    assert len(refused(clinic, place)) == MOST_OF_OTHERS
    # others have a quota of their own, and so has tomorrow
    flood(clinic, "stranger", 3)
    assert len(refused(clinic, record.UNFILED)) == 3 + (0 if left else MOST_OF_OTHERS)
    clinic.now_ms = lambda: noon + DAY_MS
    flood(clinic, "ex", 5, stem="tomorrow")
    assert len(refused(clinic, place)) == MOST_OF_OTHERS + 5 + (0 if left else 3)


def test_what_is_sent_again_takes_no_room_again(clinic: Clinic) -> None:
    for _ in range(3):
        flood(clinic, "stranger", MOST_OF_OTHERS - 1)
    flood(clinic, "stranger", 1, stem="last")
    assert len(refused(clinic, record.UNFILED)) == MOST_OF_OTHERS


def test_the_quota_asks_the_store_once_a_push_whatever_is_refused(clinic: Clinic) -> None:
    asked: dict[int, dict[str, int]] = {}
    counted = Port(clinic.store)
    for count in (1, MOST_OF_OTHERS):
        flood(clinic.on(counted), "stranger", count, stem=f"{count}-")
        asked[count] = counted.taken()
    assert asked[1]["reads"] == asked[MOST_OF_OTHERS]["reads"]
    assert asked[1]["queries"] == asked[MOST_OF_OTHERS]["queries"]


def test_two_pushes_side_by_side_keep_no_more_than_one_may(clinic: Clinic) -> None:
    """The other push gets through just before the commit of the first."""
    raced: list[str] = []

    def overtake(writes: Sequence[Write]) -> None:
        if not raced:
            raced.append("once")
            flood(clinic, "stranger", MOST_OF_OTHERS - 5, stem="other")

    flood(clinic.on(Interrupted(clinic.store, before=overtake)), "stranger", 20)
    assert raced
    assert len(refused(clinic, record.UNFILED)) == MOST_OF_OTHERS


def test_no_quota_keeps_a_member_s_signal_from_being_seen(clinic: Clinic) -> None:
    flood(clinic, "member1", 2 * MOST_OF_OTHERS)
    assert len(refused(clinic)) == 2 * MOST_OF_OTHERS


@pytest.mark.proof
def test_what_is_kept_of_a_member_is_bounded_and_a_signal_has_room_of_its_own(
    clinic: Clinic,
) -> None:
    # given more of both kinds than is kept; those without a signal come first
    green = flood(clinic, "member1", MOST_OF_A_MEMBER + 20, "green")
    red = flood(clinic, "member1", MOST_OF_A_MEMBER + 20, "red")
    # then each is refused by name, and of each kind as much is kept as there is room
    assert set(green) == set(red) == {"unknown_parent"}
    urgent = [entry.fields["urgent"] for entry in clinic.all("quarantine")]
    assert (urgent.count(True), urgent.count(False)) == (MOST_OF_A_MEMBER, MOST_OF_A_MEMBER)
    # and a colleague has room
    clinic.join("member2")
    flood(clinic, "member2", 1)
    assert len(clinic.all("quarantine")) == 2 * MOST_OF_A_MEMBER + 1


def test_of_all_who_are_in_no_team_so_many_entries_are_kept_in_one_inbox(clinic: Clinic) -> None:
    accounts = MOST_OF_OTHERS_IN_A_SCOPE // MOST_OF_OTHERS
    for at in range(accounts + 1):
        flood(clinic, f"stranger{at}", MOST_OF_OTHERS)
    assert len(clinic.all("quarantine")) == MOST_OF_OTHERS_IN_A_SCOPE
    # members have their own
    flood(clinic, "member1", 3)
    assert len(refused(clinic)) == 3


def test_a_push_of_broken_records_costs_no_more_when_it_is_larger(clinic: Clinic) -> None:
    """However many: each is refused by name, and as many are looked for and kept as there is room."""
    counted = Port(clinic.store)
    asked = []
    for user, count in (("member1", MOST_OF_A_MEMBER + 1), ("member2", 3 * MOST_OF_A_MEMBER)):
        clinic.join(user)
        rows = [{"id": f"{user}-{at}", "last_modified_at": "never"} for at in range(count)]
        phone = clinic.phone(user)
        body = {"last_sync_timestamp": 0, "device_id": "d", "changes": {"notebooks": rows}}
        assert len(clinic.on(counted).answer(body, phone)["rejected"]) == count
        asked.append(counted.taken())
    assert asked[0] == asked[1]
    assert asked[0]["writes"] < MOST_OF_A_MEMBER + 10


def test_what_nobody_has_to_look_at_any_more_ends_and_what_waits_stays(clinic: Clinic) -> None:
    now = clinic.now_ms() // DAY_MS * DAY_MS + 1
    clinic.now_ms = lambda: now
    flood(clinic, "member1", 1, "green")
    flood(clinic, "member1", 2)
    flood(clinic, "stranger", 1)
    looked_at = inbox.read(clinic.store, next(inbox.entries(clinic.store, ["team1"])).key.id)
    inbox.close(clinic.store, looked_at, BOSS, now + DAY_MS)
    for after, left in ((KEPT_MS, 4), (KEPT_MS + DAY_MS, 2), (KEPT_MS + 2 * DAY_MS, 1)):
        sweep(clinic, now + after)
        assert len(clinic.all("quarantine")) == left, after
    assert len(refused(clinic)) == 1


@pytest.mark.parametrize(
    "token", ["", "e", "W10", "bnVsbA", "WzEsMiwzLDRd", paging.sealed((True, True, 1, "a~b"))]
)
def test_a_token_that_is_none_is_refused(clinic: Clinic, token: str) -> None:
    with pytest.raises(InvalidCursor):
        inbox.page(clinic.store, ["team1"], 5, token)


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_members_come_before_others_and_the_urgent_before_both(clinic: Clinic, limit: int) -> None:
    clinic.join("ex")
    clinic.leave("ex")
    flood(clinic, "ex", 3, "green")  # late: they wait, too
    flood(clinic, "ex", 12)
    flood(clinic, "member1", 9)
    told: list[tuple[str, bool]] = []
    token = None
    while True:
        page = inbox.page(clinic.store, ["team1"], limit, token)
        told += [(each.fields[record.AUTHOR], each.fields["urgent"]) for each in page.entries]
        token = page.next_page
        if token is None:
            break
    assert told == [("member1", True)] * 9 + [("ex", True)] * 12 + [("ex", False)] * 3
    assert inbox.count(clinic.store, ["team1"]) == {"open": 24, "urgent": 21, "at_least": False}
