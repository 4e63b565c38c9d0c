"""A phone whose app is killed before or after any request, and goes on with its database file."""

from __future__ import annotations

import pytest

from tests.dermadetect.phone import SyncFailed
from tests.dermadetect.phone.conftest import Make, new, stored
from tests.e2e.conftest import Deployment

pytestmark = pytest.mark.proof


@pytest.fixture
def adapter() -> str:
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
