"""The batch dialect of the kit against the running back end, on both profiles."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Deployment
from tests.mobile import SyncFailed
from tests.mobile.conftest import Make, MakeBatch, leave, move, new, settle, stored

pytestmark = pytest.mark.proof

#: More steps than a sync has (writes and requests, before and after each).
MANY_STEPS = 40


@pytest.fixture(params=["loki", pytest.param("emulator", marks=pytest.mark.soak)])
def stage(request: pytest.FixtureRequest) -> str:
    """Both profiles."""
    return str(request.param)


def test_what_one_phone_saves_another_one_gets(batch: MakeBatch, phone: Make) -> None:
    one, two, melon = batch("amina"), batch("joseph"), phone("ruth")
    patient, case = new(), new("c")
    one.save("patients", patient, demographics={"name": "Asha", "age": 34})
    one.save("cases", case, patient_id=patient, triage_data={}, risk_level="green")
    one.sync()
    two.sync()
    melon.sync()
    row = two.row("patients", patient)
    assert row is not None
    assert row["demographics"] == {"name": "Asha", "age": 34}
    assert melon.rows("patients")[patient]["demographics"] == '{"age":34,"name":"Asha"}'
    # what the server filled came back at once
    for each in (one, two):
        held = each.row("cases", case)
        assert held is not None
        assert held["status"] == "TRIAGED"
        assert each.kept("edit/") == {}


def test_edits_of_different_columns_both_stay(batch: MakeBatch, deployment: Deployment) -> None:
    one, two = batch("amina"), batch("joseph")
    patient, case = new(), new("c")
    one.save("patients", patient, demographics={})
    one.save("cases", case, patient_id=patient, triage_data={}, risk_level="green")
    one.sync()
    two.sync()
    one.save("cases", case, triage_data={"site": "arm"})
    settle()
    two.save("cases", case, risk_level="yellow")
    one.sync()
    two.sync()
    one.sync()
    for each in (one, two):
        row = each.row("cases", case)
        assert row is not None
        assert (row["triage_data"], row["risk_level"]) == ({"site": "arm"}, "yellow")


def test_a_value_that_lost_is_shown_to_its_author(batch: MakeBatch) -> None:
    one, two = batch("amina"), batch("joseph")
    name = new()
    one.save("patients", name, demographics={"v": 0})
    one.sync()
    two.sync()
    two.save("patients", name, demographics={"v": "earlier"})
    settle()
    one.save("patients", name, demographics={"v": "later"})
    one.sync()
    two.sync()
    [notice] = two.kept("notice/").values()
    assert (notice["winner"], notice["reason"]) == ("server", "older")
    assert notice["yours"]["demographics"] == {"v": "earlier"}
    row = two.row("patients", name)
    assert row is not None
    assert row["demographics"] == {"v": "later"}
    assert two.kept("edit/") == {}


def test_an_edit_of_what_was_deleted_elsewhere_is_shown_and_dropped(batch: MakeBatch) -> None:
    one, two = batch("amina"), batch("joseph")
    name = new()
    one.save("patients", name, demographics={})
    one.sync()
    two.sync()
    one.remove("patients", name)
    one.sync()
    two.save("patients", name, demographics={"v": "worse"})
    two.sync()
    assert two.row("patients", name) is None
    assert two.kept("edit/") == two.kept("refused/") == {}
    [notice] = two.kept("notice/").values()
    assert (notice["reason"], notice["yours"]["demographics"]) == ("deleted", {"v": "worse"})


def test_edits_of_a_moved_patient_are_handed_over_and_dropped(
    batch: MakeBatch, deployment: Deployment, team: str
) -> None:
    one = batch("amina")
    patient, later = new(), new("c")
    one.save("patients", patient, demographics={})
    one.sync()
    move(deployment, patient, f"{team}-new")
    one.save("patients", patient, demographics={"v": "worse"})
    one.save("cases", later, patient_id=patient, triage_data={}, risk_level="green")
    one.sync()
    assert one.kept("row/") == one.kept("edit/") == one.kept("refused/") == {}
    notices = one.kept("notice/").values()
    assert {(each["id"], each["code"]) for each in notices} == {
        (patient, "moved"),
        (later, "moved"),
    }


def test_a_leaver_drops_everything(batch: MakeBatch, deployment: Deployment, team: str) -> None:
    one = batch("amina")
    one.save("patients", new(), demographics={})
    one.sync()
    leave(deployment, f"amina-{team}", team)
    one.sync()
    assert one.kept("row/") == {}


def test_a_refused_record_waits_for_its_author(batch: MakeBatch, deployment: Deployment) -> None:
    one = batch("amina")
    patient, case = new(), new("c")
    one.save("cases", case, patient_id=patient, triage_data={}, risk_level="green")
    one.sync()
    assert one.kept("refused/")[f"refused/cases/{case}"]["code"] == "unknown_parent"
    one.sync()  # not sent again
    assert one.check() == "unsent"
    # when it is edited, it goes again, whole
    one.save("patients", patient, demographics={})
    one.save("cases", case, risk_level="yellow")
    one.sync()
    assert one.kept("refused/") == one.kept("edit/") == {}
    assert stored(deployment, "cases", case)["risk_level"] == "yellow"


def test_half_an_emoji_stays_with_its_author_and_holds_up_nothing(
    batch: MakeBatch, deployment: Deployment
) -> None:
    one = batch("amina")
    good, bad, deep = new(), new("c"), new("c")
    nested: object = "here"
    for _ in range(25):
        nested = {"more": nested}
    one.save("patients", good, demographics={})
    one.save("cases", bad, patient_id=good, triage_data={}, risk_level="green")
    [edit] = [edit for key, edit in one.kept("edit/").items() if key.endswith(bad)]
    edit["record"]["triage_data"] = {"note": "\ud83d"}  # `save` would have mended it
    one.put(**{f"edit/cases/{bad}": edit})
    one.save("cases", deep, patient_id=good, triage_data={"tree": nested}, risk_level="green")
    one.sync()
    assert stored(deployment, "patients", good)
    refused = {each["id"]: each["code"] for each in one.kept("refused/").values()}
    assert refused == {bad: "invalid_text", deep: "too_deep"}
    for name in (bad, deep):
        one.save("cases", name, triage_data={"note": "mended"})
    one.sync()
    assert one.kept("refused/") == one.kept("edit/") == {}
    assert stored(deployment, "cases", bad)["risk_level"] == "green"


def test_a_column_that_only_one_changed_is_nobody_elses_loss(batch: MakeBatch) -> None:
    """Whole rows travel: what stands beside the change in them is old, and undoes nothing."""
    one, two = batch("amina"), batch("joseph")
    patient, case = new(), new("c")
    one.save("patients", patient, demographics={})
    one.save("cases", case, patient_id=patient, triage_data={"v": 0}, risk_level="green")
    one.sync()
    two.sync()
    two.save("cases", case, risk_level="red")
    two.sync()
    settle()
    one.save("cases", case, triage_data={"v": 1})  # later, and not aware of the red mark
    one.sync()
    two.sync()
    for each in (one, two):
        row = each.row("cases", case)
        assert row is not None
        assert (row["triage_data"], row["risk_level"]) == ({"v": 1}, "red")
        assert each.kept("notice/") == {}


def test_a_record_says_when_the_phone_made_it(batch: MakeBatch, deployment: Deployment) -> None:
    one = batch("amina")
    name = new()
    one.save("patients", name, demographics={})
    made = one.row("patients", name)
    assert made is not None
    settle()
    one.save("patients", name, demographics={"v": 2})
    one.sync()
    row = one.row("patients", name)
    assert row is not None
    assert made["created_at"] == row["created_at"]
    assert stored(deployment, "patients", name)["created_at"] == round(made["created_at"] * 1000)


def test_many_edits_go_in_several_requests_and_many_rows_come_in_pages(batch: MakeBatch) -> None:
    one, two = batch("amina"), batch("joseph")
    patient = new()
    names = [new("c") for _ in range(2300)]
    edits = {
        f"edit/cases/{name}": {
            "number": 1,
            "record": {
                "id": name, "patient_id": patient, "triage_data": {"n": 1}, "risk_level": "green",
                "sync_status": "new", "last_modified_at": 1772323260,
            },
        }
        for name in names
    }  # fmt: skip
    one.put(**edits)
    one.save("patients", patient, demographics={})
    one.sync()
    assert one.kept("edit/") == one.kept("refused/") == {}
    two.sync()
    assert {key.split("/")[2] for key in two.kept("row/cases/")} == set(names)
    settle()
    assert two.verify() == "equal"


def test_the_power_may_fail_at_any_step(batch: MakeBatch, deployment: Deployment) -> None:
    """Before and after every write and every request: no edit is lost, none is reported twice."""
    one, two = batch("amina"), batch("joseph")
    two.sync()
    cuts = 0
    for step in range(1, MANY_STEPS):
        # given an edit that wins over one not seen, an edit that is refused, and news from elsewhere
        won, bad, news = new(), new("c"), new()
        two.save("patients", won, demographics={"v": 1})
        two.save("patients", news, demographics={})
        two.sync()
        one.save("patients", won, demographics={"v": 2})
        one.save("cases", bad, patient_id=new(), triage_data={}, risk_level="green")
        # when the power fails, and the phone is started again
        one.settings(cutAt=step)
        try:
            one.sync()
        except SyncFailed as error:
            assert "power cut" in str(error) or "Unreachable" in str(error)  # noqa: PT017
            cuts += 1
        one.settings(cutAt=0)
        one.sync()
        # then all is as if it had not
        assert stored(deployment, "patients", won)["demographics"] == '{"v":2}'
        assert one.kept("edit/") == one.kept("sent") == {}
        assert one.row("patients", news) is not None
        assert f"refused/cases/{bad}" in one.kept("refused/")
        notices = [each for each in one.kept("notice/").values() if each["id"] == won]
        assert [each["reason"] for each in notices] == ["unseen_overwrite"]
        if cuts < step:
            break
    assert 4 <= cuts < MANY_STEPS - 1


def test_an_edit_made_while_a_request_is_under_way_is_sent_with_the_next(
    batch: MakeBatch, deployment: Deployment
) -> None:
    one = batch("amina")
    name = new()
    one.save("patients", name, demographics={"v": 1})
    one.settings(loseAnswers=1)
    with pytest.raises(SyncFailed, match="lost"):
        one.sync()
    [sent] = one.kept("sent").values()
    one.save("patients", name, demographics={"v": 2})
    one.settings(loseAnswers=2)
    for _ in range(2):
        with pytest.raises(SyncFailed, match="lost"):
            one.sync()
    assert one.kept("sent")["sent"]["body"] == sent["body"]
    one.sync()  # the same bytes once more, then the edit that was made since
    assert one.kept("edit/") == one.kept("sent") == {}
    row = one.row("patients", name)
    assert row is not None
    assert row["demographics"] == {"v": 2}
    assert stored(deployment, "patients", name)["demographics"] == '{"v":2}'


def test_a_phone_that_differs_finds_out_and_is_repaired(batch: MakeBatch) -> None:
    one = batch("amina")
    patient, case, much = new(), new("c"), new()
    one.save("patients", patient, demographics={"name": "Ása", "kg": 12.5, "tags": ["b", None]})
    one.save(
        "cases", case, patient_id=patient, triage_data={"z": 1}, risk_level="medium",
        image_keys=["b", "a"],
    )  # fmt: skip
    assert one.check() == "unsent"
    one.sync()
    assert one.kept("in_doubt") == {}
    settle()
    one.sync()
    assert one.check() == "equal"
    row = one.row("cases", case)
    assert row is not None
    one.put(**{f"row/cases/{case}": {**row, "triage_data": {"z": 2}}})
    one.put(**{f"row/patients/{much}": {"id": much, "scope_id": row["scope_id"]}})
    assert one.check() == "different"
    assert one.verify() == "equal"
    row = one.row("cases", case)
    assert row is not None
    assert row["triage_data"] == {"z": 1}
    assert one.row("patients", much) is None


def test_after_a_restore_phones_offer_what_the_server_lost(
    batch: MakeBatch, deployment: Deployment
) -> None:
    from tests.mobile.test_stories import restore

    one, two = batch("amina"), batch("joseph")
    lost, old = new(), new()
    for name in (lost, old):
        one.save("patients", name, demographics={"v": 1})
    one.sync()
    two.sync()
    older = stored(deployment, "patients", old)
    one.save("patients", old, demographics={"v": 2})
    one.sync()
    restore(deployment, {old: older, lost: None})
    two.sync()
    one.sync()
    two.sync()
    assert stored(deployment, "patients", lost)["demographics"] == '{"v":1}'
    assert stored(deployment, "patients", old)["demographics"] == '{"v":2}'
    for each in (one, two):
        rows = {name: each.row("patients", name) for name in (lost, old)}
        assert [row and row["demographics"] for row in rows.values()] == [{"v": 1}, {"v": 2}]
        assert each.kept("edit/") == {}
