"""Whatever happens to a reminder: what phones get is what a second implementation says.

The judge knows the whole story beforehand and reads no code of ours: it finds the instants of wall times by
looking at a clock, and keeps lists where the server keeps documents and jobs. Without kills it says
to the minute what each phone gets; with kills, that nobody gets a time twice, and that what somebody
did not get is named as missed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import pytest

from shared.adapters.sqlite import SqliteStore
from shared.products.hemoday.schedule import look, scheduled
from shared.records.collection import Turn
from tests import stores
from tests.conftest import SEED
from tests.hemoday.reminding import DAY, HOUR, MINUTE, Home, Killed, at
from tests.hemoday.test_recurrence import ODD, due, ms, seen
from tests.hemoday.test_reminder_settings import watched
from tests.stores import Interrupted

OLDEST, SOON = 12 * HOUR, 10 * MINUTE

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Cairo")

#: Users, their phones, and the quiet hours that they may choose.
PHONES = {"anna": ("phone", "tablet"), "boris": ("phone",), "vera": ("phone",)}
QUIET = (None, ("22:00", "07:00"), ("01:30", "03:30"), ("12:00", "20:00"))


class Version(NamedTuple):
    """A reminder as it was from one arrival to the next."""

    arrived: int
    made: int
    remind_at: int
    zone: str
    frequency: str
    every: int


class Action(NamedTuple):
    arrived: int
    made: int
    name: str  #: of the row
    user: str
    kind: str
    occurrence: str
    until: int


@dataclass
class Story:
    """What happens, in minutes; `sweeps` are those in which the sweeper runs."""

    zone: str
    begins: int
    versions: list[Version]
    actions: list[Action]
    titles: list[int]
    ends: int | None  #: when it is deleted
    quiet: dict[str, tuple[str, str]]
    sweeps: list[int]


def times(version: Version, until: int) -> Iterator[tuple[str, int]]:
    """Name and instant of each time of a version, up to an instant."""
    zone = ZoneInfo(version.zone)
    first = datetime.fromtimestamp(version.remind_at / 1000, UTC).astimezone(zone)
    wall, days = first.replace(tzinfo=None, fold=0), {"weekly": 7, "every_n_days": version.every}
    count, last = 0, None
    while True:
        shown = wall + timedelta(days=count * days.get(version.frequency, 1))
        moment = version.remind_at if count == 0 else ms(seen(zone, shown))
        if moment > until:
            return
        if moment != last:
            yield f"{shown:%Y-%m-%dT%H:%M}", moment
        count, last = count + 1, moment
        if version.frequency == "once":
            return


@dataclass
class Judge:
    """What must come of a story."""

    story: Story
    sent: list[tuple[int, str, str, bool]] = field(
        default_factory=list
    )  #: minute, token, time, late
    missed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        start = self.story.begins - 2 * DAY
        self.shown = {
            user: watched(*hours, self.story.zone, start, 14)
            for user, hours in self.story.quiet.items()
        }

    def due(self) -> dict[str, tuple[int, int]]:
        """Every time that comes, by its name: those of each version between its writing and the next.

        When it is due, and since when the server can know it.
        """
        found: dict[str, tuple[int, int]] = {}
        follows = [*(each.arrived for each in self.story.versions[1:]), self.story.sweeps[-1]]
        for version, end in zip(self.story.versions, follows, strict=True):
            begins = max(version.made, version.arrived - OLDEST)
            for name, moment in times(version, end):
                if moment >= begins and (self.story.ends is None or moment < self.story.ends):
                    found.setdefault(name, (moment, max(moment, version.arrived)))
        return found

    def awake(self, user: str, moment: int) -> int:
        """When somebody may be told: then, or when it is quiet no more."""
        while user in self.shown and self.shown[user][moment]:
            moment += MINUTE
        return moment

    def run(self) -> Judge:
        for name, (moment, known) in self.due().items():
            self.one(name, moment, known)
        return self

    def one(self, name: str, moment: int, known: int) -> None:
        """All that becomes of one time, sweep by sweep."""
        word: tuple[int, str] = (0, "")
        starts, snoozer, waiting = moment, "", self.everybody(moment, "")
        lost: set[str] = set()
        for now in self.story.sweeps:
            if now < known or (self.story.ends is not None and now >= self.story.ends):
                continue
            said = [a for a in self.story.actions if a.occurrence == name and a.arrived <= now]
            if any(each.kind == "done" for each in said):
                lost.clear()
                break
            last = max((each for each in said if each.kind == "snooze"), key=word_of, default=None)
            if last is not None and word_of(last) > word:
                word, starts, snoozer = word_of(last), last.until, last.user
                waiting, lost = self.everybody(starts, snoozer), set()
            if now < starts:
                continue
            for token, (user, ready) in list(waiting.items()):
                if now < ready:
                    continue
                free = user == snoozer or now - ready <= SOON
                del waiting[token]
                if now - ready > OLDEST:
                    lost.add(token)
                elif not free and self.awake(user, now) > now:
                    waiting[token] = (user, self.awake(user, now))
                else:
                    self.sent.append((now, token, name, now - starts > SOON))
        if lost and not waiting:  # else they are still being told
            self.missed.add(name)

    def everybody(self, starts: int, snoozer: str) -> dict[str, tuple[str, int]]:
        """Each phone, with its user and when it may be told."""
        return {
            f"{user}-{phone}": (user, starts if user == snoozer else self.awake(user, starts))
            for user, phones in PHONES.items()
            for phone in phones
        }


def word_of(action: Action) -> tuple[int, str]:
    return action.made, action.name


def told(dice: random.Random, days: int = 5) -> Story:
    """A random story: around a change of the clock, or not."""
    zone = dice.choice(ZONES)
    day = dice.choice(("2027-03-12", "2027-03-26", "2027-10-29", "2027-07-01", "2027-04-02"))
    begins = at(f"{day}T06:00", "UTC")
    minutes = range(begins, begins + days * DAY, 15 * MINUTE)

    def version(arrived: int, before: int) -> Version:
        # one that was written before the former would lose to it
        made = max(arrived - dice.choice((0, 0, 0, 20, 200)) * MINUTE, before)
        when = made - made % MINUTE + dice.randrange(-300, 1500) * MINUTE
        frequency = dice.choice(("daily", "daily", "every_n_days", "weekly", "once"))
        here = zone if dice.random() < 0.8 else dice.choice(ZONES)
        return Version(arrived, made, when, here, frequency, dice.choice((1, 2)))

    arrivals = sorted({begins, *dice.sample(minutes, dice.choice((0, 0, 1, 3)))})
    # half a minute after sweeps: never at the very instant of a time
    versions: list[Version] = []
    for each in arrivals:
        before = versions[-1].made + MINUTE if versions else 0
        versions.append(version(each + (30_000 if versions else 0), before))
    pause = dice.choice((0, 0, 0, 90, 900)) * MINUTE
    from_ms = dice.choice(minutes)
    sweeps = [each for each in minutes if not from_ms <= each < from_ms + pause]
    story = Story(zone, begins, versions, [], [], None, {}, [*sweeps, begins + days * DAY])
    story.titles = [each + 40_000 for each in dice.sample(minutes, 3)]
    if dice.random() < 0.2:
        story.ends = dice.choice(minutes) + 50_000
    for user in PHONES:
        if hours := dice.choice(QUIET):
            story.quiet[user] = hours
    for number, (name, (moment, _)) in enumerate(Judge(story).due().items()):
        for other in range(dice.choice((0, 1, 1, 2, 3))):
            made = moment + dice.randrange(-60, 600) * MINUTE + 20_000
            arrived = made + dice.choice((0, 0, 30, 900)) * MINUTE
            until = made - made % MINUTE + dice.randrange(10, 400) * MINUTE
            kind = dice.choice(("done", "snooze", "snooze"))
            who = dice.choice(("anna", "boris"))
            row = f"a{number}-{other}"
            if begins < made and arrived < story.sweeps[-1]:
                story.actions.append(Action(arrived, made, row, who, kind, name, until))
    return story


class Disturbance:
    """What happens around the commits of a sweep."""

    def __init__(self, dice: random.Random, kills: float, others: float) -> None:
        self.dice, self.kills, self.others = dice, kills, others
        self.killed = 0

    def sweep(self, home: Home) -> None:
        left, what = self.dice.randrange(10), self.dice.random()
        if what < self.kills:

            def die(_writes: object) -> None:
                nonlocal left
                left -= 1
                if left < 0:
                    raise Killed

            side = self.dice.choice(("before", "after"))
            try:
                home.sweep(Interrupted(home.store, **{side: die}))
            except Killed:
                self.killed += 1
        elif what < self.kills + self.others:

            def another(_writes: object) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    home.sweep()

            home.sweep(Interrupted(home.store, before=another))
        else:
            home.sweep()


def live(home: Home, story: Story, disturbance: Disturbance) -> None:
    """Let it happen."""
    for user, role in (("anna", "owner"), ("boris", "member"), ("vera", "viewer")):
        home.join(user, "team1", role)
        for phone in PHONES[user]:
            home.reach(user, phone)
        if user in story.quiet:
            home.choose(user, (*story.quiet[user], story.zone))
    happen: list[tuple[int, int, Any]] = [(each.arrived, 0, each) for each in story.versions]
    happen += [(each.arrived, 1, each) for each in story.actions]
    happen += [(each, 2, None) for each in story.titles]
    happen += [(each, 3, None) for each in story.sweeps]
    if story.ends is not None:
        happen.append((story.ends, 4, None))
    gone = False
    for moment, kind, what in sorted(happen, key=lambda each: each[:2]):
        home.time = moment
        if kind == 3:
            disturbance.sweep(home)
        elif gone:
            continue
        elif kind == 0:
            home.remind(
                remind_at=what.remind_at,
                time_zone=what.zone,
                frequency=what.frequency,
                every=what.every,
                made=what.made,
            )
        elif kind == 1:
            extra = {"until": what.until} if what.kind == "snooze" else {}
            home.act(what.name, what.kind, what.occurrence, user=what.user, made=what.made, **extra)
        elif kind == 2:
            home.write("reminders", "r1", title=f"At {moment}")
        else:
            home.delete("reminders", "r1")
            gone = True


def sent(home: Home) -> list[tuple[int, str, str, bool]]:
    return [
        (moment, message.token, message.data["occurrence"], "late" in message.data)
        for moment, message in home.post.sent
        if message.kind == "reminder"
    ]


def judged(folder: Path, seed: int, others: float = 0.3) -> int:
    """A story without kills is what the judge says, to the minute; how many messages it had."""
    dice = random.Random(seed)
    story = told(dice)
    home = Home(SqliteStore(folder / f"{seed}.db"), story.begins)
    live(home, story, Disturbance(dice, 0, others))
    judge = Judge(story).run()
    assert sorted(sent(home)) == sorted(judge.sent), f"seed {seed}: {story}"
    if story.ends is None:
        assert set(home.row().get("missed") or ()) == judge.missed, f"seed {seed}: {story}"
    home.store.close()
    return len(judge.sent)


def judged_with_kills(home: Home, seed: int) -> int:
    """A story with kills: nothing twice, nothing that was not due, and what is missing is named."""
    dice = random.Random(seed)
    story = told(dice, 3)
    home.time = story.begins
    disturbance = Disturbance(dice, 0.5, 0.2)
    live(home, story, disturbance)
    # whoever was killed leaves a lease behind
    while home.time < story.sweeps[-1] + 14 * HOUR:
        home.time += 20 * MINUTE
        home.sweep()
    judge = Judge(story).run()
    due, snoozes = judge.due(), Counter(a.occurrence for a in story.actions if a.kind == "snooze")
    got = Counter((token, name) for _, token, name, _ in sent(home))
    for (token, name), count in got.items():
        if name in due:  # what became due after the last sweep is another story
            assert count <= 1 + snoozes[name], f"seed {seed}: {token} {name}"
    over = {a.occurrence for a in story.actions}
    missed = set(home.row().get("missed") or ())
    for name in due:
        if story.ends is None and name not in over:
            lacking = [
                f"{user}-{phone}"
                for user, phones in PHONES.items()
                for phone in phones
                if not got[f"{user}-{phone}", name]
            ]
            assert not lacking or name in missed, f"seed {seed}: {name} {lacking}"
    return disturbance.killed


# --- ten years, all zones


def chain(columns: dict[str, Any], until: int, dice: random.Random) -> list[tuple[str, int]]:
    """What a reminder's job finds that looks when it was told to, or later: a minute, a day, some weeks."""
    now = columns["remind_at"] - DAY
    fields, _ = scheduled(Turn("reminders", "r", "f", "anna", columns, None, None, now))
    row, next_ms = {**columns, **fields, "last_modified_at": now}, fields["next_at"]
    found: list[tuple[str, int]] = []
    while next_ms is not None and next_ms < until:
        now = max(now, next_ms + dice.choice((0, 0, 0, 59_000, DAY, 35 * DAY)))
        made = look(row, now)
        assert made is not None
        found += sorted(made.times.items(), key=lambda each: each[1])
        row, next_ms = {**row, **made.fields}, made.next_ms
    return [each for each in found if each[1] < until]


def judged_chain(zone: str, wall: datetime, years: int) -> int:
    """A daily reminder: the times that the clock shows, each once, in order; how many."""
    place, dice = ZoneInfo(zone), random.Random(zone)
    expected: list[tuple[str, int]] = []
    for shown, changes in due(place, wall, wall + timedelta(days=366 * years)):
        offset = shown.replace(tzinfo=UTC).astimezone(place).utcoffset()
        assert offset is not None
        instant = ms(seen(place, shown)) if changes else ms(shown.replace(tzinfo=UTC) - offset)
        if not expected or instant > expected[-1][1]:
            expected.append((f"{shown:%Y-%m-%dT%H:%M}", instant))
    end = expected[-1][1]
    columns = {"remind_at": expected[0][1], "time_zone": zone, "frequency": "daily", "every": 1}
    found = chain(columns, end, dice)
    assert found == expected[:-1], zone
    return len(found)


@pytest.mark.parametrize("zone", ODD)
def test_a_job_that_is_late_now_and_then_finds_every_day_once(zone: str) -> None:
    assert judged_chain(zone, datetime(2026, 9, 1, 2, 30), 1) > 360


@pytest.mark.soak
def test_a_job_finds_every_day_of_ten_years_once_in_every_zone() -> None:
    found = 0
    for number, zone in enumerate(sorted(available_timezones())):
        wall = datetime(2025, 1, 1, (0, 1, 2, 3, 23)[number % 5], (30, 0)[number % 2])
        found += judged_chain(zone, wall, 10)
    assert found > 3600 * 400


#: How many stories are many.
MANY = (pytest.param(80, marks=pytest.mark.proof), pytest.param(400, marks=pytest.mark.soak))


def seeds(count: int) -> Sequence[int]:
    return range(SEED * 1000, SEED * 1000 + count)


@pytest.mark.parametrize("number", range(10))
def test_phones_get_what_the_judge_says(tmp_path: Path, number: int) -> None:
    judged(tmp_path, SEED * 1000 + number)


@pytest.mark.parametrize("count", MANY)
def test_phones_get_what_the_judge_says_in_many_stories(tmp_path: Path, count: int) -> None:
    assert sum(judged(tmp_path, seed) for seed in seeds(count)) > 12 * count


@pytest.mark.parametrize("kind", stores.BOTH)
def test_killed_anywhere_nothing_comes_twice_and_what_is_lost_is_named(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    home = Home(stores.fresh(kind, request, tmp_path), 0)
    judged_with_kills(home, SEED)
    home.store.close()


@pytest.mark.parametrize("count", MANY)
def test_killed_anywhere_in_many_stories(tmp_path: Path, count: int) -> None:
    killed = 0
    for seed in seeds(count // 2):
        home = Home(SqliteStore(tmp_path / f"{seed}.db"), 0)
        killed += judged_with_kills(home, seed)
        home.store.close()
    assert killed > count // 2
