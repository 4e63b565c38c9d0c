"""Doses and their states equal those of a household that lives step by step, whatever happens.

Zones, both nights in which clocks change, journeys, edits and pauses, events in any order, twice, weeks
late, by a device whose clock is days wrong, with bad ones among them, and a server that dies.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from flask import Request
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from shared.access.membership import Caller
from shared.api.web import ask
from shared.jobs.job import RetryPolicy
from shared.jobs.runner import Runner
from shared.products.medmind import device
from shared.products.medmind.alert_tables import ALERTS
from shared.products.medmind.dosing import Dosing
from shared.products.medmind.plans import DoseRule, RuleVersion, doses
from shared.products.medmind.tables import CATALOG, DOSES, DOSING
from shared.products.product import Parts
from shared.records import record
from shared.settings import Settings
from tests.conftest import SEED
from tests.medmind.oracle import DAY, HOUR, MINUTE, Event, Household, Says, became, shown, today
from tests.medmind.test_dosing import Circle
from tests.stores import Interrupted

ZONES = (
    *("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata"),
    *("America/St_Johns", "Africa/Casablanca", "Pacific/Kiritimati", "Pacific/Honolulu", "UTC"),
)

#: Days before nights in which clocks change somewhere, and one in between.
STARTS = (
    date(2026, 3, 27),
    date(2026, 10, 23),
    date(2026, 3, 6),
    date(2026, 4, 3),
    date(2026, 7, 1),
)

QUARTER = 15 * MINUTE


def rule_of(said: Says) -> RuleVersion:
    times = tuple(sorted({time(each // 60, each % 60) for each in said.times}))
    rule = DoseRule(
        said.first,
        times,
        said.kind,
        said.every,
        frozenset(said.weekdays),
        said.last,
        said.paused,
        ZoneInfo(said.zone),
    )
    return RuleVersion(said.since, rule)


plans = st.lists(
    st.builds(
        lambda quarter, zone, first, times, kind, every, days, last, paused: (
            quarter,
            {
                "zone": zone,
                "first": first,
                "times": tuple(each * 15 for each in times),
                "kind": kind,
                "every": every,
                "weekdays": tuple(days),
                "last": last,
                "paused": paused,
            },
        ),
        st.integers(1, 6 * 24 * 4),
        st.sampled_from(ZONES),
        st.integers(-3, 2),
        st.lists(st.integers(0, 95), min_size=1, max_size=4, unique=True),
        st.sampled_from(
            ("daily", "daily", "daily", "every_n_days", "weekly", "monthly", "every_n_hours")
        ),
        st.integers(1, 30),
        st.sets(st.integers(0, 6), max_size=3),
        st.none() | st.integers(0, 6),
        st.sampled_from((False, False, False, True)),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda each: each[0],
)


@settings(max_examples=20, deadline=None)
@given(plans, st.sampled_from(STARTS))
def test_doses_are_due_when_a_household_has_them(
    moves: list[tuple[int, dict[str, Any]]], start: date
) -> None:
    start_ms = shown("UTC", start, 0)
    said = []
    for number, (quarter, more) in enumerate(sorted(moves, key=lambda each: each[0])):
        more = {**more, "first": start + timedelta(days=more["first"])}
        if more["last"] is not None:
            more["last"] = start + timedelta(days=more["last"])
        since = start_ms if number == 0 else start_ms + quarter * QUARTER
        said.append(Says(since=since, **more))
    home = Household("i", said)
    end_ms = start_ms + 8 * 24 * HOUR
    home.live(start_ms, end_ms)
    found = {
        f"i_{each.name}": each.at_ms
        for each in doses(
            [rule_of(each) for each in said],
            ZoneInfo("UTC"),
            start - 4 * DAY,
            start + 10 * DAY,
        )
        if each.at_ms <= end_ms
    }
    assert found == home.came


# --- on a store, with a device


class Home(Circle):
    """A circle with a device whose clock is wrong, and a server that may die at any commit."""

    def __init__(self, folder: Path, seed: int, *, deadly: float = 0.0) -> None:
        super().__init__(folder)
        self.rng = random.Random(seed)
        self.deadly, self.deaths = deadly, 0
        self.start = self.rng.choice(STARTS)
        self.zone = self.rng.choice(ZONES)
        self.at = shown(self.zone, self.start, 6 * 60) // QUARTER * QUARTER
        self.wrong = (
            self.rng.randrange(-72 * 60, 72 * 60) * MINUTE
        )  #: the device's clock minus ours
        self.said: list[Says] = []
        self.events: list[Event] = []  #: that the server heard of
        self.waiting: list[dict[str, Any]] = []  #: on the device
        self.join("table-1", role="device")
        frail = Interrupted(self.store, before=self._dies, after=self._dies)
        self.runner = Runner(
            frail, {DOSING: Dosing(frail)}, policy=RetryPolicy(), lease_ms=5_000,
            clock=lambda: self.at,
        )  # fmt: skip
        nothing = Parts.__dataclass_fields__.keys() - {"settings", "clock_ms", "store", "catalog"}
        parts: Any = {name: lambda: self.pusher for name in nothing}
        self.routes = device.routes(
            Parts(Settings(), lambda: self.at, lambda: self.store, catalog=lambda: CATALOG, **parts)
        )
        self.push(medications=[{"id": "m1", "name": "Metformin"}])
        self.push(medication_plans=[{"id": "p1", "medication_id": "m1"}])
        self.plan()

    def _dies(self, writes: Sequence[Any]) -> None:
        if self.rng.random() < self.deadly:
            self.deaths += 1
            raise Killed

    def sweep(self) -> None:
        """Again after each death, when the lease is over: as the next minute's sweeper does."""
        for _ in range(50):
            try:
                self.runner.run_due(DOSING, 60)
            except Killed:
                self.at += 6_000
            else:
                return

    def plan(self) -> None:
        """The carer edits the plan, or the patient travels: at a whole quarter, as the household lives."""
        self.at = -(-self.at // QUARTER) * QUARTER
        self.sweep()
        self.at = -(-self.at // QUARTER) * QUARTER
        rng, day = self.rng, today(self.zone, self.at)
        before = self.said[-1] if self.said else None
        if before is not None and rng.random() < 0.3:
            self.zone = rng.choice(ZONES)
        says = Says(
            self.at,
            self.zone,
            before.first if before and rng.random() < 0.8 else day,
            tuple(rng.sample(range(0, 24 * 60, 15), rng.randrange(1, 4))),
            rng.choice(("daily", "daily", "every_n_days", "weekly", "every_n_hours")),
            rng.choice((1, 2, 3, 8, 12)),
            tuple(rng.sample(range(7), 3)),
            rng.choice((None, None, day + 4 * DAY)),
            paused=bool(before) and rng.random() < 0.15,
        )
        self.said.append(says)
        names = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
        self.item(
            starts_on=says.first.isoformat(),
            ends_on=says.last and says.last.isoformat(),
            times=[f"{each // 60:02}:{each % 60:02}" for each in says.times],
            frequency=says.kind,
            every=says.every,
            weekdays=[names[each] for each in says.weekdays],
            paused=says.paused,
            time_zone=says.zone,
        )

    def pass_time(self) -> None:
        """Until the next whole quarter some hours later."""
        until = (self.at + self.rng.randrange(1, 24 * 4) * QUARTER) // QUARTER * QUARTER
        while self.at < until:
            self.at = min((self.at // QUARTER + 1) * QUARTER, until)
            if self.rng.random() < 0.4 or self.at == until:
                self.sweep()

    def note(self, number: int) -> None:
        """Something happens, and the device notes it by its own clock."""
        rng = self.rng
        came = sorted(name for name, each in self.doses.items() if each["due_at"] <= self.at)
        dose = rng.choice(came or ["i1_20200101_0"])
        kind = rng.choice(("taken", "taken", "taken", "skipped", "undone"))
        earlier = [each for each in self.waiting if each["dose_id"] == dose]
        known = [each for each in self.events if each.dose == dose]
        undoes = ""
        if kind == "undone":
            ids = [each["id"] for each in earlier] + [each.id for each in known]
            undoes = rng.choice(ids or [""])
        happened = self.at - rng.randrange(0, 40) * HOUR
        event = {"id": f"e{number}", "dose_id": dose, "kind": kind, "undoes": undoes}
        self.waiting.append({**event, "at": happened + self.wrong})

    def tell(self) -> None:
        """The network is there: all of it in any order, some twice, and some that is none."""
        rng = self.rng
        sent = [*self.waiting, *rng.sample(self.waiting, len(self.waiting) // 2)]
        rng.shuffle(sent)
        bad: list[dict[str, Any]] = [
            {"id": "bad", "dose_id": 7, "kind": "taken", "at": 1},
            {"id": ""},
        ]
        body = {"now": self.at + self.wrong, "events": [*sent[:3], *bad, *sent[3:]]}
        for _ in range(rng.choice((1, 2))):  # the answer is lost: again
            builder = EnvironBuilder(path="/devices/table-1/events", method="POST", json=body)
            caller = Caller("table-1", "device", "table-1")
            said = ask(Request(builder.get_environ()), self.routes, Settings(), caller).get_json()
            assert set(said["taken"]) == {each["id"] for each in self.waiting}
        for each in self.waiting:
            at = each["at"] - self.wrong
            self.events.append(
                Event(each["id"], each["dose_id"], each["kind"], at, self.at, each["undoes"])
            )
        self.waiting = []
        self.sweep()

    def live(self, days: int) -> None:
        number, end = 0, self.at + days * 24 * HOUR
        while self.at < end:
            self.pass_time()
            for _ in range(self.rng.randrange(3)):
                number += 1
                self.note(number)
            if self.rng.random() < 0.25:
                self.tell()
            if self.rng.random() < 0.25:
                self.plan()
        for _ in range(30 if self.rng.random() < 0.2 else 0):  # the device is offline for a month
            self.at += 24 * HOUR
            self.sweep()
        self.tell()
        self.sweep()

    def check(self) -> int:
        """All that came is there once, with its state; nobody was told twice. How many doses came."""
        judge = Household("i1", self.said)
        judge.live(self.said[0].since, self.at // QUARTER * QUARTER)
        rows = [each for each in self.all(DOSES) if each.fields.get(record.DELETED) is None]
        came = {each.key.id: each.fields for each in rows if each.fields["due_at"] <= self.at}
        assert {name: have["due_at"] for name, have in came.items()} == judge.came
        for name, have in came.items():
            said = [each for each in self.events if each.dose == name]
            grace = have["grace_minutes"] * MINUTE
            wanted = became(judge.came[name], grace, said, self.at)
            assert have["state"] == wanted, (name, said)
        told = Counter(each.fields["subject"] for each in self.all(ALERTS))
        assert max(told.values(), default=0) <= 1
        return len(came)


class Killed(BaseException):
    """The process dies."""


@pytest.mark.parametrize("seed", range(3))
def test_states_are_those_of_a_household_that_knows_all(tmp_path: Path, seed: int) -> None:
    home = Home(tmp_path, seed, deadly=0.05)
    home.live(7)
    assert home.check() > 1
    home.store.close()


@pytest.mark.soak
def test_ten_thousand_doses_of_servers_that_die_and_none_twice(tmp_path: Path) -> None:
    came = deaths = seed = 0
    while came < 10_000:
        seed += 1
        folder = tmp_path / str(seed)
        folder.mkdir()
        home = Home(folder, 1000 + seed, deadly=0.1)
        home.live(20)
        came += home.check()
        deaths += home.deaths
        home.store.close()
    assert deaths > 1_000


# --- ten years


def of_ten_years(zone: str) -> None:
    """By the clock each day once and at its time; every eight hours always eight hours."""
    first = date(2020, 1, 1)
    clock = DoseRule(first, (time(2, 30), time(23, 45)), zone=ZoneInfo(zone))
    found = list(doses([RuleVersion(0, clock)], ZoneInfo(zone), first, first + 3652 * DAY))
    assert len({each.name for each in found}) == len(found) == 2 * 3653
    for each in found:
        day = datetime.strptime(each.name[:8], "%Y%m%d").replace(tzinfo=UTC).date()
        minutes = 150 if each.name.endswith("_0") else 23 * 60 + 45
        assert each.at_ms == shown(zone, day, minutes)
    hours = DoseRule(first, (time(8),), "every_n_hours", 8, zone=ZoneInfo(zone))
    found = list(doses([RuleVersion(0, hours)], ZoneInfo(zone), first, first + 3652 * DAY))
    assert {after.at_ms - before.at_ms for before, after in pairwise(found)} == {8 * HOUR}
    assert len({each.name for each in found}) == len(found) > 3 * 3652


def test_ten_years_of_a_zone_by_another_library() -> None:
    of_ten_years("Australia/Lord_Howe")


@pytest.mark.parametrize(
    "every", [pytest.param(12, marks=pytest.mark.proof), pytest.param(1, marks=pytest.mark.soak)]
)
def test_ten_years_of_zones_by_another_library(every: int) -> None:
    for name in sorted(available_timezones() - {"localtime", "Factory"})[SEED % every :: every]:
        of_ten_years(name)
