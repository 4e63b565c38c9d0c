"""The real WatermelonDB client against the running back end, on both profiles."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.sync.store import Key
from tests.conftest import absent
from tests.e2e.conftest import Deployment
from tests.e2e.conftest import deploy as deploy
from tests.e2e.conftest import deployment as deployment
from tests.sync.phone import NodeMissing, NodePhone, SyncFailed, install

Make = Callable[..., NodePhone]


@pytest.fixture(scope="session")
def folder() -> Path:
    try:
        return install()
    except NodeMissing as error:
        absent(str(error))


@pytest.fixture
def team() -> str:
    return f"team-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def phone(deployment: Deployment, folder: Path, team: str) -> Iterator[Make]:
    """Phones of one team: phone("amina"), phone("amina", "second")."""
    made: list[NodePhone] = []

    def make(user: str, device: str = "phone", member: bool = True) -> NodePhone:
        name = f"{user}-{team}"
        if member:
            deployment.join(name, team)
        made.append(
            NodePhone(folder, deployment.stack.url, deployment.token(name), f"{user}-{device}")
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


def new(stem: str = "p") -> str:
    return f"{stem}-{uuid.uuid4().hex[:10]}"


def stored(deployment: Deployment, table: str, name: str) -> dict[str, object]:
    key = Key(table, name)
    document = deployment.store.read([key]).documents.get(key)
    return {} if document is None else document.fields


def test_what_one_phone_creates_another_one_gets(phone: Make) -> None:
    one, two = phone("amina"), phone("joseph")
    patient, case = new(), new("c")
    one.create("patients", patient, demographics=json.dumps({"name": "Asha", "age": 34}))
    one.create("cases", case, patient_id=patient, triage_data="{}", risk_level="green")
    one.sync()
    assert not one.unsynced()
    two.sync()
    row = two.rows("patients")[patient]
    assert json.loads(row["demographics"]) == {"name": "Asha", "age": 34}
    assert two.rows("cases")[case]["status"] == "TRIAGED"
    one.sync()
    assert one.rows("cases")[case]["status"] == "TRIAGED"  # what the server filled came back


def test_edits_and_deletions_travel(phone: Make) -> None:
    one, two = phone("amina"), phone("joseph")
    kept, gone = new(), new()
    for name in (kept, gone):
        one.create("patients", name, demographics="{}")
    one.sync()
    two.sync()
    two.update("patients", kept, demographics='{"age":9}')
    two.delete("patients", gone)
    two.sync()
    one.sync()
    assert one.rows("patients")[kept]["demographics"] == '{"age":9}'
    assert gone not in one.rows("patients")


def test_a_record_created_synced_deleted_and_synced_does_not_come_back(phone: Make) -> None:
    one = phone("amina")
    name = new()
    one.create("patients", name, demographics="{}")
    one.sync()
    one.delete("patients", name)
    one.sync()
    one.sync()
    assert name not in one.rows("patients")
    assert not one.unsynced()


def test_two_phones_on_different_columns_of_a_record_are_merged(phone: Make) -> None:
    one, two = phone("amina"), phone("joseph")
    patient, case = new(), new("c")
    one.create("patients", patient, demographics="{}")
    one.create("cases", case, patient_id=patient, triage_data="{}", risk_level="green")
    one.sync()
    two.sync()
    one.update("cases", case, triage_data='{"site":"arm"}')
    two.update("cases", case, risk_level="yellow")
    one.sync()
    two.sync()  # pulls one's edit first, lays its own column over it, pushes the merged row
    one.sync()
    for each in (one, two):
        row = each.rows("cases")[case]
        assert (json.loads(row["triage_data"]), row["risk_level"]) == ({"site": "arm"}, "yellow")


def test_a_push_that_is_overtaken_is_refused_whole_and_succeeds_after_a_pull(
    phone: Make, deployment: Deployment, team: str, folder: Path
) -> None:
    # given a record that another phone changes between this phone's pull and its push
    one, two = phone("amina"), phone("joseph")
    name, other = new(), new()
    one.create("patients", name, demographics='{"v":0}')
    one.sync()
    two.sync()
    two.update("patients", name, demographics='{"v":"two"}')
    one.update("patients", name, demographics='{"v":"one"}')
    one.create("patients", other, demographics="{}")
    two.sync()
    # the pull of one's next sync is answered from before: its push is stale
    one.settings(skipPull=True)
    with pytest.raises(SyncFailed, match=r"409.*stale_push"):
        one.sync()
    assert stored(deployment, "patients", other) == {}  # all or nothing
    # when it syncs as usual
    one.settings(skipPull=False)
    one.sync()
    two.sync()
    # then its own column, laid over what it had not seen, is everywhere
    assert one.rows("patients")[name]["demographics"] == '{"v":"one"}'
    assert two.rows("patients")[name]["demographics"] == '{"v":"one"}'
    assert stored(deployment, "patients", other)


def test_a_push_whose_answer_was_lost_is_repeated_without_effect(
    phone: Make, deployment: Deployment
) -> None:
    one = phone("amina")
    name = new()
    one.create("patients", name, demographics='{"a":1}')
    one.settings(loseAnswers=1)
    with pytest.raises(SyncFailed, match="lost"):
        one.sync()
    assert one.unsynced()
    assert stored(deployment, "patients", name)
    one.sync()
    assert not one.unsynced()
    assert one.rows("patients")[name]["demographics"] == '{"a":1}'


def test_a_pull_that_was_cut_changes_nothing_and_is_repeated(phone: Make) -> None:
    one, two = phone("amina"), phone("joseph")
    name = new()
    one.create("patients", name, demographics="{}")
    one.sync()
    two.settings(cutPulls=1)
    with pytest.raises(SyncFailed):
        two.sync()
    assert two.rows("patients") == {}
    two.sync()
    assert name in two.rows("patients")


def test_two_thousand_records_in_one_push_and_a_first_pull_of_all(phone: Make) -> None:
    one, two = phone("amina"), phone("joseph")
    patient = new()
    one.create("patients", patient, demographics="{}")
    rows = [
        {"id": new("c"), "patient_id": patient, "triage_data": "{}", "risk_level": "green"}
        for _ in range(2000)
    ]
    one.create_many("cases", rows)
    one.sync()
    assert not one.unsynced()
    two.sync()
    assert set(two.rows("cases")) == {row["id"] for row in rows}


@pytest.mark.parametrize("hours", [-30, 5])
def test_a_clock_that_is_hours_off_does_not_stop_the_sync(phone: Make, hours: int) -> None:
    wrong, right = phone("amina"), phone("joseph")
    wrong.settings(clockOffset=hours * 3_600_000)
    name = new()
    wrong.create("patients", name, demographics='{"v":1}')
    wrong.sync()
    right.sync()
    right.update("patients", name, demographics='{"v":2}')
    right.sync()
    wrong.sync()
    wrong.update("patients", name, demographics='{"v":3}')
    wrong.sync()
    right.sync()
    assert right.rows("patients")[name]["demographics"] == '{"v":3}'
    assert right.rows("patients")[name]["last_modified_at"] <= time.time() * 1000 + 1000


def test_an_analysis_reaches_the_phone_that_pushed_the_case(phone: Make) -> None:
    one = phone("amina")
    patient, case = new(), new("c")
    one.create("patients", patient, demographics='{"age":40}')
    one.create("cases", case, patient_id=patient, triage_data='{"site":"foot"}', risk_level="red")
    one.sync()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        one.sync()
        row = one.rows("cases")[case]
        if row["ai_analysis"]:
            break
        time.sleep(0.2)
    analysis = json.loads(row["ai_analysis"])
    assert analysis["triage_final"] == "red"
    assert "differential" not in analysis
    assert row["status"] == "PENDING_DIAGNOSIS"
    assert one.rows("medgemma_queue")[case]["status"] == "done"


def test_a_phone_that_joins_gets_old_records_and_loses_them_when_it_leaves(
    phone: Make, deployment: Deployment, team: str
) -> None:
    one, two = phone("amina"), phone("joseph", member=False)
    name = new()
    one.create("patients", name, demographics="{}")
    one.sync()
    two.sync()
    assert two.rows("patients") == {}
    deployment.join(f"joseph-{team}", team)
    two.sync()
    assert name in two.rows("patients")
    from shared.accounts import membership
    from tests.sync.clinic import wall_ms

    membership.revoke(deployment.store, f"joseph-{team}", team, wall_ms())
    two.sync()
    assert two.rows("patients") == {}


def test_a_bad_record_stays_on_the_phone_and_the_rest_is_synced(
    phone: Make, deployment: Deployment
) -> None:
    one = phone("amina")
    good, bad = new(), new("c")
    one.create("patients", good, demographics="{}")
    one.create("cases", bad, patient_id="nobody-knows", triage_data="{}", risk_level="green")
    result = one.sync()
    assert result["rejected"] == {"cases": [bad]}
    assert stored(deployment, "patients", good)
    assert one.unsynced()
    assert bad in one.rows("cases")


def test_a_reinstalled_phone_gets_everything_of_its_own(phone: Make) -> None:
    one = phone("amina")
    name = new()
    one.create("patients", name, demographics="{}")
    one.sync()
    one.reset()
    one.sync()
    assert name in one.rows("patients")
