"""The ledger of devices: what support sees of phones that do not sync, on both stores."""

from __future__ import annotations

from typing import Any

import pytest

from shared.access.membership import Caller
from shared.errors import StoreUnavailable
from shared.support import ledger
from shared.support.ledger import Attempt
from shared.sync.exchange import Refusal
from tests.stores import Interrupted
from tests.sync.clinic import Clinic

CALLER = Caller("chw1", "chw", "phone")
MINUTE, DAY = 60_000, 86_400_000


def note(clinic: Clinic, at_ms: int, **more: Any) -> dict[str, Any]:
    """Write an attempt down; what the entry says then."""
    before = clinic.get(*ledger.key(CALLER))
    fields = {"scopes": ("team1",), "app_version": "1.4.0", **more}
    ledger.note(clinic.store, Attempt(CALLER, "batch", at_ms, before=before, **fields))
    return clinic.fields(*ledger.key(CALLER))


def test_an_entry_says_what_happened(clinic: Clinic) -> None:
    refusal = Refusal("cases", "c1", "patient_id", "unknown_parent", "…", {"secret": "Asha"})
    have = note(
        clinic,
        DAY,
        pushed={"accepted": 3, "rejected": 1},
        pulled={"rows": 2},
        rejected=[refusal],
        unknown={"cases": ["mood"]},
        clock_offset_ms=-90_000,
        bytes_in=100,
        bytes_out=200,
    )
    assert (have["outcome"], have["failures"], have["attempt_at"]) == ("ok", 0, DAY)
    assert have["ok_at"] == DAY
    assert (have["pushed"], have["pulled"]) == ({"accepted": 3, "rejected": 1}, {"rows": 2})
    assert have["rejected"] == [{"table": "cases", "id": "c1", "code": "unknown_parent"}]
    assert have["unknown_columns"] == {"cases": ["mood"]}
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
