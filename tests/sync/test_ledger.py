"""The ledger of devices: what support sees of phones that do not sync, on both stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from shared.access.membership import Caller
from shared.errors import Contended, StoreUnavailable
from shared.records.store import RecordStore, Write, delete
from shared.support import devices, ledger
from shared.support.ledger import Attempt
from shared.sync.dialects import batch
from shared.sync.exchange import Outcome, Refusal
from tests.stores import Interrupted
from tests.sync.clinic import Clinic
from tests.sync.test_inbox import sweep

CALLER = Caller("member1", "member", "phone")
MINUTE, DAY = 60_000, 86_400_000


def note(clinic: Clinic, at_ms: int, **more: Any) -> dict[str, Any]:
    """Write an attempt down; what the entry says then."""
    before = clinic.get(*ledger.key(CALLER))
    fields = {"scopes": ("team1",), "app_version": "1.4.0", **more}
    ledger.note(clinic.store, Attempt(CALLER, "batch", at_ms, before=before, **fields))
    return clinic.fields(*ledger.key(CALLER))


def test_an_entry_says_what_happened(clinic: Clinic) -> None:
    refusal = Refusal("notes", "c1", "notebook_id", "unknown_parent", "…", {"secret": "Asha"})
    have = note(
        clinic,
        DAY,
        pushed={"accepted": 3, "rejected": 1},
        pulled={"rows": 2},
        rejected=[refusal],
        unknown={"notes": ["mood"]},
        clock_offset_ms=-90_000,
        bytes_in=100,
        bytes_out=200,
    )
    assert (have["outcome"], have["failures"], have["attempt_at"]) == ("ok", 0, DAY)
    assert have["ok_at"] == DAY
    assert (have["pushed"], have["pulled"]) == ({"accepted": 3, "rejected": 1}, {"rows": 2})
    assert have["rejected"] == [{"table": "notes", "id": "c1", "code": "unknown_parent"}]
    assert have["unknown_columns"] == {"notes": ["mood"]}
    assert (have["bytes_in"], have["bytes_out"], have["clock_offset_ms"]) == (100, 200, -90_000)
    assert "Asha" not in str(have)


def test_an_idle_pull_writes_nothing_but_once_a_day(clinic: Clinic) -> None:
    note(clinic, DAY, pulled={"rows": 1}, pushed={"accepted": 2})
    assert note(clinic, DAY + 5 * MINUTE)["attempt_at"] == DAY
    have = note(clinic, 2 * DAY)
    assert have["attempt_at"] == 2 * DAY
    assert (have["pulled"], have["pushed"]) == ({"rows": 1}, {"accepted": 2})


def test_failures_are_counted_and_a_success_ends_them(clinic: Clinic) -> None:
    note(clinic, DAY, pulled={"rows": 1})
    have = note(clinic, DAY + MINUTE, outcome="invalid_json")
    assert (have["outcome"], have["failures"], have["ok_at"]) == ("invalid_json", 1, DAY)
    # the same failure again and again is no news for ten minutes
    assert note(clinic, DAY + 2 * MINUTE, outcome="invalid_json")["failures"] == 1
    assert note(clinic, DAY + 12 * MINUTE, outcome="invalid_json")["failures"] == 2
    assert note(clinic, DAY + 13 * MINUTE, outcome="app_too_old")["failures"] == 3
    have = note(clinic, DAY + 14 * MINUTE)  # idle, but the outcome has changed
    assert (have["outcome"], have["failures"]) == ("ok", 0)


def test_a_ledger_that_cannot_be_written_fails_nothing(
    clinic: Clinic, caplog: pytest.LogCaptureFixture
) -> None:
    def down(_writes: object) -> None:
        raise StoreUnavailable("no answer")

    store = Interrupted(clinic.store, before=down)
    ledger.note(store, Attempt(CALLER, "batch", DAY, pulled={"rows": 1}))
    assert "device ledger not written" in caplog.text


def test_devices_are_listed_by_scope(clinic: Clinic) -> None:
    note(clinic, DAY, scopes=("team1", "team2"), pulled={"rows": 1})
    for scope, count in (("team1", 1), ("team2", 1), ("team3", 0)):
        assert len(list(ledger.devices(clinic.store, scope))) == count


def met(clinic: Clinic, user: str, device: str, at_ms: int, **more: Any) -> None:
    """A phone that was never met before."""
    fields: dict[str, Any] = {"scopes": ("team1",), "pulled": {"rows": 1}, **more}
    ledger.note(clinic.store, Attempt(Caller(user, "member", device), "batch", at_ms, **fields))


def kept(clinic: Clinic) -> set[str]:
    return {each.key.id for each in clinic.all("devices")}


def test_of_a_user_the_phones_are_kept_that_were_heard_of_last(clinic: Clinic) -> None:
    most = ledger.MOST_OF_A_USER
    met(clinic, "other", "first", DAY)
    for at in range(most + 3):
        met(clinic, "member1", f"d{at}", DAY + at)
    assert kept(clinic) == {"other~first", *(f"member1~d{at}" for at in range(3, most + 3))}
    # a phone that only says where it can be woken counts too, and one that is known takes no room
    ledger.register(clinic.store, Caller("member1", "member", "new"), ["team1"], "token", 2 * DAY)
    assert kept(clinic) >= {"member1~new", "other~first"}
    assert len(kept(clinic)) == most + 1
    ledger.register(clinic.store, Caller("member1", "member", "new"), ["team1"], "token-2", 2 * DAY)
    assert len(kept(clinic)) == most + 1


def test_a_phone_is_kept_for_half_a_year_after_it_was_heard_of(clinic: Clinic) -> None:
    met(clinic, "member1", "silent", DAY)
    met(clinic, "member1", "woken", DAY, pushed={"written": 1})
    ledger.register(clinic.store, Caller("member1", "member", "woken"), ["team1"], "token", 3 * DAY)
    for now_ms, left in (
        (DAY + ledger.KEPT_MS, {"member1~silent", "member1~woken"}),
        (2 * DAY + ledger.KEPT_MS, {"member1~woken"}),
        (4 * DAY + ledger.KEPT_MS, set()),
    ):
        sweep(clinic, now_ms)
        assert kept(clinic) == left


def test_phones_of_members_come_first_then_those_with_a_problem(clinic: Clinic) -> None:
    met(clinic, "ex", "gone", DAY, outcome="app_too_old")
    met(clinic, "member1", "fine", DAY + 1)
    met(clinic, "member1", "silent-longer", DAY)
    met(clinic, "member1", "broken", DAY + 5, outcome="app_too_old")
    found = devices.listed(
        clinic.store,
        ["team1"],
        lambda entry: None if entry["outcome"] == "ok" else str(entry["outcome"]),
        ("user_id", "device", "attempt_at", "outcome"),
    )
    told = [(each.entry.fields["device"], each.problem) for each in found]
    assert told == [
        ("broken", "app_too_old"), ("silent-longer", None), ("fine", None), ("gone", "app_too_old"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, None),
        ({"outcome": "token_expired", "failures": 4}, "the last 4 syncs failed: token_expired"),
        ({"attempt_at": 3 * DAY}, "has not been heard of for 7 days"),
        ({"rejected": [{"code": "moved"}]}, "could not deliver 1 records: moved"),
        ({"clock_offset_ms": -600_000}, "its clock is off by -600 seconds"),
        ({"clock_offset_ms": 60_000}, None),
    ],
)
def test_what_is_wrong_with_a_phone_is_said_in_a_line(
    fields: dict[str, Any], wrong: str | None
) -> None:
    entry = {"outcome": "ok", "failures": 0, "attempt_at": 10 * DAY, **fields}
    assert ledger.problem(entry, 10 * DAY + MINUTE, 3 * DAY, 120_000) == wrong


# --- the entry in the commit of its push


def pushed(clinic: Clinic, store: RecordStore, record_id: str, now_ms: int = 3 * DAY) -> Outcome:
    """A push that reads its phone's entry, and brings the next one along."""
    row = {"id": record_id, "sync_status": "new", "last_modified_at": 5}
    body = {"changes": {"notebooks": [row]}}
    asked = batch.parse(
        body, clinic.catalog, fingerprint=record_id, client_time_ms=None, now_ms=now_ms
    )
    attempt = Attempt(CALLER, "watermelon", now_ms)
    asked.push.also = {ledger.key(CALLER): ledger.CARRIED}
    asked.push.adds = lambda outcome: ledger.with_push(store, attempt, outcome)
    return clinic.on(store).pusher.push(CALLER, asked.push, now_ms)


def test_a_push_brings_its_phones_entry_along(clinic: Clinic) -> None:
    clinic.join("member1", "team1")
    note(clinic, DAY, pulled={"rows": 7}, clock_offset_ms=4)
    commits: list[Sequence[Write]] = []
    store = Interrupted(clinic.store, before=commits.append)
    assert pushed(clinic, store, "n1").added
    assert len(commits) == 1
    have = clinic.fields(*ledger.key(CALLER))
    assert (have["attempt_at"], have["dialect"], have["scopes"]) == (
        3 * DAY,
        "watermelon",
        ["team1"],
    )
    assert (have["pushed"]["accepted"], have["pulled"], have["clock_offset_ms"]) == (
        1,
        {"rows": 7},
        4,
    )
    # a repetition is answered from the receipt, and stores nothing
    assert not pushed(clinic, store, "n1").added
    assert len(commits) == 1


def test_a_new_phone_has_its_entry_and_its_room_with_its_first_push(clinic: Clinic) -> None:
    clinic.join("member1", "team1")
    for at in range(ledger.MOST_OF_A_USER):
        met(clinic, "member1", f"d{at}", DAY + at)
    assert pushed(clinic, clinic.store, "n1").added
    assert clinic.fields(*ledger.key(CALLER))["pushed"]["accepted"] == 1
    assert len(kept(clinic)) == ledger.MOST_OF_A_USER
    assert "member1~d0" not in kept(clinic)


def test_an_entry_that_cannot_be_written_costs_no_record(clinic: Clinic) -> None:
    clinic.join("member1", "team1")
    note(clinic, DAY, pulled={"rows": 7})

    def busy(writes: Sequence[Write]) -> None:
        if ledger.key(CALLER) in {write.key for write in writes}:
            raise Contended("others write it all the time")

    outcome = pushed(clinic, Interrupted(clinic.store, before=busy), "n1")
    assert (outcome.attempts, outcome.added) == (2, False)
    assert clinic.fields("notebooks", "n1")["scope_id"] == "team1"


def test_an_entry_that_goes_meanwhile_costs_no_record(clinic: Clinic) -> None:
    clinic.join("member1", "team1")
    note(clinic, DAY, pulled={"rows": 7})
    gone = [delete(ledger.key(CALLER))]

    def forget(_writes: object) -> None:
        if gone:
            clinic.store.commit([gone.pop()])

    assert pushed(clinic, Interrupted(clinic.store, before=forget), "n1").attempts == 2
    assert clinic.fields("notebooks", "n1")["scope_id"] == "team1"
