"""Two days of a circle, told on a running back end: what `make demo PRODUCT=medmind` shows.

They are the two around the next night in which the clock of Berlin changes. A device is offline that night.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from shared.products.medmind.alert_tables import (
    DANGER_WORDS,
    ENDED,
    MISSED_DOSE,
    OPEN,
    SILENT_DEVICE,
)
from shared.products.medmind.doses import LATE, MISSED, ON_TIME, SKIPPED
from shared.products.product import Stage, StagePhone
from shared.records.wall_time import instant

ZONE = ZoneInfo("Europe/Berlin")

_MINUTE = 60_000

#: The times of the medicine: the first is left out in spring, and comes twice in autumn.
_TIMES = ("02:30", "08:00", "18:00")

#: How long a dose is on time, minutes.
_GRACE = 30

#: How wrong the device's clock is, ms.
_CLOCK_OFF = 3 * _MINUTE


@dataclass(slots=True)
class _Known:
    """Somebody with an account, or the device."""

    user: str
    email: str
    password: str


@dataclass(slots=True)
class _Days:
    """What the story knows."""

    stage: Stage
    sunday: date
    circle: str = ""
    people: dict[str, _Known] = field(default_factory=dict)
    tag: str = ""

    def at(self, days: int, wall: str, minutes: int = 0) -> int:
        """A moment of Saturday (0) or Sunday (1) by the patient's clock, Unix ms."""
        day = self.sunday + timedelta(days - 1)
        return instant(datetime.combine(day, time.fromisoformat(wall)), ZONE) + minutes * _MINUTE

    def dose(self, days: int, place: int) -> str:
        """The id of a dose."""
        return f"evening-item_{self.sunday + timedelta(days - 1):%Y%m%d}_{place}"

    def token(self, name: str) -> str:
        """Of somebody who logs in now: by a moved clock the token before is over."""
        person = self.people[name]
        body = {"email": person.email, "password": person.password}
        status, said = self.stage.ask("POST", "/api/v1/auth/login", body)
        self.stage.expect(status == 200, f"{name} could not log in: {said}")
        return str(said["access_token"])

    def asked(self, method: str, path: str, name: str, body: Any = None) -> Any:
        """An answer that is as it should be."""
        status, said = self.stage.ask(method, path, body, self.token(name))
        self.stage.expect(status in (200, 201), f"{method} {path} was answered {status}: {said}")
        return said

    def phone(self, name: str) -> StagePhone:
        """Somebody's phone as it is after a sync."""
        phone = self.stage.phone(self.token(name), self.people[name].user)
        phone.sync()
        return phone

    def until(self, phone: StagePhone, row: tuple[str, str], holds: Callable[[Any], bool]) -> Any:
        """A row of a phone, once the server has made of it what the story says."""

        def held() -> bool:
            phone.sync()
            return row in phone.rows and holds(phone.rows[row])

        self.stage.wait(held, f"what becomes of {row[0]} {row[1]}")
        return phone.rows[row]

    def alert(self, phone: StagePhone, kind: str, state: str) -> Any:
        """The newest alert of a kind, once it is in a state."""
        found: list[Any] = []

        def held() -> bool:
            phone.sync()
            of_kind = [
                row
                for (table, _), row in phone.rows.items()
                if table == "alert_logs" and row["kind"] == kind
            ]
            found[:] = sorted(of_kind, key=lambda row: row["raised_at"])[-1:]
            return bool(found) and found[0]["state"] == state

        self.stage.wait(held, f"an alert {kind} that is {state}")
        return found[0]

    def tell(self, now_ms: int, *events: dict[str, Any]) -> Any:
        """What the device sends, by its own clock, which is wrong."""
        path = f"/devices/{self.people['device'].user}/events"
        sent = [{**each, "at": each["at"] + _CLOCK_OFF} for each in events]
        return self.asked("POST", path, "device", {"now": now_ms + _CLOCK_OFF, "events": sent})

    def beat(self, battery: int) -> None:
        """The device lives."""
        path = f"/devices/{self.people['device'].user}/heartbeats"
        now_ms = self.stage.now_ms() + _CLOCK_OFF
        body = {"now": now_ms, "battery_percent": battery, "firmware": "demo 1.0"}
        self.asked("POST", path, "device", body)


def two_days(stage: Stage) -> None:
    """A patient, two caregivers, a doctor, a device. Raises what `stage.expect` raises."""
    home = _Days(stage, _next_change(stage.now_ms()))
    stage.move_clock(home.at(0, "16:00"))
    _circle(home)
    _device(home)
    _evening(home)
    _offline(home)
    _missed(home)
    _back(home)
    _sunday(home)
    _said(home)
    _changed(home)
    _put_out(home)
    _shown(home)


def _next_change(now_ms: int) -> date:
    """The next Sunday in which the clock changes, with its Saturday still to come."""
    day = datetime.fromtimestamp(now_ms / 1000, ZONE).date() + timedelta(2)
    while _offset(day) == _offset(day + timedelta(1)):
        day += timedelta(1)
    return day


def _offset(day: date) -> timedelta | None:
    return datetime.combine(day, time(0), ZONE).utcoffset()


def _circle(home: _Days) -> None:
    stage = home.stage
    stage.say(
        f"\n2. Saturday, {home.sunday - timedelta(1):%d %B %Y}, in Berlin. Anna makes a circle for Greta."
    )
    _register(home, "anna", scope_name="Greta's circle")
    [circle] = home.asked("GET", "/api/v1/auth/me", "anna")["scopes"]
    home.circle = str(circle["scope_id"])
    for name, role in (("boris", "caregiver"), ("dr-rao", "doctor"), ("greta", "patient")):
        _register(home, name, invite_code=_code(home, role))
        stage.say(f"   {name.title()} ({role}) came in with a code.")
    phone = home.phone("anna")
    zone = ZONE.key
    phone.save("patients", home.circle, scope_id=home.circle, name="Greta", time_zone=zone)
    of_circle = {"scope_id": home.circle}
    phone.save("medications", "evening", name="Levodopa", strength="100 mg", **of_circle)
    phone.save("medication_plans", "evening-plan", medication_id="evening", **of_circle)
    phone.save(
        "medication_plan_items",
        "evening-item",
        plan_id="evening-plan",
        amount=1,
        unit="tablet",
        starts_on=f"{home.sunday - timedelta(1)}",
        times=list(_TIMES),
        time_zone=zone,
        grace_minutes=_GRACE,
        **of_circle,
    )
    said = phone.sync()
    stage.expect(not said["rejected"], f"the plan was not taken: {said['rejected']}")
    stage.say(f"   A plan: Levodopa at {', '.join(_TIMES)}, on time for {_GRACE} minutes.")


def _device(home: _Days) -> None:
    stage = home.stage
    stage.say("\n3. The device reads its code as a QR picture, and fetches what to show.")
    _register(home, "device", invite_code=_code(home, "device"))
    path = f"/devices/{home.people['device'].user}/schedule"
    found: list[Any] = []

    def there() -> bool:
        _, said, home.tag = stage.fetch(path, home.token("device"))
        found[:] = [said]
        return len(said["doses"]) > len(_TIMES)

    stage.wait(there, "the doses of the plan")
    night = [each for each in found[0]["doses"] if each["id"] == home.dose(1, 0)]
    for each in night:
        shown = datetime.fromtimestamp(each["due_at"] / 1000, ZONE)
        stage.say(
            f"   Tonight's dose of 02:30 comes once, at {shown:%H:%M %Z}: the clock changes at night."
        )
    stage.expect(len(night) == 1, "the dose of the night does not come once")
    status, _, _ = stage.fetch(path, home.token("device"), home.tag)
    stage.expect(status == 304, f"an unchanged schedule was answered {status}")
    stage.say("   It asks again with its tag: nothing is new, nothing is sent (304).")
    home.beat(80)


def _evening(home: _Days) -> None:
    stage = home.stage
    stage.say(
        "\n4. 18:05: Greta takes her tablet and presses the button. The device's clock is wrong."
    )
    stage.move_clock(home.at(0, "18:05"))
    said = home.tell(
        stage.now_ms(),
        {"id": "e1", "dose_id": home.dose(0, 2), "kind": "taken", "at": home.at(0, "18:05")},
    )
    stage.expect(said["taken"] == ["e1"], f"the event was answered {said}")
    dose = home.dose(0, 2)
    anna = home.phone("anna")
    home.until(anna, ("dose_occurrences", dose), lambda row: row["state"] == ON_TIME)
    ahead = round(said["clock_offset_ms"] / _MINUTE)
    stage.say(f"   Anna's phone has it: {ON_TIME}. (The device is {ahead} minutes ahead.)")


def _offline(home: _Days) -> None:
    stage = home.stage
    stage.say("\n5. 21:00: the last that is heard of the device. The router is off.")
    stage.move_clock(home.at(0, "21:00"))
    home.beat(74)
    stage.move_clock(home.at(0, "21:31"))
    anna = home.phone("anna")
    alert = home.alert(anna, SILENT_DEVICE, OPEN)
    stage.say(f"   Half an hour later Anna is told: {alert['kind']}, {alert['severity']}, once.")


def _missed(home: _Days) -> None:
    stage = home.stage
    due = home.at(1, "02:30")
    shown = datetime.fromtimestamp(due / 1000, ZONE)
    stage.say(
        f"\n6. The night. At {shown:%H:%M %Z} the device reminds, offline; Greta takes the tablet."
    )
    stage.move_clock(due + _GRACE * _MINUTE + 1_000)
    boris = home.phone("boris")
    home.until(boris, ("dose_occurrences", home.dose(1, 0)), lambda row: row["state"] == MISSED)
    stage.say("   Nobody else can know that. When its half hour is over the dose counts as missed,")
    alert = home.alert(boris, MISSED_DOSE, OPEN)
    act = {"alert_id": alert["id"], "action": "acknowledge", "at": boris.now()}
    note = {"note": "I call her in the morning", "scope_id": home.circle}
    boris.write("alert_actions", "boris-1", {**act, **note})
    said = boris.sync()
    stage.expect(not said["rejected"], f"he could not: {said['rejected']}")
    known = home.alert(boris, MISSED_DOSE, "acknowledged")
    mine = known["acknowledged_by"] == home.people["boris"].user
    stage.expect(mine, "somebody else looks after it")
    stage.say("   the circle is told once, and Boris looks after it: nobody else is woken.")


def _back(home: _Days) -> None:
    stage = home.stage
    stage.say("\n7. Sunday, 07:50: the device is back, and says what happened at night.")
    stage.move_clock(home.at(1, "07:50"))
    home.beat(61)
    dose = home.dose(1, 0)
    event = {"id": "e2", "dose_id": dose, "kind": "taken", "at": home.at(1, "02:30", 10)}
    for _ in range(2):
        said = home.tell(stage.now_ms(), event)
        stage.expect(said["taken"] == ["e2"], f"the event was answered {said}")
    anna = home.phone("anna")
    row = home.until(anna, ("dose_occurrences", dose), lambda row: row["state"] == ON_TIME)
    stage.expect(row["amended_at"] is not None, "it is not said that it was missed first")
    home.alert(anna, MISSED_DOSE, ENDED)
    stage.say(
        "   Sent twice, counted once. The dose was on time after all, and it says since when that"
    )
    stage.say("   is known; the alert is over by itself.")


def _sunday(home: _Days) -> None:
    stage = home.stage
    stage.say("\n8. Sunday: one dose is late, one is skipped, and Greta's phone says why.")
    stage.move_clock(home.at(1, "08:50"))
    home.tell(
        stage.now_ms(),
        {"id": "e3", "dose_id": home.dose(1, 1), "kind": "taken", "at": home.at(1, "08:45")},
    )
    anna = home.phone("anna")
    home.until(anna, ("dose_occurrences", home.dose(1, 1)), lambda row: row["state"] == LATE)
    stage.move_clock(home.at(1, "18:02"))
    greta = home.phone("greta")
    event = {"dose_id": home.dose(1, 2), "kind": "skipped", "at": greta.now()}
    why = {"reason": "I feel sick", "scope_id": home.circle}
    greta.write("dose_events", "greta-1", {**event, **why})
    said = greta.sync()
    stage.expect(not said["rejected"], f"she could not: {said['rejected']}")
    row = home.until(
        greta, ("dose_occurrences", home.dose(1, 2)), lambda row: row["state"] == SKIPPED
    )
    stage.say(f"   Skipped: “{row['reason']}”.")


def _said(home: _Days) -> None:
    stage = home.stage
    stage.say(
        "\n9. Greta tells the device how she is. Words of danger reach people before any model."
    )
    path = f"/devices/{home.people['device'].user}/voice"
    boris = home.phone("boris")
    for name, text in (("u1", "I feel dizzy since yesterday"), ("u2", "My chest hurts")):
        asked = f"{path}?utterance={name}&part=0&last=true&type=text/plain"
        status, _ = stage.ask("POST", asked, text.encode(), home.token("device"))
        stage.expect(status == 200, f"an utterance was answered {status}")
    alert = home.alert(boris, DANGER_WORDS, OPEN)
    stage.say(f"   “My chest hurts”: {alert['kind']}, {alert['severity']}.")

    def answered() -> bool:
        status, said = stage.ask("GET", f"{path}/u1", token=home.token("device"))
        found[:] = [said]
        return status == 200 and bool(said.get("say"))

    found: list[Any] = []
    stage.wait(answered, "an answer")
    stage.say(f"   “I feel dizzy since yesterday”: the device says “{found[0]['say']}”")


def _changed(home: _Days) -> None:
    stage = home.stage
    stage.say("\n10. The doctor moves the evening to 19:00. Anna looks first at what that does.")
    columns = {"times": ["02:30", "08:00", "19:00"]}
    body = {"scope": home.circle, "columns": columns, "item_id": "evening-item"}
    shown = home.asked("POST", "/api/v1/circle/plan/preview", "anna", body)["doses"]
    moved = [each for each in shown if each["at"] != each["was"]]
    hours = {(each["at"] - each["was"]) // (60 * _MINUTE) for each in moved}
    stage.expect(hours == {1}, f"it moves doses by {hours} hours")
    stage.say(f"   {len(moved)} doses come an hour later, none comes twice, none is lost.")
    phone = home.phone("anna")
    phone.save("medication_plan_items", "evening-item", **columns)
    phone.sync()
    tomorrow = ("dose_occurrences", home.dose(2, 2))
    due = home.at(2, "19:00") / 1000
    home.until(phone, tomorrow, lambda row: row["due_at"] == due)
    path = f"/devices/{home.people['device'].user}/schedule"
    status, _, _ = stage.fetch(path, home.token("device"), home.tag)
    stage.expect(status == 200, f"a changed schedule was answered {status}")


def _put_out(home: _Days) -> None:
    stage = home.stage
    stage.say("\n11. The device is given away: Anna puts it out. It is told nothing any more.")
    token, device = home.token("device"), home.people["device"].user
    body = {"scope_id": home.circle}
    home.asked("POST", f"/api/v1/auth/members/{device}/remove", "anna", body)
    status, _, _ = stage.fetch(f"/devices/{device}/schedule", token)
    stage.expect(status == 404, f"a device that is out was answered {status}")


def _shown(home: _Days) -> None:
    stage = home.stage
    stage.say("\n12. The circle's pages. Open this, and log in:\n")
    stage.say(f"      {stage.url.replace('127.0.0.1', 'localhost')}/console")
    for name, role in (("anna", "caregiver"), ("boris", "caregiver"), ("dr-rao", "doctor")):
        person = home.people[name]
        stage.say(f"      {person.email:<22} {role:<10} {person.password}")


def _code(home: _Days, role: str) -> str:
    asked = {"scope_id": home.circle, "role": role}
    return str(home.asked("POST", "/api/v1/auth/invites", "anna", asked)["invite_code"])


def _register(home: _Days, name: str, **more: str) -> None:
    email, password = f"{name}@example.org", secrets.token_urlsafe(12)
    body = {"email": email, "password": password, "name": name.title(), **more}
    status, said = home.stage.ask("POST", "/api/v1/auth/register", body)
    home.stage.expect(status in (200, 201), f"{name} could not register: {said}")
    home.people[name] = _Known(str(said["user_id"]), email, password)
