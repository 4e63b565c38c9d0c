"""What web apps ask of summaries: typed, paged, the same until something changes, of one's own circle."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from infra.cli.local import seed
from infra.local.phone import wall_ms
from shared import wiring
from shared.products.medmind import insights
from shared.products.medmind.items import today
from shared.products.medmind.summary_tables import DAILY, INSIGHTS, PROGRESS, SUMMARIES
from shared.products.medmind.tables import DOSING
from shared.records.store import Key, patch, put
from tests.api.conftest import Api, StartApi

ZONE = ZoneInfo("Asia/Kolkata")


@pytest.fixture
def api(start_api: StartApi, tmp_path: Path) -> Api:
    """The example circle, three days after its plans were made, at six in the morning."""
    clock = tmp_path / "clock"
    morning = datetime.combine(today(wall_ms(), ZONE) + timedelta(1), time(6), ZONE)
    ahead_ms = round(morning.timestamp() * 1000) - wall_ms()
    clock.write_text(str(ahead_ms))
    made = start_api(product="medmind", clock_file=str(clock))
    seed("demo")
    made.join("carl", "others", "caregiver")
    for days in range(4):
        clock.write_text(str(ahead_ms + days * 86_400_000))
        for kind in (DOSING, SUMMARIES):
            wiring.runner().run_due(kind, 60)
    return made


def ask(api: Api, path: str, user: str = "demo-daughter", **headers: str) -> Any:
    said = api.ask("GET", f"/api/v1/{path}", token=api.token(user), headers=headers)
    return said.json if said.status_code == 200 else said.status_code


def ago(days: int) -> str:
    return (today(wiring.clock_ms(), ZONE) - timedelta(days)).isoformat()


def insight(number: int, **more: Any) -> None:
    asked = insights.SpanQuestion("more_missed", None, 9, 14, 3, 28)
    row: dict[str, Any] = {
        "found_on": f"2026-05-{number:02d}",
        "text": "…",
        "language": "en",
        "scope_id": "demo",
    }
    row = {**row, **dict(insights.columns(asked, 0.002, 4)), **more}
    wiring.store().commit([put(Key(INSIGHTS, f"demo_{number}"), row, None)])


def test_days_come_in_pages_the_newest_first(api: Api) -> None:
    whole = ask(api, "summaries")
    assert [each["period"] for each in whole["summaries"]] == [ago(1), ago(2), ago(3)]
    newest = whole["summaries"][1]
    assert newest["numbers"]["due"] == newest["numbers"]["missed"] + newest["numbers"]["open"] > 0
    assert newest["time_zone"] == "Asia/Kolkata"
    first = ask(api, "summaries?limit=1")
    assert [each["period"] for each in first["summaries"]] == [ago(1)]
    second = ask(api, f"summaries?limit=1&page={first['next_page']}")
    assert [each["period"] for each in second["summaries"]] == [ago(2)]
    only = ask(api, f"summaries?first_day={ago(2)}&last_day={ago(2)}&language=hi")
    assert [each["period"] for each in only["summaries"]] == [ago(2)]
    assert (only["summaries"][0]["language"], only["summaries"][0]["told_by"]) == ("hi", "words")
    weeks = ask(api, "summaries?period=week")["summaries"]
    assert len(weeks) == (today(wiring.clock_ms(), ZONE).weekday() < 3)


def test_it_is_the_same_until_something_changes(api: Api) -> None:
    for path in ("summaries", "insights", "dashboard"):
        said = api.ask("GET", f"/api/v1/{path}", token=api.token("demo-doctor"))
        tag = said.headers["ETag"]
        assert ask(api, path, "demo-doctor", **{"If-None-Match": tag}) == 304
        key = Key(DAILY, f"demo_{ago(1).replace('-', '')}")
        wiring.store().commit([patch(key, {"as_needed": 3, "text": path}, None)])
        insight(1, text=path)
        assert ask(api, path, "demo-doctor", **{"If-None-Match": tag}) != 304


def test_insights_come_in_pages_and_in_words_of_every_language(api: Api) -> None:
    for number in (1, 2, 3):
        insight(number)
    first = ask(api, "insights?limit=2&language=ru")
    assert [each["id"] for each in first["insights"]] == ["demo_3", "demo_2"]
    assert first["insights"][0]["text"].startswith("Больше дней с пропущенной дозой: 9 из 14")
    rest = ask(api, f"insights?limit=2&page={first['next_page']}")
    assert [each["id"] for each in rest["insights"]] == ["demo_1"]


def test_a_dashboard_counts_today_until_now(api: Api) -> None:
    insight(1)
    store = wiring.store()
    key = Key(PROGRESS, "demo")
    store.commit([patch(key, {"insights": {"more_missed": "demo_1"}}, None)])
    found = ask(api, "dashboard")
    assert (found["today"], found["yesterday"]["period"]) == (ago(0), ago(1))
    weekly = today(wiring.clock_ms(), ZONE).weekday() == 0  # vitamin D
    assert found["so_far"]["due"] + found["to_come"] == 2 + weekly
    assert found["so_far"]["due"] == found["so_far"]["missed"] + found["so_far"]["open"]
    assert [each["id"] for each in found["insights"]] == ["demo_1"]


def test_others_see_nothing_and_the_trail_sees_who_looked(api: Api) -> None:
    for path in ("summaries", "insights", "dashboard"):
        assert ask(api, f"{path}?scope=demo", "carl") == 404
        assert ask(api, f"{path}?scope=none") == 404
        assert ask(api, f"{path}?language=xx") == 400
    assert ask(api, "summaries?page=zzz") == 400
    assert ask(api, "summaries?first_day=2026-3-1") == 400
    assert ask(api, "summaries?period=month") == 400
    ask(api, "summaries")
    ask(api, "dashboard")
    trail = ask(api, "trail")["entries"]
    assert {"read_summaries", "read_dashboard"} <= {each["action"] for each in trail}
    empty = ask(api, "dashboard", "carl")
    assert (empty["so_far"]["due"], empty["yesterday"], empty["insights"]) == (0, None, [])
