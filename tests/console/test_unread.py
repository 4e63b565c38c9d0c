"""Unread diagnoses and a doctor's own numbers, in her browser."""

from __future__ import annotations

import re
from typing import Any

import pytest

from shared import wiring
from shared.records import record
from shared.records.store import Key, put
from tests.api.conftest import Api, StartApi, api, start_api
from tests.console.test_worklist import (
    HOSTILE,
    HOUR,
    Browser,
    Enter,
    enter,
    person,
    row,
    rows,
    stored,
    text,
)

__all__ = ["Api", "StartApi", "api", "enter", "start_api"]

DAY = 24 * HOUR


def signed(name: str, ago_ms: int, by: str = "neema", scope: str = "team1", /, **more: Any) -> None:
    """A case that got its first diagnosis some time ago."""
    at = wiring.clock_ms() - ago_ms
    received = {record.RECEIVED: at - 3 * HOUR, record.CREATED: at - 4 * HOUR}
    stored(name, "red", scope, status="DIAGNOSED", **{record.WAITS: None, **received})
    done: dict[str, Any] = {
        "table": "cases",
        "record_id": name,
        record.SCOPE: scope,
        "chw_id": "chw1",
    }
    done |= {"signed_by": by, "signed_at": at, "first_signed_at": at, "diagnosis_id": f"d-{name}"}
    diagnosis = {record.SCOPE: scope, "case_id": name, "diagnosis_text": "x"}
    wiring.store().commit(
        [
            put(Key("reviews", name), {**done, **more}, None),
            put(Key("diagnoses", f"d-{name}"), diagnosis, None),
        ]
    )


def test_unread_diagnoses_say_whom_to_call_and_the_oldest_comes_first(enter: Enter) -> None:
    doctor = enter("neema", "doctor", "team1", "team2")
    enter("chw1", "chw")
    person(name=HOSTILE)
    for name, ago, by, scope in (
        ("c1", 2 * DAY, "neema", "team1"),
        ("c2", 5 * DAY, "ali", "team1"),
        ("c3", 3 * DAY, "neema", "team2"),
        ("c4", 2 * HOUR, "neema", "team1"),  # her phone may still come
        ("c5", 9 * DAY, "ali", "team9"),
    ):
        signed(name, ago, by, scope, unread=True)
    signed("c6", 4 * DAY, read_at=wiring.clock_ms())
    page = doctor.get("/console/unread")
    assert rows(page) == ["c2", "c3", "c1"]
    assert "5 days ago ali" in text(row(page, "c2"))
    assert "2 days ago by you" in text(row(page, "c1"))
    assert "Dr. Chw1 No telephone number" in text(row(page, "c1"))
    assert "chw1 Not in the team now" in text(row(page, "c3"))
    assert "<script>alert" not in page
    assert rows(doctor.get("/console/unread?scope=team2")) == ["c3"]
    assert doctor.ask("/console/unread?scope=team9").status_code == 404
    assert doctor.ask("/console/unread?page=x").status_code == 400


def test_nothing_unread_says_so(enter: Enter) -> None:
    assert "Nothing is overdue" in enter("neema").get("/console/unread")


# --- her own numbers


def sums(page: str) -> list[list[str]]:
    """The cells of the rows "All weeks"."""
    found = re.findall(r'<tr class="sum">.*?</tr>', page, re.DOTALL)
    return [re.findall(r"<td[^>]*>([^<]*)</td>", each) for each in found]


def test_own_numbers_are_hers_by_week(enter: Enter) -> None:
    doctor = enter("neema")
    for number, verdict in enumerate(("agree", "agree", "reject", None)):
        signed(f"c{number}", number * 7 * DAY, verdict=verdict)
    signed("c9", HOUR, "ali", verdict="reject")
    page = doctor.get("/console/my-numbers?weeks=4")
    risk, waits, agreement = sums(page)
    assert risk == ["0", "4", "0", "0", "0", "4"]
    assert waits == ["3 hours", "3 hours"]
    assert agreement == ["2", "0", "1", "1", "67%"]
    # charts beside tables, each with a name and without a style of its own
    assert len(re.findall(r'<svg[^>]* role="img"[^>]* aria-label="[^"]+"', page)) == 3
    assert "style=" not in page
    assert page.count('<th scope="row">') == 3 * 5
    # two weeks have two of them
    assert sums(doctor.get("/console/my-numbers?weeks=2"))[0][-1] == "2"


def test_who_signed_nothing_is_told_so(enter: Enter) -> None:
    page = enter("neema").get("/console/my-numbers")
    assert "You signed nothing in these weeks." in page
    assert "<svg" not in page


@pytest.mark.parametrize("weeks", ["0", "53", "-1", "x", "1e9"])
def test_crooked_weeks_are_refused(enter: Enter, weeks: str) -> None:
    assert enter("neema").ask(f"/console/my-numbers?weeks={weeks}").status_code == 400


def test_a_supervisor_who_signs_nothing_has_no_such_page(enter: Enter) -> None:
    boss: Browser = enter("boss", "supervisor")
    assert boss.ask("/console/my-numbers").status_code == 403
    assert "My numbers" not in boss.get("/console/unread")
