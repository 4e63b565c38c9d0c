"""What phones could not deliver waits for people, once, until somebody has looked, on both stores."""

from __future__ import annotations

import pytest

from shared.accounts.membership import Caller
from shared.errors import NotFound
from shared.sync import inbox
from tests.sync.clinic import Clinic

BOSS = Caller("boss", "supervisor", "desk")


def refused(clinic: Clinic, team: str = "team1") -> list[str]:
    return [entry.fields["record_id"] for entry in inbox.entries(clinic.store, [team])]


def test_a_red_case_that_is_refused_waits_for_somebody(clinic: Clinic) -> None:
    phone = clinic.phone()
    phone.save("cases", "red", patient_id="nobody", risk_level="red")
    phone.save("cases", "green", patient_id="nobody", risk_level="green")
    phone.sync()
    assert refused(clinic) == ["red"]
    assert refused(clinic, "team2") == []


def test_what_was_looked_at_stays_off_the_list_however_often_it_is_sent(clinic: Clinic) -> None:
    phone = clinic.phone()
    phone.save("cases", "red", patient_id="nobody", risk_level="red")
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
        phone.save("cases", "red", patient_id="nobody", risk_level="red", triage_data={"n": note})
        phone.send(phone.request(), phone)
    assert refused(clinic) == ["red", "red"]


def test_an_unknown_entry_is_said_to_be_unknown(clinic: Clinic) -> None:
    with pytest.raises(NotFound):
        inbox.read(clinic.store, "nothing")
