"""A phone whose app is killed before or after any request, and goes on with its database file."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Deployment
from tests.mobile import SyncFailed
from tests.mobile.conftest import Make, new, settle, stored

pytestmark = pytest.mark.proof


@pytest.fixture
def stage() -> str:
    return "sqlite"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("request_number", [1, 2, 3])
def test_an_app_that_is_killed_goes_on_from_what_it_kept(
    phone: Make, deployment: Deployment, when: str, request_number: int
) -> None:
    # given a phone with unsent records, and one that somebody else has edited meanwhile
    one, two = phone("amina"), phone("joseph")
    shared, mine, case = new(), new(), new("c")
    two.create("patients", shared, demographics='{"v":1}')
    two.sync()
    one.sync()
    two.update("patients", shared, demographics='{"v":2}')
    two.sync()
    one.create("patients", mine, demographics='{"v":1}')
    one.create("cases", case, patient_id=mine, risk_level="red")
    # when its app is killed in the middle of a sync
    one.do("dieAt", request=request_number, when=when)
    if request_number < 3:  # pull, push; the third request is of the next sync
        with pytest.raises(SyncFailed, match="ended"):
            one.sync()
    else:
        one.sync()
        with pytest.raises(SyncFailed, match="ended"):
            one.sync()
    one.close()
    # then the next start has everything, and sends it
    again = phone("amina")
    assert set(again.rows("patients")) >= {mine}
    assert again.rows("medgemma_queue")[case]
    again.sync()
    again.sync()
    assert not again.unsynced()
    assert again.rows("patients")[shared]["demographics"] == '{"v":2}'
    assert stored(deployment, "cases", case)
    assert stored(deployment, "patients", mine)["demographics"] == '{"v":1}'


def test_a_full_storage_loses_nothing_and_the_sync_goes_on_when_there_is_room(
    phone: Make, deployment: Deployment
) -> None:
    # given a phone whose storage is full, with unsent records, and more from others than it has room for
    one, two = phone("amina"), phone("joseph")
    mine, note = new(), json.dumps({"note": "x" * 2000})
    one.create("patients", mine, demographics='{"v":1}')
    names = [new() for _ in range(200)]
    two.create_many("patients", [{"id": name, "demographics": note} for name in names])
    two.sync()
    one.do("room", left=False)
    # when it syncs, it says so
    said = one.call()
    assert said["next"] == "retry"
    assert one.do("status")["code"] == "storage_full"
    assert set(one.rows("patients")) == {mine}
    # then it goes on with room: nothing is lost, nothing is there in part
    one.do("room", left=True)
    one.sync()
    assert set(one.rows("patients")) == {mine, *names}
    assert stored(deployment, "patients", mine)["demographics"] == '{"v":1}'
    settle()
    one.sync()
    assert one.check() == "equal"


def test_an_app_of_the_next_version_keeps_its_data_and_syncs_with_this_server(
    phone: Make, deployment: Deployment
) -> None:
    """It asks for a table and a column that the server does not know."""
    one, two = phone("amina"), phone("joseph")
    kept, unsent, news = new(), new(), new()
    one.create("patients", kept, demographics='{"v":1}')
    one.sync()
    one.create("patients", unsent, demographics='{"v":2}')
    one.close()
    two.create("patients", news, demographics="{}")
    two.sync()
    upgraded = phone("amina", next=True)
    assert set(upgraded.rows("patients")) == {kept, unsent}
    upgraded.sync()
    assert set(upgraded.rows("patients")) == {kept, unsent, news}
    assert upgraded.rows("patients")[kept]["village"] is None
    assert stored(deployment, "patients", unsent)["demographics"] == '{"v":2}'
    upgraded.sync()
    assert upgraded.check() == "equal"


def test_two_phones_on_sqlite_converge(phone: Make) -> None:
    one, two = phone("amina"), phone("joseph")
    names = [new() for _ in range(300)]
    one.create_many("patients", [{"id": name, "demographics": "{}"} for name in names])
    one.sync()
    two.sync()
    two.update("patients", names[0], demographics='{"v":2}')
    two.delete("patients", names[1])
    one.update("patients", names[2], demographics='{"v":3}')
    two.sync()
    one.sync()
    two.sync()
    assert one.verify() == two.verify() == "equal"
    assert set(one.rows("patients")) == set(two.rows("patients")) == set(names) - {names[1]}
