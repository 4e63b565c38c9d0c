"""Endpoints, on both stores: who may, how many, what an entry of the trail says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.access import membership
from shared.errors import Contended, Fault, Forbidden, InvalidRequest, NotFound
from shared.hooks.endpoint import MOST, SWITCHED_OFF
from shared.records.store import Query
from tests.hooks.conftest import Desk, Receiver

URL = "https://hooks.example.org/in"


@pytest.mark.parametrize("role", ["member", "doctor", "supervisor"])
def test_only_who_has_the_right_manages_endpoints(desk: Desk, role: str) -> None:
    with pytest.raises(Forbidden):
        desk.access("somebody", role=role)


def test_another_team_s_endpoint_is_not_there(desk: Desk) -> None:
    place, _, mine = desk.endpoint(URL)
    theirs = desk.access("admin2", "team2")
    name = place.endpoint.id
    assert [each.endpoint.id for each in desk.hooks.listed(mine)] == [name]
    assert desk.hooks.listed(theirs) == []
    for act in (
        lambda: desk.hooks.change(theirs, name, desk.time, enabled=False),
        lambda: desk.hooks.rotate(theirs, name, desk.time),
        lambda: desk.hooks.remove(theirs, name, desk.time),
        lambda: desk.hooks.test(theirs, name, desk.time),
        lambda: desk.hooks.deliveries(theirs, name),
    ):
        with pytest.raises(NotFound):
            act()
    with pytest.raises(Forbidden):
        desk.hooks.add(theirs, "team1", URL + "2", ["note.red"], desk.time)


def test_a_right_that_ended_meanwhile_changes_nothing(desk: Desk) -> None:
    place, _, access = desk.endpoint(URL)
    membership.revoke(desk.store, "admin-of-team1", "team1", desk.time + 1)
    with pytest.raises(Contended):
        desk.hooks.remove(access, place.endpoint.id, desk.time)
    with pytest.raises(Contended):
        desk.hooks.test(access, place.endpoint.id, desk.time)


def test_a_scope_has_ten_endpoints_also_if_they_come_at_once(desk: Desk) -> None:
    access = desk.access()

    def add(number: int) -> str:
        try:
            desk.hooks.add(access, None, f"{URL}/{number}", ["note.red"], desk.time)
        except Fault as fault:
            return fault.code
        return "added"

    for number in range(MOST - 1):
        assert add(number) == "added"
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(add, range(20, 24)))
    assert said.count("added") <= 1
    assert len(desk.hooks.listed(access)) <= MOST
    assert add(30) in ("added", "too_many_hooks")
    assert add(31) == "too_many_hooks"
    assert len(desk.hooks.listed(access)) == MOST


def test_an_address_is_registered_once_a_scope(desk: Desk) -> None:
    place, _, access = desk.endpoint(URL)
    with pytest.raises(InvalidRequest) as caught:
        desk.endpoint(URL)
    assert caught.value.code == "hook_taken"
    second, _, _ = desk.endpoint(URL + "2")
    with pytest.raises(InvalidRequest):
        desk.hooks.change(access, second.endpoint.id, desk.time, url=URL)
    assert desk.hooks.change(access, place.endpoint.id, desk.time, url=URL).endpoint.url == URL


@pytest.mark.parametrize("wanted", [[], ["note.blue"], ["note.red", "NOTE.RED"], ["*"]])
def test_an_event_that_is_none_is_refused(desk: Desk, wanted: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        desk.hooks.add(desk.access(), None, URL, wanted, desk.time)
    assert caught.value.field == "events"


def test_changes_leave_entries_and_a_switched_off_endpoint_hears_nothing(
    desk: Desk, receiver: Receiver
) -> None:
    place, _, access = desk.endpoint(receiver.url)
    name = place.endpoint.id
    off = desk.hooks.change(access, name, desk.time, enabled=False).endpoint
    assert off.disabled_for == SWITCHED_OFF
    desk.happen("n1")
    assert desk.deliver() == {}
    desk.hooks.change(access, name, desk.time, enabled=True, wanted=["note.red", "note.signed"])
    desk.hooks.rotate(access, name, desk.time)
    desk.hooks.remove(access, name, desk.time)
    assert desk.hooks.listed(access) == []
    trail = [
        (each.fields["action"], each.fields["user_id"], each.fields["ids"])
        for each in desk.store.query(Query("audit"))
        if "hook" in each.fields["action"]
    ]
    assert sorted(action for action, *_ in trail) == [
        *("add-hook", "change-hook", "change-hook", "remove-hook", "rotate-hook")
    ]
    assert {user for _, user, _ in trail} == {"admin-of-team1"}
    assert all(ids == {"hooks": [name]} for *_, ids in trail)


def test_a_test_is_delivered_like_any_other_and_shows_itself(
    desk: Desk, receiver: Receiver
) -> None:
    place, _, access = desk.endpoint(receiver.url)
    name, bell = desk.hooks.test(access, place.endpoint.id, desk.time)
    assert desk.worker().run(bell.job_id) == "done"
    assert receiver.seen[0].headers["webhook-id"] == name
    [told] = desk.hooks.deliveries(access, place.endpoint.id)
    assert (told.event_id, told.type, told.state, told.attempts) == (
        *(name, "hooks.test", "delivered", 1),
    )
    assert (told.last_status, told.last_fault, told.next_attempt_at) == (None, None, None)


def test_deliveries_are_of_one_endpoint_the_newest_first(
    desk: Desk, receiver: Receiver, other: Receiver
) -> None:
    place, _, access = desk.endpoint(receiver.url)
    desk.endpoint(other.url)
    names = []
    for number in range(3):
        desk.time += 1000
        names.append(desk.happen(f"n{number}"))
        desk.deliver()
    told = desk.hooks.deliveries(access, place.endpoint.id)
    assert [each.event_id for each in told] == names[::-1]
