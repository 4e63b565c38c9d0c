"""Phones with the kit against the running back end: what an app's day brings, in a few seconds."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests

from shared.accounts import tokens
from shared.products.dermadetect.tables import PENDING
from shared.products.dermadetect.triage import phone_scored
from tests.e2e.conftest import Deployment
from tests.mobile import SyncFailed
from tests.mobile.conftest import Make, new, stored
from tests.mobile.cutting import CuttingProxy
from tests.patience import PATIENCE_SECONDS

#: Each needs a running back end and Node; what needs neither is in the kit's own tests (test_units.py).
pytestmark = pytest.mark.proof

PASSWORD = "correct horse battery"


def ask(url: str, path: str, body: Any = None, **headers: str) -> Any:
    """A screen's request, with its JSON."""
    method = "GET" if body is None else "POST"
    answer = requests.request(
        method, f"{url}{path}", json=body, headers=headers, timeout=PATIENCE_SECONDS
    )
    assert answer.ok, answer.text
    return answer.json()


def test_two_phones_change_one_patient_and_both_values_are_kept(phone: Make) -> None:
    # given a patient on two phones, that both change in the same column
    one, two = phone("amina"), phone("joseph")
    name, other = new(), new("c")
    one.create("patients", name, demographics='{"age":1}')
    one.create("cases", other, patient_id=name, risk_level="green")
    one.sync()
    two.sync()
    two.update("patients", name, demographics='{"age":2}')
    two.update("cases", other, risk_level="yellow")
    two.sync()
    one.update("patients", name, demographics='{"age":3}')
    one.update("cases", other, triage_data='{"site":"arm"}')
    # when the second one syncs
    one.sync()
    # then its value stands, and the user sees both; different columns are no conflict
    [conflict] = one.do("conflicts")
    assert (conflict["table"], conflict["id"]) == ("patients", name)
    assert conflict["columns"] == {"demographics": {"mine": '{"age":3}', "theirs": '{"age":2}'}}
    two.sync()
    for each in (one, two):
        assert each.rows("patients")[name]["demographics"] == '{"age":3}'
        assert each.rows("cases")[other]["risk_level"] == "yellow"
        assert json.loads(each.rows("cases")[other]["triage_data"]) == {"site": "arm"}
    # and the echo of its own edit is none
    one.update("patients", name, demographics='{"age":4}')
    one.settings(loseAnswers=1)
    with pytest.raises(SyncFailed, match="lost"):
        one.sync()
    one.update("patients", name, demographics='{"age":5}')
    one.sync()
    assert len(one.do("conflicts")) == 1


def test_airplane_mode_in_the_middle_of_a_push_and_of_a_pull(
    phone: Make, deployment: Deployment, line: CuttingProxy
) -> None:
    # given a phone whose line dies while it pushes
    one, two = phone("amina"), phone("joseph")
    one.settings(url=line.url, gzip=False)
    names = [new() for _ in range(100)]
    one.create_many("patients", [{"id": name, "demographics": "{}"} for name in names])
    line.at = (2000, lambda: setattr(line, "down", True))
    assert one.call()["next"] == "retry"
    assert one.unsynced()
    assert one.do("status")["unsent"] == 100
    # when it is back, everything is sent
    line.down = False
    assert one.call()["next"] == "rest"
    assert stored(deployment, "patients", names[-1])
    # given a phone whose line dies while it pulls
    two.settings(url=line.url)
    line.brings = 600
    assert two.call()["next"] == "retry"
    assert two.rows("patients") == {}
    # when it is back, everything is there
    line.brings, line.down = None, False
    assert two.call()["next"] == "rest"
    assert set(two.rows("patients")) == set(names)


def test_airplane_mode_before_or_after_any_request_loses_nothing(
    phone: Make, deployment: Deployment
) -> None:
    one, two = phone("amina"), phone("joseph")
    for when in ("before", "after"):
        for number in range(1, 9):
            # given unsent work on one phone, and news from another one
            mine, case, news = new(), new("c"), new()
            two.create("patients", news, demographics="{}")
            two.sync()
            one.create("patients", mine, demographics='{"v":1}')
            one.create("cases", case, patient_id=mine, risk_level="red")
            # when the network goes at a request of its sync
            before = one.do("requests")
            one.do("failAt", request=number, when=when)
            said = one.call()
            reached = one.do("requests") - before >= number
            assert said["next"] == ("retry" if reached else "rest")
            # then the next sync is as if it had not
            one.do("failAt", request=0, when=when)
            one.sync()
            assert not one.unsynced()
            assert news in one.rows("patients")
            assert stored(deployment, "cases", case)["patient_id"] == mine
            if not reached:
                break
        assert number > 2


def test_what_a_model_on_the_phone_saw_raises_the_case_and_is_no_answer_of_the_form(
    phone: Make, deployment: Deployment
) -> None:
    """The labels are words of signs: the server's rules must not take scores for answers."""
    one = phone("amina")
    patient, case = new(), new("c")
    one.create("patients", patient, demographics="{}")
    one.create("cases", case, patient_id=patient, risk_level="green", triage_data='{"site":"arm"}')
    one.do("triage", id=case, scores={"ulcer": 0.91, "bleeding": 1.0, "pus": 0.1})
    one.sync()
    kept = stored(deployment, "cases", case)
    assert (kept["risk_level"], kept["status"], kept.get("rules")) == ("red", PENDING, None)
    triage = json.loads(str(kept["triage_data"]))
    assert triage["device_triage"]["photos"][0]["reached"] == ["ulcer", "bleeding"]
    assert (triage["device_triage"]["model_version"], triage["site"]) == ("7", "arm")
    assert phone_scored({**kept, "triage_data": triage})
    assert one.rows("medgemma_queue")[case]["status"] == "queued"
    # a photo that nobody could read is for a person, and the server may look at it
    one.do("triage", id=case, scores={"ulcer": 2})
    one.sync()
    kept = stored(deployment, "cases", case)
    assert kept["risk_level"] == "red"
    assert not phone_scored({**kept, "triage_data": json.loads(str(kept["triage_data"]))})


@pytest.mark.parametrize("request_number", [1, 2])
def test_an_edit_while_a_sync_runs_is_not_lost(
    phone: Make, deployment: Deployment, request_number: int
) -> None:
    """While the pull's answer comes, and while the push's answer comes."""
    one = phone("amina")
    name = new()
    one.create("patients", name, demographics='{"v":1}')
    edit = {"op": "update", "table": "patients", "id": name, "values": {"demographics": '{"v":2}'}}
    one.do("during", request=request_number, then=[edit])
    one.sync()
    one.sync()
    assert not one.unsynced()
    assert stored(deployment, "patients", name)["demographics"] == '{"v":2}'
    assert one.rows("patients")[name]["demographics"] == '{"v":2}'


def test_three_weeks_away_with_an_expired_token(phone: Make, deployment: Deployment) -> None:
    # given a user who logged in, and whose access token has expired long since
    one = phone("amina")
    deployment.join("boss", "weeks", "supervisor")
    boss = f"Bearer {deployment.token('boss', 'supervisor')}"
    url, auth = deployment.stack.url, "/api/v1/auth"
    invite = ask(url, f"{auth}/invites", {"scope_id": "weeks", "role": "chw"}, Authorization=boss)
    email = f"{new()}@example.org"
    who = {"email": email, "password": PASSWORD, "invite_code": invite["invite_code"]}
    ask(url, f"{auth}/register", who)
    one.do("login", email=email, password=PASSWORD)
    before = one.do("tokens")
    user = ask(url, f"{auth}/me", Authorization=f"Bearer {before['access']}")["user_id"]
    weeks_ago = time.time() - 21 * 86_400
    old = tokens.issue(
        deployment.keys.current(), deployment.policy, user_id=user, role="chw", now_s=weeks_ago
    )
    one.do("expire", access=old)
    name = new()
    one.create("patients", name, demographics="{}")
    # when it syncs
    one.sync()
    # then the token was renewed once, its successor is kept, and everything is sent
    after = one.do("tokens")
    assert after["refresh"] != before["refresh"]
    assert after["access"] not in (old, before["access"])
    assert stored(deployment, "patients", name)
    assert one.do("requests") == 4 + 1  # log in; pull refused, refresh, pull, push


def test_a_log_in_that_has_ended_keeps_everything_and_asks_the_user(phone: Make) -> None:
    one = phone("amina")
    one.do("expire", access="worthless")
    one.create("patients", new(), demographics="{}")
    assert one.call()["next"] == "log_in"
    assert one.unsynced()
    [attempt] = one.do("history")
    assert (attempt["next"], attempt["unsent"]) == ("log_in", 1)


def test_a_red_case_comes_back_with_its_diagnosis(phone: Make, deployment: Deployment) -> None:
    # given a red case, which is in the queue before any network is there
    one = phone("amina")
    patient, case = new(), new("c")
    one.create("patients", patient, demographics='{"age":40}')
    one.create("cases", case, patient_id=patient, triage_data='{"site":"foot"}', risk_level="red")
    assert one.rows("medgemma_queue")[case]["status"] == "queued"
    # when it is sent, and read by the model
    one.sync()
    assert not one.unsynced()

    assert one.analysed(case)["ai_analysis"]
    # and a doctor signs
    team = str(stored(deployment, "patients", patient)["scope_id"])
    deployment.join(f"doctor-{team}", team, "doctor")
    token = deployment.token(f"doctor-{team}", "doctor")
    where, url = f"/api/v1/review/cases/{case}", deployment.stack.url
    as_doctor = {"Authorization": f"Bearer {token}", "Idempotency-Key": new()}
    ask(url, f"{where}/claim", {}, **as_doctor)
    seen = ask(url, where, **as_doctor)["version"]
    finding = {"diagnosis_text": "Infected ulcer.", "prescription": "Cover it.", "verdict": "agree"}
    ask(url, f"{where}/diagnosis", finding, **as_doctor, **{"If-Match": f'"{seen}"'})
    # then the phone has it with the next sync
    one.sync()
    [diagnosis] = one.rows("diagnoses").values()
    assert (diagnosis["case_id"], diagnosis["diagnosis_text"]) == (case, "Infected ulcer.")
    assert one.rows("cases")[case]["status"] == "DIAGNOSED"
    assert one.check() == "equal"


def test_a_clock_at_1970_does_not_stop_the_sync(phone: Make, deployment: Deployment) -> None:
    one, two = phone("amina"), phone("joseph")
    one.settings(frozenAt=5000)
    name = new()
    one.create("patients", name, demographics='{"v":1}')
    one.sync()
    two.sync()
    two.update("patients", name, demographics='{"v":2}')
    two.sync()
    one.sync()
    one.update("patients", name, demographics='{"v":3}')
    one.sync()
    two.sync()
    assert two.rows("patients")[name]["demographics"] == '{"v":3}'
    assert one.do("status")["clockOffsetMs"] < -50 * 365 * 86_400_000


def test_a_refused_record_is_kept_and_shown_until_it_is_taken(
    phone: Make, deployment: Deployment
) -> None:
    one = phone("amina")
    good, bad = new(), new("c")
    one.create("patients", good, demographics="{}")
    one.create("cases", bad, patient_id="nobody", risk_level="red")
    one.sync()
    [shown] = one.shown()
    assert (shown["table"], shown["id"], shown["kept"]) == ("cases", bad, True)
    assert one.do("status")["refused"] == 1
    assert one.rows("medgemma_queue")[bad]["status"] == "queued"  # it waits with its case
    one.update("cases", bad, patient_id=good)
    one.sync()
    assert one.shown() == []
    assert not one.unsynced()
    assert stored(deployment, "cases", bad)


def test_time_that_is_over_ends_a_sync_and_loses_nothing(phone: Make) -> None:
    one = phone("amina")
    one.create("patients", new(), demographics="{}")
    with pytest.raises(SyncFailed, match="over"):
        one.do("sync", budgetMs=0)
    assert one.unsynced()
    one.sync()
    assert not one.unsynced()
