"""Phones on WatermelonDB against the running back end: in memory and on SQLite, and on both profiles."""

from __future__ import annotations

import json
import time

import pytest

from shared.products.dermadetect.tables import CATALOG
from shared.records.store import Document, Key, Query, delete, put
from shared.support.undelete import undelete
from shared.sync.pull import EPOCH
from tests.e2e.conftest import Deployment
from tests.mobile import KitPhone, SyncFailed
from tests.mobile.conftest import Make, fill, leave, move, new, settle, stored
from tests.mobile.cutting import CuttingProxy
from tests.sync.clinic import wall_ms

pytestmark = pytest.mark.proof


@pytest.fixture(
    params=[
        "loki",
        *(pytest.param(each, marks=pytest.mark.soak) for each in ("sqlite", "emulator")),
    ]
)
def stage(request: pytest.FixtureRequest) -> str:
    """Where phones keep their records; on the emulators, in memory."""
    return str(request.param)


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
    phone: Make, deployment: Deployment
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
    one.settings(skipPulls=9)
    with pytest.raises(SyncFailed, match=r"409.*stale_push"):
        one.sync()
    assert stored(deployment, "patients", other) == {}  # all or nothing
    # when it syncs as usual
    one.settings(skipPulls=0)
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


def test_a_record_whose_answer_was_lost_and_that_others_edit_holds_up_no_pull(
    phone: Make, deployment: Deployment
) -> None:
    # given a record that is on the server, and new on its phone, for the answer to the push was lost
    one, two = phone("amina"), phone("joseph")
    name = new()
    one.create("patients", name, demographics='{"v":1}')
    one.settings(loseAnswers=1)
    with pytest.raises(SyncFailed, match="lost"):
        one.sync()
    # and that somebody else edits meanwhile
    two.sync()
    two.update("patients", name, demographics='{"v":2}')
    two.sync()
    # when a page breaks off, so that what is new goes ahead of the next ones
    one.settings(cutPulls=1)
    assert one.call()["next"] == "retry"
    patient, case = new(), new("c")
    one.create("patients", patient, demographics="{}")
    one.create("cases", case, patient_id=patient, risk_level="red")
    one.sync()
    # then the pull comes, and nothing is held up
    assert not one.unsynced()
    assert stored(deployment, "cases", case)


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

    row = one.analysed(case)
    analysis = json.loads(row["ai_analysis"])
    assert analysis["triage_final"] == "red"
    assert "differential" not in analysis
    assert row["status"] == "PENDING_DIAGNOSIS"


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
    leave(deployment, f"joseph-{team}", team)
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


# --- what two phones do to one record


@pytest.mark.parametrize("column", ["risk_level", "triage_data"])
def test_a_push_that_is_overtaken_is_merged_by_itself(phone: Make, column: str) -> None:
    """Different columns both survive; of the same column, the one that merged last stays."""
    one, two = phone("amina"), phone("joseph")
    patient, case = new(), new("c")
    one.create("patients", patient, demographics="{}")
    one.create("cases", case, patient_id=patient, triage_data="{}", risk_level="green")
    one.sync()
    two.sync()
    two.update("cases", case, **{column: {"risk_level": "yellow"}.get(column, '{"by":"two"}')})
    one.update("cases", case, triage_data='{"by":"one"}')
    two.sync()
    # two commits between one's pull and its push: 409, then pull, merge, push
    one.settings(skipPulls=1)
    one.sync()
    assert not one.unsynced()
    two.sync()
    risk = "yellow" if column == "risk_level" else "green"
    for each in (one, two):
        row = each.rows("cases")[case]
        assert (row["triage_data"], row["risk_level"]) == ('{"by":"one"}', risk)


def conflicts_of(deployment: Deployment, name: str) -> list[Document]:
    return list(deployment.store.query(Query("conflicts", where=(("record_id", "==", name),))))


def deleted_while_edited(phone: Make) -> tuple[KitPhone, str]:
    """A patient whom one phone deletes while another one, offline, edits it: the other one, and the id."""
    one, two = phone("amina"), phone("joseph")
    name = new()
    one.create("patients", name, demographics='{"v":1}')
    one.sync()
    two.sync()
    one.delete("patients", name)
    one.sync()
    two.update("patients", name, demographics='{"v":"worse"}')
    return two, name


def test_an_edit_of_what_was_deleted_elsewhere_is_kept(phone: Make, deployment: Deployment) -> None:
    two, name = deleted_while_edited(phone)
    # when two syncs, WatermelonDB drops the record with its edit
    two.sync()
    assert name not in two.rows("patients")
    # then the edit is in the server's conflict log, and its author has been told
    [entry] = conflicts_of(deployment, name)
    assert json.loads(str(entry.fields["yours"]))["demographics"] == '{"v":"worse"}'
    [notice] = two.shown()
    assert (notice["code"], notice["row"]["demographics"]) == ("deleted", '{"v":"worse"}')
    assert two.do("storage", name="kept_edits") is None
    # and nothing is said twice
    two.sync()
    assert len(two.shown()) == len(conflicts_of(deployment, name)) == 1


def test_a_kept_edit_survives_a_sync_that_breaks_off(phone: Make, deployment: Deployment) -> None:
    two, name = deleted_while_edited(phone)
    two.settings(loseAnswers=1)
    with pytest.raises(SyncFailed, match="lost"):
        two.sync()
    assert name not in two.rows("patients")
    assert two.do("storage", name="kept_edits")
    two.sync()
    assert two.do("storage", name="kept_edits") is None
    assert len(conflicts_of(deployment, name)) == 1


def test_a_kept_edit_of_a_record_that_comes_back_is_an_edit_again(
    phone: Make, deployment: Deployment
) -> None:
    # given a kept edit that waits on the phone, and the record brought back meanwhile
    one, two = phone("amina"), phone("joseph")
    name = new("c")
    patient = new()
    one.create("patients", patient, demographics="{}")
    one.create("cases", name, patient_id=patient, triage_data='{"v":1}', risk_level="green")
    one.sync()
    two.sync()
    one.delete("cases", name)
    one.sync()
    two.update("cases", name, triage_data='{"v":"worse"}')
    two.settings(loseAnswers=1)
    with pytest.raises(SyncFailed, match="lost"):
        two.sync()
    undelete(deployment.store, CATALOG, None, Key("cases", name), wall_ms())
    settle()
    # when the phone syncs, the record comes and the edit is laid over it
    two.sync()
    assert two.rows("cases")[name]["triage_data"] == '{"v":"worse"}'
    assert stored(deployment, "cases", name)["triage_data"] == '{"v":"worse"}'
    assert not two.unsynced()
    assert two.do("storage", name="kept_edits") is None


def test_a_kept_edit_that_the_server_takes_comes_back(phone: Make, deployment: Deployment) -> None:
    one = phone("amina")
    name = new()
    one.create("patients", name, demographics="{}")
    one.sync()
    one.sync()
    deployment.store.commit(
        [delete(Key("patients", name))]
    )  # the server lost it, and knows nothing
    one.update("patients", name, demographics='{"v":2}')
    one.do("repair")
    assert one.rows("patients")[name]["demographics"] == '{"v":2}'
    assert stored(deployment, "patients", name)["demographics"] == '{"v":2}'
    assert not one.unsynced()
    assert one.shown() == []


# --- what is taken away from a phone


def late(deployment: Deployment, name: str) -> list[Document]:
    found = deployment.store.query(Query("quarantine", where=(("record_id", "==", name),)))
    return [entry for entry in found if entry.fields.get("late")]


def test_an_unsent_edit_of_a_moved_patient_reaches_those_who_care_now(
    phone: Make, deployment: Deployment, team: str
) -> None:
    # given a patient that moves to another team while its first phone edits it, and adds a case
    other = f"{team}-new"
    old, now = phone("amina"), phone("ruth", team=other)
    patient, case, later = new(), new("c"), new("c")
    old.create("patients", patient, demographics='{"v":1}')
    old.create("cases", case, patient_id=patient, triage_data="{}", risk_level="green")
    old.sync()
    old.sync()
    move(deployment, patient, other)
    old.update("patients", patient, demographics='{"v":"worse"}')
    old.create("cases", later, patient_id=patient, triage_data="{}", risk_level="green")
    # when it syncs, twice
    old.sync()
    old.sync()
    # then it is rid of the records and has nothing left to send
    assert patient not in old.rows("patients")
    assert old.rows("cases") == {}
    assert not old.unsynced()
    assert {(each["id"], each["code"]) for each in old.shown()} == {
        (patient, "moved"),
        (later, "moved"),
    }
    # and the new team has the records, and the edits to look at
    now.sync()
    assert set(now.rows("cases")) == {case}
    assert now.rows("patients")[patient]["demographics"] == '{"v":1}'
    for name in (patient, later):
        [entry] = late(deployment, name)
        assert entry.fields["scope_id"] == other
    assert "worse" in str(late(deployment, patient)[0].fields["raw"])


def test_an_unsent_edit_of_a_leaver_is_heard(
    phone: Make, deployment: Deployment, team: str
) -> None:
    one = phone("amina")
    name, made = new(), new()
    one.create("patients", name, demographics="{}")
    one.sync()
    one.sync()
    leave(deployment, f"amina-{team}", team)
    one.update("patients", name, demographics='{"v":"worse"}')
    one.create("patients", made, demographics="{}")
    one.sync()
    assert one.rows("patients") == {}
    assert not one.unsynced()
    for each in (name, made):
        [entry] = late(deployment, each)
        assert entry.fields["scope_id"] == team
    assert "worse" in str(late(deployment, name)[0].fields["raw"])


# --- what the stock client says, and what it is spared


def test_the_stock_client_has_nothing_to_complain_about(phone: Make) -> None:
    """As it stood, a teammate's 50 patients logged "This could be a serious bug" 50 times."""
    one, two = phone("amina"), phone("joseph")
    one.sync()
    names = [new() for _ in range(50)]
    two.create_many("patients", [{"id": name, "demographics": "{}"} for name in names])
    two.sync()
    one.sync()
    assert set(one.rows("patients")) == set(names)
    two.update("patients", names[0], demographics='{"age":9}')
    two.delete("patients", names[1])
    two.sync()
    one.update("patients", names[2], demographics='{"age":3}')
    one.sync()
    one.do("repair")
    assert one.logged() == two.logged() == []


def test_what_a_phone_sent_does_not_come_back_unless_its_answer_is_gone(
    phone: Make, line: CuttingProxy
) -> None:
    one, two = phone("amina"), phone("amina", "second")
    sizes = []
    for each in (one, two):
        each.settings(url=line.url)
        names = [new() for _ in range(200)]
        each.create_many("patients", [{"id": name, "demographics": "{}"} for name in names])
        each.sync()
        each.sync()  # what the server filled in a new record comes back, once
        for name in names:
            each.update("patients", name, demographics=f'{{"note":"{name}"}}')
        each.sync()
        if each is two:
            each.restart()  # the receipt was in memory only
        before = line.answer_bytes
        each.sync()
        sizes.append(line.answer_bytes - before)
        assert set(each.rows("patients")) >= set(names)
    assert sizes[0] < sizes[1] / 3


def test_a_phone_that_is_set_back_to_a_backup_gets_its_own_edits_again(phone: Make) -> None:
    one = phone("amina")
    name, later = new(), new()
    one.create("patients", name, demographics='{"v":1}')
    one.sync()
    one.sync()
    one.do("backup")
    one.update("patients", name, demographics='{"v":2}')
    one.create("patients", later, demographics="{}")
    one.sync()
    one.do("restore")
    assert one.rows("patients")[name]["demographics"] == '{"v":1}'
    one.sync()
    assert one.rows("patients")[name]["demographics"] == '{"v":2}'
    assert later in one.rows("patients")


def test_a_record_says_when_the_phone_made_it(phone: Make, deployment: Deployment) -> None:
    one, two = phone("amina"), phone("joseph")
    name = new()
    one.create("patients", name, demographics="{}")
    made = one.rows("patients")[name]["created_at"]
    settle()
    one.update("patients", name, demographics='{"v":2}')
    one.sync()
    two.sync()
    assert made == stored(deployment, "patients", name)["created_at"]
    assert made == two.rows("patients")[name]["created_at"]


def test_half_an_emoji_stays_with_its_author_and_holds_up_nothing(
    phone: Make, deployment: Deployment
) -> None:
    one = phone("amina")
    good, bad = new(), new("c")
    one.create("patients", good, demographics="{}")
    spoilt = {"patient_id": good, "triage_data": '{"note":"\ud83d"}', "risk_level": "green"}
    one.create_many("cases", [{"id": bad, **spoilt}])  # a repository would have mended it
    assert one.sync()["rejected"] == {"cases": [bad]}
    assert stored(deployment, "patients", good)
    assert [(each["id"], each["code"]) for each in one.shown()] == [(bad, "invalid_text")]
    one.update("cases", bad, triage_data='{"note":"mended"}')
    assert one.sync()["rejected"] == {}
    assert stored(deployment, "cases", bad)


# --- proof


def test_a_phone_that_differs_finds_out_and_is_repaired(
    phone: Make, deployment: Deployment
) -> None:
    one, two = phone("amina"), phone("joseph")
    patient, case = new(), new("c")
    one.create(
        "patients", patient, demographics='{"name":"Ása","age":3,"kg":12.5,"tags":["b",null]}'
    )
    one.create(
        "cases", case, patient_id=patient, triage_data='{"z":1,"a":[]}', risk_level="yellow",
        image_keys='["b","a"]',
    )  # fmt: skip
    assert one.check() == "unsent"
    one.sync()
    assert one.check() == "behind"  # its own push came after its pull
    settle()
    one.sync()
    assert one.check() == "equal"
    two.sync()
    assert two.check() == "equal"
    # a push is proved by its receipt
    two.update("cases", case, risk_level="green")
    two.sync()
    assert two.do("storage", name="in_doubt") is None
    settle()
    # when a row is not what the server holds, although the phone believes it is
    two.tamper("cases", case, triage_data='{"z":2,"a":[]}')
    assert not two.unsynced()
    two.sync()
    assert two.check() == "different"
    # then everything anew makes it right
    two.do("repair")
    assert two.check() == "equal"
    assert json.loads(two.rows("cases")[case]["triage_data"]) == {"z": 1, "a": []}
    # also when the phone holds too much
    two.create("patients", new(), demographics="{}")
    two.tamper("patients", next(iter(two.rows("patients"))), demographics='{"v":0}')
    assert two.check() == "unsent"
    two.sync()
    settle()
    assert two.verify() == "equal"


def test_a_repair_keeps_the_unsent_edits_of_what_is_gone(
    phone: Make, deployment: Deployment, team: str
) -> None:
    one = phone("amina")
    name, kept = new(), new()
    for each in (name, kept):
        one.create("patients", each, demographics="{}")
    one.sync()
    move(deployment, name, f"{team}-new")
    one.update("patients", name, demographics='{"v":"worse"}')
    one.do("repair")  # drops the record at once, with what it had to say
    assert set(one.rows("patients")) == {kept}
    assert [each["code"] for each in one.shown()] == ["moved"]
    assert "worse" in str(late(deployment, name)[0].fields["raw"])


def test_after_a_restore_phones_offer_what_the_server_lost(
    phone: Make, deployment: Deployment
) -> None:
    # given a server that lost a patient, and a newer edit of another one
    one, two = phone("amina"), phone("joseph")
    lost, old, same = new(), new(), new()
    for name in (lost, old, same):
        one.create("patients", name, demographics='{"v":1}')
    one.sync()
    two.sync()
    older = stored(deployment, "patients", old)
    one.update("patients", old, demographics='{"v":2}')
    one.sync()
    one.sync()
    # `two` has not seen the second edit, and holds the first
    restore(deployment, {old: older, lost: None})
    # when the phones sync
    two.sync()
    one.sync()
    two.sync()
    # then what any phone knew is on the server again, the newest of it
    assert stored(deployment, "patients", lost)["demographics"] == '{"v":1}'
    assert stored(deployment, "patients", old)["demographics"] == '{"v":2}'
    for each in (one, two):
        assert {name: each.rows("patients")[name]["demographics"] for name in (lost, old, same)} == {
            lost: '{"v":1}', old: '{"v":2}', same: '{"v":1}',
        }  # fmt: skip
        assert not each.unsynced()


def restore(deployment: Deployment, before: dict[str, dict[str, object] | None]) -> None:
    """The store as it was, for some patients; then the epoch, as after a restore from a backup."""
    settle()
    key = {name: Key("patients", name) for name in before}
    deployment.store.commit(
        [
            delete(key[name]) if fields is None else put(key[name], without_stamp(fields), None)
            for name, fields in before.items()
        ]
    )
    deployment.store.commit([put(EPOCH, {"started_at": wall_ms()}, None)])
    settle()


def without_stamp(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name != "updated_at"}


# --- large


def test_a_first_pull_of_ten_thousand_records(
    phone: Make, deployment: Deployment, team: str, stage: str
) -> None:
    names = fill(deployment, team, 10_000)
    for turbo in (False, True):
        one = phone("amina", f"turbo-{turbo}")
        one.settings(turbo=turbo)
        one.sync()
        assert set(one.rows("patients")) == names
        assert one.check() == "equal"
        # the adapter of SQLite in Node has no native reader: it comes in pages
        assert one.do("turbos") == (turbo and stage != "sqlite")
    one.sync()  # only the first sync is a turbo one
    assert not one.unsynced()
