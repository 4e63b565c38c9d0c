"""The example circle's back end, started as a user starts it, with accounts, and a week that went by."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from infra.cli.local import seed
from infra.local.stack import Stack
from infra.local.stage import OnStack
from infra.local.token import token_for
from shared import wiring
from shared.access import membership
from shared.records.store import Query
from tests.console.at_desk import accounts, in_place_of

#: Pages, with what the example circle has on them.
PAGES = (
    "today",
    "today?day=2037-03-28",
    "week",
    "calls",
    "said",
    "telling",
    "plan",
    "plan/new",
    "plan/demo-metformin-plan-item",
    "people",
    "circles",
    "patient",
)

#: Sunday, 29 March 2037: the clock of Berlin was put on that night.
NOW = datetime(2037, 3, 29, 10, 20, tzinfo=ZoneInfo("Asia/Kolkata"))

#: Of metformin: minutes after its time when it was taken, by days before now and place; else it is missed.
_TAKEN = {(4, 0): 3, (4, 1): 20, (3, 0): 75, (3, 1): 8, (2, 0): 2, (2, 1): 31, (1, 0): 6, (0, 0): 5}


@contextmanager
def circle_at_home(folder: Path) -> Iterator[Stack]:
    """It runs until the end; `PRODUCT=medmind` must stand in this process's environment."""
    clock = folder / "clock"
    folder.mkdir(exist_ok=True)
    clock.write_text("0", "ascii")
    environ = {"PRODUCT": "medmind", "CLOCK_FILE": str(clock)}
    with (
        Stack(
            profile="local", data=folder / "stack", workers=2, sweep_seconds=1.0, environ=environ
        ) as stack,
        in_place_of(folder / "stack"),
    ):
        stage = OnStack(stack.url, clock)
        stage.move_clock(_ms(NOW - timedelta(days=5)))
        seed("demo", lived=True)
        membership.grant(wiring.store(), "demo-doctor", "second", "doctor", stage.now_ms())
        for days in range(4, -1, -1):
            for place, hour in ((0, 8), (1, 20))[: 2 if days else 1]:
                _settle(stage)
                day = (NOW - timedelta(days=days)).replace(hour=hour, minute=40)
                stage.move_clock(_ms(day))
                _told(stage, days, place)
        _settle(stage)
        stage.move_clock(_ms(NOW))
        _settle(stage)
        accounts(("daughter", "doctor"), stage.now_ms())
        beat = {"now": stage.now_ms(), "battery_percent": 64, "firmware": "1.4.0"}
        token = token_for("demo-device", role="device")
        status, said = stage.ask("POST", "/devices/demo-device/heartbeats", beat, token)
        assert status == 200, said
        yield stack


def _told(stage: OnStack, days: int, place: int) -> None:
    """What the device says of a dose, within its grace; one that was late it says with the next."""
    events = []
    for (ago, at), minutes in _TAKEN.items():
        day = (NOW - timedelta(days=ago)).replace(hour=(8, 20)[at], minute=0)
        late = minutes > 60 and (ago, at + 1) == (days, place)
        if ((ago, at) == (days, place) and minutes < 60) or late:
            dose = f"demo-metformin-plan-item_{day:%Y%m%d}_{at}"
            moment = _ms(day + timedelta(minutes=minutes))
            row = {"id": f"told-{ago}-{at}", "dose_id": dose, "kind": "taken", "at": moment}
            events.append(row)
    body = {"now": stage.now_ms(), "events": events}
    token = token_for("demo-device", role="device")
    status, said = stage.ask("POST", "/devices/demo-device/events", body, token)
    assert status == 200, said


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _settle(stage: OnStack) -> None:
    """Until no job is due."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        due = Query("jobs", where=(("state", "==", "queued"),))
        if all(int(each.fields["due_at"]) > stage.now_ms() for each in wiring.store().query(due)):
            return
        time.sleep(0.5)
    raise AssertionError("jobs do not end")
