"""The week: numbers of the store as tables and charts, and no small number that tells of people."""

from __future__ import annotations

import re
from datetime import UTC
from typing import Any

import pytest

from shared import wiring
from shared.console.page import HOME
from shared.products.dermadetect import days
from shared.products.dermadetect.pages.week import parts
from shared.records import record
from shared.records.store import Key, put
from tests.console.browser_in_process import Browser, Seen
from tests.console.clinic import OTHER, OWN, Clinic

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def signed(name: str, at_ms: int, phone: str, verdict: str, wait_ms: int = HOUR_MS) -> None:
    own = {record.SCOPE: OWN}
    times = {record.CREATED: at_ms - wait_ms, record.RECEIVED: at_ms - wait_ms}
    case = {"risk_level": phone, "ai_analysis": {"triage_final": "red"}, "_rank": 1}
    done = {"record_id": name, "table": "cases", "first_signed_at": at_ms, "verdict": verdict}
    photo = {"blob": f"b-{name}", "at": at_ms - wait_ms, "record_id": name, "table": "cases"}
    advice = {"quality": {"verdict": "retake" if verdict == "edit" else "good", "reasons": []}}
    wiring.store().commit(
        [
            put(Key("cases", name), {**own, **case, **times}, None),
            put(Key("reviews", name), {**own, **done}, None),
            put(Key("files", name), {**own, **photo, "state": "ready"}, None),
            put(Key("blobs", f"b-{name}"), {"state": "ready", **advice}, None),
        ]
    )


@pytest.fixture
def boss(house: Clinic) -> Browser:
    """A supervisor of a team that signed twenty red cases in the middle of last week."""
    monday = days.monday_of(days.day_at(wiring.clock_ms(), UTC))
    middle_ms = days.begins_ms(monday, UTC) - 4 * DAY_MS
    for number in range(20):
        verdict = "agree" if number < 14 else "edit"
        phone = "red" if number < 9 else "green"
        wait_ms = HOUR_MS if number < 18 else 10 * HOUR_MS
        signed(f"c{number}", middle_ms, phone, verdict, wait_ms)
    return house.logged_in("supervisor")


def table(seen: Seen, number: int) -> list[list[str]]:
    """The cells of the table of a question, its sums last."""
    part = re.findall(r"<table>.*?</table>", seen.html, re.S)[number]
    rows = re.findall(r"<tr>(.*?)</tr>", part, re.S)
    cells = [re.findall(r"<td[^>]*>(?:<strong>)?(.*?)(?:</strong>)?</td>", row) for row in rows]
    return [row for row in cells if row]


def test_the_numbers_of_the_week_are_those_of_the_store(boss: Browser) -> None:
    seen = boss.open(f"{HOME}/week")
    assert seen.status == 200
    assert table(seen, 0)[-1] == ["20", "20"]
    assert table(seen, 1)[-1] == ["60 minutes", "10 hours"]
    assert table(seen, 2)[-1] == ["14", "6", "0", "70%"]
    assert table(seen, 3)[-1] == ["20", "6", "30%"]
    assert table(seen, 4)[-1] == ["14", "9", "64%"]
    assert "Nobody asks doctors how urgent a case was" in seen.text
    assert len(table(seen, 0)) == 8 + 1
    assert seen.html.count("<svg") == 5
    assert not [said for tag, said in seen.parsed.tags if "style" in said]


def test_every_part_can_be_asked_for_and_no_other(boss: Browser) -> None:
    for query, status in (
        ("weeks=4", 200),
        ("weeks=53", 200),
        (f"scope={OWN}", 200),
        ("weeks=54", 400),
        ("weeks=x", 400),
        (f"scope={OTHER}", 404),
    ):
        assert boss.open(f"{HOME}/week?{query}").status == status, query


def test_small_numbers_are_not_told(house: Clinic) -> None:
    now_ms = wiring.clock_ms()
    for number in range(3):
        signed(f"c{number}", now_ms - 1000, "red", "agree")
    seen = house.logged_in("supervisor").open(f"{HOME}/week")
    for number in range(5):
        shown = {cell for row in table(seen, number) for cell in row}
        assert shown <= {"&lt;5", "0", "…", "–"}, (number, shown)


def week(at: int, arrived: int, agree: int, edit: int, reject: int) -> dict[str, Any]:
    return {
        "first_day": f"2026-03-{at:02}",
        "arrived": {"total": arrived},
        "signed": {"total": agree + edit + reject},
        "waits": None,
        "verdicts": {"agree": agree, "edit": edit, "reject": reject},
        "photos": {"checked": 0, "retake": 0},
        "red": {"confirmed": 0, "phone_red": 0},
    }


def test_a_hidden_number_cannot_be_worked_out_of_the_others(boss: Browser) -> None:
    weeks = [week(2, 40, 9, 5, 3), week(9, 3, 20, 10, 10), week(16, 30, 20, 10, 10)]
    whole = week(2, 73, 49, 25, 23)
    asked = {"weeks": weeks, "all": whole}
    made: list[Any] = []

    class Shown:
        def __init__(self) -> None:
            self.words = boss.frame.words(_request())

    made = parts(Shown(), asked, asked)  # type: ignore[arg-type]
    coverage, _, agreement, *_ = made
    # one hidden week of a column: its sum is hidden as well
    assert [cells[0].shown for _, cells in coverage.rows] == ["40", "<5", "30"]
    assert coverage.whole[0].shown == "…"
    assert coverage.whole[1].shown == "97"
    # so is the share that its sum could be worked out of
    assert [cell.shown for cell in agreement.whole] == ["49", "25", "…", "…"]
    # a share is hidden where one of its parts is
    assert [cell.shown for cell in agreement.rows[0][1]] == ["9", "5", "<5", "…"]
    assert agreement.rows[1][1][3].shown == "50%"


def _request() -> Any:
    from flask import Request
    from werkzeug.test import EnvironBuilder

    return Request(EnvironBuilder(headers=[("Accept-Language", "en")]).get_environ())


@pytest.mark.parametrize("language", ["fr", "sw", "hi", "ar"])
def test_the_week_is_told_in_every_language(house: Clinic, language: str) -> None:
    browser = house.logged_in("supervisor", language=language)
    assert browser.open(f"{HOME}/week").status == 200
